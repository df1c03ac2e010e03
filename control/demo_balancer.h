/* SPDX-License-Identifier: Apache-2.0 */
/* demo_balancer.h - `proa demo balancer`: actors of one type on three nodes, in three processes.

   Node 1 has three workers; node 2 knows one address, node 1's, and has three more; node 3 knows only
   node 2.  A balancer forwards messages to idle workers, wherever they run.  Then node 1 is
   killed.  Channel and key are those of demo.h; its lines:

     parent  send N                           N asks of the balancer, at once
             quit                             leave and exit; so does the end of the channel
     child   up ID ADDRESS CORE PAGES         the node runs
             joined                           and has found its cluster
             sees N NS                        workers, since that moment (CLOCK_MONOTONIC)
             by NODE WORKER N                 so many answers came from that worker; for each
             answered N NS                    and that was all: answers, and first ask to last answer
             fail WHY                         and the child exits with status 1

   Threads: one in the parent.  Units: ns.  Errors: exit statuses, docs/cli.md. */
#ifndef DEMO_BALANCER_H
#define DEMO_BALANCER_H

#include "options.h"

/* demo_balancer_run: as demo_run; 1 also when a promise was not kept: an answer too few, a worker that
   was not used, a dead one that was. */
int demo_balancer_run(const struct options *options);

#endif
