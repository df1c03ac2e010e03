/* SPDX-License-Identifier: Apache-2.0 */
/* loads.h - how busy members of groups are, from node to node.

   Who picks members of other nodes by load asks for it (mesh_want_loads), again while it goes on
   picking; for 3 s after, a node reports those of its own members: each LOADS_EVERY the ones that
   changed, and all of them in turn, for who picks a member counts its picks on top of what it heard
   last.

   Threads: the control thread's; load words are written by lanes (sched_loads).
   Units:   proa_ns; a load is messages in a mailbox, the one that runs included.
   Errors:  none.  What is over a bound is reported later.
   Bounds:  LOADS_A_TICK loads each LOADS_EVERY to each node that asks, of LOADS_GROUPS_MAX groups. */
#ifndef LOADS_H
#define LOADS_H

#include <stdatomic.h>

#include "mesh.h"

#define LOADS_ASK_EVERY (100 * PROA_MS) /* between two looks at who picks */
#define LOADS_ASK_AGAIN PROA_S          /* of one group; a node reports for 3 s */
#define LOADS_EVERY (2 * PROA_MS)
#define LOADS_FOR (3 * PROA_S)         /* Source: mesh.h */
#define LOADS_ALL_EVERY (20 * PROA_MS) /* all members of a small group are reported */
#define LOADS_A_TICK 256u
#define LOADS_GROUPS_MAX 1024u

struct core;
struct mesh_event;

struct loads_group; /* that another node wants reports of, or this one asks for */

struct loads {
    struct {
        const _Atomic uint16_t *words; /* NULL: not given */
        uint32_t slots;
    } lanes[PROA_LANES_MAX];
    struct loads_group *groups; /* LOADS_GROUPS_MAX */
    unsigned count;
    struct {
        uint64_t node;
        proa_ns until;
    } nodes[MESH_NODES_MAX]; /* that want reports */
    unsigned node_count;
    uint16_t *told;    /* by a member's index in the mesh, what was reported last */
    proa_ns ask_at;    /* next look at who picks here */
    proa_ns report_at; /* next report; PROA_NS_NEVER: nobody wants any */
};

bool loads_init(struct core *core);
void loads_fini(struct core *core);

/* loads_wanted takes MESH_LOADS_WANTED, loads_reported MESH_LOADS. */
void loads_wanted(struct core *core, const struct mesh_event *event);
void loads_reported(struct core *core, const struct mesh_event *event);

void loads_tick(struct core *core);
proa_ns loads_deadline(const struct core *core);

#endif
