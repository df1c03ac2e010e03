/* SPDX-License-Identifier: Apache-2.0 */
/* kernel_clock.h - a clock of the kernel as one number: what the control thread, the command line
   and all processes of a demo compare their times by.  Lanes have a cheaper one (clock.h).

   Threads: any.  Units: proa_ns.  Errors: none. */
#ifndef KERNEL_CLOCK_H
#define KERNEL_CLOCK_H

#include <time.h>

#include <proa/types.h>

static inline proa_ns kernel_clock(clockid_t id)
{
    struct timespec ts;

    clock_gettime(id, &ts);
    return (proa_ns)ts.tv_sec * PROA_S + (proa_ns)ts.tv_nsec;
}

static inline proa_ns clock_now(void)
{
    return kernel_clock(CLOCK_MONOTONIC);
}

#endif
