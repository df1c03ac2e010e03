/* SPDX-License-Identifier: Apache-2.0 */
/* lane_world.h - node A of one lane and node B of two on ring ports, in virtual time, the test in the
   control threads' place; for test_lane_link.c, whose state it is.

   A's port takes `choke` packets a burst.  Threads: one.  Units: proa_ns of virtual time.
   Errors: assertions of cmocka's, which is included before it. */
#ifndef LANE_WORLD_H
#define LANE_WORLD_H

#include <string.h>

#include "lane.h"
#include "packet.h"
#include "pool_plain.h"
#include "port_ring.h"

#define NODE_A 0xa0a0a0a0a0a0a0a1u
#define NODE_B 0xb0b0b0b0b0b0b0b2u
#define SECRET 0x1234567u
#define MANY 1000u
#define ENTERED_MAX 65536u

struct part {
    struct arena *arena;
    struct byte_ring *up, *down;
    struct doorbell bell;
    struct pkt_pool *pool;
    struct lane *lane;
    int reader;
    uint32_t ended, needed; /* PUNT_LINK_ENDED, PUNT_NEED_LINK */
    struct punt_link end;   /* the last of the ended */
};

struct node {
    uint64_t id;
    uint32_t lanes;
    struct directory *directory;
    struct doorbell control;
    struct port *port;
    struct part part[2];
};

static struct node nodes[2]; /* A, B */
static struct pair_ring *rings[2];
static proa_ns now;
static uint32_t entered[ENTERED_MAX]; /* types, in order */
static uint32_t entered_count;
static uint32_t retained_max;
static bool deaf;   /* pings are not answered */
static bool stands; /* no control thread runs: none leaves */

/* ---- B's actor ---- */

static void on_any(struct proa_actor *self, const struct proa_msg *msg)
{
    (void)self;
    assert_true(entered_count < ENTERED_MAX);
    entered[entered_count++] = msg->type;
}

static const struct proa_behaviour sink = {.type_name = "sink", .any = on_any};

/* ---- The port between ---- */

static struct port_ops choked_ops;
static const struct port_ops *true_ops;
static uint32_t choke; /* packets a burst may have; UINT32_MAX: all */

static unsigned choked_tx(struct port *port, unsigned queue, struct pkt **pkts,
                          unsigned n, proa_ns at)
{
    if (n > choke)
        n = choke;
    return n > 0 ? true_ops->tx(port, queue, pkts, n, at) : 0;
}

/* ---- The world ---- */

static void open_lane(struct node *n, uint32_t i)
{
    struct part *p = &n->part[i];
    struct lane_config c = {
        .node = n->id,
        .lane = i,
        .lanes = n->lanes,
        .ports = &n->port,
        .port_count = 1,
        .pool = p->pool,
        .up = p->up,
        .down = p->down,
        .bell = &p->bell,
        .control = &n->control,
        .directory = n->directory,
        .reader = p->reader,
        .arena = p->arena,
        .message_max = 1u << 20,
        .retained_max = retained_max,
        .sched = {.actors_max = 64, .asks_max = 64, .timers_max = 64, .seed = n->id + i}};

    if (n->lanes == 2) {
        c.sched.out[!i] = rings[i];
        c.sched.in[!i] = rings[!i];
        c.sched.bells[i] = &p->bell;
        c.sched.bells[!i] = &n->part[!i].bell;
    }
    p->lane = lane_create(&c);
    assert_non_null(p->lane);
    directory_online(n->directory, p->reader);
}

static void open_node(struct node *n, uint64_t id, uint32_t lanes)
{
    const uint8_t seed[32] = {3};
    struct pkt_pool *pools[2];
    char err[PROA_TEXT_MAX];

    *n = (struct node){.id = id, .lanes = lanes};
    doorbell_init_silent(&n->control);
    n->directory = directory_create(2 * MANY, seed);
    directory_node_add(n->directory, NODE_A, PROA_NS_NEVER);
    directory_node_add(n->directory, NODE_B, PROA_NS_NEVER);
    for (uint32_t i = 0; i < lanes; i++) {
        struct part *p = &n->part[i];
        p->arena = arena_create();
        p->pool = pools[i] = pool_plain_create(16384, 64, 2048);
        p->up = byte_ring_create(1u << 20);
        p->down = byte_ring_create(1u << 18);
        p->reader = directory_reader_add(n->directory);
        doorbell_init_silent(&p->bell);
    }
    n->port = port_ring_open(
        &(struct port_ring_args){
            .hub = "links", .queues = lanes, .pools = pools, .slots = 16384},
        err, sizeof(err));
    assert_non_null(n->port);
    for (uint32_t i = 0; i < lanes; i++)
        open_lane(n, i);
}

static void close_node(struct node *n)
{
    for (uint32_t i = 0; i < n->lanes; i++)
        lane_destroy(n->part[i].lane);
    port_close(n->port);
    for (uint32_t i = 0; i < n->lanes; i++) {
        struct part *p = &n->part[i];
        directory_offline(n->directory, p->reader);
        directory_reader_remove(n->directory, p->reader);
        byte_ring_destroy(p->up);
        byte_ring_destroy(p->down);
        assert_int_equal(pool_plain_in_use(p->pool), 0);
        pool_plain_destroy(p->pool);
    }
    for (uint32_t i = 0; i < n->lanes; i++)
        arena_destroy(n->part[i].arena);
    directory_destroy(n->directory);
}

