/* SPDX-License-Identifier: Apache-2.0 */
#include "soak_node.h"

#include <proa/client.h>
#include <proa/event.h>
#include <proa/node.h>
#include <signal.h>
#ifdef SOAK_JEMALLOC
#include <jemalloc/jemalloc.h>
#endif
#include <malloc.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "lane.h"
#include "node_internal.h"
#include "pool_dpdk.h"
#include "pool_plain.h"
#include "port_faults.h"
#include "soak_player.h"

#define LOOK (3 * PROA_MS)
#define PLAYERS 8               /* of a node: so many there shall be, at least */
#define JOIN_FOR (50 * PROA_MS) /* then it looks again what it is told */

struct runner {
    uint32_t index;
    struct proa_node *node; /* NULL: not started */
    struct proa_client *client;
    bool joined;
};

static volatile sig_atomic_t leave;

static void on_term(int sig)
{
    (void)sig;
    leave = 1;
}

/* ---- What happens to links ---- */

static void on_event(void *ctx, const struct proa_event *event)
{
    uint32_t here = (uint32_t)(uintptr_t)ctx, there;

    switch (event->kind) {
    case PROA_EVENT_LINK_DEAD:
    case PROA_EVENT_NODE_DEAD:
    case PROA_EVENT_NODE_LEFT:
        there = soak_node_of(soak_mine, event->node);
        if (there != SOAK_NONE)
            atomic_store(&soak_mine->parted[here][there], 1);
        break;
    case PROA_EVENT_LOST: /* among them may be any of these */
        for (there = 0; there < soak_mine->nodes; there++)
            atomic_store(&soak_mine->parted[here][there], 1);
        break;
    default:
        break;
    }
}

static uint32_t node_at(const struct proa_addr *addr)
{
    for (uint32_t i = 0; i < soak_mine->nodes; i++)
        if (memcmp(&soak_mine->node[i].addr, addr, sizeof(*addr)) == 0)
            return i;
    return SOAK_NONE;
}

static bool drop(void *ctx, const struct proa_addr *from, const struct proa_addr *to,
                 const struct pkt *p)
{
    uint32_t i = node_at(from), j = node_at(to);

    (void)ctx;
    (void)p;
    return i != SOAK_NONE && j != SOAK_NONE && atomic_load(&soak_mine->cut[i][j]);
}

/* ---- Starting and ending ---- */

static void address_of(const struct soak_cluster *c, uint32_t i, char *buf, size_t len)
{
    if (c->kind == SOAK_UDP)
        snprintf(buf, len, "127.0.0.1:%u", c->udp_port + i);
    else
        snprintf(buf, len, "10.74.%u.%u:7400", 1 + c->kind, 1 + i);
}

static void configure(const struct soak_cluster *c, uint32_t index,
                      struct proa_config *config)
{
    struct proa_port_config *port = &config->ports[0];
    long cores = sysconf(_SC_NPROCESSORS_ONLN);

    proa_config_init(config);
    config->port_count = 1;
    if (c->kind == SOAK_UDP)
        snprintf(port->spec, PROA_TEXT_MAX, "udp:127.0.0.1:%u", c->udp_port + index);
    else if (c->kind == SOAK_VHOST)
        snprintf(port->spec, PROA_TEXT_MAX, "vhost:%s=%s/v",
                 index == 0 ? "listen" : "connect", c->dir);
    else
        snprintf(port->spec, PROA_TEXT_MAX, "ring:soak");
    if (c->kind != SOAK_UDP)
        snprintf(port->address, PROA_TEXT_MAX, "10.74.%u.%u/24", 1 + c->kind, 1 + index);
    port->faults = c->faults;
    port->faults.seed = c->seed + atomic_load(&c->node[index].boot);
    for (uint32_t i = 0; i < c->nodes; i++)
        if (i != index)
            address_of(c, i, config->seeds[config->seed_count++], PROA_TEXT_MAX);
    config->has_cluster_key = true; /* all zero: a test's */
    snprintf(config->state_dir, PROA_TEXT_MAX, "%s/%s%u", c->dir,
             soak_kind_names[c->kind], index);
    mkdir(config->state_dir, 0700);
    config->lanes = c->lanes;
    for (unsigned i = 0; i < c->lanes; i++)
        config->cores[i] = (int)((index + i) % (unsigned long)cores);
    config->pages = PROA_PAGES_NONE;
    config->message_max = c->message_max;
    config->actors_max = 4096;
}

