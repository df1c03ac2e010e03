/* SPDX-License-Identifier: Apache-2.0 */
/* events.h - the hub: a ring of the node's last events, and everybody who reads it.

   Whoever sees something happen calls events_add, at any depth of the core's work.  At the end
   of the step events_flush tells them on: to the user's function and to the lanes on which actors
   want them.  Each reader has a place of its own in the ring; one that falls behind gets LOST with
   the number it missed.  Dead letters and log lines go to their functions as they come up.

   Threads: the control thread's.
   Units:   proa_ns; numbers count events from 1.
   Errors:  false without memory.
   Bound:   PROA_EVENTS_KEPT events. */
#ifndef EVENTS_H
#define EVENTS_H

#include <proa/event.h>
#include <proa/log.h>

#include "events_drops.h"

struct byte_record;
struct core;
struct peer;
struct peer_link;
struct punt_link;

struct events {
    struct proa_event *ring;            /* PROA_EVENTS_KEPT, by number */
    uint64_t next;                      /* number of the next one */
    uint64_t told;                      /* next one for fn */
    uint64_t lane_told[PROA_LANES_MAX]; /* and for each lane; 0: it wants none */
    proa_on_event fn;
    void *ctx;
    proa_on_dead_letter letter_fn;
    void *letter_ctx;
    proa_on_log log_fn;
    void *log_ctx;
    struct events_drops drops;
};

bool events_init(struct core *core);
void events_fini(struct core *core);

/* events_add takes event, and gives it number and time. */
void events_add(struct core *core, const struct proa_event *event);

/* events_read copies up to max events from number *next on (0: from the oldest kept), and moves
   *next behind them.  What is not kept any more is one LOST.  Returns how many. */
unsigned events_read(const struct core *core, uint64_t *next, struct proa_event *ret,
                     unsigned max);

/* events_note takes one record of a lane's ring of notes. */
void events_note(struct core *core, unsigned lane, const struct byte_record *record);
/* events_wanted: PUNT_EVENTS_WANTED of a lane. */
void events_wanted(struct core *core, unsigned lane, bool on);

/* events_tick looks for drops; events_flush tells what was added.  Both once a step. */
void events_tick(struct core *core);
void events_flush(struct core *core);
proa_ns events_deadline(const struct core *core);

/* What the core sees happen. */
void events_peer(struct core *core, enum proa_event_kind kind, const struct peer *peer,
                 const char *why);
void events_link_up(struct core *core, const struct peer_link *link);
void events_link_ended(struct core *core, const struct peer_link *link,
                       const struct punt_link *report);
void events_name_lost(struct core *core, struct proa_ref actor, uint64_t node,
                      const char *name, size_t len);
/* events_put_text gives event its text, cut to what fits. */
void events_put_text(struct proa_event *event, const char *text, size_t len);

#endif
