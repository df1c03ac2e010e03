/* SPDX-License-Identifier: Apache-2.0 */
/* Claiming, losing, giving up and taking over names, between a few nodes. */
#include "kad_net.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#define SEED 4711

/* count nodes that all know each other, node 0 the first. */
static struct net *cluster(unsigned count)
{
    struct net *net = net_create(count, SEED);

    for (unsigned i = 0; i < count; i++)
        net_start(net, i, i == 0 ? 0 : i - 1);
    net_run_joined(net, count > 8 ? 8 : count - 1, 10 * PROA_S);
    return net;
}

static const struct kad_event *result(struct net *net, unsigned i)
{
    struct net_node *node = &net->nodes[i];

    assert_int_not_equal(node->result_count, 0);
    return &node->results[(node->result_count - 1) % NET_OPS_MAX];
}

static void register__first_node_alone_at_once(void **state)
{
    struct net *net = net_create(1, SEED);
    struct kad_event event;

    (void)state;
    net_start(net, 0, 0);
    assert_true(kad_joined(net->nodes[0].kad));
    assert_int_equal(net_register(net, 0, "alpha", PROA_S), PROA_OK);
    assert_int_equal(net->now, NET_START);
    assert_int_equal(result(net, 0)->term, 1);
    assert_int_equal(net_lookup(net, 0, "alpha", false, PROA_S, &event), PROA_OK);
    assert_true(event.alive);
    assert_int_equal(event.record.slot, 7);
    assert_int_equal(event.record.generation, 1);
    assert_int_equal(event.record.type_id, 99);
    assert_string_equal(event.record.name, "alpha");
    assert_int_equal(net_lookup(net, 0, "beta", false, PROA_S, NULL), PROA_NOT_FOUND);
    net_destroy(net);
}

static void register__not_joined_waits_and_says_so(void **state)
{
    struct net *net = net_create(2, SEED);

    (void)state;
    net_start(net, 1, 0); /* node 0 is not there */
    assert_false(kad_joined(net->nodes[1].kad));
    assert_int_equal(net_register(net, 1, "alpha", PROA_S), PROA_NOT_JOINED);
    assert_int_equal(net->now, NET_START + PROA_S);
    assert_int_equal(net_lookup(net, 1, "alpha", true, PROA_S, NULL), PROA_NOT_JOINED);
    uint32_t op = kad_register(net->nodes[1].kad, "alpha", 5, 1, 1, 0,
                               net->now + 5 * PROA_S, net->now);
    net_settle(net, 1);
    net_start(net, 0, 0); /* it comes: what waits goes on */
    const struct kad_event *event = net_wait(net, 1, op, 6 * PROA_S);
    assert_non_null(event);
    assert_int_equal(event->outcome, PROA_OK);
    net_destroy(net);
}

static void register__refuses_what_is_no_name(void **state)
{
    struct net *net = net_create(1, SEED);
    struct kad *kad;

    (void)state;
    net_start(net, 0, 0);
    kad = net->nodes[0].kad;
    assert_int_equal(kad_register(kad, "", 0, 1, 1, 0, PROA_NS_NEVER, net->now), 0);
    assert_int_equal(kad_register(kad, "a\0b", 3, 1, 1, 0, PROA_NS_NEVER, net->now), 0);
    assert_int_equal(kad_register(kad, "\xff", 1, 1, 1, 0, PROA_NS_NEVER, net->now), 0);
    assert_false(kad_unregister(kad, "alpha", 5, net->now));
    net_destroy(net);
}

static void register__two_nodes_and_back(void **state)
{
    struct net *net = cluster(2);
    struct kad_event event;

    (void)state;
    assert_int_equal(net_register(net, 1, "alpha", PROA_S), PROA_OK);
    assert_int_equal(net_lookup(net, 0, "alpha", true, PROA_S, &event), PROA_OK);
    assert_true(event.alive);
    assert_true(kad_id_equal(&event.record.owner, &net->nodes[1].identity.id));
    assert_memory_equal(&event.addr, &net->nodes[1].addr, sizeof(event.addr));
    assert_int_equal(net_register(net, 0, "beta", PROA_S), PROA_OK);
    assert_int_equal(net_lookup(net, 1, "beta", false, PROA_S, &event), PROA_OK);
    net_destroy(net);
}

