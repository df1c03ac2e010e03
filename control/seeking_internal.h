/* SPDX-License-Identifier: Apache-2.0 */
/* seeking_internal.h - what the files of seeking.h share.

   seeking.c       groups that are sought, and who waits for them
   seeking_afar.c  asking nodes that are not linked
   seeking_own.c   announcing own groups, and answering who asks

   Threads: the control thread's.  Units: proa_ns.  Errors: as each function says. */
#ifndef SEEKING_INTERNAL_H
#define SEEKING_INTERNAL_H

#include "core_internal.h"
#include "registrar_internal.h"
#include "seeking.h"

#define SEEKING_NODES_MAX KAD_PEERS_MAX
#define SEEKING_REFS_MAX 4096u
#define SEEKING_ASKERS_MAX 1024u
#define SEEKING_LOOK_EVERY PROA_S          /* at each sought group */
#define SEEKING_AFTER (3 * PROA_S)         /* without all links: then Kademlia is asked */
#define SEEKING_SEARCH_EVERY (15 * PROA_S) /* who else has members */
#define SEEKING_SEARCH_FOR (5 * PROA_S)
#define SEEKING_PATIENCE (500 * PROA_MS)
#define SEEKING_ASK_EVERY (5 * PROA_S) /* keeps a node's liveness and its lease alive */
#define SEEKING_ANNOUNCES 8u           /* under way */
#define SEEKING_ANNOUNCE_EVERY (900 * PROA_S) /* Source: kad.h */
#define SEEKING_ANNOUNCE_LOOK (100 * PROA_MS)

/* A node that may have members of a sought group. */
struct sought_node {
    struct proa_addr addr;
    uint64_t node;   /* 0: not met yet */
    uint32_t serial; /* of what it was asked last; 0: nothing */
    bool answered;
    proa_ns asked_at;
    struct mesh_ref *refs; /* in the directory by its word */
    uint32_t count;
    struct mesh_ref *coming; /* parts of its next answer */
    uint32_t coming_count;
};

struct sought {
    struct name_entry entry; /* first */
    uint32_t waiters;        /* index + 1 of the first */
    uint32_t watchers;       /* kept for them */
    uint32_t op;             /* of Kademlia, 0: none */
    bool searched; /* the last search of it came to an end: nodes are all there are */
    proa_ns search_at, linger_at;
    proa_ns patient_until;     /* for nodes that were found and have not answered */
    struct sought_node *nodes; /* SEEKING_NODES_MAX, NULL: none yet */
    unsigned node_count;
};

/* Who asked this node for its members of a group. */
struct seeking_asker {
    uint64_t node;
    uint32_t serial;
    bool dirty; /* to be answered anew */
    uint8_t len;
    char group[PROA_NAME_MAX];
    proa_ns until;
};

struct seeking_announce {
    uint32_t op; /* 0: free */
    uint8_t len;
    char group[PROA_NAME_MAX];
};

struct seeking {
    struct name_table groups;
    struct waiter waiters[SEEKING_WAITERS_MAX];
    uint32_t waiters_free, waiters_high; /* index + 1; count */
    uint32_t unmet;                      /* nodes of all groups that were not met yet */
    uint16_t serial;
    proa_ns look_at; /* PROA_NS_NEVER: nothing is sought */
    struct seeking_asker askers[SEEKING_ASKERS_MAX];
    unsigned asker_count;
    bool dirty; /* an asker is */
    struct seeking_announce announces[SEEKING_ANNOUNCES];
    proa_ns announce_at; /* next look for what is to be announced */
};

/* True: this node will not know all groups by links alone. */
bool seeking_is_afar(const struct core *core);

/* seeking.c */
struct sought *seeking_at(const struct seeking *self, uint32_t place);
/* All who were found have said what members they have: who waits is told, if that is the whole truth. */
void seeking_settle(struct core *core, struct sought *sought);

/* seeking_afar.c */
void seeking_search(struct core *core, struct sought *sought);
void seeking_look_afar(struct core *core, struct sought *sought);
void seeking_forget(struct core *core, struct sought *sought);
/* Kademlia has yet to say who has members, or one of these to answer. */
bool seeking_is_open(const struct core *core, const struct sought *sought);

/* seeking_own.c */
void seeking_own_tick(struct core *core);
proa_ns seeking_own_deadline(const struct core *core);

#endif
