/* SPDX-License-Identifier: Apache-2.0 */
#include "scheduler_internal.h"

/* relaxed throughout: the lane is the only writer, readers want a recent value. */
static _Atomic uint16_t *word_of(struct sched *s, const struct slot *slot)
{
    return &s->loads[slot_index(&s->slots, slot)];
}

static void set(struct sched *s, const struct slot *slot, uint32_t load)
{
    atomic_store_explicit(word_of(s, slot),
                          (uint16_t)(load < LOAD_ENDED ? load : LOAD_ENDED - 1),
                          memory_order_relaxed);
}

_Atomic uint16_t *sched_loads(const struct sched *s, uint32_t *ret_slots)
{
    *ret_slots = s->slots.max;
    return s->loads;
}

void slot_member(struct sched *s, struct slot *slot)
{
    if ((slot->flags & SLOT_MEMBER) != 0)
        return;
    slot->flags |= SLOT_MEMBER;
    slot->mailbox.capacity = 0; /* every message now passes mailbox_make_room */
    set(s, slot, mailbox_depth(&slot->mailbox));
}

void load_settle(struct sched *s, const struct slot *slot)
{
    set(s, slot, mailbox_depth(&slot->mailbox));
}

void load_add(struct sched *s, const struct slot *slot)
{
    uint32_t load = atomic_load_explicit(word_of(s, slot), memory_order_relaxed);

    if (load != LOAD_ENDED)
        set(s, slot, load + 1);
}

void load_ending(struct sched *s, const struct slot *slot)
{
    atomic_store_explicit(word_of(s, slot), LOAD_ENDED, memory_order_relaxed);
}
