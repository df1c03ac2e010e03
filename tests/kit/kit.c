/* SPDX-License-Identifier: Apache-2.0 */
#include "kit.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void set_defaults(struct proa_test_config *config)
{
    if (config->nodes == 0)
        config->nodes = 2;
    if (config->lanes == 0)
        config->lanes = 1;
    if (config->seed == 0)
        config->seed = 1;
    if (config->mtu == 0)
        config->mtu = 1500;
    if (config->message_max == 0)
        config->message_max = 1u << 20;
    if (config->actors_max == 0)
        config->actors_max = 1024;
    if (config->mesh_published_max == 0)
        config->mesh_published_max = 4096;
}

struct proa_test *proa_test_create(const struct proa_test_config *config)
{
    static _Atomic unsigned
        count; /* names of networks: one for each test of the process */
    struct proa_test *test = aligned_alloc(alignof(struct proa_test), sizeof(*test));

    if (test == NULL || sodium_init() < 0) {
        free(test);
        return NULL;
    }
    memset(test, 0, sizeof(*test));
    test->config = *config;
    set_defaults(&test->config);
    PROA_ASSERT(test->config.nodes <= PROA_TEST_NODES_MAX);
    PROA_ASSERT(test->config.lanes <= KIT_LANES_MAX);
    test->now = PROA_S;
    test->random = test->config.seed;
    test->trace = 0xcbf29ce484222325u;
    snprintf(test->hub, sizeof(test->hub), "proa-test-%u", count++);
    for (unsigned i = 0; i < test->config.nodes; i++) {
        if (!kit_node_start(test, i, (int)i - 1)) {
            proa_test_destroy(test);
            return NULL;
        }
    }
    return test;
}

void proa_test_destroy(struct proa_test *test)
{
    if (test == NULL)
        return;
    for (unsigned i = 0; i < test->config.nodes; i++)
        kit_node_stop(test, i);
    free(test);
}

proa_ns proa_test_now(const struct proa_test *test)
{
    return test->now;
}

uint64_t proa_test_trace(const struct proa_test *test)
{
    return test->trace;
}

uint64_t proa_test_node(const struct proa_test *test, unsigned node)
{
    return test->nodes[node].id;
}

/* One loop of everybody; then time moves, at most to `limit`. */
static void step_to(struct proa_test *test, proa_ns limit)
{
    bool worked = false;
    proa_ns next = limit;

    for (unsigned i = 0; i < test->config.nodes; i++) {
        if (test->nodes[i].alive)
            worked |= kit_node_step(test, &test->nodes[i]);
    }
    if (worked) {
        test->now += KIT_STEP;
        return;
    }
    for (unsigned i = 0; i < test->config.nodes; i++) {
        if (!test->nodes[i].alive)
            continue;
        proa_ns at = kit_node_deadline(test, &test->nodes[i]);
        if (at < next)
            next = at;
    }
    test->now = next > test->now + KIT_STEP ? next : test->now + KIT_STEP;
}

void proa_test_step(struct proa_test *test)
{
    step_to(test, test->now + PROA_S);
}

static bool never(void *ctx)
{
    (void)ctx;
    return false;
}

void proa_test_advance(struct proa_test *test, proa_ns span)
{
    proa_test_until(test, never, NULL, span);
}

bool proa_test_until(struct proa_test *test, bool (*done)(void *ctx), void *ctx,
                     proa_ns span)
{
    proa_ns end = test->now + span;

    while (!done(ctx)) {
        if (test->now >= end)
            return false;
        step_to(test, end);
    }
    return true;
}

static bool all_joined(void *ctx)
{
    struct proa_test *test = ctx;

    for (unsigned i = 0; i < test->config.nodes; i++) {
        if (test->nodes[i].alive && !core_joined(test->nodes[i].core))
            return false;
    }
    return true;
}

bool proa_test_join(struct proa_test *test)
{
    return proa_test_until(test, all_joined, test, KIT_JOIN_MAX);
}

enum proa_outcome proa_test_link_add(struct proa_test *test, unsigned node, unsigned to,
                                     char *err, size_t err_len)
{
    return core_mesh_add(test->nodes[node].core, &test->nodes[to].address, test->now, err,
                         err_len);
}

enum proa_outcome proa_test_link_remove(struct proa_test *test, unsigned node,
                                        unsigned to, char *err, size_t err_len)
{
    struct core *core = test->nodes[node].core;
    const struct proa_addr *address = &test->nodes[to].address;
    uint64_t id = node == to ? core_node(core) : core_mesh_find(core, address);

    return id != 0 ? core_mesh_remove(core, id, test->now, err, err_len)
                   : core_mesh_forget(core, address, test->now, err, err_len);
}

static bool all_linked(void *ctx)
{
    struct proa_test *test = ctx;
    unsigned living = 0;

    for (unsigned i = 0; i < test->config.nodes; i++)
        living += test->nodes[i].alive;
    for (unsigned i = 0; i < test->config.nodes; i++) {
        struct core_mesh_own own;

        if (!test->nodes[i].alive)
            continue;
        core_mesh_own(test->nodes[i].core, &own);
        if (!own.complete || own.linked + 1 < living)
            return false;
    }
    return true;
}

bool proa_test_linked(struct proa_test *test, proa_ns span)
{
    return proa_test_until(test, all_linked, test, span);
}

void proa_test_cut(struct proa_test *test, unsigned a, unsigned b)
{
    test->cut[a][b] = test->cut[b][a] = true;
}

void proa_test_heal(struct proa_test *test, unsigned a, unsigned b)
{
    test->cut[a][b] = test->cut[b][a] = false;
}

void proa_test_faults(struct proa_test *test, const struct proa_faults *faults)
{
    test->config.faults = *faults;
    for (unsigned i = 0; i < test->config.nodes; i++) {
        struct proa_faults f = *faults;

        f.seed = kit_random(test);
        if (test->nodes[i].alive)
            port_faults_set(test->nodes[i].port, &f);
    }
}

void proa_test_kill(struct proa_test *test, unsigned node)
{
    kit_node_stop(test, node);
}

void proa_test_restart(struct proa_test *test, unsigned node)
{
    int living = -1;

    for (unsigned i = 0; i < test->config.nodes && living < 0; i++) {
        if (i != node && test->nodes[i].alive)
            living = (int)i;
    }
    if (test->nodes[node].alive)
        kit_node_stop(test, node);
    proa_test_check(test, kit_node_start(test, node, living), "memory for a node");
}
