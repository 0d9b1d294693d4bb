/* Locks between processes, in two kinds. */
#ifndef MM_LOCK_H
#define MM_LOCK_H

#include <sys/types.h>

/* Opens (and makes) the file without locking it; the file descriptor or a negative status. */
int mm_lock_open(int folder_fd, const char *name);

/* Owning a region: a POSIX record lock, which no forked child inherits and which tells who holds it. It
 * ends when the process closes any descriptor of the file, so the registry sees to one per process.
 * MM_E_IN_USE at once, with the owner's process id. */
int mm_lock_own(int fd);

/* The base and its readers: locks of the open file description, which hold between parts of one process
 * and last while any child maps what they guard. */
int mm_lock_take(int fd, int exclusive, int wait);
int mm_lock_drop(int fd);
int mm_lock_is_held(int fd); /* by somebody else */

#endif
