/* The fear: a journal that loses a checkpoint it vouched for, or vouches for one it never had. */
#include "check.h"
#include "images.h"

#include <string.h>

#define FRAMES 6

static int fail_write; /* the how-manieth write from now on fails; 0: none */

int __real_mm_file_write(int fd, const void *bytes, size_t size, uint64_t offset);
int __wrap_mm_file_write(int fd, const void *bytes, size_t size, uint64_t offset);
int __wrap_mm_file_write(int fd, const void *bytes, size_t size, uint64_t offset) {
    if (fail_write && --fail_write == 0) {
        __real_mm_file_write(fd, bytes, size / 2, offset);
        return MM_E_FULL;
    }
    return __real_mm_file_write(fd, bytes, size, offset);
}

static void make_journal(size_t ends[FRAMES + 1]) {
    mm_history history;
    mm_journal journal;
    new_folder();
    CHECK_OK(mm_history_init(&history));
    CHECK_OK(mm_journal_open(folder_fd, 1, medium, &journal, &history));
    ends[0] = 0;
    for (uint64_t epoch = 1; epoch <= FRAMES; epoch++) {
        append_checkpoint(&journal, &history, epoch);
        ends[epoch] = journal.size_bytes;
    }
    mm_journal_close(&journal);
    mm_history_free(&history);
    for (int copy = 0; copy < 2; copy++) load(copy, &original[copy]);
    CHECK(original[0].size == ends[FRAMES] && original[1].size == ends[FRAMES]);
}

static uint64_t whole_frames(const size_t ends[FRAMES + 1], size_t size) {
    uint64_t frames = 0;
    while (frames < FRAMES && ends[frames + 1] <= size) frames++;
    return frames;
}

static void test_one_copy_torn_at_every_byte_loses_nothing(void) {
    size_t ends[FRAMES + 1];
    make_journal(ends);
    for (int copy = 0; copy < 2; copy++)
        for (size_t size = 0; size < ends[FRAMES]; size++) {
            restore_images();
            damaged = original[copy];
            damaged.size = size;
            store(copy, &damaged);
            expect(0, FRAMES);
            if (size % 16 == 0) expect_healed(FRAMES);
        }
}

static void test_both_copies_torn_tell_the_frames_before(void) {
    size_t ends[FRAMES + 1];
    make_journal(ends);
    for (size_t size = 0; size < ends[FRAMES]; size++) {
        restore_images();
        damaged = original[0];
        damaged.size = size;
        for (int copy = 0; copy < 2; copy++) store(copy, &damaged);
        expect(0, whole_frames(ends, size));
        if (size % 16 == 0) expect_healed(whole_frames(ends, size));
    }
}

static void test_first_copy_ahead_of_the_second(void) {
    size_t ends[FRAMES + 1];
    make_journal(ends);
    /* Killed between the two writes of a frame, at every byte of each. */
    for (size_t first = ends[FRAMES - 1]; first <= ends[FRAMES]; first++)
        for (size_t second = ends[FRAMES - 1]; second <= ends[FRAMES]; second += 53) {
            damaged = original[0];
            damaged.size = first;
            store(0, &damaged);
            damaged.size = second;
            store(1, &damaged);
            int is_whole = first == ends[FRAMES] || second == ends[FRAMES];
            expect(1, is_whole ? FRAMES : FRAMES - 1);
        }
}

static void test_flipped_byte_in_one_copy_loses_nothing(void) {
    size_t ends[FRAMES + 1];
    make_journal(ends);
    for (int copy = 0; copy < 2; copy++)
        for (size_t at = 0; at < ends[FRAMES]; at++) {
            restore_images();
            damaged = original[copy];
            damaged.bytes[at] ^= (uint8_t)(1 << at % 8);
            store(copy, &damaged);
            expect(0, FRAMES);
            if (at % 16 == 0) expect_healed(FRAMES);
        }
}

static void test_flipped_byte_in_both_copies_is_told(void) {
    size_t ends[FRAMES + 1];
    make_journal(ends);
    for (size_t at = 0; at < ends[FRAMES]; at++) {
        mm_history history;
        damaged = original[0];
        damaged.bytes[at] ^= (uint8_t)(1 << at % 8);
        for (int copy = 0; copy < 2; copy++) store(copy, &damaged);
        int status = read_journal(1, &history);
        if (at < ends[FRAMES - 1])
            CHECK_STATUS(status, MM_E_CORRUPT);
        else
            CHECK_OK(status); /* a last frame that neither copy holds whole never happened */
        if (status == MM_OK) check_history(&history, FRAMES - 1);
        mm_history_free(&history);
    }
}

