/* SPDX-License-Identifier: Apache-2.0 */
#include "resolver.h"

#include "addr.h"
#include "resolver_internal.h"

size_t resolver_size(void)
{
    return sizeof(struct resolver);
}

struct resolver *resolver_init(void *memory, const struct resolver_config *config,
                               const struct resolver_env *env)
{
    struct resolver *r = memory;

    memset(r, 0, sizeof(*r));
    r->config = *config;
    r->env = *env;
    return r;
}

const struct resolver_stats *resolver_stats(const struct resolver *r)
{
    return &r->stats;
}

unsigned resolver_known(const struct resolver *r)
{
    unsigned n = 0;

    for (unsigned i = 0; i < r->count; i++)
        n += r->neighbours[i].state >= NEIGHBOUR_KNOWN;
    return n;
}

/* ---- Ways ---- */

static bool is_own_or_many(const struct resolver *r, const struct proa_addr *to)
{
    const struct proa_addr *own = &r->config.address;

    if (addr_same_ip(to, own))
        return true;
    if (to->family == 6)
        return to->ip[0] == 0xff;
    if (to->ip[12] == 0 || to->ip[12] >= 224)
        return true;
    /* The network's own address and its broadcast, where it has such. */
    if (r->config.prefix > 126 || !addr_in_prefix(to, own, r->config.prefix))
        return false;
    bool zeros = true, ones = true;

    for (unsigned bit = r->config.prefix; bit < 128; bit++) {
        bool set = (to->ip[bit / 8] >> (7 - bit % 8) & 1) != 0;

        zeros &= !set;
        ones &= set;
    }
    return zeros || ones;
}

bool resolver_hop(const struct resolver *r, const uint8_t ip[16], uint8_t ret_hop[16])
{
    const struct resolver_config *c = &r->config;
    struct proa_addr to = {.family = addr_is_mapped(ip) ? 4 : 6};

    memcpy(to.ip, ip, 16);
    if (to.family != c->address.family || is_own_or_many(r, &to))
        return false;
    if (addr_in_prefix(&to, &c->address, c->prefix)) {
        memcpy(ret_hop, ip, 16);
        return true;
    }
    if (c->gateway.family != to.family)
        return false;
    memcpy(ret_hop, c->gateway.ip, 16);
    return true;
}

/* ---- Asking ---- */

static void ask_for(struct resolver *r, const uint8_t ip[16], const uint8_t *mac)
{
    r->stats.asked++;
    if (r->config.address.family == 4)
        arp_ask(r, ip, mac);
    else
        nd_ask(r, ip, mac);
}

static struct neighbour *find(struct resolver *r, const uint8_t ip[16])
{
    for (unsigned i = 0; i < r->count; i++) {
        struct neighbour *n = &r->neighbours[i];

        if (n->state != NEIGHBOUR_FREE && memcmp(n->ip, ip, 16) == 0)
            return n;
    }
    return NULL;
}

static struct neighbour *add(struct resolver *r, const uint8_t ip[16])
{
    struct neighbour *n = NULL;

    for (unsigned i = 0; i < r->count && n == NULL; i++) {
        if (r->neighbours[i].state == NEIGHBOUR_FREE)
            n = &r->neighbours[i];
    }
    if (n == NULL && r->count < RESOLVER_MAX)
        n = &r->neighbours[r->count++];
    if (n != NULL)
        memcpy(n->ip, ip, 16);
    return n;
}

static void begin(struct resolver *r, struct neighbour *n, enum neighbour_state state,
                  proa_ns now)
{
    n->state = (uint8_t)state;
    n->tries = 1;
    n->at = now + RESOLVER_AGAIN;
    ask_for(r, n->ip, state == NEIGHBOUR_CHECKED ? n->mac : NULL);
}

const uint8_t *resolver_ask(struct resolver *r, const uint8_t hop[16], proa_ns now)
{
    struct neighbour *n = find(r, hop);

    if (n == NULL) {
        n = add(r, hop);
        if (n == NULL)
            r->stats.full++;
        else
            begin(r, n, NEIGHBOUR_ASKED, now);
        return NULL;
    }
    return n->state >= NEIGHBOUR_KNOWN ? n->mac : NULL;
}

static void tick_one(struct resolver *r, struct neighbour *n, proa_ns now)
{
    switch (n->state) {
    case NEIGHBOUR_ASKED:
    case NEIGHBOUR_CHECKED:
        if (n->tries < RESOLVER_TRIES) {
            n->tries++;
            n->at = now + RESOLVER_AGAIN;
            ask_for(r, n->ip, n->state == NEIGHBOUR_CHECKED ? n->mac : NULL);
        } else if (n->state == NEIGHBOUR_CHECKED) {
            r->env.reach(r->env.ctx, n->ip, NULL);
            begin(r, n, NEIGHBOUR_ASKED, now);
        } else {
            n->state = NEIGHBOUR_SILENT;
            n->at = now + RESOLVER_AGAIN;
        }
        return;
    case NEIGHBOUR_KNOWN:
        if (r->env.in_use(r->env.ctx, n->ip)) {
            begin(r, n, NEIGHBOUR_CHECKED, now);
            return;
        }
        r->env.reach(r->env.ctx, n->ip, NULL);
        n->state = NEIGHBOUR_FREE;
        return;
    default:
        n->state = NEIGHBOUR_FREE;
    }
}

