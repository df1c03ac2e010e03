/* SPDX-License-Identifier: Apache-2.0 */
#include <proa/actor.h>

#include "timer_wheel.h"

#define TICK_MAX ((UINT64_C(1) << 48) - 1)

_Static_assert(PROA_TIMER_TICK == 16384, "timer_wheel_due divides by it");

static uint32_t digit(uint64_t tick, uint32_t level)
{
    return (uint32_t)(tick >> (TIMER_WHEEL_DIGIT * level)) & (TIMER_WHEEL_SLOTS - 1);
}

static void link_in(struct timer_entry **head, struct timer_entry *e)
{
    e->next = *head;
    e->at = head;
    if (e->next != NULL)
        e->next->at = &e->next;
    *head = e;
}

/* Puts e, due at tick, after w->tick, where that says.  Returns the tick of that slot's event.
   e->tick may just have been stored beside kind: reading it back would wait for both stores, 40 ns
   of an ask's round trip. */
static uint64_t place(struct timer_wheel *w, struct timer_entry *e, uint64_t tick)
{
    uint64_t differs = tick ^ w->tick;
    uint32_t level = (63u - (uint32_t)__builtin_clzll(differs | 1)) / TIMER_WHEEL_DIGIT;
    uint32_t slot = digit(tick, level);
    uint32_t shift = TIMER_WHEEL_DIGIT * level;

    link_in(&w->slots[level][slot], e);
    w->used[level][slot / 64] |= UINT64_C(1) << (slot % 64);
    return tick >> shift << shift;
}

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
        uint32_t slot = next_used(w, level, digit(w->tick, level));
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

void timer_wheel_start(struct timer_wheel *w, struct timer_entry *e, uint16_t kind,
                       proa_ns when)
{
    uint64_t tick = when / PROA_TIMER_TICK + (when % PROA_TIMER_TICK != 0);
    uint64_t event;

    PROA_ASSERT(e->at == NULL);
    if (tick <= w->tick)
        tick = w->tick + 1;
    if (tick > TICK_MAX)
        tick = TICK_MAX;
    e->tick = tick;
    e->kind = kind;
    event = place(w, e, tick);
    if (event < w->next)
        w->next = event;
    w->count++;
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
                place(w, e, e->tick);
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
