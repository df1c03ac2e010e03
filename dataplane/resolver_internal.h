/* SPDX-License-Identifier: Apache-2.0 */
/* resolver_internal.h - a resolver from inside; shared by the files named resolver*.c only.

   Threads, units, errors: as resolver.h. */
#ifndef RESOLVER_INTERNAL_H
#define RESOLVER_INTERNAL_H

#include <string.h>

#include "net.h"
#include "resolver.h"

#define ETHERTYPE_ARP 0x0806u
#define ETHERTYPE_IP 0x0800u
#define ETHERTYPE_IP6 0x86ddu

enum neighbour_state {
    NEIGHBOUR_FREE,
    NEIGHBOUR_ASKED,   /* not known: asked everybody */
    NEIGHBOUR_SILENT,  /* nobody answered: not asked again before `at` */
    NEIGHBOUR_KNOWN,   /* until `at` */
    NEIGHBOUR_CHECKED, /* known, and asked whether it still is there */
};

struct neighbour {
    uint8_t ip[16], mac[6];
    uint8_t state, tries;
    proa_ns at; /* the next thing to do */
};

/* So many a second, and as many at once. */
struct allowance {
    uint32_t left;
    proa_ns since;
};

struct resolver {
    struct resolver_config config;
    struct resolver_env env;
    struct resolver_stats stats;
    struct allowance answers, echoes;
    proa_ns defended; /* when our address last was; 0: never */
    unsigned count;   /* of the neighbours that were ever used */
    struct neighbour neighbours[RESOLVER_MAX];
};

static inline uint16_t load_be16(const uint8_t *p)
{
    return (uint16_t)(p[0] << 8 | p[1]);
}

static inline void store_be16(uint8_t *p, uint32_t value)
{
    p[0] = (uint8_t)(value >> 8);
    p[1] = (uint8_t)value;
}

static inline bool mac_is_unicast(const uint8_t mac[6])
{
    static const uint8_t none[6];

    return (mac[0] & 1) == 0 && memcmp(mac, none, 6) != 0;
}

/* ---- resolver.c: what the protocols of both families share ---- */

bool resolver_has_left(struct allowance *a, proa_ns now);
bool resolver_allowed(struct allowance *a, proa_ns now); /* and takes one */

/* An answer to a question of ours, or what looks like one: ip is at mac. */
void resolver_learn(struct resolver *r, const uint8_t ip[16], const uint8_t mac[6],
                    bool asked, proa_ns now);

/* Whoever has mac says that our address is his. */
void resolver_conflict(struct resolver *r, const uint8_t mac[6], proa_ns now);

/* ---- resolver_arp.c ---- */

void arp_input(struct resolver *r, const uint8_t *frame, size_t len, proa_ns now);
void arp_ask(struct resolver *r, const uint8_t ip[16], const uint8_t *mac);
void arp_announce(struct resolver *r);

/* ---- resolver_nd.c ---- */

/* icmp: an ICMPv6 message of len bytes whose checksum and IPv6 header were checked; type is a
   solicitation, an advertisement or a query of listeners. */
void nd_input(struct resolver *r, const uint8_t *frame, const uint8_t *icmp, size_t len,
              proa_ns now);
void nd_ask(struct resolver *r, const uint8_t ip[16], const uint8_t *mac);
void nd_announce(struct resolver *r);

/* ---- resolver_icmp.c ---- */

void icmp_input(struct resolver *r, const uint8_t *frame, size_t len, proa_ns now);
void icmp6_input(struct resolver *r, const uint8_t *frame, size_t len, proa_ns now);

/* A source that can be answered at; len: 4 or 16. */
bool icmp_is_somebody(const uint8_t *ip, size_t len);

/* The checksum that goes into an ICMPv6 message; it stands at icmp + 2 and is 0. */
uint16_t icmp6_sum(const uint8_t *ip, const uint8_t *icmp, size_t len);

#endif
