/* Threads of the library. */
#ifndef MM_THREAD_H
#define MM_THREAD_H

#include <pthread.h>

/* With every signal blocked: the application's handlers, and the calls they interrupt, are in its own
 * threads. */
int mm_thread_start(pthread_t *out, void *(*main)(void *), void *argument, const char *what);

#endif
