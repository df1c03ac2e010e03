/* SPDX-License-Identifier: Apache-2.0 */
/* packet.h - the bytes of a link packet: header, messages, keyed bodies.

   A link packet is a 32-byte header and what its kind says: DATA carries messages, ACK a
   bitmap, the keyed kinds a fixed body and a 16-byte tag at the very end.  All fields are
   little-endian; where several share a byte or a word, the first named has the low bits.
   docs/wire.md is the published description, and its vectors are run by
   tests/dataplane/test_packet.c.

   Nothing here looks at the state of a link: it turns bytes into fields and fields into bytes
   and refuses what no state could make valid.

   Threads: pure functions over the caller's memory; any thread.
   Units:   bytes; the times on the wire are named where they stand.
   Errors:  0, or a positive PACKET_E_. */
#ifndef PACKET_H
#define PACKET_H

#include <proa/actor.h>
#include <proa/le.h>
#include <proa/types.h>

#define PACKET_VERSION 1
#define PACKET_HEADER_LEN 32
#define PACKET_TAG_LEN                                                                   \
    16 /* keyed packets, and data packets that are SEALED, end in one */
#define PACKET_LEN_MIN PACKET_HEADER_LEN
#define PACKET_LEN_MAX 9216 /* jumbo frames */
#define PACKET_MTU_MIN                                                                   \
    1224 /* of a link packet: what IPv6's least MTU holds: 1,280 - 40 - 8 - 2, down to 8 */
#define PACKET_BITMAP_MAX 128 /* bytes of an ACK's body: 1,024 packets */
#define PACKET_MESSAGE_CAP                                                               \
    (16u << 20) /* bytes of the largest bulk message there can be */

#define PACKET_E_SHORT 1   /* ends before its fixed part does */
#define PACKET_E_VERSION 2 /* a version this node does not speak */
#define PACKET_E_KIND 3    /* no such kind, or not the kind asked for */
#define PACKET_E_FIELD 4   /* a field has a value it cannot have */

enum packet_kind {
    PACKET_DATA = 0,
    PACKET_ACK = 1,
    PACKET_SYN = 2, /* from here on keyed */
    PACKET_SYNACK = 3,
    PACKET_OPEN = 4,
    PACKET_PING = 5,
    PACKET_PONG = 6,
    PACKET_RST = 7,
    PACKET_CLOSE = 8,
    PACKET_KIND_COUNT
};

/* Bits of packet_header.flags; the attempt has the three bits above them. */
#define PACKET_ACK_VALID 0x01u /* window, sack, ack, trigger, host_delay mean something */
#define PACKET_SEALED 0x02u
#define PACKET_KEY_PHASE 0x04u
#define PACKET_CE_ECHO 0x08u /* congestion was marked on the way to the sender of this */
#define PACKET_PROBE 0x10u   /* acknowledge at once */
#define PACKET_FLAGS_ALL 0x1fu

#define PACKET_ATTEMPT_MAX 7          /* 3 bits */
#define PACKET_HOST_DELAY_NONE 0xffff /* no trigger, or longer ago than 16 ms */
#define PACKET_HOST_DELAY_UNIT 250    /* ns */

/* Offsets in the header, for those who write or peek at single fields. */
enum packet_offset {
    PACKET_AT_FLAGS = 1,
    PACKET_AT_WINDOW = 2,
    PACKET_AT_SEQ = 4,
    PACKET_AT_DST_LINK = 8,
    PACKET_AT_SACK = 16,
    PACKET_AT_ACK = 24,
    PACKET_AT_TRIGGER = 28,
    PACKET_AT_HOST_DELAY = 30,
};

struct packet_header {
    uint8_t kind;    /* enum packet_kind */
    uint8_t flags;   /* PACKET_ bits */
    uint8_t attempt; /* times this packet was sent before, 0..PACKET_ATTEMPT_MAX */
    uint8_t trigger_attempt;
    bool trigger_valid;
    int16_t
        trigger; /* seq of the packet that made this ack due, minus ack: -2,048..2,047 */
    uint16_t window;     /* packets past ack that are welcome */
    uint16_t host_delay; /* trigger's receipt to this packet's sending, in 250 ns */
    uint32_t seq;        /* DATA: its own; ACK: the next one's */
    uint32_t ack;        /* next expected */
    uint64_t sack;       /* bit i: ack + 1 + i has arrived */
    uint64_t dst_link;   /* the receiver's link id; 0 in a SYN */
};

/* packet_header_get reads the header of a packet of len bytes.  Returns 0, PACKET_E_SHORT,
   PACKET_E_VERSION or PACKET_E_KIND. */
int packet_header_get(const uint8_t *data, size_t len, struct packet_header *ret);

/* packet_header_of makes a header of its first and its last word, whatever they say; sack and dst_link,
   which lie between, are 0. */
void packet_header_of(uint64_t head, uint64_t acks, struct packet_header *ret);
#define PACKET_ACKS_TRIGGER (1ull << 47) /* of the last word: a trigger is named */

/* packet_header_put writes the 32 bytes. */
void packet_header_put(uint8_t *data, const struct packet_header *header);

