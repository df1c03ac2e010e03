/* SPDX-License-Identifier: Apache-2.0 */
#include "lane_internal.h"

#include <string.h>

#include "sysmsg.h"

bool lane_peers_init(struct lane *lane)
{
    lane->peers =
        arena_zalloc(lane->config.arena, LANE_PEERS_MAX * sizeof(*lane->peers), 64);
    if (lane->peers == NULL)
        return false;
    for (uint32_t i = LANE_PEERS_MAX; i-- > 0;) {
        lane->peers[i].next = lane->peers_free;
        lane->peers_free = &lane->peers[i];
    }
    return true;
}

static void pending_free(struct lane *lane, struct pending *p)
{
    arena_free(lane->config.arena, p);
    lane->pending_count--;
}

static void drop_pending(struct lane *lane, struct lane_peer *peer)
{
    while (peer->first != NULL) {
        struct pending *p = peer->first;
        peer->first = p->next;
        pending_free(lane, p);
    }
    peer->last = NULL;
    peer->pending_count = 0;
    peer->privileged_count = 0;
}

void lane_peers_fini(struct lane *lane)
{
    if (lane->peers == NULL)
        return;
    for (uint32_t i = 0; i < LANE_PEERS_MAX; i++)
        drop_pending(lane, &lane->peers[i]);
    arena_free(lane->config.arena, lane->peers);
}

static struct lane_peer **bucket(struct lane *lane, uint64_t node)
{
    /* Ids are hashes already: any bits of them do. */
    return &lane->buckets[node % LANE_PEER_BUCKETS];
}

struct lane_peer *lane_peer_find(struct lane *lane, uint64_t node)
{
    if (lane->last_peer != NULL && lane->last_peer->node == node)
        return lane->last_peer;
    for (struct lane_peer *p = *bucket(lane, node); p != NULL; p = p->next) {
        if (p->node == node) {
            lane->last_peer = p;
            return p;
        }
    }
    return NULL;
}

/* Gives the records of nodes without link and business back, when the table has run full. */
static void sweep(struct lane *lane)
{
    lane->last_peer = NULL;
    for (uint32_t i = 0; i < LANE_PEER_BUCKETS; i++) {
        struct lane_peer **at = &lane->buckets[i];
        while (*at != NULL) {
            struct lane_peer *p = *at;
            if (p->links > 0 || p->first != NULL || p->writable) {
                at = &p->next;
                continue;
            }
            *at = p->next;
            p->next = lane->peers_free;
            lane->peers_free = p;
            lane->peer_count--;
        }
    }
}

struct lane_peer *lane_peer_get(struct lane *lane, uint64_t node)
{
    struct lane_peer *p = lane_peer_find(lane, node);

    if (p != NULL)
        return p;
    if (lane->peers_free == NULL)
        sweep(lane);
    p = lane->peers_free;
    if (p == NULL)
        return NULL;
    lane->peers_free = p->next;
    memset(p, 0, sizeof(*p));
    p->node = node;
    p->next = *bucket(lane, node);
    *bucket(lane, node) = p;
    lane->peer_count++;
    lane->last_peer = p;
    return p;
}

static bool is_dead(struct lane *lane, uint64_t node)
{
    struct directory_node *record = directory_node(lane->config.directory, node);

    /* relaxed: a dead node is noticed one loop later at worst. */
    return record != NULL &&
           atomic_load_explicit(&record->heard_until, memory_order_relaxed) == 0;
}

/* Asks the control thread for a link, once, and again only when that got no answer. */
static void want_link(struct lane *lane, struct lane_peer *peer, proa_ns again_after)
{
    struct punt_node want = {.node = peer->node};

    if (peer->asked_at != 0 && lane->now - peer->asked_at < again_after)
        return;
    if (lane_push_up(lane, PUNT_NEED_LINK, &want, sizeof(want), NULL, 0))
        peer->asked_at = lane->now;
}

static enum proa_outcome pend(struct lane *lane, struct lane_peer *peer,
                              struct pending *p)
{
    p->next = NULL;
    if (peer->last != NULL)
        peer->last->next = p;
    else
        peer->first = p;
    peer->last = p;
    if (lane->pending_count++ == 0)
        lane->pending_at = lane->now + LANE_ASK_AGAIN;
    if (p->privileged)
        peer->privileged_count++;
    else
        peer->pending_count++;
    lane_count(&lane->stats.pending, 1);
    if (peer->sending == NULL)
        want_link(lane, peer, LANE_ASK_AGAIN);
    return PROA_OK;
}

