/* The journal: the record of which checkpoints exist, kept twice. A frame that is in it has happened. */
#ifndef MM_JOURNAL_H
#define MM_JOURNAL_H

#include "history.h"
#include "medium.h"

typedef struct mm_journal {
    int fd[2]; /* the same frames in each: a damaged frame is read from the other */
    uint64_t size_bytes;
    uint64_t compact_above_bytes;
    uint64_t sequence;
    const mm_medium *medium;
} mm_journal;

/* A frame under construction. Nothing is visible to anyone until it is appended. */
typedef struct mm_frame {
    uint8_t *bytes;
    size_t size, room;
    uint32_t entries;
    int failed;
} mm_frame;

void mm_frame_node(mm_frame *, const mm_node *);
void mm_frame_epoch(mm_frame *, mm_entry_kind, uint64_t epoch);
void mm_frame_base(mm_frame *, uint64_t epoch, uint64_t moving_to, uint64_t undo_id);

/* Reads both copies into `history`. A torn last frame never happened; one bad copy is healed when
 * `writable`, else read around. Frames damaged in both: MM_E_CORRUPT. */
int mm_journal_open(int folder_fd, int writable, const mm_medium *, mm_journal *, mm_history *history);
void mm_journal_close(mm_journal *);

/* Writes the frame to both copies, then applies it to `history` and frees it. Persisted if `durable`. */
int mm_journal_append(mm_journal *, mm_frame *, mm_history *history, int durable);

/* Rewrites the journal when it has grown far beyond what it tells. */
int mm_journal_compact(mm_journal *, int folder_fd, const mm_history *);
/* No more checkpoints: what is left is for deleting some. */
int mm_journal_is_full(const mm_journal *);

#endif
