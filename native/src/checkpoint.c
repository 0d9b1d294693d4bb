#include "checkpoint.h"

#include "clock.h"
#include "error.h"
#include "thread.h"

#include <inttypes.h>
#include <string.h>
#include <sys/statvfs.h>

#define DEFAULT_HOLD_TIMEOUT_NS (10 * MM_SECOND_NS)
#define PRECOPY_ROUNDS 4
#define PRECOPY_WORTH_PAGES 512u /* fewer are copied in the pause faster than another round pays */
#define COMPANY_PAGES 1024u /* half a millisecond for one thread; waking another costs some 20 us */
#define COLLECT_STEP_BYTES (128u << 20) /* while the application runs */
#define SLACK_PAGES 1024u
#define STRAY_ROUNDS 3
/* A tenth of a second, where memory and scanning are slow. */
#define LONG_COPY_PAGES 8192u
#define LONG_SCAN_BYTES (64ull << 30)
#define UNAPPLIED_FACTOR                                                                                     \
    2 /* logs that a reader keeps from being applied may gather to this times the region */

/* ---- collecting and copying -------------------------------------------------- */

typedef struct collection {
    mm_region *region;
    uint64_t pages;       /* seen in this scan */
    uint64_t listed;         /* in all scans */
    uint64_t deadline_ns; /* 0: none */
    const mm_checkpoint *cut; /* NULL: nobody stands still */
    int in_company;           /* the second thread copies, too */
    int status;
} collection;

static void tell_long(const mm_checkpoint *cut) {
    if (cut && cut->on_long) cut->on_long(cut->on_long_context);
}

/* A page for which there is no room is pending all the same. One that has its place is listed whatever
 * happened: the scan has marked it again, and nobody would ask for it any more. */
static void list_page(collection *collection, uint64_t page) {
    mm_region *region = collection->region;
    if (++collection->listed == LONG_COPY_PAGES) tell_long(collection->cut);
    if (!region->slots[page]) {
        if (collection->status != MM_OK || region->log.count == region->log.capacity) {
            collection->status = MM_E_AGAIN;
            return;
        }
        region->slots[page] = (uint32_t)mm_delta_add(&region->log, (uint32_t)page) + 1;
    }
    mm_copyist_list(&region->copyist, region->slots[page] - 1);
}

static void list_run(void *context, uintptr_t start, uintptr_t end) {
    collection *collection = context;
    mm_region *region = collection->region;
    uint64_t first = (start - (uintptr_t)region->address) / MM_PAGE_SIZE;
    uint64_t last = (end - (uintptr_t)region->address) / MM_PAGE_SIZE;
    collection->pages += last - first;
    for (uint64_t page = first; page < last; page++) {
        mm_pages_add(&region->pending, page); /* first: the scan has consumed the kernel's knowledge of it */
        list_page(collection, page);
    }
}

/* All of the list, also where the room ran out: what has a place in the log is not listed again. Except in a
 * cut that fails anyway. */
static void copy_listed(collection *collection) {
    mm_copyist *copyist = &collection->region->copyist;
    if (collection->cut && collection->status != MM_OK) return;
    int in_company = collection->in_company && copyist->listed_count >= COMPANY_PAGES;
    if (in_company) mm_copyist_call(copyist);
    while (collection->status != MM_E_PAUSE && mm_copyist_copy(copyist)) {
        mm_thread_give_way();
        if (collection->deadline_ns && mm_now_ns() > collection->deadline_ns) collection->status = MM_E_PAUSE;
    }
    if (in_company) mm_copyist_dismiss(copyist);
}

static void count_run(void *context, uintptr_t start, uintptr_t end) {
    *(uint64_t *)context += (end - start) / MM_PAGE_SIZE;
}

static void note_run(void *context, uintptr_t start, uintptr_t end) {
    collection *collection = context;
    mm_region *region = collection->region;
    collection->pages += (end - start) / MM_PAGE_SIZE;
    mm_region_add_pending(region, start, end);
    /* A sealed log that waits for its group's decision has an older version of these. */
    uint64_t first = (start - (uintptr_t)region->address) / MM_PAGE_SIZE;
    uint64_t last = (end - (uintptr_t)region->address) / MM_PAGE_SIZE;
    for (uint64_t page = first; page < last; page++) region->slots[page] = 0;
}

static int collect(collection *collection, mm_run_fn visit) {
    mm_region *region = collection->region;
    collection->pages = 0;
    mm_copyist_begin(&region->copyist, &region->log, region->address);
    uint64_t armed = region->armed, step = collection->cut ? armed : COLLECT_STEP_BYTES;
    int status = MM_OK;
    for (uint64_t at = 0; at < armed && status == MM_OK; at += step) {
        mm_thread_give_way();
        status = mm_tracker_collect(&region->tracker, region->address + at,
                                    armed - at < step ? armed - at : step, visit, collection);
    }
    if (status == MM_OK) copy_listed(collection);
    return status == MM_OK ? collection->status : status;
}

