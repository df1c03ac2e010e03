/* SPDX-License-Identifier: Apache-2.0 */
/* mailbox.h - an actor's bounded queue of message nodes, in three classes.

   Each class is a ring of nodes, held by its last one: last->next is the first.  So a mailbox
   costs one word a class, putting and taking touch no more than two nodes, and a whole class is
   taken, or put back in front, in one step.

   Urgent and normal messages are counted against the capacity, each class for itself.  Nodes
   for which room was reserved elsewhere are not: replies (their asks are bounded), signals and
   other system nodes.

   A small tell, which is what most messages are, lies in one cache line, without what its
   receiver knows (struct brief): a counted message of 32 bytes takes 177 instructions where it
   took 237, and half the cache (docs/performance_lanes.md).

   Threads: one lane.  Units: messages; lengths in bytes.
   Errors:  none; the caller looks at mailbox_full first. */
#ifndef MAILBOX_H
#define MAILBOX_H

#include <stdalign.h>

#include <proa/actor.h>

#define MAILBOX_CLASSES 3u
#define MAILBOX_COUNTED 2u /* of these: PROA_CLASS_NORMAL, PROA_CLASS_URGENT */

/* Bits of node.msg.zero, beside the class of the block in the slab. */
#define NODE_BULK 0x80u      /* payload holds a pointer to a bulk buffer */
#define NODE_UNCOUNTED 0x40u /* does not count against the capacity */
#define NODE_SAMPLED 0x20u   /* its wait is measured (metrics.h) */
#define NODE_BLOCK 0x0fu

#define BRIEF_MAX 32u /* payload bytes of a brief node */

/* A waiting tell of up to BRIEF_MAX bytes; counted, in a block of class 0.  Its receiver is the
   mailbox's owner. */
struct brief {
    struct node *next;
    uint32_t head; /* BRIEF | hops << 16 | class << 8 | length */
    uint32_t type;
    struct proa_ref from;
    alignas(8) uint8_t payload[BRIEF_MAX];
};

#define BRIEF 0x80000000u /* no message is that long */

/* One message (or signal) waiting: a brief one, or the message as its handler will see it, but
   for data, whose place the link takes, and zero, which holds NODE_ bits.  Its payload
   follows. */
struct node {
    union {
        struct node *next;
        struct brief brief;
        struct proa_msg msg;
    };
    uint8_t payload[];
};

#define NODE_HEAD 64u
_Static_assert(offsetof(struct node, payload) == NODE_HEAD, "one cache line");
_Static_assert(offsetof(struct proa_msg, data) == 0, "the link takes its place");
_Static_assert(sizeof(struct brief) == NODE_HEAD, "one cache line");
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ &&
                   offsetof(struct proa_msg, cls) ==
                       offsetof(struct proa_msg, flags) + 1 &&
                   offsetof(struct proa_msg, hops) ==
                       offsetof(struct proa_msg, flags) + 2,
               "brief_tail");
_Static_assert(offsetof(struct brief, head) == offsetof(struct proa_msg, len) &&
                   offsetof(struct brief, type) == offsetof(struct proa_msg, type),
               "a node tells by its length which of the two it is");

static inline bool node_is_brief(const struct node *node)
{
    return (node->brief.head & BRIEF) != 0;
}

static inline uint32_t brief_head(uint32_t len, uint32_t cls, uint32_t hops)
{
    return BRIEF | hops << 16 | cls << 8 | len;
}

static inline uint32_t brief_len(uint32_t head)
{
    return head & 0xff;
}

/* Of the last four bytes of a message: no flags, class, hops, zero. */
static inline uint32_t brief_tail(uint32_t head)
{
    return head & 0x00ffff00;
}

static inline uint32_t brief_class(uint32_t head)
{
    return head >> 8 & 0xff;
}

static inline bool node_is_counted(const struct node *node)
{
    return node_is_brief(node) || (node->msg.zero & NODE_UNCOUNTED) == 0;
}

static inline uint32_t node_class(const struct node *node)
{
    return node_is_brief(node) ? brief_class(node->brief.head) : node->msg.cls;
}

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
    return ((uintptr_t)m->last[PROA_CLASS_URGENT] |
            (uintptr_t)m->last[PROA_CLASS_SYSTEM]) != 0;
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
    uint32_t cls = node_class(node);

    mailbox_put_as(m, node, cls);
    if (node_is_counted(node))
        m->count[cls]++;
}

/* mailbox_taken counts a node out that was taken with a whole class. */
static inline void mailbox_taken(struct mailbox *m, const struct node *node)
{
    if (node_is_counted(node))
        m->count[node_class(node)]--;
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