void resolver_tick(struct resolver *r, proa_ns now)
{
    for (unsigned i = 0; i < r->count; i++) {
        struct neighbour *n = &r->neighbours[i];

        if (n->state != NEIGHBOUR_FREE && n->at <= now)
            tick_one(r, n, now);
    }
}

proa_ns resolver_deadline(const struct resolver *r)
{
    proa_ns at = PROA_NS_NEVER;

    for (unsigned i = 0; i < r->count; i++) {
        const struct neighbour *n = &r->neighbours[i];

        if (n->state != NEIGHBOUR_FREE && n->at < at)
            at = n->at;
    }
    return at;
}

/* ---- What is heard ---- */

bool resolver_has_left(struct allowance *a, proa_ns now)
{
    if (now - a->since >= PROA_S || a->since == 0) {
        a->since = now;
        a->left = RESOLVER_ANSWERS;
    }
    return a->left > 0;
}

bool resolver_allowed(struct allowance *a, proa_ns now)
{
    if (!resolver_has_left(a, now))
        return false;
    a->left--;
    return true;
}

void resolver_learn(struct resolver *r, const uint8_t ip[16], const uint8_t mac[6],
                    bool asked, proa_ns now)
{
    struct neighbour *n = find(r, ip);
    bool same = n != NULL && n->state >= NEIGHBOUR_KNOWN && memcmp(n->mac, mac, 6) == 0;

    if (asked && n != NULL &&
        (n->state == NEIGHBOUR_ASKED || n->state == NEIGHBOUR_SILENT)) {
        memcpy(n->mac, mac, 6);
        n->state = NEIGHBOUR_KNOWN;
        n->at = now + RESOLVER_REACHABLE;
        r->env.reach(r->env.ctx, ip, n->mac);
        return;
    }
    if (same) {
        if (asked && n->state == NEIGHBOUR_CHECKED) {
            n->state = NEIGHBOUR_KNOWN;
            n->at = now + RESOLVER_REACHABLE;
        }
        return;
    }
    r->stats.unsolicited++;
    if (n != NULL &&
        n->state == NEIGHBOUR_KNOWN) /* has it moved?  Who has it shall say */
        begin(r, n, NEIGHBOUR_CHECKED, now);
}

void resolver_conflict(struct resolver *r, const uint8_t mac[6], proa_ns now)
{
    if (memcmp(mac, r->config.mac, 6) == 0)
        return; /* what we said ourselves, come back */
    r->stats.conflicts++;
    if (r->defended != 0 && now - r->defended < RESOLVER_DEFEND_EVERY)
        return;
    r->defended = now;
    resolver_announce(r);
}

void resolver_announce(struct resolver *r)
{
    if (r->config.address.family == 4)
        arp_announce(r);
    else
        nd_announce(r);
}

bool resolver_wants(const uint8_t *frame, size_t len)
{
    if (len < NET_ETH + NET_IPV4)
        return false;
    switch (load_be16(frame + 12)) {
    case ETHERTYPE_ARP:
        return true;
    case ETHERTYPE_IP:
        return frame[NET_ETH + 9] == 1; /* ICMP */
    case ETHERTYPE_IP6:
        return frame[NET_ETH + 6] == 58 ||
               frame[NET_ETH + 6] == 0; /* ICMPv6, hop by hop */
    default:
        return false;
    }
}

bool resolver_is_echo(const uint8_t *frame, size_t len)
{
    const uint8_t *ip = frame + NET_ETH;

    if (load_be16(frame + 12) == ETHERTYPE_IP)
        return true;
    return load_be16(frame + 12) == ETHERTYPE_IP6 && ip[6] == 58 &&
           len > NET_ETH + NET_IPV6 && ip[NET_IPV6] < 130;
}

void resolver_input(struct resolver *r, const uint8_t *frame, size_t len, proa_ns now)
{
    if (!resolver_wants(frame, len))
        return;
    if (!mac_is_unicast(frame + 6)) {
        r->stats.malformed++;
        return;
    }
    switch (load_be16(frame + 12)) {
    case ETHERTYPE_ARP:
        arp_input(r, frame, len, now);
        return;
    case ETHERTYPE_IP:
        icmp_input(r, frame, len, now);
        return;
    default:
        icmp6_input(r, frame, len, now);
    }
}
