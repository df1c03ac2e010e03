/* SPDX-License-Identifier: Apache-2.0 */
#include "link_internal.h"

#include <string.h>

static const struct link_backlog no_backlog;

_Static_assert(offsetof(struct link, params) % PROA_CACHE_LINE == 0 &&
                   offsetof(struct link, stats.resends) <=
                       LINK_HOT_LINES * (size_t)PROA_CACHE_LINE + 48,
               "what packets touch is fetched together");

size_t link_size(void)
{
    return sizeof(struct link);
}

size_t link_records_size(void)
{
    return LINK_REFUSALS_MAX * sizeof(struct link_record);
}

void link_prefetch_ring(const struct link *link)
{
    __builtin_prefetch(&link->tx[link->nxt & LINK_MASK], 1);
    __builtin_prefetch(&link->tx[link->una & LINK_MASK]);
    __builtin_prefetch(&link->out[link->out_head & LINK_OUT_MASK]);
}

void link_prefetch_packet(const struct link *link)
{
    if (link_out_count(link) > 0)
        __builtin_prefetch(link->out[link->out_head & LINK_OUT_MASK], 1);
    if (link->una != link->nxt)
        __builtin_prefetch(link_tx(link, link->una), 1);
}

struct link *link_init(void *memory, const struct link_params *params,
                       const struct link_env *env, proa_ns now)
{
    struct link *link = memory;

    PROA_ASSERT(params->mtu >= PACKET_HEADER_LEN + 128);
    memset(link, 0, offsetof(struct link, tx));
    link->env = *env;
    link->params = *params;
    if (params->backlog == NULL)
        link->params.backlog = &no_backlog;
    link->records = params->records != NULL ? params->records : link + 1;
    link->self = params->self;
    link->node = params->node;
    link->body_max =
        (params->mtu < PACKET_LEN_MAX ? params->mtu : PACKET_LEN_MAX) - PACKET_HEADER_LEN;
    link->body_max &= ~7u;
    link->state = LINK_OPENING;
    link->hold = params->initiator != 0;
    link->una = link->nxt = params->seq_tx;
    link->right = params->seq_tx + LINK_WINDOW_INITIAL;
    link->rx_next = link->rx_done = params->seq_rx;
    link->rx_right = params->seq_rx + LINK_WINDOW_INITIAL;
    link->srtt = link->rttvar = LINK_RTT_UNKNOWN;
    link->loss_at = link->retry_at = PROA_NS_NEVER;
    link->heard_at = link->pinged_at = link->tick_at = link->active_at = now;
    link->persist_at = PROA_NS_NEVER;
    link->small_at = now - LINK_BESIDE_FOR;
    link_cc_init(link, now);
    /* The side that holds its data back waits for a sign of life. */
    link->ack_now = !link->hold;
    return link;
}

void link_fini(struct link *link)
{
    struct pkt_pool *pool = link->env.pool;

    link->late_at = 0;
    link->dead = true;
    link->state = LINK_DEAD;
    if (link->open != NULL)
        link_close_open(link);
    while (link->out_head != link->out_tail) {
        struct pkt *p = link->out[link->out_head++ & LINK_OUT_MASK];

        link_unqueue(link, p);
        pkt_free(pool, p);
    }
    link->env.budget->retained -= link->nxt - link->una;
    while (link->una != link->nxt)
        pkt_free(pool, link_tx(link, link->una++));
    link->sacked_count = link->lost_count = 0;
    for (; link->rx_done != link->rx_next; link->rx_done++) {
        pkt_free(pool, link->rx[link->rx_done & LINK_MASK]);
        link->env.budget->held--;
    }
    for (uint32_t seq = link->rx_next; link->rx_held > 0; seq++) {
        if (!link_bit(&link->received, seq))
            continue;
        link_bit_clear(&link->received, seq);
        pkt_free(pool, link->rx[seq & LINK_MASK]);
        link->rx_held--;
        link->env.budget->held--;
    }
    link_bulk_fini(link);
    link_bulk_in_fini(link);
    link->records_wait = false;
    link->record_count = link->tell_count = link->notice_count = 0;
    link->nameless = 0;
}

