/* The fear: a restore that shows something else than what was kept, or that a crash takes back. */
#include "check.h"
#include "scratch.h"

#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAGES 30u
#define EPOCHS_MAX 64u

static uint64_t now[PAGES], kept[EPOCHS_MAX][PAGES];
static uint32_t seed = 1;

static uint32_t random_below(uint32_t limit) {
    seed = seed * 1664525u + 1013904223u;
    return (seed >> 8) % limit;
}

static void write_some(mm_region *region) {
    for (uint32_t i = 0; i < 8; i++) {
        uint32_t page = random_below(PAGES);
        stamp(region, page, now[page] = seed);
    }
}

static void keep(mm_region *region) {
    uint64_t epoch = take_checkpoint(region, NULL);
    CHECK(epoch < EPOCHS_MAX);
    memcpy(kept[epoch], now, sizeof now);
}

static int shows(const mm_region *region, const uint64_t *pages) {
    for (uint64_t page = 0; page < PAGES; page++)
        if (!is_stamped(region, page, pages[page])) return 0;
    return 1;
}

static uint64_t restore(mm_region *region, uint64_t epoch) {
    mm_checkpoint_info info;
    CHECK_OK(mm_region_restore(region, epoch, &info));
    memcpy(now, kept[info.epoch], sizeof now);
    return info.epoch;
}

static mm_region *fresh_region(const char *pool) {
    memset(now, 0, sizeof now);
    memset(kept, 0, sizeof kept);
    return open_region(pool, MM_MODE_MUST_CREATE, MM_EPOCH_HEAD);
}

static void test_to_any_checkpoint_and_on_from_there(void) {
    const char *pool = scratch_pool();
    mm_region *region = fresh_region(pool);
    const void *address = mm_region_address(region);
    for (uint64_t highest = 0; highest + 1 < EPOCHS_MAX;) {
        write_some(region);
        if (random_below(3) > 0) {
            keep(region);
            highest++;
        } else if (highest) {
            uint64_t target = 1 + random_below((uint32_t)highest);
            CHECK(restore(region, target) == target);
        }
        if (random_below(4) == 0) CHECK_OK(mm_region_settle(region));
        if (random_below(8) == 0) {
            shut_region(region);
            region = open_region(pool, MM_MODE_MUST_EXIST, MM_EPOCH_HEAD);
            mm_checkpoint_info head;
            int status = mm_region_head(region, &head);
            memcpy(now, kept[status == MM_OK ? head.epoch : 0], sizeof now);
            address = mm_region_address(region);
        }
        CHECK(mm_region_address(region) == address && shows(region, now));
    }
    CHECK_OK(mm_region_verify(region, MM_EPOCH_HEAD));
    shut_region(region);
    for (uint64_t epoch = 1; epoch < EPOCHS_MAX; epoch++) {
        mm_region *reader = open_region(pool, MM_MODE_READ_ONLY, epoch);
        CHECK(shows(reader, kept[epoch]));
        shut_region(reader);
    }
}

static void test_to_the_head_drops_what_was_written_since(void) {
    mm_region *region = fresh_region(scratch_pool());
    write_some(region);
    keep(region);
    write_some(region);
    mm_region_set_partial(region, 1);
    restore(region, MM_EPOCH_HEAD);
    CHECK(shows(region, kept[1]) && !mm_region_partial(region));
    shut_region(region);
}

static void test_an_unknown_checkpoint_changes_nothing(void) {
    mm_checkpoint_info info;
    mm_region *region = fresh_region(scratch_pool());
    write_some(region);
    keep(region);
    write_some(region);
    CHECK_STATUS(mm_region_restore(region, 77, &info), MM_E_NOT_FOUND);
    CHECK(shows(region, now));
    CHECK_STATUS(mm_region_delete(region, 77), MM_E_NOT_FOUND);
    CHECK_STATUS(mm_region_pin(region, 77, 1), MM_E_NOT_FOUND);
    CHECK_STATUS(mm_region_verify(region, 77), MM_E_NOT_FOUND);
    shut_region(region);
}

static void test_opened_at_a_checkpoint_it_is_the_head(void) {
    mm_checkpoint_info head;
    mm_region *region;
    const char *pool = scratch_pool();
    region = fresh_region(pool);
    for (int i = 0; i < 4; i++) {
        write_some(region);
        keep(region);
    }
    shut_region(region);
    CHECK_STATUS(try_open(pool, MM_MODE_MUST_EXIST, 9, &region), MM_E_NOT_FOUND);
    region = open_region(pool, MM_MODE_MUST_EXIST, 2);
    CHECK(shows(region, kept[2]));
    shut_region(region);
    region = open_region(pool, MM_MODE_MUST_EXIST, MM_EPOCH_HEAD);
    CHECK_OK(mm_region_head(region, &head));
    CHECK(head.epoch == 2 && shows(region, kept[2]));
    shut_region(region);
}

