/* SPDX-License-Identifier: Apache-2.0 */
/* perf_latency.h - spans counted with three significant digits, and what is told of them.

   Buckets are log-linear: one nanosecond wide below 2,048, from there on 1,024 to each power of
   two, so that a span is known to better than a thousandth of itself up to 2^36 ns (68 s), longer
   ones count as that.  Adding is a shift and an increment.  Source: Gil Tene's HdrHistogram, with
   "numberOfSignificantValueDigits" 3; its way to choose the points of a plot is here too: five to
   each halving of what is left above.

   Threads: one at a time.  Units: nanoseconds.  Errors: NULL without memory. */
#ifndef PERF_LATENCY_H
#define PERF_LATENCY_H

#include <proa/types.h>

#define PERF_LATENCY_PARTS 1024u
#define PERF_LATENCY_BITS 36u    /* of the longest span */
#define PERF_LATENCY_POINTS 200u /* 5 for each of 36 halvings, and ends */
#define PERF_LATENCY_PER_HALF 5u /* points */

struct perf_latency;

struct perf_latency *perf_latency_create(void);
void perf_latency_destroy(struct perf_latency *latency);
void perf_latency_reset(struct perf_latency *latency);
void perf_latency_add(struct perf_latency *latency, proa_ns span);

/* `count` spans are no longer than `value`. */
struct perf_latency_point {
    proa_ns value;
    uint64_t count;
};

/* What goes through a pipe and into the report.  Percentiles are rounded up to the end of their
   bucket, but never above the longest span. */
struct perf_trips {
    uint64_t count;
    double mean;
    proa_ns least, p50, p90, p99, p999, p9999, most;
    uint32_t points; /* the rest is undefined */
    struct perf_latency_point point[PERF_LATENCY_POINTS];
};

void perf_latency_sum_up(const struct perf_latency *latency, struct perf_trips *ret);

#endif
