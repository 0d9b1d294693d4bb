/* The gate between updates and cuts: many updates at once, or one cut. */
#ifndef MM_GATE_H
#define MM_GATE_H

#include "mmsnap.h"

#include <stdatomic.h>

struct mm_gate {
    /* Number of open updates; the top bit says that a cut holds, or waits for, the gate. One word, so
     * that entering is one atomic addition, and a futex, so that waiting costs no lock. */
    _Atomic uint32_t word;
    _Atomic int forked;
};

void mm_gate_init(mm_gate *);

/* Shuts the gate and waits until no update is open. MM_E_QUIESCE after `deadline_ns`
 * (of mm_now_ns()), with the gate open again. `*shut_ns`: when it was shut. */
int mm_gate_hold(mm_gate *, uint64_t deadline_ns, uint64_t *shut_ns);
uint64_t mm_gate_release(mm_gate *); /* when it opened: waking those who wait comes after */

#endif
