/* The fear: a page that was written and is not reported. */
#include "check.h"
#include "crc32c.h"
#include "kernel.h"
#include "pages.h"
#include "tracker.h"

#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* Notes what is given back: from then on it may be somebody else's. */
static _Atomic int is_watched;
static struct {
    uint8_t *start, *end;
} given[512];
static unsigned given_count;

int __real_munmap(void *address, size_t size);
int __wrap_munmap(void *address, size_t size);
int __wrap_munmap(void *address, size_t size) {
    uint8_t *start = address, *end = start + size;
    if (!is_watched) return __real_munmap(address, size);
    for (unsigned i = 0; i < given_count; i++) CHECK(end <= given[i].start || start >= given[i].end);
    CHECK(given_count < COUNT_OF(given));
    given[given_count].start = start;
    given[given_count++].end = end;
    return __real_munmap(address, size);
}

#define PAGES 2048u
#define SIZE (PAGES * (uint64_t)MM_PAGE_SIZE)
#define ALIGNMENT (2ull << 20)

static mm_tracker tracker;
static uint8_t *memory;
static int file_fd;
static mm_pages seen;

static void note(void *base, uintptr_t start, uintptr_t end) {
    CHECK(start < end && start >= (uintptr_t)base && end <= (uintptr_t)base + SIZE);
    for (uintptr_t at = start; at < end; at += MM_PAGE_SIZE)
        mm_pages_add(&seen, (at - (uintptr_t)base) / MM_PAGE_SIZE);
}

static void map_over(uint8_t *address) {
    void *map =
        mmap(address, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_FIXED | MAP_NORESERVE, file_fd, 0);
    CHECK(map == address);
}

