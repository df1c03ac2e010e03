/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "core_internal.h"
#include "liveness.h"
#include "seeking.h"

#define SILENT_FOR PROA_S /* a node heard within this is not dead. Source: wire.md */

/* ---- Nodes ---- */

static void heard(struct core *core, struct peer *peer)
{
    if (peer->liveness == NULL || peer->dead)
        events_peer(core, PROA_EVENT_NODE_JOINED, peer, NULL);
    peer->heard_at = core->now;
    if (peer->dead)
        registrar_node(core, peer->node, true);
    if (peer->liveness == NULL || peer->dead)
        peer->liveness = directory_node_add(core->config.directory, peer->node,
                                            core->now + CORE_HEARD_FOR);
    else
        directory_heard(peer->liveness, core->now + CORE_HEARD_FOR);
    peer->dead = peer->gone = false;
}

/* When the node was last heard, by a lane or here. */
static proa_ns last_heard(const struct peer *peer)
{
    proa_ns until = 0;

    /* relaxed: a moment a little older is as good. */
    if (peer->liveness != NULL)
        until = atomic_load_explicit(&peer->liveness->heard_until, memory_order_relaxed);
    if (until >= CORE_HEARD_FOR && until - CORE_HEARD_FOR > peer->heard_at)
        return until - CORE_HEARD_FOR;
    return peer->heard_at;
}

struct peer *liveness_met(struct core *core, const struct kad_id *id,
                          const struct proa_addr *addr)
{
    struct peer *before = peers_find_addr(&core->peers, addr);
    struct peer *peer = peers_add(&core->peers, id);

    if (peer == NULL) {
        core->stats.admission_refused++;
        return NULL;
    }
    if (before != NULL && before != peer) {
        /* One address answers for one id. */
        liveness_dead(core, before, true);
        peers_unplace(&core->peers, before);
    }
    peers_confirm(&core->peers, peer, addr);
    heard(core, peer);
    mesh_port_met(core, peer);
    seeking_met(core, peer);
    kad_heard(core->kad, &peer->id, addr, core->now);
    return peer;
}

void liveness_krpc(struct core *core, const struct kad_id *id,
                   const struct proa_addr *addr)
{
    const struct peer *there = peers_find_addr(&core->peers, addr);
    const struct peer *peer = peers_find(&core->peers, kad_id_node64(id));

    if (peer != NULL && peer->gone)
        return;
    if (there != NULL && there != peer && !there->dead &&
        core->now - last_heard(there) < LIVENESS_FRESH)
        return;
    liveness_met(core, id, addr);
}

bool liveness_alive(struct core *core, const struct kad_id *id,
                    const struct proa_addr *hint)
{
    struct peer *peer = peers_add(&core->peers, id);

    if (peer == NULL || peer->node == core->node)
        return peer != NULL;
    if (peer->dead && core->now - peer->dead_at < CORE_HEARD_FOR)
        return false;
    if (hint != NULL)
        peers_hint(peer, hint);
    heard(core, peer);
    return true;
}

static void dead(struct core *core, struct peer *peer, bool gone,
                 enum proa_event_kind kind, const char *why)
{
    struct punt_node record = {.node = peer->node, .outcome = PROA_NO_ROUTE};
    bool news = !peer->dead;

    peer->dead = true;
    peer->gone |= gone;
    peer->dead_at = core->now;
    if (peer->liveness != NULL)
        directory_node_dead(core->config.directory, peer->node);
    mesh_port_down(core, peer, gone);
    if (news)
        registrar_node(core, peer->node, false);
    if (gone) {
        handshake_cancel(core, peer->node);
        registrar_node_gone(core, peer->node);
    }
    if (!news)
        return;
    if (gone)
        core->stats.gone_nodes++;
    else
        core->stats.dead_nodes++;
    events_peer(core, kind, peer, why);
    for (unsigned lane = 0; lane < core->config.lanes; lane++)
        core_tell(core, lane, PUNT_NODE_DEAD, &record, sizeof(record), NULL, 0);
}

