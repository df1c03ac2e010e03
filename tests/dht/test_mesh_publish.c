/* SPDX-License-Identifier: Apache-2.0 */
/* What is published and how others learn of it: deltas, snapshots, repair, bounds, names. */
#include "mesh_internal.h"
#include "mesh_net.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SEED 31

static struct net *pair(unsigned count)
{
    struct net *net = net_create(count, SEED);

    for (unsigned i = 0; i < count; i++) {
        net_start(net, i);
        if (i > 0)
            net_add(net, i, 0);
    }
    assert_true(net_until(net, 5 * PROA_S) != PROA_NS_NEVER);
    return net;
}

static uint32_t publish(struct net *net, unsigned i, enum mesh_kind kind,
                        const char *name, uint32_t slot)
{
    struct mesh_entry entry;

    net_entry(&entry, kind, name, slot);
    return net_publish(net, i, &entry);
}

/* ---- Own entries ---- */

static void publish__lowest_free_index_until_there_is_none(void **state)
{
    struct net *net = net_create(1, SEED);
    struct mesh_entry entry;

    (void)state;
    net->published_max = 70;
    net_start(net, 0);
    struct mesh *mesh = net->nodes[0].mesh;
    for (uint32_t i = 0; i < 70; i++)
        assert_int_equal(publish(net, 0, MESH_MEMBER, "group", i), i);
    assert_int_equal(publish(net, 0, MESH_MEMBER, "group", 70), MESH_NONE);
    mesh_withdraw(mesh, 65, net->now);
    mesh_withdraw(mesh, 3, net->now);
    assert_int_equal(publish(net, 0, MESH_MEMBER, "group", 70), 3);
    assert_int_equal(publish(net, 0, MESH_MEMBER, "group", 70), 65);
    assert_int_equal(publish(net, 0, MESH_MEMBER, "group", 70), MESH_NONE);
    mesh_withdraw(mesh, 0, net->now);
    net_entry(&entry, MESH_NAME, "\xff", 1); /* a name nobody would take */
    assert_int_equal(mesh_publish(mesh, &entry, net->now), MESH_NONE);
    assert_int_equal(net_stats(net, 0).own, 69);
    net_destroy(net);
}

static void publish__without_memory(void **state)
{
    struct net *net = net_create(1, SEED);

    (void)state;
    net_start(net, 0);
    for (unsigned n = 0; n < 3; n++) { /* no mid, then no leaf, then no entry */
        net->nodes[0].allocations_left = n == 0 ? 1 : 2;
        assert_int_equal(publish(net, 0, MESH_NAME, "x", 0), MESH_NONE);
        assert_int_equal(net_stats(net, 0).own, 0);
    }
    net->nodes[0].allocations_left = 0;
    assert_int_equal(publish(net, 0, MESH_NAME, "x", 0), 0);
    net_destroy(net);
}

/* ---- Deltas ---- */

static struct mesh_event seen[64];
static uint32_t seen_slots[64];
static unsigned seen_count;

static void note(struct net *net, unsigned i, const struct mesh_event *event)
{
    (void)net;
    if (i != 1 || event->kind < MESH_ADDED || event->kind > MESH_REMOVED)
        return;
    assert_true(seen_count < 64);
    seen_slots[seen_count] = event->entry->slot;
    seen[seen_count++] = *event;
}

static void delta__first_at_once_others_together(void **state)
{
    struct net *net = pair(2);
    struct net_node *node = &net->nodes[0];

    (void)state;
    net_run(net, 10 * PROA_MS);
    uint64_t sent = node->sent;
    publish(net, 0, MESH_NAME, "a", 1);
    assert_int_equal(node->sent, sent + 1);
    for (uint32_t i = 0; i < 20; i++)
        publish(net, 0, MESH_NAME, "b", 2 + i);
    assert_int_equal(node->sent, sent + 1);
    assert_true(mesh_deadline(node->mesh) == net->now + MESH_BATCH);
    net_run(net, MESH_BATCH);
    assert_int_equal(node->sent, sent + 2);
    net_run(net, 2 * MESH_BATCH);
    publish(net, 0, MESH_NAME, "c", 99);
    assert_int_equal(node->sent, sent + 3);
    net_destroy(net);
}

