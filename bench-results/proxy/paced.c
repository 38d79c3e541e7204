/* Both ends of a proxy: an open-loop client, whose requests come at their times whatever the server does, and the
 * replica that answers them.
 *
 *   paced PORT PATH CONNECTIONS RATE SECONDS REPLICA_PORT
 *
 * Request k is due at begin + k / RATE and belongs to connection k mod CONNECTIONS. Where that one still waits
 * for an answer, the request queues behind it and its latency grows: latencies count from the time at which
 * a request was due, not from when it could be sent, so a server that stalls cannot make its own figures
 * look better by being asked less (coordinated omission). The first quarter of a second is not counted.
 * It ends SECONDS after the beginning, or two seconds later where answers are missing: those go unanswered.
 *
 * Client and replica are one thread that never sleeps, and want a core to themselves. As two processes on one
 * core they wait for each other's time slice, and a core that sleeps wakes late in a virtual machine: both
 * gave latencies of some milliseconds that were not the proxy's.
 *
 * Prints: counted answers, answers that were not 200, requests that went unanswered; p50 p99 p99.9 max of the
 * latency in µs; the p99 of this program's own lateness in µs, from when a request was due and its connection
 * free to its write, which is in the latency.
 * Answers must be short and have a Content-Length.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { EVENTS_MAX = 256, MESSAGE_MAX = 4096 };
static const int64_t SECOND = 1000000000, WARM_UP = 250000000, GRACE = 2000000000;

/* What a replica of the usual kind would say. */
static const char reply[] = "HTTP/1.1 200 OK\r\nServer: paced\r\nDate: Thu, 01 Jan 2026 00:00:00 GMT\r\n"
                            "Content-Type: text/plain\r\nContent-Length: 12\r\n\r\nhello world\n";

enum kind { CLIENT, REPLICA, LISTENER };

struct connection {
    enum kind kind;
    int fd;
    int64_t turn;  /* In the schedule: of the request in flight, or of the next one. */
    int64_t freed; /* When the last answer was whole. */
    int in_flight;
    size_t have;
    char message[MESSAGE_MAX];
};

/* Times in ns, of which the percentiles are asked. */
struct samples {
    uint32_t *of;
    size_t count;
};

static struct connection *connections;
static int connections_count, request_length, epoll;
static char request[512];
static int64_t rate, begin, end; /* Requests a second; the schedule's ends. */
static struct samples latencies, delays;
static size_t waiting, failures, unanswered;

static int64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * SECOND + t.tv_nsec;
}

static void fail(const char *what) {
    perror(what);
    exit(2);
}

static int64_t due(int64_t turn) { return begin + turn * SECOND / rate; }

static void add(struct samples *samples, int64_t ns) {
    samples->of[samples->count++] = ns < 0 ? 0 : ns > UINT32_MAX ? UINT32_MAX : ns;
}

static int by_size(const void *a, const void *b) {
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

static double percentile_us(const struct samples *sorted, double share) {
    return sorted->of[(size_t)((sorted->count - 1) * share)] / 1000.0;
}

static struct sockaddr_in loopback(int port) {
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(port)};
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return a;
}

/* Watches a socket, which `c` stands for from now on. */
static void watch(struct connection *c, enum kind kind, int fd) {
    int one = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    fcntl(fd, F_SETFL, O_NONBLOCK);
    c->kind = kind;
    c->fd = fd;
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event)) fail("epoll_ctl");
}

static int connected(int port) {
    struct sockaddr_in a = loopback(port);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (fd < 0 || connect(fd, (void *)&a, sizeof a)) fail("connect");
    return fd;
}

static int listening(int port) {
    struct sockaddr_in a = loopback(port);
    int one = 1, fd = socket(AF_INET, SOCK_STREAM, 0);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (fd < 0 || bind(fd, (void *)&a, sizeof a) || listen(fd, 4096)) fail("listen");
    return fd;
}

/* The proxy has connected. */
static void accept_one(const struct connection *listener) {
    int fd = accept(listener->fd, NULL, NULL);
    struct connection *c = calloc(1, sizeof *c);
    if (fd < 0 || !c) fail("accept");
    watch(c, REPLICA, fd);
}

static int is_whole(const char *answer, size_t length) {
    const char *body = memmem(answer, length, "\r\n\r\n", 4);
    const char *field = memmem(answer, length, "ontent-Length: ", 15);
    if (!field) field = memmem(answer, length, "ontent-length: ", 15);
    return body && field && (size_t)(answer + length - body - 4) >= strtoul(field + 15, NULL, 10);
}

