/* Descriptors of ours stay clear of the three that are the program's, also where those are closed. */
#ifndef MI_DESCRIPTOR_H
#define MI_DESCRIPTOR_H

/* The same file above standard error, closed on exec; the given descriptor is closed. -1: none is left. */
int mi_descriptor_move_up(int fd);

#endif
