/* SPDX-License-Identifier: Apache-2.0 */
/* scheduler_internal.h - the scheduler's insides, shared by the files that make it up.

     scheduler.c  making, ending, the loop's steps       run.c        turns, handlers, answers
     send.c       tell, ask, forward, bulk               reply.c      replies and their tokens
     deliver.c    what comes from links and lanes        cross.c      what goes to other lanes
     refuse.c     outcomes told to senders               again.c      AGAIN and WRITABLE
     spawn.c      beginnings                             stop.c       ends
     names.c      the registry's calls                   client_lane.c  ordinary threads
     forward.c    who has a forwarded ask                remote_spawn.c  spawning for other nodes
     finder.c     proa_lookup_or_spawn                groups.c     groups
     watching.c   watches of names and groups         multicast.c  telling a group

   Threads: one lane.  Errors: as scheduler.h. */
#ifndef SCHEDULER_INTERNAL_H
#define SCHEDULER_INTERNAL_H

#include <string.h>

#include "actor_timer.h"
#include "ask.h"
#include "behaviour.h"
#include "bulk.h"
#include "directory_group.h"
#include "family.h"
#include "joins.h"
#include "mailbox.h"
#include "monitor.h"
#include "multicast.h"
#include "payload.h"
#include "ref_set.h"
#include "reply_token.h"
#include "scheduler.h"
#include "slab.h"
#include "slot.h"
#include "timer_wheel.h"
#include "watching.h"

/* The largest payload in a slab node; longer ones are bulk. */
#define NODE_PAYLOAD_MAX (SLAB_BLOCK_MAX - NODE_HEAD)

/* Types of the scheduler's own nodes (PROA_MSG_SYSTEM), in the system class of mailboxes. */
#define NODE_STOP (PROA_TYPE_SYSTEM + 0)
#define NODE_WRITABLE (PROA_TYPE_SYSTEM + 1) /* from: whom it is about */
#define NODE_UNDELIVERED                                                                 \
    (PROA_TYPE_SYSTEM + 2)                    /* from: the receiver; correlation: count;
                                                   deadline: type | reason << 32 */
#define NODE_NAME_LOST (PROA_TYPE_SYSTEM + 3) /* payload: the name, with its NUL */
#define NODE_DOWN (PROA_TYPE_SYSTEM + 4)      /* watch.c */

#define NODE_EVENT (PROA_TYPE_SYSTEM + 64)   /* payload: struct proa_event */
#define NODE_CHANGED (PROA_TYPE_SYSTEM + 65) /* payload: struct changed (watching.h) */

/* What embeds a timer_entry (timer_entry.kind). */
enum timer_kind { TIMER_ASK, TIMER_TOKEN, TIMER_ACTOR };

/* What an AGAIN was about (slot.wait_mask). */
enum wait_kind {
    WAIT_SLAB = 1,     /* the messages of this lane */
    WAIT_LANE = 2,     /* key: the lane whose pair ring is full */
    WAIT_NODE = 4,     /* key: of the node whose link is full */
    WAIT_REF = 8,      /* key: of the reference whose mailbox is full */
    WAIT_UP = 16,      /* the ring to the control thread */
    WAIT_BULK = 32,    /* the bulk buffers of this lane */
    WAIT_OFFLOAD = 64, /* its jobs (offload.h) */
};
#define WAIT_KEY_ANY UINT32_MAX

/* Pair ring items of our own, and the bodies of those of pair_ring.h. */
struct spawn_item {
    const struct proa_behaviour *behaviour;
    uint32_t slot, generation; /* who wants to know */
    uint32_t correlation;      /* 0: nobody */
    uint32_t arg_len;
    alignas(8) uint8_t arg[64];
};

struct spawned_item {
    uint32_t slot, generation, correlation;
    enum proa_outcome outcome;
    struct proa_ref ref;
};

enum {
    PAIR_UNBLOCK = PAIR_SCHED_FREE, /* body: the node whose references are free again */
    PAIR_FORWARDED,                 /* body: struct forwarded */
    PAIR_WATCH,                     /* body: struct watch */
    PAIR_OFFLOADED,                 /* ptr: struct offload_job; in inboxes only */
};

