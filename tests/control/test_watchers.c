/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <proa/group.h>
#include <string.h>

#include "core_internal.h"
#include "core_net.h"
#include "directory_group.h"
#include "registrar_internal.h"

#define SLOT(lane, index) ((uint32_t)(lane) << 24 | (index))
#define GENERATION 7 /* of the actors of core_net.c */

static struct net *net;

static void cluster(unsigned count, uint64_t seed)
{
    net = net_create(2, seed);
    net->mesh = true;
    for (unsigned i = 0; i < count; i++) {
        net_add(net, i == 0 ? -1 : 0);
        net_run(net, 500 * PROA_MS);
    }
    net_run(net, 2 * PROA_S);
}

static int finish(void **state)
{
    (void)state;
    net_destroy(net);
    return 0;
}

static struct proa_ref ref(unsigned node, uint32_t slot)
{
    return (struct proa_ref){net_id(net, node), slot, GENERATION};
}

/* A watch of node 0, lane 1; its index is its serial. */
static void watch(enum proa_watch_what what, const char *name, uint32_t serial, bool on)
{
    struct punt_watch head = {.slot = SLOT(1, 1),
                              .generation = GENERATION,
                              .index = serial,
                              .serial = serial,
                              .on = on,
                              .what = (uint8_t)what,
                              .len = (uint8_t)strlen(name)};

    net_push(net, 0, 1, PUNT_WATCH, &head, sizeof(head), name, strlen(name));
    net_run(net, PROA_MS);
}

static void call(unsigned node, enum punt_name_op op, const char *name, uint32_t slot)
{
    net_name(net, node, op, name, slot, 0, 0, PROA_S);
    net_run(net, 100 * PROA_MS);
}

static unsigned told(uint32_t serial)
{
    return net_said_count(net, 0, PUNT_CHANGED, serial);
}

static const struct punt_changed *last(uint32_t serial)
{
    const struct net_record *r = net_said(net, 0, PUNT_CHANGED, serial);

    assert_non_null(r);
    assert_int_equal(r->lane, 1);
    assert_int_equal(r->changed.slot, SLOT(1, 1));
    assert_int_equal(r->changed.generation, GENERATION);
    assert_int_equal(r->changed.index, serial % 10);
    return &r->changed;
}

/* ---- Groups ---- */

static void group__set_then_each_change(void **state)
{
    uint64_t version;

    (void)state;
    cluster(2, 1);
    call(0, PUNT_JOIN, "g", SLOT(0, 1));
    watch(PROA_WATCH_GROUP, "g", 5, true);
    assert_int_equal(told(5), 1);
    assert_int_equal(last(5)->kind, PROA_CHANGE_SET);
    assert_true(last(5)->is_group);
    version = last(5)->version;
    assert_true(version > 0);
    call(1, PUNT_JOIN, "g", SLOT(0, 2));
    assert_int_equal(told(5), 2);
    assert_int_equal(last(5)->kind, PROA_CHANGE_JOINED);
    assert_true(proa_ref_equal(last(5)->ref, ref(1, SLOT(0, 2))));
    assert_true(last(5)->version > version);
    version = last(5)->version;
    call(0, PUNT_LEAVE, "g", SLOT(0, 1));
    assert_int_equal(told(5), 3);
    assert_int_equal(last(5)->kind, PROA_CHANGE_LEFT);
    assert_true(proa_ref_equal(last(5)->ref, ref(0, SLOT(0, 1))));
    assert_true(last(5)->version > version);
    call(0, PUNT_JOIN, "other", SLOT(0, 1));
    assert_int_equal(told(5), 3);
}

static void group__node_that_dies_leaves(void **state)
{
    (void)state;
    cluster(3, 2);
    call(2, PUNT_JOIN, "g", SLOT(0, 1));
    watch(PROA_WATCH_GROUP, "g", 5, true);
    net_stop(net, 2);
    net_run(net, 90 * PROA_S); /* there is no link that would tell sooner */
    assert_int_equal(told(5), 2);
    assert_int_equal(last(5)->kind, PROA_CHANGE_LEFT);
}

static void group__unwatched_is_told_nothing(void **state)
{
    (void)state;
    cluster(1, 3);
    watch(PROA_WATCH_GROUP, "g", 5, true);
    watch(PROA_WATCH_GROUP, "g", 6, true);
    watch(PROA_WATCH_GROUP, "g", 5, false);
    call(0, PUNT_JOIN, "g", SLOT(0, 1));
    assert_int_equal(told(5), 1);
    assert_int_equal(told(6), 2);
    watch(PROA_WATCH_GROUP, "g", 6, false);
    watch(PROA_WATCH_GROUP, "g", 6, false); /* none any more */
    call(0, PUNT_LEAVE, "g", SLOT(0, 1));
    assert_int_equal(told(6), 2);
}

