/* SPDX-License-Identifier: Apache-2.0 */
/* kad_internal.h - what a struct kad consists of, for the files of dht/kad_*.c only.

   From below: kad_rtt, kad_timers, kad_random, kad_token, kad_table, kad_walk, kad_store,
   kad_peers are plain data structures that know no struct kad.  Above them kad_send (datagrams out), kad_rpc
   (questions), kad_join (the table's life), kad_keep (records of others), kad_lease and
   kad_watch (subscriptions given and held), kad_ops, kad_claim and kad_announce (operations), kad_names and
   kad_hand (own names), kad_query (answers).  kad.c is the top.

   Threads: one owner. */
#ifndef PROA_DHT_KAD_INTERNAL_H
#define PROA_DHT_KAD_INTERNAL_H

#include "kad.h"

#include "kad_announce.h"
#include "kad_claim.h"
#include "kad_hand.h"
#include "kad_join.h"
#include "kad_keep.h"
#include "kad_lease.h"
#include "kad_names.h"
#include "kad_ops.h"
#include "kad_peers.h"
#include "kad_random.h"
#include "kad_rpc.h"
#include "kad_store.h"
#include "kad_table.h"
#include "kad_timers.h"
#include "kad_token.h"
#include "kad_watch.h"

#define KAD_NOTICES_MAX 256 /* KAD_JOINED, _HEARD and _SILENT that wait */
#define KAD_DUE_MAX 4096    /* timers served by one kad_tick; the rest by the next */

/* The single timers; behind them one per element of each table (kad_timer). */
enum kad_single {
    KAD_TIMER_SEED,
    KAD_TIMER_NEWCOMERS,
    KAD_TIMER_TEND,
    KAD_TIMER_REFRESH,
    KAD_TIMER_TOKEN,
    KAD_TIMER_NOTIFY,
    KAD_TIMER_SWEEP,
    KAD_TIMER_LEAVE,
    KAD_TIMER_SINGLES,
};

enum kad_timed {
    KAD_TIMED_SINGLE,
    KAD_TIMED_REQUEST,
    KAD_TIMED_OP,
    KAD_TIMED_CONTACT,
    KAD_TIMED_RECORD,
    KAD_TIMED_OWNER,
    KAD_TIMED_NAME,
    KAD_TIMED_HAND,
    KAD_TIMED_HELD,
    KAD_TIMED_PAIR,
    KAD_TIMED_LEASE,
    KAD_TIMED_PEER,
    KAD_TIMED_KINDS,
};

/* Datagrams that wait for kad_output: each a struct kad_out_head and its bytes. */
struct kad_out_head {
    struct proa_addr to;
    uint32_t len;
};

struct kad_outbox {
    uint8_t *bytes;
    uint32_t cap, begin, end;
};

struct kad_notice {
    struct kad_id id;
    struct proa_addr addr;
    enum kad_event_kind kind;
};

struct kad {
    struct identity self;
    struct cluster_keys keys;
    struct proa_addr address;
    uint16_t epoch;
    proa_ns now;        /* of the present call */
    uint64_t wall_ms;   /* at `now` */
    proa_ns wall_at;    /* when the caller last told the wall clock, */
    uint64_t wall_told; /* and what it said */

    struct kad_random random;
    struct kad_token token;
    struct kad_timers timers;
    uint32_t timer_base[KAD_TIMED_KINDS + 1];
    struct kad_table table;
    struct kad_outbox out;
    struct kad_rpc rpc;
    struct kad_join join;
    struct kad_ops ops;
    struct kad_store store;
    struct kad_peers peers;
    struct kad_names names;
    struct kad_hands hands;
    struct kad_watches watches;
    struct kad_leases leases;
    struct kad_notice notices[KAD_NOTICES_MAX];
    uint32_t notice_first, notice_count;
    struct kad_stats stats;
};

/* ---- kad.c ---- */

/* kad_set_now moves the node's time on; the wall clock moves with it. */
void kad_set_now(struct kad *kad, proa_ns now);

/* kad_timer returns the number of the timer of element `index`. */
uint32_t kad_timer(const struct kad *kad, enum kad_timed timed, uint32_t index);
void kad_set_timer(struct kad *kad, enum kad_timed timed, uint32_t index, proa_ns due);
void kad_clear_timer(struct kad *kad, enum kad_timed timed, uint32_t index);
void kad_notice(struct kad *kad, enum kad_event_kind kind, const struct kad_id *id,
                const struct proa_addr *addr);

/* kad_result hands what became of a request to whose it was. */
void kad_result(struct kad *kad, const struct kad_request *request,
                enum kad_result result, const struct krpc_message *message);

/* ---- kad_send.c ---- */

/* kad_send encodes, seals and queues a message; id and envelope are put in.  False when the
   outbox is full or it does not fit a datagram. */
bool kad_send(struct kad *kad, const struct proa_addr *to, struct krpc_message *message);

/* kad_send_room returns how many datagrams of the largest size still fit. */
uint32_t kad_send_room(const struct kad *kad);

/* ---- kad_query.c ---- */

/* kad_query answers a query of a member. */
void kad_query(struct kad *kad, const struct proa_addr *from,
               const struct krpc_message *message);

#endif
