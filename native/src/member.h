/* A member of a group: its thread, its events, and the rules it keeps. */
#ifndef MM_MEMBER_H
#define MM_MEMBER_H

#include "checkpoint.h"

#define MM_EVENTS_MAX 64

typedef enum mm_member_state {
    MM_MEMBER_IDLE,
    MM_MEMBER_HOOKS, /* the application's before-hooks run */
    MM_MEMBER_READY, /* log reserved, pre-copied; running */
    MM_MEMBER_HELD,  /* the gate is shut */
    MM_MEMBER_CUT    /* the log is sealed, the gate still shut */
} mm_member_state;

struct mm_member {
    mm_region *region;
    int fd, wake_fd;
    pthread_t thread;

    /* Shared with the application's threads, under `lock`. */
    pthread_mutex_t lock;
    pthread_cond_t changed;
    mm_member_event events[MM_EVENTS_MAX];
    size_t first_event, event_count;
    int hooks, stop, leave;
    int answered, answer_ok;
    uint64_t answered_epoch, hook_ns;
    char answer_why[MM_MESSAGE_TEXT];

    /* The thread's own. */
    mm_member_state state;
    uint64_t epoch;         /* under way, in any state but idle */
    uint64_t highest_epoch; /* older ones are refused: they were shut out */
    uint64_t void_epoch;    /* the last one that ended by its lease */
    uint64_t lease_end_ns;
    int restoring;          /* held for a restore: there is no log */
    int unasked;            /* the checkpoint under way: refused when an update is left half done */
    int lost;
    mm_checkpoint checkpoint;
};

/* protocol.c: one order of the service; `member->lost` when the connection is gone. */
void mm_member_obey(mm_member *, const mm_message *order);
void mm_member_go_on_after_hooks(mm_member *);
/* The lease of a held member ended, or the service is gone: it runs on, the epoch is void. */
void mm_member_thaw(mm_member *, const char *why);

void mm_member_tell(mm_member *, mm_member_event event);

#endif
