/* SPDX-License-Identifier: Apache-2.0 */
/* watching.h - a lane's watches of names and groups (proa/group.h), of actors and clients.

   The control thread tells a lane by PUNT_CHANGED, for each watch in order: one SET, then every
   change, each under a version that grows.  It sends no members: they are read in the directory
   when the actor is told, and the version read says which changes are in them.  But the directory
   publishes a group later than its changes happen, so what is read may be older than a change that
   has come already.  Why nothing is told twice, nor missed all the same:

     1. A SET, or a change, of version v in the ring means: all changes up to v have happened.
     2. A watch that owes its actor a SET is DUE, with the newest version it has heard of: need.
        A change that comes meanwhile is not kept; need becomes its version.
     3. The SET goes into the mailbox only when the directory has published version need.  Readers
        never see an older one afterwards.  So the set that is read has every change not kept.
     4. Changes after that go into the mailbox, behind the SET, in their order.
     5. The set read, of version told, has all changes up to told and no other.  Those of the
        mailbox up to told are skipped, the others follow on it without a gap.

   DUE is looked at when a change comes, too, before need moves on: a publication covers all changes
   before it, so the first change after one finds the SET ready, however fast they come.

   Of a name the ring brings the holder; the watch remembers it, and step 3 waits for nothing.  ALL
   has no set: its SET says that some changes were missed.

   When WATCH_QUEUED_MAX changes of one watch wait, or those of all watches of the lane hold 1 /
   WATCH_SHARE of its memory for messages, or there is none left for one, the watch is DUE again: what
   comes is not kept, and when the mailbox has none of its changes left, a new SET follows.  So actors
   that do not read cost a bounded memory, of which others' messages keep the rest, and who watches
   is never wrong for good.  SETs, one a watch, do not count.

   What is read may be older than the SET is to be, if a reader had to give up on a group that kept
   coming and going: then nothing is told, and the SET is due once more.

   A watch ends with its actor or by proa_unwatch; its entry is used again when the control thread
   has been told, which is tried until its ring has room.  What still comes for it is dropped by
   its serial number.

   Threads: one lane.  Units: none.  Errors: NULL when PROA_WATCHES_MAX watches are there. */
#ifndef WATCHING_H
#define WATCHING_H

#include <proa/group.h>

#include "slot.h"

#define WATCH_QUEUED_MAX 1024u
#define WATCH_SHARE 8u     /* unread changes hold at most 1/8 of the slab's limit */
#define WATCH_TODO_MAX 64u /* entries looked at in one loop */
#define WATCH_RETRY (50 * PROA_US) /* between two looks at those that could not */
#define WATCH_BUCKETS 1024u        /* of entries by slot */
#define WATCH_NONE UINT32_MAX

enum watch_state {
    WATCH_FREE,
    WATCH_ASKED, /* the control thread has been told; its SET has not come */
    WATCH_DUE,   /* a SET is owed to the actor */
    WATCH_LIVE,  /* changes go into the mailbox */
    WATCH_ENDED, /* the control thread is to be told */
};

struct watching {
    uint32_t serial; /* of its present or last use */
    uint32_t slot, generation;
    uint32_t next, prev; /* of its bucket; next: of the free ones */
    uint32_t marked_next;
    uint32_t queued; /* nodes in the mailbox */
    uint8_t state;   /* enum watch_state */
    uint8_t what;    /* enum proa_watch_what */
    uint8_t len;     /* of name */
    bool marked;     /* in the list of those to look at */
    bool blank;      /* the actor has no set to which changes could be told */
    uint64_t need, told;
    struct proa_ref holder; /* of a name */
    char name[PROA_NAME_MAX + 1];
};

struct watching_table {
    struct watching *all; /* PROA_WATCHES_MAX */
    uint32_t fresh, free, in_use;
    uint32_t marked_first, marked_last, marked_count;
    proa_ns marked_at; /* when to look */
    uint64_t unread;   /* bytes of nodes in mailboxes, but for SETs */
    uint32_t buckets[WATCH_BUCKETS];
};

/* What a node in a mailbox holds, and a client's record (client_ring.h); of ALL the name follows,
   with its NUL. */
struct changed {
    uint32_t index, serial;
    uint64_t version;
    struct proa_ref ref;
    uint8_t kind; /* enum proa_change_kind */
    uint8_t is_group;
    uint8_t zero[6];
};

bool watching_table_init(struct watching_table *t);
void watching_table_fini(struct watching_table *t);

/* watching_read_set copies all of a group's members, those of silent nodes too, into memory of alloc
   (of `ctx`), *ret_refs, owned: NULL when there is none.  Online readers.  False without memory, or
   when what there is is older than version need: nothing is owned then. */
struct directory;
bool watching_read_set(const struct directory *dir, const char *name, size_t len,
                       uint64_t need, proa_ns now, void *(*alloc)(void *ctx, size_t size),
                       void (*release)(void *ctx, void *memory), void *ctx,
                       struct proa_ref **ret_refs, struct proa_members *ret);

#endif
