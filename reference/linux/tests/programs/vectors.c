/* Vector registers that live across every moment. */
#include <stdint.h>
#include <stdio.h>
typedef uint64_t vector __attribute__((vector_size(32)));
int main(void) {
    printf("begin\n"); fflush(stdout);
    vector a = {1, 2, 3, 4}, b = {5, 6, 7, 8}, c = {9, 10, 11, 12}, d = {13, 14, 15, 16};
    for (int part = 0; part < 30; part++) {
        for (long i = 0; i < 20000000; i++) {
            a ^= b << 13; b += c ^ (a >> 7); c ^= d << 17; d += a;
        }
        printf("%d %lx\n", part, a[0]); fflush(stdout);
    }
    printf("%lx %lx %lx %lx\n", a[0] ^ b[1], b[2] ^ c[3], c[0] ^ d[1], d[2] ^ a[3]);
    return 0;
}
