/* The root, the empty region, is forgotten as soon as nothing is told as a difference from it: its way back
 * would cost as much room as the region. Who wants to go back all the same gets it anew: zeros over the base.
 */
#include "error.h"
#include "region.h"

static uint64_t count_written(const mm_base *base) {
    uint64_t pages = 0;
    for (uint64_t page = 0; page < base->extent / MM_PAGE_SIZE; page++) pages += base->sums[page] != 0;
    return pages;
}

static int write_zeros(mm_region *region, mm_delta *delta) {
    static const uint8_t zeros[MM_PAGE_SIZE] __attribute__((aligned(MM_PAGE_SIZE)));
    const mm_base *base = &region->base;
    const mm_checkpoint_info root = {.epoch = MM_EPOCH_ROOT};
    for (uint64_t page = 0; page < base->extent / MM_PAGE_SIZE; page++)
        if (base->sums[page]) mm_delta_append(delta, (uint32_t)page, zeros, zeros);
    mm_delta_seal(delta, region->header.id, region->history.base, &root);
    return mm_delta_persist(delta, region->medium, region->folder_fd);
}

int mm_region_make_root(mm_region *region) {
    if (mm_history_find(&region->history, MM_EPOCH_ROOT)) return MM_OK;
    int status = region->history.moving_to == MM_EPOCH_NONE ? MM_OK : mm_region_move_base(region);
    mm_delta delta;
    if (status == MM_OK)
        status =
            mm_delta_create(region->folder_fd, region->next_delta_id, count_written(&region->base), &delta);
    if (status != MM_OK) return status;
    mm_node root = {.delta_id = region->next_delta_id++, .from = region->history.base};
    mm_frame frame = {0};
    mm_frame_node(&frame, &root);
    status = write_zeros(region, &delta);
    if (status == MM_OK)
        status = mm_region_record(region, &frame, 1);
    else
        free(frame.bytes);
    if (status != MM_OK) mm_delta_remove(region->folder_fd, root.delta_id);
    mm_delta_close(&delta);
    return status;
}
