#include "pool.h"

#include "error.h"
#include "file.h"
#include "header.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define REGION_NAME_MAX 128
#define DEFAULT_SIZE_MAX (16ull << 30) /* address space, not memory */
#define SIZE_GRAIN (2ull << 20)        /* page tables move whole at this grain */
#define SIZE_LIMIT (8ull << 40)        /* page numbers have 32 bits */

int mm_pool_check_name(const char *name) {
    size_t length = strlen(name);
    if (length == 0 || length > REGION_NAME_MAX || name[0] == '.')
        return mm_fail(MM_E_INVALID, "a region name has 1 to %d characters and no leading dot",
                       REGION_NAME_MAX);
    if (strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-") != length)
        return mm_fail(MM_E_INVALID, "region name %s: only letters, digits, '.', '_' and '-'", name);
    return MM_OK;
}

static void read_boot_id(char boot_id[40]) {
    memset(boot_id, 0, 40);
    int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
    if (fd < 0) return; /* a container may hide it; then the pool knows no boot */
    ssize_t got = read(fd, boot_id, 36);
    if (got != 36) memset(boot_id, 0, 40);
    close(fd);
}

static int open_header(int pool_fd, const char *pool, int create) {
    mm_pool_header header;
    int status = mm_header_read(pool_fd, "mmsnap.pool", create, &header, sizeof header);
    if (status == MM_E_NOT_FOUND && create) {
        header =
            (mm_pool_header){.magic = MM_POOL_MAGIC, .version = MM_FORMAT_VERSION, .page_size = MM_PAGE_SIZE};
        mm_random_id(header.id);
        read_boot_id(header.boot_id);
        return mm_header_write(pool_fd, "mmsnap.pool", &header, sizeof header);
    }
    if (status == MM_E_NOT_FOUND)
        return mm_fail(MM_E_NOT_FOUND, "%s is not a pool: it has no mmsnap.pool", pool);
    if (status == MM_OK && header.magic != MM_POOL_MAGIC)
        status = mm_fail(MM_E_CORRUPT, "%s/mmsnap.pool is no pool's header", pool);
    if (status == MM_OK && header.version != MM_FORMAT_VERSION)
        status = mm_fail(MM_E_VERSION, "pool %s has format version %u; this version reads %u", pool,
                         header.version, MM_FORMAT_VERSION);
    return status;
}

/* mkdir -p of one path; the last folder is private to its owner. */
static int make_folders(const char *path) {
    char partial[4096];
    if (strlen(path) >= sizeof partial) return mm_fail(MM_E_INVALID, "the pool's path is too long");
    for (const char *at = path; (at = strchr(at + 1, '/'));) {
        snprintf(partial, sizeof partial, "%.*s", (int)(at - path), path);
        if (mkdir(partial, 0755) != 0 && errno != EEXIST) return mm_fail_errno("making folder %s", partial);
    }
    if (mkdir(path, 0700) != 0 && errno != EEXIST) return mm_fail_errno("making pool %s", path);
    return MM_OK;
}

static int open_folder(int parent_fd, const char *name, int create, const char *what) {
    if (create && mkdirat(parent_fd, name, 0700) != 0 && errno != EEXIST)
        return mm_fail_errno("making %s", what);
    int fd = openat(parent_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0) return fd;
    return errno == ENOENT ? mm_fail(MM_E_NOT_FOUND, "%s does not exist", what)
                           : mm_fail_errno("opening %s", what);
}

int mm_pool_make(const char *pool) {
    int status = make_folders(pool);
    if (status != MM_OK) return status;
    int pool_fd = open_folder(AT_FDCWD, pool, 0, pool);
    if (pool_fd < 0) return pool_fd;
    status = open_header(pool_fd, pool, 1);
    close(pool_fd);
    return status;
}

int mm_pool_region_folder(const char *pool, const char *name, int create, int *folder_fd) {
    int status = mm_pool_check_name(name);
    if (status == MM_OK && create) status = make_folders(pool);
    if (status != MM_OK) return status;
    int pool_fd = open_folder(AT_FDCWD, pool, 0, pool);
    if (pool_fd < 0) return pool_fd;
    status = open_header(pool_fd, pool, create);
    int regions_fd = status == MM_OK ? open_folder(pool_fd, "regions", create, "the pool's regions") : status;
    int region_fd = regions_fd >= 0 ? open_folder(regions_fd, name, create, name) : regions_fd;
    close(pool_fd);
    if (regions_fd >= 0) close(regions_fd);
    if (region_fd < 0) return region_fd;
    *folder_fd = region_fd;
    return MM_OK;
}

static uint64_t round_size(uint64_t size) { return (size + SIZE_GRAIN - 1) / SIZE_GRAIN * SIZE_GRAIN; }

static int read_region_header(int folder_fd, int writable, mm_region_header *out) {
    int status = mm_header_read(folder_fd, "region", writable, out, sizeof *out);
    if (status != MM_OK) return status;
    if (out->magic != MM_REGION_MAGIC || out->size_max_bytes > SIZE_LIMIT ||
        out->size_max_bytes % SIZE_GRAIN != 0)
        return mm_fail(MM_E_CORRUPT, "file region is no region's header");
    if (out->version != MM_FORMAT_VERSION || out->page_size != MM_PAGE_SIZE)
        return mm_fail(MM_E_VERSION,
                       "the region has format version %u and pages of %u bytes; this version reads %u",
                       out->version, out->page_size, MM_FORMAT_VERSION);
    return MM_OK;
}

int mm_pool_region_header(int folder_fd, mm_mode mode, uint64_t size_max, mm_region_header *out,
                          int *created) {
    if (size_max > SIZE_LIMIT)
        return mm_fail(MM_E_INVALID, "a region has at most %llu bytes", (unsigned long long)SIZE_LIMIT);
    *created = 0;
    int status = read_region_header(folder_fd, mode != MM_MODE_READ_ONLY, out);
    if (status == MM_OK) {
        if (mode == MM_MODE_MUST_CREATE) return mm_fail(MM_E_EXISTS, "the region exists already");
        if (mode == MM_MODE_READ_ONLY || round_size(size_max) <= out->size_max_bytes) return MM_OK;
        out->size_max_bytes = round_size(size_max);
        return mm_header_write(folder_fd, "region", out, sizeof *out);
    }
    if (status != MM_E_NOT_FOUND) return status;
    if (mode == MM_MODE_MUST_EXIST || mode == MM_MODE_READ_ONLY)
        return mm_fail(MM_E_NOT_FOUND, "the region does not exist");
    *out = (mm_region_header){.magic = MM_REGION_MAGIC,
                              .version = MM_FORMAT_VERSION,
                              .page_size = MM_PAGE_SIZE,
                              .size_max_bytes = round_size(size_max ? size_max : DEFAULT_SIZE_MAX)};
    mm_random_id(out->id);
    *created = 1;
    return mm_header_write(folder_fd, "region", out, sizeof *out);
}
