/* SPDX-License-Identifier: Apache-2.0 */
/* pair_ring.h - the bounded queue of messages from one lane to one other lane.

   Items lie inline in the ring, in slots of two lines.  What costs is the cache lines that move from
   core to core, so an item takes as few as it can: the first line of its slot for a tell of up to
   PAIR_TELL_MAX bytes between actors of this node (struct pair_tell), both for all else, a message
   with up to PAIR_INLINE_MAX bytes of payload.  A longer payload lies in a pair_node of the sender,
   lent to the receiver until it has consumed the item; the sender remembers what it lent and takes
   it back by that, so nothing travels home.  The sender collects items and publishes them in
   batches; the receiver takes bursts.

   Slots that follow one another lie PAIR_RING_STRIDE apart.  Side by side, a receiver close behind the
   sender has its core's prefetcher fetch the lines behind the last one published, away from the
   sender, which is about to write them: a tell took 64 ns where it takes 27 (bench_pair_ring, medians
   of three runs in turns).

   Two pairs of operations carry the whole design:

     P1 store-release tail  ->  C1 load-acquire tail   an item, and its node, is written before
                                                       the receiver reads it
     C2 store-release head  ->  P2 load-acquire head   an item, and its node, is read before the
                                                       sender writes it again

   All else is relaxed or plain: only its own thread touches it.  Wait-free on both sides.  Two
   rings that face each other, both full, still drain: consuming needs no room anywhere.

   Threads: "sender" and "receiver" functions belong to one thread each.
   Units:   items, each in a slot of 128 bytes; lengths in bytes.
   Errors:  NULL or false when full; the ring is then unchanged.
   Bound:   the capacity given at init.  Ordinary items may fill all but the headroom
            (PAIR_RING_HEADROOM of it); privileged ones, which answer something (replies,
            refusals, spawned), all of it.  Who gets NULL for a privileged item keeps it and
            tries again in the next loop. */
#ifndef PAIR_RING_H
#define PAIR_RING_H

#include <stdalign.h>
#include <stdatomic.h>
#include <string.h>

#include <proa/actor.h>

#include "prefetch.h"

#define PAIR_TELL_MAX 32u        /* payload bytes that fit into an item of one line */
#define PAIR_INLINE_MAX 56u      /* payload bytes that fit into an item */
#define PAIR_BODY_MAX 120u       /* bytes of an item that is no message */
#define PAIR_RING_MIN 64u        /* smallest capacity */
#define PAIR_RING_MAX (1u << 20) /* largest capacity */
#define PAIR_RING_HEADROOM 8     /* 1/8 of the capacity is for privileged items only */
#define PAIR_RING_BATCH 16u      /* commits between publishes; perf/bench_pair_ring */
#define PAIR_RING_AHEAD 16u      /* slots the sender prefetches ahead */
#define PAIR_RING_LOOK 8u        /* published slots the receiver prefetches ahead */
#define PAIR_RING_STRIDE                                                                 \
    33u /* slots: another page each, and another set of the L1 cache; odd */

/* What an item is.  Below PAIR_FOREIGN they are the schedulers' own; from there on they belong
   to the lane (sched.h, foreign_item). */
enum pair_kind {
    PAIR_TELL = 1, /* one line: tell */
    PAIR_MSG,      /* msg, payload in inline_data */
    PAIR_MSG_NODE, /* msg, payload in node, lent until the item is consumed */
    PAIR_BULK,     /* msg, payload in ptr, whose ownership passes to the receiver */
    PAIR_REFUSAL,  /* a run of refused messages, in body */
    PAIR_WRITABLE, /* a mailbox or ring drained */
    PAIR_SPAWN,
    PAIR_SPAWNED,
    PAIR_STOP,
    PAIR_SCHED_FREE, /* first kind the schedulers may name themselves */

    PAIR_FOREIGN = 64,
    PAIR_PKT = PAIR_FOREIGN, /* a misdirected packet, in ptr */
    PAIR_MARKER,             /* lane's own: order marks of links */
    PAIR_LANE_FREE,          /* first kind the lanes may name themselves */
};

/* Memory for one payload.  Owned by the lane that made it; lent to the receiver with the item,
   to be read only. */
