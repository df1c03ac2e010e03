/* SPDX-License-Identifier: Apache-2.0 */
#include "scheduler_internal.h"

static const uint64_t nothing; /* what an empty payload points at */

/* ---- The three ways ---- */

static inline enum proa_outcome send_here(struct sched *s, const struct proa_msg *msg,
                                          void *bulk)
{
    struct slot *slot = slot_find(&s->slots, msg->to.slot, msg->to.generation);

    if (__builtin_expect(slot == NULL, 0))
        return PROA_NO_SUCH_ACTOR;
    if (__builtin_expect(slot->state == SLOT_ENDING, 0))
        return PROA_STOPPED;
    return enqueue(s, slot, msg, bulk);
}

static enum proa_outcome send_node(struct sched *s, const struct proa_msg *msg,
                                   void *bulk)
{
    size_t len = bulk != NULL ? bulk_len(bulk) : 0; /* it may be gone afterwards */
    enum proa_outcome outcome;

    if (s->below.send == NULL)
        return PROA_NO_ROUTE;
    if (bulk != NULL && s->below.send_bulk != NULL) {
        outcome = s->below.send_bulk(s->below.ctx, msg, bulk);
        if (outcome == PROA_OK)
            s->bulk.used -= len;
    } else {
        outcome = s->below.send(s->below.ctx, msg);
        if (outcome == PROA_OK && bulk != NULL)
            bulk_free(&s->bulk, bulk);
    }
    if (outcome == PROA_AGAIN) {
        s->again_kind = WAIT_NODE;
        s->again_key = again_key(msg->to.node);
    }
    return outcome;
}

static inline enum proa_outcome send_any(struct sched *s, const struct proa_msg *msg,
                                         void *bulk)
{
    if (__builtin_expect(ref_here(s, msg->to), 1))
        return send_here(s, msg, bulk);
    if (s->blocked.count > 0 && ref_set_has(&s->blocked, msg->to)) {
        s->again_kind = WAIT_REF;
        s->again_key = again_ref_key(msg->to);
        return PROA_AGAIN;
    }
    if (msg->to.node == s->node)
        return cross_send(s, proa_ref_lane(msg->to), msg, bulk, false);
    return send_node(s, msg, bulk);
}

enum proa_outcome msg_send(struct sched *s, const struct proa_msg *msg, void *bulk)
{
    return send_any(s, msg, bulk);
}

enum proa_outcome send_failed(struct sched *s, struct slot *slot,
                              enum proa_outcome outcome)
{
    if (outcome == PROA_AGAIN) {
        STAT_ADD(s, again, 1);
        if (slot != NULL)
            again_note(s, slot);
    } else if (outcome < PROA_OUTCOME_COUNT) {
        STAT_ADD(s, refused[outcome], 1);
    }
    return outcome;
}

/* ---- Nodes of messages that do not fit a block ---- */

struct node *node_new_large(struct sched *s, const struct proa_msg *msg, void *bulk,
                            bool privileged)
{
    const uint32_t block = node_block(sizeof(void *));
    struct node *node = slab_alloc(&s->slab, block, privileged);
    void *buf = bulk;

    s->again_kind = WAIT_SLAB;
    s->again_key = 0;
    if (node == NULL)
        return NULL;
    if (buf == NULL) {
        s->again_kind = WAIT_BULK;
        buf = bulk_alloc(&s->bulk, s->arena, msg->len, privileged);
        if (buf == NULL) {
            slab_free(&s->slab, node, block);
            return NULL;
        }
        memcpy(buf, msg->data, msg->len);
    }
    node_head(node, msg, NODE_BULK | block);
    memcpy(node->payload, &buf, sizeof(buf));
    return node;
}

static bool drop_oldest(struct sched *s, struct slot *slot, uint32_t cls)
{
    struct node *oldest;
    struct proa_msg msg;

    if (slot->behaviour == NULL || !slot->behaviour->drops_oldest)
        return false;
    oldest = mailbox_take_counted(&slot->mailbox, cls);
    if (oldest == NULL)
        return false;
    msg = node_msg(s, slot, oldest);
    refuse_msg(s, &msg, PROA_REFUSED_DROPPED);
    node_drop(s, oldest);
    return true;
}

bool mailbox_make_room(struct sched *s, struct slot *slot, uint32_t cls)
{
    if ((slot->flags & SLOT_MEMBER) != 0 &&
        slot->mailbox.count[cls] < slot->behaviour->capacity) {
        load_add(s, slot);
        return true;
    }
    return drop_oldest(s, slot, cls);
}