/* Pages that an earlier, failed checkpoint or arming left pending. */
static int copy_left_over(collection *collection) {
    mm_region *region = collection->region;
    if (region->log.count == region->pending.count) return collection->status;
    mm_copyist_begin(&region->copyist, &region->log, region->address);
    for (uint64_t page = 0; (page = mm_pages_next(&region->pending, page)) != UINT64_MAX; page++)
        if (!region->slots[page]) list_page(collection, page);
    copy_listed(collection);
    return collection->status;
}

static int count_dirty(mm_region *region, uint64_t *pages) {
    *pages = 0;
    return mm_tracker_peek(&region->tracker, region->address, region->armed, count_run, pages);
}

/* ---- the log's room ------------------------------------------------------------ */

static void forget_slots(mm_region *region) {
    for (uint64_t slot = 0; slot < region->log.count; slot++) region->slots[region->log.index[slot].page] = 0;
}

int mm_region_reuse(mm_region *region, mm_delta *delta) {
    mm_delta taken = *delta;
    uint64_t keep = 2 * taken.count + SLACK_PAGES; /* one large checkpoint does not hold memory for ever */
    *delta = MM_DELTA_CLOSED;
    if (region->spare.fd >= 0) {
        mm_delta *smaller = region->spare.capacity < taken.capacity ? &region->spare : &taken;
        uint64_t id = smaller->id;
        mm_delta_close(smaller);
        int status = mm_delta_remove(region->folder_fd, id);
        if (smaller == &taken || status != MM_OK) return status;
    }
    region->spare = taken;
    return mm_delta_recycle(&region->spare, region->folder_fd, region->next_delta_id++, keep);
}

static int open_log(mm_region *region, uint64_t pages) {
    if (region->log.fd >= 0)
        mm_delta_close(&region->log); /* committed; a reader keeps it from being applied */
    int status;
    if (region->spare.fd < 0) {
        status = mm_delta_create(region->folder_fd, region->next_delta_id++, pages, &region->log);
        if (status != MM_OK) return status;
    } else {
        region->log = region->spare;
        region->spare = MM_DELTA_CLOSED;
        status = mm_delta_reserve(&region->log, pages);
    }
    if (status == MM_OK) status = mm_copyist_reserve(&region->copyist, region->log.capacity);
    if (status != MM_OK) mm_region_reuse(region, &region->log);
    return status;
}

static int reserve_more(mm_region *region) {
    uint64_t dirty, extent_pages = region->extent / MM_PAGE_SIZE;
    int status = count_dirty(region, &dirty);
    if (status != MM_OK) return status;
    uint64_t pages = region->pending.count + dirty + dirty / 4 + SLACK_PAGES;
    if (pages > extent_pages) pages = extent_pages ? extent_pages : 1;
    status = mm_delta_reserve(&region->log, pages);
    return status == MM_OK ? mm_copyist_reserve(&region->copyist, region->log.capacity) : status;
}

static uint64_t unapplied_pages(const mm_region *region) {
    uint64_t *path, pages = 0;
    size_t length;
    if (mm_history_path(&region->history, region->history.head, &path, &length) != MM_OK) return 0;
    for (size_t i = 0; i < length; i++)
        pages += mm_history_find(&region->history, path[i])->info.bytes_written / MM_PAGE_SIZE;
    free(path);
    return pages;
}

/* What an earlier checkpoint left to be applied goes first, or room would run out unseen. */
static int apply_earlier(mm_region *region) {
    int status = mm_region_move_base(region);
    if (status == MM_OK || status != MM_E_AGAIN) return status;
    if (unapplied_pages(region) * MM_PAGE_SIZE < UNAPPLIED_FACTOR * (region->extent + (64u << 20)))
        return MM_OK;
    char why[256];
    snprintf(why, sizeof why, "%s", mm_error_message());
    return mm_fail(MM_E_FULL, "too many checkpoints wait to be applied: %s", why);
}

/* ---- phases --------------------------------------------------------------------- */

void mm_checkpoint_name(mm_checkpoint *checkpoint, const char *name) {
    mm_checkpoint_info *info = &checkpoint->info;
    info->created_ns = (int64_t)mm_clock_ns(CLOCK_REALTIME);
    if (name && name[0]) {
        snprintf(info->name, sizeof info->name, "%s", name);
        return;
    }
    time_t seconds = (time_t)(info->created_ns / (int64_t)MM_SECOND_NS);
    struct tm utc;
    char stamp[32];
    gmtime_r(&seconds, &utc);
    strftime(stamp, sizeof stamp, "%Y%m%d-%H%M%S", &utc);
    snprintf(info->name, sizeof info->name, "%s-e%" PRIu64, stamp, info->epoch);
    info->flags |= MM_CHECKPOINT_AUTOMATIC;
}

