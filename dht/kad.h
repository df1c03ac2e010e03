/* SPDX-License-Identifier: Apache-2.0 */
/* kad.h - the actor registry's Kademlia node, as a state machine without I/O.

   A struct kad reads no clock, opens no socket and starts no thread.  The caller hands it
   datagrams and the time; it hands back datagrams to send, events, and the next moment it wants
   to be called.  Two nodes given the same calls do the same things.

   Closed mode: every datagram carries the cluster's MAC (envelope.h); what does not is dropped,
   unanswered, and changes nothing.  Formats: docs/wire_dht.md.  What a name, a claim and a
   watch mean: docs/registry.md.

   Threads: one struct kad belongs to one thread; nothing here is atomic.
   Units:   proa_ns monotonic; wall_ms milliseconds since 1970 (hybrid clock, freshness only).
            A call with an older moment than one before happens at that one's.
   Errors:  enum proa_outcome in events; 0 or false from functions.
   Memory:  all of it given to kad_init; every table has a named bound.  Tables are touched as
            they fill, so a large store_max costs address space only. */
#ifndef PROA_DHT_KAD_H
#define PROA_DHT_KAD_H

#include <proa/outcomes.h>
#include <proa/types.h>

#include "identity.h"
#include "kad_id.h"
#include "record.h"

#define KAD_PACKET_MAX                                                                   \
    1400 /* bytes of a datagram of ours.  Source: fits 1,500 with IPv6 */
#define KAD_SEEDS_MAX 16
#define KAD_OPS_MAX 1024 /* operations of the caller under way */
#define KAD_PEERS_MAX 64 /* endpoints of one answer.  Source: BEP 5's implementations */
#define KAD_NAMES_MAX 65536 /* own registrations.  Source: registry.md, "Published" */

struct kad;

struct kad_config {
    const struct identity *self;     /* this boot's key; copied */
    const struct cluster_keys *keys; /* copied */
    struct proa_addr address;        /* where others reach us: goes into records */
    struct proa_addr seeds[KAD_SEEDS_MAX];
    unsigned seed_count; /* 0: this node is the first of its cluster.  address among the
                              seeds is left out */
    uint64_t seed;       /* of all randomness, together with self's secret key */
    uint32_t store_max; /* records kept for others; 0 = 65,536.  A quarter of them for one
                              owner, half for one IP address, but at least 64 */
    uint32_t names_max; /* own names; 0 = 4,096 */
    uint32_t watches_max; /* watches given and held, so many of each; 0 = 4,096 */
    uint32_t
        peers_max; /* endpoints of group members kept for others; 0 = 8,192.  A quarter
                              of them, but at least 64, for one IP address */
    uint32_t contacts_max; /* nodes known; 0 = 1,024 */
    uint32_t ops_max; /* operations under way; 0 = KAD_OPS_MAX, which is also the most */
    uint32_t walks_max; /* of them that walk at once, the others wait; 0 = 64 */
    uint16_t epoch;     /* of the cluster's secret (envelope.h) */
};

/* kad_size returns the bytes that kad_init needs, a multiple of 64; the memory must be 64-aligned
   and need not be cleared.  kad_init takes it for the life of the node; there is nothing to
   release but it.  Its datagrams and events wait at once: drain them. */
size_t kad_size(const struct kad_config *config);
struct kad *kad_init(void *memory, const struct kad_config *config, proa_ns now,
                     uint64_t wall_ms);

/* kad_input hands in one received datagram; pkt is only read, during the call.  Returns false when
   it was dropped (counted). */
bool kad_input(struct kad *kad, const struct proa_addr *from, const uint8_t *pkt,
               size_t len, proa_ns now, uint64_t wall_ms);

/* kad_output writes the next datagram into buf (KAD_PACKET_MAX bytes) and its destination into
   *ret_to; 0 when there is none.  Call until 0 after every input, tick and operation: what does not
   fit the outbox is dropped (tx_dropped) or tried again later. */
size_t kad_output(struct kad *kad, uint8_t *buf, struct proa_addr *ret_to);

/* kad_tick does what is due; early calls are harmless.  kad_deadline is when it wants the next,
   and changes with every call to the node. */
void kad_tick(struct kad *kad, proa_ns now, uint64_t wall_ms);
proa_ns kad_deadline(const struct kad *kad);

