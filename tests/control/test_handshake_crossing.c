/* SPDX-License-Identifier: Apache-2.0 */
/* Two nodes that call each other at the same moment: one link comes to be. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "core_net.h"
#include "handshake.h"

/* Both lanes have this link, and no other. */
static void assert_share(struct net *net, unsigned lane)
{
    const struct punt_link_open *a = &net_link(net, 0, lane, net_id(net, 1))->open;
    const struct punt_link_open *b = &net_link(net, 1, lane, net_id(net, 0))->open;

    assert_int_equal(net->nodes[0].link_count, 1);
    assert_int_equal(net->nodes[1].link_count, 1);
    assert_int_equal(a->link_id, b->peer_link_id);
    assert_int_equal(b->link_id, a->peer_link_id);
    assert_int_equal(a->sending, 1);
    assert_int_equal(b->sending, 1);
}

static void cross__at_once_makes_one_link(void **state)
{
    (void)state;
    for (uint64_t seed = 40; seed < 46; seed++) { /* either may be the greater */
        struct net *net = net_two(seed);

        net_need_link(net, 0, 1, net_id(net, 1));
        net_need_link(net, 1, 1, net_id(net, 0));
        net_run(net, 200 * PROA_MS);
        assert_share(net, 1);
        assert_int_equal(net_stats(net, 0).syn_crossed + net_stats(net, 1).syn_crossed,
                         1);
        net_destroy(net);
    }
}

/* Whoever is a little later has answered already, or its SYN has. */
static void cross__within_a_moment_makes_one_link(void **state)
{
    (void)state;
    for (uint64_t seed = 60; seed < 76; seed++) {
        struct net *net = net_two(seed);

        net_need_link(net, seed % 2, 0, net_id(net, 1 - seed % 2));
        net_run(net, (seed - 60) * 50 * PROA_US);
        net_need_link(net, 1 - seed % 2, 0, net_id(net, seed % 2));
        net_run(net, 200 * PROA_MS);
        assert_share(net, 0);
        net_destroy(net);
    }
}

static void cross__of_other_lanes_makes_two_links(void **state)
{
    struct net *net = net_two(4);

    (void)state;
    net_need_link(net, 0, 0, net_id(net, 1));
    net_need_link(net, 1, 1, net_id(net, 0));
    net_run(net, 10 * PROA_MS);
    assert_int_equal(net->nodes[0].link_count, 2);
    assert_int_equal(net->nodes[1].link_count, 2);
    assert_int_equal(net_stats(net, 0).syn_crossed, 0);
    assert_int_equal(net_stats(net, 1).syn_crossed, 0);
    net_destroy(net);
}

static unsigned deaf_to; /* what this node says does not get through while opening */

static bool drop_syns(struct net *net, unsigned from, uint8_t *bytes, uint32_t len)
{
    (void)net;
    (void)len;
    return from != deaf_to || bytes[0] == 'd' || packet_kind(bytes) != PACKET_SYN;
}

/* The SYNs of either are lost: the other's are answered. */
static void cross__one_of_them_unheard_opens_all_the_same(void **state)
{
    (void)state;
    for (deaf_to = 0; deaf_to < 2; deaf_to++) {
        struct net *net = net_two(5);

        net->filter = drop_syns;
        net_need_link(net, 0, 0, net_id(net, 1));
        net_need_link(net, 1, 0, net_id(net, 0));
        net_run(net, 40 * PROA_MS); /* the second SYN goes out after 20 */
        assert_true(net_both_linked(net));
        net_run(net, 2 * PROA_S);
        assert_share(net, 0);
        net_destroy(net);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cross__at_once_makes_one_link),
        cmocka_unit_test(cross__within_a_moment_makes_one_link),
        cmocka_unit_test(cross__of_other_lanes_makes_two_links),
        cmocka_unit_test(cross__one_of_them_unheard_opens_all_the_same),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
