/* The fear, hazard 1: the scan that collects a page consumes the kernel's knowledge of it. A checkpoint that
 * then fails, wherever it fails, must leave the page to the next one. */
#include "check.h"
#include "checkpoint.h"
#include "clock.h"
#include "scratch.h"

#include <pthread.h>
#include <string.h>
#include <unistd.h>

#define LARGE_PAGES 4096u

static int fail_record;

int __real_mm_region_record(mm_region *, mm_frame *, int durable);
int __wrap_mm_region_record(mm_region *, mm_frame *, int durable);
int __wrap_mm_region_record(mm_region *region, mm_frame *frame, int durable) {
    if (!fail_record) return __real_mm_region_record(region, frame, durable);
    free(frame->bytes);
    *frame = (mm_frame){0};
    return MM_E_FULL;
}

/* A writer that knows no gate strikes at the worst time: between a page's copy and its checksum. */
static uint64_t *_Atomic stray_word;

uint32_t __real_mm_copy_page(void *to, const void *from, const void *next);
uint32_t __wrap_mm_copy_page(void *to, const void *from, const void *next);
uint32_t __wrap_mm_copy_page(void *to, const void *from, const void *next) {
    uint32_t sum = __real_mm_copy_page(to, from, next);
    uint64_t *word = stray_word;
    if (!word || (uintptr_t)word / MM_PAGE_SIZE != (uintptr_t)from / MM_PAGE_SIZE) return sum;
    *word += 1;
    return mm_crc32c_page(from);
}

/* What the application writes before and after a scan, by the number of the scan. */
static mm_region *scanned;
static int scan_number;
static void (*before_scan)(mm_region *, int number), (*after_scan)(mm_region *, int number);

int __real_mm_tracker_collect(mm_tracker *, void *address, uint64_t size, mm_run_fn, void *context);
int __wrap_mm_tracker_collect(mm_tracker *, void *address, uint64_t size, mm_run_fn, void *context);
int __wrap_mm_tracker_collect(mm_tracker *tracker, void *address, uint64_t size, mm_run_fn visit,
                              void *context) {
    if (!scanned) return __real_mm_tracker_collect(tracker, address, size, visit, context);
    scan_number++;
    before_scan(scanned, scan_number);
    int status = __real_mm_tracker_collect(tracker, address, size, visit, context);
    after_scan(scanned, scan_number);
    return status;
}

typedef int (*phase_fn)(mm_region *, mm_checkpoint *);
static const phase_fn phases[] = {mm_checkpoint_begin, mm_checkpoint_precopy, mm_checkpoint_hold,
                                  mm_checkpoint_cut};

static mm_checkpoint named(mm_region *region, const char *name) {
    mm_checkpoint checkpoint = {.info.epoch = region->history.highest_epoch + 1};
    mm_checkpoint_name(&checkpoint, name);
    return checkpoint;
}

/* Every page of the region, in a fresh owner, is what `values` says. */
static void expect_after_reopening(const char *pool, mm_region *region, const uint64_t *values) {
    shut_region(region);
    region = open_region(pool, MM_MODE_MUST_EXIST, MM_EPOCH_HEAD);
    for (uint64_t page = 0; page < REGION_PAGES; page++) CHECK(is_stamped(region, page, values[page]));
    CHECK_OK(mm_region_verify(region, MM_EPOCH_HEAD));
    shut_region(region);
}

static void write_some(mm_region *region, uint64_t *values, uint64_t first, uint64_t value) {
    for (uint64_t page = first; page < REGION_PAGES; page += 7) stamp(region, page, values[page] = value);
}

static void test_aborted_after_each_phase_nothing_is_lost(void) {
    for (size_t last = 0; last < COUNT_OF(phases); last++)
        for (int writes_meanwhile = 0; writes_meanwhile < 2; writes_meanwhile++) {
            uint64_t values[REGION_PAGES] = {0};
            const char *pool = scratch_pool();
            mm_region *region = open_region(pool, MM_MODE_MUST_CREATE, MM_EPOCH_HEAD);
            write_some(region, values, 0, 1);
            take_checkpoint(region, "first");
            write_some(region, values, 1, 2);
            CHECK_OK(mm_region_begin(region, 1));
            mm_checkpoint checkpoint = named(region, "aborted");
            for (size_t phase = 0; phase <= last; phase++) {
                CHECK_OK(phases[phase](region, &checkpoint));
                if (writes_meanwhile && !checkpoint.held) write_some(region, values, 2 + phase, 3 + phase);
            }
            mm_checkpoint_abort(region, &checkpoint);
            CHECK(!checkpoint.held && mm_gate_depth(mm_region_gate(region)) == 0);
            mm_region_end(region);
            write_some(region, values, 6, 9);
            take_checkpoint(region, "second");
            expect_after_reopening(pool, region, values);
        }
}

