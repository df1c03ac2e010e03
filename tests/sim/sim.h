/* SPDX-License-Identifier: Apache-2.0 */
/* sim.h - what the simulated clusters share: which seeds to run.

   PROA_SIM_SEEDS: how many seeds (./dev sim runs more than the test command).
   PROA_SIM_SEEDS_MOST: so many at the most, where they are dear.
   PROA_SIM_SEED:  only this one, to see a failure again.

   Threads: one.  Units: counts.  Errors: none. */
#ifndef SIM_H
#define SIM_H

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include <proa/test.h>

struct sim_seeds {
    uint64_t first, count;
};

static inline struct sim_seeds sim_seeds(uint64_t count)
{
    const char *only = getenv("PROA_SIM_SEED");
    const char *more = getenv("PROA_SIM_SEEDS");
    const char *most = getenv("PROA_SIM_SEEDS_MOST");

    if (only != NULL)
        return (struct sim_seeds){strtoull(only, NULL, 0), 1};
    if (more != NULL)
        count = strtoull(more, NULL, 0);
    if (most != NULL && strtoull(most, NULL, 0) < count)
        count = strtoull(most, NULL, 0);
    return (struct sim_seeds){1, count};
}

/* splitmix64, for what a test draws from its own seed.  Source: S. Vigna, public domain. */
static inline uint64_t sim_random(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15u;

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

#endif
