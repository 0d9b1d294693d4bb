/* mmsnap-init: the first process of a container, or the parent of any program, and nothing to notice.
 *
 * The program finds its arguments, environment, files, terminal, signals and orphans as it would without, and
 * whoever waits sees its exit code. It needs nothing of the image: no libc, no shell, no writable file, no
 * user, no capability.
 */
#include "complaint.h"
#include "install.h"
#include "outputs.h"
#include "program.h"
#include "session.h"
#include "signals.h"
#include "supervised.h"
#include "watch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

static const char usage[] =
    "Usage: mmsnap-init -- COMMAND [ARGUMENT]...\n"
    "       mmsnap-init --install DIRECTORY\n"
    "\n"
    "Starts COMMAND as its child, passes signals on to it, buries orphans, and ends as it ended.\n"
    "\n"
    "  --install DIRECTORY  copy this program to DIRECTORY/mmsnap-init\n"
    "  --version            show the version\n"
    "  --help               show this\n"
    "\n"
    "With MMSNAP_ENGINE=process and MMSNAP_ADDRESS=unix:///run/mmsnap/agent.sock, COMMAND is started when\n"
    "the node's agent says so, and can be held, dumped and restored by it: its standard output and error\n"
    "are pipes that are passed on, and it has no standard input.\n"
    "\n"
    "Exit codes: the command's; 128 and the signal that ended it; 127 not found; 126 not executable;\n"
    "125 mmsnap-init itself failed.\n";

static int run_supervised(char *const words[], const mi_signals *before, const mi_session *session,
                          mi_outputs *outputs) {
    mi_program_let_go(outputs, STDERR_FILENO + 1);
    int failed = mi_outputs_start(outputs);
    if (failed < 0) {
        mi_complain("threads for the program's output", -failed);
        return MI_EXIT_FAILED;
    }
    int exit_code = mi_supervised_run(words, before, session, outputs);
    mi_outputs_finish(outputs);
    return exit_code;
}

static int run(char *const words[]) {
    mi_signals before;
    mi_outputs outputs;
    mi_signals_keep_back(&before);
    if (getpid() != 1) prctl(PR_SET_CHILD_SUBREAPER, 1);
    int failed = mi_outputs_make(&outputs);
    if (failed < 0) {
        mi_complain("pipes for the program's output", -failed);
        return MI_EXIT_FAILED;
    }
    mi_session session = mi_session_leave();
    if (outputs.owned) return run_supervised(words, &before, &session, &outputs);
    pid_t program = mi_program_start(words, &before, &session, &outputs);
    if (program < 0) {
        mi_complain(words[0], -program);
        return MI_EXIT_FAILED;
    }
    failed = mi_outputs_start(&outputs);
    if (failed < 0) {
        mi_complain("threads for the program's output", -failed);
        return MI_EXIT_FAILED;
    }
    mi_program_let_go(&outputs, 0);
    int exit_code = mi_watch(program, &session);
    mi_outputs_finish(&outputs);
    return exit_code;
}

/* _exit: none of the files is ours to flush, and a thread may still write. */
int main(int count, char *words[]) {
    const char *what = count > 1 ? words[1] : "";
    if (strcmp(what, "--") == 0 && count > 2) _exit(run(words + 2));
    if (strcmp(what, "--install") == 0 && count == 3)
        return mi_install(words[2]) < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
    if (strcmp(what, "--help") == 0 && count == 2) return fputs(usage, stdout) < 0;
    if (strcmp(what, "--version") == 0 && count == 2) return puts("mmsnap-init " MMSNAP_VERSION) < 0;
    fputs(usage, stderr);
    return MI_EXIT_FAILED;
}
