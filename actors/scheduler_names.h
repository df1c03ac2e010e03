/* SPDX-License-Identifier: Apache-2.0 */
/* scheduler_names.h - the scheduler from inside: names and groups.

   Part of scheduler_internal.h, which includes it; not to be included alone.

   Threads: one lane.  Units: proa_ns.  Errors: enum proa_outcome. */
#ifndef SCHEDULER_NAMES_H
#define SCHEDULER_NAMES_H

/* ---- names.c ---- */

/* name_call sends a registry call up for slot and waits for its answer.  OK; AGAIN; LIMIT. */
enum proa_outcome name_call(struct sched *s, struct slot *slot, enum ask_kind kind,
                            const struct punt_name *call, const char *name,
                            struct ask **ret_ask);

/* name_wait waits without sending anything up; name_unwait undoes it; name_settle ends it, if it
   is not over, with an answer that its caller gets in this loop or the next. */
enum proa_outcome name_wait(struct sched *s, struct slot *slot, enum ask_kind kind,
                            const struct punt_name *call, const char *name,
                            struct ask **ret_ask);
void name_unwait(struct sched *s, struct slot *slot, struct ask *ask);
void name_settle(struct sched *s, uint32_t correlation,
                 const struct proa_name_answer *answer);

bool up_push(struct sched *s, uint16_t kind, const void *body, uint32_t body_len,
             const void *tail, uint32_t tail_len);
/* The same into the ring of notes (event.c). */
bool note_push(struct sched *s, uint16_t kind, const void *body, uint32_t body_len,
               const void *tail, uint32_t tail_len);
void name_settled(struct proa_actor *self, struct ask *ask, enum proa_outcome outcome);
enum proa_outcome name_timeout(uint32_t op);

/* name_valid: 1..PROA_NAME_MAX bytes; *ret_len is set in all cases. */
bool name_valid(const char *name, uint32_t *ret_len);

/* ---- groups.c ---- */

/* group_ok: may actors join and leave it by themselves?  *ret_len is set in all cases. */
bool group_ok(const char *group, uint32_t *ret_len);

/* joins_start makes an actor whose behaviour is published a member of its type's group: now, or as
   soon as the ring to the control thread has room, unless its life ends before. */
void joins_start(struct sched *s, struct slot *slot);
void joins_flush(struct sched *s); /* once a loop, while any wait */

#endif
