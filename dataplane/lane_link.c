/* SPDX-License-Identifier: Apache-2.0 */
#include "lane_internal.h"

#include <string.h>

#include "sysmsg.h"

static void *env_bulk_alloc(void *ctx, size_t len)
{
    struct lane *lane = ctx;

    return bulk_alloc(&lane->bulk, lane->config.arena, len, false);
}

static void env_bulk_free(void *ctx, void *buf)
{
    bulk_free(&((struct lane *)ctx)->bulk, buf);
}

static void env_transmit(void *ctx, struct link *link, struct pkt *p)
{
    (void)link;
    lane_transmit(ctx, p);
}

/* Their nodes are those of the link's two ends, whatever they say. */
static void watch_message(struct lane *lane, struct link *link, struct watch *w)
{
    bool down = w->kind == WATCH_DOWN;

    w->target.node = down ? link_node(link) : lane->config.node;
    w->watcher.node = down ? lane->config.node : link_node(link);
    if (down && w->now.generation != 0)
        w->now.node = link_node(link);
    else
        w->now = proa_ref_none();
    w->link = link_id(link);
    if (w->kind == WATCH_MONITOR)
        lane_link_of(lane, link)->keeps = true;
    sched_watch(lane->sched, w);
}

/* A message between runtimes, from the other end of the link. */
static void system_message(struct lane *lane, struct link *link,
                           const struct proa_msg *msg)
{
    struct sysmsg m;

    if (msg->type == (uint32_t)SYSMSG_REGISTRY) {
        lane_mesh_input(lane, link_node(link), msg);
        return;
    }
    if (!sysmsg_decode(msg->type, msg->data, msg->len, &m)) {
        lane_count(&lane->stats.sysmsg_bad, 1);
        return;
    }
    switch (m.type) {
    case SYSMSG_REFUSE:
        sched_refused(lane->sched, &m.refusal);
        break;
    case SYSMSG_MONITOR:
    case SYSMSG_DEMONITOR:
    case SYSMSG_DOWN:
        watch_message(lane, link, &m.watch);
        break;
    case SYSMSG_FORWARDED:
        sched_forwarded(lane->sched, &m.forwarded);
        break;
    case SYSMSG_WRITABLE:
        if (m.generation == 0)
            sched_writable_refs(lane->sched, link_node(link));
        else
            sched_writable_ref(lane->sched,
                               (struct proa_ref){link_node(link), m.slot, m.generation});
        break;
    case SYSMSG_STEER:
        if (!lane->config.ports[link_port(link)]->one_source)
            link_set_source(link, m.port);
        break;
    case SYSMSG_STOP:
        sched_stop_actor(lane->sched,
                         (struct proa_ref){lane->config.node, m.slot, m.generation});
        break;
    default:
        lane_count(&lane->stats.sysmsg_bad, 1);
        break;
    }
}

static void env_deliver(void *ctx, struct link *link, const struct proa_msg *msg,
                        bool in_place_ok)
{
    struct lane *lane = ctx;

    if (__builtin_expect((msg->flags & PROA_MSG_SYSTEM) != 0, 0))
        system_message(lane, link, msg);
    else
        sched_deliver(lane->sched, msg, in_place_ok);
}

static void env_expect(void *ctx, const uint32_t *slots, uint32_t count)
{
    sched_expect(((struct lane *)ctx)->sched, slots, count);
}

static void env_deliver_bulk(void *ctx, struct link *link, const struct proa_msg *msg,
                             void *buf)
{
    struct lane *lane = ctx;

    (void)link;
    bulk_leave(&lane->bulk, buf); /* the scheduler counts it from here on */
    sched_deliver_bulk(lane->sched, msg, buf);
}

static struct punt_link report_of(const struct link *link, uint32_t flags)
{
    struct punt_link r = {.node = link_node(link),
                          .link_id = link_id(link),
                          .peer_link_id = link_peer_id(link),
                          .flags = flags};
    return r;
}

