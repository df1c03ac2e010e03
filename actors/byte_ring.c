/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "byte_ring.h"

#define KIND_PAD 0 /* fills the end of the ring; never handed out */

_Static_assert(sizeof(struct byte_record) == 8, "records are 8-aligned throughout");

static uint32_t record_size(uint32_t body_len)
{
    return (uint32_t)sizeof(struct byte_record) + ((body_len + 7) & ~7u);
}

static struct byte_record *record_at(struct byte_ring *r, uint32_t at)
{
    return (struct byte_record *)(void *)(r->bytes + (at & r->mask));
}

void byte_ring_init(struct byte_ring *r, void *mem, uint32_t capacity)
{
    PROA_ASSERT(capacity >= BYTE_RING_MIN && capacity <= BYTE_RING_MAX);
    PROA_ASSERT((capacity & (capacity - 1)) == 0);
    PROA_ASSERT(((uintptr_t)mem & 7) == 0);

    memset(r, 0, sizeof(*r));
    memset(mem, 0, capacity);
    r->bytes = mem;
    r->mask = capacity - 1;
    atomic_init(&r->tail, 0);
    atomic_init(&r->head, 0);
}

struct byte_ring *byte_ring_create(uint32_t capacity)
{
    uint8_t *mem = aligned_alloc(PROA_CACHE_LINE, sizeof(struct byte_ring) + capacity);

    if (mem == NULL)
        return NULL;
    byte_ring_init((struct byte_ring *)(void *)mem, mem + sizeof(struct byte_ring),
                   capacity);
    return (struct byte_ring *)(void *)mem;
}

void byte_ring_destroy(struct byte_ring *r)
{
    free(r);
}

uint32_t byte_ring_record_max(const struct byte_ring *r)
{
    return (r->mask + 1) / 2 - (uint32_t)sizeof(struct byte_record);
}

static bool has_room(struct byte_ring *r, uint32_t tail, uint32_t wanted)
{
    if (wanted <= r->mask + 1 - (tail - r->head_seen))
        return true;
    /* P2 acquire, pairs with C2: every record before this head has been read. */
    r->head_seen = atomic_load_explicit(&r->head, memory_order_acquire);
    return wanted <= r->mask + 1 - (tail - r->head_seen);
}

static void put(struct byte_record *rec, uint16_t kind, uint32_t len)
{
    rec->len = len;
    rec->kind = kind;
    rec->zero = 0;
}

bool byte_ring_push(struct byte_ring *r, uint16_t kind, const void *head,
                    uint32_t head_len, const void *tail, uint32_t tail_len)
{
    /* relaxed: this thread is tail's only writer. */
    uint32_t at = atomic_load_explicit(&r->tail, memory_order_relaxed);
    uint32_t max = byte_ring_record_max(r);

    PROA_ASSERT(kind != KIND_PAD);
    if (head_len > max || tail_len > max - head_len)
        return false;

    uint32_t size = record_size(head_len + tail_len);
    uint32_t to_end = r->mask + 1 - (at & r->mask);
    uint32_t pad = size > to_end ? to_end : 0;

    if (!has_room(r, at, pad + size))
        return false;
    if (pad > 0) {
        put(record_at(r, at), KIND_PAD, pad - (uint32_t)sizeof(struct byte_record));
        at += pad;
    }

    struct byte_record *rec = record_at(r, at);
    put(rec, kind, head_len + tail_len);
    if (head_len > 0)
        memcpy(rec->body, head, head_len);
    if (tail_len > 0)
        memcpy(rec->body + head_len, tail, tail_len);
    /* P1 release, pairs with C1: pad and record become visible with the new tail. */
    atomic_store_explicit(&r->tail, at + size, memory_order_release);
    return true;
}

const struct byte_record *byte_ring_peek(struct byte_ring *r)
{
    /* relaxed: this thread is head's only writer. */
    uint32_t at = atomic_load_explicit(&r->head, memory_order_relaxed);

    if (at == r->tail_seen) {
        /* C1 acquire, pairs with P1: every record before this tail has been written. */
        r->tail_seen = atomic_load_explicit(&r->tail, memory_order_acquire);
        if (at == r->tail_seen)
            return NULL;
    }

    const struct byte_record *rec = record_at(r, at);
    if (rec->kind != KIND_PAD)
        return rec;
    /* A pad comes with the record behind it, by one store of tail. */
    byte_ring_pop(r);
    return byte_ring_peek(r);
}

void byte_ring_pop(struct byte_ring *r)
{
    /* relaxed: this thread is head's only writer. */
    uint32_t at = atomic_load_explicit(&r->head, memory_order_relaxed);
    uint32_t size = record_size(record_at(r, at)->len);

    PROA_ASSERT(at != r->tail_seen);
    /* C2 release, pairs with P2: the record was read before the producer writes there. */
    atomic_store_explicit(&r->head, at + size, memory_order_release);
}

bool byte_ring_is_empty(const struct byte_ring *r)
{
    /* relaxed: the answer is stale as soon as it is given, and nothing is read by it.  Who goes
       to sleep by it has armed its doorbell, whose fence comes before this look. */
    uint32_t head = atomic_load_explicit(&r->head, memory_order_relaxed);

    return head == atomic_load_explicit(&r->tail, memory_order_relaxed);
}

uint32_t byte_ring_used(const struct byte_ring *r)
{
    /* relaxed: a number, stale at once.  Tail first: it is never behind the head read after it by
       more than what was read meanwhile. */
    uint32_t tail = atomic_load_explicit(&r->tail, memory_order_relaxed);
    uint32_t head = atomic_load_explicit(&r->head, memory_order_relaxed);

    return (int32_t)(tail - head) > 0 ? tail - head : 0;
}
