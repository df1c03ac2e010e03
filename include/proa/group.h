/* SPDX-License-Identifier: Apache-2.0 */
/* group.h - actors of one kind, wherever they run: joining, finding, watching, picking one.

   A group is a name with any number of members, on any nodes.  Group names and the names of
   registry.h do not meet: one word may be both.  A behaviour with `published` has each of its
   actors join the group "type:" followed by its type name when start has returned, and leave it at
   the end; names that begin so are proa's and refused in proa_join.

   Every node of a cluster up to `mesh.nodes_max` (256 unless configured) knows all members of all
   groups: finding or picking one is a read of shared memory.  A member counts while its node was
   heard within the last 10 s.  Membership goes with the actor: it ends with it and goes on
   with its next life after a restart.

   Threads: as actor.h: inside callbacks of self.  Ordinary threads: client.h.
   Units:   counts; names are 1..PROA_NAME_MAX bytes of UTF-8 without NUL.
   Errors:  enum proa_outcome, listed at each function.
   Order:   each node sees the changes of one node in the order they were made; changes of
            different nodes have no order.  Who joins and leaves within a millisecond may never
            be seen on other nodes, two restarts within it as one. */
#ifndef PROA_GROUP_H
#define PROA_GROUP_H

#include <proa/registry.h>

