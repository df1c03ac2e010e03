/* SPDX-License-Identifier: Apache-2.0 */
/* mesh.h - linked registries: every node knows all that every other has published.

   One struct mesh is a node's end of it, as a state machine without I/O.  Each node is the only
   writer of its own set: UNIQUE names it holds and memberships of its actors, each entry under an
   index, each change under the next version.  Nobody passes on what others published.

   Two nodes are linked once both have had the other's HELLO.  Then each tells the other whom it is linked
   with, so one neighbour is enough: the others follow.  The receiver of a set asks for it, range by
   range (the snapshot), gets changes as they happen (deltas), and once a second a digest of all of it;
   where that differs it asks for the ranges that do.  So nothing depends on any one message: what is
   lost, repeated or late is mended by the next digest, and the receiver alone says how much is under
   way.  The transport (links, in order and reliable while they live) makes that rare.  HELLO goes only
   to nodes of which mesh_met or a HELLO told.  Formats: docs/wire_mesh.md.

   Liveness is the caller's: mesh_down ends a node's entries.  Until a node is forgotten it is tried
   again, every second at first and later more seldom, since it may be behind a partition.

   Threads: one struct mesh belongs to one thread; nothing here is atomic.
   Units:   proa_ns monotonic; bytes.
   Errors:  MESH_E_ values are positive; events tell the rest.
   Memory:  mesh_size bytes given to mesh_init; entries by the caller's alloc, bounded by entries_max
            and published_max.  A quarter of entries_max is kept in equal parts for each of
            nodes_max, so that nobody takes the room of all others.  Beside the entries (81 bytes
            and the name) there are the leaves of their sets, 1,040 bytes each, entries_max / 16 +
            4 * nodes_max at most, and 9 KB a node.  Without room or memory an entry is refused
            and counted, and asked for again: when there is room, after 10 s at first, twice as
            long each time, up to 320 s; without room after 320 s. */
#ifndef PROA_DHT_MESH_H
#define PROA_DHT_MESH_H

#include <proa/types.h>

#include "kad_id.h"

#define MESH_MESSAGE_MAX                                                                 \
    1100 /* bytes of a message: in one packet at the least MTU, 1,280, with IPv6 */
#define MESH_NODES_MAX 1024    /* largest nodes_max */
#define MESH_NODES_DEFAULT 256 /* in larger clusters Kademlia finds the rest */
#define MESH_PUBLISHED_MAX                                                               \
    65536 /* largest, and usual, published_max: an index has 16 bits */
#define MESH_ENTRIES_DEFAULT 1048576 /* of all other nodes together */
#define MESH_DIGEST_EVERY PROA_S
#define MESH_BATCH PROA_MS /* changes within it share a message; the first goes at once */
#define MESH_TO_MAX 64     /* nodes one output goes to */

struct mesh;

struct mesh_config {
    struct kad_id self;
    struct proa_addr address; /* where others reach this node */
    uint32_t nodes_max;       /* linked, this one included; 0 = MESH_NODES_DEFAULT */
    uint32_t published_max;   /* own entries; 0 = MESH_PUBLISHED_MAX */
    uint32_t entries_max;     /* others' entries; 0 = MESH_ENTRIES_DEFAULT */
    uint64_t seed;
    void *(*alloc)(void *ctx, size_t size); /* NULL when there is none */
    void (*free)(void *ctx, void *memory, size_t size);
    void *alloc_ctx;
};

size_t mesh_size(const struct mesh_config *config); /* a multiple of 64 */
struct mesh *mesh_init(void *memory, const struct mesh_config *config, proa_ns now);
void mesh_fini(struct mesh *mesh); /* gives all entries back */

/* ---- Nodes ---- */

enum mesh_result {
    MESH_OK = 0,
    MESH_E_OWN,     /* the address or id is this node's */
    MESH_E_KNOWN,   /* it is linked, or being linked, already */
    MESH_E_FULL,    /* nodes_max are known, or 16 neighbours are being looked for */
    MESH_E_UNKNOWN, /* no such node */
};

/* mesh_add names a neighbour by its address (configuration, API, CLI).  MESH_RESOLVE asks the caller to
   find out who is there; mesh_met answers.  Takes back mesh_remove of who is found there.
   MESH_E_OWN, _KNOWN, _FULL. */
enum mesh_result mesh_add(struct mesh *mesh, const struct proa_addr *addr, proa_ns now);

/* mesh_forget stops looking for a neighbour that was named by this address.  MESH_E_UNKNOWN. */
enum mesh_result mesh_forget(struct mesh *mesh, const struct proa_addr *addr);

