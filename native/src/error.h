/* Failures: a status to branch on, a sentence for the person, per thread. */
#ifndef MM_ERROR_H
#define MM_ERROR_H

#include "mmsnap.h"

#include <stdio.h>
#include <stdlib.h>

/* Both return `status`, so that a failure is one statement: return mm_fail(...). */
int mm_fail(int status, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Appends the text of errno; no room on the medium becomes MM_E_FULL. */
int mm_fail_errno(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Invariants stay on in production: a checkpoint that is wrong is worse than none. */
#define MM_ASSERT(condition)                                                                                 \
    do {                                                                                                     \
        if (!(condition)) {                                                                                  \
            fprintf(stderr, "mmsnap: %s:%d: invariant broken: %s\n", __FILE__, __LINE__, #condition);        \
            abort();                                                                                         \
        }                                                                                                    \
    } while (0)

#endif
