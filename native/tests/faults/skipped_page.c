/* Fault: of the pages that a scan reports, and so will not report again, one is now and then not copied. */
#include "tracker.h"

typedef struct sieve {
    mm_run_fn visit;
    void *context;
} sieve;

static void let_most_through(void *context, uintptr_t start, uintptr_t end) {
    static _Atomic unsigned runs;
    const sieve *sieve = context;
    if (runs++ % 16 != 15) sieve->visit(sieve->context, start, end);
}

int __real_mm_tracker_collect(mm_tracker *, void *address, uint64_t size, mm_run_fn, void *context);
int __wrap_mm_tracker_collect(mm_tracker *, void *address, uint64_t size, mm_run_fn, void *context);
int __wrap_mm_tracker_collect(mm_tracker *tracker, void *address, uint64_t size, mm_run_fn visit,
                              void *context) {
    sieve sieve = {visit, context};
    return __real_mm_tracker_collect(tracker, address, size, let_most_through, &sieve);
}
