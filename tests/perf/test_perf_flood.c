/* SPDX-License-Identifier: Apache-2.0 */
/* The flood's frames pass every check below links, and nobody knows what they say: else the flood
   would measure how fast a port refuses them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "addr.h"
#include "net.h"
#include "packet.h"
#include "perf_flood_frames.h"
#include "perf_netns.h"

#define PORT 7400

static struct perf_flood_frame frames[PERF_FLOOD_FRAMES];

static enum port_drop parse(const struct perf_flood_frame *frame,
                            struct net_datagram *ret)
{
    struct proa_addr self;

    assert_true(addr_parse(PERF_NETNS_NET "1", PORT, &self));
    return net_parse(frame->bytes + frame->at, frame->len, &self, 0, ret);
}

/* What all frames are: a datagram's first byte, or a link packet's kind. */
static void all_are(enum perf_flood_kind kind, int first, unsigned packet)
{
    struct net_datagram datagram;

    perf_flood_build(kind, PORT, frames);
    for (uint32_t i = 0; i < PERF_FLOOD_FRAMES; i++) {
        const uint8_t *data = frames[i].bytes + frames[i].at;

        assert_int_equal(parse(&frames[i], &datagram), PORT_OK);
        if (first >= 0)
            assert_int_equal(data[datagram.offset], first);
        else
            assert_int_equal(packet_kind(data + datagram.offset), packet);
    }
}

static void build__links_are_data_packets(void **state)
{
    struct packet_header a, b;
    struct net_datagram one, two;

    (void)state;
    all_are(PERF_FLOOD_LINKS, -1, PACKET_DATA);
    parse(&frames[0], &one);
    parse(&frames[1], &two);
    assert_int_equal(
        packet_header_get(frames[0].bytes + frames[0].at + one.offset, one.len, &a), 0);
    assert_int_equal(
        packet_header_get(frames[1].bytes + frames[1].at + two.offset, two.len, &b), 0);
    assert_true(a.dst_link != b.dst_link);
    assert_true(one.from.port != two.from.port);
}

static void build__syns_are_keyed(void **state)
{
    (void)state;
    all_are(PERF_FLOOD_SYNS, -1, PACKET_SYN);
}

static void build__krpc_begins_a_dictionary(void **state)
{
    (void)state;
    all_are(PERF_FLOOD_KRPC, 'd', 0);
}

static void build__mixed_has_a_third_of_each(void **state)
{
    uint32_t links = 0, syns = 0, krpc = 0;
    struct net_datagram datagram;

    (void)state;
    perf_flood_build(PERF_FLOOD_MIXED, PORT, frames);
    for (uint32_t i = 0; i < PERF_FLOOD_FRAMES; i++) {
        const uint8_t *data = frames[i].bytes + frames[i].at;

        assert_int_equal(parse(&frames[i], &datagram), PORT_OK);
        krpc += data[datagram.offset] == 'd';
        links += packet_kind(data + datagram.offset) == PACKET_DATA;
        syns += packet_kind(data + datagram.offset) == PACKET_SYN;
    }
    assert_in_range(links, PERF_FLOOD_FRAMES / 3, PERF_FLOOD_FRAMES / 3 + 1);
    assert_in_range(syns, PERF_FLOOD_FRAMES / 3, PERF_FLOOD_FRAMES / 3 + 1);
    assert_in_range(krpc, PERF_FLOOD_FRAMES / 3, PERF_FLOOD_FRAMES / 3 + 1);
}

static void build__another_port_is_not_ours(void **state)
{
    struct net_datagram datagram;

    (void)state;
    perf_flood_build(PERF_FLOOD_LINKS, PORT + 1, frames);
    assert_int_equal(parse(&frames[0], &datagram), PORT_DROP_UDP_PORT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(build__links_are_data_packets),
        cmocka_unit_test(build__syns_are_keyed),
        cmocka_unit_test(build__krpc_begins_a_dictionary),
        cmocka_unit_test(build__mixed_has_a_third_of_each),
        cmocka_unit_test(build__another_port_is_not_ours),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
