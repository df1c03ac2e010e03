/* SPDX-License-Identifier: Apache-2.0 */
/* What others claim and tell: HELLO, LINKS, loads, groups. */
#include "mesh_net.h"
#include "mesh_wire.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#define SEED 99

/* A HELLO as node n would send it, from address addr. */
static size_t hello(const struct net *net, unsigned n, const struct proa_addr *addr,
                    uint8_t flags, uint8_t *buf)
{
    const struct mesh_digest digest = {.version = 0};
    struct mesh_writer w;

    mesh_begin(&w, buf, MESH_M_HELLO);
    mesh_put_hello(&w, flags, &net->nodes[n].id, addr, &digest);
    return w.len;
}

/* ---- What others claim ---- */

static void hello__impostors_are_dropped(void **state)
{
    struct net *net = net_cluster(SEED, 3);
    struct net_node *node = &net->nodes[0];
    uint8_t buf[MESH_MESSAGE_MAX];
    size_t len;

    (void)state;
    net->count = 2; /* from here on, node 2 is what the test makes of it */
    struct proa_addr other = {.family = 4, .port = 9999};
    memcpy(other.ip, node->addr.ip, sizeof(other.ip));

    uint64_t conflicts = net_stats(net, 0).conflicts;
    len = hello(net, 0, &other, MESH_HELLO_WANT, buf); /* our own id */
    assert_false(net_inject(net, 0, node->node, buf, len));
    len = hello(net, 0, &other, MESH_HELLO_WANT, buf); /* an id that is not the link's */
    assert_false(net_inject(net, 0, 77, buf, len));
    len = hello(net, 2, &node->addr, MESH_HELLO_WANT, buf); /* our own address */
    assert_false(net_inject(net, 0, net->nodes[2].node, buf, len));
    len = hello(net, 2, &net->nodes[1].addr, MESH_HELLO_WANT, buf); /* another's */
    uint64_t sent = node->sent;
    for (unsigned i = 0; i < 100; i++)
        assert_false(net_inject(net, 0, net->nodes[2].node, buf, len));
    assert_int_equal(node->sent, sent); /* no answer, so no storm */
    assert_int_equal(net_stats(net, 0).conflicts, conflicts + 103);
    assert_int_equal(net_state(net, 0, 1), MESH_LINKED_UP);
    net->count = 3;
    net_destroy(net);
}

static void hello__new_life_waits_for_the_old_one_to_end(void **state)
{
    struct net *net = net_cluster(SEED, 2);
    uint8_t buf[MESH_MESSAGE_MAX];

    (void)state;
    struct kad_id old = net->nodes[1].id;
    uint64_t old_node = net->nodes[1].node;
    net_kill(net, 1);
    net_start(net, 1);
    size_t len = hello(net, 1, &net->nodes[1].addr, MESH_HELLO_WANT, buf);
    assert_false(net_inject(net, 0, net->nodes[1].node, buf, len));
    mesh_met(net->nodes[0].mesh, &net->nodes[1].id, &net->nodes[1].addr, net->now);
    assert_int_equal(net_state(net, 0, 1), -1);
    mesh_down(net->nodes[0].mesh, kad_id_node64(&old), true, net->now);
    net_settle(net, 0);
    mesh_met(net->nodes[0].mesh, &net->nodes[1].id, &net->nodes[1].addr, net->now);
    net_settle(net, 0);
    assert_true(net_until(net, PROA_S) != PROA_NS_NEVER);
    assert_true(net->nodes[1].node != old_node);
    net_destroy(net);
}

static void hello__of_one_that_is_cut_off(void **state)
{
    struct net *net = net_cluster(SEED, 2);
    uint8_t buf[MESH_MESSAGE_MAX];

    (void)state;
    mesh_remove(net->nodes[0].mesh, net->nodes[1].node, net->now);
    net_settle(net, 0);
    net_run(net, 2 * PROA_S);
    size_t len = hello(net, 1, &net->nodes[1].addr, MESH_HELLO_WANT, buf);
    uint64_t sent = net->nodes[0].sent;
    for (unsigned i = 0; i < 10; i++)
        assert_true(net_inject(net, 0, net->nodes[1].node, buf, len));
    assert_int_equal(net->nodes[0].sent, sent + 1); /* CUT, once a second */
    assert_int_equal(net_state(net, 0, 1), MESH_CUT);
    for (unsigned flags = 0; flags < 256; flags++) {
        len = hello(net, 1, &net->nodes[1].addr, (uint8_t)flags, buf);
        assert_true(net_inject(net, 0, net->nodes[1].node, buf, len));
        assert_int_equal(net_stats(net, 0).linked, 0);
    }
    assert_int_equal(net_add(net, 0, 1), MESH_OK);
    assert_true(net_until(net, PROA_S) != PROA_NS_NEVER);
    net_destroy(net);
}

