/*
 * The tracker: which pages of a mapping were written since they were last collected.
 *
 * Linux 6.7 and later, unprivileged: userfaultfd in its asynchronous write-protect mode marks pages, and
 * PAGEMAP_SCAN reports the written ones and marks them again in the same call. Writes by the kernel itself
 * (read(2) into the memory) are seen.
 */
#ifndef MM_TRACKER_H
#define MM_TRACKER_H

#include "mmsnap.h"

#include <pthread.h>

typedef struct mm_tracker {
    int uffd;
    int pagemap_fd;
    struct page_region *runs; /* room for one answer of the kernel; allocated here, not in the pause */
    /* One scan at a time uses `runs`: the pause, arming and peeking come from several threads. */
    pthread_mutex_t scan_lock;
    /* Moving a mapping aside raises an event that another thread must read: this one. What was moved is
     * dropped later. */
    pthread_t acknowledger;
    int acknowledger_processor; /* the only one it may run on; -1: any */
    int stop_fd;
    pthread_mutex_t aside_lock;
    struct mm_aside *asides;
    int stopping;
} mm_tracker;

/* Called for each run of written pages. */
typedef void (*mm_run_fn)(void *context, uintptr_t start, uintptr_t end);

int mm_tracker_open(mm_tracker *);
void mm_tracker_close(mm_tracker *);
void mm_tracker_forked(mm_tracker *); /* in a child: lets go of the parent's files */

int mm_tracker_register(mm_tracker *, void *address, uint64_t size);

/* Starts tracking of a registered range. Pages that were privately written before are reported; a write at
 * any time during the call is reported now or at the next collection. */
int mm_tracker_arm(mm_tracker *, void *address, uint64_t size, mm_run_fn, void *context);

int mm_tracker_collect(mm_tracker *, void *address, uint64_t size, mm_run_fn, void *context);
int mm_tracker_peek(mm_tracker *, void *address, uint64_t size, mm_run_fn, void *context);

/* Private pages of a mapping, for accounts. */
int mm_tracker_private(mm_tracker *, void *address, uint64_t size, mm_run_fn, void *context);

/* Moves the mapping away in constant time, so that the range can be mapped anew at once.
 * MM_E_UNSUPPORTED: map over it instead. */
int mm_tracker_set_aside(mm_tracker *, void *address, uint64_t size, uint64_t alignment);
/* Drops what was moved away. Takes long: for a background thread, once the application runs again. */
void mm_tracker_sweep(mm_tracker *);

#endif
