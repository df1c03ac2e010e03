/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core_net.h"
#include "mix.h"

#define NET_WALL_BASE 1700000000000u /* ms; any moment does */
#define GENERATION 7                 /* of every actor here */

uint64_t net_random(struct net *net)
{
    return mix64(net->random++);
}

uint64_t net_wall(const struct net *net)
{
    return NET_WALL_BASE + net->now / PROA_MS;
}

static bool chance(struct net *net, uint32_t ppm)
{
    return ppm != 0 && net_random(net) % 1000000 < ppm;
}

struct net *net_create(unsigned lanes, uint64_t seed)
{
    struct net *net = calloc(1, sizeof(*net));

    assert_non_null(net);
    assert_true(sodium_init() >= 0);
    net->lanes = lanes;
    net->random = seed;
    net->now = 1000 * PROA_S;
    print_message("net seed %llu\n", (unsigned long long)seed);
    return net;
}

static void free_node(struct net_node *n)
{
    for (unsigned i = 0; i < NET_LANES_MAX; i++) {
        byte_ring_destroy(n->config.up[i]);
        byte_ring_destroy(n->config.down[i]);
        n->config.up[i] = n->config.down[i] = NULL;
    }
    if (n->directory != NULL)
        directory_destroy(n->directory);
    n->directory = NULL;
}

void net_destroy(struct net *net)
{
    for (unsigned i = 0; i < net->count; i++) {
        core_destroy(net->nodes[i].core);
        free_node(&net->nodes[i]);
    }
    for (unsigned i = 0; i < net->flight_count; i++)
        free(net->flight[i].bytes);
    free(net);
}

/* ---- Nodes ---- */

static struct proa_addr address(unsigned index)
{
    struct proa_addr a = {.port = PROA_PORT, .family = 4};

    a.ip[10] = a.ip[11] = 0xff;
    a.ip[12] = 10;
    a.ip[15] = (uint8_t)(index + 1);
    return a;
}

static void fill_random(struct net *net, void *bytes, size_t len)
{
    for (size_t i = 0; i < len; i++)
        ((uint8_t *)bytes)[i] = (uint8_t)net_random(net);
}

void net_start(struct net *net, unsigned node, int seed_node)
{
    struct net_node *n = &net->nodes[node];
    uint8_t seed[PROA_SEED_LEN],
        secret[PROA_CLUSTER_SECRET_LEN] = "a secret of this cluster";

    assert_null(n->core);
    free_node(n);
    memset(n, 0, sizeof(*n));
    n->answers_links = true;
    n->addr = address(node);
    n->port = (struct port){.address = n->addr,
                            .prefix = 96 + 24,
                            .mtu = 1500,
                            .lead = 6,
                            .payload_max = 1500 - 20 - 8 - 6,
                            .queues = net->lanes,
                            .kind = "net"};
    n->ports[0] = &n->port;
    do
        fill_random(net, seed, sizeof(seed));
    while (identity_init(&n->config.identity, seed) != 0);
    cluster_keys_init(&n->config.keys, secret);
    fill_random(net, seed, sizeof(seed));
    n->directory = directory_create(4096, seed);
    assert_non_null(n->directory);
    n->config.directory = n->directory;
    n->config.ports = n->ports;
    n->config.port_count = 1;
    n->config.address = n->addr;
    n->config.lanes = net->lanes;
    n->config.seed = net_random(net);
    n->config.names_max = 256;
    n->config.store_max = 1024;
    n->config.watches_max = 256;
    n->config.mesh_nodes_max = net->mesh_nodes_max;
    n->config.mesh_published_max = net->mesh_published_max;
    if (seed_node >= 0) {
        n->config.seeds[0] = net->nodes[seed_node].addr;
        n->config.seed_count = 1;
    }
    for (unsigned i = 0; i < net->lanes; i++) {
        doorbell_init_silent(&n->bells[i]);
        n->config.bells[i] = &n->bells[i];
        n->config.up[i] = byte_ring_create(NET_RING_BYTES);
        n->config.down[i] = byte_ring_create(NET_RING_BYTES);
        assert_non_null(n->config.up[i]);
        assert_non_null(n->config.down[i]);
    }
    n->core = core_create(&n->config, net->now, net_wall(net));
    assert_non_null(n->core);
}

unsigned net_add(struct net *net, int seed_node)
{
    assert_true(net->count < NET_NODES_MAX);
    net_start(net, net->count, seed_node);
    return net->count++;
}

void net_stop(struct net *net, unsigned node)
{
    core_destroy(net->nodes[node].core);
    net->nodes[node].core = NULL;
}

