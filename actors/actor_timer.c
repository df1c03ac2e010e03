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

bool actor_timer_more(struct actor_timer_table *t)
{
    if (t->fresh == t->max)
        return false;
    t->timers[t->fresh].serial = t->seed | 1;
    t->timers[t->fresh].next = t->free;
    t->free = t->fresh++;
    return true;
}
