/* SPDX-License-Identifier: Apache-2.0 */
/* directory_group.h - the directory's groups: who is a member, and picking one.

   Part of directory.h: one writer, the control thread; readers are lanes and clients, online, and
   wait for nothing.  A group's members are read through a view: an array that does not change once
   it is published, sorted by a hash of each member's node and slot, so that a key's member is the
   same on every node.  The writer changes its own list and publishes a new view of a changed group
   at its next directory_groups_publish, at once for a small group and at most every so often for a
   large one (DIRECTORY_VIEW_SHARE of the control thread's time).  Old views are freed by quiescence,
   as tables are.

   A member's load is one word.  That of an actor here lies in its lane's array, which the lane
   writes; that of another node's is the directory's: the control thread writes what was reported, and
   whoever picks the member adds one.  Words may be read by an old view until its readers have been
   quiescent: a lane's array outlives them.

     G1 store-release view   ->  G2 load-acquire view    a view is written before it is read
     G3 store-release table  ->  G4 load-acquire table   a group is made before it is found
     G5 store-release floor  ->  G6 load-acquire floor   all groups made before it are found
     G7 store-release GONE   ->  G4 load-acquire table   who misses a removed group sees its floor
     G8 store-release        ->  G9 load-acquire         who sees a removal counted does not find
        removals                 removals                that group any more

   Threads: functions say who.  Units: proa_ns; lengths in bytes.
   Errors:  enum proa_outcome for reads; 0 or nothing for bounded writes, which are counted.
   Bounds:  DIRECTORY_GROUPS_MAX groups, of which DIRECTORY_ABSENT_SHARE may be absent ones (the
            oldest makes room); DIRECTORY_MEMBERS_MAX memberships in all of them.  While a reader is
            stuck no views are made once old ones of a million members, and of twice as many as
            there are, wait for it.
   Memory:  about 230 bytes a membership, 110 of them in the view, and these once more while an old
            view waits for its readers, with them those who left; 800 bytes a group with one
            member. */
#ifndef DIRECTORY_GROUP_H
#define DIRECTORY_GROUP_H

#include <proa/group.h>

#include "directory.h"

#define DIRECTORY_GROUPS_MAX 65536
#define DIRECTORY_MEMBERS_MAX                                                            \
    (1u << 21)                 /* entries_max of the mesh and own ones, doubled */
#define DIRECTORY_VIEW_SHARE 8 /* views take at most 1/8 of the time */

#define LOAD_ENDED                                                                       \
    UINT16_MAX /* of a member of this node: it has ended, nobody picks it */

/* ---- Readers: online ---- */

#define ROUTE_KNOWN 16 /* groups that a reader finds without hashing their names */
/* A reader remembers where it is in the rounds of the ROUTE_WAYS groups of a set that it asked for
   last; a group's index says which set is its own. */
#define ROUTE_SETS 16
#define ROUTE_WAYS 4

/* What a reader's picks remember: its own, one a lane or client; zeroed at first, random set to
   anything, else for each reader. */
struct route_turn {
    uint64_t random; /* where its random numbers begin */
    struct route_known {
        struct group
            *group; /* while no group was removed since, so that it is there still */
        uint64_t removals;
    } known[ROUTE_KNOWN];
    struct route_place {
        uint64_t group;               /* of the group's hash */
        uint32_t at;                  /* the member whose turn is next */
    } places[ROUTE_SETS][ROUTE_WAYS]; /* the latest first; another group takes the last */
};

/* directory_route picks a living member: proa_route (group.h).  OK, NOT_FOUND, UNKNOWN.  A member of
   this node that has ended (LOAD_ENDED) is passed over, though some hundreds of them in a row, until
   the next view, may hide who of this node comes behind them.  O(1); while many nodes are silent,
   O(nodes that the group's members are of). */
enum proa_outcome directory_route(struct directory *dir, const char *group, size_t len,
                                  enum proa_policy policy, uint64_t key, proa_ns now,
                                  struct route_turn *turn, struct proa_ref *ret_ref);

/* directory_members copies members: proa_lookup_all.  type 0: any.  OK, NOT_FOUND, UNKNOWN,
   WRONG_TYPE.  *ret (may be NULL) is set in all cases: a group that is not here has the version of
   the latest change of any group when one was last removed, or a later one.  A reader's versions of
   a group never go back, but for UNKNOWN with version 0: groups were removed during each of 64
   searches, ask again.  O(members), but O(1) for all of any type, without room for them. */
