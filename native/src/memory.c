/* The application's memory of a region: reserved once, mapped over the base, tracked, grown. */
#include "error.h"
#include "region.h"

#include <string.h>
#include <sys/mman.h>

#define SMALL_ALIGNMENT (2ull << 20)
#define LARGE_ALIGNMENT (1ull << 30)

int mm_region_reserve(mm_region *region) {
    uint64_t size = region->header.size_max_bytes;
    /* Restore moves whole page tables aside; a GiB at a time where both places are aligned to it. */
    region->alignment = size >= LARGE_ALIGNMENT ? LARGE_ALIGNMENT : SMALL_ALIGNMENT;
    region->reserved_size = size + region->alignment;
    void *reserved =
        mmap(NULL, region->reserved_size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (reserved == MAP_FAILED)
        return mm_fail_errno("reserving %llu bytes of address space", (unsigned long long)size);
    region->reserved = reserved;
    region->address =
        (uint8_t *)(((uintptr_t)reserved + region->alignment - 1) & ~(uintptr_t)(region->alignment - 1));
    return MM_OK;
}

int mm_region_map(mm_region *region) {
    uint64_t extent = region->base.extent;
    int status = mm_base_map_private(&region->base, region->address, 0, extent);
    region->armed = region->registered = 0;
    if (!region->read_only) mm_pages_clear(&region->pending);
    region->extent = extent;
    return status == MM_OK ? mm_region_overlay(region, region->history.head) : status;
}

void mm_region_add_pending(void *context, uintptr_t start, uintptr_t end) {
    mm_region *region = context;
    uint64_t first = (start - (uintptr_t)region->address) / MM_PAGE_SIZE;
    uint64_t last = (end - (uintptr_t)region->address) / MM_PAGE_SIZE;
    for (uint64_t page = first; page < last; page++) mm_pages_add(&region->pending, page);
}

/* All or nothing is registered, growth included: then it stays one mapping, which moves as one. */
static int register_to(mm_region *region, uint64_t extent) {
    uint64_t from = region->registered;
    if (from >= extent) return MM_OK;
    int status = mm_tracker_register(&region->tracker, region->address + from, extent - from);
    if (status == MM_OK) region->registered = extent;
    return status;
}

int mm_region_arm(mm_region *region) {
    uint64_t armed = region->armed;
    pthread_mutex_lock(&region->grow_lock);
    uint64_t extent = region->extent;
    int status = register_to(region, extent);
    pthread_mutex_unlock(&region->grow_lock);
    if (status != MM_OK || armed == extent) return status;
    status = mm_tracker_arm(&region->tracker, region->address + armed, extent - armed, mm_region_add_pending,
                            region);
    if (status == MM_OK) region->armed = extent;
    return status;
}

void mm_region_set_aside(mm_region *region) {
    if (region->extent)
        mm_tracker_set_aside(&region->tracker, region->address, region->extent, region->alignment);
}

static int grow(mm_region *region, uint64_t extent) {
    uint64_t old = region->extent;
    if (extent <= old) return MM_OK;
    int status = mm_base_grow(&region->base, extent);
    /* A flushed log may tell of pages that a base whose length was not flushed would lack. */
    if (status == MM_OK) status = region->medium->persist(region->base.fd);
    if (status == MM_OK) status = region->medium->persist(region->base.sums_fd);
    if (status == MM_OK) status = mm_base_map_private(&region->base, region->address, old, extent);
    if (status == MM_OK && region->registered == old) status = register_to(region, extent);
    if (status == MM_OK) region->extent = extent;
    return status;
}

int mm_region_grow(mm_region *region, uint64_t extent) {
    if (region->read_only) return mm_fail(MM_E_READ_ONLY, "region %s is open for reading only", region->name);
    if (region->forked)
        return mm_fail(MM_E_FORKED, "region %s belongs to the parent of this process", region->name);
    extent = (extent + SMALL_ALIGNMENT - 1) / SMALL_ALIGNMENT * SMALL_ALIGNMENT;
    if (extent > region->header.size_max_bytes)
        return mm_fail(
            MM_E_FULL, "region %s may have %llu bytes and would need %llu: open it with a larger size",
            region->name, (unsigned long long)region->header.size_max_bytes, (unsigned long long)extent);
    /* Inside the gate, so that no restore maps the region while it grows. */
    int inside = mm_gate_depth(&region->gate) > 0;
    int status = inside ? MM_OK : mm_gate_enter(&region->gate, NULL);
    if (status != MM_OK) return status;
    pthread_mutex_lock(&region->grow_lock);
    status =
        region->closed ? mm_fail(MM_E_INVALID, "region %s is closed", region->name) : grow(region, extent);
    pthread_mutex_unlock(&region->grow_lock);
    if (!inside) mm_gate_leave(&region->gate);
    if (status == MM_OK) mm_keeper_wake(region);
    return status;
}
