/* SPDX-License-Identifier: Apache-2.0 */
/* punt.h - what a lane and the control thread say to each other.

   Two byte rings per lane (byte_ring.h), one each way, and a third one up for notes
   (event_note.h), carry records: a kind, a fixed body, and
   up to PUNT_BYTES_MAX bytes behind it (a datagram or a name).  A full ring refuses; the
   refusal is counted by the sender, and every record is one that may be lost or is sent again
   from state (a datagram; a request with a deadline), or whose sender keeps it and tries again.

   Threads: the lane writes `up` and reads `down`; the control thread the reverse.
   Units:   proa_ns; lengths in bytes.  Errors: none. */
#ifndef PUNT_H
#define PUNT_H

#include <proa/outcomes.h>
#include <proa/types.h>

#define PUNT_BYTES_MAX 9216 /* the largest datagram */

enum punt_kind {
    /* lane -> control */
    PUNT_DATAGRAM =
        1, /* struct punt_datagram + bytes: KRPC or a keyed link packet came in */
    PUNT_NEED_LINK,  /* struct punt_node: a send to this node waits for a link */
    PUNT_LINK_UP,    /* struct punt_link: first valid packet heard on it */
    PUNT_LINK_PING,  /* struct punt_link: send a keyed PING (flags: LINK_PING_PROBE) */
    PUNT_LINK_ENDED, /* struct punt_link: dead or closed; its slot is free again */
    PUNT_NAME,       /* struct punt_name + name: a registry call of an actor or client */
    PUNT_ACTOR_RESTARTED, /* struct punt_restart: its names go on with its next life */
    PUNT_ACTOR_STOPPED,   /* struct punt_actor: its names are to be given up */

    PUNT_WATCH, /* struct punt_watch + name: proa_watch, or its end */
    PUNT_MESH,  /* struct punt_mesh + bytes: a registry message came over a link */

    PUNT_EVENTS_WANTED, /* uint32_t: 1: an actor of this lane wants events; 0: none does */

    /* lane -> control, in the ring of notes: what may be lost under load */
    PUNT_EVENT = 24,  /* struct punt_event */
    PUNT_DEAD_LETTER, /* struct proa_dead_letter (proa/event.h) */
    PUNT_LOG,         /* struct punt_log + text and its NUL */

    /* control -> lane */
    PUNT_SEND = 32,   /* struct punt_datagram + bytes: send this datagram */
    PUNT_LINK_OPEN,   /* struct punt_link_open: a link was agreed */
    PUNT_LINK_HEARD,  /* struct punt_link: an authentic PONG (or PING) came for it */
    PUNT_LINK_RESET,  /* struct punt_link: the peer restarted or closed: end it now */
    PUNT_NODE_FAILED, /* struct punt_node: no link to be had: waiting sends fail */
    PUNT_NODE_DEAD,   /* struct punt_node: the node is dead, all its links end */
    PUNT_NAME_ANSWER, /* struct punt_answer + name: outcome of a PUNT_NAME */
    PUNT_NAME_LOST,   /* struct punt_actor + name: NAME_LOST for this actor */
    PUNT_DRAIN,       /* no body: the node is leaving: stop all actors, refuse new work */
    PUNT_MESH_SEND, /* struct punt_mesh_send, its nodes, bytes: send this registry message */
    PUNT_CHANGED, /* struct punt_changed + name: for a watch of an actor of this lane */
    PUNT_EVENT_TOLD = 56, /* struct proa_event: for the lane's actors that want events */
};

struct punt_datagram {
    struct proa_addr peer; /* from, or to */
    uint8_t port; /* index of the node's port it came by or leaves by; 0xff: any route */
    uint8_t zero[7];
};

struct punt_node {
    uint64_t node;
    enum proa_outcome outcome; /* NODE_FAILED: NO_ROUTE, ... */
    uint32_t zero;
};

/* A link id as it lies on the wire: lane:8 slot:16 secret:40 from the lowest byte on. */
static inline uint64_t link_id_make(uint32_t lane, uint32_t slot, uint64_t secret)
{
    return (lane & 0xffu) | (uint64_t)(slot & 0xffffu) << 8 | secret << 24;
}

static inline uint32_t link_id_lane(uint64_t id)
{
    return (uint32_t)id & 0xffu;
}

static inline uint32_t link_id_slot(uint64_t id)
{
    return (uint32_t)(id >> 8) & 0xffffu;
}

