/* SPDX-License-Identifier: Apache-2.0 */
/* Who is linked with whom: neighbours, states, limits. */
#include "mesh_net.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#define SEED 99

/* ---- mesh_add ---- */

static void add__refusals(void **state)
{
    struct net *net = net_create(40, SEED);

    (void)state;
    net_start(net, 0);
    struct mesh *mesh = net->nodes[0].mesh;
    struct proa_addr none = {.family = 4, .port = 0};
    assert_int_equal(mesh_add(mesh, &none, net->now), MESH_E_UNKNOWN);
    assert_int_equal(net_add(net, 0, 0), MESH_E_OWN);
    for (unsigned i = 1; i <= 16; i++)
        assert_int_equal(net_add(net, 0, i), MESH_OK);
    assert_int_equal(net_add(net, 0, 1), MESH_E_KNOWN);
    assert_int_equal(net_add(net, 0, 17), MESH_E_FULL);
    assert_int_equal(mesh_forget(mesh, &net->nodes[3].addr), MESH_OK);
    assert_int_equal(mesh_forget(mesh, &net->nodes[3].addr), MESH_E_UNKNOWN);
    assert_int_equal(net_add(net, 0, 17), MESH_OK);
    net_start(net, 5);
    net_run(net, 3 * PROA_S);
    assert_int_equal(net_state(net, 0, 5), MESH_LINKED_UP);
    assert_int_equal(net_add(net, 0, 5), MESH_E_KNOWN);
    assert_int_equal(net_add(net, 0, 18),
                     MESH_OK); /* in the place of one that was found */
    assert_int_equal(net_add(net, 0, 5), MESH_E_KNOWN);
    net_destroy(net);
}

static void add__late_neighbour_is_found(void **state)
{
    struct net *net = net_create(2, SEED);

    (void)state;
    net_start(net, 0);
    net_add(net, 0, 1);
    assert_false(mesh_complete(net->nodes[0].mesh));
    net_run(net, 9900 * PROA_MS);
    assert_int_equal(net->nodes[0].counts.unreachable, 0);
    assert_false(mesh_complete(net->nodes[0].mesh));
    net_run(net, 90 * PROA_S);
    assert_int_equal(net->nodes[0].counts.unreachable, 2); /* after 10 s and 70 s */
    assert_memory_equal(&net->nodes[0].last.addr, &net->nodes[1].addr,
                        sizeof(struct proa_addr));
    assert_int_equal(net->nodes[0].last.node, 0);
    assert_in_range(net->nodes[0].counts.resolved, 95, 105);
    assert_true(mesh_complete(net->nodes[0].mesh));
    net_start(net, 1);
    net_run(net, 1100 * PROA_MS);
    assert_int_equal(net_state(net, 0, 1), MESH_LINKED_UP);
    assert_int_equal(net_state(net, 1, 0), MESH_LINKED_UP);
    unsigned resolved = net->nodes[0].counts.resolved;
    net_run(net, 100 * PROA_S);
    assert_int_equal(net->nodes[0].counts.resolved, resolved);
    assert_int_equal(net->nodes[0].counts.unreachable, 2);
    net_destroy(net);
}

/* The neighbour's address is one of this node's own, under another name. */
static void add__itself_is_found_out(void **state)
{
    struct net *net = net_create(2, SEED);
    struct net_node *node = &net->nodes[0];

    (void)state;
    net_start(net, 0);
    net_add(net, 0, 1);
    mesh_met(node->mesh, &node->id, &net->nodes[1].addr, net->now);
    net_settle(net, 0);
    assert_int_equal(node->counts.refused, 1);
    assert_int_equal(node->last.node, node->node);
    unsigned resolved = node->counts.resolved;
    net_run(net, 30 * PROA_S);
    assert_int_equal(node->counts.resolved, resolved);
    assert_int_equal(node->counts.unreachable, 0);
    assert_true(mesh_complete(node->mesh));
    net_destroy(net);
}

