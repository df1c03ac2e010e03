/* SPDX-License-Identifier: Apache-2.0 */
/* One node of the demo: a child of demo.c. */
#include "demo.h"

#include <errno.h>
#include <poll.h>
#include <proa/client.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "builtin.h"
#include "demo_child.h"
#include "demo_load.h"
#include "demo_raw.h"
#include "demo_visitor.h"
#include "demo_worker.h"
#include "node_internal.h"
#include "kernel_clock.h"

struct child {
    struct demo_child all;
    bool is_a;
    struct demo_raw *raw; /* after the node has left */
    bool raw_up;          /* and said so */
    proa_ns late_at;      /* when A registers DEMO_LATE; PROA_NS_NEVER */
};

/* ---- Starting ---- */

/* B listens: its side of the port is virtio's, the cheaper one to send from. */
static void configure(bool is_a, const char *dir, struct proa_config *config)
{
    proa_config_init(config);
    config->port_count = 1;
    snprintf(config->ports[0].spec, sizeof(config->ports[0].spec), "vhost:%s=%s/vhost",
             is_a ? "connect" : "listen", dir);
    snprintf(config->ports[0].address, sizeof(config->ports[0].address), "%s/24",
             is_a ? DEMO_ADDRESS_A : DEMO_ADDRESS_B);
    if (!is_a) {
        config->seed_count = 1;
        snprintf(config->seeds[0], sizeof(config->seeds[0]), "%s:%d", DEMO_ADDRESS_A,
                 PROA_PORT);
    }
    snprintf(config->state_dir, sizeof(config->state_dir), "%s/%s", dir,
             is_a ? "a" : "b");
}

static bool begin_a(struct child *c)
{
    struct proa_ref ref;
    enum proa_outcome outcome = proa_client_spawn(
        c->all.client, 0, &builtin_counter, NULL, 0, DEMO_COUNTER, CHILD_SPAWN_FOR, &ref);

    if (outcome == PROA_OK)
        outcome = proa_client_spawn(c->all.client, 0, &load_sink, NULL, 0, DEMO_SINK,
                                    CHILD_SPAWN_FOR, &ref);
    if (outcome != PROA_OK)
        return child_fail("spawn of " DEMO_COUNTER, outcome);
    child_say("spawned");
    return true;
}

static bool begin_b(struct child *c)
{
    const struct visitor_arg arg = {.listener = proa_client_ref(c->all.client),
                                    .seconds = c->all.options->seconds};
    struct proa_ref ref;
    enum proa_outcome outcome = proa_client_spawn(
        c->all.client, 0, &demo_visitor, &arg, sizeof(arg), NULL, CHILD_SPAWN_FOR, &ref);

    return outcome == PROA_OK || child_fail("spawn of the visitor", outcome);
}

/* ---- Running ---- */

static bool register_late(struct child *c)
{
    struct proa_ref ref;
    proa_ns began = clock_now();
    enum proa_outcome outcome = proa_client_spawn(c->all.client, 0, &builtin_echo, NULL,
                                                  0, DEMO_LATE, CHILD_SPAWN_FOR, &ref);

    c->late_at = PROA_NS_NEVER;
    if (outcome != PROA_OK)
        return child_fail("registration of " DEMO_LATE, outcome);
    child_say("late %llu", (unsigned long long)began);
    return true;
}

static void read_core(struct proa_node *node, void *ctx)
{
    core_stats(node->core, ctx);
}

/* Under the load no node died, so none may have been taken for dead. */
static bool nobody_died(struct child *c)
{
    struct core_stats stats;

    node_call(c->all.node, read_core, &stats);
    if (stats.dead_nodes > 0)
        child_say("fail the other node was taken for dead");
    return stats.dead_nodes == 0;
}

static bool begin_raw(struct child *c)
{
    char err[PROA_TEXT_MAX];

    if (!nobody_died(c))
        return false;
    child_leave(&c->all);
    c->raw = demo_raw_open(c->all.dir, c->is_a, c->all.options->pages, err, sizeof(err));
    if (c->raw == NULL)
        child_say("fail raw limit: %s", err);
    return c->raw != NULL;
}

static bool run_raw(struct child *c, const char *name,
                    bool (*step)(struct demo_raw *, struct demo_raw_result *))
{
    struct demo_raw_result r;

    if (c->raw == NULL || !step(c->raw, &r)) {
        child_say("fail raw limit: the lane is busy");
        return false;
    }
    child_say("%s %llu %llu %llu %llu %llu", name, (unsigned long long)r.packets,
              (unsigned long long)r.elapsed, (unsigned long long)r.p50,
              (unsigned long long)r.p99, (unsigned long long)r.p999);
    return true;
}

/* What a command led to. */
enum next { NEXT_ON, NEXT_QUIT, NEXT_FAIL };

static enum next do_command(struct child *c, const char *command)
{
    bool ok = true;

    if (strcmp(command, "late") == 0)
        c->late_at = clock_now() + DEMO_LATE_AFTER;
    else if (strcmp(command, "raw") == 0)
        ok = begin_raw(c);
    else if (strcmp(command, "raw-trip") == 0)
        ok = run_raw(c, command, demo_raw_trip);
    else if (strcmp(command, "raw-flood") == 0)
        ok = run_raw(c, command, demo_raw_flood);
    else
        return NEXT_QUIT;
    return ok ? NEXT_ON : NEXT_FAIL;
}

/* Does what the parent says. */
static enum next obey(struct child *c)
{
    char line[CHILD_COMMAND_MAX];
    enum next next = NEXT_ON;

    if (!child_hear(&c->all))
        return NEXT_QUIT;
    while (next == NEXT_ON && child_command(&c->all, line))
        next = do_command(c, line);
    return next;
}

static int wait_ms(const struct child *c)
{
    proa_ns now = clock_now();

    if (c->raw != NULL && !c->raw_up)
        return 10;
    if (c->late_at == PROA_NS_NEVER)
        return -1;
    return c->late_at <= now ? 0 : (int)((c->late_at - now) / PROA_MS) + 1;
}

/* Until the parent says quit, or is gone, or a signal comes.  False: something failed. */
static bool run(struct child *c)
{
    for (;;) {
        struct pollfd fds[3] = {
            {.fd = c->all.signals, .events = POLLIN},
            {.fd = DEMO_FD, .events = POLLIN},
            {.fd = c->all.client != NULL ? proa_client_fd(c->all.client) : -1,
             .events = POLLIN}};
        enum next next;

        if (poll(fds, 3, wait_ms(c)) < 0 && errno != EINTR)
            return false;
        child_pass_notes(&c->all);
        if (fds[0].revents != 0)
            return true;
        next = fds[1].revents != 0 ? obey(c) : NEXT_ON;
        if (next != NEXT_ON)
            return next == NEXT_QUIT;
        if (c->late_at <= clock_now() && !register_late(c))
            return false;
        if (c->raw != NULL && !c->raw_up && demo_raw_is_up(c->raw)) {
            c->raw_up = true;
            child_say("raw-up");
        }
    }
}

int demo_node(const struct options *options)
{
    struct child c = {.is_a = strcmp(options->words[0], "a") == 0,
                      .late_at = PROA_NS_NEVER};
    struct proa_config config;
    bool ok;

    if (options->words[0][0] >= '1' && options->words[0][0] <= '3')
        return demo_worker_node(options);
    configure(c.is_a, options->words[1], &config);
    ok = child_open(&c.all, options, &config) && (c.is_a ? begin_a(&c) : begin_b(&c)) &&
         run(&c);
    demo_raw_close(c.raw);
    child_close(&c.all);
    return ok ? 0 : 1;
}
