#include "medium.h"

#include "error.h"

#include <linux/magic.h>
#include <sys/vfs.h>
#include <unistd.h>

static int nothing_to_persist(int fd) {
    (void)fd; /* memory file systems end with the machine; stores by a dead process are all there */
    return MM_OK;
}

static int persist_file(int fd) {
    return fdatasync(fd) == 0 ? MM_OK : mm_fail_errno("fdatasync of a pool file");
}

static int persist_folder(int fd) { return fsync(fd) == 0 ? MM_OK : mm_fail_errno("fsync of a pool folder"); }

static const mm_medium dram = {MM_MEDIUM_DRAM, "dram", 0, nothing_to_persist, nothing_to_persist};
static const mm_medium file = {MM_MEDIUM_FILE, "file", 1, persist_file, persist_folder};
static const mm_medium file_in_memory = {MM_MEDIUM_FILE, "file", 0, nothing_to_persist, nothing_to_persist};

int mm_medium_choose(int folder_fd, const char *path, mm_medium_kind wanted, const mm_medium **out) {
    struct statfs fs;
    if (fstatfs(folder_fd, &fs) != 0) return mm_fail_errno("statfs of pool %s", path);
    int in_memory = fs.f_type == TMPFS_MAGIC || fs.f_type == RAMFS_MAGIC;
    if (wanted == MM_MEDIUM_DRAM && !in_memory)
        return mm_fail(MM_E_UNSUPPORTED,
                       "pool %s is not on a memory file system, so it can not be of medium dram", path);
    if (wanted == MM_MEDIUM_FILE)
        *out = in_memory ? &file_in_memory : &file;
    else
        *out = in_memory ? &dram : &file;
    return MM_OK;
}
