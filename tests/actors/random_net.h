/* SPDX-License-Identifier: Apache-2.0 */
/* random_net.h - two nodes of two lanes each, joined by queues, for the scheduler's random test.

   Lane i of one node has a way to lane i of the other.  It holds LINK_MAX messages, then says
   AGAIN; it may die with what it holds. */
#ifndef RANDOM_NET_H
#define RANDOM_NET_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "mix.h"
#include "scheduler.h"

#define NODES 2
#define LANES 2
#define LINK_MAX 48

enum wire_kind { WIRE_MSG, WIRE_REFUSE, WIRE_WRITABLE, WIRE_STOP };

struct wire {
    enum wire_kind kind;
    struct proa_msg msg;
    struct refusal refusal;
    struct proa_ref ref;
    uint64_t data[24];
    struct wire *next;
};

/* One way of the link from a lane to the same lane of the other node. */
struct link {
    struct wire *first, *last;
    uint32_t msgs;
    bool said_again;
};

struct lane {
    uint32_t node, number;
    struct sched *s;
    struct arena *arena;
    struct link link;
};

static struct lane lanes[NODES][LANES];
static struct pair_ring *rings[NODES][LANES][LANES];
static uint64_t rnd;
static proa_ns now;

static uint32_t draw(uint32_t below)
{
    rnd = mix64(rnd);
    return (uint32_t)((rnd >> 32) % below);
}

static uint64_t node_id(uint32_t node)
{
    return 100 + node;
}

/* ---- Below ---- */

static struct wire *wire_put(struct link *link, enum wire_kind kind)
{
    struct wire *wire = calloc(1, sizeof(*wire));

    wire->kind = kind;
    if (link->last == NULL)
        link->first = wire;
    else
        link->last->next = wire;
    link->last = wire;
    return wire;
}

static enum proa_outcome below_send(void *ctx, const struct proa_msg *msg)
{
    struct lane *l = ctx;
    struct wire *wire;

    if (l->link.msgs >= LINK_MAX && (msg->flags & PROA_MSG_REPLY) == 0) {
        l->link.said_again = true;
        return PROA_AGAIN;
    }
    wire = wire_put(&l->link, WIRE_MSG);
    wire->msg = *msg;
    assert_true(msg->len <= sizeof(wire->data));
    memcpy(wire->data, msg->data, msg->len);
    wire->msg.data = wire->data;
    l->link.msgs++;
    return PROA_OK;
}

static void below_refuse(void *ctx, uint64_t node, const struct refusal *refusal)
{
    struct lane *l = ctx;

    assert_int_equal(node, node_id(1 - l->node));
    wire_put(&l->link, WIRE_REFUSE)->refusal = *refusal;
}

static void below_writable(void *ctx, uint64_t node, struct proa_ref to)
{
    (void)node;
    wire_put(&((struct lane *)ctx)->link, WIRE_WRITABLE)->ref = to;
}

static enum proa_outcome below_stop(void *ctx, struct proa_ref to)
{
    wire_put(&((struct lane *)ctx)->link, WIRE_STOP)->ref = to;
    return PROA_OK;
}

static void wire_deliver(struct lane *to, const struct wire *wire)
{
    if (wire->kind == WIRE_MSG)
        sched_deliver(to->s, &wire->msg, draw(4) != 0);
    else if (wire->kind == WIRE_REFUSE)
        sched_refused(to->s, &wire->refusal);
    else if (wire->kind == WIRE_WRITABLE)
        sched_writable_ref(to->s, wire->ref);
    else
        sched_stop_actor(to->s, wire->ref);
}

static struct wire *wire_take(struct link *link)
{
    struct wire *wire = link->first;

    link->first = wire->next;
    if (link->first == NULL)
        link->last = NULL;
    link->msgs -= wire->kind == WIRE_MSG;
    return wire;
}

/* Hands up to max things of l's link to the other side. */
static void link_move(struct lane *l, uint32_t max)
{
    struct lane *to = &lanes[1 - l->node][l->number];

    while (max-- > 0 && l->link.first != NULL) {
        struct wire *wire = wire_take(&l->link);

        wire_deliver(to, wire);
        free(wire);
    }
    if (l->link.said_again && l->link.msgs <= LINK_MAX / 2) {
        l->link.said_again = false;
        sched_writable_node(l->s, node_id(1 - l->node));
    }
}

/* The link dies with the messages it holds; what the schedulers themselves say of refused tells
   is let through, since its loss is the link's business, not theirs. */
static void link_kill(struct lane *l)
{
    struct lane *to = &lanes[1 - l->node][l->number];

    while (l->link.first != NULL) {
        struct wire *wire = wire_take(&l->link);
        struct refusal r = {.to = wire->msg.to,
                            .slot = wire->msg.from.slot,
                            .generation = wire->msg.from.generation,
                            .type = wire->msg.type,
                            .count = 1,
                            .reason = PROA_IN_DOUBT};

        if (wire->kind != WIRE_MSG) {
            wire_deliver(to, wire);
        } else if (wire->msg.flags == 0) {
            sched_refused(l->s, &r);
        } else if ((wire->msg.flags & PROA_MSG_ASK) != 0 &&
                   wire->msg.from.node == node_id(l->node)) {
            r.correlation = wire->msg.correlation;
            r.reason = PROA_MAYBE_EXECUTED;
            sched_refused(l->s, &r);
        }
        free(wire);
    }
    l->link.said_again = false;
    for (uint32_t lane = 0; lane < LANES; lane++) {
        sched_link_dead(lanes[l->node][lane].s, node_id(1 - l->node));
        sched_link_dead(lanes[1 - l->node][lane].s, node_id(l->node));
    }
}

#endif