struct pair_node {
    struct pair_node *next; /* in pair_ring_returned's list */
    uint32_t size;          /* bytes of data there is room for; the owner's business */
    uint32_t len;           /* bytes used */
    alignas(16) uint8_t data[];
};

/* A tell from an actor of this node (or from nobody) to another: what its message cannot lack. */
struct pair_tell {
    uint32_t type;
    uint32_t head; /* hops << 16 | class << 8 | length */
    uint64_t from; /* slot | generation << 32; generation 0: nobody */
    uint64_t to;   /* as well */
    alignas(8) uint8_t data[PAIR_TELL_MAX];
};

struct pair_item {
    union {
        struct {
            uint32_t kind; /* enum pair_kind */
            uint32_t aux;  /* for the kind to use */
        };
        uint64_t kind_aux; /* both, written at once */
    };
    union {
        struct pair_tell tell; /* nothing behind it belongs to this item */
        struct {
            struct proa_msg msg; /* msg.data does not travel: pair_item_data() */
            union {
                alignas(8) uint8_t inline_data[PAIR_INLINE_MAX];
                struct pair_node *node;
                void *ptr;
            };
        };
        alignas(8) uint8_t body[PAIR_BODY_MAX];
    };
};

_Static_assert(sizeof(struct proa_msg) == 64, "one cache line");
_Static_assert(sizeof(struct pair_item) == 128, "two cache lines");
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ &&
                   offsetof(struct proa_msg, cls) ==
                       offsetof(struct proa_msg, flags) + 1 &&
                   offsetof(struct proa_msg, hops) ==
                       offsetof(struct proa_msg, flags) + 2,
               "the class and hops of pair_tell.head");

_Static_assert(offsetof(struct pair_item, tell.data) + PAIR_TELL_MAX == PROA_CACHE_LINE,
               "a tell ends with its line");

static inline uint32_t pair_tell_head(uint32_t len, uint32_t cls, uint32_t hops)
{
    return hops << 16 | cls << 8 | len;
}

static inline uint32_t pair_tell_len(const struct pair_tell *tell)
{
    return tell->head & 0xff;
}

/* pair_tell_open puts together what a tell says, but for `to`, deadline and correlation, which are
   the same for all of one actor. */
static inline void pair_tell_open(const struct pair_tell *tell, uint64_t node,
                                  struct proa_msg *msg)
{
    uint32_t tail = tell->head & 0x00ffff00; /* flags, class, hops, zero */

    msg->data = tell->data;
    msg->len = pair_tell_len(tell);
    msg->type = tell->type;
    msg->from.node = tell->from >> 32 == 0 ? 0 : node;
    memcpy(&msg->from.slot, &tell->from, sizeof(tell->from));
    memcpy(&msg->flags, &tail, sizeof(tail));
}

/* pair_item_put makes item a message: msg and its payload, as PAIR_TELL or PAIR_MSG; `node` is
   this node's id.  False when the payload does not fit: item is then a PAIR_MSG_NODE, but for
   its node (or make it PAIR_BULK and set ptr).  msg->data is only read. */
bool pair_item_put(struct pair_item *item, const struct proa_msg *msg, uint64_t node);

/* pair_item_open gives the message in item, ready for a handler: a PAIR_TELL's is put together
   in space, that of the other three kinds of message is item->msg, with its data set. */
const struct proa_msg *pair_item_open(struct pair_item *item, uint64_t node,
                                      struct proa_msg *space);

struct pair_slot {
    alignas(2 * PROA_CACHE_LINE) uint8_t bytes[2 * PROA_CACHE_LINE];
};

_Static_assert(sizeof(struct pair_item) == sizeof(struct pair_slot), "one item a slot");

/* What the sender has lent, in the order of the items. */
struct pair_lent {
    struct pair_node *node;
    uint32_t end; /* its item's number + 1: home when head has come so far */
};

struct pair_ring {
    /* Constant after init. */
    struct pair_lent *lent; /* as many as there can be items */
    uint32_t mask;
    uint32_t ordinary_max; /* capacity less the headroom */

    /* The sender's own line: nobody else reads it. */
    alignas(PROA_CACHE_LINE) uint32_t tail_next; /* items ever committed, mod 2^32 */
    uint32_t tail_told;                          /* of these, published */
    uint32_t head_seen;                          /* a head read earlier */
    uint32_t lent_next;                          /* nodes ever lent, mod 2^32 */
    uint32_t lent_home;                          /* of these, come home */
    struct pair_node *home;                      /* and not yet taken, by next */

