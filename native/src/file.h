/* Whole reads and writes of small files, with one wording for what goes wrong. */
#ifndef MM_FILE_H
#define MM_FILE_H

#include <stddef.h>
#include <stdint.h>

typedef struct mm_bytes {
    uint8_t *bytes; /* malloc'ed, NULL when empty */
    size_t size;
} mm_bytes;

int mm_file_read(int fd, size_t size_max, mm_bytes *out);
int mm_file_write(int fd, const void *bytes, size_t size, uint64_t offset);

/* Makes the file as long as `size` and takes its blocks from the medium now: MM_E_FULL comes here, never
 * as SIGBUS from a later store. */
int mm_file_allocate(int fd, uint64_t size, const char *what);

/* Writes `name` whole or not at all. */
int mm_file_create(int folder_fd, const char *name, const void *bytes, size_t size);

void mm_random_id(uint8_t id[16]);

#endif
