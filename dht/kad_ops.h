/* SPDX-License-Identifier: Apache-2.0 */
/* kad_ops.h - operations: what the caller or the node itself wants done with one target.

   An operation waits until the node has joined and a search is free, walks to its target,
   and then, by its kind: judges what it found (lookup), claims (kad_claim.c), subscribes
   (kad_watch.c), or is content that the table has learned (refresh).  One of the caller's
   stays until its event is fetched, so no result is ever lost.

   Threads: one owner.  Units: proa_ns. */
#ifndef PROA_DHT_KAD_OPS_H
#define PROA_DHT_KAD_OPS_H

#include "kad.h"
#include "kad_rpc.h"
#include "kad_store.h"
#include "kad_table.h"
#include "kad_walk.h"

#include <proa/outcomes.h>

#define KAD_OPS_OWN                                                                      \
    64                  /* of the node itself, beside the caller's: as many as his, but
                           between a quarter of this and this */
#define KAD_WALKS_OWN 2 /* searches kept for refreshing */
#define KAD_FOUND_MAX 4 /* owners whose statements a search keeps */
#define KAD_FRESH (10 * PROA_S) /* heard so lately: alive.  Source: registry.md */
#define KAD_RETRY (5 * PROA_MS) /* until a question that found no room is tried again */
#define KAD_EMPTY_WAIT                                                                   \
    (200 * PROA_MS) /* until a search that nobody answered begins again */

enum kad_op_kind {
    KAD_OP_LOOKUP,
    KAD_OP_FIND,
    KAD_OP_REGISTER,
    KAD_OP_RENEW, /* of an own name: put where it lacks, and see who else claims it */
    KAD_OP_TOMB,  /* of an own name that was given up */
    KAD_OP_WATCH,
    KAD_OP_REFRESH, /* of the table */
    KAD_OP_ANNOUNCE,
    KAD_OP_PEERS,
};

enum kad_op_state {
    KAD_OP_FREE,
    KAD_OP_QUEUED,   /* for the join, or for a search */
    KAD_OP_WALKING,  /* it has a search */
    KAD_OP_WALKED,   /* still has it; the holder is being asked */
    KAD_OP_PUTTING,  /* a write: the storers are being told */
    KAD_OP_RESTING,  /* begins again at its timer */
    KAD_OP_FINISHED, /* its event waits */
};

/* What the holder of a record said when it was asked. */
enum kad_judged {
    KAD_JUDGED_NOT,
    KAD_JUDGED_MINE,
    KAD_JUDGED_NOT_MINE,
    KAD_JUDGED_SILENT
};

enum kad_storer_state {
    KAD_STORER_TODO,
    KAD_STORER_SENT,
    KAD_STORER_ACKED,
    KAD_STORER_WAIT, /* refused for now: again at retry_at */
    KAD_STORER_FAILED,
};

struct kad_storer {
    struct kad_id id;
    struct proa_addr addr;
    uint8_t token[KAD_TOKEN_LEN];
    uint8_t state; /* enum kad_storer_state */
    uint8_t tries;
    bool told; /* a put went to it, whatever became of it */
    proa_ns retry_at;
};

struct kad_op {
    uint32_t number; /* what the caller knows it by; a place's next life has another */
    uint32_t next;   /* in the queue, the done list or the free list */
    uint8_t kind, state;
    uint8_t judged; /* enum kad_judged, of `holder` */
    uint8_t tries;  /* rests so far */
    uint8_t round;  /* which telling of the storers this is */
    uint8_t raises; /* of the term, since the last rest */
    bool own, fast, alive, asking;
    bool signs; /* raw is this node's own statement */
    enum proa_outcome outcome;
    uint32_t search;        /* KAD_NONE: none */
    uint32_t index, serial; /* own name, or held watch */
    struct kad_id target;
    struct kad_id holder;  /* who was asked last */
    struct proa_addr addr; /* FIND's result */
    proa_ns deadline;
    uint64_t node; /* of FIND */
    uint64_t term; /* of the claim; before it the highest seen */
    uint8_t storer_count, quorum;
    uint8_t peer_count;
    uint16_t raw_len;
    union {
        struct {
            uint8_t raw[PROA_RECORD_MAX]; /* the result's record, or the tombstone */
            struct kad_storer storers[KAD_K];
        };
        struct proa_addr peers[KAD_PEERS_MAX]; /* of PEERS */
    };
};

