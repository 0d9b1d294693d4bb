/* The fear: a member that loses pages in a checkpoint that did not come about, or takes part in one it was
 * not held for. */
#include "check.h"
#include "site.h"

#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- as it should go ---------------------------------------------------------------- */

static void test_a_checkpoint_from_begin_to_commit(void) {
    site site;
    mm_message hello = start(&site, 0);
    CHECK(hello.token == 77 && hello.word[0] == (uint64_t)getpid() && hello.word[1] == 0);
    tell(&site.service, MM_MSG_WELCOME, 0, 0);
    expect_event(&site, MM_EVENT_WELCOME);
    write_all(&site, 1);
    tell(&site.service, MM_MSG_BEGIN, 5, 0);
    CHECK(hear(&site.service, MM_MSG_READY, 5).word[1] == 0);
    CHECK(runs_soon(&site));
    tell(&site.service, MM_MSG_QUIESCE, 5, 0);
    hear(&site.service, MM_MSG_HELD, 5);
    CHECK(!is_running(&site));
    tell(&site.service, MM_MSG_CUT, 5, 0);
    CHECK(hear(&site.service, MM_MSG_CUT_DONE, 5).word[0] >= PAGES);
    CHECK(!is_running(&site));
    tell(&site.service, MM_MSG_RESUME, 5, 0);
    mm_message sealed = hear(&site.service, MM_MSG_SEALED, 5);
    CHECK(sealed.word[0] > 0 && sealed.word[1] >= PAGES && sealed.word[3] == 0);
    CHECK(runs_soon(&site));
    write_all(&site, 2);
    mm_checkpoint_info head;
    CHECK_STATUS(mm_region_head(site.region, &head), MM_E_NOT_FOUND); /* sealed is not committed */
    tell(&site.service, MM_MSG_COMMIT, 5, 0);
    CHECK(hear(&site.service, MM_MSG_DONE, 5).word[0] == MM_MSG_COMMIT);
    mm_member_event after = expect_event(&site, MM_EVENT_AFTER);
    CHECK(after.outcome == 1 && after.epoch == 5 && strcmp(after.text, "c5") == 0);
    CHECK_OK(mm_region_head(site.region, &head));
    CHECK(head.epoch == 5 && head.flags & MM_CHECKPOINT_GROUP);
    commit_epoch(&site.service, 6);
    expect_checkpoint(&site, 5, 1);
    expect_checkpoint(&site, 6, 2);
    finish(&site);
}

static void begin_epoch(site *site, uint64_t epoch) {
    tell(&site->service, MM_MSG_BEGIN, epoch, 0);
    hear(&site->service, MM_MSG_READY, epoch);
}

static void end_epoch(site *site, uint64_t epoch) {
    tell(&site->service, MM_MSG_RESUME, epoch, 0);
    hear(&site->service, MM_MSG_SEALED, epoch);
    tell(&site->service, MM_MSG_COMMIT, epoch, 0);
    hear(&site->service, MM_MSG_DONE, epoch);
}

static void test_quiesce_and_cut_in_one_order(void) {
    site site;
    start(&site, 0);
    write_all(&site, 1);
    begin_epoch(&site, 5);
    write_all(&site, 2);
    tell_to_quiesce_and_cut(&site.service, 5, 0);
    mm_message done = hear(&site.service, MM_MSG_CUT_DONE, 5); /* and no HELD before */
    CHECK(done.word[0] >= PAGES && done.word[2] > 0 && done.word[3] > 0);
    CHECK(!is_running(&site));
    end_epoch(&site, 5);
    expect_checkpoint(&site, 5, 2);
    finish(&site);
}

static void test_a_cut_that_fails_is_told_as_one_although_the_order_was_to_quiesce(void) {
    site site;
    start(&site, 0);
    write_all(&site, 1);
    begin_epoch(&site, 5);
    tell_to_quiesce_and_cut(&site.service, 5, 1);
    hear_failed(&site.service, MM_MSG_CUT, 5, MM_E_PAUSE);
    CHECK(runs_soon(&site));
    commit_epoch(&site.service, 6);
    expect_checkpoint(&site, 6, 1);
    finish(&site);
}

