/* The fear: two owners of one region, a child that goes on as if it were one, and errors that help nobody. */
#include "check.h"
#include "region.h"
#include "scratch.h"

#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static void expect_success(pid_t child) {
    int status;
    CHECK(waitpid(child, &status, 0) == child);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void test_modes(void) {
    mm_region *region;
    const char *pool = scratch_pool();
    CHECK_STATUS(try_open(pool, MM_MODE_MUST_EXIST, MM_EPOCH_HEAD, &region), MM_E_NOT_FOUND);
    CHECK_STATUS(try_open(pool, MM_MODE_READ_ONLY, MM_EPOCH_HEAD, &region), MM_E_NOT_FOUND);
    region = open_region(pool, MM_MODE_MUST_CREATE, MM_EPOCH_HEAD);
    CHECK(mm_region_created(region));
    shut_region(region);
    CHECK_STATUS(try_open(pool, MM_MODE_MUST_CREATE, MM_EPOCH_HEAD, &region), MM_E_EXISTS);
    region = open_region(pool, MM_MODE_OPEN_OR_CREATE, MM_EPOCH_HEAD);
    CHECK(!mm_region_created(region));
    shut_region(region);
    region = open_region(pool, MM_MODE_READ_ONLY, MM_EPOCH_HEAD);
    CHECK(is_stamped(region, 0, 0));
    shut_region(region);
}

static void test_a_pool_is_made_once(void) {
    mm_region *region;
    const char *pool = scratch_pool();
    CHECK_OK(mm_pool_make(pool));
    CHECK_OK(mm_pool_make(pool));
    CHECK_STATUS(try_open(pool, MM_MODE_MUST_EXIST, MM_EPOCH_HEAD, &region), MM_E_NOT_FOUND);
    shut_region(open_region(pool, MM_MODE_MUST_CREATE, MM_EPOCH_HEAD));
}

static void test_names(void) {
    static const char *const bad[] = {"", ".", "..", ".hidden", "a/b", "a b", "..\\x", "nul\n"};
    mm_region *region;
    mm_open_options options = {.size_max_bytes = REGION_BYTES};
    char long_name[200];
    const char *pool = scratch_pool();
    for (size_t i = 0; i < COUNT_OF(bad); i++)
        CHECK_STATUS(mm_region_open(pool, bad[i], &options, &region), MM_E_INVALID);
    memset(long_name, 'n', sizeof long_name);
    long_name[129] = '\0';
    CHECK_STATUS(mm_region_open(pool, long_name, &options, &region), MM_E_INVALID);
    long_name[128] = '\0';
    CHECK_OK(mm_region_open(pool, long_name, &options, &region));
    shut_region(region);
}

static void test_the_bound_grows_with_a_later_open(void) {
    mm_region *region;
    mm_open_options options = {.size_max_bytes = 2u << 20};
    const char *pool = scratch_pool();
    CHECK_OK(mm_region_open(pool, "r", &options, &region));
    CHECK_OK(mm_region_grow(region, 1));
    CHECK(mm_region_extent(region) == 2u << 20);
    CHECK_STATUS(mm_region_grow(region, (2u << 20) + 1), MM_E_FULL);
    stamp(region, 3, 1);
    take_checkpoint(region, NULL);
    shut_region(region);
    options.size_max_bytes = (3u << 20) + 1;
    CHECK_OK(mm_region_open(pool, "r", &options, &region));
    CHECK(mm_region_size_max(region) == 4u << 20 && is_stamped(region, 3, 1));
    CHECK_OK(mm_region_grow(region, 4u << 20));
    CHECK(is_stamped(region, 1023, 0));
    shut_region(region);
    options.size_max_bytes = 1; /* less than there is: what is stored counts */
    CHECK_OK(mm_region_open(pool, "r", &options, &region));
    CHECK(mm_region_size_max(region) == 4u << 20 && mm_region_extent(region) == 4u << 20);
    shut_region(region);
    options.size_max_bytes = UINT64_MAX;
    CHECK_STATUS(mm_region_open(pool, "r", &options, &region), MM_E_INVALID);
}

static void test_one_owner_in_a_process(void) {
    mm_region *other;
    const char *pool = scratch_pool();
    mm_region *region = open_region(pool, MM_MODE_MUST_CREATE, MM_EPOCH_HEAD);
    CHECK_STATUS(try_open(pool, MM_MODE_OPEN_OR_CREATE, MM_EPOCH_HEAD, &other), MM_E_IN_USE);
    CHECK_STATUS(try_open(pool, MM_MODE_OPEN_OR_CREATE, MM_EPOCH_HEAD, &other), MM_E_IN_USE);
    pid_t child = fork(); /* the failed opens must not have ended the lock */
    CHECK(child >= 0);
    if (child == 0) {
        char expected[40];
        CHECK_STATUS(try_open(pool, MM_MODE_MUST_EXIST, MM_EPOCH_HEAD, &other), MM_E_IN_USE);
        snprintf(expected, sizeof expected, "by process %d", (int)getppid());
        CHECK(strstr(mm_error_message(), expected) != NULL);
        _exit(0);
    }
    expect_success(child);
    shut_region(region);
    shut_region(open_region(pool, MM_MODE_MUST_EXIST, MM_EPOCH_HEAD));
}

