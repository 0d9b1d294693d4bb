#include "watch.h"

#include "program.h"
#include "signals.h"

#include <stdbool.h>
#include <sys/wait.h>

/* All who ended, the orphans that were left to us too; true when the program did. */
static bool bury(pid_t program, const mi_session *session, int *exit_code) {
    int status;
    pid_t who;
    while ((who = waitpid(-1, &status, WNOHANG | WUNTRACED | __WALL)) > 0) {
        if (who != program) continue;
        if (WIFSTOPPED(status)) {
            mi_session_follow_stop(session, WSTOPSIG(status));
            continue;
        }
        *exit_code = mi_program_exit_code(status);
        return true;
    }
    return false;
}

int mi_watch(pid_t program, const mi_session *session) {
    for (;;) {
        int exit_code;
        siginfo_t signal;
        bool came = mi_signals_next(&signal);
        /* Always: a SIGCHLD that somebody sent hides the kernel's own. */
        if (bury(program, session, &exit_code)) return exit_code;
        if (!came || (signal.si_signo == SIGCHLD && signal.si_code > 0)) continue;
        if (!mi_session_shared(session, &signal)) mi_signals_pass_on(&signal, program);
    }
}
