#include "gate.h"

#include "clock.h"
#include "error.h"

#include <errno.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#define SHUT 0x80000000u
#define NESTED_GATES_MAX 16 /* gates one thread may be inside of at the same time */

/* What the calling thread is inside of. Re-entering touches only this, never the shared word: a thread
 * inside may go deeper while a cut waits for it, or both would wait for ever. */
typedef struct held_gate {
    const mm_gate *gate;
    const void *owner;
    unsigned depth;
} held_gate;

static _Thread_local held_gate held[NESTED_GATES_MAX];
static _Thread_local unsigned held_count;

void mm_gate_init(mm_gate *gate) {
    atomic_init(&gate->word, 0);
    atomic_init(&gate->forked, 0);
}

static void futex_wait(mm_gate *gate, uint32_t expected, uint64_t timeout_ns) {
    struct timespec timeout = {(time_t)(timeout_ns / MM_SECOND_NS), (long)(timeout_ns % MM_SECOND_NS)};
    syscall(SYS_futex, &gate->word, FUTEX_WAIT_PRIVATE, expected, &timeout, NULL, 0);
}

static void futex_wake_all(mm_gate *gate) {
    syscall(SYS_futex, &gate->word, FUTEX_WAKE_PRIVATE, INT32_MAX, NULL, NULL, 0);
}

static held_gate *find_held(const mm_gate *gate) {
    for (unsigned i = held_count; i-- > 0;)
        if (held[i].gate == gate) return &held[i];
    return NULL;
}

unsigned mm_gate_depth(const mm_gate *gate) {
    const held_gate *mine = find_held(gate);
    return mine ? mine->depth : 0;
}

static int enter_again(held_gate *mine, const void *owner) {
    if (mine->owner != owner)
        return mm_fail(MM_E_OTHER_TASK, "an update of this thread is open in another task");
    mine->depth++;
    return MM_OK;
}

static int step_back(mm_gate *gate) {
    uint32_t before = atomic_fetch_sub(&gate->word, 1);
    MM_ASSERT((before & ~SHUT) > 0);
    if (before == (SHUT | 1)) futex_wake_all(gate); /* the last one out lets the cut go on */
    return MM_E_AGAIN;
}

int mm_gate_try_enter(mm_gate *gate, const void *owner) {
    held_gate *mine = find_held(gate);
    if (mine) return enter_again(mine, owner);
    if (atomic_load_explicit(&gate->forked, memory_order_relaxed))
        return mm_fail(MM_E_FORKED, "this process was forked from the region's owner");
    if (held_count == NESTED_GATES_MAX)
        return mm_fail(MM_E_INVALID, "a thread may be inside updates of %d regions at once",
                       NESTED_GATES_MAX);
    if (atomic_fetch_add(&gate->word, 1) & SHUT) return step_back(gate);
    held[held_count++] = (held_gate){gate, owner, 1};
    return MM_OK;
}

int mm_gate_enter(mm_gate *gate, const void *owner) {
    for (;;) {
        int status = mm_gate_try_enter(gate, owner);
        if (status != MM_E_AGAIN) return status;
        uint32_t word = atomic_load(&gate->word);
        if (word & SHUT) futex_wait(gate, word, MM_SECOND_NS);
    }
}

void mm_gate_leave(mm_gate *gate) {
    held_gate *mine = find_held(gate);
    MM_ASSERT(mine != NULL);
    if (--mine->depth > 0) return;
    *mine = held[--held_count];
    if (atomic_load_explicit(&gate->forked, memory_order_relaxed)) return;
    step_back(gate);
}

int mm_gate_hold(mm_gate *gate, uint64_t deadline_ns, uint64_t *shut_ns) {
    MM_ASSERT(mm_gate_depth(gate) == 0);
    uint32_t word = atomic_fetch_or(&gate->word, SHUT);
    MM_ASSERT(!(word & SHUT)); /* one cut at a time: its caller holds the region's operation lock */
    *shut_ns = mm_now_ns();
    while ((word = atomic_load(&gate->word)) != SHUT) {
        uint64_t now = mm_now_ns();
        if (now >= deadline_ns) {
            mm_gate_release(gate);
            return mm_fail(MM_E_QUIESCE, "%u updates were still open at the deadline", word & ~SHUT);
        }
        futex_wait(gate, word, deadline_ns - now);
    }
    return MM_OK;
}

uint64_t mm_gate_release(mm_gate *gate) {
    uint32_t before = atomic_fetch_and(&gate->word, ~SHUT);
    uint64_t opened_ns = mm_now_ns();
    MM_ASSERT(before & SHUT);
    futex_wake_all(gate);
    return opened_ns;
}
