/* SPDX-License-Identifier: Apache-2.0 */
/* soak_player_internal.h - a player's state; shared by soak_player.c, what it does, and soak_heard.c, what
   comes to it.

   Threads: the lane of the actor.  Units: bytes, counts.  Errors: soak_broken. */
#ifndef SOAK_PLAYER_INTERNAL_H
#define SOAK_PLAYER_INTERNAL_H

#include <proa/group.h>

#include "soak_player.h"
#include "soak_word.h"

enum { TELL = 1, ASK, CAST };

#define TOKENS 4
#define PLAIN_MAX 20000   /* bytes that are told by a copy */
#define FLOOD_MAX 3000    /* tells to one in a row */
#define DEADLINE_MAX 2000 /* ms */

struct player {
    uint32_t life, node;
    uint64_t random;
    bool
        casts; /* multicasts where others tell: what comes back of both cannot be told apart */
    uint32_t asks_made;
    struct proa_timer timer;
    struct proa_token tokens[TOKENS];
    struct soak_word token_words[TOKENS];
    uint32_t token_count;
    struct proa_monitor monitors[SOAK_MONITORS];
    void *kept; /* a bulk message's data */
    struct proa_watching watching;
    uint64_t version; /* of the last change told */
};

struct target {
    struct proa_ref ref;
    uint32_t life;
};

extern _Thread_local uint8_t soak_plain[PLAIN_MAX]; /* a message under construction */

#define COUNT(what) atomic_fetch_add(&soak_mine->totals.what, 1)
#define PROMISE(kept, ...)                                                               \
    do {                                                                                 \
        if (!(kept))                                                                     \
            soak_broken(soak_all, soak_mine, __VA_ARGS__);                               \
    } while (0)

static inline struct player *me(struct proa_actor *self)
{
    return proa_state(self);
}

static inline uint32_t below(struct player *p, uint32_t n)
{
    return soak_below(&p->random, n);
}

static inline struct soak_life *life_of(const struct player *p)
{
    return &soak_mine->lives[p->life];
}

bool soak_choose(struct proa_actor *self, struct target *ret); /* somebody */
void soak_turn(struct proa_actor *self);                       /* does some things */
/* Puts the answer to an ask into soak_plain; its length. */
uint32_t soak_answer_put(struct proa_actor *self, const struct soak_word *asked);

/* soak_heard.c */
void soak_on_tell(struct proa_actor *self, const struct proa_msg *msg);
void soak_on_ask(struct proa_actor *self, const struct proa_msg *msg);
void soak_on_signal(struct proa_actor *self, const struct proa_signal *signal);

#endif