    /* Written by the sender. */
    alignas(PROA_CACHE_LINE) _Atomic uint32_t tail; /* items ever published, mod 2^32 */

    /* Written by the receiver. */
    alignas(PROA_CACHE_LINE) _Atomic uint32_t head; /* items ever consumed, mod 2^32 */

    /* The receiver's own line. */
    alignas(PROA_CACHE_LINE) uint32_t tail_seen; /* a tail read earlier */
    uint32_t head_next;                          /* items ever stepped past */

    alignas(128) struct pair_slot slots[]; /* mask + 1 */
};

_Static_assert(offsetof(struct pair_ring, tail) - offsetof(struct pair_ring, tail_next) >=
                       PROA_CACHE_LINE &&
                   offsetof(struct pair_ring, head) - offsetof(struct pair_ring, tail) >=
                       PROA_CACHE_LINE &&
                   offsetof(struct pair_ring, tail_seen) -
                           offsetof(struct pair_ring, head) >=
                       PROA_CACHE_LINE,
               "each line of a ring has one writer");

/* pair_ring_size is the bytes a ring of capacity items takes.  capacity: a power of two in
   PAIR_RING_MIN..PAIR_RING_MAX. */
size_t pair_ring_size(uint32_t capacity);

/* pair_ring_init makes an empty ring in mem: pair_ring_size(capacity) bytes, 128-aligned, the
   caller's, outliving the ring.  Before either thread uses it. */
struct pair_ring *pair_ring_init(void *mem, uint32_t capacity);

/* pair_ring_create is the same in memory of its own, NULL without; pair_ring_destroy frees it
   (NULL is fine).  Nodes lent are still the sender's then; pointers in items the caller's. */
struct pair_ring *pair_ring_create(uint32_t capacity);
void pair_ring_destroy(struct pair_ring *r);

/* pair_ring_slot is where item number `at` lies: all of them, once, in another order. */
static inline struct pair_item *pair_ring_slot(struct pair_ring *r, uint32_t at)
{
    return (struct pair_item *)(void *)&r->slots[at * PAIR_RING_STRIDE & r->mask];
}

static inline const void *pair_item_second_line(const struct pair_item *item)
{
    return (const uint8_t *)item + PROA_CACHE_LINE;
}

/* ---- Sender ---- */

/* pair_ring_refresh rereads the receiver's head; true when there is room for one more item. */
bool pair_ring_refresh(struct pair_ring *r, bool privileged);

/* pair_ring_reserve is the next free item, to be filled in and committed; NULL when full for
   an ordinary (or a privileged) item.  Without a commit the next call gives the same one.
   Write its fields one by one: a struct made elsewhere and copied here in one piece waits for
   its own stores (50 ns more an item, perf/bench_pair_ring). */
static inline struct pair_item *pair_ring_reserve(struct pair_ring *r, bool privileged)
{
    uint32_t limit = privileged ? r->mask + 1 : r->ordinary_max;

    if (__builtin_expect(r->tail_next - r->head_seen >= limit, 0) &&
        !pair_ring_refresh(r, privileged))
        return NULL;
    return pair_ring_slot(r, r->tail_next);
}

/* pair_ring_has_room is true when there is room for one more ordinary item by the head last read: the
   next one reserved is then pair_ring_slot(r, r->tail_next). */
static inline bool pair_ring_has_room(const struct pair_ring *r)
{
    return r->tail_next - r->head_seen < r->ordinary_max;
}

/* pair_ring_room is how many ordinary items fit now (rereads head).
   pair_ring_drained_half is true when at most half of the ring is in use: the moment to say
   WRITABLE. */
uint32_t pair_ring_room(struct pair_ring *r);
bool pair_ring_drained_half(struct pair_ring *r);

/* pair_ring_is_half_full rereads the receiver's head only when the last one read says so. */
static inline bool pair_ring_is_half_full(struct pair_ring *r)
{
    return r->tail_next - r->head_seen > r->mask / 2 && pair_ring_room(r) < r->mask / 2;
}

/* pair_ring_publish makes all committed items visible to the receiver.  Call it at the end of
   each loop. True when there were any: ring the receiver's doorbell then. */
