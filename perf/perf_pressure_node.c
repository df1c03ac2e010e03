/* SPDX-License-Identifier: Apache-2.0 */
#include "perf_pressure.h"

#include <proa/client.h>
#include <proa/node.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "lane.h"
#include "node_internal.h"
#include "pool_dpdk.h"

enum { WORD = 1, ASK };

#define TAKES (5 * PROA_MS) /* a message of the slow one */

static struct pressure *shared; /* callbacks have no other way to it */

struct word {
    uint64_t healthy, number;
};

/* ---- Who answers, and who is told ---- */

static void on_ask(struct proa_actor *self, const struct proa_msg *msg)
{
    proa_reply(self, msg, msg->data, msg->len);
}

static void on_word(struct proa_actor *self, const struct proa_msg *msg)
{
    const struct timespec takes = {0, (long)TAKES};
    uint64_t *last = proa_state(self);
    struct word word;

    memcpy(&word, msg->data, sizeof(word));
    atomic_fetch_add(&shared->disorder, word.number <= *last);
    *last = word.number;
    atomic_fetch_add(&shared->entered[word.healthy], 1);
    if (!word.healthy && atomic_load(&shared->slow) && shared->kind != PRESSURE_ACTOR)
        nanosleep(&takes, NULL); /* a handler must not; this one does */
}

static const struct proa_on on[] = {{WORD, sizeof(struct word), on_word},
                                    {ASK, 0, on_ask}};
static const struct proa_behaviour quick = {
    .type_name = "pressure.quick", .state_size = 8, .on = on, .on_count = 2};
static const struct proa_behaviour narrow = {.type_name = "pressure.narrow",
                                             .state_size = 8,
                                             .on = on,
                                             .on_count = 2,
                                             .mailbox = 16};

/* ---- The others ---- */

static void fill(struct proa_actor *self);

static void on_answer(struct proa_actor *self, const struct proa_answer *answer,
                      const void *ctx)
{
    uint32_t *out = proa_state(self);

    (void)ctx;
    *out -= 1;
    atomic_fetch_add(&shared->settled, 1);
    if (answer->outcome == PROA_OK)
        atomic_fetch_add(&shared->answered, 1);
    fill(self);
}

static void fill(struct proa_actor *self)
{
    uint32_t *out = proa_state(self);

    while (*out < PRESSURE_WINDOW && !atomic_load(&shared->over)) {
        if (proa_ask(self, shared->quick, ASK, out, 4, PRESSURE_PATIENCE, on_answer, NULL,
                     0) != PROA_OK)
            return;
        *out += 1;
        atomic_fetch_add(&shared->asked, 1);
    }
}

static void on_fill(struct proa_actor *self, uint64_t cookie)
{
    struct proa_timer timer;

    fill(self);
    proa_timer_start(self, 10 * PROA_MS, on_fill, cookie, &timer);
}

static int others_start(struct proa_actor *self, const void *arg, size_t len)
{
    (void)arg;
    (void)len;
    on_fill(self, 0);
    return 0;
}

static const struct proa_behaviour others = {
    .type_name = "pressure.others", .state_size = 4, .start = others_start};

/* ---- The flood ---- */

static void on_burst(struct proa_actor *self, uint64_t cookie)
{
    uint64_t *number = proa_state(self);
    struct proa_timer timer;
    bool slow = atomic_load(&shared->slow) && shared->kind != PRESSURE_DATAGRAMS;
    struct word word = {.healthy = !slow};

    for (uint32_t i = 0; atomic_load(&shared->on) && i < PRESSURE_BURST; i++) {
        word.number = ++*number;
        enum proa_outcome outcome = proa_tell(
            self, slow ? shared->slow_one : shared->healthy, WORD, &word, sizeof(word));

        atomic_fetch_add(&shared->tried[!slow], 1);
        atomic_fetch_add(outcome == PROA_OK      ? &shared->accepted[!slow]
                         : outcome == PROA_AGAIN ? &shared->again[!slow]
                                                 : &shared->otherwise[!slow],
                         1);
    }
    proa_timer_start(self, PROA_MS, on_burst, cookie, &timer);
}

static void on_signal(struct proa_actor *self, const struct proa_signal *signal)
{
    bool healthy = !proa_ref_equal(signal->to, shared->slow_one);

    (void)self;
    if (signal->kind == PROA_SIGNAL_UNDELIVERED)
        atomic_fetch_add(signal->reason == PROA_IN_DOUBT ? &shared->doubt[healthy]
                                                         : &shared->refused[healthy],
                         signal->count);
}

static int flood_start(struct proa_actor *self, const void *arg, size_t len)
{
    (void)arg;
    (void)len;
    on_burst(self, 0);
    return 0;
}

static const struct proa_behaviour flood = {.type_name = "pressure.flood",
                                            .state_size = 8,
                                            .start = flood_start,
                                            .signal = on_signal};

