/* SPDX-License-Identifier: Apache-2.0 */
/* Neighbour discovery, RFC 4861, as far as a host with a configured gateway needs it. */
#include "addr.h"
#include "resolver_internal.h"

#define SOLICITATION 135
#define ADVERTISEMENT 136
#define QUERY 130
#define REPORT 143

#define SOURCE_OPTION 1
#define TARGET_OPTION 2

#define ND_LEN 24u /* of both messages, without options */
#define LINK_OPTION_LEN 8u
#define HOP_BY_HOP_LEN 8u

#define FLAG_SOLICITED 0x40
#define FLAG_OVERRIDE 0x20

static const uint8_t none[16];
static const uint8_t all_nodes[16] = {0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1};
static const uint8_t all_reports[16] = {0xff, 2, 0, 0, 0, 0, 0, 0,
                                        0,    0, 0, 0, 0, 0, 0, 0x16};

/* ff02::1:ffXX:XXXX.  Source: RFC 4291, 2.7.1. */
static void solicited_node(const uint8_t ip[16], uint8_t ret[16])
{
    const uint8_t head[13] = {0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff};

    memcpy(ret, head, 13);
    memcpy(ret + 13, ip + 13, 3);
}

/* 33:33 and the last four bytes.  Source: RFC 2464, 7. */
static void multicast_mac(const uint8_t ip[16], uint8_t ret[6])
{
    ret[0] = ret[1] = 0x33;
    memcpy(ret + 2, ip + 12, 4);
}

/* Ethernet and IPv6 in front of a payload of `len` bytes; returns where that goes. */
static uint8_t *start(const struct resolver *r, uint8_t *frame, const uint8_t *mac_to,
                      const uint8_t from[16], const uint8_t to[16], unsigned next,
                      unsigned hops, size_t len)
{
    uint8_t *ip = frame + NET_ETH;

    if (mac_to != NULL)
        memcpy(frame, mac_to, 6);
    else
        multicast_mac(to, frame);
    memcpy(frame + 6, r->config.mac, 6);
    store_be16(frame + 12, ETHERTYPE_IP6);
    memset(ip, 0, NET_IPV6);
    ip[0] = 0x60;
    store_be16(ip + 4, (uint32_t)len);
    ip[6] = (uint8_t)next;
    ip[7] = (uint8_t)hops;
    memcpy(ip + 8, from, 16);
    memcpy(ip + 24, to, 16);
    return ip + NET_IPV6;
}

static void send_nd(struct resolver *r, unsigned type, unsigned flags,
                    const uint8_t *mac_to, const uint8_t to[16], const uint8_t target[16])
{
    uint8_t frame[NET_ETH + NET_IPV6 + ND_LEN + LINK_OPTION_LEN];
    size_t len = ND_LEN + LINK_OPTION_LEN;
    uint8_t *icmp = start(r, frame, mac_to, r->config.address.ip, to, 58, 255, len);
    uint16_t sum;

    memset(icmp, 0, len);
    icmp[0] = (uint8_t)type;
    icmp[4] = (uint8_t)flags;
    memcpy(icmp + 8, target, 16);
    icmp[ND_LEN] = type == SOLICITATION ? SOURCE_OPTION : TARGET_OPTION;
    icmp[ND_LEN + 1] = 1; /* in 8 bytes */
    memcpy(icmp + ND_LEN + 2, r->config.mac, 6);
    sum = icmp6_sum(frame + NET_ETH, icmp, len);
    memcpy(icmp + 2, &sum, sizeof(sum));
    r->env.send(r->env.ctx, frame, sizeof(frame));
}

void nd_ask(struct resolver *r, const uint8_t ip[16], const uint8_t *mac)
{
    uint8_t group[16];

    solicited_node(ip, group);
    send_nd(r, SOLICITATION, 0, mac, mac != NULL ? ip : group, ip);
}

/* That we listen to our group, for switches that forward to those only who say so.  The source
   is unspecified, as for a host that has no link-local address yet.  Source: RFC 3810, 5.2. */
