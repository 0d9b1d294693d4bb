#include "program.h"

#include "complaint.h"

#include <errno.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

static _Noreturn void become(char *const words[]) {
    execvp(words[0], words);
    int error = errno;
    bool absent = error == ENOENT || error == ENOTDIR;
    mi_complain(words[0], error);
    _exit(absent ? MI_EXIT_NOT_FOUND : MI_EXIT_NOT_EXECUTABLE);
}

pid_t mi_program_start(char *const words[], const mi_signals *before, const mi_session *session,
                       const mi_outputs *outputs) {
    pid_t parent = getpid();
    pid_t program = fork();
    if (program < 0) return -errno;
    if (program > 0) return program;
    /* Whoever kills mmsnap-init means the program. (With number 1 the kernel ends all by itself.) */
    if (parent != 1) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != parent) _exit(MI_EXIT_FAILED);
    }
    mi_session_begin(session);
    mi_outputs_enter(outputs);
    mi_signals_give_back(before);
    become(words);
}

void mi_program_let_go(const mi_outputs *outputs) {
    for (unsigned from = 0;;) {
        unsigned held = mi_outputs_next(outputs, from);
        /* (Kernels older than 5.9 can not; there they stay open.) */
        if (held > from) syscall(SYS_close_range, from, held - 1, 0);
        if (held == MI_NO_FILE) return;
        from = held + 1;
    }
}