/* A private mapping of a file of zeros, registered, not armed. */
static void set_up(void) {
    CHECK_OK(mm_tracker_open(&tracker));
    CHECK_OK(mm_pages_init(&seen, PAGES));
    file_fd = memfd_create("base", MFD_CLOEXEC);
    CHECK(file_fd >= 0 && ftruncate(file_fd, (off_t)SIZE) == 0);
    void *reserved =
        mmap(NULL, SIZE + ALIGNMENT, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    CHECK(reserved != MAP_FAILED);
    memory = (uint8_t *)(((uintptr_t)reserved + ALIGNMENT - 1) & ~(ALIGNMENT - 1));
    map_over(memory);
    CHECK_OK(mm_tracker_register(&tracker, memory, SIZE));
}

static void tear_down(void) {
    mm_tracker_close(&tracker);
    munmap(memory, SIZE);
    close(file_fd);
    mm_pages_free(&seen);
}

static void arm(void) { CHECK_OK(mm_tracker_arm(&tracker, memory, SIZE, note, memory)); }

static uint64_t collect(void) {
    mm_pages_clear(&seen);
    CHECK_OK(mm_tracker_collect(&tracker, memory, SIZE, note, memory));
    return seen.count;
}

static uint64_t peek(void) {
    mm_pages_clear(&seen);
    CHECK_OK(mm_tracker_peek(&tracker, memory, SIZE, note, memory));
    return seen.count;
}

static void test_exactly_what_was_written(void) {
    set_up();
    arm();
    CHECK(seen.count == 0 && collect() == 0);
    volatile uint8_t sum = 0;
    for (uint64_t page = 0; page < PAGES; page++)
        sum += memory[page * MM_PAGE_SIZE]; /* reads are no writes */
    CHECK(collect() == 0);
    uint32_t seed = 4;
    mm_pages expected;
    CHECK_OK(mm_pages_init(&expected, PAGES));
    for (int round = 0; round < 20; round++) {
        mm_pages_clear(&expected);
        for (int i = 0; i < 150; i++) {
            seed = seed * 1664525u + 1013904223u;
            uint64_t page = (seed >> 8) % PAGES;
            memory[page * MM_PAGE_SIZE + seed % MM_PAGE_SIZE] += 1;
            mm_pages_add(&expected, page);
        }
        for (int again = 0; again < 2; again++) {
            CHECK(peek() == expected.count);
            CHECK(memcmp(seen.words, expected.words, seen.word_count * 8) == 0);
        }
        CHECK(collect() == expected.count);
        CHECK(memcmp(seen.words, expected.words, seen.word_count * 8) == 0);
        CHECK(peek() == 0 && collect() == 0);
    }
    mm_pages_free(&expected);
    tear_down();
}

static void test_what_was_written_before_arming_is_reported(void) {
    set_up();
    memory[3 * MM_PAGE_SIZE] = 1;
    memory[(PAGES - 1) * (uint64_t)MM_PAGE_SIZE] = 1;
    arm();
    CHECK(seen.count == 2 && mm_pages_has(&seen, 3) && mm_pages_has(&seen, PAGES - 1));
    CHECK(collect() == 0);
    tear_down();
}

/* Writes by the kernel on the program's behalf: read(2), pread(2) across pages, and getrandom-like calls. */
static void test_read_into_the_memory_is_seen(void) {
    static uint8_t bytes[3 * MM_PAGE_SIZE];
    int pipe_fd[2];
    set_up();
    arm();
    memset(bytes, 7, sizeof bytes);
    int source = memfd_create("source", MFD_CLOEXEC);
    CHECK(write(source, bytes, sizeof bytes) == (ssize_t)sizeof bytes);
    CHECK(pread(source, memory + 10 * MM_PAGE_SIZE + 100, sizeof bytes, 0) == (ssize_t)sizeof bytes);
    CHECK(pipe2(pipe_fd, O_CLOEXEC) == 0 && write(pipe_fd[1], bytes, 10) == 10);
    CHECK(read(pipe_fd[0], memory + 100 * MM_PAGE_SIZE - 5, 10) == 10);
    CHECK(collect() == 6);
    for (uint64_t page = 10; page < 14; page++) CHECK(mm_pages_has(&seen, page));
    CHECK(mm_pages_has(&seen, 99) && mm_pages_has(&seen, 100));
    CHECK(pread(source, memory + 10 * MM_PAGE_SIZE, 1, 0) == 1); /* into a page that is private and marked */
    CHECK(collect() == 1 && mm_pages_has(&seen, 10));
    close(source);
    close(pipe_fd[0]);
    close(pipe_fd[1]);
    tear_down();
}

/* ---- beside writers ---------------------------------------------------------------- */

static _Atomic int stop;

/* Counts in the first word of each page; TSan is not asked, the kernel is. */
__attribute__((no_sanitize("thread"))) static void *write_on(void *unused) {
    (void)unused;
    uint32_t seed = 9;
    while (!stop) {
        seed = seed * 1664525u + 1013904223u;
        volatile uint32_t *word = (volatile uint32_t *)(memory + (seed >> 8) % PAGES * MM_PAGE_SIZE);
        *word += 1;
    }
    return NULL;
}

static uint32_t copies[PAGES];

__attribute__((no_sanitize("thread"))) static void copy_first_word(void *base, uintptr_t start,
                                                                   uintptr_t end) {
    for (uintptr_t at = start; at < end; at += MM_PAGE_SIZE)
        copies[(at - (uintptr_t)base) / MM_PAGE_SIZE] = *(volatile uint32_t *)at;
}

/* Whatever is copied on a report, and again on every later report, must in the end equal the memory. */
static void test_no_write_is_lost_between_arming_and_collecting(void) {
    for (int round = 0; round < 5; round++) {
        pthread_t thread;
        set_up();
        memset(copies, 0, sizeof copies);
        stop = 0;
        CHECK(pthread_create(&thread, NULL, write_on, NULL) == 0);
        usleep(2000);
        CHECK_OK(mm_tracker_arm(&tracker, memory, SIZE, copy_first_word, memory));
        for (int i = 0; i < 30; i++)
            CHECK_OK(mm_tracker_collect(&tracker, memory, SIZE, copy_first_word, memory));
        stop = 1;
        pthread_join(thread, NULL);
        CHECK_OK(mm_tracker_collect(&tracker, memory, SIZE, copy_first_word, memory));
        for (uint64_t page = 0; page < PAGES; page++)
            CHECK(*(uint32_t *)(memory + page * MM_PAGE_SIZE) == copies[page]);
        tear_down();
    }
}

static void test_set_aside_while_others_write(void) {
    set_up();
    arm();
    pthread_t thread;
    stop = 0;
    CHECK(pthread_create(&thread, NULL, write_on, NULL) == 0);
    for (int round = 0; round < 20; round++) {
        int status = mm_tracker_set_aside(&tracker, memory, SIZE, ALIGNMENT);
        CHECK(status == MM_OK || status == MM_E_UNSUPPORTED);
        map_over(memory);
        CHECK_OK(mm_tracker_register(&tracker, memory, SIZE));
        memset(copies, 0, sizeof copies);
        CHECK_OK(mm_tracker_arm(&tracker, memory, SIZE, copy_first_word, memory));
        CHECK_OK(mm_tracker_collect(&tracker, memory, SIZE, copy_first_word, memory));
    }
    stop = 1;
    pthread_join(thread, NULL);
    CHECK_OK(mm_tracker_collect(&tracker, memory, SIZE, copy_first_word, memory));
    for (uint64_t page = 0; page < PAGES; page++)
        CHECK(*(uint32_t *)(memory + page * MM_PAGE_SIZE) == copies[page]);
    tear_down();
}

/* What was moved aside is given back once: not a second time, when it may be somebody else's. */
static void test_sweeping_takes_nothing_from_others(void) {
    set_up();
    arm();
    for (uint64_t page = 0; page < PAGES; page++) memory[page * MM_PAGE_SIZE] = 1;
    int status = mm_tracker_set_aside(&tracker, memory, SIZE, ALIGNMENT);
    CHECK(status == MM_OK || status == MM_E_UNSUPPORTED);
    map_over(memory);
    given_count = 0;
    is_watched = 1;
    mm_tracker_sweep(&tracker);
    is_watched = 0;
    CHECK(status != MM_OK || given_count > 0);
    tear_down();
}

static void test_remapped_memory_is_not_taken_for_tracked(void) {
    set_up();
    arm();
    map_over(memory); /* tracking is gone: a scan that would re-arm must fail, not say "nothing" */
    memory[0] = 1;
    CHECK(mm_tracker_collect(&tracker, memory, SIZE, note, memory) != MM_OK);
    tear_down();
}

static void count_bytes(void *total, uintptr_t start, uintptr_t end) { *(uint64_t *)total += end - start; }

static void test_private_bytes(void) {
    uint64_t bytes = 0;
    set_up();
    arm();
    for (uint64_t page = 0; page < 100; page += 2) memory[page * MM_PAGE_SIZE] = 1;
    CHECK_OK(mm_tracker_private(&tracker, memory, SIZE, count_bytes, &bytes));
    CHECK(bytes == 50 * MM_PAGE_SIZE);
    tear_down();
}

int main(void) {
    test_exactly_what_was_written();
    test_what_was_written_before_arming_is_reported();
    test_read_into_the_memory_is_seen();
    test_no_write_is_lost_between_arming_and_collecting();
    test_set_aside_while_others_write();
    test_sweeping_takes_nothing_from_others();
    test_remapped_memory_is_not_taken_for_tracked();
    test_private_bytes();
    return 0;
}
