/* SPDX-License-Identifier: Apache-2.0 */
#include "net.h"

#include <string.h>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include <proa/le.h>

#include "addr.h"

#define ETHERTYPE_IPV4 0x0800u
#define ETHERTYPE_IPV6 0x86ddu

#define PROTOCOL_UDP 17
#define PROTOCOL_FRAGMENT 44

#define HOP_LIMIT 64
#define MANY 64 /* bytes from which on sums are made of vectors */

static uint16_t load16(const uint8_t *p)
{
    return (uint16_t)(p[0] << 8 | p[1]);
}

static void store16(uint8_t *p, uint32_t value)
{
    p[0] = (uint8_t)(value >> 8);
    p[1] = (uint8_t)value;
}

/* A 16-bit word as it lies in memory: what checksums are added from. */
static uint16_t raw16(const uint8_t *p)
{
    uint16_t word;

    memcpy(&word, p, sizeof(word));
    return word;
}

static uint16_t raw16_of(uint32_t value)
{
    uint8_t bytes[2];

    store16(bytes, value);
    return raw16(bytes);
}

/* Blocks of 32 bytes.  32-bit words into 64 bits: carries gather in the upper half and are
   folded at the end (RFC 1071 section 2); the compiler makes vectors of this loop. */
static uint64_t sum_blocks(const uint8_t *bytes, size_t blocks)
{
    uint64_t sum = 0;

    for (; blocks > 0; blocks--, bytes += 32) {
        uint32_t words[8];

        memcpy(words, bytes, sizeof(words));
        for (unsigned i = 0; i < 8; i++)
            sum += words[i];
    }
    return sum;
}

#if defined(__x86_64__)

/* The same for processors that have AVX2; binaries are built for those that have not. */
__attribute__((target("avx2"))) static uint64_t sum_blocks_avx2(const uint8_t *bytes,
                                                                size_t blocks)
{
    const __m256i low = _mm256_set1_epi64x(0xffffffff);
    __m256i even = _mm256_setzero_si256(), odd = even;
    uint64_t sums[4];

    for (; blocks > 0; blocks--, bytes += 32) {
        __m256i v = _mm256_loadu_si256((const __m256i *)(const void *)bytes);

        even = _mm256_add_epi64(even, _mm256_and_si256(v, low));
        odd = _mm256_add_epi64(odd, _mm256_srli_epi64(v, 32));
    }
    _mm256_storeu_si256((__m256i *)(void *)sums, _mm256_add_epi64(even, odd));
    return sums[0] + sums[1] + sums[2] + sums[3];
}

static uint64_t sum_many(const uint8_t *bytes, size_t blocks)
{
    return __builtin_cpu_supports("avx2") ? sum_blocks_avx2(bytes, blocks)
                                          : sum_blocks(bytes, blocks);
}

#else

static uint64_t sum_many(const uint8_t *bytes, size_t blocks)
{
    return sum_blocks(bytes, blocks);
}

#endif

uint64_t net_sum(const uint8_t *bytes, size_t len, uint64_t sum)
{
    if (len >= MANY) {
        sum += sum_many(bytes, len / 32);
        bytes += len & ~(size_t)31;
        len &= 31;
    }
    for (; len >= 4; bytes += 4, len -= 4) {
        uint32_t word;

        memcpy(&word, bytes, sizeof(word));
        sum += word;
    }
    for (; len >= 2; bytes += 2, len -= 2)
        sum += raw16(bytes);
    if (len == 1) {
        const uint8_t last[2] = {bytes[0], 0};

        sum += raw16(last);
    }
    return sum;
}

uint16_t net_sum_fold(uint64_t sum)
{
    uint32_t high = (uint32_t)(sum >> 32), all = (uint32_t)sum + high;

    all += all < high; /* the carry comes round */
    /* Each half is added to the other: what carries out of the lower one ends up in the upper. */
    return (uint16_t)((all + (all << 16 | all >> 16)) >> 16);
}

