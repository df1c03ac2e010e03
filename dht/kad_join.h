/* SPDX-License-Identifier: Apache-2.0 */
/* kad_join.h - getting to know nodes, and noticing when they are gone.

   Joining: seeds are asked in turn, 0.1 s apart, doubling to 1 s with jitter, until one
   answers; then a walk to the own id, and the buckets nearer than the nearest neighbour
   follow, one walk after the other.  A seed that is not in the table is asked every 10 s for
   ever, and so are contacts that dropped out lately: a partition heals by that.

   Newcomers, that is nodes which asked us something or were named to us, are pinged at once,
   10 a second; with the answer they prove their key and get a place in the table.

   Upkeep: each second the contact heard longest ago, if that is 30 s, is pinged; every minute
   or so a bucket, or the own neighbourhood, is walked to.

   Threads: one owner.  Units: proa_ns. */
#ifndef PROA_DHT_KAD_JOIN_H
#define PROA_DHT_KAD_JOIN_H

#include "kad_rpc.h"
#include "kad_table.h"

#define KAD_SEED_FIRST (100 * PROA_MS) /* Source: registry.md */
#define KAD_SEED_MAX PROA_S
#define KAD_SEED_JOINED (10 * PROA_S)
#define KAD_NEWCOMERS_MAX 64  /* that wait for their ping */
#define KAD_NEWCOMERS_RATE 10 /* pings a second.  Source: registry.md */
#define KAD_TEND_EVERY PROA_S
#define KAD_STALE (30 * PROA_S)
#define KAD_REFRESH_EVERY (60 * PROA_S)
#define KAD_REFRESH_NEXT (10 * PROA_MS) /* between the walks of a join */
#define KAD_PROBE_AFTER (300 * PROA_MS) /* a failure; doubled after the second */
#define KAD_TELL_APART PROA_S           /* KAD_HEARD of one node */
#define KAD_MEET_PART 4 /* of the requests under way, one such part for kad_meet */

struct kad_newcomer {
    struct kad_id id;
    struct proa_addr addr;
};

struct kad_join {
    struct proa_addr seeds[16]; /* own address left out */
    uint32_t seed_count, seed_at;
    proa_ns seed_wait;
    bool joined, answered; /* a seed has answered; the first walk is under way */
    struct kad_newcomer newcomers[KAD_NEWCOMERS_MAX];
    uint32_t count;   /* of newcomers */
    uint32_t meeting; /* questions of kad_meet under way */
    proa_ns
        credit_at; /* the newcomers' rate: pings are 100 ms apart, 10 may be saved up */
    uint32_t refresh; /* the next bucket of the join's walks; KAD_NONE: done */
    uint32_t gone_look;
    proa_ns refreshed_at;
};

void kad_join_init(struct kad *kad, const struct proa_addr *seeds, uint32_t count);

/* kad_newcomer: somebody said to be this node may be there; it is pinged unless known. */
void kad_newcomer(struct kad *kad, const struct kad_id *id, const struct proa_addr *addr);

/* kad_met: this node answered us.  proved: with a proof of its key; else it was in the table when
   it was asked.  rtt 0: not measured. */
void kad_met(struct kad *kad, const struct kad_id *id, const struct proa_addr *addr,
             proa_ns rtt, const struct krpc_message *message, bool proved);

/* kad_contact_fresh notes a sign of life of a contact; kad_contact_heard also tells the caller of
   it, at most once a second. */
void kad_contact_fresh(struct kad *kad, struct kad_contact *contact);
void kad_contact_heard(struct kad *kad, struct kad_contact *contact);

/* kad_contact_failed: a request to this node failed. */
void kad_contact_failed(struct kad *kad, const struct kad_id *id,
                        const struct proa_addr *addr);

/* kad_contact_gone takes a contact out and says so: it failed, or another id is there now. */
void kad_contact_gone(struct kad *kad, struct kad_contact *contact, bool remember);

/* Timers and answers. */
void kad_seed_due(struct kad *kad);
void kad_newcomers_due(struct kad *kad);
void kad_tend_due(struct kad *kad);
void kad_refresh_due(struct kad *kad);
void kad_probe_due(struct kad *kad, uint32_t number);
void kad_seed_result(struct kad *kad, const struct kad_request *request,
                     enum kad_result result, const struct krpc_message *message);

void kad_meet_result(struct kad *kad, const struct kad_request *request,
                     enum kad_result result, const struct krpc_message *message);

/* kad_refreshed: a KAD_OP_REFRESH has ended; answers: how many nodes answered. */
void kad_refreshed(struct kad *kad, uint32_t answers);

#endif