static enum proa_outcome pend_msg(struct lane *lane, struct lane_peer *peer,
                                  const struct proa_msg *msg)
{
    bool privileged = (msg->flags & (PROA_MSG_REPLY | PROA_MSG_SYSTEM)) != 0;
    bool waits = !privileged ||
                 ((msg->flags & PROA_MSG_SYSTEM) && msg->type == (uint32_t)SYSMSG_STOP);

    if (msg->len > lane->config.message_max)
        return PROA_TOO_LARGE;
    if (privileged ? peer->privileged_count >= LANE_REPLIES_MAX
                   : peer->pending_count >= LANE_PENDING_MAX) {
        lane_count(&lane->stats.pending_full, 1);
        if (waits) {
            peer->again = true;
            return PROA_AGAIN;
        }
        lane_count(&lane->stats.replies_dropped, 1);
        return PROA_OK; /* the asker's deadline says MAYBE_EXECUTED */
    }
    struct pending *p =
        arena_alloc(lane->config.arena, sizeof(*p) + msg->len, alignof(struct pending));
    if (p == NULL) {
        peer->again |= waits;
        return PROA_AGAIN;
    }
    p->kind = PENDING_MSG;
    p->tries = 0;
    p->privileged = privileged;
    p->msg = *msg;
    p->msg.data = p->data;
    memcpy(p->data, msg->data, msg->len);
    return pend(lane, peer, p);
}

enum proa_outcome lane_below_send(void *ctx, const struct proa_msg *msg)
{
    struct lane *lane = ctx;
    struct lane_peer *peer = lane_peer_get(lane, msg->to.node);

    if (peer == NULL)
        return PROA_NO_ROUTE;
    if (peer->sending != NULL && peer->first == NULL) {
        struct lane_link *ll = peer->sending;

        if (!ll->dirty) {
            lane_dirty(lane, ll);
            if (lane->dirty_count > LANE_DIRTY_MAX)
                sched_rest(lane->sched);
        }
        return link_send(ll->link, msg, lane->now);
    }
    if (peer->sending == NULL && is_dead(lane, peer->node)) {
        /* Dead is our own view: try to reach it again now and then, refuse meanwhile. */
        want_link(lane, peer, LANE_RETRY_DEAD);
        lane_count(&lane->stats.no_route, 1);
        return PROA_NO_ROUTE;
    }
    return pend_msg(lane, peer, msg);
}

enum proa_outcome lane_below_send_bulk(void *ctx, const struct proa_msg *msg, void *buf)
{
    struct lane *lane = ctx;
    struct lane_peer *peer = lane_peer_get(lane, msg->to.node);
    enum proa_outcome outcome;

    bulk_enter(&lane->bulk, buf); /* the scheduler counts it no more once it is taken */
    if (msg->len > LANE_COPIED && peer != NULL && peer->sending != NULL &&
        peer->first == NULL) {
        lane_dirty(lane, peer->sending);
        outcome = link_send_bulk(peer->sending->link, msg, buf, lane->now);
    } else {
        outcome = lane_below_send(lane, msg);
        if (outcome == PROA_OK)
            bulk_free(&lane->bulk, buf);
    }
    if (outcome != PROA_OK)
        bulk_leave(&lane->bulk, buf);
    return outcome;
}

/* A refusal or WRITABLE that is to wait; NULL: there is no place for it. */
static struct pending *pending_small(struct lane *lane, const struct lane_peer *peer,
                                     enum pending_kind kind)
{
    struct pending *p = NULL;

    if (peer->privileged_count < LANE_REPLIES_MAX)
        p = arena_alloc(lane->config.arena, sizeof(*p), alignof(struct pending));
    if (p == NULL)
        return NULL;
    p->kind = kind;
    p->tries = 0;
    p->privileged = true;
    return p;
}

