/* SPDX-License-Identifier: Apache-2.0 */
/* family.h - a lane's supervisors and their children (proa/life.h).

   Each slot has a place for what its supervisor needs to know of it; a supervisor has a family.
   A child that has ended keeps its slot until its supervisor's rule has decided: then it begins
   a new life there, or ends as any actor does.

   Threads: one lane.  Units: proa_ns.  Errors: as each function says. */
#ifndef FAMILY_H
#define FAMILY_H

#include <proa/life.h>

#include "slot.h"

#define FAMILY_INTENSITY 5u /* restarts within the window.  Source: actors.md */
#define FAMILY_WINDOW (10 * PROA_S)
#define FAMILY_INTENSITY_MAX 1024u

enum child_state {
    CHILD_UP,
    CHILD_DOWN,  /* has ended, and waits for those that are restarted with it */
    CHILD_AGAIN, /* is to be restarted as soon as its names can be moved */
};

struct child {
    uint32_t supervisor; /* index of its slot */
    uint32_t next, prev; /* indices of its siblings, in the order they were made */
    uint32_t arg_len;
    void *arg;
    uint8_t restart; /* enum proa_restart */
    uint8_t state;   /* enum child_state */
};

/* One supervisor's children.  From the lane's arena. */
struct family {
    uint32_t first, last;
    uint32_t count;
    uint32_t waiting; /* of a group that is being ended */
    uint32_t from;    /* the first of the group */
    bool group;       /* a group is being ended, to be restarted */
    uint32_t intensity, at;
    proa_ns window;
    proa_ns times[]; /* of the last restarts, `intensity` of them */
};

struct sched;

/* A supervisor ends: so do its children, in the reverse order of their making. */
void children_end(struct sched *s, struct slot *supervisor);

/* The end of a child's life, with its mailbox empty: it is restarted, or waits to be, or is given
   up.  True: the slot is still its own; false: it is nobody's child any more, and the caller
   frees it. */
bool family_child_down(struct sched *s, struct slot *slot);

#endif