uint64_t net_id(const struct net *net, unsigned node)
{
    return kad_id_node64(&net->nodes[node].config.identity.id);
}

struct core_stats net_stats(const struct net *net, unsigned node)
{
    struct core_stats stats;

    core_stats(net->nodes[node].core, &stats);
    return stats;
}

/* ---- Datagrams ---- */

static void fly(struct net *net, unsigned from, unsigned lane, unsigned to,
                const uint8_t *bytes, uint32_t len)
{
    struct net_flight *f;

    if (net->flight_count == NET_FLIGHT_MAX)
        return;
    f = &net->flight[net->flight_count++];
    *f = (struct net_flight){.at = net->now + NET_DELAY,
                             .to = to,
                             .lane = lane,
                             .from = net->nodes[from].addr,
                             .len = len,
                             .bytes = malloc(len)};
    assert_non_null(f->bytes);
    memcpy(f->bytes, bytes, len);
    if (chance(net, net->reorder))
        f->at += net_random(net) % (20 * NET_DELAY);
}

static void sent(struct net *net, unsigned node, unsigned lane,
                 const struct byte_record *record)
{
    struct net_node *n = &net->nodes[node];
    struct punt_datagram head;
    uint8_t bytes[PUNT_BYTES_MAX];
    uint32_t len = record->len - (uint32_t)sizeof(head);

    memcpy(&head, record->body, sizeof(head));
    memcpy(bytes, record->body + sizeof(head), len);
    n->sent[bytes[0] == 'd' ? 15 : packet_kind(bytes)]++;
    if (net->filter != NULL && !net->filter(net, node, bytes, len))
        return;
    for (unsigned to = 0; to < net->count; to++) {
        if (memcmp(&net->nodes[to].addr, &head.peer, sizeof(head.peer)) != 0)
            continue;
        if (net->cut[node][to] || chance(net, net->loss))
            return;
        fly(net, node, lane, to, bytes, len);
        if (chance(net, net->duplicate))
            fly(net, node, lane, to, bytes, len);
    }
}

static void mesh_sent(struct net *net, unsigned node, const struct byte_record *record)
{
    struct punt_mesh_send head;
    const uint8_t *bytes = record->body + sizeof(head);
    size_t len = record->len - sizeof(head);

    memcpy(&head, record->body, sizeof(head));
    assert_in_range(head.nodes, 1, MESH_TO_MAX);
    assert_true(len > head.nodes * sizeof(uint64_t));
    bytes += head.nodes * sizeof(uint64_t);
    len -= head.nodes * sizeof(uint64_t);
    for (uint32_t i = 0; i < head.nodes; i++) {
        uint64_t id;

        memcpy(&id, record->body + sizeof(head) + i * sizeof(id), sizeof(id));
        net->nodes[node].mesh_sent++;
        for (unsigned to = 0; to < net->count && net->mesh; to++) {
            unsigned before = net->flight_count;

            if (net_id(net, to) != id || net->cut[node][to])
                continue;
            fly(net, node, 0, to, bytes, (uint32_t)len);
            if (net->flight_count > before)
                net->flight[before].mesh_from = net_id(net, node);
        }
    }
}

void net_push(struct net *net, unsigned node, unsigned lane, enum punt_kind kind,
              const void *head, size_t head_len, const void *tail, size_t tail_len)
{
    assert_true(byte_ring_push(net->nodes[node].config.up[lane], (uint16_t)kind, head,
                               (uint32_t)head_len, tail, (uint32_t)tail_len));
}

void net_datagram(struct net *net, unsigned node, unsigned lane,
                  const struct proa_addr *from, const void *bytes, size_t len)
{
    struct punt_datagram head = {.peer = *from};

    net_push(net, node, lane, PUNT_DATAGRAM, &head, sizeof(head), bytes, len);
}

/* ---- Lanes ---- */

static void link_opened(struct net *net, struct net_node *n,
                        const struct punt_link_open *open)
{
    struct net_link *link;

    assert_true(n->link_count < NET_LINKS_MAX);
    link = &n->links[n->link_count++];
    *link = (struct net_link){.open = *open, .opened_at = net->now};
}

