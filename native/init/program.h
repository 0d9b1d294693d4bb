/* The program: started as our child, with everything as we found it. */
#ifndef MI_PROGRAM_H
#define MI_PROGRAM_H

#include "outputs.h"
#include "session.h"
#include "signals.h"

#include <sys/types.h>

/* Starts `words`, looked for along PATH; the process, or a negative errno. If it can not be executed, the
 * process says so and ends with 127 or 126, as a shell's would. */
pid_t mi_program_start(char *const words[], const mi_signals *before, const mi_session *session,
                       const mi_outputs *outputs);

/* Lets go of what is the program's alone: a pipe it closes is closed then. */
void mi_program_let_go(const mi_outputs *outputs);

#endif
