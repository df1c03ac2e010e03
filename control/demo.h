/* SPDX-License-Identifier: Apache-2.0 */
/* demo.h - `proa demo`: two nodes as two processes, talking over DPDK vhost.

   The parent starts this program twice more, as node A and node B, prints what they say, and
   ends them.  Between parent and each child is a socketpair, the child's descriptor DEMO_FD:

     parent  32 bytes of cluster key, then lines:
             late              A: register DEMO_LATE two seconds from now
             raw               both: leave the cluster, then run the bare loop over the port
             quit              both: leave and exit; so does the end of the channel
     child   up ID ADDRESS CORE PAGES        the node runs
             joined                          and has found its cluster
             spawned                         A: counter and sink are registered
             found NS   count N   not-found   wait   late-found NS   load SECONDS      B
             late NS                         A: began to register DEMO_LATE, CLOCK_MONOTONIC
             live SECOND MESSAGES NS RTTS P50 P99 P999 UNDELIVERED                     B
             sum  (the same, over all seconds)                                         B
             raw-up                          the bare port has its neighbour
             raw-trip COUNT NS P50 P99 P999  of B: round trips
             raw-flood COUNT NS 0 0 0        of A: packets received
             fail WHY                        and the child exits with status 1

   Everything on disk lies in one temporary folder of mode 0700, which the parent removes.

   Threads: one in the parent.  Units: nanoseconds.  Errors: exit statuses, docs/cli.md. */
#ifndef DEMO_H
#define DEMO_H

#include "options.h"

#define DEMO_FD 3
#define DEMO_LATE_AFTER (2 * PROA_S)
#define DEMO_ADDRESS_A "10.74.0.1"
#define DEMO_ADDRESS_B "10.74.0.2"

/* demo_run is the verb `demo`, with the word balancer demo_balancer.h's.  Exit status: 0; 1 something failed; 130 after SIGINT, 143 after
   SIGTERM, 129 after SIGHUP, once both nodes have ended. */
int demo_run(const struct options *options);

/* demo_node is the hidden verb that demo_run starts: words are a or b, and the folder; or as
   demo_worker.h says. */
int demo_node(const struct options *options);

#endif
