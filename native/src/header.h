/* Headers of a pool and of a region: small, written rarely, and kept twice, because everything needs them. */
#ifndef MM_HEADER_H
#define MM_HEADER_H

#include <stddef.h>

/* A header is a struct whose last four bytes are its checksum. */

/* Fills in the checksum and writes NAME and NAME.copy, each whole or not at all. */
int mm_header_write(int folder_fd, const char *name, void *header, size_t size);

/* Reads whichever of the two is whole; heals the other when `writable`. MM_E_NOT_FOUND: neither exists. */
int mm_header_read(int folder_fd, const char *name, int writable, void *header, size_t size);

#endif
