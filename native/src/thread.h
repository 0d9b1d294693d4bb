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

/* Whoever wants this processor has it for a fifth of a millisecond. A yield may be ignored until the slice of
 * 4 ms is over, and who slept no longer than a moment took the processor back before a fault was served. */
void mm_thread_step_aside(void);

/* From here on the calling thread works behind the application's back, */
void mm_thread_go_behind(void);
void mm_thread_come_forward(void);
int mm_thread_is_behind(void);

/* and between two steps of such work steps aside when it has had half a millisecond. In other threads nothing
 * happens. */
void mm_thread_give_way(void);

#endif
