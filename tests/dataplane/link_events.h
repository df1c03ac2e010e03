/* SPDX-License-Identifier: Apache-2.0 */
/* link_events.h - what is under way on a deterministic network, by the time of its arrival; of one
   time, in the order in which it was sent.

   Threads: one.  Units: ns.  Errors: none, a full heap ends the program. */
#ifndef LINK_EVENTS_H
#define LINK_EVENTS_H

#include <proa/types.h>

#define LINK_EVENTS_MAX 65536

enum event_kind { EVENT_PACKET, EVENT_PING, EVENT_PONG };

struct event {
    proa_ns at;
    uint64_t serial;
    enum event_kind kind;
    uint32_t pair, side; /* where it arrives */
    uint32_t flags;
    uint16_t len;
    uint8_t *bytes;
};

/* A heap. */
struct link_events {
    struct event *heap;
    uint32_t count;
    uint64_t serial;
};

void link_events_init(struct link_events *events); /* the heap is freed by free */
void link_events_push(struct link_events *events, struct event event); /* sets serial */
struct event link_events_pop(struct link_events *events);              /* count > 0 */

#endif