static void add__restarted_neighbour_is_found_again(void **state)
{
    struct net *net = net_cluster(SEED, 2);

    (void)state;
    mesh_leave(net->nodes[0].mesh, net->now); /* in good order: it is forgotten */
    net_settle(net, 0);
    net_run(net, 10 * PROA_MS);
    assert_int_equal(net_stats(net, 1).linked, 0);
    net_kill(net, 0);
    net_start(net, 0); /* knows nobody itself */
    net_run(net, 2 * PROA_S);
    assert_int_equal(net_state(net, 1, 0), MESH_LINKED_UP);
    assert_int_equal(net_state(net, 0, 1), MESH_LINKED_UP);
    net_destroy(net);
}

/* ---- mesh_remove ---- */

static void remove__until_it_is_added_again(void **state)
{
    struct net *net = net_cluster(SEED, 3);

    (void)state;
    assert_int_equal(mesh_remove(net->nodes[2].mesh, 12345, net->now), MESH_E_UNKNOWN);
    assert_int_equal(mesh_remove(net->nodes[2].mesh, net->nodes[1].node, net->now),
                     MESH_OK);
    net_settle(net, 2);
    assert_int_equal(net->nodes[2].counts.removed, 1);
    net_run(net, 10 * PROA_MS);
    assert_int_equal(net_state(net, 2, 1), MESH_CUT);
    assert_int_equal(net_state(net, 1, 2), MESH_CUT);
    assert_int_equal(net->nodes[1].counts.removed, 1);
    uint64_t sent = net->nodes[1].sent + net->nodes[2].sent;
    net_run(net, 100 * PROA_S); /* node 0 tells both of the other */
    assert_in_range(net->nodes[1].sent + net->nodes[2].sent - sent, 200, 310);
    assert_int_equal(net_state(net, 2, 1), MESH_CUT);
    mesh_met(net->nodes[2].mesh, &net->nodes[1].id, &net->nodes[1].addr, net->now);
    net_settle(net, 2);
    assert_int_equal(net_state(net, 2, 1), MESH_CUT);

    assert_int_equal(net_add(net, 1, 2), MESH_OK); /* the other side may ask for it */
    net_run(net, 3 * PROA_S);
    assert_int_equal(net_state(net, 2, 1), MESH_CUT);
    assert_int_equal(net_state(net, 1, 2), MESH_CUT);
    assert_int_equal(net->nodes[1].counts.unreachable, 0);
    assert_int_equal(net_add(net, 2, 1), MESH_OK); /* who cut takes it back */
    assert_true(net_until(net, PROA_S) != PROA_NS_NEVER);
    assert_int_equal(net_state(net, 2, 1), MESH_LINKED_UP);
    assert_int_equal(net_state(net, 1, 2), MESH_LINKED_UP);
    net_destroy(net);
}

static void remove__lost_goodbye_is_said_again(void **state)
{
    struct net *net = net_cluster(SEED, 2);

    (void)state;
    net->faults.loss = 1000;
    mesh_remove(net->nodes[0].mesh, net->nodes[1].node, net->now);
    net_settle(net, 0);
    net->faults.loss = 0;
    assert_int_equal(net_state(net, 1, 0), MESH_LINKED_UP);
    net_run(net, 2 * PROA_S); /* its digest is answered so */
    assert_int_equal(net_state(net, 1, 0), MESH_CUT);
    net_destroy(net);
}

/* ---- mesh_down ---- */

static void down__tried_again_ever_more_seldom(void **state)
{
    struct net *net = net_cluster(SEED, 2);

    (void)state;
    net_kill(net, 1);
    net_run(net, 2 * PROA_S);
    assert_int_equal(net_state(net, 0, 1), MESH_LOST);
    assert_true(mesh_complete(net->nodes[0].mesh));
    unsigned before = net->nodes[0].counts.resolved;
    net_run(net, 28 * PROA_S);
    assert_in_range(net->nodes[0].counts.resolved - before, 24, 35);
    before = net->nodes[0].counts.resolved;
    net_run(net, 100 * PROA_S);
    assert_in_range(net->nodes[0].counts.resolved - before, 40, 65);
    net_run(net, 3600 * PROA_S);
    before = net->nodes[0].counts.resolved;
    net_run(net, 3000 * PROA_S);
    assert_in_range(net->nodes[0].counts.resolved - before, 80, 130);
    net_run(net, 24 * 3600 * PROA_S);
    assert_int_equal(net_state(net, 0, 1), -1);
    before = net->nodes[0].counts.resolved;
    net_run(net, 3600 * PROA_S);
    assert_int_equal(net->nodes[0].counts.resolved, before);
    net_destroy(net);
}