_Static_assert(sizeof(struct spawn_item) <= PAIR_BODY_MAX, "fits an item");

/* A privileged item that found its ring full, until the next loop. */
struct waiting_item {
    struct waiting_item *next;
    struct pair_item item;
};

/* Everything this lane knows about the way to one other lane. */
struct lane_out {
    struct pair_ring *ring;
    struct doorbell *bell;
    struct waiting_item *first, *last;
    uint32_t refusals;   /* runs of tells among the waiting */
    struct refusal more; /* what exceeded SCHED_REFUSALS_MAX: counted, nobody named */
    uint32_t told;       /* the ring's tail when its bell was last rung */
};

/* One running callback. */
struct proa_actor {
    struct sched *sched;
    struct slot *slot;
    void *state;
    struct proa_ref ref;
    const struct proa_msg *msg; /* the running message; NULL outside message handlers */
    void *bulk;                 /* its bulk buffer, unless it was kept */
    bool answered;              /* msg is no ask, or has had its answer */
    bool ending;                /* in stop: no asks, timers, spawns */
};

#define OWED_MAX                                                                         \
    64 /* (receiver, node) pairs; past it a full ring refuses as busy, with no word after */

/* A node whose messages for an actor of another lane met a full pair ring: it was told "full",
   and is told WRITABLE when the ring has drained by half. */
struct owed_writable {
    struct proa_ref to;
    uint64_t node;
};

struct sched {
    uint64_t node;
    proa_ns now;
    uint32_t lane, lanes;
    uint32_t first_slot; /* this lane's slot 0, as in references */
    uint32_t message_max;
    uint32_t small_max; /* the longest payload that a slab node may hold */
    uint32_t brief_end; /* proa_tell writes a brief node itself below this length;
                                      0: the next message queued is the sample */
    uint32_t cross_end; /* the same into a pair ring; never 0 */
    uint32_t depth;     /* callbacks on the stack */
    _Atomic uint32_t running_type; /* sched_running */
    _Atomic uint64_t running;      /* generation and slot of the callback, or 0 */
    uint32_t ready_first, ready_last;
    struct slot_table slots;
    struct slab slab;   /* messages */
    struct slab states; /* actor states */
    struct ref_set blocked;

    /* The frame of an actor's turn, or of one message in place, of which there is one at a time, and
       the message of its brief nodes: what is the same for all actors is written once. */
    struct {
        struct proa_actor self;
        struct proa_msg msg;
    } turn;

    /* Budgets of this loop. */
    uint32_t in_place_left, in_place_max;
    proa_ns in_place_until; /* by clock; 0: not started */
    uint32_t queued_now;    /* delivered into mailboxes in this loop */
    bool rests;             /* sched_rest */
    bool cross_pressed;     /* a ring to another lane was seen half full in this loop */
    proa_ns in_place_seen;  /* the clock, last looked at */
    uint32_t in_place_step, in_place_next; /* handlers between looks, and to the next */
    proa_ns (*clock)(void);

    /* Counters of the message path, copied into stats at the end of each loop. */
    struct {
        uint64_t delivered, in_place, mailbox, tells, asks, replies, answered, cross_out;
    } hot;

    struct {
        bool armed;        /* the next message queued is the sample */
        bool in_place;     /* so is the next one that runs in place */
        struct node *node; /* the sample, or NULL */
        proa_ns at;        /* it was queued */
        uint64_t next;     /* messages run when the next one is armed */
        uint64_t next_in_place;
    } sample;

    struct bulk_budget bulk;
    struct timer_wheel wheel;
    struct ask_table asks;
    struct reply_token_table tokens;
    struct actor_timer_table timers;
    struct behaviour_set behaviours;
    struct monitor_table monitors;
    struct child *children;  /* one a slot (family.h) */
    _Atomic uint16_t *loads; /* of members, one a slot (sched_loads) */
    struct joins joins;
    struct watching_table watchings;
    struct route_turn route; /* of proa_route */
    struct multicasts multicasts;

