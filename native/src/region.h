/* A region as the parts of the core see it. Only region*.c, checkpoint.c, move.c, recovery.c, restore.c,
 * reader.c, keeper.c and member.c include this. */
#ifndef MM_REGION_H
#define MM_REGION_H

#include "base.h"
#include "copyist.h"
#include "delta.h"
#include "gate.h"
#include "history.h"
#include "journal.h"
#include "keeper.h"
#include "pages.h"
#include "pin.h"
#include "tracker.h"

#include <pthread.h>

#define MM_REGION_NAME_MAX 128
#define MM_LEFTOVERS_MAX 16

struct mm_region {
    char name[MM_REGION_NAME_MAX + 1];
    int folder_fd, lock_fd, apply_fd;
    const mm_medium *medium;
    mm_region_header header;
    int read_only, created;
    _Atomic int
        broken; /* a restore failed half-way: the memory is of no checkpoint, and none is taken of it */
    _Atomic int references, closed, forked, partial;
    _Atomic uint64_t generation; /* the last restore of the group that the memory followed */
    struct mm_region *next; /* in the registry of this process */

    /* The application's memory: a reservation of size_max at an address that never changes. */
    uint8_t *reserved;
    uint64_t reserved_size, alignment;
    uint8_t *address;
    _Atomic uint64_t extent;
    /* Held by those who use base or tracker without `operation`, to grow or to peek; and to close. */
    pthread_mutex_t grow_lock;
    uint64_t registered; /* bytes from the start that the kernel watches; under grow_lock */
    mm_gate gate;

    /* Everything below is touched only under `operation`: one checkpoint, restore, move or deletion at a
     * time. Taken before history_lock, never after. */
    pthread_mutex_t operation;
    mm_base base;
    mm_tracker tracker;
    _Atomic uint64_t armed; /* bytes from the start that are tracked; behind it every private page is dirty */
    mm_pages pending; /* written, collected, and in no committed checkpoint yet */
    uint32_t *slots; /* page -> its place in `log` plus one; 0: not there */
    mm_delta log; /* of the checkpoint under way */
    mm_delta spare; /* warm memory for the next one */
    mm_copyist copyist;
    uint64_t next_delta_id;
    uint64_t leftovers[MM_LEFTOVERS_MAX]; /* deltas of a dead owner, to be removed when there is time */
    size_t leftover_count;
    uint64_t in_doubt; /* epoch that is sealed in `log` and undecided; 0: none */
    mm_checkpoint_info doubt;
    uint64_t seen_epoch; /* highest that a membership of this process knew: refused by the next one too */
    int member_fd; /* the connection to the node service; -1: none */
    mm_pin pin; /* of a read-only region */

    /* Read by any thread; changed under `operation` and this. */
    pthread_mutex_t history_lock;
    mm_history history;
    mm_journal journal;

    mm_keeper keeper;
};

/* Takes `operation`. Fails in a forked child, after close, inside an update, and on read-only regions when
 * `writing`. */
int mm_region_begin(mm_region *, int writing);
void mm_region_end(mm_region *);

/* Makes a frame part of journal and history; frees the frame. */
int mm_region_record(mm_region *, mm_frame *, int durable);

/* An update that was left half done in the head is so in what the memory shows. */
void mm_region_inherit(mm_region *);

/* memory.c: maps the base and what is committed but not applied; nothing is tracked yet. */
int mm_region_reserve(mm_region *);
int mm_region_map(mm_region *);
/* Tracks what is mapped and not tracked yet. Until then every private page is a written one. */
int mm_region_arm(mm_region *);
/* Moves what is mapped out of the way, in constant time where the kernel can. */
void mm_region_set_aside(mm_region *);
/* Adds a run of written pages to the pending ones; a mm_run_fn over the region. */
void mm_region_add_pending(void *region, uintptr_t start, uintptr_t end);

/* move.c: the base goes to the head, a checkpoint at a time. MM_E_AGAIN: a reader keeps it where it is. */
int mm_region_move_base(mm_region *);
int mm_region_finish_move(mm_region *); /* that a dead owner began, or this one could not end */
/* Whether everything between base and `epoch` is whole: asked before anything relies on it. */
int mm_region_check_path(mm_region *, uint64_t epoch);
/* Persists what tells `epoch` as a difference from the base. */
int mm_region_persist_path(mm_region *, uint64_t epoch);
/* Lays the deltas between base and `epoch` over the private mapping. */
int mm_region_overlay(mm_region *, uint64_t epoch);

/* root.c: the empty region can be gone back to, also when it was forgotten. */
int mm_region_make_root(mm_region *);

/* recovery.c: from what a dead owner left to a history and a base at rest. */
int mm_region_recover(mm_region *, const mm_open_options *);
void mm_region_remove_leftovers(mm_region *);

/* reader.c: a version of its own for a read-only open. */
int mm_region_open_reader(mm_region *, const mm_open_options *);

/* retire.c: forgets what nobody stands on any more. MM_E_AGAIN: a reader is looking. */
int mm_region_tidy(mm_region *);

/* The room of a delta that is not needed any more, kept warm for the next log. */
int mm_region_reuse(mm_region *, mm_delta *);

#endif
