/* The fear: a reader whose version changes under it, and a writer whom a reader, or a dead one, stops. */
#include "check.h"
#include "region.h"
#include "scratch.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAGES 20u

static void write_all(mm_region *region, uint64_t value) {
    for (uint64_t page = 0; page < PAGES; page++) stamp(region, page, value * 100 + page);
}

static int shows(const mm_region *region, uint64_t value) {
    for (uint64_t page = 0; page < PAGES; page++)
        if (!is_stamped(region, page, value * 100 + page)) return 0;
    return 1;
}

static uint64_t keep(mm_region *region, uint64_t value) {
    write_all(region, value);
    return take_checkpoint(region, NULL);
}

static uint64_t waiting(mm_region *region) {
    mm_usage usage;
    CHECK_OK(mm_region_usage(region, &usage));
    return usage.pending_apply_count;
}

static void test_a_version_of_its_own_while_the_writer_goes_on(void) {
    mm_checkpoint_info info;
    const char *pool = scratch_pool();
    mm_region *writer = open_region(pool, MM_MODE_MUST_CREATE, MM_EPOCH_HEAD);
    for (uint64_t value = 1; value <= 3; value++) keep(writer, value);
    mm_region *readers[4] = {NULL};
    for (uint64_t epoch = 1; epoch <= 3; epoch++)
        readers[epoch] = open_region(pool, MM_MODE_READ_ONLY, epoch);
    keep(writer, 4);
    CHECK_OK(mm_region_restore(writer, 2, &info));
    CHECK(shows(writer, 2));
    keep(writer, 5);
    CHECK_OK(mm_region_delete(writer, 1));
    CHECK_OK(mm_region_delete(writer, 3));
    keep(writer, 6);
    for (uint64_t epoch = 1; epoch <= 3; epoch++) {
        CHECK(shows(readers[epoch], epoch));
        CHECK(waiting(writer) > 0);
        shut_region(readers[epoch]);
    }
    CHECK_OK(mm_region_settle(writer));
    CHECK(waiting(writer) == 0 && shows(writer, 6));
    CHECK_OK(mm_region_verify(writer, MM_EPOCH_HEAD));
    shut_region(writer);
}

/* In the order in which an owner makes them, backwards. */
static void test_a_region_that_is_being_made_has_no_checkpoint_yet(void) {
    static const char *made_last[] = {"base.sums", "base", "journal.copy", "journal"};
    mm_region *reader;
    const char *pool = scratch_pool();
    shut_region(open_region(pool, MM_MODE_MUST_CREATE, MM_EPOCH_HEAD));
    for (size_t i = 0; i < COUNT_OF(made_last); i++) {
        CHECK(unlink(scratch_file(pool, made_last[i])) == 0);
        CHECK_STATUS(try_open(pool, MM_MODE_READ_ONLY, MM_EPOCH_HEAD, &reader), MM_E_NOT_FOUND);
    }
    pool = scratch_pool();
    mm_region *writer = open_region(pool, MM_MODE_MUST_CREATE, MM_EPOCH_HEAD);
    keep(writer, 1);
    shut_region(writer);
    CHECK(unlink(scratch_file(pool, "base")) == 0);
    CHECK(try_open(pool, MM_MODE_READ_ONLY, MM_EPOCH_HEAD, &reader) != MM_E_NOT_FOUND);
}

static void test_what_a_reader_writes_is_its_own(void) {
    const char *pool = scratch_pool();
    mm_region *writer = open_region(pool, MM_MODE_MUST_CREATE, MM_EPOCH_HEAD);
    uint64_t epoch = keep(writer, 1);
    mm_region *reader = open_region(pool, MM_MODE_READ_ONLY, epoch);
    write_all(reader, 9);
    CHECK_STATUS(try_checkpoint(reader, "no"), MM_E_READ_ONLY);
    CHECK_STATUS(mm_region_grow(reader, REGION_BYTES), MM_E_READ_ONLY);
    CHECK_STATUS(mm_region_delete(reader, epoch), MM_E_READ_ONLY);
    mm_checkpoint_info info;
    CHECK_STATUS(mm_region_restore(reader, epoch, &info), MM_E_READ_ONLY);
    CHECK_OK(mm_region_verify(reader, MM_EPOCH_HEAD));
    shut_region(reader);
    CHECK(shows(writer, 1));
    reader = open_region(pool, MM_MODE_READ_ONLY, epoch);
    CHECK(shows(reader, 1));
    shut_region(reader);
    shut_region(writer);
}