static void register__twice_names_the_holder(void **state)
{
    struct net *net = cluster(5);

    (void)state;
    assert_int_equal(net_register(net, 1, "alpha", PROA_S), PROA_OK);
    assert_int_equal(net_register(net, 1, "alpha", PROA_S), PROA_ALREADY_REGISTERED);
    assert_int_equal(net_register(net, 2, "alpha", PROA_S), PROA_ALREADY_REGISTERED);
    assert_true(kad_id_equal(&result(net, 2)->record.owner, &net->nodes[1].identity.id));
    assert_true(result(net, 2)->alive);
    struct kad_stats stats;
    kad_stats(net->nodes[2].kad, &stats);
    assert_int_equal(stats.names, 0);
    net_destroy(net);
}

static void register__all_at_once_has_one_winner(void **state)
{
    (void)state;
    for (unsigned round = 0; round < 20; round++) {
        struct net *net = cluster(5);
        uint32_t ops[5];
        unsigned won = 0, lost = 0;

        net->random += round;
        for (unsigned i = 0; i < 5; i++) {
            ops[i] = kad_register(net->nodes[i].kad, "alpha", 5, i, 1, 0,
                                  net->now + 2 * PROA_S, net->now);
            net_settle(net, i);
            net_run(net, net_random(net) % (100 * PROA_US));
        }
        net_run(net, 5 * PROA_S);
        for (unsigned i = 0; i < 5; i++) {
            const struct kad_event *event = net_wait(net, i, ops[i], 0);

            assert_non_null(event);
            won += event->outcome == PROA_OK;
            lost += net->nodes[i].lost;
        }
        if (won - lost != 1)
            fail_msg("round %u: %u won, %u lost", round, won, lost);
        struct kad_event first;
        assert_int_equal(net_lookup(net, 0, "alpha", false, PROA_S, &first), PROA_OK);
        for (unsigned i = 1; i < 5; i++) {
            struct kad_event event;

            assert_int_equal(net_lookup(net, i, "alpha", false, PROA_S, &event), PROA_OK);
            assert_true(kad_id_equal(&event.record.owner, &first.record.owner));
        }
        net_destroy(net);
    }
}

static void unregister__frees_the_name_and_raises_the_term(void **state)
{
    struct net *net = cluster(5);

    (void)state;
    assert_int_equal(net_register(net, 1, "alpha", PROA_S), PROA_OK);
    assert_true(kad_unregister(net->nodes[1].kad, "alpha", 5, net->now));
    net_settle(net, 1);
    net_run(net, 100 * PROA_MS);
    for (unsigned i = 0; i < 5; i++)
        assert_int_equal(net_lookup(net, i, "alpha", i % 2, PROA_S, NULL),
                         PROA_NOT_FOUND);
    assert_int_equal(net_register(net, 3, "alpha", PROA_S), PROA_OK);
    assert_int_equal(result(net, 3)->term, 2);
    assert_true(kad_unregister(net->nodes[3].kad, "alpha", 5, net->now));
    net_settle(net, 3);
    /* At once again, by the same node, while the tombstones are on their way. */
    assert_int_equal(net_register(net, 3, "alpha", PROA_S), PROA_OK);
    assert_int_equal(result(net, 3)->term, 3);
    net_run(net, PROA_S);
    assert_int_equal(net_lookup(net, 0, "alpha", false, PROA_S, NULL), PROA_OK);
    net_destroy(net);
}

static void takeover__from_a_dead_holder_with_a_higher_term(void **state)
{
    struct net *net = cluster(6);
    struct kad_event event;

    (void)state;
    assert_int_equal(net_register(net, 1, "alpha", PROA_S), PROA_OK);
    net_kill(net, 1);
    proa_ns began = net->now;
    assert_int_equal(net_register(net, 2, "alpha", 2 * PROA_S), PROA_OK);
    assert_int_equal(result(net, 2)->term, 2);
    assert_in_range(net->now - began, 0, 200 * PROA_MS);
    for (unsigned i = 0; i < 6; i++) {
        if (i == 1)
            continue;
        assert_int_equal(net_lookup(net, i, "alpha", false, PROA_S, &event), PROA_OK);
        assert_int_equal(event.term, 2);
        assert_true(kad_id_equal(&event.record.owner, &net->nodes[2].identity.id));
    }
    net_destroy(net);
}

