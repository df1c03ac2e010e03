/* SPDX-License-Identifier: Apache-2.0 */
#include "link_loops.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "clock.h"
#include "lane.h"
#include "link.h"
#include "packet.h"

#define PACKETS 4096u
#define ROOM 1536u
#define MTU 1448u
#define WIRE_MAX 1024u
#define BULK 65536u
#define NODE_A 1u
#define NODE_B 2u

struct plain_pool {
    struct pkt_pool pool;
    uint32_t count;
    struct pkt *free[PACKETS];
};

struct plain_pkt {
    struct pkt pkt;
    struct plain_pool *pool;
    uint32_t owners;
};

struct end {
    struct link_loops *loops;
    struct link *link;
    struct plain_pool pool;
    struct link_budget budget;
    struct pkt *wire[WIRE_MAX]; /* towards this end */
    uint32_t wire_count;
    void *memory;
};

struct link_loops {
    enum link_loop loop;
    struct end ends[2];
    struct plain_pkt *packets;
    uint8_t *bytes;
    proa_ns now;
    uint64_t sent, arrived, wrong;
    uint8_t *bulk;
};

static struct pkt *plain_alloc(struct pkt_pool *base, int control)
{
    struct plain_pool *pool = (struct plain_pool *)base;

    (void)control;
    if (pool->count == 0)
        return NULL;
    struct pkt *p = pool->free[--pool->count];
    ((struct plain_pkt *)p)->owners = 1;
    p->room = ROOM; /* one word with source, which sending wrote */
    return p;
}

static void plain_hold(struct pkt *p)
{
    ((struct plain_pkt *)p)->owners++;
}

static void plain_free(struct pkt *p)
{
    struct plain_pkt *pp = (struct plain_pkt *)p;

    if (--pp->owners == 0)
        pp->pool->free[pp->pool->count++] = p;
}

static const struct pkt_pool_ops plain_ops = {plain_alloc, plain_hold, plain_free};

