/* SPDX-License-Identifier: Apache-2.0 */
/* savina_options.h - proa-savina's command line.

   Threads: one.  Units: as the fields say.
   Errors:  one sentence on stderr, and what the caller's exit status should be. */
#ifndef SAVINA_OPTIONS_H
#define SAVINA_OPTIONS_H

#include <proa/node.h>

#define SAVINA_ACTORS_MAX 2048u
#define SAVINA_LANES_MAX 2u
#define SAVINA_COUNT_MAX 1000000000u /* sums of numbers up to it fit 64 bits */

struct savina_run;

/* One benchmark, as the command line knows it. */
struct savina_bench {
    const char *name;
    const char *actors; /* what --actors counts; NULL: their number is given */
    const char *count;  /* what --count counts */
    uint32_t actors_min, actors_default;
    uint32_t count_default[SAVINA_LANES_MAX]; /* on one lane, on two: about 2 s */
    /* Spawns, runs and checks; false: it did not come to its end, run->error says why. */
    bool (*run)(struct savina_run *run);
};

extern const struct savina_bench savina_big, savina_chameneos, savina_counting,
    savina_fork_join_create, savina_fork_join_throughput, savina_ping_pong,
    savina_thread_ring;

struct savina_options {
    const struct savina_bench *bench;
    uint32_t lanes; /* 1..SAVINA_LANES_MAX */
    uint32_t actors;
    uint32_t count;
    uint32_t timeout; /* seconds, of the whole run */
    enum proa_idle idle;
};

/* savina_options_read fills options.  -1: go on; otherwise the process's exit status: 0 after
   --help, 2 after a mistake, which was explained on stderr. */
int savina_options_read(struct savina_options *options, int argc, char **argv);

#endif
