/* SPDX-License-Identifier: Apache-2.0 */
/* Meeting who is at an address, and settling a name that others have settled. */
#include "kad_net.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#define SEED 815

/* Two halves of four nodes that all know each other, cut apart: 0 to 3 and 4 to 7. */
static struct net *halves(void)
{
    struct net *net = net_create(8, SEED);

    for (unsigned i = 0; i < 8; i++)
        net_start(net, i, i == 0 ? 0 : i - 1);
    net_run_joined(net, 7, 10 * PROA_S);
    for (unsigned i = 4; i < 8; i++)
        net->nodes[i].group = 1;
    net_run(net, 610 * PROA_S); /* the others no longer count towards a quorum */
    return net;
}

static void heal(struct net *net)
{
    for (unsigned i = 4; i < 8; i++)
        net->nodes[i].group = 0;
}

/* ---- kad_meet ---- */

static void meet__tells_who_is_there(void **state)
{
    struct net *net = net_create(2, SEED);

    (void)state;
    net_start(net, 0, 0);
    net_start(net, 1, 1); /* two clusters of one: they have not heard of each other */
    net_run(net, PROA_S);
    assert_int_equal(net->nodes[0].heard, 0);
    assert_true(kad_meet(net->nodes[0].kad, &net->nodes[1].addr, net->now));
    net_settle(net, 0);
    net_run(net, PROA_MS);
    assert_int_equal(net->nodes[0].heard, 1);
    assert_true(kad_id_equal(&net->nodes[0].last_heard.id, &net->nodes[1].identity.id));
    assert_memory_equal(&net->nodes[0].last_heard.addr, &net->nodes[1].addr,
                        sizeof(struct proa_addr));
    net_destroy(net);
}

static void meet__tells_also_of_one_heard_just_now(void **state)
{
    struct net *net = net_create(2, SEED);

    (void)state;
    net_start(net, 0, 0);
    net_start(net, 1, 0);
    net_run_joined(net, 1, PROA_S);
    for (unsigned i = 0; i < 5; i++) {
        unsigned before = net->nodes[0].heard;

        assert_true(kad_meet(net->nodes[0].kad, &net->nodes[1].addr, net->now));
        net_settle(net, 0);
        net_run(net, PROA_MS);
        assert_int_equal(net->nodes[0].heard, before + 1);
    }
    net_destroy(net);
}

static void meet__silence_makes_no_event(void **state)
{
    struct net *net = net_create(2, SEED);
    struct kad_stats stats;

    (void)state;
    net_start(net, 0, 0);
    assert_true(kad_meet(net->nodes[0].kad, &net->nodes[1].addr, net->now));
    net_settle(net, 0);
    net_run(net, 5 * PROA_S);
    kad_stats(net->nodes[0].kad, &stats);
    assert_int_equal(net->nodes[0].heard + net->nodes[0].silent, 0);
    assert_int_equal(stats.timeouts, 1);
    net_destroy(net);
}

static void meet__a_node_of_another_cluster_is_silent(void **state)
{
    static const uint8_t secret[PROA_CLUSTER_SECRET_LEN] = "another cluster's";
    struct net *net = net_create(2, SEED);
    struct cluster_keys keys;

    (void)state;
    cluster_keys_init(&keys, secret);
    net_start(net, 0, 0);
    net_start_keys(net, 1, 1, &keys);
    assert_true(kad_meet(net->nodes[0].kad, &net->nodes[1].addr, net->now));
    net_settle(net, 0);
    net_run(net, 5 * PROA_S);
    assert_int_equal(net->nodes[0].heard, 0);
    assert_int_equal(net->nodes[1].heard, 0);
    net_destroy(net);
}

static void meet__refuses_own_address_and_none(void **state)
{
    struct net *net = net_create(1, SEED);
    struct proa_addr none = {0}, portless;

    (void)state;
    net_start(net, 0, 0);
    portless = net->nodes[0].addr;
    portless.ip[15]++;
    portless.port = 0;
    assert_false(kad_meet(net->nodes[0].kad, &net->nodes[0].addr, net->now));
    assert_false(kad_meet(net->nodes[0].kad, &none, net->now));
    assert_false(kad_meet(net->nodes[0].kad, &portless, net->now));
    net_destroy(net);
}

