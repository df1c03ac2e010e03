/* SPDX-License-Identifier: Apache-2.0 */
/* registries_net.h - clusters of core_net.h whose registries are linked, or too many to be.

   Threads: one.  Units: proa_ns.  Errors: asserted (cmocka). */
#ifndef REGISTRIES_NET_H
#define REGISTRIES_NET_H

#include <cmocka.h>

#include <proa/group.h>
#include <string.h>

#include "core_net.h"
#include "directory_group.h"

#define SLOT(lane, index) ((uint32_t)(lane) << 24 | (index))
#define GENERATION 7 /* of the actors of core_net.c */
#define WORKER 99    /* a type id */

static struct net *net;

/* count nodes whose registry messages arrive, each with the first as its seed, joined. */
static inline void cluster(unsigned count, uint64_t seed, uint32_t nodes_max,
                           uint32_t published_max)
{
    net = net_create(2, seed);
    net->mesh = true;
    net->mesh_nodes_max = nodes_max;
    net->mesh_published_max = published_max;
    for (unsigned i = 0; i < count; i++) {
        net_add(net, i == 0 ? -1 : 0);
        net_run(net, 500 * PROA_MS);
    }
    net_run(net, 2 * PROA_S);
    for (unsigned i = 0; i < count; i++) {
        struct core_mesh_own own;

        core_mesh_own(net->nodes[i].core, &own);
        assert_true(core_joined(net->nodes[i].core));
        assert_int_equal(own.complete, nodes_max != 1 || count == 1);
        assert_int_equal(own.linked, nodes_max != 1 ? count - 1 : 0);
    }
}

static inline int finish(void **state)
{
    (void)state;
    net_destroy(net);
    return 0;
}

static inline struct proa_ref ref(unsigned node, uint32_t slot)
{
    return (struct proa_ref){net_id(net, node), slot, GENERATION};
}

/* ---- Calls and reads ---- */

static uint32_t awaited_node, awaited_correlation;

static inline bool is_answered(struct net *n)
{
    return net_said(n, awaited_node, PUNT_NAME_ANSWER, awaited_correlation) != NULL;
}

static inline const struct net_record *answer(unsigned node, uint32_t correlation,
                                              proa_ns span)
{
    awaited_node = node;
    awaited_correlation = correlation;
    assert_true(net_until(net, is_answered, span));
    return net_said(net, node, PUNT_NAME_ANSWER, correlation);
}

static inline enum proa_outcome call(unsigned node, enum punt_name_op op,
                                     const char *name, uint32_t slot)
{
    static uint32_t correlation = 1000;

    net_name(net, node, op, name, slot, ++correlation, WORKER, 2 * PROA_S);
    return answer(node, correlation, 3 * PROA_S)->answer.outcome;
}

struct members {
    enum proa_outcome outcome;
    struct proa_ref refs[16];
    struct proa_members is;
};

static inline struct members members_of(unsigned node, const char *group)
{
    struct directory *dir = net->nodes[node].directory;
    int reader = directory_reader_add(dir);
    struct members m = {0};

    directory_online(dir, reader);
    m.outcome =
        directory_members(dir, group, strlen(group), 0, 0, net->now, m.refs, 16, &m.is);
    directory_offline(dir, reader);
    directory_reader_remove(dir, reader);
    return m;
}

static const char *expected_group;
static uint32_t expected_count;

static inline bool all_have(struct net *n)
{
    for (unsigned i = 0; i < n->count; i++) {
        struct members m = members_of(i, expected_group);
        if (n->nodes[i].core != NULL && m.is.count != expected_count)
            return false;
    }
    return true;
}

static inline void expect_everywhere(const char *group, uint32_t count, proa_ns span)
{
    expected_group = group;
    expected_count = count;
    assert_true(net_until(net, all_have, span));
}

static inline void actor_stops(unsigned node, uint32_t slot)
{
    struct punt_actor actor = {slot, GENERATION};

    net_push(net, node, slot >> 24, PUNT_ACTOR_STOPPED, &actor, sizeof(actor), NULL, 0);
}

static inline unsigned events_of(unsigned node, enum proa_event_kind kind,
                                 struct proa_event *ret_last)
{
    struct proa_event events[PROA_EVENTS_KEPT];
    uint64_t next = 0;
    unsigned n = core_events(net->nodes[node].core, &next, events, PROA_EVENTS_KEPT);
    unsigned count = 0;

    for (unsigned i = 0; i < n; i++) {
        if (events[i].kind != kind)
            continue;
        count++;
        *ret_last = events[i];
    }
    return count;
}

#endif
