#include "history.h"

#include "error.h"

#include <string.h>

/* A base in the middle of a move is no checkpoint; readers reach both its ends from this stand-in. */
#define EPOCH_MIXED (UINT64_MAX - 1)

int mm_history_init(mm_history *history) {
    memset(history, 0, sizeof *history);
    history->moving_to = MM_EPOCH_NONE;
    mm_node root = {.delta_id = 0};
    return mm_history_put(history, &root);
}

void mm_history_free(mm_history *history) {
    free(history->nodes);
    history->nodes = NULL;
    history->count = history->room = 0;
}

int mm_history_copy(mm_history *to, const mm_history *from) {
    *to = *from;
    to->room = from->count;
    to->nodes = malloc(from->count * sizeof *from->nodes);
    if (!to->nodes) return mm_fail_errno("copying a history of %zu checkpoints", from->count);
    memcpy(to->nodes, from->nodes, from->count * sizeof *from->nodes);
    return MM_OK;
}

/* Index of `epoch`, or of the place where it belongs. */
static size_t position(const mm_history *history, uint64_t epoch) {
    size_t low = 0, high = history->count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (history->nodes[middle].info.epoch < epoch)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

mm_node *mm_history_find(const mm_history *history, uint64_t epoch) {
    size_t at = position(history, epoch);
    return at < history->count && history->nodes[at].info.epoch == epoch ? &history->nodes[at] : NULL;
}

mm_node *mm_history_find_name(const mm_history *history, const char *name) {
    for (size_t i = history->count; i-- > 0;)
        if (history->nodes[i].live && strcmp(history->nodes[i].info.name, name) == 0)
            return &history->nodes[i];
    return NULL;
}

int mm_history_put(mm_history *history, const mm_node *node) {
    size_t at = position(history, node->info.epoch);
    if (at < history->count && history->nodes[at].info.epoch == node->info.epoch) {
        history->nodes[at] = *node;
        return MM_OK;
    }
    if (history->count == history->room) {
        size_t room = history->room ? 2 * history->room : 16;
        mm_node *nodes = realloc(history->nodes, room * sizeof *nodes);
        if (!nodes) return mm_fail_errno("a history of %zu checkpoints", room);
        history->nodes = nodes;
        history->room = room;
    }
    memmove(history->nodes + at + 1, history->nodes + at, (history->count - at) * sizeof *node);
    history->nodes[at] = *node;
    history->count++;
    if (node->info.epoch > history->highest_epoch) history->highest_epoch = node->info.epoch;
    return MM_OK;
}

void mm_history_drop(mm_history *history, uint64_t epoch) {
    mm_node *node = mm_history_find(history, epoch);
    if (!node) return;
    size_t at = (size_t)(node - history->nodes);
    memmove(node, node + 1, (history->count - at - 1) * sizeof *node);
    history->count--;
}

size_t mm_history_dependents(const mm_history *history, uint64_t epoch, uint64_t except) {
    size_t found = 0;
    for (size_t i = 0; i < history->count; i++) {
        const mm_node *node = &history->nodes[i];
        found += node->delta_id && node->from == epoch && node->info.epoch != except;
    }
    return found;
}

int mm_history_path(const mm_history *history, uint64_t target, uint64_t **out, size_t *count) {
    uint64_t *path = malloc((history->count + 1) * sizeof *path);
    if (!path) return mm_fail_errno("the way to checkpoint @%llu", (unsigned long long)target);
    size_t length = 0;
    for (uint64_t at = target; at != history->base;) {
        const mm_node *node = mm_history_find(history, at);
        if (!node || !node->delta_id || length == history->count) {
            free(path);
            return mm_fail(MM_E_CORRUPT,
                           "checkpoint @%llu can not be reached: @%llu, which it stands on, is missing",
                           (unsigned long long)target, (unsigned long long)at);
        }
        path[length++] = at;
        at = node->from;
    }
    for (size_t i = 0; i < length / 2; i++) {
        uint64_t swap = path[i];
        path[i] = path[length - 1 - i];
        path[length - 1 - i] = swap;
    }
    *out = path;
    *count = length;
    return MM_OK;
}

void mm_history_settle_view(mm_history *history) {
    if (history->moving_to == MM_EPOCH_NONE) return;
    mm_node *before = mm_history_find(history, history->base);
    mm_node *after = mm_history_find(history, history->moving_to);
    if (before) {
        before->delta_id = history->undo_id;
        before->from = EPOCH_MIXED;
    }
    if (after) after->from = EPOCH_MIXED;
    history->base = EPOCH_MIXED;
    history->moving_to = MM_EPOCH_NONE;
}
