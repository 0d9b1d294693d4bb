/* The fear: a medium without room turns an error that could be told into data that is wrong, or into a region
 * that can not be opened any more, not even to delete something. */
#include "check.h"
#include "region.h"
#include "scratch.h"

#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>

/* ---- a medium that is full when the test says so ------------------------------------ */

static int room_is_of_leftovers; /* full while the delta of this number is there */
static const char *full_pool;
static int is_full; /* no file gets a block more */
static int fail_frame; /* the how-manieth frame from now on finds no room; 0: none */

int __wrap_posix_fallocate(int fd, off_t offset, off_t size);
int __real_posix_fallocate(int fd, off_t offset, off_t size);
int __wrap_posix_fallocate(int fd, off_t offset, off_t size) {
    char name[32];
    mm_delta_name((uint64_t)room_is_of_leftovers, name);
    int is_occupied = room_is_of_leftovers && access(scratch_file(full_pool, name), F_OK) == 0;
    return is_full || is_occupied ? ENOSPC : __real_posix_fallocate(fd, offset, size);
}

int __wrap_mm_journal_append(mm_journal *, mm_frame *, mm_history *, int durable);
int __real_mm_journal_append(mm_journal *, mm_frame *, mm_history *, int durable);
int __wrap_mm_journal_append(mm_journal *journal, mm_frame *frame, mm_history *history, int durable) {
    if (!fail_frame || --fail_frame > 0) return __real_mm_journal_append(journal, frame, history, durable);
    free(frame->bytes);
    *frame = (mm_frame){0};
    return MM_E_FULL;
}

/* ---- helpers --------------------------------------------------------------------------- */

#define WRITTEN 40u /* pages that each checkpoint writes */

static void write_all(mm_region *region, uint64_t value) {
    for (uint64_t page = 0; page < WRITTEN; page++) stamp(region, page, value * 1000 + page);
}

static int shows(const mm_region *region, uint64_t value) {
    for (uint64_t page = 0; page < WRITTEN; page++)
        if (!is_stamped(region, page, value ? value * 1000 + page : 0)) return 0;
    return 1;
}

static void expect_checkpoint(const char *pool, uint64_t epoch, uint64_t value) {
    mm_region *reader = open_region(pool, MM_MODE_READ_ONLY, epoch);
    CHECK(shows(reader, value));
    shut_region(reader);
}

static unsigned delta_files(const char *pool) {
    unsigned count = 0;
    DIR *folder = opendir(scratch_file(pool, "."));
    CHECK(folder != NULL);
    for (struct dirent *entry; (entry = readdir(folder));) count += strncmp(entry->d_name, "delta-", 6) == 0;
    closedir(folder);
    return count;
}

/* Checkpoint 1 is in the base; 2 is committed and not yet applied. */
static mm_region *with_one_to_apply(const char *pool, uint64_t epochs[2]) {
    mm_region *region = open_region(pool, MM_MODE_MUST_CREATE, MM_EPOCH_HEAD);
    write_all(region, 1);
    epochs[0] = take_checkpoint(region, "one");
    CHECK_OK(mm_region_settle(region));
    mm_keeper_stop(region); /* from now on the base moves when the test says so */
    write_all(region, 2);
    epochs[1] = take_checkpoint(region, "two");
    return region;
}

/* ---- tests ------------------------------------------------------------------------------ */

/* More pages than the room that a log keeps warm. */
#define MANY_PAGES 4096u

static mm_region *open_many(const char *pool) {
    mm_region *region;
    mm_open_options options = {.size_max_bytes = MANY_PAGES * 4096ull};
    CHECK_OK(mm_region_open(pool, "r", &options, &region));
    CHECK_OK(mm_region_grow(region, MANY_PAGES * 4096ull));
    return region;
}

static _Atomic int is_inside, may_leave;

static void *stay_inside(void *region) {
    CHECK_OK(mm_gate_enter(mm_region_gate(region), NULL));
    is_inside = 1;
    while (!may_leave) usleep(200);
    mm_gate_leave(mm_region_gate(region));
    return NULL;
}

