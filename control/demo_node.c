/* SPDX-License-Identifier: Apache-2.0 */
/* One node of the demo: a child of demo.c. */
#include "demo.h"

#include <errno.h>
#include <poll.h>
#include <proa/client.h>
#include <signal.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "builtin.h"
#include "demo_family.h"
#include "demo_load.h"
#include "demo_raw.h"
#include "demo_visitor.h"
#include "eal.h"
#include "node_internal.h"

#define JOIN_FOR (20 * PROA_S) /* the other node may still be starting */
#define SPAWN_FOR (5 * PROA_S)
#define COMMAND_MAX 64

struct child {
    const struct options *options;
    bool is_a;
    const char *dir;
    int signals;
    struct proa_node *node;
    struct proa_client *client;
    struct demo_raw *raw; /* after the node has left */
    bool raw_up;          /* and said so */
    bool orphan;          /* the parent is gone without a word */
    proa_ns late_at;      /* when A registers DEMO_LATE; PROA_NS_NEVER */
    char command[COMMAND_MAX];
    size_t command_len;
};

static proa_ns clock_now(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (proa_ns)ts.tv_sec * PROA_S + (proa_ns)ts.tv_nsec;
}

/* One line to the parent.  When the parent is gone, the channel's end says so soon enough. */
__attribute__((format(printf, 1, 2))) static void say(const char *format, ...)
{
    char text[DEMO_NOTE_MAX + 2];
    va_list args;
    int n;

    va_start(args, format);
    n = vsnprintf(text, sizeof(text) - 1, format, args);
    va_end(args);
    if (n > (int)sizeof(text) - 2)
        n = (int)sizeof(text) - 2;
    text[n] = '\n';
    (void)!send(DEMO_FD, text, (size_t)n + 1, MSG_NOSIGNAL);
}

static bool fail(const char *what, enum proa_outcome outcome)
{
    say("fail %s: %s", what, proa_outcome_name(outcome));
    return false;
}

/* ---- Starting ---- */

static bool read_key(uint8_t key[PROA_KEY_LEN])
{
    size_t len = 0;

    while (len < PROA_KEY_LEN) {
        ssize_t got = read(DEMO_FD, key + len, PROA_KEY_LEN - len);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return false;
        len += (size_t)got;
    }
    return true;
}

static int block_signals(void)
{
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGHUP);
    sigprocmask(SIG_BLOCK, &set, NULL);
    return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

/* B listens: its side of the port is virtio's, the cheaper one to send from. */
static void configure(const struct child *c, struct proa_config *config)
{
    proa_config_init(config);
    config->port_count = 1;
    snprintf(config->ports[0].spec, sizeof(config->ports[0].spec), "vhost:%s=%s/vhost",
             c->is_a ? "connect" : "listen", c->dir);
    snprintf(config->ports[0].address, sizeof(config->ports[0].address), "%s/24",
             c->is_a ? DEMO_ADDRESS_A : DEMO_ADDRESS_B);
    if (!c->is_a) {
        config->seed_count = 1;
        snprintf(config->seeds[0], sizeof(config->seeds[0]), "%s:%d", DEMO_ADDRESS_A,
                 PROA_PORT);
    }
    snprintf(config->state_dir, sizeof(config->state_dir), "%s/%s", c->dir,
             c->is_a ? "a" : "b");
    config->has_cluster_key = true;
    config->idle = c->options->idle;
    config->pages = c->options->pages;
}

static bool start(struct child *c)
{
    struct proa_config config;
    char err[PROA_TEXT_MAX], address[64];

    configure(c, &config);
    if (!read_key(config.cluster_key))
        return false;
    if (proa_node_start(&config, &c->node, err, sizeof(err)) != PROA_OK) {
        sodium_memzero(config.cluster_key, sizeof(config.cluster_key));
        say("fail %s", err);
        return false;
    }
    sodium_memzero(config.cluster_key, sizeof(config.cluster_key));
    proa_node_address(c->node, address, sizeof(address));
    say("up %016llx %s %d %s", (unsigned long long)proa_node_id(c->node), address,
        c->node->lanes[0].core, eal_huge() ? "huge" : "ordinary");
    return true;
}

/* True when the parent or a signal wants this process to end. */
static bool is_over(struct child *c)
{
    struct pollfd fds[2] = {{.fd = c->signals, .events = POLLIN},
                            {.fd = DEMO_FD, .events = POLLRDHUP}};

    if (poll(fds, 2, 0) <= 0)
        return false;
    c->orphan = fds[0].revents == 0 && (fds[1].revents & (POLLRDHUP | POLLHUP)) != 0;
    return fds[0].revents != 0 || c->orphan;
}

static bool join(struct child *c)
{
    proa_ns until = clock_now() + JOIN_FOR;
    char err[PROA_TEXT_MAX];

    while (!is_over(c)) {
        if (proa_node_join(c->node, 100 * PROA_MS, err, sizeof(err)) == PROA_OK) {
            say("joined");
            return true;
        }
        if (clock_now() >= until) {
            say("fail %s", err);
            return false;
        }
    }
    return false;
}

static bool begin_a(struct child *c)
{
    struct proa_ref ref;
    enum proa_outcome outcome = proa_client_spawn(c->client, 0, &builtin_counter, NULL, 0,
                                                  DEMO_COUNTER, SPAWN_FOR, &ref);

    if (outcome == PROA_OK)
        outcome = proa_client_spawn(c->client, 0, &load_sink, NULL, 0, DEMO_SINK,
                                    SPAWN_FOR, &ref);
    if (outcome != PROA_OK)
        return fail("spawn of " DEMO_COUNTER, outcome);
    say("spawned");
    return true;
}

