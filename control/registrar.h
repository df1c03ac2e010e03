/* SPDX-License-Identifier: Apache-2.0 */
/* registrar.h - names: what actors ask, what Kademlia answers, what the directory says.

   Two tables.  Owned names (owned.c) are this node's: claimed, held, or local to it; they go
   with their actor.  Wanted names (wanted.c) are others': somebody here asked for one, so it is
   watched, and every change is pushed into the directory.  A wanted name stays for
   REGISTRAR_LINGER after the last who asked, longer while it is found and there is room; then
   it leaves the directory too, so that nothing stands there that nobody would correct.

   Threads: the control thread's.
   Units:   proa_ns; names are 1..PROA_NAME_MAX bytes.
   Errors:  enum proa_outcome in PUNT_NAME_ANSWER: those of registry.h; LIMIT when a table is
            full, INVALID for a name out of range, STOPPED when the node leaves. */
#ifndef REGISTRAR_H
#define REGISTRAR_H

#include <proa/outcomes.h>
#include <proa/types.h>

#include "kad.h"
#include "punt.h"

#define REGISTRAR_WAITERS_MAX 4096 /* lookups under way */
#define REGISTRAR_LINGER (30 * PROA_S)
#define REGISTRAR_OWNED 4096 /* unless configured */
#define REGISTRAR_WANTED 4096

struct core;
struct registrar;

/* One call of an actor or client: what its answer needs. */
struct registrar_call {
    unsigned lane;
    struct punt_name head;
    const char *name; /* head.len bytes, borrowed */
};

struct registrar *registrar_create(uint32_t owned_max, uint32_t wanted_max,
                                   uint64_t salt);
void registrar_destroy(struct registrar *self);

/* registrar_call serves one PUNT_NAME. */
void registrar_call(struct core *core, const struct registrar_call *call);

/* registrar_stopped gives up all names and memberships of an actor. */
void registrar_stopped(struct core *core, const struct punt_actor *actor);

/* registrar_event takes KAD_REGISTERED, _LOOKED_UP, _CHANGED, _NAME_LOST and _JOINED. */
void registrar_event(struct core *core, const struct kad_event *event);

/* registrar_restarted moves the names and memberships of an actor to its next life; claims under way
   end. */
void registrar_restarted(struct core *core, const struct punt_restart *restart);

/* registrar_node_gone forgets every wanted name of a node that is dead for good. */
void registrar_node_gone(struct core *core, uint64_t node);

/* registrar_node: a node is dead, or heard again, and its wanted names stand as they were. */
void registrar_node(struct core *core, uint64_t node, bool alive);

/* registrar_leave takes all own names and memberships out of the directory and answers who waits. */
void registrar_leave(struct core *core);

/* How many names this node holds, local ones and claims under way included. */
uint32_t registrar_names(const struct registrar *self);

void registrar_tick(struct core *core);
proa_ns registrar_deadline(const struct registrar *self);

#endif
