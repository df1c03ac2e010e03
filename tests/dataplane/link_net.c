/* SPDX-License-Identifier: Apache-2.0 */
#include "link_net.h"

#include <stdlib.h>
#include <string.h>

#include "link_events.h"
#include "link_pool.h"
#include "packet.h"

#define ROOM 9216

/* ---- The network ---- */

struct net_side {
    struct link_pool pool;
    struct link_budget budget;
    uint64_t bulk_live, fail_bulk;
    proa_ns wire_free; /* the bottleneck towards the other side */
};

struct net_end {
    struct link_net *net;
    uint32_t pair, side;
    struct link *link; /* NULL: killed */
    void *memory;
    proa_ns last_at; /* latest arrival handed out, so that jitter does not reorder */
    uint32_t pings, last_ping;
    uint16_t source;
};

struct link_net {
    struct link_net_config config;
    struct link_net_hooks hooks;
    proa_ns now;
    uint64_t random;
    struct net_side sides[2];
    struct net_end ends[LINK_NET_PAIRS][2];
    struct link_events events;
};

uint64_t link_net_random(struct link_net *net)
{
    uint64_t z = net->random += 0x9e3779b97f4a7c15ull; /* splitmix64 */

    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ z >> 27) * 0x94d049bb133111ebull;
    return z ^ z >> 31;
}

static bool chance(struct link_net *net, uint32_t of_10000)
{
    return of_10000 > 0 && link_net_random(net) % 10000 < of_10000;
}

/* When something sent now by `from` arrives. */
static proa_ns arrival(struct link_net *net, struct net_end *from)
{
    const struct link_net_config *c = &net->config;
    struct net_side *side = &net->sides[from->side];
    proa_ns at = net->now;

    if (c->per_packet > 0) {
        if (side->wire_free < at)
            side->wire_free = at;
        side->wire_free += c->per_packet;
        at = side->wire_free;
    }
    at += c->delay + (c->jitter > 0 ? link_net_random(net) % c->jitter : 0);
    if (chance(net, c->reorder))
        return at + 1 + link_net_random(net) % (c->reorder_by > 0 ? c->reorder_by : 1);
    if (at < from->last_at)
        at = from->last_at;
    from->last_at = at;
    return at;
}

static bool queue_full(struct link_net *net, uint32_t side)
{
    const struct link_net_config *c = &net->config;
    const struct net_side *s = &net->sides[side];

    return c->per_packet > 0 && c->queue > 0 && s->wire_free > net->now &&
           (s->wire_free - net->now) / c->per_packet >= c->queue;
}

/* Damage that a length or version check must notice: checksums below catch the rest. */
static void damage(struct link_net *net, struct event *e)
{
    switch (link_net_random(net) % 3) {
    case 0:
        e->bytes[0] ^= 0x02; /* version */
        break;
    case 1:
        e->len = (uint16_t)(e->len - 1 - link_net_random(net) % 7);
        break;
    default:
        e->bytes[1] |= 0x02; /* SEALED */
        break;
    }
}

static void send_bytes(struct link_net *net, struct net_end *from, const uint8_t *data,
                       uint16_t len)
{
    uint32_t copies = chance(net, net->config.duplicate) ? 2 : 1;
    bool lost = chance(net, net->config.loss) || queue_full(net, from->side);

    while (copies-- > 0) {
        struct event e = {.kind = EVENT_PACKET,
                          .pair = from->pair,
                          .side = !from->side,
                          .len = len,
                          .bytes = malloc(len)};
        PROA_ASSERT(e.bytes != NULL);
        memcpy(e.bytes, data, len);
        bool kept =
            net->hooks.filter == NULL ||
            net->hooks.filter(net->hooks.ctx, from->pair, from->side, e.bytes, &e.len);
        if (chance(net, net->config.damage))
            damage(net, &e);
        if (!kept || lost) {
            free(e.bytes);
            continue;
        }
        e.at = arrival(net, from);
        link_events_push(&net->events, e);
    }
}

/* ---- What a link needs ---- */

static void env_transmit(void *ctx, struct link *link, struct pkt *p)
{
    struct net_end *end = ctx;

    (void)link;
    PROA_ASSERT(p->len >= PACKET_HEADER_LEN && (p->len & 7) == 0);
    PROA_ASSERT(p->len <= end->net->config.mtu);
    PROA_ASSERT(p->peer.port == 7400 && p->port == 3);
    link_pool_seal(p);
    end->source = p->source;
    if (p->source == 0 || p->source != end->net->config.blocked)
        send_bytes(end->net, end, p->data, p->len);
    pkt_free(&end->net->sides[end->side].pool.pool, p);
}

