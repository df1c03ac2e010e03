/* SPDX-License-Identifier: Apache-2.0 */
/* pin.h - keeps the calling thread on one core, so that two threads of a benchmark never
   share one.  Benchmarks only. */
#ifndef PIN_H
#define PIN_H

#include <pthread.h>
#include <sched.h>

static inline void pin_to_core(int core)
{
    cpu_set_t set;

    CPU_ZERO(&set);
    CPU_SET(core, &set);
    pthread_setaffinity_np(pthread_self(), sizeof(set), &set);
}

#endif