void lane_below_refuse(void *ctx, uint64_t node, const struct refusal *refusal)
{
    struct lane *lane = ctx;
    struct lane_peer *peer = lane_peer_get(lane, node);

    if (peer == NULL || (peer->sending == NULL && is_dead(lane, node))) {
        lane_count(&lane->stats.refusals_dropped, refusal->count);
        return;
    }
    if (peer->sending != NULL) {
        link_refuse(peer->sending->link, refusal, lane->now);
        lane_dirty(lane, peer->sending);
        return;
    }
    struct pending *p = pending_small(lane, peer, PENDING_REFUSAL);
    if (p == NULL) {
        lane_count(&lane->stats.refusals_dropped, refusal->count);
        return;
    }
    p->refusal = *refusal;
    pend(lane, peer, p);
}

enum proa_outcome lane_send_system(struct lane *lane, struct proa_ref to,
                                   enum sysmsg_type type, const void *body, size_t len)
{
    struct proa_msg msg = {.data = body,
                           .len = (uint32_t)len,
                           .type = type,
                           .from = {lane->config.node, lane->config.lane << 24, 0},
                           .to = to,
                           .flags = PROA_MSG_SYSTEM,
                           .cls = PROA_CLASS_SYSTEM};

    return lane_below_send(lane, &msg);
}

void lane_below_writable(void *ctx, uint64_t node, struct proa_ref to)
{
    struct lane *lane = ctx;
    struct lane_peer *peer = lane_peer_get(lane, node);
    struct pending *p;

    if (peer == NULL || (peer->sending == NULL && is_dead(lane, node)))
        return; /* its links to this node end too, and it waits for nothing then */
    if (peer->sending != NULL && peer->first == NULL) {
        link_writable(peer->sending->link, to.slot, to.generation, lane->now);
        lane_dirty(lane, peer->sending);
        return;
    }
    p = pending_small(lane, peer, PENDING_WRITABLE);
    if (p == NULL) {
        peer->writable = true;
        if (peer->sending == NULL)
            want_link(lane, peer, LANE_ASK_AGAIN);
        return;
    }
    p->writable = to;
    pend(lane, peer, p);
}

enum proa_outcome lane_below_stop(void *ctx, struct proa_ref to)
{
    uint8_t body[SYSMSG_BODY_MAX];
    size_t len = sysmsg_encode_stop(body, to.slot, to.generation);

    return lane_send_system(ctx, to, SYSMSG_STOP, body, len);
}

enum proa_outcome lane_below_monitor(void *ctx, uint64_t node, const struct watch *watch)
{
    struct lane *lane = ctx;
    struct lane_peer *peer = lane_peer_get(lane, node);
    uint8_t body[SYSMSG_BODY_MAX];

    if (peer == NULL)
        return PROA_NO_ROUTE;
    if (peer->first != NULL && peer->privileged_count >= LANE_REPLIES_MAX / 2) {
        peer->again = true;
        return PROA_AGAIN;
    }
    return lane_send_system(lane, (struct proa_ref){node, 0, 0}, sysmsg_of_watch(watch),
                            body, sysmsg_encode_watch(body, watch));
}

void lane_forwarded(struct lane *lane, uint64_t node, const struct forwarded *f)
{
    uint8_t body[SYSMSG_BODY_MAX];
    size_t len = sysmsg_encode_forwarded(body, f);

    if (lane_send_system(lane, (struct proa_ref){node, 0, 0}, SYSMSG_FORWARDED, body,
                         len) != PROA_OK)
        lane_count(&lane->stats.forwards_dropped, 1);
}

bool lane_below_follow(void *ctx, uint64_t node)
{
    struct lane *lane = ctx;
    struct lane_peer *peer = lane_peer_get(lane, node);

    if (peer == NULL || (peer->sending == NULL && is_dead(lane, node)))
        return false;
    if (peer->sending == NULL)
        want_link(lane, peer, LANE_ASK_AGAIN);
    return true;
}

static enum proa_outcome flush_one(struct lane *lane, struct lane_peer *peer,
                                   struct pending *p)
{
    struct link *link = peer->sending->link;

    if (p->kind == PENDING_REFUSAL)
        link_refuse(link, &p->refusal, lane->now);
    else if (p->kind == PENDING_WRITABLE)
        link_writable(link, p->writable.slot, p->writable.generation, lane->now);
    else
        return link_send(link, &p->msg, lane->now);
    return PROA_OK;
}

