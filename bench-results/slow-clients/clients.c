/* Two kinds of client for one server.
 *
 *   clients paced PORT PATH CONNECTIONS RATE SECONDS
 *       ordinary ones: RATE requests a second over all connections, on a fixed schedule. A latency is
 *       counted from the time at which the request was due, so that a server that stalls cannot make
 *       its own figures look better by being asked less. Prints: answers, failures, p50 p99 max in µs.
 *   clients slow PORT CONNECTIONS INTERVAL_MS COME_WITHIN_MS
 *       slow ones: each sends a byte of a head every INTERVAL_MS, never all of it, and connects anew
 *       when it is ended. They come one by one over COME_WITHIN_MS, and so their ends are spread as
 *       well. Prints a line when all are there, then goes on until it is told to end; then prints how
 *       many were ended by the server.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
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

enum { CONNECTIONS_MAX = 16384, SAMPLES_MAX = 4000000 };

static long long now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static void fail(const char *what) {
    perror(what);
    exit(2);
}

static int connected(int port) {
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(port)};
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int one = 1, fd = socket(AF_INET, SOCK_STREAM, 0);
    if (fd < 0 || connect(fd, (void *)&a, sizeof a)) fail("connect");
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    fcntl(fd, F_SETFL, O_NONBLOCK);
    return fd;
}

static int by_size(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Answers here are short and come in one piece: whether one is whole shows at its end. */
static int is_whole(const char *answer, size_t length) {
    const char *body = memmem(answer, length, "\r\n\r\n", 4);
    const char *field = memmem(answer, length, "ontent-Length: ", 15);
    if (!field) field = memmem(answer, length, "ontent-length: ", 15);
    return body && field && (size_t)(answer + length - body - 4) >= strtoul(field + 15, NULL, 10);
}

struct ordinary {
    long long due; /* Of the request in flight, or of the next one. */
    int in_flight;
    size_t have;
    char answer[4096];
};

static int paced(int port, const char *path, int connections, int rate, int seconds) {
    static struct ordinary clients[CONNECTIONS_MAX];
    static double latency[SAMPLES_MAX];
    struct pollfd fds[1024];
    char request[512];
    if (connections > 1024) return 1;
    int length = sprintf(request, "GET %s HTTP/1.1\r\nHost: h\r\n\r\n", path);
    long long gap = 1000000000LL * connections / rate, begun = now_ns() + 10000000;
    long long end = begun + seconds * 1000000000LL;
    size_t answers = 0, failures = 0;
    for (int n = 0; n < connections; n++) {
        fds[n] = (struct pollfd){.fd = connected(port), .events = POLLIN};
        clients[n].due = begun + gap * n / connections;
    }
    for (int busy = 1; busy;) {
        long long now = now_ns(), next = now + 1000000000LL;
        busy = 0;
        for (int n = 0; n < connections; n++) {
            struct ordinary *c = &clients[n];
            if (!c->in_flight && c->due < end && c->due <= now) {
                if (write(fds[n].fd, request, length) != length) fail("write");
                c->in_flight = 1;
            }
            busy |= c->in_flight || c->due < end;
            if (!c->in_flight && c->due < next) next = c->due;
        }
        if (!busy) break;
        long long wait = next - now_ns();
        struct timespec t = {wait < 0 ? 0 : wait / 1000000000, wait < 0 ? 0 : wait % 1000000000};
        if (ppoll(fds, connections, &t, NULL) < 0) fail("poll");
        for (int n = 0; n < connections; n++) {
            struct ordinary *c = &clients[n];
            if (!fds[n].revents) continue;
            ssize_t got = read(fds[n].fd, c->answer + c->have, sizeof c->answer - c->have);
            if (got <= 0) {
                fprintf(stderr, "a connection has ended\n");
                return 3;
            }
            c->have += got;
            if (!is_whole(c->answer, c->have)) continue;
            if (answers == SAMPLES_MAX) return 1;
            latency[answers++] = (now_ns() - c->due) / 1000.0;
            failures += memcmp(c->answer, "HTTP/1.1 200", 12) != 0;
            c->have = 0;
            c->in_flight = 0;
            c->due += gap;
        }
    }
    if (!answers) return 3;
    qsort(latency, answers, sizeof *latency, by_size);
    printf("%zu %zu %.1f %.1f %.1f\n", answers, failures, latency[answers / 2],
           latency[answers * 99 / 100], latency[answers - 1]);
    return 0;
}

static volatile sig_atomic_t told_to_end;
static void on_term(int signal) { told_to_end = signal; }

static void sleep_until(long long due) {
    struct timespec at = {due / 1000000000, due % 1000000000};
    clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL);
}

static int slow(int port, int connections, int interval_ms, int come_within_ms) {
    static const char head[] = "GET /function/tcp/ HTTP/1.1\r\nHost: h\r\nX-Slow: xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx";
    static int fds[CONNECTIONS_MAX];
    static size_t sent[CONNECTIONS_MAX];
    long long ended = 0, gap = interval_ms * 1000000LL / connections;
    if (connections > CONNECTIONS_MAX) return 1;
    signal(SIGTERM, on_term);
    long long begun = now_ns();
    for (int n = 0; n < connections; n++) {
        fds[n] = connected(port);
        if (write(fds[n], head, 1) != 1) fail("write");
        sent[n] = 1;
        sleep_until(begun + come_within_ms * 1000000LL * (n + 1) / connections);
    }
    printf("ready\n");
    fflush(stdout);
    long long due = now_ns();
    for (int n = 0; !told_to_end; n = (n + 1) % connections) {
        due += gap;
        sleep_until(due);
        char answer[1024];
        ssize_t got = read(fds[n], answer, sizeof answer);
        if (got >= 0 || errno != EAGAIN) {
            ended++;
            close(fds[n]);
            fds[n] = connected(port);
            sent[n] = 0;
        }
        if (write(fds[n], &head[sent[n]], 1) == 1 && sent[n] < sizeof head - 2) sent[n]++;
    }
    printf("%lld\n", ended);
    return 0;
}

int main(int argc, char **argv) {
    signal(SIGPIPE, SIG_IGN);
    prctl(PR_SET_TIMERSLACK, 1);
    if (argc == 7 && !strcmp(argv[1], "paced"))
        return paced(atoi(argv[2]), argv[3], atoi(argv[4]), atoi(argv[5]), atoi(argv[6]));
    if (argc == 6 && !strcmp(argv[1], "slow"))
        return slow(atoi(argv[2]), atoi(argv[3]), atoi(argv[4]), atoi(argv[5]));
    fprintf(stderr, "see the head of clients.c\n");
    return 1;
}
