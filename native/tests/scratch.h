/* A pool of its own for each test, in memory, gone when the process ends well or badly. */
#ifndef MM_SCRATCH_H
#define MM_SCRATCH_H

#include "mmsnap.h"

#include <stdint.h>

#define REGION_BYTES (2u << 20)
#define REGION_PAGES (REGION_BYTES / 4096)

/* A new empty folder; the same storage holds the name until the next call. */
const char *scratch_pool(void);
void scratch_remove(const char *folder);
/* Path of a file of region "r" in `pool`, in static storage. */
const char *scratch_file(const char *pool, const char *name);

/* Region "r" of 2 MiB. */
mm_region *open_region(const char *pool, mm_mode mode, uint64_t head);
int try_open(const char *pool, mm_mode mode, uint64_t head, mm_region **out);
void shut_region(mm_region *); /* close and unref */

/* A whole page that only `value` makes: a torn, mixed or stale page is seen. */
void stamp(mm_region *, uint64_t page, uint64_t value);
int is_stamped(const mm_region *, uint64_t page, uint64_t value); /* value 0: zeros */

uint64_t take_checkpoint(mm_region *, const char *name); /* its epoch */
int try_checkpoint(mm_region *, const char *name);

/* Changes one byte of a file. */
void flip_byte(const char *path, long offset);
void cut_file(const char *path, long size);
long file_size(const char *path);
/* Name of the newest delta file with a prepared header, or NULL. */
const char *sealed_delta(const char *pool, uint64_t epoch);

#endif
