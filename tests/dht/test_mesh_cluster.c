/* SPDX-License-Identifier: Apache-2.0 */
/* Clusters of linked registries: joining, changes, loss, partitions, deaths. */
#include "mesh_net.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SEED 4711
#define ENTRIES 1000 /* that a node publishes at first */

/* What the test has published on a node, to change it at random. */
struct shelf {
    struct mesh_entry entries[2 * ENTRIES];
    uint32_t index[2 * ENTRIES];
    unsigned count, serial;
};

static struct shelf shelves[NET_NODES_MAX];

static void publish(struct net *net, unsigned i)
{
    struct shelf *shelf = &shelves[i];
    struct mesh_entry *entry = &shelf->entries[shelf->count];
    unsigned n = shelf->serial++;
    char name[32];

    snprintf(name, sizeof(name), "worker %03u %05u", i, n);
    net_entry(entry, n % 2 == 0 ? MESH_NAME : MESH_MEMBER, name, n);
    shelf->index[shelf->count] = net_publish(net, i, entry);
    assert_int_not_equal(shelf->index[shelf->count], MESH_NONE);
    shelf->count++;
}

static void withdraw(struct net *net, unsigned i, unsigned n)
{
    struct shelf *shelf = &shelves[i];

    net_withdraw(net, i, shelf->index[n], &shelf->entries[n]);
    shelf->count--;
    shelf->entries[n] = shelf->entries[shelf->count];
    shelf->index[n] = shelf->index[shelf->count];
}

/* One change of one node's entries. */
static void churn(struct net *net, unsigned i)
{
    struct shelf *shelf = &shelves[i];
    unsigned n = shelf->count > 0 ? (unsigned)(net_random(net) % shelf->count) : 0;
    unsigned dice = (unsigned)(net_random(net) % 3);

    if (shelf->count == 0 || (dice == 0 && shelf->count < 2 * ENTRIES))
        publish(net, i);
    else if (dice == 1)
        withdraw(net, i, n);
    else
        net_republish(net, i, shelf->index[n], &shelf->entries[n],
                      shelf->entries[n].generation + 1);
}

static void start(struct net *net, unsigned i, unsigned entries)
{
    shelves[i].count = 0;
    net_start(net, i);
    for (unsigned n = 0; n < entries; n++)
        publish(net, i);
}

static struct net *cluster(unsigned count, unsigned started, unsigned entries,
                           uint64_t seed)
{
    struct net *net = net_create(count, seed);

    memset(shelves, 0, sizeof(shelves));
    net->faults.delay = 2 * PROA_MS;
    net->faults.jitter = PROA_MS;
    for (unsigned i = 0; i < started; i++) {
        start(net, i, entries);
        if (i > 0)
            assert_int_equal(net_add(net, i, (i - 1) / 2), MESH_OK);
    }
    assert_true(net_until(net, 20 * PROA_S) != PROA_NS_NEVER);
    return net;
}

static void churn_all(struct net *net, proa_ns span, proa_ns every)
{
    for (proa_ns t = 0; t < span; t += every) {
        unsigned i = (unsigned)(net_random(net) % net->count);

        if (net->nodes[i].mesh != NULL)
            churn(net, i);
        net_run(net, every);
    }
}

/* ---- 64 nodes with 1,000 entries each ---- */

struct sight {
    proa_ns last;
    unsigned seen;
};

static void note_sight(struct net *net, unsigned i, const struct mesh_event *event)
{
    struct sight *sight = net->ctx;

    (void)i;
    if (event->kind == MESH_ADDED) {
        sight->last = net->now;
        sight->seen++;
    }
}

static int by_size(const void *a, const void *b)
{
    proa_ns x = *(const proa_ns *)a, y = *(const proa_ns *)b;

    return x < y ? -1 : x > y;
}

/* How long a registration takes until all others see it, the median of 21. */
static proa_ns visibility(struct net *net)
{
    struct sight sight = {0};
    proa_ns took[21];

    net->ctx = &sight;
    net->told = note_sight;
    for (unsigned n = 0; n < 21; n++) {
        proa_ns began = net->now;

        sight.seen = 0;
        publish(net, 3 * n);
        net_run(net, 50 * PROA_MS);
        assert_int_equal(sight.seen, net->count - 1);
        took[n] = sight.last - began;
    }
    net->told = NULL;
    qsort(took, 21, sizeof(took[0]), by_size);
    return took[10];
}

static void cluster__64_nodes(void **state)
{
    struct net *net = cluster(65, 64, ENTRIES, SEED);

    (void)state;
    start(net, 64, ENTRIES);
    assert_int_equal(net_add(net, 64, 5), MESH_OK);
    assert_false(mesh_complete(net->nodes[64].mesh));
    proa_ns took = net_until(net, 2 * PROA_S);
    printf("a 65th joins: complete after %.1f ms, %.2f MB received\n", (double)took / 1e6,
           (double)net->nodes[64].received_bytes / 1e6);
    assert_true(took <= 2 * PROA_S);
    assert_true(net->nodes[64].received_bytes <= 10000000);

    took = visibility(net);
    printf("a registration is visible on all after %.2f ms (RTT 4 to 6 ms)\n",
           (double)took / 1e6);
    assert_true(took <= 2 * 2 * net->faults.delay);

    net->faults.loss = 300;
    net->faults.dup = net->faults.reorder = 100;
    churn_all(net, 60 * PROA_S, 20 * PROA_MS);
    net->faults.loss = net->faults.dup = net->faults.reorder = 0;
    took = net_until(net, 5 * PROA_S);
    printf("after a minute of loss all agree in %.1f ms\n", (double)took / 1e6);
    assert_true(took <= 5 * PROA_S);
    net_destroy(net);
}

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
        proa_ns took = net_until(net, 60 * PROA_S);
        printf("seed %llu: agreed after %.1f ms\n", (unsigned long long)seed,
               (double)took / 1e6);
        assert_true(took <= 60 * PROA_S);
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
        cmocka_unit_test(cluster__64_nodes),
        cmocka_unit_test(cluster__partition_heals),
        cmocka_unit_test(cluster__death_removes_all),
        cmocka_unit_test(cluster__leaving_is_seen_at_once),
        cmocka_unit_test(cluster__random_life),
        cmocka_unit_test(cluster__same_seed_same_trace),
    };

    printf("seed %d\n", SEED);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
