/* SPDX-License-Identifier: Apache-2.0 */
/* resolver.h - what a port does itself where no kernel stands behind it: ARP, neighbour discovery
   and the answer to ping, for one address, as a state machine without I/O.

   Frames and the time come in, frames go out through env.send.  A destination on the port's
   network is its own next hop, another's is the gateway.  An unknown next hop is asked for three
   times, a second apart; a known one is asked again, by unicast, when it is in use and has not
   answered for 30 s.

   Nobody can be believed on a shared network, so as little as possible is: only an answer to a
   question of ours, to our address, changes anything, and the answer of an address that is known
   only when its present owner no longer answers.  What somebody claims otherwise is counted; it
   makes us ask the present owner again, which is also how an address that has moved is found
   within three seconds.  Answers of ours are limited to RESOLVER_ANSWERS a second.

   Not here: duplicate address detection before use (an owner of our address elsewhere is counted
   as a conflict and told off), router advertisements (the gateway is configured), redirects,
   path MTU (links prove their path by themselves).

   Threads: one resolver belongs to one thread at a time.
   Units:   proa_ns; bytes; addresses in 16 bytes, IPv4 as ::ffff:a.b.c.d.
   Errors:  bytes from the wire are checked, counted, dropped.
   Bound:   RESOLVER_MAX next hops; when all are taken further ones stay unknown (counted).
   Source:  RFC 826, 5227 (announcing, defending), 4861, 3810 (the one report), 792, 4443. */
#ifndef RESOLVER_H
#define RESOLVER_H

#include <proa/types.h>

#define RESOLVER_MAX 1024u
#define RESOLVER_ANSWERS 1000u              /* a second, ARP and ND; as many of echo */
#define RESOLVER_TRIES 3u                   /* Source: RFC 4861, MAX_MULTICAST_SOLICIT */
#define RESOLVER_AGAIN PROA_S               /* between them.  Source: RETRANS_TIMER */
#define RESOLVER_REACHABLE (30 * PROA_S)    /* Source: RFC 4861, REACHABLE_TIME */
#define RESOLVER_DEFEND_EVERY (10 * PROA_S) /* Source: RFC 5227, DEFEND_INTERVAL */

struct resolver;

struct resolver_config {
    struct proa_addr address; /* ours, and its network */
    uint8_t prefix;           /* of 128 bits */
    struct proa_addr gateway; /* family 0: there is none */
    uint8_t mac[6];
};

struct resolver_env {
    void *ctx;
    /* Sends a frame, Ethernet header first; it is only read, and only during the call. */
    void (*send)(void *ctx, const uint8_t *frame, size_t len);
    /* Frames behind this next hop go to mac from now on; NULL: it is not known any more. */
    void (*reach)(void *ctx, const uint8_t hop[16], const uint8_t *mac);
    /* Was the next hop sent to since this was last asked? */
    bool (*in_use)(void *ctx, const uint8_t hop[16]);
};

struct resolver_stats {
    uint64_t asked;     /* questions of ours, repetitions too */
    uint64_t answered;  /* questions of others about us */
    uint64_t echoes;    /* pings answered */
    uint64_t malformed; /* no valid ARP, ICMP or ICMPv6: lengths, checksums, hop limit */
    uint64_t foreign;   /* valid, and not for us */
    uint64_t unsolicited; /* claims nobody asked for: not believed */
    uint64_t conflicts;   /* somebody else uses our address */
    uint64_t limited;     /* questions and pings over RESOLVER_ANSWERS a second */
    uint64_t full;        /* next hops there was no room for */
};

/* resolver_size is the memory a resolver needs, 8-aligned; resolver_init makes one in it. */
size_t resolver_size(void);
struct resolver *resolver_init(void *memory, const struct resolver_config *config,
                               const struct resolver_env *env);

/* resolver_wants: is this frame, which is none of the node's datagrams, worth handing in?  Cheap;
   any thread. */
bool resolver_wants(const uint8_t *frame, size_t len);

/* resolver_is_echo: is one that resolver_wants an ICMP message, and none of neighbour discovery?
   Cheap; any thread. */
bool resolver_is_echo(const uint8_t *frame, size_t len);

void resolver_input(struct resolver *r, const uint8_t *frame, size_t len, proa_ns now);

/* resolver_hop: the next hop for ip.  False: it is on no way of this port: another network
   without a gateway, a broadcast or multicast address, our own. */
bool resolver_hop(const struct resolver *r, const uint8_t ip[16], uint8_t ret_hop[16]);

/* resolver_ask: the address of a next hop, or NULL: env.reach tells when it is known. */
const uint8_t *resolver_ask(struct resolver *r, const uint8_t hop[16], proa_ns now);

/* resolver_announce tells the network where we are: after the link came up. */
void resolver_announce(struct resolver *r);

void resolver_tick(struct resolver *r, proa_ns now);
proa_ns resolver_deadline(const struct resolver *r); /* PROA_NS_NEVER: nothing is due */

const struct resolver_stats *resolver_stats(const struct resolver *r);
unsigned resolver_known(const struct resolver *r); /* next hops that are known */

#endif
