/* SPDX-License-Identifier: Apache-2.0 */
#include "perf_bare.h"

#include <stdlib.h>

#include "pair_ring_loops.h"
#include "perf_clock.h"

#define CAPACITY 4096u
#define PAYLOAD 32u
#define MESSAGES 10000000u
#define ROUNDS 200u
#define TRIPS 1000u /* in a round */

static int by_value(const void *a, const void *b)
{
    proa_ns x = *(const proa_ns *)a, y = *(const proa_ns *)b;

    return (x > y) - (x < y);
}

static bool rate(enum pair_loop loop, double *ret)
{
    struct pair_loops *loops = pair_loops_create(loop, CAPACITY, PAYLOAD);

    if (loops == NULL)
        return false;
    pair_loops_run(loops, MESSAGES / 10);
    proa_ns from = perf_clock_ns();
    pair_loops_run(loops, MESSAGES);
    *ret = MESSAGES * 1e9 / (double)(perf_clock_ns() - from);
    pair_loops_destroy(loops);
    return true;
}

static bool trip(enum pair_loop loop, proa_ns *ret)
{
    struct pair_loops *loops = pair_loops_create(loop, CAPACITY, PAYLOAD);
    proa_ns rounds[ROUNDS];

    if (loops == NULL)
        return false;
    pair_loops_run(loops, TRIPS);
    for (uint32_t i = 0; i < ROUNDS; i++) {
        proa_ns from = perf_clock_ns();

        pair_loops_run(loops, TRIPS);
        rounds[i] = (perf_clock_ns() - from) / TRIPS;
    }
    qsort(rounds, ROUNDS, sizeof(rounds[0]), by_value);
    *ret = rounds[ROUNDS / 2];
    pair_loops_destroy(loops);
    return true;
}

bool perf_bare_rings(struct perf_bare *ret)
{
    return rate(PAIR_LOOP_WORDS_COUNT, &ret->words_per_s) &&
           trip(PAIR_LOOP_WORDS_TRIP, &ret->word_trip) &&
           rate(PAIR_LOOP_COUNT, &ret->items_per_s) &&
           trip(PAIR_LOOP_TRIP, &ret->item_trip);
}