void link_die(struct link *link, enum link_end_reason reason)
{
    link->dead = true;
    link->state = LINK_DEAD;
    link->dead_reason = (uint8_t)reason;
}

/* ---- Silence ---- */

void link_mark_heard(struct link *link, proa_ns now)
{
    link->heard_at = now;
    link->wanted = link->pings = 0;
    link->last_call = 0;
    if (link->rto_silent > LINK_RTO_RESENDS) {
        /* It was away, and is back: do not wait for the backed-off timer. */
        link->backoff = 0;
        link->rto_base = now;
    }
    link->rto_silent = 0;
    if (__builtin_expect(link->state == LINK_OPENING, 0)) {
        link->state = LINK_UP;
        link->hold = false;
        link->env.up(link->env.ctx, link);
    }
}

void link_heard(struct link *link, bool busy, proa_ns now)
{
    if (link->dead)
        return;
    link->peer_busy = busy;
    link->ack_now = true;
    link_mark_heard(link, now);
}

/* After 100 ms of silence a bare ack that asks for one (PROBE) goes with the PING: lane answers lane, however
   long the two control threads take. */
void link_ping(struct link *link, uint32_t flags, proa_ns now)
{
    link->pinged_at = now;
    link->wanted += link->wanted < UINT16_MAX;
    link->stats.pings++;
    link->asks |= !link->hold && now - link->heard_at >= LINK_PING_EXPECT;
    link->env.ping(link->env.ctx, link, flags);
}

/* The last call's time runs from when its PING has left. */
static void begin_last_call(struct link *link)
{
    link->last_call = link->left_at + LINK_LAST_CALL;
    if (link->last_call < link->heard_at + LINK_SILENCE)
        link->last_call = link->heard_at + LINK_SILENCE;
}

void link_pinged(struct link *link, proa_ns now)
{
    if (link->dead)
        return;
    link->pinged_at = now;
    /* Several that waited for the control thread leave together. */
    if (link->pings == 0 || now - link->left_at >= LINK_PING_APART) {
        link->pings += link->pings < UINT16_MAX;
        link->left_at = now;
    }
    if (link->last_call == PROA_NS_NEVER) {
        link->left_at = now;
        begin_last_call(link);
    }
}

static proa_ns ping_at(const struct link *link)
{
    proa_ns first = link->expect ? LINK_PING_EXPECT : LINK_PING_IDLE;
    proa_ns again = LINK_PING_AGAIN;

    if (link->hold) {
        uint32_t shift = link->wanted < 7 ? link->wanted : 7;
        first = LINK_PING_OPENING;
        again = LINK_PING_OPENING << shift;
        if (again > LINK_RTO_MOST)
            again = LINK_RTO_MOST;
    }
    return link->wanted == 0 ? link->heard_at + first : link->pinged_at + again;
}

static proa_ns death_at(const struct link *link)
{
    if (link->pings < LINK_SILENT_PINGS)
        return PROA_NS_NEVER;
    if (link->last_call != 0)
        return link->last_call;
    return link->heard_at + LINK_SILENCE - LINK_LAST_CALL;
}

/* The last ping before the end, unless one has just gone out. */
static void last_call(struct link *link, bool again, proa_ns now)
{
    if (!again && now - link->left_at < LINK_LAST_CALL) {
        begin_last_call(link);
        return;
    }
    link->last_call = PROA_NS_NEVER;
    link_ping(link, 0, now);
}

/* Only silence kills, and only silence that we were awake to hear: before the end one more ping
   goes out, and its time starts anew when this lane itself was not running. */
static void silence_tick(struct link *link, proa_ns now)
{
    bool paused = now - link->tick_at > LINK_PAUSED;

    if (now >= death_at(link)) {
        if (link->last_call != 0 && !paused) {
            link_die(link, LINK_DEAD_SILENT);
            return;
        }
        last_call(link, paused, now);
    } else if (now >= ping_at(link)) {
        link_ping(link, 0, now);
    }
}

