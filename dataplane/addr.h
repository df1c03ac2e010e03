/* SPDX-License-Identifier: Apache-2.0 */
/* addr.h - endpoints as text, as sockaddr and in comparisons.

   struct proa_addr (proa/types.h) holds one UDP endpoint.  IPv4 addresses lie mapped in its 16
   bytes, so that prefixes of both families are prefixes of the same 128 bits; family tells
   them apart, and an IPv6 text that spells a mapped address is read as IPv4.

   Threads: pure.  Units: prefixes are bits of 128; ports are in host order.
   Errors:  false: the text is not an address; nothing was written. */
#ifndef ADDR_H
#define ADDR_H

#include <netinet/in.h>
#include <string.h>

#include <proa/types.h>

#define ADDR_TEXT_MAX 56 /* "[" 45 "]:65535" and NUL */

/* addr_parse reads "1.2.3.4:7400", "1.2.3.4", "[::1]:7400", "[::1]" or "::1".  Without a port the
   address gets default_port. */
bool addr_parse(const char *text, uint16_t default_port, struct proa_addr *ret);

/* addr_parse_prefix reads "10.0.0.1/24" or "fd00::1/64"; without "/" the prefix is the whole
   address.  ret->port is 0. */
bool addr_parse_prefix(const char *text, struct proa_addr *ret, uint8_t *ret_prefix);

/* addr_print writes "1.2.3.4:7400", "[::1]:7400" or "none", cut to len bytes with its NUL, and
   returns the length of the text written. */
size_t addr_print(const struct proa_addr *addr, char *buf, size_t len);

/* addr_v4 makes an IPv4 endpoint from host-order parts. */
struct proa_addr addr_v4(uint32_t ip, uint16_t port);

/* addr_set_v4 and addr_set_v6 take the address in network order, as it lies in a packet. */
static inline void addr_set_v4(struct proa_addr *ret, const uint8_t ip[4], uint16_t port)
{
    static const uint8_t mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

    memset(ret, 0, sizeof(*ret));
    memcpy(ret->ip, mapped, sizeof(mapped));
    memcpy(ret->ip + 12, ip, 4);
    ret->port = port;
    ret->family = 4;
}

static inline void addr_set_v6(struct proa_addr *ret, const uint8_t ip[16], uint16_t port)
{
    memset(ret, 0, sizeof(*ret));
    memcpy(ret->ip, ip, 16);
    ret->port = port;
    ret->family = 6;
}

static inline bool addr_equal(const struct proa_addr *a, const struct proa_addr *b)
{
    return memcmp(a, b, sizeof(*a)) == 0;
}

/* The same host, whatever the port. */
static inline bool addr_same_ip(const struct proa_addr *a, const struct proa_addr *b)
{
    return a->family == b->family && memcmp(a->ip, b->ip, sizeof(a->ip)) == 0;
}

/* addr_in_prefix: the first `prefix` bits of both are equal, and their families. */
bool addr_in_prefix(const struct proa_addr *addr, const struct proa_addr *network,
                    unsigned prefix);

/* addr_is_mapped: 16 bytes that spell an IPv4 address. */
bool addr_is_mapped(const uint8_t ip[16]);

/* addr_hash: 64 mixed bits of ip and port, not keyed: for tables of addresses we chose. */
uint64_t addr_hash(const struct proa_addr *addr);

/* To and from the kernel.  addr_to_sockaddr returns the length used, 0 for family 0. */
socklen_t addr_to_sockaddr(const struct proa_addr *addr, struct sockaddr_storage *ret);
bool addr_from_sockaddr(const struct sockaddr_storage *from, struct proa_addr *ret);

#endif
