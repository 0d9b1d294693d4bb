/* The line to the node's agent, which holds, dumps and restores the program from outside.
 *
 * One packet a message, in words:
 *
 *     to the agent                              from it
 *     hello MEMBER PROGRAM  (0: none runs)      start         let it be made, held before its first step
 *     started PROGRAM                           go            let it take that step
 *     exited PROCESS STATUS                     hold          it will be ended; that is not the end
 *                                               program PID   it is this one from now on
 *                                               fail          it can not be brought back
 *
 * With hello come the ends of the pipes that are the program's outputs. A line that breaks is mended; the
 * program runs on meanwhile.
 */
#ifndef MI_LINE_H
#define MI_LINE_H

#include "outputs.h"

#include <stdbool.h>
#include <sys/types.h>

typedef enum mi_order {
    MI_ORDER_NONE,
    MI_ORDER_START,
    MI_ORDER_GO,
    MI_ORDER_HOLD,
    MI_ORDER_PROGRAM,
    MI_ORDER_FAIL
} mi_order;

typedef struct mi_line {
    int fd; /* -1: broken, or not yet there */
    const mi_outputs *outputs;
    unsigned tries; /* since it was last there */
} mi_line;

#define MI_LINE_RETRY_MS 500

/* Connects if need be, and says hello; what fails is tried again the next time, and told now and then. */
void mi_line_mend(mi_line *line, pid_t program);

/* What the agent says, once its descriptor is readable; `program` is set with MI_ORDER_PROGRAM. */
mi_order mi_line_next(mi_line *line, pid_t *program);

void mi_line_tell_started(mi_line *line, pid_t program);
void mi_line_tell_exited(mi_line *line, pid_t process, int status);

#endif