/* Why a link ended (lane -> control). */
enum link_end {
    LINK_END_SILENT, /* nothing heard, pings unanswered */
    LINK_END_STUCK,  /* one packet failed too often while others were acked */
    LINK_END_RESET,  /* control said so: restarted peer, CLOSE, node dead */
    LINK_END_IDLE,   /* surplus and idle */
    LINK_END_CLOSED, /* this node leaves */
};

struct punt_link {
    uint64_t node;
    uint64_t link_id;      /* our own id of it: lane:8 slot:16 secret:40 */
    uint64_t peer_link_id; /* theirs, put into packets we send */
    uint32_t flags; /* PING: LINK_PING_; HEARD: LINK_HEARD_; ENDED: enum link_end */
    uint32_t
        loop_gap_us; /* PING: the lane's recent longest loop gap; HEARD: the peer's */
};
#define LINK_PING_PROBE 1u /* persist: answer at once with the current window */
#define LINK_HEARD_BUSY 1u /* alive, not consuming */

struct punt_link_open {
    uint64_t node;
    uint64_t link_id;      /* ours; its slot was allocated by control */
    uint64_t peer_link_id; /* theirs */
    struct proa_addr peer;
    uint32_t seq_tx, seq_rx; /* first sequence numbers each way */
    uint32_t mtu;            /* largest link packet, header to last byte, without lead */
    uint8_t port;
    uint8_t initiator; /* 1: hold data until something was heard from the peer */
    uint8_t
        sending; /* 1: this lane sends new messages for node on this link, if it has none */
    uint8_t zero;
};

enum punt_name_op {
    PUNT_REGISTER,
    PUNT_REGISTER_LOCAL,
    PUNT_UNREGISTER,
    PUNT_LOOKUP_NOW,
    PUNT_LOOKUP_WAIT,
    PUNT_JOIN, /* a group; correlation 0: nobody waits */
    PUNT_LEAVE,
    PUNT_FIND_GROUP,
};

struct punt_name {
    enum punt_name_op op;
    uint32_t correlation; /* echoed in the answer */
    uint32_t slot;        /* the asking actor */
    uint32_t generation;
    uint32_t type;    /* REGISTER: type id of its behaviour; LOOKUP: wanted, or 0 */
    uint32_t len;     /* of the name behind */
    proa_ns deadline; /* a moment */
};

struct punt_answer {
    uint32_t correlation, slot, generation;
    enum proa_outcome outcome;
    struct proa_ref ref;
    uint64_t term;
    bool settled; /* no claim of the same moment can take it over any more */
    uint8_t zero[7];
};

/* A watch begins (on) or ends.  index and serial are the lane's own for it; it takes index again
   only when it has told the end.  The control thread answers the beginning by a SET at once, then
   tells every change (watching.h says why nothing is missed or told twice). */
struct punt_watch {
    uint32_t slot, generation; /* the watching actor */
    uint32_t index, serial;
    uint8_t on;
    uint8_t what; /* enum proa_watch_what */
    uint8_t len;  /* of the name behind, at the end too; 0: ALL */
    uint8_t zero[5];
};

/* A change for one watch.  SET carries no members: its version is that of the last change of the
   group so far, 0: none, and the lane reads the members in the directory, once changes up to that
   version are published, and tells no change that it has read.  When the ring had no room for
   some changes, one SET follows later in their place; of ALL it only says that some were missed. */
struct punt_changed {
    uint32_t slot, generation; /* the watching actor */
    uint32_t index, serial;
    uint64_t version;
    struct proa_ref ref; /* JOINED, LEFT; SET of a name: its holder or none */
    uint8_t kind;        /* enum proa_change_kind */
    uint8_t is_group;
    uint8_t zero[6];
};

/* A message of the linked registries (dht/mesh.h), MESH_MESSAGE_MAX bytes at the most. */
struct punt_mesh {
    uint64_t node; /* whose link it came by */
};

struct punt_mesh_send {
    uint32_t nodes; /* how many uint64_t follow, before the bytes */
    uint32_t zero;
};

struct punt_restart {
    uint32_t slot, generation;
    uint32_t now; /* the new generation */
    uint32_t zero;
};

struct punt_actor {
    uint32_t slot, generation;
};

/* An event that begins on a lane. */
struct punt_event {
    uint32_t kind; /* enum proa_event_kind */
    uint32_t slot, generation;
    int32_t code;
    char text[64]; /* NUL-terminated */
};

/* A line of proa_log. */
struct punt_log {
    proa_ns at;
    const char *type_name; /* a behaviour's, good for ever */
    uint32_t slot, generation;
    uint32_t level; /* enum proa_log_level */
    uint32_t len;   /* of the text, without its NUL */
};

#endif
