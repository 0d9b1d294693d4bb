/* A region's life: opened by one owner or any number of readers, closed, gone with its last view. */
#include "region.h"

#include "error.h"
#include "lock.h"
#include "pool.h"
#include "registry.h"

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static mm_region *allocate(const char *name, mm_mode mode) {
    mm_region *region = calloc(1, sizeof *region);
    if (!region) return NULL;
    snprintf(region->name, sizeof region->name, "%s", name);
    region->folder_fd = region->lock_fd = region->apply_fd = region->member_fd = -1;
    region->read_only = mode == MM_MODE_READ_ONLY;
    region->references = 1;
    region->base = (mm_base){.fd = -1, .sums_fd = -1};
    region->log = region->spare = MM_DELTA_CLOSED;
    region->copyist = MM_COPYIST_NONE;
    region->pin = MM_PIN_NONE;
    region->journal.fd[0] = region->journal.fd[1] = -1;
    region->tracker.uffd = -1;
    mm_gate_init(&region->gate);
    pthread_mutex_init(&region->operation, NULL);
    pthread_mutex_init(&region->history_lock, NULL);
    pthread_mutex_init(&region->grow_lock, NULL);
    return region;
}

static int open_files(mm_region *region, const char *pool, const mm_open_options *options) {
    int create = options->mode == MM_MODE_OPEN_OR_CREATE || options->mode == MM_MODE_MUST_CREATE;
    int status = mm_pool_region_folder(pool, region->name, create, &region->folder_fd);
    if (status != MM_OK) return status;
    status = mm_medium_choose(region->folder_fd, pool, options->medium, &region->medium);
    if (status != MM_OK) return status;
    region->apply_fd = mm_lock_open(region->folder_fd, "apply.lock");
    if (region->apply_fd < 0) return region->apply_fd;
    status = mm_registry_add(region);
    if (status != MM_OK) return status;
    if (region->read_only)
        return mm_pool_region_header(region->folder_fd, options->mode, 0, &region->header, &region->created);
    region->lock_fd = mm_lock_open(region->folder_fd, "lock");
    status = region->lock_fd < 0 ? region->lock_fd : mm_lock_own(region->lock_fd);
    if (status == MM_E_IN_USE) return mm_fail(status, "region %s is %s", region->name, mm_error_message());
    if (status != MM_OK) return status;
    return mm_pool_region_header(region->folder_fd, options->mode, options->size_max_bytes, &region->header,
                                 &region->created);
}

static int open_owner(mm_region *region, const mm_open_options *options) {
    uint64_t pages = region->header.size_max_bytes / MM_PAGE_SIZE;
    int status = mm_pages_init(&region->pending, pages);
    if (status != MM_OK) return status;
    region->slots = calloc(pages, sizeof *region->slots); /* zeros that cost nothing until they are written */
    if (!region->slots) return mm_fail_errno("the page table of region %s", region->name);
    status = mm_journal_open(region->folder_fd, 1, region->medium, &region->journal, &region->history);
    if (status == MM_OK)
        status = mm_base_open(region->folder_fd, 1, region->header.size_max_bytes, &region->base);
    if (status == MM_OK && region->created) status = region->medium->persist_folder(region->folder_fd);
    if (status == MM_OK) status = mm_region_recover(region, options);
    if (status == MM_OK) status = mm_region_map(region);
    if (status == MM_OK) mm_region_inherit(region);
    if (status == MM_OK) status = mm_keeper_start(region);
    return status;
}

/* Lets go of everything but the application's memory. */
static void release(mm_region *region) {
    mm_keeper_stop(region);
    mm_copyist_stop(&region->copyist);
    mm_delta_close(&region->log);
    mm_delta_close(&region->spare);
    mm_base_close(&region->base);
    mm_journal_close(&region->journal);
    if (region->tracker.uffd >= 0) mm_tracker_close(&region->tracker);
    mm_pin_drop(region->folder_fd, &region->pin);
    /* The lock before the registry: closing it while another open of this process has taken it would end
     * that one too. */
    if (region->lock_fd >= 0) close(region->lock_fd);
    region->lock_fd = -1;
    mm_registry_remove(region);
    int *fds[] = {&region->apply_fd, &region->folder_fd};
    for (size_t i = 0; i < sizeof fds / sizeof *fds; i++) {
        if (*fds[i] >= 0) close(*fds[i]);
        *fds[i] = -1;
    }
}

