/* Copies of a region on other machines: what has to be sent of a checkpoint, and a checkpoint that came. How
 * it travels is not the core's business. */
#include "checkpoint.h"
#include "error.h"
#include "lock.h"

#include <inttypes.h>
#include <string.h>

#define ATTEMPTS 3 /* a log that was outgrown is given more room */

/* The pages of a delta; damaged ones must not travel. */
static int add_delta(const mm_region *region, uint64_t epoch, mm_pages *pages) {
    mm_delta delta;
    uint64_t id = mm_history_find(&region->history, epoch)->delta_id;
    int status = mm_delta_open(region->folder_fd, id, region->header.id, &delta);
    if (status != MM_OK) return status;
    status = mm_delta_check(&delta);
    for (uint64_t slot = 0; slot < delta.count; slot++) mm_pages_add(pages, delta.index[slot].page);
    mm_delta_close(&delta);
    return status;
}

static int find_way(const mm_region *region, uint64_t epoch, uint64_t **path, size_t *length) {
    const mm_node *node = mm_history_find(&region->history, epoch);
    *path = NULL;
    if (!node || !node->live)
        return mm_fail(MM_E_NOT_FOUND, "region %s has no checkpoint @%" PRIu64, region->name, epoch);
    return mm_history_path(&region->history, epoch, path, length);
}

static int add_way(const mm_region *region, const uint64_t *way, size_t length, mm_pages *pages) {
    int status = MM_OK;
    for (size_t at = 0; at < length && status == MM_OK; at++) status = add_delta(region, way[at], pages);
    return status;
}

/* Both are told from the base; what their ways have in common does not tell them apart. */
static int compare(const mm_region *region, uint64_t from, uint64_t epoch, mm_pages *pages, mm_pages *told) {
    uint64_t *ways[2] = {NULL, NULL};
    size_t lengths[2] = {0, 0}, shared = 0;
    int status = find_way(region, from, &ways[0], &lengths[0]);
    if (status == MM_OK) status = find_way(region, epoch, &ways[1], &lengths[1]);
    while (shared < lengths[0] && shared < lengths[1] && ways[0][shared] == ways[1][shared]) shared++;
    for (int way = 0; way < 2 && status == MM_OK; way++)
        status = add_way(region, ways[way] + shared, lengths[way] - shared, pages);
    if (status == MM_OK) status = add_way(region, ways[1], lengths[1], told);
    free(ways[0]);
    free(ways[1]);
    return status;
}

/* Those that no delta tells are sent as the base has them. */
static int check_base_pages(const mm_region *region, const mm_pages *pages, const mm_pages *told) {
    if (!mm_history_find(&region->history, region->history.base))
        return MM_OK; /* being rewritten, sums too */
    for (uint64_t page = 0; (page = mm_pages_next(pages, page)) != UINT64_MAX; page++)
        if (!mm_pages_has(told, page) && page < region->base.extent / MM_PAGE_SIZE &&
            !mm_base_page_is_good(&region->base, page, region->base.pages + page * MM_PAGE_SIZE))
            return mm_fail(MM_E_CORRUPT, "base is damaged: page %" PRIu64 " fails the checksum", page);
    return MM_OK;
}

static int find_difference(mm_region *region, uint64_t from, uint64_t epoch, mm_pages *pages) {
    mm_pages told;
    int status = mm_pages_init(&told, region->header.size_max_bytes / MM_PAGE_SIZE);
    if (status != MM_OK) return status;
    /* No delta is merged or removed, and no base rewritten, meanwhile. */
    status = mm_lock_take(region->apply_fd, 0, 1);
    if (status == MM_OK) {
        status = compare(region, from, epoch, pages, &told);
        if (status == MM_OK) status = check_base_pages(region, pages, &told);
        mm_lock_drop(region->apply_fd);
    }
    mm_pages_free(&told);
    return status;
}

int mm_region_difference(mm_region *region, uint64_t from, uint64_t epoch, uint32_t *out, size_t *count) {
    mm_pages pages;
    int status = mm_region_begin(region, 0);
    if (status != MM_OK) return status;
    status = mm_pages_init(&pages, region->header.size_max_bytes / MM_PAGE_SIZE);
    if (status == MM_OK) {
        size_t room = *count, found = 0;
        status = find_difference(region, from, epoch, &pages);
        for (uint64_t page = 0; (page = mm_pages_next(&pages, page)) != UINT64_MAX; page++, found++)
            if (found < room) out[found] = (uint32_t)page;
        *count = found;
        mm_pages_free(&pages);
    }
    mm_region_end(region);
    return status;
}

static int take_over(mm_region *region, const mm_checkpoint_info *info, mm_checkpoint *checkpoint) {
    int status = mm_checkpoint_begin(region, checkpoint);
    if (status != MM_OK) return status;
    status = mm_checkpoint_precopy(region, checkpoint);
    if (status == MM_OK) status = mm_checkpoint_hold(region, checkpoint);
    if (status == MM_OK) status = mm_checkpoint_cut(region, checkpoint);
    if (status == MM_OK) mm_checkpoint_release(region, checkpoint);
    if (status == MM_OK) {
        /* The cut here is not the one that is told of. */
        checkpoint->info.pause_ns = info->pause_ns;
        checkpoint->info.parent = info->parent;
        status = mm_checkpoint_commit(region, checkpoint);
    }
    if (status == MM_OK) return MM_OK;
    char why[512];
    snprintf(why, sizeof why, "%s", mm_error_message());
    mm_checkpoint_abort(region, checkpoint);
    return mm_fail(status, "%s", why);
}

static int check_info(const mm_region *region, const mm_checkpoint_info *info) {
    if (!info->epoch || info->epoch >= MM_EPOCH_NONE || info->meta_size > MM_META_MAX ||
        !memchr(info->name, 0, sizeof info->name) || !info->name[0])
        return mm_fail(MM_E_INVALID, "what is told of checkpoint @%" PRIu64 " is out of range", info->epoch);
    const mm_node *known = mm_history_find(&region->history, info->epoch);
    if (known && known->live)
        return mm_fail(MM_E_EXISTS, "region %s has checkpoint @%" PRIu64 " already", region->name,
                       info->epoch);
    return MM_OK;
}

int mm_region_adopt(mm_region *region, const mm_checkpoint_info *info) {
    int status = mm_region_begin(region, 1);
    if (status != MM_OK) return status;
    status = check_info(region, info);
    /* The memory shows what is told of, and no longer what this region was opened with. */
    if (status == MM_OK) region->partial = (info->flags & MM_CHECKPOINT_PARTIAL) != 0;
    for (int attempt = 0; status == MM_OK && attempt < ATTEMPTS; attempt++) {
        mm_checkpoint checkpoint = {.info = *info};
        checkpoint.info.flags &= ~(uint32_t)MM_CHECKPOINT_DURABLE;
        status = take_over(region, info, &checkpoint);
        if (status != MM_E_AGAIN) break;
        status = attempt + 1 < ATTEMPTS ? MM_OK : status;
    }
    mm_region_end(region);
    return status;
}