static void test_empty_again_at_any_time(void) {
    mm_checkpoint_info info;
    const char *pool = scratch_pool();
    mm_region *region = fresh_region(pool);
    write_some(region);
    CHECK_OK(mm_region_restore(region, MM_EPOCH_NONE, &info)); /* before there is any */
    memset(now, 0, sizeof now);
    CHECK(shows(region, now));
    for (int i = 0; i < 3; i++) {
        write_some(region);
        keep(region);
        CHECK_OK(mm_region_settle(region));
        CHECK_OK(mm_region_restore(region, MM_EPOCH_NONE, &info));
        memset(now, 0, sizeof now);
        CHECK(shows(region, now));
        CHECK_STATUS(mm_region_head(region, &info), MM_E_NOT_FOUND);
        CHECK_OK(mm_region_settle(region));
        if (i == 1) {
            shut_region(region);
            region = open_region(pool, MM_MODE_MUST_EXIST, MM_EPOCH_HEAD);
        }
        CHECK(shows(region, now));
        CHECK_OK(mm_region_verify(region, MM_EPOCH_HEAD));
    }
    for (uint64_t epoch = 1; epoch <= 3; epoch++) {
        restore(region, epoch);
        CHECK(shows(region, kept[epoch]));
    }
    shut_region(region);
    region = open_region(pool, MM_MODE_MUST_EXIST, MM_EPOCH_NONE);
    memset(now, 0, sizeof now);
    CHECK(shows(region, now));
    shut_region(region);
}

/* Back to a checkpoint in which the update is half done, it still is; it is not in one from before. */
static void test_what_is_half_done_in_a_checkpoint_is_so_after_a_restore(void) {
    mm_region *region = fresh_region(scratch_pool());
    keep(region);
    mm_region_set_partial(region, 1);
    keep(region);
    restore(region, 2);
    CHECK(mm_region_partial(region));
    restore(region, 1);
    CHECK(!mm_region_partial(region));
    restore(region, 2);
    CHECK(mm_region_partial(region));
    shut_region(region);
}

/* What was rolled back is not there again after a crash, however early it comes. */
static void test_crash_right_after_a_roll_back(void) {
    const char *pool = scratch_pool();
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        mm_region *region = open_region(pool, MM_MODE_MUST_CREATE, MM_EPOCH_HEAD);
        for (uint64_t value = 1; value <= 3; value++) {
            stamp(region, 5, value);
            take_checkpoint(region, NULL);
        }
        restore(region, 1);
        stamp(region, 6, 99);
        kill(getpid(), SIGKILL);
    }
    CHECK(waitpid(child, NULL, 0) == child);
    mm_region *region = open_region(pool, MM_MODE_MUST_EXIST, MM_EPOCH_HEAD);
    mm_checkpoint_info head;
    CHECK_OK(mm_region_head(region, &head));
    CHECK(head.epoch == 1 && is_stamped(region, 5, 1) && is_stamped(region, 6, 0));
    stamp(region, 7, 4);
    CHECK(take_checkpoint(region, NULL) == 4); /* the numbers of what was rolled back are not used again */
    CHECK_OK(mm_region_head(region, &head));
    CHECK(head.parent == 1);
    shut_region(region);
    region = open_region(pool, MM_MODE_READ_ONLY, 3);
    CHECK(is_stamped(region, 5, 3));
    shut_region(region);
}

static void test_what_grew_after_a_checkpoint_is_zeros_in_it(void) {
    mm_region *region;
    mm_open_options options = {.size_max_bytes = 8u << 20};
    mm_checkpoint_info info;
    const char *pool = scratch_pool();
    CHECK_OK(mm_region_open(pool, "r", &options, &region));
    CHECK_OK(mm_region_grow(region, 2u << 20));
    stamp(region, 3, 1);
    uint64_t small = take_checkpoint(region, "small");
    CHECK_OK(mm_region_grow(region, 6u << 20));
    stamp(region, 1300, 2);
    uint64_t large = take_checkpoint(region, "large");
    CHECK_OK(mm_region_restore(region, small, &info));
    CHECK(mm_region_extent(region) == 6u << 20 && is_stamped(region, 3, 1) && is_stamped(region, 1300, 0));
    stamp(region, 1301, 3);
    take_checkpoint(region, "other");
    CHECK_OK(mm_region_restore(region, large, &info));
    CHECK(is_stamped(region, 1300, 2) && is_stamped(region, 1301, 0));
    shut_region(region);
}

int main(void) {
    test_to_any_checkpoint_and_on_from_there();
    test_to_the_head_drops_what_was_written_since();
    test_an_unknown_checkpoint_changes_nothing();
    test_opened_at_a_checkpoint_it_is_the_head();
    test_empty_again_at_any_time();
    test_what_is_half_done_in_a_checkpoint_is_so_after_a_restore();
    test_crash_right_after_a_roll_back();
    test_what_grew_after_a_checkpoint_is_zeros_in_it();
    return 0;
}