static void test_no_room_is_found_before_the_pause(void) {
    pthread_t thread;
    const char *pool = scratch_pool();
    mm_region *region = open_many(pool);
    take_checkpoint(region, "empty");
    for (uint64_t page = 0; page < MANY_PAGES; page++) stamp(region, page, page + 1);
    is_full = 1;
    /* An open update would make a hold time out: MM_E_FULL proves that it did not come to that. */
    CHECK(pthread_create(&thread, NULL, stay_inside, region) == 0);
    while (!is_inside) usleep(200);
    CHECK_STATUS(try_checkpoint(region, "full"), MM_E_FULL);
    CHECK(strstr(mm_error_message(), "medium") != NULL);
    may_leave = 1;
    pthread_join(thread, NULL);
    is_full = 0;
    take_checkpoint(region, "full");
    shut_region(region);
    region = open_many(pool);
    for (uint64_t page = 0; page < MANY_PAGES; page++) CHECK(is_stamped(region, page, page + 1));
    shut_region(region);
}

static void test_no_room_to_grow_changes_nothing(void) {
    mm_region *region;
    mm_open_options options = {.size_max_bytes = 8u << 20};
    const char *pool = scratch_pool();
    CHECK_OK(mm_region_open(pool, "r", &options, &region));
    CHECK_OK(mm_region_grow(region, 2u << 20));
    write_all(region, 1);
    take_checkpoint(region, "one");
    is_full = 1;
    CHECK_STATUS(mm_region_grow(region, 4u << 20), MM_E_FULL);
    is_full = 0;
    CHECK(mm_region_extent(region) == 2u << 20 && shows(region, 1));
    CHECK_OK(mm_region_grow(region, 6u << 20));
    stamp(region, 1400, 5);
    take_checkpoint(region, "two");
    shut_region(region);
    CHECK_OK(mm_region_open(pool, "r", &options, &region));
    CHECK(mm_region_extent(region) == 6u << 20 && shows(region, 1) && is_stamped(region, 1400, 5));
    shut_region(region);
}

/* The base is rewritten, and the frame that says so finds no room: the next try must not take the rewritten
 * base for the old one when it saves the way back. */
static void test_arrival_that_could_not_be_told(void) {
    for (int frame = 1; frame <= 2; frame++) {
        uint64_t epochs[2];
        const char *pool = scratch_pool();
        mm_region *region = with_one_to_apply(pool, epochs);
        fail_frame = frame; /* 1: the departure, 2: the arrival */
        CHECK_STATUS(mm_region_settle(region), MM_E_FULL);
        fail_frame = 0;
        CHECK(shows(region, 2));
        CHECK_OK(mm_region_settle(region));
        expect_checkpoint(pool, epochs[0], 1);
        expect_checkpoint(pool, epochs[1], 2);
        mm_checkpoint_info info;
        CHECK_OK(mm_region_restore(region, epochs[0], &info));
        CHECK(shows(region, 1));
        CHECK_OK(mm_region_verify(region, MM_EPOCH_HEAD));
        shut_region(region);
    }
}

static void test_moves_that_fail_leave_no_files_behind(void) {
    uint64_t epochs[2];
    const char *pool = scratch_pool();
    mm_region *region = with_one_to_apply(pool, epochs);
    unsigned before = delta_files(pool);
    for (int i = 0; i < 5; i++) {
        fail_frame = 1;
        CHECK_STATUS(mm_region_settle(region), MM_E_FULL);
    }
    fail_frame = 0;
    CHECK(delta_files(pool) == before);
    shut_region(region);
}

static void test_opens_after_a_crash_on_a_full_pool(void) {
    uint64_t epochs[2];
    const char *pool = scratch_pool();
    mm_region *region = with_one_to_apply(pool, epochs);
    is_full = 1; /* closing can not apply: as if it had been killed */
    shut_region(region);
    region = open_region(pool, MM_MODE_MUST_EXIST, MM_EPOCH_HEAD);
    CHECK(shows(region, 2));
    write_all(region, 3);
    CHECK_STATUS(try_checkpoint(region, "three"), MM_E_FULL);
    CHECK_OK(mm_region_delete(region, epochs[0])); /* what the hint says to do */
    is_full = 0;
    take_checkpoint(region, "three");
    expect_checkpoint(pool, epochs[1], 2);
    shut_region(region);
    region = open_region(pool, MM_MODE_MUST_EXIST, MM_EPOCH_HEAD);
    CHECK(shows(region, 3));
    shut_region(region);
}

