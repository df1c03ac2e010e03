/* SPDX-License-Identifier: Apache-2.0 */
/* telemetry.h - a node's counters for rte_telemetry, DPDK's local socket with JSON.

   Commands: /proa/lanes, /proa/links, /proa/actors, /proa/directory, /proa/dht, /proa/drops.
   The first three and the last sum over all lanes, or take a lane's number as parameter:
   `/proa/lanes,1`.  docs/cli.md lists what each says.

   The callbacks run on DPDK's telemetry threads.  They read relaxed counters, or ask the control
   thread by node_call for its tables; no lane ever waits for them.

   Threads: start and stop: one ordinary thread.  Units: as the counters' names say.
   Errors:  none that matter: without telemetry a node runs as well. */
#ifndef TELEMETRY_H
#define TELEMETRY_H

struct proa_node;

/* telemetry_start registers the commands, once per process, and makes them speak of node.
   After EAL's start and after the control thread's.  A node without DPDK has none. */
void telemetry_start(struct proa_node *node);

/* telemetry_stop waits for a command that is running; later ones answer nothing.  Before the
   control thread's end.  Harmless when node was never started. */
void telemetry_stop(struct proa_node *node);

#endif