static void hello__of_a_node_that_moved(void **state)
{
    struct net *net = net_cluster(SEED, 3);
    struct proa_addr there = net->nodes[1].addr;
    struct mesh_node_info info[4];
    uint8_t buf[MESH_MESSAGE_MAX];

    (void)state;
    there.port++;
    size_t len = hello(net, 1, &there, 0, buf);
    assert_true(net_inject(net, 0, net->nodes[1].node, buf, len));
    unsigned count = mesh_nodes(net->nodes[0].mesh, info, 4), found = 0;
    for (unsigned i = 0; i < count; i++)
        found += memcmp(&info[i].addr, &there, sizeof(there)) == 0 &&
                 info[i].node == net->nodes[1].node;
    assert_int_equal(found, 1);
    len = hello(net, 2, &there, 0, buf); /* it is taken now, the former one free */
    assert_false(net_inject(net, 0, net->nodes[2].node, buf, len));
    len = hello(net, 2, &net->nodes[1].addr, 0, buf);
    assert_true(net_inject(net, 0, net->nodes[2].node, buf, len));
    net_destroy(net);
}

static void links__mad_peer_is_bounded(void **state)
{
    struct net *net = net_create(3, SEED);
    uint8_t buf[MESH_MESSAGE_MAX];
    struct mesh_writer w;

    (void)state;
    net->nodes_max = 20;
    net_start(net, 0);
    net_start(net, 1);
    net_add(net, 0, 1);
    net_run(net, 50 * PROA_MS);
    for (unsigned k = 0; k < 1000; k++) {
        struct kad_id id;
        struct proa_addr addr = {.family = 4, .port = 1};

        mesh_begin(&w, buf, MESH_M_LINKS);
        do {
            for (unsigned b = 0; b < sizeof(id.b); b++)
                id.b[b] = (uint8_t)net_random(net);
            memcpy(addr.ip, net->nodes[0].addr.ip, 12);
            memcpy(addr.ip + 12, id.b, 4);
        } while (mesh_put_link(&w, &id, &addr));
        assert_true(net_inject(net, 0, net->nodes[1].node, buf, w.len));
    }
    assert_in_range(net_stats(net, 0).nodes, 1, 21);
    unsigned before = net->nodes[0].counts.resolved;
    net_run(net, 70 * PROA_S);
    assert_in_range(net->nodes[0].counts.resolved - before, 20, 20 * 40);
    before = net->nodes[0].counts.resolved;
    net_run(net, 70 * PROA_S); /* all have been given up */
    assert_int_equal(net->nodes[0].counts.resolved, before);
    assert_true(mesh_complete(net->nodes[0].mesh));
    net_start(net, 2);
    net_add(net, 2, 0);
    assert_true(net_until(net, PROA_S) != PROA_NS_NEVER);
    net_destroy(net);
}

static void links__lost_ones_are_asked_for(void **state)
{
    struct net *net = net_create(4, SEED);

    (void)state;
    for (unsigned i = 0; i < 4; i++)
        net_start(net, i);
    net_add(net, 1, 0);
    net_add(net, 3, 2);
    net_run(net, PROA_S);
    net_add(net, 2, 1);
    net_run(net, 5 * PROA_MS); /* HELLO went; what follows is lost */
    net->faults.loss = 1000;
    net_run(net, 100 * PROA_MS);
    net->faults.loss = 0;
    net_run(net, 20 * PROA_S);
    for (unsigned i = 0; i < 4; i++)
        assert_int_equal(net_stats(net, i).linked, 3);
    net_destroy(net);
}

/* ---- Loads and groups ---- */

