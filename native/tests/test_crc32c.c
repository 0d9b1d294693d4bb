/* The fear: a checksum that is fast and wrong, so that damage passes or health is called damage. */
#include "check.h"
#include "crc32c.h"

#include <string.h>

#define LENGTHS 300
#define ALIGNMENTS 16

/* The definition, bit by bit, with nothing in common with the code under test. */
static uint32_t by_definition(const uint8_t *bytes, size_t size) {
    uint32_t state = ~0u;
    for (size_t i = 0; i < size; i++) {
        state ^= bytes[i];
        for (int bit = 0; bit < 8; bit++) state = state >> 1 ^ (state & 1 ? 0x82f63b78u : 0);
    }
    return ~state;
}

static void fill(uint8_t *bytes, size_t size, uint32_t seed) {
    for (size_t i = 0; i < size; i++) {
        seed = seed * 1664525u + 1013904223u;
        bytes[i] = (uint8_t)(seed >> 24);
    }
}

static void test_published_vectors(void) {
    uint8_t bytes[32];
    CHECK(mm_crc32c(0, "123456789", 9) == 0xe3069283u);
    memset(bytes, 0, sizeof bytes);
    CHECK(mm_crc32c(0, bytes, sizeof bytes) == 0x8a9136aau);
    memset(bytes, 0xff, sizeof bytes);
    CHECK(mm_crc32c(0, bytes, sizeof bytes) == 0x62a8ab43u);
    for (uint8_t i = 0; i < 32; i++) bytes[i] = i;
    CHECK(mm_crc32c(0, bytes, sizeof bytes) == 0x46dd794eu);
    CHECK(mm_crc32c(0, bytes, 0) == 0);
}

static void test_every_length_at_every_alignment(void) {
    _Alignas(64) uint8_t bytes[ALIGNMENTS + LENGTHS];
    fill(bytes, sizeof bytes, 7);
    for (size_t start = 0; start < ALIGNMENTS; start++)
        for (size_t size = 0; size < LENGTHS; size++)
            CHECK(mm_crc32c(0, bytes + start, size) == by_definition(bytes + start, size));
}

static void test_in_parts_as_in_one(void) {
    uint8_t bytes[777];
    fill(bytes, sizeof bytes, 11);
    uint32_t whole = mm_crc32c(0, bytes, sizeof bytes);
    for (size_t cut = 0; cut <= sizeof bytes; cut++)
        CHECK(mm_crc32c(mm_crc32c(0, bytes, cut), bytes + cut, sizeof bytes - cut) == whole);
}

static void test_a_page_as_any_bytes(void) {
    _Alignas(64) static uint8_t page[MM_PAGE_SIZE], copy[MM_PAGE_SIZE];
    for (uint32_t seed = 0; seed < 200; seed++) {
        fill(page, sizeof page, seed);
        uint32_t expected = by_definition(page, sizeof page);
        CHECK(mm_crc32c_page(page) == expected);
        CHECK(mm_copy_page(copy, page, page) == expected);
        mm_copy_fence();
        CHECK(memcmp(page, copy, sizeof page) == 0);
    }
}

/* Hardware form against table form, where this machine has both. */
static void test_the_processors_form_against_the_table(void) {
    const mm_processor *processor = mm_processor_detect();
    _Alignas(64) static uint8_t page[MM_PAGE_SIZE];
    if (!processor->crc32c) return;
    fill(page, sizeof page, 3);
    for (size_t size = 0; size <= sizeof page; size += 61)
        CHECK(~processor->crc32c(~0u, page, size) == by_definition(page, size));
    CHECK(processor->crc32c_page(page) == by_definition(page, sizeof page));
}

static void test_shift_is_so_many_zeros(void) {
    static const uint8_t zeros[1500];
    for (size_t size = 0; size < sizeof zeros; size += 37) {
        uint32_t state = ~mm_crc32c(0, "seed", 4), expected = ~mm_crc32c(~state, zeros, size);
        CHECK(mm_crc32c_shift(state, size) == expected);
    }
}

static void test_every_single_bit_counts(void) {
    _Alignas(64) static uint8_t page[MM_PAGE_SIZE];
    fill(page, sizeof page, 5);
    uint32_t right = mm_crc32c_page(page);
    for (size_t bit = 0; bit < 8 * sizeof page; bit += 5) {
        page[bit / 8] ^= (uint8_t)(1 << bit % 8);
        CHECK(mm_crc32c_page(page) != right);
        page[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
}

int main(void) {
    test_published_vectors();
    test_every_length_at_every_alignment();
    test_in_parts_as_in_one();
    test_a_page_as_any_bytes();
    test_the_processors_form_against_the_table();
    test_shift_is_so_many_zeros();
    test_every_single_bit_counts();
    return 0;
}
