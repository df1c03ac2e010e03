/* SPDX-License-Identifier: Apache-2.0 */
/* scheduler_turn.h - the handler of a small tell, wherever it waited: in a mailbox or a pair ring.

   Threads: one lane.  Units: bytes.  Errors: none; what no handler takes is refused. */
#ifndef SCHEDULER_TURN_H
#define SCHEDULER_TURN_H

#include "scheduler_internal.h"

/* small_tell_run runs the handler of s->turn.msg, a tell of this type and length for the actor
   whose turn it is, of behaviour b: it needs nothing of what an ask does.  self->msg stays until
   another sort of message comes. */
static inline __attribute__((always_inline)) void
small_tell_run(struct sched *s, struct behaviour *b, uint32_t type, uint32_t len)
{
    const struct proa_msg *msg = &s->turn.msg;
    const struct behaviour_row *row = behaviour_row(b, type);
    proa_handler fn = row != NULL ? row->fn : b->def->any;

    if (__builtin_expect(fn != NULL && (row == NULL || len >= row->min_len), 1)) {
        s->turn.self.msg = msg;
        b->metrics.handled++;
        /* relaxed: as in frame_begin. */
        atomic_store_explicit(&s->running_type, type, memory_order_relaxed);
        fn(&s->turn.self, msg);
    } else {
        refuse_msg(s, msg,
                   fn == NULL ? PROA_REFUSED_UNKNOWN_TYPE : PROA_REFUSED_BAD_LENGTH);
    }
}

#endif
