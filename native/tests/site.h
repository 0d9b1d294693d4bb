/* A member with its region and its service: what the tests of members have in common. */
#ifndef MM_SITE_H
#define MM_SITE_H

#include "region.h"
#include "scratch.h"
#include "service.h"

#define PAGES 20u

typedef struct site {
    const char *pool;
    service service;
    mm_region *region;
    mm_member *member;
} site;

/* The orders of a checkpoint, and the answer to each. */
#define STEPS 4u
extern const int orders[STEPS], answers[STEPS];

mm_message start(site *, int hooks); /* a pool, a region, a service, a member: its HELLO */
void join(site *, int hooks);        /* once more */
void finish(site *);
mm_region *reopen(site *, uint64_t committed_up_to); /* with a catalog that knows so many epochs */

void write_all(site *, uint64_t value);
int shows(const mm_region *, uint64_t value);
void expect_checkpoint(site *, uint64_t epoch, uint64_t value);
int is_running(site *);
int runs_soon(site *); /* a member that failed says so, then thaws */
mm_member_event expect_event(site *, int kind);
void go_until(site *, size_t last, uint64_t epoch); /* steps 0 to `last` */

#endif