static void takeover__from_a_restarted_holder(void **state)
{
    struct net *net = cluster(4);

    (void)state;
    assert_int_equal(net_register(net, 1, "alpha", PROA_S), PROA_OK);
    net_start(net, 1, 0); /* another life at the same address */
    net_run_joined(net, 1, 5 * PROA_S);
    assert_int_equal(net_register(net, 1, "alpha", 2 * PROA_S), PROA_OK);
    assert_int_equal(result(net, 1)->term, 2);
    net_destroy(net);
}

static void takeover__not_from_one_that_lives(void **state)
{
    struct net *net = cluster(6);
    struct kad_event event;

    (void)state;
    /* Node 2 alone cannot reach the holder; the storers can, and so refuse. */
    assert_int_equal(net_register(net, 1, "alpha", PROA_S), PROA_OK);
    net->nodes[2].unreachable = 1u << 1;
    net->nodes[1].unreachable = 1u << 2;
    enum proa_outcome outcome = net_register(net, 2, "alpha", 2 * PROA_S);
    assert_int_equal(outcome, PROA_NO_QUORUM);
    net->nodes[2].unreachable = net->nodes[1].unreachable = 0;
    net_run(net, 5 * PROA_S);
    assert_int_equal(net->nodes[1].lost, 0);
    for (unsigned i = 0; i < 6; i++) {
        assert_int_equal(net_lookup(net, i, "alpha", false, PROA_S, &event), PROA_OK);
        assert_true(kad_id_equal(&event.record.owner, &net->nodes[1].identity.id));
    }
    net_destroy(net);
}

/* A restart's name: the claim stays, only whom it names is new, for all who look or watch. */
static void reissue__names_the_next_life_by_the_same_claim(void **state)
{
    struct net *net = cluster(6);
    struct kad *kad = net->nodes[1].kad;
    struct kad_event before, after;

    (void)state;
    assert_false(kad_reissue(kad, "alpha", 5, 7, 2, net->now));
    assert_int_equal(net_register(net, 1, "alpha", PROA_S), PROA_OK);
    assert_int_equal(net_lookup(net, 2, "alpha", false, PROA_S, &before), PROA_OK);
    kad_watch(net->nodes[3].kad, "alpha", 5, net->now);
    net_settle(net, 3);
    net_run(net, PROA_S);
    assert_true(kad_reissue(kad, "alpha", 5, 7, 2, net->now));
    net_settle(net, 1);
    net_run(net, PROA_S);
    for (unsigned i = 0; i < 6; i++) {
        assert_int_equal(net_lookup(net, i, "alpha", false, PROA_S, &after), PROA_OK);
        assert_int_equal(after.record.slot, 7);
        assert_int_equal(after.record.generation, 2);
        assert_int_equal(after.term, before.term);
        assert_int_equal(after.record.claim, before.record.claim);
        assert_true(after.alive);
    }
    assert_int_equal(net_changes(net, 3, "alpha")->last.record.generation, 2);
    assert_int_equal(net->nodes[1].lost, 0);
    assert_false(kad_reissue(net->nodes[2].kad, "alpha", 5, 9, 9, net->now));
    net_destroy(net);
}

static void contended__is_what_is_not_held(void **state)
{
    struct net *net = cluster(5);
    struct kad *kad = net->nodes[1].kad;

    (void)state;
    assert_true(kad_is_contended(kad, "alpha", 5));
    assert_int_equal(net_register(net, 1, "alpha", PROA_S), PROA_OK);
    assert_false(kad_is_contended(kad, "alpha", 5));
    assert_true(kad_is_contended(net->nodes[2].kad, "alpha", 5));
    assert_true(kad_unregister(kad, "alpha", 5, net->now));
    assert_true(kad_is_contended(kad, "alpha", 5));
    net_destroy(net);
}

