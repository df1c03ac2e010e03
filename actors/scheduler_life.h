/* SPDX-License-Identifier: Apache-2.0 */
/* scheduler_life.h - the scheduler from inside: how actors begin and end, and who is told.

   Part of scheduler_internal.h, which includes it; not to be included alone.

   Threads: one lane.  Units: none.  Errors: as each function says. */
#ifndef SCHEDULER_LIFE_H
#define SCHEDULER_LIFE_H

/* ---- spawn.c, stop.c ---- */

enum proa_outcome spawn_here(struct sched *s, const struct proa_behaviour *behaviour,
                             const void *arg, size_t arg_len, bool named,
                             struct proa_ref *ret_ref);
/* spawn_slot is spawn_here that gives the slot; it may have said already that it stops. */
enum proa_outcome spawn_slot(struct sched *s, const struct proa_behaviour *behaviour,
                             const void *arg, size_t arg_len, bool named,
                             struct slot **ret);
/* spawn_held is spawn_slot of a named actor that, though its start has run, stays "starting": what
   is sent to it waits.  hold_end ends that, in a frame of the actor or before actor_end. */
enum proa_outcome spawn_held(struct sched *s, const struct proa_behaviour *behaviour,
                             const void *arg, size_t arg_len, struct slot **ret);
void hold_end(struct sched *s, struct slot *slot);
/* actor_start runs a new life's start; false when it failed: reason and code are set. */
bool actor_start(struct sched *s, struct slot *slot, const void *arg, size_t arg_len);
void spawn_item(struct sched *s, uint32_t from_lane, const struct spawn_item *item);
void spawned_item(struct sched *s, const struct spawned_item *item);
/* actor_drain refuses up to max queued messages of an ending actor; frees its slot when none is
   left.  Returns how many. */
uint32_t actor_drain(struct sched *s, struct slot *slot, uint32_t max);
void actor_free(struct sched *s, struct slot *slot);
/* actor_finish is the last of an ending actor: names, watchers, slot; later if it must wait. */
void actor_finish(struct sched *s, struct slot *slot);
enum proa_outcome stop_request(struct sched *s, struct proa_ref to, bool privileged);
void waits_end(struct sched *s, struct slot *slot); /* nobody is told */
void drain_some(struct sched *s);
void *state_alloc(struct sched *s, size_t size);
void state_free(struct sched *s, void *mem, size_t size);

/* ---- member_load.c ---- */

/* slot_member keeps slot's load (sched_loads) from here to its end, over its restarts. */
void slot_member(struct sched *s, struct slot *slot);
void load_ending(struct sched *s, const struct slot *slot); /* so that nobody picks it */

/* ---- watch.c ---- */

void watch_here(struct sched *s, const struct watch *w); /* for an actor of this lane */
uint32_t watches_flush(struct sched *s);                 /* once a loop */
/* The end of an actor: watched_end tells its watchers (now: its next generation, or 0),
   watches_end gives up its own monitors.  Both before its slot is released or renewed. */
void watched_end(struct sched *s, struct slot *slot, enum proa_reason reason,
                 int32_t code, uint32_t now);
void watches_end(struct sched *s, struct slot *slot);
/* down_push tells slot's actor of the end of `about` without a monitor. */
void down_push(struct sched *s, struct slot *slot, struct proa_ref about,
               enum proa_reason reason, int32_t code);
bool down_run(struct proa_actor *self, const struct node *node,
              struct proa_signal *signal);

#endif