/* Single fields of a packet that has at least PACKET_HEADER_LEN bytes. */
static inline unsigned packet_kind(const uint8_t *data)
{
    return data[0] >> 4;
}

static inline unsigned packet_version(const uint8_t *data)
{
    return data[0] & 15;
}

static inline uint64_t packet_dst_link(const uint8_t *data)
{
    return proa_get_le64(data + PACKET_AT_DST_LINK);
}

static inline bool packet_kind_is_keyed(unsigned kind)
{
    return kind >= PACKET_SYN && kind < PACKET_KIND_COUNT;
}

const char *packet_kind_name(unsigned kind); /* "data", ...; "?" */

/* ---- Keyed packets ---- */

/* Every keyed packet begins, after the header, with these four words:

     32 u64 src_node   40 u64 dst_node (0 in a SYN to an address whose node is not known)
     48 u64 nonce      random, of this packet
     56 u64 echo       nonce of the packet this answers; 0 when it answers none

   SYN, SYNACK and OPEN go on with

     64 u64 link       the sender's own id of the link
     72 u64 peer_link  the receiver's, as it said in its SYNACK; 0 in a SYN
     80 u32 start      first seq the sender will use
     84 u32 peer_start as the receiver said in its SYNACK; 0 in a SYN
     88 u16 mtu        largest link packet the sender offers
     90 u8  lane       of the receiver, on which the sender would like the link; 255: any
     91 u8  lanes      of the sender's node
     92 u32 0
     96 32 B public key, Ed25519: its hash is the node's id
    128 64 B signature over bytes 0..127 and 192..223, which binds the key to this exchange
    192 32 B X25519 public key of a sealed link; zero when not sealed
    224 zero padding (SYN, SYNACK: up to mtu - 16), then the tag

   and PING, PONG, RST, CLOSE with

     64 u64 link       the sender's own id of the link; 0 when it knows none (RST)
     72 u32 flags      PACKET_PING_ and PACKET_CLOSE_ bits
     76 u32 loop_gap   the sending lane's recent longest loop gap, in us
     80 the tag

   The tag is a keyed BLAKE2b of 16 bytes over everything before it; whoever holds the key makes
   and checks it (control/). */
#define PACKET_OPEN_LEN 224 /* SYN, SYNACK, OPEN without padding and tag */
#define PACKET_PING_LEN 80  /* PING, PONG, RST, CLOSE without the tag */

#define PACKET_OPEN_SIGNED_AT 128 /* where the signature lies */
#define PACKET_OPEN_KX_AT 192

#define PACKET_PING_PROBE 0x1u    /* PING: tell the current window at once */
#define PACKET_PING_BUSY 0x2u     /* PONG: alive, not consuming */
#define PACKET_CLOSE_LEAVING 0x4u /* CLOSE: the whole node leaves, not just this link */

/* What SYN, SYNACK and OPEN say. */
struct packet_open {
    uint64_t src_node, dst_node;
    uint64_t nonce, echo;
    uint64_t link, peer_link;
    uint32_t start, peer_start;
    uint16_t mtu;
    uint8_t lane, lanes;
    uint8_t public_key[32];
    uint8_t signature[64];
    uint8_t kx[32];
};

/* packet_open_put writes header and body of a SYN, SYNACK or OPEN into buf and zeroes up to
   len - PACKET_TAG_LEN, where the tag's 16 bytes are left for the caller.  dst_link in the
   header is open->peer_link.  len is what is to be sent: PACKET_OPEN_LEN + PACKET_TAG_LEN at
   least. */
void packet_open_put(uint8_t *buf, size_t len, enum packet_kind kind,
                     const struct packet_open *open);

/* packet_open_get reads one back.  The tag has been checked by the caller.  Returns 0,
   PACKET_E_SHORT, PACKET_E_VERSION, PACKET_E_KIND (not one of the three) or PACKET_E_FIELD (a
   node or link of 0 where none may be, an mtu below PACKET_MTU_MIN or above PACKET_LEN_MAX). */
int packet_open_get(const uint8_t *buf, size_t len, struct packet_open *ret);

/* What PING, PONG, RST and CLOSE say. */
struct packet_ping {
    uint64_t src_node, dst_node;
    uint64_t nonce, echo;
    uint64_t link;      /* the sender's own id */
    uint64_t peer_link; /* the receiver's: dst_link of the header */
    uint32_t flags;
    uint32_t loop_gap_us;
};

/* packet_ping_put writes PACKET_PING_LEN bytes; the tag comes behind them.  Returns
   PACKET_PING_LEN. */
size_t packet_ping_put(uint8_t *buf, enum packet_kind kind,
                       const struct packet_ping *ping);

/* packet_ping_get: as packet_open_get, for those four kinds. */
int packet_ping_get(const uint8_t *buf, size_t len, struct packet_ping *ret);

/* ---- Messages ---- */

