/* Reading beside a writer: a version of its own, laid together once, over a base that is pinned until the
 * reader closes. */
#include "error.h"
#include "lock.h"
#include "region.h"

#include <fcntl.h>
#include <inttypes.h>
#include <unistd.h>

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

static int is_there(const mm_region *region, const char *name) {
    return faccessat(region->folder_fd, name, F_OK, 0) == 0;
}

/* The owner makes the base after the journal, and nothing can be committed before it is there: a region
 * without it and without a checkpoint has only begun to be. */
static int check_made(const mm_region *region) {
    if (is_there(region, "base") && is_there(region, "base.sums")) return MM_OK;
    for (size_t i = 0; i < region->history.count; i++)
        if (region->history.nodes[i].live)
            return MM_OK; /* then it is damaged, and whoever opens it says so */
    return mm_fail(MM_E_NOT_FOUND, "region %s is being made, and has no checkpoint yet", region->name);
}

int mm_region_open_reader(mm_region *region, const mm_open_options *options) {
    /* Waits for a base that is being rewritten: milliseconds. */
    int status = mm_lock_take(region->apply_fd, 0, 1);
    if (status != MM_OK) return status;
    if (!is_there(region, "journal")) status = check_made(region);
    if (status == MM_OK)
        status = mm_journal_open(region->folder_fd, 0, region->medium, &region->journal, &region->history);
    if (status == MM_OK) status = check_made(region);
    if (status == MM_OK)
        status = mm_base_open(region->folder_fd, 0, region->header.size_max_bytes, &region->base);
    if (status == MM_OK) status = mm_pin_take(region->folder_fd, &region->pin);
    if (status == MM_OK) status = find_version(region, options->head_epoch);
    if (status == MM_OK) status = mm_region_map(region);
    mm_lock_drop(region->apply_fd);
    return status;
}
