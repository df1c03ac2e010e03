/* SPDX-License-Identifier: Apache-2.0 */
/* soak_books.h - what a soak knows of its clusters, in memory that all its processes share.

   A soak plays rounds.  In a round, actors tell, ask, monitor, name and end each other while nodes are
   killed, stopped, restarted and cut off; then everything is healed, nobody does anything new, and
   when nothing is under way any more, the books are compared; then all actors end, and what nodes
   and lanes keep must be back to nothing.  The books outlive a node that is killed:

   * a message names its sender, its receiver and its number: it comes to whom it was sent, unharmed,
     at most once, in order per sender, receiver and class;
   * an accepted tell has entered or was reported, if its sender lives, the receiver's node does, and no
     link between the two ended; never both, but for those in doubt; and but for as many as were
     reported without their sender's name, since too many refusals waited;
   * an accepted ask has had one outcome, if its asker lives; what is said not to have run has not run,
     then or later, and nothing runs twice;
   * a monitor whose target has ended has had one DOWN, if its watcher lives;
   * a name or group leads to who asked for it.

   Threads: each word has one writer, named where it is not its life's lane; the parent reads all, and
            writes for a node whose process has ended.
   Units:   counts; proa_ns.
   Errors:  soak_broken: the first is kept, and ends the soak. */
#ifndef SOAK_BOOKS_H
#define SOAK_BOOKS_H

#include <stdalign.h>
#include <stdatomic.h>

#include <proa/actor.h>
#include <proa/node.h>

#define SOAK_NODES 4    /* of a cluster, at most */
#define SOAK_LIVES 1024 /* of a round */
#define SOAK_AT_ONCE 40
#define SOAK_ASKS 64 /* of a life; at most SOAK_ASKS_OUT under way */
#define SOAK_ASKS_OUT 16
#define SOAK_MONITORS 8
#define SOAK_NAMES 12
/* Groups of a round: those of a window are joined and told by so many lives, then the next ones are.  None
   has more than PROA_MULTICAST_ORDERED members in a round, dead ones counted too, so that no node
   can know of more: multicasts to larger groups have another order. */
#define SOAK_GROUPS_AT_ONCE 4
#define SOAK_GROUP_LIVES 160
#define SOAK_GROUPS (SOAK_GROUPS_AT_ONCE * (SOAK_LIVES / SOAK_GROUP_LIVES + 1))
#define SOAK_NONE UINT32_MAX

enum soak_kind { SOAK_UDP, SOAK_VHOST, SOAK_RING, SOAK_KINDS };
extern const char *const soak_kind_names[SOAK_KINDS];

/* Numbered apart, since each is in order only in itself. */
enum soak_stream { SOAK_NORMAL, SOAK_URGENT, SOAK_CAST, SOAK_STREAMS };

/* From one life to another. */
struct soak_pair {
    /* The sender's. */
    alignas(64) _Atomic uint32_t tried[SOAK_STREAMS]; /* the last number */
    _Atomic uint64_t accepted, refused, doubt;
    /* The receiver's. */
    alignas(64) _Atomic uint32_t heard[SOAK_STREAMS];
    _Atomic uint64_t entered;
};

enum soak_living { SOAK_FREE, SOAK_LIVING, SOAK_ENDED };

/* Bits of an ask, below its serial. */
#define SOAK_ASK_OUT 1u    /* accepted, not answered */
#define SOAK_ASK_RAN 2u    /* written by whoever ran it */
#define SOAK_ASK_DENIED 4u /* its asker was told that it did not run */

enum soak_watched { SOAK_UNWATCHED, SOAK_OPEN, SOAK_OVER };

struct soak_monitor {
    _Atomic uint32_t state; /* enum soak_watched, written last */
    _Atomic uint32_t target;
    _Atomic uint32_t reason;
};

struct soak_life {
    _Atomic uint32_t state; /* enum soak_living; LIVING is written last */
    struct proa_ref ref;
    uint32_t node, boot; /* where, and which life of that node */
    _Atomic uint64_t nameless;
    _Atomic uint32_t asks_out;
    _Atomic uint64_t asks[SOAK_ASKS]; /* serial * 8 + bits */
    struct soak_monitor monitors[SOAK_MONITORS];
    _Atomic uint32_t names, groups; /* asked for, as bits; a restart keeps them */
    _Atomic uint32_t counted;       /* groups whose `joined` counts this life */
};

