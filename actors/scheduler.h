/* SPDX-License-Identifier: Apache-2.0 */
/* scheduler.h - the actor half of a lane: slots, mailboxes, ready queue, timers, asks.

   A scheduler owns the actors of one lane.  It is fed from below with messages that came over
   links (sched_deliver), drains the rings from other lanes and ordinary threads, runs ready
   actors within a budget, and hands messages for other nodes down through struct sched_below.

   Threads: all on the lane's thread, except where noted.
   Units:   proa_ns, bytes.  Errors: enum proa_outcome.
   Memory:  the lane's arena; nothing is allocated per message once warm. */
#ifndef SCHEDULER_H
#define SCHEDULER_H

#include <proa/actor.h>

#include "arena.h"
#include "byte_ring.h"
#include "directory.h"
#include "doorbell.h"
#include "event_note.h"
#include "forward.h"
#include "inbox.h"
#include "metrics.h"
#include "offload.h"
#include "pair_ring.h"
#include "punt.h"
#include "refusal.h"
#include "watch.h"

struct sched;

/* What a scheduler needs from the layers below it.  Called on the lane's thread. */
struct sched_below {
    void *ctx;
    /* Sends msg to msg->to.node, another node: tells, asks, replies.  data is borrowed.
       OK, AGAIN (sched_writable_node follows), NO_ROUTE, TOO_LARGE.  A reply never gets AGAIN.
       msg->from.node may be a third node's (a forwarded message). */
    enum proa_outcome (*send)(void *ctx, const struct proa_msg *msg);
    /* The same without a copy: takes buf (bulk.h; it has left this lane's budget) when OK, to be
       freed once sent.  NULL: send is used, and copies. */
    /* Tells another node about a monitor.  AGAIN: there is no room for it now. */
    enum proa_outcome (*monitor)(void *ctx, uint64_t node, const struct watch *watch);
    enum proa_outcome (*send_bulk)(void *ctx, const struct proa_msg *msg, void *buf);
    /* Tells another node that messages of its actor were refused here. Never fails. */
    void (*refuse)(void *ctx, uint64_t node, const struct refusal *refusal);
    /* Tells another node that the mailbox of `to`, once full for it, has drained by half. */
    void (*writable)(void *ctx, uint64_t node, struct proa_ref to);
    /* Stops an actor of another node. OK, AGAIN, NO_ROUTE. */
    enum proa_outcome (*stop)(void *ctx, struct proa_ref to);
    /* Largest message; 0 = 1 MiB. */
    uint32_t message_max;
    /* An ask of this lane was forwarded to an actor of node: sched_link_dead(node) is to follow
       when its link ends or none is to be had.  False: it is known to be dead. NULL: never. */
    bool (*follow)(void *ctx, uint64_t node);
};

/* Bounds of one loop (actors.md: mailboxes, order, budget). */
#define SCHED_IN_PLACE_MAX 64u           /* handlers run in place */
#define SCHED_IN_PLACE_NS (20 * PROA_US) /* and the time they may take together */
#define SCHED_RUN_MAX 2048u              /* messages run from mailboxes */
#define SCHED_RUN_NS (100 * PROA_US)
#define SCHED_TURN_MAX 64u   /* of these, of one actor before the next one's turn */
#define SCHED_TIMERS_MAX 64u /* expiries and cascades */
#define SCHED_TIMERS_NS (20 * PROA_US)
#define SCHED_POLL_MAX 256u /* items taken from each pair ring */
#define SCHED_INBOX_MAX 64u /* items taken from the inbox */

/* Bounds of a lane. */
#define SCHED_SLAB_DEFAULT (256u << 20) /* bytes of messages waiting */
#define SCHED_BULK_DEFAULT (64u << 20)  /* bytes of bulk buffers */
#define SCHED_REFUSALS_MAX 1024u /* runs of refused tells waiting for one pair ring */
#define SCHED_SPAWN_DEPTH 32u    /* starts that spawn, nested */

