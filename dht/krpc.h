/* SPDX-License-Identifier: Apache-2.0 */
/* krpc.h - one KRPC datagram as a struct: BEP 5, 32, 42, 43, 44 and our own keys.

   krpc_decode borrows: spans and pointers of the message point into the datagram, which must
   outlive it.  krpc_encode copies what they point to into the caller's buffer.  Absent is
   NULL for pointers and spans, count 0 for lists, and a bit missing in `has` for everything
   else.  Unknown keys are ignored; a known key of a wrong kind or length is an error of its
   own, so that a foreign node can be told, while what is not KRPC gets no answer.

   Closed mode, on top of the BEPs (the envelope `an` is envelope.h's):

     any query   `c`  16 B nonce: prove your key.  Answer: `k` 32 B, `ks` 64 B (identity.h)
     ping        `target`: do you own this name?  Answer: `ok` 1 yes, 0 "not mine"
     put         `target`, `token`, `v` = a record as a byte string; no k, sig, seq, cas.
                 Answer: `ok` 1, or `ok` 0 and `v` = the record that stands against it
     get         Answer: `v` = the best record, as a byte string; token, nodes
     an_watch    `target` (or `targets`: one renewal for many), `lease` seconds, 0 ends;
                 `token`.  Answer: `ok`, and `v` when there is a record.
     an_notify   `target`, `v` = the changed record.  Answer: empty
     an_sweep    `target` (any of them), `pairs` = up to 28 of {target 20 B, issued u64
                 big-endian}.  Answer: `lack` = one byte per pair, 1 where a put is wanted

   Each carries `target`, so that a foreign implementation answers as to find_node.

   Threads: pure functions over the caller's memory; any thread.
   Units:   lengths are bytes; lease is seconds.
   Errors:  decode: 0 or KRPC_E_; encode: 0 bytes. */
#ifndef PROA_DHT_KRPC_H
#define PROA_DHT_KRPC_H

#include "bencode.h"
#include "identity.h"
#include "kad_id.h"

#include <proa/types.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PROA_KRPC_PACKET_MAX 1400 /* what we send: fits a 1,500 B MTU on IPv6 with room */
#define PROA_KRPC_TID_MAX 16      /* bytes of a transaction id we can echo */
#define PROA_KRPC_NODES_MAX 16    /* of each family; surplus ones are ignored */
#define PROA_KRPC_VALUES_MAX 64   /* peers of get_peers; surplus ones are ignored */
#define PROA_KRPC_QUERY_NAME_MAX 64
#define PROA_KRPC_TOKEN_MAX 40
#define PROA_KRPC_VALUE_MAX 1000 /* bencoded v.  Source: BEP 44 */
#define PROA_KRPC_SALT_MAX 64    /* Source: BEP 44 */
#define PROA_KRPC_PAIR_LEN 28    /* target and issued */
#define PROA_KRPC_PAIRS_MAX 28
#define PROA_KRPC_TARGETS_MAX 40 /* of an an_watch renewal */
#define PROA_KRPC_NODE_LEN 26    /* compact node on IPv4.  Source: BEP 5 */
#define PROA_KRPC_NODE6_LEN 38   /* on IPv6.  Source: BEP 32 */

#define KRPC_E_MALFORMED 1 /* not KRPC: no answer is possible */
#define KRPC_E_FIELD 2     /* a known key has a wrong form, or one is missing: 203 */
#define KRPC_E_VALUE 3     /* v is longer than 1,000 bytes: 205 */
#define KRPC_E_SALT 4      /* salt is longer than 64 bytes: 207 */

enum krpc_kind { KRPC_QUERY, KRPC_RESPONSE, KRPC_ERROR };

enum krpc_query {
    KRPC_PING,
    KRPC_FIND_NODE,
    KRPC_GET,
    KRPC_PUT,
    KRPC_GET_PEERS,
    KRPC_ANNOUNCE_PEER,
    KRPC_AN_WATCH,
    KRPC_AN_NOTIFY,
    KRPC_AN_SWEEP,
    KRPC_UNKNOWN, /* another name, in query_name; answer as find_node when HAS_TARGET */
};

/* Bits of krpc_message.has. */
#define KRPC_HAS_ID (1u << 0)     /* id */
#define KRPC_HAS_TARGET (1u << 1) /* target, or info_hash of the peer queries */
#define KRPC_HAS_SEQ (1u << 2)
#define KRPC_HAS_CAS (1u << 3)
#define KRPC_HAS_PORT (1u << 4)
#define KRPC_HAS_OK (1u << 5)
#define KRPC_HAS_LEASE (1u << 6)
#define KRPC_HAS_IP (1u << 7) /* ip: our own address as the sender sees it (BEP 42) */
#define KRPC_HAS_AN (1u << 8) /* decode: an envelope is there.  encode: leave its room */
#define KRPC_HAS_NODES (1u << 9)   /* `nodes` is there, though maybe empty */
#define KRPC_HAS_NODES6 (1u << 10) /* same */

#define KRPC_WANT_N4 1u /* bits of krpc_message.want.  Source: BEP 32 */
#define KRPC_WANT_N6 2u

