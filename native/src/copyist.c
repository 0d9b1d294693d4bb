#include "copyist.h"

#include "error.h"
#include "thread.h"

#include <limits.h>
#include <linux/futex.h>
#include <sched.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Some 15 us of work: what the one waits for at most when the other took the last. */
#define PAGES_AT_ONCE 32u

#define YIELDS 64u /* some 20 us; sleeping and waking take longer than the other's pages */

#define OPEN 1u
#define INSIDE 2u
#define STOP 4u

/* ---- the list ------------------------------------------------------------------- */

int mm_copyist_reserve(mm_copyist *copyist, uint64_t pages) {
    if (pages <= copyist->room) return MM_OK;
    uint32_t *listed = realloc(copyist->listed, pages * sizeof *listed);
    if (!listed) return mm_fail_errno("a list of %llu pages", (unsigned long long)pages);
    memset(listed, 0, pages * sizeof *listed);
    copyist->listed = listed;
    copyist->room = pages;
    return MM_OK;
}

void mm_copyist_begin(mm_copyist *copyist, mm_delta *log, const uint8_t *memory) {
    MM_ASSERT(!(atomic_load(&copyist->door) & (OPEN | INSIDE)));
    copyist->log = log;
    copyist->memory = memory;
    atomic_store(&copyist->taken_count, 0);
    copyist->listed_count = 0;
}

void mm_copyist_list(mm_copyist *copyist, uint64_t slot) {
    MM_ASSERT(copyist->listed_count < copyist->room);
    copyist->listed[copyist->listed_count++] = (uint32_t)slot;
}

static const uint8_t *bytes_of(const mm_copyist *copyist, uint64_t at) {
    return copyist->memory + (uint64_t)copyist->log->index[copyist->listed[at]].page * MM_PAGE_SIZE;
}

int mm_copyist_copy(mm_copyist *copyist) {
    uint64_t count = copyist->listed_count, first = atomic_fetch_add(&copyist->taken_count, PAGES_AT_ONCE);
    if (first >= count) return 0;
    uint64_t end = count - first < PAGES_AT_ONCE ? count : first + PAGES_AT_ONCE;
    for (uint64_t at = first; at < end; at++)
        mm_delta_renew(copyist->log, copyist->listed[at], bytes_of(copyist, at),
                       bytes_of(copyist, at + 1 < end ? at + 1 : at));
    return 1;
}

/* ---- the second thread ------------------------------------------------------------- */

static void wake(mm_copyist *copyist) {
    syscall(SYS_futex, &copyist->door, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
}

static void *second_main(void *argument) {
    mm_copyist *copyist = argument;
    uint32_t door;
    while (!((door = atomic_load(&copyist->door)) & STOP)) {
        if (!(door & OPEN)) {
            syscall(SYS_futex, &copyist->door, FUTEX_WAIT_PRIVATE, door, NULL, NULL, 0);
        } else if (atomic_compare_exchange_strong(&copyist->door, &door, door | INSIDE)) {
            while ((atomic_load(&copyist->door) & OPEN) && mm_copyist_copy(copyist)) continue;
            mm_copy_fence();
            atomic_fetch_and(&copyist->door, ~(INSIDE | OPEN)); /* nothing is left to take: not again */
            wake(copyist);
        }
    }
    return NULL;
}

static void ring(mm_copyist *copyist, uint32_t bit) {
    atomic_fetch_or(&copyist->door, bit);
    wake(copyist);
}

int mm_copyist_prepare(mm_copyist *copyist) {
    cpu_set_t others;
    int here = sched_getcpu();
    if (here < 0 || sched_getaffinity(0, sizeof others, &others) != 0) return 0;
    CPU_CLR((unsigned)here, &others);
    if (!CPU_COUNT(&others)) return 0;
    if (!copyist->running)
        copyist->running =
            mm_thread_start(&copyist->second, second_main, copyist, MM_THREAD_PROMPT, "copyist") == MM_OK;
    if (copyist->running && here != copyist->processor) {
        /* Woken on the processor of who wakes it, as some schedulers would have it, it came too late. */
        if (pthread_setaffinity_np(copyist->second, sizeof others, &others) != 0) return 0;
        copyist->processor = here;
    }
    return copyist->running;
}

/* In the pause: one system call, some 10 us, so that the copying takes half as long. */
void mm_copyist_call(mm_copyist *copyist) { ring(copyist, OPEN); }

/* In the pause: it lasts as long as the other's last pages. Where the two share a processor after all it goes
 * to the other, also if this thread's class of scheduling is a higher one. */
void mm_copyist_dismiss(mm_copyist *copyist) {
    uint32_t door = atomic_fetch_and(&copyist->door, ~OPEN) & ~OPEN;
    for (unsigned turn = 0; door & INSIDE; door = atomic_load(&copyist->door)) {
        if (turn++ < YIELDS)
            sched_yield();
        else
            syscall(SYS_futex, &copyist->door, FUTEX_WAIT_PRIVATE, door, NULL, NULL, 0);
    }
}

void mm_copyist_stop(mm_copyist *copyist) {
    if (!copyist->running) return;
    ring(copyist, STOP);
    pthread_join(copyist->second, NULL);
    copyist->running = 0;
}

void mm_copyist_free(mm_copyist *copyist) { free(copyist->listed); }