struct sched_config {
    uint64_t node; /* this node */
    uint32_t lane, lanes;
    uint32_t actors_max;   /* slots, power of two <= 2^24 */
    uint32_t asks_max;     /* asks in flight, power of two <= 2^20; 0 = 65,536 */
    uint32_t timers_max;   /* 0 = 65,536 */
    uint32_t in_place_max; /* 0 = SCHED_IN_PLACE_MAX; UINT32_MAX: only the time counts */
    uint64_t slab_limit;   /* bytes, 0 = SCHED_SLAB_DEFAULT */
    uint64_t bulk_limit;   /* bytes, 0 = SCHED_BULK_DEFAULT */
    uint64_t seed;         /* generations and correlations start from it */
    proa_ns now;           /* the lane's time at the start */
    struct sched_below below;
    const struct proa_behaviour *const
        *allowed; /* what others may spawn here; borrowed */
    uint32_t allowed_count;
    struct directory *directory; /* may be NULL: proa_lookup then says UNKNOWN */
    int reader;                  /* its reader number, which the lane keeps online */
    struct byte_ring *up;     /* to the control thread (punt.h); borrowed; NULL: none */
    struct byte_ring *notes;  /* the same for notes (event_note.h) */
    struct doorbell *control; /* rung after pushing to up; may be NULL */
    struct pair_ring *out[PROA_LANES_MAX]; /* to lane j; [lane] is NULL */
    struct pair_ring *in[PROA_LANES_MAX];
    struct doorbell *bells[PROA_LANES_MAX]; /* each lane's; may be NULL */
    struct inbox *inbox;                    /* from ordinary threads; may be NULL */
    struct offload *offload; /* the node's; NULL: proa_offload is refused */
    struct arena *arena;
    /* A monotonic clock for the time budgets; NULL: only counts (virtual time). */
    proa_ns (*clock)(void);
    /* Lane cross traffic that is not actors' (misdirected packets, link markers). */
    void (*foreign_item)(void *ctx, uint32_t from_lane, const struct pair_item *item);
    void *foreign_ctx;
};

/* NULL without memory. */
struct sched *sched_create(const struct sched_config *config);
/* sched_destroy stops all actors with KILLED first.  The lane runs no more, nor do the lanes its
   rings lead to; arenas of other lanes still stand (bulk buffers may be theirs). */
void sched_destroy(struct sched *s);

/* sched_deliver takes a message that came over a link (also replies); data is borrowed during
   the call.  Runs the actor in place when it may, queues, hands to another lane, or refuses by
   below.refuse.  in_place_ok false forces a mailbox (something of that sender is pending). */
void sched_deliver(struct sched *s, const struct proa_msg *msg, bool in_place_ok);
/* sched_expect fetches what messages for these slots will touch, all at once: to 100,000 actors
   each message is otherwise two cache misses, one behind the other.  Any numbers will do. */
void sched_expect(struct sched *s, const uint32_t *slots, uint32_t count);
/* A complete bulk message: takes buf, from bulk_alloc (bulk.h), which has left the budget that
   counted it (bulk_leave).  msg->data points into it. */
void sched_deliver_bulk(struct sched *s, const struct proa_msg *msg, void *buf);
/* True when what is delivered now had better wait for the next loop: the budget of handlers in
   place is spent, many messages were queued in this loop, or a ring to another lane is half
   full.  So a burst meets mailboxes and rings that were emptied in between, if they are emptied
   at all. */
bool sched_pressed(const struct sched *s);

void sched_begin(struct sched *s, proa_ns now); /* a loop starts: time, budgets */
bool sched_called(struct sched *s);             /* sched_poll would find something */
uint32_t sched_poll(struct sched *s);           /* pair rings and inbox; items taken */
uint32_t sched_run(struct sched *s);            /* ready actors; handlers run */
/* What is ready waits for the next loop, but for the handler that runs: enough is there to be sent. */
void sched_rest(struct sched *s);
uint32_t sched_timers(struct sched *s);  /* expiries, ask deadlines */
void sched_flush(struct sched *s);       /* publishes rings, rings bells */
void sched_flush_first(struct sched *s); /* the same but for counters: they can wait */
/* For who has no control bell in its config: was there something for the control thread since the
   last call? */
bool sched_put_up(struct sched *s);
/* The next moment work is due; 0 when there is work now; PROA_NS_NEVER when idle.  What lies
   unread in rings and the inbox is not looked at: poll once more after arming the doorbell. */
proa_ns sched_deadline(const struct sched *s);

