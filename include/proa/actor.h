/* SPDX-License-Identifier: Apache-2.0 */
/* actor.h - behaviours, and everything an actor may do inside its handlers.

   An actor is a behaviour with state, living in one slot of one lane for all its life.  Its
   handlers run to completion on that lane's thread, never two at a time, and must not block:
   a handler that sleeps stops the lane.  The calls are the same whether the other actor is
   on this lane, another lane or another node.

   Threads: every function here may be called only on the lane of `self`, inside one of its
            callbacks (start, stop, signal, handlers, thens, timers).  Ordinary threads use
            client.h.
   Units:   time is proa_ns; lengths are bytes.
   Errors:  enum proa_outcome (outcomes.h), each listed at its function.
   Order:   messages between one sender and one receiver arrive in the order sent, per class;
            a refused message leaves a gap. */
#ifndef PROA_ACTOR_H
#define PROA_ACTOR_H

#include <proa/outcomes.h>
#include <proa/types.h>

#ifdef __cplusplus
extern "C" {
#endif

struct proa_actor; /* opaque: the running actor, valid inside its callbacks only */

#define PROA_MAILBOX_DEFAULT                                                             \
    1024 /* messages an actor's mailbox holds, unless its behaviour says */
#define PROA_MAILBOX_MAX (1u << 20)       /* and at the most */
#define PROA_HOPS_MAX 8                   /* times an ask or tell may be forwarded */
#define PROA_DEADLINE_MAX (3600 * PROA_S) /* longest deadline of an ask, from now */
#define PROA_LATER_MAX 1024               /* unanswered reply tokens an actor may hold */
#define PROA_TYPE_SYSTEM 0x80000000u      /* message types from here on belong to proa */

/* Message classes.  An urgent message overtakes normal ones in the mailbox. */
enum proa_class { PROA_CLASS_NORMAL = 0, PROA_CLASS_URGENT = 1, PROA_CLASS_SYSTEM = 2 };

/* Bits of proa_msg.flags. */
#define PROA_MSG_ASK 0x01u    /* wants an answer */
#define PROA_MSG_REPLY 0x02u  /* is one (never seen by handlers) */
#define PROA_MSG_SYSTEM 0x04u /* between runtimes (never seen by handlers) */

/* One received message: 64 bytes, one cache line.  The handler borrows it, and data, until it
   returns.  data is 8-byte aligned on every port. */
struct proa_msg {
    const void *data;     /* len bytes; not NULL, also when len is 0 */
    uint32_t len;         /* of data */
    uint32_t type;        /* the user's: below PROA_TYPE_SYSTEM */
    struct proa_ref from; /* who sent it; none when the sender has no actor */
    struct proa_ref to;   /* the receiver */
    proa_ns deadline;     /* of an ask: when the asker gives up; 0 for a tell */
    uint32_t correlation; /* of an ask: the asker's own number for it */
    uint8_t flags;        /* PROA_MSG_ bits */
    uint8_t cls;          /* enum proa_class */
    uint8_t hops;         /* times forwarded */
    uint8_t zero;
};

typedef void (*proa_handler)(struct proa_actor *self, const struct proa_msg *msg);

/* One row of a handler table. */
struct proa_on {
    uint32_t type;    /* below PROA_TYPE_SYSTEM */
    uint32_t min_len; /* shorter payloads are refused with REFUSED_BAD_LENGTH */
    proa_handler fn;
};

/* Why an actor stopped. */
enum proa_reason {
    PROA_REASON_NORMAL,    /* proa_stop by itself */
    PROA_REASON_KILLED,    /* proa_stop_other by somebody else, or its node is closing */
    PROA_REASON_FAILED,    /* proa_fail, or start returned non-zero: with a code */
    PROA_REASON_NODE_LOST, /* its node is dead, as seen from here (monitors) */
    PROA_REASON_RESTARTED, /* it failed and goes on as a new life (monitors) */
    PROA_REASON_NO_SUCH_ACTOR, /* it was gone when the monitor arrived (monitors) */
};

enum proa_signal_kind {
    PROA_SIGNAL_WRITABLE, /* an AGAIN has passed: try again.  Spurious ones are allowed */
    PROA_SIGNAL_UNDELIVERED, /* tells accepted earlier were refused over there */
    PROA_SIGNAL_NAME_LOST,   /* a name of this actor went to a claim with a higher term */
    PROA_SIGNAL_DOWN,        /* a monitored or linked actor has ended (life.h) */
    PROA_SIGNAL_EVENT,       /* something happened to the node (event.h) */
    PROA_SIGNAL_CHANGED,     /* a name or group that is watched has changed (group.h) */
};

struct proa_change;
struct proa_event;
struct proa_supervision;

/* One monitor of this actor (life.h), kept by value. */
struct proa_monitor {
    uint32_t index;
    uint32_t serial; /* 0 in a monitor that was never made */
};

struct proa_signal {
    enum proa_signal_kind kind;
    enum proa_outcome
        reason; /* UNDELIVERED: why, a PROA_REFUSED_ value or PROA_IN_DOUBT */
    struct proa_ref
        to;           /* UNDELIVERED: the receiver; WRITABLE: none, or whom it is about */
    uint32_t type;    /* UNDELIVERED: message type of the first one */
    uint32_t count;   /* UNDELIVERED: how many in this run */
    const char *name; /* NAME_LOST: the name, during the call */

    /* DOWN: `to` has ended. */
    enum proa_reason down; /* why */
    int32_t code;          /* FAILED, RESTARTED: of proa_fail, or what start returned */
    struct proa_ref now;   /* RESTARTED: its new life; else none */
    struct proa_monitor monitor; /* which monitor it was; serial 0: a link */

    const struct proa_event *event;   /* EVENT: during the call */
    const struct proa_change *change; /* CHANGED: during the call */
};

/* What a full mailbox does with one more message. */
enum proa_overflow {
    PROA_OVERFLOW_REFUSE,      /* refuse the new one (default) */
    PROA_OVERFLOW_DROP_OLDEST, /* drop the oldest of its class; a dropped ask is answered
                                  REFUSED_DROPPED, a dropped tell is UNDELIVERED */
};

/* A kind of actor.  Constant, and must outlive every node that knows it. */
struct proa_behaviour {
    const char *type_name;    /* 1..PROA_TYPE_MAX bytes, unique in the cluster */
    uint32_t type_version;    /* of the protocol; informational */
    size_t state_size;        /* bytes of zeroed, 16-aligned state; may be 0 */
    const struct proa_on *on; /* handler table, any order, types unique */
    uint32_t on_count;
    uint32_t mailbox; /* capacity, 0 = PROA_MAILBOX_DEFAULT */
    enum proa_overflow overflow;
    bool
        published; /* its actors are members of the group "type:" + type_name (group.h) */

    /* All optional.  start: non-zero fails the spawn, stop is then not called.  arg is
       borrowed.  any: every type that `on` does not name. */
    int (*start)(struct proa_actor *self, const void *arg, size_t arg_len);
    void (*stop)(struct proa_actor *self, enum proa_reason reason);
    void (*signal)(struct proa_actor *self, const struct proa_signal *signal);
    proa_handler any;

    const struct proa_supervision
        *supervision; /* how it treats its children; NULL: none */
    bool traps; /* told of linked actors' ends instead of failing with them (life.h) */
};

/* ---- Oneself ---- */

PROA_API void *proa_state(struct proa_actor *self);          /* state_size bytes */
PROA_API struct proa_ref proa_self(struct proa_actor *self); /* own reference */
PROA_API proa_ns proa_now(struct proa_actor *self);          /* start of this loop */

/* proa_stop ends this actor when the callback returns: queued asks are answered
   REFUSED_STOPPED, queued tells are UNDELIVERED, tokens it holds MAYBE_EXECUTED. */
PROA_API void proa_stop(struct proa_actor *self);

/* proa_stop_other asks the actor `to`, anywhere, to stop with KILLED, after what it has
   already queued in the system class.  OK, AGAIN, NO_SUCH_ACTOR, NO_ROUTE. */
PROA_API enum proa_outcome proa_stop_other(struct proa_actor *self, struct proa_ref to);

/* ---- Spawning ---- */

typedef void (*proa_spawned)(struct proa_actor *self, enum proa_outcome outcome,
                             struct proa_ref ref, const void *ctx);

/* proa_spawn makes an actor on this lane at once and runs its start.  arg is copied if it has
   to be.  OK; INVALID (bad behaviour); LIMIT (no free slot); STOPPED (start failed, or the node
   is leaving). */
PROA_API enum proa_outcome proa_spawn(struct proa_actor *self,
                                      const struct proa_behaviour *behaviour,
                                      const void *arg, size_t arg_len,
                                      struct proa_ref *ret_ref);

/* proa_spawn_on makes an actor on another lane of this node; then (may be NULL) brings its
   reference.  arg_len <= 64, ctx_len <= PROA_CONTEXT_MAX.  OK, AGAIN, INVALID, LIMIT. */
PROA_API enum proa_outcome proa_spawn_on(struct proa_actor *self, uint32_t lane,
                                         const struct proa_behaviour *behaviour,
                                         const void *arg, size_t arg_len,
                                         proa_spawned then, const void *ctx,
                                         size_t ctx_len);

/* ---- Telling ---- */

/* proa_tell sends a one-way message.  data is copied before it returns.
   OK: it will have exactly one outcome.  At once, nothing happened: AGAIN, FULL,
   NO_SUCH_ACTOR, NO_ROUTE, TOO_LARGE, STOPPED, INVALID (type, or a none reference).
   Later: signal UNDELIVERED. */
PROA_API enum proa_outcome proa_tell(struct proa_actor *self, struct proa_ref to,
                                     uint32_t type, const void *data, size_t len);

/* The same in the urgent class. */
PROA_API enum proa_outcome proa_tell_urgent(struct proa_actor *self, struct proa_ref to,
                                            uint32_t type, const void *data, size_t len);

/* A bulk buffer: len writable bytes, 16-aligned, for proa_tell_buf.  NULL when len is over the
   node's message limit or its bulk budget (64 MiB a lane) is spent. */
PROA_API void *proa_buf_alloc(struct proa_actor *self, size_t len);
PROA_API void proa_buf_free(struct proa_actor *self, void *buf);

/* proa_tell_buf is proa_tell without the copy: takes buf (from proa_buf_alloc) when it returns
   OK; on any other outcome the caller still owns it. */
PROA_API enum proa_outcome proa_tell_buf(struct proa_actor *self, struct proa_ref to,
                                         uint32_t type, void *buf, size_t len);

/* ---- Asking ---- */

struct proa_answer {
    enum proa_outcome outcome; /* OK: the reply; else NOT_SENT, REFUSED_*, NO_REPLY,
                                  MAYBE_EXECUTED */
    uint32_t len;              /* of data; 0 unless OK */
    const void *data;          /* 8-aligned, borrowed during the call; never NULL */
    struct proa_ref from; /* who answered; if nobody did, who had it as far as is known */
};

typedef void (*proa_then)(struct proa_actor *self, const struct proa_answer *answer,
                          const void *ctx);

/* proa_ask sends a question.  deadline is a span from now, 1..PROA_DEADLINE_MAX.  ctx_len <=
   PROA_CONTEXT_MAX bytes are copied and handed to then, which runs exactly once, later, never
   inside this call, and not at all once the asker has stopped.
   OK: then will run.  At once, then will not run: AGAIN, FULL, NO_SUCH_ACTOR, NO_ROUTE,
   TOO_LARGE, STOPPED, INVALID, LIMIT (asks in flight of this lane). */
PROA_API enum proa_outcome proa_ask(struct proa_actor *self, struct proa_ref to,
                                    uint32_t type, const void *data, size_t len,
                                    proa_ns deadline, proa_then then, const void *ctx,
                                    size_t ctx_len);

/* proa_reply answers the ask in msg, once, inside its handler.  Room was reserved when the
   ask came in, so it never returns AGAIN.  OK, NOT_AN_ASK, TOO_LARGE.  When the asker is gone
   the answer is dropped and counted. */
PROA_API enum proa_outcome proa_reply(struct proa_actor *self, const struct proa_msg *msg,
                                      const void *data, size_t len);

/* The right to answer one ask later: single use, kept by value. */
struct proa_token {
    uint32_t index;
    uint32_t serial; /* 0 in a token that was never given */
};

/* proa_reply_later takes the ask out of the handler's duty; the holder answers by
   proa_reply_token.  OK, NOT_AN_ASK, LIMIT (PROA_LATER_MAX tokens held). */
PROA_API enum proa_outcome proa_reply_later(struct proa_actor *self,
                                            const struct proa_msg *msg,
                                            struct proa_token *ret_token);

/* OK; NOT_AN_ASK (used, expired or foreign token); TOO_LARGE (the token stays good). */
PROA_API enum proa_outcome proa_reply_token(struct proa_actor *self,
                                            struct proa_token token, const void *data,
                                            size_t len);

/* proa_forward sends msg on to another actor with its original sender, so that a reply goes
   straight there.  For an ask it is this handler's answer.  The deadline goes on running.
   OK; AGAIN, FULL, NO_SUCH_ACTOR, NO_ROUTE (an ask is then still the caller's to answer);
   REFUSED_HOPS after PROA_HOPS_MAX (an ask has then been answered so). */
PROA_API enum proa_outcome proa_forward(struct proa_actor *self,
                                        const struct proa_msg *msg, struct proa_ref to);

/* proa_msg_keep keeps a bulk message (one too large for a packet) beyond the handler, without
   a copy: returns its data, which the caller owns and frees by proa_buf_free; NULL when msg is
   not bulk (copy it then). */
PROA_API void *proa_msg_keep(struct proa_actor *self, const struct proa_msg *msg);

/* ---- Timers ---- */

struct proa_timer {
    uint32_t index;
    uint32_t serial; /* 0 in a timer that was never started */
};

typedef void (*proa_timeout)(struct proa_actor *self, uint64_t cookie);

/* proa_timer_start runs fn(self, cookie) once, not before `after` from now and normally within
   one loop of it (resolution PROA_TIMER_TICK).  Timers end with their actor.
   OK, LIMIT (timers of this lane), INVALID (after over PROA_TIMER_MAX). */
#define PROA_TIMER_TICK (16384)                  /* ns, one tick of the wheel */
#define PROA_TIMER_MAX (30 * 24 * 3600 * PROA_S) /* 30 days */
PROA_API enum proa_outcome proa_timer_start(struct proa_actor *self, proa_ns after,
                                            proa_timeout fn, uint64_t cookie,
                                            struct proa_timer *ret_timer);

/* True when it was running and will now not fire. */
PROA_API bool proa_timer_cancel(struct proa_actor *self, struct proa_timer timer);

#ifdef __cplusplus
}
#endif

#endif
