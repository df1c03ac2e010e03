/* SPDX-License-Identifier: Apache-2.0 */
/* Clusters of linked registries: joining, changes, loss, partitions, deaths. */
#include "mesh_churn.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SEED 4711
#define ENTRIES 1000

/* ---- Partition and death ---- */

static void cluster__partition_heals(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 5; seed++) {
        struct net *net = cluster(5, 5, 200, seed);

        net_group(net, 3, 1);
        net_group(net, 4, 1);
        churn_all(net, 8 * PROA_S, 10 * PROA_MS);
        proa_ns took = net_until(net, 5 * PROA_S); /* each side for itself */
        assert_true(took <= 5 * PROA_S);
        churn_all(net, PROA_S, 10 * PROA_MS);
        net_group(net, 3, 0);
        net_group(net, 4, 0);
        took = net_until(net, 5 * PROA_S);
        printf("seed %llu: healed after %.1f ms\n", (unsigned long long)seed,
               (double)took / 1e6);
        assert_true(took <= 5 * PROA_S);
        net_verify(net);
        net_destroy(net);
    }
}

static void cluster__death_removes_all(void **state)
{
    struct net *net = cluster(5, 5, ENTRIES, SEED);

    (void)state;
    net_kill(net, 2);
    proa_ns took = net_until(net, 2 * PROA_S);
    assert_in_range(took, NET_FAILURE - 2 * PROA_MS, NET_FAILURE + 2 * PROA_MS);
    for (unsigned i = 0; i < 5; i++) {
        if (i == 2)
            continue;
        assert_int_equal(net->nodes[i].counts.removed, ENTRIES);
        assert_int_equal(net->nodes[i].counts.unlinked, 1);
        assert_int_equal(net_stats(net, i).entries, 3 * ENTRIES);
    }
    /* Another life at the same address is found by those who look for the old one. */
    start(net, 2, ENTRIES);
    took = net_until(net, 5 * PROA_S);
    assert_true(took <= 5 * PROA_S);
    for (unsigned i = 0; i < 5; i++)
        assert_int_equal(net_stats(net, i).linked, 4);
    net_destroy(net);
}

static void cluster__leaving_is_seen_at_once(void **state)
{
    struct net *net = cluster(5, 5, 100, SEED);

    (void)state;
    mesh_leave(net->nodes[1].mesh, net->now);
    net_settle(net, 1);
    net_run(net, 4 * PROA_MS);
    for (unsigned i = 0; i < 5; i++) {
        if (i == 1)
            continue;
        assert_int_equal(net->nodes[i].counts.removed, 100);
        assert_int_equal(net_stats(net, i).linked, 3);
        assert_true(mesh_complete(net->nodes[i].mesh));
    }
    assert_int_equal(mesh_deadline(net->nodes[1].mesh), PROA_NS_NEVER);
    net_kill(net, 1);
    net_run(net, 30 * PROA_S); /* nobody calls it again */
    for (unsigned i = 0; i < 5; i++)
        if (i != 1)
            assert_true(mesh_complete(net->nodes[i].mesh));
    net_destroy(net);
}

/* More nodes than one message of mesh_output goes to, and than one LINKS tells of. */
static void cluster__70_nodes(void **state)
{
    struct net *net = cluster(70, 70, 3, SEED);

    (void)state;
    publish(net, 69);
    net_run(net, 4 * PROA_MS);
    assert_true(net_agrees(net));
    net_destroy(net);
}

/* Of six nodes that are learnt from, five die at the beginning: they do not keep the sixth waiting. */
static void cluster__silent_nodes_keep_nobody_waiting(void **state)
{
    struct net *net = net_create(7, SEED);

    (void)state;
    for (unsigned i = 0; i < 6; i++) {
        start(net, i, 1900);
        if (i > 0)
            net_add(net, i, 0);
    }
    assert_true(net_until(net, 10 * PROA_S) != PROA_NS_NEVER);
    start(net, 6, 0);
    net_add(net, 6, 5);
    while (net_stats(net, 6).linked < 6 || net_stats(net, 6).ranges < 10)
        net_run(net, PROA_MS / 10);
    for (unsigned i = 0; i < 5; i++)
        net_kill(net, i);
    net_run(net, NET_FAILURE - 100 * PROA_MS); /* nobody has noticed yet */
    assert_int_equal(net_stats(net, 6).linked, 6);
    assert_true(net->nodes[6].seen[5].hash == net->nodes[5].own.hash);
    assert_false(mesh_complete(net->nodes[6].mesh));
    assert_true(net_until(net, PROA_S) != PROA_NS_NEVER);
    net_destroy(net);
}

/* Nodes are killed and started, cut off and healed, while entries change and messages are lost. */
static void cluster__random_life(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 4; seed++) {
        struct net *net = cluster(8, 8, 50, seed);

        net->faults.loss = 200;
        net->faults.dup = net->faults.reorder = 100;
        for (unsigned round = 0; round < 40; round++) {
            unsigned i = (unsigned)(net_random(net) % 8);

            if (net->nodes[i].mesh == NULL) {
                start(net, i, 50);
                net_add(net, i, (i + 1) % 8);
                net_add(net, i, (i + 2) % 8);
            } else if (net_random(net) % 3 == 0) {
                net_kill(net, i);
            } else {
                net_group(net, i, (unsigned)(net_random(net) % 2));
            }
            churn_all(net, net_random(net) % (3 * PROA_S), 50 * PROA_MS);
        }
        net->faults.loss = net->faults.dup = net->faults.reorder = 0;
        for (unsigned i = 0; i < 8; i++) {
            net_group(net, i, 0);
            if (net->nodes[i].mesh == NULL) {
                start(net, i, 50);
                net_add(net, i, (i + 1) % 8);
            }
        }
        proa_ns took = net_until(net, 10 * PROA_S);
        printf("seed %llu: agreed after %.1f ms\n", (unsigned long long)seed,
               (double)took / 1e6);
        assert_true(took <= 10 * PROA_S);
        net_verify(net);
        net_destroy(net);
    }
}

static void cluster__same_seed_same_trace(void **state)
{
    uint64_t trace[3];

    (void)state;
    for (unsigned run = 0; run < 3; run++) {
        struct net *net = cluster(6, 6, 100, run < 2 ? 1 : 2);

        net->faults.loss = 200;
        net->faults.reorder = 200;
        churn_all(net, 5 * PROA_S, 10 * PROA_MS);
        trace[run] = net->trace;
        net_destroy(net);
    }
    assert_true(trace[0] == trace[1]);
    assert_true(trace[0] != trace[2]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cluster__partition_heals),
        cmocka_unit_test(cluster__death_removes_all),
        cmocka_unit_test(cluster__leaving_is_seen_at_once),
        cmocka_unit_test(cluster__70_nodes),
        cmocka_unit_test(cluster__silent_nodes_keep_nobody_waiting),
        cmocka_unit_test(cluster__random_life),
        cmocka_unit_test(cluster__same_seed_same_trace),
    };

    printf("seed %d\n", SEED);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
