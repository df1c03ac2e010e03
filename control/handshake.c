/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "core_internal.h"
#include "liveness.h"

bool handshake_init(struct handshake *self, proa_ns now)
{
    memset(self, 0, sizeof(*self));
    self->next_at = PROA_NS_NEVER;
    self->credit = HANDSHAKE_SYN_BURST * (PROA_S / HANDSHAKE_SYN_RATE);
    self->credit_at = now;
    self->attempts = calloc(HANDSHAKE_ATTEMPTS_MAX, sizeof(*self->attempts));
    return self->attempts != NULL;
}

void handshake_fini(struct handshake *self)
{
    free(self->attempts);
    self->attempts = NULL;
}

uint16_t handshake_payload(const struct core *core, uint8_t port,
                           const struct proa_addr *addr)
{
    const struct port *p = port < core->config.port_count ? core->config.ports[port]
                                                          : core_port_of(core, addr);

    if (p == NULL || p->payload_max < PACKET_MTU_MIN)
        return PACKET_MTU_MIN;
    /* Links work in steps of 8 bytes. */
    return (
        uint16_t)((p->payload_max < PACKET_LEN_MAX ? p->payload_max : PACKET_LEN_MAX) &
                  ~7u);
}

void handshake_answer(struct core *core, const struct core_datagram *dgram,
                      enum packet_kind kind, uint64_t to_node, uint64_t echo,
                      uint64_t peer_link, uint64_t link, uint32_t flags)
{
    uint8_t buf[KEYED_PING_LEN];
    struct packet_ping answer = {
        .src_node = core->node,
        .dst_node = to_node,
        .nonce = secrets_next(&core->secrets),
        .echo = echo,
        .link = link,
        .peer_link = peer_link,
        .flags = flags,
        .loop_gap_us = core->loop_gap_us[dgram->lane],
    };
    size_t len = keyed_ping_put(&core->config.keys, buf, kind, &answer);

    if (kind == PACKET_RST)
        core->stats.rst_tx++;
    core_send(core, dgram->lane, dgram->port, &dgram->from, buf, len);
}

/* ---- Attempts ---- */

static struct attempt *attempt_new(struct handshake *self)
{
    for (uint32_t i = 0; i < HANDSHAKE_ATTEMPTS_MAX; i++) {
        struct attempt *attempt = &self->attempts[i];
        if (attempt->state != ATTEMPT_FREE)
            continue;
        if (i >= self->attempts_high)
            self->attempts_high = i + 1;
        self->attempt_count++;
        return attempt;
    }
    return NULL;
}

static struct attempt *attempt_of(struct handshake *self, unsigned lane, uint64_t node)
{
    for (uint32_t i = 0; i < self->attempts_high; i++) {
        struct attempt *attempt = &self->attempts[i];
        if (attempt->state != ATTEMPT_FREE && attempt->lane == lane &&
            attempt->node == node)
            return attempt;
    }
    return NULL;
}

/* Ends an attempt; a link that its lane was never told of is given back. */
static void attempt_free(struct core *core, struct attempt *attempt)
{
    if (attempt->peer != NULL)
        attempt->peer->held--;
    if (attempt->link != NULL) {
        if (attempt->link->state == PEER_LINK_RESERVED)
            peers_link_free(&core->peers, attempt->link);
        else
            attempt->link->handshake = PEERS_NONE;
    }
    memset(attempt, 0, sizeof(*attempt));
    core->handshake.attempt_count--;
    while (core->handshake.attempts_high > 0 &&
           core->handshake.attempts[core->handshake.attempts_high - 1].state ==
               ATTEMPT_FREE)
        core->handshake.attempts_high--;
}

static void node_failed(struct core *core, unsigned lane, uint64_t node)
{
    struct punt_node failed = {.node = node, .outcome = PROA_NO_ROUTE};

    core->stats.failed++;
    core_tell(core, lane, PUNT_NODE_FAILED, &failed, sizeof(failed), NULL, 0);
}

static void attempt_fail(struct core *core, struct attempt *attempt)
{
    node_failed(core, attempt->lane, attempt->node);
    attempt_free(core, attempt);
}