static void register__minority_finds_no_quorum_and_leaves_nothing(void **state)
{
    struct net *net = cluster(6);

    (void)state;
    net->nodes[0].group = net->nodes[1].group = 1; /* two of six */
    net_run(net, 5 * PROA_S);
    assert_int_equal(net_register(net, 0, "alpha", 2 * PROA_S), PROA_NO_QUORUM);
    assert_int_equal(net_register(net, 3, "alpha", 2 * PROA_S), PROA_OK);
    net->nodes[0].group = net->nodes[1].group = 0;
    net_run(net, 40 * PROA_S);
    assert_int_equal(net->nodes[3].lost, 0);
    for (unsigned i = 0; i < 6; i++) {
        struct kad_event event;

        assert_int_equal(net_lookup(net, i, "alpha", false, PROA_S, &event), PROA_OK);
        assert_true(kad_id_equal(&event.record.owner, &net->nodes[3].identity.id));
    }
    net_destroy(net);
}

static void register__quorum_of_two_waits_ten_minutes_for_the_dead_one(void **state)
{
    struct net *net = cluster(2);

    (void)state;
    net_kill(net, 1);
    net_run(net, 5 * PROA_S);
    assert_int_equal(net_register(net, 0, "alpha", 2 * PROA_S), PROA_NO_QUORUM);
    net_run(net, 600 * PROA_S);
    assert_int_equal(net_register(net, 0, "alpha", 2 * PROA_S), PROA_OK);
    net_destroy(net);
}

static void register__more_than_may_walk_at_once(void **state)
{
    struct net *net = cluster(12);
    uint32_t ops[33];
    char name[24];

    (void)state;
    for (int n = 0; n < 33; n++) { /* kad_net.c: 32 operations, 8 walks */
        snprintf(name, sizeof(name), "name %d", n);
        ops[n] = kad_register(net->nodes[3].kad, name, strlen(name), 1, 1, 0,
                              net->now + 2 * PROA_S, net->now);
        assert_int_equal(ops[n] != 0, n < 32);
    }
    for (int n = 0; n < 32; n++) {
        const struct kad_event *event = net_wait(net, 3, ops[n], 3 * PROA_S);

        assert_non_null(event);
        assert_int_equal(event->outcome, PROA_OK);
    }
    net_run(net, PROA_S);
    for (int n = 0; n < 32; n++) {
        snprintf(name, sizeof(name), "name %d", n);
        assert_int_equal(net_lookup(net, 7, name, true, PROA_S, NULL), PROA_OK);
    }
    net_destroy(net);
}

static void lookup__of_a_dead_holder_is_unknown_then_not_found(void **state)
{
    struct net *net = cluster(4);
    struct kad_event event;

    (void)state;
    assert_int_equal(net_register(net, 1, "alpha", PROA_S), PROA_OK);
    net_kill(net, 1);
    net_run(net, 11 * PROA_S);
    enum proa_outcome outcome = net_lookup(net, 2, "alpha", true, PROA_S, &event);
    assert_true(outcome == PROA_UNKNOWN || outcome == PROA_NOT_FOUND);
    assert_false(event.alive);
    net_run(net, 120 * PROA_S); /* storers found it silent three times */
    assert_int_equal(net_lookup(net, 2, "alpha", false, PROA_S, NULL), PROA_NOT_FOUND);
    net_destroy(net);
}

static void renew__names_reach_newcomers(void **state)
{
    struct net *net = net_create(12, SEED);
    unsigned holders = 0;

    (void)state;
    net_start(net, 0, 0);
    assert_int_equal(net_register(net, 0, "alpha", PROA_S), PROA_OK);
    for (unsigned i = 1; i < 12; i++) {
        net_start(net, i, 0);
        net_run(net, 200 * PROA_MS);
    }
    net_run(net, 5 * PROA_S);
    for (unsigned i = 1; i < 12; i++) {
        struct kad_stats stats;

        kad_stats(net->nodes[i].kad, &stats);
        holders += stats.records;
    }
    assert_in_range(holders, 7, 11);
    net_destroy(net);
}

