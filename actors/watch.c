/* SPDX-License-Identifier: Apache-2.0 */
/* Monitors and links: what a lane does with them (life.h, monitor.h).

   The request for a monitor goes to the target's lane; the news of the target's end comes back
   behind all that the target had sent: over the ring its messages used, by the link of its
   lane, into the watcher's mailbox in the class of ordinary messages.  A request is bound to
   the link that brought it: when that link has ended, the watcher's side says NODE_LOST and the
   target's side forgets it, each when it sees the end, and neither needs to hear of the other. */
#include "watch.h"

#include "scheduler_internal.h"

#define FLUSH_MAX 2048u /* queued entries told in one loop */

/* What a NODE_DOWN node carries. */
struct down {
    struct proa_monitor monitor;
    struct proa_ref now;
    int32_t code;
    uint8_t reason, flags;
};

static struct proa_ref actor_ref(const struct sched *s, uint32_t slot,
                                 uint32_t generation)
{
    return (struct proa_ref){s->node, slot, generation};
}

static struct slot *slot_of(struct sched *s, const struct monitor *m)
{
    return &s->slots.slots[m->slot & SLOT_INDEX_MAX];
}

/* ---- Telling ---- */

/* Tells whom it concerns, wherever that is; AGAIN only for other nodes. */
static enum proa_outcome tell(struct sched *s, const struct watch *w)
{
    struct proa_ref to = w->kind == WATCH_DOWN ? w->watcher : w->target;
    uint32_t lane = proa_ref_lane(to);

    if (to.node != s->node)
        return s->below.monitor != NULL ? s->below.monitor(s->below.ctx, to.node, w)
                                        : PROA_NO_ROUTE;
    if (lane == s->lane)
        watch_here(s, w);
    else if (lane < s->lanes)
        cross_body(s, lane, PAIR_WATCH, w, sizeof(*w), true);
    return PROA_OK;
}

static struct watch watch_of(const struct sched *s, const struct monitor *m)
{
    struct proa_ref own = actor_ref(s, m->slot, m->generation);
    struct watch w = {.reason = m->reason, .flags = m->flags, .code = m->code};

    if (m->kind == MONITOR_TELL_DOWN) {
        w.kind = WATCH_DOWN;
        w.target = own;
        w.watcher = m->other;
        w.index = m->index;
        w.serial = m->peer_serial;
        if (m->now != 0)
            w.now = actor_ref(s, m->slot, m->now);
    } else {
        w.kind = WATCH_DEMONITOR;
        w.target = m->other;
        w.watcher = own;
        w.index = monitor_index(&s->monitors, m);
        w.serial = m->serial;
    }
    return w;
}

/* Says by w that something has ended which has no entry. */
static void tell_or_queue(struct sched *s, const struct watch *w)
{
    struct monitor *m;

    if (s->monitors.queued == 0 && tell(s, w) != PROA_AGAIN)
        return;
    m = monitor_alloc(&s->monitors, NULL, w->target.slot, MONITOR_FREE);
    if (m == NULL) {
        STAT_ADD(s, signals_dropped, 1);
        return;
    }
    m->other = w->watcher;
    m->generation = w->target.generation;
    m->index = w->index;
    m->peer_serial = w->serial;
    m->reason = w->reason;
    m->flags = w->flags;
    m->code = w->code;
    m->now = w->now.generation;
    monitor_queue(&s->monitors, m, MONITOR_TELL_DOWN);
}

static void answer_down(struct sched *s, const struct watch *request,
                        enum proa_reason reason)
{
    struct watch w = *request;

    w.kind = WATCH_DOWN;
    w.reason = (uint8_t)reason;
    tell_or_queue(s, &w);
}

/* ---- What comes in ---- */

/* The signal, behind what waits in the mailbox.  The entry stays until it is run, so that it can
   still be taken back. */
static void push_down(struct sched *s, struct monitor *m, struct slot *slot,
                      enum proa_reason reason, int32_t code, struct proa_ref now)
{
    struct down down = {.monitor = {monitor_index(&s->monitors, m), m->serial},
                        .now = now,
                        .code = code,
                        .reason = (uint8_t)reason,
                        .flags = m->flags};
    struct proa_msg msg = {.data = &down,
                           .len = sizeof(down),
                           .type = NODE_DOWN,
                           .from = m->other,
                           .flags = PROA_MSG_SYSTEM};

    monitor_delivered(&s->monitors, m);
    if (slot->state == SLOT_ENDING ||
        !enqueue_reserved(s, slot, &msg, NULL, PROA_CLASS_NORMAL)) {
        STAT_ADD(s, signals_dropped, 1);
        monitor_free(&s->monitors, slot, m);
    }
}

