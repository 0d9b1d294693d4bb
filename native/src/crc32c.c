/*
 * The checksum in portable form, and the choice of the processor's own.
 * The table method is Sarwate's (1988), one byte at a time: it is the reference
 * that the fast forms are tested against, not a path anybody should run hot.
 */
#include "crc32c.h"

#include <string.h>

#define POLYNOMIAL_REFLECTED 0x82f63b78u

static uint32_t table[256];
static const mm_processor *processor;

static uint32_t table_crc32c(uint32_t state, const void *bytes, size_t size) {
    const uint8_t *byte = bytes;
    while (size--) state = table[(state ^ *byte++) & 0xff] ^ (state >> 8);
    return state;
}

uint32_t mm_crc32c_shift(uint32_t state, size_t size) {
    while (size--) state = table[state & 0xff] ^ (state >> 8);
    return state;
}

__attribute__((constructor)) static void choose(void) {
    for (uint32_t byte = 0; byte < 256; byte++) {
        uint32_t remainder = byte;
        for (int bit = 0; bit < 8; bit++)
            remainder = (remainder >> 1) ^ (remainder & 1 ? POLYNOMIAL_REFLECTED : 0);
        table[byte] = remainder;
    }
    processor = mm_processor_detect();
}

uint32_t mm_crc32c(uint32_t crc, const void *bytes, size_t size) {
    uint32_t state = ~crc;
    return ~(processor->crc32c ? processor->crc32c(state, bytes, size) : table_crc32c(state, bytes, size));
}

uint32_t mm_crc32c_page(const void *page) {
    return processor->crc32c_page ? processor->crc32c_page(page) : mm_crc32c(0, page, MM_PAGE_SIZE);
}

uint32_t mm_copy_page(void *to, const void *from, const void *next) {
    if (processor->copy_page)
        processor->copy_page(to, from, next);
    else
        memcpy(to, from, MM_PAGE_SIZE);
    /* The source is in the first-level cache now; the target, written around it, is not. */
    return mm_crc32c_page(from);
}

void mm_copy_fence(void) {
    if (processor->fence)
        processor->fence();
    else
        __atomic_thread_fence(__ATOMIC_SEQ_CST);
}

int mm_crc32c_is_hardware(void) { return processor->crc32c != NULL; }
