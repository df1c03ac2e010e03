/* SPDX-License-Identifier: Apache-2.0 */
/* link_scene.h - what the link tests share: a network that writes down what happens.

   Include after <cmocka.h>.  A scene is one link_net whose packets and messages are counted and
   kept; a test may lose or change chosen packets by its own filter.

   Threads: one.  Units: as link_net.h. */
#ifndef LINK_SCENE_H
#define LINK_SCENE_H

#include <string.h>

#include "link_net.h"
#include "packet.h"
#include "punt.h"
#include "sysmsg.h"

#define SCENE_MAX 4096

struct scene_message {
    uint32_t type, len, correlation;
    uint8_t flags;
    bool sent; /* lost: what the link said */
    proa_ns at, deadline;
    struct proa_ref from, to;
    uint8_t first; /* byte of the payload */
};

struct scene {
    struct link_net *net;
    /* Messages that entered at a side, lost ones, refusals told to a side. */
    struct scene_message entered[2][SCENE_MAX], lost[2][SCENE_MAX];
    struct refusal refused[2][SCENE_MAX];
    uint32_t entered_count[2], lost_count[2], refused_count[2];
    uint32_t foreign_count; /* env.refuse */
    struct refusal foreign;
    uint32_t passed_count; /* env.passed */
    struct scene_message passed;
    uint32_t writable[2];
    /* Packets sent by a side. */
    struct packet_header sent[2][SCENE_MAX];
    uint16_t sent_len[2][SCENE_MAX];
    proa_ns sent_at[2][SCENE_MAX];
    uint32_t sent_count[2];
    uint32_t right[2];
    bool right_known[2];
    /* The test's own: true keeps the packet. */
    bool (*filter)(struct scene *s, uint32_t side, struct packet_header *h, uint8_t *data,
                   uint16_t *len);
    void (*on_message)(struct scene *s, uint32_t side, const struct proa_msg *msg);
    void (*on_expect)(struct scene *s, uint32_t side, const uint32_t *slots,
                      uint32_t count);
    uint32_t mark; /* the filter's */
};

static inline void scene_deliver(void *ctx, uint32_t pair, uint32_t side,
                                 const struct proa_msg *msg)
{
    struct scene *s = ctx;
    struct sysmsg m;

    (void)pair;
    if (msg->type == (uint32_t)SYSMSG_REFUSE) {
        assert_true(sysmsg_decode(msg->type, msg->data, msg->len, &m));
        assert_true(s->refused_count[side] < SCENE_MAX);
        s->refused[side][s->refused_count[side]++] = m.refusal;
        return;
    }
    if (s->entered_count[side] < SCENE_MAX) {
        s->entered[side][s->entered_count[side]] = (struct scene_message){
            .type = msg->type,
            .len = msg->len,
            .correlation = msg->correlation,
            .flags = msg->flags,
            .at = link_net_now(s->net),
            .deadline = msg->deadline,
            .from = msg->from,
            .to = msg->to,
            .first = msg->len > 0 ? *(const uint8_t *)msg->data : 0};
    }
    s->entered_count[side]++;
    if (s->on_message != NULL)
        s->on_message(s, side, msg);
}

static inline void scene_expect(void *ctx, uint32_t pair, uint32_t side,
                                const uint32_t *slots, uint32_t count)
{
    struct scene *s = ctx;

    (void)pair;
    if (s->on_expect != NULL)
        s->on_expect(s, side, slots, count);
}

static inline void scene_lost(void *ctx, uint32_t pair, uint32_t side,
                              const struct proa_msg *msg, bool sent)
{
    struct scene *s = ctx;

    (void)pair;
    assert_true(s->lost_count[side] < SCENE_MAX);
    s->lost[side][s->lost_count[side]++] = (struct scene_message){
        .type = msg->type, .len = msg->len, .flags = msg->flags, .sent = sent};
}

static inline void scene_writable(void *ctx, uint32_t pair, uint32_t side)
{
    (void)pair;
    ((struct scene *)ctx)->writable[side]++;
}

static inline void scene_passed(void *ctx, uint32_t pair, uint32_t side,
                                const struct proa_msg *msg)
{
    struct scene *s = ctx;

    (void)pair;
    (void)side;
    s->passed = (struct scene_message){.type = msg->type,
                                       .correlation = msg->correlation,
                                       .flags = msg->flags,
                                       .at = link_net_now(s->net),
                                       .from = msg->from,
                                       .to = msg->to};
    s->passed_count++;
}

