/* SPDX-License-Identifier: Apache-2.0 */
/* directory.h - the shared lookup tables: name -> reference, node -> liveness.

   One writer, the control thread.  Readers are lanes and clients; a read takes no lock, writes
   nothing shared and never waits.  A name is found only while its node is heard from: every
   entry points at its node's record, whose heard_until word any observer may move, so that the
   death of a node is one store and ends all its names at once.

   How a read is wait-free and still sees a value whole
   ----------------------------------------------------
   The table has slots of 32 bytes, probed one after the other from the first of the line that
   the name's 128-bit hash gives: key (the hash), value, and a word `meta` with state, node and type.  Key
   and value of a slot are written once, before its meta says LIVE or ABSENT, and not again
   until the slot has been retired and every reader has since been quiescent (qsbr.h).  So a
   reader that saw LIVE may read the rest at leisure.

     T1 store-release table  ->  T2 load-acquire table  a table is filled before it is read
     M1 store-release meta   ->  M2 load-acquire meta   a slot is written before it is read; the
                                                        new value before the old one is MOVED
     V1 store-release moves  ->  V2 load-acquire moves  see below
     N1 store-release index  ->  N2 load-acquire index  a node's record, the same way

   To change a value the writer fills another slot, and only then marks the old one MOVED.  A
   reader on its way down the probe that meets the MOVED slot either finds the new one further
   on, or the new one lies where the reader has already been.  For the second case the writer
   counts `moves` between the two steps, and a reader that found nothing but passed a MOVED slot
   scans again until `moves` stood still during a whole scan.  Each scan more takes a move by
   the writer; a move uses up a free slot, and no slot becomes free while a reader is between
   two quiescent points; so the number of scans is bounded.

   A remove marks the slot REMOVED; the reader goes on and finds nothing, which was true at that
   moment.  A grown table is filled aside and published by one store (T1); the old one no longer
   changes and is freed when the readers have left it.

   The hash is XXH3 (128 bits) with a random secret made from the seed: who does not know the
   secret cannot search for two names with one hash.  The writer keeps the names and refuses a
   second name with the same hash; a reader compares hashes only.

   Threads: functions say who.  Units: proa_ns; lengths in bytes.
   Errors:  enum proa_outcome for reads, bool for bounded writes.
   Bounds:  names_max names, of which DIRECTORY_ABSENT_SHARE may be absent ones;
            DIRECTORY_NODES_MAX nodes; while a reader is stuck, updates are refused once two
            tables full of old values wait for it.
   Memory:  what the writer unlinks is freed when every online reader has passed a quiescent
            point (directory_quiescent); offline readers do not hold it up. */
#ifndef DIRECTORY_H
#define DIRECTORY_H

#include <stdatomic.h>

#include <proa/outcomes.h>
#include <proa/types.h>

#define DIRECTORY_READERS_MAX (PROA_LANES_MAX + 256 + 8) /* lanes, clients, CLI */
#define DIRECTORY_NODES_MAX 65536                        /* nodes known at one time */
#define DIRECTORY_NAMES_MAX (1u << 27)                   /* largest names_max */
/* Absent names may be a quarter of names_max; then the oldest makes room for a new one. */
#define DIRECTORY_ABSENT_SHARE 4
/* Smaller steps of heard_until are not stored. */
#define DIRECTORY_HEARD_GRAIN (16 * PROA_MS)

struct directory;

/* ---- Life (control thread) ---- */

/* directory_create makes an empty directory for up to names_max names.  seed keys the hash.
   NULL without memory. */
struct directory *directory_create(uint32_t names_max, const uint8_t seed[32]);
void directory_destroy(struct directory *dir); /* no reader may be left */

/* ---- Readers ---- */

/* directory_reader_add gives a reader number, initially offline; -1 when all are taken.
   Any thread (atomic).  _remove gives it back (offline). */
int directory_reader_add(struct directory *dir);
void directory_reader_remove(struct directory *dir, int reader);

/* A reader is online from _online to _offline, and only then may read.  _quiescent: holds no
   pointer or result that depends on the tables; call once per loop.  A lane goes offline before
   it sleeps.  The reader's own thread only. */
void directory_online(struct directory *dir, int reader);
void directory_offline(struct directory *dir, int reader);
void directory_quiescent(struct directory *dir, int reader);

