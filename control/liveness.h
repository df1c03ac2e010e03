/* SPDX-License-Identifier: Apache-2.0 */
/* liveness.h - who is alive, as heard from themselves.

   An authentic packet moves a node's heard_until by CORE_HEARD_FOR and revives a dead one.  A
   node dies, in this node's view, in one of three ways: its last link fell silent (its three
   PINGs unanswered), it said CLOSE, or another id answers at its address.  The last two are
   for good.

   Threads: the control thread's.  Units: proa_ns.
   Errors:  what arrives wrong is counted. */
#ifndef LIVENESS_H
#define LIVENESS_H

#include "packet.h"
#include "peers.h"

struct core;
struct core_datagram;

/* liveness_met: the node `id` proved, just now, that it is at addr (SYNACK, OPEN).  Any other
   node confirmed there is dead.  NULL when the peer table is full. */
struct peer *liveness_met(struct core *core, const struct kad_id *id,
                          const struct proa_addr *addr);

/* liveness_krpc: an authentic KRPC datagram of the node came from addr.  The same, but such a
   datagram may be late or a copy: it does not bring back a node that is gone for good, nor end
   one that was heard there within LIVENESS_FRESH. */
#define LIVENESS_FRESH (100 * PROA_MS)
void liveness_krpc(struct core *core, const struct kad_id *id,
                   const struct proa_addr *addr);

/* liveness_alive: somebody we believe heard the node just now (a lookup's ping). False when we
   know better: it was declared dead within CORE_HEARD_FOR. */
bool liveness_alive(struct core *core, const struct kad_id *id,
                    const struct proa_addr *hint);

/* liveness_dead declares peer dead; gone: for good. */
void liveness_dead(struct core *core, struct peer *peer, bool gone);

/* liveness_silent: Kademlia's contact of this id does not answer. */
void liveness_silent(struct core *core, const struct kad_id *id);

/* liveness_ping sends a link's keyed PING, as its lane asked. */
void liveness_ping(struct core *core, const struct punt_link *wanted);

/* What came in. */
void liveness_on_ping(struct core *core, const struct core_datagram *dgram,
                      const struct packet_ping *ping);
void liveness_on_pong(struct core *core, const struct core_datagram *dgram,
                      const struct packet_ping *pong);
void liveness_on_reset(struct core *core, const struct core_datagram *dgram,
                       const struct packet_ping *rst);
void liveness_on_close(struct core *core, const struct core_datagram *dgram,
                       const struct packet_ping *close);

/* liveness_up, liveness_ended: the lane's reports. */
void liveness_up(struct core *core, const struct punt_link *report);
void liveness_ended(struct core *core, const struct punt_link *report);

/* liveness_reset_link has the lane end the link; its slot comes back by PUNT_LINK_ENDED. */
void liveness_reset_link(struct core *core, const struct peer_link *link);

/* liveness_close sends a CLOSE for the link; flags: PACKET_CLOSE_LEAVING or 0.  An RST answers
   it. */
void liveness_close(struct core *core, struct peer_link *link, uint32_t flags);

#endif