static void env_deliver(void *ctx, struct link *link, const struct proa_msg *msg,
                        bool in_place_ok)
{
    struct net_end *end = ctx;

    (void)link;
    PROA_ASSERT(in_place_ok);
    PROA_ASSERT(((uintptr_t)msg->data & 7) == 0);
    if (end->net->hooks.deliver != NULL)
        end->net->hooks.deliver(end->net->hooks.ctx, end->pair, end->side, msg);
}

static void *env_bulk_alloc(void *ctx, size_t len)
{
    struct net_end *end = ctx;

    return link_net_bulk_alloc(end->net, end->side, len);
}

static void env_bulk_free(void *ctx, void *buf)
{
    struct net_end *end = ctx;

    link_net_bulk_free(end->net, end->side, buf);
}

static void env_expect(void *ctx, const uint32_t *slots, uint32_t count)
{
    struct net_end *end = ctx;

    if (end->net->hooks.expect != NULL)
        end->net->hooks.expect(end->net->hooks.ctx, end->pair, end->side, slots, count);
}

static void env_deliver_bulk(void *ctx, struct link *link, const struct proa_msg *msg,
                             void *buf)
{
    PROA_ASSERT(msg->data == buf);
    env_deliver(ctx, link, msg, true);
    env_bulk_free(ctx, buf);
}

static bool env_pause(void *ctx)
{
    struct net_end *end = ctx;

    return chance(end->net, end->net->config.pause);
}

static void env_ping(void *ctx, struct link *link, uint32_t flags)
{
    struct net_end *end = ctx;
    struct link_net *net = end->net;

    end->pings++;
    end->last_ping = flags;
    if (net->config.pings_wait)
        return;
    link_pinged(link, net->now);
    if (net->config.pings_stand)
        return;
    if (chance(net, net->config.loss))
        return;
    link_events_push(&net->events, (struct event){.at = net->now + net->config.delay,
                                                  .kind = EVENT_PING,
                                                  .pair = end->pair,
                                                  .side = !end->side,
                                                  .flags = flags});
}

static void env_up(void *ctx, struct link *link)
{
    (void)ctx;
    PROA_ASSERT(link_state(link) == LINK_UP);
}

static void env_writable(void *ctx, struct link *link)
{
    struct net_end *end = ctx;

    (void)link;
    if (end->net->hooks.writable != NULL)
        end->net->hooks.writable(end->net->hooks.ctx, end->pair, end->side);
}

static void env_passed(void *ctx, struct link *link, const struct proa_msg *msg)
{
    struct net_end *end = ctx;

    (void)link;
    if (end->net->hooks.passed != NULL)
        end->net->hooks.passed(end->net->hooks.ctx, end->pair, end->side, msg);
}

static void env_refuse(void *ctx, uint64_t node, const struct refusal *refusal)
{
    struct net_end *end = ctx;

    if (end->net->hooks.refuse != NULL)
        end->net->hooks.refuse(end->net->hooks.ctx, end->pair, end->side, node, refusal);
}

static void env_lost(void *ctx, struct link *link, const struct proa_msg *msg, bool sent)
{
    struct net_end *end = ctx;

    (void)link;
    if (end->net->hooks.lost != NULL)
        end->net->hooks.lost(end->net->hooks.ctx, end->pair, end->side, msg, sent);
}

/* ---- Life ---- */

static uint64_t node_of(uint32_t side)
{
    return LINK_NET_NODE * (side + 1);
}

static void end_init(struct link_net *net, uint32_t pair, uint32_t side)
{
    struct net_end *end = &net->ends[pair][side];
    const struct link_net_config *c = &net->config;
    struct link_params params = {.node = node_of(!side),
                                 .self = node_of(side),
                                 .link_id = 0x100 + 2 * pair + side,
                                 .peer_link_id = 0x100 + 2 * pair + !side,
                                 .peer = {.port = 7400, .family = 4},
                                 .port = 3,
                                 .initiator = side == 0 && c->initiator_holds,
                                 .seq_tx = c->seq,
                                 .seq_rx = c->seq,
                                 .mtu = c->mtu,
                                 .message_max = c->message_max,
                                 .settles = c->settles,
                                 .backlog = c->backlog[side]};
    struct link_env env = {.ctx = end,
                           .pool = &net->sides[side].pool.pool,
                           .budget = &net->sides[side].budget,
                           .bulk_alloc = env_bulk_alloc,
                           .bulk_free = env_bulk_free,
                           .transmit = env_transmit,
                           .deliver = env_deliver,
                           .expect = env_expect,
                           .deliver_bulk = env_deliver_bulk,
                           .pause = env_pause,
                           .ping = env_ping,
                           .up = env_up,
                           .passed = env_passed,
                           .refuse = env_refuse,
                           .writable = env_writable,
                           .lost = env_lost};

    *end = (struct net_end){.net = net, .pair = pair, .side = side};
    end->memory = aligned_alloc(64, link_size() + link_records_size());
    PROA_ASSERT(end->memory != NULL);
    end->link = link_init(end->memory, &params, &env, net->now);
}