bool enqueue_reserved(struct sched *s, struct slot *slot, const struct proa_msg *msg,
                      void *bulk, uint32_t cls)
{
    struct node *node = node_new(s, msg, bulk, true);

    if (node == NULL)
        return false;
    node->msg.zero |= NODE_UNCOUNTED;
    node->msg.cls = (uint8_t)cls;
    mailbox_put(&slot->mailbox, node);
    ready_push(s, slot);
    return true;
}

/* ---- Tells ---- */

/* A tell of any kind. */
static __attribute__((noinline)) enum proa_outcome
tell_any(struct proa_actor *self, struct proa_ref to, uint32_t type, const void *data,
         size_t len, enum proa_class cls, void *bulk)
{
    struct sched *s = self->sched;
    struct proa_msg msg = {.data = len > 0 ? data : &nothing,
                           .len = (uint32_t)len,
                           .type = type,
                           .from = self->ref,
                           .to = to,
                           .cls = (uint8_t)cls};
    enum proa_outcome outcome;

    if (type >= PROA_TYPE_SYSTEM || proa_ref_is_none(to) || (data == NULL && len > 0))
        return send_failed(s, self->slot, PROA_INVALID);
    if (len > s->message_max)
        return send_failed(s, self->slot, PROA_TOO_LARGE);
    outcome = send_any(s, &msg, bulk);
    if (__builtin_expect(outcome != PROA_OK, 0))
        return send_failed(s, self->slot, outcome);
    s->hot.tells++;
    return PROA_OK;
}

#define TELL_WORDS_MAX 64u  /* payloads up to here are copied without a call */
#define TELL_WORDS_BLOCK 1u /* the class of their blocks */

_Static_assert(NODE_HEAD + TELL_WORDS_MAX == SLAB_BLOCK_MIN << TELL_WORDS_BLOCK &&
                   NODE_HEAD == SLAB_BLOCK_MIN,
               "of all that are not empty");

/* References come in two registers: as a struct one is put together on the stack, and read from there
   before both halves have arrived. */
static __attribute__((noinline)) enum proa_outcome tell_far(struct proa_actor *self,
                                                            uint64_t node, uint64_t word,
                                                            uint32_t type,
                                                            const void *data, size_t len)
{
    struct proa_ref to = {node, (uint32_t)word, (uint32_t)(word >> 32)};

    return tell_any(self, to, type, data, len, PROA_CLASS_NORMAL, NULL);
}

/* A tell that fits a slab node, to an actor of this lane that has room, is written straight into
   that (by way of a message on the stack one of 64 bytes took 38 % longer); all others go the long
   way, and so does the one that is measured.  As in proa_tell the receiver's state need not be looked
   at. */
static inline __attribute__((always_inline)) enum proa_outcome
tell_node(struct proa_actor *self, uint64_t to_node, uint64_t word, uint32_t type,
          const void *data, uint32_t len, uint32_t block)
{
    struct sched *s = self->sched;
    uint32_t at = (uint32_t)word - s->first_slot;
    struct slot *slot = &s->slots.slots[at];
    struct node *node;

    if (__builtin_expect(to_node != s->node || at >= s->slots.max || s->sample.armed ||
                             type >= PROA_TYPE_SYSTEM || data == NULL,
                         0))
        return tell_far(self, to_node, word, type, data, len);
    if (__builtin_expect(slot->generation != word >> 32 ||
                             mailbox_full(&slot->mailbox, PROA_CLASS_NORMAL) ||
                             !slab_has(&s->slab, block),
                         0))
        return tell_far(self, to_node, word, type, data, len);
    node = slab_alloc(&s->slab, block, false);
    node->msg.len = len;
    node->msg.type = type;
    ref_copy(&node->msg.from, &self->ref);
    node->msg.to.node = to_node;
    memcpy(&node->msg.to.slot, &word, sizeof(word)); /* as ref_copy will read it */
    node->msg.deadline = 0;
    node->msg.correlation = 0;
    node->msg.flags = 0;
    node->msg.cls = PROA_CLASS_NORMAL;
    node->msg.hops = 0;
    node->msg.zero = (uint8_t)block;
    payload_copy(node->payload, data, len);
    mailbox_put_as(&slot->mailbox, node, PROA_CLASS_NORMAL);
    slot->mailbox.count[PROA_CLASS_NORMAL]++;
    ready_push(s, slot);
    s->hot.tells++;
    return PROA_OK;
}

static __attribute__((noinline)) enum proa_outcome tell_long(struct proa_actor *self,
                                                             uint64_t to_node,
                                                             uint64_t word, uint32_t type,
                                                             const void *data, size_t len)
{
    if (len > self->sched->small_max)
        return tell_far(self, to_node, word, type, data, len);
    return tell_node(self, to_node, word, type, data, (uint32_t)len,
                     node_block((uint32_t)len));
}

/* What is not brief, or found no block at hand.  Nothing is called but as the last thing, so nothing
   is saved on the stack. */
