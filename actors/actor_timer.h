/* SPDX-License-Identifier: Apache-2.0 */
/* actor_timer.h - the timers that a lane's actors have running.

   Threads: one lane.  Units: none.
   Errors:  NULL when timers_max run already. */
#ifndef ACTOR_TIMER_H
#define ACTOR_TIMER_H

#include <proa/actor.h>

#include "slot.h"
#include "timer_wheel.h"

#define ACTOR_TIMER_NONE UINT32_MAX
#define ACTOR_TIMERS_MAX (1u << 24)

/* One cache line. */
struct actor_timer {
    struct timer_entry timer;
    proa_timeout fn; /* NULL: the entry is free */
    uint64_t cookie;
    uint32_t slot;       /* index of its actor's */
    uint32_t serial;     /* of this use of the entry, never 0 */
    uint32_t next, prev; /* its actor's others; free ones */
};

struct actor_timer_table {
    struct actor_timer *timers;
    uint32_t max, fresh, free, in_use;
    uint32_t seed;
};

bool actor_timer_table_init(struct actor_timer_table *t, uint32_t max, uint64_t seed);
void actor_timer_table_fini(struct actor_timer_table *t);

/* actor_timer_alloc takes an entry for the actor in slot; its wheel entry is the caller's. */
struct actor_timer *actor_timer_alloc(struct actor_timer_table *t, struct slot *slot,
                                      uint32_t slot_index);
/* actor_timer_find is the running timer of the actor in this slot, or NULL. */
struct actor_timer *actor_timer_find(const struct actor_timer_table *t,
                                     struct proa_timer timer, uint32_t slot_index);
void actor_timer_release(struct actor_timer_table *t, struct slot *slot,
                         struct actor_timer *timer);

#endif
