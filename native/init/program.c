#include "program.h"

#include "complaint.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static _Noreturn void become(char *const words[]) {
    execvp(words[0], words);
    int error = errno;
    bool absent = error == ENOENT || error == ENOTDIR;
    mi_complain(words[0], error);
    _exit(absent ? MI_EXIT_NOT_FOUND : MI_EXIT_NOT_EXECUTABLE);
}

static void wait_at(int gate) {
    char byte;
    if (read(gate, &byte, 1) != 1) _exit(MI_EXIT_FAILED);
    int nothing = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (nothing >= 0) dup2(nothing, STDIN_FILENO);
}

pid_t mi_program_start_held(char *const words[], const mi_signals *before, const mi_session *session,
                            const mi_outputs *outputs, int gate) {
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
    if (gate >= 0) wait_at(gate);
    mi_signals_give_back(before);
    become(words);
}

pid_t mi_program_start(char *const words[], const mi_signals *before, const mi_session *session,
                       const mi_outputs *outputs) {
    return mi_program_start_held(words, before, session, outputs, -1);
}

int mi_program_exit_code(int status) {
    return WIFSIGNALED(status) ? MI_EXIT_BY_SIGNAL + WTERMSIG(status) : WEXITSTATUS(status);
}

void mi_program_let_go(const mi_outputs *outputs, unsigned from) {
    for (;;) {
        unsigned held = mi_outputs_next(outputs, from);
        /* (Kernels older than 5.9 can not; there they stay open.) */
        if (held > from) syscall(SYS_close_range, from, held - 1, 0);
        if (held == MI_NO_FILE) return;
        from = held + 1;
    }
}
