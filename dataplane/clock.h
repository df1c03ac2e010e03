/* SPDX-License-Identifier: Apache-2.0 */
/* clock.h - CLOCK_MONOTONIC, cheap enough to be read once a loop.

   A lane's loop that finds nothing takes some 100 ns, and half of that was clock_gettime.  Here
   the kernel's clock is read once a millisecond, and between two such readings the processor's
   time stamp counter tells how far it has gone.  A counter that is not invariant is never used,
   one that jumps is believed for no more than that millisecond, and what is told never goes
   back.

   Figures (bench_link, clock and clock_gettime): 24 ns a reading where the kernel takes 38.

   Threads: clock_ns any, each with a state of its own; a struct clock is its owner's.
   Units:   ns, ticks of the counter.  Errors: none. */
#ifndef CLOCK_H
#define CLOCK_H

#include <proa/types.h>

/* clock_ns is the monotonic clock for the calling thread. */
proa_ns clock_ns(void);

/* ---- What it is made of, for tests ---- */

struct clock_source {
    uint64_t (*ticks)(void);
    proa_ns (*truth)(void);
};

struct clock {
    uint64_t ticks;        /* at the last true reading */
    uint64_t span;         /* ticks after it that are believed; 0: none */
    uint64_t scale;        /* ns a tick, times 2^32; 0: not known yet */
    proa_ns ns;            /* the last true reading */
    proa_ns told;          /* the last answer */
    uint64_t anchor_ticks; /* an older true reading, that the scale is taken from */
    proa_ns anchor_ns;     /* 0: there is none */
};

/* clock_look is a true reading; the answers of the next CLOCK_TRUST follow from it.  c: zeroed
   before the first. */
#define CLOCK_TRUST PROA_MS
proa_ns clock_look(struct clock *c, const struct clock_source *source);

static inline proa_ns clock_read(struct clock *c, const struct clock_source *source,
                                 uint64_t ticks)
{
    uint64_t past = ticks - c->ticks; /* a counter that went back gives a huge one */
    proa_ns now;

    if (__builtin_expect(past >= c->span, 0))
        return clock_look(c, source);
    now = c->ns + (past * c->scale >> 32);
    if (now > c->told)
        c->told = now;
    return c->told;
}

#endif
