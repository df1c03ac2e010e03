/* SPDX-License-Identifier: Apache-2.0 */
/* scheduler_nodes.h - messages as nodes of mailboxes: made, opened, freed.

   Part of scheduler_internal.h, which includes it where struct sched is known.

   Threads: one lane.  Units: bytes.
   Errors:  NULL without room; sched.again_kind then says where. */
#ifndef SCHEDULER_NODES_H
#define SCHEDULER_NODES_H

static inline void node_free(struct sched *s, struct node *node)
{
    slab_free(&s->slab, node, node_is_brief(node) ? 0 : node->msg.zero & NODE_BLOCK);
}

static inline void *node_bulk(const struct node *node)
{
    void *buf;

    memcpy(&buf, node->payload, sizeof(buf));
    return buf;
}

/* brief_open puts together what a brief node says, but for `to`, deadline and correlation, which
   are the same for all of one actor. */
static inline void brief_open(const struct node *node, struct proa_msg *msg)
{
    uint32_t head = node->brief.head, tail = brief_tail(head);

    msg->data = node->brief.payload;
    msg->len = brief_len(head);
    msg->type = node->brief.type;
    ref_copy(&msg->from, &node->brief.from);
    memcpy(&msg->flags, &tail, sizeof(tail));
}

/* node_open makes the message of a node that is not brief ready for a handler.  The node itself
   is no longer linked, and the caller has looked at its NODE_ bits. */
static inline struct proa_msg *node_open(struct node *node)
{
    node->msg.data = (node->msg.zero & NODE_BULK) != 0 ? node_bulk(node) : node->payload;
    return &node->msg;
}

/* node_msg is the message of a node of slot's, which stays as it is. */
static inline struct proa_msg node_msg(const struct sched *s, const struct slot *slot,
                                       const struct node *node)
{
    struct proa_msg msg = {.to = ref_of(s, slot)};

    if (node_is_brief(node)) {
        brief_open(node, &msg);
        return msg;
    }
    msg = node->msg;
    msg.data = (msg.zero & NODE_BULK) != 0 ? node_bulk(node) : node->payload;
    msg.zero = 0;
    return msg;
}

/* node_drop frees a node and the bulk buffer it may hold. */
static inline void node_drop(struct sched *s, struct node *node)
{
    if (!node_is_brief(node) && (node->msg.zero & NODE_BULK) != 0)
        bulk_free(&s->bulk, node_bulk(node));
    node_free(s, node);
}

/* The slab class of a node with a payload of len bytes. */
static inline uint32_t node_block(uint32_t len)
{
    uint32_t lines = (len + PROA_CACHE_LINE - 1) / PROA_CACHE_LINE;

    return 31u - (uint32_t)__builtin_clz(2 * lines + 1);
}

/* node_new makes a node of msg.  bulk: the buffer msg->data lies in, which the node takes; NULL:
   msg->data is copied.  NULL: no room, again_kind says where. */
struct node *node_new_large(struct sched *s, const struct proa_msg *msg, void *bulk,
                            bool privileged);

/* Everything of msg but data, as ref_copy does. */
static inline void node_head(struct node *node, const struct proa_msg *msg, uint32_t zero)
{
    uint32_t len = msg->len, type = msg->type, correlation = msg->correlation;

    __asm__("" : "+r"(len), "+r"(type), "+r"(correlation));
    node->msg.len = len;
    node->msg.type = type;
    ref_copy(&node->msg.from, &msg->from);
    ref_copy(&node->msg.to, &msg->to);
    node->msg.deadline = msg->deadline;
    node->msg.correlation = correlation;
    node->msg.flags = msg->flags;
    node->msg.cls = msg->cls;
    node->msg.hops = msg->hops;
    node->msg.zero = (uint8_t)zero;
}

static inline struct node *node_new(struct sched *s, const struct proa_msg *msg,
                                    void *bulk, bool privileged)
{
    uint32_t block;
    struct node *node;

    if (__builtin_expect(bulk != NULL || msg->len > NODE_PAYLOAD_MAX, 0))
        return node_new_large(s, msg, bulk, privileged);
    block = node_block(msg->len);
    node = slab_alloc(&s->slab, block, privileged);
    if (__builtin_expect(node == NULL, 0)) {
        s->again_kind = WAIT_SLAB;
        s->again_key = 0;
        return NULL;
    }
    node_head(node, msg, block);
    payload_copy(node->payload, msg->data, msg->len);
    return node;
}

/* Does msg fit a brief node?  The one that is measured has no room for its mark there. */
static inline bool msg_is_brief(const struct sched *s, const struct proa_msg *msg,
                                const void *bulk)
{
    return msg->len <= BRIEF_MAX && (msg->flags | msg->correlation) == 0 &&
           msg->deadline == 0 && bulk == NULL && !s->sample.armed;
}

/* sched.brief_end while no sample is wanted. */
static inline uint32_t brief_end(const struct sched *s)
{
    return (s->message_max < BRIEF_MAX ? s->message_max : BRIEF_MAX) + 1;
}

static inline struct node *node_new_brief(struct sched *s, const struct proa_msg *msg)
{
    struct node *node = slab_alloc(&s->slab, 0, false);

    if (__builtin_expect(node == NULL, 0)) {
        s->again_kind = WAIT_SLAB;
        s->again_key = 0;
        return NULL;
    }
    node->brief.head = brief_head(msg->len, msg->cls, msg->hops);
    node->brief.type = msg->type;
    ref_copy(&node->brief.from, &msg->from);
    payload_copy_brief(node->brief.payload, msg->data, msg->len);
    return node;
}

#endif
