/* SPDX-License-Identifier: Apache-2.0 */
/* directory_group_impl.h - what the files of the directory's groups share; part of
   directory_impl.h.

   Two sides.  Readers know a table of pointers to groups, each group's view, and a view's members.
   The writer knows every membership by (group, reference), those of a group in the order of its
   published view with what has been added since, and those of a node in a chain.

   A key's member (PROA_ROUTE_HASH) is found by multi-probe consistent hashing (Appleton, O'Reilly,
   "Multi-probe consistent hashing", 2015): a key has GROUP_PROBES positions on a ring on which a
   member has points, and goes to the member of the point that lies next behind one of them.  With one
   point a member, as in the paper, one pair of members in thirty shares keys worse than 3 to 1, since
   their points lie too close; with GROUP_POINTS the largest share of n stays below 1.5/n for small n
   too.

   When many nodes are silent, a pick does not look at their members one by one: a view knows which
   members and points each node has, in order, so that the next one of each living node is a binary
   search.

   A view is read until its readers have been quiescent, and with it the node records its members
   point at: node_owner.in_views counts these, and the record of a forgotten node is retired with the
   last view that has it.  Load words are never unmapped, and used again when the last view that has
   them was freed: nobody adds to one then.

   Threads: readers touch what is marked so; all else is the writer's.  Units: members.
   Errors:  as stated. */
#ifndef DIRECTORY_GROUP_IMPL_H
#define DIRECTORY_GROUP_IMPL_H

#include <stdalign.h>

#include "directory_group.h"
#include "mix.h"

#define GROUP_PROBES 21u
#define GROUP_POINTS 4u /* of each member */

#define GROUP_TABLE_SLOTS (2u * DIRECTORY_GROUPS_MAX)
#define GROUP_GONE ((struct group *)1) /* a slot of the table whose group was removed */

/* A point of the ring: position in the upper bits, index of the member below. */
#define POINT_INDEX_BITS 21u
#define POINT_INDEX_MASK ((UINT64_C(1) << POINT_INDEX_BITS) - 1)
#define POINT_END UINT64_MAX /* behind the last one */
_Static_assert(DIRECTORY_MEMBERS_MAX <= 1u << POINT_INDEX_BITS, "an index fits a point");

/* The hash of a name, of an actor or a group. */
struct name_key {
    uint64_t low, high;
};

/* ---- What readers read ---- */

struct group_member {
    const struct directory_node *node;
    _Atomic uint16_t *load;
    uint32_t slot, generation;
    uint32_t type;
    uint32_t local; /* 1: of this node; its load is its lane's to write */
};

_Static_assert(sizeof(struct group_member) == 32, "two members in a cache line");

/* A node that members of a view are of: where these begin in by_node, and their points in
   points_by_node, GROUP_POINTS times as far. */
struct view_node {
    const struct directory_node *node;
    uint32_t first;
    uint32_t next; /* the writer's, while it makes the view */
};

/* Constant once published. */
struct group_view {
    uint64_t version;
    uint32_t count;           /* of members, at least 1 */
    uint32_t locals;          /* of these, of this node */
    uint64_t *points;         /* GROUP_POINTS * count, sorted, and POINT_END */
    uint32_t *guide;          /* first point of each bucket, and one past the last */
    struct view_node *nodes;  /* node_count, and one that ends the last */
    uint32_t *by_node;        /* indices of members, node by node, ascending in each */
    uint32_t *points_by_node; /* indices of points, likewise */
    const uint32_t *local;    /* indices of the local ones: part of by_node */
    uint32_t node_count;
    uint32_t guide_bits;     /* a point's bucket is its upper bits */
    uint32_t units;          /* what it counts for while it waits for readers */
    struct group_view *next; /* in a batch */

    alignas(PROA_CACHE_LINE) struct group_member members[];
};

struct membership;

struct group {
    /* Constant once in the table. */
    alignas(PROA_CACHE_LINE) struct name_key key;
    uint64_t base; /* the version of nothing: changes of this group are later ones */
    uint32_t index;
    uint32_t len;