/* Both addresses lie side by side in either header: `bytes` of them from `addresses` on. */
static uint64_t pseudo_sum(const uint8_t *addresses, size_t bytes, uint32_t udp_len)
{
    return net_sum(addresses, bytes,
                   (uint64_t)raw16_of(PROTOCOL_UDP) + raw16_of(udp_len));
}

static bool checksum_good(const uint8_t *udp, uint32_t udp_len, const uint8_t *addresses,
                          size_t address_bytes, unsigned accept)
{
    uint16_t given = raw16(udp + 6);
    uint64_t fixed = (uint64_t)raw16_of(PROTOCOL_UDP) + raw16_of(udp_len);

    if (given == 0)
        return (accept & NET_ACCEPT_ZERO) != 0;
    if ((accept & NET_ACCEPT_CHECKED) != 0)
        return true;
    /* Addresses and datagram lie side by side: one pass. */
    if (net_sum_fold(net_sum(addresses, address_bytes + udp_len, fixed)) == 0xffff)
        return true;
    return (accept & NET_ACCEPT_PARTIAL) != 0 &&
           given == net_sum_fold(pseudo_sum(addresses, address_bytes, udp_len));
}

static bool lead_is_zero(const uint8_t *payload, unsigned family)
{
    static const uint8_t zero[NET_LEAD_IPV4];

    return family == 6 ? memcmp(payload, zero, NET_LEAD_IPV6) == 0
                       : memcmp(payload, zero, NET_LEAD_IPV4) == 0;
}

enum port_drop net_check_payload(const uint8_t *payload, size_t len, unsigned family,
                                 uint32_t *ret_lead)
{
    uint32_t lead = net_lead(family);

    if (len == 0)
        return PORT_DROP_SHORT;
    if (payload[0] == 'd') {
        *ret_lead = 0;
        return PORT_OK;
    }
    if (len <= lead)
        return payload[0] == 0 ? PORT_DROP_SHORT : PORT_DROP_LEAD;
    if (!lead_is_zero(payload, family))
        return PORT_DROP_LEAD;
    if (payload[lead] == 'd')
        return PORT_DROP_LEAD; /* a link packet that would be taken for KRPC above us */
    *ret_lead = lead;
    return PORT_OK;
}

/* A source nobody can be answered at: none, multicast, broadcast, or one of the other family. */
static bool source_bad(const struct proa_addr *from)
{
    static const uint8_t none[16];

    if (from->family == 6)
        return from->ip[0] == 0xff || addr_is_mapped(from->ip) ||
               memcmp(from->ip, none, sizeof(none)) == 0;
    return from->ip[12] == 0 || from->ip[12] >= 224;
}

/* The part both families share: udp points at the UDP header, rest are the bytes IP says lie
   from there on, all of them in the frame.  from->ip is set. */
static enum port_drop parse_udp(const uint8_t *udp, uint32_t rest,
                                const uint8_t *addresses, const struct proa_addr *self,
                                unsigned accept, struct net_datagram *ret)
{
    size_t address_bytes = self->family == 4 ? 8 : 32;
    enum port_drop drop;
    uint32_t udp_len, lead;

    if (rest < NET_UDP)
        return PORT_DROP_SHORT;
    if (load16(udp + 2) != self->port || load16(udp) == 0)
        return PORT_DROP_UDP_PORT;
    udp_len = load16(udp + 4);
    if (udp_len != rest)
        return PORT_DROP_LENGTH;
    if (!checksum_good(udp, udp_len, addresses, address_bytes, accept))
        return PORT_DROP_CHECKSUM;
    drop = net_check_payload(udp + NET_UDP, udp_len - NET_UDP, self->family, &lead);
    if (drop != PORT_OK)
        return drop;
    ret->from.port = load16(udp);
    ret->offset = NET_UDP + lead;
    ret->len = udp_len - NET_UDP - lead;
    return PORT_OK;
}

