/* The fear: deleting one checkpoint that changes another, or that frees nothing. */
#include "check.h"
#include "scratch.h"

#include <dirent.h>
#include <string.h>

#define PAGES 24u
#define COUNT 12u

static uint64_t kept[COUNT + 1][PAGES];
static uint32_t seed = 17;

static uint32_t random_below(uint32_t limit) {
    seed = seed * 1664525u + 1013904223u;
    return (seed >> 8) % limit;
}

/* Epochs 1 to COUNT; every third one branches off from an older one. */
static mm_region *make_history(const char *pool) {
    uint64_t now[PAGES] = {0};
    mm_checkpoint_info info;
    mm_region *region = open_region(pool, MM_MODE_MUST_CREATE, MM_EPOCH_HEAD);
    for (uint64_t epoch = 1; epoch <= COUNT; epoch++) {
        if (epoch % 3 == 0) {
            uint64_t target = 1 + random_below((uint32_t)epoch - 1);
            CHECK_OK(mm_region_restore(region, target, &info));
            memcpy(now, kept[target], sizeof now);
        }
        for (int i = 0; i < 6; i++) {
            uint32_t page = random_below(PAGES);
            stamp(region, page, now[page] = seed);
        }
        CHECK(take_checkpoint(region, NULL) == epoch);
        memcpy(kept[epoch], now, sizeof now);
    }
    return region;
}

static void expect(const char *pool, uint64_t epoch) {
    mm_region *reader = open_region(pool, MM_MODE_READ_ONLY, epoch);
    for (uint64_t page = 0; page < PAGES; page++) CHECK(is_stamped(reader, page, kept[epoch][page]));
    shut_region(reader);
}

static uint64_t delta_bytes(mm_region *region) {
    mm_usage usage;
    CHECK_OK(mm_region_usage(region, &usage));
    return usage.delta_bytes;
}

static void test_deleted_in_any_order_the_others_stay(void) {
    for (int round = 0; round < 6; round++) {
        const char *pool = scratch_pool();
        mm_region *region = make_history(pool);
        int is_live[COUNT + 1];
        for (uint64_t epoch = 1; epoch <= COUNT; epoch++) is_live[epoch] = 1;
        for (uint64_t left = COUNT - 1; left > 0; left--) {
            uint64_t epoch = 1 + random_below(COUNT - 1); /* never the head, COUNT */
            while (!is_live[epoch]) epoch = epoch % (COUNT - 1) + 1;
            CHECK_OK(mm_region_delete(region, epoch));
            CHECK_STATUS(mm_region_delete(region, epoch), MM_E_NOT_FOUND);
            is_live[epoch] = 0;
            if (round % 2) CHECK_OK(mm_region_settle(region));
            for (uint64_t other = 1; other <= COUNT; other++)
                if (is_live[other] && (left < 4 || other % 4 == left % 4)) expect(pool, other);
            if (left == COUNT / 2) {
                shut_region(region);
                region = open_region(pool, MM_MODE_MUST_EXIST, MM_EPOCH_HEAD);
            }
        }
        CHECK_OK(mm_region_settle(region));
        CHECK(delta_bytes(region) == 0); /* nothing but the base is left to stand on */
        CHECK_OK(mm_region_verify(region, MM_EPOCH_HEAD));
        shut_region(region);
    }
}

static void test_deleting_gives_room_back(void) {
    const char *pool = scratch_pool();
    mm_region *region = open_region(pool, MM_MODE_MUST_CREATE, MM_EPOCH_HEAD);
    uint64_t bytes = 0;
    for (uint64_t round = 1; round <= 40; round++) {
        for (uint64_t page = 0; page < PAGES; page++) stamp(region, page, round * 100 + page);
        uint64_t epoch = take_checkpoint(region, NULL);
        if (epoch > 3) CHECK_OK(mm_region_delete(region, epoch - 3));
        CHECK_OK(mm_region_settle(region));
        if (round == 10) bytes = delta_bytes(region);
        if (round > 10) CHECK(delta_bytes(region) <= bytes);
    }
    shut_region(region);
}

static void test_the_head_and_the_pinned_stay(void) {
    const char *pool = scratch_pool();
    mm_region *region = make_history(pool);
    CHECK_STATUS(mm_region_delete(region, COUNT), MM_E_INVALID);
    CHECK_OK(mm_region_pin(region, 4, 1));
    CHECK_STATUS(mm_region_delete(region, 4), MM_E_INVALID);
    shut_region(region);
    region = open_region(pool, MM_MODE_MUST_EXIST, MM_EPOCH_HEAD);
    CHECK_STATUS(mm_region_delete(region, 4), MM_E_INVALID);
    expect(pool, 4);
    CHECK_OK(mm_region_pin(region, 4, 0));
    CHECK_OK(mm_region_delete(region, 4));
    CHECK_STATUS(mm_region_pin(region, 4, 1), MM_E_NOT_FOUND);
    mm_checkpoint_info info;
    CHECK_STATUS(mm_region_restore(region, 4, &info), MM_E_NOT_FOUND);
    shut_region(region);
}

int main(void) {
    test_deleted_in_any_order_the_others_stay();
    test_deleting_gives_room_back();
    test_the_head_and_the_pinned_stay();
    return 0;
}
