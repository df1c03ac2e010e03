/* SPDX-License-Identifier: Apache-2.0 */
/* The receiver of a set: how much it asks for at once, when it asks again, what it keeps. */
#include "mesh_internal.h"
#include "mesh_net.h"
#include "mesh_wire.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SEED 77

/* ---- Owners that the test plays itself ---- */

static struct mesh_node *node_of(struct net *net, uint64_t owner)
{
    struct mesh_node *node = mesh_find(net->nodes[0].mesh, owner);

    assert_non_null(node);
    return node;
}

/* The owner says that there is nothing in [first, end). */
static void say_range(struct net *net, uint64_t owner, uint32_t first, uint32_t end,
                      uint64_t version)
{
    uint8_t buf[MESH_MESSAGE_MAX];
    struct mesh_writer w;

    mesh_begin_range(&w, buf);
    mesh_set_range(&w, first, end, version);
    assert_true(net_inject(net, 0, owner, buf, w.len));
}

static void say_digest(struct net *net, uint64_t owner, const struct mesh_digest *digest)
{
    uint8_t buf[MESH_MESSAGE_MAX];
    struct mesh_writer w;

    mesh_begin(&w, buf, MESH_M_DIGEST);
    mesh_put_digest(&w, digest);
    assert_true(net_inject(net, 0, owner, buf, w.len));
}

/* kind 0: the entry is removed */
static void say_entry(struct net *net, uint64_t owner, uint8_t kind, uint32_t index,
                      uint64_t version)
{
    struct mesh_entry entry = {
        .index = index, .version = version, .kind = kind, .generation = 1, .len = 1};
    uint8_t buf[MESH_MESSAGE_MAX];
    struct mesh_writer w;

    entry.name[0] = 'g';
    mesh_begin(&w, buf, MESH_M_DELTA);
    assert_true(mesh_put_entry(&w, &entry));
    assert_true(net_inject(net, 0, owner, buf, w.len));
}

static unsigned under_way(const struct net *net, unsigned i)
{
    const struct mesh *mesh = net->nodes[i].mesh;
    unsigned count = 0;

    for (uint32_t n = 0; n < mesh->node_high; n++)
        for (unsigned k = 0; mesh->nodes[n].used && k < MESH_WINDOW; k++)
            count += mesh->nodes[n].asked[k].used;
    return count;
}

static struct net *one(void)
{
    struct net *net = net_create(1, SEED);

    net_start(net, 0);
    return net;
}

/* ---- How much is under way ---- */

static void window__of_all_nodes_also_after_time_outs(void **state)
{
    struct net *net = net_create(13, SEED);
    unsigned most = 0;

    (void)state;
    for (unsigned i = 0; i < 13; i++) {
        net_start(net, i);
        net_publish_many(net, i, i < 12 ? 1000 : 0);
        if (i > 0 && i < 12)
            net_add(net, i, 0);
    }
    assert_true(net_until(net, 10 * PROA_S) == PROA_NS_NEVER); /* 12 is alone */
    net->faults.delay = 400 * PROA_MS;
    net_add(net, 12, 3);
    while (net->nodes[12].counts.synced < 12) {
        unsigned count = under_way(net, 12);

        most = count > most ? count : most;
        assert_int_equal(count, net->nodes[12].mesh->window);
        net_run(net, 5 * PROA_MS);
        assert_true(net->now < NET_START + 60 * PROA_S);
    }
    assert_int_equal(most, MESH_WINDOW_ALL);
    net_destroy(net);
}

static void window__is_filled_exactly(void **state)
{
    struct net *net = one();

    (void)state;
    for (unsigned n = 0; n < 21; n++)
        net_play(net, 0, n, 3);
    net_play(net, 0, 21, 40);
    assert_int_equal(under_way(net, 0), MESH_WINDOW_ALL);
    net_destroy(net);
}

