/* SPDX-License-Identifier: Apache-2.0 */
/* perf_report.h - a run as one JSON object on stdout.  perf/README.md explains the fields.

   Threads: one.  Units: in the field names.  Errors: none. */
#ifndef PERF_REPORT_H
#define PERF_REPORT_H

#include "perf_bare.h"
#include "perf_raw.h"
#include "perf_run.h"
#include "perf_versus.h"

/* What was measured beside the run; each may be missing. */
struct perf_limits {
    bool has_raw, has_bare;
    struct perf_raw raw;
    struct perf_bare bare;
};

/* result is NULL in mode raw; versus without --versus. */
void perf_report(const struct perf_options *options, const struct perf_result *result,
                 const struct perf_limits *limits, const struct perf_versus *versus);

#endif
