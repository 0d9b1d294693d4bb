/* The pool: a folder with a header that says whose bytes these are, and a folder for each region. */
#ifndef MM_POOL_H
#define MM_POOL_H

#include "format.h"

/* Opens POOL/regions/NAME as a folder; makes pool and region folder when `create`. */
int mm_pool_region_folder(const char *pool, const char *name, int create, int *folder_fd);

int mm_pool_check_name(const char *name);

/* The region's own header; `created` tells whether this call made it. */
int mm_pool_region_header(int folder_fd, mm_mode mode, uint64_t size_max, mm_region_header *out,
                          int *created);

#endif
