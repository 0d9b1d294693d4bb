/* Mappings that a restore moved aside. Moving a GiB takes 0.1 ms, but somebody has to acknowledge it while
 * the mover waits: a thread that does nothing else. Dropping it takes 60 ms, and is done when there is time.
 */
#include "error.h"
#include "kernel.h"
#include "thread.h"

#include <errno.h>
#include <linux/mman.h>
#include <poll.h>
#include <sched.h>
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

void mm_tracker_sweep(mm_tracker *tracker) {
    for (mm_aside *aside = take_asides(tracker); aside;) {
        /* Each address once: what is given back may at once be another mapping's. */
        for (uint64_t at = 0; at < aside->reserved_size; at += SWEEP_STEP_BYTES) {
            uint64_t left = aside->reserved_size - at;
            munmap(aside->reserved + at, left < SWEEP_STEP_BYTES ? left : SWEEP_STEP_BYTES);
        }
        mm_aside *done = aside;
        aside = aside->next;
        free(done);
    }
}

static void *acknowledger_main(void *argument) {
    mm_tracker *tracker = argument;
    while (!__atomic_load_n(&tracker->stopping, __ATOMIC_ACQUIRE)) {
        struct pollfd wait[2] = {{tracker->uffd, POLLIN, 0}, {tracker->stop_fd, POLLIN, 0}};
        if (poll(wait, 2, -1) < 0 && errno != EINTR) break;
        acknowledge_moves(tracker);
    }
    return NULL;
}

int mm_tracker_start_acknowledger(mm_tracker *tracker) {
    tracker->acknowledger_processor = -1;
    return mm_thread_start(&tracker->acknowledger, acknowledger_main, tracker, MM_THREAD_PROMPT,
                           "acknowledger");
}

void mm_tracker_stop_acknowledger(mm_tracker *tracker) {
    uint64_t one = 1;
    __atomic_store_n(&tracker->stopping, 1, __ATOMIC_RELEASE);
    ssize_t put = write(tracker->stop_fd, &one, sizeof one);
    MM_ASSERT(put == (ssize_t)sizeof one);
    pthread_join(tracker->acknowledger, NULL);
}

/* The mover sleeps until the acknowledger has run. On the mover's own processor it runs at once (55 us a
 * GiB); another processor would first have to be woken from its idleness (150 us). Where it is refused, so be
 * it. */
static void bring_acknowledger_here(mm_tracker *tracker) {
    int processor = sched_getcpu();
    if (processor < 0 || processor >= CPU_SETSIZE || processor == tracker->acknowledger_processor) return;
    cpu_set_t here;
    CPU_ZERO(&here);
    CPU_SET(processor, &here);
    if (pthread_setaffinity_np(tracker->acknowledger, sizeof here, &here) == 0)
        tracker->acknowledger_processor = processor;
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
    bring_acknowledger_here(tracker);
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
