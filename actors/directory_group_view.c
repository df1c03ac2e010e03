/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "directory_impl.h"

#define SMALL_MAX 256u /* members of a group whose views are not put off */
/* What a view costs, for DIRECTORY_VIEW_SHARE: perf/bench_route, publish. */
#define MEMBER_NS 100u
#define UNITS_HEAD 16u       /* of a view beside its members */
#define UNITS_RECLAIM 65536u /* waiting, at which readers are asked */
#define RETRY (10 * PROA_MS) /* after want of memory, or readers that are stuck */

/* ---- What is dirty ---- */

static struct group_list *list_of(struct directory_groups *g, uint32_t dirty)
{
    return dirty == GROUP_DIRTY_SMALL ? &g->small : &g->large;
}

static void list_append(struct group_list *list, struct group *group)
{
    group->next = NULL;
    group->prev = list->last;
    if (list->last != NULL)
        list->last->next = group;
    else
        list->first = group;
    list->last = group;
}

void group_untouch(struct directory *dir, struct group *group)
{
    struct group_list *list = list_of(&dir->groups, group->dirty);

    if (group->dirty == GROUP_CLEAN)
        return;
    if (group->prev != NULL)
        group->prev->next = group->next;
    else
        list->first = group->next;
    if (group->next != NULL)
        group->next->prev = group->prev;
    else
        list->last = group->prev;
    group->prev = group->next = NULL;
    group->dirty = GROUP_CLEAN;
}

void group_touch(struct directory *dir, struct group *group)
{
    uint32_t dirty = group->count <= SMALL_MAX ? GROUP_DIRTY_SMALL : GROUP_DIRTY_LARGE;

    if (group->dirty == dirty)
        return;
    group_untouch(dir, group);
    group->dirty = dirty;
    list_append(list_of(&dir->groups, dirty), group);
}

/* ---- Making a view ---- */

static int by_point(const void *a, const void *b)
{
    return memberships_order(*(struct membership *const *)a,
                             *(struct membership *const *)b);
}

static uint64_t align8(uint64_t bytes)
{
    return (bytes + 7) & ~UINT64_C(7);
}

static struct group_view *view_create(uint32_t count, uint32_t nodes_max)
{
    uint64_t points = (uint64_t)count * GROUP_POINTS, bytes = sizeof(struct group_view);
    uint32_t bits = 64 - (uint32_t)__builtin_clzll(points); /* more buckets than points */
    uint64_t at_points, at_guide, at_nodes, at_members;
    struct group_view *view;

    bytes += (uint64_t)count * sizeof(struct group_member);
    at_points = bytes;
    bytes += (points + 1) * sizeof(uint64_t);
    at_guide = bytes;
    bytes = align8(bytes + ((UINT64_C(1) << bits) + 1) * sizeof(uint32_t));
    at_nodes = bytes;
    bytes += (nodes_max + 1) * sizeof(struct view_node);
    at_members = bytes;
    bytes += (count + points) * sizeof(uint32_t);
    view = aligned_alloc(PROA_CACHE_LINE, (bytes + PROA_CACHE_LINE - 1) &
                                              ~(uint64_t)(PROA_CACHE_LINE - 1));
    if (view == NULL)
        return NULL;
    view->count = count;
    view->locals = 0;
    view->points = (uint64_t *)(void *)((uint8_t *)view + at_points);
    view->guide = (uint32_t *)(void *)((uint8_t *)view + at_guide);
    view->nodes = (struct view_node *)(void *)((uint8_t *)view + at_nodes);
    view->by_node = (uint32_t *)(void *)((uint8_t *)view + at_members);
    view->points_by_node = view->by_node + count;
    view->node_count = 0;
    view->guide_bits = bits;
    view->units = count + UNITS_HEAD;
    return view;
}

/* What a view is being made from and into. */
struct making {
    struct directory *dir;
    struct group *group;
    struct group_view *view;
    struct membership **seen; /* of the view */
    uint32_t n;               /* members set */
    struct points_from from;
};

static void set(struct making *k, struct membership *m, const struct group_member *member)
{
    k->view->members[k->n] = *member;
    k->view->locals += member->local;
    k->seen[k->n++] = m;
}

static void set_from(struct making *k, struct membership *m)
{
    struct group_member member = {.node = &k->dir->nodes[m->node],
                                  .load = m->load,
                                  .slot = m->ref.slot,
                                  .generation = m->ref.generation,
                                  .type = m->type,
                                  .local = m->ref.node == k->dir->groups.self};

    set(k, m, &member);
}

static void set_added(struct making *k, uint32_t at)
{
    struct membership *m = k->group->added[at];

    k->from.added[at] = k->n;
    k->dir->node_owners[m->node].in_views++;
    m->state = MEMBERSHIP_SEEN;
    set_from(k, m);
}

/* All members in order: those of the view before that have not left, and the added ones.  The
   memberships of the first lie anywhere in memory and are not looked at, for there may be many. */
