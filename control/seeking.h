/* SPDX-License-Identifier: Apache-2.0 */
/* seeking.h - members of groups that this node does not know by itself: who waits for them, and
   fetching them from nodes that are not linked.

   PUNT_FIND_GROUP is answered from the directory when a member is known, NOT_FOUND when all nodes are
   linked and there is none.  Else it waits: for the links, and in a cluster of more nodes than the
   mesh links for Kademlia, which says who has members (get_peers); these nodes are asked over the
   mesh.  What they answer is in the directory as long as somebody here reads or watches the
   group, and SEEKING_LINGER more; it is asked for again every SEEKING_ASK_EVERY, and each answer
   replaces the one before.

   The other end of it: this node announces its groups while it does not know all others, and
   answers who asks.

   Threads: the control thread's.  Units: proa_ns.
   Errors:  enum proa_outcome in PUNT_NAME_ANSWER: OK, NOT_FOUND, UNKNOWN, NOT_JOINED, LIMIT.
   Bounds:  SEEKING_GROUPS_MAX groups, SEEKING_WAITERS_MAX who wait, SEEKING_NODES_MAX nodes of a group,
            SEEKING_REFS_MAX members of one node, SEEKING_ASKERS_MAX leases of who asked. */
#ifndef SEEKING_H
#define SEEKING_H

#include "mesh.h"
#include "registrar.h"

#define SEEKING_GROUPS_MAX 1024u
#define SEEKING_WAITERS_MAX 1024u
#define SEEKING_LINGER (30 * PROA_S) /* Source: group.h */

struct mesh_event;
struct peer;
struct seeking;

struct seeking *seeking_create(uint64_t salt);
void seeking_destroy(struct seeking *self);

/* seeking_call serves one PUNT_FIND_GROUP. */
void seeking_call(struct core *core, const struct registrar_call *call);

/* seeking_joined: group has a member more. */
void seeking_joined(struct core *core, const char *group, size_t len);

/* seeking_watch: an actor watches the group (on), or none does any more.  False without room. */
bool seeking_watch(struct core *core, const char *group, size_t len, bool on);

/* seeking_own_changed: this node's members of group are others than before. */
void seeking_own_changed(struct core *core, const char *group, size_t len);

/* What the mesh brings: MESH_ASKED, MESH_ANSWERED.  What Kademlia does: KAD_PEERS, KAD_ANNOUNCED, and
   who was met. */
void seeking_asked(struct core *core, const struct mesh_event *event);
void seeking_answered(struct core *core, const struct mesh_event *event);
void seeking_peers(struct core *core, const struct kad_event *event);
void seeking_announced(struct core *core, const struct kad_event *event);
void seeking_met(struct core *core, const struct peer *peer);

/* seeking_node_over takes what this node answered back: the mesh knows all of it from now on, or it is
   dead. */
void seeking_node_over(struct core *core, uint64_t node);

/* seeking_complete: whether all nodes are linked has changed. */
void seeking_complete(struct core *core);

/* seeking_leave answers who waits. */
void seeking_leave(struct core *core);

void seeking_tick(struct core *core);
proa_ns seeking_deadline(const struct core *core);

#endif
