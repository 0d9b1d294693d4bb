#include "base.h"

#include "error.h"
#include "file.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static uint64_t sums_size(uint64_t extent) {
    uint64_t size = extent / MM_PAGE_SIZE * sizeof(uint32_t);
    return (size + MM_PAGE_SIZE - 1) / MM_PAGE_SIZE * MM_PAGE_SIZE;
}

static void *reserve(uint64_t size, int prot, int fd) {
    /* Room for what may come; pages behind the end of the file are not touched before it grows. */
    void *map = mmap(NULL, size, prot, MAP_SHARED | MAP_NORESERVE, fd, 0);
    return map == MAP_FAILED ? NULL : map;
}

/* Growing makes the sums longer first, so they may be longer than the base; but not tell of pages it lacks.
 */
static int check_not_cut(const mm_base *base, uint64_t sums_bytes) {
    uint64_t known = sums_bytes / sizeof *base->sums, limit = base->size_max / MM_PAGE_SIZE;
    for (uint64_t page = base->extent / MM_PAGE_SIZE; page < known && page < limit; page++)
        if (base->sums[page])
            return mm_fail(MM_E_CORRUPT, "base is cut short: page %llu is missing", (unsigned long long)page);
    return MM_OK;
}

int mm_base_open(int folder_fd, int writable, uint64_t size_max, mm_base *out) {
    int flags = writable ? O_RDWR | O_CREAT | O_CLOEXEC : O_RDONLY | O_CLOEXEC;
    struct stat stat, sums;
    *out = (mm_base){.size_max = size_max};
    out->fd = openat(folder_fd, "base", flags, 0600);
    out->sums_fd = openat(folder_fd, "base.sums", flags, 0600);
    int status = MM_OK;
    if (out->fd < 0 || out->sums_fd < 0 || fstat(out->fd, &stat) != 0 || fstat(out->sums_fd, &sums) != 0)
        status = mm_fail_errno("opening base and base.sums");
    else if (stat.st_size % MM_PAGE_SIZE != 0 || (uint64_t)stat.st_size > size_max)
        status = mm_fail(MM_E_CORRUPT, "base has %lld bytes, which it can not have", (long long)stat.st_size);
    else if ((uint64_t)sums.st_size < sums_size((uint64_t)stat.st_size))
        status = mm_fail(MM_E_CORRUPT, "base.sums is cut short: %lld bytes", (long long)sums.st_size);
    if (status == MM_OK) {
        out->extent = (uint64_t)stat.st_size;
        int prot = PROT_READ | (writable ? PROT_WRITE : 0);
        out->sums = reserve(sums_size(size_max), prot, out->sums_fd);
        out->pages = reserve(size_max, prot, out->fd);
        if (!out->sums || !out->pages) status = mm_fail_errno("mapping base and base.sums");
    }
    if (status == MM_OK) status = check_not_cut(out, (uint64_t)sums.st_size);
    if (status != MM_OK) mm_base_close(out);
    return status;
}

void mm_base_close(mm_base *base) {
    if (base->pages) munmap(base->pages, base->size_max);
    if (base->sums) munmap(base->sums, sums_size(base->size_max));
    if (base->fd >= 0) close(base->fd);
    if (base->sums_fd >= 0) close(base->sums_fd);
    *base = (mm_base){.fd = -1, .sums_fd = -1};
}

int mm_base_grow(mm_base *base, uint64_t extent) {
    MM_ASSERT(extent % MM_PAGE_SIZE == 0 && extent <= base->size_max);
    if (extent <= base->extent) return MM_OK;
    /* Sums first: a base longer than its sums would be called damaged. */
    int status = mm_file_allocate(base->sums_fd, sums_size(extent), "the region's checksums");
    if (status == MM_OK) status = mm_file_allocate(base->fd, extent, "the region");
    if (status != MM_OK) {
        if (ftruncate(base->fd, (off_t)base->extent) != 0) return mm_fail_errno("trimming base");
        return status;
    }
    base->extent = extent;
    return MM_OK;
}

static int is_zero(const void *page) {
    const uint64_t *words = page;
    uint64_t any = 0;
    for (size_t i = 0; i < MM_PAGE_SIZE / sizeof *words; i++) any |= words[i];
    return any == 0;
}

int mm_base_page_is_good(const mm_base *base, uint64_t page, const void *bytes) {
    uint32_t sum = base->sums[page];
    return mm_crc32c_page(bytes) == sum || (sum == 0 && is_zero(bytes)); /* 0: never written */
}

int mm_base_map_private(const mm_base *base, uint8_t *address, uint64_t from, uint64_t to) {
    if (from == to) return MM_OK;
    void *map = mmap(address + from, to - from, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_FIXED | MAP_NORESERVE, base->fd, (off_t)from);
    return map == MAP_FAILED
               ? mm_fail_errno("mapping %llu bytes of the base", (unsigned long long)(to - from))
               : MM_OK;
}
