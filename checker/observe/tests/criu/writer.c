/* Writes a byte of eight pages, of as many MiB as it is told, every 20 ms. */
#include <stdlib.h>
#include <string.h>
#include <time.h>

int main(int count, char **arguments)
{
	size_t pages = (size_t)atoi(arguments[1]) * 256, next = 0;
	unsigned char *memory = aligned_alloc(4096, pages * 4096);
	struct timespec pause = { 0, 20000000 };

	if (count != 2 || !memory)
		return 1;
	for (size_t page = 0; page < pages; page++)
		memset(memory + page * 4096, (int)(page % 255 + 1), 4096);
	for (;;) {
		for (int turn = 0; turn < 8; turn++)
			memory[next++ % pages * 4096]++;
		nanosleep(&pause, NULL);
	}
}
