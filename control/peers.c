/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "peers.h"

#define BUCKETS (PEERS_MAX) /* chains of each index; a power of two */
#define EVICT_LOOK 64       /* peers looked at to find one to give up */

bool peers_init(struct peers *self, unsigned lanes, uint64_t salt)
{
    memset(self, 0, sizeof(*self));
    self->salt = salt;
    self->lanes = lanes;
    self->free = PEERS_NONE;
    self->all = calloc(PEERS_MAX, sizeof(*self->all));
    self->by_node = calloc(BUCKETS, sizeof(*self->by_node));
    self->by_addr = calloc(BUCKETS, sizeof(*self->by_addr));
    bool ok = self->all != NULL && self->by_node != NULL && self->by_addr != NULL;

    for (unsigned i = 0; i < lanes && ok; i++) {
        self->links[i] = calloc(PEERS_LINKS_MAX, sizeof(*self->links[i]));
        ok = self->links[i] != NULL;
    }
    if (!ok)
        peers_fini(self);
    return ok;
}

void peers_fini(struct peers *self)
{
    for (unsigned i = 0; i < self->lanes; i++) {
        free(self->links[i]);
        self->links[i] = NULL;
    }
    free(self->all);
    free(self->by_node);
    free(self->by_addr);
    self->all = NULL;
    self->by_node = self->by_addr = NULL;
}

/* ---- The two indexes.  A chain holds places + 1, so that zeroed memory is empty. ---- */

static uint32_t mix(uint64_t x)
{
    x ^= x >> 32;
    x *= 0x9e3779b97f4a7c15u; /* 2^64 over the golden ratio: spreads low bits upwards */
    return (uint32_t)(x >> 40) & (BUCKETS - 1);
}

static uint32_t node_bucket(const struct peers *self, uint64_t node)
{
    return mix(node ^ self->salt);
}

static uint32_t addr_bucket(const struct peers *self, const struct proa_addr *addr)
{
    uint64_t high, low;

    memcpy(&high, addr->ip, sizeof(high));
    memcpy(&low, addr->ip + 8, sizeof(low));
    return mix((high ^ self->salt) * 31 + low + ((uint64_t)addr->port << 17));
}

static void chain_drop(struct peers *self, uint32_t *head, uint32_t place, bool by_addr)
{
    uint32_t *at = head;

    while (*at != place + 1) {
        struct peer *peer = &self->all[*at - 1];
        at = by_addr ? &peer->next_addr : &peer->next_node;
    }
    *at = by_addr ? self->all[place].next_addr : self->all[place].next_node;
}

struct peer *peers_find(const struct peers *self, uint64_t node)
{
    uint32_t at = self->by_node[node_bucket(self, node)];

    while (at != 0 && self->all[at - 1].node != node)
        at = self->all[at - 1].next_node;
    return at == 0 ? NULL : &self->all[at - 1];
}

struct peer *peers_find_addr(const struct peers *self, const struct proa_addr *addr)
{
    uint32_t at = self->by_addr[addr_bucket(self, addr)];

    while (at != 0 && memcmp(&self->all[at - 1].addr, addr, sizeof(*addr)) != 0)
        at = self->all[at - 1].next_addr;
    return at == 0 ? NULL : &self->all[at - 1];
}

/* ---- Peers ---- */

static void forget(struct peers *self, struct peer *peer)
{
    uint32_t place = (uint32_t)(peer - self->all);

    peers_unplace(self, peer);
    chain_drop(self, &self->by_node[node_bucket(self, peer->node)], place, false);
    memset(peer, 0, sizeof(*peer));
    peer->next_node = self->free;
    self->free = place;
    self->used--;
}

/* Gives up the one heard least recently of the next EVICT_LOOK that nobody holds: a scan of all
   would let a stranger's records buy long loops. */
static bool evict(struct peers *self)
{
    struct peer *oldest = NULL;

    for (unsigned i = 0; i < PEERS_MAX && (i < EVICT_LOOK || oldest == NULL); i++) {
        struct peer *peer = &self->all[self->clock++ % PEERS_MAX];
        if (peer->node == 0 || peer->links != 0 || peer->held != 0)
            continue;
        if (oldest == NULL || peer->heard_at < oldest->heard_at)
            oldest = peer;
    }
    if (oldest == NULL)
        return false;
    if (self->evicted != NULL)
        self->evicted(self->evicted_ctx, oldest);
    forget(self, oldest);
    return true;
}

