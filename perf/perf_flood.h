/* SPDX-License-Identifier: Apache-2.0 */
/* perf_flood.h - a process that floods an af_xdp node with datagrams that do not belong there.

   It sends well-formed UDP datagrams, checksums included, from the other end of the veth pair,
   by an AF_PACKET socket: to the node's port, or, as the control with the same load on machine and
   interface, to a port nobody has.  What it sends when is told through a page it shares with
   perf_watch.h.

   Threads: the process' own.  Units: packets, proa_ns.
   Errors:  perf_flood_start: false; a generator that cannot send counts nothing as sent, and the
            watch sees that. */
#ifndef PERF_FLOOD_H
#define PERF_FLOOD_H

#include <stdatomic.h>

#include "perf_options.h"
#include "perf_process.h"

#define PERF_FLOOD_ELSEWHERE 9 /* the UDP port of the control: discard */

enum perf_flood_phase {
    PERF_FLOOD_QUIET,
    PERF_FLOOD_OTHERS, /* to another port */
    PERF_FLOOD_OURS,
    PERF_FLOOD_PHASES,
    PERF_FLOOD_END = PERF_FLOOD_PHASES
};

/* In memory that both processes see. */
struct perf_flood_shared {
    _Atomic int phase;     /* enum perf_flood_phase: the watch's */
    _Atomic uint64_t sent; /* packets the kernel took: the generator's */
};

struct perf_flood {
    struct perf_process process;
    struct perf_flood_shared *shared;
    struct perf_options options;
    pid_t beside; /* generator: the process whose network namespace it uses; 0: its own */
};

/* perf_flood_share makes the page; before the processes that use it are forked. */
bool perf_flood_share(struct perf_flood *flood, const struct perf_options *options);

/* perf_flood_start forks the generator.  beside: a process whose end of the veth pair it uses;
   0: it makes a namespace and waits for perf_netns_join. */
bool perf_flood_start(struct perf_flood *flood, pid_t beside);

/* perf_flood_end accepts what was never shared or started. */
void perf_flood_end(struct perf_flood *flood);

const char *perf_flood_phase_name(enum perf_flood_phase phase);

#endif
