/* SPDX-License-Identifier: Apache-2.0 */
#include "actor_timer.h"
#include "mix.h"
#include "pages.h"

bool actor_timer_table_init(struct actor_timer_table *t, uint32_t max, uint64_t seed)
{
    PROA_ASSERT(max > 0 && max <= ACTOR_TIMERS_MAX);
    *t = (struct actor_timer_table){
        .max = max, .free = ACTOR_TIMER_NONE, .seed = (uint32_t)mix64(seed)};
    t->timers = pages_map((size_t)max * sizeof(struct actor_timer));
    return t->timers != NULL;
}

void actor_timer_table_fini(struct actor_timer_table *t)
{
    pages_unmap(t->timers, (size_t)t->max * sizeof(struct actor_timer));
    t->timers = NULL;
}

struct actor_timer *actor_timer_alloc(struct actor_timer_table *t, struct slot *slot,
                                      uint32_t slot_index)
{
    struct actor_timer *timer;
    uint32_t index;

    if (t->free != ACTOR_TIMER_NONE) {
        index = t->free;
        t->free = t->timers[index].next;
    } else if (t->fresh < t->max) {
        index = t->fresh++;
        t->timers[index].serial = t->seed;
    } else {
        return NULL;
    }
    timer = &t->timers[index];
    timer->serial = timer->serial + 1 != 0 ? timer->serial + 1 : 1;
    timer->slot = slot_index;
    timer->prev = ACTOR_TIMER_NONE;
    timer->next = slot->timers;
    if (slot->timers != ACTOR_TIMER_NONE)
        t->timers[slot->timers].prev = index;
    slot->timers = index;
    t->in_use++;
    return timer;
}

struct actor_timer *actor_timer_find(const struct actor_timer_table *t,
                                     struct proa_timer timer, uint32_t slot_index)
{
    struct actor_timer *entry;

    if (timer.index >= t->fresh)
        return NULL;
    entry = &t->timers[timer.index];
    if (entry->fn == NULL || entry->serial != timer.serial || entry->slot != slot_index)
        return NULL;
    return entry;
}

void actor_timer_release(struct actor_timer_table *t, struct slot *slot,
                         struct actor_timer *timer)
{
    uint32_t index = (uint32_t)(timer - t->timers);

    PROA_ASSERT(timer->timer.at == NULL);
    if (timer->prev != ACTOR_TIMER_NONE)
        t->timers[timer->prev].next = timer->next;
    else
        slot->timers = timer->next;
    if (timer->next != ACTOR_TIMER_NONE)
        t->timers[timer->next].prev = timer->prev;
    timer->fn = NULL;
    timer->next = t->free;
    t->free = index;
    t->in_use--;
}