struct peer *peers_add(struct peers *self, const struct kad_id *id)
{
    uint64_t node = kad_id_node64(id);
    struct peer *peer = peers_find(self, node);

    if (peer != NULL)
        return peer;
    if (self->used == PEERS_MAX && !evict(self))
        return NULL;

    uint32_t place = self->free;
    if (place != PEERS_NONE)
        self->free = self->all[place].next_node;
    else
        place = self->high++;
    self->used++;
    peer = &self->all[place];

    uint32_t *head = &self->by_node[node_bucket(self, node)];
    *peer = (struct peer){.node = node, .id = *id, .next_node = *head};
    *head = place + 1;
    return peer;
}

void peers_hint(struct peer *peer, const struct proa_addr *addr)
{
    if (!peer->confirmed)
        peer->addr = *addr;
}

void peers_unplace(struct peers *self, struct peer *peer)
{
    if (peer->confirmed)
        chain_drop(self, &self->by_addr[addr_bucket(self, &peer->addr)],
                   (uint32_t)(peer - self->all), true);
    peer->confirmed = false;
    peer->addr = (struct proa_addr){.family = 0};
}

void peers_confirm(struct peers *self, struct peer *peer, const struct proa_addr *addr)
{
    if (peer->confirmed && memcmp(&peer->addr, addr, sizeof(*addr)) == 0)
        return;
    PROA_ASSERT(peers_find_addr(self, addr) == NULL);
    peers_unplace(self, peer);

    uint32_t *head = &self->by_addr[addr_bucket(self, addr)];
    peer->addr = *addr;
    peer->confirmed = true;
    peer->next_addr = *head;
    *head = (uint32_t)(peer - self->all) + 1;
}

/* ---- Links ---- */

struct peer_link *peers_link_reserve(struct peers *self, unsigned lane, uint64_t secret)
{
    struct peer_link *link = self->links_free[lane];

    if (link != NULL)
        self->links_free[lane] = link->next;
    else if (self->links_high[lane] < PEERS_LINKS_MAX)
        link = &self->links[lane][self->links_high[lane]++];
    else
        return NULL;

    uint32_t slot = (uint32_t)(link - self->links[lane]);
    uint64_t id = link_id_make(lane, slot, secret);
    if (id == link_id_make(lane, slot, 0)) /* the one secret that may not be */
        id = link_id_make(lane, slot, 1);
    *link =
        (struct peer_link){.id = id, .state = PEER_LINK_RESERVED, .port = PEERS_PORT_ANY};
    return link;
}

struct peer_link *peers_link(const struct peers *self, uint64_t id)
{
    uint32_t lane = link_id_lane(id), slot = link_id_slot(id);

    if (lane >= self->lanes || slot >= PEERS_LINKS_MAX)
        return NULL;
    struct peer_link *link = &self->links[lane][slot];
    return link->state != PEER_LINK_FREE && link->id == id ? link : NULL;
}

void peers_link_open(struct peer_link *link, struct peer *peer, uint64_t peer_link_id,
                     const struct proa_addr *addr, uint8_t port, bool sending)
{
    PROA_ASSERT(link->state == PEER_LINK_RESERVED);
    link->state = PEER_LINK_OPEN;
    link->peer = peer;
    link->peer_id = peer_link_id;
    link->addr = *addr;
    link->port = port;
    link->sending = sending;
    link->handshake = PEERS_NONE;
    link->next = peer->first_link;
    peer->first_link = link;
    peer->links++;
}

void peers_link_free(struct peers *self, struct peer_link *link)
{
    uint32_t lane = link_id_lane(link->id);

    if (link->state == PEER_LINK_OPEN) {
        struct peer_link **at = &link->peer->first_link;
        while (*at != link)
            at = &(*at)->next;
        *at = link->next;
        link->peer->links--;
    }
    memset(link, 0, sizeof(*link));
    link->next = self->links_free[lane];
    self->links_free[lane] = link;
}

struct peer_link *peers_lane_link(const struct peer *peer, unsigned lane, bool sending)
{
    for (struct peer_link *link = peer->first_link; link != NULL; link = link->next) {
        if (link_id_lane(link->id) == lane && (link->sending || !sending))
            return link;
    }
    return NULL;
}
