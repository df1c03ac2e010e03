/* SPDX-License-Identifier: Apache-2.0 */
/* event.h - what happens to a node, and what became of messages nobody delivered.

   The control thread collects what happens to its node: nodes and links that come and go, lanes
   that are stuck, drops, actors that failed.  Events are numbered from 1 and told, in order, to
   whoever wants them: actors (proa_events), one function of the program
   (proa_node_on_event), and `proa events` of the command line.  Each of them has its own place
   in a ring of the last PROA_EVENTS_KEPT: one that falls behind further gets an event LOST with
   the number it has missed, and goes on.

   A dead letter is a tell of an actor or client of this node that was accepted and then not
   delivered.  Its sender gets the signal UNDELIVERED; the node gets the dead letter, also when
   the sender is gone by then.

   Threads: proa_events: as actor.h.  The proa_node_ functions: an ordinary thread, while the
            node runs, and not from within a function they installed.  Installed functions run
            on the control thread: they must not block, nor call back into the node; a slow
            one delays handshakes, names and pings.
   Units:   proa_ns, counts.
   Errors:  enum proa_outcome. */
#ifndef PROA_EVENT_H
#define PROA_EVENT_H

#include <proa/outcomes.h>
#include <proa/types.h>

#ifdef __cplusplus
extern "C" {
#endif

struct proa_actor;
struct proa_node;

enum proa_event_kind {
    PROA_EVENT_NODE_JOINED, /* node was heard: for the first time, or again after NODE_DEAD;
                               text: its address */
    PROA_EVENT_NODE_LEFT,   /* node said good-bye */
    PROA_EVENT_NODE_DEAD,   /* node is silent, or was restarted; text says which */
    PROA_EVENT_LINK_UP,     /* lane has a working link to node; text: the address */
    PROA_EVENT_LINK_DEAD,   /* it ended with messages in doubt, perhaps; text: why */
    PROA_EVENT_LINK_CLOSED, /* it ended in order; text: why */
    PROA_EVENT_NAME_LOST,   /* a name of actor went to a claim of node; text: the name */
    PROA_EVENT_LANE_STUCK, /* lane has not gone round for span; actor and type: what it runs,
                               none: outside of any actor, or its thread does not run */
    PROA_EVENT_LANE_FREE,    /* it goes round again, after span */
    PROA_EVENT_DROPS,        /* something was dropped: count since the last report, of the
                               counter that text names.  Once a second each at most */
    PROA_EVENT_DEAD_LETTERS, /* count dead letters with outcome since the last report.  As
                                often */
    PROA_EVENT_ACTOR_FAILED, /* actor failed with code; text: its type */
    PROA_EVENT_RESTART_LIMIT, /* actor, a supervisor, gave up with code: its children failed
                                 too often; text: its type */
    PROA_EVENT_REGISTRY_LINKED, /* node's registry and ours are linked and complete; text: its
                                     address */
    PROA_EVENT_REGISTRY_UNLINKED, /* node's registry left, died or was removed; text: which */
    PROA_EVENT_REGISTRY_REFUSED, /* node was not linked: mesh.nodes_max, here or there; text: its
                                     address.  Or node is this one: a neighbour was named by this
                                     node's own address; text says so */
    PROA_EVENT_NEIGHBOUR_SILENT, /* a neighbour that was named does not answer; text: its address.
                                     Once a minute at most */
    PROA_EVENT_PUBLISH_LIMIT, /* actor's name or membership was not published; count: the limit;
                                     text: the name.  Once a second at most */
    PROA_EVENT_LOST,          /* count events before this one were not told to you */
    PROA_EVENT_COUNT
};

#define PROA_EVENTS_KEPT 1024      /* the last events of a node */
#define PROA_EVENTS_ACTORS_MAX 256 /* actors of one lane that get events */
#define PROA_EVENT_TEXT_MAX                                                              \
    96 /* bytes of an event's text and its NUL; longer ones are cut */

/* One event.  What its kind does not name is 0 or none. */
struct proa_event {
    uint64_t number;  /* 1, 2, ... of this node's life; LOST: of the last one missed */
    proa_ns at;       /* when it was seen, monotonic */
    uint64_t wall_ms; /* the same, since 1970 */
    enum proa_event_kind kind;
    uint32_t lane;             /* LINK_, LANE_ */
    uint64_t node;             /* NODE_, LINK_, NAME_LOST */
    struct proa_ref actor;     /* NAME_LOST, LANE_STUCK, ACTOR_FAILED, RESTART_LIMIT */
    uint64_t count;            /* DROPS, DEAD_LETTERS, LOST */
    proa_ns span;              /* LANE_ */
    uint32_t type;             /* LANE_STUCK: of the message; PROA_EVENT_NO_TYPE: none */
    int32_t code;              /* ACTOR_FAILED, RESTART_LIMIT */
    enum proa_outcome outcome; /* DEAD_LETTERS: why */
    uint32_t zero;
    char text[PROA_EVENT_TEXT_MAX]; /* as its kind says; may hold any bytes but NUL */
};
#define PROA_EVENT_NO_TYPE UINT32_MAX

/* proa_event_name returns the kind's name for people and scripts: "node-joined", "lane-stuck".
   Static storage; "?" outside of the enum. */
PROA_API const char *proa_event_name(enum proa_event_kind kind);

/* proa_event_print writes the event as one line without its newline, cut to len bytes with its
   NUL: UTC time, name, and what its kind has.  Bytes of text that do not print are written %XX.
   Returns the length written.  Any thread. */
PROA_API size_t proa_event_print(const struct proa_event *event, char *buf, size_t len);

/* proa_events begins (on) or ends telling this actor, by PROA_SIGNAL_EVENT, what happens to its
   node from now on.  It ends by itself with the actor's life, a restart too.
   OK; AGAIN; LIMIT (PROA_EVENTS_ACTORS_MAX). */
PROA_API enum proa_outcome proa_events(struct proa_actor *self, bool on);

/* proa_node_on_event installs the function that is told of all events from now on; NULL: none.
   When it returns the function before is not running and will not be called any more.  event is
   borrowed during the call. */
typedef void (*proa_on_event)(void *ctx, const struct proa_event *event);
PROA_API void proa_node_on_event(struct proa_node *node, proa_on_event fn, void *ctx);

/* One run of dead letters: messages of one sender to one receiver. */
struct proa_dead_letter {
    struct proa_ref from; /* the sender; none: not known any more */
    struct proa_ref to;   /* the receiver; none: refused without a name, under overload */
    uint32_t type;        /* of the first */
    uint32_t count;
    enum proa_outcome reason; /* a PROA_REFUSED_ value or PROA_IN_DOUBT */
    uint32_t lane;            /* of the sender */
};

/* proa_node_on_dead_letter does the same for dead letters.  They come through a bounded ring of
   each lane: what it has no room for is in the counters (DPDK telemetry /proa/dead_letters, event
   DEAD_LETTERS) but not told one by one; the drop counter dead_letters_untold says how many. */
typedef void (*proa_on_dead_letter)(void *ctx, const struct proa_dead_letter *letter);
PROA_API void proa_node_on_dead_letter(struct proa_node *node, proa_on_dead_letter fn,
                                       void *ctx);

#ifdef __cplusplus
}
#endif

#endif
