/* SPDX-License-Identifier: Apache-2.0 */
/* Items that must not be lost (answers, refusals) and find their ring full wait here, in order,
   and everything after them for the same lane waits or gets AGAIN, so that order stays. */
#include "scheduler_internal.h"

#define PAIR_NODE_ROOM (SLAB_BLOCK_MAX - (uint32_t)sizeof(struct pair_node))
#define WAITING_CLASS 2 /* slab class of a waiting item */

_Static_assert(sizeof(struct waiting_item) <= SLAB_BLOCK_MIN << WAITING_CLASS,
               "its class");

/* ---- Sending ---- */

static enum proa_outcome no_room(struct sched *s, uint32_t kind, uint32_t key)
{
    s->again_kind = kind;
    s->again_key = key;
    return PROA_AGAIN;
}

/* Finishes an item whose payload pair_item_put did not take: by a node, or a bulk buffer. */
static enum proa_outcome fill_large(struct sched *s, struct pair_item *item,
                                    const struct proa_msg *msg, void *bulk,
                                    bool privileged)
{
    if (bulk == NULL && msg->len <= PAIR_NODE_ROOM) {
        uint32_t class = slab_class(sizeof(struct pair_node) + msg->len);
        struct pair_node *node = slab_alloc(&s->slab, class, privileged);

        if (node == NULL)
            return no_room(s, WAIT_SLAB, 0);
        node->size = slab_class_size(class) - (uint32_t)sizeof(*node);
        node->len = msg->len;
        payload_copy(node->data, msg->data, msg->len);
        item->node = node;
        return PROA_OK;
    }
    if (bulk == NULL) {
        bulk = bulk_alloc(&s->bulk, s->arena, msg->len, privileged);
        if (bulk == NULL)
            return no_room(s, WAIT_BULK, 0);
        memcpy(bulk, msg->data, msg->len);
    }
    bulk_leave(&s->bulk, bulk);
    item->kind = PAIR_BULK;
    item->ptr = bulk;
    return PROA_OK;
}

static inline enum proa_outcome fill(struct sched *s, struct pair_item *item,
                                     const struct proa_msg *msg, void *bulk,
                                     bool privileged)
{
    if (__builtin_expect(!pair_item_put(item, msg, s->node), 0))
        return fill_large(s, item, msg, bulk, privileged);
    if (bulk != NULL)
        bulk_free(&s->bulk, bulk); /* so small that it was copied */
    return PROA_OK;
}

/* Makes room for a privileged item that finds none in the ring; NULL without memory. */
static struct pair_item *wait_in_line(struct sched *s, struct lane_out *out)
{
    struct waiting_item *waiting = slab_alloc(&s->slab, WAITING_CLASS, true);

    if (waiting == NULL)
        return NULL;
    waiting->next = NULL;
    if (out->last == NULL)
        out->first = waiting;
    else
        out->last->next = waiting;
    out->last = waiting;
    return &waiting->item;
}

enum proa_outcome cross_send(struct sched *s, uint32_t lane, const struct proa_msg *msg,
                             void *bulk, bool privileged)
{
    struct lane_out *out = &s->out[lane % PROA_LANES_MAX];
    struct pair_item *item = NULL, local;
    enum proa_outcome outcome;

    if (lane >= s->lanes || out->ring == NULL)
        return PROA_NO_SUCH_ACTOR;
    if (__builtin_expect(out->first == NULL, 1))
        item = pair_ring_reserve(out->ring, privileged);
    if (__builtin_expect(item != NULL, 1)) {
        outcome = fill(s, item, msg, bulk, privileged);
        if (outcome != PROA_OK)
            return outcome;
        pair_ring_commit(out->ring);
        s->hot.cross_out++;
        return PROA_OK;
    }
    if (!privileged)
        return no_room(s, WAIT_LANE, lane);
    outcome = fill(s, &local, msg, bulk, true);
    if (outcome != PROA_OK)
        return outcome;
    item = wait_in_line(s, out);
    PROA_ASSERT(item != NULL); /* privileged blocks end with the machine's memory only */
    *item = local;
    return PROA_OK;
}

