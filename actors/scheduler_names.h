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

/* ---- watching.c ---- */

bool watching_args_good(enum proa_watch_what what, const char *name, uint32_t *ret_len);
/* watching_start begins a watch for slot: OK; LIMIT; AGAIN (again_kind is set). */
enum proa_outcome watching_start(struct sched *s, struct slot *slot,
                                 enum proa_watch_what what, const char *name,
                                 uint32_t len, struct proa_watching *ret);
bool watching_stop(struct sched *s, const struct slot *slot,
                   struct proa_watching watching);
void watching_end(struct sched *s, struct slot *slot); /* all of an ending actor */
void watching_flush(struct sched *s); /* once a loop, while there is something to do */
proa_ns watching_deadline(const struct sched *s);
/* watching_out says that a NODE_CHANGED has left its mailbox; NULL: the watch has ended. */
struct watching *watching_out(struct sched *s, const struct node *node);
void changed_run(struct proa_actor *self, const struct node *node);

/* ---- multicast.c ---- */

bool multicast_args_good(const char *group, uint32_t type, const void *data, size_t len,
                         uint32_t *ret_group_len);
/* multicast_send tells the members of a group msg, whose `to` says nothing, for slot (NULL: nobody
   is told WRITABLE).  Outcomes of proa_multicast; *ret_members is set. */
enum proa_outcome multicast_send(struct sched *s, struct slot *slot,
                                 const struct proa_msg *msg, const char *group,
                                 uint32_t group_len, uint32_t *ret_members);
/* What came to the service: over a link, for the members of this node; from another lane, for
   those of this lane. */
void multicast_in(struct sched *s, const struct proa_msg *msg);
void multicast_here(struct sched *s, const struct proa_msg *msg);
uint32_t multicasts_poll(struct sched *s); /* once a loop, while any wait in line */
void multicasts_fini(struct sched *s);

/* ---- client_lane_groups.c, and what it takes from client_lane.c ---- */

struct client_head;
void client_watch(struct sched *s, struct slot *slot, const struct proa_msg *msg);
void client_unwatch(struct sched *s, struct slot *slot, const struct proa_msg *msg);
void client_multicast(struct sched *s, struct slot *slot, const struct proa_msg *msg);
/* client_changed moves a NODE_CHANGED into the client's ring; false: that is full. */
bool client_changed(struct sched *s, struct slot *slot, const struct node *node);
void client_record(struct sched *s, struct slot *slot, uint32_t record,
                   const struct client_head *head, const void *data);
bool client_tell_out(struct sched *s, struct proa_client *client, uint32_t record,
                     const struct client_head *head, const void *data);

#endif
