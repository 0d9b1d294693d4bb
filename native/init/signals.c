#include "signals.h"

#include "descriptor.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define ALL (~UINT64_C(0))

static uint64_t bit(int number) { return UINT64_C(1) << (number - 1); }

/* The kernel's own calls: the C library keeps two signals for itself, and would leave them out. */
static int set_mask(uint64_t mask, uint64_t *before) {
    return (int)syscall(SYS_rt_sigprocmask, SIG_SETMASK, &mask, before, sizeof mask);
}

static int wait_for(uint64_t signals, siginfo_t *out, const struct timespec *limit) {
    return (int)syscall(SYS_rt_sigtimedwait, &signals, out, limit, sizeof signals);
}

void mi_signals_keep_back(mi_signals *before) {
    set_mask(ALL, &before->mask);
    /* Whoever ignores SIGCHLD gets no exit codes, and that is passed from program to program. */
    const struct sigaction ordinary = {.sa_handler = SIG_DFL};
    sigaction(SIGCHLD, &ordinary, &before->on_child);
}

void mi_signals_keep_out(void) { set_mask(ALL, NULL); }

void mi_signals_give_back(const mi_signals *before) {
    sigaction(SIGCHLD, &before->on_child, NULL);
    set_mask(before->mask, NULL);
}

bool mi_signals_next(siginfo_t *out) { return wait_for(ALL, out, NULL) > 0; }

int mi_signals_descriptor(void) {
    uint64_t all = ~UINT64_C(0);
    long fd = syscall(SYS_signalfd4, -1, &all, sizeof all, O_CLOEXEC);
    int moved = mi_descriptor_move_up((int)fd);
    return moved < 0 ? -errno : moved;
}

bool mi_signals_take(siginfo_t *out) { return wait_for(~UINT64_C(0), out, &(struct timespec){0, 0}) > 0; }

void mi_signals_drop(int number) {
    siginfo_t dropped;
    wait_for(bit(number), &dropped, &(struct timespec){0, 0});
}

void mi_signals_suffer(int number) {
    kill(getpid(), number);
    set_mask(~bit(number), NULL);
    set_mask(ALL, NULL);
}

void mi_signals_pass_on(const siginfo_t *signal, pid_t program) {
    if (signal->si_code == SI_QUEUE && sigqueue(program, signal->si_signo, signal->si_value) == 0) return;
    kill(program, signal->si_signo);
}
