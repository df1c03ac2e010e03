/* SPDX-License-Identifier: Apache-2.0 */
/* mesh_internal.h - what the files of the mesh share.

     mesh.c         a mesh's life, own entries, messages in, time
     mesh_node.c    the table of nodes: finding, making, forgetting, their states
     mesh_neighbour.c  those named by the caller
     mesh_hello.c   HELLO, CUT, retries
     mesh_links.c   LINKS: whom others know
     mesh_pull.c    the receiver of a set: snapshot, digests, repair
     mesh_serve.c   the owner of a set: ranges, hashes, digests
     mesh_output.c  who is sent what next
     mesh_event.c   what the caller is told

   Nothing waits in a queue that could be made when it is asked for: a node's `work` says what is owed
   to it, mesh_output makes the message.  Only messages from the caller's own data (loads, groups)
   are kept as bytes.

   Threads: one owner. */
#ifndef PROA_DHT_MESH_INTERNAL_H
#define PROA_DHT_MESH_INTERNAL_H

#include "kad_random.h"
#include "mesh_names.h"
#include "mesh_set.h"

#define MESH_NEIGHBOURS 16 /* that are named and looked for */
#define MESH_SPARE 64      /* nodes known beyond twice nodes_max: cut, gone, refused */
#define MESH_WINDOW 16     /* leaves asked for of a node at once */
#define MESH_WINDOW_ALL 64 /* and of all nodes: about 250 KB under way */
#define MESH_QUEUE 4096    /* events; one message makes 2,048 at the most */
#define MESH_LEAF_SHARE 16 /* entries_max to the leaves there may be */
#define MESH_ANSWERS_EVERY PROA_MS
#define MESH_ANSWERS 256    /* RANGEs and HASHES to all nodes in that time */
#define MESH_ANSWERS_ONE 32 /* to one node, 1,100 bytes each: 35 MB/s */
#define MESH_LETTERS 32     /* messages kept as bytes */
#define MESH_HELLO_EVERY PROA_S
#define MESH_HELLO_SELDOM (5 * PROA_S)
#define MESH_RTO_START (300 * PROA_MS)
#define MESH_RTO_MIN (50 * PROA_MS)
#define MESH_RTO_MAX (2 * PROA_S)
#define MESH_ASKED_MAX                                                                   \
    (4 * PROA_S) /* until a leaf, of which parts come, is asked for anew */
#define MESH_UNMET_LIFE (60 * PROA_S) /* of a node learnt from others that nobody met */
#define MESH_GONE_LIFE (60 * PROA_S) /* a node that left is not learnt anew for so long */
#define MESH_LOST_LIFE (24 * 3600 * PROA_S)
#define MESH_REFUSED_EVERY (30 * PROA_S) /* a full node is asked again */
#define MESH_LACK_WAIT                                                                   \
    (10 * PROA_S) /* until what found no room is asked for again, at first */
#define MESH_LACK_WAIT_MAX (320 * PROA_S)
#define MESH_LINKS_EVERY PROA_S /* to one node, at most */
#define MESH_WANT_LINKS_EVERY                                                            \
    (2 * PROA_S) /* of one node at first; then ever more seldom */
#define MESH_WANT_LINKS_SELDOM (32 * PROA_S)
#define MESH_BEEN 16                  /* earlier sets of links that are remembered */
#define MESH_CUT_LIFE (600 * PROA_S)  /* of a node that has cut us off */
#define MESH_CUTS_MAX 32              /* that were made here */
#define MESH_STRANGERS 64             /* that are answered in a second, at most */
#define MESH_TOLD_AFTER (10 * PROA_S) /* of silence: UNREACHABLE */
#define MESH_TOLD_EVERY (60 * PROA_S)

/* What is owed to a node. */
#define MESH_WORK_CUT 0x001u
#define MESH_WORK_REFUSED 0x002u
#define MESH_WORK_HELLO 0x004u
#define MESH_WORK_LINKS 0x008u /* from links_at on */
#define MESH_WORK_WANT_LINKS 0x010u
#define MESH_WORK_DIGEST 0x020u
#define MESH_WORK_ASK_HASHES 0x040u /* ask_mask */
#define MESH_WORK_HASHES 0x080u     /* hash_mask */
#define MESH_WORK_PULL 0x100u       /* leaves with `ask` */
#define MESH_WORK_SERVE 0x200u      /* serve */

/* A leaf that is under way. */
struct mesh_asked {
    proa_ns since;    /* when it was asked for */
    proa_ns at;       /* when something new of it came, last; since: nothing yet */
    uint64_t covered; /* the indices an answer came for */
    uint16_t leaf;
    bool used;
    bool ask; /* to be sent */
};

