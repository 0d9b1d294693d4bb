/* Fault: the journal has no second copy. */
#include "journal.h"

#include <unistd.h>

int __real_mm_journal_append(mm_journal *, mm_frame *, mm_history *, int durable);
int __wrap_mm_journal_append(mm_journal *, mm_frame *, mm_history *, int durable);
int __wrap_mm_journal_append(mm_journal *journal, mm_frame *frame, mm_history *history, int durable) {
    int status = __real_mm_journal_append(journal, frame, history, durable);
    if (status == MM_OK && ftruncate(journal->fd[1], 0) != 0) status = MM_E_SYSTEM;
    return status;
}
