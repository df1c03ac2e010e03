/* SPDX-License-Identifier: Apache-2.0 */
/* node_build.h - putting a node together and taking it apart again.

   Threads: one ordinary thread.  Units: none.
   Errors:  enum proa_outcome with a sentence in err; what was half built is torn down by
            node_tear_down, which accepts any state. */
#ifndef NODE_BUILD_H
#define NODE_BUILD_H

#include "node_internal.h"

/* node_build takes node->config (checked, defaults filled in) to a running node. */
enum proa_outcome node_build(struct proa_node *node, char *err, size_t err_len);

/* node_memory_mb is the MiB that DPDK is given for such a node, if any of its ports needs DPDK. */
uint32_t node_memory_mb(const struct proa_config *config);

/* node_tear_down ends the threads and frees everything, node included. */
void node_tear_down(struct proa_node *node);

#endif