struct mesh_node {
    struct kad_id id;
    uint64_t node;
    uint64_t id_hash;
    struct proa_addr addr;
    uint32_t next, addr_next, work_next, pull_next; /* chains; next: the free list too */
    uint32_t link; /* its place in mesh->links, MESH_NONE: not linked */
    uint8_t state; /* enum mesh_state */
    bool used, gone;
    bool met;      /* an authentic packet of it came since it was last CALLING */
    bool proved;   /* mesh_met has seen it at addr; else only it says so */
    bool cut_here; /* CUT: by mesh_remove, not by the node */
    bool resolve;  /* a MESH_RESOLVE is due */
    bool in_work, in_pull;
    bool dropping; /* its set is being told as REMOVED */
    uint32_t work;
    uint16_t links_at;
    proa_ns since, due,
        called; /* of its state (CALLING, met: last heard); the next try; the last */
    proa_ns links_sent, told; /* the last LINKS; the last CUT or REFUSED */
    proa_ns asked_who;        /* when a HELLO of another made it doubtful, last */
    uint64_t told_version, told_links; /* own version and links in the last HELLO to it */

    /* Whom it knows. */
    uint64_t teller;       /* unmet: who told of it, 0: not counted */
    uint32_t taught;       /* how many are unmet that it told of */
    uint64_t links_told;   /* its last hash of links */
    bool news;             /* it may know a node that is not known here */
    bool differs;          /* its digest is not that of what is known of it */
    uint64_t differs_root; /* of that digest */
    bool behind; /* one of both: mesh_complete waits, as long as patience lasts */
    proa_ns behind_since, behind_ended, patience;
    proa_ns ask_links_at, ask_links_wait; /* WANT_LINKS: not before; the next pause */

    proa_ns served, shun_until, shun_wait; /* the last RANGE; it served nothing */
    uint32_t vain;                         /* PULLs since then */

    /* As the receiver of its set. */
    struct mesh_set set;
    bool lacks;      /* an entry found no room; until all are here */
    proa_ns lack_at; /* when, last */
    proa_ns lack_wait;
    bool repairing;
    proa_ns repair_at;
    uint64_t ask_mask;
    uint64_t wanted[MESH_LEAVES / 64]; /* leaves still to be asked for */
    uint64_t again[MESH_LEAVES / 64];  /* those that were asked for in vain before */
    uint32_t wanted_count, asked_count;
    uint32_t want_at; /* the next leaf to look at */
    uint32_t
        room; /* leaves it is asked for at once: 1 after a time-out, one more for each
                         that came, up to MESH_WINDOW */
    uint8_t backoff; /* times its time-out was doubled since the last sample */
    proa_ns backed_at;
    uint16_t leaves_seen; /* of the snapshot */
    struct mesh_asked asked[MESH_WINDOW];
    proa_ns srtt, rttvar; /* 0: no sample */

    /* As the owner of ours. */
    uint64_t hash_mask;
    uint64_t serve[MESH_LEAVES / 64];
    uint32_t serve_count;
    uint32_t serve_at; /* an index: the rest of its leaf is owed; 0 at a leaf's start */
    uint32_t answers_turn,
        answers; /* the last turn in which it wanted some; given in it */
};

struct mesh_neighbour {
    struct proa_addr addr;
    uint64_t node;             /* who is there, 0: not known */
    proa_ns since, next, told; /* since: not linked */
    bool used, met, resolve, unreachable;
};

struct mesh_queued {
    uint64_t node;
    struct mesh_item *now, *was; /* was is the queue's to free */
    struct proa_addr addr;
    uint8_t kind;
};

struct mesh_letter {
    uint16_t len, count;
    uint64_t to[MESH_TO_MAX];
    uint8_t bytes[MESH_MESSAGE_MAX];
};

/* A message on its way to all linked nodes. */
struct mesh_cast {
    size_t len; /* 0: none */
    uint32_t at;
    uint8_t bytes[MESH_MESSAGE_MAX];
};

/* A set of links that was ours. */
struct mesh_been {
    uint64_t hash;
    proa_ns until; /* 0: none */
};

struct mesh_own {
    struct mesh_set set;
    uint32_t published_max;
    uint64_t used[MESH_LEAVES]; /* a bit for each index */
    uint32_t free_from;         /* no word before it has a free index */
    /* Changes that have not been sent, in their order: a list through these. */
    uint32_t *dirty_next, *dirty_prev;
    uint64_t dirty[MESH_LEAVES];
    uint32_t dirty_first, dirty_last;
    proa_ns flushed, flush_due;
};

struct mesh {
    struct kad_id self;
    uint64_t node;
    struct proa_addr address;
    proa_ns now, next; /* next: no node's timer is before it */
    proa_ns digest_due;
    uint32_t nodes_max, entries_max;
    bool leaving, left;
    void *(*alloc)(void *ctx, size_t size);
    void (*free)(void *ctx, void *memory, size_t size);
    void *alloc_ctx;
    struct kad_random random;
    struct mesh_own own;
    struct mesh_names names;

