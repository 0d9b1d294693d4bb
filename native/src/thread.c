#include "thread.h"

#include "error.h"

#include <errno.h>
#include <signal.h>

int mm_thread_start(pthread_t *out, void *(*main)(void *), void *argument, const char *what) {
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int error = pthread_create(out, NULL, main, argument);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (error == 0) return MM_OK;
    errno = error;
    return mm_fail_errno("starting the %s thread", what);
}
