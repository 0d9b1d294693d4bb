#include "thread.h"

#include "clock.h"
#include "error.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>

#define TURN_NS 500000u
#define ASIDE_NS 200000

static _Thread_local int is_behind;
static _Thread_local uint64_t turn_began_ns;

int mm_thread_start(pthread_t *out, void *(*main)(void *), void *argument, mm_thread_kind kind,
                    const char *what) {
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int error = pthread_create(out, NULL, main, argument);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (error) {
        errno = error;
        return mm_fail_errno("starting the %s thread", what);
    }
    /* A restore that woke an ordinary thread lost the processor to it for 4 ms. Where the scheduler's policy
     * may not be changed, that is the price. */
    const struct sched_param ordinary = {.sched_priority = 0};
    if (kind == MM_THREAD_BACKGROUND) pthread_setschedparam(*out, SCHED_BATCH, &ordinary);
    return MM_OK;
}

void mm_thread_go_behind(void) {
    is_behind = 1;
    turn_began_ns = mm_now_ns();
}

void mm_thread_come_forward(void) { is_behind = 0; }

int mm_thread_is_behind(void) { return is_behind; }

void mm_thread_step_aside(void) { nanosleep(&(struct timespec){0, ASIDE_NS}, NULL); }

void mm_thread_give_way(void) {
    if (!is_behind || mm_now_ns() - turn_began_ns < TURN_NS) return;
    mm_thread_step_aside();
    turn_began_ns = mm_now_ns();
}
