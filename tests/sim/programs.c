/* SPDX-License-Identifier: Apache-2.0 */
#include "programs.h"

#include <string.h>

#include "kit.h"
#include "scheduler.h"

#define SETTLE (20 * PROA_S)

void promise(struct world *w, bool kept, const char *what)
{
    proa_test_check(w->test, kept, what);
}

uint32_t below(struct world *w, uint64_t n)
{
    return n == 0 ? 0 : (uint32_t)(sim_random(&w->random) % n);
}

struct world *world_create(uint64_t seed)
{
    static struct world world;
    struct world *w = &world;

    memset(w, 0, sizeof(*w));
    w->seed = w->random = seed;
    w->acts_left = ACTS;
    memset(w->buckets, 0xff, sizeof(w->buckets));
    w->config = (struct proa_test_config){.nodes = 1 + below(w, 3),
                                          .lanes = 1 + below(w, 3),
                                          .seed = seed,
                                          .faults = {.loss = below(w, 40000),
                                                     .duplicate = below(w, 20000),
                                                     .reorder = below(w, 20000),
                                                     .delay_us = below(w, 50)}};
    w->test = proa_test_create(&w->config);
    if (w->test == NULL)
        abort();
    promise(w, proa_test_join(w->test), "all nodes to join");
    for (unsigned i = 0; i < w->config.nodes; i++)
        w->ids[i] = proa_test_node(w->test, i);
    return w;
}

void world_destroy(struct world *w)
{
    proa_test_destroy(w->test);
}

/* ---- Lives ---- */

static unsigned place_of(struct world *w, struct proa_ref ref)
{
    for (unsigned i = 0; i < w->config.nodes; i++)
        if (w->ids[i] == ref.node)
            return i;
    return NODES_MAX; /* of a life before */
}

uint32_t world_begin(struct world *w, struct proa_ref ref)
{
    uint32_t life = w->life_count + 1; /* 0 is a state that was never set */

    if (life >= LIVES_MAX)
        return NONE;
    promise(w, world_life(w, ref) == NONE, "a reference means one life");
    w->life_count++;
    w->alive_count++;
    w->lives[life] = (struct life){.ref = ref, .place = place_of(w, ref)};
    return life;
}

void world_end(struct world *w, uint32_t life)
{
    promise(w, life >= 1 && life <= w->life_count && !w->lives[life].ended,
            "a life ends once");
    w->lives[life].ended = true;
    w->alive_count--;
}

uint32_t world_life(struct world *w, struct proa_ref ref)
{
    for (uint32_t i = w->life_count; i >= 1; i--)
        if (proa_ref_equal(w->lives[i].ref, ref))
            return i;
    return NONE;
}

struct proa_ref world_some_ref(struct world *w)
{
    for (int tries = 0; tries < 8 && w->life_count > 0; tries++) {
        const struct life *l = &w->lives[1 + below(w, w->life_count)];

        if (!l->ended || below(w, 10) == 0)
            return l->ref;
    }
    return w->life_count > 0 ? w->lives[w->life_count].ref : proa_ref_none();
}

/* ---- Books ---- */

struct pair *world_pair(struct world *w, uint32_t from, struct proa_ref to)
{
    uint64_t hash = (from * 31ull + to.slot) * 31 + to.generation;
    uint32_t *bucket = &w->buckets[hash * 0x9e3779b97f4a7c15u % PAIRS_MAX];

    for (uint32_t i = *bucket; i != NONE; i = w->pairs[i].next)
        if (w->pairs[i].from == from && proa_ref_equal(w->pairs[i].to, to))
            return &w->pairs[i];
    promise(w, w->pair_count < PAIRS_MAX, "room in the book of pairs");
    w->pairs[w->pair_count] = (struct pair){.from = from, .to = to, .next = *bucket};
    *bucket = w->pair_count;
    return &w->pairs[w->pair_count++];
}

uint32_t world_ask(struct world *w, uint32_t from)
{
    if (w->ask_count == ASKS_MAX)
        return NONE;
    w->asks[w->ask_count] = (struct asked){.from = from};
    return w->ask_count++;
}

void world_monitor(struct world *w, uint32_t owner, struct proa_ref target,
                   struct proa_monitor monitor)
{
    promise(w, w->monitor_count < MONITORS_MAX, "room in the book of monitors");
    w->monitors[w->monitor_count++] = (struct watching){
        .owner = owner, .target = target, .monitor = monitor, .losses = w->losses};
}

struct watching *world_some_monitor(struct world *w, uint32_t owner)
{
    for (uint32_t i = w->monitor_count; i-- > 0;)
        if (w->monitors[i].owner == owner && below(w, 2) == 0)
            return &w->monitors[i];
    return NULL;
}

struct watching *world_find_monitor(struct world *w, uint32_t owner,
                                    struct proa_monitor monitor)
{
    for (uint32_t i = w->monitor_count; i-- > 0;) {
        struct watching *m = &w->monitors[i];

        if (m->owner == owner && m->monitor.index == monitor.index &&
            m->monitor.serial == monitor.serial)
            return m;
    }
    return NULL;
}

void world_down(struct world *w, const struct watching *m)
{
    uint32_t target = world_life(w, m->target);

    if (m->reason == PROA_REASON_NODE_LOST)
        promise(w, m->target.node != w->lives[m->owner].ref.node,
                "NODE_LOST of another node");
    else
        promise(w, target != NONE && w->lives[target].ended, "DOWN of who has ended");
}

