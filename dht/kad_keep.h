/* SPDX-License-Identifier: Apache-2.0 */
/* kad_keep.h - keeping records for others: puts judged, owners asked, changes told.

   Owners are pinged once a minute unless heard; after a failure sooner.  The verdict on a
   take-over is this node's own: the put that needs it is refused at first, the owner is pinged,
   and the claimant's next try, a few milliseconds later, meets the answer.

   Threads: one owner.  Units: proa_ns. */
#ifndef PROA_DHT_KAD_KEEP_H
#define PROA_DHT_KAD_KEEP_H

#include "kad_rpc.h"
#include "kad_store.h"

#define KAD_OWNER_EVERY (60 * PROA_S) /* Source: registry.md */
#define KAD_OWNER_AGAIN PROA_S        /* after a failure, while it is not yet silent */
#define KAD_TELL_HOLDER PROA_S        /* between two notices of a rival */
#define KAD_VERDICT (3 * PROA_S) /* so long our own finding that an owner is gone holds */

/* What a put comes to. */
enum kad_kept {
    KAD_KEPT,       /* stored, or there already */
    KAD_KEPT_CUR,   /* refused: the record that stands is the best one of the target */
    KAD_KEPT_BAD,   /* the signature does not hold */
    KAD_KEPT_FULL,  /* a bound is reached */
    KAD_KEPT_LATER, /* no check is left this second */
};

/* kad_keep_put judges and, if so, stores a decoded record that belongs under target; the
   signature is checked last, unless `verified`. */
enum kad_kept kad_keep_put(struct kad *kad, const struct kad_id *target,
                           const struct record *fields, const uint8_t *raw, size_t len,
                           bool verified);

/* kad_best returns the best record this node has for target by the readers' rule, its own
   name or a stored one, absent when none.  all: also of silent owners. */
struct bencode_span kad_best(struct kad *kad, const struct kad_id *target, bool all);

/* kad_open decodes a record and checks all but whether it is needed: target, not ahead, lease
   left, signature.  False when anything is wrong or no check is left this second. */
bool kad_open(struct kad *kad, struct record *ret, struct bencode_span raw,
              const struct kad_id *target);

/* kad_changed: the best record of target has become another. */
void kad_changed(struct kad *kad, const struct kad_id *target);

void kad_record_due(struct kad *kad, uint32_t number); /* its lease is over */
void kad_owner_due(struct kad *kad, uint32_t number);
void kad_owner_result(struct kad *kad, const struct kad_request *request,
                      enum kad_result result, const struct krpc_message *message);

/* kad_owner_of returns where a record's owner is asked: its contact's endpoint, else the
   record's first; family 0 when it has none. */
struct proa_addr kad_owner_addr(struct kad *kad, const struct record *fields);

#endif
