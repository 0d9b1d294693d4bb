/* Fault: a restore shows the older checkpoint and records nothing of it. */
#include "region.h"

#include <sys/mman.h>

static int is_head_alone(const mm_frame *frame) {
    const mm_entry_header *entry = (const mm_entry_header *)(frame->bytes + sizeof(mm_frame_header));
    return frame->entries == 1 && entry->kind == MM_ENTRY_HEAD;
}

int __real_mm_region_record(mm_region *, mm_frame *, int durable);
int __wrap_mm_region_record(mm_region *, mm_frame *, int durable);
int __wrap_mm_region_record(mm_region *region, mm_frame *frame, int durable) {
    if (!is_head_alone(frame)) return __real_mm_region_record(region, frame, durable);
    mm_journal kept = region->journal; /* known to this process, and to nobody after it */
    for (int i = 0; i < 2; i++) region->journal.fd[i] = memfd_create("dropped", MFD_CLOEXEC);
    int status = __real_mm_region_record(region, frame, durable);
    mm_journal_close(&region->journal);
    region->journal = kept;
    return status;
}
