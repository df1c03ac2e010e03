/* SPDX-License-Identifier: Apache-2.0 */
/* telemetry_rows.h - every counter's name and where it lies in its structure.

   One list for all who show counters: DPDK's telemetry, the local socket, the watch for drops
   (events_drops.c).  Knows nothing of DPDK.

   Threads: constants.  Units: none.  Errors: none. */
#ifndef TELEMETRY_ROWS_H
#define TELEMETRY_ROWS_H

#include <stdbool.h>
#include <stddef.h>

struct telemetry_row {
    const char *name;
    size_t offset; /* of a uint64_t, atomic in lane and sched */
    bool largest;  /* of several lanes the largest counts, not the sum */
};

struct telemetry_table {
    const struct telemetry_row *rows;
    size_t count;
};

extern const struct telemetry_table telemetry_lane;
extern const struct telemetry_table telemetry_lane_drop;
extern const struct telemetry_table telemetry_sched;
extern const struct telemetry_table telemetry_sched_drop;
extern const struct telemetry_table telemetry_link;
extern const struct telemetry_table telemetry_core;
extern const struct telemetry_table telemetry_core_drop;
extern const struct telemetry_table telemetry_kad;
extern const struct telemetry_table telemetry_kad_drop;
extern const struct telemetry_table telemetry_directory;
extern const struct telemetry_table telemetry_directory_group;
extern const struct telemetry_table telemetry_directory_group_drop;
extern const struct telemetry_table telemetry_mesh;
extern const struct telemetry_table telemetry_mesh_drop;

#endif