/* ---- Operations.  Each returns a number > 0 that its one event carries, or 0, and then there is
   none, when ops_max are under way or an argument is out of range.  deadline is a moment; by then
   the event has come.  The event may wait already when the call returns.  While the node has not
   joined, operations wait. ---- */

/* kad_register claims name for the actor slot/generation (not 0) of this node.  KAD_REGISTERED: OK
   with the term, ALREADY_REGISTERED with the holder's record (also when this node holds or is
   claiming it), NO_QUORUM or NOT_JOINED at the deadline.  0 also when names_max are held, the name
   is not UTF-8 of 1 to 255 bytes, the address is none, or the node is leaving. */
uint32_t kad_register(struct kad *kad, const char *name, size_t len, uint32_t slot,
                      uint32_t generation, uint32_t type, proa_ns deadline, proa_ns now);

/* kad_reissue says that a name held by this node is now that of another actor here, or of another
   life of the same: the same claim and term, issued anew; storers and watchers are told.  False
   when it is not held. */
bool kad_reissue(struct kad *kad, const char *name, size_t len, uint32_t slot,
                 uint32_t generation, proa_ns now);

/* kad_held tells what this node's claim of name says (record.h).  False when it holds it not. */
struct kad_claim_info {
    uint64_t term, issued, claim;
    uint32_t slot, generation;
};
bool kad_held(const struct kad *kad, const char *name, size_t len,
              struct kad_claim_info *ret);

/* kad_yield gives an own name up to a better claim that the caller heard of by other means: this
   node holds it no longer, without tombstone and without KAD_NAME_LOST.  Storers that ask are told
   so and take the winner's record; until it comes they return this node's.  A claim under way is
   not affected.  False when not held. */
bool kad_yield(struct kad *kad, const char *name, size_t len, proa_ns now);

/* kad_renew is the winner's part: its record is put at once where storers lack it.  False when the
   name is not held. */
bool kad_renew(struct kad *kad, const char *name, size_t len, proa_ns now);

/* kad_is_contended: a claim that beats this node's of name was heard of and is not known to have
   been taken back; or this node does not hold it. */
bool kad_is_contended(const struct kad *kad, const char *name, size_t len);

/* kad_unregister gives name up: tombstone to storers, notices to watchers.  False when it is not
   held by this node (a claim under way is not). */
bool kad_unregister(struct kad *kad, const char *name, size_t len, proa_ns now);

/* kad_lookup looks a name up: all of the 8 closest nodes are heard, or fast: the first valid record
   whose owner lives, which may be one this node stores itself.  The owner is pinged unless
   heard within 10 s.  KAD_LOOKED_UP: OK; NOT_FOUND, when the closest live nodes answered and have
   none; UNKNOWN, with the record if there is one, when its owner is silent or the deadline came
   first; NOT_JOINED. */
uint32_t kad_lookup(struct kad *kad, const char *name, size_t len, bool fast,
                    proa_ns deadline, proa_ns now);

/* kad_watch watches name, which may be absent: KAD_CHANGED for the present record, if any, and for
   each change, until kad_unwatch.  One watch per name; further calls count references and have the
   present record told again.  Of changes that came before the event was fetched only the last is
   told.  False when watches_max are held. */
bool kad_watch(struct kad *kad, const char *name, size_t len, proa_ns now);
void kad_unwatch(struct kad *kad, const char *name, size_t len, proa_ns now);

/* kad_find_node finds the endpoint of the node whose id begins with node (kad_id_node64).  KAD_NODE:
   OK with id and addr: it answered just now; NO_ROUTE. */
uint32_t kad_find_node(struct kad *kad, uint64_t node, proa_ns deadline, proa_ns now);

/* kad_announce says that this node has members of the group infohash stands for (kad_id_of_group):
   the 8 closest nodes keep its address and port for 30 min, so call it again every 15.  It cannot be
   taken back: who asks this node hears the truth.  KAD_ANNOUNCED: OK, when more than half of them keep
   it; NO_QUORUM or NOT_JOINED at the deadline.  0 also when the address is none or the node is
   leaving. */
uint32_t kad_announce(struct kad *kad, const struct kad_id *infohash, proa_ns deadline,
                      proa_ns now);

/* kad_get_peers finds nodes that announced it, this one left out.  KAD_PEERS: OK with up to
   KAD_PEERS_MAX peers, which may be dead or lie; of more a random part.  Those that more nodes told of
   come first, and no node adds more than 8 that no other told of.  It takes a whole walk.  NOT_FOUND,
   when the closest live nodes answered and know of none; UNKNOWN, when none was found by the deadline;
   NOT_JOINED. */