static void test_aborted_again_and_again(void) {
    uint64_t values[REGION_PAGES] = {0};
    const char *pool = scratch_pool();
    mm_region *region = open_region(pool, MM_MODE_MUST_CREATE, MM_EPOCH_HEAD);
    for (uint64_t round = 0; round < 12; round++) {
        write_some(region, values, round % 7, 100 + round);
        CHECK_OK(mm_region_begin(region, 1));
        mm_checkpoint checkpoint = named(region, "aborted");
        for (size_t phase = 0; phase <= round % COUNT_OF(phases); phase++)
            CHECK_OK(phases[phase](region, &checkpoint));
        mm_checkpoint_abort(region, &checkpoint);
        mm_region_end(region);
    }
    take_checkpoint(region, "at last");
    expect_after_reopening(pool, region, values);
}

static void test_a_commit_that_fails_loses_nothing(void) {
    uint64_t values[REGION_PAGES] = {0};
    const char *pool = scratch_pool();
    mm_region *region = open_region(pool, MM_MODE_MUST_CREATE, MM_EPOCH_HEAD);
    write_some(region, values, 0, 1);
    take_checkpoint(region, "first");
    CHECK_OK(mm_region_settle(region));
    write_some(region, values, 3, 2);
    fail_record = 1;
    CHECK_STATUS(try_checkpoint(region, "failed"), MM_E_FULL);
    fail_record = 0;
    mm_checkpoint_info head;
    CHECK_OK(mm_region_head(region, &head));
    CHECK(strcmp(head.name, "first") == 0);
    write_some(region, values, 5, 3);
    take_checkpoint(region, "second");
    expect_after_reopening(pool, region, values);
}

static void test_what_was_collected_is_in_the_next_checkpoint(void) {
    uint64_t values[REGION_PAGES] = {0};
    const char *pool = scratch_pool();
    mm_region *region = open_region(pool, MM_MODE_MUST_CREATE, MM_EPOCH_HEAD);
    take_checkpoint(region, "empty");
    write_some(region, values, 2, 5);
    CHECK_OK(mm_region_collect(region));
    mm_range ranges[4];
    size_t count = COUNT_OF(ranges);
    CHECK_OK(mm_region_peek(region, ranges, &count));
    CHECK(count == 0);
    take_checkpoint(region, "collected");
    expect_after_reopening(pool, region, values);
}

static mm_region *open_large(const char *pool) {
    mm_region *region;
    mm_open_options options = {.size_max_bytes = LARGE_PAGES * 4096ull};
    CHECK_OK(mm_region_open(pool, "large", &options, &region));
    CHECK_OK(mm_region_grow(region, LARGE_PAGES * 4096ull));
    return region;
}

static void test_log_outgrown_between_begin_and_cut(void) {
    const char *pool = scratch_pool();
    mm_region *region = open_large(pool);
    take_checkpoint(region, "empty");
    CHECK_OK(mm_region_begin(region, 1));
    mm_checkpoint checkpoint = named(region, "outgrown");
    CHECK_OK(mm_checkpoint_begin(region, &checkpoint));
    CHECK_OK(mm_checkpoint_precopy(region, &checkpoint));
    CHECK(region->log.capacity < LARGE_PAGES);
    for (uint64_t page = 0; page < LARGE_PAGES; page++) stamp(region, page, page + 1);
    CHECK_OK(mm_checkpoint_hold(region, &checkpoint));
    CHECK_STATUS(mm_checkpoint_cut(region, &checkpoint), MM_E_AGAIN);
    mm_checkpoint_abort(region, &checkpoint);
    mm_region_end(region);
    take_checkpoint(region, "again");
    shut_region(region);
    region = open_large(pool);
    for (uint64_t page = 0; page < LARGE_PAGES; page++) CHECK(is_stamped(region, page, page + 1));
    shut_region(region);
}