    /* AGAIN: why the last one was said, and who waits. */
    uint32_t again_kind, again_key;
    uint32_t waiters;     /* first waiting slot, or SLOT_NONE */
    uint32_t waits;       /* wait kinds in the list */
    uint64_t waits_lanes; /* lanes whose rings are waited for */
    uint32_t owed_count;  /* other nodes' senders that met a full ring */
    struct owed_writable owed[OWED_MAX];
    uint64_t slab_mark, bulk_mark; /* bytes in use when the last AGAIN was said */

    struct refusal run; /* refused tells not yet told; count 0: none */
    uint64_t run_node;  /* whom */

    bool draining;
    uint32_t drain_at; /* next slot to stop */

    struct proa_client *clients_touched; /* whose bell is to be rung */
    struct proa_client *clients_blocked; /* whose ring is full */
    proa_ns clients_retry;

    struct arena *arena;
    const struct proa_behaviour *const *allowed; /* remote_spawn.c */
    uint32_t allowed_count, service_turn;
    struct directory *directory;
    struct byte_ring *up;
    struct doorbell *control;
    bool up_dirty;
    struct event_notes notes;
    struct inbox *inbox;
    struct offload *offload;
    struct sched_below below;
    void (*foreign_item)(void *ctx, uint32_t from_lane, const struct pair_item *item);
    void *foreign_ctx;
    struct pair_ring *in[PROA_LANES_MAX];
    struct lane_out out[PROA_LANES_MAX];

    alignas(PROA_CACHE_LINE) struct sched_stats stats;
};

/* relaxed: the lane is the only writer; readers want a recent value, nothing else. */
#define STAT_ADD(s, field, n)                                                            \
    atomic_store_explicit(                                                               \
        &(s)->stats.field,                                                               \
        atomic_load_explicit(&(s)->stats.field, memory_order_relaxed) + (uint64_t)(n),   \
        memory_order_relaxed)
#define STAT_SET(s, field, n)                                                            \
    atomic_store_explicit(&(s)->stats.field, (uint64_t)(n), memory_order_relaxed)

/* ---- Slots, frames, the ready queue ---- */

static inline struct proa_ref ref_of(const struct sched *s, const struct slot *slot)
{
    struct proa_ref ref = {s->node, slot_id(&s->slots, slot), slot->generation};
    return ref;
}

/* slot_open is the slot of a reference to a starting or living actor of this lane, else NULL: in
   four comparisons, for the path of most messages. */
static inline struct slot *slot_open(const struct sched *s, struct proa_ref to)
{
    uint32_t at = to.slot - s->first_slot;
    struct slot *slot;

    if (__builtin_expect(to.node != s->node || at >= s->slots.max, 0))
        return NULL;
    slot = &s->slots.slots[at];
    /* A free slot's generation may equal that of no reference, but its state tells. */
    if (__builtin_expect(slot->generation != to.generation ||
                             (uint8_t)(slot->state - SLOT_STARTING) > 1,
                         0))
        return NULL;
    return slot;
}

/* Copies as words, since a 16-byte load right after 8-byte stores waits for them (payload.h);
   the barrier keeps the compiler from joining the words. */
static inline void ref_copy(struct proa_ref *to, const struct proa_ref *from)
{
    uint64_t words[2];

    memcpy(&words[0], &from->node, 8);
    __asm__("" : "+r"(words[0]));
    memcpy(&words[1], &from->slot, 8);
    __asm__("" : "+r"(words[1]));
    memcpy(&to->node, &words[0], 8);
    memcpy(&to->slot, &words[1], 8);
}

static inline bool ref_here(const struct sched *s, struct proa_ref ref)
{
    return ref.node == s->node && proa_ref_lane(ref) == s->lane;
}

static inline void ready_push(struct sched *s, struct slot *slot)
{
    uint32_t index = slot_index(&s->slots, slot);

    if ((slot->flags & SLOT_READY) != 0)
        return;
    slot->flags |= SLOT_READY;
    slot->mailbox.owner_next = SLOT_NONE;
    if (s->ready_last == SLOT_NONE)
        s->ready_first = index;
    else
        s->slots.slots[s->ready_last].mailbox.owner_next = index;
    s->ready_last = index;
}

