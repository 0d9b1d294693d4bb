/* The regions this process has open: none owned twice, and none of them in a forked child. */
#ifndef MM_REGISTRY_H
#define MM_REGISTRY_H

#include "region.h"

int mm_registry_add(mm_region *); /* MM_E_IN_USE: this process has it open already */
void mm_registry_remove(mm_region *);

#endif