void down_push(struct sched *s, struct slot *slot, struct proa_ref about,
               enum proa_reason reason, int32_t code)
{
    struct down down = {.code = code, .reason = (uint8_t)reason};
    struct proa_msg msg = {.data = &down,
                           .len = sizeof(down),
                           .type = NODE_DOWN,
                           .from = about,
                           .flags = PROA_MSG_SYSTEM};

    if (!enqueue_reserved(s, slot, &msg, NULL, PROA_CLASS_NORMAL))
        STAT_ADD(s, signals_dropped, 1);
}

static void monitor_in(struct sched *s, const struct watch *w)
{
    struct slot *slot = slot_find(&s->slots, w->target.slot, w->target.generation);
    struct monitor *m;

    if (slot == NULL || slot->state == SLOT_ENDING || (slot->flags & SLOT_CLIENT) != 0) {
        answer_down(s, w, PROA_REASON_NO_SUCH_ACTOR);
        return;
    }
    m = monitor_alloc(&s->monitors, slot, w->target.slot, MONITOR_WATCHED);
    if (m == NULL) { /* it may be alive, and nobody will say when not */
        answer_down(s, w, PROA_REASON_NODE_LOST);
        return;
    }
    m->other = w->watcher;
    m->index = w->index;
    m->peer_serial = w->serial;
    m->flags = w->flags & WATCH_LINK;
    if (w->link != 0) {
        m->tag = monitor_tag(w->link);
        monitor_bucket_add(&s->monitors, m);
    }
}

static struct monitor *watched_find(struct sched *s, const struct slot *slot,
                                    const struct watch *w)
{
    struct monitor *m = monitor_at(&s->monitors, slot->monitors);

    while (m != NULL &&
           !(m->kind == MONITOR_WATCHED && m->index == w->index &&
             m->peer_serial == w->serial && proa_ref_equal(m->other, w->watcher)))
        m = monitor_at(&s->monitors, m->next);
    return m;
}

static void demonitor_in(struct sched *s, const struct watch *w)
{
    struct slot *slot = slot_find(&s->slots, w->target.slot, w->target.generation);
    struct monitor *m = slot != NULL ? watched_find(s, slot, w) : NULL;

    if (m == NULL)
        return; /* it has ended meanwhile: its DOWN finds nobody */
    if ((w->flags & WATCH_DIED) != 0 && (m->flags & WATCH_LINK) != 0)
        push_down(s, m, slot, (enum proa_reason)w->reason, w->code, proa_ref_none());
    else
        monitor_free(&s->monitors, slot, m);
}

static void down_in(struct sched *s, const struct watch *w)
{
    struct proa_monitor id = {w->index, w->serial};
    struct monitor *m = monitor_find(&s->monitors, id, w->watcher.slot);

    if (m == NULL || m->kind != MONITOR_WATCH || !proa_ref_equal(m->other, w->target)) {
        STAT_ADD(s, downs_late, 1);
        return;
    }
    if ((w->flags & WATCH_UNLINK) != 0 && (m->flags & WATCH_LINK) != 0)
        monitor_free(&s->monitors, slot_of(s, m), m);
    else
        push_down(s, m, slot_of(s, m), (enum proa_reason)w->reason, w->code, w->now);
}

void watch_here(struct sched *s, const struct watch *w)
{
    switch (w->kind) {
    case WATCH_MONITOR:
        monitor_in(s, w);
        break;
    case WATCH_DEMONITOR:
        demonitor_in(s, w);
        break;
    default:
        down_in(s, w);
        break;
    }
}

void sched_watch(struct sched *s, const struct watch *watch)
{
    struct proa_ref to = watch->kind == WATCH_DOWN ? watch->watcher : watch->target;

    if (to.node == s->node && proa_ref_lane(to) < s->lanes)
        tell(s, watch);
    else
        STAT_ADD(s, malformed, 1);
}

void sched_watch_lost(struct sched *s, const struct watch *watch)
{
    /* Its link has ended, but the watcher's own request came by another: say it again. */
    if (watch->kind == WATCH_DOWN)
        tell_or_queue(s, watch);
}

void sched_node_lost(struct sched *s, uint64_t node)
{
    struct monitor_table *t = &s->monitors;
    struct monitor *next;

    for (struct monitor *m = monitor_bucket_first(t, MONITOR_WATCH, node); m != NULL;
         m = next) {
        next = monitor_at(t, m->bucket_next);
        if (m->kind != MONITOR_WATCH || m->other.node != node)
            continue;
        uint32_t generation = slot_of(s, m)->generation;
        monitor_leave(t, slot_of(s, m), m);
        m->generation = generation;
        monitor_queue(t, m, MONITOR_LOST);
    }
}

