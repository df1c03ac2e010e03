/* SPDX-License-Identifier: Apache-2.0 */
/* demo_clock.h - the clock that all processes of a demo compare their times by.

   Threads: any.  Units: proa_ns of CLOCK_MONOTONIC.  Errors: none. */
#ifndef DEMO_CLOCK_H
#define DEMO_CLOCK_H

#include <time.h>

#include <proa/types.h>

static inline proa_ns clock_now(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (proa_ns)ts.tv_sec * PROA_S + (proa_ns)ts.tv_nsec;
}

#endif
