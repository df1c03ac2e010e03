/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "directory_impl.h"

#define NOINLINE __attribute__((noinline)) /* the fewer registers to save before */
#define TRIES 8u /* random picks that met silent nodes, before others are looked for */
#define SCAN_MAX 32u /* members looked at one after the other, before nodes are */
/* Of this node, that have ended, before it counts as silent: for as long as its lanes are ahead of
   the view. */
#define ENDED_MAX 256u
#define IDLE_LOOKS 16u
#define LOCAL_LOOKS 32u
#define BUCKET_SCAN 8u
#define PASSED_MAX 256u /* points of silent nodes, before nodes are looked at */

/* ---- Chance ---- */

__extension__ typedef unsigned __int128 uint128;

/* wyrand (Wang Yi, wyhash, final version 4): one addition from a number to the next, and one
   multiplication, so that picks wait less for each other than with xorshift64*. */
static inline uint64_t next_random(struct route_turn *turn)
{
    uint64_t x = turn->random += UINT64_C(0xa0761d6478bd642f);
    uint128 product = (uint128)x * (x ^ UINT64_C(0xe7037ed1a0b428db));

    return (uint64_t)(product >> 64) ^ (uint64_t)product;
}

/* One of n by 32 random bits (Lemire, "Fast random integer generation in an interval", 2019). */
static inline uint32_t below(uint32_t random, uint32_t n)
{
    return (uint32_t)((uint64_t)random * n >> 32);
}

/* ---- One member ---- */

static inline uint32_t load_of(const struct group_member *member)
{
    /* relaxed: a moment, nothing is read by it. */
    return atomic_load_explicit(member->load, memory_order_relaxed);
}

/* Not while its node is silent, nor when it is of this node and has ended, which the view may not
   know yet. */
static inline bool may_pick(const struct group_member *member, proa_ns now)
{
    return member_lives(member, now) && !(member->local && load_of(member) == LOAD_ENDED);
}

/* The member gets one message more.  Lanes may lose each other's 1. */
static inline void load_add(const struct group_member *member)
{
    uint32_t load;

    if (member->local)
        return;
    load = load_of(member);
    /* relaxed: an estimate, which the next report replaces. */
    if (load < UINT16_MAX)
        atomic_store_explicit(member->load, (uint16_t)(load + 1), memory_order_relaxed);
}

/* The first of node k's members from `from` on that may be picked, or from the first on.  NULL: none
   of those looked at. */
static const struct group_member *scan_node(const struct group_view *view, uint32_t k,
                                            uint32_t from, proa_ns now)
{
    const uint32_t *own = view->by_node + view->nodes[k].first;
    uint32_t count = view->nodes[k + 1].first - view->nodes[k].first, at = 0, end = count;

    while (at < end) {
        uint32_t middle = at + (end - at) / 2;

        if (own[middle] < from)
            at = middle + 1;
        else
            end = middle;
    }
    for (uint32_t n = 0; n < count && n < ENDED_MAX; n++, at++) {
        at = at == count ? 0 : at;
        if (may_pick(&view->members[own[at]], now))
            return &view->members[own[at]];
    }
    return NULL;
}

/* The same as scan, node by node: the nearest of what each living one has. */
static NOINLINE const struct group_member *scan_nodes(const struct group_view *view,
                                                      uint32_t from, proa_ns now)
{
    const struct group_member *best = NULL;
    uint32_t nearest = UINT32_MAX;

    for (uint32_t k = 0; k < view->node_count; k++) {
        const struct group_member *member =
            node_lives(view->nodes[k].node, now) ? scan_node(view, k, from, now) : NULL;
        uint32_t at, distance;

        if (member == NULL)
            continue;
        at = (uint32_t)(member - view->members);
        distance = at >= from ? at - from : at + view->count - from;
        if (distance < nearest) {
            nearest = distance;
            best = member;
        }
    }
    return best;
}

/* The first member from `from` on that may be picked.  NULL: none, but of this node's only some that
   have ended were looked at. */
static const struct group_member *scan(const struct group_view *view, uint32_t from,
                                       proa_ns now)
{
    uint32_t at = from, n = 0;

    for (; n < view->count && n < SCAN_MAX; n++) {
        if (may_pick(&view->members[at], now))
            return &view->members[at];
        at = at + 1 == view->count ? 0 : at + 1;
    }
    return n < view->count ? scan_nodes(view, from, now) : NULL;
}

/* ---- Policies ---- */

static NOINLINE const struct group_member *
pick_random(const struct group_view *view, proa_ns now, struct route_turn *turn)
{
    uint32_t at = 0;

    for (uint32_t i = 0; i < TRIES; i++) {
        at = below((uint32_t)(next_random(turn) >> 32), view->count);
        if (may_pick(&view->members[at], now))
            return &view->members[at];
    }
    return scan(view, at, now);
}

