/* SPDX-License-Identifier: Apache-2.0 */
/* remote.h - actors made on other nodes.

   A node makes for others only what its configuration allows by name (allow_spawn in node.h);
   by default that is nothing.  Who may ask is every node with the cluster's key.

   Threads: as actor.h: on the lane of `self`, inside one of its callbacks.
   Units:   time is proa_ns; lengths are bytes.
   Errors:  enum proa_outcome, listed at each function. */
#ifndef PROA_REMOTE_H
#define PROA_REMOTE_H

#include <proa/actor.h>

#ifdef __cplusplus
extern "C" {
#endif

#define PROA_LANE_ANY 255u /* the other node's choice, one lane after the other */
#define PROA_SPAWN_ARG_MAX                                                               \
    1024u /* bytes of arg; a request fits one packet on every path */

/* proa_spawn_at makes an actor of the behaviour called type_name on `node` (ref.node of any
   actor there; also this node's), on one of its lanes or PROA_LANE_ANY.  arg (arg_len <=
   PROA_SPAWN_ARG_MAX) is what its start gets; byte order is the user's business.  deadline is a
   span, 1..PROA_DEADLINE_MAX.  ctx_len <= PROA_CONTEXT_MAX bytes are copied and handed to then,
   which runs exactly once, later, never inside this call, and not at all once the caller has
   stopped.

   At once, then will not run: OK (it will), AGAIN, NO_ROUTE, STOPPED, INVALID, LIMIT.
   then gets OK and the reference; or, with none,
     REFUSED_NOT_ALLOWED  that node makes no such actor for others, or does not know it
     INVALID              that node has no such lane
     LIMIT                that lane has no free slot or memory
     STOPPED              its start failed, or that node is leaving
     REFUSED_BUSY, REFUSED_EXPIRED, NOT_SENT   certainly nothing was made
     MAYBE_EXECUTED, NO_REPLY   the deadline passed, or the node or link was lost: an actor may
                          have been made, and nobody here knows its reference */
PROA_API enum proa_outcome proa_spawn_at(struct proa_actor *self, uint64_t node,
                                         uint32_t lane, const char *type_name,
                                         const void *arg, size_t arg_len,
                                         proa_ns deadline, proa_spawned then,
                                         const void *ctx, size_t ctx_len);

#ifdef __cplusplus
}
#endif

#endif
