/* Media: what makes bytes last. One table of functions, chosen when a pool is opened. */
#ifndef MM_MEDIUM_H
#define MM_MEDIUM_H

#include "mmsnap.h"

typedef struct mm_medium {
    mm_medium_kind kind;
    const char *name;
    int durable;                 /* 1: what is persisted survives the machine's restart */
    int (*persist)(int fd);      /* the bytes and size of a file, mapped writes included */
    int (*persist_folder)(int fd); /* names made, renamed or removed in it */
} mm_medium;

/* `folder_fd` tells the file system; `wanted` may narrow or refuse it. */
int mm_medium_choose(int folder_fd, const char *path, mm_medium_kind wanted, const mm_medium **out);

#endif