struct link_net *link_net_create(const struct link_net_config *config,
                                 const struct link_net_hooks *hooks)
{
    struct link_net *net = calloc(1, sizeof(*net));
    struct link_net_config *c = &net->config;

    PROA_ASSERT(net != NULL);
    *c = *config;
    net->hooks = *hooks;
    net->random = c->seed;
    net->now = PROA_S;
    link_events_init(&net->events);
    c->pairs = c->pairs ? c->pairs : 1;
    c->mtu = c->mtu ? c->mtu : 1448;
    c->message_max = c->message_max ? c->message_max : 1u << 20;
    PROA_ASSERT(c->pairs <= LINK_NET_PAIRS);
    for (uint32_t side = 0; side < 2; side++) {
        struct net_side *s = &net->sides[side];
        link_pool_init(&s->pool, c->pool ? c->pool : 8192, c->mtu < ROOM ? c->mtu : ROOM);
        s->budget.retained_max = c->retained_max ? c->retained_max : 8192;
        s->budget.held_max = c->held_max ? c->held_max : 8192;
        s->budget.queued_max = c->queued_max ? c->queued_max : 2048;
        s->budget.queued_waiting_max = s->budget.queued_max / 4 * 3;
        s->budget.reserved_max = c->reserved_max ? c->reserved_max : 1024;
        s->budget.bulk_max = c->bulk_max ? c->bulk_max : 64u << 20;
        for (uint32_t pair = 0; pair < c->pairs; pair++)
            end_init(net, pair, side);
    }
    return net;
}

void link_net_destroy(struct link_net *net)
{
    for (uint32_t i = 0; i < net->events.count; i++)
        free(net->events.heap[i].bytes);
    for (uint32_t side = 0; side < 2; side++) {
        struct net_side *s = &net->sides[side];
        for (uint32_t pair = 0; pair < net->config.pairs; pair++) {
            struct net_end *end = &net->ends[pair][side];
            if (end->link != NULL)
                link_fini(end->link);
            free(end->memory);
        }
        PROA_ASSERT(s->bulk_live == 0);
        PROA_ASSERT(s->budget.bulk == 0);
        PROA_ASSERT(s->budget.retained == 0);
        PROA_ASSERT(s->budget.held == 0);
        PROA_ASSERT(s->budget.queued == 0 && s->budget.reserved == 0);
        link_pool_fini(&s->pool);
    }
    free(net->events.heap);
    free(net);
}

void link_net_kill(struct link_net *net, uint32_t pair, uint32_t side)
{
    struct net_end *end = &net->ends[pair][side];

    if (end->link == NULL)
        return;
    link_kill(end->link);
    link_fini(end->link);
    end->link = NULL;
}

/* ---- Time ---- */

static void arrive(struct link_net *net, const struct event *e)
{
    struct net_end *end = &net->ends[e->pair][e->side];

    if (end->link == NULL)
        return;
    if (e->kind == EVENT_PACKET) {
        link_net_inject(net, e->pair, e->side, e->bytes, e->len);
        return;
    }
    link_heard(end->link, false, net->now);
    if (e->kind == EVENT_PING && !chance(net, net->config.loss))
        link_events_push(&net->events, (struct event){.at = net->now + net->config.delay,
                                                      .kind = EVENT_PONG,
                                                      .pair = e->pair,
                                                      .side = !e->side});
}

void link_net_inject(struct link_net *net, uint32_t pair, uint32_t side, const void *data,
                     uint16_t len)
{
    struct net_end *end = &net->ends[pair][side];
    struct pkt *p = pkt_alloc(&net->sides[side].pool.pool, 1);

    if (p == NULL)
        return;
    PROA_ASSERT(len <= p->room);
    memcpy(p->data, data, len);
    p->len = len;
    p->flags = chance(net, net->config.mark) ? PKT_CE : 0;
    link_input(end->link, p, net->now);
}

