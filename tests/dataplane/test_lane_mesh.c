/* SPDX-License-Identifier: Apache-2.0 */
/* Registry messages through lanes: two nodes of one lane each on a ring port, virtual time, the
   test in the control threads' place. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "lane.h"
#include "pool_plain.h"
#include "port_ring.h"
#include "sysmsg.h"

#define NODE_A 0xa0a0a0a0a0a0a0a1u
#define NODE_B 0xb0b0b0b0b0b0b0b2u
#define SECRET 0x1234567u
#define UP_BYTES (1u << 17)
#define FLOOD 150u

struct side {
    uint64_t node;
    struct arena *arena;
    struct pkt_pool *pool;
    struct byte_ring *up, *down;
    struct directory *directory;
    struct port *port;
    struct doorbell bell, control;
    struct lane *lane;
    int reader;
};

static struct side sides[2];
static proa_ns now;

/* ---- The world ---- */

static void open_side(struct side *s, uint64_t node)
{
    const uint8_t seed[32] = {3};
    char err[PROA_TEXT_MAX];

    *s = (struct side){.node = node};
    s->arena = arena_create();
    s->pool = pool_plain_create(4096, 32, 2048); /* more than a flood has in flight */
    s->up = byte_ring_create(UP_BYTES);
    s->down = byte_ring_create(1u << 18);
    s->directory = directory_create(64, seed);
    s->reader = directory_reader_add(s->directory);
    doorbell_init_silent(&s->bell);
    doorbell_init_silent(&s->control);
    s->port = port_ring_open(
        &(struct port_ring_args){.hub = "mesh", .queues = 1, .pools = &s->pool}, err,
        sizeof(err));
    assert_non_null(s->port);
    directory_node_add(s->directory, NODE_A, PROA_NS_NEVER);
    directory_node_add(s->directory, NODE_B, PROA_NS_NEVER);
    s->lane = lane_create(&(struct lane_config){
        .node = node,
        .lanes = 1,
        .ports = &s->port,
        .port_count = 1,
        .pool = s->pool,
        .up = s->up,
        .down = s->down,
        .bell = &s->bell,
        .control = &s->control,
        .directory = s->directory,
        .reader = s->reader,
        .arena = s->arena,
        .message_max = 1u << 20,
        .sched = {.actors_max = 64, .asks_max = 64, .timers_max = 64, .seed = node}});
    assert_non_null(s->lane);
    directory_online(s->directory, s->reader);
}

static void close_side(struct side *s)
{
    lane_destroy(s->lane);
    port_close(s->port);
    directory_offline(s->directory, s->reader);
    directory_reader_remove(s->directory, s->reader);
    directory_destroy(s->directory);
    byte_ring_destroy(s->up);
    byte_ring_destroy(s->down);
    assert_int_equal(pool_plain_in_use(s->pool), 0);
    pool_plain_destroy(s->pool);
    arena_destroy(s->arena);
}

static int setup(void **state)
{
    (void)state;
    now = 1000 * PROA_S;
    open_side(&sides[0], NODE_A);
    open_side(&sides[1], NODE_B);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++)
        close_side(&sides[i]);
    return 0;
}

static void step(struct side *s)
{
    lane_poll(s->lane, now);
    lane_step(s->lane, now);
}

static void run(proa_ns span)
{
    for (proa_ns until = now + span; now < until; now += 10 * PROA_US)
        for (int i = 0; i < 2; i++)
            step(&sides[i]);
}

/* Both control threads agree on a link. */
static void link_sides(void)
{
    for (int i = 0; i < 2; i++) {
        struct punt_link_open open = {.node = sides[!i].node,
                                      .link_id = link_id_make(0, 1, SECRET + (unsigned)i),
                                      .peer_link_id =
                                          link_id_make(0, 1, SECRET + (unsigned)!i),
                                      .peer = sides[!i].port->address,
                                      .seq_tx = 1,
                                      .seq_rx = 1,
                                      .mtu = 1232,
                                      .sending = 1};

        assert_true(
            byte_ring_push(sides[i].down, PUNT_LINK_OPEN, &open, sizeof(open), NULL, 0));
    }
    run(PROA_MS);
}

static void send_mesh(struct side *s, const uint64_t *nodes, uint32_t count, uint8_t fill,
                      size_t len)
{
    uint8_t tail[64 * 8 + SYSMSG_REGISTRY_MAX];
    struct punt_mesh_send head = {.nodes = count};

    memcpy(tail, nodes, count * sizeof(*nodes));
    memset(tail + count * sizeof(*nodes), fill, len);
    assert_true(byte_ring_push(s->down, PUNT_MESH_SEND, &head, sizeof(head), tail,
                               (uint32_t)(count * sizeof(*nodes) + len)));
}

