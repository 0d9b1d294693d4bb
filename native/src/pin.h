/* Pins: a reader that maps the base keeps it from being rewritten. */
#ifndef MM_PIN_H
#define MM_PIN_H

#include <sys/types.h>

typedef struct mm_pin {
    int fd; /* -1: none */
    char name[48];
} mm_pin;

#define MM_PIN_NONE ((mm_pin){.fd = -1})

int mm_pin_take(int folder_fd, mm_pin *out);
void mm_pin_drop(int folder_fd, mm_pin *);

/* Process id of a reader that pins the base, 0: nobody. Pins of the dead are removed. */
pid_t mm_pin_holder(int folder_fd);

#endif
