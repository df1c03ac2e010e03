/* SPDX-License-Identifier: Apache-2.0 */
/* byte_ring.h - a bounded queue of records of any length from one thread to one other.

   A record is a header and its bytes, padded to 8; it never wraps: where it would, a pad
   record fills the end of the ring.  So the consumer reads every record in place.

   Two pairs of operations carry the design:

     P1 store-release tail  ->  C1 load-acquire tail   a record is written before the consumer
                                                       reads it
     C2 store-release head  ->  P2 load-acquire head   a record is read before the producer
                                                       writes there again

   All else is relaxed: only its own thread writes it.  Wait-free on both sides.

   Threads: push: the producer; peek, pop: the consumer.
   Units:   bytes.
   Errors:  false when full (or too long for this ring); the ring is then unchanged.
   Bound:   the capacity.  A record longer than half of it may find no room even in an empty
            ring (it does not wrap), so byte_ring_record_max is that half. */
#ifndef BYTE_RING_H
#define BYTE_RING_H

#include <stdalign.h>
#include <stdatomic.h>

#include <proa/types.h>

#define BYTE_RING_MIN 256u       /* bytes, smallest capacity */
#define BYTE_RING_MAX (1u << 30) /* largest */

struct byte_record {
    uint32_t len;  /* of body */
    uint16_t kind; /* the user's; 0 belongs to the ring */
    uint16_t zero;
    uint8_t body[]; /* 8-aligned */
};

struct byte_ring {
    /* Constant after init. */
    uint8_t *bytes; /* borrowed (init) or own (create) */
    uint32_t mask;

    /* The producer's line. */
    alignas(PROA_CACHE_LINE) _Atomic uint32_t tail; /* bytes ever written, mod 2^32 */
    uint32_t head_seen;                             /* a head read earlier */

    /* The consumer's line. */
    alignas(PROA_CACHE_LINE) _Atomic uint32_t head; /* bytes ever read, mod 2^32 */
    uint32_t tail_seen;                             /* a tail read earlier */
};

_Static_assert(offsetof(struct byte_ring, head) - offsetof(struct byte_ring, tail) >=
                   PROA_CACHE_LINE,
               "producer and consumer must not share a cache line");

/* byte_ring_init makes an empty ring over mem, capacity bytes (a power of two in
   BYTE_RING_MIN..BYTE_RING_MAX), 8-aligned, the caller's, outliving the ring. */
void byte_ring_init(struct byte_ring *r, void *mem, uint32_t capacity);

/* The same in memory of its own; NULL without.  Destroy accepts NULL. */
struct byte_ring *byte_ring_create(uint32_t capacity);
void byte_ring_destroy(struct byte_ring *r);

/* The longest head_len + tail_len that an empty ring takes for certain. */
uint32_t byte_ring_record_max(const struct byte_ring *r);

/* byte_ring_push appends one record: kind (not 0), then head_len bytes of head, then tail_len
   of tail (either may be NULL when its length is 0).  Visible at once.  False when there is no
   room.  Producer. */
bool byte_ring_push(struct byte_ring *r, uint16_t kind, const void *head,
                    uint32_t head_len, const void *tail, uint32_t tail_len);

/* byte_ring_peek is the next record, to be read until byte_ring_pop; NULL when there is none.
   Consumer. */
const struct byte_record *byte_ring_peek(struct byte_ring *r);

/* byte_ring_pop gives the peeked record's room back.  Only after a peek that was not NULL. */
void byte_ring_pop(struct byte_ring *r);

/* Any thread: bytes of the records in it, a moment ago. */
uint32_t byte_ring_used(const struct byte_ring *r);

/* Any thread: true when there was nothing to read just now. */
bool byte_ring_is_empty(const struct byte_ring *r);

#endif