/* The next registry message that came up; returns its length, 0: there is none. */
static uint32_t next_mesh(struct side *s, uint64_t *ret_node, uint8_t *ret_fill)
{
    const struct byte_record *r;
    uint32_t len = 0;

    while (len == 0 && (r = byte_ring_peek(s->up)) != NULL) {
        struct punt_mesh head;

        if (r->kind == PUNT_MESH) {
            memcpy(&head, r->body, sizeof(head));
            *ret_node = head.node;
            len = r->len - (uint32_t)sizeof(head);
            *ret_fill = r->body[sizeof(head)];
            for (uint32_t i = 0; i < len; i++)
                assert_int_equal(r->body[sizeof(head) + i], *ret_fill);
        }
        byte_ring_pop(s->up);
    }
    return len;
}

#define STAT(s, field)                                                                   \
    atomic_load_explicit(&lane_stats((s)->lane)->field, memory_order_relaxed)

/* A message as the other node's lane would write it into the stream, whatever it holds. */
static void send_raw(struct side *s, uint32_t type, size_t len)
{
    static uint8_t bytes[1200];
    struct proa_msg msg = {.data = bytes,
                           .len = (uint32_t)len,
                           .type = type,
                           .from = {s->node, 0, 0},
                           .to = {s == &sides[0] ? NODE_B : NODE_A, 0, 0},
                           .flags = PROA_MSG_SYSTEM,
                           .cls = PROA_CLASS_SYSTEM};
    enum proa_outcome lane_below_send(void *ctx, const struct proa_msg *message);

    assert_int_equal(lane_below_send(s->lane, &msg), PROA_OK);
}

/* ---- Tests ---- */

static void mesh__goes_to_the_other_control_thread_in_order(void **state)
{
    const uint64_t to_b = NODE_B, to_a = NODE_A;
    uint64_t node;
    uint8_t fill;

    (void)state;
    link_sides();
    for (uint8_t i = 1; i <= 5; i++)
        send_mesh(&sides[0], &to_b, 1, i, i == 5 ? SYSMSG_REGISTRY_MAX : i);
    send_mesh(&sides[1], &to_a, 1, 99, 7);
    run(PROA_MS);
    for (uint8_t i = 1; i <= 5; i++) {
        uint32_t len = next_mesh(&sides[1], &node, &fill);

        assert_int_equal(len, i == 5 ? SYSMSG_REGISTRY_MAX : i);
        assert_int_equal(fill, i);
        assert_true(node == NODE_A);
    }
    assert_int_equal(next_mesh(&sides[1], &node, &fill), 0);
    assert_int_equal(next_mesh(&sides[0], &node, &fill), 7);
    assert_true(node == NODE_B);
    assert_int_equal(STAT(&sides[0], registry_tx), 5);
    assert_int_equal(STAT(&sides[1], registry_rx), 5);
    assert_int_equal(STAT(&sides[0], registry_dropped), 0);
}

static void mesh__waits_for_its_link_and_asks_for_it(void **state)
{
    const uint64_t to_b = NODE_B;
    const struct byte_record *r;
    uint64_t node;
    uint8_t fill;

    (void)state;
    for (unsigned i = 0; i < LANE_REGISTRY_MAX + 5; i++)
        send_mesh(&sides[0], &to_b, 1, (uint8_t)i, 900);
    run(PROA_MS);
    r = byte_ring_peek(sides[0].up);
    assert_non_null(r);
    assert_int_equal(r->kind, PUNT_NEED_LINK);
    assert_int_equal(STAT(&sides[0], registry_tx), LANE_REGISTRY_MAX);
    assert_int_equal(STAT(&sides[0], registry_dropped), 5);
    link_sides();
    /* The first ones come before B's lane has the link, and then again. */
    run(5 * PROA_MS);
    for (unsigned i = 0; i < LANE_REGISTRY_MAX; i++) {
        assert_int_equal(next_mesh(&sides[1], &node, &fill), 900);
        assert_int_equal(fill, i);
    }
    assert_int_equal(next_mesh(&sides[1], &node, &fill), 0);
}

static void mesh__to_several_nodes_is_sent_to_each_and_counted(void **state)
{
    const uint64_t nodes[] = {NODE_B, 0xc0c0c0c0c0c0c0c3u};
    uint64_t node;
    uint8_t fill;

    (void)state;
    link_sides();
    directory_node_add(sides[0].directory, nodes[1], PROA_NS_NEVER);
    directory_node_dead(sides[0].directory, nodes[1]);
    send_mesh(&sides[0], nodes, 2, 8, 40);
    run(PROA_MS);
    assert_int_equal(next_mesh(&sides[1], &node, &fill), 40);
    assert_int_equal(STAT(&sides[0], registry_tx), 1);
    assert_int_equal(STAT(&sides[0], registry_dropped), 1); /* no way to a dead node */
    assert_int_equal(STAT(&sides[0], no_route), 1);
}

