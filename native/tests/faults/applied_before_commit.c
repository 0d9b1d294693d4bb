/* Fault: the base is rewritten first, and the commit recorded afterwards. */
#include "checkpoint.h"

#include <string.h>

int __real_mm_checkpoint_commit(mm_region *, mm_checkpoint *);
int __wrap_mm_checkpoint_commit(mm_region *, mm_checkpoint *);
int __wrap_mm_checkpoint_commit(mm_region *region, mm_checkpoint *checkpoint) {
    for (uint64_t slot = 0; slot < region->log.count; slot++) {
        uint32_t page = region->log.index[slot].page;
        memcpy(region->base.pages + page * (uint64_t)MM_PAGE_SIZE, mm_delta_page(&region->log, slot),
               MM_PAGE_SIZE);
        region->base.sums[page] = region->log.index[slot].crc;
    }
    return __real_mm_checkpoint_commit(region, checkpoint);
}
