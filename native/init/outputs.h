/* The program's standard output and error as pipes of ours, passed on to where our own go.
 *
 * A program that holds no file of the container's runtime can be restored after that is gone: the pipes stay,
 * because mmsnap-init holds both of their ends. (`mmsnap/shim/outputs.py` does the same outside of pods.) A
 * terminal is left as it is.
 */
#ifndef MI_OUTPUTS_H
#define MI_OUTPUTS_H

#include <limits.h>
#include <stdbool.h>

#define MI_STREAMS 2
#define MI_NO_FILE UINT_MAX

typedef struct mi_stream {
    int reader, writer; /* -1: not ours, the program writes to the target itself */
    int target;
} mi_stream;

typedef struct mi_outputs {
    mi_stream streams[MI_STREAMS];
    bool owned;
} mi_outputs;

/* Whether the environment asks for it: the engine is for unmodified programs, and there is an agent. */
bool mi_outputs_wanted(void);

/* Makes the pipes; 0, or a negative errno. */
int mi_outputs_make(mi_outputs *outputs);

/* In the program's process: its standard output and error become the pipes. */
void mi_outputs_enter(const mi_outputs *outputs);

/* The first file descriptor from `from` on that it needs, or MI_NO_FILE. */
unsigned mi_outputs_next(const mi_outputs *outputs, unsigned from);

/* Passes on from now on; 0, or a negative errno. */
int mi_outputs_start(mi_outputs *outputs);

/* After the program: what it left in the pipes still comes through. */
void mi_outputs_finish(mi_outputs *outputs);

#endif