    /* Written by the writer, read by readers. */
    _Atomic(struct group_view *) view; /* NULL: none yet */
    _Atomic uint64_t absent_until;

    /* Set by readers, cleared by the writer. */
    _Atomic uint32_t read;   /* somebody looked */
    _Atomic uint32_t wanted; /* somebody picked by load; in the bitmap, too */

    /* The writer's. */
    alignas(PROA_CACHE_LINE) uint64_t version;
    uint32_t count;            /* members */
    uint32_t far;              /* of these, of other nodes */
    struct membership **seen;  /* in the order of the view; marked: has left (seen_at) */
    struct membership **added; /* since; in no order */
    uint32_t seen_count, added_count, added_max;
    uint32_t dirty;            /* enum group_dirty */
    bool rebound;              /* a load word of a member of the view has changed */
    struct group *prev, *next; /* among the dirty, or in a batch */
    struct group *absent_prev, *absent_next; /* among those known to be absent */
    bool absent;
    char name[];
};

/* ---- The writer's ---- */

enum group_dirty { GROUP_CLEAN, GROUP_DIRTY_SMALL, GROUP_DIRTY_LARGE };

enum membership_state {
    MEMBERSHIP_ADDED, /* at: in group.added */
    MEMBERSHIP_SEEN,  /* in group.seen */
};

struct membership {
    struct proa_ref ref;
    uint64_t point; /* order in views */
    struct group *group;
    struct membership *chain;       /* in the table; later in a batch */
    struct membership *prev, *next; /* of its node */
    _Atomic uint16_t *load;
    uint32_t word; /* of it; WORD_NONE: not the directory's */
    uint32_t type;
    uint32_t node;
    uint32_t at;
    uint32_t hash;
    uint32_t state; /* enum membership_state */
};

struct group_list {
    struct group *first, *last;
};

#define WORD_NONE UINT32_MAX
#define WORD_CHUNK 4096u
/* Those of members that left wait with old views. */
#define WORD_CHUNKS (2u * DIRECTORY_MEMBERS_MAX / WORD_CHUNK)

/* The load words of other nodes' members. */
struct load_words {
    _Atomic uint16_t *chunks[WORD_CHUNKS]; /* WORD_CHUNK each, made when needed */
    uint32_t *free;                        /* numbers given back; room for all made */
    uint32_t free_count, made;
};

struct lane_loads {
    _Atomic uint16_t *words;
    uint32_t slots;
};

struct directory_groups {
    /* Constant after create. */
    _Atomic(struct group *) *table; /* GROUP_TABLE_SLOTS */

    /* Written by the writer, read by readers. */
    _Atomic uint64_t floor;    /* the version of groups that are not in the table */
    _Atomic uint64_t removals; /* groups ever taken out of the table, counted after it */

    /* Set by readers, cleared by the writer: bit per group. */
    alignas(PROA_CACHE_LINE) _Atomic uint64_t wanted[DIRECTORY_GROUPS_MAX / 64];

    /* The writer's. */
    alignas(PROA_CACHE_LINE) uint64_t version; /* of the latest change of any group */
    uint64_t self;
    struct group **by_index; /* DIRECTORY_GROUPS_MAX */
    uint32_t *free_index;    /* indices given back */
    uint32_t free_count, next_index;
    struct membership **heads; /* the memberships, by hash */
    uint32_t head_mask;
    struct load_words words;
    struct lane_loads lanes[PROA_LANES_MAX];
    _Atomic uint16_t nothing; /* the load of a local member whose lane is not given yet */
    struct group_list small, large; /* dirty */
    struct group *absent_first, *absent_last;
    uint32_t absent_count;
    proa_ns large_at;   /* the next large view is due */
    uint64_t old_units; /* of views that wait for readers */
    struct directory_group_stats stats;
};

struct directory;
struct batch;

/* ---- directory_group.c ---- */

bool groups_init(
    struct directory *dir); /* false: no memory; groups_fini is to be called */
