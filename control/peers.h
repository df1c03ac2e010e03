/* SPDX-License-Identifier: Apache-2.0 */
/* peers.h - the nodes this one knows, and its links to them as far as control goes.

   A peer is a node id, where the node is reached, and when it was heard.  An address is either
   confirmed (an authentic packet came from there) or a hint (a record said so).  One confirmed
   address belongs to one peer: whoever is confirmed there next is another life of that node.

   A link is a slot of one lane.  Control hands slots out and takes them back; what happens on a
   link is the lane's.

   Threads: the control thread's.
   Units:   proa_ns.
   Errors:  NULL when a table is full; a full peer table gives up the peer heard least recently
            among those without links.
   Memory:  its own, all of it taken by peers_init; pages are touched as peers are met. */
#ifndef PEERS_H
#define PEERS_H

#include <proa/types.h>

#include "directory.h"
#include "identity.h"
#include "punt.h"

#define PEERS_MAX 65536      /* as many as the directory knows nodes */
#define PEERS_LINKS_MAX 4096 /* of one lane: its link slots */
#define PEERS_PINGS_MAX 4    /* nonces kept of a link's last PINGs */
#define PEERS_PORT_ANY 0xff  /* punt.h: any route */
#define PEERS_NONE UINT32_MAX

enum peer_link_state {
    PEER_LINK_FREE,
    PEER_LINK_RESERVED, /* a handshake is under way; the lane knows nothing of it */
    PEER_LINK_OPEN,     /* the lane has it, until PUNT_LINK_ENDED */
};

struct peer;

struct peer_link {
    uint64_t id;      /* our own */
    uint64_t peer_id; /* theirs; 0 while unknown */
    struct peer *peer;
    struct peer_link *next; /* of the same peer, or the next free one of the lane */
    struct proa_addr addr;
    uint8_t port;
    uint8_t state;      /* enum peer_link_state */
    bool sending;       /* the lane was told to send new messages on it */
    bool leaving;       /* our CLOSE for it is being repeated */
    bool theirs;        /* the peer opened it */
    uint32_t handshake; /* of a reserved link: index of its attempt or half-open entry */
    uint32_t ping_at;   /* the next place in pings */
    uint64_t pings[PEERS_PINGS_MAX]; /* nonces, 0: none */
};

struct peer {
    uint64_t node; /* 0: free */
    struct kad_id id;
    struct proa_addr addr; /* family 0: unknown */
    bool confirmed;        /* addr is */
    bool dead;
    bool gone;      /* for good: it closed, or another id answers there */
    bool linked;    /* its registry and ours are */
    bool refused;   /* event REGISTRY_REFUSED was told since it was linked last */
    uint32_t links; /* with state PEER_LINK_OPEN */
    uint32_t held;  /* attempts that use this entry: not to be given up */
    struct peer_link *first_link;
    struct directory_node *liveness; /* NULL: not in the directory yet */
    proa_ns heard_at;                /* last authentic packet seen here; 0: never */
    proa_ns dead_at;
    uint32_t next_node, next_addr; /* in their hash chains; next_node: free list too */
};

struct peers {
    struct peer *all; /* PEERS_MAX */
    uint32_t *by_node, *by_addr;
    uint32_t used, high, free, clock;
    uint64_t salt;
    unsigned lanes;
    /* Called with a peer that is about to be given up for another; may be NULL.  It must not
       add peers. */
    void (*evicted)(void *ctx, const struct peer *peer);
    void *evicted_ctx;
    struct peer_link *links[PROA_LANES_MAX]; /* PEERS_LINKS_MAX each */
    struct peer_link *links_free[PROA_LANES_MAX];
    uint32_t links_high[PROA_LANES_MAX];
};

bool peers_init(struct peers *self, unsigned lanes, uint64_t salt);
void peers_fini(struct peers *self);

struct peer *peers_find(const struct peers *self, uint64_t node);
/* The peer whose confirmed address this is. */
struct peer *peers_find_addr(const struct peers *self, const struct proa_addr *addr);

/* peers_add finds or makes the peer of id. */
struct peer *peers_add(struct peers *self, const struct kad_id *id);

/* peers_hint says where the peer may be; a confirmed address stays. */
void peers_hint(struct peer *peer, const struct proa_addr *addr);

/* peers_confirm says where it is: an authentic packet came from addr.  Whoever was confirmed
   there before must have been unplaced. */
void peers_confirm(struct peers *self, struct peer *peer, const struct proa_addr *addr);
/* peers_unplace takes its address, confirmed or hint, away from a peer. */
void peers_unplace(struct peers *self, struct peer *peer);

/* ---- Links ---- */

/* peers_link_reserve takes a slot of lane; secret becomes part of the id.  NULL: all
   PEERS_LINKS_MAX are taken. */
struct peer_link *peers_link_reserve(struct peers *self, unsigned lane, uint64_t secret);

/* peers_link finds one by its whole id, NULL when it is free or of another life. */
struct peer_link *peers_link(const struct peers *self, uint64_t id);

/* peers_link_open binds a reserved link to its peer: the lane was told of it. */
void peers_link_open(struct peer_link *link, struct peer *peer, uint64_t peer_link_id,
                     const struct proa_addr *addr, uint8_t port, bool sending);

/* peers_link_free gives the slot back. */
void peers_link_free(struct peers *self, struct peer_link *link);

/* peers_lane_link finds an open link of lane to peer; sending: only one the lane was told to
   send on. */
struct peer_link *peers_lane_link(const struct peer *peer, unsigned lane, bool sending);

#endif
