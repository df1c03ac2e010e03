/* SPDX-License-Identifier: Apache-2.0 */
#include "addr.h"

#include <arpa/inet.h>
#include <stdio.h>

struct proa_addr addr_v4(uint32_t ip, uint16_t port)
{
    const uint8_t bytes[4] = {(uint8_t)(ip >> 24), (uint8_t)(ip >> 16),
                              (uint8_t)(ip >> 8), (uint8_t)ip};
    struct proa_addr addr;

    addr_set_v4(&addr, bytes, port);
    return addr;
}

bool addr_is_mapped(const uint8_t ip[16])
{
    static const uint8_t mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

    return memcmp(ip, mapped, sizeof(mapped)) == 0;
}

/* Decimal digits only, at least one, no more than max. */
static bool parse_number(const char *text, uint32_t max, uint32_t *ret)
{
    uint32_t value = 0;

    if (*text == '\0')
        return false;
    for (; *text != '\0'; text++) {
        if (*text < '0' || *text > '9')
            return false;
        value = value * 10 + (uint32_t)(*text - '0');
        if (value > max)
            return false;
    }
    *ret = value;
    return true;
}

static bool parse_ip(const char *text, struct proa_addr *ret)
{
    uint8_t bytes[16];

    if (inet_pton(AF_INET, text, bytes) == 1) {
        addr_set_v4(ret, bytes, 0);
        return true;
    }
    if (inet_pton(AF_INET6, text, bytes) != 1)
        return false;
    if (addr_is_mapped(bytes))
        addr_set_v4(ret, bytes + 12, 0);
    else
        addr_set_v6(ret, bytes, 0);
    return true;
}

/* Cuts text into the address and what follows it: ":port", or "" when there is none. */
static bool split(const char *text, char ip[ADDR_TEXT_MAX], const char **ret_rest)
{
    const char *end;
    size_t len;

    if (*text == '[') {
        text++;
        end = strchr(text, ']');
        if (end == NULL || (end[1] != ':' && end[1] != '\0'))
            return false;
        *ret_rest = end + 1;
    } else {
        end = strchr(text, ':');
        if (end == NULL || strchr(end + 1, ':') != NULL)
            end = text + strlen(text); /* no port, or an IPv6 address without brackets */
        *ret_rest = end;
    }
    len = (size_t)(end - text);
    if (len == 0 || len >= ADDR_TEXT_MAX)
        return false;
    memcpy(ip, text, len);
    ip[len] = '\0';
    return true;
}

bool addr_parse(const char *text, uint16_t default_port, struct proa_addr *ret)
{
    char ip[ADDR_TEXT_MAX];
    const char *rest;
    struct proa_addr addr;
    uint32_t port = default_port;

    if (!split(text, ip, &rest) || !parse_ip(ip, &addr))
        return false;
    if (text[0] == '[' && strchr(ip, ':') == NULL)
        return false; /* brackets belong to IPv6 */
    if (rest[0] == ':' && !parse_number(rest + 1, UINT16_MAX, &port))
        return false;
    addr.port = (uint16_t)port;
    *ret = addr;
    return true;
}

bool addr_parse_prefix(const char *text, struct proa_addr *ret, uint8_t *ret_prefix)
{
    char ip[ADDR_TEXT_MAX];
    const char *slash = strchr(text, '/');
    size_t len = slash != NULL ? (size_t)(slash - text) : strlen(text);
    struct proa_addr addr;
    uint32_t bits;

    if (len == 0 || len >= sizeof(ip))
        return false;
    memcpy(ip, text, len);
    ip[len] = '\0';
    if (!parse_ip(ip, &addr))
        return false;
    bits = addr.family == 4 ? 32 : 128;
    if (slash != NULL && !parse_number(slash + 1, bits, &bits))
        return false;
    *ret = addr;
    *ret_prefix = (uint8_t)(addr.family == 4 ? 96 + bits : bits);
    return true;
}

size_t addr_print(const struct proa_addr *addr, char *buf, size_t len)
{
    char ip[INET6_ADDRSTRLEN];
    int n;

    if (len == 0)
        return 0;
    if (addr->family == 4) {
        inet_ntop(AF_INET, addr->ip + 12, ip, sizeof(ip));
        n = snprintf(buf, len, "%s:%u", ip, addr->port);
    } else if (addr->family == 6) {
        inet_ntop(AF_INET6, addr->ip, ip, sizeof(ip));
        n = snprintf(buf, len, "[%s]:%u", ip, addr->port);
    } else {
        n = snprintf(buf, len, "none");
    }
    return (size_t)n < len ? (size_t)n : len - 1;
}

bool addr_in_prefix(const struct proa_addr *addr, const struct proa_addr *network,
                    unsigned prefix)
{
    unsigned bytes = prefix / 8, bits = prefix % 8;

    if (addr->family != network->family || prefix > 128)
        return false;
    if (memcmp(addr->ip, network->ip, bytes) != 0)
        return false;
    return bits == 0 || (addr->ip[bytes] ^ network->ip[bytes]) >> (8 - bits) == 0;
}

uint64_t addr_hash(const struct proa_addr *addr)
{
    uint64_t a, b, h;

    memcpy(&a, addr->ip, 8);
    memcpy(&b, addr->ip + 8, 8);
    h = a ^ (b * 0x9e3779b97f4a7c15u) ^ addr->port;
    h = (h ^ (h >> 30)) *
        0xbf58476d1ce4e5b9u; /* the finisher of splitmix64 (Steele, 2014) */
    h = (h ^ (h >> 27)) * 0x94d049bb133111ebu;
    return h ^ (h >> 31);
}

socklen_t addr_to_sockaddr(const struct proa_addr *addr, struct sockaddr_storage *ret)
{
    struct sockaddr_in *four = (struct sockaddr_in *)ret;
    struct sockaddr_in6 *six = (struct sockaddr_in6 *)ret;

    if (addr->family == 4) {
        memset(four, 0, sizeof(*four));
        four->sin_family = AF_INET;
        four->sin_port = htons(addr->port);
        memcpy(&four->sin_addr, addr->ip + 12, 4);
        return sizeof(*four);
    }
    if (addr->family == 6) {
        memset(six, 0, sizeof(*six));
        six->sin6_family = AF_INET6;
        six->sin6_port = htons(addr->port);
        memcpy(&six->sin6_addr, addr->ip, 16);
        return sizeof(*six);
    }
    return 0;
}

bool addr_from_sockaddr(const struct sockaddr_storage *from, struct proa_addr *ret)
{
    const struct sockaddr_in *four = (const struct sockaddr_in *)from;
    const struct sockaddr_in6 *six = (const struct sockaddr_in6 *)from;

    if (from->ss_family == AF_INET) {
        addr_set_v4(ret, (const uint8_t *)&four->sin_addr, ntohs(four->sin_port));
        return true;
    }
    if (from->ss_family != AF_INET6)
        return false;
    if (addr_is_mapped(six->sin6_addr.s6_addr))
        addr_set_v4(ret, six->sin6_addr.s6_addr + 12, ntohs(six->sin6_port));
    else
        addr_set_v6(ret, six->sin6_addr.s6_addr, ntohs(six->sin6_port));
    return true;
}
