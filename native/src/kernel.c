#include "kernel.h"

#include "crc32c.h"
#include "error.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define REQUIRED (UFFD_FEATURE_WP_ASYNC | UFFD_FEATURE_WP_UNPOPULATED | UFFD_FEATURE_WP_HUGETLBFS_SHMEM)
#define PROBE_PAGES 8

#define UFFD_FLAGS (O_CLOEXEC | O_NONBLOCK | UFFD_USER_MODE_ONLY)
#define UFFD_DEVICE "/dev/userfaultfd"

/* User mode only: all that is needed, and allowed to everybody. Filters of containers may forbid the call all
 * the same; then the device does, where the container was given it. */
static int make_userfaultfd(void) {
    int fd = (int)syscall(SYS_userfaultfd, UFFD_FLAGS);
    if (fd >= 0 || (errno != EPERM && errno != ENOSYS)) return fd >= 0 ? fd : -errno;
    int error = errno, device = open(UFFD_DEVICE, O_RDWR | O_CLOEXEC);
    if (device < 0) return -error;
    fd = ioctl(device, USERFAULTFD_IOC_NEW, UFFD_FLAGS);
    if (fd < 0) error = errno;
    close(device);
    return fd >= 0 ? fd : -error;
}

static int open_userfaultfd(uint64_t features) {
    int fd = make_userfaultfd();
    if (fd < 0) return fd;
    struct uffdio_api api = {.api = UFFD_API, .features = features};
    if (ioctl(fd, UFFDIO_API, &api) == 0) return fd;
    int error = errno;
    close(fd);
    return -error;
}

int mm_kernel_userfaultfd(void) {
    mm_features features;
    int status = mm_probe(&features);
    if (status != MM_OK) return status;
    int fd = open_userfaultfd(REQUIRED | (features.event_remap ? UFFD_FEATURE_EVENT_REMAP : 0));
    return fd >= 0 ? fd : mm_fail(MM_E_UNSUPPORTED, "userfaultfd can not be opened: %s", strerror(-fd));
}

/* Writes pages 2 and 5 of a private mapping: exactly these must be reported, once. */
static int tracks_exactly(int uffd, int pagemap_fd, uint8_t *memory) {
    size_t size = PROBE_PAGES * MM_PAGE_SIZE;
    struct uffdio_register range = {.range = {(uintptr_t)memory, size}, .mode = UFFDIO_REGISTER_MODE_WP};
    if (ioctl(uffd, UFFDIO_REGISTER, &range) != 0) return 0;
    struct page_region runs[PROBE_PAGES];
    memset(runs, 0, sizeof runs);
    struct pm_scan_arg arg = {.size = sizeof arg,
                              .flags = PM_SCAN_WP_MATCHING | PM_SCAN_CHECK_WPASYNC,
                              .start = (uintptr_t)memory,
                              .end = (uintptr_t)memory + size,
                              .vec = (uintptr_t)runs,
                              .vec_len = PROBE_PAGES,
                              .category_mask = PAGE_IS_WRITTEN,
                              .return_mask = PAGE_IS_WRITTEN};
    if (ioctl(pagemap_fd, PAGEMAP_SCAN, &arg) < 0) return 0;
    memory[2 * MM_PAGE_SIZE] = 1;
    memory[5 * MM_PAGE_SIZE] = 1;
    if (ioctl(pagemap_fd, PAGEMAP_SCAN, &arg) != 2) return 0;
    int exact = runs[0].start == (uintptr_t)memory + 2 * MM_PAGE_SIZE &&
                runs[0].end == runs[0].start + MM_PAGE_SIZE &&
                runs[1].start == (uintptr_t)memory + 5 * MM_PAGE_SIZE &&
                runs[1].end == runs[1].start + MM_PAGE_SIZE;
    return exact && ioctl(pagemap_fd, PAGEMAP_SCAN, &arg) == 0;
}

static int probe_scan(int uffd) {
    int works = 0;
    int file = memfd_create("mmsnap-probe", MFD_CLOEXEC);
    int pagemap_fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
    if (file >= 0 && pagemap_fd >= 0 && ftruncate(file, PROBE_PAGES * MM_PAGE_SIZE) == 0) {
        void *memory = mmap(NULL, PROBE_PAGES * MM_PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE, file, 0);
        if (memory != MAP_FAILED) {
            works = tracks_exactly(uffd, pagemap_fd, memory);
            munmap(memory, PROBE_PAGES * MM_PAGE_SIZE);
        }
    }
    if (file >= 0) close(file);
    if (pagemap_fd >= 0) close(pagemap_fd);
    return works;
}

int mm_probe(mm_features *out) {
    /* MMSNAP_SIMULATE_KERNEL lets tests see what users of older kernels see. */
    const char *simulated = getenv("MMSNAP_SIMULATE_KERNEL");
    *out = (mm_features){.crc32c_hardware = mm_crc32c_is_hardware()};
    int uffd = simulated && strcmp(simulated, "no-userfaultfd") == 0 ? -EPERM : open_userfaultfd(REQUIRED);
    if (simulated && strcmp(simulated, "no-wp-async") == 0 && uffd >= 0) {
        close(uffd);
        uffd = -EINVAL;
    }
    if (uffd == -EINVAL)
        return mm_fail(MM_E_UNSUPPORTED,
                       "this kernel has no asynchronous write-protection (needs Linux 6.7)");
    if (uffd < 0) {
        out->userfaultfd = -uffd;
        return mm_fail(MM_E_UNSUPPORTED, "userfaultfd is not allowed here: %s", strerror(-uffd));
    }
    out->wp_async = 1;
    out->pagemap_scan = probe_scan(uffd) && !(simulated && strcmp(simulated, "no-pagemap-scan") == 0);
    close(uffd);
    int with_remap = open_userfaultfd(REQUIRED | UFFD_FEATURE_EVENT_REMAP);
    out->event_remap = with_remap >= 0;
    if (with_remap >= 0) close(with_remap);
    if (!out->pagemap_scan)
        return mm_fail(MM_E_UNSUPPORTED,
                       "PAGEMAP_SCAN does not report writes exactly here (needs Linux 6.7)");
    return MM_OK;
}
