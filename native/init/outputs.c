#include "outputs.h"

#include "descriptor.h"
#include "signals.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define CHUNK_BYTES (64u << 10)
#define STACK_BYTES (64u << 10)
#define DRAIN_SECONDS 5

static struct {
    pthread_t thread;
    bool runs;
    char chunk[CHUNK_BYTES];
} carriers[MI_STREAMS];

/* Closed at its writing end when the program is gone. */
static int over[2] = {-1, -1};

bool mi_outputs_wanted(void) {
    const char *engine = getenv("MMSNAP_ENGINE"), *address = getenv("MMSNAP_ADDRESS");
    return engine && strcmp(engine, "process") == 0 && address && strncmp(address, "unix:", 5) == 0;
}

static int make_pipe(int *reader, int *writer) {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) < 0) return -errno;
    *reader = mi_descriptor_move_up(ends[0]);
    *writer = mi_descriptor_move_up(ends[1]);
    return *reader < 0 || *writer < 0 ? -EMFILE : 0;
}

static bool is_same_file(int one, int other) {
    struct stat first, second;
    return fstat(one, &first) == 0 && fstat(other, &second) == 0 && first.st_dev == second.st_dev &&
           first.st_ino == second.st_ino;
}

int mi_outputs_make(mi_outputs *outputs) {
    for (int i = 0; i < MI_STREAMS; i++)
        outputs->streams[i] = (mi_stream){.reader = -1, .writer = -1, .target = STDOUT_FILENO + i};
    outputs->owned = mi_outputs_wanted();
    if (!outputs->owned) return 0;
    for (int i = 0; i < MI_STREAMS; i++) {
        mi_stream *stream = &outputs->streams[i];
        if (fcntl(stream->target, F_GETFD) < 0 || isatty(stream->target)) continue;
        /* Two pipes would mix up the order of what goes to one place. */
        if (i > 0 && outputs->streams[0].writer >= 0 && is_same_file(STDOUT_FILENO, STDERR_FILENO)) {
            stream->writer = outputs->streams[0].writer;
            continue;
        }
        int failed = make_pipe(&stream->reader, &stream->writer);
        if (failed < 0) return failed;
    }
    return make_pipe(&over[0], &over[1]);
}

void mi_outputs_enter(const mi_outputs *outputs) {
    for (int i = 0; i < MI_STREAMS; i++)
        if (outputs->streams[i].writer >= 0) dup2(outputs->streams[i].writer, outputs->streams[i].target);
}

static void prefer(unsigned *least, int fd, unsigned from) {
    if (fd >= 0 && (unsigned)fd >= from && (unsigned)fd < *least) *least = (unsigned)fd;
}

unsigned mi_outputs_next(const mi_outputs *outputs, unsigned from) {
    unsigned least = MI_NO_FILE;
    for (int i = 0; i < MI_STREAMS; i++) {
        prefer(&least, outputs->streams[i].writer, from);
        prefer(&least, outputs->streams[i].reader, from);
        if (outputs->streams[i].reader >= 0) prefer(&least, outputs->streams[i].target, from);
    }
    prefer(&least, over[0], from);
    prefer(&least, over[1], from);
    return least;
}

static bool write_all(int target, const char *bytes, size_t count) {
    while (count > 0) {
        ssize_t written = write(target, bytes, count);
        if (written < 0 && errno == EAGAIN) {
            poll(&(struct pollfd){.fd = target, .events = POLLOUT}, 1, -1);
            continue;
        }
        if (written < 0) return false;
        bytes += written;
        count -= (size_t)written;
    }
    return true;
}

static void *carry(void *argument) {
    mi_stream *stream = argument;
    mi_signals_keep_out();
    char *chunk = carriers[stream->target - STDOUT_FILENO].chunk;
    struct pollfd both[] = {{.fd = stream->reader, .events = POLLIN}, {.fd = over[0], .events = POLLIN}};
    for (;;) {
        poll(both, 2, -1);
        /* An orphan may hold the pipe for ever: at the end, only what is already in it counts. */
        if (!(both[0].revents & (POLLIN | POLLHUP))) break;
        ssize_t got = read(stream->reader, chunk, CHUNK_BYTES);
        if (got <= 0 || !write_all(stream->target, chunk, (size_t)got)) break;
    }
    /* Where nobody listens any more, the program hears of it as if it had written there itself. */
    close(stream->reader);
    return NULL;
}

int mi_outputs_start(mi_outputs *outputs) {
    pthread_attr_t small;
    pthread_attr_init(&small);
    pthread_attr_setstacksize(&small, STACK_BYTES);
    for (int i = 0; i < MI_STREAMS; i++) {
        if (outputs->streams[i].reader < 0) continue;
        int error = pthread_create(&carriers[i].thread, &small, carry, &outputs->streams[i]);
        if (error) return -error;
        carriers[i].runs = true;
    }
    pthread_attr_destroy(&small);
    mi_signals_keep_out();
    return 0;
}

void mi_outputs_finish(mi_outputs *outputs) {
    if (!outputs->owned) return;
    for (int i = 0; i < MI_STREAMS; i++)
        if (outputs->streams[i].reader >= 0) close(outputs->streams[i].writer);
    close(over[1]);
    struct timespec limit;
    clock_gettime(CLOCK_REALTIME, &limit);
    limit.tv_sec += DRAIN_SECONDS;
    for (int i = 0; i < MI_STREAMS; i++)
        if (carriers[i].runs) pthread_timedjoin_np(carriers[i].thread, NULL, &limit);
}