/* ready_next takes the first of the ready queue, which still says SLOT_READY. */
static inline struct slot *ready_next(struct sched *s)
{
    struct slot *slot;

    if (s->ready_first == SLOT_NONE)
        return NULL;
    slot = &s->slots.slots[s->ready_first];
    s->ready_first = slot->mailbox.owner_next;
    if (s->ready_first == SLOT_NONE)
        s->ready_last = SLOT_NONE;
    return slot;
}

static inline void frame_begin(struct proa_actor *self, struct sched *s,
                               struct slot *slot)
{
    uint64_t id;

    self->sched = s;
    self->slot = slot;
    self->state = slot->mem;
    self->ref.node = s->node;
    id = (uint64_t)slot->generation << 32 | slot_id(&s->slots, slot);
    memcpy(&self->ref.slot, &id, sizeof(id)); /* as ref_copy will read it */
    self->msg = NULL;
    self->bulk = NULL;
    self->answered = true;
    self->ending = false;
    slot->flags |= SLOT_RUNNING;
    s->depth++;
    /* relaxed: the watchdog wants to know what has been there for a while. */
    atomic_store_explicit(&s->running, id, memory_order_relaxed);
    atomic_store_explicit(&s->running_type, PROA_EVENT_NO_TYPE, memory_order_relaxed);
}

/* turn_begin_as is frame_begin of a turn, or of one message run in place, of who has this slot and
   generation: the frame is there, and no callback is on the stack. */
static inline struct proa_actor *turn_begin_as(struct sched *s, struct slot *slot,
                                               uint64_t id)
{
    struct proa_actor *self = &s->turn.self;
    void *state = slot->mem;

    __asm__("" : "+r"(state)); /* else slot and state are joined in a vector first */
    self->slot = slot;
    self->state = state;
    memcpy(&self->ref.slot, &id, sizeof(id)); /* as ref_copy will read it */
    memcpy(&s->turn.msg.to.slot, &id, sizeof(id));
    self->msg = NULL;
    slot->flags = (uint8_t)((slot->flags & ~SLOT_READY) | SLOT_RUNNING);
    s->depth = 1;
    /* relaxed: as in frame_begin. */
    atomic_store_explicit(&s->running, id, memory_order_relaxed);
    atomic_store_explicit(&s->running_type, PROA_EVENT_NO_TYPE, memory_order_relaxed);
    return self;
}

static inline struct proa_actor *turn_begin(struct sched *s, struct slot *slot)
{
    return turn_begin_as(s, slot,
                         (uint64_t)slot->generation << 32 | slot_id(&s->slots, slot));
}

void actor_end(struct sched *s, struct slot *slot); /* stop.c */

/* frame_end also ends the actor if it said so, unless it is still starting. */
static inline void frame_end(struct proa_actor *self)
{
    struct slot *slot = self->slot;

    slot->flags &= (uint8_t)~SLOT_RUNNING;
    self->sched->depth--;
    atomic_store_explicit(&self->sched->running, 0, memory_order_relaxed);
    if (__builtin_expect((slot->flags & SLOT_STOP) != 0, 0) && slot->state == SLOT_LIVE)
        actor_end(self->sched, slot);
}

#include "scheduler_nodes.h"

/* ---- metrics.c ---- */

void sample_arm(struct sched *s);
void sample_take(struct sched *s, struct node *node); /* it was queued just now */
/* sample_begin: a node with NODE_SAMPLED is about to run.  NULL: it is not the sample. */
struct metrics *sample_begin(struct proa_actor *self, const struct node *node,
                             proa_ns *ret_at);
void sample_end(struct sched *s, struct metrics *m, proa_ns at);
/* metrics_refused counts a message that slot's actor did not get; FULL: at once. */
void metrics_refused(const struct slot *slot, enum proa_outcome reason);
void metrics_restarted(const struct slot *slot);

/* Of members (member_load.c): the load is what waits in the mailbox; is that and one message more. */
void load_settle(struct sched *s, const struct slot *slot);
void load_add(struct sched *s, const struct slot *slot);

/* Makes room in a full mailbox that drops its oldest; false when it cannot.  To a member, whose
   mailbox always looks full, one message more is coming. */
bool mailbox_make_room(struct sched *s, struct slot *slot, uint32_t cls);

