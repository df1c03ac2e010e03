/* SPDX-License-Identifier: Apache-2.0 */
/* demo_worker.h - one node of `proa demo balancer`: a child of demo_balancer.c.

   Three workers of a published behaviour, which is all it takes to be found by its group on every
   node; a balancer, which forwards what it is asked to an idle one of them, wherever that
   runs; and a desk, which watches the group and asks the balancer.  demo_balancer.h has the lines.

   Threads: the child's main one.  Units: ns.  Errors: the exit status. */
#ifndef DEMO_WORKER_H
#define DEMO_WORKER_H

#include "options.h"

#define WORKER_COUNT 3u /* of each node */
#define WORKER_ASKS_MAX 1000u

/* words: 1, 2 or 3; the folder; and, unless it is the first, a neighbour's address. */
int demo_worker_node(const struct options *options);

#endif