static void send_report(struct resolver *r)
{
    static const uint8_t router_alert[HOP_BY_HOP_LEN] = {58, 0, 5, 2, 0, 0, 1, 0};
    uint8_t frame[NET_ETH + NET_IPV6 + HOP_BY_HOP_LEN + 8 + 20];
    uint8_t *at = start(r, frame, NULL, none, all_reports, 0, 1, HOP_BY_HOP_LEN + 28);
    uint16_t sum;

    memcpy(at, router_alert, HOP_BY_HOP_LEN);
    at += HOP_BY_HOP_LEN;
    memset(at, 0, 28);
    at[0] = REPORT;
    at[7] = 1; /* record */
    at[8] = 4; /* its type: changed to exclude nothing */
    solicited_node(r->config.address.ip, at + 12);
    sum = icmp6_sum(frame + NET_ETH, at, 28);
    memcpy(at + 2, &sum, sizeof(sum));
    r->env.send(r->env.ctx, frame, sizeof(frame));
}

void nd_announce(struct resolver *r)
{
    send_report(r);
    send_nd(r, ADVERTISEMENT, FLAG_OVERRIDE, NULL, all_nodes, r->config.address.ip);
}

/* The link-layer address among the options.  False: they are malformed; *ret is NULL when there
   is none. */
static bool find_option(const uint8_t *icmp, size_t len, unsigned wanted,
                        const uint8_t **ret)
{
    *ret = NULL;
    for (size_t at = ND_LEN; at < len;) {
        size_t left = len - at, size;

        if (left < 8)
            return false;
        size = icmp[at + 1] * (size_t)8;
        if (size == 0 || size > left)
            return false;
        if (icmp[at] == wanted && size == LINK_OPTION_LEN)
            *ret = icmp + at + 2;
        at += size;
    }
    return true;
}

static void on_solicitation(struct resolver *r, const uint8_t *frame, const uint8_t *icmp,
                            const uint8_t *option, proa_ns now)
{
    const uint8_t *ip = frame + NET_ETH, *from = ip + 8;
    bool probe = memcmp(from, none, 16) == 0;

    if (memcmp(icmp + 8, r->config.address.ip, 16) != 0) {
        r->stats.foreign++;
        return;
    }
    if ((probe && option != NULL) || /* RFC 4861, 7.1.1 */
        (!probe && !icmp_is_somebody(from, 16))) {
        r->stats.malformed++;
        return;
    }
    if (option != NULL && memcmp(option, frame + 6, 6) != 0) {
        r->stats.unsolicited++; /* an answer to somebody else than who asks */
        return;
    }
    if (!resolver_allowed(&r->answers, now)) {
        r->stats.limited++;
        return;
    }
    r->stats.answered++;
    if (probe) {
        r->stats.conflicts++; /* somebody is about to take our address */
        send_nd(r, ADVERTISEMENT, FLAG_OVERRIDE, NULL, all_nodes, r->config.address.ip);
        return;
    }
    send_nd(r, ADVERTISEMENT, FLAG_SOLICITED | FLAG_OVERRIDE, frame + 6, from,
            r->config.address.ip);
}

static void on_advertisement(struct resolver *r, const uint8_t *frame,
                             const uint8_t *icmp, const uint8_t *option, proa_ns now)
{
    const uint8_t *to = frame + NET_ETH + 24, *target = icmp + 8;
    bool solicited = (icmp[4] & FLAG_SOLICITED) != 0;
    const uint8_t *mac = option != NULL ? option : frame + 6;

    if (memcmp(target, r->config.address.ip, 16) == 0) {
        resolver_conflict(r, frame + 6, now);
        return;
    }
    if (solicited && to[0] == 0xff) { /* RFC 4861, 7.1.2 */
        r->stats.malformed++;
        return;
    }
    if (memcmp(mac, frame + 6, 6) != 0) {
        r->stats.unsolicited++; /* sent by another than it says */
        return;
    }
    resolver_learn(r, target, mac, solicited && memcmp(to, r->config.address.ip, 16) == 0,
                   now);
}

void nd_input(struct resolver *r, const uint8_t *frame, const uint8_t *icmp, size_t len,
              proa_ns now)
{
    const uint8_t *ip = frame + NET_ETH, *option;
    bool solicitation = icmp[0] == SOLICITATION;

    if (icmp[0] == QUERY) {
        if (ip[7] == 1 && len >= ND_LEN && resolver_allowed(&r->answers, now))
            send_report(r);
        return;
    }
    /* 255: no router has let it through. */
    if (ip[7] != 255 || icmp[1] != 0 || len < ND_LEN || icmp[8] == 0xff ||
        !find_option(icmp, len, solicitation ? SOURCE_OPTION : TARGET_OPTION, &option)) {
        r->stats.malformed++;
        return;
    }
    if (solicitation)
        on_solicitation(r, frame, icmp, option, now);
    else
        on_advertisement(r, frame, icmp, option, now);
}
