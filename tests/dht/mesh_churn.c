/* SPDX-License-Identifier: Apache-2.0 */
#include "mesh_churn.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#define SHELF_MAX 2000 /* entries of a node */

/* What the test has published on a node, to change it at random. */
struct shelf {
    struct mesh_entry entries[SHELF_MAX];
    uint32_t index[SHELF_MAX];
    unsigned count, serial;
};

static struct shelf shelves[NET_NODES_MAX];

void publish(struct net *net, unsigned i)
{
    struct shelf *shelf = &shelves[i];
    struct mesh_entry *entry = &shelf->entries[shelf->count];
    unsigned n = shelf->serial++;
    char name[32];

    snprintf(name, sizeof(name), "worker %03u %05u", i, n);
    net_entry(entry, n % 4 == 0 ? MESH_NAME : MESH_MEMBER, name, n);
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

    if (shelf->count == 0 || (dice == 0 && shelf->count < SHELF_MAX))
        publish(net, i);
    else if (dice == 1)
        withdraw(net, i, n);
    else
        net_republish(net, i, shelf->index[n], &shelf->entries[n],
                      shelf->entries[n].generation + 1);
}

void start(struct net *net, unsigned i, unsigned entries)
{
    shelves[i].count = 0;
    net_start(net, i);
    for (unsigned n = 0; n < entries; n++)
        publish(net, i);
}

struct net *cluster(unsigned count, unsigned started, unsigned entries, uint64_t seed)
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

void churn_all(struct net *net, proa_ns span, proa_ns every)
{
    for (proa_ns t = 0; t < span; t += every) {
        unsigned i = (unsigned)(net_random(net) % net->count);

        if (net->nodes[i].mesh != NULL)
            churn(net, i);
        net_run(net, every);
    }
}