static NOINLINE const struct group_member *
pick_local(const struct group_view *view, proa_ns now, struct route_turn *turn)
{
    uint32_t at = below((uint32_t)(next_random(turn) >> 32), view->locals);

    for (uint32_t n = 0; n < view->locals && n < LOCAL_LOOKS; n++) {
        const struct group_member *member = &view->members[view->local[at]];

        if (may_pick(member, now))
            return member;
        at = at + 1 == view->locals ? 0 : at + 1;
    }
    return pick_random(view, now, turn);
}

/* The shorter mailbox of two (Mitzenmacher, "The power of two choices in randomized load
   balancing", 2001).  NULL: neither may be picked, or both are as long as a word can say.  Of at
   least two members. */
static inline const struct group_member *shorter(const struct group_view *view,
                                                 proa_ns now, struct route_turn *turn)
{
    uint64_t random = next_random(turn);
    uint32_t first = below((uint32_t)(random >> 32), view->count);
    uint32_t second = below((uint32_t)random, view->count - 1);
    const struct group_member *a = &view->members[first];
    const struct group_member *b = &view->members[second + (second >= first)];
    /* The silent are longer than any. */
    uint32_t longer = member_lives(a, now) ? load_of(a) : UINT32_MAX;
    uint32_t other = member_lives(b, now) ? load_of(b) : UINT32_MAX;

    if (__builtin_expect((longer & other & LOAD_ENDED) == LOAD_ENDED, 0))
        return NULL;
    /* A branch: most often neither has anything to do, and nobody waits for loads to compare. */
    return longer <= other ? a : b;
}

static NOINLINE const struct group_member *
pick_shorter(const struct group_view *view, proa_ns now, struct route_turn *turn)
{
    for (uint32_t i = 0; i < TRIES && view->count > 1; i++) {
        const struct group_member *member = shorter(view, now, turn);

        if (member != NULL)
            return member;
    }
    return scan(view, below((uint32_t)(next_random(turn) >> 32), view->count), now);
}

/* The reader's place in this group's round. */
static uint32_t *place_of(const struct group *group, struct route_turn *turn)
{
    struct route_place *set = turn->places[group->index % ROUTE_SETS], found;
    uint32_t way = 0;

    while (way + 1 < ROUTE_WAYS && set[way].group != group->key.high)
        way++;
    found = set[way];
    if (found.group != group->key.high)
        found =
            (struct route_place){group->key.high, (uint32_t)(next_random(turn) >> 32)};
    for (; way > 0; way--)
        set[way] = set[way - 1];
    set[0] = found;
    return &set[0].at;
}

static NOINLINE const struct group_member *pick_next(const struct group_view *view,
                                                     proa_ns now, uint32_t *place)
{
    uint32_t from = *place < view->count ? *place : below(*place, view->count);
    const struct group_member *member = scan(view, from, now);

    if (member != NULL)
        *place = (uint32_t)(member - view->members) + 1;
    if (*place == view->count)
        *place = 0;
    return member;
}

static NOINLINE const struct group_member *pick_idle(const struct group_view *view,
                                                     proa_ns now, uint32_t *place)
{
    const struct group_member *best = NULL, *first = NULL;
    uint32_t at = *place < view->count ? *place : below(*place, view->count);

    for (uint32_t looks = 0; looks < IDLE_LOOKS; looks++) {
        const struct group_member *member = scan(view, at, now);

        if (member == NULL || member == first)
            break;
        if (first == NULL)
            first = member;
        at = (uint32_t)(member - view->members) + 1;
        at = at == view->count ? 0 : at;
        if (best == NULL || load_of(member) < load_of(best))
            best = member;
        if (load_of(best) == 0)
            break;
    }
    *place = at;
    return best;
}

/* ---- By key ---- */

/* The first point at or behind a position, from the first of its bucket on; past the last one there
   is the end of the ring. */
static inline uint32_t point_behind(const struct group_view *view, uint64_t position,
                                    uint32_t at)
{
    uint32_t end;

    for (uint32_t n = 0; n < BUCKET_SCAN; n++, at++)
        if (view->points[at] >= position)
            return at;
    /* Only where somebody chose its slots so. */
    end = view->guide[(position >> (64 - view->guide_bits)) + 1];
    while (at < end) {
        uint32_t middle = at + (end - at) / 2;

        if (view->points[middle] < position)
            at = middle + 1;
        else
            end = middle;
    }
    return at;
}

static inline uint64_t position_of(uint64_t key, uint32_t probe)
{
    return mix64(key + probe * MIX_STEP) & ~POINT_INDEX_MASK;
}