static void test_each_copy_damaged_in_another_frame(void) {
    size_t ends[FRAMES + 1];
    make_journal(ends);
    for (int one = 0; one < FRAMES; one++)
        for (int other = 0; other < FRAMES; other++) {
            if (one == other) continue;
            damaged = original[0];
            damaged.bytes[ends[one] + 30] ^= 1;
            store(0, &damaged);
            damaged = original[1];
            damaged.bytes[ends[other] + 30] ^= 1;
            store(1, &damaged);
            expect(0, FRAMES);
            expect_healed(FRAMES);
        }
}

static void test_garbage_behind_the_end_is_not_a_frame(void) {
    size_t ends[FRAMES + 1];
    make_journal(ends);
    damaged = original[0];
    for (size_t at = damaged.size; at < damaged.size + 300; at++) damaged.bytes[at] = (uint8_t)(at * 37);
    damaged.size += 300;
    store(0, &damaged);
    expect_healed(FRAMES);
}

static void test_append_that_fails_never_happened(void) {
    size_t ends[FRAMES + 1];
    make_journal(ends);
    for (int which = 1; which <= 2; which++) {
        mm_history history;
        mm_journal journal;
        restore_images();
        CHECK_OK(mm_history_init(&history));
        CHECK_OK(mm_journal_open(folder_fd, 1, medium, &journal, &history));
        mm_frame frame = {0};
        mm_frame_epoch(&frame, MM_ENTRY_HEAD, 1);
        fail_write = which;
        CHECK_STATUS(mm_journal_append(&journal, &frame, &history, 1), MM_E_FULL);
        CHECK(frame.bytes == NULL);
        check_history(&history, FRAMES);
        mm_journal_close(&journal);
        mm_history_free(&history);
        expect(0, FRAMES);
        expect_healed(FRAMES);
    }
}

/* ---- frames made by hand ---------------------------------------------------------------- */

static void store_frame(const void *entries, size_t size, uint32_t count) {
    mm_frame_header header = {.magic = MM_FRAME_MAGIC,
                              .sequence = 1,
                              .size_bytes = (uint32_t)(sizeof header + size),
                              .entry_count = count};
    memcpy(damaged.bytes + sizeof header, entries, size);
    memcpy(damaged.bytes, &header, sizeof header);
    size_t skip = offsetof(mm_frame_header, sequence);
    header.crc = mm_crc32c(0, damaged.bytes + skip, header.size_bytes - skip);
    memcpy(damaged.bytes, &header, sizeof header);
    damaged.size = header.size_bytes;
    for (int copy = 0; copy < 2; copy++) store(copy, &damaged);
}

static void expect_status(int expected) {
    mm_history history;
    CHECK_STATUS(read_journal(0, &history), expected);
    mm_history_free(&history);
}

static void test_entries_of_a_newer_version_are_refused(void) {
    mm_epoch_entry entry = {{99, sizeof entry}, 1};
    new_folder();
    store_frame(&entry, sizeof entry, 1);
    expect_status(MM_E_VERSION);
}

static void test_entries_that_do_not_fit_are_refused(void) {
    new_folder();
    mm_epoch_entry too_long = {{MM_ENTRY_HEAD, 800}, 1};
    store_frame(&too_long, sizeof too_long, 1);
    expect_status(MM_E_CORRUPT);
    mm_epoch_entry too_short = {{MM_ENTRY_HEAD, 8}, 1};
    store_frame(&too_short, sizeof too_short, 1);
    expect_status(MM_E_CORRUPT);
    mm_epoch_entry short_base = {{MM_ENTRY_BASE, sizeof short_base}, 1};
    store_frame(&short_base, sizeof short_base, 1);
    expect_status(MM_E_CORRUPT);
    mm_epoch_entry short_node = {{MM_ENTRY_NODE, sizeof short_node}, 1};
    store_frame(&short_node, sizeof short_node, 1);
    expect_status(MM_E_CORRUPT);
    mm_epoch_entry more = {{MM_ENTRY_HEAD, sizeof more}, 1};
    store_frame(&more, sizeof more, 2);
    expect_status(MM_E_CORRUPT);
    mm_node_entry boastful = {.header = {MM_ENTRY_NODE, sizeof boastful}, .info.meta_size = MM_META_MAX + 1};
    store_frame(&boastful, sizeof boastful, 1);
    expect_status(MM_E_CORRUPT);
}

int main(void) {
    test_one_copy_torn_at_every_byte_loses_nothing();
    test_both_copies_torn_tell_the_frames_before();
    test_first_copy_ahead_of_the_second();
    test_flipped_byte_in_one_copy_loses_nothing();
    test_flipped_byte_in_both_copies_is_told();
    test_each_copy_damaged_in_another_frame();
    test_garbage_behind_the_end_is_not_a_frame();
    test_append_that_fails_never_happened();
    test_entries_of_a_newer_version_are_refused();
    test_entries_that_do_not_fit_are_refused();
    return 0;
}
