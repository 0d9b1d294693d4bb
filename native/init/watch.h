/* What mmsnap-init does for the rest of its life: passes signals on, and buries the dead. */
#ifndef MI_WATCH_H
#define MI_WATCH_H

#include "session.h"

#include <sys/types.h>

/* Until the program ends; returns its exit code, or 128 and the signal that ended it. */
int mi_watch(pid_t program, const mi_session *session);

#endif
