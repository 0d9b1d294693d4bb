#include "member.h"

#include "clock.h"
#include "error.h"
#include "thread.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* ---- events for the application -------------------------------------------------- */

void mm_member_tell(mm_member *member, mm_member_event event) {
    pthread_mutex_lock(&member->lock);
    if (member->event_count == MM_EVENTS_MAX) { /* nobody listens: the newest say how things stand */
        member->first_event = (member->first_event + 1) % MM_EVENTS_MAX;
        member->event_count--;
    }
    member->events[(member->first_event + member->event_count++) % MM_EVENTS_MAX] = event;
    pthread_cond_broadcast(&member->changed);
    pthread_mutex_unlock(&member->lock);
}

int mm_member_next_event(mm_member *member, int timeout_ms, mm_member_event *out) {
    if (member->region->forked)
        return mm_fail(MM_E_FORKED, "the member belongs to the parent of this process");
    uint64_t end = mm_clock_ns(CLOCK_MONOTONIC) + (uint64_t)timeout_ms * 1000000u;
    struct timespec deadline = {(time_t)(end / MM_SECOND_NS), (long)(end % MM_SECOND_NS)};
    int status = MM_OK;
    pthread_mutex_lock(&member->lock);
    while (!member->event_count && status == MM_OK)
        if (pthread_cond_timedwait(&member->changed, &member->lock, &deadline) == ETIMEDOUT)
            status = MM_E_AGAIN;
    if (member->event_count) {
        status = MM_OK;
        *out = member->events[member->first_event];
        member->first_event = (member->first_event + 1) % MM_EVENTS_MAX;
        member->event_count--;
    }
    pthread_mutex_unlock(&member->lock);
    return status;
}

static void wake(mm_member *member) {
    uint64_t one = 1;
    ssize_t put = write(member->wake_fd, &one, sizeof one);
    MM_ASSERT(put == (ssize_t)sizeof one || errno == EAGAIN);
}

int mm_member_ready(mm_member *member, uint64_t epoch, int ok, uint64_t hook_ns, const char *why) {
    if (member->region->forked)
        return mm_fail(MM_E_FORKED, "the member belongs to the parent of this process");
    pthread_mutex_lock(&member->lock);
    member->answered = 1;
    member->answer_ok = ok;
    member->answered_epoch = epoch;
    member->hook_ns = hook_ns;
    snprintf(member->answer_why, sizeof member->answer_why, "%s", why ? why : "");
    pthread_mutex_unlock(&member->lock);
    wake(member);
    return MM_OK;
}

int mm_member_set_hooks(mm_member *member, int hooks) {
    pthread_mutex_lock(&member->lock);
    member->hooks = hooks;
    pthread_mutex_unlock(&member->lock);
    return MM_OK;
}

/* ---- the thread -------------------------------------------------------------------- */

static int is_held(const mm_member *member) {
    return member->state == MM_MEMBER_HELD || member->state == MM_MEMBER_CUT;
}

/* How long the thread may sleep: a held member wakes when its lease ends. */
static int wait_for_work(mm_member *member, struct pollfd wait[2]) {
    struct timespec timeout = {3600, 0};
    if (is_held(member)) {
        uint64_t now = mm_now_ns(), left = member->lease_end_ns > now ? member->lease_end_ns - now : 0;
        timeout = (struct timespec){(time_t)(left / MM_SECOND_NS), (long)(left % MM_SECOND_NS)};
    }
    wait[0] = (struct pollfd){member->fd, POLLIN, 0};
    wait[1] = (struct pollfd){member->wake_fd, POLLIN, 0};
    return ppoll(wait, 2, &timeout, NULL);
}

static void take_order(mm_member *member) {
    mm_message order;
    ssize_t got = recv(member->fd, &order, sizeof order, MSG_DONTWAIT);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (got != (ssize_t)sizeof order || order.magic != MM_MESSAGE_MAGIC) {
        member->lost = 1;
        return;
    }
    order.text[MM_MESSAGE_TEXT - 1] = '\0';
    mm_member_obey(member, &order);
}

static int is_stopping(mm_member *member) {
    pthread_mutex_lock(&member->lock);
    int stop = member->stop;
    pthread_mutex_unlock(&member->lock);
    return stop;
}