static bool start(struct soak *soak, struct soak_cluster *c, struct runner *r)
{
    struct soak_node *n = &c->node[r->index];
    struct proa_config config;
    char err[PROA_TEXT_MAX] = "";

    atomic_fetch_add(&n->boot, 1);
    atomic_store(&n->unnamed_before, 0);
    atomic_store(&n->unnamed, 0);
    atomic_store(&n->state, SOAK_STARTING);
    configure(c, r->index, &config);
    if (proa_node_start(&config, &r->node, err, sizeof(err)) != PROA_OK) {
        soak_broken(soak, c, "node %u does not start: %s", r->index, err);
        return false;
    }
    n->addr = r->node->address;
    atomic_store(&n->id, proa_node_id(r->node));
    proa_node_on_event(r->node, on_event, (void *)(uintptr_t)r->index);
    /* The lanes run already; they read one pointer, which is set once. */
    port_faults_filter(r->node->ports[0], drop, NULL);
    if (proa_client_open(r->node, &r->client) != PROA_OK) {
        soak_broken(soak, c, "node %u has no client", r->index);
        return false;
    }
    return true;
}

static void end(struct soak_cluster *c, struct runner *r)
{
    struct soak_node *n = &c->node[r->index];

    atomic_store(&n->state, SOAK_LEAVING);
    if (r->client != NULL)
        proa_client_close(r->client);
    if (r->node != NULL)
        proa_node_close(r->node);
    *r = (struct runner){.index = r->index};
    for (uint32_t i = 0; i < SOAK_LIVES; i++) {
        const struct soak_life *l = &c->lives[i];

        if (atomic_load(&l->state) == SOAK_LIVING && l->node == r->index &&
            l->boot == atomic_load(&n->boot))
            soak_broken(soak_all, c, "node %u has ended, its life %u has not", r->index,
                        i);
    }
    atomic_store(&n->state, SOAK_DOWN);
}

/* ---- What there is left ---- */

static uint64_t now(const _Atomic uint64_t *counter)
{
    return atomic_load_explicit(counter, memory_order_relaxed);
}

/* Counts a plain pool's packets where it may be done: on its lane. */
struct audit {
    struct pkt_pool *pool;
    uint32_t *ret;
};

static int audit_start(struct proa_actor *self, const void *arg, size_t len)
{
    struct audit audit;

    (void)self;
    memcpy(&audit, arg, len);
    *audit.ret = pool_plain_in_use(audit.pool);
    return -1; /* and is gone */
}

static const struct proa_behaviour auditor = {.type_name = "soak.audit",
                                              .start = audit_start};

static uint32_t packets_out(struct runner *r, unsigned lane)
{
    struct pkt_pool *pool = r->node->lanes[lane].pool;
    uint32_t n = 0;
    struct audit audit = {pool, &n};
    struct proa_ref ref;

    if (r->node->on_dpdk)
        return pool_dpdk_in_use(pool);
    proa_client_spawn(r->client, lane, &auditor, &audit, sizeof(audit), NULL, 60 * PROA_S,
                      &ref);
    return n;
}

/* Grows as long as the node lives, but for links that end: those who used them are not compared. */
static uint64_t unnamed(struct runner *r)
{
    struct lane_link_info links[64];
    uint64_t n = 0;

    for (unsigned i = 0; i < r->node->lane_count; i++) {
        struct lane *lane = r->node->lanes[i].lane;
        unsigned count = lane_links(lane, links, 64);

        n += now(&sched_stats(lane_sched(lane))->refusals_merged);
        for (unsigned j = 0; j < count; j++)
            n += links[j].stats.refusals_merged;
    }
    return n;
}

static void report_lane(struct runner *r, unsigned i, struct soak_report *sum)
{
    struct node_lane *l = &r->node->lanes[i];
    const struct sched_stats *s = sched_stats(lane_sched(l->lane));
    struct lane_held held = {0};

    sum->packets += packets_out(r, i);
    while (!lane_held(l->lane, &held))
        ;
    sum->actors += now(&s->actors) - now(&s->clients); /* which are actors too */
    sum->asks += now(&s->asks_waiting);
    sum->tokens += now(&s->tokens_held);
    sum->timers += now(&s->timers_running);
    sum->monitors += now(&s->monitors) + now(&s->watches);
    sum->slab += now(&s->slab_used);
    sum->bulk += now(&s->bulk_used) + held.bulk + held.bulk_out;
    sum->malformed += now(&s->malformed) + now(&lane_stats(l->lane)->sysmsg_bad);
    sum->retained += held.retained;
    sum->out_of_order += held.out_of_order;
    sum->pending += held.pending;
    sum->tx_queued += held.tx_queued + held.queued;
    sum->links += held.links;
    sum->peers += held.peers;
    sum->arena += arena_used(l->arena);
}

