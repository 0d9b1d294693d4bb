#include "journal.h"

#include "error.h"
#include "file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define JOURNAL_BYTES_MAX (1u << 30)
#define COMPACT_ABOVE_BYTES (1u << 20)
#define FRAME_BYTES_MAX (64u << 20)
#define STATE_FRAME_BYTES (8u << 20)

static const char *const names[2] = {"journal", "journal.copy"};
static const char *const fresh_names[2] = {"journal.new", "journal.copy.new"};

/* ---- building frames ---------------------------------------------------- */

static void *frame_room(mm_frame *frame, size_t size) {
    if (frame->size == 0) frame->size = sizeof(mm_frame_header);
    if (frame->size + size > frame->room) {
        size_t room = 2 * (frame->size + size);
        uint8_t *bytes = realloc(frame->bytes, room);
        if (!bytes) {
            frame->failed = 1;
            return NULL;
        }
        frame->bytes = bytes;
        frame->room = room;
    }
    void *at = frame->bytes + frame->size;
    memset(at, 0, size);
    frame->size += size;
    frame->entries++;
    return at;
}

static size_t node_entry_size(const mm_checkpoint_info *info) {
    size_t size = offsetof(mm_node_entry, info) + offsetof(mm_checkpoint_info, meta) + info->meta_size;
    return (size + 7) & ~(size_t)7;
}

void mm_frame_node(mm_frame *frame, const mm_node *node) {
    MM_ASSERT(node->info.meta_size <= MM_META_MAX);
    size_t size = node_entry_size(&node->info);
    mm_node_entry *entry = frame_room(frame, size);
    if (!entry) return;
    entry->header = (mm_entry_header){MM_ENTRY_NODE, (uint32_t)size};
    entry->delta_id = node->delta_id;
    entry->from = node->from;
    entry->live = (uint32_t)node->live;
    memcpy(&entry->info, &node->info, offsetof(mm_checkpoint_info, meta) + node->info.meta_size);
}

void mm_frame_epoch(mm_frame *frame, mm_entry_kind kind, uint64_t epoch) {
    mm_epoch_entry *entry = frame_room(frame, sizeof *entry);
    if (entry) *entry = (mm_epoch_entry){{kind, sizeof *entry}, epoch};
}

void mm_frame_base(mm_frame *frame, uint64_t epoch, uint64_t moving_to, uint64_t undo_id) {
    mm_base_entry *entry = frame_room(frame, sizeof *entry);
    if (entry) *entry = (mm_base_entry){{MM_ENTRY_BASE, sizeof *entry}, epoch, moving_to, undo_id};
}

static uint32_t frame_crc(const mm_frame_header *header) {
    size_t skip = offsetof(mm_frame_header, sequence);
    return mm_crc32c(0, (const uint8_t *)header + skip, header->size_bytes - skip);
}

static void frame_finish(mm_frame *frame, uint64_t sequence) {
    mm_frame_header *header = (mm_frame_header *)frame->bytes;
    *header = (mm_frame_header){.magic = MM_FRAME_MAGIC,
                                .sequence = sequence,
                                .size_bytes = (uint32_t)frame->size,
                                .entry_count = frame->entries};
    header->crc = frame_crc(header);
}

/* ---- what frames mean ---------------------------------------------------- */

static int apply_node(mm_history *history, const mm_entry_header *header) {
    const mm_node_entry *entry = (const mm_node_entry *)header;
    size_t fixed = offsetof(mm_node_entry, info) + offsetof(mm_checkpoint_info, meta);
    if (header->size_bytes < fixed || entry->info.meta_size > MM_META_MAX ||
        header->size_bytes < node_entry_size(&entry->info))
        return mm_fail(MM_E_CORRUPT, "a journal entry of a checkpoint is cut short");
    mm_node node = {.delta_id = entry->delta_id, .from = entry->from, .live = entry->live != 0};
    memcpy(&node.info, &entry->info, offsetof(mm_checkpoint_info, meta) + entry->info.meta_size);
    node.info.name[MM_NAME_MAX - 1] = '\0';
    return mm_history_put(history, &node);
}

