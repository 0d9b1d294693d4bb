/* The fear: two threads copy a cut. A page is left out, copied by halves or, worst, copied once more by the
 * second when the application runs again: then the log holds what was never there at the cut. */
#include "check.h"
#include "copyist.h"
#include "scratch.h"

#include <fcntl.h>
#include <sched.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#define PAGES 5000u

static pthread_t first;
static _Atomic unsigned by_first, by_second;
static _Atomic unsigned second_dawdles_us;

uint32_t __real_mm_copy_page(void *to, const void *from, const void *next);
uint32_t __wrap_mm_copy_page(void *to, const void *from, const void *next);
uint32_t __wrap_mm_copy_page(void *to, const void *from, const void *next) {
    int is_first = pthread_equal(pthread_self(), first);
    if (!is_first && second_dawdles_us) usleep(second_dawdles_us);
    atomic_fetch_add(is_first ? &by_first : &by_second, 1);
    return __real_mm_copy_page(to, from, next);
}

static _Atomic unsigned second_oversleeps_us;

long __real_syscall(long number, ...);
long __wrap_syscall(long number, ...);
long __wrap_syscall(long number, ...) {
    va_list given;
    long words[6];
    va_start(given, number);
    for (int at = 0; at < 6; at++) words[at] = va_arg(given, long);
    va_end(given);
    long result = __real_syscall(number, words[0], words[1], words[2], words[3], words[4], words[5]);
    if (!pthread_equal(pthread_self(), first) && second_oversleeps_us) usleep(second_oversleeps_us);
    return result;
}

typedef struct desk {
    int folder;
    mm_delta log;
    mm_copyist copyist;
    uint8_t *memory;
} desk;

static desk open_desk(void) {
    desk desk = {.folder = open(scratch_pool(), O_RDONLY | O_DIRECTORY | O_CLOEXEC),
                 .copyist = MM_COPYIST_NONE,
                 .memory = aligned_alloc(MM_PAGE_SIZE, PAGES * MM_PAGE_SIZE)};
    CHECK(desk.folder >= 0 && desk.memory);
    CHECK_OK(mm_delta_create(desk.folder, 1, PAGES, &desk.log));
    CHECK_OK(mm_copyist_reserve(&desk.copyist, PAGES));
    first = pthread_self();
    by_first = by_second = second_dawdles_us = 0;
    return desk;
}

static void close_desk(desk *desk) {
    mm_copyist_stop(&desk->copyist);
    mm_copyist_free(&desk->copyist);
    mm_delta_close(&desk->log);
    close(desk->folder);
    free(desk->memory);
}

static void write_page(desk *desk, uint32_t page, uint64_t value) {
    uint64_t *words = (uint64_t *)(desk->memory + (uint64_t)page * MM_PAGE_SIZE);
    for (uint64_t at = 0; at < 512; at++) words[at] = value * 1000003 + at;
}

/* Every 7th page, in no order of addresses. */
static void list(desk *desk, uint32_t count, uint64_t value) {
    desk->log.count = 0;
    mm_copyist_begin(&desk->copyist, &desk->log, desk->memory);
    for (uint32_t at = 0; at < count; at++) {
        uint32_t page = at * 7 % PAGES;
        write_page(desk, page, value + page);
        mm_copyist_list(&desk->copyist, mm_delta_add(&desk->log, page));
    }
}

static void expect_copied(const desk *desk, uint32_t count, uint64_t value) {
    CHECK(desk->log.count == count);
    for (uint32_t slot = 0; slot < count; slot++) {
        uint32_t page = slot * 7 % PAGES;
        const uint64_t *words = mm_delta_page(&desk->log, slot);
        CHECK(desk->log.index[slot].page == page && mm_crc32c_page(words) == desk->log.index[slot].crc);
        for (uint64_t at = 0; at < 512; at++) CHECK(words[at] == (value + page) * 1000003 + at);
    }
}

static int processors(void) {
    cpu_set_t allowed;
    return sched_getaffinity(0, sizeof allowed, &allowed) == 0 ? CPU_COUNT(&allowed) : 1;
}

static void test_each_page_is_copied_once_whoever_takes_it(void) {
    static const uint32_t counts[] = {0, 1, 31, 32, 33, 63, 64, 65, 1000, PAGES};
    desk desk = open_desk();
    int in_company = mm_copyist_prepare(&desk.copyist);
    CHECK(in_company == (processors() > 1));
    unsigned expected = 0;
    for (uint64_t round = 1; round <= 200; round++) {
        uint32_t count = counts[round % COUNT_OF(counts)];
        list(&desk, count, round);
        if (in_company) mm_copyist_call(&desk.copyist);
        while (mm_copyist_copy(&desk.copyist)) continue;
        mm_copyist_dismiss(&desk.copyist);
        expect_copied(&desk, count, round);
        CHECK(by_first + by_second == (expected += count));
    }
    CHECK(!in_company || by_second > 0);
    close_desk(&desk);
}

static void test_alone_all_is_copied(void) {
    desk desk = open_desk();
    list(&desk, PAGES, 5);
    while (mm_copyist_copy(&desk.copyist)) continue;
    mm_copyist_dismiss(&desk.copyist);
    expect_copied(&desk, PAGES, 5);
    CHECK(by_first == PAGES);
    close_desk(&desk);
}

/* A budget ends the copying early: the application runs on, and nothing may be copied any more. */
static void test_nothing_is_copied_after_the_dismissal(void) {
    desk desk = open_desk();
    if (mm_copyist_prepare(&desk.copyist)) {
        second_dawdles_us = 300;
        for (uint64_t round = 1; round <= 20; round++) {
            list(&desk, PAGES, round);
            unsigned before = by_second;
            mm_copyist_call(&desk.copyist);
            while (by_second == before) sched_yield(); /* it is in the middle of its pages */
            mm_copyist_dismiss(&desk.copyist);
            unsigned copied = by_second;
            usleep(2000);
            CHECK(by_second == copied);
        }
    }
    close_desk(&desk);
}

/* Woken late, when it was dismissed already: the next list, to which it was not called, is none of its. */
static void test_who_comes_late_does_nothing(void) {
    desk desk = open_desk();
    if (mm_copyist_prepare(&desk.copyist)) {
        second_oversleeps_us = 300;
        for (uint64_t round = 1; round <= 50; round++) {
            list(&desk, 40, round);
            mm_copyist_call(&desk.copyist);
            while (mm_copyist_copy(&desk.copyist)) continue;
            mm_copyist_dismiss(&desk.copyist);
            expect_copied(&desk, 40, round);
            unsigned copied = by_second;
            list(&desk, 40, round + 1);
            usleep(1000);
            CHECK(by_second == copied);
        }
        second_oversleeps_us = 0;
    }
    close_desk(&desk);
}

int main(void) {
    test_each_page_is_copied_once_whoever_takes_it();
    test_alone_all_is_copied();
    test_nothing_is_copied_after_the_dismissal();
    test_who_comes_late_does_nothing();
    return 0;
}
