/* Threads that compute, take turns by futexes, and have data of their own. */
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>

enum { THREADS = 4, ROUNDS = 120, STEPS = 1000000 };
static __thread uint64_t own;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t turn_changed = PTHREAD_COND_INITIALIZER;
static int turn;

static void *work(void *argument) {
    int me = (int)(intptr_t)argument;
    own = 88172645463325252ull + me;
    for (int round = 0; round < ROUNDS; round++) {
        for (int i = 0; i < STEPS; i++) {
            own ^= own << 13; own ^= own >> 7; own ^= own << 17;
        }
        pthread_mutex_lock(&lock);
        while (turn != me) pthread_cond_wait(&turn_changed, &lock);
        if (round % 10 == 0) { printf("%d %d %016lx\n", round, me, own); fflush(stdout); }
        turn = (turn + 1) % THREADS;
        pthread_cond_broadcast(&turn_changed);
        pthread_mutex_unlock(&lock);
    }
    return (void *)own;
}

int main(void) {
    pthread_t threads[THREADS];
    for (intptr_t i = 0; i < THREADS; i++) pthread_create(&threads[i], 0, work, (void *)i);
    for (int i = 0; i < THREADS; i++) {
        void *result;
        pthread_join(threads[i], &result);
        printf("%lx\n", (uint64_t)result);
    }
    return 0;
}
