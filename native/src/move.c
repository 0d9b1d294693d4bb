/*
 * Moving the base from one checkpoint to a neighbour: the one way in which a base is ever rewritten, whether
 * a new checkpoint is applied or an old one restored.
 *
 *   1. the bytes that will be overwritten are saved as the delta back ("undo"), if anybody needs them;
 *   2. the journal says that the base is on its way: from here on it is neither;
 *   3. the pages are written into the base, and persisted;
 *   4. the journal says that it has arrived, and where the way back is.
 *
 * A crash between 2 and 4 is finished by the next owner, from the delta that is still there. The owner's
 * own mapping never sees it: each page that is written here is one the application holds privately.
 */
#include "error.h"
#include "lock.h"
#include "region.h"
#include "thread.h"

#include <inttypes.h>
#include <string.h>

/* The redo log is often still mapped, warm; else the file is opened. */
static int open_delta(mm_region *region, const mm_node *node, mm_delta *opened, mm_delta **out) {
    *opened = MM_DELTA_CLOSED;
    *out = &region->log;
    if (region->log.fd >= 0 && region->log.id == node->delta_id) return MM_OK;
    *out = opened;
    return mm_delta_open(region->folder_fd, node->delta_id, region->header.id, opened);
}

static int check_fits(const mm_region *region, const mm_delta *delta) {
    for (uint64_t slot = 0; slot < delta->count; slot++)
        if ((uint64_t)delta->index[slot].page * MM_PAGE_SIZE >= region->base.extent)
            return mm_fail(MM_E_CORRUPT, "base is cut short: page %u is behind its end",
                           delta->index[slot].page);
    return mm_delta_check(delta);
}

/* What makes `from` again of a base at the delta's checkpoint. A page that is damaged keeps the checksum that
 * it fails: `from` is lost with it, as it is already, and nothing newer. */
static int save_undo(mm_region *region, const mm_delta *delta, const mm_node *from, uint64_t to,
                     uint64_t *undo_id) {
    mm_delta undo;
    int status = mm_delta_create(region->folder_fd, region->next_delta_id, delta->count, &undo);
    if (status != MM_OK) return status;
    *undo_id = region->next_delta_id++;
    for (uint64_t slot = 0; slot < delta->count; slot++) {
        mm_thread_give_way();
        uint32_t page = delta->index[slot].page;
        const uint8_t *bytes = region->base.pages + (uint64_t)page * MM_PAGE_SIZE;
        mm_delta_append(&undo, page, bytes, bytes);
        if (!mm_base_page_is_good(&region->base, page, bytes)) undo.index[slot].crc = region->base.sums[page];
    }
    mm_delta_seal(&undo, region->header.id, to, &from->info);
    status = mm_delta_persist(&undo, region->medium, region->folder_fd);
    mm_delta_close(&undo);
    if (status != MM_OK) mm_delta_remove(region->folder_fd, *undo_id);
    return status;
}

static int write_base(mm_region *region, const mm_delta *delta) {
    for (uint64_t slot = 0; slot < delta->count; slot++) {
        mm_thread_give_way();
        uint32_t page = delta->index[slot].page;
        memcpy(region->base.pages + (uint64_t)page * MM_PAGE_SIZE, mm_delta_page(delta, slot), MM_PAGE_SIZE);
        region->base.sums[page] = delta->index[slot].crc;
    }
    int status = region->medium->persist(region->base.fd);
    return status == MM_OK ? region->medium->persist(region->base.sums_fd) : status;
}

static int record_departure(mm_region *region, uint64_t to, uint64_t undo_id) {
    mm_frame frame = {0};
    mm_frame_base(&frame, region->history.base, to, undo_id);
    return mm_region_record(region, &frame, 1);
}

static int record_arrival(mm_region *region, uint64_t to) {
    mm_frame frame = {0};
    mm_node arrived = *mm_history_find(&region->history, to);
    arrived.delta_id = 0;
    arrived.from = 0;
    if (region->medium->durable) arrived.info.flags |= MM_CHECKPOINT_DURABLE; /* all of it was persisted */
    mm_frame_node(&frame, &arrived);
    const mm_node *left = mm_history_find(&region->history, region->history.base);
    if (region->history.undo_id && left) {
        mm_node back = *left;
        back.delta_id = region->history.undo_id;
        back.from = to;
        mm_frame_node(&frame, &back);
    } else {
        mm_frame_epoch(&frame, MM_ENTRY_DROP, region->history.base);
    }
    mm_frame_base(&frame, to, MM_EPOCH_NONE, 0);
    return mm_region_record(region, &frame, 1);
}

/* Steps 3 and 4, which a dead owner may have left to do. */
static int arrive(mm_region *region, mm_delta *delta, uint64_t to) {
    uint64_t id = delta->id;
    int status = write_base(region, delta);
    if (status == MM_OK) status = record_arrival(region, to);
    if (status != MM_OK) return status;
    if (delta == &region->log) return mm_region_reuse(region, delta);
    mm_delta_close(delta);
    return mm_delta_remove(region->folder_fd, id);
}