static __attribute__((noinline)) enum proa_outcome
tell_normal(struct proa_actor *self, struct proa_ref to, uint32_t type, const void *data,
            size_t len)
{
    const struct sched *s = self->sched;
    uint64_t word = to.slot | (uint64_t)to.generation << 32;
    uint32_t bytes = (uint32_t)len;

    if (__builtin_expect(len < s->brief_end || len > s->small_max, 0))
        return tell_far(self, to.node, word, type, data, len);
    if (__builtin_expect(bytes > TELL_WORDS_MAX, 0))
        return tell_long(self, to.node, word, type, data, len);
    return tell_node(self, to.node, word, type, data, bytes, TELL_WORDS_BLOCK);
}

/* A tell to another lane of this node that fits an item of one line is written straight into the ring;
   all others, and what finds no room at once, go the long way.  As below, nothing is called but as the
   last thing. */
static __attribute__((noinline)) enum proa_outcome
tell_cross(struct proa_actor *self, struct proa_ref to, uint32_t type, const void *data,
           size_t len)
{
    struct sched *s = self->sched;
    uint32_t lane = proa_ref_lane(to);
    const struct lane_out *out = &s->out[lane % PROA_LANES_MAX];
    struct pair_ring *ring = out->ring;
    struct pair_item *item;

    if (__builtin_expect(lane >= s->lanes || ring == NULL || out->first != NULL ||
                             s->blocked.count > 0 || !pair_ring_has_room(ring),
                         0))
        return tell_normal(self, to, type, data, len);
    if (__builtin_expect(len >= s->cross_end || type >= PROA_TYPE_SYSTEM ||
                             proa_ref_is_none(to) || (data == NULL && len > 0),
                         0))
        return tell_normal(self, to, type, data, len);
    item = pair_ring_slot(ring, ring->tail_next);
    item->kind_aux = PAIR_TELL;
    item->tell.type = type;
    item->tell.head = pair_tell_head((uint32_t)len, PROA_CLASS_NORMAL, 0);
    memcpy(&item->tell.from, &self->ref.slot, sizeof(item->tell.from));
    item->tell.to = to.slot | (uint64_t)to.generation << 32;
    payload_copy_brief(item->tell.data, data, (uint32_t)len);
    pair_ring_commit_tell(ring);
    s->hot.cross_out++;
    s->hot.tells++;
    return PROA_OK;
}

/* A tell that fits a brief node, to an actor of this lane that has room, is written straight
   into that; all others go the long way.  Nothing is called but as the last thing, so nothing
   is saved on the stack.  The receiver's state need not be looked at: a slot that takes no messages has no capacity. */
enum proa_outcome proa_tell(struct proa_actor *self, struct proa_ref to, uint32_t type,
                            const void *data, size_t len)
{
    struct sched *s = self->sched;
    uint32_t at = to.slot - s->first_slot;
    struct slot *slot = &s->slots.slots[at];
    struct slab_block *block = s->slab.free[0];
    struct node *node = (struct node *)(void *)block;

    if (__builtin_expect(to.node != s->node, 0))
        return tell_normal(self, to, type, data, len);
    if (__builtin_expect(at >= s->slots.max, 0))
        return tell_cross(self, to, type, data, len);
    if (__builtin_expect(slot->generation != to.generation ||
                             mailbox_full(&slot->mailbox, PROA_CLASS_NORMAL) ||
                             len >= s->brief_end || type >= PROA_TYPE_SYSTEM ||
                             !slab_has(&s->slab, 0),
                         0))
        return tell_normal(self, to, type, data, len);
    if (len > 0) {
        if (__builtin_expect(data == NULL, 0))
            return tell_normal(self, to, type, data, len);
        payload_copy_brief(node->brief.payload, data, (uint32_t)len);
    }
    s->slab.free[0] = block->next;
    s->slab.used += SLAB_BLOCK_MIN;
    __builtin_prefetch(block->next, 1);
    node->brief.head = brief_head((uint32_t)len, PROA_CLASS_NORMAL, 0);
    node->brief.type = type;
    ref_copy(&node->brief.from, &self->ref);
    mailbox_put_as(&slot->mailbox, node, PROA_CLASS_NORMAL);
    slot->mailbox.count[PROA_CLASS_NORMAL]++;
    ready_push(s, slot);
    s->hot.tells++;
    return PROA_OK;
}

enum proa_outcome proa_tell_urgent(struct proa_actor *self, struct proa_ref to,
                                   uint32_t type, const void *data, size_t len)
{
    return tell_any(self, to, type, data, len, PROA_CLASS_URGENT, NULL);
}