static void test_who_has_much_to_copy_says_first_that_it_is_held(void) {
    const uint64_t size_bytes = 40ull << 20;
    site site = {.pool = scratch_pool()};
    service_open(&site.service, site.pool);
    mm_open_options options = {
        .mode = MM_MODE_MUST_CREATE, .head_epoch = MM_EPOCH_HEAD, .size_max_bytes = size_bytes};
    CHECK_OK(mm_region_open(site.pool, "large", &options, &site.region));
    CHECK_OK(mm_region_grow(site.region, size_bytes));
    join(&site, 0);
    service_accept(&site.service);
    memset(mm_region_address(site.region), 1, size_bytes); /* so that there is room for all of it */
    for (int is_much = 1; is_much >= 0; is_much--) {
        uint64_t epoch = is_much ? 5 : 6, written_bytes = is_much ? size_bytes : 4096;
        begin_epoch(&site, epoch);
        memset(mm_region_address(site.region), (int)epoch, written_bytes);
        tell_to_quiesce_and_cut(&site.service, epoch, 0);
        if (is_much) CHECK(hear(&site.service, MM_MSG_HELD, epoch).word[1] == 1);
        hear(&site.service, MM_MSG_CUT_DONE, epoch);
        end_epoch(&site, epoch);
        CHECK_OK(mm_region_settle(site.region));
    }
    finish(&site);
}

static void test_restore_of_the_group(void) {
    site site;
    start(&site, 0);
    for (uint64_t epoch = 1; epoch <= 3; epoch++) {
        write_all(&site, epoch);
        commit_epoch(&site.service, epoch);
        expect_event(&site, MM_EVENT_AFTER);
    }
    write_all(&site, 9);
    static const uint64_t targets[] = {1, 3, 0, 2};
    for (uint64_t i = 0; i < COUNT_OF(targets); i++) {
        uint64_t epoch = 10 + i;
        tell(&site.service, MM_MSG_QUIESCE, epoch, 0);
        hear(&site.service, MM_MSG_HELD, epoch);
        tell(&site.service, MM_MSG_RESTORE, epoch, targets[i]);
        hear(&site.service, MM_MSG_DONE, epoch);
        CHECK(!is_running(&site) && shows(site.region, targets[i]));
        tell(&site.service, MM_MSG_RESUME, epoch, 0);
        hear(&site.service, MM_MSG_SEALED, epoch);
        CHECK(runs_soon(&site));
        mm_member_event event = expect_event(&site, MM_EVENT_RESTORED);
        CHECK(event.target == targets[i]);
    }
    stamp(site.region, 0, 7);
    commit_epoch(&site.service, 20);
    finish(&site);
    site.region = open_region(site.pool, MM_MODE_MUST_EXIST, MM_EPOCH_HEAD);
    CHECK(is_stamped(site.region, 0, 7) && is_stamped(site.region, 1, 201));
    shut_region(site.region);
}

static void test_a_restore_that_is_refused_changes_nothing(void) {
    site site;
    start(&site, 0);
    write_all(&site, 1);
    commit_epoch(&site.service, 1);
    write_all(&site, 2);
    tell(&site.service, MM_MSG_QUIESCE, 2, 0);
    hear(&site.service, MM_MSG_HELD, 2);
    tell(&site.service, MM_MSG_RESTORE, 2, 55);
    hear_failed(&site.service, MM_MSG_RESTORE, 2, MM_E_NOT_FOUND);
    CHECK(runs_soon(&site) && shows(site.region, 2));
    commit_epoch(&site.service, 3);
    expect_checkpoint(&site, 3, 2);
    finish(&site);
}

static void test_delete_and_pin(void) {
    site site;
    start(&site, 0);
    for (uint64_t epoch = 1; epoch <= 3; epoch++) commit_epoch(&site.service, epoch);
    mm_message pin = {.magic = MM_MESSAGE_MAGIC, .kind = MM_MSG_PIN, .epoch = 4, .word = {1, 1}};
    CHECK(write(site.service.fd, &pin, sizeof pin) == (ssize_t)sizeof pin);
    hear(&site.service, MM_MSG_DONE, 4);
    tell(&site.service, MM_MSG_DELETE, 5, 1);
    hear_failed(&site.service, MM_MSG_DELETE, 5, MM_E_INVALID);
    tell(&site.service, MM_MSG_DELETE, 6, 2);
    hear(&site.service, MM_MSG_DONE, 6);
    tell(&site.service, MM_MSG_DELETE, 7, 2);
    hear_failed(&site.service, MM_MSG_DELETE, 7, MM_E_NOT_FOUND);
    tell(&site.service, MM_MSG_DELETE, 8, 3);
    hear_failed(&site.service, MM_MSG_DELETE, 8, MM_E_INVALID);
    finish(&site);
}

/* ---- epochs that come to nothing ------------------------------------------------------- */

