#include "install.h"

#include "complaint.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/auxv.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define CHUNK_BYTES (64u << 10)

static int told(const char *what) {
    int error = errno;
    mi_complain(what, error);
    return -error;
}

/* Without /proc, by the name that it was started with. */
static int open_self(void) {
    int self = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    if (self < 0) self = open((const char *)getauxval(AT_EXECFN), O_RDONLY | O_CLOEXEC);
    return self;
}

static int copy(int from, int to) {
    static char chunk[CHUNK_BYTES];
    for (;;) {
        ssize_t got = read(from, chunk, sizeof chunk);
        if (got <= 0) return (int)got;
        for (ssize_t done = 0; done < got;) {
            ssize_t written = write(to, chunk + done, (size_t)(got - done));
            if (written < 0) return -1;
            done += written;
        }
    }
}

int mi_install(const char *folder) {
    char target[PATH_MAX], fresh[PATH_MAX];
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    /* Several init containers may have the same process id, and the same folder. */
    int length =
        snprintf(fresh, sizeof fresh, "%s/.mmsnap-init.%ld.%09ld", folder, (long)getpid(), now.tv_nsec);
    snprintf(target, sizeof target, "%s/mmsnap-init", folder);
    if (length >= (int)sizeof fresh) {
        errno = ENAMETOOLONG;
        return told(folder);
    }
    int self = open_self();
    if (self < 0) return told("its own file");
    int copied = open(fresh, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0700);
    if (copied < 0) return told(folder);
    if (copy(self, copied) < 0 || fchmod(copied, 0755) < 0 || close(copied) < 0 ||
        rename(fresh, target) < 0) {
        int failed = told(target);
        unlink(fresh);
        return failed;
    }
    return 0;
}
