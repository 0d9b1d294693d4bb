/* The fear: orders that come twice, late, for another epoch, or in an order that no service would choose, and
 * leave a member stopped, or a checkpoint with bytes of two moments. */
#include "check.h"
#include "region.h"
#include "scratch.h"
#include "service.h"

#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define PAGES 12u

static const char *pool;
static service line;
static mm_region *region;
static mm_member *member;

static void set_up(void) {
    pool = scratch_pool();
    service_open(&line, pool);
    region = open_region(pool, MM_MODE_MUST_CREATE, MM_EPOCH_HEAD);
    CHECK_OK(mm_member_start(region, line.path, 1, 0, &member));
    service_accept(&line);
}

static void tear_down(void) {
    mm_member_stop(member, 0);
    shut_region(region);
    service_close(&line);
}

static void write_all(uint64_t value) {
    for (uint64_t page = 0; page < PAGES; page++) stamp(region, page, value * 100 + page);
}

static int shows(const mm_region *shown, uint64_t value) {
    for (uint64_t page = 0; page < PAGES; page++)
        if (!is_stamped(shown, page, value * 100 + page)) return 0;
    return 1;
}

static void expect_checkpoint(uint64_t epoch, uint64_t value) {
    mm_region *reader = open_region(pool, MM_MODE_READ_ONLY, epoch);
    CHECK(shows(reader, value));
    shut_region(reader);
}

static void hear_any(void) {
    struct pollfd wait = {line.fd, POLLIN, 0};
    mm_message message;
    CHECK(poll(&wait, 1, 20000) == 1 &&
          recv(line.fd, &message, sizeof message, 0) == (ssize_t)sizeof message);
}

static void test_every_order_twice(void) {
    static const int orders[] = {MM_MSG_BEGIN, MM_MSG_QUIESCE, MM_MSG_CUT, MM_MSG_RESUME, MM_MSG_COMMIT};
    static const int answers[] = {MM_MSG_READY, MM_MSG_HELD, MM_MSG_CUT_DONE, MM_MSG_SEALED, MM_MSG_DONE};
    for (size_t twice = 0; twice < COUNT_OF(orders); twice++) {
        set_up();
        write_all(1);
        for (size_t i = 0; i < COUNT_OF(orders); i++) {
            tell(&line, orders[i], 1, 0);
            hear(&line, answers[i], 1);
            if (i == twice) {
                tell(&line, orders[i], 1, 0);
                hear_any(); /* what it says to that is its own business; what it does is not */
            }
        }
        write_all(2);
        commit_epoch(&line, 2);
        expect_checkpoint(1, 1);
        expect_checkpoint(2, 2);
        tear_down();
    }
}

static void test_an_older_epoch_is_shut_out(void) {
    set_up();
    write_all(1);
    commit_epoch(&line, 7);
    for (uint64_t epoch = 0; epoch <= 7; epoch += 7) {
        tell(&line, MM_MSG_BEGIN, epoch, 0);
        hear_failed(&line, MM_MSG_BEGIN, epoch, MM_E_FENCED);
        tell(&line, MM_MSG_QUIESCE, epoch, 0);
        hear_failed(&line, MM_MSG_QUIESCE, epoch, MM_E_FENCED);
    }
    tell(&line, MM_MSG_ABORT, 9, 0); /* shuts out what is not even known yet */
    hear(&line, MM_MSG_DONE, 9);
    tell(&line, MM_MSG_BEGIN, 9, 0);
    hear_failed(&line, MM_MSG_BEGIN, 9, MM_E_FENCED);
    tell(&line, MM_MSG_BEGIN, 10, 0);
    hear(&line, MM_MSG_READY, 10);
    tell(&line, MM_MSG_COMMIT, 7, 0);
    hear_failed(&line, MM_MSG_COMMIT, 7, MM_E_INVALID);
    tell(&line, MM_MSG_DELETE, 10, 7);
    hear_failed(&line, MM_MSG_DELETE, 10, MM_E_INVALID);
    tear_down();
}