/* Four send one index of each leaf they were asked for, again and again: the fifth has its turn. */
static void window__is_not_held_by_those_that_send_the_same(void **state)
{
    struct net *net = net_create(2, SEED);
    uint64_t owners[4];

    (void)state;
    net_start(net, 0);
    net_start(net, 1);
    net_publish_many(net, 1, 500);
    for (unsigned n = 0; n < 4; n++)
        owners[n] = net_play(net, 0, n, 1024);
    assert_int_equal(under_way(net, 0), MESH_WINDOW_ALL);
    net_add(net, 0, 1);
    for (unsigned t = 0; t < 100; t++) {
        for (unsigned n = 0; n < 4; n++) {
            const struct mesh_node *node = node_of(net, owners[n]);

            for (unsigned k = 0; k < MESH_WINDOW; k++)
                if (node->asked[k].used)
                    say_range(net, owners[n], node->asked[k].leaf * MESH_LEAF,
                              node->asked[k].leaf * MESH_LEAF + 1, 1);
        }
        net_run(net, 20 * PROA_MS);
    }
    assert_int_equal(net->nodes[0].seen[1].count, 500);
    net_destroy(net);
}

/* One sends a new index each time, so slowly that a leaf takes for ever. */
static void window__is_not_held_by_those_that_dribble(void **state)
{
    struct net *net = one();
    uint64_t owner = net_play(net, 0, 0, 1024);
    proa_ns since = net->now;

    (void)state;
    for (uint32_t t = 0; net->now - since <= MESH_ASKED_MAX; t++) {
        assert_int_equal(under_way(net, 0), MESH_WINDOW);
        for (uint32_t leaf = 0; leaf < MESH_WINDOW; leaf++)
            say_range(net, owner, leaf * MESH_LEAF + t / 2, leaf * MESH_LEAF + t / 2 + 1,
                      1);
        net_run(net, 45 * PROA_MS);
    }
    assert_int_equal(under_way(net, 0), 1);
    net_destroy(net);
}

/* ---- When it is asked for again ---- */

static uint64_t ranges_at(proa_ns rtt)
{
    struct net *net = net_create(2, SEED);

    net->faults.delay = rtt / 2;
    net_start(net, 0);
    net_start(net, 1);
    net_publish_many(net, 0, 12000);
    net_add(net, 1, 0);
    assert_true(net_until(net, 60 * PROA_S) != PROA_NS_NEVER);
    net_run(net, 3 * PROA_S);
    const struct mesh_node *node = mesh_find(net->nodes[1].mesh, net->nodes[0].node);
    assert_in_range(node->srtt, rtt, rtt + PROA_MS);
    uint64_t ranges = net_stats(net, 1).ranges;
    net_destroy(net);
    return ranges;
}

static void again__long_round_trips_cost_nothing_more(void **state)
{
    static const proa_ns rtts[] = {250 * PROA_MS, 400 * PROA_MS, 800 * PROA_MS,
                                   1600 * PROA_MS};
    uint64_t least = ranges_at(4 * PROA_MS);

    (void)state;
    for (unsigned i = 0; i < sizeof(rtts) / sizeof(rtts[0]); i++) {
        uint64_t ranges = ranges_at(rtts[i]);

        printf("RTT %llu ms: %llu ranges, %llu are needed\n",
               (unsigned long long)(rtts[i] / PROA_MS), (unsigned long long)ranges,
               (unsigned long long)least);
        assert_in_range(ranges, least - 100, least + least / 8);
    }
}

static void again__not_while_its_parts_come(void **state)
{
    struct net *net = one();
    uint64_t owner = net_play(net, 0, 0, 1);
    const struct mesh_node *node = node_of(net, owner);
    proa_ns since = net->now;

    (void)state;
    net_run(net, 10 * PROA_MS);
    for (uint32_t at = 0; at < MESH_LEAF; at += 4) { /* 640 ms, at a time-out of 50 */
        assert_int_equal(node->asked_count, 1);
        assert_true(node->asked[0].since == since);
        say_range(net, owner, at, at + 4, 7);
        net_run(net, 40 * PROA_MS);
    }
    assert_int_equal(node->srtt, 10 * PROA_MS);
    assert_int_equal(node->state, MESH_LINKED_UP);
    net_destroy(net);
}

static void again__no_sample_of_what_was_asked_for_twice(void **state)
{
    struct net *net = one();
    uint64_t owner = net_play(net, 0, 0, 1);
    const struct mesh_node *node = node_of(net, owner);

    (void)state;
    net_run(net, MESH_RTO_START + 10 * PROA_MS);
    assert_int_equal(node->asked_count, 1);
    assert_int_equal(node->backoff, 1);
    say_range(net, owner, 0, MESH_LEAF, 7);
    assert_int_equal(node->srtt, 0);
    assert_int_equal(node->backoff, 1); /* until there is a sample */
    assert_int_equal(node->state, MESH_LINKED_UP);
    net_destroy(net);
}

