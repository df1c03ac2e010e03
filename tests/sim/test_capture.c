/* SPDX-License-Identifier: Apache-2.0 */
/* Captures on nodes of the test kit: what is in the file, what a filter leaves out, what a full ring
   does, in virtual time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "capture.h"
#include "kit.h"
#include "net.h"
#include "pcapng_walk.h"

#define AHEAD 1700000000000000000u /* the wall clock before virtual time */
#define MESSAGES 200u

struct file {
    uint8_t *bytes;
    size_t len, cap;
    /* What walk_file found. */
    unsigned packets, by_kind[TAP_KINDS], in, out, cut;
    uint64_t received, dropped, written;
    uint64_t first, last;
};

static struct proa_test *test;
static struct proa_ref sink;

/* ---- Two nodes, one capture ---- */

static void begin(unsigned lanes, bool ipv6)
{
    /* Without linked registries no link is open before the first message. */
    struct proa_test_config config = {
        .nodes = 2, .lanes = lanes, .seed = 7, .ipv6 = ipv6, .mesh_nodes_max = 1};

    test = proa_test_create(&config);
    assert_non_null(test);
    assert_true(proa_test_join(test));
    sink = proa_test_sink(test, 1);
}

static int finish(void **state)
{
    (void)state;
    proa_test_destroy(test);
    return 0;
}

/* Node 0 tells node 1 MESSAGES times, each in a packet of its own, and is asked back. */
static void talk(void)
{
    for (unsigned i = 0; i < MESSAGES; i++) {
        uint64_t n = i;
        assert_int_equal(proa_test_tell(test, 0, sink, 5, &n, sizeof(n)), PROA_OK);
        proa_test_expect_tell(test, sink, 5, &n, sizeof(n), PROA_S);
    }
}

static struct capture *start(const struct capture_wish *wish)
{
    struct kit_node *node = &test->nodes[0];
    struct capture_config config = {.lane_count = test->config.lanes,
                                    .ports = {{"ring:test", node->address}},
                                    .port_count = 1,
                                    .node = node->id,
                                    .wish = *wish,
                                    .begin = test->now,
                                    .wall_ahead = AHEAD,
                                    .program = "test"};
    struct capture *capture;

    for (unsigned i = 0; i < test->config.lanes; i++)
        config.lanes[i] = node->lanes[i].lane;
    capture = capture_start(&config);
    assert_non_null(capture);
    assert_false(capture_begun(capture));
    proa_test_step(test);
    assert_true(capture_begun(capture));
    return capture;
}

static const struct capture_wish everything = {
    .filter = {.kinds = TAP_KINDS_ALL, .snap = CAPTURE_SNAP_MAX}};

static void append(struct file *file, const uint8_t *bytes, size_t len)
{
    file->bytes = realloc(file->bytes, file->len + len);
    assert_non_null(file->bytes);
    memcpy(file->bytes + file->len, bytes, len);
    file->len += len;
}

/* Reads all that is there, a chunk of `cap` bytes at a time. */
static void read_some(struct capture *capture, struct file *file, size_t cap)
{
    static uint8_t chunk[CAPTURE_CHUNK];
    size_t len;

    while ((len = capture_read(capture, chunk, cap)) > 0)
        append(file, chunk, len);
}

static void end(struct capture *capture, struct file *file)
{
    static uint8_t chunk[CAPTURE_CHUNK];

    capture_end(capture);
    assert_false(capture_ended(capture));
    proa_test_step(test);
    assert_true(capture_ended(capture));
    read_some(capture, file, sizeof(chunk));
    append(file, chunk, capture_tail(capture, test->now, chunk, sizeof(chunk)));
    capture_free(capture);
}

static struct file head_of(struct capture *capture)
{
    static uint8_t chunk[CAPTURE_CHUNK];
    struct file file = {.bytes = NULL};

    append(&file, chunk, capture_head(capture, chunk, sizeof(chunk)));
    return file;
}

/* ---- The file ---- */