/* directory_lookup reads one name.  type 0 means any; else the behaviour's type id (an entry
   of unknown type has any).  OK: its node was heard from and ret_ref is set.  WRONG_TYPE: the
   same, of another type.  NOT_FOUND: known to be absent, or not here while all names are
   (directory_complete).  UNKNOWN: all else, also for a len outside 1..PROA_NAME_MAX.  Online
   readers. */
enum proa_outcome directory_lookup(const struct directory *dir, const char *name,
                                   size_t len, uint32_t type, proa_ns now,
                                   struct proa_ref *ret_ref);

/* The liveness word of one node: moments before *heard_until it counts as alive; 0 is dead. */
struct directory_node {
    uint64_t id;
    _Atomic uint64_t heard_until;
};

/* directory_node finds a node's record: NULL when unknown.  Online readers.  The pointer stays
   good until the control thread forgets the node (directory_node_forget). */
struct directory_node *directory_node(const struct directory *dir, uint64_t id);

/* directory_heard moves a node's word forward (never back, never from 0: only the writer
   revives, by directory_node_add), in steps of at least DIRECTORY_HEARD_GRAIN, so that lanes
   which hear the same node rarely write its line.  Any thread. */
void directory_heard(struct directory_node *node, proa_ns until);

/* ---- Writer (control thread) ---- */

/* directory_node_add makes or finds the record of node id, alive until `until`.
   NULL when DIRECTORY_NODES_MAX are known. */
struct directory_node *directory_node_add(struct directory *dir, uint64_t id,
                                          proa_ns until);
void directory_node_dead(struct directory *dir, uint64_t id); /* the one store */

/* directory_node_forget removes all names and memberships of node id and then its record, which
   another node may get once no published view has a member of it and the readers were quiescent.  Only after every link to it has ended: nobody may
   keep a pointer to the record.  False when the node is not known. */
bool directory_node_forget(struct directory *dir, uint64_t id);

/* directory_put publishes name -> ref (type id of its behaviour, 0 unknown); readers see the old
   or the new value, whole.  False: the node was not added, the directory is full, or another
   name has the same hash (each counted). */
bool directory_put(struct directory *dir, const char *name, size_t len,
                   struct proa_ref ref, uint32_t type, proa_ns now);
/* directory_put_absent publishes that name is known to be absent until `until`.  False as
   above.  Each put forgets up to two absent names whose time is over. */
bool directory_put_absent(struct directory *dir, const char *name, size_t len,
                          proa_ns until);
/* directory_remove forgets name (readers then get UNKNOWN, or NOT_FOUND).  False when it was not there. */
bool directory_remove(struct directory *dir, const char *name, size_t len);
/* directory_remove_ref forgets name only if it still means ref. */
bool directory_remove_ref(struct directory *dir, const char *name, size_t len,
                          struct proa_ref ref);
/* directory_holder says what the directory has of name, its node alive or not.  False: nothing, or
   absent; *ret_ref is then untouched. */
bool directory_holder(struct directory *dir, const char *name, size_t len,
                      struct proa_ref *ret_ref);
/* directory_reclaim frees what no reader can hold any more; call now and then. */
void directory_reclaim(struct directory *dir);

/* directory_each calls fn for each name (writer thread; for ls and telemetry); stops on false. */
struct directory_entry {
    const char *name;
    size_t len;
    struct proa_ref ref;
    uint32_t type;
    enum proa_outcome state; /* OK, NOT_FOUND (absent), UNKNOWN (node silent) */
};
void directory_each(const struct directory *dir, proa_ns now,
                    bool (*fn)(void *ctx, const struct directory_entry *entry),
                    void *ctx);

struct directory_stats {
    uint64_t names;      /* known now, absent ones included */
    uint64_t absent;     /* of these */
    uint64_t nodes;      /* known now */
    uint64_t puts;       /* values published */
    uint64_t removes;    /* names forgotten */
    uint64_t full;       /* refused: no room */
    uint64_t collisions; /* refused: another name has this hash */
    uint64_t no_node;    /* refused: the node was not added */
    uint64_t rehashes;   /* tables made */
    uint64_t reclaimed;  /* slots, tables and nodes freed after their readers left */
    uint64_t pending;    /* waiting for readers */
};
void directory_stats(const struct directory *dir, struct directory_stats *ret);

#endif