static void send_syn(struct core *core, struct attempt *attempt)
{
    uint8_t buf[PACKET_LEN_MAX];
    uint16_t mtu = handshake_payload(core, attempt->port, &attempt->addr);

    if (attempt->tries >= HANDSHAKE_SMALL_FROM)
        mtu = PACKET_MTU_MIN;
    if (mtu > attempt->mtu)
        attempt->mtu = mtu;
    struct packet_open syn = {
        .src_node = core->node,
        .dst_node = attempt->node,
        .nonce = attempt->nonce,
        .link = attempt->link->id,
        .start = attempt->start,
        .mtu = mtu,
        .lane = 255,
        .lanes = (uint8_t)core->config.lanes,
    };
    keyed_open_put(&core->config.identity, &core->config.keys, buf, mtu, PACKET_SYN,
                   &syn);
    core->stats.syn_tx++;
    core_send(core, attempt->lane, attempt->port, &attempt->addr, buf, mtu);
    attempt->tries++;
    attempt->next_at = core->now + attempt->wait;
    attempt->wait *= 2;
    handshake_want(&core->handshake, attempt->next_at);
}

/* The address is known: the SYNs begin. */
static void attempt_begin(struct core *core, struct attempt *attempt, struct peer *peer)
{
    const struct port *port = core_port_of(core, &peer->addr);

    if (port == NULL && core->config.port_count > 0) {
        core->stats.unroutable++;
        attempt_fail(core, attempt);
        return;
    }
    attempt->link =
        peers_link_reserve(&core->peers, attempt->lane, secrets_next(&core->secrets));
    if (attempt->link == NULL) {
        core->stats.admission_refused++;
        attempt_fail(core, attempt);
        return;
    }
    peer->held++;
    attempt->peer = peer;
    attempt->link->handshake = (uint32_t)(attempt - core->handshake.attempts);
    attempt->state = ATTEMPT_SYN;
    attempt->addr = peer->addr;
    attempt->port = port != NULL ? port->index : PEERS_PORT_ANY;
    attempt->nonce = secrets_next(&core->secrets);
    attempt->start = (uint32_t)secrets_next(&core->secrets);
    attempt->wait = HANDSHAKE_SYN_FIRST;
    send_syn(core, attempt);
}

/* Asks Kademlia, or joins a search for the same node that another lane began. */
static void resolve_search(struct core *core, struct attempt *attempt)
{
    struct handshake *self = &core->handshake;

    for (uint32_t i = 0; i < self->attempts_high && attempt->op == 0; i++) {
        if (self->attempts[i].state == ATTEMPT_RESOLVE &&
            self->attempts[i].node == attempt->node)
            attempt->op = self->attempts[i].op;
    }
    if (attempt->op == 0)
        attempt->op = kad_find_node(core->kad, attempt->node, attempt->end_at, core->now);
    attempt->next_at =
        attempt->op != 0 ? attempt->end_at + PROA_S : core->now + HANDSHAKE_RESOLVE_AGAIN;
    handshake_want(self, attempt->next_at);
}

static void attempt_resolve(struct core *core, struct attempt *attempt)
{
    attempt->state = ATTEMPT_RESOLVE;
    attempt->end_at = core->now + HANDSHAKE_RESOLVE_FOR;
    resolve_search(core, attempt);
}

/* Not found: a node that has just joined may be known in a moment. */
static void resolve_again(struct core *core, struct attempt *attempt)
{
    attempt->op = 0;
    if (core->now + HANDSHAKE_RESOLVE_AGAIN >= attempt->end_at) {
        attempt_fail(core, attempt);
        return;
    }
    attempt->next_at = core->now + HANDSHAKE_RESOLVE_AGAIN;
    handshake_want(&core->handshake, attempt->next_at);
}

static void resolve_tick(struct core *core, struct attempt *attempt)
{
    struct peer *peer = peers_find(&core->peers, attempt->node);

    if (peer != NULL && peer->addr.family != 0)
        attempt_begin(core, attempt, peer);
    else if (attempt->op == 0 && core->now < attempt->end_at)
        resolve_search(core, attempt);
    else
        attempt_fail(core, attempt);
}

void handshake_need(struct core *core, unsigned lane, uint64_t node)
{
    struct handshake *self = &core->handshake;
    struct peer *peer = peers_find(&core->peers, node);

    if (peer != NULL && peers_lane_link(peer, lane, true) != NULL)
        return; /* its LINK_OPEN is on the way down */
    if (attempt_of(self, lane, node) != NULL)
        return;
    if (node == 0 || node == core->node || core->leaving ||
        (peer != NULL && peer->gone)) {
        node_failed(core, lane, node);
        return;
    }
    struct attempt *attempt = attempt_new(self);
    if (attempt == NULL) {
        core->stats.admission_refused++;
        node_failed(core, lane, node);
        return;
    }
    *attempt = (struct attempt){.lane = lane, .node = node};
    if (peer != NULL && peer->addr.family != 0)
        attempt_begin(core, attempt, peer);
    else
        attempt_resolve(core, attempt);
}

