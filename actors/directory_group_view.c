/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "directory_impl.h"

#define SMALL_MAX 256u /* members of a group whose views are not put off */
/* What a view costs, for DIRECTORY_VIEW_SHARE: perf/bench_route, publish. */
#define MEMBER_NS 150u
#define UNITS_HEAD 16u       /* of a view beside its members */
#define UNITS_RECLAIM 65536u /* waiting, at which readers are asked */
#define RETRY (10 * PROA_MS) /* after want of memory, or readers that are stuck */
#define AHEAD 16u            /* memberships fetched before they are looked at */

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
    const struct membership *x = *(struct membership *const *)a;
    const struct membership *y = *(struct membership *const *)b;

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

static uint64_t align8(uint64_t bytes)
{
    return (bytes + 7) & ~UINT64_C(7);
}

static struct group_view *view_create(uint32_t count, uint32_t locals)
{
    uint64_t points = (uint64_t)count * GROUP_POINTS, bytes = sizeof(struct group_view);
    uint32_t bits = 64 - (uint32_t)__builtin_clzll(points); /* more buckets than points */
    uint64_t at_points, at_guide, at_local;
    struct group_view *view;

    bytes += (uint64_t)count * sizeof(struct group_member);
    at_points = bytes;
    bytes += (points + 1) * sizeof(uint64_t);
    at_guide = bytes;
    bytes = align8(bytes + ((UINT64_C(1) << bits) + 1) * sizeof(uint32_t));
    at_local = bytes;
    bytes += locals * sizeof(uint32_t);
    view = aligned_alloc(PROA_CACHE_LINE, (bytes + PROA_CACHE_LINE - 1) &
                                              ~(uint64_t)(PROA_CACHE_LINE - 1));
    if (view == NULL)
        return NULL;
    view->count = count;
    view->locals = 0;
    view->points = (uint64_t *)(void *)((uint8_t *)view + at_points);
    view->guide = (uint32_t *)(void *)((uint8_t *)view + at_guide);
    view->local = (uint32_t *)(void *)((uint8_t *)view + at_local);
    view->guide_bits = bits;
    view->units = count + UNITS_HEAD;
    return view;
}

/* What left since the last view is in none any more. */
static void drop(struct directory *dir, struct membership *m)
{
    struct node_owner *node = &dir->node_owners[m->node];

    if (--node->in_views == 0 && node->forgotten)
        directory_retire_node(dir, m->node);
    membership_free(dir, m);
}

static void set_member(struct directory *dir, struct group_view *view, uint32_t at,
                       struct membership *m)
{
    bool local = m->ref.node == dir->groups.self;

    view->members[at] = (struct group_member){.node = &dir->nodes[m->node],
                                              .load = m->load,
                                              .slot = m->ref.slot,
                                              .generation = m->ref.generation,
                                              .type = m->type,
                                              .local = local};
    if (local)
        view->local[view->locals++] = at;
    if (m->state == MEMBERSHIP_ADDED)
        dir->node_owners[m->node].in_views++;
    m->state = MEMBERSHIP_SEEN;
    m->at = at;
}

/* All members in order: those of the view before that have not left, and the added ones.  A
   membership lies anywhere in memory, and is looked at once. */
static void set_members(struct directory *dir, struct group *group,
                        struct group_view *view, struct membership **seen,
                        const struct points_from *from)
{
    uint32_t n = 0, added = 0;

    if (group->added_count > 1)
        qsort(group->added, group->added_count, sizeof(struct membership *), by_point);
    for (uint32_t i = 0; i < group->seen_count; i++) {
        struct membership *m = group->seen[i];

        if (i + AHEAD < group->seen_count)
            __builtin_prefetch(group->seen[i + AHEAD], 1);
        from->now[i] = POINTS_GONE;
        if (m->state == MEMBERSHIP_LEFT) {
            drop(dir, m);
            continue;
        }
        while (added < group->added_count && by_point(&group->added[added], &m) < 0) {
            from->added[added] = n;
            set_member(dir, view, n, seen[n] = group->added[added]);
            added++;
            n++;
        }
        from->now[i] = n;
        set_member(dir, view, n, m);
        seen[n++] = m;
    }
    for (; added < group->added_count; added++, n++) {
        from->added[added] = n;
        set_member(dir, view, n, seen[n] = group->added[added]);
    }
    PROA_ASSERT(n == group->count);
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

void group_end(struct directory *dir, struct group *group)
{
    for (uint32_t i = 0; i < group->seen_count; i++)
        drop(dir, group->seen[i]);
    group->seen_count = 0;
    group_remove(dir, group);
}

/* False: no memory. */
static bool publish_view(struct directory *dir, struct group *group)
{
    struct directory_groups *g = &dir->groups;
    struct points_from from = {.old = view_of(group), .added_count = group->added_count};
    struct group_view *view;
    struct membership **seen;

    if (group->count == 0) {
        group_end(dir, group);
        return true;
    }
    seen = malloc(group->count * sizeof(struct membership *));
    view = view_create(group->count, group->count - group->far);
    from.now = malloc((group->seen_count + group->added_count + 1) * sizeof(uint32_t));
    if (seen == NULL || view == NULL || from.now == NULL) {
        free(seen);
        free(view);
        free(from.now);
        return false;
    }
    from.added = from.now + group->seen_count;
    view->version = group->version;
    set_members(dir, group, view, seen, &from);
    points_set(view, &from);
    free(from.now);
    /* G1 release, pairs with G2: a view is written before it is read. */
    atomic_store_explicit(&group->view, view, memory_order_release);
    view_retire(dir, from.old);
    free(group->seen);
    group->seen = seen;
    group->seen_count = group->count;
    free(group->added);
    group->added = NULL;
    group->added_count = group->added_max = 0;
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