void groups_fini(struct directory *dir);

/* group_get finds a group, group_make makes it if it is not there.  NULL: a name that none can
   have; not there; no room, or another name has the same hash. */
struct group *group_get(const struct directory *dir, const char *name, size_t len);
struct group *group_make(struct directory *dir, const char *name, size_t len);
/* group_remove takes a group without members out of the table and retires it. */
void group_remove(struct directory *dir, struct group *group);
void group_present(struct directory *dir, struct group *group); /* no longer absent */
void groups_expire(struct directory *dir, proa_ns now); /* forgets some absent ones */
void groups_free_batch(struct directory *dir, struct batch *batch);

/* ---- directory_group_member.c ---- */

/* memberships_order is the order of views: < 0, 0, > 0. */
int memberships_order(const struct membership *x, const struct membership *y);
/* seen_from is the first of group.seen that is not before m. */
uint32_t seen_from(const struct group *group, const struct membership *m);

static inline struct membership *seen_at(const struct group *group, uint32_t at)
{
    return (struct membership *)((uintptr_t)group->seen[at] & ~(uintptr_t)1);
}

static inline bool seen_left(const struct group *group, uint32_t at)
{
    return ((uintptr_t)group->seen[at] & 1) != 0;
}

/* memberships_forget ends all memberships of a node. */
void memberships_forget(struct directory *dir, uint32_t node);
/* membership_free gives its memory and load word back; it is in no table, chain, group or view. */
void membership_free(struct directory *dir, struct membership *m);

/* ---- directory_group_view.c ---- */

/* group_touch has a new view of group made at the next publish. */
void group_touch(struct directory *dir, struct group *group);
/* group_untouch: none is needed any more. */
void group_untouch(struct directory *dir, struct group *group);
/* view_retire has a view freed once its readers were quiescent; NULL is fine. */
void view_retire(struct directory *dir, struct group_view *view);
/* group_end removes a group whose last member has left. */
void group_end(struct directory *dir, struct group *group);

/* ---- directory_group_points.c ---- */

/* What a view was made from. */
struct points_from {
    struct group_view *old; /* NULL: there was none */
    uint32_t *now;          /* of each member of old its index, or POINTS_GONE */
    uint32_t *added;        /* indices of those that old did not have */
    uint32_t added_count;
};

#define POINTS_GONE UINT32_MAX

/* nodes_set makes nodes and what is sorted by them, after points_set.  number_of: room for a number
   of each member. */
void nodes_set(struct directory *dir, struct group_view *view, uint32_t *number_of);

/* points_set makes points and guide of a view whose members are set. */
void points_set(struct group_view *view, const struct points_from *from);

/* A position of a member on the ring: the same on every node, in every life of its actor.
   node_mixed: mix64 of its node. */
static inline uint64_t member_point(uint64_t node_mixed, uint32_t slot, uint32_t which)
{
    return mix64(node_mixed ^ ((uint64_t)which << 32 | slot));
}

/* ---- directory_group_read.c ---- */

/* group_find is the group a reader looks for, marked as read, or NULL. */
struct group *group_find(const struct directory *dir, const char *name, size_t len);
enum proa_outcome group_absent(const struct directory *dir, const struct group *group,
                               proa_ns now);

static inline void group_mark_read(struct group *group)
{
    /* relaxed: a hint; written once between two questions of the writer. */
    if (atomic_load_explicit(&group->read, memory_order_relaxed) == 0)
        atomic_store_explicit(&group->read, 1, memory_order_relaxed);
}

static inline bool node_lives(const struct directory_node *node, proa_ns now)
{
    /* relaxed: a moment, nothing is read by it. */
    return now < atomic_load_explicit(&node->heard_until, memory_order_relaxed);
}

static inline bool member_lives(const struct group_member *member, proa_ns now)
{
    return node_lives(member->node, now);
}

static inline struct proa_ref member_ref(const struct group_member *member)
{
    return (struct proa_ref){member->node->id, member->slot, member->generation};
}

#endif