/* LANE_GAP_MAX bounds it. */
static proa_ns recent_gap(const struct lane *lane)
{
    return lane->gap_now > lane->gap_before ? lane->gap_now : lane->gap_before;
}

static bool env_pause(void *ctx)
{
    return sched_pressed(((struct lane *)ctx)->sched);
}

static void env_ping(void *ctx, struct link *link, uint32_t flags)
{
    struct punt_link r = report_of(link, flags);

    r.loop_gap_us = (uint32_t)(recent_gap(ctx) / PROA_US);
    /* A ping lost to a full ring is asked for again by the link. */
    lane_push_up(ctx, PUNT_LINK_PING, &r, sizeof(r), NULL, 0);
}

static void env_up(void *ctx, struct link *link)
{
    struct punt_link r = report_of(link, 0);

    lane_report(ctx, PUNT_LINK_UP, &r);
}

static void env_writable(void *ctx, struct link *link)
{
    struct lane *lane = ctx;
    struct lane_peer *peer = lane_link_of(lane, link)->peer;

    if (peer->first != NULL)
        peer->again = true; /* lane_links_flush sends these first, then tells */
    else
        sched_writable_node(lane->sched, link_node(link));
}

static void env_passed(void *ctx, struct link *link, const struct proa_msg *msg)
{
    struct forwarded f = {.to = msg->to,
                          .slot = msg->from.slot,
                          .generation = msg->from.generation,
                          .correlation = msg->correlation,
                          .hops = msg->hops};

    (void)link;
    lane_forwarded(ctx, msg->from.node, &f);
}

static void env_lost(void *ctx, struct link *link, const struct proa_msg *msg, bool sent)
{
    (void)link;
    lane_lost(ctx, msg, sent);
}

void lane_env_init(struct lane *lane)
{
    lane->env = (struct link_env){.ctx = lane,
                                  .pool = lane->config.pool,
                                  .budget = &lane->budget,
                                  .bulk_alloc = env_bulk_alloc,
                                  .bulk_free = env_bulk_free,
                                  .transmit = env_transmit,
                                  .deliver = env_deliver,
                                  .expect = env_expect,
                                  .deliver_bulk = env_deliver_bulk,
                                  .pause = env_pause,
                                  .ping = env_ping,
                                  .up = env_up,
                                  .writable = env_writable,
                                  .passed = env_passed,
                                  .refuse = lane_below_refuse,
                                  .lost = env_lost};
}

void lane_report(struct lane *lane, uint16_t kind, const struct punt_link *report)
{
    if (lane->report_count == 0 &&
        lane_push_up(lane, kind, report, sizeof(*report), NULL, 0))
        return;
    PROA_ASSERT(lane->report_count < LANE_REPORTS_MAX); /* two a slot at the most */
    lane->reports[lane->report_count++] = (struct lane_report){kind, *report};
}

void lane_reports_flush(struct lane *lane)
{
    uint32_t done = 0;

    while (done < lane->report_count) {
        const struct lane_report *r = &lane->reports[done];
        if (!lane_push_up(lane, r->kind, &r->link, sizeof(r->link), NULL, 0))
            break;
        done++;
    }
    if (done == 0)
        return;
    lane->report_count -= done;
    memmove(lane->reports, &lane->reports[done],
            lane->report_count * sizeof(lane->reports[0]));
}

static struct link_params params_of(struct lane *lane, const struct punt_link_open *open)
{
    const struct port *port = lane->config.ports[open->port];
    struct link_params p = {.node = open->node,
                            .self = lane->config.node,
                            .link_id = open->link_id,
                            .peer_link_id = open->peer_link_id,
                            .peer = open->peer,
                            .port = open->port,
                            .lead = (uint8_t)port->lead,
                            .initiator = open->initiator,
                            .settles = true,
                            .seq_tx = open->seq_tx,
                            .seq_rx = open->seq_rx,
                            .mtu = open->mtu,
                            .message_max = lane->config.message_max,
                            .records =
                                arena_alloc(lane->config.arena, link_records_size(), 64),
                            .backlog = &lane->txq[open->port].backlog};
    return p;
}

