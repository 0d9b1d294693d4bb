/* The fear: a cut in the middle of an update, or people who wait at the gate for ever. */
#include "check.h"
#include "clock.h"
#include "gate.h"

#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>

#define SOON (50 * 1000000ull)
#define LONG (20 * MM_SECOND_NS)

static mm_gate gate;

static int hold(uint64_t timeout_ns) {
    uint64_t shut_ns;
    return mm_gate_hold(&gate, mm_now_ns() + timeout_ns, &shut_ns);
}

static void test_reentrance_and_owners(void) {
    int one, other;
    CHECK(mm_gate_depth(&gate) == 0);
    CHECK_OK(mm_gate_try_enter(&gate, &one));
    CHECK_OK(mm_gate_enter(&gate, &one));
    CHECK(mm_gate_depth(&gate) == 2);
    CHECK_STATUS(mm_gate_try_enter(&gate, &other), MM_E_OTHER_TASK);
    CHECK_STATUS(mm_gate_enter(&gate, NULL), MM_E_OTHER_TASK);
    CHECK(mm_gate_depth(&gate) == 2);
    mm_gate_leave(&gate);
    mm_gate_leave(&gate);
    CHECK(mm_gate_depth(&gate) == 0);
    CHECK_OK(hold(SOON));
    mm_gate_release(&gate);
}

static void test_many_gates_of_one_thread(void) {
    enum { GATES = 17 };
    static mm_gate gates[GATES];
    for (int i = 0; i < GATES; i++) mm_gate_init(&gates[i]);
    for (int i = 0; i < GATES - 1; i++) CHECK_OK(mm_gate_try_enter(&gates[i], NULL));
    CHECK_STATUS(mm_gate_try_enter(&gates[GATES - 1], NULL), MM_E_INVALID);
    /* Left in an order that no stack would allow. */
    for (int i = 0; i < GATES - 1; i += 2) mm_gate_leave(&gates[i]);
    for (int i = 1; i < GATES - 1; i += 2) {
        CHECK(mm_gate_depth(&gates[i]) == 1);
        mm_gate_leave(&gates[i]);
    }
    for (int i = 0; i < GATES; i++) CHECK(mm_gate_depth(&gates[i]) == 0);
}

/* ---- a thread that stays inside until it is told ------------------------------ */

static _Atomic int inside, may_leave;

static void *stay_inside(void *unused) {
    (void)unused;
    CHECK_OK(mm_gate_enter(&gate, NULL));
    inside = 1;
    while (!may_leave) {
        CHECK_OK(mm_gate_enter(&gate, NULL)); /* deeper while a cut waits: must never wait for it */
        mm_gate_leave(&gate);
        usleep(100);
    }
    mm_gate_leave(&gate);
    return NULL;
}

static pthread_t start_inside(void) {
    pthread_t thread;
    inside = may_leave = 0;
    CHECK(pthread_create(&thread, NULL, stay_inside, NULL) == 0);
    while (!inside) usleep(100);
    return thread;
}

static void test_hold_times_out_and_opens_again(void) {
    pthread_t thread = start_inside();
    uint64_t start = mm_now_ns();
    CHECK_STATUS(hold(SOON), MM_E_QUIESCE);
    CHECK(mm_now_ns() - start >= SOON);
    CHECK_OK(mm_gate_try_enter(&gate, NULL));
    mm_gate_leave(&gate);
    may_leave = 1;
    pthread_join(thread, NULL);
}

static void *leave_soon(void *unused) {
    (void)unused;
    usleep(20000);
    may_leave = 1;
    return NULL;
}

static void test_hold_wakes_when_the_last_one_leaves(void) {
    pthread_t thread = start_inside(), other;
    CHECK(pthread_create(&other, NULL, leave_soon, NULL) == 0);
    uint64_t start = mm_now_ns();
    CHECK_OK(hold(LONG));
    CHECK(mm_now_ns() - start < LONG / 4);
    mm_gate_release(&gate);
    pthread_join(thread, NULL);
    pthread_join(other, NULL);
}

static void *enter_once(void *entered) {
    CHECK_OK(mm_gate_enter(&gate, NULL));
    *(_Atomic int *)entered = 1;
    mm_gate_leave(&gate);
    return NULL;
}

static void test_release_wakes_everybody(void) {
    enum { WAITERS = 8 };
    pthread_t threads[WAITERS];
    _Atomic int entered[WAITERS] = {0};
    CHECK_OK(hold(SOON));
    CHECK_STATUS(mm_gate_try_enter(&gate, NULL), MM_E_AGAIN);
    for (int i = 0; i < WAITERS; i++)
        CHECK(pthread_create(&threads[i], NULL, enter_once, (void *)&entered[i]) == 0);
    usleep(30000);
    for (int i = 0; i < WAITERS; i++) CHECK(!entered[i]);
    uint64_t start = mm_now_ns();
    mm_gate_release(&gate);
    for (int i = 0; i < WAITERS; i++) pthread_join(threads[i], NULL);
    CHECK(mm_now_ns() - start < MM_SECOND_NS / 2); /* woken, not timed out */
}

/* ---- exclusion under load ------------------------------------------------------- */

static uint64_t left, right; /* equal whenever no update is open; plain, so that TSan judges too */
static _Atomic int stop;
static pthread_mutex_t writers = PTHREAD_MUTEX_INITIALIZER;

static void *update_both(void *unused) {
    (void)unused;
    while (!stop) {
        CHECK_OK(mm_gate_enter(&gate, NULL));
        pthread_mutex_lock(&writers);
        left++;
        right++;
        pthread_mutex_unlock(&writers);
        mm_gate_leave(&gate);
    }
    return NULL;
}

static void test_no_cut_inside_an_update(void) {
    enum { WRITERS = 3, CUTS = 2000 };
    pthread_t threads[WRITERS];
    stop = 0;
    for (int i = 0; i < WRITERS; i++) CHECK(pthread_create(&threads[i], NULL, update_both, NULL) == 0);
    for (int cut = 0; cut < CUTS; cut++) {
        CHECK_OK(hold(LONG));
        uint64_t seen = left;
        CHECK(seen == right);
        for (volatile int wait = 0; wait < 200; wait++) continue;
        CHECK(seen == left && seen == right);
        mm_gate_release(&gate);
    }
    stop = 1;
    for (int i = 0; i < WRITERS; i++) pthread_join(threads[i], NULL);
}

static void test_a_forked_gate_says_so(void) {
    mm_gate forked;
    mm_gate_init(&forked);
    CHECK_OK(mm_gate_try_enter(&forked, NULL));
    forked.forked = 1;
    CHECK_OK(mm_gate_try_enter(&forked, NULL)); /* inside already: nothing is asked of the parent's gate */
    mm_gate_leave(&forked);
    mm_gate_leave(&forked);
    CHECK_STATUS(mm_gate_try_enter(&forked, NULL), MM_E_FORKED);
    CHECK_STATUS(mm_gate_enter(&forked, NULL), MM_E_FORKED);
}

int main(void) {
    mm_gate_init(&gate);
    test_reentrance_and_owners();
    test_many_gates_of_one_thread();
    test_hold_times_out_and_opens_again();
    test_hold_wakes_when_the_last_one_leaves();
    test_release_wakes_everybody();
    test_no_cut_inside_an_update();
    test_a_forked_gate_says_so();
    return 0;
}