/* ---- Nodes ---- */

void world_cut(struct world *w, unsigned a, unsigned b)
{
    w->losses++;
    w->parted[a][b] = w->parted[b][a] = true;
    proa_test_cut(w->test, a, b);
}

void world_heal(struct world *w, unsigned a, unsigned b)
{
    proa_test_heal(w->test, a, b);
}

void world_kill(struct world *w, unsigned node)
{
    if (w->dead[node])
        return;
    w->losses++;
    w->dead[node] = true;
    proa_test_kill(w->test, node);
    for (uint32_t i = 1; i <= w->life_count; i++)
        if (w->lives[i].ref.node == w->ids[node] && !w->lives[i].ended)
            world_end(w, i);
}

void world_restart(struct world *w, unsigned node)
{
    if (!w->dead[node])
        return;
    w->dead[node] = false;
    proa_test_restart(w->test, node);
    w->ids[node] = proa_test_node(w->test, node);
}

/* ---- The end ---- */

void world_settle(struct world *w)
{
    struct proa_faults none = {0};

    w->acts_left = 0;
    for (unsigned a = 0; a < w->config.nodes; a++) {
        world_restart(w, a);
        for (unsigned b = 0; b < w->config.nodes; b++)
            world_heal(w, a, b);
    }
    proa_test_faults(w->test, &none);
    proa_test_advance(w->test, SETTLE);
}

/* Two nodes that were never cut off from each other, and live. */
static bool stayed_together(struct world *w, struct proa_ref a, struct proa_ref b)
{
    unsigned i = place_of(w, a), j = place_of(w, b);

    return i != NODES_MAX && j != NODES_MAX && !w->parted[i][j];
}

static void check_pair(struct world *w, const struct pair *p)
{
    const struct life *from = &w->lives[p->from];

    promise(w, p->entered <= p->accepted, "no message out of nothing");
    if (from->ended)
        return;
    promise(w, p->entered + p->refused <= p->accepted, "one outcome for each tell");
    if (!stayed_together(w, from->ref, p->to))
        return; /* it may have acked, and then its refusal found us dead, or it died */
    promise(w, p->entered + p->refused + p->doubt + from->nameless >= p->accepted,
            "an outcome for each tell");
}

static void check_monitor(struct world *w, const struct watching *m)
{
    uint32_t target = world_life(w, m->target);
    bool ended = target == NONE || w->lives[target].ended;

    if (w->lives[m->owner].ended)
        return;
    if (ended)
        promise(w, m->over, "a DOWN for who has ended");
    if (m->over && m->reason == PROA_REASON_NODE_LOST)
        promise(w, w->losses > 0 || w->config.faults.loss > 0,
                "NODE_LOST only when something was lost");
}

void world_check(struct world *w)
{
    for (uint32_t i = 0; i < w->ask_count; i++) {
        const struct asked *a = &w->asks[i];

        promise(w, a->answers <= 1, "one outcome for each ask");
        promise(w, w->lives[a->from].ended || a->answers == 1, "an outcome for each ask");
    }
    for (uint32_t i = 0; i < w->pair_count; i++)
        check_pair(w, &w->pairs[i]);
    for (uint32_t i = 0; i < w->monitor_count; i++)
        check_monitor(w, &w->monitors[i]);
}

struct ending {
    struct world *w;
    unsigned node;
};

static void stop_all(struct proa_actor *self, void *ctx)
{
    struct ending *e = ctx;
    struct world *w = e->w;

    for (uint32_t i = 1; i <= w->life_count; i++)
        if (!w->lives[i].ended && w->lives[i].ref.node == w->ids[e->node])
            proa_stop_other(self, w->lives[i].ref);
}

/* Supervisors bring their children back, so more than once. */
void world_end_all(struct world *w)
{
    for (int i = 0; i < 100 && w->alive_count > 0; i++) {
        for (unsigned node = 0; node < w->config.nodes; node++) {
            struct ending e = {w, node};

            proa_test_call(w->test, node, stop_all, &e);
        }
        proa_test_advance(w->test, 20 * PROA_MS);
    }
    promise(w, w->alive_count == 0, "all actors to end");
    proa_test_advance(w->test, SETTLE);
}

static uint64_t now(const _Atomic uint64_t *counter)
{
    return atomic_load_explicit(counter, memory_order_relaxed);
}

void world_check_memory(struct world *w)
{
    for (unsigned i = 0; i < w->config.nodes; i++) {
        for (unsigned lane = 0; lane < w->config.lanes; lane++) {
            struct kit_lane *l = &w->test->nodes[i].lanes[lane];
            const struct sched_stats *s = sched_stats(lane_sched(l->lane));

            promise(w, now(&s->actors) <= 2, "no actors but the kit's own");
            promise(w, now(&s->asks_waiting) == 0, "no asks");
            promise(w, now(&s->tokens_held) == 0, "no tokens");
            promise(w, now(&s->timers_running) == 0, "no timers");
            promise(w, now(&s->monitors) == 0, "no monitors");
            promise(w, now(&s->slab_used) == 0, "no messages");
            promise(w, now(&s->bulk_used) == 0, "no bulk buffers");
            promise(w, now(&s->malformed) == 0, "nothing malformed");
        }
    }
}