/* What was found before the room ran out has its place in the log: it must be copied, too. */
static void test_log_outgrown_while_copying_ahead(void) {
    const char *pool = scratch_pool();
    mm_region *region = open_large(pool);
    take_checkpoint(region, "empty");
    for (uint64_t page = 0; page < LARGE_PAGES / 4; page++) stamp(region, 4 * page, 1);
    CHECK_OK(mm_region_begin(region, 1));
    mm_checkpoint checkpoint = named(region, "outgrown");
    CHECK_OK(mm_checkpoint_begin(region, &checkpoint));
    CHECK(region->log.capacity < LARGE_PAGES);
    for (uint64_t page = 0; page < LARGE_PAGES; page++) stamp(region, page, page + 1);
    CHECK_OK(mm_checkpoint_precopy(region, &checkpoint));
    CHECK(region->log.count > 0);
    CHECK_OK(mm_checkpoint_hold(region, &checkpoint));
    CHECK_OK(mm_checkpoint_cut(region, &checkpoint));
    mm_checkpoint_release(region, &checkpoint);
    CHECK_OK(mm_checkpoint_commit(region, &checkpoint));
    mm_region_end(region);
    CHECK_OK(mm_region_verify(region, MM_EPOCH_HEAD));
    shut_region(region);
    region = open_large(pool);
    for (uint64_t page = 0; page < LARGE_PAGES; page++) CHECK(is_stamped(region, page, page + 1));
    shut_region(region);
}

static void write_all_before_the_second(mm_region *region, int number) {
    if (number == 2)
        for (uint64_t page = 0; page < LARGE_PAGES; page++) stamp(region, page, page + 7);
}

static void write_600_after_the_first(mm_region *region, int number) {
    if (number == 1)
        for (uint64_t page = 0; page < 600; page++) stamp(region, LARGE_PAGES / 2 + page, page + 3);
}

/* A page that the log has already, found behind the one for which there was no room: the scan has marked it
 * again, so it must be renewed now, or the log keeps what it was before. */
static void test_log_outgrown_by_others_while_copying_ahead_again(void) {
    const char *pool = scratch_pool();
    mm_region *region = open_large(pool);
    take_checkpoint(region, "empty");
    for (uint64_t page = LARGE_PAGES / 2; page < LARGE_PAGES; page++) stamp(region, page, 1);
    CHECK_OK(mm_region_begin(region, 1));
    mm_checkpoint checkpoint = named(region, "outgrown");
    CHECK_OK(mm_checkpoint_begin(region, &checkpoint));
    scanned = region;
    scan_number = 0;
    before_scan = write_all_before_the_second;
    after_scan = write_600_after_the_first;
    CHECK_OK(mm_checkpoint_precopy(region, &checkpoint));
    scanned = NULL;
    CHECK(scan_number >= 2);
    CHECK_OK(mm_checkpoint_hold(region, &checkpoint));
    CHECK_OK(mm_checkpoint_cut(region, &checkpoint));
    mm_checkpoint_release(region, &checkpoint);
    CHECK_OK(mm_checkpoint_commit(region, &checkpoint));
    mm_region_end(region);
    shut_region(region);
    region = open_large(pool);
    for (uint64_t page = 0; page < LARGE_PAGES; page++) CHECK(is_stamped(region, page, page + 7));
    shut_region(region);
}

static void test_max_pause_aborts_and_loses_nothing(void) {
    uint64_t values[REGION_PAGES] = {0};
    const char *pool = scratch_pool();
    mm_region *region = open_region(pool, MM_MODE_MUST_CREATE, MM_EPOCH_HEAD);
    take_checkpoint(region, "empty");
    write_some(region, values, 0, 4);
    mm_checkpoint_request request = {.name = "hasty", .max_pause_ns = 1};
    mm_checkpoint_info info;
    CHECK_STATUS(mm_region_checkpoint(region, &request, &info), MM_E_PAUSE);
    CHECK_OK(mm_gate_try_enter(mm_region_gate(region), NULL));
    mm_gate_leave(mm_region_gate(region));
    request.max_pause_ns = 60 * MM_SECOND_NS;
    CHECK_OK(mm_region_checkpoint(region, &request, &info));
    expect_after_reopening(pool, region, values);
}

/* ---- other threads ---------------------------------------------------------------- */

static mm_region *shared;
static _Atomic int stop, started;

static void *stay_inside(void *unused) {
    (void)unused;
    CHECK_OK(mm_gate_enter(mm_region_gate(shared), NULL));
    started = 1;
    while (!stop) usleep(200);
    mm_gate_leave(mm_region_gate(shared));
    return NULL;
}

