/* The fear: a member that stays stopped, that takes part in a cut it was not held for, or that loses pages in
 * one that did not come about. */
#include "check.h"
#include "region.h"
#include "scratch.h"
#include "service.h"

#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAGES 20u
#define SHORT_LEASE_NS 60000000ull

typedef struct site {
    const char *pool;
    service service;
    mm_region *region;
    mm_member *member;
} site;

static void join(site *site, int hooks) {
    CHECK_OK(mm_member_start(site->region, site->service.path, 77, hooks, &site->member));
}

static mm_message start(site *site, int hooks) {
    site->pool = scratch_pool();
    service_open(&site->service, site->pool);
    site->region = open_region(site->pool, MM_MODE_MUST_CREATE, MM_EPOCH_HEAD);
    join(site, hooks);
    return service_accept(&site->service);
}

static void finish(site *site) {
    mm_member_stop(site->member, 0);
    shut_region(site->region);
    service_close(&site->service);
}

static void write_all(site *site, uint64_t value) {
    for (uint64_t page = 0; page < PAGES; page++) stamp(site->region, page, value * 100 + page);
}

static int shows(const mm_region *region, uint64_t value) {
    for (uint64_t page = 0; page < PAGES; page++)
        if (!is_stamped(region, page, value ? value * 100 + page : 0)) return 0;
    return 1;
}

static void expect_checkpoint(site *site, uint64_t epoch, uint64_t value) {
    mm_region *reader = open_region(site->pool, MM_MODE_READ_ONLY, epoch);
    CHECK(shows(reader, value));
    shut_region(reader);
}

static int is_running(site *site) {
    int status = mm_gate_try_enter(mm_region_gate(site->region), NULL);
    if (status == MM_OK) mm_gate_leave(mm_region_gate(site->region));
    return status == MM_OK;
}

/* A member that failed says so, then thaws. */
static int runs_soon(site *site) {
    for (int wait = 0; wait < 2000 && !is_running(site); wait++) usleep(1000);
    return is_running(site);
}

static mm_member_event expect_event(site *site, int kind) {
    mm_member_event event;
    CHECK_OK(mm_member_next_event(site->member, 20000, &event));
    CHECK(event.kind == kind);
    return event;
}

static int says_committed(void *context, uint64_t epoch) { return epoch <= *(uint64_t *)context; }

static mm_region *reopen(site *site, uint64_t committed_up_to) {
    mm_open_options options = {
        .mode = MM_MODE_MUST_EXIST, .decide = says_committed, .decide_context = &committed_up_to};
    mm_region *region;
    CHECK_OK(mm_region_open(site->pool, "r", &options, &region));
    return region;
}

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

static const int orders[] = {MM_MSG_BEGIN, MM_MSG_QUIESCE, MM_MSG_CUT, MM_MSG_RESUME};
static const int answers[] = {MM_MSG_READY, MM_MSG_HELD, MM_MSG_CUT_DONE, MM_MSG_SEALED};

static void go_until(site *site, size_t last, uint64_t epoch) {
    for (size_t i = 0; i <= last; i++) {
        tell(&site->service, orders[i], epoch, 0);
        hear(&site->service, answers[i], epoch);
    }
}

