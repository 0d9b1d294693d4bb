/* What a test says when it fails: the line, the condition, the core's own sentence. */
#ifndef MM_CHECK_H
#define MM_CHECK_H

#include "mmsnap.h"

#include <stdio.h>
#include <stdlib.h>

#define CHECK(condition)                                                                                     \
    do {                                                                                                     \
        if (!(condition)) {                                                                                  \
            fprintf(stderr, "%s:%d: not so: %s (last error: %s)\n", __FILE__, __LINE__, #condition,          \
                    mm_error_message());                                                                     \
            exit(1);                                                                                         \
        }                                                                                                    \
    } while (0)

#define CHECK_STATUS(call, expected)                                                                         \
    do {                                                                                                     \
        int status_ = (call);                                                                                \
        if (status_ != (expected)) {                                                                         \
            fprintf(stderr, "%s:%d: %s gave %d, not %d (last error: %s)\n", __FILE__, __LINE__, #call,       \
                    status_, (int)(expected), mm_error_message());                                           \
            exit(1);                                                                                         \
        }                                                                                                    \
    } while (0)

#define CHECK_OK(call) CHECK_STATUS(call, MM_OK)

#define COUNT_OF(array) (sizeof(array) / sizeof *(array))

#endif
