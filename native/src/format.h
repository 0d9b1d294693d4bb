/*
 * Every byte that mmsnap writes into a pool is laid out here (docs/FORMAT.md
 * tells the same to people). Little-endian; each record carries a CRC32C over
 * everything in it but the checksum itself.
 *
 *   POOL/mmsnap.pool, .copy              pool_header, twice
 *   POOL/regions/NAME/region, .copy      region_header, twice
 *   POOL/regions/NAME/base               pages, as of the last applied checkpoint
 *   POOL/regions/NAME/base.sums          CRC32C of each page of the base, u32 each
 *   POOL/regions/NAME/journal, .copy     frames of entries: which checkpoints exist
 *   POOL/regions/NAME/delta-ID           delta_header, pages, delta_entry[]
 *   POOL/regions/NAME/lock               held by the owner
 *   POOL/regions/NAME/apply.lock         held while the base is rewritten, or being looked up
 *   POOL/regions/NAME/pins/PID-N         held by a reader that maps the base
 */
#ifndef MM_FORMAT_H
#define MM_FORMAT_H

#include "crc32c.h"
#include "mmsnap.h"

#include <stddef.h>

#define MM_FORMAT_VERSION 1u

#define MM_POOL_MAGIC 0x314c4f4f504d4dull   /* "MMPOOL1" */
#define MM_REGION_MAGIC 0x314e474552504dull /* "MPREGN1" */
#define MM_DELTA_MAGIC 0x31544c45444d4dull  /* "MMDELT1" */
#define MM_FRAME_MAGIC 0x31464d4du          /* "MMF1" */

typedef struct mm_pool_header {
    uint64_t magic;
    uint32_t version;
    uint32_t page_size;
    uint8_t id[16];
    char boot_id[40]; /* the machine's, when the pool was made */
    uint32_t reserved;
    uint32_t crc;
} mm_pool_header;

typedef struct mm_region_header {
    uint64_t magic;
    uint32_t version;
    uint32_t page_size;
    uint8_t id[16]; /* deltas of another region are refused by it */
    uint64_t size_max_bytes;
    uint32_t reserved;
    uint32_t crc;
} mm_region_header;

/* A delta turns the checkpoint `from` into `epoch`: the pages that differ. While a checkpoint is taken it is
 * the redo log; seen from a newer base it is an undo delta. The header is written last and is the
 * *prepared* record: where it is valid, all the rest is there. */
typedef struct mm_delta_header {
    uint64_t magic;
    uint32_t version;
    uint32_t index_crc; /* of the delta_entry array, which holds the checksum of each page */
    uint8_t region_id[16];
    uint64_t from;
    uint64_t page_count;
    mm_checkpoint_info info; /* of the checkpoint `epoch` */
    uint32_t reserved;
    uint32_t crc;
} mm_delta_header;

typedef struct mm_delta_entry {
    uint32_t page; /* its number in the region */
    uint32_t crc;
} mm_delta_entry;

#define MM_DELTA_PAGES_OFFSET (2 * MM_PAGE_SIZE)
_Static_assert(sizeof(mm_delta_header) <= MM_DELTA_PAGES_OFFSET, "the header comes before the pages");

static inline uint64_t mm_delta_index_offset(uint64_t page_count) {
    return MM_DELTA_PAGES_OFFSET + page_count * MM_PAGE_SIZE;
}

static inline uint64_t mm_delta_file_size(uint64_t page_count) {
    uint64_t size = mm_delta_index_offset(page_count) + page_count * sizeof(mm_delta_entry);
    return (size + MM_PAGE_SIZE - 1) / MM_PAGE_SIZE * MM_PAGE_SIZE;
}

/* The journal: frames, each applied whole or not at all. */
typedef struct mm_frame_header {
    uint32_t magic;
    uint32_t crc; /* of the rest of the frame, from `sequence` on */
    uint64_t sequence; /* counts up by one; the first frame of a journal starts it over with a full state */
    uint32_t size_bytes; /* of the frame, header included */
    uint32_t entry_count;
} mm_frame_header;

typedef enum mm_entry_kind {
    MM_ENTRY_NODE = 1, /* mm_node_entry + meta: a checkpoint as it is from now on */
    MM_ENTRY_DROP = 2, /* mm_epoch_entry: the node is gone */
    MM_ENTRY_HEAD = 3, /* mm_epoch_entry */
    MM_ENTRY_BASE = 4, /* mm_base_entry */
    MM_ENTRY_RESET = 5 /* forget all: a compacted journal starts here; epoch: highest epoch given out */
} mm_entry_kind;

typedef struct mm_entry_header {
    uint32_t kind;
    uint32_t size_bytes; /* header included */
} mm_entry_header;

typedef struct mm_epoch_entry {
    mm_entry_header header;
    uint64_t epoch;
} mm_epoch_entry;

/* While the base is being rewritten from checkpoint `epoch` to `moving_to` it is neither of them;
 * `undo_id` is the delta that makes `epoch` of either (0: nobody needs `epoch` any more). */
typedef struct mm_base_entry {
    mm_entry_header header;
    uint64_t epoch;
    uint64_t moving_to; /* MM_EPOCH_NONE: at rest */
    uint64_t undo_id;
} mm_base_entry;

typedef struct mm_node_entry {
    mm_entry_header header;
    uint64_t delta_id; /* 0: the base itself */
    uint64_t from;
    uint32_t live; /* 0: deleted, kept because others are told as differences from it */
    uint32_t reserved;
    mm_checkpoint_info info; /* cut off behind meta_size */
} mm_node_entry;

/* Checksums of structs whose last member is `crc`. */
#define MM_CRC_OF(record) mm_crc32c(0, (record), offsetof(__typeof__(*(record)), crc))

#endif