static void link_told(struct net *net, unsigned node, const struct net_record *r)
{
    struct net_node *n = &net->nodes[node];

    for (unsigned i = 0; i < n->link_count; i++) {
        struct net_link *link = &n->links[i];
        bool dead = r->kind == PUNT_NODE_DEAD && link->open.node == r->node.node &&
                    link_id_lane(link->open.link_id) == r->lane;
        bool mine = r->kind != PUNT_NODE_DEAD && link->open.link_id == r->link.link_id;

        if (link->ended || !(dead || mine))
            continue;
        if (r->kind == PUNT_LINK_HEARD && !link->heard) {
            link->heard = true;
            if (n->answers_links)
                net_link_report(net, node, link, PUNT_LINK_UP, 0);
        } else if (r->kind != PUNT_LINK_HEARD) {
            link->ended = true;
            if (n->answers_links)
                net_link_report(net, node, link, PUNT_LINK_ENDED, LINK_END_RESET);
        }
    }
}

static void told(struct net *net, unsigned node, unsigned lane,
                 const struct byte_record *record)
{
    struct net_node *n = &net->nodes[node];
    struct net_record *r;
    size_t body = 0;

    assert_true(n->log_count < NET_LOG_MAX);
    r = &n->log[n->log_count++];
    memset(r, 0, sizeof(*r));
    r->lane = lane;
    r->kind = record->kind;
    r->at = net->now;
    if (r->kind == PUNT_LINK_OPEN)
        body = sizeof(r->open);
    else if (r->kind == PUNT_LINK_HEARD || r->kind == PUNT_LINK_RESET)
        body = sizeof(r->link);
    else if (r->kind == PUNT_NODE_FAILED || r->kind == PUNT_NODE_DEAD)
        body = sizeof(r->node);
    else if (r->kind == PUNT_NAME_ANSWER)
        body = sizeof(r->answer);
    else if (r->kind == PUNT_NAME_LOST)
        body = sizeof(r->actor);
    else if (r->kind == PUNT_CHANGED)
        body = sizeof(r->changed);
    assert_true(record->len - body <= PROA_NAME_MAX);
    assert_true(record->len >= body);
    memcpy(&r->open, record->body, body);
    memcpy(r->name, record->body + body, record->len - body);
    if (r->kind == PUNT_LINK_OPEN)
        link_opened(net, n, &r->open);
    else
        link_told(net, node, r);
}

static bool lanes_read(struct net *net, unsigned node)
{
    struct net_node *n = &net->nodes[node];
    const struct byte_record *record;
    bool any = false;

    for (unsigned lane = 0; lane < net->lanes && !n->frozen; lane++) {
        while ((record = byte_ring_peek(n->config.down[lane])) != NULL) {
            if (record->kind == PUNT_SEND)
                sent(net, node, lane, record);
            else if (record->kind == PUNT_MESH_SEND)
                mesh_sent(net, node, record);
            else
                told(net, node, lane, record);
            byte_ring_pop(n->config.down[lane]);
            any = true;
        }
    }
    return any;
}

void net_need_link(struct net *net, unsigned node, unsigned lane, uint64_t to)
{
    struct punt_node need = {.node = to};

    net_push(net, node, lane, PUNT_NEED_LINK, &need, sizeof(need), NULL, 0);
}

void net_link_report(struct net *net, unsigned node, const struct net_link *link,
                     enum punt_kind kind, uint32_t flags)
{
    struct punt_link report = {.node = link->open.node,
                               .link_id = link->open.link_id,
                               .peer_link_id = link->open.peer_link_id,
                               .flags = flags};

    net_push(net, node, link_id_lane(link->open.link_id), kind, &report, sizeof(report),
             NULL, 0);
}

void net_name(struct net *net, unsigned node, enum punt_name_op op, const char *name,
              uint32_t slot, uint32_t correlation, uint32_t type, proa_ns span)
{
    struct punt_name head = {.op = op,
                             .correlation = correlation,
                             .slot = slot,
                             .generation = GENERATION,
                             .type = type,
                             .len = (uint32_t)strlen(name),
                             .deadline = net->now + span};

    net_push(net, node, slot >> 24, PUNT_NAME, &head, sizeof(head), name, strlen(name));
}

/* ---- Time ---- */

/* As a lane does it: the message counts as heard from its node. */
static void mesh_land(struct net *net, const struct net_flight *f)
{
    struct punt_mesh head = {.node = f->mesh_from};
    struct directory_node *from =
        directory_node(net->nodes[f->to].directory, f->mesh_from);

    if (from != NULL)
        directory_heard(from, net->now + CORE_HEARD_FOR);
    net_push(net, f->to, 0, PUNT_MESH, &head, sizeof(head), f->bytes, f->len);
}

