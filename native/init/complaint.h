/* What goes wrong in mmsnap-init itself, told on standard error. */
#ifndef MI_COMPLAINT_H
#define MI_COMPLAINT_H

/* Exit codes of its own. The last two are the shell's. */
#define MI_EXIT_FAILED 125
#define MI_EXIT_NOT_EXECUTABLE 126
#define MI_EXIT_NOT_FOUND 127

/* Says "mmsnap-init: WHAT: why", where `error` is an errno; 0 leaves the reason out. */
void mi_complain(const char *what, int error);

#endif
