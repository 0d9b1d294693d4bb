/*
 * mmsnap.h - the public header of the mmsnap C core.
 *
 * The core keeps named memory ("regions") of one application in a folder (a
 * "pool"), takes checkpoints of it while the application runs, and gives the
 * memory back after a crash. It knows nothing of Python, gRPC or Kubernetes.
 *
 * Every function that can fail returns MM_OK or a negative mm_status and leaves
 * a sentence for people in mm_error_message(), per thread. Sizes are bytes,
 * times nanoseconds. A region may be used from many threads; checkpoints,
 * restores and housekeeping run one after the other on its own native thread.
 */
#ifndef MMSNAP_H
#define MMSNAP_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define MM_API __attribute__((visibility("default")))

typedef enum mm_status {
    MM_OK = 0,
    MM_E_SYSTEM = -1,      /* a system call failed */
    MM_E_INVALID = -2,     /* an argument is out of its range */
    MM_E_CORRUPT = -3,     /* bytes of the pool fail their checksum */
    MM_E_VERSION = -4,     /* written by a newer format */
    MM_E_FULL = -5,        /* the pool's medium has no room */
    MM_E_IN_USE = -6,      /* another process owns the region */
    MM_E_QUIESCE = -7,     /* updates did not end before the deadline */
    MM_E_PAUSE = -8,       /* the pause would exceed, or exceeded, its budget */
    MM_E_NOT_FOUND = -9,
    MM_E_READ_ONLY = -10,
    MM_E_FORKED = -11,     /* called in a forked child */
    MM_E_FENCED = -12,     /* an older epoch or incarnation */
    MM_E_UNSUPPORTED = -13,
    MM_E_EXISTS = -14,
    MM_E_HELD = -15,       /* called by a thread that is inside an update */
    MM_E_OTHER_TASK = -16, /* update entered by another task of the holding thread */
    MM_E_IN_DOUBT = -17,   /* a prepared group epoch that nobody decided */
    MM_E_DISCONNECTED = -18,
    MM_E_AGAIN = -19       /* nothing to report before the timeout */
} mm_status;

MM_API const char *mm_error_message(void);
MM_API const char *mm_version(void);

/* ---- what this machine can do ------------------------------------------ */

typedef struct mm_features {
    int userfaultfd;   /* 0, or the errno that userfaultfd(2) gave */
    int wp_async;      /* 1: asynchronous write-protection of private mappings */
    int pagemap_scan;  /* 1: PAGEMAP_SCAN with re-arming works */
    int event_remap;   /* 1: tracked mappings can be moved aside (fast restore) */
    int crc32c_hardware;
} mm_features;

/* MM_OK when regions can be tracked here, else MM_E_UNSUPPORTED with the reason. */
MM_API int mm_probe(mm_features *out);

/* CRC32C (Castagnoli) of bytes that follow others with checksum `crc`; 0 at the beginning. */
MM_API uint32_t mm_crc32c(uint32_t crc, const void *bytes, size_t size);

/* ---- the gate: no cut falls between enter and leave --------------------- */

typedef struct mm_gate mm_gate;

/* Never blocks: MM_OK, MM_E_AGAIN while a cut holds the gate, MM_E_OTHER_TASK
 * when this thread is inside with another owner, MM_E_FORKED. `owner` is any
 * token that tells the tasks of one thread apart; NULL outside of tasks. */
MM_API int mm_gate_try_enter(mm_gate *, const void *owner);
MM_API int mm_gate_enter(mm_gate *, const void *owner); /* waits while held */
MM_API void mm_gate_leave(mm_gate *);
MM_API unsigned mm_gate_depth(const mm_gate *); /* of the calling thread */

/* ---- regions ------------------------------------------------------------ */

/* Makes the folder a pool, if it is none; opening a region that is to be made does so by itself. */
MM_API int mm_pool_make(const char *pool);

typedef struct mm_region mm_region;