int mm_region_open(const char *pool, const char *name, const mm_open_options *options, mm_region **out) {
    *out = NULL;
    int status = mm_pool_check_name(name);
    if (status != MM_OK) return status;
    mm_region *region = allocate(name, options->mode);
    if (!region) return mm_fail_errno("opening region %s", name);
    status = mm_history_init(&region->history);
    /* Before anything is made: a machine that can not track leaves no half of a region behind. */
    if (status == MM_OK && !region->read_only) status = mm_tracker_open(&region->tracker);
    if (status == MM_OK) status = open_files(region, pool, options);
    if (status == MM_OK) status = mm_region_reserve(region);
    if (status == MM_OK)
        status = region->read_only ? mm_region_open_reader(region, options) : open_owner(region, options);
    if (status != MM_OK) {
        char why[512];
        snprintf(why, sizeof why, "%s", mm_error_message());
        release(region);
        region->closed = 1;
        mm_region_unref(region);
        return mm_fail(status, "%s", why);
    }
    *out = region;
    return MM_OK;
}

static void shut(mm_region *region) {
    pthread_mutex_lock(&region->operation); /* what is under way ends first */
    int was_closed = region->closed;
    /* Applying now makes the next open quick; what fails here is done then. */
    if (!was_closed && !region->read_only && mm_region_move_base(region) == MM_OK) mm_region_tidy(region);
    pthread_mutex_lock(&region->grow_lock);
    region->closed = 1;
    pthread_mutex_unlock(&region->grow_lock);
    pthread_mutex_unlock(&region->operation);
    if (!was_closed) release(region);
}

int mm_region_close(mm_region *region) {
    if (region->forked)
        return mm_fail(MM_E_FORKED, "region %s belongs to the parent of this process", region->name);
    if (mm_gate_depth(&region->gate))
        return mm_fail(MM_E_HELD, "close inside an update of region %s", region->name);
    shut(region);
    return MM_OK;
}

void mm_region_ref(mm_region *region) { atomic_fetch_add(&region->references, 1); }

void mm_region_unref(mm_region *region) {
    if (atomic_fetch_sub(&region->references, 1) > 1) return;
    if (!region->closed && !region->forked)
        shut(region); /* dropped without a close: its thread must not stay */
    if (region->reserved) munmap(region->reserved, region->reserved_size);
    mm_history_free(&region->history);
    mm_pages_free(&region->pending);
    free(region->slots);
    mm_copyist_free(&region->copyist);
    free(region);
}

void mm_region_inherit(mm_region *region) {
    const mm_node *head = mm_history_find(&region->history, region->history.head);
    region->partial = head && (head->info.flags & MM_CHECKPOINT_PARTIAL);
}

int mm_region_begin(mm_region *region, int writing) {
    if (region->forked)
        return mm_fail(MM_E_FORKED, "region %s belongs to the parent of this process", region->name);
    if (region->closed) return mm_fail(MM_E_INVALID, "region %s is closed", region->name);
    if (writing && region->read_only)
        return mm_fail(MM_E_READ_ONLY, "region %s is open for reading only", region->name);
    if (region->broken)
        return mm_fail(MM_E_SYSTEM, "a restore of region %s failed half-way: close it and open it again",
                       region->name);
    if (mm_gate_depth(&region->gate))
        return mm_fail(MM_E_HELD, "not inside an update of region %s: it would wait for itself",
                       region->name);
    pthread_mutex_lock(&region->operation);
    if (!region->closed) return MM_OK;
    pthread_mutex_unlock(&region->operation);
    return mm_fail(MM_E_INVALID, "region %s is closed", region->name);
}

void mm_region_end(mm_region *region) { pthread_mutex_unlock(&region->operation); }

int mm_region_record(mm_region *region, mm_frame *frame, int durable) {
    pthread_mutex_lock(&region->history_lock);
    int status = mm_journal_append(&region->journal, frame, &region->history, durable);
    pthread_mutex_unlock(&region->history_lock);
    return status;
}

mm_gate *mm_region_gate(mm_region *region) { return &region->gate; }
void *mm_region_address(const mm_region *region) { return region->address; }
uint64_t mm_region_extent(const mm_region *region) { return region->extent; }
uint64_t mm_region_size_max(const mm_region *region) { return region->header.size_max_bytes; }
int mm_region_created(const mm_region *region) { return region->created; }
mm_medium_kind mm_region_medium(const mm_region *region) { return region->medium->kind; }
void mm_region_set_partial(mm_region *region, int partial) { region->partial = partial; }
int mm_region_partial(const mm_region *region) { return region->partial; }
void mm_region_set_generation(mm_region *region, uint64_t generation) { region->generation = generation; }
uint64_t mm_region_generation(const mm_region *region) { return region->generation; }