    struct mesh_node *nodes;
    uint32_t node_cap, node_high, node_free;
    uint32_t in_state[6]; /* nodes, by state */
    uint32_t unmet;       /* of those that are called: learnt from others and not met */
    uint32_t lacking;     /* linked nodes of which an entry found no room */
    uint32_t behind;      /* linked nodes that are */
    uint32_t cuts;        /* made here */
    proa_ns behind_until, crowded_until; /* mesh_complete is false so long */
    proa_ns crowded_told;
    uint32_t *by_node, *by_addr; /* heads of chains */
    uint32_t head_mask;
    uint8_t key[16]; /* of their hashes */
    uint16_t *links; /* the linked nodes */
    uint32_t link_count;
    uint64_t links_hash;
    struct mesh_been been[MESH_BEEN];
    uint32_t been_at;
    proa_ns digest_sent;
    proa_ns want_refilled;
    uint32_t want_tokens;
    proa_ns strangers[MESH_STRANGERS]; /* when one was answered, by hash */
    struct mesh_neighbour neighbours[MESH_NEIGHBOURS];

    uint32_t work_first, work_last; /* nodes with work */
    uint32_t pull_first,
        pull_last;    /* nodes with leaves wanted and room to ask for them */
    uint32_t window;  /* leaves under way */
    uint32_t entries; /* of others */
    uint32_t leaves;  /* and in how many leaves */
    /* Answers are given in turns of MESH_ANSWERS_EVERY. */
    proa_ns answers_until;
    uint32_t answers_turn;    /* its number */
    uint32_t answers;         /* given in it */
    uint32_t answers_wanting; /* nodes that want some in it */
    uint32_t answers_each;    /* so many for each */
    struct mesh_cast cast;
    struct mesh_letter *letters;
    uint32_t letter_first, letter_count;

    struct mesh_queued *queue;
    uint32_t queue_first, queue_count;
    uint32_t dropping,
        dropping_at;  /* nodes whose sets are being told; the next to look at */
    uint32_t dropped; /* entries told of since the last tick */
    bool resolves;    /* somebody is to be resolved, or is unreachable */
    uint32_t resolve_at;
    bool has_payload; /* the event in payload has not been taken */
    struct mesh_event payload;
    char group[PROA_NAME_MAX];
    struct mesh_load loads[MESH_LOADS_MAX];
    struct mesh_ref refs[MESH_REFS_MAX];
    struct mesh_entry event_now, event_was;
    struct mesh_entry taken;  /* from a message, or from the caller */
    struct mesh_entry *found; /* answers of what does not change the mesh */
    struct mesh_entry *found_at;
    struct mesh_entry found_memory, found_at_memory;
    struct mesh_stats stats;
};

static inline void *mesh_alloc(struct mesh *mesh, size_t size)
{
    return mesh->alloc(mesh->alloc_ctx, size);
}

static inline void mesh_free(struct mesh *mesh, void *memory, size_t size)
{
    mesh->free(mesh->alloc_ctx, memory, size);
}

/* The caller's time never goes back here. */
static inline void mesh_set_now(struct mesh *mesh, proa_ns now)
{
    if (now > mesh->now)
        mesh->now = now;
}

/* Sees to it that mesh_tick looks at the nodes at `when`. */
static inline void mesh_arm(struct mesh *mesh, proa_ns when)
{
    if (when < mesh->next)
        mesh->next = when;
}

static inline uint32_t mesh_number(const struct mesh *mesh, const struct mesh_node *node)
{
    return (uint32_t)(node - mesh->nodes);
}

static inline bool mesh_node_linked(const struct mesh_node *node)
{
    return node->link != MESH_NONE;
}

/* mesh_node.c */
void mesh_nodes_init(struct mesh *mesh);
struct mesh_node *mesh_find(const struct mesh *mesh, uint64_t node);
struct mesh_node *mesh_find_addr(const struct mesh *mesh, const struct proa_addr *addr,
                                 const struct mesh_node *after);
bool mesh_is_linked(const struct mesh *mesh, uint64_t node);
struct mesh_node *mesh_node_new(struct mesh *mesh, const struct kad_id *id,
                                const struct proa_addr *addr, bool learnt);
void mesh_node_free(struct mesh *mesh, struct mesh_node *node);
void mesh_node_move(struct mesh *mesh, struct mesh_node *node,
                    const struct proa_addr *addr);
void mesh_node_state(struct mesh *mesh, struct mesh_node *node, enum mesh_state state,
                     bool met);
