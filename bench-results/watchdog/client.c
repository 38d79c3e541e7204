/* A client that sends one request after the other on one connection, and notes how long each took.
 *
 *   client PORT SECONDS POST|GET PAUSE
 *
 * A POST has 16 bytes. PAUSE, in µs, lies between an answer and the next request. Prints: requests; answers that
 * were not 200; requests per second; the 1st to 99th percentile in µs, then the 99.9th. Answers must fit into
 * 4 KiB, and have a Content-Length or end with an empty chunk.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { MOST = 4 << 20, ANSWER_MAX = 4096 };
static const char post[] =
    "POST / HTTP/1.1\r\nHost: bench\r\nContent-Length: 16\r\nContent-Type: text/plain\r\n\r\nhello wide world";
static const char get[] = "GET / HTTP/1.1\r\nHost: bench\r\n\r\n";
static double times[MOST];

static double now_us(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1e6 + now.tv_nsec / 1e3;
}

/* Reads one answer, and tells whether it is a 200. */
static int answer(int connection) {
    char text[ANSWER_MAX + 1];
    size_t have = 0, want = ANSWER_MAX;
    while (have < want) {
        ssize_t n = read(connection, text + have, ANSWER_MAX - have);
        if (n <= 0) {
            fprintf(stderr, "the connection has ended\n");
            exit(1);
        }
        have += n;
        text[have] = 0;
        char *end = strstr(text, "\r\n\r\n"), *length = strcasestr(text, "\r\ncontent-length:");
        if (end && length) want = end + 4 - text + atol(length + 17);
        if (end && !length && have > 5 && !memcmp(text + have - 5, "0\r\n\r\n", 5)) want = have;
    }
    return !strncmp(text, "HTTP/1.1 200", 12);
}

static int by_size(const void *a, const void *b) {
    double difference = *(const double *)a - *(const double *)b;
    return (difference > 0) - (difference < 0);
}

int main(int argc, char **argv) {
    if (argc != 5) {
        fprintf(stderr, "usage: client PORT SECONDS POST|GET PAUSE\n");
        return 64;
    }
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(atoi(argv[1]))};
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int connection = socket(AF_INET, SOCK_STREAM, 0), yes = 1;
    setsockopt(connection, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    if (connect(connection, (struct sockaddr *)&to, sizeof to)) {
        perror("connect");
        return 1;
    }
    const char *request = strcmp(argv[3], "GET") ? post : get;
    struct timespec pause = {0, atol(argv[4]) * 1000};
    ssize_t length = strlen(request);
    double first = now_us(), end = first + atof(argv[2]) * 1e6;
    long count = 0, bad = 0;
    while (count < MOST && now_us() < end) {
        double begin = now_us();
        if (write(connection, request, length) != length) return 1;
        bad += !answer(connection);
        times[count++] = now_us() - begin;
        if (pause.tv_nsec) nanosleep(&pause, NULL);
    }
    double wall = now_us() - first;
    qsort(times, count, sizeof *times, by_size);
    printf("%ld %ld %.1f", count, bad, count * 1e6 / wall);
    for (int percent = 1; percent < 100; percent++) printf(" %.2f", times[count * percent / 100]);
    printf(" %.2f\n", times[count * 999 / 1000]);
    return 0;
}