#ifdef __cplusplus
extern "C" {
#endif

#define PROA_GROUP_TYPE "type:" /* + type name: the group of a published behaviour */

/* ---- Joining ---- */

/* proa_join makes self a member of group.  It is visible on this node when `then` (may be NULL) is
   called, microseconds later, and on the others one way later.  Joining twice is one membership.
   At once: OK; INVALID (also a group of PROA_GROUP_TYPE); AGAIN; LIMIT (registry calls under way
   of this lane); STOPPED (in stop, or the node leaves).  then runs once with OK{ref: self}; LIMIT:
   the node publishes `mesh.published_max` names and memberships already (event PUBLISH_LIMIT); or
   UNKNOWN: no answer within 5 s, self may be a member: leave, or join again. */
PROA_API enum proa_outcome proa_join(struct proa_actor *self, const char *group,
                                     proa_named then, const void *ctx, size_t ctx_len);

/* proa_leave ends it.  OK, also when self is no member; INVALID (as proa_join), AGAIN. */
PROA_API enum proa_outcome proa_leave(struct proa_actor *self, const char *group);

/* ---- Finding ---- */

#define PROA_ALL_UNREACHABLE 0x01u /* members whose node was not heard from lately, too */

struct proa_members {
    uint32_t count;   /* of those asked for; may be more than fit */
    uint64_t version; /* of the group on this node: grows with each change it has seen */
};

/* proa_lookup_all copies up to max references of group's members; behaviour (may be NULL): only
   its actors; flags: PROA_ALL_.  Wait-free.  *ret (may be NULL) is set in all cases.
   OK: there is one at least.  NOT_FOUND: known to have none.  UNKNOWN: nobody asked yet, or all
   were not heard from lately: proa_find_group; with version 0, for once, none of what this reader
   knew is void: groups went faster than it could look, ask again.  WRONG_TYPE: members, but none of that behaviour.
   INVALID. */
PROA_API enum proa_outcome proa_lookup_all(struct proa_actor *self, const char *group,
                                           const struct proa_behaviour *behaviour,
                                           unsigned flags, struct proa_ref *refs,
                                           uint32_t max, struct proa_members *ret);

/* proa_find_group sees to it that this node knows group's members, asking the cluster where it must
   (more nodes than the mesh links), for as long as anybody here reads the group and 30 s more.
   then runs once: OK, NOT_FOUND, UNKNOWN (no answer in time), NOT_JOINED; its ref is any member. */
PROA_API enum proa_outcome proa_find_group(struct proa_actor *self, const char *group,
                                           proa_ns deadline, proa_named then,
                                           const void *ctx, size_t ctx_len);

/* ---- Watching ---- */

enum proa_watch_what {
    PROA_WATCH_NAME,  /* a name of registry.h: no holder or one */
    PROA_WATCH_GROUP, /* the members of a group */
    PROA_WATCH_ALL,   /* every change of every name and group this node hears of */
};

/* One watch of this actor, kept by value. */
struct proa_watching {
    uint32_t index;
    uint32_t serial; /* 0 in a watch that was never made */
};

enum proa_change_kind {
    PROA_CHANGE_SET, /* refs[count] is all of it now; what was told before is void.  Members of
                            silent nodes are in it.  ALL: name is "", and some changes were
                            missed */
    PROA_CHANGE_JOINED, /* ref is a member, or holds the name */
    PROA_CHANGE_LEFT,   /* ref left, stopped, lost the name, or its node is gone */
};

/* What PROA_SIGNAL_CHANGED brings (proa_signal.change). */
struct proa_change {
    enum proa_change_kind kind;
    bool is_group;
    const char *name; /* during the call */
    struct proa_watching watching;
    uint64_t
        version; /* as in proa_members; grows with each change told of one name or group */
    struct proa_ref ref;         /* JOINED, LEFT */
    uint32_t count;              /* SET */
    const struct proa_ref *refs; /* SET: during the call */
};

/* proa_watch tells self, by PROA_SIGNAL_CHANGED, first the current SET (ALL: none) and then every
   change, each once and in order, until proa_unwatch or self's end (a restart too).  When self, or its
   lane, does not keep up, the changes it missed are replaced by one new SET; 1,024 of one watch are
   kept, as long as those of the lane's watches hold no more than 1/8 of its memory for messages.  A
   restarted member is a LEFT and a JOINED.
   OK, INVALID, AGAIN, LIMIT (PROA_WATCHES_MAX of this lane), STOPPED (in stop). */
#define PROA_WATCHES_MAX 4096
PROA_API enum proa_outcome proa_watch(struct proa_actor *self, enum proa_watch_what what,
                                      const char *name,
                                      struct proa_watching *ret_watching);

/* No change of it is told after this has returned.  False when it was none. */
PROA_API bool proa_unwatch(struct proa_actor *self, struct proa_watching watching);

/* ---- Picking one ---- */

enum proa_policy {
    PROA_ROUTE_RANDOM,
    PROA_ROUTE_ROUND_ROBIN, /* in turn, of this lane's picks; a lane that does so in more than
                                four groups may begin the round of one anew */
    PROA_ROUTE_LEAST_LOADED, /* the shorter mailbox of two taken at random */
    PROA_ROUTE_HASH, /* the same member for the same key, on every node that knows the same
                                members; when one of n leaves, only the keys it had move, at most
                                1.5/n of all */
    PROA_ROUTE_PREFER_LOCAL, /* a member of this node at random, any when there is none */
    PROA_ROUTE_IDLE_FIRST,   /* in turn, one whose mailbox is empty; if none of 16 is, the
                                shortest of these */
};

/* proa_route picks one living member of group.  Mailboxes of this node are known as they are, those
   of others as they were some milliseconds ago, plus the picks made here since.  No message is sent
   and nothing is allocated.  key: of PROA_ROUTE_HASH.
   OK; NOT_FOUND: known to have no member; UNKNOWN: as proa_lookup_all; INVALID. */
PROA_API enum proa_outcome proa_route(struct proa_actor *self, const char *group,
                                      enum proa_policy policy, uint64_t key,
                                      struct proa_ref *ret_ref);

/* ---- Telling all ---- */

#define PROA_MULTICAST_MAX                                                               \
    1024 /* bytes of payload: one packet, unless the name is long */
#define PROA_MULTICAST_ORDERED 64 /* members, on all nodes */

/* proa_multicast tells every living member of group that this node knows (self too, if it is one):
   one message per node, handed out there to the members that node has itself.  Each copy has an
   outcome as a tell's; refused ones are UNDELIVERED to self.  Where a whole node or lane could not
   take it later (each lane keeps 64 multicasts to large groups waiting), UNDELIVERED.to has its node
   and lane and generation 0.

   Order: to a group of up to PROA_MULTICAST_ORDERED members it is in order with self's tells to each
   member, but for those that do not fit a packet.  To a larger one it comes behind earlier tells and
   earlier multicasts to large groups, but a tell sent later may come before it: other lanes and nodes
   hand it out in parts, so that they have time for others.  Self's own lane does its part inside the
   call, in order, at the cost of so many tells.

   *ret_members (may be NULL): how many members it went to, as known here.
   OK; NOT_FOUND, UNKNOWN: as proa_route; TOO_LARGE; INVALID; AGAIN: a node or lane could not take
   it: nothing happened there, *ret_members counts the others.  Which one is not said: sending it
   again tells the others twice.  WRITABLE follows when one of them has room. */
PROA_API enum proa_outcome proa_multicast(struct proa_actor *self, const char *group,
                                          uint32_t type, const void *data, size_t len,
                                          uint32_t *ret_members);

#ifdef __cplusplus
}
#endif

#endif
