#include "delta.h"

#include "error.h"
#include "file.h"
#include "thread.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define POPULATE_STEP_BYTES (1u << 20)

void mm_delta_name(uint64_t id, char name[32]) { snprintf(name, 32, "delta-%010" PRIu64, id); }

int mm_delta_parse_name(const char *name, uint64_t *id) {
    char canonical[32];
    if (sscanf(name, "delta-%" SCNu64, id) != 1) return 0;
    mm_delta_name(*id, canonical);
    return strcmp(canonical, name) == 0;
}

/* ---- writing --------------------------------------------------------------- */

static int map_whole(mm_delta *delta, uint64_t size) {
    uint8_t *map = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, delta->fd, 0);
    if (map == MAP_FAILED) return mm_fail_errno("mapping a redo log of %" PRIu64 " bytes", size);
    /* Populating takes the page faults now: a cold log made a pause of 0.9 ms one of 11. */
    for (uint64_t at = 0; at < size; at += POPULATE_STEP_BYTES) {
        mm_thread_give_way();
        madvise(map + at, size - at < POPULATE_STEP_BYTES ? size - at : POPULATE_STEP_BYTES,
                MADV_POPULATE_WRITE);
    }
    if (delta->map) munmap(delta->map, delta->map_size);
    delta->map = map;
    delta->map_size = size;
    return MM_OK;
}

int mm_delta_reserve(mm_delta *delta, uint64_t capacity) {
    if (capacity <= delta->capacity) return MM_OK;
    uint64_t size = mm_delta_file_size(capacity);
    int status = mm_file_allocate(delta->fd, size, "the redo log");
    if (status != MM_OK) {
        /* What posix_fallocate got before it failed goes back to those who can use it. */
        if (ftruncate(delta->fd, (off_t)delta->map_size) != 0) return mm_fail_errno("trimming a redo log");
        return status;
    }
    mm_delta_entry *index = realloc(delta->index, capacity * sizeof *index);
    if (!index) return mm_fail_errno("an index of %" PRIu64 " pages", capacity);
    memset(index + delta->count, 0, (capacity - delta->count) * sizeof *index); /* touched before the pause */
    delta->index = index;
    status = map_whole(delta, size);
    if (status == MM_OK) delta->capacity = capacity;
    return status;
}

int mm_delta_create(int folder_fd, uint64_t id, uint64_t capacity, mm_delta *out) {
    char name[32];
    mm_delta_name(id, name);
    *out = (mm_delta){.fd = openat(folder_fd, name, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600), .id = id};
    if (out->fd < 0) return mm_fail_errno("making %s", name);
    out->writable = 1;
    int status = mm_delta_reserve(out, capacity ? capacity : 1);
    if (status != MM_OK) {
        mm_delta_close(out);
        unlinkat(folder_fd, name, 0);
    }
    return status;
}

const void *mm_delta_page(const mm_delta *delta, uint64_t slot) {
    MM_ASSERT(slot < delta->count);
    return delta->map + MM_DELTA_PAGES_OFFSET + slot * MM_PAGE_SIZE;
}

uint64_t mm_delta_add(mm_delta *delta, uint32_t page) {
    MM_ASSERT(delta->count < delta->capacity);
    delta->index[delta->count].page = page;
    return delta->count++;
}

void mm_delta_renew(mm_delta *delta, uint64_t slot, const void *bytes, const void *next) {
    MM_ASSERT(slot < delta->capacity); /* not `count`: another thread may be adding */
    delta->index[slot].crc =
        mm_copy_page(delta->map + MM_DELTA_PAGES_OFFSET + slot * MM_PAGE_SIZE, bytes, next);
}

uint64_t mm_delta_append(mm_delta *delta, uint32_t page, const void *bytes, const void *next) {
    uint64_t slot = mm_delta_add(delta, page);
    mm_delta_renew(delta, slot, bytes, next);
    return slot;
}

void mm_delta_sum_again(mm_delta *delta, uint64_t slot) {
    delta->index[slot].crc = mm_crc32c_page(mm_delta_page(delta, slot));
}

void mm_delta_seal(mm_delta *delta, const uint8_t region_id[16], uint64_t from,
                   const mm_checkpoint_info *info) {
    size_t index_size = delta->count * sizeof *delta->index;
    memcpy(delta->map + mm_delta_index_offset(delta->count), delta->index, index_size);
    mm_delta_header header = {.magic = MM_DELTA_MAGIC,
                              .version = MM_FORMAT_VERSION,
                              .index_crc = mm_crc32c(0, delta->index, index_size),
                              .from = from,
                              .page_count = delta->count,
                              .info = *info};
    memcpy(header.region_id, region_id, sizeof header.region_id);
    header.crc = MM_CRC_OF(&header);
    mm_copy_fence(); /* pages and index before the record that vouches for them */
    memcpy(delta->map, &header, sizeof header);
    mm_copy_fence();
}

void mm_delta_unseal(mm_delta *delta) {
    memset(delta->map, 0, sizeof(mm_delta_header));
    mm_copy_fence();
}

