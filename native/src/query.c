/* What a region has and uses: for accounts, lists and waiting. */
#include "checkpoint.h"
#include "error.h"

#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

static int check_owner(const mm_region *region) {
    if (region->forked)
        return mm_fail(MM_E_FORKED, "region %s belongs to the parent of this process", region->name);
    if (region->closed) return mm_fail(MM_E_INVALID, "region %s is closed", region->name);
    return MM_OK;
}

int mm_region_head(mm_region *region, mm_checkpoint_info *out) {
    int status = check_owner(region);
    if (status != MM_OK) return status;
    pthread_mutex_lock(&region->history_lock);
    const mm_node *head = mm_history_find(&region->history, region->history.head);
    if (head && head->live)
        *out = head->info;
    else
        status = mm_fail(MM_E_NOT_FOUND, "region %s has no checkpoint", region->name);
    pthread_mutex_unlock(&region->history_lock);
    return status;
}

int mm_region_checkpoints(mm_region *region, mm_checkpoint_info *out, size_t *count) {
    int status = check_owner(region);
    if (status != MM_OK) return status;
    size_t room = *count, found = 0;
    pthread_mutex_lock(&region->history_lock);
    for (size_t i = 0; i < region->history.count; i++) {
        if (!region->history.nodes[i].live) continue;
        if (found < room) out[found] = region->history.nodes[i].info;
        found++;
    }
    pthread_mutex_unlock(&region->history_lock);
    *count = found;
    return MM_OK;
}

int mm_region_settle(mm_region *region) {
    int status = mm_region_begin(region, 1);
    if (status != MM_OK) return status;
    status = mm_region_move_base(region);
    if (status == MM_OK) status = mm_region_tidy(region);
    if (status == MM_OK) status = mm_region_arm(region);
    mm_region_end(region);
    return status;
}

static int flush(mm_region *region, uint64_t epoch) {
    const mm_node *node = mm_history_find(&region->history, epoch);
    if (!node || !node->live)
        return mm_fail(MM_E_NOT_FOUND, "region %s has no checkpoint @%" PRIu64, region->name, epoch);
    if (!region->medium->durable)
        return mm_fail(MM_E_UNSUPPORTED, "medium %s of this pool does not survive a restart of the machine",
                       region->medium->name);
    if (node->info.flags & MM_CHECKPOINT_DURABLE) return MM_OK;
    /* Applying persists the log, then the base; what is laid on an older base needs the logs up to it. */
    int status = mm_region_move_base(region);
    if (status != MM_OK && status != MM_E_AGAIN) return status;
    node = mm_history_find(&region->history, epoch);
    if (node->info.flags & MM_CHECKPOINT_DURABLE) return MM_OK;
    status = mm_region_persist_path(region, epoch);
    if (status != MM_OK) return status;
    mm_node durable = *node;
    durable.info.flags |= MM_CHECKPOINT_DURABLE;
    mm_frame frame = {0};
    mm_frame_node(&frame, &durable);
    return mm_region_record(region, &frame, 1);
}

int mm_region_flush(mm_region *region, uint64_t epoch) {
    int status = mm_region_begin(region, 1);
    if (status != MM_OK) return status;
    status = flush(region, epoch);
    mm_region_end(region);
    return status;
}

static void count_run(void *context, uintptr_t start, uintptr_t end) { *(uint64_t *)context += end - start; }

/* A delta that no checkpoint is told by is a log, in use or spare; so is one that waits to be applied. */
static int is_log(const mm_region *region, uint64_t id, const uint64_t *waiting, size_t count) {
    if (region->history.moving_to != MM_EPOCH_NONE && region->history.undo_id == id) return 0;
    for (size_t i = 0; i < region->history.count; i++) {
        const mm_node *node = &region->history.nodes[i];
        if (node->delta_id != id) continue;
        for (size_t at = 0; at < count; at++)
            if (waiting[at] == node->info.epoch) return 1;
        return 0;
    }
    return 1;
}

static void add_files(const mm_region *region, const uint64_t *waiting, size_t count, mm_usage *out) {
    int fd = openat(region->folder_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *folder = fd >= 0 ? fdopendir(fd) : NULL;
    if (!folder) return;
    for (struct dirent *entry; (entry = readdir(folder));) {
        struct stat stat;
        uint64_t id;
        if (!mm_delta_parse_name(entry->d_name, &id) || fstatat(dirfd(folder), entry->d_name, &stat, 0) != 0)
            continue;
        uint64_t *kind = is_log(region, id, waiting, count) ? &out->log_bytes : &out->delta_bytes;
        *kind += (uint64_t)stat.st_blocks * 512;
    }
    closedir(folder);
}

int mm_region_usage(mm_region *region, mm_usage *out) {
    int status = mm_region_begin(region, 0);
    if (status != MM_OK) return status;
    struct statvfs fs;
    uint64_t *path = NULL;
    size_t waiting = 0;
    *out = (mm_usage){.size_max_bytes = region->header.size_max_bytes, .base_bytes = region->extent};
    for (size_t i = 0; i < region->history.count; i++)
        out->checkpoint_count += region->history.nodes[i].live != 0;
    mm_history_path(&region->history, region->history.head, &path,
                    &waiting); /* a broken one waits for nothing */
    out->pending_apply_count = waiting;
    if (fstatvfs(region->folder_fd, &fs) == 0) out->pool_free_bytes = (uint64_t)fs.f_bavail * fs.f_frsize;
    add_files(region, path, waiting, out);
    free(path);
    if (!region->read_only) {
        status = mm_tracker_private(&region->tracker, region->address, region->extent, count_run,
                                    &out->private_bytes);
        if (status == MM_OK)
            status = mm_tracker_peek(&region->tracker, region->address, region->armed, count_run,
                                     &out->dirty_bytes);
        out->dirty_bytes += region->pending.count * MM_PAGE_SIZE;
    }
    mm_region_end(region);
    return status;
}

typedef struct range_list {
    const mm_region *region;
    mm_range *out;
    size_t room, count;
} range_list;

static void list_run(void *context, uintptr_t start, uintptr_t end) {
    range_list *list = context;
    if (list->count < list->room)
        list->out[list->count] = (mm_range){start - (uintptr_t)list->region->address, end - start};
    list->count++;
}

int mm_region_peek(mm_region *region, mm_range *out, size_t *count) {
    if (region->read_only) return mm_fail(MM_E_READ_ONLY, "region %s is not tracked", region->name);
    range_list list = {.region = region, .out = out, .room = *count};
    if (region->forked) return check_owner(region); /* the lock below may be held by a thread of the parent */
    pthread_mutex_lock(&region->grow_lock);
    int status = check_owner(region);
    if (status == MM_OK)
        status = mm_tracker_peek(&region->tracker, region->address, region->armed, list_run, &list);
    pthread_mutex_unlock(&region->grow_lock);
    *count = list.count;
    return status;
}
