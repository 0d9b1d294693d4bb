/* The fear: a copy of a region that is not what it was copied from, and a difference that leaves a page out.
 */
#include "check.h"
#include "region.h"
#include "scratch.h"

#include <string.h>

#define PAGES 40u
#define EPOCHS_MAX 64u

typedef struct site {
    char origin_pool[256], copy_pool[256];
    mm_region *origin, *copy;
} site;

static site make_site(void) {
    site site;
    snprintf(site.origin_pool, sizeof site.origin_pool, "%s", scratch_pool());
    snprintf(site.copy_pool, sizeof site.copy_pool, "%s", scratch_pool());
    site.origin = open_region(site.origin_pool, MM_MODE_MUST_CREATE, MM_EPOCH_HEAD);
    site.copy = open_region(site.copy_pool, MM_MODE_MUST_CREATE, MM_EPOCH_HEAD);
    return site;
}

static void clear_site(site *site) {
    CHECK_OK(mm_region_verify(site->copy, MM_EPOCH_HEAD));
    shut_region(site->origin);
    shut_region(site->copy);
    scratch_remove(site->origin_pool);
    scratch_remove(site->copy_pool);
}

static mm_checkpoint_info info_of(mm_region *region, uint64_t epoch) {
    mm_checkpoint_info infos[EPOCHS_MAX];
    size_t count = EPOCHS_MAX;
    CHECK_OK(mm_region_checkpoints(region, infos, &count));
    for (size_t i = 0; i < count; i++)
        if (infos[i].epoch == epoch) return infos[i];
    CHECK(!"there");
    return infos[0];
}

/* Brings checkpoint `epoch` over as a service does: what differs from `from`, which both have. */
static size_t send_over(site *site, uint64_t from, uint64_t epoch) {
    uint32_t pages[REGION_PAGES];
    size_t count = COUNT_OF(pages);
    mm_checkpoint_info info;
    mm_region *reader = open_region(site->origin_pool, MM_MODE_READ_ONLY, epoch);
    CHECK_OK(mm_region_difference(reader, from, epoch, pages, &count));
    CHECK(count <= COUNT_OF(pages));
    CHECK_OK(mm_region_restore(site->copy, from, &info));
    for (size_t i = 0; i < count; i++)
        memcpy((char *)mm_region_address(site->copy) + (size_t)pages[i] * 4096,
               (char *)mm_region_address(reader) + (size_t)pages[i] * 4096, 4096);
    info = info_of(reader, epoch);
    CHECK_OK(mm_region_adopt(site->copy, &info));
    shut_region(reader);
    return count;
}

static void send_first(site *site, uint64_t epoch) {
    mm_region *reader = open_region(site->origin_pool, MM_MODE_READ_ONLY, epoch);
    mm_checkpoint_info info = info_of(reader, epoch);
    memcpy(mm_region_address(site->copy), mm_region_address(reader), REGION_BYTES);
    CHECK_OK(mm_region_adopt(site->copy, &info));
    shut_region(reader);
}

static void check_same(const site *site, uint64_t epoch) {
    mm_region *one = open_region(site->origin_pool, MM_MODE_READ_ONLY, epoch);
    mm_region *other = open_region(site->copy_pool, MM_MODE_READ_ONLY, epoch);
    CHECK(memcmp(mm_region_address(one), mm_region_address(other), REGION_BYTES) == 0);
    shut_region(one);
    shut_region(other);
}

static void test_every_detail_but_the_bytes_written_comes_over(void) {
    site site = make_site();
    stamp(site.origin, 3, 7);
    mm_checkpoint_info info = {.epoch = 41,
                               .parent = 40,
                               .created_ns = 12345,
                               .pause_ns = 77,
                               .flags = MM_CHECKPOINT_GROUP | MM_CHECKPOINT_CRASH | MM_CHECKPOINT_PARTIAL |
                                        MM_CHECKPOINT_DURABLE,
                               .meta_size = 2,
                               .meta = "{}"};
    strcpy(info.name, "from-afar");
    CHECK_OK(mm_region_adopt(site.origin, &info));
    send_first(&site, 41);
    mm_checkpoint_info told = info_of(site.copy, 41);
    CHECK(told.parent == 40 && told.created_ns == 12345 && told.pause_ns == 77);
    CHECK(told.flags == (MM_CHECKPOINT_GROUP | MM_CHECKPOINT_CRASH | MM_CHECKPOINT_PARTIAL));
    CHECK(told.meta_size == 2 && memcmp(told.meta, "{}", 2) == 0 && strcmp(told.name, "from-afar") == 0);
    CHECK(take_checkpoint(site.copy, NULL) == 42);
    clear_site(&site);
}

static void test_adopting_twice_is_refused_and_changes_nothing(void) {
    site site = make_site();
    stamp(site.origin, 1, 1);
    uint64_t epoch = take_checkpoint(site.origin, NULL);
    send_first(&site, epoch);
    mm_checkpoint_info info = info_of(site.origin, epoch);
    stamp(site.copy, 2, 9);
    CHECK_STATUS(mm_region_adopt(site.copy, &info), MM_E_EXISTS);
    info.epoch = 0;
    CHECK_STATUS(mm_region_adopt(site.copy, &info), MM_E_INVALID);
    CHECK_OK(mm_region_restore(site.copy, epoch, &info));
    CHECK(is_stamped(site.copy, 2, 0) && is_stamped(site.copy, 1, 1));
    clear_site(&site);
}