static int setup(void **state)
{
    (void)state;
    now = 1000 * PROA_S;
    entered_count = 0;
    choke = UINT32_MAX;
    deaf = stands = false;
    for (int i = 0; i < 2; i++)
        rings[i] = pair_ring_create(64);
    open_node(&nodes[0], NODE_A, 1);
    open_node(&nodes[1], NODE_B, 2);
    true_ops = nodes[0].port->ops;
    choked_ops = *true_ops;
    choked_ops.tx = choked_tx;
    nodes[0].port->ops = &choked_ops;
    return 0;
}

static int setup_little(void **state)
{
    retained_max = 64;
    return setup(state);
}

static int teardown(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++)
        close_node(&nodes[i]);
    for (int i = 0; i < 2; i++)
        pair_ring_destroy(rings[i]);
    retained_max = 0;
    return 0;
}

/* Has the lane send the PING it wants. */
static void send_ping(struct node *n, struct part *p, const struct punt_link *wanted)
{
    struct packet_ping ping = {.src_node = n->id,
                               .dst_node = wanted->node,
                               .link = wanted->link_id,
                               .peer_link = wanted->peer_link_id};
    const struct node *other = n == &nodes[0] ? &nodes[1] : &nodes[0];
    struct punt_datagram head = {.peer = other->port->address};
    uint8_t bytes[PACKET_PING_LEN + PACKET_TAG_LEN] = {0};

    packet_ping_put(bytes, PACKET_PING, &ping);
    byte_ring_push(p->down, PUNT_SEND, &head, sizeof(head), bytes, sizeof(bytes));
}

/* The control thread: answers pings as the other node's would, counts the rest. */
static void control(struct node *n, uint32_t lane)
{
    struct part *p = &n->part[lane];
    const struct byte_record *r;

    while ((r = byte_ring_peek(p->up)) != NULL) {
        struct punt_link link = {0};

        p->needed += r->kind == PUNT_NEED_LINK;
        if (r->kind == PUNT_LINK_ENDED) {
            p->ended++;
            memcpy(&p->end, r->body, sizeof(p->end));
        }
        if (r->kind == PUNT_LINK_PING) {
            memcpy(&link, r->body, sizeof(link));
            if (!stands)
                send_ping(n, p, &link);
        }
        if (r->kind == PUNT_LINK_PING && !deaf && !stands) {
            struct node *other = n == &nodes[0] ? &nodes[1] : &nodes[0];
            struct punt_link back = {.node = n->id,
                                     .link_id = link.peer_link_id,
                                     .peer_link_id = link.link_id};
            byte_ring_push(p->down, PUNT_LINK_HEARD, &link, sizeof(link), NULL, 0);
            byte_ring_push(other->part[link_id_lane(back.link_id)].down, PUNT_LINK_HEARD,
                           &back, sizeof(back), NULL, 0);
        }
        byte_ring_pop(p->up);
    }
}

static void step(uint32_t node, uint32_t lane)
{
    struct part *p = &nodes[node].part[lane];

    lane_poll(p->lane, now);
    lane_step(p->lane, now);
    control(&nodes[node], lane);
}

static void run_by(proa_ns span, proa_ns by)
{
    for (proa_ns until = now + span; now < until; now += by) {
        step(0, 0);
        step(1, 0);
        step(1, 1);
    }
}

static void run(proa_ns span)
{
    run_by(span, 10 * PROA_US);
}

/* One node's control thread opens its end of link `slot` between A's lane and a lane of B; a_knows: what A
   takes B for. */
static void open_end(uint32_t node, uint32_t slot, uint32_t lane_b, uint64_t a_knows)
{
    uint64_t a = link_id_make(0, slot, SECRET),
             b = link_id_make(lane_b, slot, SECRET + 1);
    struct punt_link_open open = {.node = a_knows,
                                  .link_id = a,
                                  .peer_link_id = b,
                                  .peer = nodes[1].port->address,
                                  .seq_tx = 1,
                                  .seq_rx = 1,
                                  .mtu = 1232,
                                  .sending = 1};

    if (node == 0) {
        assert_true(byte_ring_push(nodes[0].part[0].down, PUNT_LINK_OPEN, &open,
                                   sizeof(open), NULL, 0));
        return;
    }
    open.node = NODE_A;
    open.link_id = b;
    open.peer_link_id = a;
    open.peer = nodes[0].port->address;
    assert_true(byte_ring_push(nodes[1].part[lane_b].down, PUNT_LINK_OPEN, &open,
                               sizeof(open), NULL, 0));
}

/* Both agree on it. */
static void link_nodes(uint32_t slot, uint32_t lane_b, uint64_t a_knows)
{
    open_end(0, slot, lane_b, a_knows);
    open_end(1, slot, lane_b, a_knows);
}

static struct proa_ref spawn_sink(uint32_t lane)
{
    struct proa_ref ref;

    assert_int_equal(
        sched_spawn(lane_sched(nodes[1].part[lane].lane), &sink, NULL, 0, &ref), PROA_OK);
    return ref;
}

static enum proa_outcome tell(struct proa_ref to, uint32_t type, uint32_t len)
{
    static const uint8_t bytes[1200];
    struct proa_msg msg = {
        .data = bytes, .len = len, .type = type, .from = {NODE_A, 7, 1}, .to = to};
    enum proa_outcome lane_below_send(void *ctx, const struct proa_msg *message);

    return lane_below_send(nodes[0].part[0].lane, &msg);
}

static void assert_entered(uint32_t count)
{
    assert_int_equal(entered_count, count);
    for (uint32_t i = 0; i < count; i++)
        assert_int_equal(entered[i], i + 1);
}

#define STAT(node, lane_, field)                                                         \
    atomic_load_explicit(&lane_stats(nodes[node].part[lane_].lane)->field,               \
                         memory_order_relaxed)

#endif
