/*
 * What a member does with the orders of its service. The rules that keep a group's checkpoint whole:
 *   - an epoch not above the highest one seen is refused;
 *   - a member that is held thaws when its lease ends; it breaks its seal first, and answers VOID from then
 * on;
 *   - SEALED says "I was held until RESUME came, and my log is complete";
 *   - what is sealed and not decided stays so, whoever dies, until COMMIT or ABORT comes.
 */
#include "clock.h"
#include "error.h"
#include "member.h"
#include "restore.h"

#include <sched.h>
#include <string.h>
#include <sys/socket.h>

/* ---- answers ------------------------------------------------------------------ */

static void answer(mm_member *member, mm_message message) {
    message.magic = MM_MESSAGE_MAGIC;
    /* Never waits: a service that does not read for so long is gone, and this member may be held. */
    ssize_t sent = send(member->fd, &message, sizeof message, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent != (ssize_t)sizeof message) member->lost = 1;
}

static void answer_failed(mm_member *member, const mm_message *order, int status) {
    mm_message message = {
        .kind = MM_MSG_FAILED, .epoch = order->epoch, .word = {(uint64_t)-status, order->kind}};
    snprintf(message.text, sizeof message.text, "%s", mm_error_message());
    answer(member, message);
}

static void answer_done(mm_member *member, const mm_message *order) {
    answer(member, (mm_message){.kind = MM_MSG_DONE, .epoch = order->epoch, .word = {order->kind}});
}

static void answer_void(mm_member *member, uint64_t epoch, const char *why) {
    mm_message message = {.kind = MM_MSG_VOID, .epoch = epoch};
    snprintf(message.text, sizeof message.text, "%s", why);
    answer(member, message);
}

static void renew_lease(mm_member *member, const mm_message *order) {
    if (order->lease_ns) member->lease_end_ns = mm_now_ns() + order->lease_ns;
}

/* ---- the ends of an epoch ------------------------------------------------------- */

static void tell_after(mm_member *member, uint64_t epoch, int committed) {
    mm_member_event event = {.kind = MM_EVENT_AFTER, .outcome = committed, .epoch = epoch};
    snprintf(event.text, sizeof event.text, "%s", member->checkpoint.info.name);
    mm_member_tell(member, event);
}

/* Runs on as if nothing had been; what was collected stays pending. */
static void abandon(mm_member *member) {
    mm_member_state state = member->state;
    member->state = MM_MEMBER_IDLE;
    if (state == MM_MEMBER_IDLE) return;
    if (state != MM_MEMBER_HOOKS) {
        if (member->restoring)
            mm_checkpoint_release(member->region, &member->checkpoint);
        else
            mm_checkpoint_abort(member->region, &member->checkpoint);
        mm_region_end(member->region);
    }
    if (!member->restoring) tell_after(member, member->epoch, 0);
    mm_keeper_wake(member->region);
}

void mm_member_thaw(mm_member *member, const char *why) {
    if (member->state == MM_MEMBER_IDLE) return;
    member->void_epoch = member->epoch;
    abandon(member);
    if (!member->lost) answer_void(member, member->void_epoch, why);
}

static void fail(mm_member *member, const mm_message *order, int status) {
    answer_failed(member, order, status); /* before abandon(): the message is of this thread, and recent */
    abandon(member);
}

/* ---- orders ----------------------------------------------------------------------- */

static int open_epoch(mm_member *member, const mm_message *order) {
    if (order->epoch <= member->highest_epoch)
        return mm_fail(MM_E_FENCED, "epoch %llu is not above %llu, which this member has seen",
                       (unsigned long long)order->epoch, (unsigned long long)member->highest_epoch);
    /* The service does one thing at a time: the older one is over, and its end was lost. It was not sealed
     * here, so nobody can commit it. */
    abandon(member);
    member->epoch = member->highest_epoch = order->epoch;
    memset(&member->checkpoint, 0, sizeof member->checkpoint);
    return MM_OK;
}

