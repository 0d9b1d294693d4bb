#include "line.h"

#include "complaint.h"
#include "descriptor.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define MESSAGE_BYTES 256
#define SCHEME "unix://"
#define SOCKET "init.sock"
/* The first complaint after ten seconds, the next ones every minute. */
#define TRIES_BEFORE_COMPLAINT 20
#define TRIES_BETWEEN_COMPLAINTS 120

/* Beside the agent's own socket. */
static bool find_socket(struct sockaddr_un *out) {
    const char *address = getenv("MMSNAP_ADDRESS");
    if (!address || strncmp(address, SCHEME, sizeof SCHEME - 1) != 0) return false;
    const char *path = address + sizeof SCHEME - 1, *slash = strrchr(path, '/');
    if (!slash) return false;
    *out = (struct sockaddr_un){.sun_family = AF_UNIX};
    int length = snprintf(out->sun_path, sizeof out->sun_path, "%.*s/%s", (int)(slash - path), path, SOCKET);
    return length > 0 && (size_t)length < sizeof out->sun_path;
}

static void give_up(mi_line *line) {
    close(line->fd);
    line->fd = -1;
}

static void send_words(mi_line *line, const char *words, int length) {
    if (line->fd < 0) return;
    if (send(line->fd, words, (size_t)length, MSG_NOSIGNAL) < 0) give_up(line);
}

/* The end of the pipe; where an output is no pipe of ours, what it is; where it is closed, nothing. */
static int end_of(const mi_stream *stream, int nothing) {
    if (stream->writer >= 0) return stream->writer;
    return fcntl(stream->target, F_GETFD) >= 0 ? stream->target : nothing;
}

static ssize_t send_hello(const mi_line *line, pid_t program) {
    const char *member = getenv("MMSNAP_MEMBER");
    char words[MESSAGE_BYTES];
    int length = snprintf(words, sizeof words, "hello %.128s %d", member ? member : "main", (int)program);
    int ends[MI_STREAMS], nothing = mi_descriptor_move_up(open("/dev/null", O_WRONLY | O_CLOEXEC));
    for (int i = 0; i < MI_STREAMS; i++) ends[i] = end_of(&line->outputs->streams[i], nothing);
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(sizeof ends)];
    } control = {0};
    struct iovec text = {.iov_base = words, .iov_len = (size_t)length};
    struct msghdr message = {.msg_iov = &text,
                             .msg_iovlen = 1,
                             .msg_control = control.bytes,
                             .msg_controllen = sizeof control.bytes};
    struct cmsghdr *files = CMSG_FIRSTHDR(&message);
    files->cmsg_level = SOL_SOCKET;
    files->cmsg_type = SCM_RIGHTS;
    files->cmsg_len = CMSG_LEN(sizeof ends);
    memcpy(CMSG_DATA(files), ends, sizeof ends);
    ssize_t sent = sendmsg(line->fd, &message, MSG_NOSIGNAL);
    int error = errno;
    close(nothing);
    errno = error;
    return sent;
}

static int call(mi_line *line, pid_t program) {
    struct sockaddr_un agent;
    if (!find_socket(&agent)) return EDESTADDRREQ;
    line->fd = mi_descriptor_move_up(socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
    if (line->fd < 0) return errno;
    if (connect(line->fd, (const struct sockaddr *)&agent, sizeof agent) == 0 &&
        send_hello(line, program) >= 0)
        return 0;
    int error = errno;
    give_up(line);
    return error;
}

void mi_line_mend(mi_line *line, pid_t program) {
    if (line->fd >= 0) return;
    int error = call(line, program);
    if (!error) {
        line->tries = 0;
        return;
    }
    line->tries++;
    if (line->tries % TRIES_BETWEEN_COMPLAINTS != TRIES_BEFORE_COMPLAINT) return;
    mi_complain(program ? "the node's agent does not answer; the program runs on"
                        : "waiting for the node's agent to start or to restore the program",
                error);
}

mi_order mi_line_next(mi_line *line, pid_t *program) {
    char words[MESSAGE_BYTES];
    ssize_t got = recv(line->fd, words, sizeof words - 1, MSG_DONTWAIT);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) return MI_ORDER_NONE;
    if (got <= 0) {
        give_up(line);
        return MI_ORDER_NONE;
    }
    words[got] = '\0';
    int pid;
    if (strcmp(words, "start") == 0) return MI_ORDER_START;
    if (strcmp(words, "go") == 0) return MI_ORDER_GO;
    if (strcmp(words, "hold") == 0) return MI_ORDER_HOLD;
    if (strcmp(words, "fail") == 0) return MI_ORDER_FAIL;
    if (sscanf(words, "program %d", &pid) == 1 && pid > 1) {
        *program = pid;
        return MI_ORDER_PROGRAM;
    }
    mi_complain("the node's agent said what this version does not know", 0);
    give_up(line);
    return MI_ORDER_NONE;
}

void mi_line_tell_started(mi_line *line, pid_t program) {
    char words[MESSAGE_BYTES];
    send_words(line, words, snprintf(words, sizeof words, "started %d", (int)program));
}

void mi_line_tell_exited(mi_line *line, pid_t process, int status) {
    char words[MESSAGE_BYTES];
    send_words(line, words, snprintf(words, sizeof words, "exited %d %d", (int)process, status));
}