/* Sends the next request of a connection that is free, if it is due. */
static void send_if_due(struct connection *c) {
    int64_t at = due(c->turn), now = now_ns();
    if (c->in_flight || at > now || at >= end) return;
    if (write(c->fd, request, request_length) != request_length) fail("write");
    c->in_flight = 1;
    waiting++;
    if (at >= begin + WARM_UP) add(&delays, now - (at > c->freed ? at : c->freed));
}

/* Takes what has come; gives 0 where the other side has gone. */
static int receive(struct connection *c) {
    ssize_t got = read(c->fd, c->message + c->have, MESSAGE_MAX - c->have);
    if (got < 0 && errno == EAGAIN) return 1;
    if (got > 0) c->have += got;
    return got > 0;
}

/* Answers as soon as a head is whole; requests here have no bodies. */
static void serve(struct connection *c) {
    if (!receive(c)) {
        close(c->fd);
        free(c);
        return;
    }
    if (!memmem(c->message, c->have, "\r\n\r\n", 4)) return;
    c->have = 0;
    if (write(c->fd, reply, sizeof reply - 1) != sizeof reply - 1) fail("answer");
}

/* Counts an answer once it is whole. */
static void take_answer(struct connection *c) {
    if (!receive(c)) fail("a connection has ended");
    if (!is_whole(c->message, c->have)) return;
    c->freed = now_ns();
    if (due(c->turn) >= begin + WARM_UP) add(&latencies, c->freed - due(c->turn));
    failures += memcmp(c->message, "HTTP/1.1 200", 12) != 0;
    c->have = c->in_flight = 0;
    c->turn += connections_count;
    waiting--;
    send_if_due(c);
}

/* Keeps to the schedule until its end and the last answer. */
static void run(void) {
    struct epoll_event events[EVENTS_MAX];
    for (int64_t turn = 0;;) {
        for (; due(turn) <= now_ns() && due(turn) < end; turn++) {
            struct connection *c = &connections[turn % connections_count];
            /* One that is behind sends this request when its answers have come. */
            if (c->turn == turn) send_if_due(c);
        }
        if (due(turn) >= end && (!waiting || now_ns() >= end + GRACE)) break;
        int count = epoll_wait(epoll, events, EVENTS_MAX, 0);
        if (count < 0 && errno != EINTR) fail("epoll_wait");
        for (int n = 0; n < count; n++) {
            struct connection *c = events[n].data.ptr;
            if (c->kind == CLIENT) take_answer(c);
            else if (c->kind == REPLICA) serve(c);
            else accept_one(c);
        }
    }
    /* What was due and never sent, or never answered. */
    for (int n = 0; n < connections_count; n++)
        for (int64_t turn = connections[n].turn; due(turn) < end; turn += connections_count) unanswered++;
}

int main(int argc, char **argv) {
    if (argc != 7 || (connections_count = atoi(argv[3])) < 1 || (rate = atoi(argv[4])) < 1) {
        fprintf(stderr, "paced PORT PATH CONNECTIONS RATE SECONDS REPLICA_PORT\n");
        return 1;
    }
    signal(SIGPIPE, SIG_IGN);
    request_length = snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: h\r\n\r\n", argv[2]);
    int64_t length = atoi(argv[5]) * SECOND;
    size_t samples_max = rate * atoi(argv[5]) + 1;
    connections = calloc(connections_count, sizeof *connections);
    latencies.of = calloc(samples_max, sizeof *latencies.of);
    delays.of = calloc(samples_max, sizeof *delays.of);
    epoll = epoll_create1(0);
    if (!connections || !latencies.of || !delays.of || epoll < 0) fail("begin");
    static struct connection listener;
    watch(&listener, LISTENER, listening(atoi(argv[6])));
    for (int n = 0; n < connections_count; n++) {
        connections[n].turn = n;
        watch(&connections[n], CLIENT, connected(atoi(argv[1])));
    }
    begin = now_ns() + 10000000;
    end = begin + length;
    run();
    if (!latencies.count) return 3;
    qsort(latencies.of, latencies.count, sizeof *latencies.of, by_size);
    qsort(delays.of, delays.count, sizeof *delays.of, by_size);
    printf("%zu %zu %zu %.1f %.1f %.1f %.1f %.1f\n", latencies.count, failures, unanswered,
           percentile_us(&latencies, 0.5), percentile_us(&latencies, 0.99), percentile_us(&latencies, 0.999),
           percentile_us(&latencies, 1), percentile_us(&delays, 0.99));
    return 0;
}
