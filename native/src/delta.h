/* Deltas: files of pages that turn one checkpoint into another; the redo log while a checkpoint is taken. */
#ifndef MM_DELTA_H
#define MM_DELTA_H

#include "format.h"
#include "medium.h"

typedef struct mm_delta {
    int fd; /* -1: closed */
    uint64_t id;
    uint8_t *map;
    uint64_t map_size;
    uint64_t capacity; /* pages that fit without growing */
    uint64_t count;
    mm_delta_entry *index; /* while written: in memory, room for `capacity`; while read: in the map */
    int writable;
} mm_delta;

#define MM_DELTA_CLOSED ((mm_delta){.fd = -1})

/* Makes file delta-ID with room for `capacity` pages, every block allocated and touched. */
int mm_delta_create(int folder_fd, uint64_t id, uint64_t capacity, mm_delta *out);

/* More room, pages so far kept. Not for the pause: it allocates. */
int mm_delta_reserve(mm_delta *, uint64_t capacity);

/* A place for a page, whose bytes come with mm_delta_renew(), by any thread; or both at once. `next` as of
 * mm_copy_page(). None allocates or calls the system. */
uint64_t mm_delta_add(mm_delta *, uint32_t page);
void mm_delta_renew(mm_delta *, uint64_t slot, const void *bytes, const void *next);
uint64_t mm_delta_append(mm_delta *, uint32_t page, const void *bytes, const void *next);

/* The checksum of what the log holds, where that may differ from what was copied. */
void mm_delta_sum_again(mm_delta *, uint64_t slot);

/* Writes the index, then the header: the prepared record. */
void mm_delta_seal(mm_delta *, const uint8_t region_id[16], uint64_t from, const mm_checkpoint_info *info);
void mm_delta_unseal(mm_delta *); /* the prepared record never was */

int mm_delta_persist(const mm_delta *, const mm_medium *, int folder_fd);

/* Empties it for the next use, giving back room beyond `keep` pages. */
int mm_delta_recycle(mm_delta *, int folder_fd, uint64_t new_id, uint64_t keep);

/* Maps a sealed delta for reading; header and index are checked, pages are not. */
int mm_delta_open(int folder_fd, uint64_t id, const uint8_t region_id[16], mm_delta *out);
/* A sealed delta that is already mapped for writing is read through the same calls. */
const mm_delta_header *mm_delta_header_of(const mm_delta *);
const void *mm_delta_page(const mm_delta *, uint64_t slot);
int mm_delta_check(const mm_delta *); /* every page */

void mm_delta_close(mm_delta *);
int mm_delta_remove(int folder_fd, uint64_t id);
void mm_delta_name(uint64_t id, char name[32]);
int mm_delta_parse_name(const char *name, uint64_t *id);

#endif
