/* SPDX-License-Identifier: Apache-2.0 */
/* savina_run.h - one run from outside the lanes: the node, its actors, what is expected of them.

   A benchmark spawns its actors, wires them by asks, asks one of them to RUN and then asks each
   for its report.  What the reports add up to is compared with figures that main computes
   from the options alone.

   Threads: one ordinary thread.  Units: as the fields say.
   Errors:  false, with one sentence in error; or a check that says it is not so. */
#ifndef SAVINA_RUN_H
#define SAVINA_RUN_H

#include <proa/client.h>
#include <proa/node.h>

#include "savina_actor.h"
#include "savina_options.h"

#define SAVINA_CHECKS_MAX 8
#define SAVINA_SPAWNED_MAX (SAVINA_ACTORS_MAX + SAVINA_LANES_MAX + 2)

struct savina_check {
    const char *what;
    uint64_t counted, expected;
};

struct savina_run {
    struct savina_options options;
    struct proa_node *node;
    struct proa_client *client;

    /* In the order of their spawning. */
    struct proa_ref actors[SAVINA_SPAWNED_MAX];
    struct savina_report reports[SAVINA_SPAWNED_MAX];
    uint32_t actor_count;

    /* Results. */
    uint64_t messages; /* the program's own, without credits */
    uint64_t spawned;  /* actors made in the measured time; 0: that is not measured */
    proa_ns ns;
    struct savina_check checks[SAVINA_CHECKS_MAX];
    uint32_t check_count;
    char error[320];
};

/* savina_run_open starts the node, with its state in dir.  savina_run_close accepts what a failed
   open left. */
bool savina_run_open(struct savina_run *run, const struct savina_options *options,
                     const char *dir);
void savina_run_close(struct savina_run *run);

bool savina_run_spawn(struct savina_run *run, uint32_t lane,
                      const struct proa_behaviour *behaviour, const void *arg,
                      size_t arg_len, struct proa_ref *ret);

/* savina_run_wire asks WIRE and waits for the empty answer. */
bool savina_run_wire(struct savina_run *run, struct proa_ref to, const void *data,
                     size_t len);

/* savina_run_go asks `first` to RUN, waits for the end, and collects the reports. */
bool savina_run_go(struct savina_run *run, struct proa_ref first);

/* Adds a check.  what must be constant. */
void savina_run_check(struct savina_run *run, const char *what, uint64_t counted,
                      uint64_t expected);

/* The sum of what the actors from..from + n - 1 counted, or added up. */
uint64_t savina_run_count(const struct savina_run *run, uint32_t from, uint32_t n);
uint64_t savina_run_sum(const struct savina_run *run, uint32_t from, uint32_t n);

/* 0 + 1 + ... + n - 1. */
static inline uint64_t savina_sum_below(uint64_t n)
{
    return n * (n - 1) / 2;
}

/* savina_run_right: it came to its end, and every check is as expected.  savina_run_print writes
   the JSON object. */
bool savina_run_right(const struct savina_run *run);
void savina_run_print(const struct savina_run *run);

#endif
