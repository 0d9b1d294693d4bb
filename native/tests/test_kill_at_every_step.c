/*
 * The fear: a moment at which being killed costs a checkpoint, or leaves a mixture of two.
 *
 * A child runs a fixed script of writes, checkpoints, restores and deletions, and tells after each that it is
 * done. It is killed at its first step, its second, and so on, where a step is any call that changes the
 * pool. Whoever opens the pool next must find the state after what was told, or after that and what was under
 * way; and so must whoever opens it after somebody who was killed in recovering it. The same search with a
 * fault in the core must find it.
 *
 * Usage: test_kill_at_every_step [STRIDE]. Every STRIDEth step; by default 5, and all with 1.
 */
#include "check.h"
#include "checkpoint.h"
#include "scratch.h"

#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- the script, and what it means -------------------------------------------------- */

#define PAGES 12u
#define EPOCHS_MAX 8u

typedef enum op_kind { WRITE, CHECKPOINT, RESTORE, DELETE, REOPEN } op_kind;

typedef struct op {
    op_kind kind;
    uint64_t argument; /* seed, epoch */
} op;

static const op script[] = {{WRITE, 1},   {CHECKPOINT, 0}, {WRITE, 2},      {CHECKPOINT, 0}, {WRITE, 3},
                            {REOPEN, 0},  {WRITE, 4},      {CHECKPOINT, 0}, {RESTORE, 1},    {WRITE, 5},
                            {DELETE, 2},  {CHECKPOINT, 0}, {RESTORE, 3},    {WRITE, 6},      {CHECKPOINT, 0},
                            {RESTORE, 4}, {DELETE, 3},     {DELETE, 5}};

typedef struct model {
    uint64_t now[PAGES], kept[EPOCHS_MAX][PAGES]; /* what each page is stamped with */
    int live[EPOCHS_MAX];
    uint64_t head, highest;
} model;

static void write_model(uint64_t *pages, uint64_t seed) {
    for (uint64_t page = 0; page < PAGES; page++)
        if ((page * 7 + seed * 5) % 3 != 0) pages[page] = seed * 100 + page;
}

static void run_model(model *model, const op *op) {
    switch (op->kind) {
    case WRITE: write_model(model->now, op->argument); return;
    case CHECKPOINT:
        model->head = ++model->highest;
        memcpy(model->kept[model->head], model->now, sizeof model->now);
        model->live[model->head] = 1;
        return;
    case RESTORE:
        model->head = op->argument;
        memcpy(model->now, model->kept[model->head], sizeof model->now);
        return;
    case DELETE: model->live[op->argument] = 0; return;
    case REOPEN: memcpy(model->now, model->kept[model->head], sizeof model->now); return;
    }
}

static model model_after(size_t ops) {
    model model = {.highest = 0};
    for (size_t i = 0; i < ops && i < COUNT_OF(script); i++) run_model(&model, &script[i]);
    return model;
}

static void run_op(const char *pool, mm_region **region, const op *op) {
    uint64_t pages[PAGES] = {0};
    mm_checkpoint_info info;
    switch (op->kind) {
    case WRITE:
        write_model(pages, op->argument);
        for (uint64_t page = 0; page < PAGES; page++)
            if (pages[page]) stamp(*region, page, pages[page]);
        return;
    case CHECKPOINT: take_checkpoint(*region, NULL); return;
    case RESTORE: CHECK_OK(mm_region_restore(*region, op->argument, &info)); return;
    case DELETE: CHECK_OK(mm_region_delete(*region, op->argument)); return;
    case REOPEN:
        shut_region(*region);
        *region = open_region(pool, MM_MODE_MUST_EXIST, MM_EPOCH_HEAD);
        return;
    }
}

/* ---- steps -------------------------------------------------------------------------------- */

static _Atomic long steps_left = -1; /* negative: nobody counts */

static void step(void) {
    if (steps_left < 0) return;
    if (atomic_fetch_sub(&steps_left, 1) == 0) {
        kill(getpid(), SIGKILL);
        pause(); /* another thread may be the one that dies first */
    }
}

#define STEP_BEFORE(result, name, parameters, arguments)                                                     \
    result __real_##name parameters;                                                                         \
    result __wrap_##name parameters;                                                                         \
    result __wrap_##name parameters {                                                                        \
        step();                                                                                              \
        return __real_##name arguments;                                                                      \
    }

/* The linker is told by these names, which it finds in this file:
 * __wrap_mm_file_write __wrap_renameat __wrap_unlinkat __wrap_ftruncate __wrap_posix_fallocate
 * __wrap_mm_delta_seal __wrap_mm_delta_unseal __wrap_mm_delta_page __wrap_mm_copy_page __wrap_mm_gate_release
 */