/* A test may say that a side's port does not take what it is offered. */
static bool port_is_behind(const struct link_net *net, uint32_t side)
{
    const struct link_backlog *backlog = net->config.backlog[side];

    return backlog != NULL && backlog->count > 0;
}

static bool tick_all(struct link_net *net)
{
    proa_ns now = net->now;
    bool work = false;

    for (uint32_t i = 0; i < 2 * net->config.pairs; i++) {
        struct link *link = net->ends[i / 2][i % 2].link;
        if (link == NULL)
            continue;
        if (link_waits(link))
            link_deliver_more(link, now);
        do
            link_flush(link, now);
        while (link_blocked(link) && !port_is_behind(net, i % 2)); /* bulk takes turns */
        if (!net->config.never_settles)
            link_settle(link);
        if (link_deadline(link) <= now && link_state(link) != LINK_DEAD) {
            link_tick(link, now);
            work = true;
        }
    }
    return work;
}

static proa_ns next_moment(struct link_net *net)
{
    proa_ns at = net->events.count > 0 ? net->events.heap[0].at : PROA_NS_NEVER;

    for (uint32_t i = 0; i < 2 * net->config.pairs; i++) {
        struct link *link = net->ends[i / 2][i % 2].link;
        if (link != NULL && link_state(link) != LINK_DEAD && link_deadline(link) < at)
            at = link_deadline(link);
        if (link != NULL && link_waits(link))
            at = net->now;
    }
    return at;
}

bool link_net_step(struct link_net *net, proa_ns until)
{
    tick_all(net);

    proa_ns at = next_moment(net);
    if (at > until) {
        if (until > net->now)
            net->now = until;
        return false;
    }
    /* A deadline of now that stays (a dry pool) must not stop the clock. */
    net->now = at > net->now ? at : net->now + 100;
    for (int burst = 0; burst < 32 && net->events.count > 0; burst++) {
        if (net->events.heap[0].at > net->now)
            break;
        struct event e = link_events_pop(&net->events);
        arrive(net, &e);
        free(e.bytes);
    }
    return true;
}

void link_net_run(struct link_net *net, proa_ns span)
{
    proa_ns until = net->now + span;

    while (link_net_step(net, until))
        ;
}

/* ---- Small things ---- */

struct link *link_net_link(struct link_net *net, uint32_t pair, uint32_t side)
{
    return net->ends[pair][side].link;
}

bool link_net_dead(const struct link_net *net, uint32_t pair, uint32_t side)
{
    const struct link *link = net->ends[pair][side].link;

    return link == NULL || link_state(link) == LINK_DEAD;
}

struct link_budget *link_net_budget(struct link_net *net, uint32_t side)
{
    return &net->sides[side].budget;
}

void link_net_pass(struct link_net *net, proa_ns span)
{
    net->now += span;
}

proa_ns link_net_now(const struct link_net *net)
{
    return net->now;
}

struct link_net_config *link_net_faults(struct link_net *net)
{
    return &net->config;
}

void link_net_fail_packets(struct link_net *net, uint32_t side, uint32_t times)
{
    net->sides[side].pool.fail = times;
}

void link_net_fail_bulk(struct link_net *net, uint32_t side, uint32_t times)
{
    net->sides[side].fail_bulk = times;
}

struct pkt_pool *link_net_pool(struct link_net *net, uint32_t side)
{
    return &net->sides[side].pool.pool;
}

void *link_net_bulk_alloc(struct link_net *net, uint32_t side, size_t len)
{
    struct net_side *s = &net->sides[side];

    if (s->fail_bulk > 0) {
        s->fail_bulk--;
        return NULL;
    }
    s->bulk_live++;
    return aligned_alloc(16, (len + 15) / 16 * 16);
}

void link_net_bulk_free(struct link_net *net, uint32_t side, void *buf)
{
    PROA_ASSERT(buf != NULL && net->sides[side].bulk_live > 0);
    net->sides[side].bulk_live--;
    free(buf);
}

uint16_t link_net_source(const struct link_net *net, uint32_t pair, uint32_t side)
{
    return net->ends[pair][side].source;
}

uint32_t link_net_pings(const struct link_net *net, uint32_t pair, uint32_t side)
{
    return net->ends[pair][side].pings;
}

uint32_t link_net_last_ping(const struct link_net *net, uint32_t pair, uint32_t side)
{
    return net->ends[pair][side].last_ping;
}
