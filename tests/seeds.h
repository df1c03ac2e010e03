/* SPDX-License-Identifier: Apache-2.0 */
/* seeds.h - which seeds a simulation runs.

   PROA_SIM_TIMES: so many times the simulation's own number of seeds (`./dev sim`).
   PROA_SIM_SEED:  from this one; without the other only this one, to see a failure again.
   PROA_SIM_SEEDS_MOST: so many at the most, where they are dear.

   Threads: one.  Units: counts.  Errors: none. */
#ifndef SEEDS_H
#define SEEDS_H

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

struct sim_seeds {
    uint64_t first, count;
};

static inline uint64_t seeds_number(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);

    return text != NULL ? strtoull(text, NULL, 0) : otherwise;
}

/* sim_seeds prints which they are. */
static inline struct sim_seeds sim_seeds(uint64_t count)
{
    bool only = getenv("PROA_SIM_SEED") != NULL && getenv("PROA_SIM_TIMES") == NULL;
    uint64_t most = seeds_number("PROA_SIM_SEEDS_MOST", UINT64_MAX);
    struct sim_seeds ret = {seeds_number("PROA_SIM_SEED", 1), 1};

    if (!only)
        ret.count = count * seeds_number("PROA_SIM_TIMES", 1);
    if (ret.count > most)
        ret.count = most;
    printf("# seeds %" PRIu64 " to %" PRIu64 "\n", ret.first, ret.first + ret.count - 1);
    return ret;
}

#endif