struct nearest {
    const struct group_member *member; /* NULL: none yet */
    uint64_t distance, point;
    uint32_t passed; /* points of silent nodes */
};

/* Of two as near the one with the lower point, in whatever order they are met. */
static inline bool is_nearer(const struct nearest *best, uint64_t distance,
                             uint64_t point)
{
    return best->member == NULL || distance < best->distance ||
           (distance == best->distance && point < best->point);
}

/* Is there a living member behind position, nearer than what was found? */
static inline bool probe_once(const struct group_view *view, uint64_t position,
                              uint32_t at, proa_ns now, struct nearest *best)
{
    uint32_t count = view->count * GROUP_POINTS;

    for (uint32_t n = 0; n < count; n++) {
        uint64_t point, distance;
        const struct group_member *member;

        if (at == count)
            at = 0;
        point = view->points[at++];
        distance = (point & ~POINT_INDEX_MASK) - position;
        if (!is_nearer(best, distance, point))
            return true;
        member = &view->members[point & POINT_INDEX_MASK];
        if (may_pick(member, now)) {
            best->member = member;
            best->distance = distance;
            best->point = point;
            return true;
        }
        if (best->passed++ >= PASSED_MAX)
            return false;
    }
    return true;
}

/* The same of node k's points only. */
static void probe_node(const struct group_view *view, uint32_t k, uint64_t position,
                       proa_ns now, struct nearest *best)
{
    uint32_t first = view->nodes[k].first * GROUP_POINTS;
    uint32_t count = view->nodes[k + 1].first * GROUP_POINTS - first, at = 0, end = count;
    const uint32_t *own = view->points_by_node + first;

    while (at < end) {
        uint32_t middle = at + (end - at) / 2;

        if (view->points[own[middle]] < position)
            at = middle + 1;
        else
            end = middle;
    }
    for (uint32_t n = 0; n < count && n < ENDED_MAX; n++, at++) {
        uint64_t point, distance;

        at = at == count ? 0 : at;
        point = view->points[own[at]];
        distance = (point & ~POINT_INDEX_MASK) - position;
        if (!is_nearer(best, distance, point))
            return;
        if (may_pick(&view->members[point & POINT_INDEX_MASK], now)) {
            best->member = &view->members[point & POINT_INDEX_MASK];
            best->distance = distance;
            best->point = point;
            return;
        }
    }
}

/* The same as probe_once for each probe, when most members are silent. */
static const struct group_member *probe_nodes(const struct group_view *view,
                                              const uint64_t positions[GROUP_PROBES],
                                              proa_ns now)
{
    struct nearest best = {NULL, 0, 0, 0};

    for (uint32_t k = 0; k < view->node_count; k++)
        if (node_lives(view->nodes[k].node, now))
            for (uint32_t i = 0; i < GROUP_PROBES; i++)
                probe_node(view, k, positions[i], now, &best);
    return best.member;
}

static NOINLINE const struct group_member *pick_by_key(const struct group_view *view,
                                                       uint64_t key, proa_ns now)
{
    struct nearest best = {NULL, 0, 0, 0};
    uint64_t positions[GROUP_PROBES];
    uint32_t at[GROUP_PROBES];

    key = mix64(key);
    /* The misses of a large ring side by side: first of the guide, then of the points. */
    for (uint32_t i = 0; i < GROUP_PROBES; i++) {
        positions[i] = position_of(key, i);
        at[i] = view->guide[positions[i] >> (64 - view->guide_bits)];
        __builtin_prefetch(&view->points[at[i]]);
    }
    for (uint32_t i = 0; i < GROUP_PROBES; i++)
        if (!probe_once(view, positions[i], point_behind(view, positions[i], at[i]), now,
                        &best))
            return probe_nodes(view, positions, now);
    return best.member;
}

/* ---- directory_route ---- */

/* Loads of other nodes' members are asked for while somebody picks by them. */
static inline void want_loads(struct directory *dir, struct group *group,
                              const struct group_view *view)
{
    /* relaxed throughout: a hint. */
    if (atomic_load_explicit(&group->wanted, memory_order_relaxed) != 0 ||
        view->locals == view->count)
        return;
    atomic_store_explicit(&group->wanted, 1, memory_order_relaxed);
    atomic_fetch_or_explicit(&dir->groups.wanted[group->index / 64],
                             UINT64_C(1) << group->index % 64, memory_order_relaxed);
}

static inline enum proa_outcome give(const struct group_member *member,
                                     struct proa_ref *ret_ref)
{
    load_add(member);
    *ret_ref = member_ref(member);
    return PROA_OK;
}

static const struct group_view *view_of(const struct group *group)
{
    /* G2 acquire, pairs with G1: the view has been written. */
    return atomic_load_explicit(&group->view, memory_order_acquire);
}