void liveness_dead(struct core *core, struct peer *peer, bool gone)
{
    dead(core, peer, gone, PROA_EVENT_NODE_DEAD,
         gone ? "restarted: another answers there" : "silent");
}

void liveness_silent(struct core *core, const struct kad_id *id)
{
    struct peer *peer = peers_find(&core->peers, kad_id_node64(id));

    /* A linked node's links know better. */
    if (peer != NULL && peer->links == 0 && peer->heard_at != 0 && !peer->dead)
        liveness_dead(core, peer, false);
}

/* ---- PING and CLOSE, outwards ---- */

static void send_on(struct core *core, struct peer_link *link, enum packet_kind kind,
                    uint32_t flags)
{
    uint8_t buf[KEYED_PING_LEN];
    struct packet_ping ping = {
        .src_node = core->node,
        .dst_node = link->peer->node,
        .nonce = secrets_next(&core->secrets),
        .link = link->id,
        .peer_link = link->peer_id,
        .flags = flags,
        .loop_gap_us = core->loop_gap_us[link_id_lane(link->id)],
    };
    size_t len = keyed_ping_put(&core->config.keys, buf, kind, &ping);

    link->pings[link->ping_at++ % PEERS_PINGS_MAX] = ping.nonce;
    core_send(core, link_id_lane(link->id), link->port, &link->addr, buf, len);
}

static struct peer_link *open_link(struct core *core, uint64_t id)
{
    struct peer_link *link = peers_link(&core->peers, id);

    return link != NULL && link->state == PEER_LINK_OPEN ? link : NULL;
}

void liveness_ping(struct core *core, const struct punt_link *wanted)
{
    struct peer_link *link = open_link(core, wanted->link_id);

    core->loop_gap_us[link_id_lane(wanted->link_id)] = wanted->loop_gap_us;
    if (link == NULL)
        return; /* it was reset; the lane's ENDED is on its way */
    core->stats.ping_tx++;
    send_on(core, link, PACKET_PING,
            (wanted->flags & LINK_PING_PROBE) ? PACKET_PING_PROBE : 0);
}

void liveness_close(struct core *core, struct peer_link *link, uint32_t flags)
{
    send_on(core, link, PACKET_CLOSE, flags);
}

void liveness_reset_link(struct core *core, const struct peer_link *link)
{
    struct punt_link reset = {
        .node = link->peer->node, .link_id = link->id, .peer_link_id = link->peer_id};

    core_tell(core, link_id_lane(link->id), PUNT_LINK_RESET, &reset, sizeof(reset), NULL,
              0);
}

/* ---- What comes in ---- */

/* The live link a packet is about: ours by dst_link, theirs by its own, from its node.  Links of
   a node that is gone only wait for their lanes to end them. */
static struct peer_link *link_of(struct core *core, const struct packet_ping *packet)
{
    struct peer_link *link = open_link(core, packet->peer_link);

    return link != NULL && !link->peer->gone && link->peer->node == packet->src_node &&
                   link->peer_id == packet->link
               ? link
               : NULL;
}

static void link_heard(struct core *core, struct peer_link *link, uint32_t flags,
                       uint32_t loop_gap_us)
{
    struct punt_link told = {.node = link->peer->node,
                             .link_id = link->id,
                             .peer_link_id = link->peer_id,
                             .flags = flags,
                             .loop_gap_us = loop_gap_us};

    heard(core, link->peer);
    mesh_port_met(core, link->peer);
    kad_heard(core->kad, &link->peer->id, &link->addr, core->now);
    core_tell(core, link_id_lane(link->id), PUNT_LINK_HEARD, &told, sizeof(told), NULL,
              0);
}

