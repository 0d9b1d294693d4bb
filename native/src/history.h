/* History: which checkpoints a region has, and how each is reached from the base. In memory; the journal
 * keeps it on the medium. */
#ifndef MM_HISTORY_H
#define MM_HISTORY_H

#include "format.h"

#define MM_EPOCH_ROOT 0 /* the empty region, before its first checkpoint */

/* Each node but the base's is content(from) overlaid with its delta; following `from` leads to the base. */
typedef struct mm_node {
    mm_checkpoint_info info;
    uint64_t delta_id;
    uint64_t from;
    int live;
} mm_node;

typedef struct mm_history {
    mm_node *nodes; /* ascending by epoch */
    size_t count, room;
    uint64_t head;
    uint64_t base;
    uint64_t moving_to; /* MM_EPOCH_NONE: the base is at rest */
    uint64_t undo_id;
    uint64_t highest_epoch;
} mm_history;

int mm_history_init(mm_history *); /* an empty region: the root is base and head */
void mm_history_free(mm_history *);
int mm_history_copy(mm_history *to, const mm_history *from);

mm_node *mm_history_find(const mm_history *, uint64_t epoch);
mm_node *mm_history_find_name(const mm_history *, const char *name);
int mm_history_put(mm_history *, const mm_node *); /* adds or replaces */
void mm_history_drop(mm_history *, uint64_t epoch);

/* Nodes told as differences from `epoch`, `except` left out. */
size_t mm_history_dependents(const mm_history *, uint64_t epoch, uint64_t except);

/* The epochs whose deltas, laid over the base one after the other, give `target`.
 * malloc'ed; MM_E_CORRUPT when the chain is broken. */
int mm_history_path(const mm_history *, uint64_t target, uint64_t **out, size_t *count);

/* Of a base caught in the middle of a move: both its ends become deltas over it. */
void mm_history_settle_view(mm_history *);

#endif
