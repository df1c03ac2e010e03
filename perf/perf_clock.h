/* SPDX-License-Identifier: Apache-2.0 */
/* perf_clock.h - a clock cheap enough to be read once for each ask.

   On x86-64 the time stamp counter (8 ns a read where clock_gettime takes 25), scaled by the
   monotonic clock over the span of the process; elsewhere the monotonic clock itself.

   Threads: perf_clock_start once, before other threads; the rest from any thread.
   Units:   ticks are the counter's; everything else nanoseconds. */
#ifndef PERF_CLOCK_H
#define PERF_CLOCK_H

#include <time.h>

#include <proa/types.h>

static inline proa_ns perf_clock_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (proa_ns)t.tv_sec * PROA_S + (proa_ns)t.tv_nsec;
}

static inline uint64_t perf_clock_ticks(void)
{
#if defined(__x86_64__)
    return __builtin_ia32_rdtsc();
#else
    return perf_clock_ns();
#endif
}

/* Where both clocks stood at the start. */
struct perf_clock {
    proa_ns ns;
    uint64_t ticks;
};

static inline void perf_clock_start(struct perf_clock *clock)
{
    clock->ns = perf_clock_ns();
    clock->ticks = perf_clock_ticks();
}

/* perf_clock_scale is nanoseconds per tick, by all the time since the start: after 100 ms its
   error is below 1e-5. */
static inline double perf_clock_scale(const struct perf_clock *clock)
{
    proa_ns ns = perf_clock_ns() - clock->ns;
    uint64_t ticks = perf_clock_ticks() - clock->ticks;

    return ticks == 0 ? 1.0 : (double)ns / (double)ticks;
}

#endif
