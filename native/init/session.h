/* The terminal: who has it, and whose keys the kernel sends to whom.
 *
 * The first process of a container leads a session. Then the program leads one of its own and gets the
 * terminal, as if it had been started without mmsnap-init. Started from somebody's shell, the two stay in
 * the shell's job together: Ctrl-C and Ctrl-Z reach both, and the program has had them already.
 */
#ifndef MI_SESSION_H
#define MI_SESSION_H

#include <signal.h>
#include <stdbool.h>

typedef struct mi_session {
    bool ours;    /* mmsnap-init leads it */
    int terminal; /* the one to hand over, or -1 */
} mi_session;

/* Looks where we are, and lets go of the terminal if it is to be handed over. */
mi_session mi_session_leave(void);

/* In the program's process: a session of its own, with the terminal. */
void mi_session_begin(const mi_session *session);

/* Whether the kernel sent this to everybody in the job. */
bool mi_session_shared(const mi_session *session, const siginfo_t *signal);

/* The program was stopped by `number`: where it was the terminal's doing, stops too, for the shell to see. */
void mi_session_follow_stop(const mi_session *session, int number);

#endif