static inline bool pair_ring_publish(struct pair_ring *r)
{
    if (r->tail_told == r->tail_next)
        return false;
    r->tail_told = r->tail_next;
    /* P1 release, pairs with C1: the items become visible with the new tail. */
    atomic_store_explicit(&r->tail, r->tail_next, memory_order_release);
    return true;
}

/* pair_ring_lend remembers item's node; called by commit. */
void pair_ring_lend(struct pair_ring *r, const struct pair_item *item);

/* pair_ring_commit_tell counts the reserved item, a PAIR_TELL, as written; after PAIR_RING_BATCH items
   it also publishes (without a doorbell: the end of the loop rings). */
static inline void pair_ring_commit_tell(struct pair_ring *r)
{
    uint32_t at = r->tail_next;

    if (__builtin_expect(at - r->head_seen + PAIR_RING_AHEAD <= r->mask, 1))
        prefetch_write(pair_ring_slot(r, at + PAIR_RING_AHEAD));
    r->tail_next = at + 1;
    if (at + 1 - r->tail_told >= PAIR_RING_BATCH)
        pair_ring_publish(r);
}

/* pair_ring_commit is the same for an item of any kind.  The node of a PAIR_MSG_NODE is lent from here
   on. */
static inline void pair_ring_commit(struct pair_ring *r)
{
    const struct pair_item *item = pair_ring_slot(r, r->tail_next);

    if (__builtin_expect(item->kind == PAIR_MSG_NODE, 0))
        pair_ring_lend(r, item);
    if (item->kind != PAIR_TELL &&
        r->tail_next - r->head_seen + PAIR_RING_AHEAD <= r->mask)
        prefetch_write(
            pair_item_second_line(pair_ring_slot(r, r->tail_next + PAIR_RING_AHEAD)));
    pair_ring_commit_tell(r);
}

/* pair_ring_returned takes all nodes that have come home: a list by next, or NULL.  Rereads
   head while any is out. */
struct pair_node *pair_ring_returned(struct pair_ring *r);

/* ---- Receiver ---- */

/* pair_ring_fetch prefetches the first items of those just seen to be published: each is a line that
   the sender's core has. */
static inline void pair_ring_fetch(struct pair_ring *r)
{
    uint32_t seen = r->tail_seen - r->head_next;

    for (uint32_t i = 0; i < PAIR_RING_LOOK && i < seen; i++)
        __builtin_prefetch(pair_ring_slot(r, r->head_next + i));
}

/* pair_ring_peek is the next item, NULL when there is none; the receiver's to read and to
   write in (but for kind) until it is consumed.  pair_ring_step goes past it to the next.
   pair_ring_consume gives all items stepped past back to the sender: once a burst. */
static inline struct pair_item *pair_ring_peek(struct pair_ring *r)
{
    if (r->tail_seen == r->head_next) {
        /* C1 acquire, pairs with P1: every item before this tail has been written. */
        r->tail_seen = atomic_load_explicit(&r->tail, memory_order_acquire);
        if (r->tail_seen == r->head_next)
            return NULL;
        pair_ring_fetch(r);
    }
    return pair_ring_slot(r, r->head_next);
}

/* pair_ring_step_tell is pair_ring_step past a PAIR_TELL. */
static inline void pair_ring_step_tell(struct pair_ring *r)
{
    uint32_t at = r->head_next;

    /* What is not published stays with the sender, who is about to write it. */
    if (r->tail_seen - at > PAIR_RING_LOOK)
        __builtin_prefetch(pair_ring_slot(r, at + PAIR_RING_LOOK));
    r->head_next = at + 1;
}

static inline void pair_ring_step(struct pair_ring *r)
{
    uint32_t at = r->head_next;

    if (pair_ring_slot(r, at)->kind != PAIR_TELL && r->tail_seen - at > PAIR_RING_LOOK)
        __builtin_prefetch(pair_item_second_line(pair_ring_slot(r, at + PAIR_RING_LOOK)));
    pair_ring_step_tell(r);
}

static inline void pair_ring_consume(struct pair_ring *r)
{
    /* C2 release, pairs with P2: the items were read before the sender may reuse them. */
    atomic_store_explicit(&r->head, r->head_next, memory_order_release);
}

#endif