static void loads__asked_for_and_reported(void **state)
{
    struct net *net = net_cluster(SEED, 3);
    const struct mesh_load loads[2] = {{.index = 0, .load = 7},
                                       {.index = 9, .load = 65535}};

    (void)state;
    mesh_want_loads(net->nodes[0].mesh, "workers", 7, net->now);
    net_settle(net, 0);
    net_run(net, 5 * PROA_MS);
    for (unsigned i = 1; i < 3; i++) {
        assert_int_equal(net->nodes[i].last.kind, MESH_LOADS_WANTED);
        assert_string_equal(net->nodes[i].group_name, "workers");
        assert_true(net->nodes[i].last.node == net->nodes[0].node);
    }
    uint64_t to[2] = {net->nodes[0].node, 4711}; /* one that is not linked is left out */
    mesh_loads(net->nodes[2].mesh, to, 2, loads, 2, net->now);
    net_settle(net, 2);
    net_run(net, 5 * PROA_MS);
    assert_int_equal(net->nodes[0].last.kind, MESH_LOADS);
    assert_true(net->nodes[0].last.node == net->nodes[2].node);
    assert_int_equal(net->nodes[0].last.count, 2);
    assert_int_equal(net->nodes[0].loads[1].index, 9);
    assert_int_equal(net->nodes[0].loads[1].load, 65535);
    net_destroy(net);
}

static void groups__asked_of_one_that_is_not_linked(void **state)
{
    struct net *net = net_create(2, SEED);
    struct mesh_ref refs[MESH_REFS_MAX] = {{.slot = 0}};

    (void)state;
    net_start(net, 0);
    net_start(net, 1);
    mesh_ask(net->nodes[0].mesh, net->nodes[1].node, 42, "workers", 7, net->now);
    net_settle(net, 0);
    net_run(net, 5 * PROA_MS);
    assert_int_equal(net->nodes[1].last.kind, MESH_ASKED);
    assert_int_equal(net->nodes[1].last.serial, 42);
    assert_string_equal(net->nodes[1].group_name, "workers");
    for (unsigned i = 0; i < MESH_REFS_MAX; i++)
        refs[i] = (struct mesh_ref){.slot = i, .generation = i + 1, .type = 5};
    mesh_answer(net->nodes[1].mesh, net->nodes[0].node, 42, refs, MESH_REFS_MAX, true,
                net->now);
    net_settle(net, 1);
    net_run(net, 5 * PROA_MS);
    assert_int_equal(net->nodes[0].last.kind, MESH_ANSWERED);
    assert_int_equal(net->nodes[0].last.serial, 42);
    assert_true(net->nodes[0].last.more);
    assert_int_equal(net->nodes[0].last.count, MESH_REFS_MAX);
    assert_int_equal(net->nodes[0].refs[63].generation, 64);
    mesh_answer(net->nodes[1].mesh, net->nodes[0].node, 42, NULL, 0, false, net->now);
    net_settle(net, 1);
    net_run(net, 5 * PROA_MS);
    assert_int_equal(net->nodes[0].last.count, 0);
    assert_false(net->nodes[0].last.more);
    assert_int_equal(net_stats(net, 0).linked, 0);
    net_destroy(net);
}

static void asks__nobody_takes_out(void **state)
{
    struct net *net = net_create(1, SEED);
    uint8_t buf[MESH_MESSAGE_MAX];
    uint64_t to[MESH_TO_MAX];
    unsigned count, taken = 0;

    (void)state;
    net_start(net, 0);
    struct mesh *mesh = net->nodes[0].mesh;
    for (uint32_t i = 0; i < 40; i++)
        mesh_ask(mesh, 4711, i, "g", 1, net->now);
    assert_int_equal(net_stats(net, 0).overflow, 8);
    while (mesh_output(mesh, buf, to, &count) > 0) {
        assert_int_equal(buf[2], taken); /* the first ones, in order */
        assert_true(count == 1 && to[0] == 4711);
        taken++;
    }
    assert_int_equal(taken, 32);
    net_destroy(net);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hello__impostors_are_dropped),
        cmocka_unit_test(hello__new_life_waits_for_the_old_one_to_end),
        cmocka_unit_test(links__mad_peer_is_bounded),
        cmocka_unit_test(links__lost_ones_are_asked_for),
        cmocka_unit_test(loads__asked_for_and_reported),
        cmocka_unit_test(groups__asked_of_one_that_is_not_linked),
        cmocka_unit_test(hello__of_one_that_is_cut_off),
        cmocka_unit_test(hello__of_a_node_that_moved),
        cmocka_unit_test(asks__nobody_takes_out),
    };

    printf("seed %d\n", SEED);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
