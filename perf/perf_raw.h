/* SPDX-License-Identifier: Apache-2.0 */
/* perf_raw.h - the raw limit of a port, measured in processes of its own: the bare loops of
   raw.h on the port's own options, without links, actors or checks.

   A flood of frames of one size gives packets per second; one frame that goes back and forth
   gives round trips.  Where there are several ways to use a device or socket, all are measured
   and the best one is the limit.  Beside af_xdp it is DPDK's own driver, net_af_xdp, on a veth
   pair made as the port's: with busy_budget=0 and with that driver's default of 64.

   Threads: one; the loops run in children.  Units: proa_ns; sizes are bytes of an Ethernet
            frame.
   Errors:  false, with one sentence in err. */
#ifndef PERF_RAW_H
#define PERF_RAW_H

#include "perf_run.h"

#define PERF_RAW_TELL_FRAME 64  /* docs: raw(64) is what tells are compared with */
#define PERF_RAW_UDP_FRAME 1408 /* over sockets: full datagrams of 24 tells */
#define PERF_RAW_ONE_FRAME 130  /* a tell of 32 bytes, alone in its packet */
#define PERF_RAW_HEADERS 42     /* Ethernet, IPv4 and UDP */
#define PERF_RAW_ASK_FRAME 138  /* an ask of 32 bytes, alone in its packet */

struct perf_raw_flood {
    uint32_t size; /* 0: not measured */
    double packets_per_s;
    const char *how; /* "sendmmsg", "busy_budget=0"; "": there is one way only */
    double other;    /* packets/s the other way; 0: there is none */
};

struct perf_raw {
    bool not_here;              /* it cannot run for want of root or a package */
    bool huge;                  /* all loops were on huge pages */
    struct perf_raw_flood full; /* what packets full of tells are compared with */
    struct perf_raw_flood one;  /* of packets with one tell of --size in each */
    struct perf_raw_flood copy; /* of full packets that carry messages of --size, copied
                                   on both sides: bulk */
    uint32_t trip_size;         /* 0: not measured */
    struct perf_trips trips;
    const char *trip_how;
    proa_ns trip_other; /* p50 the other way */
    struct perf_trips
        touched; /* the same with bytes that are written and read; count 0: not */
};

/* Bytes of payload a second that the copying loop moves. */
static inline double perf_raw_copied(const struct perf_raw_flood *copy)
{
    return copy->packets_per_s * (copy->size - PERF_RAW_HEADERS);
}

/* perf_raw_measure measures what belongs to the mode: packets/s for tells, and round trips for
   asks and for raw. */
bool perf_raw_measure(const struct perf_options *options, const char *dir,
                      struct perf_raw *ret, char *err, size_t err_len);

#endif