/* CPU time: what other programs take of the core does not count. */
static uint64_t cpu_ns(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
    return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

/* ---- What the links need ---- */

static void env_transmit(void *ctx, struct link *link, struct pkt *p)
{
    struct end *from = ctx;
    struct end *to = &from->loops->ends[from == &from->loops->ends[0]];
    struct pkt *q = plain_alloc(&to->pool.pool, 0);

    (void)link;
    if (q != NULL && to->wire_count < WIRE_MAX) {
        memcpy(q->data, p->data, p->len);
        q->len = p->len;
        q->flags = 0;
        to->wire[to->wire_count++] = q;
    }
    plain_free(p);
}

static void env_deliver(void *ctx, struct link *link, const struct proa_msg *msg,
                        bool in_place)
{
    struct end *end = ctx;
    struct link_loops *loops = end->loops;
    const uint64_t *words = msg->data;

    (void)in_place;
    if (msg->flags & PROA_MSG_ASK) {
        struct proa_msg reply = {.data = words,
                                 .len = 8,
                                 .type = msg->type,
                                 .from = msg->to,
                                 .to = msg->from,
                                 .correlation = msg->correlation,
                                 .flags = PROA_MSG_REPLY};
        link_send(link, &reply, loops->now);
        return;
    }
    loops->wrong += words[0] != loops->arrived;
    loops->arrived++;
}

static void *env_bulk_alloc(void *ctx, size_t len)
{
    (void)ctx;
    return aligned_alloc(64, (len + 63) / 64 * 64);
}

static void env_bulk_free(void *ctx, void *buf)
{
    (void)ctx;
    free(buf);
}

static void env_deliver_bulk(void *ctx, struct link *link, const struct proa_msg *msg,
                             void *buf)
{
    env_deliver(ctx, link, msg, true);
    free(buf);
}

static void env_ping(void *ctx, struct link *link, uint32_t flags)
{
    (void)ctx;
    (void)link;
    (void)flags;
}

static void env_nothing(void *ctx, struct link *link)
{
    (void)ctx;
    (void)link;
}

static void env_lost(void *ctx, struct link *link, const struct proa_msg *msg, bool sent)
{
    (void)ctx;
    (void)link;
    (void)msg;
    (void)sent;
}

/* ---- Life ---- */

static void pool_init(struct link_loops *loops, uint32_t side)
{
    struct plain_pool *pool = &loops->ends[side].pool;

    pool->pool.ops = &plain_ops;
    for (uint32_t i = side * PACKETS; i < (side + 1) * PACKETS; i++) {
        struct plain_pkt *p = &loops->packets[i];
        p->pool = pool;
        p->pkt.data = loops->bytes + (size_t)i * ROOM;
        pool->free[pool->count++] = &p->pkt;
    }
}

static bool end_init(struct link_loops *loops, uint32_t side)
{
    struct end *end = &loops->ends[side];
    struct link_params params = {.node = side ? NODE_A : NODE_B,
                                 .self = side ? NODE_B : NODE_A,
                                 .link_id = 1 + side,
                                 .peer_link_id = 2 - side,
                                 .mtu = MTU,
                                 .message_max = 1 << 20};
    struct link_env env = {.ctx = end,
                           .pool = &end->pool.pool,
                           .budget = &end->budget,
                           .bulk_alloc = env_bulk_alloc,
                           .bulk_free = env_bulk_free,
                           .transmit = env_transmit,
                           .deliver = env_deliver,
                           .deliver_bulk = env_deliver_bulk,
                           .ping = env_ping,
                           .up = env_nothing,
                           .writable = env_nothing,
                           .lost = env_lost};

    end->loops = loops;
    end->budget = (struct link_budget){.retained_max = 8192,
                                       .held_max = 8192,
                                       .queued_max = LANE_QUEUED_MAX,
                                       .queued_waiting_max = LANE_QUEUED_WAITING,
                                       .reserved_max = LANE_RESERVED_MAX,
                                       .bulk_max = 64u << 20};
    end->memory = aligned_alloc(64, (link_size() + 63) / 64 * 64);
    if (end->memory == NULL)
        return false;
    pool_init(loops, side);
    end->link = link_init(end->memory, &params, &env, loops->now);
    return true;
}

struct link_loops *link_loops_create(enum link_loop loop)
{
    struct link_loops *loops = calloc(1, sizeof(*loops));

    if (loops == NULL)
        return NULL;
    loops->loop = loop;
    loops->now = 1000000000;
    loops->packets = calloc(2 * PACKETS, sizeof(*loops->packets));
    loops->bytes = aligned_alloc(64, (size_t)2 * PACKETS * ROOM);
    loops->bulk = calloc(1, BULK);
    bool ok = loops->packets != NULL && loops->bytes != NULL && loops->bulk != NULL;
    if (!ok || !end_init(loops, 0) || !end_init(loops, 1)) {
        link_loops_destroy(loops);
        return NULL;
    }
    memset(loops->bytes, 0, (size_t)2 * PACKETS * ROOM);
    return loops;
}

void link_loops_destroy(struct link_loops *loops)
{
    for (uint32_t side = 0; side < 2; side++) {
        if (loops->ends[side].link != NULL)
            link_fini(loops->ends[side].link);
        free(loops->ends[side].memory);
    }
    free(loops->packets);
    free(loops->bytes);
    free(loops->bulk);
    free(loops);
}

/* ---- The loops ---- */

static void receive(struct link_loops *loops, uint32_t side)
{
    struct end *end = &loops->ends[side];
    uint32_t count = end->wire_count;

    for (uint32_t i = 0; i < count; i++)
        link_input(end->link, end->wire[i], loops->now);
    end->wire_count = 0;
}

/* Messages until the outbox is full or the batch is. */
static uint64_t send_some(struct link_loops *loops, uint64_t most)
{
    struct link *link = loops->ends[0].link;
    uint64_t payload[4] = {0};
    struct proa_msg msg = {.data = payload,
                           .len = sizeof(payload),
                           .type = 1,
                           .from = {NODE_A, 1, 1},
                           .to = {NODE_B, 1, 1}};
    uint64_t n = 0;

    if (loops->loop == LINK_LOOP_BULK) {
        msg.data = loops->bulk;
        msg.len = BULK;
    } else if (loops->loop == LINK_LOOP_ASK) {
        msg.flags = PROA_MSG_ASK;
        msg.deadline = loops->now + PROA_S;
    }
    for (; n < most; n++) {
        payload[0] = payload[1] = payload[2] = payload[3] = loops->sent;
        if (loops->loop == LINK_LOOP_TELL)
            msg.to.slot = (uint32_t)n & 1;
        if (loops->loop == LINK_LOOP_BULK)
            memcpy(loops->bulk, payload, sizeof(payload[0]));
        if (link_send(link, &msg, loops->now) != PROA_OK)
            break;
        loops->sent++;
        if (loops->loop == LINK_LOOP_ONE)
            link_flush(link, loops->now);
    }
    return n;
}

static void run_links(struct link_loops *loops, uint64_t n, struct link_loops_times *t)
{
    uint64_t target = loops->sent + n, batch = loops->loop == LINK_LOOP_ONE ? 256 : 1600;

    while (loops->arrived < target) {
        uint64_t t0 = cpu_ns();
        uint64_t left = target - loops->sent;
        send_some(loops, left < batch ? left : batch);
        uint64_t t1 = cpu_ns();
        link_flush(loops->ends[0].link, loops->now);
        uint64_t t2 = cpu_ns();
        receive(loops, 1);
        link_flush(loops->ends[1].link, loops->now);
        uint64_t t3 = cpu_ns();
        receive(loops, 0);
        loops->now += 10000;
        for (uint32_t side = 0; side < 2; side++) {
            if (link_deadline(loops->ends[side].link) <= loops->now)
                link_tick(loops->ends[side].link, loops->now);
        }
        t->send += t1 - t0;
        t->flush += t2 - t1;
        t->input += t3 - t2;
    }
}

/* The same bytes, without any protocol: 25 messages of 56 bytes a packet. */
static void run_copies(struct link_loops *loops, uint64_t n, struct link_loops_times *t)
{
    uint64_t target = loops->sent + n;

    while (loops->sent < target) {
        uint64_t t0 = cpu_ns();
        for (uint32_t p = 0; p < 32; p++) {
            uint8_t *at = loops->packets[p].pkt.data + PACKET_HEADER_LEN;
            for (uint32_t i = 0; i < 25; i++, at += PACKET_MSG_HEAD + 32) {
                uint64_t payload[4] = {loops->sent, loops->sent, loops->sent,
                                       loops->sent};
                memcpy(at + PACKET_MSG_HEAD, payload, sizeof(payload));
                loops->sent++;
            }
        }
        uint64_t t1 = cpu_ns();
        for (uint32_t p = 0; p < 32; p++)
            memcpy(loops->packets[PACKETS + p].pkt.data, loops->packets[p].pkt.data,
                   1432);
        uint64_t t2 = cpu_ns();
        for (uint32_t p = 0; p < 32; p++) {
            const uint8_t *at = loops->packets[PACKETS + p].pkt.data + PACKET_HEADER_LEN;
            for (uint32_t i = 0; i < 25; i++, at += PACKET_MSG_HEAD + 32) {
                loops->wrong += proa_get_le64(at + PACKET_MSG_HEAD) != loops->arrived;
                loops->arrived++;
            }
        }
        uint64_t t3 = cpu_ns();
        t->send += t1 - t0;
        t->flush += t2 - t1;
        t->input += t3 - t2;
    }
}

uint64_t link_loops_run(struct link_loops *loops, uint64_t n,
                        struct link_loops_times *ret)
{
    uint64_t before = loops->arrived;

    *ret = (struct link_loops_times){0};
    if (loops->loop == LINK_LOOP_COPY)
        run_copies(loops, n, ret);
    else
        run_links(loops, n, ret);
    PROA_ASSERT(loops->wrong == 0);
    return loops->arrived - before;
}

uint64_t link_loops_clock(uint64_t n)
{
    proa_ns now = 0;

    for (uint64_t i = 0; i < n; i++)
        now = clock_ns();
    return now;
}

uint64_t link_loops_clock_gettime(uint64_t n)
{
    struct timespec ts = {0};

    for (uint64_t i = 0; i < n; i++)
        clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_nsec;
}
