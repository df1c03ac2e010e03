/* SPDX-License-Identifier: Apache-2.0 */
/* Clusters of Kademlia nodes under faults. */
#include "kad_net.h"
#include "../seeds.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SEEDS 2 /* rounds of the tests with random faults */
#define NAMES 16

static struct sim_seeds seeds;

/* count nodes, each later one through any that was started before. */
static struct net *cluster(unsigned count, uint64_t seed)
{
    struct net *net = net_create(count, seed);

    for (unsigned i = 0; i < count; i++) {
        net->nodes[i].skew_ms = (int64_t)(net_random(net) % 8000) - 4000;
        net_start(net, i, i == 0 ? 0 : (unsigned)(net_random(net) % i));
        net_run(net, net_random(net) % (20 * PROA_MS));
    }
    net_run_joined(net, count > 8 ? 8 : count - 1, 60 * PROA_S);
    return net;
}

static const char *name_of(unsigned n)
{
    static char names[NAMES][24];

    snprintf(names[n % NAMES], sizeof(names[0]), "name %u", n);
    return names[n % NAMES];
}

/* Every running node of a group finds the name at the same owner; returns the owner. */
static struct kad_id agreed(struct net *net, unsigned group, const char *name)
{
    struct kad_id owner = {0};
    bool first = true;

    for (unsigned i = 0; i < net->count; i++) {
        struct kad_event event;

        if (net->nodes[i].kad == NULL || net->nodes[i].group != group)
            continue;
        enum proa_outcome outcome = net_lookup(net, i, name, false, 5 * PROA_S, &event);
        if (outcome != PROA_OK || !event.alive ||
            (!first && !kad_id_equal(&owner, &event.record.owner)))
            fail_msg("seed %llu: node %u: %s: outcome %d", (unsigned long long)net->seed,
                     i, name, outcome);
        owner = event.record.owner;
        first = false;
    }
    return owner;
}

static void join__64_nodes_find_every_name(void **state)
{
    struct net *net = cluster(64, seeds.first);
    struct kad_event event;

    (void)state;
    for (unsigned n = 0; n < NAMES; n++) {
        unsigned holder = 4 * n + 1;

        assert_int_equal(net_register(net, holder, name_of(n), PROA_S), PROA_OK);
        struct kad_id owner = agreed(net, 0, name_of(n));
        assert_true(kad_id_equal(&owner, &net->nodes[holder].identity.id));
    }
    for (unsigned i = 0; i < 64; i += 7) {
        proa_ns began = net->now;

        assert_int_equal(net_lookup(net, i, name_of(i % NAMES), true, PROA_S, &event),
                         PROA_OK);
        assert_in_range(net->now - began, 0, 3 * PROA_MS);
        assert_int_equal(net_lookup(net, i, "nobody", false, PROA_S, NULL),
                         PROA_NOT_FOUND);
        assert_int_equal(net_register(net, i, name_of(15), PROA_S),
                         PROA_ALREADY_REGISTERED);
    }
    net_destroy(net);
}

static void find_node__by_the_id_in_a_reference(void **state)
{
    struct net *net = cluster(40, seeds.first);

    (void)state;
    for (unsigned i = 0; i < 40; i += 3) {
        unsigned other = (i * 7 + 11) % 40;
        const struct kad_id *id = &net->nodes[other].identity.id;
        uint32_t op = kad_find_node(net->nodes[i].kad, kad_id_node64(id),
                                    net->now + PROA_S, net->now);
        const struct kad_event *event = net_wait(net, i, op, 2 * PROA_S);

        assert_non_null(event);
        assert_int_equal(event->kind, KAD_NODE);
        assert_int_equal(event->outcome, PROA_OK);
        assert_true(kad_id_equal(&event->id, id));
        assert_memory_equal(&event->addr, &net->nodes[other].addr, sizeof(event->addr));
    }
    uint32_t op = kad_find_node(net->nodes[3].kad, 12345, net->now + PROA_S, net->now);
    assert_int_equal(net_wait(net, 3, op, 2 * PROA_S)->outcome, PROA_NO_ROUTE);
    net_destroy(net);
}