static int apply_entry(mm_history *history, const mm_entry_header *header) {
    const mm_epoch_entry *epoch = (const mm_epoch_entry *)header;
    const mm_base_entry *base = (const mm_base_entry *)header;
    switch (header->kind) {
    case MM_ENTRY_NODE: return apply_node(history, header);
    case MM_ENTRY_DROP: mm_history_drop(history, epoch->epoch); return MM_OK;
    case MM_ENTRY_HEAD: history->head = epoch->epoch; return MM_OK;
    case MM_ENTRY_BASE:
        history->base = base->epoch;
        history->moving_to = base->moving_to;
        history->undo_id = base->undo_id;
        return MM_OK;
    case MM_ENTRY_RESET:
        history->count = 0;
        history->highest_epoch = epoch->epoch;
        return MM_OK;
    default:
        return mm_fail(MM_E_VERSION, "a journal entry of kind %u is unknown to this version", header->kind);
    }
}

static int apply_frame(mm_history *history, const uint8_t *bytes) {
    const mm_frame_header *frame = (const mm_frame_header *)bytes;
    size_t at = sizeof *frame;
    for (uint32_t i = 0; i < frame->entry_count; i++) {
        const mm_entry_header *entry = (const mm_entry_header *)(bytes + at);
        size_t left = frame->size_bytes - at;
        if (left < sizeof(mm_epoch_entry) || entry->size_bytes < sizeof(mm_epoch_entry) ||
            entry->size_bytes > left ||
            (entry->kind == MM_ENTRY_BASE && entry->size_bytes < sizeof(mm_base_entry)))
            return mm_fail(MM_E_CORRUPT, "a journal entry is larger than its frame");
        int status = apply_entry(history, entry);
        if (status != MM_OK) return status;
        at += entry->size_bytes;
    }
    return MM_OK;
}

/* ---- reading -------------------------------------------------------------- */

/* The frame at `at` if it is whole, else NULL. */
static const mm_frame_header *frame_at(const mm_bytes *copy, size_t at, uint64_t sequence) {
    if (at + sizeof(mm_frame_header) > copy->size) return NULL;
    const mm_frame_header *frame = (const mm_frame_header *)(copy->bytes + at);
    if (frame->magic != MM_FRAME_MAGIC || frame->size_bytes < sizeof *frame || frame->size_bytes % 8 != 0)
        return NULL;
    if (frame->size_bytes > copy->size - at || frame->size_bytes > FRAME_BYTES_MAX) return NULL;
    if (sequence && frame->sequence != sequence) return NULL;
    return frame_crc(frame) == frame->crc ? frame : NULL;
}

/* After the last frame both can read: did frames follow that neither holds whole? */
static int frames_follow(const mm_bytes *copy, size_t at, uint64_t sequence) {
    for (size_t next = at + 8; next + sizeof(mm_frame_header) <= copy->size; next += 8) {
        const mm_frame_header *frame = frame_at(copy, next, 0);
        if (frame && frame->sequence > sequence) return 1;
    }
    return 0;
}

typedef struct reading {
    mm_bytes copy[2];
    size_t at;
    uint64_t sequence; /* of the next frame */
    int damaged[2];    /* this copy lacks a frame that the other has */
} reading;

static int read_frames(reading *reading, mm_history *history) {
    for (;;) {
        const mm_frame_header *frame[2];
        for (int i = 0; i < 2; i++) frame[i] = frame_at(&reading->copy[i], reading->at, reading->sequence);
        /* Two first frames that differ: a compaction was cut short; the newer tells all the other does. */
        if (frame[0] && frame[1] && frame[0]->sequence != frame[1]->sequence)
            frame[frame[0]->sequence > frame[1]->sequence] = NULL;
        const mm_frame_header *good = frame[0] ? frame[0] : frame[1];
        if (!good) break;
        for (int i = 0; i < 2; i++) reading->damaged[i] |= frame[i] == NULL;
        int status = apply_frame(history, (const uint8_t *)good);
        if (status != MM_OK) return status;
        reading->at += good->size_bytes;
        reading->sequence = good->sequence + 1;
    }
    for (int i = 0; i < 2; i++)
        if (frames_follow(&reading->copy[i], reading->at, reading->sequence))
            return mm_fail(MM_E_CORRUPT, "journal and journal.copy are both damaged at byte %zu",
                           reading->at);
    return MM_OK;
}