static void test_logs_behind_a_reader_gather_within_a_limit(void) {
    const char *pool = scratch_pool();
    mm_region *writer = open_region(pool, MM_MODE_MUST_CREATE, MM_EPOCH_HEAD);
    keep(writer, 1);
    CHECK_OK(mm_region_settle(writer));
    mm_region *reader = open_region(pool, MM_MODE_READ_ONLY, MM_EPOCH_HEAD);
    int status = MM_OK;
    uint64_t value = 1;
    while (status == MM_OK && value < 200) {
        for (uint64_t page = 0; page < REGION_PAGES; page++) stamp(writer, page, ++value * 1000 + page);
        value = value / 1000 + 2;
        status = try_checkpoint(writer, NULL);
    }
    CHECK(status == MM_E_FULL && strstr(mm_error_message(), "reads the base") != NULL);
    CHECK(shows(reader, 1));
    shut_region(reader);
    keep(writer, 7);
    CHECK_OK(mm_region_settle(writer));
    CHECK(waiting(writer) == 0 && shows(writer, 7));
    shut_region(writer);
}

/* ---- what is durable behind a reader ---------------------------------------------------- */

static ino_t persisted[256];
static size_t persisted_count;

static int note_persisted(int fd) {
    struct stat stat;
    CHECK(fstat(fd, &stat) == 0 && persisted_count < COUNT_OF(persisted));
    persisted[persisted_count++] = stat.st_ino;
    return MM_OK;
}

static int is_persisted(const char *path) {
    struct stat stat_of;
    CHECK(stat(path, &stat_of) == 0);
    for (size_t i = 0; i < persisted_count; i++)
        if (persisted[i] == stat_of.st_ino) return 1;
    return 0;
}

/* A checkpoint that waits to be applied is told as a difference from one that waits too. */
static void test_durable_behind_a_reader_is_so_with_all_it_stands_on(void) {
    static const mm_medium lasting = {MM_MEDIUM_FILE, "file", 1, note_persisted, note_persisted};
    for (int by_flush = 0; by_flush < 2; by_flush++) {
        const char *pool = scratch_pool();
        mm_region *writer = open_region(pool, MM_MODE_MUST_CREATE, MM_EPOCH_HEAD);
        keep(writer, 1);
        CHECK_OK(mm_region_settle(writer));
        mm_region *reader = open_region(pool, MM_MODE_READ_ONLY, MM_EPOCH_HEAD);
        mm_keeper_stop(writer); /* what is persisted is what the calls below persist */
        writer->medium = writer->journal.medium = &lasting;
        persisted_count = 0;
        uint64_t captured = keep(writer, 2);
        write_all(writer, 3);
        mm_checkpoint_request request = {.durable = !by_flush};
        mm_checkpoint_info info;
        CHECK_OK(mm_region_checkpoint(writer, &request, &info));
        if (by_flush) CHECK_OK(mm_region_flush(writer, info.epoch));
        CHECK(is_persisted(scratch_file(pool, sealed_delta(pool, captured))));
        CHECK(is_persisted(scratch_file(pool, sealed_delta(pool, info.epoch))));
        CHECK(is_persisted(scratch_file(pool, "journal")));
        shut_region(reader);
        shut_region(writer);
    }
}

/* ---- other processes ------------------------------------------------------------------ */

/* A child that reads `epoch` until it is killed. */
static pid_t start_reader(const char *pool, uint64_t epoch) {
    int told[2];
    char byte;
    CHECK(pipe(told) == 0);
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        mm_region *reader = open_region(pool, MM_MODE_READ_ONLY, epoch);
        CHECK(write(told[1], "x", 1) == 1);
        for (;;) pause();
        shut_region(reader);
    }
    CHECK(read(told[0], &byte, 1) == 1);
    close(told[0]);
    close(told[1]);
    return child;
}

