/* SPDX-License-Identifier: Apache-2.0 */
/* group_world.h - a directory with one group, from which a test picks.

   Member `slot` of a node is the reference {node, slot, slot + 1}.  Lane 0 of this node (HERE) has
   its load words in the world; nodes are alive from NOW until ALIVE. */
#ifndef GROUP_WORLD_H
#define GROUP_WORLD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "directory_impl.h"

#define HERE ((uint64_t)0xa1a2a3a4a5a6a7a8)
#define FAR(n) ((uint64_t)0xf000000000000000 + (n))
#define NOW (1000 * PROA_S)
#define ALIVE (NOW + 10 * PROA_S)
#define G "workers"
#define LANE_SLOTS 64u

struct world {
    struct directory *dir;
    struct route_turn turn;
    _Atomic uint16_t words[LANE_SLOTS];
};

static inline void create(struct world *w, uint8_t seed_first)
{
    const uint8_t seed[32] = {seed_first};

    memset(w, 0, sizeof(*w));
    w->turn.random = 42;
    w->dir = directory_create(100, seed);
    assert_non_null(w->dir);
    directory_self(w->dir, HERE);
    assert_non_null(directory_node_add(w->dir, HERE, PROA_NS_NEVER));
    directory_lane_loads(w->dir, 0, w->words, LANE_SLOTS);
}

static inline void join(struct world *w, uint64_t node, uint32_t slot)
{
    assert_non_null(directory_node_add(w->dir, node, ALIVE));
    assert_true(directory_join(w->dir, G, strlen(G),
                               (struct proa_ref){node, slot, slot + 1}, 0) > 0);
}

static inline void leave(struct world *w, uint64_t node, uint32_t slot)
{
    assert_true(directory_leave(w->dir, G, strlen(G),
                                (struct proa_ref){node, slot, slot + 1}) > 0);
}

static inline void publish(struct world *w)
{
    proa_ns now = NOW;

    while (now != PROA_NS_NEVER)
        now = directory_groups_publish(w->dir, now);
}

static inline enum proa_outcome route(struct world *w, enum proa_policy policy,
                                      uint64_t key, proa_ns now, struct proa_ref *ret)
{
    return directory_route(w->dir, G, strlen(G), policy, key, now, &w->turn, ret);
}

static inline struct proa_ref pick(struct world *w, enum proa_policy policy, uint64_t key)
{
    struct proa_ref got = proa_ref_none();

    assert_int_equal(route(w, policy, key, NOW, &got), PROA_OK);
    return got;
}

#endif
