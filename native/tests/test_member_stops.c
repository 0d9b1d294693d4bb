/* The fear: a member that stays stopped: because a lease ends, an update does not, a hook is late, or
 * somebody leaves. */
#include "check.h"
#include "site.h"

#include <string.h>
#include <unistd.h>

#define SHORT_LEASE_NS 60000000ull

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