/* The port's own parser takes the frame as it stands behind an Ethernet header. */
static void check_packet(struct file *file, const struct walk_block *block, bool out)
{
    static uint8_t frame[NET_ETH + CAPTURE_HEADERS + CAPTURE_SNAP_MAX];
    const struct kit_node *self = &test->nodes[0], *peer = &test->nodes[1];
    size_t kept = proa_get_le32(block->body + 12), len = proa_get_le32(block->body + 16);
    bool v6 = test->config.ipv6;
    struct net_datagram got;
    struct pkt p = {.len = 0};

    memset(frame, 0, NET_ETH);
    frame[12] = v6 ? 0x86 : 0x08;
    frame[13] = v6 ? 0xdd : 0x00;
    memcpy(frame + NET_ETH, block->body + 20, kept);
    if (kept < len) { /* no more can be said of it */
        file->cut++;
        return;
    }
    assert_int_equal(
        net_parse(frame, NET_ETH + len, out ? &peer->address : &self->address, 0, &got),
        PORT_OK);
    assert_memory_equal(&got.from, out ? &self->address : &peer->address,
                        sizeof(got.from));
    assert_int_equal(got.offset + got.len, NET_ETH + len);
    p.data = frame + got.offset;
    p.len = (uint16_t)got.len;
    file->by_kind[tap_kind(&p)]++;
}

static void walk_packet(struct file *file, const struct walk_block *block)
{
    size_t len = 0, padded = (proa_get_le32(block->body + 12) + 3) & ~3u;
    const uint8_t *flags = walk_option(block, 20 + padded, 2, &len);
    uint64_t at = walk_moment(block->body + 4);

    assert_true(flags != NULL && len == 4);
    assert_int_equal(proa_get_le32(block->body), 0);
    if (file->packets++ == 0)
        file->first = at;
    file->last = at;
    file->in += proa_get_le32(flags) == 1;
    file->out += proa_get_le32(flags) == 2;
    check_packet(file, block, proa_get_le32(flags) == 2);
}

/* Section, interface, packets, statistics; nothing else. */
static void walk_file(struct file *file)
{
    struct walk_block block = {0};
    size_t at = 0, len = 0;

    assert_true(walk_next(file->bytes, file->len, &at, &block));
    assert_int_equal(block.type, 0x0a0d0d0a);
    assert_true(walk_next(file->bytes, file->len, &at, &block));
    assert_int_equal(block.type, 1);
    assert_true(walk_next(file->bytes, file->len, &at, &block));
    for (; block.type == 6; assert_true(walk_next(file->bytes, file->len, &at, &block)))
        walk_packet(file, &block);
    assert_int_equal(block.type, 5);
    file->received = proa_get_le64(walk_option(&block, 12, 4, &len));
    file->dropped = proa_get_le64(walk_option(&block, 12, 5, &len));
    file->written = proa_get_le64(walk_option(&block, 12, 8, &len));
    assert_false(walk_next(file->bytes, file->len, &at, &block));
    assert_int_equal(file->in + file->out, file->packets);
    assert_int_equal(file->written, file->packets);
    free(file->bytes);
}

/* ---- Tests ---- */

static void both_ways(unsigned lanes, bool ipv6)
{
    struct capture *capture;
    const struct lane_stats *stats;
    struct file file;
    uint64_t before = 0, after = 0;
    proa_ns from;

    begin(lanes, ipv6);
    capture = start(&everything);
    for (unsigned i = 0; i < lanes; i++) {
        stats = lane_stats(test->nodes[0].lanes[i].lane);
        before += atomic_load(&stats->rx) + atomic_load(&stats->tx);
    }
    from = test->now;
    file = head_of(capture);
    talk();
    proa_test_advance(test, 3 * PROA_S); /* Kademlia and PINGs have their turn */
    read_some(capture, &file, CAPTURE_CHUNK);
    for (unsigned i = 0; i < lanes; i++) {
        stats = lane_stats(test->nodes[0].lanes[i].lane);
        after += atomic_load(&stats->rx) + atomic_load(&stats->tx);
    }
    end(capture, &file);
    walk_file(&file);
    assert_int_equal(file.packets, after - before); /* every one, once */
    assert_int_equal(file.received, file.packets);
    assert_int_equal(file.dropped, 0);
    assert_true(file.by_kind[PACKET_DATA] >= MESSAGES);
    assert_true(file.by_kind[PACKET_ACK] > 0);
    assert_true(file.by_kind[PACKET_SYN] > 0);
    assert_true(file.by_kind[PACKET_SYNACK] > 0);
    assert_true(file.by_kind[PACKET_OPEN] > 0);
    assert_true(file.by_kind[PACKET_PING] > 0);
    assert_true(file.by_kind[PACKET_PONG] > 0);
    assert_true(file.by_kind[TAP_KRPC] > 0);
    assert_int_equal(file.by_kind[TAP_OTHER], 0);
    assert_true(file.in > MESSAGES / 20); /* acks and what Kademlia says */
    assert_true(file.out >= MESSAGES);
    assert_in_range(file.first, AHEAD + from, AHEAD + test->now);
    assert_in_range(file.last, file.first, AHEAD + test->now);
}