static void test_a_forked_child_owns_nothing(void) {
    const char *pool = scratch_pool();
    mm_region *region = open_region(pool, MM_MODE_MUST_CREATE, MM_EPOCH_HEAD);
    stamp(region, 1, 7);
    uint64_t epoch = take_checkpoint(region, NULL);
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        mm_checkpoint_info info;
        mm_usage usage;
        size_t count = 0;
        CHECK_STATUS(try_checkpoint(region, "child"), MM_E_FORKED);
        CHECK_STATUS(mm_region_restore(region, epoch, &info), MM_E_FORKED);
        CHECK_STATUS(mm_region_head(region, &info), MM_E_FORKED);
        CHECK_STATUS(mm_region_checkpoints(region, &info, &count), MM_E_FORKED);
        CHECK_STATUS(mm_region_delete(region, epoch), MM_E_FORKED);
        CHECK_STATUS(mm_region_pin(region, epoch, 1), MM_E_FORKED);
        CHECK_STATUS(mm_region_flush(region, epoch), MM_E_FORKED);
        CHECK_STATUS(mm_region_verify(region, epoch), MM_E_FORKED);
        CHECK_STATUS(mm_region_settle(region), MM_E_FORKED);
        CHECK_STATUS(mm_region_usage(region, &usage), MM_E_FORKED);
        CHECK_STATUS(mm_region_collect(region), MM_E_FORKED);
        CHECK_STATUS(mm_region_peek(region, NULL, &count), MM_E_FORKED);
        CHECK_STATUS(mm_region_grow(region, 8u << 20), MM_E_FORKED);
        CHECK_STATUS(mm_gate_try_enter(mm_region_gate(region), NULL), MM_E_FORKED);
        CHECK_STATUS(mm_region_close(region), MM_E_FORKED);
        CHECK(is_stamped(region, 1, 7));
        stamp(region, 1, 8); /* private to the child */
        mm_region_unref(region);
        _exit(0);
    }
    expect_success(child);
    CHECK(is_stamped(region, 1, 7));
    stamp(region, 2, 9);
    take_checkpoint(region, NULL);
    shut_region(region);
    region = open_region(pool, MM_MODE_MUST_EXIST, MM_EPOCH_HEAD);
    CHECK(is_stamped(region, 1, 7) && is_stamped(region, 2, 9));
    shut_region(region);
}

/* Hazard 6: the owner is killed, its forked child lives on; the region can be opened at once. */
static void test_a_dead_owners_child_holds_no_lock(void) {
    int told[2];
    pid_t grandchild;
    const char *pool = scratch_pool();
    CHECK(pipe(told) == 0);
    pid_t owner = fork();
    CHECK(owner >= 0);
    if (owner == 0) {
        mm_region *region = open_region(pool, MM_MODE_MUST_CREATE, MM_EPOCH_HEAD);
        stamp(region, 1, 3);
        take_checkpoint(region, NULL);
        pid_t child = fork();
        if (child == 0)
            for (;;) pause();
        CHECK(write(told[1], &child, sizeof child) == sizeof child);
        kill(getpid(), SIGKILL);
    }
    CHECK(read(told[0], &grandchild, sizeof grandchild) == sizeof grandchild);
    CHECK(waitpid(owner, NULL, 0) == owner);
    mm_region *region = open_region(pool, MM_MODE_MUST_EXIST, MM_EPOCH_HEAD);
    CHECK(is_stamped(region, 1, 3));
    stamp(region, 1, 4);
    take_checkpoint(region, NULL);
    CHECK_OK(mm_region_settle(region));
    shut_region(region);
    CHECK(kill(grandchild, SIGKILL) == 0);
    close(told[0]);
    close(told[1]);
}

static void test_a_child_may_open_regions_of_its_own(void) {
    const char *pool = scratch_pool();
    mm_region *region = open_region(pool, MM_MODE_MUST_CREATE, MM_EPOCH_HEAD);
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        mm_region *own;
        mm_open_options options = {.size_max_bytes = REGION_BYTES};
        CHECK_OK(mm_region_open(pool, "own", &options, &own));
        CHECK_OK(mm_region_grow(own, REGION_BYTES));
        stamp(own, 4, 4);
        take_checkpoint(own, NULL);
        CHECK_OK(mm_region_close(own));
        mm_region_unref(own);
        _exit(0);
    }
    expect_success(child);
    shut_region(region);
}