static bool header_sum_good(const uint8_t *ip)
{
    uint32_t words[NET_IPV4 / 4];
    uint64_t sum = 0;

    memcpy(words, ip, sizeof(words));
    for (unsigned i = 0; i < NET_IPV4 / 4; i++)
        sum += words[i];
    return net_sum_fold(sum) == 0xffff;
}

static enum port_drop parse_v4(const uint8_t *ip, size_t len,
                               const struct proa_addr *self, unsigned accept,
                               struct net_datagram *ret)
{
    enum port_drop drop;
    uint32_t total;

    if (len < NET_IPV4)
        return PORT_DROP_SHORT;
    if (ip[0] >> 4 != 4)
        return PORT_DROP_ETHERTYPE;
    if (ip[0] != 0x45)
        return (ip[0] & 15) < 5 ? PORT_DROP_LENGTH : PORT_DROP_OPTIONS;
    if ((load16(ip + 6) & 0x3fffu) != 0) /* more fragments, or an offset */
        return PORT_DROP_FRAGMENT;
    total = load16(ip + 2);
    if (total < NET_IPV4 || total > len)
        return PORT_DROP_LENGTH;
    if (!header_sum_good(ip))
        return PORT_DROP_CHECKSUM;
    if (ip[9] != PROTOCOL_UDP)
        return PORT_DROP_PROTOCOL;
    if (self->family != 4 || memcmp(ip + 16, self->ip + 12, 4) != 0)
        return PORT_DROP_ADDRESS;
    addr_set_v4(&ret->from, ip + 12, 0);
    if (source_bad(&ret->from))
        return PORT_DROP_ADDRESS;
    drop = parse_udp(ip + NET_IPV4, total - NET_IPV4, ip + 12, self, accept, ret);
    ret->offset += NET_ETH + NET_IPV4;
    return drop;
}

static bool is_extension(uint8_t next)
{
    return next == 0 || next == 43 || next == 50 || next == 51 || next == 60 ||
           next == 135;
}

static enum port_drop parse_v6(const uint8_t *ip, size_t len,
                               const struct proa_addr *self, unsigned accept,
                               struct net_datagram *ret)
{
    enum port_drop drop;
    uint32_t rest;

    if (len < NET_IPV6)
        return PORT_DROP_SHORT;
    if (ip[0] >> 4 != 6)
        return PORT_DROP_ETHERTYPE;
    if (ip[6] == PROTOCOL_FRAGMENT)
        return PORT_DROP_FRAGMENT;
    if (is_extension(ip[6]))
        return PORT_DROP_OPTIONS;
    rest = load16(ip + 4);
    if (rest > len - NET_IPV6)
        return PORT_DROP_LENGTH;
    if (ip[6] != PROTOCOL_UDP)
        return PORT_DROP_PROTOCOL;
    if (self->family != 6 || memcmp(ip + 24, self->ip, 16) != 0)
        return PORT_DROP_ADDRESS;
    addr_set_v6(&ret->from, ip + 8, 0);
    if (source_bad(&ret->from))
        return PORT_DROP_ADDRESS;
    drop = parse_udp(ip + NET_IPV6, rest, ip + 8, self, accept, ret);
    ret->offset += NET_ETH + NET_IPV6;
    return drop;
}

/* Of the words of an IPv4 header and what follows it, as little-endian reads have them. */
#define PLAIN_MASK 0xff3f0000000000ffull /* version and length; fragments */
#define PLAIN_WORD 0x45u
#define PLAIN_LEAST (NET_UDP + NET_LEAD_IPV4 + 2u) /* the last word read is whole */

static inline uint32_t swap16(uint64_t word)
{
    return __builtin_bswap16((uint16_t)word);
}