/* mesh_remove unlinks a node (node: kad_id_node64 of its id): it is told, its entries go, and
   neither side links again by itself, until mesh_add.  MESH_E_UNKNOWN. */
enum mesh_result mesh_remove(struct mesh *mesh, uint64_t node, proa_ns now);

/* mesh_met: an authentic packet of this node came from addr (any source).  A new one is linked.  Costs
   little for one that is linked: call it for any packet that is not a message of the mesh. */
void mesh_met(struct mesh *mesh, const struct kad_id *id, const struct proa_addr *addr,
              proa_ns now);

/* mesh_down: the node is dead as seen from here; gone: for good (left, or another life answers). */
void mesh_down(struct mesh *mesh, uint64_t node, bool gone, proa_ns now);

/* mesh_leave says good-bye to all linked nodes: drain mesh_output once more. */
void mesh_leave(struct mesh *mesh, proa_ns now);

/* ---- Own entries ---- */

enum mesh_kind { MESH_NAME = 1, MESH_MEMBER = 2 };

struct mesh_entry {
    uint64_t node;    /* whose */
    uint64_t version; /* of its last change */
    uint32_t index;   /* < MESH_PUBLISHED_MAX */
    uint32_t slot, generation;
    uint32_t type;            /* type id of the behaviour */
    uint64_t term;            /* NAME */
    uint64_t issued;          /* NAME: as in its record (record.h) */
    uint64_t claim;           /* NAME */
    uint8_t kind;             /* enum mesh_kind */
    uint8_t len;              /* of name, 1..PROA_NAME_MAX */
    char name[PROA_NAME_MAX]; /* of the name or the group; no NUL behind */
};

#define MESH_NONE UINT32_MAX

/* mesh_publish adds an entry (node, version and index are set by it) and returns its index, MESH_NONE
   when published_max are there.  mesh_republish changes all of an entry but kind and name (another
   life, another term).  mesh_withdraw removes it; its index is used again once that has been sent.
   Others see the changes in their order.  Several of one entry within MESH_BATCH are one there: one that
   came and went at once is not seen. */
uint32_t mesh_publish(struct mesh *mesh, const struct mesh_entry *entry, proa_ns now);
void mesh_republish(struct mesh *mesh, uint32_t index, const struct mesh_entry *entry,
                    proa_ns now);
void mesh_withdraw(struct mesh *mesh, uint32_t index, proa_ns now);

/* ---- Messages ---- */

/* mesh_input takes a message that came over a link from node (its id is the link's, so authentic).
   False when it was dropped (counted): malformed, or of a node that is not known. */
bool mesh_input(struct mesh *mesh, uint64_t node, const uint8_t *bytes, size_t len,
                proa_ns now);

/* mesh_output writes the next message into buf (MESH_MESSAGE_MAX bytes) and the nodes it goes to into
   to (MESH_TO_MAX of them), their number into *ret_to.  0: there is none.  Call until 0 after every
   call above and below. */
size_t mesh_output(struct mesh *mesh, uint8_t *buf, uint64_t *to, unsigned *ret_to);

void mesh_tick(struct mesh *mesh, proa_ns now);
proa_ns mesh_deadline(const struct mesh *mesh);

/* ---- Loads of members (IDLE_FIRST, LEAST_LOADED) ---- */

struct mesh_load {
    uint16_t index; /* of the owner's entry */
    uint16_t
        load; /* messages in its mailbox, the one that runs included; 65,535: that or more */
};

/* mesh_want_loads asks all linked nodes to report, for the next 3 s, the loads of their members of
   group.  mesh_loads reports some to some nodes (MESH_LOADS_WANTED said who); up to 256 a call. */
void mesh_want_loads(struct mesh *mesh, const char *group, size_t len, proa_ns now);
void mesh_loads(struct mesh *mesh, const uint64_t *nodes, unsigned node_count,
                const struct mesh_load *loads, unsigned count, proa_ns now);

/* ---- Groups of nodes that are not linked (above nodes_max) ---- */

#define MESH_REFS_MAX 64 /* of one answer's part */

/* mesh_ask asks a node, linked or not, for its own members of group; serial is echoed.  The answer
   comes in parts; for MESH_ASK_LEASE the node answers again when they change. */
#define MESH_ASK_LEASE (30 * PROA_S)
void mesh_ask(struct mesh *mesh, uint64_t node, uint32_t serial, const char *group,
              size_t len, proa_ns now);
struct mesh_ref {
    uint32_t slot, generation, type;
};
void mesh_answer(struct mesh *mesh, uint64_t node, uint32_t serial,
                 const struct mesh_ref *refs, unsigned count, bool more, proa_ns now);

/* ---- Events ---- */

