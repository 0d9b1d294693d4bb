#include "supervised.h"

#include "complaint.h"
#include "descriptor.h"
#include "line.h"
#include "program.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

typedef struct supervised {
    char *const *words;
    const mi_signals *before;
    const mi_session *session;
    mi_outputs *outputs;
    mi_line line;
    pid_t program; /* 0: none */
    int gate;      /* the program waits at its other end; -1: it does not */
    bool over;
    int exit_code;
} supervised;

static void end(supervised *self, int exit_code) {
    self->over = true;
    self->exit_code = exit_code;
}

static void start(supervised *self) {
    int ends[2];
    if (self->program) return;
    if (pipe2(ends, O_CLOEXEC) < 0) {
        mi_complain("a pipe to hold the program by", errno);
        return end(self, MI_EXIT_FAILED);
    }
    pid_t program = mi_program_start_held(self->words, self->before, self->session, self->outputs, ends[0]);
    close(ends[0]);
    self->gate = mi_descriptor_move_up(ends[1]);
    if (program < 0) {
        mi_complain(self->words[0], -program);
        return end(self, MI_EXIT_FAILED);
    }
    self->program = program;
    mi_line_tell_started(&self->line, program);
}

static void let_through(supervised *self) {
    if (self->gate < 0) return;
    if (write(self->gate, "", 1) < 0) mi_complain("letting the program run", errno);
    close(self->gate);
    self->gate = -1;
}

/* A program that was not let through has done nothing yet: whoever comes next starts it anew, or restores it.
 */
static void take_back(supervised *self) {
    if (self->gate < 0) return;
    kill(self->program, SIGKILL);
    waitpid(self->program, NULL, __WALL);
    close(self->gate);
    self->gate = -1;
    self->program = 0;
}

static void obey(supervised *self, mi_order order, pid_t program) {
    switch (order) {
    case MI_ORDER_NONE: break;
    case MI_ORDER_START: start(self); break;
    case MI_ORDER_GO: let_through(self); break;
    case MI_ORDER_HOLD:
        take_back(self);
        self->program = 0;
        break;
    case MI_ORDER_PROGRAM: self->program = program; break;
    case MI_ORDER_FAIL: end(self, MI_EXIT_FAILED); break;
    }
}

static void hear_orders(supervised *self) {
    while (!self->over && self->line.fd >= 0) {
        pid_t program = 0;
        mi_order order = mi_line_next(&self->line, &program);
        if (order == MI_ORDER_NONE) return;
        obey(self, order, program);
    }
}

/* All who ended. The agent hears of each, for what it restored is not known here before it says so. */
static void bury(supervised *self) {
    int status;
    pid_t who;
    while ((who = waitpid(-1, &status, WNOHANG | __WALL)) > 0) {
        mi_line_tell_exited(&self->line, who, status);
        if (who == self->program) end(self, mi_program_exit_code(status));
    }
}

static void take_signal(supervised *self, const siginfo_t *signal) {
    if (signal->si_signo == SIGCHLD && signal->si_code > 0) return;
    if (self->program && self->gate < 0) {
        mi_signals_pass_on(signal, self->program);
    } else if (signal->si_signo == SIGTERM || signal->si_signo == SIGINT || signal->si_signo == SIGQUIT) {
        end(self, MI_EXIT_BY_SIGNAL + signal->si_signo); /* nothing runs that could be told */
    }
}

int mi_supervised_run(char *const words[], const mi_signals *before, const mi_session *session,
                      mi_outputs *outputs) {
    supervised self = {.words = words,
                       .before = before,
                       .session = session,
                       .outputs = outputs,
                       .line = {.fd = -1, .outputs = outputs},
                       .gate = -1};
    int came = mi_signals_descriptor();
    if (came < 0) {
        mi_complain("a descriptor for signals", -came);
        return MI_EXIT_FAILED;
    }
    while (!self.over) {
        if (self.line.fd < 0) take_back(&self);
        mi_line_mend(&self.line, self.program);
        struct pollfd sources[] = {{.fd = came, .events = POLLIN}, {.fd = self.line.fd, .events = POLLIN}};
        poll(sources, 2, self.line.fd < 0 ? MI_LINE_RETRY_MS : -1);
        /* Orders first: before the agent ends the program it says that this is not the end. */
        hear_orders(&self);
        siginfo_t signal;
        while (mi_signals_take(&signal)) take_signal(&self, &signal);
        bury(&self);
    }
    return self.exit_code;
}
