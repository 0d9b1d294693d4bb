/* The fear: a set of dirty pages that forgets one, or counts one twice. */
#include "check.h"
#include "pages.h"

static const uint64_t sizes[] = {1, 63, 64, 65, 128, 1000};

static void test_each_page_alone(void) {
    for (size_t i = 0; i < COUNT_OF(sizes); i++) {
        mm_pages pages;
        CHECK_OK(mm_pages_init(&pages, sizes[i]));
        for (uint64_t page = 0; page < sizes[i]; page++) {
            CHECK(mm_pages_next(&pages, 0) == UINT64_MAX);
            mm_pages_add(&pages, page);
            mm_pages_add(&pages, page);
            CHECK(pages.count == 1 && mm_pages_has(&pages, page));
            CHECK(mm_pages_next(&pages, 0) == page && mm_pages_next(&pages, page) == page);
            CHECK(mm_pages_next(&pages, page + 1) == UINT64_MAX);
            mm_pages_remove(&pages, page);
            mm_pages_remove(&pages, page);
            CHECK(pages.count == 0 && !mm_pages_has(&pages, page));
        }
        mm_pages_free(&pages);
    }
}

static void test_against_a_plain_array(void) {
    enum { PAGES = 517 };
    unsigned char plain[PAGES] = {0};
    mm_pages pages;
    uint32_t seed = 1;
    CHECK_OK(mm_pages_init(&pages, PAGES));
    for (int round = 0; round < 20000; round++) {
        seed = seed * 1664525u + 1013904223u;
        uint64_t page = (seed >> 8) % PAGES;
        plain[page] = seed >> 31;
        if (plain[page])
            mm_pages_add(&pages, page);
        else
            mm_pages_remove(&pages, page);
    }
    uint64_t at = 0, count = 0;
    for (uint64_t page = 0; page < PAGES; page++) {
        if (!plain[page]) continue;
        at = mm_pages_next(&pages, at);
        CHECK(at++ == page);
        count++;
    }
    CHECK(pages.count == count && mm_pages_next(&pages, at) == UINT64_MAX);
    mm_pages_clear(&pages);
    CHECK(pages.count == 0 && mm_pages_next(&pages, 0) == UINT64_MAX);
    mm_pages_free(&pages);
}

int main(void) {
    test_each_page_alone();
    test_against_a_plain_array();
    return 0;
}
