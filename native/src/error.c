#include "error.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>

#define MESSAGE_BYTES 1024

static _Thread_local char message[MESSAGE_BYTES];

const char *mm_error_message(void) { return message; }

const char *mm_version(void) { return MMSNAP_VERSION; }

int mm_fail(int status, const char *format, ...) {
    char text[MESSAGE_BYTES]; /* the arguments may include the old message */
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    memcpy(message, text, sizeof text);
    return status;
}

int mm_fail_errno(const char *format, ...) {
    int error = errno;
    char text[MESSAGE_BYTES];
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    if (length < 0 || (size_t)length >= sizeof text) length = (int)sizeof text - 1;
    snprintf(text + length, sizeof text - (size_t)length, ": %s", strerror(error));
    memcpy(message, text, sizeof text);
    return error == ENOSPC || error == EDQUOT ? MM_E_FULL : MM_E_SYSTEM;
}
