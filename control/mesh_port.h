/* SPDX-License-Identifier: Apache-2.0 */
/* mesh_port.h - the registry actor behind lane 0: the mesh, what feeds it and what it says.

   The mesh (dht/mesh.h) speaks over links of lane 0.  What comes in is PUNT_MESH; what goes out is
   PUNT_MESH_SEND, and no more of it is taken out while lane 0 does not read what it was given.
   Its events go where they belong: names to holders.c and owned.c, members to members.c, loads to
   loads.c, answers of nodes that are not linked to seeking.c, the rest to the node's events.

   Threads: the control thread's.  Units: proa_ns.
   Errors:  what is dropped is counted (core_stats, mesh_stats).
   Memory:  the mesh's own, and entries as others publish them, bounded by the mesh. */
#ifndef MESH_PORT_H
#define MESH_PORT_H

#include "mesh.h"
#include "peers.h"

struct byte_record;
struct core;

struct mesh_port {
    struct mesh *mesh;
    void *memory;
    struct mesh_node_info *nodes; /* room for what mesh_nodes copies */
    uint32_t nodes_max, published_max;
    uint32_t names, members; /* published by this node, or being claimed for it */
    uint32_t unplaced; /* other nodes' memberships that the directory had no room for */
    bool waits;        /* for room in lane 0's ring */
    proa_ns limit_told_at; /* event PUBLISH_LIMIT; 0: never */
};

bool mesh_port_init(struct core *core);
void mesh_port_fini(struct core *core);

/* mesh_port_message takes one PUNT_MESH. */
void mesh_port_message(struct core *core, const struct byte_record *record);

/* What liveness.c sees: an authentic packet, a death (gone: for good).  What a dead node had published
   goes in this step and the next ones; mesh_port_forget takes it away at once, of a peer that is given
   up. */
void mesh_port_met(struct core *core, const struct peer *peer);
void mesh_port_down(struct core *core, const struct peer *peer, bool gone);
void mesh_port_forget(struct core *core, const struct peer *peer);

/* ---- Own entries ---- */

/* mesh_port_reserve counts one more name or membership in; false, and event PUBLISH_LIMIT for actor,
   when published_max are there.  mesh_port_release counts one out. */
bool mesh_port_reserve(struct core *core, enum mesh_kind kind, struct proa_ref actor,
                       const char *name, size_t len);
void mesh_port_release(struct core *core, enum mesh_kind kind);

/* mesh_port_publish gives the mesh what was counted in; MESH_NONE when there was no memory, or the name is no UTF-8. */
uint32_t mesh_port_publish(struct core *core, const struct mesh_entry *entry);

/* ---- Time ---- */

/* mesh_port_drain hands on the events of this step, then what goes out as far as there is room;
   mesh_port_flush only the latter.  The mesh keeps few messages of mesh_ask, mesh_answer,
   mesh_want_loads: flush after each. */
void mesh_port_drain(struct core *core);
void mesh_port_flush(struct core *core);

/* mesh_port_is_clear: after a flush, messages of MESH_PORT_LONG bytes in all find room at once. */
#define MESH_PORT_LONG (64u << 10)
bool mesh_port_is_clear(const struct core *core);

/* mesh_port_is_syncing: a linked node has more than is known here of it. */
bool mesh_port_is_syncing(const struct core *core);
void mesh_port_tick(struct core *core);
proa_ns mesh_port_deadline(const struct core *core);

/* mesh_port_leave says good-bye. */
void mesh_port_leave(struct core *core);

#endif