static void again__time_out_doubles_up_to_its_bound(void **state)
{
    struct net *net = one();
    uint64_t owner = net_play(net, 0, 0, 40);
    const struct mesh_node *node = node_of(net, owner);
    proa_ns wait = MESH_RTO_START;

    (void)state;
    assert_int_equal(node->asked_count, MESH_WINDOW);
    for (unsigned n = 0; n < 8; n++) {
        unsigned leaf = node->asked[0].leaf;

        net_run(net, wait - 1);
        assert_int_equal(node->asked[0].leaf, leaf);
        net_run(net, 1);
        assert_int_equal(node->asked_count, 1); /* the next in turn, not the same */
        assert_int_equal(node->asked[0].leaf, MESH_WINDOW + n);
        wait = 2 * wait < MESH_RTO_MAX ? 2 * wait : MESH_RTO_MAX;
    }
    net_destroy(net);
}

static void again__late_answers_count(void **state)
{
    struct net *net = one();
    uint64_t owner = net_play(net, 0, 0, 3);
    const struct mesh_node *node = node_of(net, owner);

    (void)state;
    net_run(net, MESH_RTO_START);
    assert_int_equal(node->asked_count, 1);
    assert_int_equal(node->asked[0].leaf, 0);
    say_range(net, owner, 1 * MESH_LEAF + 1, 2 * MESH_LEAF, 7); /* not all of it */
    assert_int_equal(node->wanted_count, 2);
    say_range(net, owner, 1 * MESH_LEAF, 3 * MESH_LEAF, 7);
    assert_int_equal(node->wanted_count, 0);
    assert_int_equal(node->state, MESH_SYNCING);
    say_range(net, owner, 0, MESH_LEAF, 7);
    assert_int_equal(node->state, MESH_LINKED_UP);
    net_destroy(net);
}

/* ---- What is asked for and kept ---- */

static void digest__of_a_set_that_grew_is_pulled_with_the_rest(void **state)
{
    struct net *net = one();
    uint64_t owner = net_play(net, 0, 0, 1);
    struct mesh_digest digest = {.version = 100001, .root = 5, .count = 3, .leaves = 3};

    (void)state;
    say_digest(net, owner, &digest);
    assert_int_equal(node_of(net, owner)->asked_count, 3);
    assert_int_equal(net_stats(net, 0).resyncs, 0);
    net_destroy(net);
}

static void range__what_is_older_comes_too_late(void **state)
{
    struct net *net = one();
    uint64_t owner = net_play(net, 0, 0, 1);

    (void)state;
    say_entry(net, owner, MESH_MEMBER, 5, 3);
    say_range(net, owner, 6, MESH_LEAF, 10);
    say_entry(net, owner, MESH_MEMBER, 7, 9);
    say_entry(net, owner, MESH_MEMBER, 8, 11);
    assert_null(mesh_entry_at(net->nodes[0].mesh, owner, 7));
    assert_non_null(mesh_entry_at(net->nodes[0].mesh, owner, 8));
    assert_int_equal(net_stats(net, 0).entries, 2);
    net_destroy(net);
}

/* Changes that wait for the end of their batch go before a digest that tells of them. */
static void digest__after_the_changes_it_tells_of(void **state)
{
    struct net *net = net_create(2, SEED);
    struct mesh_entry entry;

    (void)state;
    net_start(net, 0);
    net_start(net, 1);
    net_add(net, 1, 0);
    assert_true(net_until(net, PROA_S) != PROA_NS_NEVER);
    proa_ns due = net->nodes[0].mesh->digest_due;
    net_run(net, due - net->now - MESH_BATCH / 2);
    for (uint32_t n = 0; n < 2; n++) { /* the second has to wait */
        net_entry(&entry, MESH_MEMBER, "g", n);
        net_publish(net, 0, &entry);
    }
    assert_true(net->nodes[0].mesh->own.flush_due > due);
    net_run(net, 500 * PROA_MS);
    assert_int_equal(net->nodes[1].seen[0].count, 2);
    assert_int_equal(net_stats(net, 1).mismatches, 0);
    net_destroy(net);
}

/* ---- Bounds of the receiver ---- */

