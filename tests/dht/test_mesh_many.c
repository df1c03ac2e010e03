/* SPDX-License-Identifier: Apache-2.0 */
/* Linked registries of 64 nodes with 1,000 entries each: joining, registering, a minute of faults. */
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cluster__64_nodes),
    };

    printf("seed %d\n", SEED);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
