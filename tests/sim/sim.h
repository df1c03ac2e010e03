/* SPDX-License-Identifier: Apache-2.0 */
/* sim.h - what the simulated clusters share.

   Threads: one.  Units: none.  Errors: none. */
#ifndef SIM_H
#define SIM_H

#include <proa/test.h>

#include "../seeds.h"

/* splitmix64, for what a test draws from its own seed.  Source: S. Vigna, public domain. */
static inline uint64_t sim_random(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15u;

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

#endif
