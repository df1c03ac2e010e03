/* SPDX-License-Identifier: Apache-2.0 */
/* Announcing groups and finding who has members of them. */
#include "kad_groups.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define SEED 1

static void announce__alone_is_kept_here(void **state)
{
    struct net *net = cluster(1, SEED);
    uint32_t count;

    (void)state;
    assert_int_equal(announce(net, 0, "workers", PROA_S), PROA_OK);
    assert_int_equal(stats_of(net, 0).peers, 1);
    /* Nobody else has members. */
    assert_int_equal(get_peers(net, 0, "workers", PROA_S, &count), PROA_NOT_FOUND);
    assert_int_equal(count, 0);
    net_destroy(net);
}

static void get_peers__of_two_finds_the_other(void **state)
{
    struct net *net = cluster(2, SEED);
    uint32_t count;

    (void)state;
    assert_int_equal(get_peers(net, 1, "workers", PROA_S, &count), PROA_NOT_FOUND);
    assert_int_equal(announce(net, 0, "workers", PROA_S), PROA_OK);
    assert_int_equal(get_peers(net, 1, "workers", PROA_S, &count), PROA_OK);
    assert_int_equal(count, 1);
    assert_true(found(net, 1, count, &net->nodes[0].addr));
    assert_int_equal(get_peers(net, 0, "workers", PROA_S, &count), PROA_NOT_FOUND);
    assert_int_equal(get_peers(net, 1, "others", PROA_S, &count), PROA_NOT_FOUND);
    net_destroy(net);
}

static void get_peers__of_40_finds_all_10(void **state)
{
    struct net *net = cluster(40, SEED);
    uint32_t count;

    (void)state;
    for (unsigned i = 0; i < 40; i += 4)
        assert_int_equal(announce(net, i, "workers", PROA_S), PROA_OK);
    for (unsigned i = 0; i < 40; i++) {
        proa_ns began = net->now;

        assert_int_equal(get_peers(net, i, "workers", PROA_S, &count), PROA_OK);
        assert_in_range(net->now - began, 0, 5 * PROA_MS);
        assert_int_equal(count, i % 4 == 0 ? 9 : 10);
        for (unsigned other = 0; other < 40; other += 4)
            assert_int_equal(found(net, i, count, &net->nodes[other].addr), other != i);
    }
    uint64_t kept = 0;
    for (unsigned i = 0; i < 40; i++)
        kept += stats_of(net, i).peers;
    assert_int_equal(kept, 10 * 8);
    net_destroy(net);
}

static void kept__for_half_an_hour(void **state)
{
    struct net *net = cluster(4, SEED);
    uint32_t count;

    (void)state;
    assert_int_equal(announce(net, 0, "workers", PROA_S), PROA_OK);
    net_run(net, 15 * MINUTE);
    assert_int_equal(announce(net, 0, "workers", PROA_S), PROA_OK);
    net_run(net, 29 * MINUTE);
    assert_int_equal(get_peers(net, 1, "workers", PROA_S, &count), PROA_OK);
    assert_int_equal(stats_of(net, 1).peers, 1);
    net_run(net, 2 * MINUTE);
    assert_int_equal(get_peers(net, 1, "workers", PROA_S, &count), PROA_NOT_FOUND);
    for (unsigned i = 0; i < 4; i++)
        assert_int_equal(stats_of(net, i).peers, 0);
    net_destroy(net);
}

static void operations__that_nobody_answers(void **state)
{
    struct net *net = cluster(4, SEED);
    struct kad_id infohash = group("workers");
    uint32_t count;

    (void)state;
    for (unsigned i = 0; i < 3; i++)
        net->nodes[i].deaf = true;
    assert_int_equal(announce(net, 3, "workers", PROA_S), PROA_NO_QUORUM);
    assert_int_equal(get_peers(net, 3, "workers", PROA_S, &count), PROA_UNKNOWN);
    net_kill(net, 3);
    net_start(net, 3, 1);
    assert_int_equal(announce(net, 3, "workers", PROA_S), PROA_NOT_JOINED);
    assert_int_equal(get_peers(net, 3, "workers", PROA_S, &count), PROA_NOT_JOINED);
    uint32_t op =
        kad_announce(net->nodes[3].kad, &infohash, net->now + 20 * PROA_S, net->now);
    for (unsigned i = 0; i < 3; i++)
        net->nodes[i].deaf = false; /* what waits goes on */
    assert_int_equal(net_wait(net, 3, op, 21 * PROA_S)->outcome, PROA_OK);
    kad_leave(net->nodes[3].kad, net->now);
    assert_int_equal(
        kad_announce(net->nodes[3].kad, &infohash, net->now + PROA_S, net->now), 0);
    net_destroy(net);
}

static void operations__over_ops_max_are_refused(void **state)
{
    struct net *net = cluster(2, SEED);
    struct kad_id infohash = group("workers");
    unsigned begun = 0;

    (void)state;
    while (kad_get_peers(net->nodes[0].kad, &infohash, net->now + PROA_S, net->now) != 0)
        begun++;
    assert_int_equal(begun, 32); /* kad_net.c: ops_max */
    assert_int_equal(
        kad_announce(net->nodes[0].kad, &infohash, net->now + PROA_S, net->now), 0);
    net_settle(net, 0);
    net_run(net, PROA_S);
    assert_int_equal(net->nodes[0].result_count, 32);
    net_destroy(net);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(announce__alone_is_kept_here),
        cmocka_unit_test(get_peers__of_two_finds_the_other),
        cmocka_unit_test(get_peers__of_40_finds_all_10),
        cmocka_unit_test(kept__for_half_an_hour),
        cmocka_unit_test(operations__that_nobody_answers),
        cmocka_unit_test(operations__over_ops_max_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
