/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "core_internal.h"
#include "liveness.h"

#define SYN_COST (PROA_S / HANDSHAKE_SYN_RATE)

/* ---- The half-open table ---- */

static void half_free(struct core *core, struct half_open *half)
{
    if (half->link->state == PEER_LINK_RESERVED)
        peers_link_free(&core->peers, half->link);
    memset(half, 0, sizeof(*half));
    core->handshake.half_count--;
}

static struct half_open *half_of_syn(struct handshake *self,
                                     const struct packet_open *syn)
{
    for (uint32_t i = 0; i < HANDSHAKE_HALF_MAX; i++) {
        struct half_open *half = &self->halves[i];
        if (half->used && half->node == syn->src_node &&
            half->their_nonce == syn->nonce && half->peer_link == syn->link)
            return half;
    }
    return NULL;
}

static struct half_open *half_of_link(struct handshake *self,
                                      const struct peer_link *link)
{
    struct half_open *half;

    if (link == NULL || link->handshake >= HANDSHAKE_HALF_MAX)
        return NULL;
    half = &self->halves[link->handshake];
    return half->used && half->link == link ? half : NULL;
}

/* Takes a SYN from the bucket.  A repeated one costs as much: its answer is signed again. */
static bool syn_admit(struct core *core)
{
    struct handshake *self = &core->handshake;

    self->credit += core->now - self->credit_at;
    self->credit_at = core->now;
    if (self->credit > HANDSHAKE_SYN_BURST * SYN_COST)
        self->credit = HANDSHAKE_SYN_BURST * SYN_COST;
    if (self->credit < SYN_COST)
        return false;
    self->credit -= SYN_COST;
    return true;
}

/* Room for one more, from this IP address. */
static struct half_open *half_room(struct handshake *self, const struct proa_addr *from)
{
    struct half_open *room = NULL;
    uint32_t same = 0;

    for (uint32_t i = 0; i < HANDSHAKE_HALF_MAX; i++) {
        struct half_open *half = &self->halves[i];
        if (!half->used)
            room = half;
        else if (memcmp(half->addr.ip, from->ip, sizeof(from->ip)) == 0)
            same++;
    }
    return same < HANDSHAKE_HALF_ADDR_MAX ? room : NULL;
}

/* Where packets arrive as their lanes sent them, as over vhost or between equal queues of
   AF_XDP, the SYN's lane is the right one.  Where the port spreads, the peer's lanes are spread over ours,
   and the link has its packets brought to it. */
static unsigned lane_for(const struct core *core, const struct core_datagram *dgram,
                         const struct packet_open *syn)
{
    const struct port *port = core->config.ports[dgram->port];

    return port->spreads ? link_id_lane(syn->link) % core->config.lanes : dgram->lane;
}

static struct half_open *half_new(struct core *core, const struct core_datagram *dgram,
                                  const struct packet_open *syn)
{
    struct half_open *half = half_room(&core->handshake, &dgram->from);
    struct peer_link *link;

    if (half == NULL)
        return NULL;
    link = peers_link_reserve(&core->peers, lane_for(core, dgram, syn),
                              secrets_next(&core->secrets));
    if (link == NULL)
        return NULL;
    link->handshake = (uint32_t)(half - core->handshake.halves);
    *half = (struct half_open){
        .used = true,
        .port = dgram->port,
        .node = syn->src_node,
        .peer_link = syn->link,
        .their_nonce = syn->nonce,
        .our_nonce = secrets_next(&core->secrets),
        .start = (uint32_t)secrets_next(&core->secrets),
        .peer_start = syn->start,
        .link = link,
        .addr = dgram->from,
        .end_at = core->now + HANDSHAKE_HALF_FOR,
    };
    memcpy(half->public_key, syn->public_key, sizeof(half->public_key));
    core->handshake.half_count++;
    handshake_want(&core->handshake, half->end_at);
    return half;
}

/* ---- SYN ---- */

static void send_synack(struct core *core, const struct core_datagram *dgram,
                        struct half_open *half, uint16_t offered)
{
    uint8_t buf[PACKET_LEN_MAX];
    uint16_t mtu = handshake_payload(core, dgram->port, &dgram->from);

    if (offered < mtu)
        mtu = offered;
    if (mtu > half->mtu)
        half->mtu = mtu;
    struct packet_open synack = {
        .src_node = core->node,
        .dst_node = half->node,
        .nonce = half->our_nonce,
        .echo = half->their_nonce,
        .link = half->link->id,
        .peer_link = half->peer_link,
        .start = half->start,
        .peer_start = half->peer_start,
        .mtu = mtu,
        .lane = (uint8_t)link_id_lane(half->link->id),
        .lanes = (uint8_t)core->config.lanes,
    };
    keyed_open_put(&core->config.identity, &core->config.keys, buf, mtu, PACKET_SYNACK,
                   &synack);
    core_send(core, dgram->lane, dgram->port, &dgram->from, buf, mtu);
}

/* Two nodes that call each other at once would get two links, each carrying one direction and bare acks of the
   other.  So of two first SYNs that cross, of lanes that would share the link, the greater node's is the one that is
   answered.  One that comes after our second is answered whatever was sent: packets may get through one way only. */
static bool yields(struct core *core, const struct core_datagram *dgram,
                   const struct packet_open *syn)
{
    unsigned lane = lane_for(core, dgram, syn);

    return core->node > syn->src_node && syn->lanes == core->config.lanes &&
           lane == link_id_lane(syn->link) &&
           handshake_crosses(&core->handshake, lane, syn->src_node);
}

