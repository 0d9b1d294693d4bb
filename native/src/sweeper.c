/* Mappings that a restore moved aside: their move is acknowledged, and they are dropped, behind the
 * application's back. Dropping a GiB of private pages takes 60 ms; moving it takes 0.1. */
#include "error.h"
#include "kernel.h"
#include "thread.h"

#include <errno.h>
#include <linux/mman.h>
#include <poll.h>
#include <sys/mman.h>
#include <unistd.h>

#define SWEEP_STEP_BYTES (4u << 20) /* munmap holds the address space: short steps let others in */

typedef struct mm_aside {
    struct mm_aside *next;
    uint8_t *reserved; /* with the mapping somewhere in it */
    uint64_t reserved_size;
} mm_aside;

static void acknowledge_moves(mm_tracker *tracker) {
    struct uffd_msg event;
    while (read(tracker->uffd, &event, sizeof event) == (ssize_t)sizeof event) {
    }
}

static mm_aside *take_asides(mm_tracker *tracker) {
    pthread_mutex_lock(&tracker->aside_lock);
    mm_aside *list = tracker->asides;
    tracker->asides = NULL;
    pthread_mutex_unlock(&tracker->aside_lock);
    return list;
}

static void sweep(mm_tracker *tracker) {
    for (mm_aside *aside = take_asides(tracker); aside;) {
        /* Each address once: what is given back may at once be another mapping's. */
        for (uint64_t at = 0; at < aside->reserved_size; at += SWEEP_STEP_BYTES) {
            uint64_t left = aside->reserved_size - at;
            munmap(aside->reserved + at, left < SWEEP_STEP_BYTES ? left : SWEEP_STEP_BYTES);
            acknowledge_moves(tracker); /* another restore does not wait for this one's waste */
        }
        mm_aside *done = aside;
        aside = aside->next;
        free(done);
    }
}

static void *sweeper_main(void *argument) {
    mm_tracker *tracker = argument;
    while (!__atomic_load_n(&tracker->stopping, __ATOMIC_ACQUIRE)) {
        struct pollfd wait[2] = {{tracker->uffd, POLLIN, 0}, {tracker->wake_fd, POLLIN, 0}};
        if (poll(wait, 2, -1) < 0 && errno != EINTR) break;
        uint64_t wakes;
        ssize_t woken = read(tracker->wake_fd, &wakes, sizeof wakes);
        if (woken < 0 && errno != EAGAIN) break;
        acknowledge_moves(tracker);
        if (woken > 0) sweep(tracker); /* not on a move: its restore is still under way */
    }
    sweep(tracker);
    return NULL;
}

int mm_tracker_start_sweeper(mm_tracker *tracker) {
    return mm_thread_start(&tracker->sweeper, sweeper_main, tracker, "sweeper");
}

void mm_tracker_sweep(mm_tracker *tracker) {
    uint64_t one = 1;
    ssize_t put = write(tracker->wake_fd, &one, sizeof one);
    MM_ASSERT(put == (ssize_t)sizeof one || errno == EAGAIN); /* EAGAIN: it is awake already */
}

void mm_tracker_stop_sweeper(mm_tracker *tracker) {
    __atomic_store_n(&tracker->stopping, 1, __ATOMIC_RELEASE);
    mm_tracker_sweep(tracker);
    pthread_join(tracker->sweeper, NULL);
}

int mm_tracker_set_aside(mm_tracker *tracker, void *address, uint64_t size, uint64_t alignment) {
    mm_aside *aside = malloc(sizeof *aside);
    if (!aside) return mm_fail_errno("setting a mapping aside");
    /* Page tables move whole only between places that are aligned alike. */
    uint64_t reserved_size = size + alignment;
    uint8_t *reserved =
        mmap(NULL, reserved_size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (reserved == MAP_FAILED) {
        free(aside);
        return mm_fail_errno("setting %llu bytes aside", (unsigned long long)size);
    }
    uint8_t *target = (uint8_t *)(((uintptr_t)reserved + alignment - 1) & ~(uintptr_t)(alignment - 1));
    /* The old range stays mapped, empty: in a hole, another thread's mmap could settle. */
    void *moved = mremap(address, size, size, MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP, target);
    if (moved == MAP_FAILED) {
        munmap(reserved, reserved_size);
        free(aside);
        return mm_fail(MM_E_UNSUPPORTED, "this kernel does not move a tracked mapping");
    }
    *aside = (mm_aside){NULL, reserved, reserved_size};
    pthread_mutex_lock(&tracker->aside_lock);
    aside->next = tracker->asides;
    tracker->asides = aside;
    pthread_mutex_unlock(&tracker->aside_lock);
    return MM_OK;
}
