/* SPDX-License-Identifier: Apache-2.0 */
#include "kad_peers.h"

#include <string.h>

void kad_peers_init(struct kad_peers *self)
{
    self->high = 0;
    self->count = 0;
    self->free = KAD_NONE;
    memset(self->by_address.heads, 0,
           (self->by_address.mask + 1) * sizeof(self->by_address.heads[0]));
}

static bool same_ip(const struct proa_addr *a, const struct proa_addr *b)
{
    return memcmp(a->ip, b->ip, sizeof(a->ip)) == 0;
}

/* The next element from `at` on in its chain that is of this infohash. */
static uint32_t of_infohash(const struct kad_peers *self, uint32_t at,
                            const struct kad_id *infohash)
{
    while (at != KAD_NONE && !kad_id_equal(&self->peers[at].infohash, infohash))
        at = self->peers[at].next;
    return at;
}

static uint32_t first(const struct kad_peers *self, const struct kad_id *infohash)
{
    return of_infohash(self, *kad_index_head(&self->by_infohash, infohash), infohash);
}

static uint32_t after(const struct kad_peers *self, uint32_t at,
                      const struct kad_id *infohash)
{
    return of_infohash(self, self->peers[at].next, infohash);
}

/* How many are kept at this IP address. */
static uint32_t *at_address(const struct kad_peers *self, const struct proa_addr *addr)
{
    struct kad_id ip = {{0}};

    memcpy(ip.b, addr->ip, sizeof(addr->ip));
    return kad_index_head(&self->by_address, &ip);
}

uint32_t kad_peers_add(struct kad_peers *self, const struct kad_id *infohash,
                       const struct proa_addr *addr)
{
    uint32_t all = 0, here = 0, number = self->free;

    for (uint32_t at = first(self, infohash); at != KAD_NONE;
         at = after(self, at, infohash)) {
        const struct proa_addr *other = &self->peers[at].addr;

        if (same_ip(other, addr) && other->port == addr->port)
            return at;
        all++;
        here += same_ip(other, addr);
    }
    if (all >= KAD_PEERS_TARGET || here >= KAD_PEERS_TARGET_ADDRESS ||
        self->count == self->cap || *at_address(self, addr) >= self->per_address)
        return KAD_NONE;
    if (number != KAD_NONE)
        self->free = self->peers[number].next;
    else
        number = self->high++;
    struct kad_peer *peer = &self->peers[number];
    uint32_t *head = kad_index_head(&self->by_infohash, infohash);
    peer->infohash = *infohash;
    peer->addr = *addr;
    peer->used = true;
    peer->next = *head;
    *head = number;
    self->count++;
    ++*at_address(self, addr);
    return number;
}

void kad_peers_remove(struct kad_peers *self, uint32_t number)
{
    struct kad_peer *peer = &self->peers[number];
    uint32_t *at = kad_index_head(&self->by_infohash, &peer->infohash);

    PROA_ASSERT(peer->used);
    --*at_address(self, &peer->addr);
    while (*at != number)
        at = &self->peers[*at].next;
    *at = peer->next;
    peer->used = false;
    peer->next = self->free;
    self->free = number;
    self->count--;
}

uint32_t kad_peers_count(const struct kad_peers *self, const struct kad_id *infohash)
{
    uint32_t count = 0;

    for (uint32_t at = first(self, infohash); at != KAD_NONE;
         at = after(self, at, infohash))
        count++;
    return count;
}

uint32_t kad_peers_list(const struct kad_peers *self, const struct kad_id *infohash,
                        uint32_t skip, struct proa_addr *ret, uint32_t max)
{
    uint32_t count = kad_peers_count(self, infohash), written = 0;
    uint32_t at = first(self, infohash);

    for (uint32_t i = 0; count > 0 && i < skip % count; i++)
        at = after(self, at, infohash);
    while (written < count && written < max) {
        ret[written++] = self->peers[at].addr;
        at = after(self, at, infohash);
        if (at == KAD_NONE)
            at = first(self, infohash);
    }
    return written;
}