static void renew__survives_the_loss_of_storers_one_after_another(void **state)
{
    struct net *net = cluster(20);

    (void)state;
    assert_int_equal(net_register(net, 0, "alpha", PROA_S), PROA_OK);
    for (unsigned i = 1; i < 17; i++) {
        net_kill(net, i);
        net_run(net, 20 * PROA_S);
    }
    for (unsigned i = 17; i < 20; i++)
        assert_int_equal(net_lookup(net, i, "alpha", false, PROA_S, NULL), PROA_OK);
    net_destroy(net);
}

static void leave__names_are_gone_and_contacts_know(void **state)
{
    struct net *net = cluster(5);
    struct kad *kad = net->nodes[1].kad;

    (void)state;
    for (unsigned n = 0; n < 10; n++) {
        char name[24];

        snprintf(name, sizeof(name), "n%u", n);
        assert_int_equal(net_register(net, 1, name, PROA_S), PROA_OK);
    }
    assert_false(kad_left(kad, net->now));
    kad_leave(kad, net->now);
    net_settle(net, 1);
    proa_ns began = net->now;
    while (!kad_left(kad, net->now) && net->now - began < PROA_S)
        net_run(net, PROA_MS);
    assert_in_range(net->now - began, 0, 100 * PROA_MS);
    assert_int_equal(kad_register(kad, "x", 1, 1, 1, 0, PROA_NS_NEVER, net->now), 0);
    net_kill(net, 1);
    assert_int_equal(net_lookup(net, 2, "n3", false, PROA_S, NULL), PROA_NOT_FOUND);
    for (unsigned i = 0; i < 5; i++) {
        struct kad_stats stats;

        if (i == 1)
            continue;
        kad_stats(net->nodes[i].kad, &stats);
        assert_int_equal(stats.contacts, 3);
        assert_int_equal(net->nodes[i].silent, 1);
    }
    net_destroy(net);
}

static void leave__nobody_answers_takes_half_a_second(void **state)
{
    struct net *net = cluster(3);

    (void)state;
    assert_int_equal(net_register(net, 0, "alpha", PROA_S), PROA_OK);
    net_kill(net, 1);
    net_kill(net, 2);
    kad_leave(net->nodes[0].kad, net->now);
    net_settle(net, 0);
    net_run(net, 500 * PROA_MS);
    assert_true(kad_left(net->nodes[0].kad, net->now));
    net_destroy(net);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(register__first_node_alone_at_once),
        cmocka_unit_test(register__not_joined_waits_and_says_so),
        cmocka_unit_test(register__refuses_what_is_no_name),
        cmocka_unit_test(register__two_nodes_and_back),
        cmocka_unit_test(register__twice_names_the_holder),
        cmocka_unit_test(register__all_at_once_has_one_winner),
        cmocka_unit_test(unregister__frees_the_name_and_raises_the_term),
        cmocka_unit_test(takeover__from_a_dead_holder_with_a_higher_term),
        cmocka_unit_test(takeover__from_a_restarted_holder),
        cmocka_unit_test(takeover__not_from_one_that_lives),
        cmocka_unit_test(reissue__names_the_next_life_by_the_same_claim),
        cmocka_unit_test(contended__is_what_is_not_held),
        cmocka_unit_test(register__minority_finds_no_quorum_and_leaves_nothing),
        cmocka_unit_test(register__quorum_of_two_waits_ten_minutes_for_the_dead_one),
        cmocka_unit_test(register__more_than_may_walk_at_once),
        cmocka_unit_test(lookup__of_a_dead_holder_is_unknown_then_not_found),
        cmocka_unit_test(renew__names_reach_newcomers),
        cmocka_unit_test(renew__survives_the_loss_of_storers_one_after_another),
        cmocka_unit_test(leave__names_are_gone_and_contacts_know),
        cmocka_unit_test(leave__nobody_answers_takes_half_a_second),
    };

    printf("seed %d\n", SEED);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
