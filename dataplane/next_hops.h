/* SPDX-License-Identifier: Apache-2.0 */
/* next_hops.h - which MAC address frames to an IP address go to, as lanes look it up.

   One thread fills the table, from the kernel's news (neighbours.h) or from ARP and ND of our own
   (resolver.h).  A lane that finds no entry asks for one and drops its packet: protocols send
   again.

   Destinations that have one next hop, a gateway, each have an entry: what a lane looks up is
   the packet's destination.

   Threads: one filling thread; find and want: lanes; version: any.
   Units:   addresses in 16 bytes, IPv4 as ::ffff:a.b.c.d; ages in looks, about a second each.
   Errors:  false, as each says.
   Bound:   NEXT_HOPS_MAX destinations, at most NEXT_HOPS_CHAIN of one hash value; the hash has a
            secret, so that nobody can crowd a chain on purpose. */
#ifndef NEXT_HOPS_H
#define NEXT_HOPS_H

#include <stdatomic.h>
#include <string.h>

#include <proa/types.h>

#define NEXT_HOPS_MAX 4096u /* power of two */
#define NEXT_HOPS_CHAIN 16u
#define NEXT_HOPS_FORGET 3u           /* looks: an entry without answer makes room then */
#define NEXT_HOPS_WANT (10 * PROA_MS) /* between questions of a lane for one address */
#define NEXT_HOPS_TRUST PROA_S        /* then a lane asks the table again: it is in use */

/* One destination.  Lanes read key and value; the rest is the filling thread's. */
struct next_hop {
    _Atomic uint64_t key[2];
    _Atomic uint64_t value; /* 0: unknown */
    _Atomic bool seen;      /* found since the last look */
    uint8_t ip[16], hop[16];
    bool used, routed; /* routed: hop is set */
    unsigned age;      /* looks since it was asked for, or last seen to */
};

struct next_hops;

struct next_hops *next_hops_create(unsigned lanes); /* NULL: no memory or descriptor */
void next_hops_destroy(struct next_hops *t);        /* NULL is nothing */

/* ---- Lanes ---- */

/* next_hops_version changes with every change of the table: what was found under the same one
   still holds. */
uint64_t next_hops_version(const struct next_hops *t);

/* next_hops_find: the address frames for ip go to.  False: not known.  What nobody finds for some
   seconds is forgotten. */
bool next_hops_find(struct next_hops *t, const uint8_t ip[16], uint8_t mac[6]);

/* next_hops_want asks for ip.  False: the lane's last question is still being looked at. */
bool next_hops_want(struct next_hops *t, unsigned lane, const uint8_t ip[16]);

/* What a lane remembers of its last packet: most go where the one before went. */
struct hop_cache {
    uint64_t version; /* 0: nothing */
    proa_ns at, wanted_at;
    uint8_t ip[16], wanted_ip[16], mac[6];
};

/* hop_cache_miss is what hop_cache_find does when the last one will not do. */
const uint8_t *hop_cache_miss(struct hop_cache *cache, struct next_hops *t, unsigned lane,
                              const uint8_t ip[16], proa_ns now);

/* hop_cache_find: where frames for ip go; NULL: not known yet, and asked for. */
static inline const uint8_t *hop_cache_find(struct hop_cache *cache, struct next_hops *t,
                                            unsigned lane, const uint8_t ip[16],
                                            proa_ns now)
{
    if (cache->version == next_hops_version(t) && memcmp(cache->ip, ip, 16) == 0 &&
        now - cache->at < NEXT_HOPS_TRUST)
        return cache->mac;
    return hop_cache_miss(cache, t, lane, ip, now);
}

/* ---- The filling thread ---- */

int next_hops_fd(const struct next_hops *t); /* readable when lanes have asked */

/* next_hops_take_wants calls fn for each destination that lanes asked for and that is not
   known, its entry made if need be. */
void next_hops_take_wants(struct next_hops *t, void (*fn)(void *ctx, struct next_hop *e),
                          void *ctx);

/* next_hops_full counts what was asked for and found no room.  Any thread. */
uint64_t next_hops_full(const struct next_hops *t);

/* next_hops_at: entry i of NEXT_HOPS_MAX; NULL: not in use. */
struct next_hop *next_hops_at(struct next_hops *t, unsigned i);

bool next_hop_known(const struct next_hop *e);
bool next_hop_take_seen(struct next_hop *e); /* was it found since this was last asked? */

void next_hops_put(struct next_hops *t, struct next_hop *e,
                   const uint8_t *mac); /* NULL: unknown */

/* next_hops_reach puts mac, or NULL, into all destinations behind hop. */
void next_hops_reach(struct next_hops *t, const uint8_t hop[16], const uint8_t *mac);

#endif