/* The service does one thing at a time: when it begins the next, the end of the one before was lost. */
static void test_a_newer_epoch_ends_one_whose_end_was_lost(void) {
    static const int orders[] = {MM_MSG_BEGIN, MM_MSG_QUIESCE, MM_MSG_CUT};
    static const int answers[] = {MM_MSG_READY, MM_MSG_HELD, MM_MSG_CUT_DONE};
    for (size_t last = 0; last < COUNT_OF(orders); last++) {
        set_up();
        write_all(1);
        commit_epoch(&line, 1);
        write_all(2);
        for (size_t i = 0; i <= last; i++) {
            tell(&line, orders[i], 2, 0);
            hear(&line, answers[i], 2);
        }
        commit_epoch(&line, 3);
        tell(&line, MM_MSG_RESUME, 2, 0);
        hear_failed(&line, MM_MSG_RESUME, 2, MM_E_INVALID);
        expect_checkpoint(3, 2);
        for (size_t i = 0; i <= last; i++) {
            tell(&line, orders[i], 4, 0);
            hear(&line, answers[i], 4);
        }
        tell(&line, MM_MSG_QUIESCE, 5, 0); /* of a restore, which has no BEGIN */
        hear(&line, MM_MSG_HELD, 5);
        tell(&line, MM_MSG_RESTORE, 5, 1);
        hear(&line, MM_MSG_DONE, 5);
        tell(&line, MM_MSG_RESUME, 5, 0);
        hear(&line, MM_MSG_SEALED, 5);
        CHECK(shows(region, 1));
        tear_down();
    }
}

/* A cut that nobody asked to hold for, a restore in the middle of a checkpoint, and a cut in that of a
 * restore. */
static void test_orders_of_the_other_kind(void) {
    set_up();
    write_all(1);
    commit_epoch(&line, 1);
    write_all(2);
    tell(&line, MM_MSG_CUT, 2, 0);
    hear_failed(&line, MM_MSG_CUT, 2, MM_E_INVALID);
    tell(&line, MM_MSG_BEGIN, 2, 0);
    hear(&line, MM_MSG_READY, 2);
    tell(&line, MM_MSG_CUT, 2, 0);
    hear_failed(&line, MM_MSG_CUT, 2, MM_E_INVALID);
    tell(&line, MM_MSG_QUIESCE, 2, 0);
    hear(&line, MM_MSG_HELD, 2);
    tell(&line, MM_MSG_RESTORE, 2, 1);
    hear_failed(&line, MM_MSG_RESTORE, 2, MM_E_INVALID);
    CHECK(shows(region, 2));
    tell(&line, MM_MSG_RESUME, 2, 0);
    hear_failed(&line, MM_MSG_RESUME, 2, MM_E_INVALID); /* nothing was cut: nothing to seal */
    tell(&line, MM_MSG_ABORT, 2, 0);
    hear(&line, MM_MSG_DONE, 2);
    tell(&line, MM_MSG_QUIESCE, 3, 0);
    hear(&line, MM_MSG_HELD, 3);
    tell(&line, MM_MSG_CUT, 3, 0);
    hear_failed(&line, MM_MSG_CUT, 3, MM_E_INVALID);
    tell(&line, MM_MSG_ABORT, 3, 0);
    hear(&line, MM_MSG_DONE, 3);
    commit_epoch(&line, 4);
    expect_checkpoint(4, 2);
    tear_down();
}