/* Meets whoever is at each port of an address until it is refused. */
static unsigned meet_silent(struct net *net, unsigned i)
{
    struct proa_addr addr = net->nodes[i].addr;
    unsigned met = 0;

    addr.ip[13] = 1; /* nobody is there */
    for (addr.port = 1; kad_meet(net->nodes[i].kad, &addr, net->now); addr.port++) {
        net_settle(net, i);
        assert_true(++met < 10000);
    }
    return met;
}

static void meet__has_a_share_and_leaves_room_for_others(void **state)
{
    struct net *net = net_create(3, SEED);
    struct kad_event event;

    (void)state;
    for (unsigned i = 0; i < 3; i++)
        net_start(net, i, 0);
    net_run_joined(net, 2, PROA_S);
    for (unsigned round = 0; round < 3; round++) {
        assert_int_equal(meet_silent(net, 0), 64); /* of 256: kad_net.c's walks_max */
        assert_int_equal(net_register(net, 0,
                                      round == 0   ? "a"
                                      : round == 1 ? "b"
                                                   : "c",
                                      100 * PROA_MS),
                         PROA_OK);
        assert_int_equal(net_lookup(net, 0, "a", false, 100 * PROA_MS, &event), PROA_OK);
        net_run(net, 2 * PROA_S); /* they have failed, and make room */
    }
    net_destroy(net);
}

static void meet__answers_make_room(void **state)
{
    struct net *net = net_create(2, SEED);

    (void)state;
    net_start(net, 0, 0);
    net_start(net, 1, 0);
    net_run_joined(net, 1, PROA_S);
    for (unsigned i = 0; i < 300; i++) {
        assert_true(kad_meet(net->nodes[0].kad, &net->nodes[1].addr, net->now));
        net_settle(net, 0);
        net_run(net, PROA_MS);
    }
    assert_int_equal(meet_silent(net, 0), 64);
    net_destroy(net);
}

/* ---- kad_held, kad_yield, kad_renew ---- */

static void held__says_what_the_record_says(void **state)
{
    struct net *net = net_create(1, SEED);
    struct kad_claim_info info;
    struct kad_event event;

    (void)state;
    net_start(net, 0, 0);
    assert_false(kad_held(net->nodes[0].kad, "one", 3, &info));
    assert_false(kad_held(net->nodes[0].kad, "one", 0, &info));
    assert_int_equal(net_register(net, 0, "one", PROA_S), PROA_OK);
    assert_int_equal(net_lookup(net, 0, "one", true, PROA_S, &event), PROA_OK);
    assert_true(kad_held(net->nodes[0].kad, "one", 3, &info));
    assert_int_equal(info.term, event.record.term);
    assert_int_equal(info.issued, event.record.issued);
    assert_int_equal(info.claim, event.record.claim);
    assert_int_equal(info.slot, event.record.slot);
    assert_int_equal(info.generation, event.record.generation);
    assert_true(kad_reissue(net->nodes[0].kad, "one", 3, 9, 77, net->now));
    uint64_t before = info.issued;
    assert_true(kad_held(net->nodes[0].kad, "one", 3, &info));
    assert_int_equal(info.slot, 9);
    assert_int_equal(info.generation, 77);
    assert_true(info.issued > before);
    assert_int_equal(info.claim, event.record.claim);
    net_destroy(net);
}

static void yield__of_what_is_not_held_changes_nothing(void **state)
{
    struct net *net = net_create(2, SEED);

    (void)state;
    net_start(net, 0, 0);
    net_start(net, 1, 0);
    assert_false(kad_yield(net->nodes[0].kad, "one", 3, net->now));
    assert_false(kad_renew(net->nodes[0].kad, "one", 3, net->now));
    net_run_joined(net, 1, PROA_S);
    uint32_t op =
        kad_register(net->nodes[0].kad, "one", 3, 7, 1, 0, net->now + PROA_S, net->now);
    assert_false(kad_yield(net->nodes[0].kad, "one", 3, net->now)); /* still a claim */
    assert_int_equal(net_wait(net, 0, op, PROA_S)->outcome, PROA_OK);
    net_destroy(net);
}