enum proa_outcome directory_members(const struct directory *dir, const char *group,
                                    size_t len, uint32_t type, unsigned flags,
                                    proa_ns now, struct proa_ref *refs, uint32_t max,
                                    struct proa_members *ret);

/* directory_each_member calls fn for each living member (for multicast): local says whether it
   is of this node.  Returns how many; *ret_outcome as directory_members. */
uint32_t directory_each_member(const struct directory *dir, const char *group, size_t len,
                               proa_ns now,
                               void (*fn)(void *ctx, struct proa_ref ref, bool local),
                               void *ctx, enum proa_outcome *ret_outcome);

/* ---- Writer: the control thread ---- */

/* directory_self says, before anybody joins, which node is this one: its members are local.
   directory_lane_loads says where their loads are: in words, one a slot index of that lane, slots of
   them (sched_loads), at any time; until then, and past the last one, they count as idle. */
void directory_self(struct directory *dir, uint64_t node);
void directory_lane_loads(struct directory *dir, unsigned lane, _Atomic uint16_t *words,
                          uint32_t slots);

/* Versions come from one counter for all groups: a group's grow, also past its end and next
   beginning, but not by one.

   directory_join adds a member, directory_leave removes it; both return the group's new version, 0
   when nothing changed (it was, or was not, a member; its node was not added; a bound is reached:
   counted).  The same ref in a group once.  directory_rejoin replaces old by ref, one life by the
   next, as one change of two versions (LEFT, JOINED), of which it returns the second. */
uint64_t directory_join(struct directory *dir, const char *group, size_t len,
                        struct proa_ref ref, uint32_t type);
uint64_t directory_leave(struct directory *dir, const char *group, size_t len,
                         struct proa_ref ref);
uint64_t directory_rejoin(struct directory *dir, const char *group, size_t len,
                          struct proa_ref old, struct proa_ref ref, uint32_t type);

/* directory_groups_publish publishes views that are due, and returns when the next one is.  Call at
   the end of each step. directory_group_version is the version of the published view: changes up to
   it are seen by readers. */
proa_ns directory_groups_publish(struct directory *dir, proa_ns now);
uint64_t directory_group_version(const struct directory *dir, const char *group,
                                 size_t len);
/* directory_group_changed is the version of the writer's list: its last change, published or not.
   Both say of a group that is not here what directory_members says. */
uint64_t directory_group_changed(const struct directory *dir, const char *group,
                                 size_t len);

/* directory_complete: a name or group that is not here is NOT_FOUND (true) or UNKNOWN (false). */
void directory_complete(struct directory *dir, bool complete);
/* directory_group_absent: the same for one group, known to have no members until `until`; kept until
   then, or until it has one. */
void directory_group_absent(struct directory *dir, const char *group, size_t len,
                            proa_ns until);

/* Loads.  directory_load says what a member of another node has in its mailbox.
   directory_loads_wanted calls fn for each group of which somebody picked by load since the last
   call, and has members on other nodes. */
void directory_load(struct directory *dir, const char *group, size_t len,
                    struct proa_ref ref, uint16_t load);
void directory_loads_wanted(struct directory *dir,
                            void (*fn)(void *ctx, const char *group, size_t len),
                            void *ctx);

/* directory_group_read tells whether a reader has looked at the group since the last call about it:
   who fetches it from afar goes on as long as it is read. */
bool directory_group_read(struct directory *dir, const char *group, size_t len);

/* directory_each_group calls fn for each group, directory_each_in_group for each of its members (ls,
   telemetry); both stop on false. */
void directory_each_group(const struct directory *dir,
                          bool (*fn)(void *ctx, const char *group, size_t len,
                                     uint32_t members, uint64_t version),
                          void *ctx);
void directory_each_in_group(const struct directory *dir, const char *group, size_t len,
                             proa_ns now,
                             bool (*fn)(void *ctx, struct proa_ref ref, uint32_t type,
                                        bool reachable, uint16_t load),
                             void *ctx);

struct directory_group_stats {
    uint64_t groups, members; /* now */
    uint64_t views, copied;   /* published; members copied for it */
    uint64_t full, no_node;   /* refused */
    uint64_t pending;         /* old views that wait for readers */
};
void directory_group_stats(const struct directory *dir,
                           struct directory_group_stats *ret);

#endif
