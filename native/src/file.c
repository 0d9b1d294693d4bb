#include "file.h"

#include "error.h"
#include "thread.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#define ALLOCATE_STEP_BYTES (2u << 20) /* a quarter of a millisecond in memory */

int mm_file_read(int fd, size_t size_max, mm_bytes *out) {
    struct stat stat;
    *out = (mm_bytes){NULL, 0};
    if (fstat(fd, &stat) != 0) return mm_fail_errno("stat of a pool file");
    if ((uint64_t)stat.st_size > size_max)
        return mm_fail(MM_E_CORRUPT, "a pool file has %lld bytes, more than it ever may",
                       (long long)stat.st_size);
    if (stat.st_size == 0) return MM_OK;
    uint8_t *bytes = malloc((size_t)stat.st_size);
    if (!bytes) return mm_fail_errno("reading %lld bytes", (long long)stat.st_size);
    size_t size = 0;
    while (size < (size_t)stat.st_size) {
        ssize_t got = pread(fd, bytes + size, (size_t)stat.st_size - size, (off_t)size);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) {
            int status = mm_fail_errno("reading a pool file");
            free(bytes);
            return status;
        }
        if (got == 0) break;
        size += (size_t)got;
    }
    *out = (mm_bytes){bytes, size};
    return MM_OK;
}

int mm_file_write(int fd, const void *bytes, size_t size, uint64_t offset) {
    const uint8_t *from = bytes;
    while (size > 0) {
        ssize_t put = pwrite(fd, from, size, (off_t)offset);
        if (put < 0 && errno == EINTR) continue;
        if (put < 0) return mm_fail_errno("writing a pool file");
        from += put;
        size -= (size_t)put;
        offset += (uint64_t)put;
    }
    return MM_OK;
}

int mm_file_allocate(int fd, uint64_t size, const char *what) {
    uint64_t step = mm_thread_is_behind() ? ALLOCATE_STEP_BYTES : size;
    for (uint64_t at = 0; at < size; at += step) {
        uint64_t left = size - at;
        int error;
        mm_thread_give_way();
        do error = posix_fallocate(fd, (off_t)at, (off_t)(left < step ? left : step));
        while (error == EINTR);
        errno = error;
        if (error)
            return mm_fail_errno("%s needs %llu bytes of the pool's medium", what, (unsigned long long)size);
    }
    return MM_OK;
}

int mm_file_create(int folder_fd, const char *name, const void *bytes, size_t size) {
    char fresh[300];
    snprintf(fresh, sizeof fresh, "%s.%d.new", name, (int)getpid());
    int fd = openat(folder_fd, fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0) return mm_fail_errno("making %s", name);
    int status = mm_file_write(fd, bytes, size, 0);
    if (status == MM_OK && fdatasync(fd) != 0) status = mm_fail_errno("fdatasync of %s", name);
    close(fd);
    if (status == MM_OK && renameat(folder_fd, fresh, folder_fd, name) != 0)
        status = mm_fail_errno("naming %s", name);
    return status;
}

void mm_random_id(uint8_t id[16]) {
    ssize_t got = getrandom(id, 16, 0); /* 16 bytes never come short once the kernel has its entropy */
    MM_ASSERT(got == 16);
}