/* Three quarters are for who comes first, the rest in equal parts for all. */
static void bound__entries_max(void **state)
{
    struct net *net = net_create(3, SEED);

    (void)state;
    net->entries_max = 100;
    net->nodes_max = 5;
    net_start(net, 1);
    net->entries_max = 0;
    net_start(net, 0);
    net_start(net, 2);
    net_publish_many(net, 0, 150);
    net_publish_many(net, 2, 5);
    net_add(net, 1, 0);
    net_run(net, 9 * PROA_S);
    struct mesh_stats stats = net_stats(net, 1);
    assert_int_equal(stats.entries, 75);
    assert_int_equal(stats.refused, 75);
    assert_false(mesh_complete(net->nodes[1].mesh));
    assert_int_equal(net->nodes[1].counts.synced, 0);
    net_add(net, 2, 1); /* there is room for others */
    net_run(net, 300 * PROA_S);
    assert_int_equal(net_stats(net, 1).entries, 80);
    assert_int_equal(net->nodes[1].counts.synced, 1);
    assert_int_equal(net_stats(net, 1).refused, 75); /* not asked for again in vain */
    assert_int_equal(net_stats(net, 1).ranges, stats.ranges + 1);
    for (uint32_t n = 0; n < 110; n++)
        mesh_withdraw(net->nodes[0].mesh, n, net->now);
    net_settle(net, 0);
    net_run(net, 3 * PROA_S);
    assert_int_equal(net_stats(net, 1).entries, 45);
    assert_int_equal(net->nodes[1].counts.synced, 2);
    assert_true(mesh_complete(net->nodes[1].mesh));
    net_destroy(net);
}

/* What differs for another reason is found in the end, although there is no room. */
static void bound__full_and_a_change_was_lost(void **state)
{
    struct net *net = net_create(2, SEED);
    struct mesh_entry entries[150];

    (void)state;
    net->entries_max = 100;
    net_start(net, 1);
    net->entries_max = 0;
    net_start(net, 0);
    for (uint32_t n = 0; n < 150; n++) {
        net_entry(&entries[n], MESH_MEMBER, "g", n);
        net_publish(net, 0, &entries[n]);
    }
    net_add(net, 1, 0);
    net_run(net, 9 * PROA_S);
    net->faults.loss = 1000;
    net_republish(net, 0, 7, &entries[7], 5);
    net_run(net, 10 * PROA_MS);
    net->faults.loss = 0;
    net_run(net, MESH_LACK_WAIT_MAX + PROA_S);
    assert_int_equal(net->nodes[1].counts.changed, 1);
    assert_int_equal(net_stats(net, 1).entries, 75);
    net_destroy(net);
}

static void bound__asked_again_more_and_more_seldom(void **state)
{
    struct net *net = net_create(2, SEED);
    proa_ns wait = MESH_LACK_WAIT, last;

    (void)state;
    net_start(net, 0);
    net_start(net, 1);
    net_add(net, 1, 0);
    assert_true(net_until(net, PROA_S) != PROA_NS_NEVER);
    net->nodes[1].allocations_left = 1;
    net_publish_many(net, 0, 1);
    net_run(net, 5 * PROA_MS);
    last = net->now;
    for (unsigned n = 1; n <= 7; n++) {
        while (net_stats(net, 1).refused == n) {
            net_run(net, 100 * PROA_MS);
            /* not even while it is asked for again */
            assert_false(mesh_complete(net->nodes[1].mesh));
        }
        assert_in_range(net->now - last, wait, wait + 1200 * PROA_MS);
        last = net->now;
        wait = 2 * wait < MESH_LACK_WAIT_MAX ? 2 * wait : MESH_LACK_WAIT_MAX;
    }
    net->nodes[1].allocations_left = 0;
    net_run(net, MESH_LACK_WAIT_MAX + 2 * PROA_S);
    assert_true(net_agrees(net));
    net_destroy(net);
}

static void bound__removals_of_nothing_take_no_memory(void **state)
{
    struct net *net = one();
    uint64_t owner = net_play(net, 0, 0, 0);
    size_t before = net->nodes[0].allocated;

    (void)state;
    for (uint32_t leaf = 0; leaf < MESH_LEAVES; leaf++)
        say_entry(net, owner, 0, leaf * MESH_LEAF, leaf + 1);
    assert_int_equal(net->nodes[0].allocated, before);
    net_destroy(net);
}

