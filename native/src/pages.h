/* Sets of page numbers: one bit a page. */
#ifndef MM_PAGES_H
#define MM_PAGES_H

#include <stdint.h>

typedef struct mm_pages {
    uint64_t *words;
    uint64_t word_count;
    uint64_t count; /* pages in the set */
} mm_pages;

int mm_pages_init(mm_pages *, uint64_t page_count);
void mm_pages_free(mm_pages *);
void mm_pages_clear(mm_pages *);

static inline int mm_pages_has(const mm_pages *pages, uint64_t page) {
    return pages->words[page / 64] >> page % 64 & 1;
}

static inline void mm_pages_add(mm_pages *pages, uint64_t page) {
    uint64_t bit = 1ull << page % 64;
    pages->count += !(pages->words[page / 64] & bit);
    pages->words[page / 64] |= bit;
}

static inline void mm_pages_remove(mm_pages *pages, uint64_t page) {
    uint64_t bit = 1ull << page % 64;
    pages->count -= !!(pages->words[page / 64] & bit);
    pages->words[page / 64] &= ~bit;
}

/* The first page of the set at or after `page`; UINT64_MAX: none. */
uint64_t mm_pages_next(const mm_pages *, uint64_t page);

#endif
