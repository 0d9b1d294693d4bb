#include "header.h"

#include "crc32c.h"
#include "error.h"
#include "file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#define NAME_BYTES 64
#define HEADER_BYTES_MAX 4096

static uint32_t *checksum_of(void *header, size_t size) {
    return (uint32_t *)((uint8_t *)header + size - sizeof(uint32_t));
}

static void copy_name(const char *name, char copy[NAME_BYTES]) {
    snprintf(copy, NAME_BYTES, "%s.copy", name);
}

int mm_header_write(int folder_fd, const char *name, void *header, size_t size) {
    char copy[NAME_BYTES];
    copy_name(name, copy);
    *checksum_of(header, size) = mm_crc32c(0, header, size - sizeof(uint32_t));
    int status = mm_file_create(folder_fd, copy, header, size);
    return status == MM_OK ? mm_file_create(folder_fd, name, header, size) : status;
}

static int read_one(int folder_fd, const char *name, void *header, size_t size) {
    mm_bytes file;
    int fd = openat(folder_fd, name, O_RDONLY | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT) return mm_fail(MM_E_NOT_FOUND, "%s does not exist", name);
    if (fd < 0) return mm_fail_errno("opening %s", name);
    int status = mm_file_read(fd, HEADER_BYTES_MAX, &file);
    close(fd);
    if (status != MM_OK) return status;
    if (file.size != size ||
        *checksum_of(file.bytes, size) != mm_crc32c(0, file.bytes, size - sizeof(uint32_t)))
        status = mm_fail(MM_E_CORRUPT, "%s is damaged", name);
    else
        memcpy(header, file.bytes, size);
    free(file.bytes);
    return status;
}

int mm_header_read(int folder_fd, const char *name, int writable, void *header, size_t size) {
    char copy[NAME_BYTES], other[HEADER_BYTES_MAX];
    copy_name(name, copy);
    int from_copy = read_one(folder_fd, copy, other, size);
    int status = read_one(folder_fd, name, header, size);
    int is_lost = status == MM_E_CORRUPT || status == MM_E_NOT_FOUND;
    if (is_lost && from_copy == MM_OK) {
        memcpy(header, other, size);
        return writable ? mm_header_write(folder_fd, name, header, size) : MM_OK;
    }
    if (is_lost && from_copy == MM_E_CORRUPT)
        return mm_fail(MM_E_CORRUPT, "%s and %s are damaged", name, copy);
    /* The copy is written first, so one that differs is newer or damaged; the header itself counts. */
    int differs = status == MM_OK && (from_copy != MM_OK || memcmp(header, other, size) != 0);
    return differs && writable ? mm_header_write(folder_fd, name, header, size) : status;
}
