/* SPDX-License-Identifier: Apache-2.0 */
#include "clock.h"

#include <time.h>

#if defined(__x86_64__)
#include <cpuid.h>
#endif

#define BRACKET_MOST (2 * PROA_US) /* a reading that took longer was interrupted */
#define BRACKET_UNKNOWN 10000      /* ticks; the same, while ticks have no scale */
#define TRIES 3
#define BASE_LEAST PROA_MS        /* between the readings of the first scale */
#define BASE_GOOD (100 * PROA_MS) /* and of all later ones: within some 10^-6 */
#define BASE_MOST PROA_S
#define SCALE_ONE (UINT64_C(1) << 32)

static proa_ns kernel(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (proa_ns)ts.tv_sec * PROA_S + (proa_ns)ts.tv_nsec;
}

#if defined(__x86_64__)

static uint64_t counter(void)
{
    return __builtin_ia32_rdtsc();
}

static bool counter_is_invariant(void)
{
    unsigned a, b, c, d;

    return __get_cpuid(0x80000007, &a, &b, &c, &d) != 0 && (d & 1u << 8) != 0;
}

#else

static uint64_t counter(void)
{
    return 0;
}

static bool counter_is_invariant(void)
{
    return false;
}

#endif

/* The scale of the time since the anchor, and a younger anchor when this one is old: the kernel
   slews its clock. */
static void calibrate(struct clock *c)
{
    proa_ns ns = c->ns - c->anchor_ns;
    uint64_t ticks = c->ticks - c->anchor_ticks;

    if (c->anchor_ns == 0 || ns > 2 * BASE_MOST || ticks > UINT64_MAX / 2) {
        c->anchor_ns = c->ns; /* the first, or it slept, or the counter went back */
        c->anchor_ticks = c->ticks;
        return;
    }
    if (ns < (c->scale == 0 ? BASE_LEAST : BASE_GOOD) || ticks == 0)
        return;
    c->scale = ns * SCALE_ONE / ticks; /* ns < 2^31 */
    if (ns >= BASE_MOST) {
        c->anchor_ns = c->ns;
        c->anchor_ticks = c->ticks;
    }
}

proa_ns clock_look(struct clock *c, const struct clock_source *source)
{
    uint64_t before, after = source->ticks(), longest = BRACKET_UNKNOWN;
    proa_ns now = 0;

    if (c->scale != 0)
        longest = BRACKET_MOST * SCALE_ONE / c->scale;
    c->span = 0;
    for (unsigned i = 0; i < TRIES; i++) {
        before = after;
        now = source->truth();
        after = source->ticks();
        if (after - before > longest)
            continue;
        c->ns = now;
        c->ticks = after;
        calibrate(c);
        if (c->scale != 0)
            c->span = CLOCK_TRUST * SCALE_ONE / c->scale;
        break;
    }
    if (now > c->told)
        c->told = now;
    return c->told;
}

proa_ns clock_ns(void)
{
    static const struct clock_source source = {counter, kernel};
    static _Thread_local struct clock clock;
    static _Thread_local uint8_t usable; /* 0: not asked; 1: yes; 2: no */

    if (__builtin_expect(usable != 1, 0)) {
        if (usable == 0)
            usable = counter_is_invariant() ? 1 : 2;
        if (usable == 2)
            return kernel();
    }
    return clock_read(&clock, &source, counter());
}
