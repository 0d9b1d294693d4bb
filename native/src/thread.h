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

/* From here on the calling thread works behind the application's back. `awaited`: how many wait for what it
 * does; NULL: somebody does all the time. */
void mm_thread_go_behind(const _Atomic int *awaited);
void mm_thread_come_forward(void);

/* Between two steps of such work: whoever wants this processor has it first, or would stand still for 4 ms,
 * the scheduler's slice; where the work is awaited, not quite as often. Nothing in other threads. */
void mm_thread_give_way(void);

#endif
