/* SPDX-License-Identifier: Apache-2.0 */
/* soak_memory.h - what processes and lanes keep when nothing is under way, round by round.

   Some of it must be nothing (actors, asks, messages, packets out of order), some what it was in the
   first round of that process (descriptors, packets that ports hold), some may only stay flat: the
   process' own memory (RssAnon) and its lanes' arenas may be larger than in the first third of its
   rounds by an eighth and SOAK_SLACK.

   Threads: the parent's one.  Units: bytes, counts.  Errors: soak_broken. */
#ifndef SOAK_MEMORY_H
#define SOAK_MEMORY_H

#include "soak_hands.h"

#define SOAK_SLACK (8u << 20)
#define SOAK_SAMPLES 4096 /* rounds that are kept */

struct soak_sample {
    uint64_t rss, arena;
};

struct soak_process_memory {
    uint64_t generation; /* whose samples these are */
    uint32_t count;
    unsigned fds;
    uint64_t packets[SOAK_NODES]; /* of its nodes, in the first rounds */
    struct soak_sample *samples;  /* SOAK_SAMPLES of them */
};

struct soak_memory {
    struct soak_process_memory processes[SOAK_NODES];
};

bool soak_memory_init(struct soak_memory *m);
void soak_memory_fini(struct soak_memory *m);

/* soak_memory_clean: all nodes have reported this round, and nothing is left; else why says what is. */
bool soak_memory_clean(const struct soak_hands *h, char *why, size_t why_len);

/* soak_memory_sample looks at descriptors and memory of every process. */
void soak_memory_sample(struct soak_memory *m, struct soak_hands *h);

/* soak_memory_flat judges the longest run of one process, and prints what it was. */
void soak_memory_flat(const struct soak_memory *m, struct soak_hands *h);

/* How many descriptors a process has; 0: not to be read. */
unsigned soak_memory_fds(pid_t pid);

#endif
