/* SPDX-License-Identifier: Apache-2.0 */
/* soak_hands.h - what a soak does to its clusters from outside: starts, stops, kills, cuts off.

   One cluster's node, never the same in all of them, is not killed, so that its memory can be watched
   over the whole run; it is stopped and cut off like the others.

   Threads: the parent's one.  Units: proa_ns of the monotonic clock.
   Errors:  soak_broken, also when a process ends that nobody ended. */
#ifndef SOAK_HANDS_H
#define SOAK_HANDS_H

#include <sys/types.h>

#include "soak_books.h"

struct soak_process {
    pid_t pid; /* 0: none */
    uint32_t first, count;
    uint64_t generation;        /* processes so far */
    bool leaving;               /* TERM was sent */
    proa_ns start_at, go_on_at; /* 0: it is neither gone nor stopped */
};

struct soak_cut {
    uint32_t from, to;
    proa_ns heal_at; /* 0: none */
};

#define SOAK_CUTS 3

struct soak_counts {
    uint64_t kills, terms, restarts, stops, cuts;
};

struct soak_hands {
    struct soak *soak;
    struct soak_cluster *c;
    struct soak_process processes[SOAK_NODES];
    uint32_t process_count, elder; /* the node that is not killed */
    struct soak_cut cuts[SOAK_CUTS];
    uint64_t random;
    proa_ns next_at; /* the next blow */
    struct soak_counts counts;
};

proa_ns soak_now(void);

void soak_hands_init(struct soak_hands *h, struct soak *soak, struct soak_cluster *c);
/* soak_hands_step does what is due; blows: and what comes to its mind. */
void soak_hands_step(struct soak_hands *h, bool blows);
/* soak_hands_heal ends all that was done; nodes come back with the next steps. */
void soak_hands_heal(struct soak_hands *h);
bool soak_hands_up(const struct soak_hands *h); /* all nodes run and have joined */
/* Ends all, in order, or at once. */
void soak_hands_end(struct soak_hands *h, bool at_once);

#endif
