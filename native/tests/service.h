/* A node service of a few lines: it says to a member what the test wants, and shows what the member answers.
 */
#ifndef MM_SERVICE_H
#define MM_SERVICE_H

#include "mmsnap.h"

#define LEASE_NS 5000000000ull

typedef struct service {
    char path[128];
    int listen_fd, fd;
} service;

void service_open(service *, const char *pool);
void service_close(service *);
/* A member that connects; its HELLO. */
mm_message service_accept(service *);
void service_hang_up(service *);

/* An order with a lease of LEASE_NS. */
void tell(service *, int kind, uint64_t epoch, uint64_t word0);
void tell_to_quiesce_and_cut(service *, uint64_t epoch, uint64_t max_pause_ns);
void tell_leased(service *, int kind, uint64_t epoch, uint64_t word0, uint64_t lease_ns);
/* The next answer, which must be of this kind and epoch. */
mm_message hear(service *, int kind, uint64_t epoch);
/* FAILED of an order of `kind`, with this status. */
void hear_failed(service *, int kind, uint64_t epoch, int status);
void hear_nothing(service *, int milliseconds);
/* The member is gone. */
void hear_the_end(service *);

/* All of a checkpoint up to SEALED, or of it and COMMIT. */
void prepare_epoch(service *, uint64_t epoch);
void commit_epoch(service *, uint64_t epoch);

#endif
