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

static void publish_many(struct net *net, unsigned i, unsigned count)
{
    struct mesh_entry entry;
    char name[32];

    for (unsigned n = 0; n < count; n++) {
        snprintf(name, sizeof(name), "worker %03u %05u", i, n);
        net_entry(&entry, n % 2 == 0 ? MESH_NAME : MESH_MEMBER, name, n);
        assert_int_not_equal(net_publish(net, i, &entry), MESH_NONE);
    }
}

static struct net *cluster(unsigned count, unsigned started, unsigned entries)
{
    struct net *net = net_create(count, SEED);

    for (unsigned i = 0; i < started; i++) {
        net_start(net, i);
        publish_many(net, i, entries);
        if (i > 0)
            net_add(net, i, (i - 1) / 2);
    }
    proa_ns took = net_until(net, 20 * PROA_S);
    assert_true(took != PROA_NS_NEVER);
    return net;
}

static void join__one_neighbour_is_enough(void **state)
{
    struct net *net = cluster(65, 64, 1000);

    (void)state;
    net_start(net, 64);
    publish_many(net, 64, 1000);
    assert_int_equal(net_add(net, 64, 5), MESH_OK);
    assert_false(mesh_complete(net->nodes[64].mesh));
    proa_ns took = net_until(net, 2 * PROA_S);
    printf("64 nodes with 1000 entries, one joins: complete after %.1f ms, %.2f MB "
           "received\n",
           (double)took / 1e6, (double)net->nodes[64].received_bytes / 1e6);
    assert_true(took <= 2 * PROA_S);
    assert_true(net->nodes[64].received_bytes <= 10000000);
    net_destroy(net);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(join__one_neighbour_is_enough),
    };

    printf("seed %d\n", SEED);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
