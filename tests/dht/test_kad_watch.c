/* SPDX-License-Identifier: Apache-2.0 */
/* Being told: watches held (kad_watch.c) and given (kad_lease.c), between a few nodes. */
#include "kad_net.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#define SEED 1234

static struct net *cluster(unsigned count)
{
    struct net *net = net_create(count, SEED);

    for (unsigned i = 0; i < count; i++)
        net_start(net, i, i == 0 ? 0 : i - 1);
    net_run_joined(net, count > 8 ? 8 : count - 1, 10 * PROA_S);
    return net;
}

static void watch(struct net *net, unsigned i, const char *name)
{
    assert_true(kad_watch(net->nodes[i].kad, name, strlen(name), net->now));
    net_settle(net, i);
    net_run(net, 50 * PROA_MS);
}

static void unregister(struct net *net, unsigned i, const char *name)
{
    assert_true(kad_unregister(net->nodes[i].kad, name, strlen(name), net->now));
    net_settle(net, i);
}

static void watch__present_record_comes_first(void **state)
{
    struct net *net = cluster(12);

    (void)state;
    assert_int_equal(net_register(net, 1, "alpha", PROA_S), PROA_OK);
    watch(net, 9, "alpha");
    struct net_change *change = net_changes(net, 9, "alpha");
    assert_int_equal(change->changes, 1);
    assert_true(change->last.alive);
    assert_int_equal(change->last.record.kind, RECORD_NAME);
    assert_true(kad_id_equal(&change->last.id, &net->nodes[1].identity.id));
    net_run(net, 300 * PROA_S); /* renewals and new looks are no changes */
    assert_int_equal(net_changes(net, 9, "alpha")->changes, 1);
    net_destroy(net);
}

static void watch__absent_name_is_told_when_it_comes_and_goes(void **state)
{
    struct net *net = cluster(20);

    (void)state;
    watch(net, 9, "alpha");
    net_run(net, 100 * PROA_S);
    assert_int_equal(net_changes(net, 9, "alpha")->changes, 0);
    proa_ns began = net->now;
    assert_int_equal(net_register(net, 2, "alpha", PROA_S), PROA_OK);
    net_run(net, 100 * PROA_MS);
    assert_int_equal(net_changes(net, 9, "alpha")->changes, 1);
    assert_in_range(net_changes(net, 9, "alpha")->at - began, 0, 5 * PROA_MS);
    net_run(net, 20 * PROA_S);
    began = net->now;
    unregister(net, 2, "alpha");
    net_run(net, 100 * PROA_MS);
    struct net_change *change = net_changes(net, 9, "alpha");
    assert_int_equal(change->changes, 2);
    assert_int_equal(change->last.record.kind, RECORD_TOMBSTONE);
    assert_false(change->last.alive);
    assert_in_range(change->at - began, 0, 250 * PROA_US); /* one trip from the owner */
    assert_int_equal(net_register(net, 3, "alpha", PROA_S), PROA_OK);
    net_run(net, 100 * PROA_MS);
    change = net_changes(net, 9, "alpha");
    assert_int_equal(change->changes, 3);
    assert_int_equal(change->last.term, 2);
    net_destroy(net);
}

static void watch__takeover_is_told_by_the_storers(void **state)
{
    struct net *net = cluster(12);

    (void)state;
    assert_int_equal(net_register(net, 1, "alpha", PROA_S), PROA_OK);
    watch(net, 9, "alpha");
    net_kill(net, 1);
    assert_int_equal(net_register(net, 2, "alpha", 2 * PROA_S), PROA_OK);
    net_run(net, 200 * PROA_MS);
    struct net_change *change = net_changes(net, 9, "alpha");
    assert_int_equal(change->last.term, 2);
    assert_true(change->last.alive);
    assert_true(kad_id_equal(&change->last.id, &net->nodes[2].identity.id));
    net_destroy(net);
}

static void watch__own_names_are_told_without_a_wire(void **state)
{
    struct net *net = net_create(1, SEED);

    (void)state;
    net_start(net, 0, 0);
    watch(net, 0, "alpha");
    assert_int_equal(net_register(net, 0, "alpha", PROA_S), PROA_OK);
    assert_int_equal(net_changes(net, 0, "alpha")->changes, 1);
    assert_true(net_changes(net, 0, "alpha")->last.alive);
    unregister(net, 0, "alpha");
    assert_int_equal(net_changes(net, 0, "alpha")->changes, 2);
    assert_int_equal(net->nodes[0].sent, 0);
    net_destroy(net);
}