void liveness_on_ping(struct core *core, const struct core_datagram *dgram,
                      const struct packet_ping *ping)
{
    struct peer_link *any = peers_link(&core->peers, ping->peer_link);
    struct peer_link *link = link_of(core, ping);

    core->stats.ping_rx++;
    if (any != NULL && any->state == PEER_LINK_RESERVED && ping->dst_node == core->node)
        return; /* its OPEN is on the way: neither known nor unknown */
    if (link == NULL || ping->dst_node != core->node) {
        handshake_answer(core, dgram, PACKET_RST, ping->src_node, ping->nonce, ping->link,
                         0, 0);
        return;
    }
    bool busy = outlet_is_busy(&core->outlets[link_id_lane(link->id)], core->now);
    link_heard(core, link, 0, ping->loop_gap_us);
    handshake_answer(core, dgram, PACKET_PONG, ping->src_node, ping->nonce, link->peer_id,
                     link->id, busy ? PACKET_PING_BUSY : 0);
}

/* Takes the nonce out: an answer counts once. */
static bool answers_ping(struct peer_link *link, uint64_t echo)
{
    for (unsigned i = 0; i < PEERS_PINGS_MAX; i++) {
        if (link->pings[i] == echo && echo != 0) {
            link->pings[i] = 0;
            return true;
        }
    }
    return false;
}

void liveness_on_pong(struct core *core, const struct core_datagram *dgram,
                      const struct packet_ping *pong)
{
    struct peer_link *link = link_of(core, pong);

    (void)dgram;
    core->stats.pong_rx++;
    if (link == NULL ||
        !(answers_ping(link, pong->echo) || handshake_answers(core, link, pong->echo))) {
        core->stats.keyed_unexpected++;
        return;
    }
    handshake_up(core, link);
    link_heard(core, link, (pong->flags & PACKET_PING_BUSY) ? LINK_HEARD_BUSY : 0,
               pong->loop_gap_us);
}

void liveness_on_reset(struct core *core, const struct core_datagram *dgram,
                       const struct packet_ping *rst)
{
    struct peer_link *link = open_link(core, rst->peer_link);

    core->stats.rst_rx++;
    if (handshake_reset(core, dgram, rst))
        return;
    if (link == NULL || !answers_ping(link, rst->echo)) {
        core->stats.keyed_unexpected++;
        return;
    }
    if (link->leaving) {
        link->leaving = false; /* our CLOSE has arrived */
        return;
    }
    liveness_reset_link(core, link);
    if (rst->src_node != link->peer->node &&
        memcmp(&dgram->from, &link->addr, sizeof(link->addr)) == 0)
        liveness_dead(core, link->peer, true);
}

void liveness_on_close(struct core *core, const struct core_datagram *dgram,
                       const struct packet_ping *close)
{
    struct peer_link *link = link_of(core, close);

    core->stats.close_rx++;
    if (close->dst_node != core->node) {
        core->stats.keyed_unexpected++;
        return;
    }
    /* Known or no longer: it is unknown from here on. */
    handshake_answer(core, dgram, PACKET_RST, close->src_node, close->nonce, close->link,
                     0, 0);
    if (link == NULL)
        return;
    if (close->flags & PACKET_CLOSE_LEAVING)
        dead(core, link->peer, true, PROA_EVENT_NODE_LEFT, "said good-bye");
    else
        liveness_reset_link(core, link);
}

/* ---- The lane's reports ---- */

void liveness_up(struct core *core, const struct punt_link *report)
{
    struct peer_link *link = open_link(core, report->link_id);

    if (link == NULL)
        return;
    handshake_up(core, link);
    heard(core, link->peer);
    mesh_port_met(core, link->peer);
    events_link_up(core, link);
}

void liveness_ended(struct core *core, const struct punt_link *report)
{
    struct peer_link *link = open_link(core, report->link_id);
    struct peer *peer;

    if (link == NULL)
        return;
    peer = link->peer;
    /* The other side should not send into the void: it would learn of it by a RST, and say "in
       doubt" of what certainly was not read. */
    if (report->flags == LINK_END_IDLE || report->flags == LINK_END_STUCK)
        liveness_close(core, link, 0);
    handshake_ended(core, link);
    events_link_ended(core, link, report);
    peers_link_free(&core->peers, link);
    if (report->flags == LINK_END_SILENT && peer->links == 0 && !peer->dead &&
        core->now - last_heard(peer) >= SILENT_FOR)
        liveness_dead(core, peer, false);
}