/* Nobody reads what it says of itself, and retention would let the last sound one go for it. */
static int check_whole(const mm_member *member) {
    if (!member->unasked || !member->region->partial) return MM_OK;
    return mm_fail(MM_E_INVALID,
                   "an update was left half done; until restore() or checkpoint(accept_partial=True)");
}

static void begin(mm_member *member, const mm_message *order) {
    int status = open_epoch(member, order);
    member->unasked = (order->word[0] & MM_BEGIN_UNASKED) != 0;
    if (status == MM_OK) status = check_whole(member);
    if (status != MM_OK) {
        answer_failed(member, order, status);
        return;
    }
    member->restoring = 0;
    member->checkpoint.info.epoch = order->epoch;
    member->checkpoint.info.flags = MM_CHECKPOINT_GROUP | (order->word[0] & MM_CHECKPOINT_AUTOMATIC);
    mm_checkpoint_name(&member->checkpoint, order->text);
    member->state = MM_MEMBER_HOOKS;
    pthread_mutex_lock(&member->lock);
    int hooks = member->hooks;
    member->answered = 0;
    if (!hooks) {
        member->answered = member->answer_ok = 1;
        member->answered_epoch = order->epoch;
        member->hook_ns = 0;
    }
    pthread_mutex_unlock(&member->lock);
    if (!hooks) {
        mm_member_go_on_after_hooks(member);
        return;
    }
    mm_member_event event = {.kind = MM_EVENT_BEFORE, .epoch = order->epoch, .deadline_ns = order->word[1]};
    snprintf(event.text, sizeof event.text, "%s", member->checkpoint.info.name);
    mm_member_tell(member, event);
}

static int prepare(mm_member *member) {
    int status = mm_region_begin(member->region, 1);
    if (status != MM_OK) return status;
    status = mm_checkpoint_begin(member->region, &member->checkpoint);
    if (status != MM_OK) {
        mm_region_end(member->region);
        return status;
    }
    member->state = MM_MEMBER_READY;
    return mm_checkpoint_precopy(member->region, &member->checkpoint);
}

void mm_member_go_on_after_hooks(mm_member *member) {
    if (member->state != MM_MEMBER_HOOKS) return;
    mm_message order = {.kind = MM_MSG_BEGIN, .epoch = member->epoch};
    pthread_mutex_lock(&member->lock);
    int is_answered = member->answered && member->answered_epoch == member->epoch;
    int ok = member->answer_ok;
    uint64_t hook_ns = member->hook_ns;
    if (is_answered && !ok) mm_fail(MM_E_QUIESCE, "before_checkpoint: %s", member->answer_why);
    pthread_mutex_unlock(&member->lock);
    if (!is_answered) return;
    int status = ok ? prepare(member) : MM_E_QUIESCE;
    if (status != MM_OK) {
        fail(member, &order, status);
        return;
    }
    answer(member, (mm_message){.kind = MM_MSG_READY,
                                .epoch = member->epoch,
                                .word = {member->region->pending.count, hook_ns}});
}

/* QUIESCE without BEGIN. Not while an epoch is in doubt: it is told as a difference from the head that is. */
static int begin_restore(mm_member *member, const mm_message *order) {
    mm_region *region = member->region;
    int status = open_epoch(member, order);
    if (status == MM_OK) status = mm_region_begin(region, 1);
    if (status != MM_OK) return status;
    if (region->in_doubt) {
        mm_region_end(region);
        return mm_fail(MM_E_IN_DOUBT, "epoch @%llu of region %s waits for its group's decision",
                       (unsigned long long)region->in_doubt, region->name);
    }
    member->restoring = 1;
    member->state = MM_MEMBER_READY;
    return MM_OK;
}

/* While held. CUT_DONE says what was waited for updates where no HELD did. */
static void cut_held(mm_member *member, const mm_message *order, uint64_t waited_ns) {
    uint64_t start = mm_now_ns();
    member->checkpoint.max_pause_ns = order->word[0];
    int status = check_whole(member);
    if (status == MM_OK) status = mm_checkpoint_cut(member->region, &member->checkpoint);
    if (status != MM_OK) {
        fail(member, order, status);
        return;
    }
    member->state = MM_MEMBER_CUT;
    const mm_checkpoint_info *info = &member->checkpoint.info;
    answer(member, (mm_message){.kind = MM_MSG_CUT_DONE,
                                .epoch = order->epoch,
                                .word = {info->bytes_written / MM_PAGE_SIZE, info->bytes_written,
                                         mm_now_ns() - start, waited_ns}});
}

