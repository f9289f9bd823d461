// Seventeen threads at work, of which the last one ends them all after as many microseconds as it is told.
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static double end;

static double now(void) { struct timespec t; clock_gettime(CLOCK_MONOTONIC, &t); return t.tv_sec + t.tv_nsec / 1e9; }

static void *work(void *last) {
    for (volatile unsigned long n = 0;; n++) {
        if (last && now() > end) {
            puts("ended");
            exit(0);
        }
    }
    return last;
}

int main(int count, char **arguments) {
    puts("begun");
    fflush(stdout);
    end = now() + (count > 1 ? atoi(arguments[1]) : 0) / 1e6;
    for (int n = 0; n < 16; n++) {
        pthread_t thread;
        pthread_create(&thread, NULL, work, n == 15 ? arguments : NULL);
    }
    work(NULL);
}
