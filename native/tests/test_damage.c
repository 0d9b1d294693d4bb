/* The fear: wrong bytes, shown as right. Whatever one byte or one missing end of one file of the pool does:
 * every checkpoint is shown as it was, or verification, opening or restoring names it as damaged; and a
 * checkpoint that does not stand on what is damaged can still be had.
 *
 * Usage: test_damage [TRIES]: places a file; by default 10. */
#include "check.h"
#include "format.h"
#include "scratch.h"

#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PAGES 16u
#define COUNT 4u

static uint32_t seed = 5;
static int tries = 10;

static uint32_t random_below(uint32_t limit) {
    seed = seed * 1664525u + 1013904223u;
    return (seed >> 8) % limit;
}

static uint64_t value_of(uint64_t epoch, uint64_t page) {
    while (epoch > 0 && (page + epoch) % 3 == 0) epoch--; /* not each checkpoint writes each page */
    return epoch ? epoch * 100 + page : 0;
}

static void make_pool(const char *pool) {
    mm_region *region = open_region(pool, MM_MODE_MUST_CREATE, MM_EPOCH_HEAD);
    for (uint64_t epoch = 1; epoch <= COUNT; epoch++) {
        for (uint64_t page = 0; page < PAGES; page++)
            if ((page + epoch) % 3) stamp(region, page, epoch * 100 + page);
        CHECK(take_checkpoint(region, NULL) == epoch);
    }
    shut_region(region);
}

static int shows(const mm_region *region, uint64_t epoch) {
    for (uint64_t page = 0; page < PAGES; page++)
        if (!is_stamped(region, page, value_of(epoch, page))) return 0;
    return 1;
}

/* ---- files ------------------------------------------------------------------------------ */

typedef struct file {
    char name[64];
    uint8_t *bytes;
    long size;
} file;

static file files[32];
static size_t file_count;

static void read_file(const char *pool, const char *name) {
    file *file = &files[file_count];
    struct stat stat;
    snprintf(file->name, sizeof file->name, "%s", name);
    int fd = open(scratch_file(pool, name), O_RDONLY | O_CLOEXEC);
    CHECK(fd >= 0 && fstat(fd, &stat) == 0);
    if (S_ISREG(stat.st_mode) && stat.st_size > 0) {
        file->size = (long)stat.st_size;
        file->bytes = malloc((size_t)stat.st_size);
        CHECK(file->bytes && read(fd, file->bytes, (size_t)stat.st_size) == stat.st_size);
        file_count++;
    }
    close(fd);
}

static void read_files(const char *pool) {
    DIR *folder = opendir(scratch_file(pool, "."));
    CHECK(folder != NULL);
    for (struct dirent *entry; (entry = readdir(folder));)
        if (entry->d_name[0] != '.' && strcmp(entry->d_name, "pins") != 0) read_file(pool, entry->d_name);
    closedir(folder);
    read_file(pool, "../../mmsnap.pool");
}

