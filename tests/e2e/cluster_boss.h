/* SPDX-License-Identifier: Apache-2.0 */
/* cluster_boss.h - the actor of cluster_node that does what its lines say (cluster_node.c has them),
   with its workers, its balancer and its load.

   Threads: behaviours.  Units: proa_ns.  Errors: in the answers. */
#ifndef CLUSTER_BOSS_H
#define CLUSTER_BOSS_H

#include <proa/actor.h>

#define BOSS_COMMAND 1 /* ask: a line with its NUL; answered by a line without */
#define BOSS_LINE_MAX 512

extern const struct proa_behaviour boss_behaviour;

#endif
