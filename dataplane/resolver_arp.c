/* SPDX-License-Identifier: Apache-2.0 */
#include "addr.h"
#include "resolver_internal.h"

#define ARP_LEN 28u /* of Ethernet and IPv4.  Source: RFC 826 */
#define ARP_REQUEST 1
#define ARP_REPLY 2

static const uint8_t everybody[6] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
static const uint8_t nobody[6];

static void send_arp(struct resolver *r, unsigned op, const uint8_t eth_to[6],
                     const uint8_t mac_to[6], const uint8_t ip_to[4])
{
    uint8_t frame[NET_ETH + ARP_LEN];
    uint8_t *arp = frame + NET_ETH;

    memcpy(frame, eth_to, 6);
    memcpy(frame + 6, r->config.mac, 6);
    store_be16(frame + 12, ETHERTYPE_ARP);
    store_be16(arp, 1); /* Ethernet */
    store_be16(arp + 2, ETHERTYPE_IP);
    arp[4] = 6;
    arp[5] = 4;
    store_be16(arp + 6, op);
    memcpy(arp + 8, r->config.mac, 6);
    memcpy(arp + 14, r->config.address.ip + 12, 4);
    memcpy(arp + 18, mac_to, 6);
    memcpy(arp + 24, ip_to, 4);
    r->env.send(r->env.ctx, frame, sizeof(frame));
}

void arp_ask(struct resolver *r, const uint8_t ip[16], const uint8_t *mac)
{
    send_arp(r, ARP_REQUEST, mac != NULL ? mac : everybody, nobody, ip + 12);
}

/* RFC 5227, 1.1: an ARP announcement is a request for one's own address. */
void arp_announce(struct resolver *r)
{
    send_arp(r, ARP_REQUEST, everybody, nobody, r->config.address.ip + 12);
}

static void on_request(struct resolver *r, const uint8_t *arp, proa_ns now)
{
    if (!resolver_allowed(&r->answers, now)) {
        r->stats.limited++;
        return;
    }
    r->stats.answered++;
    send_arp(r, ARP_REPLY, arp + 8, arp + 8, arp + 14);
}

void arp_input(struct resolver *r, const uint8_t *frame, size_t len, proa_ns now)
{
    static const uint8_t head[6] = {0, 1, 8, 0, 6, 4};
    static const uint8_t unspecified[4];
    const uint8_t *arp = frame + NET_ETH, *mine = r->config.address.ip + 12;
    struct proa_addr from;
    unsigned op;
    bool to_me;

    if (r->config.address.family != 4) {
        r->stats.foreign++;
        return;
    }
    if (len < NET_ETH + ARP_LEN || memcmp(arp, head, sizeof(head)) != 0 ||
        memcmp(arp + 8, frame + 6, 6) != 0) { /* sent by another than it says */
        r->stats.malformed++;
        return;
    }
    op = load_be16(arp + 6);
    to_me = memcmp(arp + 24, mine, 4) == 0;
    if (memcmp(arp + 14, mine, 4) == 0) {
        resolver_conflict(r, arp + 8, now);
        return;
    }
    if (op == ARP_REQUEST && to_me) {
        on_request(r, arp, now);
    } else if (op != ARP_REQUEST && op != ARP_REPLY) {
        r->stats.malformed++;
        return;
    } else if (!to_me) {
        r->stats.foreign++;
    }
    if (memcmp(arp + 14, unspecified, 4) == 0)
        return; /* a probe */
    addr_set_v4(&from, arp + 14, 0);
    if (op == ARP_REPLY && to_me && memcmp(arp + 18, r->config.mac, 6) == 0)
        resolver_learn(r, from.ip, arp + 8, true, now);
    else if (op == ARP_REPLY || !to_me)
        resolver_learn(r, from.ip, arp + 8, false, now);
}
