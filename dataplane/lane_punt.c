/* SPDX-License-Identifier: Apache-2.0 */
#include "lane_internal.h"

#include <string.h>

#include "packet.h"

bool lane_push_up(struct lane *lane, uint16_t kind, const void *head, uint32_t head_len,
                  const void *tail, uint32_t tail_len)
{
    if (!byte_ring_push(lane->config.up, kind, head, head_len, tail, tail_len)) {
        lane_count(&lane->stats.punt_full, 1);
        return false;
    }
    lane->put_up = true;
    return true;
}

static struct lane_link *link_by(struct lane *lane, uint64_t id)
{
    struct lane_link *ll = &lane->links[link_id_slot(id) % LANE_LINKS_MAX];

    return ll->link != NULL && ll->id == id ? ll : NULL;
}

/* A datagram of the control thread is about to leave.  A PING counts even when its port is full: then the
   peer takes nothing. */
static void note_ping(struct lane *lane, const uint8_t *bytes, uint32_t len)
{
    struct packet_ping ping;
    struct lane_link *ll;

    if (len < PACKET_HEADER_LEN || packet_kind(bytes) != PACKET_PING ||
        packet_ping_get(bytes, len, &ping) != 0)
        return;
    ll = link_by(lane, ping.link);
    if (ll == NULL)
        return;
    link_pinged(ll->link, lane->now);
    lane_dirty(lane, ll);
}

/* Sends a datagram of the control thread. */
static void send_datagram(struct lane *lane, const struct byte_record *record)
{
    struct punt_datagram head;

    if (record->len < sizeof(head))
        return;
    memcpy(&head, record->body, sizeof(head));
    uint32_t len = record->len - (uint32_t)sizeof(head);
    note_ping(lane, record->body + sizeof(head), len);
    int port = head.port < lane->config.port_count
                   ? head.port
                   : port_route(lane->config.ports, lane->config.port_count, &head.peer);
    if (port < 0) {
        lane_count(&lane->stats.no_route, 1);
        return;
    }
    struct pkt *p = pkt_alloc(lane->config.pool, 1);
    if (p == NULL)
        return; /* counted by the pool; the control protocols send again */
    if (len > p->room) {
        lane->config.pool->ops->free(p);
        return;
    }
    memcpy(p->data, record->body + sizeof(head), len);
    p->len = (uint16_t)len;
    p->port = (uint8_t)port;
    p->peer = head.peer;
    p->source = 0;
    lane_transmit(lane, p);
}

static void link_record(struct lane *lane, uint16_t kind,
                        const struct byte_record *record)
{
    struct punt_link which;

    memcpy(&which, record->body, sizeof(which));
    struct lane_link *ll = link_by(lane, which.link_id);
    if (ll == NULL)
        return; /* it ended meanwhile */
    if (kind == PUNT_LINK_RESET) {
        lane_link_end(lane, ll, LINK_END_RESET);
        return;
    }
    proa_ns gap = which.loop_gap_us * PROA_US; /* as the peer says it */
    link_peer_loop_gap(ll->link, gap < LANE_GAP_MAX ? gap : LANE_GAP_MAX);
    link_heard(ll->link, (which.flags & LINK_HEARD_BUSY) != 0, lane->now);
    lane_dirty(lane, ll);
}

static void node_dead(struct lane *lane, uint64_t node)
{
    for (uint32_t i = lane->active_count; i-- > 0;) {
        struct lane_link *ll = &lane->links[lane->active[i]];
        if (ll->peer->node == node)
            lane_link_end(lane, ll, LINK_END_RESET);
    }
    lane_peer_failed(lane, node, PROA_NO_ROUTE);
}

static void node_record(struct lane *lane, uint16_t kind,
                        const struct byte_record *record)
{
    struct punt_node which;

    memcpy(&which, record->body, sizeof(which));
    if (kind == PUNT_NODE_DEAD)
        node_dead(lane, which.node);
    else
        lane_peer_failed(lane, which.node, which.outcome);
}

static void open_record(struct lane *lane, const struct byte_record *record)
{
    struct punt_link_open open;

    memcpy(&open, record->body, sizeof(open));
    lane_link_open(lane, &open);
}

static void name_record(struct lane *lane, const struct byte_record *record)
{
    struct punt_answer answer;
    struct punt_actor actor;

    if (record->kind == PUNT_NAME_ANSWER) {
        memcpy(&answer, record->body, sizeof(answer));
        sched_name_answer(lane->sched, &answer,
                          (const char *)record->body + sizeof(answer),
                          record->len - sizeof(answer));
        return;
    }
    memcpy(&actor, record->body, sizeof(actor));
    sched_name_lost(lane->sched, &actor, (const char *)record->body + sizeof(actor),
                    record->len - sizeof(actor));
}

static void changed_record(struct lane *lane, const struct byte_record *record)
{
    struct punt_changed changed;

    memcpy(&changed, record->body, sizeof(changed));
    sched_changed(lane->sched, &changed, (const char *)record->body + sizeof(changed),
                  record->len - sizeof(changed));
}

static void event_record(struct lane *lane, const struct byte_record *record)
{
    struct proa_event event;

    memcpy(&event, record->body, sizeof(event));
    sched_event_told(lane->sched, &event);
}

static void one_record(struct lane *lane, const struct byte_record *record)
{
    switch (record->kind) {
    case PUNT_SEND:
        send_datagram(lane, record);
        break;
    case PUNT_LINK_OPEN:
        open_record(lane, record);
        break;
    case PUNT_LINK_HEARD:
    case PUNT_LINK_RESET:
        link_record(lane, record->kind, record);
        break;
    case PUNT_NODE_FAILED:
    case PUNT_NODE_DEAD:
        node_record(lane, record->kind, record);
        break;
    case PUNT_NAME_ANSWER:
    case PUNT_NAME_LOST:
        name_record(lane, record);
        break;
    case PUNT_EVENT_TOLD:
        event_record(lane, record);
        break;
    case PUNT_CHANGED:
        changed_record(lane, record);
        break;
    case PUNT_MESH_SEND:
        lane_mesh_send(lane, record->body, record->len);
        break;
    case PUNT_DRAIN:
        sched_drain(lane->sched);
        break;
    default:
        PROA_ASSERT(!"a record kind of our own making");
    }
}

uint32_t lane_punt(struct lane *lane)
{
    uint32_t n = 0;

    for (; n < LANE_DOWN_BUDGET; n++) {
        const struct byte_record *record = byte_ring_peek(lane->config.down);
        if (record == NULL)
            break;
        one_record(lane, record);
        byte_ring_pop(lane->config.down);
    }
    return n;
}