static bool land(struct net *net)
{
    bool any = false;

    for (unsigned i = 0; i < net->flight_count;) {
        struct net_flight f = net->flight[i];
        if (f.at > net->now) {
            i++;
            continue;
        }
        /* In the order sent: what is behind moves up. */
        memmove(&net->flight[i], &net->flight[i + 1],
                (--net->flight_count - i) * sizeof(f));
        if (net->nodes[f.to].core != NULL && f.mesh_from != 0)
            mesh_land(net, &f);
        else if (net->nodes[f.to].core != NULL)
            net_datagram(net, f.to, f.lane, &f.from, f.bytes, f.len);
        free(f.bytes);
        any = true;
    }
    return any;
}

/* One moment: everything that happens at net->now. */
static void moment(struct net *net)
{
    bool more = true;

    land(net);
    for (unsigned pass = 0; more && pass < 64; pass++) {
        more = false;
        for (unsigned i = 0; i < net->count; i++) {
            if (net->nodes[i].core == NULL)
                continue;
            core_step(net->nodes[i].core, net->now, net_wall(net));
            more |= lanes_read(net, i);
            for (unsigned lane = 0; lane < net->lanes; lane++)
                more |= !byte_ring_is_empty(net->nodes[i].config.up[lane]);
        }
    }
}

static proa_ns next_moment(const struct net *net)
{
    proa_ns next = PROA_NS_NEVER;

    for (unsigned i = 0; i < net->flight_count; i++) {
        if (net->flight[i].at < next)
            next = net->flight[i].at;
    }
    for (unsigned i = 0; i < net->count; i++) {
        proa_ns at = PROA_NS_NEVER;
        if (net->nodes[i].core != NULL)
            at = core_deadline(net->nodes[i].core);
        if (at < next)
            next = at;
    }
    return next > net->now ? next : net->now + PROA_US;
}

bool net_until(struct net *net, bool (*cond)(struct net *net), proa_ns span)
{
    proa_ns end = net->now + span;

    for (;;) {
        proa_ns next;

        moment(net);
        if (cond != NULL && cond(net))
            return true;
        next = next_moment(net);
        if (next > end) {
            net->now = end;
            return false;
        }
        net->now = next;
    }
}

void net_run(struct net *net, proa_ns span)
{
    net_until(net, NULL, span);
}

/* ---- What was said ---- */

static bool is_about(const struct net_record *r, enum punt_kind kind, uint64_t what)
{
    if (r->kind != kind)
        return false;
    switch (kind) {
    case PUNT_NAME_ANSWER:
        return what == 0 || r->answer.correlation == what;
    case PUNT_CHANGED:
        return what == 0 || r->changed.serial == what;
    case PUNT_NODE_FAILED:
    case PUNT_NODE_DEAD:
        return what == 0 || r->node.node == what;
    case PUNT_LINK_OPEN:
        return what == 0 || r->open.node == what;
    case PUNT_LINK_HEARD:
    case PUNT_LINK_RESET:
        return what == 0 || r->link.link_id == what;
    default:
        return true;
    }
}

const struct net_record *net_said(const struct net *net, unsigned node,
                                  enum punt_kind kind, uint64_t what)
{
    const struct net_node *n = &net->nodes[node];

    for (unsigned i = n->log_count; i-- > 0;) {
        if (is_about(&n->log[i], kind, what))
            return &n->log[i];
    }
    return NULL;
}

unsigned net_said_count(const struct net *net, unsigned node, enum punt_kind kind,
                        uint64_t what)
{
    const struct net_node *n = &net->nodes[node];
    unsigned count = 0;

    for (unsigned i = 0; i < n->log_count; i++)
        count += is_about(&n->log[i], kind, what);
    return count;
}

struct net_link *net_link(struct net *net, unsigned node, unsigned lane, uint64_t to)
{
    struct net_node *n = &net->nodes[node];

    for (unsigned i = 0; i < n->link_count; i++) {
        struct net_link *link = &n->links[i];
        if (!link->ended && link->open.node == to &&
            (lane == PROA_LANES_MAX || link_id_lane(link->open.link_id) == lane))
            return link;
    }
    return NULL;
}

unsigned net_links(const struct net *net, unsigned node, uint64_t to)
{
    const struct net_node *n = &net->nodes[node];
    unsigned count = 0;

    for (unsigned i = 0; i < n->link_count; i++)
        count += !n->links[i].ended && n->links[i].open.node == to;
    return count;
}

struct net *net_two(uint64_t seed)
{
    struct net *net = net_create(2, seed);

    net_add(net, -1);
    net_add(net, 0);
    net_run(net, PROA_S);
    return net;
}

bool net_both_linked(struct net *net)
{
    return net_link(net, 0, PROA_LANES_MAX, net_id(net, 1)) != NULL &&
           net_link(net, 1, PROA_LANES_MAX, net_id(net, 0)) != NULL;
}
