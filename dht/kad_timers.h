/* SPDX-License-Identifier: Apache-2.0 */
/* kad_timers.h - many timers, each known by a small number: a binary heap.

   A state machine gives each thing that can come due a number below `cap` and asks for the
   earliest.  Setting, moving, clearing and popping cost O(log n).

   Threads: one owner.  Units: due moments are proa_ns.  Errors: none; a number at or above
   cap is a mistake of the program. */
#ifndef PROA_DHT_KAD_TIMERS_H
#define PROA_DHT_KAD_TIMERS_H

#include <proa/types.h>

struct kad_timers {
    proa_ns *due;    /* of each number; meaningless while it is not in the heap */
    uint32_t *place; /* 1 + its index in the heap; 0: not set */
    uint32_t *heap;  /* numbers */
    uint32_t count;
    uint32_t cap;
};

/* kad_timers_size returns the bytes that kad_timers_init needs for cap numbers, 8-aligned. */
size_t kad_timers_size(uint32_t cap);
void kad_timers_init(struct kad_timers *self, void *memory, uint32_t cap);

/* kad_timers_set makes number come due at that moment, whether it was set before or not. */
void kad_timers_set(struct kad_timers *self, uint32_t number, proa_ns due);

/* kad_timers_sooner sets it unless it is set to an earlier moment already. */
void kad_timers_sooner(struct kad_timers *self, uint32_t number, proa_ns due);

/* kad_timers_clear forgets it; harmless when it is not set. */
void kad_timers_clear(struct kad_timers *self, uint32_t number);

bool kad_timers_is_set(const struct kad_timers *self, uint32_t number);

/* kad_timers_next returns the earliest moment, PROA_NS_NEVER when there is none. */
proa_ns kad_timers_next(const struct kad_timers *self);

/* kad_timers_pop takes out the earliest one that is due at `now`; false when none is. */
bool kad_timers_pop(struct kad_timers *self, proa_ns now, uint32_t *ret_number);

#endif
