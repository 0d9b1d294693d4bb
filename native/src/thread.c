#include "thread.h"

#include "error.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>

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
