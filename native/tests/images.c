#include "images.h"

#include "check.h"
#include "scratch.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

int folder_fd;
const mm_medium *medium;
image original[2], damaged;

static const char *const names[2] = {"journal", "journal.copy"};

void load(int copy, image *out) {
    int fd = openat(folder_fd, names[copy], O_RDONLY | O_CLOEXEC);
    CHECK(fd >= 0);
    ssize_t got = read(fd, out->bytes, sizeof out->bytes);
    CHECK(got >= 0 && (size_t)got < sizeof out->bytes);
    out->size = (size_t)got;
    close(fd);
}

void store(int copy, const image *in) {
    int fd = openat(folder_fd, names[copy], O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    CHECK(fd >= 0 && write(fd, in->bytes, in->size) == (ssize_t)in->size);
    close(fd);
}

void new_folder(void) {
    const char *folder = scratch_pool();
    folder_fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    CHECK(folder_fd >= 0);
    CHECK_OK(mm_medium_choose(folder_fd, folder, MM_MEDIUM_AUTO, &medium));
}

int read_journal(int writable, mm_history *history) {
    mm_journal journal;
    CHECK_OK(mm_history_init(history));
    int status = mm_journal_open(folder_fd, writable, medium, &journal, history);
    if (status == MM_OK) mm_journal_close(&journal);
    return status;
}

void append_checkpoint(mm_journal *journal, mm_history *history, uint64_t epoch) {
    mm_frame frame = {0};
    mm_node node = {.info = {.epoch = epoch, .meta_size = (uint32_t)(epoch * 3 % 40)},
                    .delta_id = epoch,
                    .from = epoch - 1,
                    .live = 1};
    snprintf(node.info.name, sizeof node.info.name, "c%d", (int)epoch);
    memset(node.info.meta, (int)epoch, node.info.meta_size);
    mm_frame_node(&frame, &node);
    mm_frame_epoch(&frame, MM_ENTRY_HEAD, epoch);
    CHECK_OK(mm_journal_append(journal, &frame, history, 1));
}

/* FRAMES frames of a checkpoint each, in both copies; their images are kept. */

void restore_images(void) {
    for (int copy = 0; copy < 2; copy++) store(copy, &original[copy]);
}

void check_history(const mm_history *history, uint64_t frames) {
    CHECK(history->head == frames);
    CHECK(history->count == frames + 1);
    for (uint64_t epoch = 1; epoch <= frames; epoch++) {
        const mm_node *node = mm_history_find(history, epoch);
        CHECK(node && node->delta_id == epoch && node->from == epoch - 1 && node->live);
        CHECK(node->info.meta_size == epoch * 3 % 40);
        for (uint32_t i = 0; i < node->info.meta_size; i++) CHECK(node->info.meta[i] == epoch);
    }
}

void expect(int writable, uint64_t frames) {
    mm_history history;
    CHECK_OK(read_journal(writable, &history));
    check_history(&history, frames);
    mm_history_free(&history);
}

void expect_healed(uint64_t frames) {
    expect(1, frames);
    load(0, &damaged);
    size_t size = damaged.size;
    load(1, &damaged);
    CHECK(size == damaged.size);
    for (int without = 0; without < 2; without++) { /* each copy alone now tells everything */
        image kept;
        load(without, &kept);
        damaged.size = 0;
        store(without, &damaged);
        expect(0, frames);
        store(without, &kept);
    }
}
