/* SPDX-License-Identifier: Apache-2.0 */
/* ask.h - what a lane's actors wait for: answers to asks, names, spawns on other lanes.

   A correlation names one wait: the index of its entry in the low bits, a serial number in the
   others, never 0.  It travels with the question and comes back with the answer; an answer
   that finds another serial, or another asker, is late and dropped.

   An entry that was answered is used again at once.  One that gave up unanswered (its deadline,
   a dead link, a stopped asker) may yet see a late answer, so it waits behind all others before
   its serial moves on.

   Threads: one lane.  Units: none.
   Errors:  NULL when asks_max wait already. */
#ifndef ASK_H
#define ASK_H

#include <stdalign.h>

#include <proa/offload.h>
#include <proa/registry.h>

#include "mailbox.h"
#include "slot.h"
#include "timer_wheel.h"

#define ASK_NONE UINT32_MAX
#define ASK_MAX (1u << 20) /* leaves 12 bits of serial */
#define ASK_BUCKETS 1024u  /* of asks in flight, by node */

enum ask_kind {
    ASK_ACTOR,                        /* fn.then */
    ASK_CLIENT,                       /* an ordinary thread's ask: client_id */
    ASK_SPAWN_AT,                     /* proa_spawn_at: fn.spawned */
    ASK_QUESTION_LAST = ASK_SPAWN_AT, /* up to here: messages, which replies answer */
    ASK_NAME,                         /* a registry call: fn.named, name */
    ASK_CLIENT_NAME,                  /* the same of an ordinary thread: client_id */
    ASK_SPAWN,                        /* proa_spawn_on: fn.spawned */
    ASK_OFFLOAD,                      /* proa_offload: fn.offloaded, job */
};

#define ASK_LINKED 0x01u     /* in a bucket */
#define ASK_UNANSWERED 0x02u /* gave up: an answer may yet come, late */

enum ask_state {
    ASK_FREE,
    ASK_IN_FLIGHT,
    ASK_ANSWERED, /* its reply waits in the asker's mailbox */
    ASK_SETTLED, /* its outcome is known, there is no reply: in the list of settled ones */
};

struct ask {
    struct timer_entry timer; /* its deadline */
    union {
        proa_then then;
        proa_named named;
        proa_spawned spawned;
        proa_offloaded offloaded;
        uint32_t client_id;
    } fn;
    union {
        struct proa_ref to; /* ASK_ACTOR, ASK_CLIENT: who has it, as far as is known */
        struct {
            struct node *name; /* ASK_NAME, ASK_CLIENT_NAME: its name */
            uint32_t name_op;  /* enum punt_name_op */
            uint32_t name_zero;
        };
        struct offload_job *job; /* ASK_OFFLOAD */
    };
    uint32_t slot; /* index of the asker's */
    uint32_t correlation;
    uint8_t kind, state;
    uint8_t outcome;   /* ASK_SETTLED: enum proa_outcome */
    uint8_t flags : 4; /* ASK_LINKED, ASK_UNANSWERED */
    uint8_t hops : 4;  /* how often it was forwarded, as far as is known (forward.h) */
    uint32_t actor_next, actor_prev; /* the asker's other waits */
    uint32_t link_next, link_prev;   /* in flight: of the same bucket; settled; free */
    alignas(16) uint8_t ctx[PROA_CONTEXT_MAX];
};

_Static_assert(sizeof(struct ask) == 2 * PROA_CACHE_LINE, "two cache lines");

struct ask_list {
    uint32_t first, last;
};

struct ask_table {
    struct ask *asks;
    uint32_t mask, fresh;
    uint32_t in_use;
    uint32_t free;           /* answered ones, used again at once */
    struct ask_list cooling; /* the unanswered, oldest first */
    struct ask_list settled; /* whose outcome is to be told, oldest first */
    uint32_t buckets[ASK_BUCKETS];
    uint64_t seed;
};

/* ask_table_init makes room for max waits, a power of two at most ASK_MAX. */
bool ask_table_init(struct ask_table *t, uint32_t max, uint64_t seed);
void ask_table_fini(struct ask_table *t);

static inline uint32_t ask_index(const struct ask_table *t, const struct ask *ask)
{
    return (uint32_t)(ask - t->asks);
}

/* ask_alloc takes an entry for slot, in flight, with a correlation of its own, and joins it to
   the slot's list. */
struct ask *ask_alloc(struct ask_table *t, struct slot *slot, uint32_t slot_index,
                      enum ask_kind kind);

/* ask_release gives an entry back, out of all lists; its timer is the caller's.  One that is
   still in flight counts as unanswered. */
void ask_release(struct ask_table *t, struct slot *slot, struct ask *ask);

/* ask_find is the wait a correlation means, in any state but free; NULL when it is over. */
static inline struct ask *ask_find(const struct ask_table *t, uint32_t correlation)
{
    struct ask *ask = &t->asks[correlation & t->mask];

    return ask->correlation == correlation && ask->state != ASK_FREE ? ask : NULL;
}

/* ask_link puts an ask in flight to another node among those of its node; ask_unlink takes it
   out again (nothing when it is not there). */
void ask_link(struct ask_table *t, struct ask *ask);
void ask_unlink(struct ask_table *t, struct ask *ask);

/* ask_settle moves an ask in flight to the settled ones, with its outcome.  unanswered: an
   answer may yet come, late. */
void ask_settle(struct ask_table *t, struct ask *ask, enum proa_outcome outcome,
                bool unanswered);
/* ask_settled_take removes the oldest settled one from their list; NULL when there is none. */
struct ask *ask_settled_take(struct ask_table *t);
void ask_settled_again(struct ask_table *t, struct ask *ask); /* puts it back, first */

/* The first ask in flight of node's bucket (others of other nodes may be among them), and the
   one after. */
struct ask *ask_bucket_first(const struct ask_table *t, uint64_t node);
struct ask *ask_bucket_next(const struct ask_table *t, const struct ask *ask);

#endif