static void group__lane_that_does_not_read_gets_one_set(void **state)
{
    struct net_node *node;
    uint64_t version;

    (void)state;
    cluster(1, 4);
    node = &net->nodes[0];
    watch(PROA_WATCH_GROUP, "g", 5, true);
    version = last(5)->version;
    node->frozen = true;
    for (uint32_t i = 0; i < 20000; i++) {
        net_name(net, 0, i % 2 == 0 ? PUNT_JOIN : PUNT_LEAVE, "g", SLOT(0, 1), 0, 0,
                 PROA_S);
        net_run(net, 10 * PROA_US);
    }
    net_name(net, 0, PUNT_JOIN, "g", SLOT(0, 2), 0, 0, PROA_S);
    net_run(net, PROA_MS);
    assert_true(net_stats(net, 0).changes_merged > 0);
    /* It reads what fits its ring, in order and without a gap, and then the SET. */
    enum proa_change_kind next = PROA_CHANGE_JOINED;
    for (const struct byte_record *record;
         (record = byte_ring_peek(node->config.down[1])) != NULL;
         byte_ring_pop(node->config.down[1])) {
        struct punt_changed changed;

        if (record->kind != PUNT_CHANGED)
            continue;
        memcpy(&changed, record->body, sizeof(changed));
        assert_int_equal(changed.kind, next);
        assert_true(changed.version > version);
        version = changed.version;
        next = next == PROA_CHANGE_JOINED ? PROA_CHANGE_LEFT : PROA_CHANGE_JOINED;
    }
    node->frozen = false;
    net_run(net, 10 * PROA_MS);
    assert_int_equal(last(5)->kind, PROA_CHANGE_SET);
    assert_true(last(5)->version > version);
    assert_int_equal(last(5)->version, directory_group_changed(node->directory, "g", 1));
}

/* While it waits for its SET a watch is in no chain: it ends, and begins again, all the same. */
static void group__unwatched_before_its_set(void **state)
{
    struct punt_watch head = {.slot = SLOT(1, 1),
                              .generation = GENERATION,
                              .index = 5,
                              .serial = 5,
                              .on = true,
                              .what = PROA_WATCH_GROUP,
                              .len = 1};

    (void)state;
    cluster(1, 10);
    watch(PROA_WATCH_GROUP, "g", 6, true);
    for (unsigned i = 0; i < 3; i++) { /* on, off, on: within a step */
        head.on = i != 1;
        head.serial = 5 + 10 * (i / 2);
        net_push(net, 0, 1, PUNT_WATCH, &head, sizeof(head), "g", 1);
    }
    call(0, PUNT_JOIN, "g", SLOT(0, 1));
    assert_int_equal(told(5), 0);
    assert_int_equal(told(15), 1); /* a SET that has the member */
    assert_true(last(15)->version > 0);
    assert_int_equal(told(6), 2);
    watch(PROA_WATCH_GROUP, "g", 6, false);
    call(0, PUNT_LEAVE, "g", SLOT(0, 1));
    assert_int_equal(told(15), 2);
    assert_int_equal(told(6), 2);
}

/* A node that is not linked, and forgotten to make room for another. */
static void group__node_that_is_forgotten_leaves(void **state)
{
    struct core *core;

    (void)state;
    net = net_create(2, 9);
    net->mesh = true;
    net->mesh_nodes_max = 1;
    for (unsigned i = 0; i < 3; i++) {
        net_add(net, i == 0 ? -1 : 0);
        net_run(net, 500 * PROA_MS);
    }
    call(2, PUNT_JOIN, "g", SLOT(0, 1));
    net_run(net, 2 * PROA_S);
    watch(PROA_WATCH_GROUP, "g", 5, true);
    net_run(net, 2 * PROA_S);
    assert_int_equal(told(5), 2);
    core = net->nodes[0].core;
    core->peers.evicted(core->peers.evicted_ctx,
                        peers_find(&core->peers, net_id(net, 2)));
    net_run(net, PROA_MS);
    assert_int_equal(told(5), 3);
    assert_int_equal(last(5)->kind, PROA_CHANGE_LEFT);
}

/* ---- Names ---- */

static void name__set_then_its_holders(void **state)
{
    uint64_t version;

    (void)state;
    cluster(2, 5);
    watch(PROA_WATCH_NAME, "n", 5, true);
    assert_int_equal(told(5), 1);
    assert_int_equal(last(5)->kind, PROA_CHANGE_SET);
    assert_false(last(5)->is_group);
    assert_true(proa_ref_is_none(last(5)->ref));
    version = last(5)->version;
    call(1, PUNT_REGISTER, "n", SLOT(0, 2));
    assert_int_equal(told(5), 2);
    assert_int_equal(last(5)->kind, PROA_CHANGE_JOINED);
    assert_true(proa_ref_equal(last(5)->ref, ref(1, SLOT(0, 2))));
    assert_true(last(5)->version > version);
    watch(PROA_WATCH_NAME, "n", 6, true);
    assert_true(proa_ref_equal(last(6)->ref, ref(1, SLOT(0, 2))));
    call(1, PUNT_UNREGISTER, "n", SLOT(0, 2));
    assert_int_equal(told(5), 3);
    assert_int_equal(last(5)->kind, PROA_CHANGE_LEFT);
    assert_true(proa_ref_equal(last(5)->ref, ref(1, SLOT(0, 2))));
    call(0, PUNT_REGISTER_LOCAL, "n", SLOT(0, 3));
    assert_int_equal(told(5), 4);
    assert_true(proa_ref_equal(last(6)->ref, ref(0, SLOT(0, 3))));
}

