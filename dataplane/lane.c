/* SPDX-License-Identifier: Apache-2.0 */
#include "lane_internal.h"

static bool tables_init(struct lane *lane)
{
    struct arena *arena = lane->config.arena;

    lane->links = arena_zalloc(arena, LANE_LINKS_MAX * sizeof(*lane->links), 64);
    lane->active = arena_zalloc(arena, LANE_LINKS_MAX * sizeof(*lane->active), 64);
    lane->dirty = arena_zalloc(arena, LANE_LINKS_MAX * sizeof(*lane->dirty), 64);
    lane->waiting = arena_zalloc(arena, LANE_LINKS_MAX * sizeof(*lane->waiting), 64);
    lane->ending = arena_zalloc(arena, LANE_LINKS_MAX * sizeof(*lane->ending), 64);
    lane->back_max = (lane->config.lanes - 1) * LANE_LINKS_MAX;
    if (lane->back_max > 0)
        lane->backs = arena_zalloc(arena, lane->back_max * sizeof(*lane->backs), 64);
    lane->reports = arena_zalloc(arena, LANE_REPORTS_MAX * sizeof(*lane->reports), 64);
    return lane->links != NULL && lane->active != NULL && lane->dirty != NULL &&
           lane->waiting != NULL && lane->reports != NULL && lane->ending != NULL &&
           (lane->back_max == 0 || lane->backs != NULL) && lane_peers_init(lane);
}

struct lane *lane_create(const struct lane_config *config)
{
    struct lane *lane = arena_zalloc(config->arena, sizeof(*lane), 64);

    if (lane == NULL)
        return NULL;
    lane->config = *config;
    lane->next_tick = PROA_NS_NEVER;
    lane->budget.retained_max = config->retained_max ? config->retained_max : 8192;
    lane->budget.held_max = config->held_max ? config->held_max : 8192;
    lane->budget.queued_max = LANE_QUEUED_MAX;
    lane->budget.queued_waiting_max = LANE_QUEUED_WAITING;
    lane->budget.reserved_max = LANE_RESERVED_MAX;
    lane->budget.bulk_max = 64u << 20;
    lane->bulk.limit = lane->budget.bulk_max;
    lane_env_init(lane);
    for (unsigned i = 0; i < config->port_count; i++)
        lane->dear_looks |= config->ports[i]->dear_look;

    struct sched_config *sc = &lane->config.sched;
    sc->node = config->node;
    sc->lane = config->lane;
    sc->lanes = config->lanes;
    sc->directory = config->directory;
    sc->reader = config->reader;
    sc->up = config->up;
    sc->notes = config->notes;
    sc->control =
        NULL; /* rung at the end of a loop, once packets have left: a syscall of 5 us */
    sc->arena = config->arena;
    sc->below = (struct sched_below){.ctx = lane,
                                     .send = lane_below_send,
                                     .send_bulk = lane_below_send_bulk,
                                     .refuse = lane_below_refuse,
                                     .writable = lane_below_writable,
                                     .stop = lane_below_stop,
                                     .follow = lane_below_follow,
                                     .monitor = lane_below_monitor,
                                     .message_max = config->message_max};
    sc->foreign_item = lane_foreign_item;
    sc->foreign_ctx = lane;
    if (tables_init(lane))
        lane->sched = sched_create(sc);
    if (lane->sched == NULL) {
        lane_destroy(lane);
        return NULL;
    }
    return lane;
}

static void drop_packets(struct lane *lane)
{
    for (unsigned i = 0; i < PROA_PORTS_MAX; i++) {
        for (uint32_t j = lane->rxq[i].at; j < lane->rxq[i].count; j++)
            lane->config.pool->ops->free(lane->rxq[i].pkts[j]);
        lane->rxq[i].count = 0;
        for (uint32_t j = 0; j < lane->txq[i].backlog.count; j++)
            lane->config.pool->ops->free(lane->txq[i].pkts[j]);
        lane->txq[i].backlog.count = 0;
    }
}

void lane_destroy(struct lane *lane)
{
    if (lane == NULL)
        return;

    struct arena *arena = lane->config.arena;

    if (lane->sched != NULL)
        sched_destroy(lane->sched);
    if (lane->links != NULL && lane->active != NULL) {
        for (uint32_t i = 0; i < lane->active_count; i++) {
            struct lane_link *ll = &lane->links[lane->active[i]];
            link_fini(ll->link);
            arena_free(arena, ll->memory);
        }
    }
    drop_packets(lane);
    lane_peers_fini(lane);
    arena_free(arena, lane->links);
    arena_free(arena, lane->active);
    arena_free(arena, lane->dirty);
    arena_free(arena, lane->waiting);
    arena_free(arena, lane->ending);
    arena_free(arena, lane->backs);
    arena_free(arena, lane->reports);
    arena_free(arena, lane);
}