static int step_to(mm_region *region, uint64_t to) {
    const mm_node *target = mm_history_find(&region->history, to);
    const mm_node *from = mm_history_find(&region->history, region->history.base);
    MM_ASSERT(target && from && target->from == from->info.epoch);
    mm_delta opened, *delta;
    uint64_t undo_id = 0;
    int status = open_delta(region, target, &opened, &delta);
    if (status != MM_OK) return status;
    status = check_fits(region, delta);
    if (status == MM_OK) status = mm_delta_persist(delta, region->medium, region->folder_fd);
    int is_needed = from->live || mm_history_dependents(&region->history, from->info.epoch, to) > 0;
    if (status == MM_OK && is_needed) status = save_undo(region, delta, from, to, &undo_id);
    if (status == MM_OK) {
        status = record_departure(region, to, undo_id);
        if (status != MM_OK && undo_id) mm_delta_remove(region->folder_fd, undo_id);
    }
    if (status == MM_OK) status = arrive(region, delta, to);
    mm_delta_close(&opened);
    return status;
}

/* Back to where it came from, when the delta it was to become is damaged. */
static int turn_back(mm_region *region) {
    mm_delta undo;
    int status = mm_delta_open(region->folder_fd, region->history.undo_id, region->header.id, &undo);
    if (status != MM_OK) return status;
    status = check_fits(region, &undo);
    if (status == MM_OK) status = write_base(region, &undo);
    if (status == MM_OK) {
        mm_frame frame = {0};
        mm_frame_base(&frame, region->history.base, MM_EPOCH_NONE, 0);
        status = mm_region_record(region, &frame, 1);
    }
    mm_delta_close(&undo);
    return status;
}

int mm_region_finish_move(mm_region *region) {
    uint64_t to = region->history.moving_to;
    if (to == MM_EPOCH_NONE) return MM_OK;
    const mm_node *target = mm_history_find(&region->history, to);
    if (!target)
        return mm_fail(MM_E_CORRUPT, "the base was on its way to @%" PRIu64 ", which is unknown", to);
    mm_delta opened, *delta;
    int status = open_delta(region, target, &opened, &delta);
    if (status == MM_OK) status = check_fits(region, delta);
    if (status == MM_OK)
        status = arrive(region, delta, to);
    else if (status == MM_E_CORRUPT && region->history.undo_id)
        status = turn_back(region);
    mm_delta_close(&opened);
    return status;
}

static int next_step(mm_region *region) {
    uint64_t *path;
    size_t length;
    int status = mm_history_path(&region->history, region->history.head, &path, &length);
    if (status != MM_OK) return status;
    MM_ASSERT(length > 0);
    uint64_t next = path[0];
    free(path);
    return step_to(region, next);
}

static int is_moving(const mm_region *region) { return region->history.moving_to != MM_EPOCH_NONE; }

static int move_one_step(mm_region *region) {
    int status = mm_lock_take(region->apply_fd, 1, 0); /* not while a reader looks for its way */
    if (status != MM_OK) return status;
    pid_t reader = mm_pin_holder(region->folder_fd);
    if (reader)
        status = mm_fail(MM_E_AGAIN, "process %d reads the base of region %s", (int)reader, region->name);
    else /* A move whose arrival could not be recorded comes first: its base is not what it was. */
        status = is_moving(region) ? mm_region_finish_move(region) : next_step(region);
    mm_lock_drop(region->apply_fd);
    return status;
}

int mm_region_move_base(mm_region *region) {
    int status = MM_OK;
    while (status == MM_OK && (is_moving(region) || region->history.base != region->history.head))
        status = move_one_step(region);
    return status;
}

typedef void (*delta_fn)(mm_region *, const mm_delta *);

static int walk_path_of(mm_region *region, const mm_history *history, uint64_t epoch, delta_fn visit) {
    uint64_t *path;
    size_t length;
    int status = mm_history_path(history, epoch, &path, &length);
    if (status != MM_OK) return status;
    for (size_t i = 0; i < length && status == MM_OK; i++) {
        mm_delta delta;
        uint64_t id = mm_history_find(history, path[i])->delta_id;
        status = mm_delta_open(region->folder_fd, id, region->header.id, &delta);
        if (status != MM_OK) break;
        status = check_fits(region, &delta);
        if (status == MM_OK && visit) visit(region, &delta);
        mm_delta_close(&delta);
    }
    free(path);
    return status;
}

/* Opens and checks each delta from the base to `epoch`, in order. */
static int walk_path(mm_region *region, uint64_t epoch, delta_fn visit) {
    mm_history view;
    if (!is_moving(region)) return walk_path_of(region, &region->history, epoch, visit);
    int status = mm_history_copy(&view, &region->history);
    if (status != MM_OK) return status;
    mm_history_settle_view(&view);
    status = walk_path_of(region, &view, epoch, visit);
    mm_history_free(&view);
    return status;
}

int mm_region_check_path(mm_region *region, uint64_t epoch) { return walk_path(region, epoch, NULL); }

int mm_region_persist_path(mm_region *region, uint64_t epoch) {
    uint64_t *path;
    size_t length;
    int status = mm_history_path(&region->history, epoch, &path, &length);
    if (status != MM_OK) return status;
    for (size_t i = 0; i < length && status == MM_OK; i++) {
        mm_delta opened, *delta;
        status = open_delta(region, mm_history_find(&region->history, path[i]), &opened, &delta);
        if (status == MM_OK) status = mm_delta_persist(delta, region->medium, region->folder_fd);
        mm_delta_close(&opened);
    }
    free(path);
    return status;
}

static void lay_over(mm_region *region, const mm_delta *delta) {
    for (uint64_t slot = 0; slot < delta->count; slot++)
        memcpy(region->address + (uint64_t)delta->index[slot].page * MM_PAGE_SIZE, mm_delta_page(delta, slot),
               MM_PAGE_SIZE);
}

int mm_region_overlay(mm_region *region, uint64_t epoch) { return walk_path(region, epoch, lay_over); }