static void delta__in_the_order_of_changes(void **state)
{
    struct net *net = pair(2);
    struct mesh_entry entries[3];

    (void)state;
    for (uint32_t i = 0; i < 3; i++) {
        net_entry(&entries[i], MESH_MEMBER, i == 0 ? "x" : i == 1 ? "y" : "z", i);
        assert_int_equal(net_publish(net, 0, &entries[i]), i);
        net_run(net, PROA_MS);
    }
    net_run(net, 10 * PROA_MS);
    net->told = note;
    seen_count = 0;
    publish(net, 0, MESH_MEMBER, "first", 100); /* opens a batch */
    net_republish(net, 0, 2, &entries[2], 7);
    net_withdraw(net, 0, 0, &entries[0]);
    net_republish(net, 0, 1, &entries[1], 8);
    net_republish(net, 0, 2, &entries[2], 9); /* its former change is void */
    /* The same again, in another place: the removal is seen. */
    assert_int_equal(net_publish(net, 0, &entries[0]), 4);
    net_run(net, 10 * PROA_MS);
    assert_int_equal(seen_count, 5);
    assert_int_equal(seen[0].kind, MESH_ADDED);
    assert_int_equal(seen[1].kind, MESH_REMOVED);
    assert_int_equal(seen_slots[1], 0);
    assert_int_equal(seen[2].kind, MESH_CHANGED);
    assert_int_equal(seen_slots[2], 1);
    assert_int_equal(seen[3].kind, MESH_CHANGED);
    assert_int_equal(seen_slots[3], 2);
    assert_int_equal(seen[4].kind, MESH_ADDED);
    assert_int_equal(seen_slots[4], 0);
    assert_int_equal(publish(net, 0, MESH_MEMBER, "next", 5), 0); /* it is free again */
    net_run(net, 10 * PROA_MS);
    assert_true(net_agrees(net));
    net_destroy(net);
}

/* All indices are in use, or were until just now. */
static void delta__place_of_a_removal_is_taken_when_there_is_no_other(void **state)
{
    struct net *net = net_create(2, SEED);
    struct mesh_entry entries[10];

    (void)state;
    net->published_max = 10;
    net_start(net, 0);
    net_start(net, 1);
    net_add(net, 1, 0);
    for (uint32_t i = 0; i < 10; i++) {
        net_entry(&entries[i], MESH_MEMBER, "group", i);
        assert_int_equal(net_publish(net, 0, &entries[i]), i);
    }
    assert_true(net_until(net, PROA_S) != PROA_NS_NEVER);
    net_withdraw(net, 0, 5, &entries[5]); /* sent at once */
    net_withdraw(net, 0, 7, &entries[7]);
    assert_int_equal(net_publish(net, 0, &entries[7]), 5);
    assert_int_equal(net_publish(net, 0, &entries[5]), 7);
    assert_int_equal(publish(net, 0, MESH_MEMBER, "group", 10), MESH_NONE);
    net_run(net, 10 * PROA_MS);
    assert_true(net_agrees(net));
    net_destroy(net);
}

static void delta__old_and_repeated_ones_change_nothing(void **state)
{
    struct net *net = pair(2);
    struct net_node *from = &net->nodes[0];
    struct mesh_entry entry;
    uint8_t add[MESH_MESSAGE_MAX], remove[MESH_MESSAGE_MAX];
    struct mesh_writer w, v;

    (void)state;
    net_entry(&entry, MESH_NAME, "neighbour", 1); /* its leaf remembers versions */
    entry.version = 1;
    entry.index = 501;
    mesh_begin(&w, add, MESH_M_DELTA);
    mesh_put_entry(&w, &entry);
    assert_true(net_inject(net, 1, from->node, add, w.len));
    assert_int_equal(net->nodes[1].counts.added, 1);
    net_entry(&entry, MESH_NAME, "late", 1);
    entry.version = 10;
    entry.index = 500;
    mesh_begin(&w, add, MESH_M_DELTA);
    mesh_put_entry(&w, &entry);
    struct mesh_entry removed = {.index = 500, .version = 11};
    mesh_begin(&v, remove, MESH_M_DELTA);
    mesh_put_entry(&v, &removed);
    assert_true(net_inject(net, 1, from->node, remove, v.len)); /* overtook the other */
    assert_true(net_inject(net, 1, from->node, add, w.len));
    assert_int_equal(net->nodes[1].counts.added, 1);
    entry.version = 12;
    mesh_begin(&w, add, MESH_M_DELTA);
    mesh_put_entry(&w, &entry);
    for (unsigned i = 0; i < 3; i++)
        assert_true(net_inject(net, 1, from->node, add, w.len));
    assert_int_equal(net->nodes[1].counts.added, 2);
    assert_true(net_inject(net, 1, from->node, remove, v.len));
    assert_int_equal(net->nodes[1].counts.removed, 0);
    assert_non_null(mesh_name(net->nodes[1].mesh, "late", 4));
    net_destroy(net);
}

