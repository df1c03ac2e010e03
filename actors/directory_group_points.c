/* SPDX-License-Identifier: Apache-2.0 */
/* The ring of a view: from that of the view before when little has changed, else all anew.  And
   which of it are whose. */
#include <stdlib.h>
#include <string.h>

#include "directory_impl.h"

#define INSERTION_MAX 16u
#define ANEW_SHARE                                                                       \
    8u /* of the members added: sorting them costs more than counting all */

static int by_value(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return x < y ? -1 : x > y;
}

/* Sorts points that lie in their buckets already. */
static void sort_points(struct group_view *view, bool crowded)
{
    uint64_t *points = view->points;
    uint32_t count = view->count * GROUP_POINTS;

    for (uint32_t b = 0; crowded && b < 1u << view->guide_bits; b++)
        if (view->guide[b + 1] - view->guide[b] > INSERTION_MAX)
            qsort(points + view->guide[b], view->guide[b + 1] - view->guide[b],
                  sizeof(*points), by_value);
    for (uint32_t i = 1; i < count; i++) {
        uint64_t point = points[i];
        uint32_t at = i;

        for (; at > 0 && points[at - 1] > point; at--)
            points[at] = points[at - 1];
        points[at] = point;
    }
}

static inline uint64_t point_at(const struct group_view *view, uint32_t index,
                                uint64_t node_mixed, uint32_t which)
{
    return (member_point(node_mixed, view->members[index].slot, which) &
            ~POINT_INDEX_MASK) |
           index;
}

/* ---- All anew ---- */

/* The points of all members, counted in buckets, of which the guide stays. */
static void count_points(struct group_view *view)
{
    uint32_t shift = 64 - view->guide_bits, buckets = 1u << view->guide_bits;
    uint32_t *guide = view->guide, sum = 0;
    bool crowded = false; /* only when somebody chose its slots so */

    memset(guide, 0, (buckets + 1) * sizeof(*guide));
    for (uint32_t i = 0; i < view->count; i++) {
        uint64_t node = mix64(view->members[i].node->id);

        for (uint32_t k = 0; k < GROUP_POINTS; k++)
            guide[point_at(view, i, node, k) >> shift]++;
    }
    for (uint32_t b = 0; b <= buckets; b++) {
        uint32_t here = guide[b];

        crowded |= here > INSERTION_MAX;
        guide[b] = sum;
        sum += here;
    }
    for (uint32_t i = 0; i < view->count; i++) {
        uint64_t node = mix64(view->members[i].node->id);

        for (uint32_t k = 0; k < GROUP_POINTS; k++) {
            uint64_t point = point_at(view, i, node, k);

            view->points[guide[point >> shift]++] = point;
        }
    }
    /* Each entry now is where the next bucket begins. */
    memmove(guide + 1, guide, buckets * sizeof(*guide));
    guide[0] = 0;
    sort_points(view, crowded);
}

/* ---- From the view before ---- */

/* Members keep their order, so points that only change their index stay sorted. */
static void merge_points(struct group_view *view, const struct points_from *from,
                         const uint64_t *added, uint32_t added_count)
{
    uint32_t old_count = from->old != NULL ? from->old->count * GROUP_POINTS : 0;
    uint64_t *points = view->points;
    uint32_t n = 0, next = 0;

    for (uint32_t i = 0; i < old_count; i++) {
        uint64_t point = from->old->points[i];
        uint32_t index = from->now[point & POINT_INDEX_MASK];

        if (index == POINTS_GONE)
            continue;
        point = (point & ~POINT_INDEX_MASK) | index;
        while (next < added_count && added[next] < point)
            points[n++] = added[next++];
        points[n++] = point;
    }
    while (next < added_count)
        points[n++] = added[next++];
    PROA_ASSERT(n == view->count * GROUP_POINTS);
}

static void set_guide(struct group_view *view)
{
    uint32_t shift = 64 - view->guide_bits, buckets = 1u << view->guide_bits;
    uint32_t count = view->count * GROUP_POINTS, bucket = 0;

    for (uint32_t i = 0; i < count; i++)
        while (bucket <= view->points[i] >> shift)
            view->guide[bucket++] = i;
    while (bucket <= buckets)
        view->guide[bucket++] = count;
}

void points_set(struct group_view *view, const struct points_from *from)
{
    uint32_t count = from->added_count * GROUP_POINTS;
    uint64_t *added = NULL;

    view->points[view->count * GROUP_POINTS] = POINT_END;
    if (from->added_count < view->count / ANEW_SHARE)
        added = malloc((count + 1) * sizeof(*added));
    if (added == NULL) {
        count_points(view);
        return;
    }
    for (uint32_t i = 0; i < from->added_count; i++) {
        uint64_t node = mix64(view->members[from->added[i]].node->id);

        for (uint32_t k = 0; k < GROUP_POINTS; k++)
            added[i * GROUP_POINTS + k] = point_at(view, from->added[i], node, k);
    }
    qsort(added, count, sizeof(*added), by_value);
    merge_points(view, from, added, count);
    set_guide(view);
    free(added);
}

/* ---- By node ---- */

/* Numbers the nodes as they are met, and counts the members of each. */
static void number_nodes(struct directory *dir, struct group_view *view,
                         uint32_t *number_of)
{
    uint64_t this_view = dir->groups.stats.views + 1; /* published so far */

    for (uint32_t i = 0; i < view->count; i++) {
        const struct directory_node *node = view->members[i].node;
        struct node_owner *owner = &dir->node_owners[node - dir->nodes];

        if (owner->numbered_in != this_view) {
            owner->numbered_in = this_view;
            owner->number = view->node_count++;
            view->nodes[owner->number] = (struct view_node){node, 0, 0};
        }
        number_of[i] = owner->number;
        view->nodes[owner->number].next++;
    }
}

void nodes_set(struct directory *dir, struct group_view *view, uint32_t *number_of)
{
    uint32_t sum = 0;

    number_nodes(dir, view, number_of);
    view->local = view->by_node;
    for (uint32_t k = 0; k < view->node_count; k++) {
        struct view_node *node = &view->nodes[k];

        if (node->node->id == dir->groups.self)
            view->local = view->by_node + sum;
        node->first = sum;
        sum += node->next;
        node->next = node->first;
    }
    view->nodes[view->node_count] = (struct view_node){NULL, sum, 0};
    for (uint32_t i = 0; i < view->count; i++)
        view->by_node[view->nodes[number_of[i]].next++] = i;
    for (uint32_t k = 0; k < view->node_count; k++)
        view->nodes[k].next = view->nodes[k].first * GROUP_POINTS;
    for (uint32_t i = 0; i < view->count * GROUP_POINTS; i++) {
        uint32_t number = number_of[view->points[i] & POINT_INDEX_MASK];

        view->points_by_node[view->nodes[number].next++] = i;
    }
}