/* What nearly every frame is: a link packet for us over IPv4, its header read and summed in five words.
   False: parse_v4 says what it is, if it is anything.  Byte by byte that took three times as many
   instructions (docs/performance.md). */
static inline bool is_plain(const uint8_t *ip, size_t len, const struct proa_addr *self,
                            uint32_t *ret_total)
{
    uint64_t a, b, c, d, lead, sum;
    uint32_t from;

    if (self->family != 4 || len < NET_IPV4 + PLAIN_LEAST)
        return false;
    a = proa_get_le64(ip);
    b = proa_get_le64(ip + 8);
    c = proa_get_le64(ip + 16);
    d = proa_get_le32(ip + 24);
    lead = proa_get_le64(ip + 28);
    from = b >> 32 & 0xff;
    sum = (a & 0xffffffff) + (a >> 32) + (b & 0xffffffff) + (b >> 32) + (c & 0xffffffff);
    *ret_total = swap16(a >> 16);
    return (a & PLAIN_MASK) == PLAIN_WORD && (b >> 8 & 0xff) == PROTOCOL_UDP &&
           net_sum_fold(sum) == 0xffff && (uint32_t)c == proa_get_le32(self->ip + 12) &&
           from != 0 && from < 224 && *ret_total >= NET_IPV4 + PLAIN_LEAST &&
           *ret_total <= len && swap16(d) == *ret_total - NET_IPV4 &&
           swap16(c >> 48) == self->port && (c >> 32 & 0xffff) != 0 &&
           (lead & 0xffffffffffff) == 0 && (lead >> 48 & 0xff) != 'd';
}

static inline enum port_drop parse_plain(const uint8_t *ip, uint32_t total,
                                         unsigned accept, struct net_datagram *ret)
{
    const uint8_t *udp = ip + NET_IPV4;

    if (!checksum_good(udp, total - NET_IPV4, ip + 12, 8, accept))
        return PORT_DROP_CHECKSUM;
    addr_set_v4(&ret->from, ip + 12, load16(udp));
    ret->offset = NET_ETH + NET_IPV4 + NET_UDP + NET_LEAD_IPV4;
    ret->len = total - NET_IPV4 - NET_UDP - NET_LEAD_IPV4;
    return PORT_OK;
}

enum port_drop net_parse(const uint8_t *frame, size_t len, const struct proa_addr *self,
                         unsigned accept, struct net_datagram *ret)
{
    struct net_datagram found = {.offset = 0};
    enum port_drop drop;
    uint32_t total;

    if (__builtin_expect(len > NET_ETH && load16(frame + 12) == ETHERTYPE_IPV4 &&
                             is_plain(frame + NET_ETH, len - NET_ETH, self, &total),
                         1))
        return parse_plain(frame + NET_ETH, total, accept, ret);
    if (len < NET_ETH)
        return PORT_DROP_SHORT;
    switch (load16(frame + 12)) {
    case ETHERTYPE_IPV4:
        drop = parse_v4(frame + NET_ETH, len - NET_ETH, self, accept, &found);
        break;
    case ETHERTYPE_IPV6:
        drop = parse_v6(frame + NET_ETH, len - NET_ETH, self, accept, &found);
        break;
    default:
        return PORT_DROP_ETHERTYPE;
    }
    if (drop == PORT_OK)
        *ret = found;
    return drop;
}

