/* SPDX-License-Identifier: Apache-2.0 */
/* watchdog.h - notices lanes that do not go round.

   The control thread looks at each lane's loop counter every WATCHDOG_EVERY.  A lane whose counter
   stands still for WATCHDOG_STUCK, and that does not sleep, is reported once, by LANE_STUCK with
   what it runs; when it goes round again, LANE_FREE says how long it took.

   Threads: the control thread's.
   Units:   proa_ns.  Errors: none. */
#ifndef WATCHDOG_H
#define WATCHDOG_H

#include <proa/event.h>

#define WATCHDOG_EVERY (50 * PROA_MS)
#define WATCHDOG_STUCK (100 * PROA_MS) /* Source: actors.md */

/* What is seen of one lane. */
struct watchdog_sight {
    uint64_t loops;
    bool sleeping;         /* its doorbell is armed */
    struct proa_ref actor; /* that it runs now, or none */
    uint32_t type;         /* PROA_EVENT_NO_TYPE: in no message handler */
};

struct watchdog_lane {
    uint64_t loops;
    proa_ns since; /* the counter stands still */
    bool stuck;    /* and that was reported */
};

struct watchdog {
    proa_ns look_at;
    struct watchdog_lane lanes[PROA_LANES_MAX];
};

/* watchdog_look takes one look at one lane.  True: *ret is an event. */
bool watchdog_look(struct watchdog *self, unsigned lane,
                   const struct watchdog_sight *sight, proa_ns now,
                   struct proa_event *ret);

#endif