static void delta__goes_while_the_snapshot_does(void **state)
{
    struct net *net = net_create(2, SEED);
    char name[16];

    (void)state;
    net_start(net, 0);
    net_start(net, 1);
    for (unsigned n = 0; n < 5000; n++) {
        snprintf(name, sizeof(name), "n%u", n);
        publish(net, 0, MESH_NAME, name, n);
    }
    net_add(net, 1, 0);
    while (net->nodes[1].counts.linked == 0 || net->nodes[1].counts.added < 500)
        net_run(net, PROA_MS);
    assert_int_equal(net->nodes[1].counts.synced, 0);
    publish(net, 0, MESH_NAME, "new", 1);
    mesh_withdraw(net->nodes[0].mesh, 5000, net->now);
    net_settle(net, 0);
    struct mesh_entry entry;
    net_entry(&entry, MESH_NAME, "newer", 1);
    publish(net, 0, MESH_NAME, "newer", 1);
    net_run(net, 4 * PROA_MS);
    assert_non_null(mesh_name(net->nodes[1].mesh, "newer", 5));
    assert_int_equal(net->nodes[1].counts.synced, 0);
    net_run(net, PROA_S);
    assert_int_equal(net->nodes[1].counts.synced, 1);
    assert_int_equal(net_stats(net, 1).entries, 5001);
    assert_int_equal(net_stats(net, 1).resyncs, 0);
    net_destroy(net);
}

/* ---- Snapshot and repair ---- */

static void snapshot__of_65536(void **state)
{
    struct net *net = net_create(2, SEED);
    char name[24];

    (void)state;
    net->faults.delay = 100 * PROA_US;
    net_start(net, 0);
    net_start(net, 1);
    for (unsigned n = 0; n < MESH_PUBLISHED_MAX; n++) {
        struct mesh_entry entry;

        snprintf(name, sizeof(name), "name %u", n);
        net_entry(&entry, n % 2 == 0 ? MESH_NAME : MESH_MEMBER, name, n);
        assert_int_equal(net_publish(net, 0, &entry), n);
    }
    assert_int_equal(publish(net, 0, MESH_NAME, "more", 1), MESH_NONE);
    net_add(net, 1, 0);
    proa_ns took = net_until(net, PROA_S);
    assert_true(took <= PROA_S);
    assert_int_equal(net_stats(net, 1).entries, MESH_PUBLISHED_MAX);
    for (unsigned n = 0; n < MESH_PUBLISHED_MAX; n += 2) {
        int len = snprintf(name, sizeof(name), "name %u", n);
        const struct mesh_entry *found = mesh_name(net->nodes[1].mesh, name, (size_t)len);

        assert_non_null(found);
        assert_int_equal(found->slot, n);
    }
    assert_null(mesh_name(net->nodes[1].mesh, "name 1", 6)); /* a group's name */
    const struct mesh_entry *at =
        mesh_entry_at(net->nodes[1].mesh, net->nodes[0].node, 65535);
    assert_int_equal(at->slot, 65535);
    assert_null(mesh_entry_at(net->nodes[1].mesh, net->nodes[0].node, 65536));
    assert_null(mesh_entry_at(net->nodes[1].mesh, 77, 0));
    net_kill(net, 0);
    net_run(net, 2 * PROA_S);
    assert_int_equal(net->nodes[1].counts.removed, MESH_PUBLISHED_MAX);
    assert_int_equal(net_stats(net, 1).entries, 0);
    assert_int_equal(net->nodes[1].mesh->leaves, 0);
    assert_null(mesh_name(net->nodes[1].mesh, "name 0", 6));
    net_destroy(net);
}