static void test_a_dead_reader_stops_nobody(void) {
    const char *pool = scratch_pool();
    mm_region *writer = open_region(pool, MM_MODE_MUST_CREATE, MM_EPOCH_HEAD);
    uint64_t epoch = keep(writer, 1);
    CHECK_OK(mm_region_settle(writer));
    pid_t reader = start_reader(pool, epoch);
    keep(writer, 2);
    CHECK_STATUS(mm_region_settle(writer), MM_E_AGAIN);
    char expected[40];
    snprintf(expected, sizeof expected, "process %d", (int)reader);
    CHECK(strstr(mm_error_message(), expected) != NULL);
    CHECK(kill(reader, SIGKILL) == 0 && waitpid(reader, NULL, 0) == reader);
    CHECK_OK(mm_region_settle(writer));
    CHECK(waiting(writer) == 0);
    shut_region(writer);
}

/* Restarted beside a reader of what the dead owner left: nothing may be applied, all must be there. */
static void test_an_owner_opens_beside_a_reader(void) {
    const char *pool = scratch_pool();
    mm_region *writer = open_region(pool, MM_MODE_MUST_CREATE, MM_EPOCH_HEAD);
    uint64_t epoch = keep(writer, 1);
    CHECK_OK(mm_region_settle(writer));
    pid_t reader = start_reader(pool, epoch);
    keep(writer, 2);
    keep(writer, 3);
    shut_region(writer);
    writer = open_region(pool, MM_MODE_MUST_EXIST, MM_EPOCH_HEAD);
    CHECK(shows(writer, 3) && waiting(writer) == 2);
    stamp(writer, 0, 5);
    uint64_t next = take_checkpoint(writer, NULL);
    CHECK(kill(reader, SIGKILL) == 0 && waitpid(reader, NULL, 0) == reader);
    CHECK_OK(mm_region_settle(writer));
    CHECK(waiting(writer) == 0 && is_stamped(writer, 0, 5));
    for (uint64_t value = 1; value <= 3; value++) {
        mm_region *seen = open_region(pool, MM_MODE_READ_ONLY, epoch + value - 1);
        CHECK(shows(seen, value));
        shut_region(seen);
    }
    CHECK(next > epoch + 2);
    shut_region(writer);
}

/* A child of a reader that closes what it inherited must not take the parent's pin with it. */
static void test_a_readers_child_does_not_end_the_pin(void) {
    const char *pool = scratch_pool();
    mm_region *writer = open_region(pool, MM_MODE_MUST_CREATE, MM_EPOCH_HEAD);
    uint64_t epoch = keep(writer, 1);
    CHECK_OK(mm_region_settle(writer));
    mm_region *reader = open_region(pool, MM_MODE_READ_ONLY, epoch);
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        CHECK_STATUS(mm_region_close(reader), MM_E_FORKED);
        CHECK_STATUS(mm_region_verify(reader, MM_EPOCH_HEAD), MM_E_FORKED);
        mm_region_unref(reader);
        _exit(0);
    }
    int status;
    CHECK(waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0);
    keep(writer, 2);
    CHECK_STATUS(mm_region_settle(writer), MM_E_AGAIN);
    CHECK(shows(reader, 1));
    shut_region(reader);
    CHECK_OK(mm_region_settle(writer));
    shut_region(writer);
}

int main(void) {
    test_a_version_of_its_own_while_the_writer_goes_on();
    test_a_region_that_is_being_made_has_no_checkpoint_yet();
    test_what_a_reader_writes_is_its_own();
    test_logs_behind_a_reader_gather_within_a_limit();
    test_durable_behind_a_reader_is_so_with_all_it_stands_on();
    test_a_dead_reader_stops_nobody();
    test_an_owner_opens_beside_a_reader();
    test_a_readers_child_does_not_end_the_pin();
    return 0;
}
