/* Has whatever its argument names, and waits. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <unistd.h>

int main(int count, char **arguments) {
    const char *what = arguments[1];
    if (!strcmp(what, "socket")) socket(AF_INET, SOCK_STREAM, 0);
    if (!strcmp(what, "child")) { if (!fork()) { pause(); } }
    if (!strcmp(what, "io_uring")) { char p[256] = {0}; if (syscall(425, 4, p) < 0) { printf("none\n"); return 0; } }
    if (!strcmp(what, "device")) open("/dev/kmsg", O_RDONLY);
    if (!strcmp(what, "deleted")) { int fd = open("gone", O_RDWR | O_CREAT, 0600); unlink("gone"); ftruncate(fd, 4096); mmap(0, 4096, 3, MAP_SHARED, fd, 0); }
    if (!strcmp(what, "inotify")) inotify_init();
    if (!strcmp(what, "memfd")) memfd_create("here", 0);
    if (!strcmp(what, "lock")) { int fd = open("locked", O_RDWR | O_CREAT, 0600); flock(fd, LOCK_EX); }
    if (!strcmp(what, "shared")) { mmap(0, 4096, 3, MAP_SHARED | MAP_ANONYMOUS, -1, 0); if (!fork()) { pause(); } }
    if (!strcmp(what, "pipe")) { int p[2]; if (pipe(p)) return 1; if (!fork()) { pause(); } }
    if (!strcmp(what, "sysv")) shmat(shmget(IPC_PRIVATE, 4096, 0600), 0, 0);
    if (!strcmp(what, "seccomp")) {
        struct sock_filter f = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW); struct sock_fprog p = {1, &f};
        prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &p);
    }
    printf("begin\n"); fflush(stdout);
    for (;;) sleep(1);
}