static pthread_t start(void *(*body)(void *)) {
    pthread_t thread;
    stop = started = 0;
    CHECK(pthread_create(&thread, NULL, body, NULL) == 0);
    while (!started) usleep(100);
    return thread;
}

static void finish(pthread_t thread) {
    stop = 1;
    pthread_join(thread, NULL);
}

static void test_open_updates_at_the_deadline(void) {
    uint64_t values[REGION_PAGES] = {0};
    const char *pool = scratch_pool();
    shared = open_region(pool, MM_MODE_MUST_CREATE, MM_EPOCH_HEAD);
    take_checkpoint(shared, "empty");
    write_some(shared, values, 0, 6);
    pthread_t thread = start(stay_inside);
    mm_checkpoint_request request = {.name = "late", .quiesce_timeout_ns = 20000000};
    mm_checkpoint_info info;
    CHECK_STATUS(mm_region_checkpoint(shared, &request, &info), MM_E_QUIESCE);
    request = (mm_checkpoint_request){.name = "late", .max_pause_ns = 20000000};
    CHECK_STATUS(mm_region_checkpoint(shared, &request, &info), MM_E_PAUSE);
    finish(thread);
    take_checkpoint(shared, "late");
    expect_after_reopening(pool, shared, values);
}

__attribute__((no_sanitize("thread"))) static void *write_outside_of_updates(void *unused) {
    (void)unused;
    volatile uint64_t *word = (volatile uint64_t *)((uint8_t *)mm_region_address(shared) + 11 * 4096);
    started = 1;
    while (!stop) *word += 1;
    return NULL;
}

/* Among such checkpoints some are of no one instant; none is damaged, and the last misses nothing. */
static void test_stray_writers_lose_and_damage_nothing(void) {
    const char *pool = scratch_pool();
    shared = open_region(pool, MM_MODE_MUST_CREATE, MM_EPOCH_HEAD);
    take_checkpoint(shared, "empty");
    pthread_t thread = start(write_outside_of_updates);
    for (int i = 0; i < 100; i++) take_checkpoint(shared, NULL);
    finish(thread);
    uint64_t *word = (uint64_t *)((uint8_t *)mm_region_address(shared) + 11 * 4096), last = *word;
    take_checkpoint(shared, "last");
    CHECK_OK(mm_region_verify(shared, MM_EPOCH_HEAD));
    shut_region(shared);
    shared = open_region(pool, MM_MODE_MUST_EXIST, MM_EPOCH_HEAD);
    CHECK(*(uint64_t *)((uint8_t *)mm_region_address(shared) + 11 * 4096) == last);
    shut_region(shared);
}

static void test_a_stray_write_in_the_cut_is_told(void) {
    uint64_t values[REGION_PAGES] = {0};
    mm_checkpoint_request request = {0};
    mm_checkpoint_info info;
    const char *pool = scratch_pool();
    mm_region *region = open_region(pool, MM_MODE_MUST_CREATE, MM_EPOCH_HEAD);
    take_checkpoint(region, "empty");
    write_some(region, values, 0, 8);
    stray_word = (uint64_t *)((uint8_t *)mm_region_address(region) + 7 * 4096);
    CHECK_OK(mm_region_checkpoint(region, &request, &info));
    stray_word = NULL;
    CHECK(info.flags & MM_CHECKPOINT_CRASH);
    CHECK_OK(mm_region_settle(region));
    CHECK_OK(mm_region_verify(region, MM_EPOCH_HEAD));
    write_some(region, values, 0, 9);
    CHECK_OK(mm_region_checkpoint(region, &request, &info));
    CHECK(!(info.flags & MM_CHECKPOINT_CRASH));
    expect_after_reopening(pool, region, values);
}

/* Two words in two pages, equal outside of updates. */
static void *update_both(void *unused) {
    (void)unused;
    uint8_t *memory = mm_region_address(shared);
    volatile uint64_t *one = (volatile uint64_t *)memory, *other = (volatile uint64_t *)(memory + 300 * 4096);
    started = 1;
    while (!stop) {
        CHECK_OK(mm_gate_enter(mm_region_gate(shared), NULL));
        *one += 1;
        *other += 1;
        mm_gate_leave(mm_region_gate(shared));
    }
    return NULL;
}

