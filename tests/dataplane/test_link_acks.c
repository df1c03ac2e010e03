/* SPDX-License-Identifier: Apache-2.0 */
/* How long the bare acks of a lane with many links wait: docs/wire.md, "Acknowledging". */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "link_net.h"

#define EVERY (7 * PROA_US) /* a packet on each link: 1.1 M/s over all of them */

static struct link_net *pairs_open(uint32_t pairs)
{
    struct link_net_config config = {.seed = 7, .pairs = pairs, .delay = PROA_US};

    return link_net_create(&config, &(struct link_net_hooks){0});
}

/* A tell, and so a packet, on each link from side 0; then time passes. */
static void tell_all(struct link_net *net, uint32_t pairs, proa_ns span)
{
    static const uint64_t payload[4];

    for (uint32_t i = 0; i < pairs; i++) {
        const struct proa_msg msg = {.data = payload,
                                     .len = sizeof(payload),
                                     .type = 1,
                                     .from = {LINK_NET_NODE, 1, 1},
                                     .to = {2 * LINK_NET_NODE, 2, 1}};

        assert_int_equal(link_send(link_net_link(net, i, 0), &msg, link_net_now(net)),
                         PROA_OK);
    }
    link_net_run(net, span);
}

static struct link_stats sum(struct link_net *net, uint32_t pairs, uint32_t side)
{
    struct link_stats all = {0}, one;

    for (uint32_t i = 0; i < pairs; i++) {
        link_stats(link_net_link(net, i, side), &one);
        all.rx_packets += one.rx_packets;
        all.acks_tx += one.acks_tx;
        all.probes += one.probes;
        all.rto += one.rto;
        all.resends += one.resends;
    }
    return all;
}

/* At 20 us each link's ack would be for 3 packets. */
static void busy__one_packet_in_four_gets_an_ack(void **state)
{
    struct link_net *net = pairs_open(8);
    struct link_stats before, after;

    (void)state;
    for (uint32_t i = 0; i < 500; i++)
        tell_all(net, 8, EVERY);
    before = sum(net, 8, 1);
    for (uint32_t i = 0; i < 500; i++)
        tell_all(net, 8, EVERY);
    after = sum(net, 8, 1);
    assert_in_range(after.rx_packets - before.rx_packets, 3900, 4100);
    assert_in_range(after.acks_tx - before.acks_tx, 400, 4000 / 4);
    assert_int_equal(sum(net, 8, 0).resends, 0);
    link_net_destroy(net);
}

static proa_ns acked_after(struct link_net *net)
{
    uint64_t before = sum(net, 1, 1).acks_tx;
    proa_ns began = link_net_now(net);

    tell_all(net, 1, 0);
    while (sum(net, 1, 1).acks_tx == before)
        link_net_run(net, PROA_US);
    return link_net_now(net) - began;
}

static void quiet__an_ack_comes_after_20_us_again(void **state)
{
    struct link_net *net = pairs_open(8);

    (void)state;
    for (uint32_t i = 0; i < 500; i++)
        tell_all(net, 8, EVERY);
    assert_true(link_net_budget(net, 1)->ack_delay > 20 * PROA_US);
    link_net_run(net, 5 * PROA_MS);
    assert_in_range(acked_after(net), 20 * PROA_US, 25 * PROA_US);
    link_net_destroy(net);
}

/* One link at this pace gets an ack for each packet, however long: it costs nobody much. */
static void slow__an_ack_comes_after_20_us(void **state)
{
    struct link_net *net = pairs_open(1);
    uint64_t before;

    (void)state;
    link_net_run(net, PROA_MS);
    before = sum(net, 1, 1).acks_tx;
    for (uint32_t i = 0; i < 5000; i++)
        tell_all(net, 1, 30 * PROA_US);
    assert_int_equal(sum(net, 1, 1).acks_tx - before, 5000);
    assert_in_range(acked_after(net), 20 * PROA_US, 25 * PROA_US);
    link_net_destroy(net);
}

/* Its acks say how late they are: the tail is not probed before. */
static void late__the_sender_waits_with_its_probe(void **state)
{
    struct link_net *net = pairs_open(1);
    struct link_budget *budget = link_net_budget(net, 1);

    (void)state;
    for (uint32_t i = 0; i < 50; i++) {
        budget->ack_delay = 600 * PROA_US;
        budget->ack_round = link_net_now(net);
        tell_all(net, 1, 2 * PROA_MS);
    }
    assert_in_range(sum(net, 1, 0).probes, 0, 2); /* before it knew */
    assert_int_equal(sum(net, 1, 0).rto, 0);
    link_net_destroy(net);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(busy__one_packet_in_four_gets_an_ack),
        cmocka_unit_test(quiet__an_ack_comes_after_20_us_again),
        cmocka_unit_test(slow__an_ack_comes_after_20_us),
        cmocka_unit_test(late__the_sender_waits_with_its_probe),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
