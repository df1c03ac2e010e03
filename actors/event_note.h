/* SPDX-License-Identifier: Apache-2.0 */
/* event_note.h - what a lane notes for people: events, dead letters, log lines.

   Notes go to the control thread through a byte ring of their own, beside `up`: a flood of
   refusals or log lines must not stand in the way of datagrams and pings.  A full ring drops the
   note and counts it.  Events come back down as records of `down`, once a lane, and are handed
   to the actors of this lane that want them.

   Threads: the lane's; the log level is set by any.
   Units:   counts.  Errors: none. */
#ifndef EVENT_NOTE_H
#define EVENT_NOTE_H

#include <stdatomic.h>

#include <proa/event.h>
#include <proa/log.h>

#include "byte_ring.h"
#include "punt.h"
#include "refusal.h"

struct sched;
struct slot;

struct event_listener {
    uint32_t slot, generation;
};

struct event_notes {
    struct byte_ring *ring; /* borrowed; NULL: notes are only counted */
    uint32_t listener_count;
    struct event_listener listeners[PROA_EVENTS_ACTORS_MAX];
    _Atomic uint32_t level; /* lines above it are not written */
};

void event_notes_init(struct event_notes *notes, struct byte_ring *ring);

/* note_dead_letter counts and notes a run of undelivered tells of a sender of this lane. */
void note_dead_letter(struct sched *s, const struct refusal *r);

#endif