int mm_checkpoint_begin(mm_region *region, mm_checkpoint *checkpoint) {
    if (region->in_doubt)
        return mm_fail(MM_E_IN_DOUBT, "epoch @%" PRIu64 " of region %s waits for its group's decision",
                       region->in_doubt, region->name);
    if (mm_history_find_name(&region->history, checkpoint->info.name))
        return mm_fail(MM_E_EXISTS, "region %s has a checkpoint %s already", region->name,
                       checkpoint->info.name);
    if (mm_journal_is_full(&region->journal))
        return mm_fail(MM_E_FULL, "region %s has so many checkpoints that its journal is full", region->name);
    if (!checkpoint->hold_timeout_ns) checkpoint->hold_timeout_ns = DEFAULT_HOLD_TIMEOUT_NS;
    uint64_t dirty = 0;
    int status = apply_earlier(region);
    if (status == MM_OK) status = mm_region_arm(region);
    if (status == MM_OK) status = count_dirty(region, &dirty);
    if (status != MM_OK) return status;
    checkpoint->dirty_pages = dirty += region->pending.count;
    uint64_t extent_pages = region->extent / MM_PAGE_SIZE + 1, pages = dirty + dirty / 4 + SLACK_PAGES;
    return open_log(region, pages < extent_pages ? pages : extent_pages);
}

static int precopy(mm_region *region, mm_checkpoint *checkpoint) {
    collection collection = {.region = region};
    uint64_t before = UINT64_MAX, dirty = 0;
    for (int round = 0; round < PRECOPY_ROUNDS; round++) {
        int status = round ? count_dirty(region, &dirty) : MM_OK;
        if (round == 0) dirty = checkpoint->dirty_pages;
        if (status != MM_OK || dirty < PRECOPY_WORTH_PAGES || dirty > before / 2) break;
        status = collect(&collection, list_run);
        if (status == MM_OK) status = copy_left_over(&collection);
        if (status != MM_OK && status != MM_E_AGAIN) return status;
        collection.status = MM_OK; /* outgrown: what is left is copied later, with more room */
        before = dirty;
        status = reserve_more(region);
        if (status != MM_OK) return status;
    }
    checkpoint->in_company = dirty >= COMPANY_PAGES && mm_copyist_prepare(&region->copyist);
    return MM_OK;
}

int mm_checkpoint_precopy(mm_region *region, mm_checkpoint *checkpoint) {
    mm_thread_go_behind();
    int status = precopy(region, checkpoint);
    mm_thread_come_forward();
    return status;
}

int mm_checkpoint_hold(mm_region *region, mm_checkpoint *checkpoint) {
    uint64_t timeout = checkpoint->hold_timeout_ns, budget = checkpoint->max_pause_ns;
    int budget_rules = budget && budget < timeout;
    int status =
        mm_gate_hold(&region->gate, mm_now_ns() + (budget_rules ? budget : timeout), &checkpoint->shut_ns);
    checkpoint->held = status == MM_OK;
    if (status == MM_E_QUIESCE && budget_rules)
        return mm_fail(MM_E_PAUSE, "waiting for open updates alone took the budget of %" PRIu64 " ns",
                       budget);
    return status;
}

typedef struct strays {
    mm_region *region;
    uint64_t pages;
} strays;

/* A page that was written while it was copied: the checksum is of other bytes than the log got. */
static void sum_again(void *context, uintptr_t start, uintptr_t end) {
    strays *strays = context;
    mm_region *region = strays->region;
    uint64_t first = (start - (uintptr_t)region->address) / MM_PAGE_SIZE;
    uint64_t last = (end - (uintptr_t)region->address) / MM_PAGE_SIZE;
    strays->pages += last - first;
    for (uint64_t page = first; page < last; page++)
        if (region->slots[page]) mm_delta_sum_again(&region->log, region->slots[page] - 1);
}

/* Pages written although the member is held: by code outside of updates. They are copied again; if writing
 * goes on, the checkpoint is of no one instant, and says so. */
static int recopy_strays(collection *collection, int *stray) {
    for (int round = 0; round < STRAY_ROUNDS; round++) {
        uint64_t written;
        int status = count_dirty(collection->region, &written);
        *stray = written > 0;
        if (status != MM_OK || !written) return status;
        status = collect(collection, list_run);
        if (status != MM_OK) return status;
    }
    mm_region *region = collection->region;
    strays strays = {.region = region};
    int status = mm_tracker_peek(&region->tracker, region->address, region->armed, sum_again, &strays);
    *stray = strays.pages > 0;
    return status;
}

