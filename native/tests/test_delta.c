/* The fear: pages read from a delta that is cut short, damaged, or somebody else's. */
#include "check.h"
#include "delta.h"
#include "scratch.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PAGES 5u

static const uint8_t mine[16] = "the region's id";
static const uint8_t other[16] = "another region.";
static const char *folder;
static int folder_fd;
static _Alignas(64) uint8_t page[MM_PAGE_SIZE];

static const uint8_t *content(uint32_t number) {
    for (size_t i = 0; i < sizeof page; i++) page[i] = (uint8_t)(number * 31 + i * 7);
    return page;
}

static const char *path_of(uint64_t id) {
    static char path[128];
    char name[32];
    mm_delta_name(id, name);
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static void new_folder(void) {
    folder = scratch_pool();
    folder_fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    CHECK(folder_fd >= 0);
}

static void make_delta(uint64_t id, mm_delta *delta) {
    CHECK_OK(mm_delta_create(folder_fd, id, PAGES, delta));
    for (uint32_t i = 0; i < PAGES; i++) CHECK(mm_delta_append(delta, 10 * i, content(i), content(i)) == i);
    mm_checkpoint_info info = {.epoch = 8, .name = "eight"};
    mm_delta_seal(delta, mine, 7, &info);
}

static void make_closed_delta(uint64_t id) {
    mm_delta delta;
    make_delta(id, &delta);
    mm_delta_close(&delta);
}

/* Opening and checking: MM_OK only with every byte as it was written. */
static int read_all(uint64_t id) {
    mm_delta delta;
    int status = mm_delta_open(folder_fd, id, mine, &delta);
    if (status != MM_OK) return status;
    status = mm_delta_check(&delta);
    if (status == MM_OK) {
        CHECK(delta.count == PAGES && mm_delta_header_of(&delta)->from == 7);
        CHECK(strcmp(mm_delta_header_of(&delta)->info.name, "eight") == 0);
        for (uint32_t i = 0; i < PAGES; i++) {
            CHECK(delta.index[i].page == 10 * i);
            CHECK(memcmp(mm_delta_page(&delta, i), content(i), MM_PAGE_SIZE) == 0);
        }
    }
    mm_delta_close(&delta);
    return status;
}

static void test_what_is_sealed_is_read_back(void) {
    mm_delta delta;
    new_folder();
    make_delta(1, &delta);
    CHECK_OK(mm_delta_check(&delta)); /* while it is still mapped for writing */
    mm_delta_close(&delta);
    CHECK_OK(read_all(1));
    CHECK_STATUS(read_all(2), MM_E_CORRUPT);
}

static void test_unsealed_or_unsealed_again_was_never_prepared(void) {
    mm_delta delta;
    new_folder();
    CHECK_OK(mm_delta_create(folder_fd, 1, PAGES, &delta));
    mm_delta_append(&delta, 0, content(0), content(0));
    CHECK_STATUS(read_all(1), MM_E_CORRUPT);
    mm_delta_close(&delta);
    make_delta(2, &delta);
    mm_delta_unseal(&delta);
    CHECK_STATUS(read_all(2), MM_E_CORRUPT);
    mm_delta_close(&delta);
}

static void test_truncated_anywhere_is_told(void) {
    new_folder();
    make_closed_delta(1);
    long needed = (long)mm_delta_index_offset(PAGES) + (long)(PAGES * sizeof(mm_delta_entry));
    for (long size = file_size(path_of(1)) - 1; size >= 0; size -= size > needed ? 1 : 509) {
        cut_file(path_of(1), size);
        CHECK_STATUS(read_all(1), MM_E_CORRUPT);
        CHECK(strstr(mm_error_message(), "delta-0000000001") != NULL);
    }
}

static void test_flipped_anywhere_is_told_or_harmless(void) {
    new_folder();
    make_closed_delta(1);
    long end = file_size(path_of(1));
    for (long at = 0; at < end; at += at < (long)sizeof(mm_delta_header) ? 1 : 101) {
        flip_byte(path_of(1), at);
        int status = read_all(1); /* checks the bytes if it succeeds: padding may hold anything */
        if (status != MM_OK) CHECK(status == MM_E_CORRUPT || status == MM_E_VERSION);
        if (at < (long)sizeof(mm_delta_header) - 8) CHECK(status == MM_E_CORRUPT);
        flip_byte(path_of(1), at);
    }
    CHECK_OK(read_all(1));
}

static void test_every_page_byte_counts(void) {
    new_folder();
    make_closed_delta(1);
    for (long at = MM_DELTA_PAGES_OFFSET; at < (long)mm_delta_index_offset(PAGES); at += 97) {
        flip_byte(path_of(1), at);
        CHECK_STATUS(read_all(1), MM_E_CORRUPT);
        flip_byte(path_of(1), at);
    }
}

static void test_another_regions_delta_is_refused(void) {
    mm_delta delta;
    new_folder();
    make_closed_delta(1);
    CHECK_STATUS(mm_delta_open(folder_fd, 1, other, &delta), MM_E_CORRUPT);
    CHECK(delta.fd == -1);
}

static void test_a_newer_version_is_named_as_such(void) {
    mm_delta delta;
    new_folder();
    make_delta(1, &delta);
    mm_delta_header *header = (mm_delta_header *)delta.map;
    header->version = MM_FORMAT_VERSION + 1;
    header->crc = MM_CRC_OF(header);
    mm_delta_close(&delta);
    CHECK_STATUS(read_all(1), MM_E_VERSION);
}

static void test_renewed_pages_replace_what_was_there(void) {
    mm_delta delta;
    new_folder();
    CHECK_OK(mm_delta_create(folder_fd, 1, PAGES, &delta));
    for (uint32_t i = 0; i < PAGES; i++) mm_delta_append(&delta, 10 * i, content(99), content(99));
    for (uint32_t i = 0; i < PAGES; i++) mm_delta_renew(&delta, i, content(i), content(i));
    mm_checkpoint_info info = {.epoch = 8, .name = "eight"};
    mm_delta_seal(&delta, mine, 7, &info);
    mm_delta_close(&delta);
    CHECK_OK(read_all(1));
}

static void test_more_room_keeps_what_is_there(void) {
    mm_delta delta;
    new_folder();
    CHECK_OK(mm_delta_create(folder_fd, 1, 1, &delta));
    for (uint32_t i = 0; i < PAGES; i++) {
        CHECK_OK(mm_delta_reserve(&delta, i + 1));
        mm_delta_append(&delta, 10 * i, content(i), content(i));
    }
    mm_checkpoint_info info = {.epoch = 8, .name = "eight"};
    mm_delta_seal(&delta, mine, 7, &info);
    mm_delta_close(&delta);
    CHECK_OK(read_all(1));
}

static void test_recycled_room_tells_nothing_of_its_past(void) {
    mm_delta delta;
    new_folder();
    CHECK_OK(mm_delta_create(folder_fd, 1, 4000, &delta));
    for (uint32_t i = 0; i < 100; i++) mm_delta_append(&delta, i, content(i), content(i));
    mm_checkpoint_info info = {.epoch = 8, .name = "eight"};
    mm_delta_seal(&delta, mine, 7, &info);
    long before = file_size(path_of(1));
    CHECK_OK(mm_delta_recycle(&delta, folder_fd, 2, 300));
    CHECK(delta.count == 0 && delta.capacity == 300 && file_size(path_of(2)) < before);
    CHECK(access(path_of(1), F_OK) != 0);
    CHECK_STATUS(read_all(2), MM_E_CORRUPT);
    for (uint32_t i = 0; i < PAGES; i++) mm_delta_append(&delta, 10 * i, content(i), content(i));
    mm_delta_seal(&delta, mine, 7, &info);
    mm_delta_close(&delta);
    CHECK_OK(read_all(2));
}

static void test_names(void) {
    uint64_t id;
    char name[32];
    mm_delta_name(UINT64_MAX, name);
    CHECK(mm_delta_parse_name(name, &id) && id == UINT64_MAX);
    static const char *const foreign[] = {"delta-", "delta-1", "delta-0000000001x", "delta-+000000001",
                                          "base"};
    for (size_t i = 0; i < COUNT_OF(foreign); i++) CHECK(!mm_delta_parse_name(foreign[i], &id));
}

int main(void) {
    test_what_is_sealed_is_read_back();
    test_unsealed_or_unsealed_again_was_never_prepared();
    test_truncated_anywhere_is_told();
    test_flipped_anywhere_is_told_or_harmless();
    test_every_page_byte_counts();
    test_another_regions_delta_is_refused();
    test_a_newer_version_is_named_as_such();
    test_renewed_pages_replace_what_was_there();
    test_more_room_keeps_what_is_there();
    test_recycled_room_tells_nothing_of_its_past();
    test_names();
    return 0;
}
