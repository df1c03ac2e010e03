/* SPDX-License-Identifier: Apache-2.0 */
/* Announced groups while the network loses datagrams, and while all nodes are replaced. */
#include "kad_groups.h"
#include "../seeds.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

#define SEEDS 4 /* rounds of the test with random faults */

static struct sim_seeds seeds;

static void faults__what_was_announced_is_found(void **state)
{
    (void)state;
    for (uint64_t seed = seeds.first; seed < seeds.first + seeds.count; seed++) {
        struct net *net = cluster(40, seed);
        uint32_t count;

        net->faults = (struct net_faults){.loss = 100,
                                          .dup = 50,
                                          .reorder = 100,
                                          .delay = 200 * PROA_US,
                                          .jitter = 300 * PROA_US};
        for (unsigned i = 0; i < 40; i += 4)
            assert_int_equal(announce(net, i, "workers", 5 * PROA_S), PROA_OK);
        for (unsigned killed = 0; killed < 6; killed++)
            net_kill(net, 4 * (unsigned)(net_random(net) % 10) + 1 + killed % 3);
        for (unsigned i = 0; i < 40; i++) {
            if (net->nodes[i].kad == NULL)
                continue;
            if (get_peers(net, i, "workers", 5 * PROA_S, &count) != PROA_OK)
                fail_msg("seed %llu: node %u", (unsigned long long)seed, i);
            for (unsigned other = 0; other < 40; other += 4)
                if (other != i && !found(net, i, count, &net->nodes[other].addr))
                    fail_msg("seed %llu: node %u lacks %u", (unsigned long long)seed, i,
                             other);
        }
        net_destroy(net);
    }
}

/* All nodes but the announcer and the asker are replaced by new ones, one after the other, while the
   announcer announces every 15 minutes: at each moment it is found. */
static void churn__is_outlived_by_announcing_again(void **state)
{
    struct net *net = cluster(16, seeds.first);
    uint32_t count;

    (void)state;
    assert_int_equal(announce(net, 0, "workers", 5 * PROA_S), PROA_OK);
    for (unsigned i = 2; i < 16; i++) {
        net_kill(net, i);
        net_run(net, MINUTE);
        net_start(net, i, 1);
        net_run(net, 2 * MINUTE);
        if (i % 5 == 0)
            assert_int_equal(announce(net, 0, "workers", 5 * PROA_S), PROA_OK);
        assert_int_equal(get_peers(net, 1, "workers", 5 * PROA_S, &count), PROA_OK);
        assert_true(found(net, 1, count, &net->nodes[0].addr));
    }
    net_destroy(net);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(faults__what_was_announced_is_found),
        cmocka_unit_test(churn__is_outlived_by_announcing_again),
    };

    seeds = sim_seeds(SEEDS);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