static int fail_cut(const mm_region *region, const mm_checkpoint *checkpoint, int status) {
    if (status == MM_E_AGAIN)
        return mm_fail(status, "more was written to region %s than there was room for; nothing is lost",
                       region->name);
    if (status == MM_E_PAUSE)
        return mm_fail(status, "the cut of region %s went over its budget of %" PRIu64 " ns", region->name,
                       checkpoint->max_pause_ns);
    return status;
}

int mm_checkpoint_cut(mm_region *region, mm_checkpoint *checkpoint) {
    MM_ASSERT(checkpoint->held);
    collection collection = {.region = region, .cut = checkpoint, .in_company = checkpoint->in_company};
    if (region->extent > LONG_SCAN_BYTES) {
        tell_long(checkpoint);
        collection.listed = LONG_COPY_PAGES;
    }
    if (checkpoint->max_pause_ns) collection.deadline_ns = checkpoint->shut_ns + checkpoint->max_pause_ns;
    int stray = 0;
    int status = mm_region_arm(region); /* nothing to do, unless the region grew since begin */
    if (status == MM_OK) status = collect(&collection, list_run);
    if (status == MM_OK) status = copy_left_over(&collection);
    if (status == MM_OK) status = recopy_strays(&collection, &stray);
    if (status == MM_OK && collection.deadline_ns && mm_now_ns() > collection.deadline_ns)
        status = MM_E_PAUSE;
    if (status != MM_OK) return fail_cut(region, checkpoint, status);
    MM_ASSERT(region->log.count == region->pending.count);
    checkpoint->info.parent = region->history.head;
    checkpoint->info.bytes_written = region->log.count * MM_PAGE_SIZE;
    if (stray || region->partial) checkpoint->info.flags |= MM_CHECKPOINT_CRASH;
    if (region->partial) checkpoint->info.flags |= MM_CHECKPOINT_PARTIAL;
    checkpoint->info.pause_ns = mm_now_ns() - checkpoint->shut_ns;
    mm_delta_seal(&region->log, region->header.id, region->history.head, &checkpoint->info);
    return MM_OK;
}

void mm_checkpoint_release(mm_region *region, mm_checkpoint *checkpoint) {
    if (!checkpoint->held) return;
    checkpoint->held = 0;
    checkpoint->info.pause_ns = mm_gate_release(&region->gate) - checkpoint->shut_ns;
}

int mm_checkpoint_commit(mm_region *region, mm_checkpoint *checkpoint) {
    mm_node node = {
        .info = checkpoint->info, .delta_id = region->log.id, .from = region->history.head, .live = 1};
    mm_frame frame = {0};
    mm_frame_node(&frame, &node);
    mm_frame_epoch(&frame, MM_ENTRY_HEAD, node.info.epoch);
    int durable = (checkpoint->info.flags & MM_CHECKPOINT_DURABLE) != 0;
    int status = durable ? mm_region_persist_path(region, region->history.head) : MM_OK;
    if (status == MM_OK && durable)
        status = mm_delta_persist(&region->log, region->medium, region->folder_fd);
    if (status == MM_OK) status = mm_region_record(region, &frame, durable);
    if (status != MM_OK) {
        free(frame.bytes);
        return status;
    }
    /* Only now: until the commit a failure must find these pages pending. */
    for (uint64_t slot = 0; slot < region->log.count; slot++)
        if (region->slots[region->log.index[slot].page])
            mm_pages_remove(&region->pending, region->log.index[slot].page);
    forget_slots(region);
    mm_keeper_wake(region);
    return MM_OK;
}

static int is_committed(const mm_region *region, uint64_t delta_id) {
    for (size_t i = 0; i < region->history.count; i++)
        if (region->history.nodes[i].delta_id == delta_id) return 1;
    return 0;
}

void mm_checkpoint_abort(mm_region *region, mm_checkpoint *checkpoint) {
    MM_ASSERT(region->log.fd >= 0 && !is_committed(region, region->log.id));
    mm_delta_unseal(&region->log); /* before anybody runs on: recovery must not find it */
    forget_slots(region);
    mm_checkpoint_release(region, checkpoint);
    mm_region_reuse(region, &region->log);
}

int mm_region_collect(mm_region *region) {
    int status = mm_region_begin(region, 1);
    if (status != MM_OK) return status;
    collection collection = {.region = region};
    status = mm_region_arm(region);
    if (status == MM_OK) status = collect(&collection, note_run);
    mm_region_end(region);
    return status;
}
