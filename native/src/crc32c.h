/* CRC32C (Castagnoli), the checksum of every record and page. */
#ifndef MM_CRC32C_H
#define MM_CRC32C_H

#include "mmsnap.h"

#define MM_PAGE_SIZE 4096u

/* Of one page; the hot path of the pause. */
uint32_t mm_crc32c_page(const void *page);

/* Copies a page past the caches and returns its checksum: one pass over memory. `next` is the page that will
 * be copied after it, fetched meanwhile. */
uint32_t mm_copy_page(void *to, const void *from, const void *next);

/* Makes the copies visible before any later store. */
void mm_copy_fence(void);

int mm_crc32c_is_hardware(void);

/* What a processor offers; NULL members where it offers nothing. One file per
 * processor (x86_64/, portable/) defines it. */
typedef struct mm_processor {
    uint32_t (*crc32c)(uint32_t state, const void *bytes, size_t size); /* raw register in and out */
    uint32_t (*crc32c_page)(const void *page);
    void (*copy_page)(void *to, const void *from, const void *next);
    void (*fence)(void);
} mm_processor;

const mm_processor *mm_processor_detect(void);

/* For processors that check several streams at once: the register after `size` zero bytes. */
uint32_t mm_crc32c_shift(uint32_t state, size_t size);

#endif