static void faults__names_are_registered_found_and_ended(void **state)
{
    (void)state;
    for (uint64_t seed = seeds.first; seed < seeds.first + seeds.count; seed++) {
        struct net *net = cluster(24, seed);
        unsigned holders[NAMES], watcher = 23;

        net->faults = (struct net_faults){.loss = 50,
                                          .dup = 50,
                                          .reorder = 100,
                                          .delay = 200 * PROA_US,
                                          .jitter = 300 * PROA_US};
        for (unsigned n = 0; n < NAMES; n++) {
            const char *name = name_of(n);

            holders[n] = (unsigned)(net_random(net) % 20);
            kad_watch(net->nodes[watcher].kad, name, strlen(name), net->now);
            net_settle(net, watcher);
            assert_int_equal(net_register(net, holders[n], name, 5 * PROA_S), PROA_OK);
            assert_int_equal(net_register(net, 20, name, 5 * PROA_S),
                             PROA_ALREADY_REGISTERED);
            agreed(net, 0, name);
        }
        for (unsigned n = 0; n < NAMES; n += 2) {
            const char *name = name_of(n);

            assert_true(
                kad_unregister(net->nodes[holders[n]].kad, name, strlen(name), net->now));
            net_settle(net, holders[n]);
            net_run(net, 200 * PROA_MS);
            assert_int_equal(net_lookup(net, 21, name, false, 5 * PROA_S, NULL),
                             PROA_NOT_FOUND);
        }
        net_run(net, 40 * PROA_S);
        for (unsigned n = 0; n < NAMES; n++) {
            struct net_change *change = net_changes(net, watcher, name_of(n));

            assert_int_equal(change->last.record.kind,
                             n % 2 ? RECORD_NAME : RECORD_TOMBSTONE);
            if (n % 2)
                agreed(net, 0, name_of(n));
        }
        net_destroy(net);
    }
}

static void churn__names_of_the_dead_are_taken_over(void **state)
{
    (void)state;
    for (uint64_t seed = seeds.first; seed < seeds.first + seeds.count; seed++) {
        struct net *net = cluster(30, seed);

        net->faults.loss = 20;
        for (unsigned n = 0; n < NAMES; n++)
            assert_int_equal(net_register(net, n, name_of(n), 5 * PROA_S), PROA_OK);
        for (unsigned n = 0; n < 8; n++) {
            net_kill(net, n);
            if (net_random(net) % 2)
                net_run(net, net_random(net) % (3 * PROA_S));
            assert_int_equal(net_register(net, 20 + n, name_of(n), 5 * PROA_S), PROA_OK);
            net_start(net, n, 29);
        }
        net_run(net, 10 * PROA_S);
        for (unsigned n = 0; n < NAMES; n++) {
            struct kad_id owner = agreed(net, 0, name_of(n));

            assert_true(
                kad_id_equal(&owner, &net->nodes[n < 8 ? 20 + n : n].identity.id));
        }
        net_destroy(net);
    }
}

static void partition__both_claim_and_one_loses_when_it_heals(void **state)
{
    (void)state;
    for (uint64_t seed = seeds.first; seed < seeds.first + seeds.count; seed++) {
        struct net *net = cluster(32, seed);

        assert_int_equal(net_register(net, 2, "before", PROA_S), PROA_OK);
        for (unsigned i = 0; i < 32; i += 2)
            net->nodes[i].group = 1;
        net_run(net, 30 * PROA_S);
        assert_int_equal(net_register(net, 0, "both", 5 * PROA_S), PROA_OK);
        assert_int_equal(net_register(net, 1, "both", 5 * PROA_S), PROA_OK);
        assert_int_equal(net_register(net, 3, "before", 5 * PROA_S), PROA_OK);
        agreed(net, 1, "both");
        agreed(net, 0, "both");
        for (unsigned i = 0; i < 32; i++)
            net->nodes[i].group = 0;
        net_run(net, 60 * PROA_S);
        struct kad_id both = agreed(net, 0, "both"), before = agreed(net, 0, "before");
        assert_int_equal(net->nodes[0].lost + net->nodes[1].lost, 1);
        unsigned winner = net->nodes[0].lost ? 1 : 0, loser = 1 - winner;
        assert_true(kad_id_equal(&both, &net->nodes[winner].identity.id));
        assert_true(kad_id_equal(&net->nodes[loser].last_lost.id, &both));
        assert_false(kad_is_contended(net->nodes[winner].kad, "both", 4));
        assert_true(kad_is_contended(net->nodes[loser].kad, "both", 4));
        /* The take-over has the higher term: the first holder loses. */
        assert_true(kad_id_equal(&before, &net->nodes[3].identity.id));
        assert_int_equal(net->nodes[2].lost, 1);
        assert_int_equal(net->nodes[2].last_lost.term, 2);
        net_destroy(net);
    }
}

