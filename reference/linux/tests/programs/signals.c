/* Handlers on an alternate stack, timers of both kinds, blocked and pending signals. */
#define _GNU_SOURCE
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static volatile int alarms, ticks, queued, on_stack;
static char *stack;
enum { STACK = 65536 };

static void handle(int signal, siginfo_t *information, void *context) {
    char here;
    if (&here >= stack && &here < stack + STACK) on_stack++;
    if (signal == SIGALRM) alarms++;
    if (signal == SIGRTMIN) ticks += information->si_value.sival_int;
    if (signal == SIGUSR1) queued += information->si_value.sival_int;
}

int main(void) {
    stack = malloc(STACK);
    stack_t alternate = {.ss_sp = stack, .ss_size = STACK};
    sigaltstack(&alternate, 0);
    struct sigaction action = {.sa_sigaction = handle, .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESTART};
    sigaction(SIGALRM, &action, 0); sigaction(SIGRTMIN, &action, 0); sigaction(SIGUSR1, &action, 0);
    signal(SIGUSR2, SIG_IGN);
    sigset_t blocked; sigemptyset(&blocked); sigaddset(&blocked, SIGUSR1); sigprocmask(SIG_BLOCK, &blocked, 0);
    for (int i = 0; i < 3; i++) { union sigval v = {.sival_int = 5}; sigqueue(getpid(), SIGUSR1, v); }
    struct itimerval interval = {{0, 20000}, {0, 20000}};
    setitimer(ITIMER_REAL, &interval, 0);
    timer_t first, timer; struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGRTMIN, .sigev_value.sival_int = 3};
    timer_create(CLOCK_MONOTONIC, &event, &first); timer_create(CLOCK_MONOTONIC, &event, &timer); timer_delete(first);
    struct itimerspec often = {{0, 10000000}, {0, 10000000}};
    timer_settime(timer, 0, &often, 0);
    printf("begin\n"); fflush(stdout);
    int pid = getpid();
    while (alarms < 60 || ticks < 300) pause();
    struct itimerspec setting; timer_gettime(timer, &setting);
    printf("%d %d %d\n", pid == getpid(), queued, (int)setting.it_interval.tv_nsec);
    sigprocmask(SIG_UNBLOCK, &blocked, 0);
    printf("%d %d\n", queued, on_stack > 60);
    struct sigaction old; sigaction(SIGUSR2, 0, &old); printf("%d\n", old.sa_handler == SIG_IGN);
    return 0;
}
