/* SPDX-License-Identifier: Apache-2.0 */
/* soak_node.h - one process of a soak: a node, or all those of a ring, told by the books what to do.

   Threads: a process's main thread; events come on control threads.  Units: none.
   Errors:  soak_broken, and the exit status. */
#ifndef SOAK_NODE_H
#define SOAK_NODE_H

#include "soak_books.h"

/* soak_process runs nodes first..first + count - 1 of a cluster until the phase is QUIT or SIGTERM comes,
   and leaves in order.  Returns the exit status. */
int soak_process(struct soak *soak, struct soak_cluster *c, uint32_t first,
                 uint32_t count);

#endif
