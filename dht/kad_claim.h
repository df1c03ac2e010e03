/* SPDX-License-Identifier: Apache-2.0 */
/* kad_claim.h - writes: claiming a name, renewing it, ending it.

   After the walk: who holds the name is asked whether it still does; then the record goes to
   the s closest nodes, this one among them when it is that close.  s = min(8, nodes heard in
   the last 10 minutes, itself included), and s/2 + 1 acks win.  A storer that refuses names
   what stands against it: an older claim of a live holder ends ours, a dead holder's makes the
   storer ask for itself, and it is told again a little later; a higher term makes ours
   higher.  Without a quorum a claim is withdrawn by a tombstone and begins again after a
   pause with jitter, until its deadline.

   Threads: one owner.  Errors: as outcomes of the operation. */
#ifndef PROA_DHT_KAD_CLAIM_H
#define PROA_DHT_KAD_CLAIM_H

#include "kad_ops.h"

#define KAD_HEARD_WITHIN (600 * PROA_S) /* counts towards s.  Source: registry.md */
#define KAD_COMPLETE                                                                     \
    (300 * PROA_MS)             /* after the quorum: the other storers are looked after */
#define KAD_RAISES_MAX 8        /* raisings of the term before a rest */
#define KAD_REST (50 * PROA_MS) /* the first; doubled each time */
#define KAD_REST_MAX PROA_S
#define KAD_AGAIN (5 * PROA_MS) /* until a storer that refused is told again; doubled */
#define KAD_AGAIN_MAX (200 * PROA_MS)
#define KAD_NAME_LEASE_S 86400 /* of a name's record; signed anew after half of it */
#define KAD_TOMB_LEASE_S 3600  /* Source: registry.md */
#define KAD_TOMB_DEADLINE (5 * PROA_S)

/* kad_replicas returns s. */
uint32_t kad_replicas(struct kad *kad);

/* kad_claim_walked goes on after the walk of a REGISTER, RENEW or TOMB. */
void kad_claim_walked(struct kad *kad, struct kad_op *op);

/* kad_claim_choose makes the s (TOMB, ANNOUNCE: 8) closest of those who answered the walk, this node
   among them, the storers, and ends the search.  unchanged: who has the record need not be told. */
void kad_claim_choose(struct kad *kad, struct kad_op *op, bool unchanged);

/* kad_claim_judged goes on after the holder was asked. */
void kad_claim_judged(struct kad *kad, struct kad_op *op);

void kad_claim_put_result(struct kad *kad, const struct kad_request *request,
                          enum kad_result result, const struct krpc_message *message);

/* kad_claim_due: a storer is to be told again. */
void kad_claim_due(struct kad *kad, struct kad_op *op);

/* kad_claim_expired: the deadline passed before it was settled. */
void kad_claim_expired(struct kad *kad, struct kad_op *op);

/* kad_claim_end tells the storers by tombstone that an own name is given up.  fields is the
   record that ends.  Returns the operation, whose raw is the tombstone; NULL when there is no
   place for one: who asks this node about the name is then told "not mine". */
struct kad_op *kad_claim_end(struct kad *kad, const struct kad_id *target,
                             const struct record *fields);

#endif
