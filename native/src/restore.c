/* Restore in place: the application's memory shows a checkpoint again, at the same address. */
#include "restore.h"

#include "clock.h"
#include "error.h"

#include <inttypes.h>

#define HOLD_TIMEOUT_NS (10 * MM_SECOND_NS)

static int find_target(mm_region *region, uint64_t epoch, uint64_t *target) {
    *target = epoch == MM_EPOCH_HEAD ? region->history.head : epoch == MM_EPOCH_NONE ? MM_EPOCH_ROOT : epoch;
    int status = *target == MM_EPOCH_ROOT ? mm_region_make_root(region) : MM_OK;
    if (status != MM_OK) return status;
    const mm_node *node = mm_history_find(&region->history, *target);
    if (node && (node->live || *target == region->history.head || *target == MM_EPOCH_ROOT)) return MM_OK;
    return mm_fail(MM_E_NOT_FOUND, "region %s has no checkpoint @%" PRIu64, region->name, *target);
}

/* From here on a crash finds the target as the head: what is rolled back never comes back. */
static int record_head(mm_region *region, uint64_t target) {
    if (target == region->history.head) return MM_OK;
    mm_frame frame = {0};
    mm_frame_epoch(&frame, MM_ENTRY_HEAD, target);
    return mm_region_record(region, &frame, 1);
}

int mm_restore_held(mm_region *region, uint64_t epoch) {
    uint64_t target;
    int status = find_target(region, epoch, &target);
    if (status == MM_OK)
        status = mm_region_check_path(region, target); /* damage is found before the head moves */
    if (status == MM_OK) status = record_head(region, target);
    if (status != MM_OK) return status;
    /* Whatever keeps the base from following (a reader, a full medium): then the deltas are laid over it. */
    mm_region_move_base(region);
    /* In constant time, where the kernel can; mapping over the old pages frees each of them first. */
    mm_region_set_aside(region);
    status = mm_region_map(region);
    region->broken = status != MM_OK;
    if (status == MM_OK) mm_region_inherit(region);
    return status;
}

static int roll_back(mm_region *region, uint64_t epoch) {
    uint64_t target, shut_ns;
    int status = find_target(region, epoch, &target); /* a wrong name costs nobody a pause */
    if (status == MM_OK && region->in_doubt)
        status = mm_fail(MM_E_IN_DOUBT, "epoch @%" PRIu64 " of region %s waits for its group's decision",
                         region->in_doubt, region->name);
    if (status == MM_OK) mm_region_move_base(region); /* what can be done while it runs */
    if (status == MM_OK) status = mm_gate_hold(&region->gate, mm_now_ns() + HOLD_TIMEOUT_NS, &shut_ns);
    if (status != MM_OK) return status;
    status = mm_restore_held(region, target == MM_EPOCH_ROOT ? MM_EPOCH_NONE : target);
    mm_gate_release(&region->gate);
    mm_keeper_wake(region);
    return status;
}

int mm_region_restore(mm_region *region, uint64_t epoch, mm_checkpoint_info *out) {
    int status = mm_region_begin(region, 1);
    if (status != MM_OK) return status;
    status = roll_back(region, epoch);
    if (status == MM_OK) {
        const mm_node *head = mm_history_find(&region->history, region->history.head);
        MM_ASSERT(head != NULL);
        *out = head->info;
    }
    mm_region_end(region);
    return status;
}
