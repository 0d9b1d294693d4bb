/*
 * What a new owner does before anybody maps the base: finish what was committed, forget what was not.
 * It may itself be killed at any point, and is then done again from the start.
 */
#include "error.h"
#include "region.h"

#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

static int is_referenced(const mm_history *history, uint64_t delta_id) {
    if (history->moving_to != MM_EPOCH_NONE && history->undo_id == delta_id) return 1;
    for (size_t i = 0; i < history->count; i++)
        if (history->nodes[i].delta_id == delta_id) return 1;
    return 0;
}

/* A prepared log of a group's epoch exists only if the group's catalog says so. */
static int decide(mm_region *region, const mm_open_options *options, const mm_delta *delta, int *committed) {
    const mm_delta_header *header = mm_delta_header_of(delta);
    *committed = 0;
    if (!(header->info.flags & MM_CHECKPOINT_GROUP)) return MM_OK; /* its own journal decides: not there */
    if (mm_history_find(&region->history, header->info.epoch)) return MM_OK;
    if (!mm_history_find(&region->history, header->from)) return MM_OK;
    int answer = options->decide ? options->decide(options->decide_context, header->info.epoch) : -1;
    if (answer < 0)
        return mm_fail(MM_E_IN_DOUBT,
                       "epoch @%" PRIu64 " of region %s is prepared, and its group's catalog was not asked",
                       header->info.epoch, region->name);
    *committed = answer;
    return MM_OK;
}

static int adopt(mm_region *region, const mm_delta *delta) {
    const mm_delta_header *header = mm_delta_header_of(delta);
    mm_node node = {.info = header->info, .delta_id = delta->id, .from = header->from, .live = 1};
    mm_frame frame = {0};
    mm_frame_node(&frame, &node);
    mm_frame_epoch(&frame, MM_ENTRY_HEAD, node.info.epoch);
    return mm_region_record(region, &frame, 1);
}

/* Freeing a large log takes longer than all the rest of an open. */
static int leave_for_later(mm_region *region, uint64_t id) {
    if (region->leftover_count == MM_LEFTOVERS_MAX) return mm_delta_remove(region->folder_fd, id);
    region->leftovers[region->leftover_count++] = id;
    return MM_OK;
}

void mm_region_remove_leftovers(mm_region *region) {
    while (region->leftover_count)
        mm_delta_remove(region->folder_fd, region->leftovers[--region->leftover_count]);
}

static int settle_delta(mm_region *region, const mm_open_options *options, uint64_t id) {
    mm_delta delta;
    int committed = 0;
    int status = mm_delta_open(region->folder_fd, id, region->header.id, &delta);
    if (status == MM_E_CORRUPT || status == MM_E_VERSION)
        return leave_for_later(region, id); /* never prepared */
    if (status != MM_OK) return status;
    status = decide(region, options, &delta, &committed);
    if (status == MM_OK && committed) status = adopt(region, &delta);
    mm_delta_close(&delta);
    /* At once: what was decided is not asked about again. */
    return status == MM_OK && !committed ? mm_delta_remove(region->folder_fd, id) : status;
}

static int settle_entry(mm_region *region, const mm_open_options *options, const char *name) {
    uint64_t id;
    size_t length = strlen(name);
    if (length > 4 && strcmp(name + length - 4, ".new") == 0) {
        unlinkat(region->folder_fd, name, 0); /* a file that was not finished */
        return MM_OK;
    }
    if (!mm_delta_parse_name(name, &id)) return MM_OK;
    if (id >= region->next_delta_id) region->next_delta_id = id + 1;
    return is_referenced(&region->history, id) ? MM_OK : settle_delta(region, options, id);
}

static int settle_folder(mm_region *region, const mm_open_options *options) {
    int fd = openat(region->folder_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *folder = fd >= 0 ? fdopendir(fd) : NULL;
    if (!folder) {
        int status = mm_fail_errno("reading the region's folder");
        if (fd >= 0) close(fd);
        return status;
    }
    int status = MM_OK;
    for (struct dirent *entry; status == MM_OK && (entry = readdir(folder));)
        status = settle_entry(region, options, entry->d_name);
    closedir(folder);
    return status;
}

static int choose_head(mm_region *region, uint64_t wanted) {
    if (wanted == MM_EPOCH_HEAD || wanted == region->history.head) return MM_OK;
    uint64_t epoch = wanted == MM_EPOCH_NONE ? MM_EPOCH_ROOT : wanted;
    int status = epoch == MM_EPOCH_ROOT ? mm_region_make_root(region) : MM_OK;
    if (status != MM_OK) return status;
    const mm_node *node = mm_history_find(&region->history, epoch);
    if (!node || (!node->live && epoch != MM_EPOCH_ROOT))
        return mm_fail(MM_E_NOT_FOUND, "region %s has no checkpoint @%" PRIu64, region->name, epoch);
    status = mm_region_check_path(region, epoch);
    if (status != MM_OK) return status;
    mm_frame frame = {0};
    mm_frame_epoch(&frame, MM_ENTRY_HEAD, epoch);
    return mm_region_record(region, &frame, 1);
}

int mm_region_recover(mm_region *region, const mm_open_options *options) {
    region->next_delta_id = 1;
    int status = mm_region_finish_move(region);
    if (status == MM_E_FULL) status = MM_OK; /* it stays under way */
    if (status == MM_OK) status = settle_folder(region, options);
    if (status == MM_OK) status = choose_head(region, options->head_epoch);
    if (status == MM_OK) status = mm_region_move_base(region);
    if (status == MM_E_FULL && region->leftover_count) {
        mm_region_remove_leftovers(region); /* it is their room that is missing */
        status = mm_region_move_base(region);
    }
    /* A reader, or no room: what is not applied is laid over instead. Who could not open a region of a full
     * pool could not delete anything from it either. */
    if (status == MM_E_AGAIN || status == MM_E_FULL) status = MM_OK;
    if (status == MM_OK) status = mm_journal_compact(&region->journal, region->folder_fd, &region->history);
    return status;
}