static inline void set_deadline(struct lane *lane, uint32_t slot)
{
    proa_ns at = link_deadline(lane->links[slot].link);

    lane->deadlines[slot] = at;
    if (at < lane->next_tick)
        lane->next_tick = at;
}

void lane_link_open(struct lane *lane, const struct punt_link_open *open)
{
    uint32_t slot = link_id_slot(open->link_id) % LANE_LINKS_MAX;
    struct lane_link *ll = &lane->links[slot];
    struct lane_peer *peer = lane_peer_get(lane, open->node);
    struct punt_link failed = {.node = open->node,
                               .link_id = open->link_id,
                               .peer_link_id = open->peer_link_id,
                               .flags = LINK_END_RESET};

    PROA_ASSERT(ll->link == NULL && !ll->ending); /* control gives each slot once */
    PROA_ASSERT(open->port < lane->config.port_count);
    void *memory = lane_link_memory(lane, slot);
    struct link_params params = params_of(lane, open);
    if (memory == NULL || params.records == NULL || peer == NULL) {
        lane_link_memory_free(lane, slot, memory);
        arena_free(lane->config.arena, params.records);
        lane_report(lane, PUNT_LINK_ENDED, &failed);
        return;
    }
    *ll = (struct lane_link){.id = open->link_id,
                             .peer = peer,
                             .node = directory_node(lane->config.directory, open->node),
                             .active = lane->active_count,
                             .records = params.records};
    ll->link = link_init(memory, &params, &lane->env, lane->now);
    lane->active[lane->active_count++] = slot;
    peer->links++;
    if (peer->sending == NULL) {
        peer->sending = ll;
        peer->asked_at = 0;
        lane_peer_flush(lane, peer);
    }
    set_deadline(lane, slot);
    lane_dirty(lane, ll);
    lane_count(&lane->stats.links_opened, 1);
    atomic_store_explicit(&lane->stats.links, lane->active_count, memory_order_relaxed);
}

static void forget_dirty(struct lane *lane, uint32_t slot)
{
    for (uint32_t i = 0; i < lane->dirty_count; i++) {
        if (lane->dirty[i] == slot) {
            lane->dirty[i] = lane->dirty[--lane->dirty_count];
            return;
        }
    }
}

void lane_link_end(struct lane *lane, struct lane_link *ll, enum link_end why)
{
    struct punt_link report = report_of(ll->link, why);
    struct lane_peer *peer = ll->peer;
    bool was_sending = peer->sending == ll;
    uint32_t slot = (uint32_t)(ll - lane->links);

    if (was_sending)
        peer->sending = NULL; /* what is told below must not take this link */
    link_kill(ll->link);
    link_fini(ll->link);
    lane_link_memory_free(lane, slot, ll->link);
    arena_free(lane->config.arena, ll->records);
    peer->links--;
    sched_link_ended(lane->sched, report.link_id);
    if (was_sending) {
        sched_link_dead(lane->sched, peer->node);
        peer->asked_at = 0;
        if (peer->again || why != LINK_END_IDLE)
            sched_writable_node(lane->sched, peer->node);
        peer->again = false;
    }
    if (ll->dirty)
        forget_dirty(lane, slot);
    uint32_t last = lane->active[--lane->active_count];
    lane->active[ll->active] = last;
    lane->links[last].active = ll->active;
    lane_marks_begin(lane, ll, &report,
                     was_sending && why != LINK_END_CLOSED ? peer->node : 0);
    lane_count(why == LINK_END_RESET ? &lane->stats.links_reset : &lane->stats.links_dead,
               1);
    atomic_store_explicit(&lane->stats.links, lane->active_count, memory_order_relaxed);
}