/* Who was refused, which mailbox has drained, who has an ask and who has ended is true on any link; the
   rest of what runtimes say was about this one only, and its other end sees it end. */
static void system_lost(struct lane *lane, const struct proa_msg *msg, bool sent)
{
    struct sysmsg m;

    if (msg->type == (uint32_t)SYSMSG_REGISTRY)
        lane_count(&lane->stats.registry_dropped, 1);
    if (!sysmsg_decode(msg->type, msg->data, msg->len, &m))
        return;
    if (m.type == SYSMSG_REFUSE) {
        /* It may have arrived all the same: a tell's sender is then told twice, the second time
           that it is in doubt.  A second answer to an ask is dropped. */
        if (sent && m.refusal.correlation == 0)
            m.refusal.reason = PROA_IN_DOUBT;
        lane_below_refuse(lane, msg->to.node, &m.refusal);
    } else if (m.type == SYSMSG_WRITABLE) {
        /* The node may send by another link, which lives; a second one does no harm. */
        lane_below_writable(lane, msg->to.node,
                            (struct proa_ref){lane->config.node, m.slot, m.generation});
    } else if (m.type == SYSMSG_FORWARDED) {
        lane_forwarded(lane, msg->to.node, &m.forwarded);
    } else if (m.type == SYSMSG_DOWN) {
        m.watch.target.node = m.watch.now.node = lane->config.node;
        m.watch.watcher.node = msg->to.node;
        sched_watch_lost(lane->sched, &m.watch);
    }
}

static bool is_system(const struct pending *p, enum sysmsg_type type)
{
    return p->kind == PENDING_MSG && (p->msg.flags & PROA_MSG_SYSTEM) != 0 &&
           p->msg.type == (uint32_t)type;
}

/* What runtimes say is not said again to a node that cannot be reached. */
static void bounce_system(struct lane *lane, const struct pending *p)
{
    if (is_system(p, SYSMSG_REGISTRY))
        lane_count(&lane->stats.registry_dropped, 1);
    else if (is_system(p, SYSMSG_FORWARDED))
        lane_count(&lane->stats.forwards_dropped, 1);
    else if (is_system(p, SYSMSG_DOWN))
        lane_count(&lane->stats.downs_dropped, 1);
}

/* A pending message the link will not take after all goes back to its sender as refused. */
static void bounce(struct lane *lane, const struct pending *p, enum proa_outcome reason)
{
    if (p->kind != PENDING_MSG) {
        lane_count(&lane->stats.refusals_dropped,
                   p->kind == PENDING_REFUSAL ? p->refusal.count : 1);
        return;
    }
    if (p->msg.flags & PROA_MSG_SYSTEM) {
        bounce_system(lane, p);
        return;
    }
    if (p->msg.flags & PROA_MSG_REPLY) {
        lane_count(&lane->stats.replies_dropped, 1);
        return;
    }
    struct refusal r = {.to = p->msg.to,
                        .slot = p->msg.from.slot,
                        .generation = p->msg.from.generation,
                        .type = p->msg.type,
                        .correlation =
                            p->msg.flags & PROA_MSG_ASK ? p->msg.correlation : 0,
                        .count = 1,
                        .reason = p->msg.flags & PROA_MSG_ASK ? PROA_NOT_SENT : reason};
    if (p->msg.from.node == lane->config.node)
        sched_refused(lane->sched, &r);
    else
        lane_below_refuse(lane, p->msg.from.node, &r);
}

void lane_peer_flush(struct lane *lane, struct lane_peer *peer)
{
    /* A dead link's end, in the next loop, looks for another. */
    while (peer->sending != NULL && peer->first != NULL &&
           link_state(peer->sending->link) != LINK_DEAD) {
        struct pending *p = peer->first;
        enum proa_outcome outcome = flush_one(lane, peer, p);

        if (outcome == PROA_AGAIN && !is_system(p, SYSMSG_REGISTRY))
            break; /* env.writable brings us back here */
        peer->first = p->next;
        if (peer->first == NULL)
            peer->last = NULL;
        if (p->privileged)
            peer->privileged_count--;
        else
            peer->pending_count--;
        if (outcome != PROA_OK)
            bounce(lane, p, outcome);
        pending_free(lane, p);
    }
    if (peer->sending != NULL) {
        if (peer->first == NULL && peer->writable) {
            peer->writable = false;
            link_writable(peer->sending->link, 0, 0, lane->now);
        }
        lane_dirty(lane, peer->sending);
    }
    if (peer->again && peer->pending_count <= LANE_PENDING_MAX / 2) {
        peer->again = false;
        sched_writable_node(lane->sched, peer->node);
    }
}

