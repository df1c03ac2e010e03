/* SPDX-License-Identifier: Apache-2.0 */
/* timer_wheel.h - everything of a lane that waits for a moment, in one hierarchical wheel.

   Six levels of 256 slots, ticks of 16.4 us (PROA_TIMER_TICK).  An entry lies at the level of
   the highest base-256 digit in which its tick differs from the wheel's, in the slot of that
   digit.  When the wheel reaches that slot the entry moves down (a cascade) or expires.
   (Source of the idea: Varghese and Lauck, "Hashed and hierarchical timing wheels", 1987.)

   A slot that comes up is taken as a whole and then worked off entry by entry within the
   caller's budget; time inside the wheel stands still until it is done.  So a million entries
   in one slot cost many short calls, not one long one.

   Threads: one lane.  Units: ticks inside, proa_ns outside.  Errors: none.
   Cost:    start and cancel O(1); an entry is moved at most 5 times in its life. */
#ifndef TIMER_WHEEL_H
#define TIMER_WHEEL_H

#include <proa/types.h>

#define TIMER_WHEEL_TICK 16384u /* PROA_TIMER_TICK */
#define TIMER_TICK_MAX ((UINT64_C(1) << 48) - 1)
#define TIMER_WHEEL_LEVELS 6u
#define TIMER_WHEEL_DIGIT 8u /* bits */
#define TIMER_WHEEL_SLOTS (1u << TIMER_WHEEL_DIGIT)

/* Embedded in what waits.  Zeroed: not waiting. */
struct timer_entry {
    struct timer_entry *next;
    union {
        struct {
            uint64_t tick : 48; /* 146 years */
            uint64_t kind : 16; /* the owner's */
        };
        uint64_t tick_kind; /* both, written at once */
    };
    struct timer_entry **at; /* the pointer that points here; NULL: not waiting */
};

struct timer_wheel {
    uint64_t tick;               /* everything before it has been handled */
    uint64_t next;               /* no event before this tick; may be too early */
    struct timer_entry *pending; /* the slot being worked off */
    uint32_t count;              /* entries waiting */
    uint64_t used[TIMER_WHEEL_LEVELS][TIMER_WHEEL_SLOTS / 64]; /* slots with entries, or
                                                                  emptied by cancels */
    struct timer_entry *slots[TIMER_WHEEL_LEVELS][TIMER_WHEEL_SLOTS];
};

void timer_wheel_init(struct timer_wheel *w, proa_ns now);

static inline bool timer_waiting(const struct timer_entry *e)
{
    return e->at != NULL;
}

/* ---- Starting and cancelling; here: an actor's timer took 239 instructions for both by calls, and
   takes 168 ---- */

static inline uint32_t timer_digit(uint64_t tick, uint32_t level)
{
    return (uint32_t)(tick >> (TIMER_WHEEL_DIGIT * level)) & (TIMER_WHEEL_SLOTS - 1);
}

/* The tick of a moment, rounded up. */
static inline uint64_t timer_tick(proa_ns when)
{
    const proa_ns last = TIMER_TICK_MAX * TIMER_WHEEL_TICK;

    return ((when < last ? when : last) + TIMER_WHEEL_TICK - 1) / TIMER_WHEEL_TICK;
}

/* The first entry of a slot: it is used, and its event, which is at tick's digits from level's on, may
   be the next. */
static inline void timer_slot_used(struct timer_wheel *w, uint64_t tick, uint32_t level,
                                   uint32_t slot)
{
    uint32_t shift = TIMER_WHEEL_DIGIT * level;
    uint64_t event = tick >> shift << shift;

    w->used[level][slot / 64] |= UINT64_C(1) << (slot % 64);
    if (event < w->next)
        w->next = event;
}

/* timer_place puts e, due at tick, after w->tick, where that says. */
static inline void timer_place(struct timer_wheel *w, struct timer_entry *e,
                               uint64_t tick)
{
    uint64_t differs = tick ^ w->tick;
    uint32_t level = (63u - (uint32_t)__builtin_clzll(differs | 1)) / TIMER_WHEEL_DIGIT;
    uint32_t slot = timer_digit(tick, level);
    struct timer_entry **head = &w->slots[level][slot], *next;

    /* Else the compiler works the place out three times. */
    __asm__("" : "+r"(head));
    next = *head;
    e->next = next;
    e->at = head;
    *head = e;
    if (next != NULL)
        next->at = &e->next;
    else
        timer_slot_used(w, tick, level, slot);
}

/* timer_wheel_start makes e, not waiting, expire in the first call of _advance at or after
   `when` (rounded up to a tick).  kind is the owner's mark. */
static inline void timer_wheel_start(struct timer_wheel *w, struct timer_entry *e,
                                     uint16_t kind, proa_ns when)
{
    uint64_t tick = timer_tick(when);

    PROA_ASSERT(e->at == NULL);
    if (tick <= w->tick)
        tick = w->tick + 1;
    e->tick_kind = tick | (uint64_t)kind << 48;
    timer_place(w, e, tick);
    w->count++;
}

/* timer_wheel_cancel takes e out; nothing when it is not waiting. */
static inline void timer_wheel_cancel(struct timer_wheel *w, struct timer_entry *e)
{
    if (e->at == NULL)
        return;
    *e->at = e->next;
    if (e->next != NULL)
        e->next->at = e->at;
    e->at = NULL;
    w->count--;
}

/* timer_wheel_due is the cheap look of every loop: is there anything to do at now? */
static inline bool timer_wheel_due(const struct timer_wheel *w, proa_ns now)
{
    return w->next <= now / TIMER_WHEEL_TICK;
}

/* timer_wheel_advance moves the wheel to now, at most budget expiries and cascades, and hands
   each expired entry, no longer waiting, to fn, which may start and cancel any.  Returns how
   much of the budget it used; budget itself means: call again. */
uint32_t timer_wheel_advance(struct timer_wheel *w, proa_ns now, uint32_t budget,
                             void (*fn)(void *ctx, struct timer_entry *e), void *ctx);

/* timer_wheel_deadline is the next moment worth a call: 0 when work is left over now,
   PROA_NS_NEVER when nothing waits.  May be early, never late. */
proa_ns timer_wheel_deadline(const struct timer_wheel *w);

#endif
