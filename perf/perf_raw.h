/* SPDX-License-Identifier: Apache-2.0 */
/* perf_raw.h - the raw limit of a port, measured in processes of its own: the bare loops of
   raw.h on the port's own options, without links, actors or checks.

   A flood of frames of one size gives packets per second; one frame that goes back and forth
   gives round trips.

   Threads: one; the loops run in children.  Units: proa_ns; sizes are bytes of an Ethernet
            frame.
   Errors:  false, with one sentence in err. */
#ifndef PERF_RAW_H
#define PERF_RAW_H

#include "perf_run.h"

#define PERF_RAW_TELL_FRAME 64  /* docs: raw(64) is what tells are compared with */
#define PERF_RAW_UDP_FRAME 1408 /* over sockets: full datagrams of 24 tells */
#define PERF_RAW_ASK_FRAME 138  /* an ask of 32 bytes, alone in its packet */

struct perf_raw {
    uint32_t flood_size; /* 0: not measured */
    double packets_per_s;
    bool segmented;     /* udp: UDP_SEGMENT was better than sendmmsg */
    uint32_t trip_size; /* 0: not measured */
    struct perf_trips trips;
};

/* perf_raw_measure measures what belongs to the mode: packets/s for tells, both for asks and
   for raw. */
bool perf_raw_measure(const struct perf_options *options, const char *dir,
                      struct perf_raw *ret, char *err, size_t err_len);

#endif