int mm_delta_persist(const mm_delta *delta, const mm_medium *medium, int folder_fd) {
    int status = medium->persist(delta->fd);
    return status == MM_OK ? medium->persist_folder(folder_fd) : status;
}

int mm_delta_recycle(mm_delta *delta, int folder_fd, uint64_t new_id, uint64_t keep) {
    char old_name[32], new_name[32];
    mm_delta_name(delta->id, old_name);
    mm_delta_name(new_id, new_name);
    mm_delta_unseal(delta);
    if (renameat(folder_fd, old_name, folder_fd, new_name) != 0)
        return mm_fail_errno("renaming %s", old_name);
    delta->id = new_id;
    delta->count = 0;
    if (delta->capacity <= keep) return MM_OK;
    uint64_t size = mm_delta_file_size(keep);
    if (ftruncate(delta->fd, (off_t)size) != 0) return mm_fail_errno("trimming %s", new_name);
    munmap(delta->map + size, delta->map_size - size);
    delta->map_size = size;
    delta->capacity = keep;
    return MM_OK;
}

/* ---- reading ---------------------------------------------------------------- */

static int check_header(const mm_delta *delta, const uint8_t region_id[16], const char *name) {
    const mm_delta_header *header = mm_delta_header_of(delta);
    if (header->magic != MM_DELTA_MAGIC || header->crc != MM_CRC_OF(header))
        return mm_fail(MM_E_CORRUPT, "%s is damaged: its header fails the checksum", name);
    if (header->version != MM_FORMAT_VERSION)
        return mm_fail(MM_E_VERSION, "%s has format version %u; this version reads %u", name, header->version,
                       MM_FORMAT_VERSION);
    if (memcmp(header->region_id, region_id, sizeof header->region_id) != 0)
        return mm_fail(MM_E_CORRUPT, "%s belongs to another region", name);
    if (header->page_count > delta->map_size / MM_PAGE_SIZE ||
        mm_delta_file_size(header->page_count) > delta->map_size)
        return mm_fail(MM_E_CORRUPT, "%s is cut short: %" PRIu64 " pages do not fit into %" PRIu64 " bytes",
                       name, header->page_count, delta->map_size);
    return MM_OK;
}

int mm_delta_open(int folder_fd, uint64_t id, const uint8_t region_id[16], mm_delta *out) {
    char name[32];
    struct stat stat;
    mm_delta_name(id, name);
    *out = (mm_delta){.fd = openat(folder_fd, name, O_RDONLY | O_CLOEXEC), .id = id};
    if (out->fd < 0)
        return errno == ENOENT ? mm_fail(MM_E_CORRUPT, "%s is missing", name)
                               : mm_fail_errno("opening %s", name);
    int status = fstat(out->fd, &stat) != 0 ? mm_fail_errno("stat of %s", name) : MM_OK;
    if (status == MM_OK && stat.st_size < MM_DELTA_PAGES_OFFSET)
        status = mm_fail(MM_E_CORRUPT, "%s is cut short: %lld bytes", name, (long long)stat.st_size);
    if (status == MM_OK) {
        out->map_size = (uint64_t)stat.st_size;
        void *map = mmap(NULL, out->map_size, PROT_READ, MAP_SHARED, out->fd, 0);
        if (map == MAP_FAILED)
            status = mm_fail_errno("mapping %s", name);
        else
            out->map = map;
    }
    if (status == MM_OK) status = check_header(out, region_id, name);
    if (status == MM_OK) {
        out->count = out->capacity = mm_delta_header_of(out)->page_count;
        out->index = (mm_delta_entry *)(out->map + mm_delta_index_offset(out->count));
        if (mm_crc32c(0, out->index, out->count * sizeof *out->index) != mm_delta_header_of(out)->index_crc)
            status = mm_fail(MM_E_CORRUPT, "%s is damaged: its index fails the checksum", name);
    }
    if (status != MM_OK) mm_delta_close(out);
    return status;
}

const mm_delta_header *mm_delta_header_of(const mm_delta *delta) {
    return (const mm_delta_header *)delta->map;
}

int mm_delta_check(const mm_delta *delta) {
    char name[32];
    mm_delta_name(delta->id, name);
    for (uint64_t slot = 0; slot < delta->count; slot++) {
        mm_thread_give_way();
        if (mm_crc32c_page(mm_delta_page(delta, slot)) != delta->index[slot].crc)
            return mm_fail(MM_E_CORRUPT,
                           "%s is damaged: page %u of checkpoint @%" PRIu64 " fails the checksum", name,
                           delta->index[slot].page, mm_delta_header_of(delta)->info.epoch);
    }
    return MM_OK;
}

void mm_delta_close(mm_delta *delta) {
    if (delta->writable) free(delta->index);
    if (delta->map) munmap(delta->map, delta->map_size);
    if (delta->fd >= 0) close(delta->fd);
    *delta = MM_DELTA_CLOSED;
}

int mm_delta_remove(int folder_fd, uint64_t id) {
    char name[32];
    mm_delta_name(id, name);
    if (unlinkat(folder_fd, name, 0) == 0 || errno == ENOENT) return MM_OK;
    return mm_fail_errno("removing %s", name);
}
