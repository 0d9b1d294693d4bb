/* mmsnap-enter: runs a command where a container's processes live, as one of their cgroups.
 *
 * What CRIU restores inherits the cgroups of CRIU, and process ids are given by the namespace of whoever
 * forks. util-linux has a tool for namespaces, but neither for cgroups nor for the next process id; and a
 * container's image need not have it. So the node brings this one: static, and gone before the command runs.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define EXIT_FAILED 125
/* What CRIU does not share with a program it would take for the program's own, and make anew. (The network's
 * is entered by whoever calls.) */
#define NAMESPACES (CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWCGROUP)
#define LAST_PID "/proc/sys/kernel/ns_last_pid"

static const char usage[] =
    "Usage: mmsnap-enter PID [--procs FILE]... [--last-pid N] [-- COMMAND [ARGUMENT]...]\n"
    "\n"
    "Runs COMMAND in the namespaces of process PID, all but its network, and ends as it ends.\n"
    "\n"
    "  --procs FILE   a cgroup.procs to be in\n"
    "  --last-pid N   the next process of the namespace gets a number above this one\n";

static _Noreturn void fail(const char *what) {
    fprintf(stderr, "mmsnap-enter: %s: %s\n", what, strerror(errno));
    _exit(EXIT_FAILED);
}

static void join(const char *procs) {
    int fd = open(procs, O_WRONLY | O_CLOEXEC);
    if (fd < 0 || write(fd, "0", 1) != 1) fail(procs);
    close(fd);
}

/* As the command ended; a signal that ended it ends us, for whoever waits to see. */
static _Noreturn void end_as(pid_t child) {
    int status;
    while (waitpid(child, &status, 0) < 0)
        if (errno != EINTR) fail("waiting");
    if (WIFSIGNALED(status)) {
        signal(WTERMSIG(status), SIG_DFL);
        raise(WTERMSIG(status));
    }
    _exit(WIFEXITED(status) ? WEXITSTATUS(status) : EXIT_FAILED);
}

static void enter(int process, int namespaces) {
    if (syscall(SYS_setns, process, namespaces) != 0) fail("entering the namespaces");
}

int main(int count, char *words[]) {
    int at = 2, last_pid_fd = -1;
    const char *last_pid = NULL;
    char **command = NULL;
    if (count < 2 || strtol(words[1], NULL, 10) <= 0) {
        fputs(usage, stderr);
        return EXIT_FAILED;
    }
    int process = (int)syscall(SYS_pidfd_open, strtol(words[1], NULL, 10), 0);
    if (process < 0) fail(words[1]);
    for (; at < count && !command; at++) {
        if (strcmp(words[at], "--procs") == 0 && at + 1 < count) {
            join(words[++at]);
        } else if (strcmp(words[at], "--last-pid") == 0 && at + 1 < count) {
            last_pid = words[++at];
            last_pid_fd = open(LAST_PID, O_WRONLY | O_CLOEXEC);
            if (last_pid_fd < 0) fail(LAST_PID);
        } else if (strcmp(words[at], "--") == 0 && at + 1 < count) {
            command = words + at + 1;
        } else {
            fputs(usage, stderr);
            return EXIT_FAILED;
        }
    }
    enter(process, command ? NAMESPACES : CLONE_NEWPID);
    pid_t child = fork(); /* only a child is in the other process namespace */
    if (child < 0) fail("fork");
    if (child > 0) end_as(child);
    if (last_pid && write(last_pid_fd, last_pid, strlen(last_pid)) < 0) fail(LAST_PID);
    if (!command) _exit(EXIT_SUCCESS);
    execv(command[0], command);
    fail(command[0]);
}
