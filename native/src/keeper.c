#include "keeper.h"

#include "error.h"
#include "region.h"
#include "thread.h"

#include <sys/mman.h>
#include <time.h>

#define PREFAULT_STEP_BYTES (16u << 20)
#define FIRST_ACCESS_NS 500000

static int is_stopping(mm_keeper *keeper) {
    pthread_mutex_lock(&keeper->lock);
    int stop = keeper->stop;
    pthread_mutex_unlock(&keeper->lock);
    return stop;
}

/* A tracked mapping takes a fault for each page, an untracked one for sixteen: touching a GiB took 300 ms
 * instead of 80. So the page tables are filled before tracking starts. Without the operation lock: nobody
 * waits for it, and a mapping that is replaced meanwhile takes no harm. On a disk it would read everything.
 */
static void prefault(mm_region *region) {
    uint64_t at = region->armed;
    /* Newly mapped: whoever opened or restored it looks at it now, and faults wait for this thread's. */
    if (at == 0) nanosleep(&(struct timespec){0, FIRST_ACCESS_NS}, NULL);
    for (; !region->medium->durable && at < region->extent; at += PREFAULT_STEP_BYTES) {
        uint64_t left = region->extent - at;
        if (region->armed > at || is_stopping(&region->keeper)) return;
        madvise(region->address + at, left < PREFAULT_STEP_BYTES ? left : PREFAULT_STEP_BYTES,
                MADV_POPULATE_READ);
    }
}

/* Each is tried; a failure (no room for undo, a reader on the base) leaves it for the next time, and the
 * checkpoint that can not go on because of it says so. */
static void keep_up(mm_region *region) {
    pthread_mutex_lock(&region->operation);
    if (!region->closed) {
        int applied = mm_region_move_base(region) == MM_OK;
        if (applied) mm_region_tidy(region);
        mm_region_arm(region);
        mm_region_remove_leftovers(region);
        pthread_mutex_lock(&region->history_lock);
        mm_journal_compact(&region->journal, region->folder_fd, &region->history);
        pthread_mutex_unlock(&region->history_lock);
    }
    pthread_mutex_unlock(&region->operation);
}

static void *keeper_main(void *argument) {
    mm_region *region = argument;
    mm_keeper *keeper = &region->keeper;
    mm_thread_go_behind();
    pthread_mutex_lock(&keeper->lock);
    while (!keeper->stop) {
        while (!keeper->asked && !keeper->stop) pthread_cond_wait(&keeper->changed, &keeper->lock);
        keeper->asked = 0;
        pthread_mutex_unlock(&keeper->lock);
        prefault(region);
        keep_up(region);
        mm_tracker_sweep(&region->tracker);
        pthread_mutex_lock(&keeper->lock);
    }
    pthread_mutex_unlock(&keeper->lock);
    return NULL;
}

int mm_keeper_start(mm_region *region) {
    mm_keeper *keeper = &region->keeper;
    pthread_mutex_init(&keeper->lock, NULL);
    pthread_cond_init(&keeper->changed, NULL);
    keeper->asked = 1; /* arming waits */
    int status = mm_thread_start(&keeper->thread, keeper_main, region, MM_THREAD_BACKGROUND, "keeper");
    keeper->running = status == MM_OK;
    return status;
}

static void tell(mm_keeper *keeper, int *flag) {
    pthread_mutex_lock(&keeper->lock);
    *flag = 1;
    pthread_cond_signal(&keeper->changed);
    pthread_mutex_unlock(&keeper->lock);
}

void mm_keeper_wake(mm_region *region) {
    if (region->keeper.running) tell(&region->keeper, &region->keeper.asked);
}

void mm_keeper_stop(mm_region *region) {
    if (!region->keeper.running) return;
    tell(&region->keeper, &region->keeper.stop);
    pthread_join(region->keeper.thread, NULL);
    region->keeper.running = 0;
}