/* What is found where nothing should be, and what belongs to the node itself. */
struct soak_report {
    _Atomic uint32_t round; /* it is of; written last */
    uint64_t actors, asks, tokens, timers, monitors, slab, bulk, malformed;
    uint64_t retained, out_of_order, pending, tx_queued, links, peers;
    uint64_t packets, arena;
};

enum soak_state { SOAK_DOWN, SOAK_STARTING, SOAK_UP, SOAK_LEAVING };

struct soak_node {
    _Atomic uint64_t id;
    struct proa_addr addr;  /* before id */
    _Atomic uint32_t state; /* enum soak_state: the process's; DOWN the parent's too */
    _Atomic uint32_t boot;  /* lives of this node so far, before state */
    /* Tells refused here whose sender was not named, too many refusals waiting: before this round, and
       until now. */
    _Atomic uint64_t unnamed_before, unnamed;
    _Atomic uint32_t want_restart; /* of a node of a ring: the parent's order */
    struct soak_report report;
};

enum soak_phase { SOAK_PLAY, SOAK_SETTLE, SOAK_END, SOAK_REPORT, SOAK_QUIT };

struct soak_totals {
    _Atomic uint64_t tells, bulk, casts, entered, refused, in_doubt, again;
    _Atomic uint64_t asks, answered, denied, maybe, forwarded, downs, spawned, changes;
    _Atomic uint64_t names, name_answers;
};

struct soak_cluster {
    enum soak_kind kind;
    unsigned nodes, lanes;
    char dir[96]; /* sockets and state */
    unsigned udp_port;
    uint64_t seed;
    struct proa_faults faults; /* of every port */
    uint32_t message_max;

    _Atomic uint32_t phase, round;
    _Atomic uint32_t joined[SOAK_GROUPS]; /* lives of this round that were ever members */
    _Atomic uint32_t pace_us;             /* between two turns of an actor, at most */
    _Atomic uint32_t cut[SOAK_NODES][SOAK_NODES];    /* by sender: packets are dropped */
    _Atomic uint32_t parted[SOAK_NODES][SOAK_NODES]; /* a link ended in this round */
    struct soak_node node[SOAK_NODES];
    struct soak_totals totals;

    _Atomic uint32_t life_count, alive;
    struct soak_life lives[SOAK_LIVES];
    struct soak_pair pairs[SOAK_LIVES][SOAK_LIVES]; /* by sender */
};

/* All that is shared. */
struct soak {
    _Atomic uint32_t broken; /* 0; 1: being written; 2: what */
    char what[3072];
    struct soak_cluster clusters[SOAK_KINDS];
};

/* Said by any thread; the first wins. */
void soak_broken(struct soak *soak, struct soak_cluster *c, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
bool soak_is_broken(struct soak *soak);

/* ---- Lives ---- */

/* SOAK_NONE: the book is full. */
uint32_t soak_life_begin(struct soak_cluster *c, struct proa_ref ref, uint32_t node);
void soak_life_end(struct soak_cluster *c, uint32_t life);
uint32_t soak_life_of(struct soak_cluster *c, struct proa_ref ref); /* SOAK_NONE */
uint32_t soak_node_of(const struct soak_cluster *c, uint64_t id);   /* SOAK_NONE */
/* A life, mostly one that lives; SOAK_NONE: there is none. */
uint32_t soak_life_some(struct soak_cluster *c, uint64_t *random);

/* ---- The parent's ---- */

void soak_round_begin(struct soak_cluster *c, uint32_t round);
/* The process of this node is gone without a word. */
void soak_node_killed(struct soak_cluster *c, uint32_t node);

/* soak_settled compares the books.  True: all is as it must be; else why says what is not, or not
   yet: something may be under way. */
struct soak_checked {
    uint64_t pairs, exact; /* compared; of these, to the last message */
};
bool soak_settled(struct soak_cluster *c, struct soak_checked *ret, char *why,
                  size_t why_len);

/* splitmix64.  Source: S. Vigna, public domain. */
static inline uint64_t soak_random(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15u;

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static inline uint32_t soak_below(uint64_t *state, uint32_t n) /* 0 for 0 */
{
    return n == 0 ? 0 : (uint32_t)(soak_random(state) % n);
}

#endif
