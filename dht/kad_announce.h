/* SPDX-License-Identifier: Apache-2.0 */
/* kad_announce.h - saying where members of a group are, and finding out: BEP 5's announce_peer and
   get_peers, in closed mode.

   An announcement walks to the 8 closest nodes and has each of them, and this node if it is one of
   them, keep its endpoint for half an hour; more than half must.  Otherwise it begins again after
   a pause, until its deadline.  A question walks the same way to its end and gathers what they keep,
   8 from each that no other told of; what nodes closer to the target told stays.  Both are
   operations (kad_ops.h).

   Threads: one owner.  Errors: as outcomes of the operation. */
#ifndef PROA_DHT_KAD_ANNOUNCE_H
#define PROA_DHT_KAD_ANNOUNCE_H

#include "kad_ops.h"

#define KAD_PEER_KEPT (1800 * PROA_S) /* after the last announcement */
#define KAD_PEERS_SHARE                                                                  \
    (KAD_PEERS_MAX / KAD_K) /* of an answer's endpoints, those only one node told of */
#define KAD_PEERS_BYTES                                                                  \
    720 /* of an answer's `values`, bencoded: 64 of IPv4 (512) or 34 of IPv6; with the \
           rest, 560 at the most, it fits KAD_PACKET_MAX */

/* kad_peer_keep keeps an endpoint for others. */
void kad_peer_keep(struct kad *kad, const struct kad_id *infohash,
                   const struct proa_addr *addr);
void kad_peer_due(struct kad *kad, uint32_t number); /* the half hour is over */

/* kad_peers_answer writes what an answer has room for, from a random place on, and returns how
   many. */
uint32_t kad_peers_answer(struct kad *kad, const struct kad_id *infohash,
                          struct proa_addr *ret);

/* kad_announce_walked goes on after the walk of an ANNOUNCE, kad_peers_walked of a PEERS. */
void kad_announce_walked(struct kad *kad, struct kad_op *op);
void kad_peers_walked(struct kad *kad, struct kad_op *op);

void kad_announce_result(struct kad *kad, const struct kad_request *request,
                         enum kad_result result, const struct krpc_message *message);
void kad_announce_due(struct kad *kad, struct kad_op *op);

/* kad_peers_begin gathers what this node keeps itself, kad_peers_take what another answered. */
void kad_peers_begin(struct kad *kad, struct kad_op *op);
void kad_peers_take(struct kad *kad, struct kad_op *op, const struct kad_id *from,
                    const struct krpc_message *message);

/* kad_announce_expired: the deadline of an ANNOUNCE or PEERS passed. */
void kad_announce_expired(struct kad *kad, struct kad_op *op);

#endif
