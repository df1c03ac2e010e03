/* SPDX-License-Identifier: Apache-2.0 */
/* kad_groups.h - what the tests of announced groups do with a network of nodes.

   Threads: one.  Errors: the test fails. */
#ifndef PROA_TEST_KAD_GROUPS_H
#define PROA_TEST_KAD_GROUPS_H

#include "kad_net.h"

#define MINUTE (60 * PROA_S)

/* cluster starts nodes that have joined through each other. */
struct net *cluster(unsigned count, uint64_t seed);

struct kad_id group(const char *name);

/* announce and get_peers run node i's to the end: the event's outcome.  The first *ret_count of the
   node's `peers` are then the answer. */
enum proa_outcome announce(struct net *net, unsigned i, const char *name, proa_ns span);
enum proa_outcome get_peers(struct net *net, unsigned i, const char *name, proa_ns span,
                            uint32_t *ret_count);

/* found tells whether addr is one of the first `count` of node i's peers. */
bool found(struct net *net, unsigned i, uint32_t count, const struct proa_addr *addr);

struct kad_stats stats_of(struct net *net, unsigned i);

#endif
