/* Delayed waiting for any program that waits by epoll: put in front of it with LD_PRELOAD.
 *
 *   DELAY_US=100 DELAY_FROM=8 LD_PRELOAD=./delay.so nginx ...
 *
 * After a wait that brought DELAY_FROM events or more, the next one begins DELAY_US later, so that more
 * events come in one system call. After one that brought fewer, nothing is delayed: with few connections
 * a pause would only be added to each answer.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <time.h>

typedef int wait_function(int, struct epoll_event *, int, int);

static int number(const char *name) {
    const char *text = getenv(name);
    return text ? atoi(text) : 0;
}

int epoll_wait(int epoll, struct epoll_event *events, int most, int timeout) {
    static wait_function *next;
    static int delay_us, from;
    static __thread int last;
    if (!next) {
        delay_us = number("DELAY_US");
        from = number("DELAY_FROM");
        next = (wait_function *)dlsym(RTLD_NEXT, "epoll_wait");
    }
    if (delay_us > 0 && last >= from) {
        struct timespec pause = {0, delay_us * 1000L};
        prctl(PR_SET_TIMERSLACK, 1, 0, 0, 0);
        nanosleep(&pause, NULL);
    }
    last = next(epoll, events, most, timeout);
    return last;
}