/* Nothing in flight and no window: ask for the window, for nothing else will bring news of it. */
static bool is_persisting(const struct link *link)
{
    return link->una == link->nxt && link_diff(link->right, link->nxt) <= 0 &&
           !link->hold && link_has_work(link);
}

static void persist_tick(struct link *link, proa_ns now)
{
    if (!is_persisting(link)) {
        link->persist_at = PROA_NS_NEVER;
        link->persist_backoff = 0;
        return;
    }
    if (link->persist_at == PROA_NS_NEVER || now >= link->persist_at) {
        proa_ns wait = LINK_RTO_LEAST << link->persist_backoff;

        if (link->persist_at != PROA_NS_NEVER) {
            link_ping(link, LINK_PING_PROBE, now);
            if (link->persist_backoff < 8)
                link->persist_backoff++;
        }
        link->persist_at = now + (wait < LINK_RTO_MOST ? wait : LINK_RTO_MOST);
    }
}

/* ---- Time ---- */

void link_tick(struct link *link, proa_ns now)
{
    link_settle(link);
    if (link->dead)
        return;
    link_loss_tick(link, now);
    persist_tick(link, now);
    if (!link->dead)
        silence_tick(link, now);
    link->tick_at = now;
    link_flush(link, now);
}

static proa_ns least(proa_ns a, proa_ns b)
{
    return a < b ? a : b;
}

proa_ns link_deadline(const struct link *link)
{
    proa_ns at;

    /* A blocked link is flushed in the next loop: what the port does not take has no other deadline. */
    if (link->dead ||
        ((link->ack_now || link->ack_pending >= LINK_ACK_EVERY) && !link->blocked))
        return 0;
    at = least(ping_at(link), death_at(link));
    at = least(at, link->retry_at);
    if (link->ack_pending > 0 && !link->blocked)
        at = least(at, link->ack_at);
    if (link->una != link->nxt) {
        at = least(at, link->loss_at);
        at = least(at, link_rto_at(link));
        at = least(at, link_probe_at(link));
    } else if (is_persisting(link)) {
        at = least(at, link->persist_at == PROA_NS_NEVER ? 0 : link->persist_at);
    }
    return at;
}

/* ---- What is asked about a link ---- */

enum link_state link_state(const struct link *link)
{
    return (enum link_state)link->state;
}

uint32_t link_dead_reason(const struct link *link)
{
    return link->dead_reason;
}

bool link_idle_since(const struct link *link, proa_ns *ret_since)
{
    if (link->una != link->nxt || link_has_work(link) || link->rx_held > 0 ||
        link_waits(link))
        return false;
    for (uint32_t i = 0; i < LINK_BULK_MAX; i++) {
        if (link->incoming[i].buf != NULL)
            return false;
    }
    *ret_since = link->active_at;
    return true;
}

uint64_t link_node(const struct link *link)
{
    return link->node;
}

uint64_t link_id(const struct link *link)
{
    return link->params.link_id;
}

uint64_t link_peer_id(const struct link *link)
{
    return link->params.peer_link_id;
}

const struct proa_addr *link_peer(const struct link *link)
{
    return &link->params.peer;
}

uint8_t link_port(const struct link *link)
{
    return link->params.port;
}

void link_set_source(struct link *link, uint16_t source)
{
    link->source = source;
}

void link_expect(struct link *link, bool pending)
{
    link->expect = pending;
}

void link_loop_gap(struct link *link, proa_ns gap)
{
    link->gap = gap;
}

void link_peer_loop_gap(struct link *link, proa_ns gap)
{
    link->peer_gap = gap;
}

void link_stats(const struct link *link, struct link_stats *ret)
{
    *ret = link->stats;
    ret->tx_messages = link->sent_messages;
    ret->srtt_ns = link->srtt;
    ret->rttvar_ns = link->rttvar;
    ret->min_rtt_ns = link_cc_min_rtt(link);
    ret->cwnd = link->cc.cwnd;
    ret->inflight = link_inflight(link);
    ret->window = link_diff(link->right, link->nxt) > 0 ? link->right - link->nxt : 0;
}
