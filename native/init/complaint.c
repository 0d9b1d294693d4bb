#include "complaint.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

void mi_complain(const char *what, int error) {
    const char *reason = error ? strerror(error) : "";
    dprintf(STDERR_FILENO, "mmsnap-init: %s%s%s\n", what, error ? ": " : "", reason);
}