/* What is free goes back to the system, so that the process has no more than is in use.  A lane's arena
   never does so by itself (actors/arena_jemalloc.c): it has what was in use at its busiest since
   its node was started, which grows as long as there are busier rounds.  The C library's have what
   threads that are gone have freed. */
static void give_back(void)
{
#ifdef SOAK_JEMALLOC
    char name[32];

    snprintf(name, sizeof(name), "arena.%u.purge", (unsigned)MALLCTL_ARENAS_ALL);
    mallctl(name, NULL, NULL, NULL, 0);
#endif
    malloc_trim(0);
}

static void report(struct soak_cluster *c, struct runner *r)
{
    struct soak_report *to = &c->node[r->index].report, sum = {0};
    uint32_t round = atomic_load(&c->round);

    give_back();

    for (unsigned i = 0; i < r->node->lane_count; i++)
        report_lane(r, i, &sum);
    atomic_store(&to->round, 0);
    to->actors = sum.actors;
    to->asks = sum.asks;
    to->tokens = sum.tokens;
    to->timers = sum.timers;
    to->monitors = sum.monitors;
    to->slab = sum.slab;
    to->bulk = sum.bulk;
    to->malformed = sum.malformed;
    to->retained = sum.retained;
    to->out_of_order = sum.out_of_order;
    to->pending = sum.pending;
    to->tx_queued = sum.tx_queued;
    to->links = sum.links;
    to->peers = sum.peers;
    to->packets = sum.packets;
    to->arena = sum.arena;
    atomic_store(&to->round, round);
}

/* ---- The loop ---- */

static void play(struct soak_cluster *c, struct runner *r, uint64_t *random)
{
    struct proa_ref ref;
    enum proa_outcome outcome;

    if (atomic_load(&c->alive) >= PLAYERS * c->nodes)
        return;
    outcome = proa_client_spawn(r->client, soak_below(random, c->lanes), &soak_player,
                                NULL, 0, NULL, PROA_S, &ref);
    if (outcome == PROA_INVALID)
        soak_broken(soak_all, c, "node %u cannot spawn", r->index);
}

static void stop_all(struct soak_cluster *c, struct runner *r)
{
    for (uint32_t i = 0; i < SOAK_LIVES; i++)
        if (atomic_load(&c->lives[i].state) == SOAK_LIVING &&
            c->lives[i].node == r->index)
            proa_client_stop_actor(r->client, c->lives[i].ref);
}

static bool look_after(struct soak *soak, struct soak_cluster *c, struct runner *r,
                       uint64_t *random)
{
    struct soak_node *n = &c->node[r->index];

    if (r->node == NULL)
        return start(soak, c, r);
    if (!r->joined) {
        r->joined = proa_node_join(r->node, JOIN_FOR, NULL, 0) == PROA_OK;
        if (r->joined)
            atomic_store(&n->state, SOAK_UP);
    }
    if (atomic_exchange(&n->want_restart, 0)) {
        end(c, r);
        return start(soak, c, r);
    }
    switch (atomic_load(&c->phase)) {
    case SOAK_PLAY:
        play(c, r, random);
        break;
    case SOAK_SETTLE:
        atomic_store(&n->unnamed, unnamed(r));
        break;
    case SOAK_END:
        stop_all(c, r);
        break;
    case SOAK_REPORT:
        atomic_store(&n->unnamed_before, unnamed(r));
        report(c, r);
        break;
    default:
        break;
    }
    return true;
}

int soak_process(struct soak *soak, struct soak_cluster *c, uint32_t first,
                 uint32_t count)
{
    const struct timespec look = {0, (long)LOOK};
    struct runner runners[SOAK_NODES] = {0};
    uint64_t random = c->seed ^ (uint64_t)first << 48 ^ atomic_load(&c->node[first].boot);
    bool good = true;

    soak_all = soak;
    soak_mine = c;
    signal(SIGTERM, on_term);
    signal(SIGINT, SIG_IGN); /* the parent ends us */
    for (uint32_t i = 0; i < count; i++)
        runners[i].index = first + i;
    while (good && !leave && atomic_load(&c->phase) != SOAK_QUIT) {
        for (uint32_t i = 0; good && i < count; i++)
            good = look_after(soak, c, &runners[i], &random);
        nanosleep(&look, NULL);
    }
    for (uint32_t i = 0; i < count; i++)
        end(c, &runners[i]);
    return good ? 0 : 1;
}
