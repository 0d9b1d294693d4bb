/* Threads of the library. */
#ifndef MM_THREAD_H
#define MM_THREAD_H

#include <pthread.h>

typedef enum mm_thread_kind {
    MM_THREAD_PROMPT,    /* somebody waits for what it does */
    MM_THREAD_BACKGROUND /* its waking up never takes the processor from a thread of the application */
} mm_thread_kind;

/* With every signal blocked: the application's handlers, and the calls they interrupt, are in its own
 * threads. */
int mm_thread_start(pthread_t *out, void *(*main)(void *), void *argument, mm_thread_kind, const char *what);

#endif
