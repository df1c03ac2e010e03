/* SPDX-License-Identifier: Apache-2.0 */
/* slot.h - the table of a lane's actors.

   One slot is two cache lines: what a message touches, and the rest.  The table is one piece of
   memory for actors_max slots, of which the operating system gives only what was used.

   Generations start at a random value per slot and grow by one with each life, so a reference
   means one life only; a slot whose generations have all been used is retired.  A free slot's
   generation is 0, which no valid reference has, so that finding an actor is one comparison.

   Threads: one lane.  Units: none.
   Errors:  NULL when the table is full. */
#ifndef SLOT_H
#define SLOT_H

#include <stdalign.h>

#include <proa/actor.h>

#include "behaviour.h"
#include "mailbox.h"

#define SLOT_NONE UINT32_MAX
#define SLOT_INDEX_MAX 0x00ffffffu
#define SLOT_FULL_MAX 14u /* nodes a full mailbox remembers */

enum slot_state {
    SLOT_FREE,
    SLOT_STARTING, /* start is running */
    SLOT_LIVE,
    SLOT_ENDING, /* stop has run; what is queued is being refused */
};

/* Bits of slot.flags. */
#define SLOT_READY 0x01u   /* in the ready queue */
#define SLOT_RUNNING 0x02u /* a callback of it is on the stack */
#define SLOT_STOP 0x04u    /* proa_stop was called */
#define SLOT_MEMBER 0x08u  /* of a group: its load is kept, its mailbox.capacity is 0 */
#define SLOT_NAMED 0x10u   /* may have names: tell the control thread at its end */
#define SLOT_CLIENT 0x20u  /* stands for an ordinary thread (client_lane.h) */
#define SLOT_CHILD 0x80u   /* has a supervisor (family.h) */
#define SLOT_TELL 0x40u    /* somebody waits for its mailbox to drain (full) */

/* Bits of slot.marks. */
#define SLOT_MARK_JOIN                                                                   \
    0x01u /* its membership of its type's group is to be told (joins.h) */
#define SLOT_MARK_WATCHES 0x02u /* it has watches (watching.h) */
#define SLOT_MARK_STARTED 0x80u /* start returned 0: stop is to be called */

/* Whom to tell when a full mailbox has drained. */
struct slot_full {
    uint64_t lanes; /* bit per lane of this node */
    uint32_t count;
    uint32_t zero;
    uint64_t nodes[SLOT_FULL_MAX];
};

struct proa_client;
struct family;

struct slot {
    /* What a message touches. */
    alignas(PROA_CACHE_LINE) uint32_t generation; /* 0: free */
    uint8_t state;                                /* enum slot_state */
    uint8_t flags;                                /* SLOT_ */
    uint16_t tokens;                              /* reply tokens held */
    struct mailbox mailbox;
    struct behaviour *behaviour;
    void *mem; /* the actor's state */

    /* The rest. */
    uint32_t next_generation;
    uint32_t asks, timers, token_list; /* first of each, or SLOT_NONE */
    uint32_t wait_next, wait_prev;     /* among those that got AGAIN */
    uint32_t wait_key;
    uint8_t wait_mask; /* enum wait_kind; 0: not among them */
    uint8_t reason;    /* enum proa_reason of its end */
    uint8_t marks;     /* SLOT_MARK_ */
    uint8_t zero;
    struct slot_full *full;
    struct proa_client *client; /* SLOT_CLIENT */
    uint32_t monitors;          /* first of its monitors (monitor.h), or SLOT_NONE */
    int32_t code;               /* of its end, when reason is FAILED */
    struct family *family;      /* its children (family.h); NULL: it has none */
};

_Static_assert(sizeof(struct slot) == 2 * PROA_CACHE_LINE, "two cache lines");
_Static_assert(offsetof(struct slot, next_generation) == PROA_CACHE_LINE,
               "the first is what a message touches");

struct slot_table {
    struct slot *slots;
    uint32_t max;   /* a power of two */
    uint32_t fresh; /* slots from here on were never used */
    uint32_t free;  /* first of the free ones, or SLOT_NONE */
    uint32_t live;
    uint32_t retired;
    uint32_t lane;
    uint64_t seed;
};

/* slot_table_init makes room for max slots (a power of two, at most 2^24).  False: no memory. */
bool slot_table_init(struct slot_table *t, uint32_t lane, uint32_t max, uint64_t seed);
void slot_table_fini(struct slot_table *t);

/* slot_alloc takes a free slot: a new generation, all else zeroed, lists empty. */
struct slot *slot_alloc(struct slot_table *t);

/* slot_renew begins another life in the same slot, with the same behaviour, memory and supervisor:
   state STARTING, a new generation.  Its lists and its mailbox are empty. */
void slot_renew(struct slot_table *t, struct slot *slot);

/* slot_ending: it takes no more messages.  Its mailbox has no capacity from here on, so that
   proa_tell need not ask for its state. */
static inline void slot_ending(struct slot *slot)
{
    slot->state = SLOT_ENDING;
    slot->mailbox.capacity = 0;
}

/* slot_release ends this life: its references are stale from here on. */
void slot_release(struct slot_table *t, struct slot *slot);

/* slot_find is the actor a reference's slot and generation mean, NULL when its life is over or
   never was; both may come from anywhere, but slot's lane is this one. */
static inline struct slot *slot_find(const struct slot_table *t, uint32_t slot,
                                     uint32_t generation)
{
    uint32_t index = slot & SLOT_INDEX_MAX;

    if (__builtin_expect(index >= t->max || generation == 0, 0))
        return NULL;
    return t->slots[index].generation == generation ? &t->slots[index] : NULL;
}

/* Messages a class of its mailbox may hold. */
static inline uint32_t slot_capacity(const struct slot *slot)
{
    return slot->behaviour != NULL ? slot->behaviour->capacity : slot->mailbox.capacity;
}

static inline uint32_t slot_index(const struct slot_table *t, const struct slot *slot)
{
    return (uint32_t)(slot - t->slots);
}

/* slot_id is the slot as it stands in references: lane:8 | index:24. */
static inline uint32_t slot_id(const struct slot_table *t, const struct slot *slot)
{
    return t->lane << 24 | slot_index(t, slot);
}

#endif
