/* Who copies the pages of a cut: the thread that asked the kernel for them lists them and copies from the
 * list; where there are many, a second thread takes from it, too. One processor alone waits for memory most
 * of the time, and the application, which stands still, leaves its own free. */
#ifndef MM_COPYIST_H
#define MM_COPYIST_H

#include "delta.h"

#include <pthread.h>

typedef struct mm_copyist {
    mm_delta *log;
    const uint8_t *memory;
    uint32_t *listed; /* places in the log, in the order in which their pages were found */
    uint64_t room, listed_count;
    _Atomic uint64_t taken_count;

    pthread_t second;
    int running;
    int processor; /* the one that the second thread keeps away from; -1: not decided */
    _Atomic uint32_t door; /* a futex: whether the second thread may come in, and whether it is inside */
} mm_copyist;

#define MM_COPYIST_NONE ((mm_copyist){.processor = -1})

/* Room for the list, touched. Not for the pause: it allocates. */
int mm_copyist_reserve(mm_copyist *, uint64_t pages);

/* Makes the second thread ready, on any processor but the caller's. Not for the pause. 0: there is no other
 * processor, or no thread; the caller copies alone. */
int mm_copyist_prepare(mm_copyist *);
void mm_copyist_stop(mm_copyist *);
void mm_copyist_free(mm_copyist *);

/* An empty list of pages of `memory` that go into `log`. Nobody may be copying. */
void mm_copyist_begin(mm_copyist *, mm_delta *log, const uint8_t *memory);
void mm_copyist_list(mm_copyist *, uint64_t slot);

/* The second thread takes from the list, which does not grow any more, until it is dismissed. Not while the
 * kernel is asked: where it marks pages again it interrupts, each time, every processor that a thread of this
 * process runs on, and 10 ms became of 3. */
void mm_copyist_call(mm_copyist *);
void mm_copyist_dismiss(mm_copyist *); /* returns when it has put its pen down */

/* Copies a few of the listed pages; 0: none is left to take. The second thread may still be at some. */
int mm_copyist_copy(mm_copyist *);

#endif
