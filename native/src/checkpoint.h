/* A checkpoint, phase by phase: the same for a process that takes its own and for a member that a service
 * orders about. All under the region's operation lock. Whatever fails, the pages collected so far stay
 * pending, so that the next checkpoint has them. */
#ifndef MM_CHECKPOINT_H
#define MM_CHECKPOINT_H

#include "region.h"

typedef struct mm_checkpoint {
    mm_checkpoint_info info;
    uint64_t hold_timeout_ns, max_pause_ns;
    uint64_t shut_ns; /* when the gate was shut */
    int held;
    uint64_t dirty_pages; /* when it began */
    int in_company;     /* the copyist's second thread is ready */
    void (*on_long)(void *context); /* NULL, or called once in a cut that takes a tenth of a second or more */
    void *on_long_context;
} mm_checkpoint;

/* Finds room for the log, before anything is stopped: MM_E_FULL belongs here. Where it fails there is
 * nothing to abort; after it, every failure ends in mm_checkpoint_abort(). */
int mm_checkpoint_begin(mm_region *, mm_checkpoint *);
int mm_checkpoint_precopy(mm_region *, mm_checkpoint *);
int mm_checkpoint_hold(mm_region *, mm_checkpoint *);
/* Copies what is dirty and seals the log. MM_E_AGAIN: it outgrew its room; MM_E_PAUSE: its budget. */
int mm_checkpoint_cut(mm_region *, mm_checkpoint *);
void mm_checkpoint_release(mm_region *, mm_checkpoint *);
int mm_checkpoint_commit(mm_region *, mm_checkpoint *);
void mm_checkpoint_abort(mm_region *, mm_checkpoint *);

/* The next epoch, and a name for it where none is given. */
void mm_checkpoint_name(mm_checkpoint *, const char *name);

#endif