static bool begin_b(struct child *c)
{
    const struct visitor_arg arg = {.listener = proa_client_ref(c->client),
                                    .seconds = c->options->seconds};
    struct proa_ref ref;
    enum proa_outcome outcome = proa_client_spawn(c->client, 0, &demo_visitor, &arg,
                                                  sizeof(arg), NULL, SPAWN_FOR, &ref);

    return outcome == PROA_OK || fail("spawn of the visitor", outcome);
}

/* ---- Running ---- */

static bool register_late(struct child *c)
{
    struct proa_ref ref;
    proa_ns began = clock_now();
    enum proa_outcome outcome = proa_client_spawn(c->client, 0, &builtin_echo, NULL, 0,
                                                  DEMO_LATE, SPAWN_FOR, &ref);

    c->late_at = PROA_NS_NEVER;
    if (outcome != PROA_OK)
        return fail("registration of " DEMO_LATE, outcome);
    say("late %llu", (unsigned long long)began);
    return true;
}

/* Passes the visitor's notes on. */
static void pass_notes(struct child *c)
{
    struct proa_client_event event;

    while (c->client != NULL && proa_client_take(c->client, 0, &event) == PROA_OK) {
        if (!event.is_answer && event.change == NULL && event.type == DEMO_NOTE)
            say("%.*s", (int)event.len, (const char *)event.data);
    }
}

static void leave(struct child *c)
{
    if (c->client != NULL)
        proa_client_close(c->client);
    c->client = NULL;
    if (c->node != NULL)
        proa_node_close(c->node);
    c->node = NULL;
}

static void read_core(struct proa_node *node, void *ctx)
{
    core_stats(node->core, ctx);
}

/* Under the load no node died, so none may have been taken for dead. */
static bool nobody_died(struct child *c)
{
    struct core_stats stats;

    node_call(c->node, read_core, &stats);
    if (stats.dead_nodes > 0)
        say("fail the other node was taken for dead");
    return stats.dead_nodes == 0;
}

static bool begin_raw(struct child *c)
{
    char err[PROA_TEXT_MAX];

    if (!nobody_died(c))
        return false;
    leave(c);
    c->raw = demo_raw_open(c->dir, c->is_a, c->options->pages, err, sizeof(err));
    if (c->raw == NULL)
        say("fail raw limit: %s", err);
    return c->raw != NULL;
}

static bool run_raw(struct child *c, const char *name,
                    bool (*step)(struct demo_raw *, struct demo_raw_result *))
{
    struct demo_raw_result r;

    if (c->raw == NULL || !step(c->raw, &r)) {
        say("fail raw limit: the lane is busy");
        return false;
    }
    say("%s %llu %llu %llu %llu %llu", name, (unsigned long long)r.packets,
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

/* Reads the parent's commands. */
static enum next obey(struct child *c)
{
    ssize_t got = recv(DEMO_FD, c->command + c->command_len,
                       sizeof(c->command) - 1 - c->command_len, MSG_DONTWAIT);
    char *end;

    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return NEXT_ON;
    if (got <= 0) {
        c->orphan = true;
        return NEXT_QUIT;
    }
    c->command_len += (size_t)got;
    c->command[c->command_len] = '\0';
    while ((end = strchr(c->command, '\n')) != NULL) {
        enum next next;
        *end = '\0';
        next = do_command(c, c->command);
        if (next != NEXT_ON)
            return next;
        c->command_len -= (size_t)(end + 1 - c->command);
        memmove(c->command, end + 1, c->command_len + 1);
    }
    return NEXT_ON;
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
            {.fd = c->signals, .events = POLLIN},
            {.fd = DEMO_FD, .events = POLLIN},
            {.fd = c->client != NULL ? proa_client_fd(c->client) : -1, .events = POLLIN}};
        enum next next;

        if (poll(fds, 3, wait_ms(c)) < 0 && errno != EINTR)
            return false;
        pass_notes(c);
        if (fds[0].revents != 0)
            return true;
        next = fds[1].revents != 0 ? obey(c) : NEXT_ON;
        if (next != NEXT_ON)
            return next == NEXT_QUIT;
        if (c->late_at <= clock_now() && !register_late(c))
            return false;
        if (c->raw != NULL && !c->raw_up && demo_raw_is_up(c->raw)) {
            c->raw_up = true;
            say("raw-up");
        }
    }
}

int demo_node(const struct options *options)
{
    struct child c = {.options = options,
                      .is_a = strcmp(options->words[0], "a") == 0,
                      .dir = options->words[1],
                      .late_at = PROA_NS_NEVER,
                      .signals = block_signals()};
    bool ok = c.signals >= 0 && start(&c) && join(&c);

    if (ok) {
        enum proa_outcome outcome = proa_client_open(c.node, &c.client);
        ok = outcome == PROA_OK || fail("client", outcome);
    }
    ok = ok && (c.is_a ? begin_a(&c) : begin_b(&c)) && run(&c);
    leave(&c);
    demo_raw_close(c.raw);
    if (c.orphan)
        family_remove_dir(c.dir);
    return ok ? 0 : 1;
}
