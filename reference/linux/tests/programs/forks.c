/* Waits, then makes children that look at all of its memory. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { WORDS = 1 << 20, PAGE = 512 };
static uint64_t memory[WORDS];

int main(void) {
    for (int i = 0; i < WORDS; i++) memory[i] = i * 2654435761u;
    printf("begin\n"); fflush(stdout);
    struct timespec start, now;
    clock_gettime(CLOCK_MONOTONIC, &start);
    /* It sees that it was moved by the time that it was not running, or goes on after a while. */
    do clock_gettime(CLOCK_MONOTONIC, &now); while (getppid() != 1 && now.tv_sec - start.tv_sec < 2);
    for (int round = 0; round < 20; round++) {
        fflush(stdout);
        int child = fork();
        if (!child) {
            uint64_t sum = 0;
            for (int i = round; i < WORDS; i += PAGE) { sum = sum * 31 + memory[i]; }
            printf("%d %lx\n", round, sum); fflush(stdout);
            _exit(sum & 0x7f);
        }
        int status; waitpid(child, &status, 0);
        printf("%d\n", WEXITSTATUS(status));
        for (int i = round; i < WORDS; i += PAGE) memory[i] += round;
    }
    return 0;
}