/* By the buckets alone: this is asked for each link that sends, in every loop. */
bool sched_waits_for(const struct sched *s, uint64_t node)
{
    return ask_bucket_first(&s->asks, node) != NULL ||
           monitor_bucket_first(&s->monitors, MONITOR_WATCH, node) != NULL;
}

void sched_link_ended(struct sched *s, uint64_t link)
{
    struct monitor_table *t = &s->monitors;
    uint32_t tag = monitor_tag(link);
    struct monitor *next;

    for (struct monitor *m = monitor_bucket_first(t, MONITOR_WATCHED, tag); m != NULL;
         m = next) {
        next = monitor_at(t, m->bucket_next);
        if (m->kind != MONITOR_WATCHED || m->tag != tag)
            continue;
        if ((m->flags & WATCH_LINK) != 0)
            push_down(s, m, slot_of(s, m), PROA_REASON_NODE_LOST, 0, proa_ref_none());
        else
            monitor_free(t, slot_of(s, m), m);
    }
}

/* ---- Once a loop ---- */

/* NODE_LOST: the entry returns to its watcher, if that lives, with the signal. */
static void tell_lost(struct sched *s, struct monitor *m)
{
    struct slot *slot = slot_find(&s->slots, m->slot, m->generation);

    if (slot == NULL || slot->state == SLOT_ENDING) {
        monitor_free(&s->monitors, NULL, m);
        return;
    }
    monitor_rejoin(&s->monitors, slot, m);
    push_down(s, m, slot, PROA_REASON_NODE_LOST, 0, proa_ref_none());
}

uint32_t watches_flush(struct sched *s)
{
    uint32_t count = s->monitors.queued < FLUSH_MAX ? s->monitors.queued : FLUSH_MAX;

    for (uint32_t i = 0; i < count; i++) {
        struct monitor *m = monitor_dequeue(&s->monitors);

        if (m->kind == MONITOR_LOST) {
            tell_lost(s, m);
            continue;
        }
        struct watch w = watch_of(s, m);
        if (tell(s, &w) == PROA_AGAIN)
            monitor_queue(&s->monitors, m, (enum monitor_kind)m->kind);
        else
            monitor_free(&s->monitors, NULL, m);
    }
    return count;
}

/* ---- The end of an actor ---- */

/* Whoever watched it is told; later, if it waits for its restart to be decided. */
void watched_end(struct sched *s, struct slot *slot, enum proa_reason reason,
                 int32_t code, uint32_t now)
{
    struct monitor_table *t = &s->monitors;
    struct monitor *next;

    for (struct monitor *m = monitor_at(t, slot->monitors); m != NULL; m = next) {
        next = monitor_at(t, m->next);
        if (m->kind != MONITOR_WATCHED)
            continue;
        monitor_leave(t, slot, m);
        m->reason = (uint8_t)reason;
        m->code = code;
        m->now = now;
        m->generation = slot->generation;
        monitor_queue(t, m, MONITOR_TELL_DOWN);
    }
}

/* It watches nobody any more. */
void watches_end(struct sched *s, struct slot *slot)
{
    struct monitor_table *t = &s->monitors;
    struct monitor *next;

    for (struct monitor *m = monitor_at(t, slot->monitors); m != NULL; m = next) {
        next = monitor_at(t, m->next);
        if (m->kind == MONITOR_DELIVERED) {
            monitor_free(t, slot, m);
        } else if (m->kind == MONITOR_WATCH) {
            monitor_leave(t, slot, m);
            m->reason = slot->reason;
            m->code = slot->code;
            m->flags |= WATCH_DIED;
            m->generation = slot->generation;
            monitor_queue(t, m, MONITOR_TELL_DEMONITOR);
        }
    }
}

/* ---- The calls ---- */

static enum proa_outcome start(struct proa_actor *self, struct proa_ref to, uint8_t flags,
                               struct proa_monitor *ret)
{
    struct sched *s = self->sched;
    struct monitor *m;
    enum proa_outcome outcome = PROA_OK;