static void write_files(const char *pool) {
    DIR *folder = opendir(scratch_file(pool, "."));
    CHECK(folder != NULL);
    for (struct dirent *entry; (entry = readdir(folder));)
        if (entry->d_type == DT_REG) unlink(scratch_file(pool, entry->d_name));
    closedir(folder);
    for (size_t i = 0; i < file_count; i++) {
        int fd = open(scratch_file(pool, files[i].name), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
        CHECK(fd >= 0 && write(fd, files[i].bytes, (size_t)files[i].size) == files[i].size);
        close(fd);
    }
}

static void forget_files(void) {
    while (file_count > 0) free(files[--file_count].bytes);
}

/* ---- judgement --------------------------------------------------------------------------- */

static int may_be_missing; /* then the system's own "No such file" with the file's name is honest too */

static int is_honest(int status) {
    return status == MM_E_CORRUPT || status == MM_E_VERSION || (may_be_missing && status == MM_E_SYSTEM);
}

/* 1: as it was, 0: named as damaged. Anything else ends the test. */
static int judge(const char *pool, uint64_t epoch, const char *what) {
    mm_region *reader;
    int status = try_open(pool, MM_MODE_READ_ONLY, epoch, &reader);
    if (status != MM_OK) {
        if (!is_honest(status)) fprintf(stderr, "%s, reading @%d: %d\n", what, (int)epoch, status);
        CHECK(is_honest(status));
        return 0;
    }
    int verified = mm_region_verify(reader, epoch);
    int right = shows(reader, epoch);
    if (!right && verified == MM_OK) fprintf(stderr, "%s, @%d is wrong and not told\n", what, (int)epoch);
    CHECK(right || is_honest(verified));
    shut_region(reader);
    return verified == MM_OK;
}

/* The owner gets the head, or an honest error; then any whole checkpoint can be made the head and gone on
 * from. */
static void judge_owner(const char *pool, const int *whole, const char *what) {
    mm_region *owner;
    int status = try_open(pool, MM_MODE_MUST_EXIST, MM_EPOCH_HEAD, &owner);
    if (status == MM_OK) {
        int verified = mm_region_verify(owner, COUNT);
        CHECK(shows(owner, COUNT) || is_honest(verified));
        shut_region(owner);
        return;
    }
    if (!is_honest(status)) fprintf(stderr, "%s: %d\n", what, status);
    CHECK(is_honest(status));
    for (uint64_t epoch = 1; epoch <= COUNT; epoch++) {
        if (!whole[epoch]) continue;
        status = try_open(pool, MM_MODE_MUST_EXIST, epoch, &owner);
        if (status != MM_OK)
            fprintf(stderr, "%s: whole checkpoint @%d can not be opened\n", what, (int)epoch);
        CHECK_OK(status);
        CHECK(shows(owner, epoch));
        stamp(owner, 0, 9999);
        take_checkpoint(owner, NULL);
        shut_region(owner);
        return;
    }
}

static void judge_all(const char *pool, const char *what) {
    int whole[COUNT + 1] = {0};
    for (uint64_t epoch = 1; epoch <= COUNT; epoch++) whole[epoch] = judge(pool, epoch, what);
    judge_owner(pool, whole, what);
}

static void test_one_byte_of_any_file(const char *pool) {
    for (size_t i = 0; i < file_count; i++)
        for (int round = 0; round < tries; round++) {
            char what[128];
            /* Small files, and the start of large ones, hold what is most easily misunderstood. */
            long limit = round % 2 && files[i].size > 9000 ? 9000 : files[i].size;
            long at = (long)random_below((uint32_t)limit);
            write_files(pool);
            flip_byte(scratch_file(pool, files[i].name), at);
            snprintf(what, sizeof what, "byte %ld of %s", at, files[i].name);
            judge_all(pool, what);
        }
}

static void test_any_file_cut_short(const char *pool) {
    for (size_t i = 0; i < file_count; i++)
        for (int round = 0; round < tries / 2; round++) {
            char what[128];
            long size = round ? (long)random_below((uint32_t)files[i].size) : 0;
            if (round % 3 == 1) size -= size % 4096;
            write_files(pool);
            cut_file(scratch_file(pool, files[i].name), size);
            snprintf(what, sizeof what, "%s cut to %ld", files[i].name, size);
            judge_all(pool, what);
        }
}

static void test_any_file_missing(const char *pool) {
    may_be_missing = 1;
    for (size_t i = 0; i < file_count; i++) {
        write_files(pool);
        CHECK(unlink(scratch_file(pool, files[i].name)) == 0);
        judge_all(pool, files[i].name);
    }
    may_be_missing = 0;
}

static void test_verify_names_file_and_checkpoint(const char *pool) {
    for (size_t i = 0; i < file_count; i++) {
        if (strncmp(files[i].name, "delta-", 6) != 0) continue;
        write_files(pool);
        flip_byte(scratch_file(pool, files[i].name), MM_DELTA_PAGES_OFFSET + 5);
        mm_region *owner = open_region(pool, MM_MODE_MUST_EXIST, MM_EPOCH_HEAD);
        if (mm_region_verify(owner, MM_EPOCH_HEAD) == MM_E_CORRUPT) {
            CHECK(strstr(mm_error_message(), files[i].name) != NULL);
            CHECK(strstr(mm_error_message(), "checkpoint ") != NULL);
        }
        shut_region(owner);
    }
    write_files(pool);
    flip_byte(scratch_file(pool, "base"), 4096 + 5);
    mm_region *owner = open_region(pool, MM_MODE_MUST_EXIST, MM_EPOCH_HEAD);
    CHECK_STATUS(mm_region_verify(owner, COUNT), MM_E_CORRUPT);
    CHECK(strstr(mm_error_message(), "base") != NULL && strstr(mm_error_message(), "page 1") != NULL);
    shut_region(owner);
}

static void test_a_newer_format_is_not_called_damage(const char *pool) {
    mm_region *region;
    for (int copies = 0; copies < 2; copies++) {
        static const char *const names[2][2] = {{"region", "region.copy"},
                                                {"../../mmsnap.pool", "../../mmsnap.pool.copy"}};
        write_files(pool);
        for (int copy = 0; copy < 2; copy++) {
            uint8_t header[4096];
            int fd = open(scratch_file(pool, names[copies][copy]), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
            ssize_t size = pread(fd, header, sizeof header, 0);
            if (size == 0 && copy == 1) { /* the other pool copy is not among the files */
                close(fd);
                continue;
            }
            CHECK(size > 16);
            header[8] += 1; /* the version, behind the magic number */
            uint32_t crc = mm_crc32c(0, header, (size_t)size - 4);
            memcpy(header + size - 4, &crc, 4);
            CHECK(pwrite(fd, header, (size_t)size, 0) == size);
            close(fd);
        }
        CHECK_STATUS(try_open(pool, MM_MODE_MUST_EXIST, MM_EPOCH_HEAD, &region), MM_E_VERSION);
        CHECK_STATUS(try_open(pool, MM_MODE_READ_ONLY, MM_EPOCH_HEAD, &region), MM_E_VERSION);
        CHECK_STATUS(try_open(pool, MM_MODE_OPEN_OR_CREATE, MM_EPOCH_HEAD, &region), MM_E_VERSION);
    }
}

int main(int count, char **arguments) {
    if (count > 1) tries = atoi(arguments[1]);
    const char *pool = scratch_pool();
    make_pool(pool);
    read_files(pool);
    test_one_byte_of_any_file(pool);
    test_any_file_cut_short(pool);
    test_any_file_missing(pool);
    test_verify_names_file_and_checkpoint(pool);
    test_a_newer_format_is_not_called_damage(pool);
    forget_files();
    return 0;
}
