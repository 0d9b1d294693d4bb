/* Fault: no page's checksum is ever compared. */
#include "base.h"
#include "delta.h"

int __wrap_mm_delta_check(const mm_delta *);
int __wrap_mm_delta_check(const mm_delta *delta) {
    (void)delta;
    return MM_OK;
}

int __wrap_mm_base_page_is_good(const mm_base *, uint64_t page, const void *bytes);
int __wrap_mm_base_page_is_good(const mm_base *base, uint64_t page, const void *bytes) {
    (void)base, (void)page, (void)bytes;
    return 1;
}
