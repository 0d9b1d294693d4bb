/* Fault, hazard 1: an aborted checkpoint forgets the pages that its scans collected. */
#include "checkpoint.h"

void __real_mm_checkpoint_abort(mm_region *, mm_checkpoint *);
void __wrap_mm_checkpoint_abort(mm_region *, mm_checkpoint *);
void __wrap_mm_checkpoint_abort(mm_region *region, mm_checkpoint *checkpoint) {
    __real_mm_checkpoint_abort(region, checkpoint);
    mm_pages_clear(&region->pending);
}
