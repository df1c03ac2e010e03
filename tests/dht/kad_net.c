/* SPDX-License-Identifier: Apache-2.0 */
#include "kad_net.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct net_flight {
    proa_ns at;
    uint64_t serial; /* of equal moments the first sent arrives first */
    uint8_t *bytes;
    size_t len;
    struct proa_addr from;
    unsigned from_node, to;
};

uint64_t net_random(struct net *net)
{
    /* splitmix64, Vigna 2015 */
    uint64_t z = net->random += UINT64_C(0x9e3779b97f4a7c15);

    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

static bool chance(struct net *net, unsigned per_mille)
{
    return per_mille > 0 && net_random(net) % 1000 < per_mille;
}

static void trace(struct net *net, const void *bytes, size_t len)
{
    const uint8_t *at = bytes;

    for (size_t i = 0; i < len; i++) { /* FNV-1a */
        net->trace ^= at[i];
        net->trace *= UINT64_C(0x100000001b3);
    }
}

struct net *net_create(unsigned nodes, uint64_t seed)
{
    static const uint8_t secret[PROA_CLUSTER_SECRET_LEN] =
        "the secret of the test cluster";
    struct net *net = calloc(1, sizeof(*net));

    assert_non_null(net);
    net->now = NET_START;
    net->seed = net->random = seed;
    net->trace = UINT64_C(0xcbf29ce484222325);
    net->faults.delay = 100 * PROA_US;
    net->faults.jitter = 50 * PROA_US;
    net->store_max = 128;
    net->names_max = 32;
    net->peers_max = 512;
    net->count = nodes;
    net->nodes = calloc(nodes, sizeof(*net->nodes));
    assert_non_null(net->nodes);
    cluster_keys_init(&net->keys, secret);
    for (unsigned i = 0; i < nodes; i++) {
        struct proa_addr *addr = &net->nodes[i].addr;

        addr->family = 4;
        addr->port = 7400;
        addr->ip[10] = addr->ip[11] = 0xff;
        addr->ip[12] = 169;
        addr->ip[13] = 254;
        addr->ip[14] = (uint8_t)(i >> 8);
        addr->ip[15] = (uint8_t)(i + 1);
    }
    return net;
}

void net_kill(struct net *net, unsigned i)
{
    free(net->nodes[i].memory);
    net->nodes[i].memory = NULL;
    net->nodes[i].kad = NULL;
}

void net_destroy(struct net *net)
{
    for (unsigned i = 0; i < net->count; i++)
        net_kill(net, i);
    for (uint32_t i = 0; i < net->flight_count; i++)
        free(net->flights[i].bytes);
    free(net->flights);
    free(net->nodes);
    free(net);
}

uint64_t net_wall(const struct net *net, unsigned i)
{
    return NET_WALL_START + (uint64_t)net->nodes[i].skew_ms +
           (net->now - NET_START) / PROA_MS;
}

/* ---- Datagrams in flight ---- */

static bool before(const struct net_flight *a, const struct net_flight *b)
{
    return a->at != b->at ? a->at < b->at : a->serial < b->serial;
}

static void push(struct net *net, struct net_flight flight)
{
    uint32_t at = net->flight_count++;

    if (net->flight_count > net->flight_cap) {
        net->flight_cap = net->flight_cap ? 2 * net->flight_cap : 1024;
        net->flights = realloc(net->flights, net->flight_cap * sizeof(flight));
        assert_non_null(net->flights);
    }
    while (at > 0 && before(&flight, &net->flights[(at - 1) / 2])) {
        net->flights[at] = net->flights[(at - 1) / 2];
        at = (at - 1) / 2;
    }
    net->flights[at] = flight;
}

static struct net_flight pop(struct net *net)
{
    struct net_flight first = net->flights[0];
    struct net_flight last = net->flights[--net->flight_count];
    uint32_t at = 0;

    for (;;) {
        uint32_t child = 2 * at + 1;

        if (child >= net->flight_count)
            break;
        if (child + 1 < net->flight_count &&
            before(&net->flights[child + 1], &net->flights[child]))
            child++;
        if (!before(&net->flights[child], &last))
            break;
        net->flights[at] = net->flights[child];
        at = child;
    }
    if (net->flight_count > 0)
        net->flights[at] = last;
    return first;
}

static unsigned node_at(const struct net *net, const struct proa_addr *addr)
{
    unsigned i = (unsigned)addr->ip[14] << 8 | (uint8_t)(addr->ip[15] - 1);

    if (i >= net->count || memcmp(&net->nodes[i].addr, addr, sizeof(*addr)) != 0)
        return net->count;
    return i;
}

static void launch(struct net *net, unsigned from, const struct proa_addr *to,
                   const uint8_t *bytes, size_t len)
{
    unsigned copies = chance(net, net->faults.dup) ? 2 : 1;
    unsigned to_node = node_at(net, to);

    trace(net, &net->now, sizeof(net->now));
    trace(net, &from, sizeof(from));
    trace(net, to, sizeof(*to));
    trace(net, bytes, len);
    net->nodes[from].sent++;
    for (unsigned i = 0; i < copies; i++) {
        struct net_flight flight = {.serial = net->flight_serial++,
                                    .len = len,
                                    .from = net->nodes[from].addr,
                                    .from_node = from,
                                    .to = to_node};

        if (to_node == net->count || chance(net, net->faults.loss))
            continue;
        flight.at = net->now + net->faults.delay;
        if (net->faults.jitter > 0)
            flight.at += net_random(net) % net->faults.jitter;
        if (chance(net, net->faults.reorder))
            flight.at += 3 * (net->faults.delay + net->faults.jitter);
        flight.bytes = malloc(len);
        assert_non_null(flight.bytes);
        memcpy(flight.bytes, bytes, len);
        push(net, flight);
    }
}

/* ---- Nodes ---- */

struct net_change *net_changes(struct net *net, unsigned i, const char *name)
{
    struct net_node *node = &net->nodes[i];

    for (unsigned c = 0; c < node->change_count; c++)
        if (strcmp(node->changes[c].name, name) == 0)
            return &node->changes[c];
    assert_true(node->change_count < NET_NAMES_MAX);
    struct net_change *change = &node->changes[node->change_count++];
    memset(change, 0, sizeof(*change));
    snprintf(change->name, sizeof(change->name), "%s", name);
    return change;
}

static void take(struct net *net, unsigned i, const struct kad_event *event)
{
    struct net_node *node = &net->nodes[i];
    struct net_change *change;

    switch (event->kind) {
    case KAD_JOINED:
        node->joined++;
        break;
    case KAD_HEARD:
        node->heard++;
        node->last_heard = *event;
        break;
    case KAD_SILENT:
        node->silent++;
        break;
    case KAD_NAME_LOST:
        node->lost++;
        node->last_lost = *event;
        break;
    case KAD_CHANGED:
        change = net_changes(net, i, event->record.name);
        change->last = *event;
        change->changes++;
        change->at = net->now;
        break;
    case KAD_PEERS:
        for (uint32_t p = 0; p < event->peer_count; p++)
            node->peers[p] = event->peers[p];
        node->results[node->result_count % NET_OPS_MAX] = *event;
        node->results[node->result_count++ % NET_OPS_MAX].peers = node->peers;
        break;
    default:
        node->results[node->result_count++ % NET_OPS_MAX] = *event;
    }
}

void net_settle(struct net *net, unsigned i)
{
    struct net_node *node = &net->nodes[i];
    uint8_t buf[KAD_PACKET_MAX];
    struct kad_event event;
    struct proa_addr to;
    size_t len;

    while ((len = kad_output(node->kad, buf, &to)) > 0)
        launch(net, i, &to, buf, len);
    while (kad_event(node->kad, &event))
        take(net, i, &event);
    node->next = kad_deadline(node->kad);
}

static void start(struct net *net, unsigned i, const unsigned *through, unsigned count,
                  const struct cluster_keys *keys)
{
    struct net_node *node = &net->nodes[i];
    struct kad_config config = {.self = &node->identity,
                                .keys = keys,
                                .address = node->addr,
                                .seed_count = count,
                                .seed = net->seed * 1000003 + i * 1009 + node->lives,
                                .store_max = net->store_max,
                                .names_max = net->names_max,
                                .peers_max = net->peers_max,
                                .watches_max = 32,
                                .contacts_max = 256,
                                .ops_max = 32,
                                .walks_max = 8};
    uint8_t seed[PROA_SEED_LEN] = {0};
    uint64_t words[3] = {net->seed, i, node->lives++};

    net_kill(net, i);
    memcpy(seed, words, sizeof(words));
    assert_int_equal(identity_init(&node->identity, seed), 0);
    for (unsigned s = 0; s < count; s++)
        config.seeds[s] = net->nodes[through[s]].addr;
    node->memory = aligned_alloc(PROA_CACHE_LINE, kad_size(&config));
    assert_non_null(node->memory);
    memset(node->memory, 0xa5, kad_size(&config)); /* nothing may rely on zeros */
    node->result_count = node->change_count = 0;
    node->lost = node->heard = node->silent = node->joined = 0;
    node->kad = kad_init(node->memory, &config, net->now, net_wall(net, i));
    net_settle(net, i);
}

void net_start_seeds(struct net *net, unsigned i, const unsigned *through, unsigned count)
{
    start(net, i, through, count, &net->keys);
}

void net_start(struct net *net, unsigned i, unsigned through)
{
    start(net, i, &through, through == i ? 0 : 1, &net->keys);
}

void net_start_keys(struct net *net, unsigned i, unsigned through,
                    const struct cluster_keys *keys)
{
    start(net, i, &through, through == i ? 0 : 1, keys);
}

bool net_inject(struct net *net, unsigned i, const struct proa_addr *from,
                const uint8_t *pkt, size_t len)
{
    bool taken = kad_input(net->nodes[i].kad, from, pkt, len, net->now, net_wall(net, i));

    net_settle(net, i);
    return taken;
}

/* ---- Time ---- */

static void deliver(struct net *net)
{
    struct net_flight flight = pop(net);
    struct net_node *to = &net->nodes[flight.to];

    const struct net_node *from = &net->nodes[flight.from_node];
    bool cut = flight.to < 64 && (from->unreachable >> flight.to & 1) != 0;

    if (to->kad != NULL && !to->deaf && !cut && to->group == from->group) {
        net->delivered++;
        to->received++;
        net_inject(net, flight.to, &flight.from, flight.bytes, flight.len);
    }
    free(flight.bytes);
}

/* Does the next thing that happens up to `end`; false when nothing does. */
static bool step(struct net *net, proa_ns end)
{
    unsigned first = net->count;

    for (unsigned i = 0; i < net->count; i++)
        if (net->nodes[i].kad != NULL &&
            (first == net->count || net->nodes[i].next < net->nodes[first].next))
            first = i;
    proa_ns timer = first < net->count ? net->nodes[first].next : PROA_NS_NEVER;
    proa_ns arrival = net->flight_count > 0 ? net->flights[0].at : PROA_NS_NEVER;
    proa_ns next = timer < arrival ? timer : arrival;

    if (next > end)
        return false;
    if (next > net->now)
        net->now = next;
    if (arrival <= timer) {
        deliver(net);
    } else {
        kad_tick(net->nodes[first].kad, net->now, net_wall(net, first));
        net_settle(net, first);
    }
    return true;
}

void net_run(struct net *net, proa_ns span)
{
    proa_ns end = net->now + span;

    while (step(net, end))
        ;
    net->now = end;
}

const struct kad_event *net_wait(struct net *net, unsigned i, uint32_t op, proa_ns span)
{
    struct net_node *node = &net->nodes[i];
    proa_ns end = net->now + span;

    net_settle(net, i);
    for (;;) {
        unsigned kept =
            node->result_count < NET_OPS_MAX ? node->result_count : NET_OPS_MAX;

        for (unsigned r = 0; r < kept; r++)
            if (node->results[r].op == op)
                return &node->results[r];
        if (!step(net, end))
            break;
    }
    net->now = end;
    return NULL;
}

enum proa_outcome net_register(struct net *net, unsigned i, const char *name,
                               proa_ns span)
{
    uint32_t op = kad_register(net->nodes[i].kad, name, strlen(name), 7, 1, 99,
                               net->now + span, net->now);

    assert_int_not_equal(op, 0);
    const struct kad_event *event = net_wait(net, i, op, span + PROA_S);
    assert_non_null(event);
    assert_int_equal(event->kind, KAD_REGISTERED);
    return event->outcome;
}

enum proa_outcome net_lookup(struct net *net, unsigned i, const char *name, bool fast,
                             proa_ns span, struct kad_event *ret)
{
    uint32_t op = kad_lookup(net->nodes[i].kad, name, strlen(name), fast, net->now + span,
                             net->now);

    assert_int_not_equal(op, 0);
    const struct kad_event *event = net_wait(net, i, op, span + PROA_S);
    assert_non_null(event);
    assert_int_equal(event->kind, KAD_LOOKED_UP);
    if (ret != NULL)
        *ret = *event;
    return event->outcome;
}

void net_run_joined(struct net *net, unsigned contacts, proa_ns span)
{
    proa_ns end = net->now + span;

    while (net->now < end) {
        bool all = true;

        for (unsigned i = 0; i < net->count && all; i++) {
            struct kad_stats stats;

            if (net->nodes[i].kad == NULL)
                continue;
            kad_stats(net->nodes[i].kad, &stats);
            all = kad_joined(net->nodes[i].kad) && stats.contacts >= contacts;
        }
        if (all)
            return;
        net_run(net, 10 * PROA_MS);
    }
    fail_msg("not all nodes joined in time (seed %llu)", (unsigned long long)net->seed);
}