/* Error codes. */
#define KRPC_ERROR_GENERIC 201
#define KRPC_ERROR_SERVER 202
#define KRPC_ERROR_PROTOCOL 203 /* also: bad token */
#define KRPC_ERROR_METHOD 204
#define KRPC_ERROR_TOO_BIG 205 /* v.  205 to 302: BEP 44 */
#define KRPC_ERROR_SIGNATURE 206
#define KRPC_ERROR_SALT 207
#define KRPC_ERROR_CAS 301
#define KRPC_ERROR_SEQ 302
#define KRPC_ERROR_NOT_JOINED 320 /* ours, closed mode only, from here on */
#define KRPC_ERROR_FULL 321       /* a bound of the store or of the watches is reached */
#define KRPC_ERROR_AHEAD 322      /* issued too far in the future */

struct krpc_node {
    struct kad_id id;
    struct proa_addr addr;
};

struct krpc_message {
    /* Top level. */
    enum krpc_kind kind;
    enum krpc_query query; /* of a query only: a response does not say */
    uint32_t has;          /* KRPC_HAS_ bits */
    uint8_t t[PROA_KRPC_TID_MAX];
    uint8_t t_len; /* 1 to 16 */
    bool ro;       /* read-only sender: not for the table.  Source: BEP 43 */
    uint8_t want;  /* KRPC_WANT_ bits, 0: not said */
    bool implied_port;
    bool ok;
    uint16_t port;
    struct proa_addr ip;
    struct bencode_span query_name; /* as it came; encode reads it of KRPC_UNKNOWN only */
    struct bencode_span version;    /* top-level v, any bytes */

    /* Of an error. */
    int32_t error;
    struct bencode_span error_text;

    /* Inside `a` or `r`. */
    struct kad_id id;     /* the sender's */
    struct kad_id target; /* encoded as info_hash in get_peers and announce_peer */
    struct bencode_span token;
    struct bencode_span v; /* the value's exact bencoded bytes.  See krpc_value_string */
    struct bencode_span salt;
    int64_t seq;
    int64_t cas;
    const uint8_t *k;     /* 32 B */
    const uint8_t *sig;   /* 64 B */
    const uint8_t *nonce; /* `c`, 16 B */
    const uint8_t *proof; /* `ks`, 64 B */
    uint32_t lease;
    struct bencode_span pairs;
    struct bencode_span targets;
    struct bencode_span lack;

    uint32_t node_count;
    uint32_t node6_count;
    uint32_t value_count;
    /* krpc_message_init leaves what is below here as it was. */
    struct krpc_node nodes[PROA_KRPC_NODES_MAX];
    struct krpc_node nodes6[PROA_KRPC_NODES_MAX];
    struct proa_addr values[PROA_KRPC_VALUES_MAX]; /* both families mixed */
};

/* krpc_message_init makes a message of that kind with nothing in it.  tid is 1 to 16 bytes
   and is copied. */
void krpc_message_init(struct krpc_message *self, enum krpc_kind kind, const void *tid,
                       size_t tid_len);

/* krpc_query_name returns the name of a query on the wire, NULL of KRPC_UNKNOWN. */
const char *krpc_query_name(enum krpc_query query);

/* krpc_decode reads one datagram.  Returns 0, KRPC_E_MALFORMED, or the first of the others that
   it met, and then kind, t and, in a query, query are set and may be answered with that error;
   use nothing else.

   Of a query, `id` is required, and the target where the query has one by its nature
   (find_node, get, get_peers, announce_peer, and the an_ ones); `v` and token in put, and with `k`
   also seq and sig; `v` in an_notify; token in announce_peer, and a port unless implied.  Of a
   response, `id`.  That is all it judges: v is any valid bencode, endpoints may be nonsense
   (port 0).  Our own keys (c, ks, lack, lease, ok, pairs, targets), `an` and `ip` count as
   absent when they have a wrong form: to a foreign node they may mean something else. */
int krpc_decode(struct krpc_message *ret, const uint8_t *buf, size_t len);

/* krpc_encode writes the message into buf, keys sorted.  Returns its length, or 0 when it
   does not fit into cap.  `v` must be one bencoded value; nodes must be of their list's
   family.  With KRPC_HAS_AN the envelope's 28 bytes are left zero for envelope_seal. */
size_t krpc_encode(const struct krpc_message *self, uint8_t *buf, size_t cap);

/* krpc_value_string takes the bytes out of a `v` that is a bencoded byte string, as closed
   mode's records are.  False when it is something else. */
bool krpc_value_string(struct bencode_span v, struct bencode_span *ret_bytes);

/* krpc_value_write makes such a `v` of len bytes in buf, which must have room for len + 5.
   Returns its span, absent when it does not fit into cap. */
struct bencode_span krpc_value_write(const void *bytes, size_t len, uint8_t *buf,
                                     size_t cap);

/* krpc_compact_write writes addr as BEP 5 does, 4 (IPv4) or 16 bytes and the port, both in
   network order.  Returns 6 or 18; 0 when it has no family. */
size_t krpc_compact_write(const struct proa_addr *addr, uint8_t ret_bytes[18]);

/* krpc_compact_read is its inverse: len is 6 or 18, else false.  A v4-mapped IPv6 address
   becomes family 4. */
bool krpc_compact_read(const uint8_t *bytes, size_t len, struct proa_addr *ret_addr);

#endif