void handshake_resolved(struct core *core, uint32_t op, bool ok, const struct kad_id *id,
                        const struct proa_addr *addr)
{
    struct handshake *self = &core->handshake;
    struct peer *peer = ok ? peers_add(&core->peers, id) : NULL;

    if (peer != NULL)
        peers_hint(peer, addr);
    for (uint32_t i = 0; i < self->attempts_high; i++) {
        struct attempt *attempt = &self->attempts[i];
        if (attempt->state != ATTEMPT_RESOLVE || attempt->op != op)
            continue;
        if (peer == NULL || peer->node != attempt->node || peer->addr.family == 0)
            resolve_again(core, attempt);
        else
            attempt_begin(core, attempt, peer);
    }
}

void handshake_cancel(struct core *core, uint64_t node)
{
    struct handshake *self = &core->handshake;

    for (uint32_t i = self->attempts_high; i-- > 0;) {
        struct attempt *attempt = &self->attempts[i];
        if (i >= self->attempts_high || attempt->state == ATTEMPT_FREE ||
            attempt->node != node)
            continue;
        if (attempt->state == ATTEMPT_OPEN)
            attempt_free(core, attempt); /* the lane has it: what ends links ends it */
        else
            attempt_fail(core, attempt);
    }
}

bool handshake_crosses(struct handshake *self, unsigned lane, uint64_t node)
{
    const struct attempt *attempt = attempt_of(self, lane, node);

    return attempt != NULL && attempt->state == ATTEMPT_SYN && attempt->tries == 1;
}

void handshake_moot(struct core *core, unsigned lane, uint64_t node)
{
    struct attempt *attempt = attempt_of(&core->handshake, lane, node);

    if (attempt != NULL && attempt->state != ATTEMPT_OPEN)
        attempt_free(core, attempt);
}

/* ---- What comes back ---- */

static struct attempt *attempt_of_link(struct core *core, const struct peer_link *link)
{
    struct attempt *attempt;

    if (link == NULL || link->handshake >= HANDSHAKE_ATTEMPTS_MAX)
        return NULL;
    attempt = &core->handshake.attempts[link->handshake];
    /* A half-open entry's index may fall on somebody else's attempt. */
    return attempt->state != ATTEMPT_FREE && attempt->link == link ? attempt : NULL;
}

/* Is this SYNACK the answer to our SYN, as far as its fields tell? */
static bool synack_fits(const struct attempt *attempt, const struct packet_open *open,
                        size_t len)
{
    return attempt->state == ATTEMPT_SYN && open->echo == attempt->nonce &&
           open->src_node == attempt->node && open->peer_start == attempt->start &&
           open->mtu <= attempt->mtu && open->mtu == len;
}

static bool lane_told(struct core *core, const struct attempt *attempt,
                      const struct core_datagram *dgram, const struct packet_open *open)
{
    struct punt_link_open told = {
        .node = attempt->node,
        .link_id = attempt->link->id,
        .peer_link_id = open->link,
        .peer = dgram->from,
        .seq_tx = attempt->start,
        .seq_rx = open->start,
        .mtu = open->mtu,
        .port = dgram->port != PEERS_PORT_ANY ? dgram->port : attempt->port,
        .initiator = 1,
        .sending = 1,
    };
    return core_tell(core, attempt->lane, PUNT_LINK_OPEN, &told, sizeof(told), NULL, 0);
}

static void send_open(struct core *core, struct attempt *attempt)
{
    core_send(core, attempt->lane, attempt->link->port, &attempt->link->addr,
              attempt->open, sizeof(attempt->open));
    attempt->next_at = core->now + attempt->wait;
    attempt->wait *= 2;
    handshake_want(&core->handshake, attempt->next_at);
}

