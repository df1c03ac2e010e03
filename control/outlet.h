/* SPDX-License-Identifier: Apache-2.0 */
/* outlet.h - the control thread's end of one lane's down ring.

   Two sorts of records go down.  A datagram may be lost, as it may on the wire: when the ring is
   full it is dropped and counted.  Everything else (a link that was agreed, a death, an answer)
   is kept in a second ring of bounded size and tried again at each flush, in order.

   Threads: the control thread's; the down ring's other end is the lane's.
   Units:   proa_ns, bytes.
   Errors:  false when there was no room; the record is then as if never given. */
#ifndef OUTLET_H
#define OUTLET_H

#include <proa/types.h>

#include "byte_ring.h"
#include "doorbell.h"
#include "punt.h"

#define OUTLET_KEPT_BYTES (256u << 10) /* of records waiting for a full ring: ~2,500 */
#define OUTLET_BUSY_AFTER                                                                \
    (50 * PROA_MS)           /* a lane that leaves records this long is busy */
#define OUTLET_RETRY PROA_MS /* between two tries at a full ring */

struct outlet {
    struct byte_ring *ring; /* borrowed */
    struct doorbell *bell;  /* borrowed; NULL: nobody to wake */
    struct byte_ring *kept; /* own */
    proa_ns
        unread_since; /* the oldest record the lane may not have read was pushed then */
    bool wrote;       /* since the bell was rung last */
};

bool outlet_init(struct outlet *self, struct byte_ring *ring, struct doorbell *bell);
void outlet_fini(struct outlet *self);

/* outlet_tell gives the lane a record that must not be lost: head and tail are copied.  False
   only when the kept ring is full too. */
bool outlet_tell(struct outlet *self, enum punt_kind kind, const void *head,
                 size_t head_len, const void *tail, size_t tail_len, proa_ns now);

/* outlet_send gives the lane a datagram to send. */
bool outlet_send(struct outlet *self, const struct punt_datagram *head, const void *bytes,
                 size_t len, proa_ns now);

/* outlet_flush moves what was kept down, as far as there is room, and rings the bell when
   anything was written since the last flush. */
void outlet_flush(struct outlet *self, proa_ns now);

/* When it wants outlet_flush: PROA_NS_NEVER, or soon while records are kept. */
proa_ns outlet_deadline(const struct outlet *self, proa_ns now);

/* outlet_is_clear tells whether the lane has read enough for more: nothing is kept. */
static inline bool outlet_is_clear(const struct outlet *self)
{
    return byte_ring_is_empty(self->kept);
}

/* outlet_is_busy tells whether the lane has not read its records for OUTLET_BUSY_AFTER. */
bool outlet_is_busy(const struct outlet *self, proa_ns now);

#endif
