/* SPDX-License-Identifier: Apache-2.0 */
/* perf_versus.h - two measurements that take turns: a base, and the same with other options.

   What the machine does meanwhile meets both alike, so each round gives a ratio of its own, and the
   medians of those are told; each side is shown by the run whose figure is its median.

   Threads: one ordinary thread.  Units: ratios are the changed one's to the base's.
   Errors:  false: result->error of the changed one says what. */
#ifndef PERF_VERSUS_H
#define PERF_VERSUS_H

#include "perf_run.h"

struct perf_versus {
    uint32_t rounds;
    const struct perf_options *base_options;
    struct perf_result *base; /* the median one; perf_versus_fini frees it */
    double throughput, p50, p99, p999;
    bool checked; /* all runs of both were right */
};

/* How the two are measured: perf_run, or something of the same shape. */
typedef bool (*perf_measure)(const struct perf_options *options, const char *dir,
                             struct perf_result *result);

/* perf_versus_run measures both; ret_changed is the changed one's median run.  dir is an empty
   directory. */
bool perf_versus_run(const struct perf_command *command, const char *dir,
                     perf_measure measure, struct perf_versus *ret,
                     struct perf_result *ret_changed);
void perf_versus_fini(struct perf_versus *versus);

#endif