static void test_no_checkpoint_of_half_an_update(void) {
    const char *pool = scratch_pool();
    shared = open_region(pool, MM_MODE_MUST_CREATE, MM_EPOCH_HEAD);
    pthread_t thread = start(update_both);
    uint64_t epochs[30];
    for (size_t i = 0; i < COUNT_OF(epochs); i++) epochs[i] = take_checkpoint(shared, NULL);
    finish(thread);
    for (size_t i = 0; i < COUNT_OF(epochs); i++) {
        mm_region *reader = open_region(pool, MM_MODE_READ_ONLY, epochs[i]);
        const uint8_t *memory = mm_region_address(reader);
        CHECK(*(const uint64_t *)memory == *(const uint64_t *)(memory + 300 * 4096));
        shut_region(reader);
    }
    shut_region(shared);
}

/* ---- what is asked wrongly ------------------------------------------------------------ */

static void test_requests_that_are_refused(void) {
    static const char long_name[MM_NAME_MAX + 1] =
        "nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn";
    static uint8_t meta[MM_META_MAX + 1];
    mm_checkpoint_info info;
    mm_region *region = open_region(scratch_pool(), MM_MODE_MUST_CREATE, MM_EPOCH_HEAD);
    mm_checkpoint_request request = {.name = long_name};
    CHECK_STATUS(mm_region_checkpoint(region, &request, &info), MM_E_INVALID);
    request = (mm_checkpoint_request){.meta = meta, .meta_size = sizeof meta};
    CHECK_STATUS(mm_region_checkpoint(region, &request, &info), MM_E_INVALID);
    request = (mm_checkpoint_request){.durable = 1};
    if (mm_region_medium(region) == MM_MEDIUM_DRAM)
        CHECK_STATUS(mm_region_checkpoint(region, &request, &info), MM_E_UNSUPPORTED);
    take_checkpoint(region, "taken");
    CHECK_STATUS(try_checkpoint(region, "taken"), MM_E_EXISTS);
    CHECK_OK(mm_gate_enter(mm_region_gate(region), NULL));
    CHECK_STATUS(try_checkpoint(region, "inside"), MM_E_HELD);
    CHECK_STATUS(mm_region_restore(region, MM_EPOCH_HEAD, &info), MM_E_HELD);
    CHECK_STATUS(mm_region_close(region), MM_E_HELD);
    mm_gate_leave(mm_region_gate(region));
    shut_region(region);
}

static void test_partial_is_told_until_accepted(void) {
    mm_checkpoint_info info;
    mm_checkpoint_request request = {0};
    const char *pool = scratch_pool();
    mm_region *region = open_region(pool, MM_MODE_MUST_CREATE, MM_EPOCH_HEAD);
    mm_region_set_partial(region, 1);
    CHECK_OK(mm_region_checkpoint(region, &request, &info));
    CHECK(info.flags & MM_CHECKPOINT_CRASH && mm_region_partial(region));
    shut_region(region); /* who opens it finds the half of the update there */
    region = open_region(pool, MM_MODE_MUST_EXIST, MM_EPOCH_HEAD);
    CHECK(mm_region_partial(region));
    request = (mm_checkpoint_request){.accept_partial = 1, .max_pause_ns = 1};
    CHECK_STATUS(mm_region_checkpoint(region, &request, &info), MM_E_PAUSE);
    CHECK(mm_region_partial(region)); /* it was not accepted by a checkpoint that is not */
    request = (mm_checkpoint_request){.accept_partial = 1};
    CHECK_OK(mm_region_checkpoint(region, &request, &info));
    CHECK(!(info.flags & MM_CHECKPOINT_CRASH) && !mm_region_partial(region));
    shut_region(region);
}

int main(void) {
    test_aborted_after_each_phase_nothing_is_lost();
    test_aborted_again_and_again();
    test_a_commit_that_fails_loses_nothing();
    test_what_was_collected_is_in_the_next_checkpoint();
    test_log_outgrown_between_begin_and_cut();
    test_log_outgrown_while_copying_ahead();
    test_log_outgrown_by_others_while_copying_ahead_again();
    test_max_pause_aborts_and_loses_nothing();
    test_open_updates_at_the_deadline();
    test_stray_writers_lose_and_damage_nothing();
    test_a_stray_write_in_the_cut_is_told();
    test_no_checkpoint_of_half_an_update();
    test_requests_that_are_refused();
    test_partial_is_told_until_accepted();
    return 0;
}