static void repair__pulls_only_what_differs(void **state)
{
    struct net *net = pair(2);
    struct mesh_entry entries[3000];
    char name[24];

    (void)state;
    for (unsigned n = 0; n < 3000; n++) {
        snprintf(name, sizeof(name), "name %u", n);
        net_entry(&entries[n], MESH_NAME, name, n);
        net_publish(net, 0, &entries[n]);
    }
    assert_true(net_until(net, PROA_S) != PROA_NS_NEVER);
    net->faults.loss = 1000;
    net_republish(net, 0, 2500, &entries[2500], 5);
    net_withdraw(net, 0, 10, &entries[10]);
    net_run(net, 5 * PROA_MS);
    net->faults.loss = 0;
    assert_false(net_agrees(net));
    uint64_t bytes = net->nodes[1].received_bytes;
    struct mesh_stats before = net_stats(net, 1);
    assert_true(net_until(net, 1100 * PROA_MS) != PROA_NS_NEVER);
    struct mesh_stats after = net_stats(net, 1);
    assert_int_equal(after.mismatches, before.mismatches + 1);
    assert_int_equal(after.resyncs, before.resyncs + 1);
    assert_in_range(net->nodes[1].received_bytes - bytes, 1000, 12000); /* of 160,000 */
    assert_int_equal(net->nodes[1].counts.changed, 1);
    assert_int_equal(net->nodes[1].counts.removed, 1);
    net_run(net, 10 * PROA_S);
    assert_int_equal(net_stats(net, 1).mismatches, after.mismatches);
    net_destroy(net);
}

static void repair__digest_ahead_of_its_changes_costs_little(void **state)
{
    struct net *net = pair(2);
    uint8_t buf[MESH_MESSAGE_MAX];
    struct mesh_digest digest = {.version = 0};
    struct mesh_writer w;

    (void)state;
    publish(net, 0, MESH_NAME, "a", 1);
    net_run(net, 5 * PROA_MS);
    mesh_own_digest(net->nodes[0].mesh, &digest);
    digest.version++;
    digest.root ^= 1;
    mesh_begin(&w, buf, MESH_M_DIGEST);
    mesh_put_digest(&w, &digest);
    uint64_t sent = net->nodes[0].sent + net->nodes[1].sent;
    for (unsigned i = 0; i < 100; i++)
        assert_true(net_inject(net, 1, net->nodes[0].node, buf, w.len));
    net_run(net, 100 * PROA_MS);
    assert_in_range(net->nodes[0].sent + net->nodes[1].sent - sent, 2, 6);
    digest.version -= 2; /* an old one */
    mesh_begin(&w, buf, MESH_M_DIGEST);
    mesh_put_digest(&w, &digest);
    struct mesh_stats before = net_stats(net, 1);
    assert_true(net_inject(net, 1, net->nodes[0].node, buf, w.len));
    assert_int_equal(net_stats(net, 1).mismatches, before.mismatches);
    net_destroy(net);
}

/* ---- The end of a set ---- */

/* Takes out all events, REMOVEDs of the node only; returns how many. */
static unsigned drain_removed(struct mesh *mesh, uint64_t node)
{
    struct mesh_event event;
    unsigned count = 0;

    for (; mesh_event(mesh, &event); count++) {
        assert_int_equal(event.kind, MESH_REMOVED);
        assert_true(event.node == node && event.entry->node == node);
    }
    return count;
}

static void removed__so_many_from_tick_to_tick(void **state)
{
    struct net *net = pair(3);
    struct mesh *mesh = net->nodes[1].mesh;
    uint64_t gone = net->nodes[0].node;
    struct mesh_event event;
    char name[24];

    (void)state;
    for (unsigned n = 0; n < 10000; n++) {
        snprintf(name, sizeof(name), "n%u", n);
        publish(net, 0, MESH_NAME, name, n);
    }
    publish(net, 2, MESH_NAME, "n9999", 77);
    assert_true(net_until(net, PROA_S) != PROA_NS_NEVER);
    mesh_tick(mesh, net->now);
    mesh_down(mesh, gone, false, net->now);
    assert_true(mesh_event(mesh, &event));
    assert_int_equal(event.kind, MESH_UNLINKED);
    assert_int_equal(drain_removed(mesh, gone), MESH_DROPS);
    assert_true(mesh_deadline(mesh) == net->now);
    for (unsigned n = 0; n < 9999; n++) { /* those not told yet are not found either */
        int len = snprintf(name, sizeof(name), "n%u", n);

        assert_null(mesh_name(mesh, name, (size_t)len));
        assert_null(mesh_entry_at(mesh, gone, n));
    }
    assert_int_equal(mesh_name(mesh, "n9999", 5)->slot, 77);
    assert_int_equal(drain_removed(mesh, gone), 0);
    mesh_tick(mesh, net->now);
    assert_int_equal(drain_removed(mesh, gone), MESH_DROPS);
    mesh_tick(mesh, net->now);
    assert_int_equal(drain_removed(mesh, gone), 10000 - 2 * MESH_DROPS);
    assert_true(mesh_deadline(mesh) > net->now);
    mesh_tick(mesh, net->now);
    assert_int_equal(drain_removed(mesh, gone), 0);
    assert_int_equal(net_stats(net, 1).entries, 1);
    net_destroy(net);
}

