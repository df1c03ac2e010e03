/* SPDX-License-Identifier: Apache-2.0 */
#include "multicast.h"

#include "directory_group.h"
#include "mix.h"
#include "scheduler_internal.h"

/* ---- The body ---- */

static size_t padded(size_t len)
{
    return (len + 7) & ~(size_t)7;
}

size_t multicast_body_put(void *buf, const struct multicast_body *body)
{
    size_t room = padded(body->group_len);
    uint8_t *at = buf;

    PROA_ASSERT(body->group_len >= 1 && body->group_len <= PROA_NAME_MAX);
    PROA_ASSERT(body->len <= PROA_MULTICAST_MAX);
    memset(at, 0, MULTICAST_HEAD + room);
    at[0] = (uint8_t)body->group_len;
    memcpy(at + MULTICAST_HEAD, body->group, body->group_len);
    if (body->len > 0)
        memcpy(at + MULTICAST_HEAD + room, body->data, body->len);
    return MULTICAST_HEAD + room + body->len;
}

bool multicast_body_get(const void *bytes, size_t len, struct multicast_body *ret)
{
    const uint8_t *at = bytes;
    size_t front;

    if (len < MULTICAST_HEAD || at[0] == 0)
        return false;
    front = MULTICAST_HEAD + padded(at[0]);
    if (len < front || len - front > PROA_MULTICAST_MAX ||
        memchr(at + MULTICAST_HEAD, '\0', at[0]) != NULL)
        return false;
    *ret = (struct multicast_body){.group = (const char *)at + MULTICAST_HEAD,
                                   .group_len = at[0],
                                   .data = at + front,
                                   .len = (uint32_t)(len - front)};
    return true;
}

/* ---- Members by way ---- */

/* One multicast under way. */
struct fan {
    struct sched *s;
    struct proa_msg msg; /* what each member gets, but for `to` */
    bool in_place_ok;
    bool own_node;                  /* members of other nodes are told by somebody else */
    bool own_lane;                  /* and those of other lanes */
    uint32_t told;                  /* members that somebody has taken it for */
    bool later;                     /* those of this lane: s->multicasts.rest */
    uint32_t lanes[PROA_LANES_MAX]; /* members of the other lanes */
    struct multicast_nodes *nodes;  /* those of other nodes; NULL: own_node */
};

static bool count_node(struct multicast_nodes *nodes, uint64_t node)
{
    uint32_t at = (uint32_t)mix64(node) % (2 * MULTICAST_NODES_MAX);

    while (nodes->slots[at].node != 0 && nodes->slots[at].node != node)
        at = (at + 1) % (2 * MULTICAST_NODES_MAX);
    if (nodes->slots[at].node == 0) {
        if (nodes->count == MULTICAST_NODES_MAX)
            return false;
        nodes->slots[at].node = node;
        nodes->places[nodes->count++] = (uint16_t)at;
    }
    nodes->slots[at].members++;
    return true;
}

static void one_far(struct fan *fan, struct proa_ref to)
{
    struct proa_msg msg = fan->msg;

    enum proa_outcome outcome;

    msg.to = to;
    outcome = msg_send(fan->s, &msg, NULL);
    if (outcome == PROA_OK)
        fan->told++;
    else
        refuse_msg(fan->s, &msg,
                   outcome == PROA_AGAIN ? PROA_REFUSED_BUSY : PROA_NOT_SENT);
}

static void one_here(struct fan *fan, struct proa_ref to)
{
    struct proa_msg msg = fan->msg;

    msg.to = to;
    deliver_here(fan->s, &msg, NULL, fan->in_place_ok);
}

static void on_member(void *ctx, struct proa_ref ref, bool local)
{
    struct fan *fan = ctx;
    struct sched *s = fan->s;
    uint32_t lane = proa_ref_lane(ref);

    if (!local) {
        if (!fan->own_node && !count_node(fan->nodes, ref.node))
            one_far(fan, ref);
    } else if (lane == s->lane) {
        fan->told++;
        if (fan->later && s->multicasts.rest_count < s->slots.max)
            s->multicasts.rest[s->multicasts.rest_count++] =
                (struct multicast_rest){ref.slot, ref.generation};
        else
            one_here(fan, ref);
    } else if (!fan->own_lane && lane < s->lanes) {
        fan->lanes[lane]++;
    }
}

/* ---- To services ---- */

/* Sends the body on to the service of a lane or node that has so many members; AGAIN only when
   the caller is to hear of it. */
static enum proa_outcome pass_on(struct fan *fan, const struct proa_msg *body,
                                 struct proa_ref to, uint32_t members, struct slot *slot,
                                 bool again_ok)
{
    struct proa_msg msg = *body;
    enum proa_outcome outcome;

    msg.to = to;
    outcome = msg_send(fan->s, &msg, NULL);
    if (outcome == PROA_OK) {
        fan->told += members;
    } else if (outcome == PROA_AGAIN && again_ok) {
        send_failed(fan->s, slot, PROA_AGAIN);
        return PROA_AGAIN;
    } else {
        refuse_many(fan->s, &msg,
                    outcome == PROA_AGAIN ? PROA_REFUSED_BUSY : PROA_NOT_SENT, members);
    }
    return PROA_OK;
}