/* One that has an entry here and there takes a leaf for each, but not those of others. */
static void bound__leaves(void **state)
{
    struct net *net = net_create(2, SEED);
    uint32_t max = 1000 / MESH_LEAF_SHARE + 4 * 10;

    (void)state;
    net->entries_max = 1000;
    net->nodes_max = 10;
    net_start(net, 0);
    net_start(net, 1);
    for (unsigned n = 0; n < 8; n++) {
        uint64_t owner = net_play(net, 0, n, 0);

        for (uint32_t leaf = 0; leaf < MESH_LEAVES; leaf++) {
            say_entry(net, owner, MESH_MEMBER, leaf * MESH_LEAF, 2 * leaf + 1);
            say_entry(net, owner, 0, leaf * MESH_LEAF, 2 * leaf + 2);
        }
        if (n == 0)
            assert_int_equal(node_of(net, owner)->set.leaves, max - max / 4);
        mesh_tick(net->nodes[0].mesh, net->now);
    }
    assert_int_equal(net_stats(net, 0).entries, 0);
    assert_int_equal(net->nodes[0].mesh->leaves, max - max / 4 + 7 * (max / 4 / 10));
    net_publish_many(net, 1, 64);
    net_add(net, 0, 1);
    net_run(net, PROA_S);
    assert_int_equal(net->nodes[0].seen[1].count, 64);
    net_destroy(net);
}

/* A removal that overtook the entry in a leaf that is not there: the next digest tells. */
static void bound__late_entry_is_found_out(void **state)
{
    struct net *net = net_create(2, SEED);

    (void)state;
    net_start(net, 0);
    net_start(net, 1);
    net_publish_many(net, 1, 20);
    net_add(net, 0, 1);
    assert_true(net_until(net, PROA_S) != PROA_NS_NEVER);
    say_entry(net, net->nodes[1].node, 0, 640, 3);
    say_entry(net, net->nodes[1].node, MESH_MEMBER, 640, 2);
    assert_non_null(mesh_entry_at(net->nodes[0].mesh, net->nodes[1].node, 640));
    assert_true(net_until(net, 1500 * PROA_MS) != PROA_NS_NEVER);
    assert_null(mesh_entry_at(net->nodes[0].mesh, net->nodes[1].node, 640));
    net_destroy(net);
}

static void bound__no_memory(void **state)
{
    (void)state;
    for (unsigned left = 1; left < 40; left++) {
        struct net *net = net_create(2, SEED);

        net_start(net, 0);
        net_start(net, 1);
        net_publish_many(net, 0, 30);
        net->nodes[1].allocations_left = left;
        net_add(net, 1, 0);
        net_run(net, 5 * PROA_S);
        assert_int_equal(net_stats(net, 1).entries, net->nodes[1].seen[0].count);
        assert_in_range(net_stats(net, 1).entries + net_stats(net, 1).refused, 30, 60);
        net->nodes[1].allocations_left = 0;
        net_run(net, 22 * PROA_S);
        assert_true(net_agrees(net));
        net_destroy(net);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(window__of_all_nodes_also_after_time_outs),
        cmocka_unit_test(window__is_filled_exactly),
        cmocka_unit_test(window__is_not_held_by_those_that_send_the_same),
        cmocka_unit_test(window__is_not_held_by_those_that_dribble),
        cmocka_unit_test(again__long_round_trips_cost_nothing_more),
        cmocka_unit_test(again__not_while_its_parts_come),
        cmocka_unit_test(again__no_sample_of_what_was_asked_for_twice),
        cmocka_unit_test(again__time_out_doubles_up_to_its_bound),
        cmocka_unit_test(again__late_answers_count),
        cmocka_unit_test(digest__of_a_set_that_grew_is_pulled_with_the_rest),
        cmocka_unit_test(digest__after_the_changes_it_tells_of),
        cmocka_unit_test(range__what_is_older_comes_too_late),
        cmocka_unit_test(bound__entries_max),
        cmocka_unit_test(bound__full_and_a_change_was_lost),
        cmocka_unit_test(bound__asked_again_more_and_more_seldom),
        cmocka_unit_test(bound__removals_of_nothing_take_no_memory),
        cmocka_unit_test(bound__leaves),
        cmocka_unit_test(bound__late_entry_is_found_out),
        cmocka_unit_test(bound__no_memory),
    };

    printf("seed %d\n", SEED);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
