#include "descriptor.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

int mi_descriptor_move_up(int fd) {
    if (fd < 0) return fd;
    int moved = fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1), error = errno;
    close(fd);
    errno = error;
    return moved;
}
