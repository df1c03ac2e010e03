/* SPDX-License-Identifier: Apache-2.0 */
/* mailbox.h - an actor's bounded queue of message nodes, in three classes.

   Each class is a ring of nodes, held by its last one: last->next is the first.  So a mailbox
   costs one word a class, putting and taking touch no more than two nodes, and a whole class is
   taken, or put back in front, in one step.

   Urgent and normal messages are counted against the capacity, each class for itself.  Nodes
   for which room was reserved elsewhere are not: replies (their asks are bounded), signals and
   other system nodes.

   Threads: one lane.  Units: messages; lengths in bytes.
   Errors:  none; the caller looks at mailbox_full first. */
#ifndef MAILBOX_H
#define MAILBOX_H

#include <proa/actor.h>

#define MAILBOX_CLASSES 3u
#define MAILBOX_COUNTED 2u /* of these: PROA_CLASS_NORMAL, PROA_CLASS_URGENT */

/* Bits of node.msg.zero, beside the class of the block in the slab. */
#define NODE_BULK 0x80u      /* payload holds a pointer to a bulk buffer */
#define NODE_UNCOUNTED 0x40u /* does not count against the capacity */
#define NODE_SAMPLED 0x20u   /* its wait is measured (metrics.h) */
#define NODE_BLOCK 0x0fu

/* One message (or signal) waiting: the message as its handler will see it, but for data, whose
   place the link takes, and zero, which holds NODE_ bits.  Its payload follows. */
struct node {
    union {
        struct node *next;
        struct proa_msg msg;
    };
    uint8_t payload[];
};

#define NODE_HEAD 64u
_Static_assert(offsetof(struct node, payload) == NODE_HEAD, "one cache line");
_Static_assert(offsetof(struct proa_msg, data) == 0, "the link takes its place");

struct mailbox {
    struct node *last[MAILBOX_CLASSES];
    uint32_t count[MAILBOX_COUNTED];
    uint32_t capacity; /* of each counted class */
    uint32_t
        owner_next; /* the owner's link in a queue of its own; keeps the padding useful */
};

static inline bool mailbox_full(const struct mailbox *m, uint32_t cls)
{
    return m->count[cls] >= m->capacity;
}

static inline bool mailbox_empty(const struct mailbox *m)
{
    return m->last[0] == NULL && m->last[1] == NULL && m->last[2] == NULL;
}

/* Messages counted against the capacity, of both classes. */
static inline uint32_t mailbox_depth(const struct mailbox *m)
{
    return m->count[PROA_CLASS_NORMAL] + m->count[PROA_CLASS_URGENT];
}

/* True when something waits that goes before normal messages. */
static inline bool mailbox_overtaken(const struct mailbox *m)
{
    return m->last[PROA_CLASS_URGENT] != NULL || m->last[PROA_CLASS_SYSTEM] != NULL;
}

/* mailbox_put_as appends node to class cls, its own; known to the compiler where it is hot. */
static inline void mailbox_put_as(struct mailbox *m, struct node *node, uint32_t cls)
{
    struct node *last = m->last[cls];

    if (last == NULL) {
        node->next = node;
    } else {
        node->next = last->next;
        last->next = node;
    }
    m->last[cls] = node;
}

/* mailbox_put appends node to its class. */
static inline void mailbox_put(struct mailbox *m, struct node *node)
{
    mailbox_put_as(m, node, node->msg.cls);
    if ((node->msg.zero & NODE_UNCOUNTED) == 0)
        m->count[node->msg.cls]++;
}

/* mailbox_taken counts a node out that was taken with a whole class. */
static inline void mailbox_taken(struct mailbox *m, const struct node *node)
{
    if ((node->msg.zero & NODE_UNCOUNTED) == 0)
        m->count[node->msg.cls]--;
}

/* mailbox_take removes the first node of a class; NULL when there is none. */
static inline struct node *mailbox_take(struct mailbox *m, uint32_t cls)
{
    struct node *last = m->last[cls], *first;

    if (last == NULL)
        return NULL;
    first = last->next;
    if (first == last)
        m->last[cls] = NULL;
    else
        last->next = first->next;
    mailbox_taken(m, first);
    return first;
}

/* mailbox_take_all removes a class as a list that ends in NULL, and *ret_last; its nodes stay
   counted until mailbox_taken, or mailbox_put_back brings the rest back in front. */
static inline struct node *mailbox_take_all(struct mailbox *m, uint32_t cls,
                                            struct node **ret_last)
{
    struct node *last = m->last[cls], *first;

    if (last == NULL)
        return NULL;
    first = last->next;
    last->next = NULL;
    m->last[cls] = NULL;
    *ret_last = last;
    return first;
}

void mailbox_put_back(struct mailbox *m, uint32_t cls, struct node *first,
                      struct node *last);

/* mailbox_take_counted removes the oldest counted node of a class, for DROP_OLDEST; NULL when
   there is none. */
struct node *mailbox_take_counted(struct mailbox *m, uint32_t cls);

#endif
