/* SPDX-License-Identifier: Apache-2.0 */
#include "perf_latency.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define EXACT (2 * PERF_LATENCY_PARTS) /* below, each nanosecond has a bucket */
#define PARTS_BITS 10u
#define BUCKETS ((PERF_LATENCY_BITS - PARTS_BITS + 1) * PERF_LATENCY_PARTS)
#define LONGEST (((proa_ns)1 << PERF_LATENCY_BITS) - 1)

_Static_assert(PERF_LATENCY_PARTS == 1u << PARTS_BITS, "what index and end shift by");

struct perf_latency {
    uint64_t count;
    proa_ns least, most;
    double sum;
    uint64_t buckets[BUCKETS];
};

struct perf_latency *perf_latency_create(void)
{
    struct perf_latency *latency = malloc(sizeof(*latency));

    if (latency != NULL)
        perf_latency_reset(latency);
    return latency;
}

void perf_latency_destroy(struct perf_latency *latency)
{
    free(latency);
}

/* Touches every page. */
void perf_latency_reset(struct perf_latency *latency)
{
    memset(latency, 0, sizeof(*latency));
    latency->least = PROA_NS_NEVER;
}

static inline uint32_t index_of(proa_ns span)
{
    uint32_t shift;

    if (span < EXACT)
        return (uint32_t)span;
    shift = 63 - PARTS_BITS - (uint32_t)__builtin_clzll(span);
    return shift * PERF_LATENCY_PARTS + (uint32_t)(span >> shift);
}

/* The longest span of a bucket. */
static proa_ns end_of(uint32_t index)
{
    uint32_t shift;

    if (index < EXACT)
        return index;
    shift = index / PERF_LATENCY_PARTS - 1;
    return (((proa_ns)(index - shift * PERF_LATENCY_PARTS) + 1) << shift) - 1;
}

void perf_latency_add(struct perf_latency *latency, proa_ns span)
{
    span = span < LONGEST ? span : LONGEST;
    latency->buckets[index_of(span)]++;
    latency->count++;
    latency->sum += (double)span;
    latency->least = span < latency->least ? span : latency->least;
    latency->most = span > latency->most ? span : latency->most;
}

/* ---- Summing up ---- */

static proa_ns reported(const struct perf_latency *latency, uint32_t index)
{
    proa_ns end = end_of(index);

    return end < latency->most ? end : latency->most;
}

/* The next share to show after one of `share` (0..1): PER_HALF steps to each halving of the rest. */
static double next_share(double share)
{
    double halvings = floor(-log2(1 - share)) + 1;

    return share + 1 / (PERF_LATENCY_PER_HALF * exp2(halvings));
}

static void add_point(const struct perf_latency *latency, uint32_t index, uint64_t seen,
                      double *next, struct perf_trips *ret)
{
    double share = (double)seen / (double)latency->count;

    if (share < *next || latency->buckets[index] == 0)
        return;
    while (seen < latency->count && *next <= share)
        *next = next_share(*next);
    if (ret->points < PERF_LATENCY_POINTS)
        ret->point[ret->points++] =
            (struct perf_latency_point){reported(latency, index), seen};
}

static bool reaches(uint64_t seen, uint64_t count, uint32_t ppm)
{
    return (double)seen >= (double)count * ppm / 1e6;
}

void perf_latency_sum_up(const struct perf_latency *latency, struct perf_trips *ret)
{
    struct {
        uint32_t ppm;
        proa_ns *to;
    } wanted[] = {{500000, &ret->p50},
                  {900000, &ret->p90},
                  {990000, &ret->p99},
                  {999000, &ret->p999},
                  {999900, &ret->p9999}};
    unsigned found = 0, all = sizeof(wanted) / sizeof(wanted[0]);
    uint64_t seen = 0;
    double next = 0;

    memset(ret, 0, sizeof(*ret));
    if (latency->count == 0)
        return;
    ret->count = latency->count;
    ret->mean = latency->sum / (double)latency->count;
    ret->least = latency->least;
    ret->most = latency->most;
    for (uint32_t i = 0; i < BUCKETS && seen < latency->count; i++) {
        seen += latency->buckets[i];
        while (found < all && reaches(seen, latency->count, wanted[found].ppm))
            *wanted[found++].to = reported(latency, i);
        add_point(latency, i, seen, &next, ret);
    }
}