typedef enum mm_mode {
    MM_MODE_OPEN_OR_CREATE = 0,
    MM_MODE_MUST_EXIST = 1,
    MM_MODE_MUST_CREATE = 2,
    MM_MODE_READ_ONLY = 3
} mm_mode;

typedef enum mm_medium_kind {
    MM_MEDIUM_AUTO = 0, /* dram on tmpfs, file elsewhere */
    MM_MEDIUM_DRAM = 1,
    MM_MEDIUM_FILE = 2
} mm_medium_kind;

/* Asked about a prepared group epoch: 1 committed, 0 aborted, negative unknown. */
typedef int (*mm_decide_fn)(void *context, uint64_t epoch);

#define MM_EPOCH_HEAD 0           /* "the head", where an epoch is asked for */
#define MM_EPOCH_NONE UINT64_MAX  /* as `head_epoch`: no checkpoint, an empty region */

typedef struct mm_open_options {
    mm_mode mode;
    mm_medium_kind medium;
    uint64_t size_max_bytes; /* address space to reserve; 0: as stored */
    uint64_t head_epoch;     /* MM_EPOCH_HEAD, or the checkpoint to make (mode r: to show) the head */
    mm_decide_fn decide;     /* may be NULL: in doubt is then an error */
    void *decide_context;
} mm_open_options;

MM_API int mm_region_open(const char *pool, const char *name, const mm_open_options *, mm_region **out);

/* Ends tracking and the region's lock. The memory stays mapped until the last
 * mm_region_unref(); what is written to it from now on is not kept. */
MM_API int mm_region_close(mm_region *);
MM_API void mm_region_ref(mm_region *);
MM_API void mm_region_unref(mm_region *); /* the opener holds one reference */

MM_API mm_gate *mm_region_gate(mm_region *);
MM_API void *mm_region_address(const mm_region *); /* never changes */
MM_API uint64_t mm_region_extent(const mm_region *); /* bytes that may be touched */
MM_API uint64_t mm_region_size_max(const mm_region *);
MM_API int mm_region_created(const mm_region *); /* 1: this open made it */
MM_API mm_medium_kind mm_region_medium(const mm_region *);
MM_API int mm_region_grow(mm_region *, uint64_t extent_bytes); /* new bytes are zeros */

/* 1: an exception left an update half done; checkpoints say so until cleared. */
MM_API void mm_region_set_partial(mm_region *, int partial);
MM_API int mm_region_partial(const mm_region *);

/* Which restore of its group the memory followed last; changes only while the region is held, so that it
 * fits the memory inside an update. Set by whoever opens a region for a member, then by RESTORE orders. */
MM_API uint64_t mm_region_generation(const mm_region *);
MM_API void mm_region_set_generation(mm_region *, uint64_t generation);

/* ---- checkpoints -------------------------------------------------------- */

#define MM_NAME_MAX 64
#define MM_META_MAX 2048

enum mm_checkpoint_flags {
    MM_CHECKPOINT_AUTOMATIC = 1, /* not named by the user */
    MM_CHECKPOINT_PINNED = 2,
    MM_CHECKPOINT_DURABLE = 4,
    MM_CHECKPOINT_CRASH = 8, /* only crash consistent: stray writes, or partial */
    MM_CHECKPOINT_GROUP = 16,
    MM_CHECKPOINT_PARTIAL = 32 /* with CRASH: an update was left half done in it */
};

typedef struct mm_checkpoint_info {
    uint64_t epoch;
    uint64_t parent; /* epoch, 0: none */
    int64_t created_ns; /* since 1970, UTC */
    uint64_t pause_ns;
    uint64_t bytes_written;
    uint32_t flags;
    uint32_t meta_size;
    char name[MM_NAME_MAX];
    uint8_t meta[MM_META_MAX]; /* opaque to the core */
} mm_checkpoint_info;

