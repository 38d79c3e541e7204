/* The floor of a process per request: posix_spawn, a body down one pipe, the answer up another,
 * wait. One request after the other, no HTTP, no server.
 *
 *   floor PROGRAM REQUESTS   prints: wall µs per request, CPU µs per request (own and children's)
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

static double seconds(struct timeval t) { return t.tv_sec + t.tv_usec / 1e6; }

static double cpu(int who) {
    struct rusage usage;
    getrusage(who, &usage);
    return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

static void request(const char *program) {
    static const char body[] = "hello wide world";
    int in[2], out[2];
    if (pipe2(in, O_CLOEXEC) || pipe2(out, O_CLOEXEC)) exit(2);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, in[0], 0);
    posix_spawn_file_actions_adddup2(&actions, out[1], 1);
    char *const arguments[] = {(char *)program, NULL};
    pid_t child;
    if (posix_spawn(&child, program, &actions, NULL, arguments, environ)) exit(3);
    posix_spawn_file_actions_destroy(&actions);
    close(in[0]);
    close(out[1]);
    if (write(in[1], body, sizeof body - 1) < 0) exit(4);
    close(in[1]);
    char answer[4096];
    size_t total = 0;
    for (ssize_t n; (n = read(out[0], answer + total, sizeof answer - total)) > 0;) total += n;
    close(out[0]);
    int status;
    if (waitpid(child, &status, 0) != child || status || total != sizeof body - 1) exit(5);
}

int main(int argc, char **argv) {
    if (argc != 3) {
        fprintf(stderr, "usage: floor PROGRAM REQUESTS\n");
        return 64;
    }
    long requests = atol(argv[2]);
    struct timespec begin, end;
    clock_gettime(CLOCK_MONOTONIC, &begin);
    for (long i = 0; i < requests; i++) request(argv[1]);
    clock_gettime(CLOCK_MONOTONIC, &end);
    double wall = (end.tv_sec - begin.tv_sec) + (end.tv_nsec - begin.tv_nsec) / 1e9;
    double used = cpu(RUSAGE_SELF) + cpu(RUSAGE_CHILDREN);
    printf("%.2f %.2f\n", wall * 1e6 / requests, used * 1e6 / requests);
    return 0;
}