static void set_members(struct making *k)
{
    struct group *group = k->group;
    uint32_t added = 0, next = UINT32_MAX;

    if (group->added_count > 0) {
        qsort(group->added, group->added_count, sizeof(struct membership *), by_point);
        next = seen_from(group, group->added[0]);
    }
    for (uint32_t i = 0; i < group->seen_count; i++) {
        while (next == i) {
            set_added(k, added++);
            next = added < group->added_count ? seen_from(group, group->added[added])
                                              : UINT32_MAX;
        }
        k->from.now[i] = seen_left(group, i) ? POINTS_GONE : k->n;
        if (seen_left(group, i))
            continue;
        if (group->rebound)
            set_from(k, group->seen[i]);
        else
            set(k, group->seen[i], &k->from.old->members[i]);
    }
    while (added < group->added_count)
        set_added(k, added++);
    PROA_ASSERT(k->n == group->count);
}

/* ---- Publishing ---- */

static struct group_view *view_of(const struct group *group)
{
    /* relaxed: the writer reads what only it writes. */
    return atomic_load_explicit(&group->view, memory_order_relaxed);
}

void view_retire(struct directory *dir, struct group_view *view)
{
    if (view == NULL)
        return;
    view->next = dir->filling.views;
    dir->filling.views = view;
    dir->filling.count++;
    dir->groups.old_units += view->units;
    dir->groups.stats.pending++;
}

/* What left since the last view is in no later one.  It waits for that one's readers, who may add to
   its load word: after that one was retired. */
static void drop_left(struct directory *dir, struct group *group)
{
    for (uint32_t i = 0; i < group->seen_count; i++) {
        struct membership *m = seen_at(group, i);
        struct node_owner *node;

        if (!seen_left(group, i))
            continue;
        node = &dir->node_owners[m->node];
        if (--node->in_views == 0 && node->forgotten)
            directory_retire_node(dir, m->node);
        m->chain = dir->filling.left;
        dir->filling.left = m;
        dir->filling.count++;
    }
}

void group_end(struct directory *dir, struct group *group)
{
    drop_left(dir, group);
    group->seen_count = 0;
    group_remove(dir, group);
}

static void take_seen(struct group *group, struct membership **seen)
{
    free(group->seen);
    group->seen = seen;
    group->seen_count = group->count;
    free(group->added);
    group->added = NULL;
    group->added_count = group->added_max = 0;
    group->rebound = false;
}

static bool making_init(struct making *k)
{
    struct group *group = k->group;
    const struct group_view *old = view_of(group);
    uint32_t nodes_max = group->added_count + (old != NULL ? old->node_count : 0);
    uint32_t *numbers = malloc((group->seen_count + group->added_count + group->count) *
                               sizeof(uint32_t));

    k->from.now = numbers;
    k->from.added_count = group->added_count;
    k->from.old = view_of(group);
    k->seen = malloc(group->count * sizeof(struct membership *));
    k->view = view_create(group->count, nodes_max);
    if (numbers == NULL || k->seen == NULL || k->view == NULL) {
        free(numbers);
        free(k->seen);
        free(k->view);
        return false;
    }
    k->from.added = numbers + group->seen_count;
    return true;
}

/* False: no memory. */
static bool publish_view(struct directory *dir, struct group *group)
{
    struct directory_groups *g = &dir->groups;
    struct making k = {.dir = dir, .group = group};

    if (group->count == 0) {
        group_end(dir, group);
        return true;
    }
    if (!making_init(&k))
        return false;
    set_members(&k);
    k.view->version = group->version;
    points_set(k.view, &k.from);
    nodes_set(dir, k.view, k.from.added + group->added_count);
    free(k.from.now);
    /* G1 release, pairs with G2: a view is written before it is read. */
    atomic_store_explicit(&group->view, k.view, memory_order_release);
    view_retire(dir, k.from.old);
    drop_left(dir, group);
    take_seen(group, k.seen);
    group_untouch(dir, group);
    g->stats.views++;
    g->stats.copied += group->count;
    return true;
}

/* Old views may take as much room as the members do now, and some. */
static bool may_retire(struct directory *dir)
{
    struct directory_groups *g = &dir->groups;

    if (g->old_units >= UNITS_RECLAIM)
        directory_reclaim(dir);
    return g->old_units < 16 * (uint64_t)UNITS_RECLAIM + 2 * g->stats.members;
}

proa_ns directory_groups_publish(struct directory *dir, proa_ns now)
{
    struct directory_groups *g = &dir->groups;

    groups_expire(dir, now);
    while (g->small.first != NULL) {
        if (!may_retire(dir) || !publish_view(dir, g->small.first))
            return now + RETRY;
    }
    while (g->large.first != NULL && now >= g->large_at) {
        proa_ns cost = (proa_ns)g->large.first->count * MEMBER_NS;

        if (!may_retire(dir) || !publish_view(dir, g->large.first))
            return now + RETRY;
        g->large_at = now + cost * DIRECTORY_VIEW_SHARE;
    }
    return g->large.first != NULL ? g->large_at : PROA_NS_NEVER;
}
