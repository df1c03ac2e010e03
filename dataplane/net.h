/* SPDX-License-Identifier: Apache-2.0 */
/* net.h - Ethernet, IPv4, IPv6 and UDP around our datagrams: building and checking.

   Between UDP and a link packet lie `lead` zero bytes (6 with IPv4, 2 with IPv6), so that a
   link packet is 8-byte aligned where the frame is 64-byte aligned: 14 + 20 + 8 + 6 = 48 and
   14 + 40 + 8 + 2 = 64.  A KRPC datagram has no lead; its first byte is 'd'.

   net_parse trusts nothing: it reads each length once, compares it with what is really there,
   and never looks past the frame.

   Threads: pure.  Units: bytes; ports in host order.
   Errors:  enum port_drop says which check failed first; PORT_OK: none. */
#ifndef NET_H
#define NET_H

#include <proa/types.h>

#include "port.h"

#define NET_ETH 14
#define NET_IPV4 20
#define NET_IPV6 40
#define NET_UDP 8

#define NET_LEAD_IPV4 6
#define NET_LEAD_IPV6 2

#define NET_HEADERS_MAX (NET_ETH + NET_IPV6 + NET_UDP + NET_LEAD_IPV6)

static inline uint32_t net_lead(unsigned family)
{
    return family == 6 ? NET_LEAD_IPV6 : NET_LEAD_IPV4;
}

/* Bytes of IP and UDP headers. */
static inline uint32_t net_ip_udp(unsigned family)
{
    return (family == 6 ? NET_IPV6 : NET_IPV4) + NET_UDP;
}

/* What a port takes for a good UDP checksum besides a right one. */
#define NET_ACCEPT_ZERO                                                                  \
    1u /* none was computed: memory to memory, and tunnels (RFC 6935) */
#define NET_ACCEPT_PARTIAL                                                               \
    2u /* the pseudo-header's sum: a kernel socket's datagram on veth */
#define NET_ACCEPT_CHECKED 4u /* the device has checked it */

/* What goes into the checksum of a datagram to send. */
enum net_checksum {
    NET_CHECKSUM_NONE, /* 0: memory to memory */
    NET_CHECKSUM_FULL,
    NET_CHECKSUM_PSEUDO, /* the pseudo-header's sum: the device adds the rest */
};

/* A datagram that passed. */
struct net_datagram {
    struct proa_addr from;
    uint32_t offset; /* of the link packet or KRPC datagram in the frame */
    uint32_t len;    /* its bytes */
};

/* net_parse checks one received frame of len bytes, from the Ethernet header on, to be a
   datagram for `self` (address and port).  PORT_OK: *ret is set.  Otherwise the reason. */
enum port_drop net_parse(const uint8_t *frame, size_t len, const struct proa_addr *self,
                         unsigned accept, struct net_datagram *ret);

/* net_check_payload checks what follows UDP: the lead's zeros, or a 'd'.  It returns the bytes
   to skip (0 or lead) in *ret_lead.  Ports without frames (udp) call it alone. */
enum port_drop net_check_payload(const uint8_t *payload, size_t len, unsigned family,
                                 uint32_t *ret_lead);

/* All headers of one sender, but for lengths, destination and checksums. */
struct net_template {
    uint8_t bytes[64]; /* Ethernet, IP and UDP: 42 or 62 bytes */
    uint8_t family;
    uint8_t headers; /* bytes used */
    uint32_t ip_sum; /* IPv4: sum of the header's fixed words */
};

void net_template_init(struct net_template *ret, const struct proa_addr *from,
                       const uint8_t mac_from[6], const uint8_t mac_to[6]);

/* net_build writes headers and lead in front of data, which it only reads: data must have
   NET_HEADERS_MAX bytes before it.  to->family must be the template's.  from_port: 0 is the
   template's.  Writing twice gives the same bytes.  Returns how many bytes there now
   are in front of data. */
uint32_t net_build(const struct net_template *template, uint8_t *data, uint16_t len,
                   const struct proa_addr *to, uint16_t from_port,
                   enum net_checksum checksum);

/* net_sum adds bytes, as big-endian 16-bit words in host order of memory, to sum;
   net_sum_fold makes the 16-bit one's complement sum of it.  Source: RFC 1071. */
uint64_t net_sum(const uint8_t *bytes, size_t len, uint64_t sum);
uint16_t net_sum_fold(uint64_t sum);

#endif