/* What is sealed is a difference from the head it was cut at. */
static void test_no_restore_while_an_epoch_is_in_doubt(void) {
    mm_checkpoint_info info;
    set_up();
    write_all(1);
    commit_epoch(&line, 1);
    stamp(region, 0, 2);
    commit_epoch(&line, 2);
    stamp(region, 1, 3);
    prepare_epoch(&line, 3);
    CHECK_STATUS(mm_region_restore(region, 1, &info), MM_E_IN_DOUBT);
    CHECK_STATUS(try_checkpoint(region, "alone"), MM_E_IN_DOUBT);
    tell(&line, MM_MSG_QUIESCE, 4, 0);
    hear_failed(&line, MM_MSG_QUIESCE, 4, MM_E_IN_DOUBT);
    tell(&line, MM_MSG_COMMIT, 3, 0);
    hear(&line, MM_MSG_DONE, 3);
    mm_region *reader = open_region(pool, MM_MODE_READ_ONLY, 3);
    CHECK(is_stamped(reader, 0, 2) && is_stamped(reader, 1, 3) && is_stamped(reader, 2, 102));
    shut_region(reader);
    tear_down();
}

/* Pages written and collected between seal and commit are not those that the commit vouches for. */
static void test_collected_while_in_doubt_is_in_the_next_checkpoint(void) {
    for (int committed = 0; committed < 2; committed++) {
        set_up();
        write_all(1);
        commit_epoch(&line, 1);
        write_all(2);
        prepare_epoch(&line, 2);
        write_all(3);
        int collected = mm_region_collect(region);
        CHECK(collected == MM_OK || collected == MM_E_IN_DOUBT);
        stamp(region, 1, 4);
        tell(&line, committed ? MM_MSG_COMMIT : MM_MSG_ABORT, 2, 0);
        hear(&line, MM_MSG_DONE, 2);
        commit_epoch(&line, 3);
        mm_region *reader = open_region(pool, MM_MODE_READ_ONLY, 3);
        for (uint64_t page = 0; page < PAGES; page++)
            CHECK(is_stamped(reader, page, page == 1 ? 4 : 300 + page));
        shut_region(reader);
        if (committed) expect_checkpoint(2, 2);
        tear_down();
    }
}

/* A schedule that goes on lets the last sound checkpoint go for torn ones, and nobody asked for those. */
static void test_unasked_is_refused_while_an_update_is_half_done(void) {
    set_up();
    write_all(1);
    commit_epoch(&line, 1);
    mm_region_set_partial(region, 1);
    tell(&line, MM_MSG_BEGIN, 2, MM_CHECKPOINT_AUTOMATIC | MM_BEGIN_UNASKED);
    hear_failed(&line, MM_MSG_BEGIN, 2, MM_E_INVALID);
    tell(&line, MM_MSG_ABORT, 2, 0);
    hear(&line, MM_MSG_DONE, 2);
    commit_epoch(&line, 3); /* asked for: it is taken, and says what it is */
    mm_region_set_partial(region, 0);
    tell(&line, MM_MSG_BEGIN, 4, MM_CHECKPOINT_AUTOMATIC | MM_BEGIN_UNASKED);
    hear(&line, MM_MSG_READY, 4);
    mm_region_set_partial(region, 1); /* by an update that was open when it began */
    tell(&line, MM_MSG_QUIESCE, 4, 0);
    hear(&line, MM_MSG_HELD, 4);
    tell(&line, MM_MSG_CUT, 4, 0);
    hear_failed(&line, MM_MSG_CUT, 4, MM_E_INVALID);
    CHECK_OK(mm_gate_enter(mm_region_gate(region), NULL)); /* it runs on */
    mm_gate_leave(mm_region_gate(region));
    mm_region_set_partial(region, 0);
    tell(&line, MM_MSG_BEGIN, 5, MM_BEGIN_UNASKED);
    hear(&line, MM_MSG_READY, 5);
    tear_down();
}

