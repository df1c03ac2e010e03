/* SPDX-License-Identifier: Apache-2.0 */
/* mesh_sim.h - clusters of linked registries: reads without a wait, and books of what nodes say.

   Threads: one.  Units: counts.  Errors: proa_test_check, which prints the seed and aborts. */
#ifndef MESH_SIM_H
#define MESH_SIM_H

#include <cmocka.h>
#include <proa/group.h>
#include <string.h>

#include "sim.h"

#define MESH_SIM_EVENTS 512

/* What a node's events were. */
struct mesh_sim_book {
    struct proa_event events[MESH_SIM_EVENTS];
    unsigned count;
};

static inline void mesh_sim_note(void *ctx, const struct proa_event *event)
{
    struct mesh_sim_book *book = ctx;

    assert_true(book->count < MESH_SIM_EVENTS);
    book->events[book->count++] = *event;
}

/* How many of that kind there were; node 0: of any. */
static inline unsigned mesh_sim_events(const struct mesh_sim_book *book,
                                       enum proa_event_kind kind, uint64_t node)
{
    unsigned count = 0;

    for (unsigned i = 0; i < book->count; i++)
        count +=
            book->events[i].kind == kind && (node == 0 || book->events[i].node == node);
    return count;
}

/* proa_lookup on a node, now. */
struct mesh_sim_read {
    const char *name;
    enum proa_outcome outcome;
    struct proa_ref ref;
};

static inline void mesh_sim_do_read(struct proa_actor *self, void *ctx)
{
    struct mesh_sim_read *read = ctx;

    read->outcome = proa_lookup(self, read->name, NULL, &read->ref);
}

static inline struct mesh_sim_read mesh_sim_read(struct proa_test *test, unsigned node,
                                                 const char *name)
{
    struct mesh_sim_read read = {.name = name};

    proa_test_call(test, node, mesh_sim_do_read, &read);
    return read;
}

/* All nodes of [first, end) read name as ref's. */
static inline bool mesh_sim_agree(struct proa_test *test, unsigned first, unsigned end,
                                  const char *name, struct proa_ref ref)
{
    for (unsigned i = first; i < end; i++) {
        struct mesh_sim_read read = mesh_sim_read(test, i, name);
        if (read.outcome != PROA_OK || !proa_ref_equal(read.ref, ref))
            return false;
    }
    return true;
}

/* Cuts, or heals, all between [0, middle) and [middle, end). */
static inline void mesh_sim_part(struct proa_test *test, unsigned middle, unsigned end,
                                 bool cut)
{
    for (unsigned a = 0; a < middle; a++) {
        for (unsigned b = middle; b < end; b++) {
            if (cut)
                proa_test_cut(test, a, b);
            else
                proa_test_heal(test, a, b);
        }
    }
}

static inline struct proa_ref mesh_sim_spawn(struct proa_test *test, unsigned node,
                                             unsigned lane,
                                             const struct proa_behaviour *behaviour)
{
    struct proa_ref ref;

    proa_test_expect_outcome(test, PROA_OK,
                             proa_test_spawn(test, node, lane, behaviour, NULL, 0, &ref));
    return ref;
}

/* For proa_test_call_actor: the actor joins, or leaves, the group ctx. */
static inline void mesh_sim_join(struct proa_actor *self, void *ctx)
{
    assert_int_equal(proa_join(self, ctx, NULL, NULL, 0), PROA_OK);
}

static inline void mesh_sim_leave(struct proa_actor *self, void *ctx)
{
    assert_int_equal(proa_leave(self, ctx), PROA_OK);
}

/* ---- Groups ---- */

#define MESH_SIM_MEMBERS 512

struct mesh_sim_members {
    const char *group;
    unsigned flags;
    enum proa_outcome outcome;
    struct proa_members is;
    struct proa_ref refs[MESH_SIM_MEMBERS];
};

static inline void mesh_sim_read_members(struct proa_actor *self, void *ctx)
{
    struct mesh_sim_members *m = ctx;

    m->outcome = proa_lookup_all(self, m->group, NULL, m->flags, m->refs,
                                 MESH_SIM_MEMBERS, &m->is);
}

/* What a node knows of a group, until the next call. */
static inline struct mesh_sim_members *
mesh_sim_members(struct proa_test *test, unsigned node, const char *group, unsigned flags)
{
    static struct mesh_sim_members m;

    m.group = group;
    m.flags = flags;
    proa_test_call(test, node, mesh_sim_read_members, &m);
    return &m;
}

static inline uint32_t mesh_sim_count(struct proa_test *test, unsigned node,
                                      const char *group)
{
    return mesh_sim_members(test, node, group, 0)->is.count;
}

struct mesh_sim_expected {
    struct proa_test *test;
    const char *group;
    unsigned first, end;
    uint32_t count;
};

static inline bool mesh_sim_all_count(void *ctx)
{
    const struct mesh_sim_expected *e = ctx;

    for (unsigned i = e->first; i < e->end; i++) {
        if (mesh_sim_count(e->test, i, e->group) != e->count)
            return false;
    }
    return true;
}

/* All nodes of [first, end) come to know so many members. */
static inline void mesh_sim_expect(struct proa_test *test, const char *group,
                                   unsigned first, unsigned end, uint32_t count,
                                   proa_ns span)
{
    struct mesh_sim_expected e = {test, group, first, end, count};

    proa_test_check(test, proa_test_until(test, mesh_sim_all_count, &e, span), group);
}

#endif
