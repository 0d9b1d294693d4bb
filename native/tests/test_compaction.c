/* The fear: a journal that is rewritten, and tells less than before, or to nobody. */
#include "check.h"
#include "images.h"

#include <errno.h>
#include <stdio.h>

static int fail_rename; /* the how-manieth rename from now on fails; 0: none */

int __real_renameat(int from_fd, const char *from, int to_fd, const char *to);
int __wrap_renameat(int from_fd, const char *from, int to_fd, const char *to);
int __wrap_renameat(int from_fd, const char *from, int to_fd, const char *to) {
    if (fail_rename && --fail_rename == 0) {
        errno = EIO;
        return -1;
    }
    return __real_renameat(from_fd, from, to_fd, to);
}

/* A journal of more than a megabyte that tells the same two checkpoints again and again. */
static void grow_journal(mm_journal *journal, mm_history *history) {
    CHECK_OK(mm_history_init(history));
    CHECK_OK(mm_journal_open(folder_fd, 1, medium, journal, history));
    while (journal->size_bytes <= (1u << 20) + 4096) {
        append_checkpoint(journal, history, 1);
        append_checkpoint(journal, history, 2);
    }
}

static void test_compaction_tells_the_same_in_less(void) {
    mm_history history;
    mm_journal journal;
    new_folder();
    grow_journal(&journal, &history);
    CHECK_OK(mm_journal_compact(&journal, folder_fd, &history));
    CHECK(journal.size_bytes < 4096);
    check_history(&history, 2);
    append_checkpoint(&journal, &history, 3);
    mm_journal_close(&journal);
    mm_history_free(&history);
    expect_healed(3);
}

static void test_compaction_cut_short_between_the_renames(void) {
    static image compacted;
    mm_history history;
    mm_journal journal;
    new_folder();
    grow_journal(&journal, &history);
    for (int copy = 0; copy < 2; copy++) load(copy, &original[copy]);
    CHECK_OK(mm_journal_compact(&journal, folder_fd, &history));
    mm_journal_close(&journal);
    mm_history_free(&history);
    load(0, &compacted);
    for (int renamed = 0; renamed < 2; renamed++) {
        restore_images();
        store(renamed, &compacted);
        expect(0, 2);
        expect_healed(2);
    }
}

static void test_what_follows_a_failed_compaction_is_kept(void) {
    for (int which = 1; which <= 2; which++) {
        mm_history history;
        mm_journal journal;
        new_folder();
        grow_journal(&journal, &history);
        fail_rename = which;
        CHECK(mm_journal_compact(&journal, folder_fd, &history) != MM_OK);
        fail_rename = 0;
        for (uint64_t epoch = 3; epoch <= 5; epoch++) append_checkpoint(&journal, &history, epoch);
        mm_journal_close(&journal);
        mm_history_free(&history);
        expect(0, 5);
        expect_healed(5);
    }
}

/* Days of checkpoints every second: what a compacted journal tells must still be readable. */
static void test_compaction_of_a_very_long_history(void) {
    enum { MANY = 40000 };
    mm_history history, read_back;
    mm_journal journal;
    new_folder();
    CHECK_OK(mm_history_init(&history));
    CHECK_OK(mm_journal_open(folder_fd, 1, medium, &journal, &history));
    for (uint64_t epoch = 1; epoch <= MANY; epoch++) {
        mm_node node = {.info = {.epoch = epoch, .meta_size = MM_META_MAX},
                        .delta_id = epoch,
                        .from = epoch + 1,
                        .live = 1};
        CHECK_OK(mm_history_put(&history, &node));
    }
    history.head = history.base = MANY;
    journal.size_bytes = UINT64_MAX; /* as if it had told all that many times over */
    CHECK_OK(mm_journal_compact(&journal, folder_fd, &history));
    append_checkpoint(&journal, &history, MANY + 1);
    mm_journal_close(&journal);
    CHECK_OK(read_journal(1, &read_back));
    CHECK(read_back.count == history.count && read_back.head == MANY + 1 && read_back.base == MANY);
    CHECK(read_back.highest_epoch == MANY + 1);
    CHECK(mm_history_find(&read_back, MANY / 2)->delta_id == MANY / 2);
    mm_history_free(&history);
    mm_history_free(&read_back);
}

int main(void) {
    test_compaction_tells_the_same_in_less();
    test_compaction_cut_short_between_the_renames();
    test_what_follows_a_failed_compaction_is_kept();
    test_compaction_of_a_very_long_history();
    return 0;
}