/* Somebody is there, but does not answer a HELLO; then nobody is. */
static void down__one_that_never_linked(void **state)
{
    struct net *net = net_create(2, SEED);
    const struct kad_id id = {{1, 2, 3}};
    struct mesh_node_info info;

    (void)state;
    net_start(net, 0);
    struct mesh *mesh = net->nodes[0].mesh;
    mesh_met(mesh, &id, &net->nodes[1].addr, net->now);
    net_settle(net, 0);
    for (unsigned s = 0; s < 40; s++) {
        net_run(net, PROA_S);
        mesh_met(mesh, &id, &net->nodes[1].addr, net->now);
        net_settle(net, 0);
    }
    assert_int_equal(mesh_nodes(mesh, &info, 1), 1);
    assert_int_equal(info.state, MESH_CALLING);
    assert_false(mesh_complete(mesh));
    assert_in_range(net->nodes[0].sent, 39, 60); /* a HELLO a second */
    assert_int_equal(net->nodes[0].counts.resolved, 0);
    net_run(net, 35 * PROA_S);
    assert_int_equal(mesh_nodes(mesh, &info, 1), 1);
    assert_int_equal(info.state, MESH_LOST);
    assert_true(mesh_complete(mesh));
    assert_in_range(net->nodes[0].counts.resolved, 2, 8);
    net_destroy(net);
}

static void down__one_side_only(void **state)
{
    struct net *net = net_cluster(SEED, 2);

    (void)state;
    mesh_down(net->nodes[0].mesh, net->nodes[1].node, false, net->now);
    net_settle(net, 0);
    assert_int_equal(net->nodes[0].counts.removed, 1);
    assert_true(net_until(net, 3 * PROA_S) != PROA_NS_NEVER);
    assert_int_equal(net->nodes[0].counts.added, 2);
    assert_int_equal(net->nodes[1].counts.added, 1); /* it noticed nothing */
    assert_int_equal(net->nodes[1].counts.unlinked, 0);
    net_destroy(net);
}

static void down__gone_is_not_taken_back_for_a_while(void **state)
{
    struct net *net = net_cluster(SEED, 3);

    (void)state;
    mesh_down(net->nodes[0].mesh, net->nodes[1].node, true, net->now);
    net_settle(net, 0);
    net_run(net, 40 * PROA_S); /* node 2 speaks of it, and it speaks itself */
    assert_int_equal(net_state(net, 0, 1), -1);
    net_run(net, 40 * PROA_S);
    assert_int_equal(net_state(net, 0, 1), MESH_LINKED_UP);
    net_destroy(net);
}

/* ---- Limits ---- */

static void limit__nodes_max(void **state)
{
    struct net *net = net_create(6, SEED);
    unsigned refused = 0;

    (void)state;
    net->nodes_max = 4;
    for (unsigned i = 0; i < 6; i++) {
        net_start(net, i);
        if (i > 0)
            net_add(net, i, i - 1);
    }
    net_run(net, 60 * PROA_S);
    uint64_t sent = 0;
    for (unsigned i = 0; i < 6; i++) {
        assert_in_range(net_stats(net, i).linked, 1, 3);
        assert_false(mesh_complete(net->nodes[i].mesh));
        refused += net->nodes[i].counts.refused;
        sent += net->nodes[i].sent;
    }
    assert_in_range(refused, 1, 60);
    net_run(net, 60 * PROA_S);
    for (unsigned i = 0; i < 6; i++)
        sent -= net->nodes[i].sent;
    assert_in_range(-sent, 60, 6 * 3 * 60 * 2); /* digests, and little more */
    net_destroy(net);
}