enum mesh_event_kind {
    MESH_RESOLVE =
        1, /* addr, node (whom to expect there, 0: a neighbour nobody met): who is there?
                          Ping it, answer by mesh_met; another than was expected: mesh_down of the
                          expected, gone, before it */
    MESH_UNREACHABLE, /* addr, node (0: not known): a neighbour that was named does not answer for
                          10 s; at most once a minute */
    MESH_LINKED, /* node, addr: HELLOs were exchanged */
    MESH_SYNCED, /* node: all it had published when it linked is known here */
    MESH_UNLINKED, /* node: left, dead or removed.  mesh_name and mesh_entry_at do not find its entries
                      any more; its REMOVEDs follow, of all such nodes 4,096 from tick to tick */
    MESH_REFUSED, /* node, addr: nodes_max are linked, here or there.  Node is this one itself: the
                          neighbour named by addr is, and is not looked for any more */
    MESH_ADDED,        /* entry */
    MESH_CHANGED,      /* entry, was: the same index, kind and name with other contents */
    MESH_REMOVED,      /* entry */
    MESH_LOADS,        /* node, loads, count */
    MESH_LOADS_WANTED, /* node, group, len: report for 3 s */
    MESH_ASKED, /* node, serial, group, len: answer, also on changes, for MESH_ASK_LEASE */
    MESH_ANSWERED, /* node, serial, refs, count, more */
};

struct mesh_event {
    enum mesh_event_kind kind;
    uint64_t node;
    struct proa_addr addr;
    const struct mesh_entry
        *entry; /* until the next call to this mesh; so are the next five */
    const struct mesh_entry *was;
    const char *group;
    const struct mesh_load *loads;
    const struct mesh_ref *refs;
    unsigned count;
    uint32_t serial;
    uint8_t len;
    bool more;
};

/* mesh_event takes the next one out; false when there is none, or when the rest has to wait for the next
   mesh_tick (mesh_deadline is then now).  Call until false after every call that takes `now`: none is
   lost.  While too many wait, mesh_input drops what comes (overflow). */
bool mesh_event(struct mesh *mesh, struct mesh_event *ret_event);

/* mesh_is_dropping: REMOVEDs of nodes that are not linked any more wait. */
bool mesh_is_dropping(const struct mesh *mesh);

/* ---- For the caller ---- */

/* mesh_name is the entry of a UNIQUE name that wins among all other nodes' (higher term, then smaller
   claim, then smaller id), NULL when no linked node has it.  Until it is called again, or anything that
   changes the mesh. */
const struct mesh_entry *mesh_name(const struct mesh *mesh, const char *name, size_t len);

/* mesh_entry_at is what a linked node has at an index, NULL: nothing.  Valid as mesh_name's. */
const struct mesh_entry *mesh_entry_at(const struct mesh *mesh, uint64_t node,
                                       uint32_t index);

/* mesh_beats: does entry a (of id order node) win against b?  The same rule. */
bool mesh_beats(const struct mesh_entry *a, const struct mesh_entry *b);

/* mesh_complete: every node met and alive is linked and synced, and none was refused.  Neighbours that
   were named and nodes others are linked with count for 10 s, until they are met. */
bool mesh_complete(const struct mesh *mesh);

enum mesh_state {
    MESH_CALLING,   /* HELLO goes, none has come */
    MESH_SYNCING,   /* linked; its set is not complete here */
    MESH_LINKED_UP, /* linked and synced */
    MESH_LOST,      /* dead; tried again */
    MESH_CUT,       /* removed by mesh_remove, here or there */
    MESH_TOO_MANY,  /* refused: nodes_max */
};

struct mesh_node_info {
    uint64_t node;
    struct kad_id id;
    struct proa_addr addr;
    enum mesh_state state;
    uint32_t names, members; /* of its entries known here */
    uint64_t version;
};
/* mesh_nodes copies what is known of up to max nodes, and returns how many it wrote. */
unsigned mesh_nodes(const struct mesh *mesh, struct mesh_node_info *ret, unsigned max);

struct mesh_stats {
    uint64_t rx, tx, rx_bytes, tx_bytes; /* messages, once for each node */
    uint64_t malformed, unknown_node;    /* dropped */
    uint64_t refused;                    /* entries: entries_max or no memory */
    uint64_t
        conflicts; /* messages of our own id, HELLOs and links of our own address or one another
                              live node has */
    uint64_t overflow; /* LOADS, questions and answers nobody took out; messages that came
                              before the events of others were fetched */
    uint64_t deltas, digests, mismatches, pulls, ranges, resyncs;
    uint32_t nodes, linked, own, entries; /* now */
};
void mesh_stats(const struct mesh *mesh, struct mesh_stats *ret);

#endif