static void test_memory_stays_after_closing(void) {
    mm_checkpoint_info info;
    const char *pool = scratch_pool();
    mm_region *region = open_region(pool, MM_MODE_MUST_CREATE, MM_EPOCH_HEAD);
    stamp(region, 1, 5);
    take_checkpoint(region, NULL);
    mm_region_ref(region);
    shut_region(region);
    CHECK(is_stamped(region, 1, 5));
    stamp(region, 1, 6);
    stamp(region, 2, 6);
    CHECK_STATUS(try_checkpoint(region, "closed"), MM_E_INVALID);
    CHECK_STATUS(mm_region_restore(region, MM_EPOCH_HEAD, &info), MM_E_INVALID);
    CHECK_STATUS(mm_region_grow(region, REGION_BYTES), MM_E_INVALID);
    CHECK_OK(mm_region_close(region)); /* again: nothing to do */
    mm_region *next = open_region(pool, MM_MODE_MUST_EXIST, MM_EPOCH_HEAD);
    CHECK(is_stamped(next, 1, 5) && is_stamped(next, 2, 0));
    CHECK(is_stamped(region, 1, 6) && is_stamped(region, 2, 6));
    mm_region_unref(region);
    shut_region(next);
}

static void test_usage_adds_up(void) {
    mm_usage usage;
    mm_region *region = open_region(scratch_pool(), MM_MODE_MUST_CREATE, MM_EPOCH_HEAD);
    CHECK_OK(mm_region_settle(region));
    CHECK_OK(mm_region_usage(region, &usage));
    CHECK(usage.size_max_bytes == REGION_BYTES && usage.base_bytes == REGION_BYTES);
    CHECK(usage.private_bytes == 0 && usage.dirty_bytes == 0 && usage.checkpoint_count == 0);
    for (uint64_t page = 0; page < 10; page++) stamp(region, page, 1 + page);
    CHECK_OK(mm_region_usage(region, &usage));
    CHECK(usage.dirty_bytes == 10 * 4096 && usage.private_bytes == 10 * 4096);
    CHECK_OK(mm_region_collect(region));
    CHECK_OK(mm_region_usage(region, &usage));
    CHECK(usage.dirty_bytes == 10 * 4096); /* collected is not yet kept */
    take_checkpoint(region, NULL);
    CHECK_OK(mm_region_settle(region));
    for (uint64_t page = 0; page < 3; page++) stamp(region, page, 20 + page);
    take_checkpoint(region, NULL);
    CHECK_OK(mm_region_settle(region));
    CHECK_OK(mm_region_usage(region, &usage));
    CHECK(usage.dirty_bytes == 0 && usage.checkpoint_count == 2 && usage.pending_apply_count == 0);
    CHECK(usage.log_bytes > 0 && usage.delta_bytes >= 3 * 4096 && usage.pool_free_bytes > 0);
    shut_region(region);
}

static void test_kernels_that_can_not_track(void) {
    static const char *const lacks[] = {"no-userfaultfd", "no-wp-async", "no-pagemap-scan"};
    static const char *const says[] = {"userfaultfd", "write-protection", "PAGEMAP_SCAN"};
    for (size_t i = 0; i < COUNT_OF(lacks); i++) {
        mm_region *region;
        const char *pool = scratch_pool();
        setenv("MMSNAP_SIMULATE_KERNEL", lacks[i], 1);
        CHECK_STATUS(try_open(pool, MM_MODE_OPEN_OR_CREATE, MM_EPOCH_HEAD, &region), MM_E_UNSUPPORTED);
        CHECK(strstr(mm_error_message(), says[i]) != NULL);
        CHECK(access(scratch_file(pool, "region"), F_OK) != 0);
        unsetenv("MMSNAP_SIMULATE_KERNEL");
        shut_region(open_region(pool, MM_MODE_MUST_CREATE, MM_EPOCH_HEAD));
        setenv("MMSNAP_SIMULATE_KERNEL", lacks[i], 1); /* reading needs no tracking */
        shut_region(open_region(pool, MM_MODE_READ_ONLY, MM_EPOCH_HEAD));
        unsetenv("MMSNAP_SIMULATE_KERNEL");
    }
}

int main(void) {
    test_modes();
    test_a_pool_is_made_once();
    test_names();
    test_the_bound_grows_with_a_later_open();
    test_one_owner_in_a_process();
    test_a_forked_child_owns_nothing();
    test_a_dead_owners_child_holds_no_lock();
    test_a_child_may_open_regions_of_its_own();
    test_memory_stays_after_closing();
    test_usage_adds_up();
    test_kernels_that_can_not_track();
    return 0;
}