bool cross_is_half_full(struct sched *s, uint32_t lane)
{
    struct pair_ring *ring = s->out[lane % PROA_LANES_MAX].ring;

    return lane < s->lanes && ring != NULL && pair_ring_is_half_full(ring);
}

bool cross_body(struct sched *s, uint32_t lane, uint32_t kind, const void *body,
                size_t len, bool privileged)
{
    struct lane_out *out = &s->out[lane % PROA_LANES_MAX];
    struct pair_item *item = NULL;
    bool in_ring;

    PROA_ASSERT(len <= PAIR_BODY_MAX);
    if (lane >= s->lanes || out->ring == NULL)
        return true; /* nobody there to hear it */
    if (out->first == NULL)
        item = pair_ring_reserve(out->ring, privileged);
    in_ring = item != NULL;
    if (!in_ring) {
        if (!privileged) {
            no_room(s, WAIT_LANE, lane);
            return false;
        }
        item = wait_in_line(s, out);
        PROA_ASSERT(item != NULL);
    }
    item->kind = kind;
    item->aux = 0;
    memcpy(item->body, body, len);
    if (in_ring) {
        pair_ring_commit(out->ring);
        s->hot.cross_out++;
    }
    return true;
}

void cross_refusal(struct sched *s, uint32_t lane, const struct refusal *r)
{
    struct lane_out *out = &s->out[lane % PROA_LANES_MAX];
    bool waits = out->first != NULL;

    if (r->correlation == 0 && waits) {
        if (out->refusals >= SCHED_REFUSALS_MAX) {
            STAT_ADD(s, refusals_merged, r->count);
            out->more.count += r->count;
            out->more.reason = r->reason;
            return;
        }
        out->refusals++;
    }
    cross_body(s, lane, PAIR_REFUSAL, r, sizeof(*r), true);
}

/* Moves what waits into the ring, as far as it goes. */
static void send_waiting(struct sched *s, struct lane_out *out)
{
    while (out->first != NULL) {
        struct waiting_item *waiting = out->first;
        struct pair_item *item = pair_ring_reserve(out->ring, true);

        if (item == NULL)
            return;
        *item = waiting->item;
        pair_ring_commit(out->ring);
        s->hot.cross_out++;
        out->first = waiting->next;
        if (out->first == NULL)
            out->last = NULL;
        slab_free(&s->slab, waiting, WAITING_CLASS);
    }
    out->refusals = 0;
    if (out->more.count > 0) {
        struct refusal more = out->more;

        out->more = (struct refusal){0};
        cross_body(s, (uint32_t)(out - s->out), PAIR_REFUSAL, &more, sizeof(more), true);
    }
}

void cross_flush(struct sched *s)
{
    for (uint32_t lane = 0; lane < s->lanes; lane++) {
        struct lane_out *out = &s->out[lane];

        if (out->ring == NULL)
            continue;
        send_waiting(s, out);
        /* Also what the lane itself committed: misdirected packets, marks. */
        pair_ring_publish(out->ring);
        if (out->ring->tail_told == out->told)
            continue;
        out->told = out->ring->tail_told;
        if (out->bell != NULL)
            doorbell_ring(out->bell);
    }
}

bool cross_waiting(const struct sched *s)
{
    for (uint32_t lane = 0; lane < s->lanes; lane++)
        if (s->out[lane].first != NULL)
            return true;
    return false;
}

/* ---- Receiving ---- */

static void msg_item(struct sched *s, struct pair_item *item, void *bulk)
{
    struct proa_msg space;
    const struct proa_msg *msg = pair_item_open(item, s->node, &space);

    if ((msg->flags & PROA_MSG_REPLY) != 0)
        answer_in(s, msg, bulk, true);
    else
        deliver_here(s, msg, bulk, true);
}