static void mesh__what_no_registry_says_is_bad(void **state)
{
    uint64_t node;
    uint8_t fill;

    (void)state;
    link_sides();
    send_raw(&sides[0], (uint32_t)SYSMSG_REGISTRY, 0);
    send_raw(&sides[0], (uint32_t)SYSMSG_REGISTRY, SYSMSG_REGISTRY_MAX + 1);
    send_raw(&sides[0], (uint32_t)SYSMSG_REGISTRY + 1, 30);
    send_raw(&sides[0], (uint32_t)SYSMSG_REGISTRY, 1);
    run(PROA_MS);
    assert_int_equal(STAT(&sides[1], sysmsg_bad), 3);
    assert_int_equal(next_mesh(&sides[1], &node, &fill), 1);
    assert_int_equal(next_mesh(&sides[1], &node, &fill), 0);
}

/* A flood leaves the other half of the control thread's ring to what must not be lost. */
static void mesh__takes_half_of_the_ring_at_most(void **state)
{
    const uint64_t to_b = NODE_B;
    uint64_t node;
    uint8_t fill;
    unsigned got = 0;

    (void)state;
    link_sides();
    for (unsigned i = 0; i < FLOOD; i++)
        send_mesh(&sides[0], &to_b, 1, (uint8_t)i, 1000);
    run(PROA_MS);
    assert_true(byte_ring_used(sides[1].up) <= UP_BYTES / 2 + 1100);
    while (next_mesh(&sides[1], &node, &fill) != 0)
        assert_int_equal(fill, got++); /* the first ones: what came later was dropped */
    assert_true(got >= UP_BYTES / 2 / 1100);
    assert_int_equal(got + STAT(&sides[1], registry_dropped), FLOOD);
    assert_int_equal(STAT(&sides[1], registry_rx), got);
}

static void mesh__dies_with_its_link(void **state)
{
    const uint64_t to_b = NODE_B;
    struct punt_link reset = {.node = NODE_B, .link_id = link_id_make(0, 1, SECRET)};
    uint64_t node;
    uint8_t fill;

    (void)state;
    link_sides();
    send_mesh(&sides[0], &to_b, 1, 1, 50);
    for (proa_ns until = now + PROA_MS; now < until; now += 10 * PROA_US)
        step(&sides[0]); /* B does not read: nothing is acked */
    assert_int_equal(STAT(&sides[0], registry_tx), 1);
    assert_true(
        byte_ring_push(sides[0].down, PUNT_LINK_RESET, &reset, sizeof(reset), NULL, 0));
    step(&sides[0]);
    assert_int_equal(STAT(&sides[0], registry_dropped), 1);
    assert_int_equal(STAT(&sides[0], lost_sent), 1);
    assert_int_equal(next_mesh(&sides[0], &node, &fill), 0);
}

static enum proa_outcome tell_b(struct side *s)
{
    static const uint8_t bytes[600];
    struct proa_msg tell = {.data = bytes,
                            .len = sizeof(bytes),
                            .type = 5,
                            .from = {NODE_A, 7, 1},
                            .to = {NODE_B, 3, 1}};
    enum proa_outcome lane_below_send(void *ctx, const struct proa_msg *message);

    return lane_below_send(s->lane, &tell);
}

/* Registry messages come as fast as they drain, or faster: who tells does not notice. */
static void mesh__a_flood_leaves_actors_their_room(void **state)
{
    const uint64_t to_b = NODE_B;
    uint64_t sent_before;

    (void)state;
    link_sides();
    for (unsigned i = 0; i < 100; i++) {
        for (unsigned k = 0; k < 60; k++)
            send_mesh(&sides[0], &to_b, 1, (uint8_t)i, 1100);
        for (int j = 0; j < 4; j++) {
            step(&sides[0]);
            now += 5 * PROA_US;
        }
        assert_int_equal(tell_b(&sides[0]), PROA_OK);
        if (i % 8 != 7) /* B is slower than that */
            continue;
        step(&sides[1]);
        while (byte_ring_peek(sides[1].up) != NULL)
            byte_ring_pop(sides[1].up);
    }
    assert_true(STAT(&sides[0], registry_dropped) > 0); /* it was one */
    /* Nor do registries notice actors that keep their part of the outbox full. */
    run(20 * PROA_MS);
    while (tell_b(&sides[0]) == PROA_OK)
        ;
    sent_before = STAT(&sides[0], registry_tx);
    send_mesh(&sides[0], &to_b, 1, 1, 1100);
    lane_poll(sides[0].lane, now);
    lane_step(sides[0].lane, now);
    assert_int_equal(STAT(&sides[0], registry_tx), sent_before + 1);
}

#define test(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        test(mesh__goes_to_the_other_control_thread_in_order),
        test(mesh__waits_for_its_link_and_asks_for_it),
        test(mesh__to_several_nodes_is_sent_to_each_and_counted),
        test(mesh__what_no_registry_says_is_bad),
        test(mesh__takes_half_of_the_ring_at_most),
        test(mesh__a_flood_leaves_actors_their_room),
        test(mesh__dies_with_its_link),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