void *proa_buf_alloc(struct proa_actor *self, size_t len)
{
    struct sched *s = self->sched;
    void *buf;

    if (len > s->message_max)
        return NULL;
    buf = bulk_alloc(&s->bulk, s->arena, len, false);
    if (buf == NULL) {
        s->again_kind = WAIT_BULK;
        s->again_key = 0;
        send_failed(s, self->slot, PROA_AGAIN);
    }
    return buf;
}

void proa_buf_free(struct proa_actor *self, void *buf)
{
    if (buf != NULL)
        bulk_free(&self->sched->bulk, buf);
}

enum proa_outcome proa_tell_buf(struct proa_actor *self, struct proa_ref to,
                                uint32_t type, void *buf, size_t len)
{
    if (buf == NULL || len > bulk_len(buf))
        return send_failed(self->sched, self->slot, PROA_INVALID);
    return tell_any(self, to, type, buf, len, PROA_CLASS_NORMAL, buf);
}

void *proa_msg_keep(struct proa_actor *self, const struct proa_msg *msg)
{
    void *buf = self->bulk;

    if (msg != self->msg)
        return NULL;
    self->bulk = NULL;
    return buf;
}

/* ---- Asks ---- */

enum proa_outcome ask_send(struct sched *s, struct slot *slot, struct proa_msg *msg,
                           struct ask *ask)
{
    enum proa_outcome outcome;

    ask->to = msg->to;
    msg->correlation = ask->correlation;
    outcome = send_any(s, msg, NULL);
    if (__builtin_expect(outcome != PROA_OK, 0)) {
        ask->state = ASK_ANSWERED; /* nothing went out, so nothing comes back */
        ask_release(&s->asks, slot, ask);
        return outcome;
    }
    if (msg->to.node != s->node)
        ask_link(&s->asks, ask);
    timer_wheel_start(&s->wheel, &ask->timer, TIMER_ASK, msg->deadline);
    s->hot.asks++;
    return PROA_OK;
}

enum proa_outcome proa_ask(struct proa_actor *self, struct proa_ref to, uint32_t type,
                           const void *data, size_t len, proa_ns deadline, proa_then then,
                           const void *ctx, size_t ctx_len)
{
    struct sched *s = self->sched;
    struct slot *slot = self->slot;
    struct proa_msg msg = {.data = len > 0 ? data : &nothing,
                           .len = (uint32_t)len,
                           .type = type,
                           .from = self->ref,
                           .to = to,
                           .deadline = s->now + deadline,
                           .flags = PROA_MSG_ASK};
    enum proa_outcome outcome;
    struct ask *ask;

    if (type >= PROA_TYPE_SYSTEM || proa_ref_is_none(to) || (data == NULL && len > 0) ||
        then == NULL || deadline == 0 || deadline > PROA_DEADLINE_MAX ||
        ctx_len > PROA_CONTEXT_MAX || (ctx == NULL && ctx_len > 0))
        return send_failed(s, slot, PROA_INVALID);
    if (len > s->message_max)
        return send_failed(s, slot, PROA_TOO_LARGE);
    if (self->ending || s->draining)
        return send_failed(s, slot, PROA_STOPPED);
    ask = ask_alloc(&s->asks, slot, slot_index(&s->slots, slot), ASK_ACTOR);
    if (ask == NULL)
        return send_failed(s, slot, PROA_LIMIT);
    ask->fn.then = then;
    payload_copy(ask->ctx, ctx, (uint32_t)ctx_len);
    outcome = ask_send(s, slot, &msg, ask);
    return outcome == PROA_OK ? PROA_OK : send_failed(s, slot, outcome);
}

/* ---- Forwarding ---- */

enum proa_outcome proa_forward(struct proa_actor *self, const struct proa_msg *msg,
                               struct proa_ref to)
{
    struct sched *s = self->sched;
    bool is_ask = (msg->flags & PROA_MSG_ASK) != 0;
    struct proa_msg onward = *msg;
    enum proa_outcome outcome;

    if (msg != self->msg || proa_ref_is_none(to))
        return send_failed(s, self->slot, PROA_INVALID);
    if (is_ask && self->answered)
        return PROA_NOT_AN_ASK;
    if (msg->hops >= PROA_HOPS_MAX) {
        if (is_ask) {
            refuse_msg(s, msg, PROA_REFUSED_HOPS);
            self->answered = true;
        } else {
            STAT_ADD(s, refused[PROA_REFUSED_HOPS], 1);
        }
        return PROA_REFUSED_HOPS;
    }
    onward.to = to;
    onward.hops++;
    outcome = send_any(s, &onward, NULL);
    if (outcome != PROA_OK)
        return send_failed(s, self->slot, outcome);
    self->answered = true;
    STAT_ADD(s, forwarded, 1);
    forward_tell_origin(s, &onward);
    return PROA_OK;
}