/* A copy that was torn or damaged becomes equal to what was read. */
static int heal(mm_journal *journal, const reading *reading) {
    for (int i = 0; i < 2; i++) {
        if (!reading->damaged[i] && reading->copy[i].size == reading->at) continue;
        const mm_bytes *good = &reading->copy[!reading->damaged[i] ? i : !i];
        /* Frames may have been taken from both in turn; then neither is whole, and the caller compacts. */
        int status = mm_file_write(journal->fd[i], good->bytes, reading->at, 0);
        if (status != MM_OK) return status;
        if (ftruncate(journal->fd[i], (off_t)reading->at) != 0) return mm_fail_errno("trimming a journal");
    }
    return MM_OK;
}

static int open_files(int folder_fd, int writable, mm_journal *journal, reading *reading) {
    for (int i = 0; i < 2; i++) {
        int flags = writable ? O_RDWR | O_CREAT | O_CLOEXEC : O_RDONLY | O_CLOEXEC;
        journal->fd[i] = openat(folder_fd, names[i], flags, 0600);
        if (journal->fd[i] < 0 && !writable && errno == ENOENT) continue; /* one copy is enough to read */
        if (journal->fd[i] < 0) return mm_fail_errno("opening %s", names[i]);
        int status = mm_file_read(journal->fd[i], JOURNAL_BYTES_MAX, &reading->copy[i]);
        if (status != MM_OK) return status;
    }
    return MM_OK;
}

static int load(int folder_fd, int writable, mm_journal *journal, mm_history *history, reading *reading) {
    int status = open_files(folder_fd, writable, journal, reading);
    if (status == MM_OK) status = read_frames(reading, history);
    if (status != MM_OK) return status;
    journal->size_bytes = reading->at;
    journal->sequence = reading->sequence ? reading->sequence : 1;
    if (!writable) return MM_OK;
    if (reading->damaged[0] && reading->damaged[1]) {
        journal->size_bytes = UINT64_MAX; /* each has what the other lacks: write both anew */
        return mm_journal_compact(journal, folder_fd, history);
    }
    return heal(journal, reading);
}

int mm_journal_open(int folder_fd, int writable, const mm_medium *medium, mm_journal *journal,
                    mm_history *history) {
    reading reading = {.sequence = 0};
    *journal = (mm_journal){.fd = {-1, -1}, .medium = medium, .compact_above_bytes = COMPACT_ABOVE_BYTES};
    int status = load(folder_fd, writable, journal, history, &reading);
    for (int i = 0; i < 2; i++) free(reading.copy[i].bytes);
    if (status != MM_OK) mm_journal_close(journal);
    return status;
}

void mm_journal_close(mm_journal *journal) {
    for (int i = 0; i < 2; i++) {
        if (journal->fd[i] >= 0) close(journal->fd[i]);
        journal->fd[i] = -1;
    }
}

/* ---- writing --------------------------------------------------------------- */

static int write_frame(mm_journal *journal, const mm_frame *frame, int durable) {
    for (int i = 0; i < 2; i++) {
        int status = mm_file_write(journal->fd[i], frame->bytes, frame->size, journal->size_bytes);
        if (status == MM_OK && durable) status = journal->medium->persist(journal->fd[i]);
        /* A frame in the first copy alone would count at the next open: the caller was told it failed, so
         * take it back; if that fails too, the medium is gone and the next open tells. */
        if (status != MM_OK) {
            for (int undo = 0; undo <= i; undo++)
                if (ftruncate(journal->fd[undo], (off_t)journal->size_bytes) != 0) return status;
            return status;
        }
    }
    return MM_OK;
}

int mm_journal_append(mm_journal *journal, mm_frame *frame, mm_history *history, int durable) {
    int status = frame->failed ? mm_fail(MM_E_SYSTEM, "no memory for a journal frame") : MM_OK;
    if (status == MM_OK) {
        frame_finish(frame, journal->sequence);
        status = write_frame(journal, frame, durable);
    }
    if (status == MM_OK) {
        journal->size_bytes += frame->size;
        journal->sequence++;
        status = apply_frame(history, frame->bytes);
        MM_ASSERT(status == MM_OK); /* what was just written must read back */
    }
    free(frame->bytes);
    *frame = (mm_frame){0};
    return status;
}

