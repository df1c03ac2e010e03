/* SPDX-License-Identifier: Apache-2.0 */
#include "events_node.h"

#include <poll.h>
#include <unistd.h>

#include "node_internal.h"

/* ---- Log lines on stderr ---- */

/* The control thread must not wait for whoever reads stderr: a line is written only when there is
   room.  A pipe that is writable takes PIPE_BUF (4,096) bytes at once. */
static void print_line(void *ctx, const struct proa_log_line *line)
{
    struct proa_node *node = ctx;
    char text[2048];
    struct pollfd fd = {.fd = STDERR_FILENO, .events = POLLOUT};
    size_t len = proa_log_print(line, text, sizeof(text) - 1);

    text[len++] = '\n';
    if (poll(&fd, 1, 0) == 1 && (fd.revents & POLLOUT) != 0 &&
        write(STDERR_FILENO, text, len) == (ssize_t)len)
        return;
    core_log_unprinted(node->core);
}

void events_node_init(struct proa_node *node)
{
    core_on_log(node->core, print_line, node);
}

/* ---- What the user installs, by the control thread's own hand ---- */

struct install {
    proa_on_event event;
    proa_on_dead_letter dead_letter;
    proa_on_log log;
    void *ctx;
};

static void install_event(struct proa_node *node, void *ctx)
{
    const struct install *install = ctx;

    core_on_event(node->core, install->event, install->ctx);
}

static void install_dead_letter(struct proa_node *node, void *ctx)
{
    const struct install *install = ctx;

    core_on_dead_letter(node->core, install->dead_letter, install->ctx);
}

static void install_log(struct proa_node *node, void *ctx)
{
    const struct install *install = ctx;

    if (install->log != NULL)
        core_on_log(node->core, install->log, install->ctx);
    else
        events_node_init(node);
}

void proa_node_on_event(struct proa_node *node, proa_on_event fn, void *ctx)
{
    struct install install = {.event = fn, .ctx = ctx};

    node_call(node, install_event, &install);
}

void proa_node_on_dead_letter(struct proa_node *node, proa_on_dead_letter fn, void *ctx)
{
    struct install install = {.dead_letter = fn, .ctx = ctx};

    node_call(node, install_dead_letter, &install);
}

void proa_node_on_log(struct proa_node *node, proa_on_log fn, void *ctx)
{
    struct install install = {.log = fn, .ctx = ctx};

    node_call(node, install_log, &install);
}

void proa_node_log_level(struct proa_node *node, enum proa_log_level level)
{
    for (unsigned i = 0; i < node->lane_count; i++)
        sched_log_level(lane_sched(node->lanes[i].lane), level);
}
