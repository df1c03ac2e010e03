/* SPDX-License-Identifier: Apache-2.0 */
#include <proa/actor.h>

#include "timer_wheel.h"

_Static_assert(PROA_TIMER_TICK == TIMER_WHEEL_TICK, "the header divides by it");

/* The first used slot of a level after `after`; TIMER_WHEEL_SLOTS when there is none.  Forgets
   slots that cancels have emptied. */
static uint32_t next_used(struct timer_wheel *w, uint32_t level, uint32_t after)
{
    uint32_t word = after / 64;
    /* Two shifts, since one by 64 is undefined. */
    uint64_t mask = ~UINT64_C(0) << (after % 64) << 1;

    for (; word < TIMER_WHEEL_SLOTS / 64; word++, mask = ~UINT64_C(0)) {
        uint64_t bits = w->used[level][word] & mask;

        for (; bits != 0; bits &= bits - 1) {
            uint32_t bit = (uint32_t)__builtin_ctzll(bits);

            if (w->slots[level][word * 64 + bit] != NULL)
                return word * 64 + bit;
            w->used[level][word] &= ~(UINT64_C(1) << bit);
        }
    }
    return TIMER_WHEEL_SLOTS;
}

/* The next slot to come up: its level, slot and tick.  False when the wheel is empty.  Lower
   levels lie within the current slot of the higher ones, so the first found is the first. */
static bool next_event(struct timer_wheel *w, uint32_t *ret_level, uint32_t *ret_slot,
                       uint64_t *ret_tick)
{
    for (uint32_t level = 0; level < TIMER_WHEEL_LEVELS; level++) {
        uint32_t slot = next_used(w, level, timer_digit(w->tick, level));
        uint32_t shift = TIMER_WHEEL_DIGIT * level;

        if (slot == TIMER_WHEEL_SLOTS)
            continue;
        *ret_level = level;
        *ret_slot = slot;
        *ret_tick = ((w->tick >> shift >> TIMER_WHEEL_DIGIT << TIMER_WHEEL_DIGIT) | slot)
                    << shift;
        return true;
    }
    return false;
}

void timer_wheel_init(struct timer_wheel *w, proa_ns now)
{
    *w = (struct timer_wheel){.tick = now / PROA_TIMER_TICK, .next = UINT64_MAX};
}

uint32_t timer_wheel_advance(struct timer_wheel *w, proa_ns now, uint32_t budget,
                             void (*fn)(void *ctx, struct timer_entry *e), void *ctx)
{
    uint64_t to = now / PROA_TIMER_TICK;
    uint32_t left = budget;

    while (left > 0) {
        struct timer_entry *e = w->pending;
        uint32_t level, slot;
        uint64_t tick;

        if (e != NULL) {
            timer_wheel_cancel(w, e);
            left--;
            if (e->tick > w->tick) {
                w->count++;
                timer_place(w, e, e->tick);
            } else {
                fn(ctx, e);
            }
            continue;
        }
        if (!next_event(w, &level, &slot, &tick)) {
            w->next = UINT64_MAX;
            w->tick = to > w->tick ? to : w->tick;
            break;
        }
        if (tick > to) {
            w->next = tick;
            w->tick = to > w->tick ? to : w->tick;
            break;
        }
        w->tick = tick;
        w->pending = w->slots[level][slot];
        w->pending->at = &w->pending;
        w->slots[level][slot] = NULL;
    }
    if (left == 0)
        w->next = 0;
    return budget - left;
}

proa_ns timer_wheel_deadline(const struct timer_wheel *w)
{
    if (w->next == UINT64_MAX || w->count == 0)
        return PROA_NS_NEVER;
    return w->next * PROA_TIMER_TICK;
}