/* ---- compaction ------------------------------------------------------------ */

static int seal_frame(mm_frame *frame, uint64_t sequence, mm_bytes *state) {
    uint8_t *bytes = frame->failed ? NULL : realloc(state->bytes, state->size + frame->size);
    if (bytes) {
        frame_finish(frame, sequence);
        memcpy(bytes + state->size, frame->bytes, frame->size);
        state->bytes = bytes;
        state->size += frame->size;
    }
    free(frame->bytes);
    *frame = (mm_frame){0};
    return bytes ? MM_OK : mm_fail(MM_E_SYSTEM, "no memory to compact the journal");
}

/* All that a journal has to tell, in frames of a size that can be read back. */
static int describe(const mm_history *history, uint64_t *sequence, mm_bytes *state) {
    mm_frame frame = {0};
    int status = MM_OK;
    mm_frame_epoch(&frame, MM_ENTRY_RESET, history->highest_epoch);
    for (size_t i = 0; i < history->count && status == MM_OK; i++) {
        mm_frame_node(&frame, &history->nodes[i]);
        if (frame.size > STATE_FRAME_BYTES) status = seal_frame(&frame, (*sequence)++, state);
    }
    if (status != MM_OK) return status;
    mm_frame_base(&frame, history->base, history->moving_to, history->undo_id);
    mm_frame_epoch(&frame, MM_ENTRY_HEAD, history->head);
    return seal_frame(&frame, (*sequence)++, state);
}

/* `replaced` tells whether a name leads to a fresh file by now: then the old ones are written no more,
 * whatever else fails, because the next owner takes the newer of two journals. */
static int write_fresh(int folder_fd, const mm_bytes *state, const mm_medium *medium, int fresh[2],
                       int *replaced) {
    for (int i = 0; i < 2; i++) {
        fresh[i] = openat(folder_fd, fresh_names[i], O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
        if (fresh[i] < 0) return mm_fail_errno("making %s", fresh_names[i]);
        int status = mm_file_write(fresh[i], state->bytes, state->size, 0);
        if (status == MM_OK) status = medium->persist(fresh[i]);
        if (status != MM_OK) return status;
    }
    for (int i = 0; i < 2; i++) {
        if (renameat(folder_fd, fresh_names[i], folder_fd, names[i]) != 0)
            return mm_fail_errno("replacing %s", names[i]);
        *replaced = 1;
    }
    return medium->persist_folder(folder_fd);
}

static int replace(mm_journal *journal, int folder_fd, const mm_bytes *state, uint64_t next_sequence) {
    int fresh[2] = {-1, -1}, replaced = 0;
    int status = write_fresh(folder_fd, state, journal->medium, fresh, &replaced);
    if (replaced) {
        mm_journal_close(journal);
        memcpy(journal->fd, fresh, sizeof fresh);
        journal->size_bytes = state->size;
        journal->sequence = next_sequence;
        return status;
    }
    for (int i = 0; i < 2; i++)
        if (fresh[i] >= 0) close(fresh[i]);
    return status;
}

int mm_journal_compact(mm_journal *journal, int folder_fd, const mm_history *history) {
    if (journal->size_bytes <= journal->compact_above_bytes) return MM_OK;
    mm_bytes state = {NULL, 0};
    uint64_t next_sequence = journal->sequence;
    int status = describe(history, &next_sequence, &state);
    if (status == MM_OK) {
        /* While most of it is still needed, it is not looked at again before it has doubled. */
        journal->compact_above_bytes =
            2 * state.size > COMPACT_ABOVE_BYTES ? 2 * state.size : COMPACT_ABOVE_BYTES;
        if (journal->size_bytes > 2 * state.size) status = replace(journal, folder_fd, &state, next_sequence);
    }
    free(state.bytes);
    return status;
}

int mm_journal_is_full(const mm_journal *journal) { return journal->size_bytes > JOURNAL_BYTES_MAX / 2; }
