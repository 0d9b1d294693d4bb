/* The program: started as our child, with everything as we found it. */
#ifndef MI_PROGRAM_H
#define MI_PROGRAM_H

#include "outputs.h"
#include "session.h"
#include "signals.h"

#include <sys/types.h>

#define MI_EXIT_BY_SIGNAL 128

/* Starts `words`, looked for along PATH; the process, or a negative errno. If it can not be executed, the
 * process says so and ends with 127 or 126, as a shell's would. */
pid_t mi_program_start(char *const words[], const mi_signals *before, const mi_session *session,
                       const mi_outputs *outputs);

/* The same, but before its first step it waits for a byte from `gate`, and its standard input is empty: what
 * is to be restored elsewhere can hold nothing of this container's runtime. */
pid_t mi_program_start_held(char *const words[], const mi_signals *before, const mi_session *session,
                            const mi_outputs *outputs, int gate);

/* Lets go of what is the program's alone, from this descriptor on: a pipe it closes is closed then. */
void mi_program_let_go(const mi_outputs *outputs, unsigned from);

/* As a shell tells it: its own, or 128 and the signal that ended it. `status` is wait(2)'s. */
int mi_program_exit_code(int status);

#endif
