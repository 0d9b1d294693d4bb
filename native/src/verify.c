/* Verification: every byte that a checkpoint stands on is read and checked. Damage is named by file, and by
 * the checkpoints that need it. */
#include "error.h"
#include "lock.h"
#include "region.h"

#include <inttypes.h>
#include <string.h>

typedef struct report {
    char text[900];
    size_t length;
    int damaged;
} report;

static void say(report *report, const char *checkpoint, const char *damage) {
    report->damaged++;
    if (report->length >= sizeof report->text) return;
    int put = snprintf(report->text + report->length, sizeof report->text - report->length,
                       "%scheckpoint %s: %s", report->length ? "; " : "", checkpoint, damage);
    report->length += put > 0 ? (size_t)put : 0;
}

static int check_base(const mm_region *region) {
    for (uint64_t page = 0; page < region->base.extent / MM_PAGE_SIZE; page++)
        if (!mm_base_page_is_good(&region->base, page, region->base.pages + page * MM_PAGE_SIZE))
            return mm_fail(MM_E_CORRUPT, "base is damaged: page %" PRIu64 " fails the checksum", page);
    return MM_OK;
}

static int check_chain(const mm_region *region, const mm_history *history, uint64_t epoch) {
    uint64_t *path;
    size_t length;
    int status = mm_history_path(history, epoch, &path, &length);
    if (status != MM_OK) return status;
    for (size_t i = 0; i < length && status == MM_OK; i++) {
        mm_delta delta;
        uint64_t id = mm_history_find(history, path[i])->delta_id;
        status = mm_delta_open(region->folder_fd, id, region->header.id, &delta);
        if (status != MM_OK) break;
        status = mm_delta_check(&delta);
        mm_delta_close(&delta);
    }
    free(path);
    return status;
}

static int check_all(const mm_region *region, const mm_history *history, uint64_t epoch, report *report) {
    char base_damage[256] = "";
    int is_mixed = mm_history_find(history, history->base) == NULL; /* being rewritten: its sums are too */
    if (!is_mixed && check_base(region) != MM_OK)
        snprintf(base_damage, sizeof base_damage, "%s", mm_error_message());
    for (size_t i = 0; i < history->count; i++) {
        const mm_node *node = &history->nodes[i];
        if (!node->live || (epoch != MM_EPOCH_HEAD && node->info.epoch != epoch)) continue;
        int status = check_chain(region, history, node->info.epoch);
        if (status != MM_OK && status != MM_E_CORRUPT && status != MM_E_VERSION) return status;
        if (status != MM_OK)
            say(report, node->info.name, mm_error_message());
        else if (base_damage[0])
            say(report, node->info.name, base_damage);
    }
    return report->damaged ? mm_fail(MM_E_CORRUPT, "%s", report->text) : MM_OK;
}

/* A reader's own history is of the moment it opened; what stands now is read again. */
static int verify_beside_writer(mm_region *region, uint64_t epoch, report *report) {
    mm_history history;
    mm_journal journal;
    int status = mm_history_init(&history);
    if (status == MM_OK) status = mm_journal_open(region->folder_fd, 0, region->medium, &journal, &history);
    if (status == MM_OK) {
        mm_history_settle_view(&history);
        status = check_all(region, &history, epoch, report);
        mm_journal_close(&journal);
    }
    mm_history_free(&history);
    return status;
}

int mm_region_verify(mm_region *region, uint64_t epoch) {
    report report = {.length = 0};
    int status = mm_region_begin(region, 0);
    if (status != MM_OK) return status;
    status = mm_lock_take(region->apply_fd, 0, 1);
    if (status == MM_OK) {
        const mm_node *node = mm_history_find(&region->history, epoch);
        if (epoch != MM_EPOCH_HEAD && (!node || !node->live))
            status = mm_fail(MM_E_NOT_FOUND, "region %s has no checkpoint @%" PRIu64, region->name, epoch);
        else
            status = region->read_only ? verify_beside_writer(region, epoch, &report)
                                       : check_all(region, &region->history, epoch, &report);
        mm_lock_drop(region->apply_fd);
    }
    mm_region_end(region);
    return status;
}