/* What a dead owner left is removed when there is time, unless its room is needed to open. */
static void test_the_room_of_leftovers_is_used(void) {
    uint64_t epochs[2];
    const char *pool = scratch_pool();
    mm_region *region = with_one_to_apply(pool, epochs);
    mm_delta leftover;
    CHECK_OK(mm_delta_create(region->folder_fd, 99, 10, &leftover));
    mm_delta_close(&leftover);
    is_full = 1; /* closing can not apply */
    shut_region(region);
    is_full = 0;
    full_pool = pool;
    room_is_of_leftovers = 99;
    mm_usage usage;
    CHECK_OK(mm_region_open(pool, "r", &(mm_open_options){.size_max_bytes = REGION_BYTES}, &region));
    CHECK_OK(mm_region_usage(region, &usage));
    CHECK(usage.pending_apply_count == 0 && shows(region, 2));
    room_is_of_leftovers = 0;
    shut_region(region);
}

static void test_restore_on_a_full_pool_is_whole_or_refused(void) {
    for (int applied = 0; applied < 2; applied++) {
        uint64_t epochs[2];
        mm_checkpoint_info info;
        const char *pool = scratch_pool();
        mm_region *region = with_one_to_apply(pool, epochs);
        if (applied) CHECK_OK(mm_region_settle(region));
        write_all(region, 3);
        is_full = 1;
        int status = mm_region_restore(region, epochs[0], &info);
        uint64_t expected = status == MM_OK ? 1 : 3;
        CHECK(shows(region, expected));
        is_full = 0;
        CHECK(shows(region, expected));
        CHECK_OK(mm_region_settle(region));
        CHECK(shows(region, expected)); /* also after the base has moved */
        stamp(region, 0, expected * 1000);
        uint64_t next = take_checkpoint(region, "next");
        CHECK_OK(mm_region_settle(region));
        expect_checkpoint(pool, epochs[0], 1);
        expect_checkpoint(pool, epochs[1], 2);
        expect_checkpoint(pool, next, expected);
        shut_region(region);
    }
}

/* The head is recorded at any of these frames, or not; the memory and the record must agree. */
static void test_restore_whose_journal_finds_no_room(void) {
    for (int frame = 1; frame <= 5; frame++) {
        uint64_t epochs[2];
        mm_checkpoint_info info;
        const char *pool = scratch_pool();
        mm_region *region = with_one_to_apply(pool, epochs);
        CHECK_OK(mm_region_settle(region));
        write_all(region, 3);
        fail_frame = frame;
        int status = mm_region_restore(region, epochs[0], &info);
        fail_frame = 0;
        uint64_t expected = status == MM_OK ? 1 : 3;
        CHECK(shows(region, expected));
        CHECK_OK(mm_region_settle(region));
        CHECK(shows(region, expected));
        uint64_t next = take_checkpoint(region, "next");
        CHECK_OK(mm_region_settle(region));
        expect_checkpoint(pool, epochs[0], 1);
        expect_checkpoint(pool, epochs[1], 2);
        expect_checkpoint(pool, next, expected);
        shut_region(region);
    }
}

/* A deletion that has happened does not report that it failed. */
static void test_delete_on_a_full_pool_says_what_is_so(void) {
    uint64_t epochs[3];
    const char *pool = scratch_pool();
    mm_region *region = with_one_to_apply(pool, epochs);
    CHECK_OK(mm_region_settle(region));
    write_all(region, 3);
    epochs[2] = take_checkpoint(region, "three");
    CHECK_OK(mm_region_settle(region));
    is_full = 1; /* "two" stands between "three" and "one": their difference needs room */
    int status = mm_region_delete(region, epochs[1]);
    is_full = 0;
    mm_checkpoint_info infos[4];
    size_t count = COUNT_OF(infos);
    CHECK_OK(mm_region_checkpoints(region, infos, &count));
    CHECK(count == (status == MM_OK ? 2 : 3));
    CHECK_OK(mm_region_settle(region));
    expect_checkpoint(pool, epochs[0], 1);
    expect_checkpoint(pool, epochs[2], 3);
    shut_region(region);
}

int main(void) {
    test_no_room_is_found_before_the_pause();
    test_no_room_to_grow_changes_nothing();
    test_arrival_that_could_not_be_told();
    test_moves_that_fail_leave_no_files_behind();
    test_opens_after_a_crash_on_a_full_pool();
    test_the_room_of_leftovers_is_used();
    test_restore_on_a_full_pool_is_whole_or_refused();
    test_restore_whose_journal_finds_no_room();
    test_delete_on_a_full_pool_says_what_is_so();
    return 0;
}