static void test_a_copy_that_follows_a_partial_one_is_not_marked_by_it(void) {
    site site = make_site();
    stamp(site.origin, 1, 1);
    mm_region_set_partial(site.origin, 1);
    uint64_t first = take_checkpoint(site.origin, NULL);
    send_first(&site, first);
    mm_region_set_partial(site.origin, 0);
    stamp(site.origin, 2, 2);
    uint64_t second = take_checkpoint(site.origin, NULL);
    send_over(&site, first, second);
    CHECK(info_of(site.copy, first).flags & MM_CHECKPOINT_PARTIAL);
    CHECK(!(info_of(site.copy, second).flags & (MM_CHECKPOINT_PARTIAL | MM_CHECKPOINT_CRASH)));
    clear_site(&site);
}

static void test_a_difference_is_no_more_than_was_written(void) {
    site site = make_site();
    for (uint64_t page = 0; page < PAGES; page++) stamp(site.origin, page, 1 + page);
    uint64_t first = take_checkpoint(site.origin, NULL);
    send_first(&site, first);
    stamp(site.origin, 5, 500);
    uint64_t second = take_checkpoint(site.origin, NULL);
    CHECK(send_over(&site, first, second) == 1);
    check_same(&site, second);
    size_t count = 0;
    CHECK_STATUS(mm_region_difference(site.origin, 99, second, NULL, &count), MM_E_NOT_FOUND);
    CHECK_OK(mm_region_difference(site.origin, second, first, NULL, &count));
    CHECK(count == 1);
    clear_site(&site);
}

static void test_a_damaged_page_does_not_travel(void) {
    site site = make_site();
    for (uint64_t page = 0; page < PAGES; page++) stamp(site.origin, page, 1 + page);
    uint64_t first = take_checkpoint(site.origin, NULL);
    stamp(site.origin, 5, 500);
    uint64_t second = take_checkpoint(site.origin, NULL);
    CHECK_OK(mm_region_settle(site.origin));
    uint32_t pages[REGION_PAGES];
    size_t count = COUNT_OF(pages);
    mm_region *reader = open_region(site.origin_pool, MM_MODE_READ_ONLY, second);
    CHECK_OK(mm_region_difference(reader, first, second, pages, &count));
    CHECK(count == 1);
    count = COUNT_OF(pages);
    flip_byte(scratch_file(site.origin_pool, "base"), 6 * 4096 + 9);
    CHECK_OK(mm_region_difference(reader, first, second, pages, &count));
    flip_byte(scratch_file(site.origin_pool, "base"), 5 * 4096 + 9);
    CHECK_STATUS(mm_region_difference(reader, first, second, pages, &count), MM_E_CORRUPT);
    shut_region(reader);
    clear_site(&site);
}

/* Checkpoints, ways back and deletions in any order; each checkpoint is told from a random earlier one. */
static void test_copies_follow_whatever_the_origin_does(void) {
    for (unsigned seed = 1; seed <= 20; seed++) {
        site site = make_site();
        uint64_t both[EPOCHS_MAX], random = seed;
        size_t count = 0;
        for (int turn = 0; turn < 30; turn++) {
            random = random * 6364136223846793005u + 1442695040888963407u;
            unsigned dice = (unsigned)(random >> 33);
            mm_checkpoint_info info;
            if (count > 2 && dice % 5 == 0) {
                CHECK_OK(mm_region_restore(site.origin, both[dice % count], &info));
            } else if (count > 3 && dice % 5 == 1) {
                size_t at = dice % count;
                CHECK_OK(mm_region_head(site.origin, &info));
                if (info.epoch == both[at]) continue;
                CHECK_OK(mm_region_head(site.copy, &info));
                CHECK_OK(mm_region_delete(site.origin, both[at]));
                if (info.epoch != both[at]) CHECK_OK(mm_region_delete(site.copy, both[at]));
                both[at] = both[--count];
            } else {
                for (unsigned i = 0; i < dice % 7; i++)
                    stamp(site.origin, (dice >> i) % PAGES, random + i + 1);
                uint64_t epoch = take_checkpoint(site.origin, NULL);
                if (count)
                    send_over(&site, both[(dice >> 3) % count], epoch);
                else
                    send_first(&site, epoch);
                both[count++] = epoch;
            }
        }
        for (size_t i = 0; i < count; i++) check_same(&site, both[i]);
        clear_site(&site);
    }
}

int main(void) {
    test_every_detail_but_the_bytes_written_comes_over();
    test_adopting_twice_is_refused_and_changes_nothing();
    test_a_copy_that_follows_a_partial_one_is_not_marked_by_it();
    test_a_difference_is_no_more_than_was_written();
    test_a_damaged_page_does_not_travel();
    test_copies_follow_whatever_the_origin_does();
    return 0;
}
