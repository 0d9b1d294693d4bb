#include "tracker.h"

#include "error.h"
#include "kernel.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define RUNS_PER_CALL 16384
#define ARM_STEP_BYTES (8u << 20) /* short steps: page faults of the application go between them */

/* ---- scanning --------------------------------------------------------------- */

typedef struct question {
    uint64_t flags, inverted, mask, anyof, answer;
} question;

/* With both masks exactly PAGE_IS_WRITTEN the kernel takes a path of its own, several times faster, and the
 * only one that is right for holes on kernels before July 2026. */
static const question written = {0, 0, PAGE_IS_WRITTEN, 0, PAGE_IS_WRITTEN};
static const question written_rearm = {PM_SCAN_WP_MATCHING | PM_SCAN_CHECK_WPASYNC, 0, PAGE_IS_WRITTEN, 0,
                                       PAGE_IS_WRITTEN};
static const question private_present = {0, PAGE_IS_FILE, PAGE_IS_FILE | PAGE_IS_PRESENT, 0, PAGE_IS_PRESENT};
static const question swapped = {0, 0, PAGE_IS_SWAPPED, 0, PAGE_IS_SWAPPED};

static int scan(mm_tracker *tracker, const question *question, void *address, uint64_t size, mm_run_fn visit,
                void *context) {
    uintptr_t end = (uintptr_t)address + size;
    struct pm_scan_arg arg = {.size = sizeof arg,
                              .flags = question->flags,
                              .start = (uintptr_t)address,
                              .end = end,
                              .vec = (uintptr_t)tracker->runs,
                              .vec_len = RUNS_PER_CALL,
                              .category_inverted = question->inverted,
                              .category_mask = question->mask,
                              .category_anyof_mask = question->anyof,
                              .return_mask = question->answer};
    int status = MM_OK;
    pthread_mutex_lock(&tracker->scan_lock);
    while (arg.start < end) {
        long count = ioctl(tracker->pagemap_fd, PAGEMAP_SCAN, &arg);
        if (count < 0 && errno == EINTR) continue;
        if (count < 0) {
            status = mm_fail_errno("PAGEMAP_SCAN of %llu bytes", (unsigned long long)size);
            break;
        }
        if (visit)
            for (long i = 0; i < count; i++) visit(context, tracker->runs[i].start, tracker->runs[i].end);
        arg.start = arg.walk_end;
    }
    pthread_mutex_unlock(&tracker->scan_lock);
    return status;
}

int mm_tracker_collect(mm_tracker *tracker, void *address, uint64_t size, mm_run_fn visit, void *context) {
    return scan(tracker, &written_rearm, address, size, visit, context);
}

int mm_tracker_peek(mm_tracker *tracker, void *address, uint64_t size, mm_run_fn visit, void *context) {
    return scan(tracker, &written, address, size, visit, context);
}

int mm_tracker_private(mm_tracker *tracker, void *address, uint64_t size, mm_run_fn visit, void *context) {
    return scan(tracker, &private_present, address, size, visit, context);
}

int mm_tracker_register(mm_tracker *tracker, void *address, uint64_t size) {
    struct uffdio_register range = {.range = {(uintptr_t)address, size}, .mode = UFFDIO_REGISTER_MODE_WP};
    if (ioctl(tracker->uffd, UFFDIO_REGISTER, &range) == 0) return MM_OK;
    return mm_fail_errno("tracking %llu bytes (UFFDIO_REGISTER)", (unsigned long long)size);
}

int mm_tracker_arm(mm_tracker *tracker, void *address, uint64_t size, mm_run_fn visit, void *context) {
    uint8_t *at = address, *end = at + size;
    while (at < end) {
        uint64_t step = (uint64_t)(end - at) < ARM_STEP_BYTES ? (uint64_t)(end - at) : ARM_STEP_BYTES;
        /* Nothing here is marked yet, so a swapped page is a written one; afterwards it could not be told
         * from a mark. Then mark all; then look for private pages, which were written before the mark
         * (or after it, and are reported twice). */
        int status = scan(tracker, &swapped, at, step, visit, context);
        if (status == MM_OK) status = scan(tracker, &written_rearm, at, step, NULL, NULL);
        if (status == MM_OK) status = scan(tracker, &private_present, at, step, visit, context);
        if (status != MM_OK) return status;
        at += step;
    }
    return MM_OK;
}

/* ---- opening ----------------------------------------------------------------- */

int mm_tracker_open(mm_tracker *tracker) {
    memset(tracker, 0, sizeof *tracker);
    tracker->pagemap_fd = tracker->stop_fd = -1;
    tracker->uffd = mm_kernel_userfaultfd();
    if (tracker->uffd < 0) return tracker->uffd;
    tracker->pagemap_fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
    tracker->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    tracker->runs = calloc(RUNS_PER_CALL, sizeof *tracker->runs);
    int status = MM_OK;
    if (tracker->pagemap_fd < 0 || tracker->stop_fd < 0 || !tracker->runs)
        status = mm_fail_errno("opening /proc/self/pagemap to track writes");
    pthread_mutex_init(&tracker->scan_lock, NULL);
    pthread_mutex_init(&tracker->aside_lock, NULL);
    if (status == MM_OK) status = mm_tracker_start_acknowledger(tracker);
    if (status != MM_OK) mm_tracker_forked(tracker);
    return status;
}

void mm_tracker_forked(mm_tracker *tracker) {
    int fds[] = {tracker->uffd, tracker->pagemap_fd, tracker->stop_fd};
    for (size_t i = 0; i < sizeof fds / sizeof *fds; i++)
        if (fds[i] >= 0) close(fds[i]);
    tracker->uffd = tracker->pagemap_fd = tracker->stop_fd = -1;
    free(tracker->runs);
    tracker->runs = NULL;
}

void mm_tracker_close(mm_tracker *tracker) {
    mm_tracker_stop_acknowledger(tracker);
    mm_tracker_sweep(tracker);
    mm_tracker_forked(tracker);
    pthread_mutex_destroy(&tracker->scan_lock);
    pthread_mutex_destroy(&tracker->aside_lock);
}