/* Keeps the longest gap between two loops of this window and the one before: senders add it to
   their RTO, so that a lane that was not scheduled is not taken for a lost packet. */
static void note_gap(struct lane *lane, proa_ns now)
{
    proa_ns span = lane->last_now == 0 ? 0 : now - lane->last_now;
    proa_ns gap = lane->slept ? 0 : span;

    lane_count(lane->worked ? &lane->stats.busy_ns : &lane->stats.idle_ns, span);
    lane->last_now = now;
    lane->slept = false;
    if (now - lane->gap_window >= LANE_GAP_WINDOW) {
        lane->gap_before = lane->gap_now;
        lane->gap_now = 0;
        lane->gap_window = now;
    }
    if (gap > lane->gap_now) {
        lane->gap_now = gap < LANE_GAP_MAX ? gap : LANE_GAP_MAX;
        atomic_store_explicit(&lane->stats.recent_gap_ns, gap, memory_order_relaxed);
    }
    if (gap > atomic_load_explicit(&lane->stats.gap_max_ns, memory_order_relaxed))
        atomic_store_explicit(&lane->stats.gap_max_ns, gap, memory_order_relaxed);
}

/* After sched_flush or sched_flush_first: refusals and WRITABLEs of this loop leave in its packets. */
static void send_out(struct lane *lane)
{
    lane_links_flush(lane);
    lane_send_queued(lane);
    lane_links_flushed(lane);
}

/* The loop, whole.  Packets in, other lanes and threads, actors, packets out; then records of the
   control thread, timers, and what comes of them: an answer does not wait for these (40 ns). */
bool lane_step(struct lane *lane, proa_ns now)
{
    struct sched *sched = lane->sched;
    uint32_t work = 0;

    lane->now = now;
    sched_begin(sched, now);
    work += lane_receive(lane);
    work += sched_poll(sched);
    work += sched_run(sched);
    if (work != 0) {
        sched_flush_first(sched);
        send_out(lane);
    }
    note_gap(lane, now); /* before whoever asks for the gap: timers, pings */
    work += lane_punt(lane);
    work += sched_timers(sched);
    lane_links_tick(lane);
    lane_marks_push(lane);
    lane_pending_tick(lane);
    sched_flush(sched);
    send_out(lane);
    lane_reports_flush(lane);
    lane_snapshot(lane);
    tap_look(&lane->tap);
    directory_quiescent(lane->config.directory, lane->config.reader);
    lane_count(&lane->stats.loops, 1);
    if (sched_put_up(sched) || lane->put_up)
        doorbell_ring(lane->config.control);
    lane->put_up = false;
    lane->worked = work != 0;
    if (lane->worked)
        lane_count(&lane->stats.busy_loops, 1);
    return lane->worked;
}

proa_ns lane_deadline(const struct lane *lane)
{
    proa_ns at = sched_deadline(lane->sched);

    if (lane->next_tick < at)
        at = lane->next_tick;
    if (lane->pending_count > 0 && lane->pending_at < at)
        at = lane->pending_at;
    if (lane->report_count > 0 || lane->back_count > 0 || lane->dirty_count > 0 ||
        lane->ending_count > 0 || lane->waiting_count > 0)
        at = 0;
    for (unsigned i = 0; i < lane->config.port_count; i++) {
        struct port *port = lane->config.ports[i];
        proa_ns port_at = port->ops->deadline(port, lane->config.lane);
        if (port_at < at)
            at = port_at;
        if (lane->txq[i].backlog.count > 0 || lane->rxq[i].at < lane->rxq[i].count)
            at = 0;
    }
    return at;
}

void lane_settle(struct lane *lane, proa_ns now)
{
    for (uint32_t i = 0; i < lane->active_count; i++) {
        struct lane_link *ll = &lane->links[lane->active[i]];
        if (link_ack_due(ll->link))
            link_ack(ll->link, now);
    }
    lane_send_queued(lane);
}

struct sched *lane_sched(struct lane *lane)
{
    return lane->sched;
}

void lane_tap(struct lane *lane, struct tap *tap)
{
    tap_want(&lane->tap, tap);
    doorbell_ring(lane->config.bell);
}

const struct tap *lane_tapped(const struct lane *lane)
{
    return tap_in_use(&lane->tap);
}

const struct lane_stats *lane_stats(const struct lane *lane)
{
    return &lane->stats;
}
