#include "site.h"

#include "check.h"

#include <unistd.h>

const int orders[STEPS] = {MM_MSG_BEGIN, MM_MSG_QUIESCE, MM_MSG_CUT, MM_MSG_RESUME};
const int answers[STEPS] = {MM_MSG_READY, MM_MSG_HELD, MM_MSG_CUT_DONE, MM_MSG_SEALED};

void join(site *site, int hooks) {
    CHECK_OK(mm_member_start(site->region, site->service.path, 77, hooks, &site->member));
}

mm_message start(site *site, int hooks) {
    site->pool = scratch_pool();
    service_open(&site->service, site->pool);
    site->region = open_region(site->pool, MM_MODE_MUST_CREATE, MM_EPOCH_HEAD);
    join(site, hooks);
    return service_accept(&site->service);
}

void finish(site *site) {
    mm_member_stop(site->member, 0);
    shut_region(site->region);
    service_close(&site->service);
}

void write_all(site *site, uint64_t value) {
    for (uint64_t page = 0; page < PAGES; page++) stamp(site->region, page, value * 100 + page);
}

int shows(const mm_region *region, uint64_t value) {
    for (uint64_t page = 0; page < PAGES; page++)
        if (!is_stamped(region, page, value ? value * 100 + page : 0)) return 0;
    return 1;
}

void expect_checkpoint(site *site, uint64_t epoch, uint64_t value) {
    mm_region *reader = open_region(site->pool, MM_MODE_READ_ONLY, epoch);
    CHECK(shows(reader, value));
    shut_region(reader);
}

int is_running(site *site) {
    int status = mm_gate_try_enter(mm_region_gate(site->region), NULL);
    if (status == MM_OK) mm_gate_leave(mm_region_gate(site->region));
    return status == MM_OK;
}

int runs_soon(site *site) {
    for (int wait = 0; wait < 2000 && !is_running(site); wait++) usleep(1000);
    return is_running(site);
}

mm_member_event expect_event(site *site, int kind) {
    mm_member_event event;
    CHECK_OK(mm_member_next_event(site->member, 20000, &event));
    CHECK(event.kind == kind);
    return event;
}

static int says_committed(void *context, uint64_t epoch) { return epoch <= *(uint64_t *)context; }

mm_region *reopen(site *site, uint64_t committed_up_to) {
    mm_open_options options = {
        .mode = MM_MODE_MUST_EXIST, .decide = says_committed, .decide_context = &committed_up_to};
    mm_region *region;
    CHECK_OK(mm_region_open(site->pool, "r", &options, &region));
    return region;
}

void go_until(site *site, size_t last, uint64_t epoch) {
    for (size_t i = 0; i <= last; i++) {
        tell(&site->service, orders[i], epoch, 0);
        hear(&site->service, answers[i], epoch);
    }
}

/* After each step: ABORT, or the service's end; then the next epoch must have every page. */