typedef struct mm_checkpoint_request {
    const char *name; /* NULL: made from time and epoch */
    const void *meta;
    uint32_t meta_size;
    uint32_t flags;              /* MM_CHECKPOINT_AUTOMATIC or 0 */
    int durable;                 /* return after the flush, not only the commit */
    int accept_partial;          /* clears the partial mark by this checkpoint */
    uint64_t quiesce_timeout_ns; /* 0: 10 s */
    uint64_t max_pause_ns;       /* 0: no budget */
} mm_checkpoint_request;

/* Blocks until committed (or durable). On failure nothing is lost: what was
 * collected stays pending for the next checkpoint. */
MM_API int mm_region_checkpoint(mm_region *, const mm_checkpoint_request *, mm_checkpoint_info *out);

/* Makes `epoch` (MM_EPOCH_HEAD: the head; MM_EPOCH_NONE: empty) the head, recorded before it returns; the
 * memory shows it at the same address. */
MM_API int mm_region_restore(mm_region *, uint64_t epoch, mm_checkpoint_info *out);

MM_API int mm_region_head(mm_region *, mm_checkpoint_info *out); /* MM_E_NOT_FOUND: none */
/* Ascending by epoch; `*count` in: room, out: how many there are. */
MM_API int mm_region_checkpoints(mm_region *, mm_checkpoint_info *out, size_t *count);
MM_API int mm_region_delete(mm_region *, uint64_t epoch);
MM_API int mm_region_pin(mm_region *, uint64_t epoch, int pinned);
MM_API int mm_region_flush(mm_region *, uint64_t epoch); /* make durable, wait for it */
/* Reads everything `epoch` stands on (MM_EPOCH_HEAD: every checkpoint) and checks it. Damage: MM_E_CORRUPT;
 * the message names each damaged file and what needs it. */
MM_API int mm_region_verify(mm_region *, uint64_t epoch);
MM_API int mm_region_settle(mm_region *); /* waits until every commit is applied, arming done */

typedef struct mm_usage {
    uint64_t size_max_bytes, base_bytes, private_bytes, log_bytes, delta_bytes;
    uint64_t dirty_bytes, pool_free_bytes, checkpoint_count;
    uint64_t pending_apply_count; /* committed, not yet in the base */
} mm_usage;
MM_API int mm_region_usage(mm_region *, mm_usage *out);

/* Copies on other machines. The pages in which checkpoint `epoch` may differ from checkpoint `from`,
 * ascending; `*count` in: room, out: how many there are. */
MM_API int mm_region_difference(mm_region *, uint64_t from, uint64_t epoch, uint32_t *pages, size_t *count);
/* Makes what the memory shows a checkpoint as `info` tells of it: one taken elsewhere, epoch included. Only
 * `bytes_written` becomes what it is here, and nothing is durable yet. MM_E_EXISTS. */
MM_API int mm_region_adopt(mm_region *, const mm_checkpoint_info *info);

/* Written ranges since the last collection, without collecting; and collecting
 * them (they stay pending for the next checkpoint). For tests of discipline. */
typedef struct mm_range {
    uint64_t offset, size;
} mm_range;
MM_API int mm_region_peek(mm_region *, mm_range *out, size_t *count);
MM_API int mm_region_collect(mm_region *);

/* ---- membership: cuts ordered by a node service -------------------------- */

/* A member obeys the service over a SOCK_SEQPACKET Unix socket, one mm_message
 * a packet, from a native thread of its own: nothing of the application's
 * interpreter lies between QUIESCE and RESUME. */

#define MM_MESSAGE_MAGIC 0x31534d4du /* "MMS1" */
#define MM_MESSAGE_TEXT 96
#define MM_MESSAGE_WORDS 8

typedef struct mm_message {
    uint32_t magic;
    uint16_t kind;
    uint16_t reserved;
    uint64_t epoch;
    uint64_t token;
    uint64_t lease_ns;
    uint64_t word[MM_MESSAGE_WORDS];
    char text[MM_MESSAGE_TEXT]; /* NUL-terminated UTF-8 */
} mm_message;

