/* Reading beside a writer: a version of its own, laid together once, over a base that is pinned until the
 * reader closes. */
#include "error.h"
#include "lock.h"
#include "region.h"

#include <inttypes.h>

static int find_version(mm_region *region, uint64_t wanted) {
    mm_history *history = &region->history;
    mm_history_settle_view(history);
    uint64_t epoch = wanted == MM_EPOCH_HEAD ? history->head : wanted;
    const mm_node *node = mm_history_find(history, epoch);
    if (wanted != MM_EPOCH_HEAD && (!node || !node->live))
        return mm_fail(MM_E_NOT_FOUND, "region %s has no checkpoint @%" PRIu64, region->name, epoch);
    history->head = epoch; /* of this version; nothing of it is written */
    return MM_OK;
}

int mm_region_open_reader(mm_region *region, const mm_open_options *options) {
    /* Waits for a base that is being rewritten: milliseconds. */
    int status = mm_lock_take(region->apply_fd, 0, 1);
    if (status != MM_OK) return status;
    status = mm_journal_open(region->folder_fd, 0, region->medium, &region->journal, &region->history);
    if (status == MM_OK)
        status = mm_base_open(region->folder_fd, 0, region->header.size_max_bytes, &region->base);
    if (status == MM_OK) status = mm_pin_take(region->folder_fd, &region->pin);
    if (status == MM_OK) status = find_version(region, options->head_epoch);
    if (status == MM_OK) status = mm_region_map(region);
    mm_lock_drop(region->apply_fd);
    return status;
}