void net_template_init(struct net_template *ret, const struct proa_addr *from,
                       const uint8_t mac_from[6], const uint8_t mac_to[6])
{
    uint8_t *ip = ret->bytes + NET_ETH, *udp;

    memset(ret, 0, sizeof(*ret));
    ret->family = from->family;
    memcpy(ret->bytes, mac_to, 6);
    memcpy(ret->bytes + 6, mac_from, 6);
    if (from->family == 4) {
        store16(ret->bytes + 12, ETHERTYPE_IPV4);
        ip[0] = 0x45;
        ip[6] = 0x40; /* don't fragment */
        ip[8] = HOP_LIMIT;
        ip[9] = PROTOCOL_UDP;
        memcpy(ip + 12, from->ip + 12, 4);
        ret->ip_sum = (uint32_t)net_sum(ip, 16, 0);
        udp = ip + NET_IPV4;
    } else {
        store16(ret->bytes + 12, ETHERTYPE_IPV6);
        ip[0] = 0x60;
        ip[6] = PROTOCOL_UDP;
        ip[7] = HOP_LIMIT;
        memcpy(ip + 8, from->ip, 16);
        udp = ip + NET_IPV6;
    }
    store16(udp, from->port);
    ret->headers = (uint8_t)(udp + NET_UDP - ret->bytes);
}

/* Sizes are constants in both, so that copies become a few moves; nothing just written is read
   back, which would wait for the stores. */
static uint8_t *build_v4(const struct net_template *template, uint8_t *udp,
                         uint32_t udp_len, const struct proa_addr *to)
{
    uint8_t *ip = udp - NET_IPV4;
    uint32_t address;
    uint64_t sum;
    uint16_t check;

    memcpy(ip - NET_ETH, template->bytes, NET_ETH + NET_IPV4 + NET_UDP);
    memcpy(&address, to->ip + 12, 4);
    memcpy(ip + 16, &address, 4);
    store16(ip + 2, NET_IPV4 + udp_len);
    sum = (uint64_t) template->ip_sum + address + raw16_of(NET_IPV4 + udp_len);
    check = (uint16_t)~net_sum_fold(sum);
    memcpy(ip + 10, &check, 2);
    return ip;
}

static uint8_t *build_v6(const struct net_template *template, uint8_t *udp,
                         uint32_t udp_len, const struct proa_addr *to)
{
    uint8_t *ip = udp - NET_IPV6;

    memcpy(ip - NET_ETH, template->bytes, NET_ETH + NET_IPV6 + NET_UDP);
    store16(ip + 4, udp_len);
    memcpy(ip + 24, to->ip, 16);
    return ip;
}

/* The lead between header and data adds nothing. */
static void fill_checksum(uint8_t *udp, uint32_t udp_len, const uint8_t *data,
                          uint16_t len, const uint8_t *addresses, size_t address_bytes,
                          enum net_checksum how)
{
    uint64_t sum = pseudo_sum(addresses, address_bytes, udp_len);
    uint16_t check = net_sum_fold(sum);

    if (how == NET_CHECKSUM_FULL) {
        sum += (uint64_t)raw16(udp) + raw16(udp + 2) + raw16_of(udp_len);
        check = (uint16_t)~net_sum_fold(net_sum(data, len, sum));
    }
    if (check == 0)
        check = 0xffff; /* 0 means "none" (RFC 768) */
    memcpy(udp + 6, &check, sizeof(check));
}

uint32_t net_build(const struct net_template *template, uint8_t *data, uint16_t len,
                   const struct proa_addr *to, uint16_t from_port,
                   enum net_checksum checksum)
{
    bool v4 = template->family == 4, krpc = data[0] == 'd';
    uint32_t lead = krpc ? 0 : net_lead(template->family);
    uint32_t udp_len = NET_UDP + lead + len;
    uint8_t *udp = data - lead - NET_UDP, *ip;

    /* The lead, and for KRPC what the UDP header overwrites. */
    memset(data - NET_UDP, 0, NET_UDP);
    ip = v4 ? build_v4(template, udp, udp_len, to) : build_v6(template, udp, udp_len, to);
    if (from_port != 0)
        store16(udp, from_port);
    store16(udp + 2, to->port);
    store16(udp + 4, udp_len);
    if (checksum != NET_CHECKSUM_NONE)
        fill_checksum(udp, udp_len, data, len, v4 ? ip + 12 : ip + 8, v4 ? 8 : 32,
                      checksum);
    return (uint32_t)(data - ip) + NET_ETH;
}
