/* A process that takes its own checkpoints: the phases one after the other, its own journal the judge. */
#include "checkpoint.h"
#include "error.h"
#include "thread.h"

#include <string.h>

#define ATTEMPTS 3 /* a log that was outgrown during the cut is given more room */

static int run_phases(mm_region *region, mm_checkpoint *checkpoint) {
    int status = mm_checkpoint_begin(region, checkpoint);
    if (status != MM_OK) return status;
    status = mm_checkpoint_precopy(region, checkpoint);
    /* A thread that waits for this processor would see the time until now and the pause as one gap. */
    mm_thread_step_aside();
    if (status == MM_OK) status = mm_checkpoint_hold(region, checkpoint);
    if (status == MM_OK) status = mm_checkpoint_cut(region, checkpoint);
    if (status == MM_OK) {
        mm_checkpoint_release(region, checkpoint);
        mm_thread_step_aside(); /* who waited at the gate goes first */
    }
    if (status == MM_OK) status = mm_checkpoint_commit(region, checkpoint);
    if (status == MM_OK) return MM_OK;
    char why[512];
    snprintf(why, sizeof why, "%s", mm_error_message());
    mm_checkpoint_abort(region, checkpoint);
    return mm_fail(status, "%s", why);
}

static int check_request(const mm_region *region, const mm_checkpoint_request *request) {
    if (request->meta_size > MM_META_MAX)
        return mm_fail(MM_E_INVALID, "labels and other details of a checkpoint have at most %d bytes, not %u",
                       MM_META_MAX, request->meta_size);
    if (request->name && strlen(request->name) >= MM_NAME_MAX)
        return mm_fail(MM_E_INVALID, "a checkpoint's name has at most %d characters", MM_NAME_MAX - 1);
    if (request->durable && !region->medium->durable)
        return mm_fail(MM_E_UNSUPPORTED, "medium %s of this pool does not survive a restart of the machine",
                       region->medium->name);
    return MM_OK;
}

static int take(mm_region *region, const mm_checkpoint_request *request, mm_checkpoint_info *out) {
    mm_checkpoint checkpoint;
    int status = check_request(region, request);
    int was_partial = region->partial;
    if (request->accept_partial) region->partial = 0;
    for (int attempt = 0; status == MM_OK && attempt < ATTEMPTS; attempt++) {
        memset(&checkpoint, 0, sizeof checkpoint);
        checkpoint.hold_timeout_ns = request->quiesce_timeout_ns;
        checkpoint.max_pause_ns = request->max_pause_ns;
        checkpoint.info.epoch = region->history.highest_epoch + 1;
        checkpoint.info.flags = request->flags & MM_CHECKPOINT_AUTOMATIC;
        if (request->durable) checkpoint.info.flags |= MM_CHECKPOINT_DURABLE;
        checkpoint.info.meta_size = request->meta_size;
        if (request->meta_size) memcpy(checkpoint.info.meta, request->meta, request->meta_size);
        mm_checkpoint_name(&checkpoint, request->name);
        status = run_phases(region, &checkpoint);
        if (status != MM_E_AGAIN) break;
        status = attempt + 1 < ATTEMPTS ? MM_OK : status;
    }
    if (status == MM_OK)
        *out = checkpoint.info;
    else
        region->partial = was_partial;
    return status;
}

int mm_region_checkpoint(mm_region *region, const mm_checkpoint_request *request, mm_checkpoint_info *out) {
    int status = mm_region_begin(region, 1);
    if (status != MM_OK) return status;
    status = take(region, request, out);
    mm_region_end(region);
    return status;
}