static void body_item(struct sched *s, uint32_t lane, const struct pair_item *item)
{
    const void *body = item->body;

    switch (item->kind) {
    case PAIR_REFUSAL:
        refuse_here(s, body);
        break;
    case PAIR_WRITABLE:
        writable_item(s, body);
        break;
    case PAIR_UNBLOCK:
        unblock_item(s, body);
        break;
    case PAIR_SPAWN:
        spawn_item(s, lane, body);
        break;
    case PAIR_SPAWNED:
        spawned_item(s, body);
        break;
    case PAIR_WATCH:
        watch_here(s, body);
        break;
    case PAIR_FORWARDED:
        forwarded_here(s, body);
        break;
    case PAIR_STOP:
        stop_request(s, *(const struct proa_ref *)body, true);
        break;
    default:
        STAT_ADD(s, malformed, 1);
        break;
    }
}

static void item_in(struct sched *s, uint32_t lane, struct pair_item *item)
{
    switch (item->kind) {
    case PAIR_TELL:
    case PAIR_MSG:
    case PAIR_MSG_NODE: /* the sender's again once the item is consumed */
        msg_item(s, item, NULL);
        break;
    case PAIR_BULK:
        bulk_enter(&s->bulk, item->ptr);
        msg_item(s, item, item->ptr);
        break;
    default:
        if (item->kind >= PAIR_FOREIGN && s->foreign_item != NULL)
            s->foreign_item(s->foreign_ctx, lane, item);
        else
            body_item(s, lane, item);
    }
}

static uint32_t ring_in(struct sched *s, uint32_t lane)
{
    struct pair_ring *ring = s->in[lane];
    uint32_t n = 0;

    for (; n < SCHED_POLL_MAX; n++) {
        struct pair_item *item;

        n += deliver_tells(s, ring, SCHED_POLL_MAX - n);
        if (n == SCHED_POLL_MAX || (item = pair_ring_peek(ring)) == NULL)
            break;
        item_in(s, lane, item);
        pair_ring_step(ring);
    }
    if (n > 0)
        pair_ring_consume(ring);
    return n;
}

/* Frees the nodes that other lanes have sent home. */
static void nodes_home(struct sched *s, struct pair_ring *ring)
{
    struct pair_node *node = pair_ring_returned(ring), *next;

    for (; node != NULL; node = next) {
        next = node->next;
        slab_free(&s->slab, node, slab_class(sizeof(*node) + node->size));
    }
}

bool cross_called(struct sched *s)
{
    for (uint32_t lane = 0; lane < s->lanes; lane++) {
        if (s->in[lane] != NULL && pair_ring_peek(s->in[lane]) != NULL)
            return true;
    }
    return false;
}

uint32_t cross_poll(struct sched *s)
{
    uint32_t n = 0;

    for (uint32_t lane = 0; lane < s->lanes; lane++) {
        if (s->in[lane] != NULL)
            n += ring_in(s, lane);
        if (s->out[lane].ring != NULL)
            nodes_home(s, s->out[lane].ring);
    }
    if (n > 0)
        STAT_ADD(s, cross_in, n);
    return n;
}

static void drop_bulk_items(struct sched *s, struct pair_ring *ring)
{
    struct pair_item *item;

    while (ring != NULL && (item = pair_ring_peek(ring)) != NULL) {
        if (item->kind == PAIR_BULK) {
            bulk_enter(&s->bulk, item->ptr);
            bulk_free(&s->bulk, item->ptr);
        }
        pair_ring_step(ring);
        pair_ring_consume(ring);
    }
}

/* Frees the bulk buffers that still lie in rings to this lane, and what waits to leave it. */
void cross_fini(struct sched *s)
{
    for (uint32_t lane = 0; lane < s->lanes; lane++) {
        struct waiting_item *waiting = s->out[lane].first;

        for (; waiting != NULL; waiting = waiting->next) {
            if (waiting->item.kind != PAIR_BULK)
                continue;
            bulk_enter(&s->bulk, waiting->item.ptr);
            bulk_free(&s->bulk, waiting->item.ptr);
        }
        s->out[lane].first = s->out[lane].last = NULL;
        drop_bulk_items(s, s->in[lane]);
    }
}
