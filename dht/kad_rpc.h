/* SPDX-License-Identifier: Apache-2.0 */
/* kad_rpc.h - questions under way: who was asked what, and when to stop waiting.

   A request has a 64-bit random transaction id and one byte more that counts its sends, so
   that an answer tells which send it answers and every round trip is a sample.  An answer
   counts only from the endpoint that was asked and, when we knew it, from that id; another
   id there means the old node is gone.

   Time: at one RTO the request is late (its owner may ask somebody else) and is sent again,
   at two once more, at three it failed and the contact has a failure.  an_notify is resent
   after 1, 2 and 4 RTO.  A patient request (a newcomer's, a seed's, a failing contact's ping)
   doubles its waits and gives up after a second: an unknown node may be farther than the
   table's median says.

   Who does not yet have a place in our table is asked to prove its key with the answer.

   Threads: one owner.  Errors: false when no more can be under way. */
#ifndef PROA_DHT_KAD_RPC_H
#define PROA_DHT_KAD_RPC_H

#include "kad_token.h"
#include "krpc.h"

#include <proa/types.h>

#define KAD_TID_LEN 9       /* 8 random bytes and the number of the send */
#define KAD_PATIENCE PROA_S /* of a patient request */
#define KAD_CHECKS_MAX 5000 /* signatures checked or made for others, a second */
#define KAD_FAIL_APART (200 * PROA_MS) /* failures closer together count as one */

struct kad;

/* Whose question it was, and what of it. */
enum kad_tag_kind {
    KAD_TAG_NONE,
    KAD_TAG_WALK,     /* index, serial: an operation and its number */
    KAD_TAG_HOLDER,   /* same */
    KAD_TAG_PUT,      /* same; part: storer | round << 3 */
    KAD_TAG_ANNOUNCE, /* same; part: storer */
    KAD_TAG_NEWCOMER, /* of the table */
    KAD_TAG_SEED,
    KAD_TAG_MEET, /* whoever is at an address */
    KAD_TAG_OWNER, /* index: a kad_owner of the store, serial: the record that is in doubt */
    KAD_TAG_WATCH,  /* index, serial: a held watch; part: which of its pairs */
    KAD_TAG_HELD,   /* index, serial: a held watch, whose record's owner is asked */
    KAD_TAG_RENEW,  /* index, serial: a pair */
    KAD_TAG_NOTIFY, /* index, serial: a given watch */
    KAD_TAG_SWEEP,  /* index, serial: a hand-over */
    KAD_TAG_HAND,   /* same; part: which of its pairs */
};

struct kad_tag {
    uint8_t kind;
    uint8_t part;
    uint32_t index;
    uint32_t serial;
};

enum kad_result {
    KAD_LATE,     /* an RTO passed */
    KAD_ANSWERED, /* the message is a response */
    KAD_ERROR,    /* the message is an error: not a failure */
    KAD_FAILED,   /* nothing came */
};

/* Where a put or a notice finds its record when it is sent, and sent again. */
enum kad_value {
    KAD_VALUE_NONE,
    KAD_VALUE_BEST, /* the best record this node has for the target */
    KAD_VALUE_NAME, /* own name number value_index, life value_serial */
    KAD_VALUE_OP,   /* the operation's own record */
};

/* A question as its owner states it; everything is borrowed for the call. */
struct kad_ask {
    const struct kad_id *id; /* NULL: whoever answers there */
    const struct proa_addr *addr;
    enum krpc_query query;
    const struct kad_id *target; /* NULL: none */
    const uint8_t *token;        /* KAD_TOKEN_LEN bytes; NULL: none */
    bool has_lease;
    uint32_t lease;
    enum kad_value value;
    uint32_t value_index, value_serial;
    struct bencode_span raw;            /* a record, instead of value; and */
    struct bencode_span pairs, targets; /* these: sent once, never again */
    bool patient;
    struct kad_tag tag;
};

struct kad_request {
    uint64_t tid; /* its place in the array is tid modulo the array's length */
    bool used;
    struct kad_id id;
    struct kad_id target;
    struct proa_addr addr;
    struct kad_tag tag;
    proa_ns first_at, last_at, rto;
    uint32_t value_index, value_serial, lease;
    uint8_t nonce[PROA_PROOF_NONCE_LEN];
    uint8_t token[KAD_TOKEN_LEN];
    uint8_t query, value, sends;
    bool has_id, has_target, has_token, has_lease, once, patient, prove;
};

struct kad_rpc {
    struct kad_request *requests;
    uint32_t cap; /* a power of two */
    uint32_t used;
    proa_ns second; /* when the present second of the check budget began */
    uint32_t checks;
};

/* kad_rpc_ask sends a question.  Its tag gets KAD_LATE at most once, and then exactly one of
   the others, from inside kad_input or kad_tick, never from inside this call. */
bool kad_rpc_ask(struct kad *kad, const struct kad_ask *ask);

/* kad_rpc_room tells whether `count` more could be asked. */
bool kad_rpc_room(const struct kad *kad, uint32_t count);

/* kad_rpc_answer takes a response or an error in.  False when nobody waits for it. */
bool kad_rpc_answer(struct kad *kad, const struct proa_addr *from,
                    const struct krpc_message *message);

/* kad_rpc_due is called when the timer of request `number` fires. */
void kad_rpc_due(struct kad *kad, uint32_t number);

/* kad_rpc_may_check tells whether one signature more may be checked, or made for somebody,
   this second, and counts it. */
bool kad_rpc_may_check(struct kad *kad);

#endif
