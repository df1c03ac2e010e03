/* SPDX-License-Identifier: Apache-2.0 */
/* mesh_churn.h - clusters of linked registries whose entries change at random (mesh_net.h).

   Threads: one.  Errors: the test fails. */
#ifndef PROA_TEST_MESH_CHURN_H
#define PROA_TEST_MESH_CHURN_H

#include "mesh_net.h"

/* cluster starts `started` of `count` nodes, each with so many entries (a quarter of them names) and
   one neighbour, and waits until all know all.  One way takes 2 to 3 ms. */
struct net *cluster(unsigned count, unsigned started, unsigned entries, uint64_t seed);
void start(struct net *net, unsigned i, unsigned entries);
void publish(struct net *net, unsigned i); /* another */

/* churn_all lets `span` go by; after each `every` a node publishes, withdraws or changes something. */
void churn_all(struct net *net, proa_ns span, proa_ns every);

#endif