static void cut(mm_member *member, const mm_message *order) {
    renew_lease(member, order);
    cut_held(member, order, 0);
}

typedef struct long_cut {
    mm_member *member;
    mm_message held;
} long_cut;

/* Who waits for us takes one that neither stands still nor has copied for hung. */
static void say_held(void *context) {
    const long_cut *cut = context;
    answer(cut->member, cut->held);
}

static void cut_at_once(mm_member *member, const mm_message *order, uint64_t waited_ns) {
    mm_message cut = {.kind = MM_MSG_CUT, .epoch = order->epoch, .word = {order->word[2]}};
    long_cut context = {member, {.kind = MM_MSG_HELD, .epoch = order->epoch, .word = {waited_ns, 1}}};
    member->checkpoint.on_long = say_held;
    member->checkpoint.on_long_context = &context;
    cut_held(member, &cut, waited_ns);
    member->checkpoint.on_long = NULL;
}

static void quiesce(mm_member *member, const mm_message *order) {
    int status = MM_OK;
    if (member->state == MM_MEMBER_IDLE || order->epoch > member->epoch) {
        status = begin_restore(member, order);
        if (status != MM_OK) {
            answer_failed(member, order, status);
            return;
        }
    } else if (member->state != MM_MEMBER_READY || member->epoch != order->epoch) {
        mm_fail(MM_E_INVALID, "QUIESCE does not fit the member's state");
        answer_failed(member, order, MM_E_INVALID);
        return;
    }
    renew_lease(member, order);
    uint64_t start = mm_now_ns(),
             lease_left = member->lease_end_ns > start ? member->lease_end_ns - start : 1;
    member->checkpoint.hold_timeout_ns =
        order->word[0] && order->word[0] < lease_left ? order->word[0] : lease_left;
    status = mm_checkpoint_hold(member->region, &member->checkpoint);
    if (status != MM_OK) {
        fail(member, order, status);
        return;
    }
    member->state = MM_MEMBER_HELD;
    uint64_t waited_ns = mm_now_ns() - start;
    if (order->word[1] == 1 && !member->restoring)
        cut_at_once(member, order, waited_ns);
    else
        answer(member, (mm_message){.kind = MM_MSG_HELD, .epoch = order->epoch, .word = {waited_ns}});
}

static void resume(mm_member *member, const mm_message *order) {
    mm_region *region = member->region;
    const mm_checkpoint_info *info = &member->checkpoint.info;
    mm_checkpoint_release(region, &member->checkpoint);
    sched_yield(); /* who waited at the gate goes before what is told to the service */
    if (!member->restoring) {
        region->in_doubt = order->epoch;
        region->doubt = *info;
    }
    member->state = MM_MEMBER_IDLE;
    mm_region_end(region);
    answer(member,
           (mm_message){.kind = MM_MSG_SEALED,
                        .epoch = order->epoch,
                        .word = {info->pause_ns, info->bytes_written / MM_PAGE_SIZE, info->bytes_written,
                                 (info->flags & MM_CHECKPOINT_CRASH) != 0, member->hook_ns}});
    if (member->restoring) mm_keeper_wake(region);
}

static void restore(mm_member *member, const mm_message *order) {
    renew_lease(member, order);
    int status = mm_restore_held(member->region, order->word[0] ? order->word[0] : MM_EPOCH_NONE);
    if (status != MM_OK) {
        fail(member, order, status);
        return;
    }
    mm_region_set_generation(member->region, order->word[1] ? order->word[1] : order->epoch);
    mm_member_tell(member, (mm_member_event){
                               .kind = MM_EVENT_RESTORED, .epoch = order->epoch, .target = order->word[0]});
    answer_done(member, order);
}

