/* The fear: a checkpoint that is there and can not be reached, or a way that leads in circles. */
#include "check.h"
#include "history.h"

static mm_history history;

static void put(uint64_t epoch, uint64_t delta_id, uint64_t from) {
    mm_node node = {.info = {.epoch = epoch}, .delta_id = delta_id, .from = from, .live = 1};
    snprintf(node.info.name, sizeof node.info.name, "c%d", (int)epoch);
    CHECK_OK(mm_history_put(&history, &node));
}

static void check_path(uint64_t target, const uint64_t *expected, size_t length) {
    uint64_t *path;
    size_t count;
    CHECK_OK(mm_history_path(&history, target, &path, &count));
    CHECK(count == length);
    for (size_t i = 0; i < length; i++) CHECK(path[i] == expected[i]);
    free(path);
}

/* 1 <- 2 <- 3 (base) -> 5 -> 6, and 4 told as a difference from 2. */
static void make_tree(void) {
    mm_history_free(&history);
    CHECK_OK(mm_history_init(&history));
    put(6, 60, 5);
    put(1, 10, 2);
    put(3, 0, 0);
    put(5, 50, 3);
    put(2, 20, 3);
    put(4, 40, 2);
    history.base = 3;
    history.head = 6;
}

static void test_paths_lead_from_the_base(void) {
    make_tree();
    check_path(3, NULL, 0);
    check_path(6, (uint64_t[]){5, 6}, 2);
    check_path(1, (uint64_t[]){2, 1}, 2);
    check_path(4, (uint64_t[]){2, 4}, 2);
}

static void test_order_of_coming_does_not_matter(void) {
    make_tree();
    for (size_t i = 1; i < history.count; i++)
        CHECK(history.nodes[i - 1].info.epoch < history.nodes[i].info.epoch);
    CHECK(mm_history_find(&history, 4)->delta_id == 40);
    CHECK(mm_history_find(&history, 7) == NULL);
    CHECK(mm_history_find_name(&history, "c5")->info.epoch == 5);
    CHECK(mm_history_find_name(&history, "c9") == NULL);
    mm_history_find(&history, 5)->live = 0;
    CHECK(mm_history_find_name(&history, "c5") == NULL);
}

static void test_broken_and_circular_ways_are_told(void) {
    uint64_t *path;
    size_t count;
    make_tree();
    mm_history_drop(&history, 2);
    CHECK_STATUS(mm_history_path(&history, 1, &path, &count), MM_E_CORRUPT);
    CHECK_STATUS(mm_history_path(&history, 77, &path, &count), MM_E_CORRUPT);
    make_tree();
    mm_history_find(&history, 2)->from = 1; /* 1 -> 2 -> 1 */
    CHECK_STATUS(mm_history_path(&history, 1, &path, &count), MM_E_CORRUPT);
}

static void test_dependents(void) {
    make_tree();
    CHECK(mm_history_dependents(&history, 3, MM_EPOCH_NONE) == 2);
    CHECK(mm_history_dependents(&history, 3, 5) == 1);
    CHECK(mm_history_dependents(&history, 2, MM_EPOCH_NONE) == 2);
    CHECK(mm_history_dependents(&history, 6, MM_EPOCH_NONE) == 0);
}

static void test_epochs_are_never_given_out_again(void) {
    make_tree();
    mm_history_drop(&history, 6);
    CHECK(history.highest_epoch == 6);
    put(6, 61, 5);
    CHECK(history.count == 7 && mm_history_find(&history, 6)->delta_id == 61);
}

static void test_copy_is_independent(void) {
    mm_history copy;
    make_tree();
    CHECK_OK(mm_history_copy(&copy, &history));
    mm_history_drop(&history, 1);
    CHECK(mm_history_find(&copy, 1) && copy.head == 6 && copy.base == 3);
    mm_history_free(&copy);
}

static void test_both_ends_of_a_move_are_reached(void) {
    make_tree();
    history.moving_to = 5;
    history.undo_id = 33;
    mm_history_settle_view(&history);
    check_path(3, (uint64_t[]){3}, 1);
    check_path(5, (uint64_t[]){5}, 1);
    check_path(6, (uint64_t[]){5, 6}, 2);
    check_path(1, (uint64_t[]){3, 2, 1}, 3);
    CHECK(mm_history_find(&history, 3)->delta_id == 33);
}

static void test_growth_keeps_what_is_there(void) {
    mm_history_free(&history);
    CHECK_OK(mm_history_init(&history));
    for (uint64_t epoch = 500; epoch > 0; epoch--) put(epoch, epoch + 1000, epoch - 1);
    for (uint64_t epoch = 1; epoch <= 500; epoch++)
        CHECK(mm_history_find(&history, epoch)->delta_id == epoch + 1000);
    uint64_t *path;
    size_t count;
    CHECK_OK(mm_history_path(&history, 500, &path, &count));
    CHECK(count == 500 && path[0] == 1 && path[499] == 500);
    free(path);
}

int main(void) {
    test_paths_lead_from_the_base();
    test_order_of_coming_does_not_matter();
    test_broken_and_circular_ways_are_told();
    test_dependents();
    test_epochs_are_never_given_out_again();
    test_copy_is_independent();
    test_both_ends_of_a_move_are_reached();
    test_growth_keeps_what_is_there();
    mm_history_free(&history);
    return 0;
}