/* enqueue puts a message into the mailbox of a living actor.  OK; FULL; AGAIN (no memory).
   Takes bulk when OK. */
static inline enum proa_outcome enqueue(struct sched *s, struct slot *slot,
                                        const struct proa_msg *msg, void *bulk)
{
    struct node *node;

    if (__builtin_expect(mailbox_full(&slot->mailbox, msg->cls), 0) &&
        !mailbox_make_room(s, slot, msg->cls)) {
        metrics_refused(slot, PROA_FULL);
        return PROA_FULL;
    }
    node = msg_is_brief(s, msg, bulk) ? node_new_brief(s, msg)
                                      : node_new(s, msg, bulk, false);
    if (__builtin_expect(node == NULL, 0)) {
        if ((slot->flags & SLOT_MEMBER) != 0)
            load_settle(s, slot); /* it does not come */
        return PROA_AGAIN;
    }
    mailbox_put(&slot->mailbox, node);
    if (__builtin_expect(s->sample.armed, 0))
        sample_take(s, node);
    ready_push(s, slot);
    return PROA_OK;
}

/* enqueue_reserved is enqueue of what has its room reserved; false: no memory at all. */
bool enqueue_reserved(struct sched *s, struct slot *slot, const struct proa_msg *msg,
                      void *bulk, uint32_t cls);

/* signal_push queues a signal (NODE_) about ref. */
void signal_push(struct sched *s, struct slot *slot, uint32_t type, struct proa_ref about,
                 uint32_t count, uint64_t word, const void *data, uint32_t len);

/* ---- run.c ---- */

/* dispatch runs the handler of one message, or refuses it.  self->bulk: its buffer, or NULL;
   freed, unless the handler kept it. */
void dispatch(struct proa_actor *self, const struct proa_msg *msg);
/* answer_run ends the ask (in state ANSWERED) and runs its continuation.  reply: NULL when there
   is only an outcome. */
void answer_run(struct proa_actor *self, struct ask *ask, enum proa_outcome outcome,
                const struct proa_msg *reply);
uint32_t settled_run(struct sched *s, uint32_t max);
void timer_fired(void *ctx, struct timer_entry *e);

/* ---- send.c ---- */

/* msg_send sends a message of any kind from this lane: to an actor here, another lane, another
   node.  At once: OK, AGAIN (again_kind is set), FULL, NO_SUCH_ACTOR, STOPPED, NO_ROUTE,
   TOO_LARGE.  Takes bulk when OK. */
enum proa_outcome msg_send(struct sched *s, const struct proa_msg *msg, void *bulk);
/* send_failed counts an outcome that is not OK and remembers an AGAIN for slot (may be NULL). */
enum proa_outcome send_failed(struct sched *s, struct slot *slot,
                              enum proa_outcome outcome);
/* ask_send sends an ask for slot; fills in correlation and deadline.  OK: the entry waits. */
enum proa_outcome ask_send(struct sched *s, struct slot *slot, struct proa_msg *msg,
                           struct ask *ask);

/* ---- forward.c ---- */

/* forward_tell_origin tells an asker of this node that its ask, if it is one, has left it. */
void forward_tell_origin(struct sched *s, const struct proa_msg *onward);
void forwarded_here(struct sched *s, const struct forwarded *f); /* asker of this lane */

/* ---- remote_spawn.c ---- */

/* service_in takes a message to a service of this node (spawn_request.h), for any lane;
   service_here one for this lane.  Both take bulk. */
void service_in(struct sched *s, const struct proa_msg *msg, void *bulk);
void service_here(struct sched *s, const struct proa_msg *msg, void *bulk);
/* spawn_answered ends an ASK_SPAWN_AT; reply is NULL when there is only an outcome. */
void spawn_answered(struct proa_actor *self, struct ask *ask, enum proa_outcome outcome,
                    const struct proa_msg *reply);

/* ---- reply.c ---- */

/* reply_send sends a reply.  TOO_LARGE: nothing happened; else it is on its way or lost. */
enum proa_outcome reply_send(struct sched *s, const struct proa_msg *reply);
/* answer_in takes a reply that came to an actor of this lane.  Takes bulk. */
void answer_in(struct sched *s, const struct proa_msg *reply, void *bulk,
               bool in_place_ok);
