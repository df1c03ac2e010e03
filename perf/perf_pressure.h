/* SPDX-License-Identifier: Apache-2.0 */
/* perf_pressure.h - what the processes of proa-pressure share, and what a node of it does.

   One node sends: `others` keeps asks under way to an actor that answers at once, a flood tells another
   actor BURST messages each millisecond.  In phases with pressure, that other one is the slow one; without, one that
   is not: both phases have the same load, and what the others lose is the price of slowness.

   Threads: counters have one writer each; the parent reads.  Units: proa_ns, bytes, counts.
   Errors:  failed: the first sentence. */
#ifndef PERF_PRESSURE_H
#define PERF_PRESSURE_H

#include <stdatomic.h>

#include <proa/actor.h>
#include <proa/node.h>

#define PRESSURE_NODES 3    /* at most */
#define PRESSURE_BURST 256u /* tells each millisecond */
#define PRESSURE_WINDOW 16u

enum pressure_kind {
    PRESSURE_ACTOR, /* vhost: its mailbox takes 16, on the lane of those who answer the others */
    PRESSURE_LANE, /* vhost: each of its messages takes 5 ms, on a lane of its own */
    PRESSURE_NODE, /* udp: so it is on a third node's only lane */
    PRESSURE_DEAD, /* udp: the third node was killed */
    PRESSURE_DATAGRAMS, /* udp: junk at the port of the node that answers; without: at another */
    PRESSURE_KINDS
};

struct pressure_memory {
    _Atomic uint64_t slab, arena, packets, retained; /* of all lanes */
};

struct pressure {
    enum pressure_kind kind;
    char dir[96];
    _Atomic uint32_t there; /* node 1 has its address, which the others are told */
    char address[PROA_TEXT_MAX];
    _Atomic uint32_t ready; /* nodes */
    _Atomic uint32_t on;    /* the flood */
    _Atomic uint32_t slow;  /* at the slow one */
    _Atomic uint32_t over;
    struct proa_ref quick, slow_one, healthy; /* before ready */
    _Atomic uint64_t asked, answered, settled;
    /* To the slow one, and to the healthy one. */
    _Atomic uint64_t tried[2], accepted[2], again[2], otherwise[2], refused[2], doubt[2];
    _Atomic uint64_t entered[2], disorder;
    struct pressure_memory memory[PRESSURE_NODES];
    char failed[256];
};

/* How many nodes there are. */
static inline unsigned pressure_nodes(enum pressure_kind kind)
{
    return kind == PRESSURE_NODE || kind == PRESSURE_DEAD ? 3 : 2;
}

/* What is waited for takes as long as it takes; who runs this ends it when it is too long. */
#define PRESSURE_PATIENCE (3600 * PROA_S)

/* pressure_node is a process: 0 sends, 1 answers, 2 is slow or killed.  Exit status. */
int pressure_node(struct pressure *p, unsigned index);

#endif
