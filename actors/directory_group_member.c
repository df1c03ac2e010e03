/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "directory_impl.h"

#define ADDED_FIRST 8u
#define SLOT_LANE(slot) ((slot) >> 24)
#define SLOT_INDEX(slot) ((slot)&0x00ffffffu)

/* ---- Load words ---- */

static bool words_grow(struct load_words *w)
{
    uint32_t room = w->made + WORD_CHUNK;
    _Atomic uint16_t *chunk;
    uint32_t *numbers;

    if (w->made / WORD_CHUNK == WORD_CHUNKS)
        return false;
    numbers = realloc(w->free, room * sizeof(*numbers));
    if (numbers == NULL)
        return false;
    w->free = numbers;
    chunk = aligned_alloc(PROA_CACHE_LINE, WORD_CHUNK * sizeof(*chunk));
    if (chunk == NULL)
        return false;
    w->chunks[w->made / WORD_CHUNK] = chunk;
    for (uint32_t i = 0; i < WORD_CHUNK; i++) {
        atomic_init(&chunk[i], 0);
        w->free[w->free_count++] = room - 1 - i; /* the lowest first */
    }
    w->made = room;
    return true;
}

static bool word_take(struct load_words *w, struct membership *m)
{
    if (w->free_count == 0 && !words_grow(w))
        return false;
    m->word = w->free[--w->free_count];
    m->load = &w->chunks[m->word / WORD_CHUNK][m->word % WORD_CHUNK];
    /* relaxed: a moment, nothing is read by it. */
    atomic_store_explicit(m->load, 0, memory_order_relaxed);
    return true;
}

static void word_give(struct load_words *w, struct membership *m)
{
    if (m->word != WORD_NONE)
        w->free[w->free_count++] = m->word;
}

static bool is_local(const struct directory *dir, const struct membership *m)
{
    return m->ref.node == dir->groups.self;
}

/* Points m, a new or a local one, at its load word.  False: no memory, and m has none. */
static bool bind_load(struct directory *dir, struct membership *m)
{
    struct directory_groups *g = &dir->groups;
    uint32_t lane = SLOT_LANE(m->ref.slot), index = SLOT_INDEX(m->ref.slot);

    if (!is_local(dir, m))
        return word_take(&g->words, m);
    m->load = lane < PROA_LANES_MAX && index < g->lanes[lane].slots
                  ? &g->lanes[lane].words[index]
                  : &g->nothing;
    return true;
}

/* ---- The table of memberships ---- */

static uint32_t hash_of(const struct group *group, struct proa_ref ref)
{
    uint64_t actor = (uint64_t)ref.generation << 32 | ref.slot;

    /* The group's key is as secret as the seed: nobody can make long chains. */
    return (uint32_t)mix64(mix64(ref.node ^ group->key.low) ^ actor ^ group->key.high);
}

static struct membership **find_link(const struct directory *dir,
                                     const struct group *group, struct proa_ref ref)
{
    uint32_t hash = hash_of(group, ref);
    struct membership **link = &dir->groups.heads[hash & dir->groups.head_mask];

    while (*link != NULL && !((*link)->hash == hash && (*link)->group == group &&
                              proa_ref_equal((*link)->ref, ref)))
        link = &(*link)->chain;
    return link;
}

/* Twice as many heads; without memory the chains grow longer. */
static void heads_grow(struct directory_groups *g)
{
    uint32_t mask = 2 * g->head_mask + 1;
    struct membership **heads = calloc((size_t)mask + 1, sizeof(struct membership *));

    if (heads == NULL)
        return;
    for (uint32_t i = 0; i <= g->head_mask; i++) {
        struct membership *m = g->heads[i], *next;

        for (; m != NULL; m = next) {
            next = m->chain;
            m->chain = heads[m->hash & mask];
            heads[m->hash & mask] = m;
        }
    }
    free(g->heads);
    g->heads = heads;
    g->head_mask = mask;
}

/* ---- Chains of nodes, lists of groups ---- */

static void node_link(struct directory *dir, struct membership *m)
{
    struct membership **first = &dir->node_owners[m->node].members;

    m->prev = NULL;
    m->next = *first;
    if (*first != NULL)
        (*first)->prev = m;
    *first = m;
}

static void node_unlink(struct directory *dir, struct membership *m)
{
    if (m->prev != NULL)
        m->prev->next = m->next;
    else
        dir->node_owners[m->node].members = m->next;
    if (m->next != NULL)
        m->next->prev = m->prev;
}

static bool added_room(struct group *group)
{
    uint32_t max = group->added_max == 0 ? ADDED_FIRST : 2 * group->added_max;
    struct membership **added;

    if (group->added_count < group->added_max)
        return true;
    added = realloc(group->added, max * sizeof(struct membership *));
    if (added == NULL)
        return false;
    group->added = added;
    group->added_max = max;
    return true;
}

static void added_remove(struct group *group, const struct membership *m)
{
    struct membership *last = group->added[--group->added_count];

    group->added[m->at] = last;
    last->at = m->at;
}

int memberships_order(const struct membership *x, const struct membership *y)
{
    if (x->point != y->point)
        return x->point < y->point ? -1 : 1;
    if (x->ref.node != y->ref.node)
        return x->ref.node < y->ref.node ? -1 : 1;
    if (x->ref.slot != y->ref.slot)
        return x->ref.slot < y->ref.slot ? -1 : 1;
    if (x->ref.generation != y->ref.generation)
        return x->ref.generation < y->ref.generation ? -1 : 1;
    return 0;
}