/* The region's operation lock is this thread's own from READY on: to take it again would wait for ever. */
static int is_busy(const mm_member *member) {
    return member->state != MM_MEMBER_IDLE && member->state != MM_MEMBER_HOOKS;
}

/* COMMIT and ABORT of what is sealed; both may come again, or to a member that was started anew. */
static int decide(mm_member *member, const mm_message *order) {
    mm_region *region = member->region;
    int status =
        is_busy(member) ? mm_fail(MM_E_INVALID, "another epoch is under way") : mm_region_begin(region, 1);
    if (status != MM_OK) return status;
    mm_checkpoint checkpoint = {.info = region->doubt};
    int is_doubt = region->in_doubt == order->epoch;
    if (order->kind == MM_MSG_COMMIT && is_doubt)
        status = mm_checkpoint_commit(region, &checkpoint);
    else if (order->kind == MM_MSG_COMMIT && !mm_history_find(&region->history, order->epoch))
        status = mm_fail(MM_E_NOT_FOUND, "epoch %llu is not sealed here", (unsigned long long)order->epoch);
    else if (is_doubt)
        mm_checkpoint_abort(region, &checkpoint);
    if (is_doubt && status == MM_OK) region->in_doubt = 0;
    mm_region_end(region);
    if (is_doubt && status == MM_OK) tell_after(member, order->epoch, order->kind == MM_MSG_COMMIT);
    return status;
}

static void conclude(mm_member *member, const mm_message *order) {
    if (order->kind == MM_MSG_ABORT && order->epoch > member->highest_epoch)
        member->highest_epoch = order->epoch;
    if (order->kind == MM_MSG_ABORT && member->state != MM_MEMBER_IDLE && member->epoch == order->epoch) {
        abandon(member);
        answer_done(member, order);
        return;
    }
    int status = decide(member, order);
    if (status == MM_OK)
        answer_done(member, order);
    else
        answer_failed(member, order, status);
}

static void housekeep(mm_member *member, const mm_message *order) {
    int status = is_busy(member) ? mm_fail(MM_E_INVALID, "an epoch is under way")
                 : order->kind == MM_MSG_DELETE
                     ? mm_region_delete(member->region, order->word[0])
                     : mm_region_pin(member->region, order->word[0], order->word[1] != 0);
    if (status == MM_OK)
        answer_done(member, order);
    else
        answer_failed(member, order, status);
}

static void refuse(mm_member *member, const mm_message *order) {
    if (order->epoch == member->void_epoch) {
        answer_void(member, order->epoch, "the lease of this epoch ended");
        return;
    }
    mm_fail(MM_E_INVALID, "order %u of epoch %llu does not fit the member's state", order->kind,
            (unsigned long long)order->epoch);
    answer_failed(member, order, MM_E_INVALID);
}

void mm_member_obey(mm_member *member, const mm_message *order) {
    int is_current = member->epoch == order->epoch;
    int is_held = member->state == MM_MEMBER_HELD && is_current;
    int is_cut = member->state == MM_MEMBER_CUT && is_current;
    switch (order->kind) {
    case MM_MSG_WELCOME: mm_member_tell(member, (mm_member_event){.kind = MM_EVENT_WELCOME}); return;
    case MM_MSG_BEGIN: begin(member, order); return;
    case MM_MSG_QUIESCE: quiesce(member, order); return;
    case MM_MSG_CUT: is_held && !member->restoring ? cut(member, order) : refuse(member, order); return;
    case MM_MSG_RESTORE:
        is_held && member->restoring ? restore(member, order) : refuse(member, order);
        return;
    case MM_MSG_RESUME:
        is_cut || (is_held && member->restoring) ? resume(member, order) : refuse(member, order);
        return;
    case MM_MSG_COMMIT:
    case MM_MSG_ABORT: conclude(member, order); return;
    case MM_MSG_DELETE:
    case MM_MSG_PIN: housekeep(member, order); return;
    case MM_MSG_RENEW:
        if (is_current) renew_lease(member, order);
        return;
    default: refuse(member, order);
    }
}
