/* Fault, hazard 3: the base is rewritten under those who read it. */
#include "pin.h"

pid_t __wrap_mm_pin_holder(int folder_fd);
pid_t __wrap_mm_pin_holder(int folder_fd) {
    (void)folder_fd;
    return 0;
}
