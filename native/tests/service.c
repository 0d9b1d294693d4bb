#include "service.h"

#include "check.h"

#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define PATIENCE_MS 20000

void service_open(service *service, const char *pool) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(service->path, sizeof service->path, "%s/service", pool);
    snprintf(address.sun_path, sizeof address.sun_path, "%.100s", service->path);
    service->fd = -1;
    service->listen_fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    CHECK(service->listen_fd >= 0);
    CHECK(bind(service->listen_fd, (struct sockaddr *)&address, sizeof address) == 0);
    CHECK(listen(service->listen_fd, 4) == 0);
}

void service_hang_up(service *service) {
    if (service->fd >= 0) close(service->fd);
    service->fd = -1;
}

void service_close(service *service) {
    service_hang_up(service);
    close(service->listen_fd);
}

static int is_readable(int fd, int milliseconds) {
    struct pollfd wait = {fd, POLLIN, 0};
    return poll(&wait, 1, milliseconds) == 1;
}

static mm_message next_message(service *service) {
    mm_message message;
    CHECK(is_readable(service->fd, PATIENCE_MS));
    CHECK(recv(service->fd, &message, sizeof message, 0) == (ssize_t)sizeof message);
    CHECK(message.magic == MM_MESSAGE_MAGIC);
    return message;
}

mm_message service_accept(service *service) {
    CHECK(is_readable(service->listen_fd, PATIENCE_MS));
    service->fd = accept(service->listen_fd, NULL, NULL);
    CHECK(service->fd >= 0);
    mm_message hello = next_message(service);
    CHECK(hello.kind == MM_MSG_HELLO);
    return hello;
}

static void send_message(service *service, mm_message message) {
    message.magic = MM_MESSAGE_MAGIC;
    CHECK(send(service->fd, &message, sizeof message, MSG_NOSIGNAL) == (ssize_t)sizeof message);
}

void tell_leased(service *service, int kind, uint64_t epoch, uint64_t word0, uint64_t lease_ns) {
    mm_message message = {.kind = (uint16_t)kind, .epoch = epoch, .lease_ns = lease_ns, .word = {word0}};
    if (kind == MM_MSG_BEGIN) snprintf(message.text, sizeof message.text, "c%d", (int)epoch);
    send_message(service, message);
}

void tell_to_quiesce_and_cut(service *service, uint64_t epoch, uint64_t max_pause_ns) {
    send_message(service, (mm_message){.kind = MM_MSG_QUIESCE,
                                       .epoch = epoch,
                                       .lease_ns = LEASE_NS,
                                       .word = {0, 1, max_pause_ns}});
}

void tell(service *service, int kind, uint64_t epoch, uint64_t word0) {
    tell_leased(service, kind, epoch, word0, LEASE_NS);
}

mm_message hear(service *service, int kind, uint64_t epoch) {
    mm_message message = next_message(service);
    if (message.kind != kind || message.epoch != epoch)
        fprintf(stderr, "heard %d of epoch %d (%s), expected %d of %d\n", message.kind, (int)message.epoch,
                message.text, kind, (int)epoch);
    CHECK(message.kind == kind && message.epoch == epoch);
    return message;
}

void hear_failed(service *service, int kind, uint64_t epoch, int status) {
    mm_message failed = hear(service, MM_MSG_FAILED, epoch);
    if (failed.word[0] != (uint64_t)-status)
        fprintf(stderr, "failed with %d: %s\n", (int)failed.word[0], failed.text);
    CHECK(failed.word[0] == (uint64_t)-status && failed.word[1] == (uint64_t)kind);
    CHECK(failed.text[0] != '\0');
}

void hear_nothing(service *service, int milliseconds) { CHECK(!is_readable(service->fd, milliseconds)); }

void hear_the_end(service *service) {
    mm_message message;
    CHECK(is_readable(service->fd, PATIENCE_MS));
    CHECK(recv(service->fd, &message, sizeof message, 0) == 0);
    service_hang_up(service);
}

void prepare_epoch(service *service, uint64_t epoch) {
    static const int steps[][2] = {{MM_MSG_BEGIN, MM_MSG_READY},
                                   {MM_MSG_QUIESCE, MM_MSG_HELD},
                                   {MM_MSG_CUT, MM_MSG_CUT_DONE},
                                   {MM_MSG_RESUME, MM_MSG_SEALED}};
    for (size_t i = 0; i < COUNT_OF(steps); i++) {
        tell(service, steps[i][0], epoch, 0);
        hear(service, steps[i][1], epoch);
    }
}

void commit_epoch(service *service, uint64_t epoch) {
    prepare_epoch(service, epoch);
    tell(service, MM_MSG_COMMIT, epoch, 0);
    hear(service, MM_MSG_DONE, epoch);
}