static void watch__many_names_share_their_renewals(void **state)
{
    struct net *net = cluster(2);
    char name[24];

    (void)state;
    for (int n = 0; n < 30; n++) {
        snprintf(name, sizeof(name), "name %d", n);
        watch(net, 1, name);
    }
    net_run(net, 30 * PROA_S);
    uint64_t before = net->nodes[1].sent;
    net_run(net, 60 * PROA_S); /* six renewals, and what else is going on */
    assert_in_range(net->nodes[1].sent - before, 6, 200);
    for (int n = 0; n < 30; n++) {
        snprintf(name, sizeof(name), "name %d", n);
        assert_int_equal(net_register(net, 0, name, PROA_S), PROA_OK);
    }
    net_run(net, PROA_S);
    for (int n = 0; n < 30; n++) {
        snprintf(name, sizeof(name), "name %d", n);
        assert_int_equal(net_changes(net, 1, name)->changes, 1);
    }
    net_destroy(net);
}

static void watch__references_are_counted(void **state)
{
    struct net *net = cluster(3);
    struct kad *kad = net->nodes[1].kad;

    (void)state;
    watch(net, 1, "alpha");
    watch(net, 1, "alpha");
    kad_unwatch(kad, "alpha", 5, net->now);
    net_settle(net, 1);
    assert_int_equal(net_register(net, 0, "alpha", PROA_S), PROA_OK);
    net_run(net, 100 * PROA_MS);
    assert_int_equal(net_changes(net, 1, "alpha")->changes, 1);
    kad_unwatch(kad, "alpha", 5, net->now);
    kad_unwatch(kad, "alpha", 5, net->now); /* one too many is harmless */
    net_settle(net, 1);
    net_run(net, 100 * PROA_MS);
    unregister(net, 0, "alpha");
    net_run(net, 100 * PROA_MS);
    assert_int_equal(net_changes(net, 1, "alpha")->changes, 1);
    net_destroy(net);
}

static void watch__bounded(void **state)
{
    struct net *net = net_create(1, SEED);
    char name[24];

    (void)state;
    net_start(net, 0, 0);
    for (int n = 0; n < 33; n++) {
        snprintf(name, sizeof(name), "name %d", n);
        bool taken = kad_watch(net->nodes[0].kad, name, strlen(name), net->now);
        assert_int_equal(taken, n < 32); /* kad_net.c: watches_max */
    }
    assert_false(kad_watch(net->nodes[0].kad, "", 0, net->now));
    net_destroy(net);
}

static void watch__survives_the_loss_of_its_storers(void **state)
{
    struct net *net = cluster(16);

    (void)state;
    watch(net, 9, "alpha");
    for (unsigned i = 0; i < 16; i++) {
        if (i == 9 || i == 15)
            continue;
        net_kill(net, i);
        net_run(net, 10 * PROA_S);
    }
    net_run(net, 700 * PROA_S); /* until two of two are a quorum */
    assert_int_equal(net_register(net, 15, "alpha", 2 * PROA_S), PROA_OK);
    net_run(net, 2 * PROA_S);
    assert_int_equal(net_changes(net, 9, "alpha")->changes, 1);
    net_destroy(net);
}

static void notify__lost_ones_are_sent_again(void **state)
{
    (void)state;
    for (unsigned round = 0; round < 10; round++) {
        struct net *net = cluster(12);

        net->random += round;
        watch(net, 9, "alpha");
        net_run(net, PROA_S);
        net->faults.loss = 300;
        assert_int_equal(net_register(net, 2, "alpha", 5 * PROA_S), PROA_OK);
        net_run(net, 31 * PROA_S); /* at the latest with a renewal */
        struct net_change *change = net_changes(net, 9, "alpha");
        /* A claim that found no quorum at first is seen to go and to come again. */
        assert_in_range(change->changes, 1, 9);
        assert_int_equal(change->last.record.kind, RECORD_NAME);
        assert_true(change->last.alive);
        net_destroy(net);
    }
}

static void notify__cut_off_watcher_is_told_on_its_return(void **state)
{
    struct net *net = cluster(12);

    (void)state;
    watch(net, 9, "alpha");
    net->nodes[9].group = 1;
    net_run(net, 100 * PROA_MS);
    assert_int_equal(net_register(net, 2, "alpha", 5 * PROA_S), PROA_OK);
    net_run(net, 100 * PROA_S); /* its leases are over */
    assert_int_equal(net_changes(net, 9, "alpha")->changes, 0);
    net->nodes[9].group = 0;
    net_run(net, 60 * PROA_S);
    assert_int_equal(net_changes(net, 9, "alpha")->changes, 1);
    assert_true(net_changes(net, 9, "alpha")->last.alive);
    net_destroy(net);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(watch__present_record_comes_first),
        cmocka_unit_test(watch__absent_name_is_told_when_it_comes_and_goes),
        cmocka_unit_test(watch__takeover_is_told_by_the_storers),
        cmocka_unit_test(watch__own_names_are_told_without_a_wire),
        cmocka_unit_test(watch__many_names_share_their_renewals),
        cmocka_unit_test(watch__references_are_counted),
        cmocka_unit_test(watch__bounded),
        cmocka_unit_test(watch__survives_the_loss_of_its_storers),
        cmocka_unit_test(notify__lost_ones_are_sent_again),
        cmocka_unit_test(notify__cut_off_watcher_is_told_on_its_return),
    };

    printf("seed %d\n", SEED);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
