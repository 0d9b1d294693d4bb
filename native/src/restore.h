/* Restore of a region whose gate is held. */
#ifndef MM_RESTORE_H
#define MM_RESTORE_H

#include "region.h"

int mm_restore_held(mm_region *, uint64_t epoch);

#endif