static inline void scene_foreign(void *ctx, uint32_t pair, uint32_t side, uint64_t node,
                                 const struct refusal *refusal)
{
    struct scene *s = ctx;

    (void)pair;
    (void)side;
    if (node != 0xabcd)
        return; /* its own, when the link ends */
    s->foreign_count++;
    s->foreign = *refusal;
}

/* Every packet passes here: ack + window never moves back, whatever the test is about. */
static inline bool scene_packet(void *ctx, uint32_t pair, uint32_t side, uint8_t *data,
                                uint16_t *len)
{
    struct scene *s = ctx;
    struct packet_header h;

    assert_int_equal(packet_header_get(data, *len, &h), 0);
    if (pair == 0 && (h.flags & PACKET_ACK_VALID)) {
        uint32_t right = h.ack + h.window;
        assert_true(!s->right_known[side] || (int32_t)(right - s->right[side]) >= 0);
        s->right[side] = right;
        s->right_known[side] = true;
    }
    if (s->sent_count[side] < SCENE_MAX) {
        uint32_t i = s->sent_count[side];
        s->sent[side][i] = h;
        s->sent_len[side][i] = *len;
        s->sent_at[side][i] = link_net_now(s->net);
    }
    s->sent_count[side]++;
    return s->filter == NULL || s->filter(s, side, &h, data, len);
}

/* A scene on a plain network of 1 us; change what link_net_faults gives before time passes. */
static inline struct scene *scene_open(const struct link_net_config *config)
{
    static struct scene scene;
    struct link_net_config c = config != NULL ? *config : (struct link_net_config){0};
    struct link_net_hooks hooks = {.ctx = &scene,
                                   .deliver = scene_deliver,
                                   .expect = scene_expect,
                                   .lost = scene_lost,
                                   .writable = scene_writable,
                                   .refuse = scene_foreign,
                                   .passed = scene_passed,
                                   .filter = scene_packet};

    memset(&scene, 0, sizeof(scene));
    c.delay = c.delay ? c.delay : PROA_US;
    scene.net = link_net_create(&c, &hooks);
    return &scene;
}

static inline void scene_close(struct scene *s)
{
    link_net_destroy(s->net);
}

static inline struct link *scene_link(struct scene *s, uint32_t side)
{
    return link_net_link(s->net, 0, side);
}

static inline struct link_stats scene_stats(struct scene *s, uint32_t side)
{
    struct link_stats stats;

    link_stats(scene_link(s, side), &stats);
    return stats;
}

/* A message from actor src of side to actor dst of the other. */
static inline struct proa_msg scene_msg(uint32_t side, uint32_t src, uint32_t dst,
                                        uint32_t type, uint32_t len)
{
    static uint8_t bytes[2 << 20];

    memset(bytes, (int)type, len);
    return (struct proa_msg){.data = bytes,
                             .len = len,
                             .type = type,
                             .from = {LINK_NET_NODE * (side + 1), src, 7},
                             .to = {LINK_NET_NODE * (!side + 1), dst, 7}};
}

static inline enum proa_outcome scene_tell(struct scene *s, uint32_t side, uint32_t type,
                                           uint32_t len)
{
    struct proa_msg msg = scene_msg(side, 1, 2, type, len);

    return link_send(scene_link(s, side), &msg, link_net_now(s->net));
}

/* From an actor of side 0. */
static inline enum proa_outcome scene_tell_from(struct scene *s, uint32_t src,
                                                uint32_t type, uint32_t len)
{
    struct proa_msg msg = scene_msg(0, src, 2, type, len);

    return link_send(scene_link(s, 0), &msg, link_net_now(s->net));
}

/* One tell that fills a packet. */
static inline void scene_packets(struct scene *s, uint32_t side, uint32_t first_type,
                                 uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        assert_int_equal(scene_tell(s, side, first_type + i, 1392), PROA_OK);
}

/* Packets of a kind that a side has sent. */
static inline uint32_t scene_sent(const struct scene *s, uint32_t side, unsigned kind)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < s->sent_count[side]; i++)
        n += s->sent[side][i].kind == kind;
    return n;
}

#endif