/* ---- Names ---- */

static void name__higher_term_smaller_claim_smaller_id(void **state)
{
    struct mesh_entry a = {.node = 5, .term = 2, .claim = 100}, b = a;

    (void)state;
    b.term = 1;
    b.claim = 1;
    b.node = 1;
    assert_true(mesh_beats(&a, &b) && !mesh_beats(&b, &a));
    b.term = 2;
    assert_true(mesh_beats(&b, &a) && !mesh_beats(&a, &b));
    b.claim = 100;
    assert_true(mesh_beats(&b, &a) && !mesh_beats(&a, &b));
    b.node = 6;
    assert_true(mesh_beats(&a, &b) && !mesh_beats(&b, &a));
}

static void name__best_of_all_nodes(void **state)
{
    struct net *net = pair(4);
    struct mesh_entry entry;

    (void)state;
    for (unsigned i = 0; i < 4; i++) {
        net_entry(&entry, MESH_NAME, "one", 10 + i);
        entry.term = i == 2 ? 7 : i;
        net_publish(net, i, &entry);
    }
    net_run(net, 10 * PROA_MS);
    assert_int_equal(mesh_name(net->nodes[0].mesh, "one", 3)->slot, 12);
    assert_int_equal(mesh_name(net->nodes[2].mesh, "one", 3)->slot,
                     13); /* of the others */
    net_kill(net, 2);
    net_run(net, 2 * PROA_S);
    assert_int_equal(mesh_name(net->nodes[0].mesh, "one", 3)->slot, 13);
    assert_null(mesh_name(net->nodes[0].mesh, "two", 3));
    assert_null(mesh_name(net->nodes[0].mesh, "on", 2));
    net_destroy(net);
}

static void name__one_node_with_the_same_name_often(void **state)
{
    struct net *net = pair(2);

    (void)state;
    for (unsigned n = 0; n < 1000; n++)
        publish(net, 0, MESH_NAME, "same", n);
    net_run(net, 100 * PROA_MS);
    assert_int_equal(net_stats(net, 1).entries, MESH_NAMES_SAME);
    assert_int_equal(net_stats(net, 1).refused, 1000 - MESH_NAMES_SAME);
    assert_int_equal(net->nodes[1].seen[0].count, MESH_NAMES_SAME);
    assert_false(mesh_complete(net->nodes[1].mesh));
    net_destroy(net);
}

/* The table of names under random additions and removals, against a plain array. */
static void names__random_against_an_array(void **state)
{
    struct net *net = pair(2);
    bool there[5000] = {false};
    uint32_t index[5000];
    char name[24];

    (void)state;
    for (unsigned k = 0; k < 40000; k++) {
        unsigned n = (unsigned)(net_random(net) % 5000);

        snprintf(name, sizeof(name), "n%u", n);
        if (there[n])
            mesh_withdraw(net->nodes[0].mesh, index[n], net->now);
        else
            index[n] = publish(net, 0, MESH_NAME, name, n);
        there[n] = !there[n];
        if (k % 1000 != 999)
            continue;
        net_run(net, 20 * PROA_MS);
        for (n = 0; n < 5000; n++) {
            int len = snprintf(name, sizeof(name), "n%u", n);
            const struct mesh_entry *found =
                mesh_name(net->nodes[1].mesh, name, (size_t)len);

            assert_int_equal(found != NULL, there[n]);
            assert_true(found == NULL || found->slot == n);
        }
    }
    net_destroy(net);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(publish__lowest_free_index_until_there_is_none),
        cmocka_unit_test(publish__without_memory),
        cmocka_unit_test(delta__first_at_once_others_together),
        cmocka_unit_test(delta__in_the_order_of_changes),
        cmocka_unit_test(delta__place_of_a_removal_is_taken_when_there_is_no_other),
        cmocka_unit_test(delta__old_and_repeated_ones_change_nothing),
        cmocka_unit_test(delta__goes_while_the_snapshot_does),
        cmocka_unit_test(snapshot__of_65536),
        cmocka_unit_test(repair__pulls_only_what_differs),
        cmocka_unit_test(repair__digest_ahead_of_its_changes_costs_little),
        cmocka_unit_test(removed__so_many_from_tick_to_tick),
        cmocka_unit_test(name__higher_term_smaller_claim_smaller_id),
        cmocka_unit_test(name__best_of_all_nodes),
        cmocka_unit_test(name__one_node_with_the_same_name_often),
        cmocka_unit_test(names__random_against_an_array),
    };

    printf("seed %d\n", SEED);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
