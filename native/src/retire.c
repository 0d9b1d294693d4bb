/* Deletion: a checkpoint is forgotten at once; its bytes go as soon as no other is told as a difference
 * from it. In between stands at most one merge of two deltas. */
#include "error.h"
#include "lock.h"
#include "region.h"
#include "thread.h"

#include <inttypes.h>

static void append(mm_delta *merged, const mm_delta *from, uint64_t slot) {
    mm_thread_give_way();
    const void *page = mm_delta_page(from, slot);
    mm_delta_append(merged, from->index[slot].page, page, page);
}

/* `near` leads from the base to `node`, `far` from there to `child`: both at once. */
static int merge(mm_region *region, const mm_delta *near, const mm_delta *far, uint64_t *id) {
    mm_delta merged = MM_DELTA_CLOSED;
    mm_pages seen = {0};
    int status = mm_delta_check(near);
    if (status == MM_OK) status = mm_delta_check(far);
    if (status == MM_OK) status = mm_pages_init(&seen, region->header.size_max_bytes / MM_PAGE_SIZE);
    if (status == MM_OK)
        status = mm_delta_create(region->folder_fd, region->next_delta_id, near->count + far->count, &merged);
    if (status == MM_OK) {
        *id = region->next_delta_id++;
        for (uint64_t slot = 0; slot < far->count; slot++) {
            mm_pages_add(&seen, far->index[slot].page);
            append(&merged, far, slot);
        }
        for (uint64_t slot = 0; slot < near->count; slot++)
            if (!mm_pages_has(&seen, near->index[slot].page)) append(&merged, near, slot);
        mm_delta_seal(&merged, region->header.id, mm_delta_header_of(near)->from,
                      &mm_delta_header_of(far)->info);
        status = mm_delta_persist(&merged, region->medium, region->folder_fd);
        if (status != MM_OK) mm_delta_remove(region->folder_fd, *id);
    }
    mm_delta_close(&merged);
    mm_pages_free(&seen);
    return status;
}

static int bridge(mm_region *region, const mm_node *node, const mm_node *child) {
    mm_delta near, far = MM_DELTA_CLOSED;
    mm_node moved = *child;
    uint64_t gone = node->info.epoch, near_id = node->delta_id, far_id = child->delta_id;
    moved.from = node->from;
    int status = mm_delta_open(region->folder_fd, near_id, region->header.id, &near);
    if (status == MM_OK) status = mm_delta_open(region->folder_fd, far_id, region->header.id, &far);
    if (status == MM_OK) status = merge(region, &near, &far, &moved.delta_id);
    mm_delta_close(&near);
    mm_delta_close(&far);
    if (status != MM_OK) return status;
    mm_frame frame = {0};
    mm_frame_node(&frame, &moved);
    mm_frame_epoch(&frame, MM_ENTRY_DROP, gone);
    status = mm_region_record(region, &frame, 1);
    if (status != MM_OK) {
        mm_delta_remove(region->folder_fd, moved.delta_id);
        return status;
    }
    status = mm_delta_remove(region->folder_fd, near_id);
    return status == MM_OK ? mm_delta_remove(region->folder_fd, far_id) : status;
}

static const mm_node *only_dependent(const mm_history *history, uint64_t epoch) {
    for (size_t i = 0; i < history->count; i++)
        if (history->nodes[i].delta_id && history->nodes[i].from == epoch) return &history->nodes[i];
    return NULL;
}

static int drop(mm_region *region, const mm_node *node) {
    uint64_t delta_id = node->delta_id;
    mm_frame frame = {0};
    mm_frame_epoch(&frame, MM_ENTRY_DROP, node->info.epoch);
    int status = mm_region_record(region, &frame, 0);
    return status == MM_OK ? mm_delta_remove(region->folder_fd, delta_id) : status;
}

/* A node that nobody may ask for any more and at most one other is told by; NULL: none. */
static const mm_node *find_waste(const mm_history *history) {
    for (size_t i = 0; i < history->count; i++) {
        const mm_node *node = &history->nodes[i];
        uint64_t epoch = node->info.epoch;
        if (node->live || !node->delta_id || epoch == history->base || epoch == history->head) continue;
        if (mm_history_dependents(history, epoch, MM_EPOCH_NONE) <= 1) return node;
    }
    return NULL;
}

int mm_region_tidy(mm_region *region) {
    int status = mm_lock_take(region->apply_fd, 1, 0); /* not while a reader lays these deltas over its map */
    if (status != MM_OK) return status;
    for (const mm_node *node; status == MM_OK && (node = find_waste(&region->history));) {
        const mm_node *child = only_dependent(&region->history, node->info.epoch);
        status = child ? bridge(region, node, child) : drop(region, node);
    }
    mm_lock_drop(region->apply_fd);
    return status;
}

static int check_deletable(const mm_region *region, const mm_node *node, uint64_t epoch) {
    if (!node || !node->live)
        return mm_fail(MM_E_NOT_FOUND, "region %s has no checkpoint @%" PRIu64, region->name, epoch);
    if (epoch == region->history.head)
        return mm_fail(MM_E_INVALID, "checkpoint %s is the head of region %s and can not be deleted",
                       node->info.name, region->name);
    if (node->info.flags & MM_CHECKPOINT_PINNED)
        return mm_fail(MM_E_INVALID, "checkpoint %s is pinned: unpin it before deleting it", node->info.name);
    return MM_OK;
}

static int change_node(mm_region *region, const mm_node *changed) {
    mm_frame frame = {0};
    mm_frame_node(&frame, changed);
    return mm_region_record(region, &frame, 1);
}

int mm_region_delete(mm_region *region, uint64_t epoch) {
    int status = mm_region_begin(region, 1);
    if (status != MM_OK) return status;
    const mm_node *node = mm_history_find(&region->history, epoch);
    status = check_deletable(region, node, epoch);
    if (status == MM_OK) {
        mm_node dead = *node;
        dead.live = 0;
        status = change_node(region, &dead);
        if (status == MM_OK) status = mm_region_tidy(region);
        /* Forgotten; the bytes go when the reader is done, or when there is room to tell the rest anew. */
        if (status == MM_E_AGAIN || status == MM_E_FULL) status = MM_OK;
    }
    mm_region_end(region);
    return status;
}

int mm_region_pin(mm_region *region, uint64_t epoch, int pinned) {
    int status = mm_region_begin(region, 1);
    if (status != MM_OK) return status;
    const mm_node *node = mm_history_find(&region->history, epoch);
    if (!node || !node->live) {
        status = mm_fail(MM_E_NOT_FOUND, "region %s has no checkpoint @%" PRIu64, region->name, epoch);
    } else {
        mm_node changed = *node;
        changed.info.flags = pinned ? changed.info.flags | MM_CHECKPOINT_PINNED
                                    : changed.info.flags & ~(uint32_t)MM_CHECKPOINT_PINNED;
        status = change_node(region, &changed);
    }
    mm_region_end(region);
    return status;
}