void handshake_synack(struct core *core, const struct core_datagram *dgram,
                      const struct packet_open *open)
{
    struct peer_link *link = peers_link(&core->peers, open->peer_link);
    struct attempt *attempt = attempt_of_link(core, link);
    struct kad_id id;

    core->stats.synack_rx++;
    if (attempt == NULL || !synack_fits(attempt, open, dgram->len) ||
        !keyed_open_holds(dgram->bytes, open, &id)) {
        core->stats.keyed_unexpected++;
        return;
    }
    if (!lane_told(core, attempt, dgram, open))
        return; /* the next SYN brings another SYNACK */

    uint8_t port = dgram->port != PEERS_PORT_ANY ? dgram->port : attempt->port;
    peers_link_open(link, attempt->peer, open->link, &dgram->from, port, true);
    link->handshake = (uint32_t)(attempt - core->handshake.attempts);
    core->stats.opened++;
    attempt->state = ATTEMPT_OPEN;
    attempt->nonce = secrets_next(&core->secrets);
    attempt->wait = HANDSHAKE_OPEN_FIRST;
    attempt->end_at = core->now + HANDSHAKE_OPEN_FOR;
    struct packet_open answer = {
        .src_node = core->node,
        .dst_node = attempt->node,
        .nonce = attempt->nonce,
        .echo = open->nonce,
        .link = link->id,
        .peer_link = open->link,
        .start = attempt->start,
        .peer_start = open->start,
        .mtu = open->mtu,
        .lane = open->lane,
        .lanes = (uint8_t)core->config.lanes,
    };
    keyed_open_put(&core->config.identity, &core->config.keys, attempt->open,
                   sizeof(attempt->open), PACKET_OPEN, &answer);
    send_open(core, attempt);
    liveness_met(core, &id, &dgram->from);
}

bool handshake_reset(struct core *core, const struct core_datagram *dgram,
                     const struct packet_ping *rst)
{
    struct peer_link *link = peers_link(&core->peers, rst->peer_link);
    struct attempt *attempt = attempt_of_link(core, link);

    if (attempt == NULL || attempt->state == ATTEMPT_RESOLVE ||
        rst->echo != attempt->nonce)
        return false;

    struct peer *peer = attempt->peer;
    /* An answer with another id, from where the node is said to be: that life is over.  A mere
       hint proves nothing against a node that is linked. */
    bool over = rst->src_node != attempt->node && (peer->confirmed || peer->links == 0) &&
                memcmp(&dgram->from, &attempt->addr, sizeof(attempt->addr)) == 0;
    if (attempt->state == ATTEMPT_OPEN) {
        liveness_reset_link(core, link);
        attempt_free(core, attempt);
    } else {
        attempt_fail(core, attempt);
    }
    if (over)
        liveness_dead(core, peer, true);
    return true;
}

bool handshake_answers(struct core *core, const struct peer_link *link, uint64_t echo)
{
    const struct attempt *attempt = attempt_of_link(core, link);

    return attempt != NULL && attempt->state == ATTEMPT_OPEN && attempt->nonce == echo;
}

void handshake_up(struct core *core, struct peer_link *link)
{
    struct attempt *attempt = attempt_of_link(core, link);

    if (attempt != NULL && attempt->state == ATTEMPT_OPEN)
        attempt_free(core, attempt);
}

void handshake_ended(struct core *core, struct peer_link *link)
{
    handshake_up(core, link);
}

/* ---- Time ---- */

static void attempt_tick(struct core *core, struct attempt *attempt)
{
    if (attempt->state == ATTEMPT_OPEN) {
        if (core->now >= attempt->end_at)
            attempt_free(core, attempt); /* the lane will find the link silent */
        else
            send_open(core, attempt);
        return;
    }
    if (attempt->state == ATTEMPT_RESOLVE) {
        resolve_tick(core, attempt);
        return;
    }
    if (attempt->tries == HANDSHAKE_SYN_TRIES) {
        /* Next time its address is looked for anew. */
        if (attempt->peer != NULL && attempt->peer->links == 0)
            peers_unplace(&core->peers, attempt->peer);
        attempt_fail(core, attempt);
        return;
    }
    send_syn(core, attempt);
}

void handshake_tick(struct core *core)
{
    struct handshake *self = &core->handshake;

    if (core->now < self->next_at)
        return;
    self->next_at = PROA_NS_NEVER;
    for (uint32_t i = 0; i < self->attempts_high; i++) {
        struct attempt *attempt = &self->attempts[i];
        if (attempt->state == ATTEMPT_FREE)
            continue;
        if (core->now >= attempt->next_at)
            attempt_tick(core, attempt);
        if (attempt->state != ATTEMPT_FREE)
            handshake_want(self, attempt->next_at);
    }
    handshake_tick_halves(core);
}

proa_ns handshake_deadline(const struct handshake *self)
{
    return self->next_at;
}