static enum proa_outcome pass_to_lanes(struct fan *fan, const struct proa_msg *body,
                                       struct slot *slot, bool again_ok)
{
    struct sched *s = fan->s;
    enum proa_outcome worst = PROA_OK;

    for (uint32_t lane = 0; lane < s->lanes; lane++) {
        struct proa_ref to = {s->node, lane << 24 | SERVICE_MULTICAST, 0};

        if (fan->lanes[lane] > 0 &&
            pass_on(fan, body, to, fan->lanes[lane], slot, again_ok) == PROA_AGAIN)
            worst = PROA_AGAIN;
    }
    return worst;
}

static enum proa_outcome pass_to_nodes(struct fan *fan, const struct proa_msg *body,
                                       struct slot *slot)
{
    struct multicast_nodes *nodes = fan->nodes;
    enum proa_outcome worst = PROA_OK;

    for (uint32_t i = 0; i < nodes->count; i++) {
        struct multicast_node *n = &nodes->slots[nodes->places[i]];
        struct proa_ref to = {n->node, SERVICE_MULTICAST, 0};

        if (pass_on(fan, body, to, n->members, slot, true) == PROA_AGAIN)
            worst = PROA_AGAIN;
        *n = (struct multicast_node){0};
    }
    nodes->count = 0;
    return worst;
}

/* ---- Sending ---- */

static bool nodes_ready(struct sched *s)
{
    struct multicasts *m = &s->multicasts;

    if (m->nodes == NULL)
        m->nodes = arena_zalloc(s->arena, sizeof(*m->nodes), PROA_CACHE_LINE);
    return m->nodes != NULL;
}

enum proa_outcome multicast_send(struct sched *s, struct slot *slot,
                                 const struct proa_msg *msg, const char *group,
                                 uint32_t group_len, uint32_t *ret_members)
{
    struct multicast_body parts = {group, group_len, msg->data, msg->len};
    struct fan fan = {.s = s, .msg = *msg};
    alignas(8) uint8_t bytes[MULTICAST_BODY_MAX];
    struct proa_msg body = *msg;
    enum proa_outcome outcome;
    uint32_t found;

    *ret_members = 0;
    if (s->directory == NULL)
        return PROA_UNKNOWN;
    if (!nodes_ready(s)) {
        s->again_kind = WAIT_SLAB;
        s->again_key = 0;
        return send_failed(s, slot, PROA_AGAIN);
    }
    fan.nodes = s->multicasts.nodes;
    found = directory_each_member(s->directory, group, group_len, s->now, on_member, &fan,
                                  &outcome);
    if (found == 0)
        return outcome;
    body.data = bytes;
    body.len = (uint32_t)multicast_body_put(bytes, &parts);
    outcome = pass_to_lanes(&fan, &body, slot, true);
    if (pass_to_nodes(&fan, &body, slot) == PROA_AGAIN)
        outcome = PROA_AGAIN;
    s->hot.tells += fan.told;
    *ret_members = fan.told;
    return outcome;
}

bool multicast_args_good(const char *group, uint32_t type, const void *data, size_t len,
                         uint32_t *ret_group_len)
{
    return name_valid(group, ret_group_len) && type < PROA_TYPE_SYSTEM &&
           (data != NULL || len == 0);
}

enum proa_outcome proa_multicast(struct proa_actor *self, const char *group,
                                 uint32_t type, const void *data, size_t len,
                                 uint32_t *ret_members)
{
    static const uint64_t nothing;
    struct sched *s = self->sched;
    struct proa_msg msg = {.data = len > 0 ? data : &nothing,
                           .len = (uint32_t)len,
                           .type = type,
                           .from = self->ref};
    uint32_t members = 0, group_len;
    enum proa_outcome outcome;

    if (ret_members != NULL)
        *ret_members = 0;
    if (!multicast_args_good(group, type, data, len, &group_len))
        return send_failed(s, NULL, PROA_INVALID);
    if (len > PROA_MULTICAST_MAX || len > s->message_max)
        return send_failed(s, NULL, PROA_TOO_LARGE);
    outcome = multicast_send(s, self->slot, &msg, group, group_len, &members);
    if (ret_members != NULL)
        *ret_members = members;
    return outcome;
}

/* ---- The service ---- */

/* Members of the group, on all nodes, silent ones too. */
static uint32_t size_of(const struct sched *s, const struct multicast_body *parts)
{
    struct proa_members members = {0, 0};

    if (s->directory != NULL)
        directory_members(s->directory, parts->group, parts->group_len, 0,
                          PROA_ALL_UNREACHABLE, s->now, NULL, 0, &members);
    return members.count;
}

/* Tells the members that are here, of this lane or of the whole node; later: those of this lane are
   only written down. */
