/* SPDX-License-Identifier: Apache-2.0 */
/* monitor.h - the table of a lane's monitors: who watches whom.

   A monitor has two entries, one with the watcher and one with the watched, also when both live
   on one lane.  An entry belongs to one actor of this lane and is in that slot's list.  Entries
   whose other end is on another node are also in a bucket, by that node (WATCH) or by the link
   that brought them (WATCHED), so that the end of one finds them.  What must be told, and
   cannot be now, waits in one queue: an entry that has left its slot's list.

   Threads: one lane.  Units: none.
   Errors:  NULL when PROA_MONITORS_MAX entries are in use. */
#ifndef MONITOR_H
#define MONITOR_H

#include <proa/life.h>

#include "slot.h"
#include "watch.h"

#define MONITOR_NONE UINT32_MAX
#define MONITOR_BUCKETS 1024u

enum monitor_kind {
    MONITOR_FREE,
    MONITOR_WATCH,     /* other is watched by slot */
    MONITOR_WATCHED,   /* other watches slot */
    MONITOR_DELIVERED, /* its DOWN waits in slot's mailbox */
    /* In the queue: */
    MONITOR_TELL_DOWN,      /* other is to be told of slot's end */
    MONITOR_TELL_DEMONITOR, /* other is to be told that slot watches no more */
    MONITOR_LOST,           /* slot is to be told that other's node is lost */
};

/* One end of a monitor: a cache line. */
struct monitor {
    struct proa_ref other;
    uint32_t slot; /* of the actor of this lane, as in references */
    uint32_t serial;
    uint32_t next, prev; /* of the slot; in the queue: next */
    uint8_t kind, flags; /* enum monitor_kind; WATCH_LINK, WATCH_DIED, WATCH_UNLINK */
    uint8_t reason;      /* enum proa_reason, in the queue */
    uint8_t in_bucket;
    int32_t code;
    uint32_t bucket_next, bucket_prev;
    uint32_t index, peer_serial; /* WATCHED, TELL_DOWN: the watcher's entry */
    union {
        uint32_t tag;        /* WATCHED: of the link that brought it */
        uint32_t generation; /* in the queue: of slot */
    };
    uint32_t now; /* TELL_DOWN: generation of slot's new life; 0: none */
};

_Static_assert(sizeof(struct monitor) == PROA_CACHE_LINE, "one cache line");

struct monitor_table {
    struct monitor *all;
    uint32_t max, fresh, free, in_use;
    uint32_t queue_first, queue_last, queued;
    uint32_t buckets[MONITOR_BUCKETS];
    uint64_t seed;
};

bool monitor_table_init(struct monitor_table *t, uint32_t max, uint64_t seed);
void monitor_table_fini(struct monitor_table *t);

static inline uint32_t monitor_index(const struct monitor_table *t,
                                     const struct monitor *m)
{
    return (uint32_t)(m - t->all);
}

/* monitor_alloc takes an entry of slot and joins it to its list; slot NULL: to none. */
struct monitor *monitor_alloc(struct monitor_table *t, struct slot *slot,
                              uint32_t slot_id, enum monitor_kind kind);

/* monitor_leave takes it out of its slot's list and of its bucket, where it is in them;
   monitor_free also gives it back. */
void monitor_leave(struct monitor_table *t, struct slot *slot, struct monitor *m);
void monitor_free(struct monitor_table *t, struct slot *slot, struct monitor *m);

/* monitor_delivered makes it a DELIVERED one: in its slot's list, in no bucket. */
void monitor_delivered(struct monitor_table *t, struct monitor *m);

/* monitor_find is the entry of slot that an id means, NULL when it is spent. */
struct monitor *monitor_find(struct monitor_table *t, struct proa_monitor id,
                             uint32_t slot_id);

/* monitor_bucket_add puts a WATCH into the bucket of other's node, a WATCHED into that of its tag.
   The bucket's first entry (others may be among them), and the next by bucket_next. */
void monitor_bucket_add(struct monitor_table *t, struct monitor *m);
struct monitor *monitor_bucket_first(const struct monitor_table *t,
                                     enum monitor_kind kind, uint64_t node_or_tag);
struct monitor *monitor_at(const struct monitor_table *t, uint32_t index); /* or NULL */

/* monitor_tag is what an entry remembers of a link's id. */
uint32_t monitor_tag(uint64_t link);

/* monitor_rejoin puts one that has left the queue back into slot's list. */
void monitor_rejoin(struct monitor_table *t, struct slot *slot, struct monitor *m);

/* The queue of those to be told; the entry has left its slot. */
void monitor_queue(struct monitor_table *t, struct monitor *m, enum monitor_kind kind);
struct monitor *monitor_dequeue(struct monitor_table *t);

#endif
