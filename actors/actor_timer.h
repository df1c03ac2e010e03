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

/* A cache line each, so that an index is a shift away from its entry and not a multiplication. */
struct actor_timer {
    alignas(PROA_CACHE_LINE) struct timer_entry timer;
    proa_timeout fn;
    uint64_t cookie;
    uint32_t slot;       /* of its actor, as in references */
    uint32_t serial;     /* of this use of the entry, or its next one; odd */
    uint32_t next, prev; /* its actor's others; free ones */
};

_Static_assert(sizeof(struct actor_timer) == PROA_CACHE_LINE, "one line");

struct actor_timer_table {
    struct actor_timer *timers;
    uint32_t max, fresh, free, in_use;
    uint32_t seed;
};

bool actor_timer_table_init(struct actor_timer_table *t, uint32_t max, uint64_t seed);
void actor_timer_table_fini(struct actor_timer_table *t);

/* actor_timer_more makes a free entry of one never used before; false when there is none. */
bool actor_timer_more(struct actor_timer_table *t);

/* actor_timer_alloc takes a free entry (t->free is not ACTOR_TIMER_NONE) for the actor of slot, whose
   references have slot_id; its wheel entry, fn and cookie are the caller's. */
static inline struct actor_timer *actor_timer_alloc(struct actor_timer_table *t,
                                                    struct slot *slot, uint32_t slot_id)
{
    uint32_t index = t->free;
    struct actor_timer *timer = &t->timers[index];

    t->free = timer->next;
    timer->slot = slot_id;
    timer->prev = ACTOR_TIMER_NONE;
    timer->next = slot->timers;
    if (slot->timers != ACTOR_TIMER_NONE)
        t->timers[slot->timers].prev = index;
    slot->timers = index;
    t->in_use++;
    return timer;
}

/* actor_timer_find is the running timer of the actor with this slot, or NULL. */
static inline struct actor_timer *actor_timer_find(const struct actor_timer_table *t,
                                                   struct proa_timer timer,
                                                   uint32_t slot_id)
{
    struct actor_timer *entry;

    if (timer.index >= t->fresh)
        return NULL;
    entry = &t->timers[timer.index];
    /* A free one has a serial that was not handed out yet, and does not wait. */
    if (entry->serial != timer.serial || entry->slot != slot_id ||
        entry->timer.at == NULL)
        return NULL;
    return entry;
}

static inline void actor_timer_release(struct actor_timer_table *t, struct slot *slot,
                                       struct actor_timer *timer)
{
    PROA_ASSERT(timer->timer.at == NULL);
    if (timer->prev != ACTOR_TIMER_NONE)
        t->timers[timer->prev].next = timer->next;
    else
        slot->timers = timer->next;
    if (timer->next != ACTOR_TIMER_NONE)
        t->timers[timer->next].prev = timer->prev;
    timer->serial += 2;
    timer->next = t->free;
    t->free = (uint32_t)(timer - t->timers);
    t->in_use--;
}

#endif