static void test_garbage_ends_the_connection_and_nothing_else(void) {
    for (int kind = 0; kind < 3; kind++) {
        mm_message message = {.magic = kind == 0 ? 1 : MM_MESSAGE_MAGIC, .kind = MM_MSG_BEGIN, .epoch = 9};
        size_t size = kind == 1 ? 17 : sizeof message;
        set_up();
        write_all(1);
        commit_epoch(&line, 1);
        tell(&line, MM_MSG_BEGIN, 2, 0);
        hear(&line, MM_MSG_READY, 2);
        tell(&line, MM_MSG_QUIESCE, 2, 0);
        hear(&line, MM_MSG_HELD, 2);
        if (kind < 2) {
            CHECK(send(line.fd, &message, size, 0) == (ssize_t)size);
            hear_the_end(&line);
        } else { /* a kind of order that is not known is an answer's business, not the end */
            message.kind = 999;
            message.epoch = 2;
            CHECK(send(line.fd, &message, size, 0) == (ssize_t)size);
            hear(&line, MM_MSG_FAILED, 2);
            service_hang_up(&line);
        }
        for (int wait = 0; wait < 2000 && mm_gate_try_enter(mm_region_gate(region), NULL) != MM_OK; wait++)
            usleep(1000);
        CHECK(mm_gate_depth(mm_region_gate(region)) == 1);
        mm_gate_leave(mm_region_gate(region));
        tear_down();
    }
}

/* ---- at random -------------------------------------------------------------------------------- */

static uint32_t seed;

static uint32_t random_below(uint32_t limit) {
    seed = seed * 1664525u + 1013904223u;
    return (seed >> 8) % limit;
}

static void drain(void) {
    mm_message message;
    struct pollfd wait = {line.fd, POLLIN, 0};
    while (poll(&wait, 1, 2) == 1 && recv(line.fd, &message, sizeof message, 0) == (ssize_t)sizeof message)
        continue;
}

/* After any sequence: the member runs when the line ends, and what it then keeps is what it shows. */
static void test_random_orders(void) {
    static const int orders[] = {MM_MSG_BEGIN,  MM_MSG_QUIESCE, MM_MSG_CUT,     MM_MSG_RESUME,
                                 MM_MSG_COMMIT, MM_MSG_ABORT,   MM_MSG_RESTORE, MM_MSG_RENEW,
                                 MM_MSG_DELETE, MM_MSG_PIN,     MM_MSG_WELCOME};
    for (uint32_t round = 0; round < 60; round++) {
        seed = round;
        set_up();
        write_all(1);
        commit_epoch(&line, 1);
        uint64_t epoch = 2;
        for (int i = 0; i < 40; i++) {
            /* Mostly the natural order, so that the deep states are reached; else anything. */
            int kind = random_below(3) ? orders[i % 5] : orders[random_below(COUNT_OF(orders))];
            tell_leased(&line, kind, epoch - random_below(2) * random_below(2), random_below(3),
                        1000000u * (1 + random_below(40)));
            if (random_below(3) == 0) epoch++;
            stamp(region, random_below(PAGES), 1 + random_below(100));
            if (random_below(4) == 0) drain();
        }
        drain();
        service_hang_up(&line);
        mm_member_stop(member, 0);
        CHECK_OK(mm_gate_try_enter(mm_region_gate(region), NULL));
        mm_gate_leave(mm_region_gate(region));
        CHECK_OK(mm_member_start(region, line.path, 1, 0, &member));
        mm_message hello = service_accept(&line);
        if (hello.word[1]) {
            tell(&line, random_below(2) ? MM_MSG_COMMIT : MM_MSG_ABORT, hello.word[1], 0);
            hear(&line, MM_MSG_DONE, hello.word[1]);
        }
        write_all(5);
        commit_epoch(&line, hello.word[2] + 1);
        expect_checkpoint(hello.word[2] + 1, 5);
        CHECK_OK(mm_region_verify(region, MM_EPOCH_HEAD));
        tear_down();
    }
}

int main(void) {
    test_every_order_twice();
    test_an_older_epoch_is_shut_out();
    test_a_newer_epoch_ends_one_whose_end_was_lost();
    test_orders_of_the_other_kind();
    test_no_restore_while_an_epoch_is_in_doubt();
    test_collected_while_in_doubt_is_in_the_next_checkpoint();
    test_unasked_is_refused_while_an_update_is_half_done();
    test_garbage_ends_the_connection_and_nothing_else();
    test_random_orders();
    return 0;
}