static void limit__place_of_the_dead_is_taken(void **state)
{
    struct net *net = net_create(3, SEED);

    (void)state;
    net->nodes_max = 2;
    for (unsigned i = 0; i < 3; i++)
        net_start(net, i);
    net_add(net, 1, 0);
    net_run(net, PROA_S);
    assert_int_equal(net_add(net, 2, 0), MESH_OK);
    net_run(net, PROA_S);
    assert_int_equal(net_state(net, 0, 1), MESH_LINKED_UP);
    assert_int_equal(net_state(net, 2, 0), MESH_TOO_MANY);
    assert_int_equal(net->nodes[2].counts.refused, 1);
    assert_int_equal(net_add(net, 0, 2), MESH_E_FULL);
    net_kill(net, 1);
    net_run(net, 40 * PROA_S);
    assert_int_equal(net_state(net, 0, 2), MESH_LINKED_UP);
    assert_int_equal(net_state(net, 2, 0), MESH_LINKED_UP);
    assert_int_equal(net->nodes[2].counts.refused, 1);
    net_destroy(net);
}

static void limit__alone(void **state)
{
    struct net *net = net_create(2, SEED);

    (void)state;
    net->nodes_max = 1;
    net_start(net, 0);
    net->nodes_max = 0;
    net_start(net, 1);
    assert_int_equal(net_add(net, 0, 1), MESH_E_FULL);
    net_add(net, 1, 0);
    net_run(net, 20 * PROA_S);
    assert_int_equal(net_state(net, 1, 0), MESH_TOO_MANY);
    assert_int_equal(net_stats(net, 0).linked, 0);
    net_destroy(net);
}

/* More nodes are met than are kept in mind: those that are worth least go. */
static void limit__table_of_nodes(void **state)
{
    struct net *net = net_create(3, SEED);
    struct mesh_node_info info[100];

    (void)state;
    net->nodes_max = 3;
    for (unsigned i = 0; i < 3; i++)
        net_start(net, i);
    net_add(net, 0, 1);
    net_run(net, 100 * PROA_MS);
    net_add(net, 0, 2);
    net_run(net, 100 * PROA_MS);
    struct mesh *mesh = net->nodes[0].mesh;
    assert_int_equal(mesh_remove(mesh, net->nodes[2].node, net->now), MESH_OK);
    net_settle(net, 0);
    for (unsigned k = 0; k < 500; k++) {
        struct proa_addr addr = net->nodes[1].addr;
        struct kad_id id;

        for (unsigned b = 0; b < sizeof(id.b); b++)
            id.b[b] = (uint8_t)net_random(net);
        addr.port = (uint16_t)(10000 + k);
        mesh_met(mesh, &id, &addr, net->now);
        if (k % 3 == 0)
            mesh_down(mesh, kad_id_node64(&id), k % 2 == 0, net->now);
        net_run(net, 10 * PROA_MS);
    }
    unsigned count = mesh_nodes(mesh, info, 100);
    assert_in_range(count, 30, 70); /* 2 * 3 + 64 */
    assert_in_range(net_stats(net, 0).nodes, 60, 70);
    assert_int_equal(net_state(net, 0, 1), MESH_LINKED_UP);
    assert_int_equal(net_state(net, 0, 2), MESH_CUT);
    net_destroy(net);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(add__refusals),
        cmocka_unit_test(add__late_neighbour_is_found),
        cmocka_unit_test(add__itself_is_found_out),
        cmocka_unit_test(add__restarted_neighbour_is_found_again),
        cmocka_unit_test(remove__until_it_is_added_again),
        cmocka_unit_test(remove__lost_goodbye_is_said_again),
        cmocka_unit_test(down__tried_again_ever_more_seldom),
        cmocka_unit_test(down__one_that_never_linked),
        cmocka_unit_test(down__one_side_only),
        cmocka_unit_test(down__gone_is_not_taken_back_for_a_while),
        cmocka_unit_test(limit__nodes_max),
        cmocka_unit_test(limit__place_of_the_dead_is_taken),
        cmocka_unit_test(limit__alone),
        cmocka_unit_test(limit__table_of_nodes),
    };

    printf("seed %d\n", SEED);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
