/* The keeper: a region's native thread for what must not cost the application time: applying committed
 * checkpoints, arming after a restore. */
#ifndef MM_KEEPER_H
#define MM_KEEPER_H

#include "mmsnap.h"

#include <pthread.h>

typedef struct mm_keeper {
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    int running, stop, asked;
} mm_keeper;

int mm_keeper_start(mm_region *);
void mm_keeper_stop(mm_region *);
void mm_keeper_wake(mm_region *);

#endif