void mesh_node_link(struct mesh *mesh, struct mesh_node *node);
void mesh_node_unlink(struct mesh *mesh, struct mesh_node *node, enum mesh_state state);
void mesh_node_gone(struct mesh *mesh, struct mesh_node *node);
void mesh_work(struct mesh *mesh, struct mesh_node *node, uint32_t work);
bool mesh_table_is_full(const struct mesh *mesh);
bool mesh_stranger_due(struct mesh *mesh, uint64_t node);

/* mesh_links.c */
void mesh_links_change(struct mesh *mesh, const struct mesh_node *node);
void mesh_send_links(struct mesh *mesh, struct mesh_node *node);
void mesh_on_links(struct mesh *mesh, struct mesh_node *teller,
                   const struct mesh_message *message);
void mesh_check_links(struct mesh *mesh, struct mesh_node *node, uint64_t links);
void mesh_differs(struct mesh *mesh, struct mesh_node *node,
                  const struct mesh_digest *digest);
void mesh_check_repaired(struct mesh *mesh, struct mesh_node *node);
void mesh_behind_end(struct mesh *mesh, struct mesh_node *node);
void mesh_crowded(struct mesh *mesh);

/* mesh_neighbour.c and mesh_hello.c */
void mesh_call(struct mesh *mesh, struct mesh_node *node);
bool mesh_on_hello(struct mesh *mesh, uint64_t from, const struct mesh_message *message);
void mesh_ask_who(struct mesh *mesh, struct mesh_node *node);
void mesh_set_due(struct mesh *mesh, struct mesh_node *node, proa_ns wait);
void mesh_on_cut(struct mesh *mesh, struct mesh_node *node);
void mesh_on_unlinked(struct mesh *mesh, struct mesh_node *node);
void mesh_check_service(struct mesh *mesh, struct mesh_node *node);
void mesh_on_refused(struct mesh *mesh, struct mesh_node *node);
void mesh_turn_away(struct mesh *mesh, struct mesh_node *node, uint32_t work);
void mesh_meet(struct mesh *mesh, struct mesh_node *node);
bool mesh_is_full(const struct mesh *mesh);
void mesh_node_due(struct mesh *mesh, struct mesh_node *node);
void mesh_neighbours_tick(struct mesh *mesh);
void mesh_neighbours_lose(struct mesh *mesh, uint64_t node, bool gone);
void mesh_neighbours_drop(struct mesh *mesh, uint64_t node);
bool mesh_neighbours_met(struct mesh *mesh, const struct proa_addr *addr, uint64_t node);
bool mesh_neighbours_named(const struct mesh *mesh, uint64_t node);
bool mesh_neighbours_wait(const struct mesh *mesh);

/* mesh_pull.c */
void mesh_pull_begin(struct mesh *mesh, struct mesh_node *node,
                     const struct mesh_digest *digest);
void mesh_pull_end(struct mesh *mesh, struct mesh_node *node);
void mesh_pull_pump(struct mesh *mesh);
void mesh_pull_tick(struct mesh *mesh, struct mesh_node *node);
void mesh_on_digest(struct mesh *mesh, struct mesh_node *node,
                    const struct mesh_digest *digest);
void mesh_on_hashes(struct mesh *mesh, struct mesh_node *node,
                    const struct mesh_message *message);
void mesh_on_entries(struct mesh *mesh, struct mesh_node *node,
                     const struct mesh_message *message);
size_t mesh_write_pull(struct mesh *mesh, struct mesh_node *node, uint8_t *buf);

/* mesh_serve.c */
void mesh_own_init(struct mesh_own *own, uint32_t published_max, uint32_t *lists);
void mesh_own_digest(const struct mesh *mesh, struct mesh_digest *ret);
void mesh_on_pull(struct mesh *mesh, struct mesh_node *node,
                  const struct mesh_message *message);
void mesh_serve_tick(struct mesh *mesh, struct mesh_node *node);
size_t mesh_write_range(struct mesh *mesh, struct mesh_node *node, uint8_t *buf);
size_t mesh_write_hashes(struct mesh *mesh, struct mesh_node *node, uint8_t *buf);
size_t mesh_write_delta(struct mesh *mesh, uint8_t *buf);

/* mesh_output.c */
void mesh_post(struct mesh *mesh, const uint8_t *bytes, size_t len, const uint64_t *to,
               unsigned count);

/* mesh_event.c */
void mesh_tell(struct mesh *mesh, enum mesh_event_kind kind,
               const struct mesh_node *node);
void mesh_tell_entry(struct mesh *mesh, enum mesh_event_kind kind, uint64_t node,
                     struct mesh_item *now, struct mesh_item *was);
bool mesh_has_room(const struct mesh *mesh);
void mesh_events_fini(struct mesh *mesh);

#endif
