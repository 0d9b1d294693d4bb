#include "session.h"

#include "signals.h"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

static int open_terminal(void) {
    int terminal = open("/dev/tty", O_RDWR | O_CLOEXEC);
    if (terminal >= 0) return terminal;
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
        if (tcgetsid(fd) == getpid()) return fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
    return -1;
}

mi_session mi_session_leave(void) {
    mi_session session = {.ours = getsid(0) == getpid(), .terminal = -1};
    if (!session.ours) return session;
    session.terminal = open_terminal();
    if (session.terminal >= 0 && ioctl(session.terminal, TIOCNOTTY) == 0) {
        /* The kernel tells those in the foreground, which is us. */
        mi_signals_drop(SIGHUP);
        mi_signals_drop(SIGCONT);
    }
    return session;
}

void mi_session_begin(const mi_session *session) {
    if (!session->ours) return;
    setsid();
    if (session->terminal >= 0) ioctl(session->terminal, TIOCSCTTY, 0);
}

bool mi_session_shared(const mi_session *session, const siginfo_t *signal) {
    if (session->ours || signal->si_code != SI_KERNEL) return false;
    switch (signal->si_signo) {
    case SIGHUP:
    case SIGINT:
    case SIGQUIT:
    case SIGTSTP:
    case SIGTTIN:
    case SIGTTOU:
    case SIGCONT:
    case SIGWINCH: return true;
    default: return false;
    }
}

void mi_session_follow_stop(const mi_session *session, int number) {
    /* A SIGSTOP is a debugger's, or whoever wakes the program, and only it, by its process id. */
    bool terminal = number == SIGTSTP || number == SIGTTIN || number == SIGTTOU;
    if (terminal && !session->ours) mi_signals_suffer(number);
}