static void *member_main(void *argument) {
    mm_member *member = argument;
    while (!member->lost && !is_stopping(member)) {
        struct pollfd wait[2];
        int ready = wait_for_work(member, wait);
        if (ready < 0 && errno != EINTR) break;
        uint64_t wakes;
        if (ready > 0 && wait[1].revents && read(member->wake_fd, &wakes, sizeof wakes) > 0)
            mm_member_go_on_after_hooks(member);
        if (ready > 0 && wait[0].revents) take_order(member);
        /* Only when no order waits: after a long cut, the renewal that came in time does. */
        if (ready == 0 && is_held(member) && mm_now_ns() >= member->lease_end_ns)
            mm_member_thaw(member, "the lease ended while the member was held");
    }
    int was_lost = member->lost;
    member->region->seen_epoch = member->highest_epoch;
    member->lost = 1; /* whatever is under way ends without an answer */
    mm_member_thaw(member, "the connection ended");
    shutdown(member->fd, SHUT_RDWR); /* the service need not wait for the application to notice */
    if (was_lost) mm_member_tell(member, (mm_member_event){.kind = MM_EVENT_LOST});
    return NULL;
}

/* ---- coming and going ---------------------------------------------------------------- */

static int connect_to(const char *path) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof address.sun_path)
        return mm_fail(MM_E_INVALID, "the socket's path %s is too long", path);
    memcpy(address.sun_path, path, strlen(path) + 1);
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    if (fd < 0) return mm_fail_errno("a socket for the node service");
    if (connect(fd, (struct sockaddr *)&address, sizeof address) == 0) return fd;
    mm_fail_errno("connecting to the node service at %s", path);
    close(fd);
    return MM_E_DISCONNECTED;
}

static void initialise(mm_member *member, mm_region *region, int hooks) {
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_mutex_init(&member->lock, NULL);
    pthread_cond_init(&member->changed, &monotonic);
    pthread_condattr_destroy(&monotonic);
    member->region = region;
    member->hooks = hooks;
    member->highest_epoch = region->history.highest_epoch;
    if (region->in_doubt > member->highest_epoch) member->highest_epoch = region->in_doubt;
    if (region->seen_epoch > member->highest_epoch) member->highest_epoch = region->seen_epoch;
    mm_region_ref(region);
}

static void dispose(mm_member *member) {
    if (member->fd >= 0) close(member->fd);
    if (member->wake_fd >= 0) close(member->wake_fd);
    member->region->member_fd = -1;
    mm_region_unref(member->region);
    pthread_mutex_destroy(&member->lock);
    pthread_cond_destroy(&member->changed);
    free(member);
}

static int say(mm_member *member, mm_message message) {
    message.magic = MM_MESSAGE_MAGIC;
    if (send(member->fd, &message, sizeof message, MSG_NOSIGNAL) == (ssize_t)sizeof message) return MM_OK;
    mm_fail_errno("speaking to the node service");
    return MM_E_DISCONNECTED;
}

int mm_member_start(mm_region *region, const char *socket_path, uint64_t token, int hooks, mm_member **out) {
    int status = mm_region_begin(region, 1);
    if (status != MM_OK) return status;
    mm_member *member = calloc(1, sizeof *member);
    if (member) initialise(member, region, hooks);
    mm_region_end(region);
    if (!member) return mm_fail_errno("joining a group");
    member->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    member->fd = connect_to(socket_path);
    status = member->wake_fd < 0 ? mm_fail_errno("joining a group") : member->fd < 0 ? member->fd : MM_OK;
    if (status == MM_OK)
        status =
            say(member, (mm_message){.kind = MM_MSG_HELLO,
                                     .token = token,
                                     .word = {(uint64_t)getpid(), region->in_doubt, member->highest_epoch}});
    region->member_fd = member->fd;
    if (status == MM_OK)
        status = mm_thread_start(&member->thread, member_main, member, MM_THREAD_PROMPT, "member");
    if (status == MM_OK)
        *out = member;
    else
        dispose(member);
    return status;
}

void mm_member_stop(mm_member *member, int leave) {
    if (member->region->forked) return; /* the thread and the connection are the parent's */
    if (leave) say(member, (mm_message){.kind = MM_MSG_BYE});
    pthread_mutex_lock(&member->lock);
    member->stop = 1;
    pthread_mutex_unlock(&member->lock);
    wake(member);
    pthread_join(member->thread, NULL);
    dispose(member);
}
