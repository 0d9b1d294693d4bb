/* Fault: a cut shuts the gate and does not wait for who is inside. */
#include "clock.h"
#include "gate.h"

#define SHUT 0x80000000u

int __wrap_mm_gate_hold(mm_gate *, uint64_t deadline_ns, uint64_t *shut_ns);
int __wrap_mm_gate_hold(mm_gate *gate, uint64_t deadline_ns, uint64_t *shut_ns) {
    (void)deadline_ns;
    atomic_fetch_or(&gate->word, SHUT);
    *shut_ns = mm_now_ns();
    return MM_OK;
}