uint32_t kad_get_peers(struct kad *kad, const struct kad_id *infohash, proa_ns deadline,
                       proa_ns now);

/* kad_heard: a link or registry heard this node (authentic): its contact is fresh; one that is not
   known yet is pinged.  Makes no KAD_HEARD of its own. */
void kad_heard(struct kad *kad, const struct kad_id *id, const struct proa_addr *addr,
               proa_ns now);

/* kad_meet finds out who is at an address: whoever proves its key there within a second is told as
   KAD_HEARD with id and addr, also when it was heard less than a second ago.  Silence makes no event.
   False when it is this node's own address or none, or when there is no room: try again.  A
   third of the questions that may be under way are such ones at the most, so that operations go on. */
bool kad_meet(struct kad *kad, const struct proa_addr *addr, proa_ns now);

/* kad_leave begins to leave: tombstones for all own names, contacts told.  Go on with input, output
   and tick until kad_left: all is acked, or 500 ms passed. */
void kad_leave(struct kad *kad, proa_ns now);
bool kad_left(const struct kad *kad, proa_ns now);

/* kad_joined: a seed answered and the way to this node's neighbours was walked, or there are no
   seeds.  It stays true. */
bool kad_joined(const struct kad *kad);

enum kad_event_kind {
    KAD_JOINED = 1, /* once */
    KAD_REGISTERED, /* op, outcome, term; record, id, addr, alive of the holder */
    KAD_LOOKED_UP,  /* op, outcome, record, alive; id and addr of the owner */
    KAD_CHANGED, /* a watched name: record (name or tombstone), alive; id, addr of the owner */
    KAD_NAME_LOST, /* an own name went to a better claim: record of the winner */
    KAD_NODE,      /* op, outcome, id, addr */
    KAD_ANNOUNCED, /* op, outcome */
    KAD_PEERS,     /* op, outcome, peers, peer_count */
    KAD_HEARD, /* id, addr: an authentic datagram came from this contact (at most one per
                       node and second) */
    KAD_SILENT, /* id, addr: a contact failed 3 times and was dropped, left, or its endpoint
                       answers for another id now */
};

struct kad_event {
    enum kad_event_kind kind;
    uint32_t op;
    enum proa_outcome outcome;
    bool alive; /* the record's owner was heard within 10 s, or answered our ping */
    uint64_t term;
    struct kad_id id;
    struct proa_addr addr;
    const struct proa_addr *peers; /* until the next call to this node */
    uint32_t peer_count;
    struct record record; /* its name is inside; kind 0: there is none */
};

/* kad_event takes the next event out; false when there is none.  Results of operations, lost names
   and changes are never lost, however late they are fetched; of KAD_HEARD and KAD_SILENT 256
   are kept (events_lost). */
bool kad_event(struct kad *kad, struct kad_event *ret_event);

struct kad_stats {
    uint64_t rx, tx, rx_dropped_mac, rx_dropped_old, rx_malformed;
    uint64_t rx_unexpected;    /* answers to nothing, own datagrams sent back */
    uint64_t rx_limited;       /* over a rate: newcomers, signatures */
    uint64_t queries, answers; /* asked of us; answered by us */
    uint64_t timeouts;         /* questions of ours that nobody answered */
    uint64_t lookups;          /* walks begun */
    uint64_t puts, gets, stored, refused, notifies, watches; /* asked of us */
    uint32_t contacts, records, names, ops, peers;           /* at present */
    uint64_t announces, peers_replaced; /* asked of us; dropped for others, at a bound */
    uint64_t peers_senseless; /* endpoints we were answered that cannot be any node's */
    uint64_t tx_dropped; /* the outbox was full: the caller did not call kad_output */
    uint64_t
        handed_over;   /* records put to newcomers and where a sweep found them lacking */
    uint64_t verified; /* signatures checked, of records and key proofs */
    uint64_t events_lost; /* KAD_HEARD and KAD_SILENT that were not fetched in time */
};
void kad_stats(const struct kad *kad, struct kad_stats *ret);

/* For `proa cluster` and tests: contacts in the table, nearest first.  Returns how many. */
struct kad_contact_info {
    struct kad_id id;
    struct proa_addr addr;
    proa_ns heard_at, srtt; /* srtt 0: not measured */
};
unsigned kad_contacts(const struct kad *kad, struct kad_contact_info *ret, unsigned max);

#endif
