/* A worker for worker mode, and the least that one can be: it answers each request with its body.
 *
 * It trusts the watchdog, which sends a head with a Content-Length and then that many bytes, and nothing more
 * until it has the answer. With an argument it is the floor's worker: 16 bytes in, 16 bytes out, no head.
 */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

enum { MESSAGE_MAX = 65536 };

int main(int argc, char **argv) {
    (void)argv;
    static char in[MESSAGE_MAX + 1], out[MESSAGE_MAX + 128];
    size_t have = 0;
    for (ssize_t n; (n = read(0, in + have, MESSAGE_MAX - have)) > 0;) {
        have += n;
        in[have] = 0;
        if (argc > 1) {
            if (write(1, in, have) < 0) return 1;
            have = 0;
            continue;
        }
        char *end = strstr(in, "\r\n\r\n"), *length = strcasestr(in, "\r\ncontent-length:");
        if (!end || !length) continue;
        size_t body = atol(length + 17), head = end + 4 - in;
        if (have < head + body) continue;
        int begin = sprintf(out, "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %zu\r\n\r\n", body);
        memcpy(out + begin, in + head, body);
        if (write(1, out, begin + body) < 0) return 1;
        have = 0;
    }
    return 0;
}
