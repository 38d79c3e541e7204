/* What the kernel alone takes for each way of running a function: no HTTP, no server, one call after the other.
 *
 *   floor spawn PROGRAM CALLS THREADS   two pipes, posix_spawn, write, read, wait, in so many threads
 *   floor ready PROGRAM CALLS           the same, but the process is started before the clock
 *   floor worker PROGRAM CALLS          write and read on the pipes of one process that stays
 *
 * A call sends 16 bytes and gets 16 back. Prints: calls per second; CPU µs per call, own and children's;
 * the 1st to 99th percentile of a call's time in µs, then the 99.9th.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

static const char body[16] = "hello wide world";
static const char *program;
static double *times;
static long calls, threads;

struct child {
    pid_t pid;
    int in, out;
};

static double now_us(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1e6 + now.tv_nsec / 1e3;
}

static double cpu_us(int who) {
    struct rusage usage;
    getrusage(who, &usage);
    return (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1e6 + usage.ru_utime.tv_usec + usage.ru_stime.tv_usec;
}

static struct child start(void) {
    int in[2], out[2];
    if (pipe2(in, O_CLOEXEC) || pipe2(out, O_CLOEXEC)) exit(2);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, in[0], 0);
    posix_spawn_file_actions_adddup2(&actions, out[1], 1);
    char *const arguments[] = {(char *)program, NULL};
    struct child child;
    if (posix_spawn(&child.pid, program, &actions, NULL, arguments, environ)) exit(3);
    posix_spawn_file_actions_destroy(&actions);
    close(in[0]);
    close(out[1]);
    child.in = in[1];
    child.out = out[0];
    return child;
}

static void send_body(struct child *child) {
    if (write(child->in, body, sizeof body) != sizeof body) exit(4);
}

/* Reads the answer to its end. */
static void finish(struct child *child) {
    close(child->in);
    char answer[4096];
    size_t total = 0;
    for (ssize_t n; (n = read(child->out, answer + total, sizeof answer - total)) > 0;) total += n;
    close(child->out);
    int status;
    if (waitpid(child->pid, &status, 0) != child->pid || status || total != sizeof body) exit(5);
}

static void *spawn_calls(void *first) {
    for (long call = (long)first; call < calls; call += threads) {
        double begin = now_us();
        struct child child = start();
        send_body(&child);
        finish(&child);
        times[call] = now_us() - begin;
    }
    return NULL;
}

static void spawned(void) {
    pthread_t all[64];
    for (long n = 0; n < threads; n++) pthread_create(&all[n], NULL, spawn_calls, (void *)n);
    for (long n = 0; n < threads; n++) pthread_join(all[n], NULL);
}

/* A process may not be through with its start when its turn comes, so that many stand ready. */
static void ready(void) {
    enum { SHELF = 8 };
    struct child shelf[SHELF];
    for (int n = 0; n < SHELF; n++) shelf[n] = start();
    for (long call = 0; call < calls; call++) {
        struct child *child = &shelf[call % SHELF];
        double begin = now_us();
        send_body(child);
        finish(child);
        times[call] = now_us() - begin;
        *child = start();
        usleep(500);
    }
    for (int n = 0; n < SHELF; n++) {
        send_body(&shelf[n]);
        finish(&shelf[n]);
    }
}

static void worker(void) {
    struct child child = start();
    char answer[sizeof body];
    for (long call = 0; call < calls; call++) {
        double begin = now_us();
        send_body(&child);
        if (read(child.out, answer, sizeof answer) != sizeof answer) exit(6);
        times[call] = now_us() - begin;
    }
    close(child.in);
    waitpid(child.pid, NULL, 0);
}

static int by_size(const void *a, const void *b) {
    double difference = *(const double *)a - *(const double *)b;
    return (difference > 0) - (difference < 0);
}

int main(int argc, char **argv) {
    if (argc < 4) {
        fprintf(stderr, "usage: floor spawn|ready|worker PROGRAM CALLS [THREADS]\n");
        return 64;
    }
    program = argv[2];
    calls = atol(argv[3]);
    threads = argc > 4 ? atol(argv[4]) : 1;
    times = calloc(calls, sizeof *times);
    double begin = now_us();
    if (!strcmp(argv[1], "spawn")) spawned();
    if (!strcmp(argv[1], "ready")) ready();
    if (!strcmp(argv[1], "worker")) worker();
    double wall = now_us() - begin;
    double used = cpu_us(RUSAGE_SELF) + cpu_us(RUSAGE_CHILDREN);
    qsort(times, calls, sizeof *times, by_size);
    printf("%.1f %.3f", calls * 1e6 / wall, used / calls);
    for (int percent = 1; percent < 100; percent++) printf(" %.2f", times[calls * percent / 100]);
    printf(" %.2f\n", times[calls * 999 / 1000]);
    return 0;
}
