/* SPDX-License-Identifier: Apache-2.0 */
/* kad_store.h - the records this node keeps for others, who their owners are, and the rule
   by which one record takes another's place.

   One record per target: a name or the tombstone that ended it.  Owners are kept beside,
   one entry for each key that has a record here: their endpoint, when they were last heard and
   how often they were silent when asked; kad_keep.c does the asking.

   Bounds: records in all, per owner, and per address (of the owners' endpoints, without the
   port); one record per target.  When the store is full a record of a silent owner or an
   expired one makes place, if a short look finds one.

   Threads: one owner.  Units: proa_ns, bytes.  Errors: NULL where a bound is reached. */
#ifndef PROA_DHT_KAD_STORE_H
#define PROA_DHT_KAD_STORE_H

#include "kad_index.h"
#include "record.h"

#include <proa/types.h>

#define KAD_OWNER_FAILURES 3 /* silent so often in a row: its records are not returned */
#define KAD_STORE_LOOK 64    /* records looked at for one to give up */

/* What decides between two statements. */
struct kad_stamp {
    struct kad_id owner;
    uint64_t term;
    uint64_t issued;
    uint64_t claim;
    uint8_t kind; /* enum record_kind */
};

enum kad_put_verdict {
    KAD_PUT_ACCEPT,
    KAD_PUT_SAME,   /* it is the very statement that is stored */
    KAD_PUT_REFUSE, /* what is stored stands */
    KAD_PUT_ASK, /* accept only if our own ping of the stored one's owner says it is gone */
};

/* kad_put_rule is the storer's rule for `put` over `cur` (NULL: none, or expired).

   One owner's newer statement replaces its older one.  Of two owners: a higher term asks
   whether cur's owner is gone; at equal terms the smaller (claim, id) wins and a tombstone
   ends nothing; a lower term is refused.  Over another owner's tombstone an equal or higher
   term is accepted; a lower one is not, because a fencing token must never go back: its
   owner then claims again with a higher term. */
enum kad_put_verdict kad_put_rule(const struct kad_stamp *cur,
                                  const struct kad_stamp *put);

struct kad_record {
    struct kad_id target;
    struct kad_stamp stamp;
    proa_ns expires;
    proa_ns disowned_at; /* its owner said "not mine"; 0 never */
    proa_ns told_at;     /* its owner was told of a rival */
    uint32_t slot, generation;
    uint32_t owner; /* number of its kad_owner */
    uint32_t next;  /* in its chain, or in the free list */
    bool used;
    uint16_t len;
    uint8_t raw[PROA_RECORD_MAX];
};

struct kad_owner {
    struct kad_id id;
    struct proa_addr addr; /* family 0: it has none */
    proa_ns heard_at;
    proa_ns failed_at; /* the last ping that failed, 0 none since it was heard */
    uint32_t records;  /* of it in the store; 0: this entry is free */
    uint32_t next;
    uint8_t fails;
    bool asking; /* a ping is under way */
};

struct kad_store {
    struct kad_record *records;
    struct kad_owner *owners;
    struct kad_index by_target;
    struct kad_index by_owner;
    uint32_t records_cap, owners_cap;
    uint32_t records_high, owners_high; /* places ever used */
    uint32_t records_free, owners_free;
    uint32_t count;
    uint32_t per_owner, per_address; /* bounds */
    uint32_t look;                   /* where the next look for a victim begins */
};

/* kad_store_init takes the arrays and indexes that the caller has set into *self. */
void kad_store_init(struct kad_store *self);

struct kad_record *kad_store_find(const struct kad_store *self,
                                  const struct kad_id *target);
struct kad_owner *kad_store_owner(const struct kad_store *self, const struct kad_id *id);

/* kad_store_silent tells whether the owner of a record was silent three times. */
bool kad_store_silent(const struct kad_store *self, const struct kad_record *record);

/* kad_store_put stores a verified record, whatever kad_put_rule said: the caller has asked
   it.  heard_at is when its owner was last heard, 0 for never; used for a new owner only.
   Returns the record, or NULL when a bound forbids it. */
struct kad_record *kad_store_put(struct kad_store *self, const struct kad_id *target,
                                 const struct record *fields, const uint8_t *raw,
                                 size_t len, proa_ns expires, proa_ns heard_at,
                                 proa_ns now);

/* kad_store_remove takes a record out, and its owner when it was its last. */
void kad_store_remove(struct kad_store *self, struct kad_record *record);

/* kad_store_heard notes a sign of life of this owner, if it is known. */
void kad_store_heard(struct kad_store *self, const struct kad_id *id, proa_ns now);

void kad_stamp_of(const struct record *fields, struct kad_stamp *ret_stamp);

#endif