static void test_aborted_after_each_step(void) {
    for (size_t last = 0; last < STEPS; last++) {
        site site;
        start(&site, 0);
        write_all(&site, 1);
        commit_epoch(&site.service, 1);
        expect_event(&site, MM_EVENT_AFTER);
        write_all(&site, 2);
        go_until(&site, last, 2);
        if (last == STEPS - 1) stamp(site.region, 1, 5);
        tell(&site.service, MM_MSG_ABORT, 2, 0);
        CHECK(hear(&site.service, MM_MSG_DONE, 2).word[0] == MM_MSG_ABORT);
        CHECK(runs_soon(&site));
        mm_member_event after = expect_event(&site, MM_EVENT_AFTER);
        CHECK(after.outcome == 0 && after.epoch == 2);
        tell(&site.service, MM_MSG_ABORT, 2, 0); /* again */
        hear(&site.service, MM_MSG_DONE, 2);
        stamp(site.region, 1, 6);
        commit_epoch(&site.service, 3);
        tell(&site.service, MM_MSG_COMMIT, 2, 0); /* a decision that contradicts the first */
        hear_failed(&site.service, MM_MSG_COMMIT, 2, MM_E_NOT_FOUND);
        finish(&site);
        site.region = reopen(&site, 99);
        CHECK(is_stamped(site.region, 0, 200) && is_stamped(site.region, 1, 6));
        shut_region(site.region);
    }
}

static void test_the_service_ends_after_each_step(void) {
    for (size_t last = 0; last < STEPS; last++) {
        site site;
        start(&site, 0);
        write_all(&site, 1);
        commit_epoch(&site.service, 1);
        expect_event(&site, MM_EVENT_AFTER);
        write_all(&site, 2);
        go_until(&site, last, 2);
        service_hang_up(&site.service);
        int is_sealed = last == STEPS - 1;
        if (!is_sealed) CHECK(expect_event(&site, MM_EVENT_AFTER).outcome == 0);
        expect_event(&site, MM_EVENT_LOST);
        CHECK(runs_soon(&site));
        stamp(site.region, 1, 6);
        mm_member_stop(site.member, 0);
        join(&site, 0);
        mm_message hello = service_accept(&site.service);
        CHECK(hello.word[1] == (is_sealed ? 2 : 0) && hello.word[2] == 2);
        if (is_sealed) {
            tell(&site.service, MM_MSG_BEGIN, 3, 0);
            hear_failed(&site.service, MM_MSG_BEGIN, 3, MM_E_IN_DOUBT);
            tell(&site.service, MM_MSG_COMMIT, 2, 0);
            hear(&site.service, MM_MSG_DONE, 2);
            expect_checkpoint(&site, 2, 2);
        }
        commit_epoch(&site.service, 4);
        finish(&site);
        site.region = reopen(&site, 99);
        CHECK(is_stamped(site.region, 0, 200) && is_stamped(site.region, 1, 6));
        shut_region(site.region);
    }
}

/* Sealed, and the member is gone: the catalog decides when it is opened again. */
static void test_recovery_asks_about_what_was_sealed(void) {
    for (uint64_t committed = 1; committed <= 2; committed++) {
        site site;
        start(&site, 0);
        write_all(&site, 1);
        commit_epoch(&site.service, 1);
        write_all(&site, 2);
        prepare_epoch(&site.service, 2);
        write_all(&site, 3);
        finish(&site);
        CHECK_STATUS(try_open(site.pool, MM_MODE_MUST_EXIST, MM_EPOCH_HEAD, &site.region), MM_E_IN_DOUBT);
        site.region = reopen(&site, committed);
        CHECK(shows(site.region, committed));
        CHECK_OK(mm_region_verify(site.region, MM_EPOCH_HEAD));
        shut_region(site.region);
        site.region = open_region(site.pool, MM_MODE_MUST_EXIST, MM_EPOCH_HEAD); /* decided for good */
        CHECK(shows(site.region, committed));
        shut_region(site.region);
    }
}

static void test_a_member_killed_while_cut_never_was_in_it(void) {
    site site;
    site.pool = scratch_pool();
    service_open(&site.service, site.pool);
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        site.region = open_region(site.pool, MM_MODE_MUST_CREATE, MM_EPOCH_HEAD);
        write_all(&site, 1);
        join(&site, 0);
        for (;;) pause();
    }
    service_accept(&site.service);
    commit_epoch(&site.service, 1);
    go_until(&site, 2, 2);
    CHECK(kill(child, SIGKILL) == 0 && waitpid(child, NULL, 0) == child);
    hear_the_end(&site.service);
    service_close(&site.service);
    site.region = reopen(&site, 1); /* it was asked, because the log is complete: and aborted */
    CHECK(shows(site.region, 1));
    shut_region(site.region);
}

int main(void) {
    test_a_checkpoint_from_begin_to_commit();
    test_quiesce_and_cut_in_one_order();
    test_a_cut_that_fails_is_told_as_one_although_the_order_was_to_quiesce();
    test_who_has_much_to_copy_says_first_that_it_is_held();
    test_restore_of_the_group();
    test_a_restore_that_is_refused_changes_nothing();
    test_delete_and_pin();
    test_aborted_after_each_step();
    test_the_service_ends_after_each_step();
    test_recovery_asks_about_what_was_sealed();
    test_a_member_killed_while_cut_never_was_in_it();
    return 0;
}