static NOINLINE enum proa_outcome route_in(struct directory *dir, struct group *group,
                                           enum proa_policy policy, uint64_t key,
                                           proa_ns now, struct route_turn *turn,
                                           struct proa_ref *ret_ref)
{
    const struct group_view *view = view_of(group);
    const struct group_member *member;

    if (view == NULL)
        return group_absent(dir, group, now);
    if (policy == PROA_ROUTE_LEAST_LOADED || policy == PROA_ROUTE_IDLE_FIRST)
        want_loads(dir, group, view);
    switch (policy) {
    case PROA_ROUTE_LEAST_LOADED:
        member = pick_shorter(view, now, turn);
        break;
    case PROA_ROUTE_IDLE_FIRST:
        member = pick_idle(view, now, place_of(group, turn));
        break;
    case PROA_ROUTE_ROUND_ROBIN:
        member = pick_next(view, now, place_of(group, turn));
        break;
    case PROA_ROUTE_HASH:
        member = pick_by_key(view, key, now);
        break;
    case PROA_ROUTE_PREFER_LOCAL:
        member = pick_local(view, now, turn);
        break;
    default:
        member = pick_random(view, now, turn);
        break;
    }
    return member != NULL ? give(member, ret_ref) : PROA_UNKNOWN;
}

/* Where a reader remembers the group of this name, if it does. */
static inline struct route_known *known_of(struct route_turn *turn, const char *name,
                                           size_t len)
{
    uint32_t at = (uint8_t)name[len - 1] + (uint8_t)name[len / 2] * 3u + (uint32_t)len;

    return &turn->known[at % ROUTE_KNOWN];
}

static NOINLINE enum proa_outcome
route_new(struct directory *dir, const char *name, size_t len, enum proa_policy policy,
          uint64_t key, proa_ns now, struct route_turn *turn, struct proa_ref *ret_ref)
{
    /* G9 acquire, pairs with G8, and before the search: a group that is found then has its removal
       yet to be counted. */
    uint64_t removals = atomic_load_explicit(&dir->groups.removals, memory_order_acquire);
    struct group *group = group_find(dir, name, len);

    if (group == NULL)
        return group_absent(dir, NULL, now);
    *known_of(turn, name, len) = (struct route_known){group, removals};
    return route_in(dir, group, policy, key, now, turn, ret_ref);
}

typedef uint64_t pair __attribute__((vector_size(16)));

static inline pair pair_at(const char *name)
{
    pair words;

    memcpy(&words, name, sizeof(words));
    return words;
}

/* In steps of 16 bytes, the last of which may look at some again.  memcmp would be a call, and
   registers to save before it. */
static inline bool name_equal(const char *a, const char *b, size_t len)
{
    pair differ = {0, 0};

    if (len < sizeof(pair)) {
        while (len > 0 && a[len - 1] == b[len - 1])
            len--;
        return len == 0;
    }
    for (size_t at = 0; at + sizeof(pair) < len; at += sizeof(pair))
        differ |= pair_at(a + at) ^ pair_at(b + at);
    differ |= pair_at(a + len - sizeof(pair)) ^ pair_at(b + len - sizeof(pair));
    return (differ[0] | differ[1]) == 0;
}

/* Comparing a name with that of the group it meant before costs half of hashing it, and the usual
   case of the usual policy calls nothing: perf/bench_route.

   A remembered group that was removed may be freed once this reader has been quiescent or offline;
   in either case the reader then sees the removal counted: qsbr.h, R2 and R3. */
enum proa_outcome directory_route(struct directory *dir, const char *name, size_t len,
                                  enum proa_policy policy, uint64_t key, proa_ns now,
                                  struct route_turn *turn, struct proa_ref *ret_ref)
{
    const struct group_member *member;
    const struct group_view *view;
    const struct route_known *known;
    struct group *group;

    if (len - 1 >= PROA_NAME_MAX)
        return PROA_UNKNOWN;
    known = known_of(turn, name, len);
    group = known->group;
    /* relaxed: see above. */
    if (__builtin_expect(
            group == NULL ||
                known->removals !=
                    atomic_load_explicit(&dir->groups.removals, memory_order_relaxed) ||
                group->len != len || !name_equal(group->name, name, len),
            0))
        return route_new(dir, name, len, policy, key, now, turn, ret_ref);
    group_mark_read(group);
    view = view_of(group);
    if (policy != PROA_ROUTE_LEAST_LOADED || view == NULL || view->count == 1)
        return route_in(dir, group, policy, key, now, turn, ret_ref);
    want_loads(dir, group, view);
    member = shorter(view, now, turn);
    if (__builtin_expect(member == NULL, 0))
        return route_in(dir, group, policy, key, now, turn, ret_ref);
    return give(member, ret_ref);
}
