#include "scratch.h"

#include "check.h"
#include "delta.h"

#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FOLDERS_MAX 4096

static char folders[FOLDERS_MAX][64];
static int folder_count;
static pid_t maker;

static int remove_entry(const char *path, const struct stat *stat, int kind, struct FTW *walk) {
    (void)stat, (void)kind, (void)walk;
    return remove(path);
}

void scratch_remove(const char *folder) { nftw(folder, remove_entry, 16, FTW_DEPTH | FTW_PHYS); }

static void remove_all(void) {
    if (getpid() != maker) return; /* a forked child that exits */
    for (int i = 0; i < folder_count; i++) scratch_remove(folders[i]);
}

const char *scratch_pool(void) {
    if (folder_count == 0) {
        maker = getpid();
        atexit(remove_all);
    }
    CHECK(folder_count < FOLDERS_MAX);
    char *folder = folders[folder_count++];
    strcpy(folder, access("/dev/shm", W_OK) == 0 ? "/dev/shm/mmsnap-test-XXXXXX" : "/tmp/mmsnap-test-XXXXXX");
    CHECK(mkdtemp(folder) != NULL);
    return folder;
}

const char *scratch_file(const char *pool, const char *name) {
    static char path[256];
    snprintf(path, sizeof path, "%s/regions/r/%s", pool, name);
    return path;
}

int try_open(const char *pool, mm_mode mode, uint64_t head, mm_region **out) {
    mm_open_options options = {.mode = mode, .size_max_bytes = REGION_BYTES, .head_epoch = head};
    int status = mm_region_open(pool, "r", &options, out);
    if (status == MM_OK && mode != MM_MODE_READ_ONLY) status = mm_region_grow(*out, REGION_BYTES);
    return status;
}

mm_region *open_region(const char *pool, mm_mode mode, uint64_t head) {
    mm_region *region;
    CHECK_OK(try_open(pool, mode, head, &region));
    return region;
}

void shut_region(mm_region *region) {
    CHECK_OK(mm_region_close(region));
    mm_region_unref(region);
}

static uint64_t word_of(uint64_t value, uint64_t at) {
    uint64_t mixed = (value + at) * 0x9e3779b97f4a7c15u;
    return value ? mixed ^ mixed >> 31 : 0;
}

void stamp(mm_region *region, uint64_t page, uint64_t value) {
    uint64_t *words = (uint64_t *)((uint8_t *)mm_region_address(region) + page * 4096);
    for (uint64_t at = 0; at < 512; at++) words[at] = word_of(value, at);
}

int is_stamped(const mm_region *region, uint64_t page, uint64_t value) {
    const uint64_t *words = (const uint64_t *)((const uint8_t *)mm_region_address(region) + page * 4096);
    for (uint64_t at = 0; at < 512; at++)
        if (words[at] != word_of(value, at)) return 0;
    return 1;
}

int try_checkpoint(mm_region *region, const char *name) {
    mm_checkpoint_request request = {.name = name};
    mm_checkpoint_info info;
    return mm_region_checkpoint(region, &request, &info);
}

uint64_t take_checkpoint(mm_region *region, const char *name) {
    mm_checkpoint_request request = {.name = name};
    mm_checkpoint_info info;
    CHECK_OK(mm_region_checkpoint(region, &request, &info));
    return info.epoch;
}

void flip_byte(const char *path, long offset) {
    uint8_t byte;
    int fd = open(path, O_RDWR | O_CLOEXEC);
    CHECK(fd >= 0 && pread(fd, &byte, 1, offset) == 1);
    byte ^= 0x40;
    CHECK(pwrite(fd, &byte, 1, offset) == 1);
    close(fd);
}

void cut_file(const char *path, long size) { CHECK(truncate(path, size) == 0); }

long file_size(const char *path) {
    struct stat status;
    return stat(path, &status) == 0 ? (long)status.st_size : -1;
}

static int is_sealed(const char *path, uint64_t epoch) {
    mm_delta_header header;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    CHECK(fd >= 0);
    ssize_t got = pread(fd, &header, sizeof header, 0);
    close(fd);
    return got == (ssize_t)sizeof header && header.magic == MM_DELTA_MAGIC && header.info.epoch == epoch;
}

const char *sealed_delta(const char *pool, uint64_t epoch) {
    static char name[32], found[32];
    DIR *folder = opendir(scratch_file(pool, "."));
    CHECK(folder != NULL);
    found[0] = '\0';
    for (struct dirent *entry; (entry = readdir(folder));) {
        if (strncmp(entry->d_name, "delta-", 6) != 0) continue;
        snprintf(name, sizeof name, "%.31s", entry->d_name);
        if (is_sealed(scratch_file(pool, name), epoch) && strcmp(name, found) > 0) strcpy(found, name);
    }
    closedir(folder);
    return found[0] ? found : NULL;
}
