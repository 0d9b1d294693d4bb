#include "lock.h"

#include "error.h"

#include <errno.h>
#include <fcntl.h>

int mm_lock_open(int folder_fd, const char *name) {
    int fd = openat(folder_fd, name, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    return fd >= 0 ? fd : mm_fail_errno("opening lock file %s", name);
}

static int ask(int fd, int command, struct flock *lock) {
    int result;
    do result = fcntl(fd, command, lock);
    while (result != 0 && errno == EINTR);
    return result;
}

int mm_lock_own(int fd) {
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    if (ask(fd, F_SETLK, &lock) == 0) return MM_OK;
    if (errno != EACCES && errno != EAGAIN) return mm_fail_errno("locking a region");
    if (ask(fd, F_GETLK, &lock) != 0 || lock.l_type == F_UNLCK) lock.l_pid = 0;
    return mm_fail(MM_E_IN_USE, "in use by process %d", (int)lock.l_pid);
}

int mm_lock_take(int fd, int exclusive, int wait) {
    struct flock lock = {.l_type = exclusive ? F_WRLCK : F_RDLCK, .l_whence = SEEK_SET};
    if (ask(fd, wait ? F_OFD_SETLKW : F_OFD_SETLK, &lock) == 0) return MM_OK;
    if (errno == EACCES || errno == EAGAIN) return mm_fail(MM_E_AGAIN, "locked by another process");
    return mm_fail_errno("locking a pool file");
}

int mm_lock_drop(int fd) {
    struct flock lock = {.l_type = F_UNLCK, .l_whence = SEEK_SET};
    return ask(fd, F_OFD_SETLK, &lock) == 0 ? MM_OK : mm_fail_errno("unlocking a pool file");
}

int mm_lock_is_held(int fd) {
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    return ask(fd, F_OFD_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
}
