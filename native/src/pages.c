#include "pages.h"

#include "error.h"

#include <string.h>

int mm_pages_init(mm_pages *pages, uint64_t page_count) {
    *pages = (mm_pages){.word_count = (page_count + 63) / 64};
    pages->words = calloc(pages->word_count, sizeof *pages->words);
    return pages->words ? MM_OK : mm_fail_errno("a set of %llu pages", (unsigned long long)page_count);
}

void mm_pages_free(mm_pages *pages) {
    free(pages->words);
    *pages = (mm_pages){0};
}

void mm_pages_clear(mm_pages *pages) {
    if (pages->count) memset(pages->words, 0, pages->word_count * sizeof *pages->words);
    pages->count = 0;
}

uint64_t mm_pages_next(const mm_pages *pages, uint64_t page) {
    for (uint64_t at = page / 64; at < pages->word_count; at++) {
        uint64_t word = pages->words[at];
        if (at == page / 64) word &= ~0ull << page % 64;
        if (word) return at * 64 + (uint64_t)__builtin_ctzll(word);
    }
    return UINT64_MAX;
}
