/* SPDX-License-Identifier: Apache-2.0 */
/* kad_table.h - the routing table: the nodes this one knows, by distance.

   Bucket i holds nodes that share exactly i leading bits with this one.  The four farthest
   are larger (128, 64, 32, 16 instead of 8), which saves a round trip or two of each lookup;
   each has up to 8 spare contacts besides.  Only nodes that answered and proved their key
   are put in; the caller sees to that.  A full bucket takes a newcomer in place of a failing
   contact, or of one from a crowded sub-prefix when the newcomer's own is rare; else the
   newcomer becomes a spare.  All contacts lie in one pool.

   What dropped out is remembered for a while ("gone"): it counts as heard lately when the
   number of storers is chosen, and it is what a healing partition is found again by.

   Threads: one owner.  Units: proa_ns.  Errors: none. */
#ifndef PROA_DHT_KAD_TABLE_H
#define PROA_DHT_KAD_TABLE_H

#include "kad_id.h"
#include "kad_rtt.h"
#include "kad_token.h"

#include <proa/types.h>

#define KAD_TABLE_SPARES 8   /* of a bucket.  Source: registry.md */
#define KAD_TABLE_GONE 32    /* dropped contacts remembered */
#define KAD_TABLE_FAILURES 3 /* in a row end a contact.  Source: registry.md */
#define KAD_K 8 /* nodes an answer names, storers of a record.  Source: BEP 5 */

enum kad_contact_state { KAD_CONTACT_FREE, KAD_CONTACT_LIVE, KAD_CONTACT_SPARE };

struct kad_contact {
    struct kad_id id;
    struct proa_addr addr;
    struct kad_rtt rtt;
    proa_ns heard_at;  /* the last authentic datagram */
    proa_ns failed_at; /* the last failure counted */
    proa_ns told_at;   /* the last KAD_HEARD */
    proa_ns token_at;  /* when token came, 0 none */
    uint8_t token[KAD_TOKEN_LEN];
    uint32_t next; /* in its bucket's list, or in the free list */
    uint8_t state; /* enum kad_contact_state */
    uint8_t fails; /* failures in a row */
    uint8_t bucket;
};

struct kad_bucket {
    uint32_t live, spare; /* first of each list, KAD_NONE: none */
    uint8_t live_count, spare_count;
};

struct kad_gone {
    struct kad_id id;
    struct proa_addr addr;
    proa_ns heard_at; /* 0: an empty place */
};

struct kad_table {
    struct kad_id self;
    struct kad_contact *contacts; /* the pool, borrowed */
    uint32_t cap;
    uint32_t high; /* places that were ever used */
    uint32_t free; /* first of the free list */
    uint32_t live; /* contacts in buckets */
    uint32_t samples;
    proa_ns median;
    struct kad_bucket buckets[PROA_KAD_ID_BITS];
    struct kad_gone gone[KAD_TABLE_GONE];
    uint32_t gone_at;
};

enum kad_table_added {
    KAD_TABLE_KNOWN,    /* it was there */
    KAD_TABLE_LIVE,     /* it is in its bucket now */
    KAD_TABLE_SPARE,    /* it waits */
    KAD_TABLE_NO_PLACE, /* the pool is full, or the id is ours */
};

/* kad_table_init borrows cap contacts for the table's life. */
void kad_table_init(struct kad_table *self, const struct kad_id *id,
                    struct kad_contact *contacts, uint32_t cap);

/* kad_table_bucket_size returns how many contacts bucket i holds. */
uint32_t kad_table_bucket_size(uint32_t bucket);

/* kad_table_find and _find_addr return a contact, live or spare, or NULL.  The pointer holds
   until that contact is removed. */
struct kad_contact *kad_table_find(const struct kad_table *self, const struct kad_id *id);
struct kad_contact *kad_table_find_addr(const struct kad_table *self,
                                        const struct proa_addr *addr);

/* kad_table_add takes in a node that answered and proved its key.  *ret_contact is set unless
   KAD_TABLE_NO_PLACE.  Another id at the same address must have been removed before. */
enum kad_table_added kad_table_add(struct kad_table *self, const struct kad_id *id,
                                   const struct proa_addr *addr, proa_ns now,
                                   struct kad_contact **ret_contact);

/* kad_table_remove takes a contact out; the best spare of its bucket moves up.  When
   `remember`, it is remembered as gone. */
void kad_table_remove(struct kad_table *self, struct kad_contact *contact, bool remember);

/* kad_table_forget_gone drops what is remembered of an endpoint, or of an id. */
void kad_table_forget_gone(struct kad_table *self, const struct kad_id *id,
                           const struct proa_addr *addr);

/* kad_table_closest writes up to max live contacts, closest to target first, and returns how
   many.  healthy: only such as have not failed since they were heard. */
uint32_t kad_table_closest(const struct kad_table *self, const struct kad_id *target,
                           bool healthy, struct kad_contact **ret, uint32_t max);

/* kad_table_closer counts the live contacts, and this node, that are closer to target than
   id; it stops at max. */
uint32_t kad_table_closer(const struct kad_table *self, const struct kad_id *target,
                          const struct kad_id *id, uint32_t max);

/* kad_table_heard counts the nodes heard since that moment, gone ones too; stops at max. */
uint32_t kad_table_heard(const struct kad_table *self, proa_ns since, uint32_t max);

/* kad_table_stalest returns the live contact heard longest ago, NULL when there is none. */
struct kad_contact *kad_table_stalest(const struct kad_table *self);

/* kad_table_full tells whether some bucket is full: there may be nodes the table lacks. */
bool kad_table_full(const struct kad_table *self);

/* kad_table_sampled notes a new sample; kad_table_median is the median srtt of the live
   contacts, 0 without a sample.  Recomputed when samples have come. */
void kad_table_sampled(struct kad_table *self);
proa_ns kad_table_median(struct kad_table *self);

bool kad_addr_equal(const struct proa_addr *a, const struct proa_addr *b);

#endif
