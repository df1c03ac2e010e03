/* SPDX-License-Identifier: Apache-2.0 */
/* kad_walk.h - an iterative lookup: which node to ask next on the way to a target, and when
   the closest ones have answered.

   A walk keeps the 32 nodes nearest to its target that it heard of, closest first, and what
   became of each.  Up to 4 of the 8 closest are asked at once.  One that is late (an RTO
   passed) gives its place to the next; one that failed (three RTO) no longer counts.  The walk
   is over when the 8 closest live ones have answered, or all there are.  It sends nothing.

   One endpoint stands for one node: an answer cannot name many ids at one address.

   Threads: one owner.  Errors: none. */
#ifndef PROA_DHT_KAD_WALK_H
#define PROA_DHT_KAD_WALK_H

#include "kad_id.h"
#include "kad_token.h"

#include <proa/types.h>

#define KAD_WALK_NODES 32
#define KAD_WALK_ALPHA 4   /* asked at once.  Source: registry.md */
#define KAD_WALK_CLOSEST 8 /* that must answer.  Source: registry.md */

enum kad_walk_state {
    KAD_WALK_NEW,
    KAD_WALK_ASKED,
    KAD_WALK_LATE, /* asked an RTO ago or more, may still answer */
    KAD_WALK_ANSWERED,
    KAD_WALK_FAILED,
};

struct kad_walk_node {
    struct kad_id id;
    struct proa_addr addr;
    uint8_t state;   /* enum kad_walk_state */
    bool suspect;    /* has failed lately: asked, but nobody waits for it */
    bool has_record; /* the caller's note: it holds the caller's record already */
    bool has_token;
    uint8_t token[KAD_TOKEN_LEN];
};

struct kad_walk {
    struct kad_id self; /* never a candidate */
    struct kad_id target;
    uint32_t count;
    struct kad_walk_node nodes[KAD_WALK_NODES]; /* closest first */
};

void kad_walk_init(struct kad_walk *self, const struct kad_id *own,
                   const struct kad_id *target);

/* kad_walk_add takes in a node that somebody named.  False when it is known, ourselves, at the
   endpoint of another one, or too far away. */
bool kad_walk_add(struct kad_walk *self, const struct kad_id *id,
                  const struct proa_addr *addr, bool suspect);

/* kad_walk_next returns the node to ask now, or NULL while enough are asked.  The caller asks
   it and then calls kad_walk_asked. */
struct kad_walk_node *kad_walk_next(struct kad_walk *self);
void kad_walk_asked(struct kad_walk_node *node);

/* kad_walk_find returns the node with that id, NULL when it fell out of the list. */
struct kad_walk_node *kad_walk_find(struct kad_walk *self, const struct kad_id *id);

/* What became of a question.  Late after answered or failed changes nothing. */
void kad_walk_late(struct kad_walk_node *node);
void kad_walk_answered(struct kad_walk_node *node);
void kad_walk_failed(struct kad_walk_node *node);

/* kad_walk_done tells whether the 8 closest live ones have answered.  strict: late ones among
   them are waited for until they answer or fail. */
bool kad_walk_done(const struct kad_walk *self, bool strict);

/* kad_walk_count counts the nodes that answered. */
uint32_t kad_walk_count(const struct kad_walk *self);

#endif