struct kad_found {
    struct kad_stamp stamp;
    bool disowned; /* its owner said "not mine" */
    bool hint;     /* we were told of it; no storer has returned it */
    uint16_t len;
    uint8_t raw[PROA_RECORD_MAX];
};

/* Who told of one of a PEERS's endpoints. */
struct kad_teller {
    struct kad_id closest; /* to the target, of those that told of it */
    uint32_t count;
};

struct kad_search {
    uint32_t op;   /* KAD_NONE: free */
    uint32_t next; /* free list */
    uint32_t found_count;
    struct kad_walk walk;
    union {
        struct kad_found found[KAD_FOUND_MAX];
        struct kad_teller
            tellers[KAD_PEERS_MAX]; /* of PEERS: of each of the operation's peers */
    };
};

struct kad_ops {
    struct kad_op *ops;
    struct kad_search *searches;
    uint32_t cap, walks_cap; /* both with the node's own */
    uint32_t own_cap;        /* of cap, for the node itself */
    uint32_t ops_free, used, used_own;
    uint32_t searches_free, searching;
    uint32_t queue, queue_end; /* waiting, first come first served */
    uint32_t done, done_end;   /* finished, not fetched */
    uint32_t last_number;
};

void kad_ops_init(struct kad_ops *self);

/* kad_op_new takes a place; NULL when all are taken.  The caller fills it in and calls
   kad_op_start. */
struct kad_op *kad_op_new(struct kad *kad, enum kad_op_kind kind,
                          const struct kad_id *target, proa_ns deadline, bool own);
void kad_op_start(struct kad *kad, struct kad_op *op);
struct kad_op *kad_op_of(struct kad *kad, const struct kad_tag *tag);
uint32_t kad_op_index(const struct kad *kad, const struct kad_op *op);

/* kad_op_finish ends it; raw is then the event's record when raw_len is not 0. */
void kad_op_finish(struct kad *kad, struct kad_op *op, enum proa_outcome outcome);

/* kad_op_event hands out the event of the operation that finished first; false when none. */
bool kad_op_event(struct kad *kad, struct kad_event *ret);

/* kad_op_rest begins it anew after `wait`, or finishes it at its deadline. */
void kad_op_rest(struct kad *kad, struct kad_op *op, proa_ns wait);

/* kad_op_timer sets when kad_op_due is called: no later than its deadline. */
void kad_op_timer(struct kad *kad, struct kad_op *op, proa_ns due);
void kad_op_due(struct kad *kad, uint32_t number);

/* kad_ops_schedule starts what waits, as far as searches are free. */
void kad_ops_schedule(struct kad *kad);

/* kad_op_begin starts its walk; a search must be free.  kad_op_pump asks as many nodes as may be
   asked now and ends the walk when it is over.  kad_op_decide decides a lookup if it can be: on
   a record found (fast), or when the walk is over.  In kad_search.c. */
void kad_op_begin(struct kad *kad, struct kad_op *op);
void kad_op_pump(struct kad *kad, struct kad_op *op);
void kad_op_decide(struct kad *kad, struct kad_op *op);

/* kad_op_release gives the operation's search back. */
void kad_op_release(struct kad *kad, struct kad_op *op);

void kad_op_walk_result(struct kad *kad, const struct kad_request *request,
                        enum kad_result result, const struct krpc_message *message);

/* kad_op_ask_holder asks the owner of a record whether it still holds the name. */
void kad_op_ask_holder(struct kad *kad, struct kad_op *op, const struct record *fields);
void kad_op_holder_result(struct kad *kad, const struct kad_request *request,
                          enum kad_result result, const struct krpc_message *message);

/* kad_op_pick makes the readers' pick of what the search found, decoded into
   *ret; its place, or KAD_NONE.  Disowned statements do not count. */
uint32_t kad_op_pick(struct kad *kad, struct kad_op *op, struct record *ret);

/* kad_op_keep makes found record `at` the operation's raw. */
void kad_op_keep(struct kad *kad, struct kad_op *op, uint32_t at);

/* kad_op_disown marks what this owner said as void. */
void kad_op_disown(struct kad *kad, struct kad_op *op, const struct kad_id *owner);

/* kad_is_alive tells whether this node was heard within 10 s. */
bool kad_is_alive(struct kad *kad, const struct kad_id *id);

#endif