static void name__of_a_node_that_is_not_linked(void **state)
{
    (void)state;
    net = net_create(2, 7);
    net->mesh_nodes_max = 1;
    for (unsigned i = 0; i < 3; i++) {
        net_add(net, i == 0 ? -1 : 0);
        net_run(net, 500 * PROA_MS);
    }
    watch(PROA_WATCH_NAME, "n", 5, true);
    net_run(net, PROA_S);
    call(1, PUNT_REGISTER, "n", SLOT(0, 2));
    net_run(net, PROA_S);
    assert_int_equal(told(5), 2);
    assert_int_equal(last(5)->kind, PROA_CHANGE_JOINED);
    assert_true(proa_ref_equal(last(5)->ref, ref(1, SLOT(0, 2))));
    net_run(net, 120 * PROA_S); /* it is watched, so it does not linger away */
    assert_int_equal(told(5), 2);
    call(1, PUNT_UNREGISTER, "n", SLOT(0, 2));
    net_run(net, PROA_S);
    assert_int_equal(told(5), 3);
    assert_int_equal(last(5)->kind, PROA_CHANGE_LEFT);
    /* The holder's node dies, while the name stays known. */
    call(2, PUNT_REGISTER, "n", SLOT(0, 3));
    net_run(net, PROA_S);
    assert_int_equal(told(5), 4);
    net_stop(net, 2);
    net_run(net, 120 * PROA_S);
    assert_int_equal(told(5), 5);
    assert_int_equal(last(5)->kind, PROA_CHANGE_LEFT);
    assert_true(proa_ref_equal(
        last(5)->ref, (struct proa_ref){net_id(net, 2), SLOT(0, 3), GENERATION}));
}

/* Kademlia told of a holder long ago, whose node comes back; a linked one has a better claim. */
static void name__holder_of_old_is_not_told_when_it_comes_back(void **state)
{
    struct core *core;
    struct wanted *wanted;

    (void)state;
    cluster(2, 8);
    core = net->nodes[0].core;
    watch(PROA_WATCH_NAME, "n", 5, true);
    call(1, PUNT_REGISTER, "n", SLOT(0, 2));
    assert_int_equal(told(5), 2);
    wanted = (struct wanted *)(void *)name_table_find(&core->registrar->wanted, "n", 1);
    assert_non_null(wanted);
    wanted->found = wanted->watched = true;
    wanted->ref = (struct proa_ref){0x1234, SLOT(0, 7), 1};
    wanted->term = 0;
    registrar_node(core, 0x1234, true);
    registrar_node(core, 0x1234, false);
    net_run(net, PROA_MS);
    assert_int_equal(told(5), 2);
}

/* ---- All ---- */

static void all__hears_of_every_name_and_group(void **state)
{
    (void)state;
    cluster(2, 6);
    watch(PROA_WATCH_ALL, "", 5, true);
    assert_int_equal(told(5), 0);
    call(1, PUNT_REGISTER, "n", SLOT(0, 2));
    assert_int_equal(told(5), 1);
    assert_string_equal(net_said(net, 0, PUNT_CHANGED, 5)->name, "n");
    assert_false(last(5)->is_group);
    call(0, PUNT_JOIN, "g", SLOT(0, 2));
    assert_int_equal(told(5), 2);
    assert_string_equal(net_said(net, 0, PUNT_CHANGED, 5)->name, "g");
    assert_true(last(5)->is_group);
    net_stop(net, 1);
    net_run(net, 90 * PROA_S);
    assert_int_equal(told(5), 3);
    assert_int_equal(last(5)->kind, PROA_CHANGE_LEFT);
    watch(PROA_WATCH_ALL, "", 5, false);
    call(0, PUNT_JOIN, "h", SLOT(0, 2));
    assert_int_equal(told(5), 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(group__set_then_each_change, finish),
        cmocka_unit_test_teardown(group__node_that_dies_leaves, finish),
        cmocka_unit_test_teardown(group__unwatched_is_told_nothing, finish),
        cmocka_unit_test_teardown(group__lane_that_does_not_read_gets_one_set, finish),
        cmocka_unit_test_teardown(group__unwatched_before_its_set, finish),
        cmocka_unit_test_teardown(group__node_that_is_forgotten_leaves, finish),
        cmocka_unit_test_teardown(name__set_then_its_holders, finish),
        cmocka_unit_test_teardown(name__of_a_node_that_is_not_linked, finish),
        cmocka_unit_test_teardown(name__holder_of_old_is_not_told_when_it_comes_back,
                                  finish),
        cmocka_unit_test_teardown(all__hears_of_every_name_and_group, finish),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
