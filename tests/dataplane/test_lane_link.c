/* SPDX-License-Identifier: Apache-2.0 */
/* Links as a lane keeps them: opening, whose packets they take, their end, many of them, and a port
   that does not take packets.  Node A of one lane and node B of two on ring ports, virtual time, the
   test in the control threads' place. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

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
static bool deaf; /* pings are not answered */

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
static uint32_t choke;       /* packets a burst may have; UINT32_MAX: all */
static uint32_t offered_max; /* the most that A's lane offered in one call */

static unsigned choked_tx(struct port *port, unsigned queue, struct pkt **pkts,
                          unsigned n, proa_ns at)
{
    if (n > offered_max)
        offered_max = n;
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
    entered_count = offered_max = 0;
    choke = UINT32_MAX;
    deaf = false;
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
        if (r->kind == PUNT_LINK_PING && !deaf) {
            memcpy(&link, r->body, sizeof(link));
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

/* Both control threads agree on link `slot` between A's lane and a lane of B; a_knows: what A takes B
   for. */
static void link_nodes(uint32_t slot, uint32_t lane_b, uint64_t a_knows)
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

    assert_true(byte_ring_push(nodes[0].part[0].down, PUNT_LINK_OPEN, &open, sizeof(open),
                               NULL, 0));
    open.node = NODE_A;
    open.link_id = b;
    open.peer_link_id = a;
    open.peer = nodes[0].port->address;
    assert_true(byte_ring_push(nodes[1].part[lane_b].down, PUNT_LINK_OPEN, &open,
                               sizeof(open), NULL, 0));
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

/* ---- Opening ---- */

static void open__64_messages_wait_for_it_then_again(void **state)
{
    struct proa_ref to = spawn_sink(0);

    (void)state;
    run(PROA_MS);
    for (uint32_t i = 0; i < 64; i++)
        assert_int_equal(tell(to, i + 1, 100), PROA_OK);
    assert_int_equal(tell(to, 65, 100), PROA_AGAIN);
    run(50 * PROA_MS);
    assert_int_equal(nodes[0].part[0].needed, 1); /* one question for them all */
    link_nodes(1, 0, NODE_B);
    run(5 * PROA_MS);
    assert_entered(64);
    assert_int_equal(tell(to, 65, 100), PROA_OK);
    run(PROA_MS);
    assert_entered(65);
}

/* A datagram of these bytes from a third node to B. */
static void stranger_sends(struct port *port, struct pkt_pool *pool, uint64_t dst_link,
                           const struct proa_addr *to)
{
    struct pkt *p = pkt_alloc(pool, 0);
    struct packet_header h = {.kind = PACKET_DATA, .dst_link = dst_link, .seq = 1};
    struct packet_message m = {.len = 8, .type = 1, .dst = 2, .src = 1};

    memset(p->data, 0, 128);
    packet_header_put(p->data, &h);
    p->len = (uint16_t)(PACKET_HEADER_LEN +
                        packet_message_put(p->data + PACKET_HEADER_LEN, &m) + 8);
    p->peer = *to;
    assert_int_equal(port_tx(port, 0, &p, 1, now), 1);
}

static void admit__whole_link_id_and_source_and_no_answer(void **state)
{
    struct pkt_pool *pool = pool_plain_create(64, 8, 2048);
    struct pkt *got[PORT_BURST];
    uint64_t id = link_id_make(0, 1, SECRET + 1);
    char err[PROA_TEXT_MAX];

    (void)state;
    struct port *stranger = port_ring_open(
        &(struct port_ring_args){.hub = "links", .queues = 1, .pools = &pool}, err,
        sizeof(err));
    assert_non_null(stranger);
    link_nodes(1, 0, NODE_B);
    run(PROA_MS);
    uint64_t unknown = STAT(1, 0, unknown_link); /* A was a step ahead of B */
    for (uint32_t bit = 0; bit < 64; bit++) {
        uint32_t lane = link_id_lane(id ^ 1ull << bit);
        if (lane == 1)
            continue; /* handed to lane 1, which has no link there; counted by it */
        stranger_sends(stranger, pool, id ^ 1ull << bit, &nodes[1].port->address);
    }
    run(PROA_MS);
    assert_int_equal(STAT(1, 0, unknown_link), unknown + 63);
    assert_int_equal(STAT(1, 0, wrong_source), 0);
    stranger_sends(stranger, pool, id, &nodes[1].port->address);
    run(PROA_MS);
    assert_int_equal(STAT(1, 0, wrong_source), 1);
    assert_int_equal(port_rx(stranger, 0, got, PORT_BURST, now), 0);
    /* The link itself did not notice: packet 1 is still to come. */
    struct proa_ref to = spawn_sink(0);
    assert_int_equal(tell(to, 1, 8), PROA_OK);
    run(PROA_MS);
    assert_entered(1);
    port_close(stranger);
    pool_plain_destroy(pool);
}

static void astray__goes_to_the_lane_of_its_link(void **state)
{
    struct proa_ref to = spawn_sink(1);

    (void)state;
    link_nodes(1, 1, NODE_B); /* A's only queue ends at B's lane 0 */
    run(PROA_MS);
    for (uint32_t i = 0; i < 50; i++)
        assert_int_equal(tell(to, i + 1, 100), PROA_OK);
    run(PROA_MS);
    assert_entered(50);
    assert_true(STAT(1, 0, misdirected) > 0);
    assert_int_equal(STAT(1, 0, unknown_link), 0);
}

static void sending__stays_on_one_link_and_an_idle_surplus_closes(void **state)
{
    struct proa_ref to = spawn_sink(0);

    (void)state;
    link_nodes(1, 0, NODE_B);
    run(PROA_MS);
    link_nodes(2, 0, NODE_B);
    run(PROA_MS);
    for (uint32_t i = 0; i < 100; i++) {
        assert_int_equal(tell(to, i + 1, 100), PROA_OK);
        run(100 * PROA_US);
    }
    assert_entered(100);
    assert_int_equal(nodes[0].part[0].ended, 0);
    run_by(9900 * PROA_MS, PROA_MS);
    assert_int_equal(nodes[0].part[0].ended, 0);
    run_by(PROA_S, PROA_MS); /* it is looked at each time a ping is due */
    assert_int_equal(nodes[0].part[0].ended, 1);
    assert_int_equal(link_id_slot(nodes[0].part[0].end.link_id),
                     2); /* not the one used */
    assert_int_equal(nodes[0].part[0].end.flags, LINK_END_IDLE);
    assert_int_equal(tell(to, 101, 100), PROA_OK);
    run(PROA_MS);
    assert_entered(101);
}

/* ---- The end ---- */

/* What came by the old link for B's lane 1 lies in a ring that lane 1 does not read just now.  B's
   control thread must not hear of the end, and so open a successor, before it was delivered. */
static void end__is_told_when_marks_are_back_from_all_lanes(void **state)
{
    struct proa_ref to = spawn_sink(1);
    struct punt_link reset = {.node = NODE_A, .link_id = link_id_make(0, 1, SECRET + 1)};
    struct part *b0 = &nodes[1].part[0];

    (void)state;
    link_nodes(1, 0, NODE_B);
    run(PROA_MS);
    for (uint32_t i = 0; i < 20; i++)
        assert_int_equal(tell(to, i + 1, 100), PROA_OK);
    for (int i = 0; i < 20; i++) {
        step(0, 0);
        step(1, 0);
        now += 10 * PROA_US;
    }
    assert_true(
        byte_ring_push(b0->down, PUNT_LINK_RESET, &reset, sizeof(reset), NULL, 0));
    for (int i = 0; i < 1000; i++) {
        step(1, 0);
        now += 10 * PROA_US;
    }
    assert_int_equal(entered_count, 0);
    assert_int_equal(b0->ended, 0);
    step(1, 1); /* takes what was told, and the mark behind it */
    assert_entered(20);
    assert_int_equal(b0->ended, 0);
    step(1, 0);
    assert_int_equal(b0->ended, 1);
    assert_int_equal(b0->end.flags, LINK_END_RESET);
}

/* ---- Acks ---- */

static void settle__acks_before_the_lane_sleeps(void **state)
{
    struct proa_ref to = spawn_sink(0);

    (void)state;
    link_nodes(1, 0, NODE_B);
    run(PROA_MS);
    assert_int_equal(tell(to, 1, 100), PROA_OK);
    step(0, 0);
    step(1, 0);
    assert_entered(1);
    uint64_t before = STAT(1, 0, tx);
    step(1, 0); /* less than 20 us have passed */
    assert_int_equal(STAT(1, 0, tx), before);
    lane_settle(nodes[1].part[0].lane, now);
    assert_int_equal(STAT(1, 0, tx), before + 1);
}

/* ---- A port that does not take packets ---- */

/* The lane keeps 256 packets, each link 64; then it is AGAIN, and none is thrown away. */
static void backlog__256_packets_then_again_and_none_is_lost(void **state)
{
    struct proa_ref to = spawn_sink(0);
    uint32_t sent[8] = {0}, got[8] = {0}, all = 0;

    (void)state;
    for (uint32_t i = 0; i < 8; i++)
        link_nodes(i + 1, 0, 1 + i);
    run(5 * PROA_MS);
    uint64_t tx = STAT(0, 0, tx), rx = STAT(1, 0, rx);
    choke = 0;
    for (int round = 0; round < 100; round++) { /* less than the timer's millisecond */
        for (uint32_t i = 0; i < 8; i++) {
            to.node = 1 + i;
            while (tell(to, sent[i] << 3 | i, 1000) == PROA_OK) {
                sent[i]++;
                all++;
            }
        }
        step(0, 0);
        now += 5 * PROA_US;
    }
    assert_int_equal(STAT(0, 0, tx), tx);
    assert_true(STAT(0, 0, tx_short) > 0);
    assert_in_range(all, 256 + 8 * 64, 256 + 8 * 64 + 8);
    choke = 5;
    run(5 * PROA_MS);
    choke = UINT32_MAX;
    run(20 * PROA_MS);
    assert_int_equal(entered_count, all);
    for (uint32_t i = 0; i < all; i++)
        assert_int_equal(entered[i] >> 3, got[entered[i] & 7]++);
    assert_int_equal(STAT(0, 0, no_route), 0);
    assert_int_equal(STAT(0, 0, tx) - tx, STAT(1, 0, rx) - rx);
}

/* Behind packets that the port refused, messages of many loops share a packet. */
static void backlog__messages_gather_in_one_packet_meanwhile(void **state)
{
    struct proa_ref to = spawn_sink(0);

    (void)state;
    link_nodes(1, 0, NODE_B);
    run(PROA_MS);
    uint64_t before = STAT(0, 0, tx);
    choke = 0;
    for (uint32_t i = 0; i < 20; i++) {
        assert_int_equal(tell(to, i + 1, 8), PROA_OK);
        step(0, 0);
        now += 5 * PROA_US;
    }
    choke = UINT32_MAX;
    step(0, 0);
    step(0, 0);
    assert_in_range(STAT(0, 0, tx) - before, 2, 3); /* the first message; all others */
    run(PROA_MS);
    assert_entered(20);
}

/* ---- Many ---- */

/* Every link gets its share of what the lane may retain: two packets, whatever the others have. */
static void many__a_thousand_links_on_one_lane(void **state)
{
    static uint32_t seen[MANY];
    struct proa_ref to = spawn_sink(0);
    uint32_t sent[MANY] = {0}, all = 0;

    (void)state;
    for (uint32_t i = 0; i < MANY; i++) {
        link_nodes(i + 1, 0, 1 + i);
        run(20 * PROA_US);
    }
    run(10 * PROA_MS);
    assert_int_equal(STAT(0, 0, links), MANY);
    for (uint32_t round = 0; round < 400 && all < MANY * 8; round++) {
        for (uint32_t i = 0; i < MANY; i++) {
            to.node = 1 + i;
            while (sent[i] < 8 && tell(to, i + 1, 1100) == PROA_OK) {
                sent[i]++;
                all++;
            }
        }
        run(50 * PROA_US);
    }
    run(50 * PROA_MS);
    assert_int_equal(entered_count, MANY * 8);
    for (uint32_t i = 0; i < entered_count; i++)
        seen[entered[i] - 1]++;
    for (uint32_t i = 0; i < MANY; i++)
        assert_int_equal(seen[i], 8);
    assert_int_equal(STAT(0, 0, links_dead), 0);
    deaf =
        true; /* they end when nothing is heard: all of them, and their memory is free */
    nodes[0].part[0].ended = 0;
    choke = 0;
    for (proa_ns until = now + 3 * PROA_S; now < until; now += PROA_MS)
        step(0, 0);
    assert_int_equal(nodes[0].part[0].ended, MANY);
    assert_int_equal(STAT(0, 0, links), 0);
}

#define test(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        test(open__64_messages_wait_for_it_then_again),
        test(admit__whole_link_id_and_source_and_no_answer),
        test(astray__goes_to_the_lane_of_its_link),
        test(sending__stays_on_one_link_and_an_idle_surplus_closes),
        test(end__is_told_when_marks_are_back_from_all_lanes),
        test(settle__acks_before_the_lane_sleeps),
        test(backlog__256_packets_then_again_and_none_is_lost),
        test(backlog__messages_gather_in_one_packet_meanwhile),
        cmocka_unit_test_setup_teardown(many__a_thousand_links_on_one_lane, setup_little,
                                        teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
