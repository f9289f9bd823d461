/* Waits in system calls of every kind, with the time that it took. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/select.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

static double now(void) { struct timespec t; clock_gettime(CLOCK_MONOTONIC, &t); return t.tv_sec + t.tv_nsec / 1e9; }
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int kind, length = 1;
static double slack = 1.5;

/* How long the wait is and may be, in seconds. A busy machine adds to it; one that began anew with every disturbance would never end. */
static void report(const char *name, double began, long answer) {
    double took = now() - began;
    pthread_mutex_lock(&lock);
    printf("%s %ld %s\n", name, answer, took < length - 0.03 ? "too short" : took > length + slack ? "too long" : "right");
    fflush(stdout);
    pthread_mutex_unlock(&lock);
}

int main(int count, char **arguments) {
    kind = count > 1 ? atoi(arguments[1]) : 0;
    int rounds = count > 2 ? atoi(arguments[2]) : 1;
    if (count > 3) length = atoi(arguments[3]);
    if (count > 4) slack = atof(arguments[4]);
    printf("begin\n"); fflush(stdout);
    struct timespec second = {length, 0};
    int pipes[2]; if (pipe(pipes)) return 1;
    double began = now();
    for (int round = 0; round < rounds; round++) {
        began = now();
        switch (kind) {
        case 0: report("nanosleep", began, nanosleep(&second, 0)); break;
        case 1: { struct timespec rest; report("nanosleep with rest", began, nanosleep(&second, &rest)); break; }
        case 2: report("clock_nanosleep", began, clock_nanosleep(CLOCK_MONOTONIC, 0, &second, 0)); break;
        case 3: report("poll", began, poll(0, 0, length * 1000)); break;
        case 4: { struct pollfd p = {pipes[0], POLLIN, 0}; report("poll of a pipe", began, poll(&p, 1, length * 1000)); break; }
        case 5: { struct timeval t = {length, 0}; report("select", began, select(0, 0, 0, 0, &t)); break; }
        case 6: {
            int word = 0; struct timespec until; clock_gettime(CLOCK_MONOTONIC, &until); until.tv_sec += length;
            long answer = syscall(SYS_futex, &word, FUTEX_WAIT_BITSET, 0, &until, 0, -1);
            report("futex", began, answer < 0 && errno == ETIMEDOUT ? 0 : answer); break;
        }
        case 7: {
            int timer = timerfd_create(CLOCK_MONOTONIC, 0); struct itimerspec s = {{0, 0}, {length, 0}}; uint64_t n;
            timerfd_settime(timer, 0, &s, 0);
            report("timerfd", began, read(timer, &n, 8)); close(timer); break;
        }
        case 8: {
            int timer = timerfd_create(CLOCK_MONOTONIC, 0), set = epoll_create1(0); struct itimerspec s = {{0, 0}, {length, 0}};
            struct epoll_event e = {EPOLLIN, {.u64 = 77}}, got = {0};
            timerfd_settime(timer, 0, &s, 0); epoll_ctl(set, EPOLL_CTL_ADD, timer, &e);
            long answer = epoll_wait(set, &got, 1, -1);
            report("epoll", began, answer * 1000 + got.data.u64); close(timer); close(set); break;
        }
        case 9: {
            struct timespec until; clock_gettime(CLOCK_MONOTONIC, &until); until.tv_sec += length;
            report("sleep until", began, clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, 0)); break;
        }
        case 10: {
            sigset_t set; sigemptyset(&set); sigaddset(&set, SIGUSR1); sigprocmask(SIG_BLOCK, &set, 0);
            struct itimerval t = {{0, 0}, {length, 0}}; sigset_t alarm; sigemptyset(&alarm); sigaddset(&alarm, SIGALRM);
            sigprocmask(SIG_BLOCK, &alarm, 0); setitimer(ITIMER_REAL, &t, 0); int got;
            sigwait(&alarm, &got); report("sigwait", began, got); break;
        }
        case 11: {
            static int word;
            long answer = syscall(SYS_futex, &word, FUTEX_WAIT, 0, &second, 0, 0);
            report("futex for a time", began, answer < 0 && errno == ETIMEDOUT ? 0 : answer); break;
        }
        case 12: {
            int *word = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0); *word = 5;
            long answer = syscall(SYS_futex, word, FUTEX_WAIT, 5, &second, 0, 0);
            report("futex in shared memory", began, answer < 0 && errno == ETIMEDOUT ? *word : answer); munmap(word, 4096); break;
        }
        case 13: {
            int set = epoll_create1(0); struct epoll_event got = {0};
            report("epoll for a time", began, epoll_wait(set, &got, 1, length * 1000)); close(set); break;
        }
        case 14: {
            int set = epoll_create1(0); struct epoll_event got = {0}; sigset_t none; sigemptyset(&none);
            report("epoll with signals for a time", began, epoll_pwait(set, &got, 1, length * 1000, &none)); close(set); break;
        }
        case 15: report("the older nanosleep", began, syscall(SYS_nanosleep, &second, 0)); break;
        case 16: { struct pollfd p = {pipes[0], POLLIN, 0}; report("ppoll", began, ppoll(&p, 1, &second, 0)); break; }
        case 17: report("pselect", began, pselect(0, 0, 0, 0, &second, 0)); break;
        case 18: {
            /* More descriptors than there is room for on one page. */
            static struct pollfd many[1200];
            for (int i = 0; i < 1200; i++) many[i] = (struct pollfd){i == 900 ? pipes[0] : -1, POLLIN, 0};
            report("poll of many", began, poll(many, 1200, length * 1000)); break;
        }
        }
    }
    return 0;
}
