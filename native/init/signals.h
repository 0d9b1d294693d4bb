/* Signals: kept back from the first instruction on, and passed on to the program one by one. */
#ifndef MI_SIGNALS_H
#define MI_SIGNALS_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* What the program is to find: what mmsnap-init itself was started with. */
typedef struct mi_signals {
    uint64_t mask;
    struct sigaction on_child;
} mi_signals;

/* Blocks every signal. None is lost: what comes before the program is there waits for it. */
void mi_signals_keep_back(mi_signals *before);

/* Blocks every signal again: starting a thread unblocks the C library's own two, in it and in who started it,
 * and one of them would end us. */
void mi_signals_keep_out(void);

/* In the program's process. */
void mi_signals_give_back(const mi_signals *before);

/* The next signal; false when the wait was interrupted. */
bool mi_signals_next(siginfo_t *out);

/* Readable while a signal waits; a negative errno if there is none to be had. */
int mi_signals_descriptor(void);

/* The next signal that waits; false when none does. */
bool mi_signals_take(siginfo_t *out);

/* Lets go of a signal that is waiting. */
void mi_signals_drop(int number);

/* Lets one do to us what it does to a process that does not catch it. */
void mi_signals_suffer(int number);

/* Sends it on, with the value of one that was queued. */
void mi_signals_pass_on(const siginfo_t *signal, pid_t program);

#endif
