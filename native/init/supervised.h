/* The program under an agent's eyes: started when it says so, and not over when it ends it for a restore. */
#ifndef MI_SUPERVISED_H
#define MI_SUPERVISED_H

#include "outputs.h"
#include "session.h"
#include "signals.h"

/* Until the program's end; returns the exit code. */
int mi_supervised_run(char *const words[], const mi_signals *before, const mi_session *session,
                      mi_outputs *outputs);

#endif
