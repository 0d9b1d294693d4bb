/* The fear: "a region may be used from many threads". Everything at once, and the end of it in the middle. */
#include "check.h"
#include "scratch.h"

#include <pthread.h>
#include <unistd.h>

#define SIZE_MAX_BYTES (16u << 20)

static mm_region *region;
static _Atomic int stop;
static _Atomic unsigned long rounds[8];

static int is_over(int status) { return stop && status == MM_E_INVALID; } /* closed under it */

static void *update(void *unused) {
    (void)unused;
    for (uint64_t value = 1; !stop; value++) {
        CHECK_OK(mm_gate_enter(mm_region_gate(region), NULL));
        /* Two pages that are equal outside of updates; restores and cuts see them so. */
        if (is_stamped(region, 3, 0)) CHECK(is_stamped(region, 300, 0));
        stamp(region, 3, value);
        stamp(region, 300, value);
        mm_gate_leave(mm_region_gate(region));
        rounds[0]++;
    }
    return NULL;
}

static void *grow(void *unused) {
    (void)unused;
    for (uint64_t extent = REGION_BYTES; !stop && extent <= SIZE_MAX_BYTES; extent += 1u << 20) {
        int status = mm_region_grow(region, extent);
        CHECK(status == MM_OK || is_over(status));
        usleep(20000);
        rounds[1]++;
    }
    return NULL;
}

static void *keep(void *unused) {
    (void)unused;
    while (!stop) {
        mm_checkpoint_info infos[4];
        mm_checkpoint_request request = {0};
        int status = mm_region_checkpoint(region, &request, &infos[0]);
        CHECK(status == MM_OK || is_over(status));
        size_t count = COUNT_OF(infos);
        status = mm_region_checkpoints(region, infos, &count);
        CHECK(status == MM_OK || is_over(status));
        /* Another thread may have restored to it in between: then it is the head, and stays. */
        if (status == MM_OK && count > 4) {
            status = mm_region_delete(region, infos[0].epoch);
            CHECK(status == MM_OK || status == MM_E_INVALID);
        }
        rounds[2]++;
    }
    return NULL;
}

static void *go_back(void *unused) {
    (void)unused;
    while (!stop) {
        mm_checkpoint_info infos[8], info;
        size_t count = COUNT_OF(infos);
        int status = mm_region_checkpoints(region, infos, &count);
        CHECK(status == MM_OK || is_over(status));
        if (status == MM_OK && count) {
            status = mm_region_restore(region, infos[count < 8 ? count / 2 : 4].epoch, &info);
            CHECK(status == MM_OK || status == MM_E_NOT_FOUND || is_over(status));
        }
        usleep(3000);
        rounds[3]++;
    }
    return NULL;
}

static void *look(void *unused) {
    (void)unused;
    while (!stop) {
        mm_checkpoint_info info;
        mm_usage usage;
        mm_range ranges[16];
        size_t count = COUNT_OF(ranges);
        int status = mm_region_head(region, &info);
        CHECK(status == MM_OK || status == MM_E_NOT_FOUND || is_over(status));
        status = mm_region_usage(region, &usage);
        CHECK(status == MM_OK || is_over(status));
        status = mm_region_peek(region, ranges, &count);
        CHECK(status == MM_OK || is_over(status));
        rounds[4]++;
    }
    return NULL;
}

static void *tidy_up(void *unused) {
    (void)unused;
    while (!stop) {
        int status = mm_region_settle(region);
        CHECK(status == MM_OK || is_over(status));
        status = mm_region_collect(region);
        CHECK(status == MM_OK || is_over(status));
        status = mm_region_verify(region, MM_EPOCH_HEAD);
        CHECK(status == MM_OK || is_over(status));
        rounds[5]++;
    }
    return NULL;
}

static void run_together(int milliseconds, int close_meanwhile) {
    static void *(*const bodies[])(void *) = {update, grow, keep, go_back, look, tidy_up};
    pthread_t threads[COUNT_OF(bodies)];
    mm_open_options options = {.size_max_bytes = SIZE_MAX_BYTES};
    CHECK_OK(mm_region_open(scratch_pool(), "r", &options, &region));
    CHECK_OK(mm_region_grow(region, REGION_BYTES));
    stop = 0;
    for (size_t i = 0; i < COUNT_OF(bodies); i++) {
        rounds[i] = 0;
        CHECK(pthread_create(&threads[i], NULL, bodies[i], NULL) == 0);
    }
    usleep((unsigned)milliseconds * 1000);
    stop = 1;
    if (close_meanwhile) CHECK_OK(mm_region_close(region));
    for (size_t i = 0; i < COUNT_OF(bodies); i++) CHECK(pthread_join(threads[i], NULL) == 0 && rounds[i] > 0);
    if (!close_meanwhile) CHECK_OK(mm_region_close(region));
    mm_region_unref(region);
}

int main(void) {
    run_together(1500, 0);
    for (int i = 0; i < 10; i++) run_together(60, 1);
    return 0;
}