void handshake_syn(struct core *core, const struct core_datagram *dgram,
                   const struct packet_open *syn)
{
    core->stats.syn_rx++;
    /* A SYN is as long as what it offers: that proves the path this way, and the answer, never
       longer, amplifies nothing. */
    if (syn->mtu != dgram->len || syn->mtu % 8 != 0) {
        core->stats.keyed_malformed++;
        return;
    }
    if (core->leaving)
        return;
    if (syn->dst_node != core->node) {
        /* For an earlier life at this address: its callers should not wait for it. */
        handshake_answer(core, dgram, PACKET_RST, syn->src_node, syn->nonce, syn->link, 0,
                         0);
        return;
    }
    if (yields(core, dgram, syn)) {
        core->stats.syn_crossed++;
        return;
    }
    if (!syn_admit(core)) {
        core->stats.admission_refused++;
        return;
    }
    struct half_open *half = half_of_syn(&core->handshake, syn);
    if (half == NULL)
        half = half_new(core, dgram, syn);
    if (half == NULL) {
        core->stats.admission_refused++;
        return;
    }
    send_synack(core, dgram, half, syn->mtu);
}

/* ---- OPEN ---- */

static bool open_fits(const struct half_open *half, const struct core_datagram *dgram,
                      const struct packet_open *open)
{
    return open->src_node == half->node && open->echo == half->our_nonce &&
           open->link == half->peer_link && open->start == half->peer_start &&
           open->peer_start == half->start && open->mtu <= half->mtu &&
           open->mtu % 8 == 0 &&
           memcmp(open->public_key, half->public_key, sizeof(half->public_key)) == 0 &&
           memcmp(&dgram->from, &half->addr, sizeof(half->addr)) == 0;
}

static bool lane_told(struct core *core, const struct half_open *half,
                      const struct packet_open *open, bool sending)
{
    struct punt_link_open told = {
        .node = half->node,
        .link_id = half->link->id,
        .peer_link_id = half->peer_link,
        .peer = half->addr,
        .seq_tx = half->start,
        .seq_rx = half->peer_start,
        .mtu = open->mtu,
        .port = half->port,
        .initiator = 0,
        .sending = sending,
    };
    return core_tell(core, link_id_lane(half->link->id), PUNT_LINK_OPEN, &told,
                     sizeof(told), NULL, 0);
}

/* A lane of the peer that opens a link has none to send on: an older one that it opened is dead
   over there.  It is ended here before its successor begins, so that nothing of it is delivered
   any more; meanwhile OPEN is repeated.  False: wait. */
static bool older_ended(struct core *core, const struct peer *peer,
                        const struct packet_open *open)
{
    bool ended = true;

    for (const struct peer_link *l = peer->first_link; l != NULL; l = l->next) {
        if (!l->theirs || link_id_lane(l->peer_id) != link_id_lane(open->link))
            continue;
        liveness_reset_link(core, l);
        ended = false;
    }
    return ended;
}

/* The first OPEN that is right: from here on there is a link. */
static bool half_opened(struct core *core, const struct core_datagram *dgram,
                        struct half_open *half, const struct packet_open *open)
{
    struct peer_link *link = half->link;
    struct kad_id id;

    if (!open_fits(half, dgram, open) || !keyed_open_holds(dgram->bytes, open, &id)) {
        core->stats.keyed_unexpected++;
        return false;
    }
    struct peer *peer = peers_add(&core->peers, &id);
    if (peer == NULL) {
        core->stats.admission_refused++;
        return false;
    }
    if (!older_ended(core, peer, open))
        return false;
    bool sending = peers_lane_link(peer, link_id_lane(link->id), false) == NULL;
    if (!lane_told(core, half, open, sending))
        return false; /* OPEN comes again */
    peers_link_open(link, peer, half->peer_link, &half->addr, half->port, sending);
    link->theirs = true;
    half_free(core, half);
    if (sending)
        handshake_moot(core, link_id_lane(link->id), peer->node);
    core->stats.opened++;
    liveness_met(core, &id, &dgram->from);
    return true;
}

void handshake_open(struct core *core, const struct core_datagram *dgram,
                    const struct packet_open *open)
{
    struct peer_link *link = peers_link(&core->peers, open->peer_link);
    struct half_open *half = half_of_link(&core->handshake, link);

    core->stats.open_rx++;
    if (half != NULL) {
        if (!half_opened(core, dgram, half, open))
            return;
    } else if (link == NULL || link->state != PEER_LINK_OPEN ||
               link->peer_id != open->link || link->peer->node != open->src_node) {
        handshake_answer(core, dgram, PACKET_RST, open->src_node, open->nonce, open->link,
                         0, 0);
        return;
    }
    /* The answer lets the other side stop repeating, also when its lane has nothing to hear
       yet. */
    handshake_answer(core, dgram, PACKET_PONG, open->src_node, open->nonce, open->link,
                     open->peer_link, 0);
}

void handshake_tick_halves(struct core *core)
{
    struct handshake *self = &core->handshake;

    for (uint32_t i = 0; i < HANDSHAKE_HALF_MAX && self->half_count > 0; i++) {
        struct half_open *half = &self->halves[i];
        if (!half->used)
            continue;
        if (core->now >= half->end_at)
            half_free(core, half);
        else
            handshake_want(self, half->end_at);
    }
}
