/* Both ends of an event stream: a function that stamps each event with the time at which it writes
 * it, and a client that compares the stamp with the time at which the event is there. Both clocks are
 * the machine's one (CLOCK_MONOTONIC), so both ends must run on the same machine.
 *
 *   events serve PORT EVENTS INTERVAL_US      answers every request with that many events, forever
 *   events read PORT PATH STREAMS             prints: events, then p50 p99 max of their latency in µs
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { STREAMS_MAX = 1024, BUFFER = 65536, EVENTS_MAX = 4000000 };

static long long now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static void fail(const char *what) {
    perror(what);
    exit(2);
}

static struct sockaddr_in loopback(int port) {
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(port)};
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return a;
}

static void send_at_once(int fd) {
    int one = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
}

/* One stream after its request has come. */
static void stream(int fd, int events, int interval_us) {
    char request[8192];
    size_t have = 0;
    while (!memmem(request, have, "\r\n\r\n", 4)) {
        ssize_t got = read(fd, request + have, sizeof request - have);
        if (got <= 0) _exit(0);
        have += got;
    }
    static const char head[] =
        "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: no-store\r\n"
        "Transfer-Encoding: chunked\r\n\r\n";
    if (write(fd, head, sizeof head - 1) < 0) _exit(0);
    /* Each stream has its own phase, so that many of them do not write at the same instant. */
    long long next = now_ns() + (getpid() * 7919LL % interval_us) * 1000;
    for (int n = 0; n < events; n++) {
        next += interval_us * 1000LL;
        struct timespec at = {next / 1000000000, next % 1000000000};
        clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL);
        char event[64];
        int length = sprintf(event, "1b\r\ndata: %019lld\n\n\r\n", now_ns());
        if (write(fd, event, length) != length) _exit(0);
    }
    if (write(fd, "0\r\n\r\n", 5) < 0) _exit(0);
    _exit(0);
}

static _Noreturn void serve(int port, int events, int interval_us) {
    int one = 1, listener = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in a = loopback(port);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(listener, (void *)&a, sizeof a) || listen(listener, 1024)) fail("listen");
    signal(SIGCHLD, SIG_IGN);
    for (;;) {
        int fd = accept(listener, NULL, NULL);
        if (fd < 0) continue;
        send_at_once(fd);
        if (fork() == 0) {
            prctl(PR_SET_PDEATHSIG, SIGKILL);
            prctl(PR_SET_TIMERSLACK, 1);
            stream(fd, events, interval_us);
        }
        close(fd);
    }
}

static int by_size(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static int read_all(int port, const char *path, int streams) {
    static char buffers[STREAMS_MAX][BUFFER];
    static size_t have[STREAMS_MAX];
    static double latency[EVENTS_MAX];
    struct pollfd fds[STREAMS_MAX];
    size_t count = 0;
    for (int n = 0; n < streams; n++) {
        struct sockaddr_in a = loopback(port);
        int fd = socket(AF_INET, SOCK_STREAM, 0);
        if (connect(fd, (void *)&a, sizeof a)) fail("connect");
        send_at_once(fd);
        char request[512];
        int length = sprintf(request, "GET %s HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n", path);
        if (write(fd, request, length) != length) fail("write");
        fds[n] = (struct pollfd){.fd = fd, .events = POLLIN};
    }
    for (int open = streams; open > 0;) {
        if (poll(fds, streams, 30000) <= 0) fail("poll");
        for (int n = 0; n < streams; n++) {
            if (!fds[n].revents) continue;
            ssize_t got = read(fds[n].fd, buffers[n] + have[n], BUFFER - have[n]);
            long long now = now_ns();
            if (got <= 0) {
                close(fds[n].fd);
                fds[n].fd = -1;
                open--;
                continue;
            }
            have[n] += got;
            char *at = buffers[n], *end = at + have[n], *event;
            while ((event = memmem(at, end - at, "data: ", 6)) && end - event >= 27) {
                if (count == EVENTS_MAX) fail("too many events");
                latency[count++] = (now - strtoll(event + 6, NULL, 10)) / 1000.0;
                at = event + 27;
            }
            /* An event of which only the beginning, or less than its mark, has come is kept. */
            have[n] = event ? end - event : (end - at < 5 ? end - at : 5);
            memmove(buffers[n], end - have[n], have[n]);
        }
    }
    if (!count) return 3;
    qsort(latency, count, sizeof *latency, by_size);
    printf("%zu %.1f %.1f %.1f\n", count, latency[count / 2], latency[count * 99 / 100], latency[count - 1]);
    return 0;
}

int main(int argc, char **argv) {
    signal(SIGPIPE, SIG_IGN);
    if (argc == 5 && !strcmp(argv[1], "serve")) serve(atoi(argv[2]), atoi(argv[3]), atoi(argv[4]));
    if (argc == 5 && !strcmp(argv[1], "read") && atoi(argv[4]) <= STREAMS_MAX)
        return read_all(atoi(argv[2]), argv[3], atoi(argv[4]));
    fprintf(stderr, "see the head of events.c\n");
    return 1;
}
