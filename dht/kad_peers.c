/* SPDX-License-Identifier: Apache-2.0 */
#include "kad_peers.h"

#include <string.h>

#define FEW 4 /* endpoints of an infohash at one address, which nobody minds */

void kad_peers_init(struct kad_peers *self)
{
    self->high = 0;
    self->count = 0;
    self->clock = 0;
    self->hand = 0;
    self->replaced = 0;
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

/* The place of this IP address in by_address, which counts those kept there. */
static uint32_t place_of(const struct kad_peers *self, const struct proa_addr *addr)
{
    struct kad_id ip = {{0}};

    memcpy(ip.b, addr->ip, sizeof(addr->ip));
    return (uint32_t)(kad_index_head(&self->by_address, &ip) - self->by_address.heads);
}

static bool is_older(const struct kad_peers *self, uint32_t a, uint32_t b)
{
    return (int32_t)(self->peers[a].said - self->peers[b].said) < 0;
}

/* What one pass over an infohash's chain tells an addition. */
struct looked {
    uint32_t same;        /* the endpoint itself */
    uint32_t all, here;   /* of the infohash; of them at its address */
    uint32_t oldest_here; /* of those at its address */
};

static void look(const struct kad_peers *self, const struct kad_id *infohash,
                 const struct proa_addr *addr, struct looked *ret)
{
    *ret = (struct looked){.same = KAD_NONE, .oldest_here = KAD_NONE};
    for (uint32_t at = first(self, infohash); at != KAD_NONE;
         at = after(self, at, infohash)) {
        ret->all++;
        if (!same_ip(&self->peers[at].addr, addr))
            continue;
        if (self->peers[at].addr.port == addr->port)
            ret->same = at;
        if (ret->oldest_here == KAD_NONE || is_older(self, at, ret->oldest_here))
            ret->oldest_here = at;
        ret->here++;
    }
}

/* The worst of an infohash's: the oldest, but first of an address with more than a few of them. */
static uint32_t worst_of(const struct kad_peers *self, const struct kad_id *infohash)
{
    uint8_t here[4 * KAD_PEERS_TARGET] = {0}; /* so that few addresses share a count */
    uint32_t worst = KAD_NONE, most = 0;

    for (uint32_t at = first(self, infohash); at != KAD_NONE;
         at = after(self, at, infohash)) {
        uint8_t *count = &here[self->peers[at].place % sizeof(here)];

        *count += *count < UINT8_MAX;
    }
    for (uint32_t at = first(self, infohash); at != KAD_NONE;
         at = after(self, at, infohash)) {
        uint32_t count = here[self->peers[at].place % sizeof(here)];

        if (count <= FEW)
            count = 0;
        if (worst == KAD_NONE || count > most ||
            (count == most && is_older(self, at, worst))) {
            worst = at;
            most = count;
        }
    }
    return worst;
}

/* The next in turn at this place of by_address: at least a quarter of the array is. */
static uint32_t next_at(struct kad_peers *self, uint32_t place)
{
    for (;;) {
        uint32_t at = self->hand++ % self->high;

        if (self->peers[at].used && self->peers[at].place == place)
            return at;
    }
}

/* The oldest at the address with the most, of some that lie spread over the array, which is full.  Source: golden ratio hashing,
   Knuth 6.4, so that a run of neighbours is not all that is seen. */
static uint32_t worst_of_some(struct kad_peers *self)
{
    uint32_t worst = KAD_NONE, most = 0;

    for (uint32_t i = 0; i < KAD_PEERS_LOOKED; i++) {
        uint32_t spread = ++self->hand * UINT32_C(2654435769);
        uint32_t at = (uint32_t)((uint64_t)spread * self->cap >> 32);
        uint32_t count = self->by_address.heads[self->peers[at].place];

        if (count > most || (count == most && is_older(self, at, worst))) {
            worst = at;
            most = count;
        }
    }
    return worst;
}

static void replace(struct kad_peers *self, uint32_t number)
{
    kad_peers_remove(self, number);
    self->replaced++;
}

/* Sees to it that one more is within the bounds. */
static void make_room(struct kad_peers *self, const struct kad_id *infohash,
                      const struct looked *looked, uint32_t place)
{
    if (looked->here >= KAD_PEERS_TARGET_ADDRESS)
        replace(self, looked->oldest_here);
    else if (looked->all >= KAD_PEERS_TARGET)
        replace(self, worst_of(self, infohash));
    if (self->by_address.heads[place] >= self->per_address)
        replace(self, next_at(self, place));
    if (self->count == self->cap)
        replace(self, worst_of_some(self));
}

uint32_t kad_peers_add(struct kad_peers *self, const struct kad_id *infohash,
                       const struct proa_addr *addr)
{
    uint32_t place = place_of(self, addr), number;
    struct looked looked;

    self->clock++;
    look(self, infohash, addr, &looked);
    if (looked.same != KAD_NONE) {
        self->peers[looked.same].said = self->clock;
        return looked.same;
    }
    make_room(self, infohash, &looked, place);
    number = self->free;
    if (number != KAD_NONE)
        self->free = self->peers[number].next;
    else
        number = self->high++;
    struct kad_peer *peer = &self->peers[number];
    uint32_t *head = kad_index_head(&self->by_infohash, infohash);
    *peer = (struct kad_peer){.infohash = *infohash,
                              .addr = *addr,
                              .next = *head,
                              .place = place,
                              .said = self->clock,
                              .used = true};
    *head = number;
    self->count++;
    self->by_address.heads[place]++;
    return number;
}

void kad_peers_remove(struct kad_peers *self, uint32_t number)
{
    struct kad_peer *peer = &self->peers[number];
    uint32_t *at = kad_index_head(&self->by_infohash, &peer->infohash);

    PROA_ASSERT(peer->used);
    self->by_address.heads[peer->place]--;
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
