#include "pin.h"

#include "error.h"
#include "file.h"
#include "lock.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PINS_FOLDER "pins"

int mm_pin_take(int folder_fd, mm_pin *out) {
    uint8_t id[16];
    uint64_t number;
    *out = MM_PIN_NONE;
    if (mkdirat(folder_fd, PINS_FOLDER, 0700) != 0 && errno != EEXIST) return mm_fail_errno("making pins/");
    mm_random_id(id);
    memcpy(&number, id, sizeof number);
    snprintf(out->name, sizeof out->name, PINS_FOLDER "/%d-%" PRIx64, (int)getpid(), number);
    int fd = mm_lock_open(folder_fd, out->name);
    if (fd < 0) return fd;
    int status = mm_lock_take(fd, 1, 0);
    if (status == MM_OK)
        out->fd = fd;
    else
        close(fd);
    return status;
}

void mm_pin_drop(int folder_fd, mm_pin *pin) {
    if (pin->fd < 0) return;
    unlinkat(folder_fd, pin->name, 0);
    close(pin->fd);
    *pin = MM_PIN_NONE;
}

static pid_t holder_of(int pins_fd, const char *name) {
    int fd = openat(pins_fd, name, O_RDWR | O_CLOEXEC);
    if (fd < 0) return 0;
    int held = mm_lock_is_held(fd);
    if (!held) unlinkat(pins_fd, name, 0);
    close(fd);
    return held ? (pid_t)strtol(name, NULL, 10) : 0;
}

pid_t mm_pin_holder(int folder_fd) {
    int pins_fd = openat(folder_fd, PINS_FOLDER, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *pins = pins_fd >= 0 ? fdopendir(pins_fd) : NULL;
    if (!pins) {
        if (pins_fd >= 0) close(pins_fd);
        return 0;
    }
    pid_t holder = 0;
    for (struct dirent *entry; !holder && (entry = readdir(pins));)
        if (entry->d_name[0] != '.') holder = holder_of(dirfd(pins), entry->d_name);
    closedir(pins);
    return holder;
}