void tokens_end(struct sched *s, struct slot *slot); /* MAYBE_EXECUTED to their askers */

/* ---- deliver.c ---- */

void deliver_here(struct sched *s, const struct proa_msg *msg, void *bulk,
                  bool in_place_ok);
/* Is the ring to a lane half full?  False for lanes there are not. */
bool cross_is_half_full(struct sched *s, uint32_t lane);
bool in_place_may(struct sched *s, const struct slot *slot);
/* deliver_tells runs in place the small tells that are next in a ring, at most max, and steps past
   them.  How many: the one after them is something else, or cannot run now. */
uint32_t deliver_tells(struct sched *s, struct pair_ring *ring, uint32_t max);

/* ---- cross.c ---- */

enum proa_outcome cross_send(struct sched *s, uint32_t lane, const struct proa_msg *msg,
                             void *bulk, bool privileged);
/* cross_body sends an item that is no message.  False: AGAIN, never for privileged ones. */
bool cross_body(struct sched *s, uint32_t lane, uint32_t kind, const void *body,
                size_t len, bool privileged);
void cross_refusal(struct sched *s, uint32_t lane, const struct refusal *refusal);
bool cross_called(struct sched *s);
uint32_t cross_poll(struct sched *s);
void cross_flush(struct sched *s);
void cross_fini(struct sched *s);
bool cross_waiting(const struct sched *s);

/* ---- refuse.c ---- */

/* refuse_msg tells the sender of msg, wherever it is, that msg did not run (or NO_REPLY,
   MAYBE_EXECUTED), and counts it. */
void refuse_msg(struct sched *s, const struct proa_msg *msg, enum proa_outcome reason);
/* refuse_many is the same for a tell that was for so many actors. */
void refuse_many(struct sched *s, const struct proa_msg *msg, enum proa_outcome reason,
                 uint32_t count);
void refuse_here(struct sched *s,
                 const struct refusal *refusal); /* to a sender of this lane */
void refuse_flush(struct sched *s);
/* full_remember notes that origin is to hear when slot's mailbox has drained; false: no room, so
   that FULL must not be said. */
bool full_remember(struct sched *s, struct slot *slot, struct proa_ref origin);
void full_tell(struct sched *s, struct slot *slot);  /* it has */
void full_check(struct sched *s, struct slot *slot); /* has it? */

/* ---- again.c ---- */

void again_note(struct sched *s, struct slot *slot);
void again_forget(struct sched *s, struct slot *slot);
void again_wake(struct sched *s, uint32_t kind, uint32_t key, struct proa_ref about);
void again_check(struct sched *s); /* end of the loop: what has drained? */
/* Remembers that node is owed a WRITABLE for `to`, of another lane.  False: no room. */
bool again_owe(struct sched *s, struct proa_ref to, uint64_t node);
void writable_item(struct sched *s, const struct proa_ref *to);
void unblock_item(struct sched *s, const uint64_t *node);
uint32_t again_key(uint64_t node);
uint32_t again_ref_key(struct proa_ref ref);

/* ---- client_lane.c ---- */

uint32_t client_turn(struct sched *s, struct slot *slot, uint32_t max);
/* client_answer hands an answer to an ordinary thread: now, or by the slot's mailbox. */
void client_answer(struct sched *s, struct slot *slot, uint32_t id, uint32_t record,
                   enum proa_outcome outcome, const struct proa_msg *reply);
void client_named(struct sched *s, struct slot *slot, uint32_t id,
                  enum proa_outcome outcome, struct proa_ref ref);
void client_spawned(struct sched *s, struct slot *slot, uint32_t id,
                    enum proa_outcome outcome, struct proa_ref ref);
void client_gone(struct sched *s,
                 struct slot *slot); /* ends it; the client may free itself */
void client_command(struct sched *s, const struct proa_msg *msg);
void client_msg(struct sched *s, const struct proa_msg *msg);
uint32_t inbox_poll(struct sched *s);
void clients_begin(struct sched *s);
void clients_flush(struct sched *s);

#include "scheduler_life.h"
#include "scheduler_names.h"

#endif