/* A link that carries nothing new for this lane and has been idle for long is closed. */
static bool is_surplus(const struct lane *lane, const struct lane_link *ll)
{
    proa_ns since;

    return ll->peer->sending != ll && ll->peer->links > 1 && !ll->keeps &&
           link_idle_since(ll->link, &since) && lane->now - since > LANE_SURPLUS_IDLE;
}

/* Who waits for something of the peer is to learn soon when it is dead. */
static void expect(struct lane *lane, const struct lane_link *ll)
{
    link_expect(ll->link,
                ll->peer->sending == ll && sched_waits_for(lane->sched, ll->peer->node));
}

static void tick_one(struct lane *lane, struct lane_link *ll)
{
    expect(lane, ll);
    link_loop_gap(ll->link, recent_gap(lane));
    link_tick(ll->link, lane->now);
    if (link_state(ll->link) == LINK_DEAD) {
        lane_link_end(lane, ll,
                      link_dead_reason(ll->link) == LINK_DEAD_STUCK ? LINK_END_STUCK
                                                                    : LINK_END_SILENT);
        return;
    }
    if (is_surplus(lane, ll)) {
        lane_link_end(lane, ll, LINK_END_IDLE);
        return;
    }
    lane->deadlines[ll - lane->links] = link_deadline(ll->link);
    lane_dirty(lane, ll);
}

/* Scans all links' deadlines when the earliest has come: dense, 1,000 links in under 1 us. */
void lane_links_tick(struct lane *lane)
{
    if (lane->now < lane->next_tick)
        return;
    lane->next_tick = PROA_NS_NEVER;
    for (uint32_t i = lane->active_count; i-- > 0;) {
        uint32_t slot = lane->active[i];
        if (lane->deadlines[slot] <= lane->now)
            tick_one(lane, &lane->links[slot]);
    }
    for (uint32_t i = 0; i < lane->active_count; i++) {
        proa_ns at = lane->deadlines[lane->active[i]];
        if (at < lane->next_tick)
            lane->next_tick = at;
    }
}

/* The lines of those that come next, in the order in which one leads to the other. */
static inline void prefetch_dirty(const struct lane *lane, uint32_t i)
{
    if (i + 6 < lane->dirty_count)
        link_prefetch(lane->links[lane->dirty[i + 6]].link);
    if (i + 4 < lane->dirty_count)
        link_prefetch_ring(lane->links[lane->dirty[i + 4]].link);
    if (i + 2 < lane->dirty_count)
        link_prefetch_packet(lane->links[lane->dirty[i + 2]].link);
}

void lane_links_flush(struct lane *lane)
{
    bool many = lane->dirty_count >= LANE_MANY_LINKS;

    for (uint32_t i = 0; i < lane->dirty_count; i++) {
        if (many)
            prefetch_dirty(lane, i);
        struct lane_link *ll = &lane->links[lane->dirty[i]];
        struct lane_peer *peer = ll->peer;

        if (peer->sending == ll && peer->first != NULL)
            lane_peer_flush(lane, peer);
        link_flush(ll->link, lane->now);
    }
}

/* When they want to be looked at next: reckoned while their packets are on the way. */
void lane_links_flushed(struct lane *lane)
{
    uint32_t kept = 0;

    for (uint32_t i = 0; i < lane->dirty_count; i++) {
        struct lane_link *ll = &lane->links[lane->dirty[i]];

        link_settle(ll->link);
        expect(lane, ll);
        set_deadline(lane, lane->dirty[i]);
        ll->dirty = link_blocked(ll->link);
        if (__builtin_expect(ll->dirty, 0))
            lane->dirty[kept++] = lane->dirty[i];
    }
    lane->dirty_count = kept;
    if (__builtin_expect(kept > 1,
                         0)) { /* another one first, when the port has room again */
        uint32_t first = lane->dirty[0];

        memmove(&lane->dirty[0], &lane->dirty[1], (kept - 1) * sizeof(lane->dirty[0]));
        lane->dirty[kept - 1] = first;
    }
}