uint32_t seen_from(const struct group *group, const struct membership *m)
{
    uint32_t from = 0, end = group->seen_count;

    while (from < end) {
        uint32_t middle = from + (end - from) / 2;

        if (memberships_order(seen_at(group, middle), m) < 0)
            from = middle + 1;
        else
            end = middle;
    }
    return from;
}

static void seen_mark_left(struct group *group, const struct membership *m)
{
    uint32_t at = seen_from(group, m);

    PROA_ASSERT(at < group->seen_count && group->seen[at] == m);
    group->seen[at] = (struct membership *)((uintptr_t)m | 1);
}

/* ---- Joining and leaving ---- */

static struct membership *membership_create(struct directory *dir, struct group *group,
                                            struct proa_ref ref, uint32_t type,
                                            uint32_t node)
{
    struct membership *m = calloc(1, sizeof(*m));

    if (m == NULL)
        return NULL;
    m->ref = ref;
    m->point = member_point(mix64(ref.node), ref.slot, 0);
    m->group = group;
    m->word = WORD_NONE;
    m->type = type;
    m->node = node;
    m->hash = hash_of(group, ref);
    if (!added_room(group) || !bind_load(dir, m)) {
        free(m);
        return NULL;
    }
    m->state = MEMBERSHIP_ADDED;
    m->at = group->added_count;
    group->added[group->added_count++] = m;
    return m;
}

void membership_free(struct directory *dir, struct membership *m)
{
    word_give(&dir->groups.words, m);
    free(m);
}

static uint64_t joined(struct directory *dir, struct group *group, struct proa_ref ref,
                       uint32_t type, uint32_t node)
{
    struct directory_groups *g = &dir->groups;
    struct membership *m = membership_create(dir, group, ref, type, node);

    if (m == NULL)
        return 0;
    if (g->stats.members > g->head_mask)
        heads_grow(g);
    m->chain = g->heads[m->hash & g->head_mask];
    g->heads[m->hash & g->head_mask] = m;
    node_link(dir, m);
    group->count++;
    group->far += !is_local(dir, m);
    g->stats.members++;
    group_present(dir, group);
    group_touch(dir, group);
    group->version = ++g->version;
    return group->version;
}

uint64_t directory_join(struct directory *dir, const char *name, size_t len,
                        struct proa_ref ref, uint32_t type)
{
    struct directory_groups *g = &dir->groups;
    uint32_t node = directory_node_at(dir, ref.node);
    struct group *group;
    uint64_t version;

    if (node == NODE_NONE) {
        g->stats.no_node++;
        return 0;
    }
    group = g->stats.members < DIRECTORY_MEMBERS_MAX ? group_make(dir, name, len) : NULL;
    if (group != NULL && *find_link(dir, group, ref) != NULL)
        return 0;
    version = group != NULL ? joined(dir, group, ref, type, node) : 0;
    if (version == 0)
        g->stats.full++;
    if (group != NULL && group->version == group->base && !group->absent)
        group_remove(dir, group); /* made for nothing */
    return version;
}

/* Ends a membership.  The version is the group's from here on. */
static uint64_t left(struct directory *dir, struct membership **link)
{
    struct directory_groups *g = &dir->groups;
    struct membership *m = *link;
    struct group *group = m->group;

    *link = m->chain;
    node_unlink(dir, m);
    group->count--;
    group->far -= !is_local(dir, m);
    g->stats.members--;
    if (m->state == MEMBERSHIP_ADDED) {
        added_remove(group, m);
        membership_free(dir, m);
    } else {
        seen_mark_left(group, m);
    }
    group_touch(dir, group);
    group->version = ++g->version;
    return group->version;
}

uint64_t directory_leave(struct directory *dir, const char *name, size_t len,
                         struct proa_ref ref)
{
    struct group *group = group_get(dir, name, len);
    struct membership **link = group != NULL ? find_link(dir, group, ref) : NULL;

    return link != NULL && *link != NULL ? left(dir, link) : 0;
}

uint64_t directory_rejoin(struct directory *dir, const char *name, size_t len,
                          struct proa_ref old, struct proa_ref ref, uint32_t type)
{
    uint64_t gone = directory_leave(dir, name, len, old);
    uint64_t version = gone != 0 ? directory_join(dir, name, len, ref, type) : 0;

    return version != 0 ? version : gone;
}

void memberships_forget(struct directory *dir, uint32_t node)
{
    struct membership *m;

    while ((m = dir->node_owners[node].members) != NULL)
        left(dir, find_link(dir, m->group, m->ref));
}

/* ---- Loads ---- */

void directory_self(struct directory *dir, uint64_t node)
{
    PROA_ASSERT(dir->groups.stats.members == 0);
    dir->groups.self = node;
}

void directory_lane_loads(struct directory *dir, unsigned lane, _Atomic uint16_t *words,
                          uint32_t slots)
{
    uint32_t node = directory_node_at(dir, dir->groups.self);

    PROA_ASSERT(lane < PROA_LANES_MAX);
    dir->groups.lanes[lane] = (struct lane_loads){words, slots};
    if (node == NODE_NONE)
        return;
    for (struct membership *m = dir->node_owners[node].members; m != NULL; m = m->next) {
        if (SLOT_LANE(m->ref.slot) == lane) {
            bind_load(dir, m);
            m->group->rebound = true;
            group_touch(dir, m->group);
        }
    }
}

void directory_load(struct directory *dir, const char *name, size_t len,
                    struct proa_ref ref, uint16_t load)
{
    const struct group *group = group_get(dir, name, len);
    const struct membership *m = group != NULL ? *find_link(dir, group, ref) : NULL;

    /* relaxed: a moment, nothing is read by it. */
    if (m != NULL && m->word != WORD_NONE)
        atomic_store_explicit(m->load, load, memory_order_relaxed);
}
