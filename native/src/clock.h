/* Time: one clock for pauses and leases, which must not stop while a machine sleeps. */
#ifndef MM_CLOCK_H
#define MM_CLOCK_H

#include <stdint.h>
#include <time.h>

#define MM_SECOND_NS 1000000000ull

static inline uint64_t mm_clock_ns(clockid_t clock) {
    struct timespec now;
    clock_gettime(clock, &now);
    return (uint64_t)now.tv_sec * MM_SECOND_NS + (uint64_t)now.tv_nsec;
}

static inline uint64_t mm_now_ns(void) { return mm_clock_ns(CLOCK_BOOTTIME); }

#endif