/* ---- From the layers below, outside of any handler ---- */
void sched_refused(struct sched *s, const struct refusal *refusal); /* any lane's actor */
/* FORWARDED: an ask of an asker of this node, of any lane, has another holder. */
void sched_forwarded(struct sched *s, const struct forwarded *f);
void sched_writable_node(struct sched *s,
                         uint64_t node); /* link drained: wake who waits */
void sched_writable_ref(struct sched *s, struct proa_ref to); /* remote mailbox drained */
void sched_writable_refs(struct sched *s,
                         uint64_t node); /* all of that node's may have */
void sched_stop_actor(struct sched *s,
                      struct proa_ref to); /* remote or local stop request */
/* A monitor's message came by a link, for any lane's actor; or one that left this lane was lost
   with its link. */
void sched_watch(struct sched *s, const struct watch *watch);
void sched_watch_lost(struct sched *s, const struct watch *watch);
/* This lane's way to node has ended, and all that had come from it by any lane was delivered:
   those who watch actors there get NODE_LOST.  sched_link_ended: actors of this lane are no
   longer watched by what that link (of any lane) had brought. */
void sched_node_lost(struct sched *s, uint64_t node);
void sched_link_ended(struct sched *s, uint64_t link);
/* sched_waits_for tells whether an actor of this lane waits for something of node: an answer, or
   the end of an actor there.  It may say so of one node in a thousand for another's sake, which
   costs that link a ping. */
bool sched_waits_for(const struct sched *s, uint64_t node);
/* The link of this lane to node died: asks answered over it are MAYBE_EXECUTED now. */
void sched_link_dead(struct sched *s, uint64_t node);
/* PUNT_NAME_ANSWER.  It must come on the lane whose `up` ring the PUNT_NAME came by, whatever
   lane its slot names. */
void sched_name_answer(struct sched *s, const struct punt_answer *answer,
                       const char *name, size_t len);
void sched_name_lost(struct sched *s, const struct punt_actor *actor, const char *name,
                     size_t len);
/* PUNT_CHANGED: a change for a watch of this lane (watching.h). */
void sched_changed(struct sched *s, const struct punt_changed *changed, const char *name,
                   size_t len);
/* The node leaves: stop all actors (a few hundred each loop), refuse new work. */
void sched_drain(struct sched *s);

/* sched_event notes an event of this lane (ACTOR_FAILED, RESTART_LIMIT) for the whole node.
   Dropped, and counted, when the ring is full. */
void sched_event(struct sched *s, const struct punt_event *event);
/* PUNT_EVENT_TOLD: hands a node's event to the actors of this lane that want events. */
void sched_event_told(struct sched *s, const struct proa_event *event);
/* sched_log_level says which lines proa_log writes.  Any thread. */
void sched_log_level(struct sched *s, enum proa_log_level level);

/* sched_spawn makes an actor from outside any actor (node start, test kit). Lane's thread. */
enum proa_outcome sched_spawn(struct sched *s, const struct proa_behaviour *behaviour,
                              const void *arg, size_t arg_len, struct proa_ref *ret_ref);

/* sched_call runs fn once as a callback of a living actor of this lane, outside of any handler
   (node start, test kit).  False when the actor's life is over, or it is starting or ending. */
bool sched_call(struct sched *s, struct proa_ref ref,
                void (*fn)(struct proa_actor *self, void *ctx), void *ctx);

/* What the lane runs just now.  Any thread. */
struct sched_running {
    struct proa_ref actor; /* none: nothing of any actor */
    uint32_t type;         /* of its message; PROA_EVENT_NO_TYPE: in no message handler */
};
void sched_running(const struct sched *s, struct sched_running *ret);

/* sched_metrics calls fn for each behaviour that this lane has met.  Any thread, while the
   scheduler stands. */
void sched_metrics(const struct sched *s,
                   void (*fn)(void *ctx, const char *type_name, const struct metrics *m),
                   void *ctx);