STEP_BEFORE(int, mm_file_write, (int fd, const void *bytes, size_t size, uint64_t at), (fd, bytes, size, at))
STEP_BEFORE(int, renameat, (int from_fd, const char *from, int to_fd, const char *to),
            (from_fd, from, to_fd, to))
STEP_BEFORE(int, unlinkat, (int fd, const char *name, int flags), (fd, name, flags))
STEP_BEFORE(int, ftruncate, (int fd, off_t size), (fd, size))
STEP_BEFORE(int, posix_fallocate, (int fd, off_t offset, off_t size), (fd, offset, size))
STEP_BEFORE(void, mm_delta_unseal, (mm_delta * delta), (delta))
STEP_BEFORE(const void *, mm_delta_page, (const mm_delta *delta, uint64_t slot), (delta, slot))
STEP_BEFORE(uint64_t, mm_gate_release, (mm_gate * gate), (gate))
STEP_BEFORE(void, mm_delta_seal,
            (mm_delta * delta, const uint8_t id[16], uint64_t from, const mm_checkpoint_info *info),
            (delta, id, from, info))

/* ---- faults, for the search to find ------------------------------------------------------- */

typedef enum fault { NONE, SKIPPED_PAGE, APPLIED_BEFORE_COMMIT, NO_DEPARTURE, HEAD_NOT_RECORDED } fault;
static fault seeded;

uint32_t __real_mm_copy_page(void *to, const void *from, const void *next);
uint32_t __wrap_mm_copy_page(void *to, const void *from, const void *next);
uint32_t __wrap_mm_copy_page(void *to, const void *from, const void *next) {
    static const uint8_t nothing[MM_PAGE_SIZE] __attribute__((aligned(64)));
    static _Atomic unsigned copies;
    step();
    int skip = seeded == SKIPPED_PAGE && copies++ % 9 == 8;
    return __real_mm_copy_page(to, skip ? nothing : from, next);
}

int __real_mm_checkpoint_commit(mm_region *, mm_checkpoint *);
int __wrap_mm_checkpoint_commit(mm_region *, mm_checkpoint *);
int __wrap_mm_checkpoint_commit(mm_region *region, mm_checkpoint *checkpoint) {
    for (uint64_t slot = 0; seeded == APPLIED_BEFORE_COMMIT && slot < region->log.count; slot++) {
        uint32_t page = region->log.index[slot].page;
        memcpy(region->base.pages + page * (uint64_t)MM_PAGE_SIZE, mm_delta_page(&region->log, slot),
               MM_PAGE_SIZE);
        region->base.sums[page] = region->log.index[slot].crc;
    }
    return __real_mm_checkpoint_commit(region, checkpoint);
}

static int is_dropped(const mm_frame *frame) {
    const mm_entry_header *entry = (const mm_entry_header *)(frame->bytes + sizeof(mm_frame_header));
    if (frame->entries != 1) return 0;
    if (entry->kind == MM_ENTRY_HEAD) return seeded == HEAD_NOT_RECORDED;
    return entry->kind == MM_ENTRY_BASE && seeded == NO_DEPARTURE;
}

int __real_mm_region_record(mm_region *, mm_frame *, int durable);
int __wrap_mm_region_record(mm_region *, mm_frame *, int durable);
int __wrap_mm_region_record(mm_region *region, mm_frame *frame, int durable) {
    if (!is_dropped(frame)) return __real_mm_region_record(region, frame, durable);
    mm_journal kept = region->journal; /* known to this process, and to nobody after it */
    for (int i = 0; i < 2; i++) region->journal.fd[i] = memfd_create("dropped", MFD_CLOEXEC);
    int status = __real_mm_region_record(region, frame, durable);
    mm_journal_close(&region->journal);
    region->journal = kept;
    return status;
}

/* ---- the child ------------------------------------------------------------------------------ */

/* Runs `body` in a child that dies at its `kill_at`th step; 1: it came to its end. */
static int in_child(void (*body)(const char *pool, int told_fd), const char *pool, int told_fd, long kill_at,
                    fault fault) {
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        seeded = fault;
        steps_left = kill_at;
        body(pool, told_fd);
        _exit(0);
    }
    int status;
    CHECK(waitpid(child, &status, 0) == child);
    CHECK(WIFEXITED(status) ? WEXITSTATUS(status) == 0 : WTERMSIG(status) == SIGKILL);
    return WIFEXITED(status);
}

static void run_script(const char *pool, int told_fd) {
    mm_region *region = open_region(pool, MM_MODE_OPEN_OR_CREATE, MM_EPOCH_HEAD);
    for (size_t i = 0; i < COUNT_OF(script); i++) {
        run_op(pool, &region, &script[i]);
        CHECK(write(told_fd, "x", 1) == 1);
    }
    shut_region(region);
}

static void only_open(const char *pool, int unused) {
    (void)unused;
    shut_region(open_region(pool, MM_MODE_OPEN_OR_CREATE, MM_EPOCH_HEAD));
}

