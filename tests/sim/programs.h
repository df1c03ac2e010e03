/* SPDX-License-Identifier: Apache-2.0 */
/* programs.h - the books that a run of random actors is checked by.

   Everything that a life sent, was told or watches is written down outside of the actors, and at
   the end, when the network is whole and nothing is under way any more, compared:

   * an accepted ask has had one outcome, if its asker lives;
   * an accepted tell has entered or was reported, if its sender lives and the receiver's node
     does, and the two were never cut off from each other; at most one of both, but for those in
     doubt; in order per pair and class; never to somebody else;
   * a monitor whose target has ended has had one DOWN, if its watcher lives; one whose target
     lives has had one only when the two nodes had lost each other;
   * when all actors have ended, all memory is back.

   Threads: one.  Units: counts.  Errors: a broken promise prints its seed and aborts. */
#ifndef PROGRAMS_H
#define PROGRAMS_H

#include <proa/test.h>

#include "sim.h"

#define NONE UINT32_MAX
#define LIVES_MAX 4096
#define LIVES_AT_ONCE 60
#define ASKS_MAX 8192
#define PAIRS_MAX 16384
#define MONITORS_MAX 4096
#define NODES_MAX 4
#define ACTS 3000

struct life {
    struct proa_ref ref;
    bool ended;
    unsigned place;    /* which node of the test */
    uint64_t nameless; /* of its tells, refused without saying which */
};

/* From one life to one reference. */
struct pair {
    uint32_t from;
    struct proa_ref to;
    uint64_t sent[2], heard[2]; /* numbers, by urgent */
    uint64_t accepted, entered, refused, doubt;
    uint32_t next; /* in its bucket */
};

struct asked {
    uint32_t from, answers;
};

struct watching {
    uint32_t owner;
    struct proa_ref target;
    struct proa_monitor monitor;
    bool over; /* DOWN came, or it was taken back */
    enum proa_reason reason;
    uint32_t losses; /* of the world, when it was made */
};

struct world {
    struct proa_test *test;
    struct proa_test_config config;
    uint64_t seed, random;
    uint32_t acts_left, alive_count, life_count, ask_count, pair_count, monitor_count;
    uint32_t losses; /* cuts and kills so far */
    bool dead[NODES_MAX];
    bool parted[NODES_MAX][NODES_MAX]; /* were cut off from each other, once */
    uint64_t ids[NODES_MAX];
    struct life lives[LIVES_MAX];
    struct asked asks[ASKS_MAX];
    struct pair pairs[PAIRS_MAX];
    uint32_t buckets[PAIRS_MAX];
    struct watching monitors[MONITORS_MAX];
};

struct world *world_create(uint64_t seed);
void world_destroy(struct world *w);
void promise(struct world *w, bool kept, const char *what);
uint32_t below(struct world *w, uint64_t n); /* 0 for 0 */

/* Lives. NONE: the book is full. */
uint32_t world_begin(struct world *w, struct proa_ref ref);
void world_end(struct world *w, uint32_t life);
uint32_t world_life(struct world *w, struct proa_ref ref);
struct proa_ref world_some_ref(struct world *w); /* of the living, mostly */

/* Books. */
struct pair *world_pair(struct world *w, uint32_t from, struct proa_ref to);
uint32_t world_ask(struct world *w, uint32_t from);
void world_monitor(struct world *w, uint32_t owner, struct proa_ref target,
                   struct proa_monitor monitor);
struct watching *world_some_monitor(struct world *w, uint32_t owner);
struct watching *world_find_monitor(struct world *w, uint32_t owner,
                                    struct proa_monitor monitor);
void world_down(struct world *w, const struct watching *m);

/* Nodes. */
void world_cut(struct world *w, unsigned a, unsigned b);
void world_heal(struct world *w, unsigned a, unsigned b);
void world_kill(struct world *w, unsigned node);
void world_restart(struct world *w, unsigned node);

/* The end. */
void world_settle(struct world *w);
void world_check(struct world *w);
void world_end_all(struct world *w);
void world_check_memory(struct world *w);

#endif