/* Counters: written by the lane, read relaxed by telemetry. */
struct sched_stats {
    /* How many there are now. */
    _Atomic uint64_t actors, clients, asks_waiting, tokens_held, timers_running;
    _Atomic uint64_t slab_used, bulk_used; /* bytes */
    _Atomic uint64_t refs_blocked;  /* references whose mailbox is full over there */
    _Atomic uint64_t slots_retired; /* all generations used */
    /* How many there were. */
    _Atomic uint64_t spawned, stopped, spawn_failed;
    _Atomic uint64_t delivered; /* messages from links, for any lane */
    _Atomic uint64_t in_place;  /* messages run without a queue */
    _Atomic uint64_t mailbox;   /* messages run from mailboxes, answers and signals too */
    _Atomic uint64_t cross_in, cross_out,
        inbox;                             /* items of pair rings and of the inbox */
    _Atomic uint64_t tells, asks, replies; /* accepted from actors and clients here */
    _Atomic uint64_t forwarded;            /* asks and tells forwarded from here */
    _Atomic uint64_t forwards_heard;       /* asks from here that got another holder */
    _Atomic uint64_t jobs;           /* offloaded ones of this lane, under way now */
    _Atomic uint64_t jobs_accepted;  /* by proa_offload */
    _Atomic uint64_t jobs_abandoned; /* of these, whose actor stopped before their end */
    _Atomic uint64_t timers;         /* timers fired */
    _Atomic uint64_t answered;       /* asks from here that got a reply */
    _Atomic uint64_t expired;        /* asks from here that reached their deadline */
    _Atomic uint64_t link_lost;      /* asks from here ended by a dead link */
    _Atomic uint64_t abandoned;      /* asks from here whose asker stopped */
    _Atomic uint64_t
        refused[PROA_OUTCOME_COUNT]; /* by outcome: at once to callers here, and
                                                     to senders anywhere by this lane */
    _Atomic uint64_t again;          /* AGAIN to callers here */
    _Atomic uint64_t undelivered;    /* tells from here refused later */
    _Atomic uint64_t
        undelivered_nobody; /* of these, whose sender had stopped or was none */
    _Atomic uint64_t
        refusals_merged; /* tells refused here whose sender was not named, since
                                         too many refusals waited */
    _Atomic uint64_t dead_letters[PROA_OUTCOME_COUNT]; /* undelivered, by outcome */
    _Atomic uint64_t log_lines;                        /* written by proa_log */
    /* Notes that found no room. */
    _Atomic uint64_t dead_letters_untold, events_lost, log_dropped;
    /* Dropped, with nobody left to tell. */
    _Atomic uint64_t late_replies; /* answers whose ask was over */
    _Atomic uint64_t
        forwards_late; /* news of holders: the ask was over, or had moved on */
    _Atomic uint64_t replies_lost; /* replies from here that had no route, or no memory */
    _Atomic uint64_t tokens_expired;  /* reply tokens whose ask's deadline passed */
    _Atomic uint64_t signals_dropped; /* for actors that had stopped, or no memory */
    _Atomic uint64_t names_late;      /* name answers whose call was over */
    _Atomic uint64_t monitors;        /* ends of monitors in use */
    _Atomic uint64_t watches; /* of names and groups, ended ones not yet told too */
    _Atomic uint64_t multicast_told;   /* members told for other lanes and nodes */
    _Atomic uint64_t multicast_nobody; /* multicasts that came and were for nobody here */
    _Atomic uint64_t changes_late;     /* changes whose watch had ended */
    _Atomic uint64_t changes_merged;   /* changes not told one by one: a SET has them */
    _Atomic uint64_t restarts;         /* of supervised actors */
    _Atomic uint64_t restart_limits;   /* supervisors that failed because of too many */
    _Atomic uint64_t downs_late;       /* DOWNs whose monitor was spent */
    _Atomic uint64_t stops_stale;      /* stop requests whose actor was gone */
    _Atomic uint64_t up_full;   /* records that waited for the control thread's ring */
    _Atomic uint64_t malformed; /* messages and items that no scheduler sends */
    _Atomic uint64_t client_dropped; /* records for clients, for want of memory */
};
const struct sched_stats *sched_stats(const struct sched *s);

/* The loads of this lane's actors that are members of groups, one word a slot index: messages in the
   mailbox, the one included that a handler runs from it.  Good until sched_destroy; any thread may
   read. */
_Atomic uint16_t *sched_loads(const struct sched *s, uint32_t *ret_slots);

/* The type id of a behaviour, as in records: first 4 bytes, big-endian, of BLAKE2b-256 of its
   type name; 0 only for NULL. */
uint32_t sched_type_id(const char *type_name);

#endif