/* After each step: ABORT, or the service's end; then the next epoch must have every page. */
static void test_aborted_after_each_step(void) {
    for (size_t last = 0; last < COUNT_OF(orders); last++) {
        site site;
        start(&site, 0);
        write_all(&site, 1);
        commit_epoch(&site.service, 1);
        expect_event(&site, MM_EVENT_AFTER);
        write_all(&site, 2);
        go_until(&site, last, 2);
        if (last == COUNT_OF(orders) - 1) stamp(site.region, 1, 5);
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
    for (size_t last = 0; last < COUNT_OF(orders); last++) {
        site site;
        start(&site, 0);
        write_all(&site, 1);
        commit_epoch(&site.service, 1);
        expect_event(&site, MM_EVENT_AFTER);
        write_all(&site, 2);
        go_until(&site, last, 2);
        service_hang_up(&site.service);
        int is_sealed = last == COUNT_OF(orders) - 1;
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

/* ---- leases ------------------------------------------------------------------------------- */

static void test_a_held_member_thaws_by_its_lease(void) {
    for (size_t last = 1; last <= 2; last++) {
        site site;
        start(&site, 0);
        write_all(&site, 1);
        go_until(&site, 0, 1);
        for (size_t i = 1; i <= last; i++) {
            tell_leased(&site.service, orders[i], 1, 0, SHORT_LEASE_NS);
            hear(&site.service, answers[i], 1);
        }
        hear(&site.service, MM_MSG_VOID, 1);
        CHECK(runs_soon(&site));
        /* Whatever comes for this epoch now, it can not be committed. */
        static const int late[] = {MM_MSG_RESUME, MM_MSG_CUT};
        for (size_t i = 0; i < COUNT_OF(late); i++) {
            tell(&site.service, late[i], 1, 0);
            hear(&site.service, MM_MSG_VOID, 1);
        }
        tell(&site.service, MM_MSG_QUIESCE, 1, 0);
        hear_failed(&site.service, MM_MSG_QUIESCE, 1, MM_E_FENCED);
        tell(&site.service, MM_MSG_COMMIT, 1, 0);
        hear_failed(&site.service, MM_MSG_COMMIT, 1, MM_E_NOT_FOUND);
        CHECK(runs_soon(&site));
        commit_epoch(&site.service, 2);
        expect_checkpoint(&site, 2, 1);
        finish(&site);
    }
}

static void test_a_lease_that_is_renewed_holds(void) {
    site site;
    start(&site, 0);
    go_until(&site, 0, 1);
    tell_leased(&site.service, MM_MSG_QUIESCE, 1, 0, 3 * SHORT_LEASE_NS);
    hear(&site.service, MM_MSG_HELD, 1);
    for (int i = 0; i < 8; i++) {
        usleep(SHORT_LEASE_NS / 1000);
        tell_leased(&site.service, MM_MSG_RENEW, 1, 0, 3 * SHORT_LEASE_NS);
    }
    CHECK(!is_running(&site));
    hear_nothing(&site.service, 0);
    tell(&site.service, MM_MSG_CUT, 1, 0);
    hear(&site.service, MM_MSG_CUT_DONE, 1);
    tell(&site.service, MM_MSG_RESUME, 1, 0);
    hear(&site.service, MM_MSG_SEALED, 1);
    tell(&site.service, MM_MSG_COMMIT, 1, 0);
    hear(&site.service, MM_MSG_DONE, 1);
    finish(&site);
}

static void test_a_lease_in_the_middle_of_a_restore(void) {
    site site;
    start(&site, 0);
    write_all(&site, 1);
    commit_epoch(&site.service, 1);
    write_all(&site, 2);
    commit_epoch(&site.service, 2);
    tell_leased(&site.service, MM_MSG_QUIESCE, 3, 0, SHORT_LEASE_NS);
    hear(&site.service, MM_MSG_HELD, 3);
    hear(&site.service, MM_MSG_VOID, 3); /* before RESTORE: it runs on with what it has */
    tell(&site.service, MM_MSG_RESTORE, 3, 1);
    hear(&site.service, MM_MSG_VOID, 3);
    CHECK(runs_soon(&site) && shows(site.region, 2));
    tell(&site.service, MM_MSG_QUIESCE, 4, 0);
    hear(&site.service, MM_MSG_HELD, 4);
    tell_leased(&site.service, MM_MSG_RESTORE, 4, 1, SHORT_LEASE_NS);
    hear(&site.service, MM_MSG_DONE, 4);
    hear(&site.service, MM_MSG_VOID, 4); /* after it: it runs on with what was restored */
    CHECK(runs_soon(&site) && shows(site.region, 1));
    finish(&site);
}

/* ---- updates and budgets --------------------------------------------------------------------- */

static void test_an_open_update_fails_the_epoch_and_no_more(void) {
    site site;
    start(&site, 0);
    write_all(&site, 1);
    CHECK_OK(mm_gate_enter(mm_region_gate(site.region), NULL));
    tell(&site.service, MM_MSG_BEGIN, 1, 0);
    hear(&site.service, MM_MSG_READY, 1);
    tell(&site.service, MM_MSG_QUIESCE, 1, 30000000);
    hear_failed(&site.service, MM_MSG_QUIESCE, 1, MM_E_QUIESCE);
    mm_gate_leave(mm_region_gate(site.region));
    tell(&site.service, MM_MSG_ABORT, 1, 0);
    hear(&site.service, MM_MSG_DONE, 1);
    commit_epoch(&site.service, 2);
    expect_checkpoint(&site, 2, 1);
    finish(&site);
}

static void test_a_cut_over_its_budget(void) {
    site site;
    start(&site, 0);
    write_all(&site, 1);
    go_until(&site, 1, 1);
    tell(&site.service, MM_MSG_CUT, 1, 1);
    hear_failed(&site.service, MM_MSG_CUT, 1, MM_E_PAUSE);
    CHECK(runs_soon(&site));
    commit_epoch(&site.service, 2);
    expect_checkpoint(&site, 2, 1);
    finish(&site);
}

/* ---- hooks -------------------------------------------------------------------------------------- */

static void test_hooks_answer_before_anything_is_reserved(void) {
    site site;
    start(&site, 1);
    write_all(&site, 1);
    tell(&site.service, MM_MSG_BEGIN, 1, 0);
    mm_member_event before = expect_event(&site, MM_EVENT_BEFORE);
    CHECK(before.epoch == 1 && strcmp(before.text, "c1") == 0);
    hear_nothing(&site.service, 30);
    CHECK_OK(mm_member_ready(site.member, 1, 1, 1234, NULL));
    CHECK(hear(&site.service, MM_MSG_READY, 1).word[1] == 1234);
    tell(&site.service, MM_MSG_ABORT, 1, 0);
    hear(&site.service, MM_MSG_DONE, 1);
    expect_event(&site, MM_EVENT_AFTER);

    tell(&site.service, MM_MSG_BEGIN, 2, 0);
    expect_event(&site, MM_EVENT_BEFORE);
    CHECK_OK(mm_member_ready(site.member, 2, 0, 0, "the hook said no"));
    mm_message failed = hear(&site.service, MM_MSG_FAILED, 2);
    CHECK(failed.word[1] == MM_MSG_BEGIN && strstr(failed.text, "the hook said no") != NULL);
    CHECK(expect_event(&site, MM_EVENT_AFTER).outcome == 0);
    CHECK_OK(mm_member_set_hooks(site.member, 0));
    commit_epoch(&site.service, 3);
    finish(&site);
}

static void test_hooks_that_answer_late(void) {
    site site;
    start(&site, 1);
    write_all(&site, 1);
    tell(&site.service, MM_MSG_BEGIN, 1, 0);
    expect_event(&site, MM_EVENT_BEFORE);
    tell(&site.service, MM_MSG_ABORT, 1, 0);
    hear(&site.service, MM_MSG_DONE, 1);
    CHECK(expect_event(&site, MM_EVENT_AFTER).outcome == 0);
    CHECK_OK(mm_member_ready(site.member, 1, 1, 1, NULL)); /* nobody waits for it any more */
    hear_nothing(&site.service, 30);
    tell(&site.service, MM_MSG_BEGIN, 2, 0);
    expect_event(&site, MM_EVENT_BEFORE);
    CHECK_OK(mm_member_ready(site.member, 1, 1, 1, NULL)); /* of the old epoch: not the answer to this */
    hear_nothing(&site.service, 30);
    CHECK_OK(mm_member_ready(site.member, 2, 1, 1, NULL));
    hear(&site.service, MM_MSG_READY, 2);
    service_hang_up(&site.service);
    expect_event(&site, MM_EVENT_AFTER);
    expect_event(&site, MM_EVENT_LOST);
    CHECK(runs_soon(&site));
    finish(&site);
}

static void test_nobody_listens_to_events(void) {
    site site;
    start(&site, 0);
    for (uint64_t epoch = 1; epoch <= 80; epoch++) commit_epoch(&site.service, epoch);
    mm_member_event event;
    CHECK_OK(mm_member_next_event(site.member, 0, &event));
    CHECK(event.epoch == 80 - 63); /* the newest 64 */
    finish(&site);
}

/* ---- leaving -------------------------------------------------------------------------------------- */

static void test_leaving_on_purpose_says_so(void) {
    site site;
    start(&site, 0);
    mm_member_stop(site.member, 1);
    hear(&site.service, MM_MSG_BYE, 0);
    hear_the_end(&site.service);
    shut_region(site.region);
    service_close(&site.service);
}

static void test_stopped_while_held(void) {
    site site;
    start(&site, 0);
    write_all(&site, 1);
    go_until(&site, 2, 1);
    mm_member_stop(site.member, 0);
    CHECK(runs_soon(&site));
    hear_the_end(&site.service);
    take_checkpoint(site.region, "alone");
    shut_region(site.region);
    site.region = open_region(site.pool, MM_MODE_MUST_EXIST, MM_EPOCH_HEAD);
    CHECK(shows(site.region, 1));
    shut_region(site.region);
    service_close(&site.service);
}

static void test_no_service_there(void) {
    mm_member *member;
    mm_region *region = open_region(scratch_pool(), MM_MODE_MUST_CREATE, MM_EPOCH_HEAD);
    CHECK_STATUS(mm_member_start(region, "/nowhere/service", 1, 0, &member), MM_E_DISCONNECTED);
    shut_region(region);
}

int main(void) {
    test_a_checkpoint_from_begin_to_commit();
    test_restore_of_the_group();
    test_a_restore_that_is_refused_changes_nothing();
    test_delete_and_pin();
    test_aborted_after_each_step();
    test_the_service_ends_after_each_step();
    test_recovery_asks_about_what_was_sealed();
    test_a_member_killed_while_cut_never_was_in_it();
    test_a_held_member_thaws_by_its_lease();
    test_a_lease_that_is_renewed_holds();
    test_a_lease_in_the_middle_of_a_restore();
    test_an_open_update_fails_the_epoch_and_no_more();
    test_a_cut_over_its_budget();
    test_hooks_answer_before_anything_is_reserved();
    test_hooks_that_answer_late();
    test_nobody_listens_to_events();
    test_leaving_on_purpose_says_so();
    test_stopped_while_held();
    test_no_service_there();
    return 0;
}