static void yield__leaves_the_name_to_be_claimed(void **state)
{
    struct net *net = net_create(3, SEED);
    struct kad_event event;

    (void)state;
    for (unsigned i = 0; i < 3; i++)
        net_start(net, i, 0);
    net_run_joined(net, 2, PROA_S);
    assert_int_equal(net_register(net, 0, "one", PROA_S), PROA_OK);
    assert_int_equal(net_register(net, 1, "one", PROA_S), PROA_ALREADY_REGISTERED);
    assert_true(kad_yield(net->nodes[0].kad, "one", 3, net->now));
    net_settle(net, 0);
    assert_int_equal(net->nodes[0].lost, 0);
    assert_int_equal(net_register(net, 1, "one", PROA_S), PROA_OK);
    assert_int_equal(net_lookup(net, 0, "one", false, PROA_S, &event), PROA_OK);
    assert_true(kad_id_equal(&event.id, &net->nodes[1].identity.id));
    assert_int_equal(event.record.term, 2); /* never a smaller one than before */
    assert_int_equal(net->nodes[0].lost, 0);
    net_destroy(net);
}

/* Two hold the name; the caller learns who wins, the loser yields, the winner renews: all eight
   then find the winner's record, and nobody is told of a loss. */
static void yield__and_renew_settle_a_healed_partition(void **state)
{
    struct net *net = halves();
    struct kad_claim_info first, second;

    (void)state;
    assert_int_equal(net_register(net, 1, "one", 5 * PROA_S), PROA_OK);
    net_run(net, PROA_S);
    assert_int_equal(net_register(net, 5, "one", 5 * PROA_S), PROA_OK);
    assert_true(kad_held(net->nodes[1].kad, "one", 3, &first));
    assert_true(kad_held(net->nodes[5].kad, "one", 3, &second));
    assert_int_equal(first.term, second.term);
    assert_true(first.claim < second.claim);
    heal(net);
    for (unsigned i = 0; i < 8; i++) {
        kad_meet(net->nodes[i].kad, &net->nodes[(i + 4) % 8].addr, net->now);
        net_settle(net, i);
    }
    assert_true(kad_yield(net->nodes[5].kad, "one", 3, net->now));
    net_settle(net, 5);
    net_run(net, 20 * PROA_MS);
    assert_true(kad_renew(net->nodes[1].kad, "one", 3, net->now));
    net_settle(net, 1);
    net_run(net, PROA_S);
    for (unsigned i = 0; i < 8; i++) {
        struct kad_event event;

        assert_int_equal(net_lookup(net, i, "one", false, PROA_S, &event), PROA_OK);
        assert_true(kad_id_equal(&event.id, &net->nodes[1].identity.id));
        assert_int_equal(net->nodes[i].lost, 0);
    }
    assert_false(kad_held(net->nodes[5].kad, "one", 3, &second));
    assert_false(kad_is_contended(net->nodes[1].kad, "one", 3));
    net_destroy(net);
}

static void renew__asks_the_storers_at_once(void **state)
{
    struct net *net = net_create(2, SEED);
    struct kad_stats before, after;

    (void)state;
    net_start(net, 0, 0);
    net_start(net, 1, 0);
    net_run_joined(net, 1, PROA_S);
    assert_int_equal(net_register(net, 0, "one", PROA_S), PROA_OK);
    net_run(net, PROA_S);
    kad_stats(net->nodes[1].kad, &before);
    net_run(net, 100 * PROA_MS);
    kad_stats(net->nodes[1].kad, &after);
    assert_int_equal(after.gets, before.gets);
    assert_true(kad_renew(net->nodes[0].kad, "one", 3, net->now));
    net_settle(net, 0);
    net_run(net, PROA_MS);
    kad_stats(net->nodes[1].kad, &after);
    assert_int_equal(after.gets, before.gets + 1);
    assert_int_equal(after.puts, before.puts); /* it has the record */
    net_destroy(net);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(meet__tells_who_is_there),
        cmocka_unit_test(meet__tells_also_of_one_heard_just_now),
        cmocka_unit_test(meet__silence_makes_no_event),
        cmocka_unit_test(meet__a_node_of_another_cluster_is_silent),
        cmocka_unit_test(meet__refuses_own_address_and_none),
        cmocka_unit_test(meet__has_a_share_and_leaves_room_for_others),
        cmocka_unit_test(meet__answers_make_room),
        cmocka_unit_test(held__says_what_the_record_says),
        cmocka_unit_test(yield__of_what_is_not_held_changes_nothing),
        cmocka_unit_test(yield__leaves_the_name_to_be_claimed),
        cmocka_unit_test(yield__and_renew_settle_a_healed_partition),
        cmocka_unit_test(renew__asks_the_storers_at_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
