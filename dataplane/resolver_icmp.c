/* SPDX-License-Identifier: Apache-2.0 */
/* The answer to ping, and what else ICMPv6 carries. */
#include "addr.h"
#include "resolver_internal.h"

#define PROTOCOL_ICMP 1
#define PROTOCOL_ICMP6 58
#define ECHO_HEADER 8u
#define FRAME_MAX (NET_ETH + 9000u) /* Source: port.c, the largest MTU */

static uint16_t complement(uint64_t sum)
{
    return (uint16_t)~net_sum_fold(sum);
}

/* Both kinds of echo: the same bytes back, the ends exchanged.  ip_len: of the IP header; sum: of
   what the checksum covers besides the message. */
static void answer_echo(struct resolver *r, const uint8_t *frame, size_t len,
                        size_t ip_len, unsigned type, proa_ns now)
{
    uint8_t reply[FRAME_MAX];
    uint8_t *ip = reply + NET_ETH, *icmp = ip + ip_len;
    size_t size = len - NET_ETH - ip_len;
    uint16_t sum;

    if (len > sizeof(reply)) {
        r->stats.malformed++;
        return;
    }
    (void)resolver_allowed(&r->echoes, now); /* there is one: it was looked for first */
    r->stats.echoes++;
    memcpy(reply, frame, len);
    memcpy(reply, frame + 6, 6);
    memcpy(reply + 6, r->config.mac, 6);
    icmp[0] = (uint8_t)type;
    memset(icmp + 2, 0, 2);
    if (ip_len == NET_IPV4) {
        memcpy(ip + 12, frame + NET_ETH + 16, 4);
        memcpy(ip + 16, frame + NET_ETH + 12, 4);
        ip[8] = 64;
        memset(ip + 10, 0, 2);
        sum = complement(net_sum(ip, NET_IPV4, 0));
        memcpy(ip + 10, &sum, 2);
        sum = complement(net_sum(icmp, size, 0));
    } else {
        memcpy(ip + 8, r->config.address.ip, 16);
        memcpy(ip + 24, frame + NET_ETH + 8, 16);
        ip[7] = 64;
        sum = icmp6_sum(ip, icmp, size);
    }
    memcpy(icmp + 2, &sum, 2);
    r->env.send(r->env.ctx, reply, len);
}

bool icmp_is_somebody(const uint8_t *ip, size_t len)
{
    static const uint8_t none[16];

    if (len == 4)
        return ip[0] != 0 && ip[0] < 224;
    return ip[0] != 0xff && memcmp(ip, none, 16) != 0;
}

void icmp_input(struct resolver *r, const uint8_t *frame, size_t len, proa_ns now)
{
    const uint8_t *ip = frame + NET_ETH, *icmp = ip + NET_IPV4;
    size_t total;

    if (len < NET_ETH + NET_IPV4 + ECHO_HEADER || ip[0] != 0x45) {
        r->stats.malformed++;
        return;
    }
    if (!resolver_has_left(&r->echoes, now)) { /* before the sums: they cost the most */
        r->stats.limited++;
        return;
    }
    total = load_be16(ip + 2);
    if (total < NET_IPV4 + ECHO_HEADER || total > len - NET_ETH ||
        (load_be16(ip + 6) & 0x3fffu) != 0 || /* fragments */
        net_sum_fold(net_sum(ip, NET_IPV4, 0)) != 0xffff ||
        net_sum_fold(net_sum(icmp, total - NET_IPV4, 0)) != 0xffff ||
        !icmp_is_somebody(ip + 12, 4)) {
        r->stats.malformed++;
        return;
    }
    if (r->config.address.family != 4 ||
        memcmp(ip + 16, r->config.address.ip + 12, 4) != 0 || icmp[0] != 8 ||
        icmp[1] != 0) {
        r->stats.foreign++;
        return;
    }
    answer_echo(r, frame, NET_ETH + total, NET_IPV4, 0, now);
}

uint16_t icmp6_sum(const uint8_t *ip, const uint8_t *icmp, size_t len)
{
    const uint8_t tail[8] = {0, 0, (uint8_t)(len >> 8), (uint8_t)len, 0,
                             0, 0, PROTOCOL_ICMP6};

    return complement(net_sum(icmp, len, net_sum(tail, 8, net_sum(ip + 8, 32, 0))));
}

/* Where the ICMPv6 message begins: behind a hop-by-hop header of 8 bytes, if there is one.  0:
   not such a frame. */
static size_t find_icmp6(const uint8_t *ip, size_t rest)
{
    const uint8_t *next = ip + NET_IPV6;

    if (ip[6] == PROTOCOL_ICMP6)
        return NET_IPV6;
    return rest >= 8 && ip[6] == 0 && next[0] == PROTOCOL_ICMP6 && next[1] == 0
               ? NET_IPV6 + 8
               : 0;
}

void icmp6_input(struct resolver *r, const uint8_t *frame, size_t len, proa_ns now)
{
    const uint8_t *ip = frame + NET_ETH, *icmp;
    size_t rest, at, size;

    if (r->config.address.family != 6) {
        r->stats.foreign++;
        return;
    }
    rest = len >= NET_ETH + NET_IPV6 ? load_be16(ip + 4) : 0;
    at = rest > 0 && rest <= len - NET_ETH - NET_IPV6 && ip[0] >> 4 == 6
             ? find_icmp6(ip, rest)
             : 0;
    if (at == 0 || NET_IPV6 + rest < at + ECHO_HEADER) {
        r->stats.malformed++;
        return;
    }
    icmp = ip + at;
    size = NET_IPV6 + rest - at;
    if (icmp[0] == 128 && !resolver_has_left(&r->echoes, now)) {
        r->stats.limited++;
        return;
    }
    if (icmp6_sum(ip, icmp, size) != 0) { /* with a right checksum in it the sum is 0 */
        r->stats.malformed++;
        return;
    }
    switch (icmp[0]) {
    case 130:
    case 135:
    case 136:
        nd_input(r, frame, icmp, size, now);
        return;
    case 128:
        if (memcmp(ip + 24, r->config.address.ip, 16) == 0 && icmp[1] == 0 &&
            at == NET_IPV6 && icmp_is_somebody(ip + 8, 16)) {
            answer_echo(r, frame, NET_ETH + NET_IPV6 + rest, NET_IPV6, 129, now);
            return;
        }
        break;
    default:
        break;
    }
    r->stats.foreign++;
}