static void hand_out(struct sched *s, const struct proa_msg *msg,
                     const struct multicast_body *parts, bool own_lane, bool later)
{
    struct fan fan = {.s = s,
                      .msg = *msg,
                      .in_place_ok = true,
                      .own_node = true,
                      .own_lane = own_lane,
                      .later = later};
    enum proa_outcome outcome = PROA_UNKNOWN;
    uint32_t in_lanes = 0;

    fan.msg.data = parts->data;
    fan.msg.len = parts->len;
    if (s->directory != NULL)
        directory_each_member(s->directory, parts->group, parts->group_len, s->now,
                              on_member, &fan, &outcome);
    for (uint32_t lane = 0; lane < s->lanes; lane++)
        in_lanes += fan.lanes[lane];
    if (fan.told + in_lanes == 0)
        STAT_ADD(s, multicast_nobody, 1);
    STAT_ADD(s, multicast_told, fan.told);
    if (in_lanes > 0)
        pass_to_lanes(&fan, msg, NULL, false);
}

/* ---- In line ---- */

static bool rest_ready(struct sched *s)
{
    struct multicasts *m = &s->multicasts;

    if (m->rest == NULL)
        m->rest = arena_alloc(s->arena, s->slots.max * sizeof(*m->rest), PROA_CACHE_LINE);
    return m->rest != NULL;
}

_Static_assert(MULTICAST_BODY_MAX <= NODE_PAYLOAD_MAX, "the payload lies in the node");

/* A tell has no deadline: there stands, in line, whether it is for this lane only. */
static void wait_in_line(struct sched *s, const struct proa_msg *msg, bool own_lane)
{
    struct multicasts *m = &s->multicasts;
    struct proa_msg kept = *msg;
    struct node *node = NULL;

    kept.deadline = own_lane;
    if (m->waiting < MULTICAST_WAITING_MAX && rest_ready(s))
        node = node_new(s, &kept, NULL, false);
    if (node == NULL) {
        refuse_many(s, msg, PROA_REFUSED_BUSY, 1);
        return;
    }
    node->next = NULL;
    if (m->last != NULL)
        m->last->next = node;
    else
        m->first = node;
    m->last = node;
    m->waiting++;
}

static void first_drop(struct sched *s)
{
    struct multicasts *m = &s->multicasts;
    struct node *node = m->first;

    m->first = node->next;
    if (m->first == NULL)
        m->last = NULL;
    m->waiting--;
    m->begun = false;
    m->rest_at = m->rest_count = 0;
    node_free(s, node);
}

/* Begins or goes on with the first one, for so many hand-outs at the most; returns what it cost. */
static uint32_t first_work(struct sched *s, uint32_t budget)
{
    struct multicasts *m = &s->multicasts;
    struct proa_msg msg = m->first->msg;
    struct fan fan = {.s = s, .msg = msg, .in_place_ok = true};
    bool own_lane = msg.deadline != 0, good;
    struct multicast_body parts;
    uint32_t cost = 1;

    msg.deadline = fan.msg.deadline = 0;
    msg.data = m->first->payload;
    good = multicast_body_get(msg.data, msg.len, &parts);
    PROA_ASSERT(good); /* else it were not in line */
    fan.msg.data = parts.data;
    fan.msg.len = parts.len;
    if (!m->begun) {
        m->begun = true;
        cost += size_of(s, &parts) / MULTICAST_LOOKS;
        hand_out(s, &msg, &parts, own_lane, true);
    }
    for (; cost < budget && m->rest_at < m->rest_count; cost++) {
        struct multicast_rest r = m->rest[m->rest_at++];

        one_here(&fan, (struct proa_ref){s->node, r.slot, r.generation});
    }
    if (m->rest_at == m->rest_count)
        first_drop(s);
    return cost;
}

uint32_t multicasts_poll(struct sched *s)
{
    uint32_t cost = 0;

    while (s->multicasts.waiting > 0 && cost < MULTICAST_AT_ONCE)
        cost += first_work(s, MULTICAST_AT_ONCE - cost);
    return cost;
}

void multicasts_fini(struct sched *s)
{
    while (s->multicasts.waiting > 0)
        first_drop(s);
    arena_free(s->arena, s->multicasts.rest);
    arena_free(s->arena, s->multicasts.nodes);
}

/* ---- What comes ---- */

static void take(struct sched *s, const struct proa_msg *msg, bool own_lane)
{
    struct multicast_body parts;

    if (!multicast_body_get(msg->data, msg->len, &parts))
        STAT_ADD(s, malformed, 1);
    else if (size_of(s, &parts) <= PROA_MULTICAST_ORDERED)
        hand_out(s, msg, &parts, own_lane, false);
    else
        wait_in_line(s, msg, own_lane);
}

void multicast_in(struct sched *s, const struct proa_msg *msg)
{
    take(s, msg, false);
}

void multicast_here(struct sched *s, const struct proa_msg *msg)
{
    take(s, msg, true);
}
