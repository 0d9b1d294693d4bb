/* The base: a region's bytes as of its last applied checkpoint, with a checksum for each page. */
#ifndef MM_BASE_H
#define MM_BASE_H

#include "format.h"

typedef struct mm_base {
    int fd, sums_fd;
    uint8_t *pages; /* shared mapping of the file, with room for size_max */
    uint32_t *sums;
    _Atomic uint64_t extent; /* grows in an update, while the keeper applies */
    uint64_t size_max;
} mm_base;

int mm_base_open(int folder_fd, int writable, uint64_t size_max, mm_base *out);
void mm_base_close(mm_base *);

/* Longer by zeros, every block allocated: stores into it can not fail later. */
int mm_base_grow(mm_base *, uint64_t extent);

/* Whether `bytes` are what page `page` should be. */
int mm_base_page_is_good(const mm_base *, uint64_t page, const void *bytes);

/* Maps the file privately at `address` (which must be reserved), for an application or a reader. */
int mm_base_map_private(const mm_base *, uint8_t *address, uint64_t from, uint64_t to);

#endif