/* What follows from that node's own messages is kept for another try or two: it cannot be far, and nobody
   else will ever report a refusal, that a mailbox has drained, who has an ask or who has ended. */
static bool keep_pending(struct lane *lane, struct lane_peer *peer, struct pending *p)
{
    bool keeps = p->kind != PENDING_MSG || is_system(p, SYSMSG_FORWARDED) ||
                 is_system(p, SYSMSG_DOWN);

    if (!keeps || ++p->tries == LANE_REFUSAL_TRIES || is_dead(lane, peer->node))
        return false;
    p->next = NULL;
    if (peer->last != NULL)
        peer->last->next = p;
    else
        peer->first = p;
    peer->last = p;
    peer->privileged_count++; /* all of these are */
    return true;
}

static void bounce_all(struct lane *lane, struct lane_peer *peer,
                       enum proa_outcome outcome)
{
    struct pending *p = peer->first, *next;

    peer->asked_at = 0;
    peer->first = peer->last = NULL;
    peer->pending_count = peer->privileged_count = 0;
    peer->again = false;
    for (; p != NULL; p = next) {
        next = p->next;
        if (keep_pending(lane, peer, p))
            continue;
        bounce(lane, p, outcome);
        pending_free(lane, p);
    }
    if (peer->first == NULL)
        peer->writable = false;
    else if (peer->first->tries == 1)
        want_link(lane, peer, LANE_ASK_AGAIN);
    else /* lane_pending_tick asks: not four times in four loops of who refuses at once */
        peer->asked_at = lane->now;
}

/* What waits asks for its link again and again: the control thread may have thought that there
   still was one. */
void lane_pending_tick(struct lane *lane)
{
    if (lane->pending_count == 0 || lane->now < lane->pending_at)
        return;
    lane->pending_at = lane->now + LANE_ASK_AGAIN;
    for (uint32_t i = 0; i < LANE_PEER_BUCKETS; i++) {
        for (struct lane_peer *p = lane->buckets[i]; p != NULL; p = p->next) {
            if (p->first != NULL && p->sending == NULL)
                want_link(lane, p, LANE_ASK_AGAIN);
        }
    }
}

void lane_peer_failed(struct lane *lane, uint64_t node, enum proa_outcome outcome)
{
    struct lane_peer *peer = lane_peer_find(lane, node);

    if (peer != NULL && peer->sending != NULL)
        return;
    if (peer != NULL)
        bounce_all(lane, peer, outcome);
    if (!lane_marks_wait(lane, node))
        sched_node_lost(lane->sched, node);
    sched_link_dead(lane->sched, node); /* asks that others forwarded to it */
}

void lane_lost(struct lane *lane, const struct proa_msg *msg, bool sent)
{
    struct refusal r = {.to = msg->to, .type = msg->type, .count = 1};
    struct proa_ref sender = msg->from;

    lane_count(sent ? &lane->stats.lost_sent : &lane->stats.lost_unsent, 1);
    if (msg->flags & PROA_MSG_SYSTEM) {
        system_lost(lane, msg, sent);
        return;
    }
    if (msg->flags & PROA_MSG_REPLY) {
        /* The asker must not wait for its deadline: tell it that the answer got lost. */
        r.to = msg->from;
        r.correlation = msg->correlation;
        r.reason = PROA_MAYBE_EXECUTED;
        sender = msg->to;
    } else if (msg->flags & PROA_MSG_ASK) {
        r.correlation = msg->correlation;
        r.reason = sent ? PROA_MAYBE_EXECUTED : PROA_NOT_SENT;
    } else {
        r.reason = sent ? PROA_IN_DOUBT : PROA_NOT_SENT;
    }
    r.slot = sender.slot;
    r.generation = sender.generation;
    if (sender.node == lane->config.node)
        sched_refused(lane->sched, &r);
    else
        lane_below_refuse(lane, sender.node, &r);
}