/* Bits of a message's flags; the first three are proa_msg's. */
#define PACKET_MSG_ASK PROA_MSG_ASK
#define PACKET_MSG_REPLY PROA_MSG_REPLY
#define PACKET_MSG_SYSTEM PROA_MSG_SYSTEM
#define PACKET_MSG_FRAG 0x08u
#define PACKET_MSG_FOREIGN 0x10u
#define PACKET_MSG_SAME 0x20u
#define PACKET_MSG_FLAGS_ALL 0x3fu

#define PACKET_MSG_HEAD 24     /* bytes of a message's header */
#define PACKET_MSG_HEAD_SAME 8 /* when src and dst are those of the message before */
#define PACKET_EXT_FRAG 16
#define PACKET_EXT_FOREIGN 8
#define PACKET_EXT_ASK 8 /* ASK or REPLY */

#define PACKET_US_LEFT_MAX 3600000000u /* 1 h: PROA_DEADLINE_MAX */

/* packet_padded rounds a payload's length up to 8. */
static inline size_t packet_padded(size_t len)
{
    return (len + 7) & ~(size_t)7;
}

/* packet_overhead is the bytes of header and extensions of a message with these flags. */
static inline size_t packet_overhead(unsigned flags)
{
    size_t len = (flags & PACKET_MSG_SAME) ? PACKET_MSG_HEAD_SAME : PACKET_MSG_HEAD;

    if (flags & PACKET_MSG_FRAG)
        len += PACKET_EXT_FRAG;
    if (flags & PACKET_MSG_FOREIGN)
        len += PACKET_EXT_FOREIGN;
    if (flags & (PACKET_MSG_ASK | PACKET_MSG_REPLY))
        len += PACKET_EXT_ASK;
    return len;
}

/* One message as it lies in a packet.  Zero it before the first message of a packet; src and dst
   are carried from message to message for SAME. */
struct packet_message {
    const uint8_t *payload; /* len bytes in the packet */
    uint16_t len;
    uint8_t flags; /* PACKET_MSG_ bits */
    uint8_t cls;   /* enum proa_class */
    uint8_t hops;
    bool seen; /* a message came before this one */
    uint32_t type;
    uint64_t dst, src;              /* slot:32 generation:32 */
    uint32_t stream, offset, total; /* FRAG */
    uint64_t src_node;              /* FOREIGN, else 0 */
    uint32_t correlation;           /* ASK, REPLY, else 0 */
    uint32_t us_left;               /* ASK */
};

/* packet_message_get reads and checks the message at `at` of a packet whose messages end at
   `end`; both are 8-byte steps from the header.  Returns where the next one begins, or NULL: cut
   short, an unknown flag, flags that exclude each other, SYSTEM and type contradict each other,
   class or hops out of range, SAME first, a fragment outside its total. */
const uint8_t *packet_message_get(const uint8_t *at, const uint8_t *end,
                                  struct packet_message *message);

/* packet_message_put writes header and extensions of a message at buf (8-byte aligned); payload
   of message->len bytes comes behind.  Returns the bytes written: packet_overhead(flags). */
size_t packet_message_put(uint8_t *buf, const struct packet_message *message);

/* packet_head_is_plain tells from a message's first 8 bytes that it is a plain tell, by far the
   most common: no flag but SAME, a user's type, class and hops in range. */
static inline bool packet_head_is_plain(uint64_t head)
{
    const uint64_t odd = (uint64_t)PROA_TYPE_SYSTEM << 32 |
                         (uint64_t)(0xff & ~PACKET_MSG_SAME) << 16 | 0xc0ull << 24;

    return (head & odd) == 0 && (head >> 24 & 3) <= PROA_CLASS_SYSTEM &&
           (head >> 26 & 0x3f) <= PROA_HOPS_MAX;
}

/* packet_head_is_call: it is an ask or a reply between actors of the link's two nodes.  The whole
   message is sound when its extension and payload fit and us_left is none too many. */
static inline bool packet_head_is_call(uint64_t head)
{
    const uint64_t calls = (uint64_t)(PACKET_MSG_ASK | PACKET_MSG_REPLY) << 16;
    uint64_t kind = head & calls;

    return kind != 0 && kind != calls && packet_head_is_plain(head & ~calls);
}

/* packet_step goes len bytes on.  Where the next message begins depends on a load from this
   one; most messages are as long as the one before, so the step is taken from there, by a
   branch that is well predicted, and the loads of several messages overlap.  The empty asm hides
   from the compiler that the two are equal.  Source: perf/bench_link, a tell's
   input 12.5 -> 10.0 ns. */
static inline const uint8_t *packet_step(const uint8_t *at, size_t len, size_t *last)
{
    size_t step = *last;

    __asm__("" : "+r"(step));
    if (__builtin_expect(len != *last, 0)) {
        *last = len;
        step = len;
        __asm__ volatile("" : "+r"(step));
    }
    return at + step;
}

/* packet_messages_check walks all messages between at and end.  Returns how many there are, or
   -1 when the packet is malformed; no message at all is malformed too, and so is a length that is
   no multiple of 8. */
int packet_messages_check(const uint8_t *at, const uint8_t *end);

static inline uint64_t packet_actor(uint32_t slot, uint32_t generation)
{
    return slot | (uint64_t)generation << 32;
}

#endif