static void capture__every_packet_once_ipv4(void **state)
{
    (void)state;
    both_ways(1, false);
}

static void capture__every_packet_once_ipv6(void **state)
{
    (void)state;
    both_ways(1, true);
}

static void capture__lanes_in_the_order_of_time(void **state)
{
    (void)state;
    both_ways(3, false);
}

static void filter__kind(void **state)
{
    struct capture_wish wish = everything;
    struct capture *capture;
    struct file file;

    (void)state;
    begin(1, false);
    wish.filter.kinds = 1u << PACKET_SYN | 1u << PACKET_DATA;
    capture = start(&wish);
    file = head_of(capture);
    talk();
    end(capture, &file);
    walk_file(&file);
    assert_true(file.by_kind[PACKET_DATA] >= MESSAGES);
    assert_int_equal(file.by_kind[PACKET_SYN], 1);
    assert_int_equal(file.packets, file.by_kind[PACKET_DATA] + 1);
    assert_int_equal(file.received, file.packets); /* of the others nothing is known */
}

static void filter__peer(void **state)
{
    struct capture_wish wish = everything;
    struct capture *capture;
    struct file file;

    (void)state;
    begin(1, false);
    wish.filter.peer = test->nodes[1].address;
    wish.filter.peer.port++;
    capture = start(&wish);
    file = head_of(capture);
    talk();
    end(capture, &file);
    walk_file(&file);
    assert_int_equal(file.packets, 0);
    wish.filter.peer.port = 0;
    capture = start(&wish);
    file = head_of(capture);
    talk();
    end(capture, &file);
    walk_file(&file);
    assert_true(file.packets > MESSAGES);
}

static void snap__keeps_the_length(void **state)
{
    struct capture_wish wish = everything;
    struct capture *capture;
    struct file file;

    (void)state;
    begin(1, false);
    wish.filter.snap = CAPTURE_SNAP_MIN;
    capture = start(&wish);
    file = head_of(capture);
    talk();
    end(capture, &file);
    walk_file(&file);
    assert_true(file.packets > MESSAGES);
    assert_true(file.cut >= MESSAGES); /* what is no bare ACK */
    assert_int_equal(file.packets, file.cut + file.by_kind[PACKET_ACK]);
}

/* Nobody reads, and the node goes on as ever. */
static void ring__full_drops_and_counts(void **state)
{
    static uint8_t big[60000];
    struct capture *capture;
    struct capture_totals totals;
    struct file file;
    struct proa_ref other;
    unsigned told = 0;

    (void)state;
    begin(1, false);
    other = proa_test_sink(test, 1);
    capture = start(&everything);
    file = head_of(capture);
    do {
        assert_int_equal(proa_test_tell(test, 0, other, 6, big, sizeof(big)), PROA_OK);
        proa_test_advance(test, 5 * PROA_MS);
        capture_totals(capture, &totals);
        assert_true(++told < 1000);
    } while (totals.dropped < 100);
    talk();
    assert_int_equal(totals.written, 0);
    end(capture, &file);
    walk_file(&file);
    assert_true(file.len > CAPTURE_RING_BYTES - 2 * 9216);
    assert_true(file.dropped >= 100 + MESSAGES);
    assert_int_equal(file.received, file.packets + file.dropped);
}

static void packets__as_many_as_were_wished_for(void **state)
{
    struct capture_wish wish = everything;
    struct capture *capture;
    struct file file;

    (void)state;
    begin(1, false);
    wish.packets = 10;
    capture = start(&wish);
    file = head_of(capture);
    talk();
    assert_false(capture_full(capture));
    read_some(capture, &file, 2048); /* a block or two at a time */
    assert_true(capture_full(capture));
    end(capture, &file);
    walk_file(&file);
    assert_int_equal(file.packets, 10);
    assert_true(file.received > 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(capture__every_packet_once_ipv4, finish),
        cmocka_unit_test_teardown(capture__every_packet_once_ipv6, finish),
        cmocka_unit_test_teardown(capture__lanes_in_the_order_of_time, finish),
        cmocka_unit_test_teardown(filter__kind, finish),
        cmocka_unit_test_teardown(filter__peer, finish),
        cmocka_unit_test_teardown(snap__keeps_the_length, finish),
        cmocka_unit_test_teardown(ring__full_drops_and_counts, finish),
        cmocka_unit_test_teardown(packets__as_many_as_were_wished_for, finish),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