static void crash__all_but_the_seed_come_back(void **state)
{
    struct net *net = cluster(20, seeds.first);

    (void)state;
    assert_int_equal(net_register(net, 0, "alpha", PROA_S), PROA_OK);
    assert_int_equal(net_register(net, 5, "beta", PROA_S), PROA_OK);
    for (unsigned i = 1; i < 20; i++)
        net_kill(net, i);
    net_run(net, 3 * PROA_S);
    for (unsigned i = 1; i < 20; i++)
        net_start(net, i, 0);
    net_run_joined(net, 8, 30 * PROA_S);
    net_run(net, 5 * PROA_S);
    agreed(net, 0, "alpha");
    assert_int_equal(net_register(net, 7, "beta", 5 * PROA_S), PROA_OK);
    agreed(net, 0, "beta");
    net_destroy(net);
}

static void join__two_nodes_that_are_each_others_seed(void **state)
{
    struct net *net = net_create(2, seeds.first);
    const unsigned both[] = {0, 1};

    (void)state;
    net_start_seeds(net, 0, both, 2); /* its own address among them is left out */
    net_run(net, 3 * PROA_S);
    assert_false(kad_joined(net->nodes[0].kad));
    net_start_seeds(net, 1, both, 2);
    net_run(net, 1500 * PROA_MS);
    assert_true(kad_joined(net->nodes[0].kad));
    assert_true(kad_joined(net->nodes[1].kad));
    assert_int_equal(net->nodes[0].joined, 1);
    assert_int_equal(net_register(net, 0, "alpha", PROA_S), PROA_OK);
    assert_int_equal(net_lookup(net, 1, "alpha", true, PROA_S, NULL), PROA_OK);
    net_destroy(net);
}

static void silence__one_deaf_storer_costs_no_seconds(void **state)
{
    struct net *net = cluster(9, seeds.first);

    (void)state;
    net_run(net, 5 * PROA_S);
    net->nodes[4].deaf = true; /* whatever the target, it is one of nine */
    for (unsigned n = 0; n < 4; n++) {
        proa_ns began = net->now;

        assert_int_equal(net_register(net, 1, name_of(n), PROA_S), PROA_OK);
        assert_in_range(net->now - began, 0, 30 * PROA_MS);
        began = net->now;
        assert_int_equal(net_lookup(net, 2, name_of(n), false, PROA_S, NULL), PROA_OK);
        assert_in_range(net->now - began, 0, 30 * PROA_MS);
    }
    net_destroy(net);
}

static void heard__once_a_second_and_silence_is_told(void **state)
{
    struct net *net = cluster(3, seeds.first);

    (void)state;
    net_run(net, 10 * PROA_S);
    unsigned before = net->nodes[0].heard;
    for (int i = 0; i < 100; i++) { /* a second full of lookups */
        assert_int_not_equal(net_lookup(net, 0, "nobody", false, PROA_S, NULL), PROA_OK);
        net_run(net, 10 * PROA_MS);
    }
    assert_in_range(net->nodes[0].heard - before, 2, 4);
    net_kill(net, 1);
    net_lookup(net, 0, "nobody", false, PROA_S, NULL);
    net_run(net, 5 * PROA_S);
    assert_int_equal(net->nodes[0].silent, 1);
    net_destroy(net);
}

static uint64_t traced(uint64_t seed)
{
    struct net *net = cluster(12, seed);

    net->faults.loss = 50;
    net_register(net, 3, "alpha", PROA_S);
    kad_watch(net->nodes[5].kad, "alpha", 5, net->now);
    net_settle(net, 5);
    net_kill(net, 3);
    net_register(net, 4, "alpha", PROA_S);
    net_run(net, 60 * PROA_S);
    uint64_t trace = net->trace;
    net_destroy(net);
    return trace;
}

static void trace__same_seed_same_datagrams(void **state)
{
    (void)state;
    assert_true(traced(seeds.first) == traced(seeds.first));
    assert_true(traced(seeds.first) != traced(seeds.first + 1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(join__64_nodes_find_every_name),
        cmocka_unit_test(find_node__by_the_id_in_a_reference),
        cmocka_unit_test(faults__names_are_registered_found_and_ended),
        cmocka_unit_test(churn__names_of_the_dead_are_taken_over),
        cmocka_unit_test(partition__both_claim_and_one_loses_when_it_heals),
        cmocka_unit_test(crash__all_but_the_seed_come_back),
        cmocka_unit_test(join__two_nodes_that_are_each_others_seed),
        cmocka_unit_test(silence__one_deaf_storer_costs_no_seconds),
        cmocka_unit_test(heard__once_a_second_and_silence_is_told),
        cmocka_unit_test(trace__same_seed_same_datagrams),
    };

    seeds = sim_seeds(SEEDS);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