    if (proa_ref_is_none(to) || proa_ref_equal(to, self->ref))
        return send_failed(s, NULL, PROA_INVALID);
    if (self->ending)
        return send_failed(s, NULL, PROA_STOPPED);
    m = monitor_alloc(&s->monitors, self->slot, self->ref.slot, MONITOR_WATCH);
    if (m == NULL)
        return send_failed(s, NULL, PROA_LIMIT);
    m->other = to;
    m->flags = flags;
    struct watch w = {.kind = WATCH_MONITOR,
                      .flags = flags,
                      .target = to,
                      .watcher = self->ref,
                      .index = monitor_index(&s->monitors, m),
                      .serial = m->serial};
    if (to.node != s->node)
        monitor_bucket_add(&s->monitors, m);
    *ret = (struct proa_monitor){w.index, w.serial};
    if (to.node == s->node && proa_ref_lane(to) >= s->lanes)
        answer_down(s, &w, PROA_REASON_NO_SUCH_ACTOR);
    else
        outcome = tell(s, &w);
    if (outcome == PROA_OK)
        return PROA_OK;
    if (outcome == PROA_AGAIN) {
        s->again_kind = WAIT_NODE;
        s->again_key = again_key(to.node);
    }
    monitor_free(&s->monitors, self->slot, m);
    *ret = (struct proa_monitor){0, 0};
    return send_failed(s, self->slot, outcome);
}

enum proa_outcome proa_monitor(struct proa_actor *self, struct proa_ref to,
                               struct proa_monitor *ret_monitor)
{
    struct proa_monitor unused;

    return start(self, to, 0, ret_monitor != NULL ? ret_monitor : &unused);
}

/* Takes back one of self's own watches. */
static void take_back(struct sched *s, struct slot *slot, struct monitor *m)
{
    if (m->kind == MONITOR_DELIVERED) {
        monitor_free(&s->monitors, slot, m); /* its signal will find nothing */
        return;
    }
    monitor_leave(&s->monitors, slot, m);
    m->generation = slot->generation;
    monitor_queue(&s->monitors, m, MONITOR_TELL_DEMONITOR);
}

bool proa_demonitor(struct proa_actor *self, struct proa_monitor monitor)
{
    struct monitor *m = monitor_find(&self->sched->monitors, monitor, self->ref.slot);

    if (m == NULL || (m->kind != MONITOR_WATCH && m->kind != MONITOR_DELIVERED) ||
        (m->flags & WATCH_LINK) != 0)
        return false;
    take_back(self->sched, self->slot, m);
    return true;
}

static struct monitor *link_find(struct sched *s, const struct slot *slot,
                                 struct proa_ref to)
{
    struct monitor *m = monitor_at(&s->monitors, slot->monitors);

    while (m != NULL && !((m->flags & WATCH_LINK) != 0 && proa_ref_equal(m->other, to)))
        m = monitor_at(&s->monitors, m->next);
    return m;
}

enum proa_outcome proa_link(struct proa_actor *self, struct proa_ref to)
{
    struct proa_monitor unused;

    if (link_find(self->sched, self->slot, to) != NULL)
        return PROA_OK;
    return start(self, to, WATCH_LINK, &unused);
}

bool proa_unlink(struct proa_actor *self, struct proa_ref to)
{
    struct sched *s = self->sched;
    struct monitor *m = link_find(s, self->slot, to);

    if (m == NULL)
        return false;
    if (m->kind == MONITOR_WATCHED) { /* the other side made it */
        monitor_leave(&s->monitors, self->slot, m);
        m->flags |= WATCH_UNLINK;
        m->generation = self->slot->generation;
        monitor_queue(&s->monitors, m, MONITOR_TELL_DOWN);
    } else {
        take_back(s, self->slot, m);
    }
    return true;
}

/* ---- The signal ---- */

/* Fills in the signal; false: it is not for the actor to see. */
bool down_run(struct proa_actor *self, const struct node *node,
              struct proa_signal *signal)
{
    struct sched *s = self->sched;
    struct down down;
    struct monitor *m;

    memcpy(&down, node->payload, sizeof(down));
    if (down.monitor.serial == 0) { /* of a child */
        signal->kind = PROA_SIGNAL_DOWN;
        signal->down = (enum proa_reason)down.reason;
        signal->code = down.code;
        return true;
    }
    m = monitor_find(&s->monitors, down.monitor, self->ref.slot);
    if (m == NULL || m->kind != MONITOR_DELIVERED)
        return false;
    monitor_free(&s->monitors, self->slot, m);
    signal->kind = PROA_SIGNAL_DOWN;
    signal->down = (enum proa_reason)down.reason;
    signal->code = down.code;
    signal->now = down.now;
    signal->monitor = down.monitor;
    if ((down.flags & WATCH_LINK) == 0)
        return true;
    signal->monitor.serial = 0;
    m = link_find(s, self->slot, node->msg.from);
    if (m != NULL) /* both had asked for the link: it is one */
        monitor_free(&s->monitors, self->slot, m);
    if (self->slot->behaviour->def->traps)
        return true;
    if (signal->down != PROA_REASON_NORMAL)
        proa_fail(self, PROA_CODE_LINKED);
    return false;
}
