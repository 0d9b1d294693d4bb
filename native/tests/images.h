/* A journal's two files as bytes, to be damaged and put back; and what they then must tell. */
#ifndef MM_IMAGES_H
#define MM_IMAGES_H

#include "journal.h"

#define IMAGE_BYTES_MAX (4u << 20)

typedef struct image {
    uint8_t bytes[IMAGE_BYTES_MAX];
    size_t size;
} image;

/* Of the folder under test: a fresh one by new_folder(). */
extern int folder_fd;
extern const mm_medium *medium;
/* What a test keeps of both copies, and what it puts in their place. */
extern image original[2], damaged;

void new_folder(void);
void load(int copy, image *out);
void store(int copy, const image *in);
void restore_images(void); /* both copies as in `original` */

int read_journal(int writable, mm_history *);
void append_checkpoint(mm_journal *, mm_history *, uint64_t epoch);
/* The history tells exactly the first `frames` checkpoints, each as append_checkpoint() made it. */
void check_history(const mm_history *, uint64_t frames);
void expect(int writable, uint64_t frames);
/* A writable open; then each copy alone tells everything. */
void expect_healed(uint64_t frames);

#endif