/* ---- A node ---- */

static void configure(const struct pressure *p, unsigned index, struct proa_config *c)
{
    bool vhost = p->kind <= PRESSURE_LANE;
    long cores = sysconf(_SC_NPROCESSORS_ONLN);

    proa_config_init(c);
    c->port_count = 1;
    c->lanes = p->kind == PRESSURE_LANE ? 2 : 1;
    if (vhost) {
        snprintf(c->ports[0].spec, PROA_TEXT_MAX, "vhost:%s=%s/v",
                 index == 0 ? "listen" : "connect", p->dir);
        snprintf(c->ports[0].address, PROA_TEXT_MAX, "10.75.1.%u/24", index + 1);
        snprintf(c->seeds[0], PROA_TEXT_MAX, "10.75.1.%u:7400", 2 - index);
    } else {
        snprintf(c->ports[0].spec, PROA_TEXT_MAX, "udp:127.0.0.1:0");
        while (index != 1 && atomic_load(&p->there) == 0)
            usleep(1000);
        snprintf(c->seeds[0], PROA_TEXT_MAX, "%s", p->address);
    }
    c->seed_count = c->seeds[0][0] != '\0';
    c->has_cluster_key = true; /* all zero: nobody else is to be met */
    c->pages = PROA_PAGES_NONE;
    snprintf(c->state_dir, PROA_TEXT_MAX, "%s/%u", p->dir, index);
    mkdir(c->state_dir, 0700);
    /* The slow lane and the slow node sleep: they share a core with whom they do not disturb. */
    for (unsigned i = 0; i < c->lanes; i++)
        c->cores[i] = (int)((index % 2 + i) % (unsigned long)cores);
}

static bool spawn(struct proa_client *client, unsigned lane,
                  const struct proa_behaviour *what, struct proa_ref *ret)
{
    return proa_client_spawn(client, lane, what, NULL, 0, NULL, PRESSURE_PATIENCE, ret) ==
           PROA_OK;
}

static bool populate(struct pressure *p, unsigned index, struct proa_client *client)
{
    struct proa_ref ref;
    bool third = pressure_nodes(p->kind) == 3;

    if (index == 1)
        return spawn(client, 0, &quick, &p->quick) &&
               spawn(client, 0, &quick, &p->healthy) &&
               (third ||
                spawn(client, p->kind == PRESSURE_LANE,
                      p->kind == PRESSURE_ACTOR ? &narrow : &quick, &p->slow_one));
    if (index == 2)
        return spawn(client, 0, &quick, &p->slow_one);
    while (atomic_load(&p->ready) + 1 < pressure_nodes(p->kind))
        usleep(1000); /* those it sends to */
    return spawn(client, 0, &others, &ref) && spawn(client, 0, &flood, &ref);
}

static void look(struct proa_node *node, struct pressure_memory *m)
{
    uint64_t slab = 0, arena = 0, packets = 0, retained = 0;

    for (unsigned i = 0; i < node->lane_count; i++) {
        struct node_lane *l = &node->lanes[i];
        struct lane_held held = {0};

        lane_held(l->lane, &held);
        slab += atomic_load(&sched_stats(lane_sched(l->lane))->slab_used);
        arena += arena_used(l->arena);
        packets += node->on_dpdk ? pool_dpdk_in_use(l->pool) : l->pool->in_use;
        retained += held.retained;
    }
    atomic_store(&m->slab, slab);
    atomic_store(&m->arena, arena);
    atomic_store(&m->packets, packets);
    atomic_store(&m->retained, retained);
}

static int failed(struct pressure *p, unsigned index, const char *why)
{
    snprintf(p->failed, sizeof(p->failed), "node %u: %.200s", index, why);
    return 1;
}

int pressure_node(struct pressure *p, unsigned index)
{
    struct proa_config config;
    struct proa_node *node;
    struct proa_client *client;
    char err[PROA_TEXT_MAX] = "";

    shared = p;
    configure(p, index, &config);
    if (proa_node_start(&config, &node, err, sizeof(err)) != PROA_OK)
        return failed(p, index, err);
    if (index == 1) {
        proa_node_address(node, p->address, sizeof(p->address));
        atomic_store(&p->there, 1);
    }
    if (proa_node_join(node, PRESSURE_PATIENCE, err, sizeof(err)) != PROA_OK)
        return failed(p, index, err);
    if (proa_client_open(node, &client) != PROA_OK || !populate(p, index, client))
        return failed(p, index, "its actors do not start");
    atomic_fetch_add(&p->ready, 1);
    while (atomic_load(&p->over) < 2) {
        look(node, &p->memory[index]);
        usleep(5000);
    }
    proa_client_close(client);
    proa_node_close(node);
    return 0;
}
