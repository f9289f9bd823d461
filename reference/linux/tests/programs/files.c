/* Pipes within the process, eventfd, files read and written by offset, a shared mapping of a file. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PAGES = 64 };
int main(int count, char **arguments) {
    char name[4096];
    snprintf(name, sizeof name, "%s/mapped", arguments[1]); int mapped = open(name, O_RDWR | O_CREAT, 0600); if (ftruncate(mapped, PAGES * 4096)) return 1;
    uint32_t *shared = mmap(0, PAGES * 4096, PROT_READ | PROT_WRITE, MAP_SHARED, mapped, 0); close(mapped);
    uint32_t *anonymous = mmap(0, PAGES * 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    snprintf(name, sizeof name, "%s/written", arguments[1]); int written = open(name, O_RDWR | O_CREAT | O_TRUNC, 0600);
    int again = dup(written), pipes[2]; if (pipe(pipes)) return 1;
    int counter = eventfd(0, EFD_NONBLOCK), set = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event e = {EPOLLIN, {.u64 = 4242}}; epoll_ctl(set, EPOLL_CTL_ADD, counter, &e);
    umask(027);
    uint64_t one = 7; if (write(counter, &one, 8) != 8) return 1;
    char left[] = "left in the pipe"; if (write(pipes[1], left, sizeof left) < 0) return 1;
    printf("begin\n"); fflush(stdout);
    uint64_t sum = 0, value = 1;
    for (int round = 0; round < 3000; round++) {
        for (int i = 0; i < 200000; i++) value = value * 6364136223846793005ull + 1442695040888963407ull;
        shared[value % (PAGES * 1024)] ^= value >> 32; anonymous[(value >> 20) % (PAGES * 1024)] += value >> 40;
        char line[64]; int n = snprintf(line, sizeof line, "%d %lx\n", round, value);
        if (write(round % 2 ? written : again, line, n) != n) return 1;
        if (round % 300 == 0) { printf("%d\n", round); fflush(stdout); }
    }
    for (int i = 0; i < PAGES * 1024; i++) sum = sum * 31 + shared[i] + anonymous[i];
    char got[64] = {0}; long n = read(pipes[0], got, sizeof got);
    struct epoll_event ready = {0}; int events = epoll_wait(set, &ready, 1, 0); uint64_t counted; long m = read(counter, &counted, 8);
    printf("%lx %ld %s %d %lu %ld %lu %o %ld %ld\n", sum, n, got, events, (unsigned long)ready.data.u64, m, counted, umask(0), lseek(written, 0, SEEK_CUR), (long)fcntl(counter, F_GETFL));
    lseek(again, 0, SEEK_SET); uint64_t hash = 0; unsigned char c; FILE *f = fdopen(written, "r");
    for (int k; (k = fgetc(f)) != EOF;) { c = k; hash = hash * 131 + c; }
    printf("%lx\n", hash);
    return 0;
}