enum mm_message_kind {
    /* service to member */
    MM_MSG_WELCOME = 1,
    MM_MSG_BEGIN = 2, /* word0 AUTOMATIC and MM_BEGIN flags, word1 hook deadline, word2 max_pause or 0; text:
                         checkpoint name */
    MM_MSG_QUIESCE = 3, /* word0 timeout for open updates, word1 1: and CUT without another order, word2 its
                           max_pause or 0 */
    MM_MSG_CUT = 4, /* word0 max_pause or 0 */
    MM_MSG_RESUME = 5,
    MM_MSG_COMMIT = 6,
    MM_MSG_ABORT = 7,
    MM_MSG_RESTORE =
        8, /* while held; word0: the checkpoint's epoch, word1: generation, 0: the order's epoch */
    MM_MSG_DELETE = 9, /* word0: the checkpoint's epoch */
    MM_MSG_RENEW = 10, /* the lease, nothing else */
    MM_MSG_PIN = 11, /* word0: the checkpoint's epoch, word1: 1 or 0 */
    MM_MSG_CHECK = 12, /* to unmodified programs only; word0: the checkpoint's epoch */
    /* member to service */
    MM_MSG_HELLO = 33, /* token; word0 pid, word1 epoch in doubt or 0, word2 highest epoch seen */
    MM_MSG_READY = 34, /* word0 dirty pages, word1 hook_ns */
    MM_MSG_HELD = 35, /* word0 ns waited for updates, word1 1: CUT_DONE follows without another order */
    MM_MSG_CUT_DONE = 36, /* word0 pages, word1 bytes, word2 ns of scan and copy, word3 as of HELD */
    MM_MSG_SEALED = 37, /* word0 pause_ns, word1 pages, word2 bytes, word3 1 = crash only, word4 hook_ns;
                         * of an unmodified program's pause: word5 freeze, word6 dump, word7 thaw */
    MM_MSG_VOID = 38, /* thawed by its lease; the epoch can not commit */
    MM_MSG_DONE = 39, /* COMMIT, ABORT, RESTORE, DELETE, PIN carried out; word0: which kind */
    MM_MSG_FAILED = 40, /* word0 -status, word1: which kind; text: why */
    MM_MSG_BYE = 41 /* leaves the group on purpose */
};

/* Beside the flags of checkpoints in BEGIN: nobody asked for this one now (a schedule), so it is refused
 * while an update is left half done. */
enum mm_begin_flags { MM_BEGIN_UNASKED = 1 << 16 };

typedef struct mm_member mm_member;

enum mm_member_event_kind {
    MM_EVENT_BEFORE = 1, /* run before-hooks, then mm_member_ready() */
    MM_EVENT_AFTER = 2, /* outcome: 1 committed, 0 aborted */
    MM_EVENT_RESTORED = 3, /* the memory shows `target`; run after_restore */
    MM_EVENT_LOST = 4, /* the service is gone; the member runs on by itself */
    MM_EVENT_WELCOME = 5
};

typedef struct mm_member_event {
    int kind, outcome;
    uint64_t epoch, target, deadline_ns;
    char text[MM_MESSAGE_TEXT];
} mm_member_event;

/* `hooks`: 1 when BEFORE events must be answered with mm_member_ready(). */
MM_API int mm_member_start(mm_region *, const char *socket_path, uint64_t token, int hooks, mm_member **out);
MM_API int mm_member_next_event(mm_member *, int timeout_ms, mm_member_event *out); /* MM_E_AGAIN */
MM_API int mm_member_ready(mm_member *, uint64_t epoch, int ok, uint64_t hook_ns, const char *why);
MM_API int mm_member_set_hooks(mm_member *, int hooks);
/* `leave` = 1 says BYE first. Joins the thread; an undecided epoch stays in doubt. */
MM_API void mm_member_stop(mm_member *, int leave);

#ifdef __cplusplus
}
#endif
#endif /* MMSNAP_H */
