/* SPDX-License-Identifier: Apache-2.0 */
#include "kit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define KIT_WALL_BASE 1700000000000u /* ms; any moment does */

uint64_t kit_wall(const struct proa_test *test)
{
    return KIT_WALL_BASE + test->now / PROA_MS;
}

/* splitmix64.  Source: S. Vigna, prng.di.unimi.it, public domain. */
uint64_t kit_random(struct proa_test *test)
{
    uint64_t z = test->random += 0x9e3779b97f4a7c15u;

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

struct kit_node *kit_node_of(struct proa_test *test, uint64_t id)
{
    for (unsigned i = 0; i < test->config.nodes; i++) {
        if (test->nodes[i].id == id)
            return &test->nodes[i];
    }
    return NULL;
}

/* 10.0.0.N or fd00::N. */
static struct proa_addr address_of(const struct proa_test *test, unsigned index)
{
    struct proa_addr a = {.port = PROA_PORT, .family = test->config.ipv6 ? 6 : 4};

    if (test->config.ipv6) {
        a.ip[0] = 0xfd;
    } else {
        a.ip[10] = a.ip[11] = 0xff;
        a.ip[12] = 10;
    }
    a.ip[15] = (uint8_t)(index + 1);
    return a;
}

static unsigned index_of(const struct proa_test *test, const struct kit_node *node)
{
    return (unsigned)(node - test->nodes);
}

/* Drops what a cut forbids, and mixes each packet on its way into the trace. */
static bool drop_packet(void *ctx, const struct proa_addr *from,
                        const struct proa_addr *to, const struct pkt *p)
{
    struct proa_test *test = ctx;
    unsigned a = from->ip[15] - 1u, b = to->ip[15] - 1u;

    for (uint16_t i = 0; i < p->len; i += 8)
        test->trace = (test->trace ^ p->data[i]) * 0x100000001b3u; /* FNV-1a, sampled */
    test->trace = (test->trace ^ p->len) * 0x100000001b3u;
    return a >= test->config.nodes || b >= test->config.nodes || test->cut[a][b];
}

static bool open_port(struct proa_test *test, struct kit_node *node,
                      struct pkt_pool **pools)
{
    unsigned index = index_of(test, node);
    uint32_t mtu =
        test->config.mtu_of[index] ? test->config.mtu_of[index] : test->config.mtu;
    char err[PROA_TEXT_MAX];
    struct port_ring_args args = {.hub = test->hub,
                                  .address = node->address,
                                  .prefix = test->config.ipv6 ? 64 : 96 + 24,
                                  .mtu = (uint16_t)mtu,
                                  .slots = 512,
                                  .queues = test->config.lanes,
                                  .pools = pools,
                                  .rss = test->config.rss};
    struct port *ring = port_ring_open(&args, err, sizeof(err));

    if (ring == NULL)
        return false;
    struct proa_faults faults = test->config.faults;
    faults.seed = kit_random(test);
    node->port = port_faults_wrap(ring, &faults, pools);
    if (node->port == NULL) {
        port_close(ring);
        return false;
    }
    port_faults_filter(node->port, drop_packet, test);
    return true;
}

/* A buffer holds the largest packet of any node: they are copied from one to the other. */
static uint32_t largest_mtu(const struct proa_test *test)
{
    uint32_t mtu = test->config.mtu;

    for (unsigned i = 0; i < test->config.nodes; i++) {
        if (test->config.mtu_of[i] > mtu)
            mtu = test->config.mtu_of[i];
    }
    return mtu;
}

static bool make_lane_parts(struct proa_test *test, struct kit_node *node,
                            struct kit_lane *l)
{
    doorbell_init_silent(&l->bell);
    l->arena = arena_create();
    l->pool = pool_plain_create(KIT_POOL, 64, largest_mtu(test));
    l->up = byte_ring_create(KIT_PUNT_BYTES);
    l->down = byte_ring_create(KIT_PUNT_BYTES);
    l->notes = byte_ring_create(KIT_NOTES_BYTES);
    l->inbox = inbox_create(64);
    l->reader = directory_reader_add(node->directory);
    return l->arena != NULL && l->pool != NULL && l->up != NULL && l->down != NULL &&
           l->notes != NULL && l->inbox != NULL && l->reader >= 0;
}

static bool make_core(struct proa_test *test, struct kit_node *node, int seed_index)
{
    struct core_config cc = {.ports = &node->port,
                             .port_count = 1,
                             .address = node->address,
                             .lanes = test->config.lanes,
                             .directory = node->directory,
                             .seed = kit_random(test),
                             .names_max = 256,
                             .store_max = 1024,
                             .watches_max = 256,
                             .mesh_nodes_max = test->config.mesh_nodes_max,
                             .mesh_published_max = test->config.mesh_published_max};
    uint8_t secret[PROA_CLUSTER_SECRET_LEN], seed[PROA_SEED_LEN];

    memset(secret, 7, sizeof(secret));
    cluster_keys_init(&cc.keys, secret);
    do {
        for (size_t i = 0; i < sizeof(seed); i += 8) {
            uint64_t r = kit_random(test);
            memcpy(&seed[i], &r, 8);
        }
    } while (identity_init(&cc.identity, seed) != 0);
    if (seed_index >= 0) {
        cc.seeds[0] = test->nodes[seed_index].address;
        cc.seed_count = 1;
    }
    for (unsigned i = 0; i < test->config.lanes; i++) {
        cc.up[i] = node->lanes[i].up;
        cc.down[i] = node->lanes[i].down;
        cc.notes[i] = node->lanes[i].notes;
        cc.bells[i] = &node->lanes[i].bell;
    }
    node->core = core_create(&cc, test->now, kit_wall(test));
    if (node->core != NULL)
        node->id = core_node(node->core);
    return node->core != NULL;
}

static bool make_lane(struct proa_test *test, struct kit_node *node, unsigned index)
{
    struct kit_lane *l = &node->lanes[index];
    struct lane_config lc = {.node = node->id,
                             .lane = index,
                             .lanes = test->config.lanes,
                             .ports = &node->port,
                             .port_count = 1,
                             .pool = l->pool,
                             .up = l->up,
                             .down = l->down,
                             .notes = l->notes,
                             .bell = &l->bell,
                             .control = &node->control_bell,
                             .directory = node->directory,
                             .reader = l->reader,
                             .arena = l->arena,
                             .message_max = test->config.message_max,
                             .sched = {.actors_max = test->config.actors_max,
                                       .allowed = test->config.allowed,
                                       .allowed_count = test->config.allowed_count,
                                       .asks_max = 1024,
                                       .timers_max = 1024,
                                       .seed = kit_random(test),
                                       .inbox = l->inbox,
                                       .offload = node->offload}};

    for (unsigned i = 0; i < test->config.lanes; i++) {
        lc.sched.out[i] = node->pairs[index][i];
        lc.sched.in[i] = node->pairs[i][index];
        lc.sched.bells[i] = &node->lanes[i].bell;
    }
    l->lane = lane_create(&lc);
    if (l->lane == NULL)
        return false;
    core_watch_lane(node->core, index, lane_stats(l->lane),
                    sched_stats(lane_sched(l->lane)));
    core_lane_loads(node->core, index, lane_sched(l->lane));
    directory_online(node->directory, l->reader);
    return true;
}

static bool build(struct proa_test *test, struct kit_node *node, int seed_index)
{
    struct pkt_pool *pools[KIT_LANES_MAX];
    uint8_t hash_seed[32] = {0};
    uint64_t r = kit_random(test);

    memcpy(hash_seed, &r, sizeof(r));
    doorbell_init_silent(&node->control_bell);
    node->directory = directory_create(4096, hash_seed);
    node->offload = offload_create(test->config.lanes, true);
    if (node->directory == NULL || node->offload == NULL)
        return false;
    for (unsigned i = 0; i < test->config.lanes; i++) {
        if (!make_lane_parts(test, node, &node->lanes[i]))
            return false;
        offload_home(node->offload, i, node->lanes[i].inbox, &node->lanes[i].bell);
        pools[i] = node->lanes[i].pool;
        for (unsigned j = 0; j < test->config.lanes; j++) {
            if (i != j)
                node->pairs[i][j] = pair_ring_create(KIT_PAIR_ITEMS);
            if (i != j && node->pairs[i][j] == NULL)
                return false;
        }
    }
    if (!open_port(test, node, pools) || !make_core(test, node, seed_index))
        return false;
    for (unsigned i = 0; i < test->config.lanes; i++) {
        if (!make_lane(test, node, i))
            return false;
    }
    return true;
}

bool kit_node_start(struct proa_test *test, unsigned index, int seed_index)
{
    struct kit_node *node = &test->nodes[index];
    unsigned lives = node->lives + 1;

    memset(node, 0, sizeof(*node));
    node->lives = lives;
    node->address = address_of(test, index);
    node->control_at = PROA_NS_NEVER;
    if (!build(test, node, seed_index)) {
        kit_node_stop(test, index);
        return false;
    }
    node->alive = true;
    kit_hooks_set(test, index);
    return sched_spawn(lane_sched(node->lanes[0].lane), &kit_prober, NULL, 0,
                       &node->prober) == PROA_OK;
}

/* As a kill: nothing is said to anybody; memory is given back. */
void kit_node_stop(struct proa_test *test, unsigned index)
{
    struct kit_node *node = &test->nodes[index];

    for (unsigned i = 0; i < test->config.lanes; i++)
        lane_destroy(node->lanes[i].lane);
    offload_destroy(node->offload);
    core_destroy(node->core);
    port_close(node->port);
    for (unsigned i = 0; i < test->config.lanes; i++) {
        struct kit_lane *l = &node->lanes[i];

        for (unsigned j = 0; j < test->config.lanes; j++)
            pair_ring_destroy(node->pairs[i][j]);
        inbox_destroy(l->inbox);
        byte_ring_destroy(l->up);
        byte_ring_destroy(l->down);
        byte_ring_destroy(l->notes);
        if (l->pool != NULL)
            pool_plain_destroy(l->pool);
        if (l->arena != NULL)
            arena_destroy(l->arena);
    }
    if (node->directory != NULL)
        directory_destroy(node->directory);
    unsigned lives = node->lives;
    memset(node, 0, sizeof(*node));
    node->lives = lives;
    node->address = address_of(test, index);
}

static bool records_wait(const struct proa_test *test, const struct kit_node *node)
{
    for (unsigned i = 0; i < test->config.lanes; i++) {
        if (!byte_ring_is_empty(node->lanes[i].up) ||
            !byte_ring_is_empty(node->lanes[i].notes))
            return true;
    }
    return false;
}

/* The control thread sleeps: it runs when its deadline has come, or some time after a lane gave
   it a record. */
static bool step_control(struct proa_test *test, struct kit_node *node)
{
    proa_ns deadline = core_deadline(node->core);

    if (records_wait(test, node) && node->control_at == PROA_NS_NEVER)
        node->control_at = test->now + KIT_CONTROL_LAG;
    if (test->now < deadline && test->now < node->control_at)
        return false;
    core_step(node->core, test->now, kit_wall(test));
    directory_reclaim(node->directory);
    node->control_at = PROA_NS_NEVER;
    return true;
}

bool kit_node_step(struct proa_test *test, struct kit_node *node)
{
    bool worked = false;

    for (unsigned i = 0; i < test->config.lanes; i++) {
        struct kit_lane *l = &node->lanes[i];

        if (test->now < l->wakes_at)
            continue;
        lane_poll(l->lane, test->now);
        worked |= lane_step(l->lane, test->now);
        l->wakes_at = l->nap > 0 ? test->now + l->nap : 0;
    }
    worked |= step_control(test, node);
    /* An offloaded job runs between two steps; its result is in an inbox for the next one. */
    return offload_step(node->offload) || worked;
}

proa_ns kit_node_deadline(const struct proa_test *test, const struct kit_node *node)
{
    proa_ns at = core_deadline(node->core);

    if (offload_waiting(node->offload))
        return test->now;
    if (node->control_at < at)
        at = node->control_at;
    if (records_wait(test, node) && test->now + KIT_CONTROL_LAG < at)
        at = test->now + KIT_CONTROL_LAG;
    for (unsigned i = 0; i < test->config.lanes; i++) {
        proa_ns lane_at = lane_deadline(node->lanes[i].lane);

        if (lane_at < node->lanes[i].wakes_at)
            lane_at = node->lanes[i].wakes_at;
        if (lane_at < at)
            at = lane_at;
    }
    return at;
}
