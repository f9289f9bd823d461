/* Maps, unmaps, grows, protects, discards and moves memory all the time. */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

static uint64_t state = 88172645463325252ull;
static uint64_t next(void) { state ^= state << 13; state ^= state >> 7; state ^= state << 17; return state; }
enum { SLOTS = 40 };
static unsigned char *slots[SLOTS];
static size_t lengths[SLOTS];
static uint64_t sum;

static void look(int slot) { for (size_t i = 0; i < lengths[slot]; i += 512) sum = sum * 31 + slots[slot][i]; }
static void fill(int slot) { for (size_t i = 0; i < lengths[slot]; i += 512) slots[slot][i] = next(); }

int main(void) {
    printf("begin\n"); fflush(stdout);
    for (int round = 0; round < 60000; round++) {
        int slot = next() % SLOTS;
        if (!slots[slot]) {
            lengths[slot] = (1 + next() % 60) * 4096;
            slots[slot] = mmap(0, lengths[slot], PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
            if (slots[slot] == MAP_FAILED) { perror("mmap"); return 1; }
            fill(slot);
            continue;
        }
        switch (next() % 7) {
        case 0: look(slot); munmap(slots[slot], lengths[slot]); slots[slot] = 0; break;
        case 1: look(slot); madvise(slots[slot], lengths[slot] / 2 / 4096 * 4096, MADV_DONTNEED); break;
        case 2: {
            size_t length = (1 + next() % 60) * 4096;
            look(slot);
            slots[slot] = mremap(slots[slot], lengths[slot], length, MREMAP_MAYMOVE);
            if (slots[slot] == MAP_FAILED) { perror("mremap"); return 1; }
            lengths[slot] = length;
            break;
        }
        case 3: mprotect(slots[slot], lengths[slot], PROT_READ); look(slot);
                mprotect(slots[slot], lengths[slot], PROT_READ | PROT_WRITE); break;
        case 4: { char *block = malloc(1 + next() % 400000); memset(block, next(), 1000); sum += block[500]; free(block); break; }
        default: look(slot); fill(slot);
        }
        if (round % 5000 == 0) { printf("%d %016lx\n", round, sum); fflush(stdout); }
    }
    printf("%016lx\n", sum);
    return 0;
}
