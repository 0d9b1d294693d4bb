#include "registry.h"

#include "error.h"

#include <pthread.h>
#include <sys/stat.h>
#include <unistd.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static mm_region *regions;

static void before_fork(void) { pthread_mutex_lock(&lock); }

static void after_fork_in_parent(void) { pthread_mutex_unlock(&lock); }

/* The child has the bytes as they were, privately, and nothing else: no tracking, no lock, no thread. */
static void after_fork_in_child(void) {
    for (mm_region *region = regions; region; region = region->next) {
        region->forked = 1;
        region->gate.forked = 1;
        /* The connection too: its end tells the service that the owner died. */
        int fds[] = {region->lock_fd, region->apply_fd, region->member_fd};
        for (size_t i = 0; i < sizeof fds / sizeof *fds; i++)
            if (fds[i] >= 0) close(fds[i]);
        region->lock_fd = region->apply_fd = region->member_fd = -1;
        if (!region->read_only) mm_tracker_forked(&region->tracker);
    }
    regions = NULL;
    pthread_mutex_init(&lock, NULL);
}

__attribute__((constructor)) static void watch_forks(void) {
    pthread_atfork(before_fork, after_fork_in_parent, after_fork_in_child);
}

static int is_same_folder(const mm_region *one, const mm_region *other) {
    struct stat a, b;
    if (fstat(one->folder_fd, &a) != 0 || fstat(other->folder_fd, &b) != 0) return 0;
    return a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

int mm_registry_add(mm_region *region) {
    pthread_mutex_lock(&lock);
    int status = MM_OK;
    for (mm_region *other = regions; other && !region->read_only; other = other->next)
        if (!other->read_only && is_same_folder(region, other))
            status = mm_fail(MM_E_IN_USE, "region %s is in use by process %d", region->name, (int)getpid());
    if (status == MM_OK) {
        region->next = regions;
        regions = region;
    }
    pthread_mutex_unlock(&lock);
    return status;
}

void mm_registry_remove(mm_region *region) {
    pthread_mutex_lock(&lock);
    for (mm_region **at = &regions; *at; at = &(*at)->next)
        if (*at == region) {
            *at = region->next;
            break;
        }
    pthread_mutex_unlock(&lock);
}
