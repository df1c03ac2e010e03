/* SPDX-License-Identifier: Apache-2.0 */
#include "outlet.h"

bool outlet_init(struct outlet *self, struct byte_ring *ring, struct doorbell *bell)
{
    *self = (struct outlet){.ring = ring, .bell = bell};
    self->kept = byte_ring_create(OUTLET_KEPT_BYTES);
    return self->kept != NULL;
}

void outlet_fini(struct outlet *self)
{
    byte_ring_destroy(self->kept);
    self->kept = NULL;
}

static bool push(struct outlet *self, enum punt_kind kind, const void *head,
                 size_t head_len, const void *tail, size_t tail_len, proa_ns now)
{
    bool was_empty = byte_ring_is_empty(self->ring);

    if (!byte_ring_push(self->ring, (uint16_t)kind, head, (uint32_t)head_len, tail,
                        (uint32_t)tail_len))
        return false;
    if (was_empty)
        self->unread_since = now;
    self->wrote = true;
    return true;
}

bool outlet_tell(struct outlet *self, enum punt_kind kind, const void *head,
                 size_t head_len, const void *tail, size_t tail_len, proa_ns now)
{
    /* What is kept goes first: a link's RESET must not overtake its OPEN. */
    if (byte_ring_is_empty(self->kept) &&
        push(self, kind, head, head_len, tail, tail_len, now))
        return true;
    return byte_ring_push(self->kept, (uint16_t)kind, head, (uint32_t)head_len, tail,
                          (uint32_t)tail_len);
}

bool outlet_send(struct outlet *self, const struct punt_datagram *head, const void *bytes,
                 size_t len, proa_ns now)
{
    return push(self, PUNT_SEND, head, sizeof(*head), bytes, len, now);
}

void outlet_flush(struct outlet *self, proa_ns now)
{
    const struct byte_record *record;

    while ((record = byte_ring_peek(self->kept)) != NULL) {
        if (!push(self, record->kind, record->body, record->len, NULL, 0, now))
            break;
        byte_ring_pop(self->kept);
    }
    if (!self->wrote)
        return;
    self->wrote = false;
    if (self->bell != NULL)
        doorbell_ring(self->bell);
}

proa_ns outlet_deadline(const struct outlet *self, proa_ns now)
{
    return byte_ring_is_empty(self->kept) ? PROA_NS_NEVER : now + OUTLET_RETRY;
}

bool outlet_is_busy(const struct outlet *self, proa_ns now)
{
    return !byte_ring_is_empty(self->ring) &&
           now - self->unread_since >= OUTLET_BUSY_AFTER;
}
