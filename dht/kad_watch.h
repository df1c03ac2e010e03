/* SPDX-License-Identifier: Apache-2.0 */
/* kad_watch.h - watches this node holds: being told when a name changes.

   A watch subscribes at the 3 closest storers and at the owner.  Subscriptions are renewed
   per pair of nodes: one an_watch a third of the lease names up to 40 targets.  A pair that
   does not answer, or refuses, makes its watches look for storers anew; each watch does so
   every minute or two anyway, so that it follows the storers as nodes come and go.

   What is learned is compared by the readers' rule; a record that wins becomes the watch's
   present one and, after its owner was asked, a KAD_CHANGED.  Only the latest state of a name
   is kept for the caller, so nothing is lost when he fetches late.

   Threads: one owner.  Units: proa_ns. */
#ifndef PROA_DHT_KAD_WATCH_H
#define PROA_DHT_KAD_WATCH_H

#include "kad_ops.h"

#define KAD_LEASE_S 30 /* Source: registry.md */
#define KAD_RENEW_EVERY (10 * PROA_S)
#define KAD_RENEW_AGAIN (2 * PROA_S) /* after a renewal failed */
#define KAD_PAIR_FAILURES 2          /* in a row end a pair */
#define KAD_WATCH_STORERS 3          /* Source: registry.md */
#define KAD_WATCH_PAIRS (KAD_WATCH_STORERS + 1)
#define KAD_WATCH_LOOK (90 * PROA_S)    /* until the storers are looked for anew */
#define KAD_WATCH_SOON (300 * PROA_MS)  /* after a pair was lost */
#define KAD_WATCH_DEADLINE (5 * PROA_S) /* of a look */

struct kad_held {
    struct kad_id target;
    uint32_t serial; /* of this life of the place */
    uint32_t next;
    uint32_t refs;                   /* calls of kad_watch; 0: the place is free */
    uint32_t pairs[KAD_WATCH_PAIRS]; /* KAD_NONE: none; the last one is the owner's */
    uint32_t op;                     /* its look, KAD_NONE: none */
    uint32_t op_number;
    bool told;   /* an event waits */
    bool asking; /* its record's owner is being asked first */
    bool alive;
    struct kad_id asked;    /* who */
    struct kad_stamp stamp; /* of raw */
    uint16_t len;           /* 0: no record was seen */
    uint8_t raw[PROA_RECORD_MAX];
};

/* This node's subscriptions at one other node. */
struct kad_pair {
    struct kad_id id;
    struct proa_addr addr;
    uint8_t token[KAD_TOKEN_LEN];
    uint32_t serial;
    uint32_t next;
    uint32_t watches; /* held watches that use it; 0: the place is free */
    uint32_t cursor;  /* the next held watch to look at in this renewal */
    uint8_t fails;
    bool asking;
};

struct kad_watches {
    struct kad_held *held;
    struct kad_pair *pairs;
    struct kad_index by_target, by_node;
    uint32_t cap, high, free, count;
    uint32_t pairs_cap, pairs_high, pairs_free;
    uint32_t told; /* events that wait */
    uint32_t look; /* where the search for one begins */
};

void kad_watches_init(struct kad_watches *self);
struct kad_held *kad_held_find(const struct kad *kad, const struct kad_id *target);

/* kad_held_offer: a verified record of this name was seen.  from_owner: its owner sent it. */
void kad_held_offer(struct kad *kad, struct kad_held *held, const struct record *fields,
                    const uint8_t *raw, size_t len, bool from_owner);

/* kad_held_walked goes on after the walk of a KAD_OP_WATCH. */
void kad_held_walked(struct kad *kad, struct kad_op *op);
void kad_held_due(struct kad *kad, uint32_t number);
void kad_held_result(struct kad *kad, const struct kad_request *request,
                     enum kad_result result, const struct krpc_message *message);
/* kad_held_judged: the owner of a watch's record answered, or did not (message NULL). */
void kad_held_judged(struct kad *kad, const struct kad_request *request,
                     enum kad_result result, const struct krpc_message *message);
/* kad_pair_gone: this node is gone; its watches look for others. */
void kad_pair_gone(struct kad *kad, const struct kad_id *id);
/* kad_held_event hands out a KAD_CHANGED; false when none waits. */
bool kad_held_event(struct kad *kad, struct kad_event *ret);
void kad_pair_due(struct kad *kad, uint32_t number);
void kad_pair_result(struct kad *kad, const struct kad_request *request,
                     enum kad_result result, const struct krpc_message *message);

#endif