/* ---- the judge -------------------------------------------------------------------------------- */

static int shows(const mm_region *region, const uint64_t *pages) {
    for (uint64_t page = 0; page < PAGES; page++)
        if (!is_stamped(region, page, pages[page])) return 0;
    return 1;
}

static int has_checkpoints_of(mm_region *region, const model *model) {
    mm_checkpoint_info infos[EPOCHS_MAX], head;
    size_t count = COUNT_OF(infos), expected = 0;
    CHECK_OK(mm_region_checkpoints(region, infos, &count));
    for (uint64_t epoch = 1; epoch < EPOCHS_MAX; epoch++) {
        if (!model->live[epoch]) continue;
        if (expected >= count || infos[expected].epoch != epoch) return 0;
        expected++;
    }
    int status = mm_region_head(region, &head);
    return count == expected && (status == MM_OK ? head.epoch : 0) == model->head;
}

static int readers_see(const char *pool, const model *model) {
    for (uint64_t epoch = 1; epoch < EPOCHS_MAX; epoch++) {
        mm_region *reader;
        if (!model->live[epoch]) continue;
        if (try_open(pool, MM_MODE_READ_ONLY, epoch, &reader) != MM_OK) return 0;
        int right = shows(reader, model->kept[epoch]);
        shut_region(reader);
        if (!right) return 0;
    }
    return 1;
}

/* Whole, and able to go on: a damage that waits comes out with the next checkpoint. */
static int is_whole(const char *pool, const model *candidates, size_t count) {
    mm_region *region;
    if (try_open(pool, MM_MODE_OPEN_OR_CREATE, MM_EPOCH_HEAD, &region) != MM_OK) return 0;
    const model *found = NULL;
    for (size_t i = 0; i < count && !found; i++)
        if (has_checkpoints_of(region, &candidates[i])) found = &candidates[i];
    int right = found && shows(region, found->kept[found->head]) && readers_see(pool, found) &&
                mm_region_verify(region, MM_EPOCH_HEAD) == MM_OK;
    model next;
    if (right) {
        next = *found;
        memcpy(next.now, next.kept[next.head], sizeof next.now);
        const op more[] = {{WRITE, 9}, {CHECKPOINT, 0}};
        next.highest = 6; /* above any epoch of the script: the number itself is not judged here */
        for (size_t i = 0; i < COUNT_OF(more); i++) run_op(pool, &region, &more[i]);
        mm_checkpoint_info head;
        CHECK_OK(mm_region_head(region, &head));
        next.highest = head.epoch - 1;
        for (size_t i = 0; i < COUNT_OF(more); i++) run_model(&next, &more[i]);
        CHECK_OK(mm_region_settle(region));
        right = readers_see(pool, &next) && mm_region_verify(region, MM_EPOCH_HEAD) == MM_OK;
    }
    shut_region(region);
    return right;
}

/* ---- the search --------------------------------------------------------------------------------- */

#define AGAIN 7

static size_t bytes_in(int pipe_fd) {
    char told[64];
    ssize_t got = read(pipe_fd, told, sizeof told);
    CHECK(got >= 0);
    return (size_t)got;
}

/* Kills at each `stride`th step; and, every AGAINth time, the recovery at each such step too. Returns the
 * number of the step after which the pool was not whole, -1 if there is none. */
static long search(fault fault, long stride) {
    for (long kill_at = 0, round = 0;; kill_at += stride, round++) {
        int pipe_fd[2];
        const char *pool = scratch_pool();
        CHECK(pipe2(pipe_fd, O_CLOEXEC) == 0);
        int ended = in_child(run_script, pool, pipe_fd[1], kill_at, fault);
        close(pipe_fd[1]);
        size_t told = bytes_in(pipe_fd[0]);
        close(pipe_fd[0]);
        const model candidates[2] = {model_after(told), model_after(told + 1)};
        for (long recover_at = round % stride; fault == NONE && round % AGAIN == 0; recover_at += stride)
            if (in_child(only_open, pool, -1, recover_at, NONE)) break;
        int right = is_whole(pool, candidates, 2);
        scratch_remove(pool);
        if (!right) return kill_at;
        if (ended) {
            CHECK(told == COUNT_OF(script));
            fprintf(stderr, "%ld steps\n", kill_at);
            return -1;
        }
    }
}

int main(int count, char **arguments) {
    long stride = count > 1 ? atol(arguments[1]) : 5;
    CHECK(stride > 0);
    CHECK(search(NONE, stride) == -1);
    for (fault fault = SKIPPED_PAGE; fault <= HEAD_NOT_RECORDED; fault++) {
        long found = search(fault, stride);
        fprintf(stderr, "fault %d: found at step %ld\n", fault, found);
        CHECK(found >= 0);
    }
    return 0;
}
