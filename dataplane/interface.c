/* SPDX-License-Identifier: Apache-2.0 */
#include "interface.h"

#include <errno.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <linux/ethtool.h>
#include <linux/sockios.h>

#include "addr.h"

#define TOEPLITZ 1 /* ETH_RSS_HASH_TOP of the kernel, which its header does not give */

/* Queues that carry both ways; drivers that do not say have one. */
static unsigned queues_of(int fd, const char *name)
{
    struct ethtool_channels channels = {.cmd = ETHTOOL_GCHANNELS};
    struct ifreq request = {.ifr_data = (char *)&channels};
    unsigned both;

    snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", name);
    if (ioctl(fd, SIOCETHTOOL, &request) != 0)
        return 1;
    both = channels.rx_count < channels.tx_count ? channels.rx_count : channels.tx_count;
    both += channels.combined_count;
    return both > 0 ? both : 1;
}

static bool ask(int fd, const char *name, unsigned long what, struct ifreq *ret)
{
    memset(ret, 0, sizeof(*ret));
    snprintf(ret->ifr_name, sizeof(ret->ifr_name), "%s", name);
    return ioctl(fd, what, ret) == 0;
}

static bool look(int fd, const char *name, struct interface *ret, char *err,
                 size_t err_len)
{
    struct ifreq answer;

    if (!ask(fd, name, SIOCGIFINDEX, &answer)) {
        snprintf(err, err_len, "af_xdp:%s: there is no such interface here; see: ip link",
                 name);
        return false;
    }
    ret->index = (unsigned)answer.ifr_ifindex;
    if (!ask(fd, name, SIOCGIFFLAGS, &answer) || (answer.ifr_flags & IFF_UP) == 0) {
        snprintf(err, err_len, "af_xdp:%s: is down; ip link set %s up", name, name);
        return false;
    }
    if (!ask(fd, name, SIOCGIFHWADDR, &answer) ||
        answer.ifr_hwaddr.sa_family != ARPHRD_ETHER) {
        snprintf(err, err_len, "af_xdp:%s: is no Ethernet interface", name);
        return false;
    }
    memcpy(ret->mac, answer.ifr_hwaddr.sa_data, sizeof(ret->mac));
    if (!ask(fd, name, SIOCGIFMTU, &answer)) {
        snprintf(err, err_len, "af_xdp:%s: its MTU: %s", name, strerror(errno));
        return false;
    }
    ret->mtu = (uint32_t)answer.ifr_mtu;
    ret->queues = queues_of(fd, name);
    return true;
}

bool interface_look(const char *name, struct interface *ret, char *err, size_t err_len)
{
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    bool ok;

    memset(ret, 0, sizeof(*ret));
    if (fd < 0) {
        snprintf(err, err_len, "af_xdp:%s: %s", name, strerror(errno));
        return false;
    }
    snprintf(ret->name, sizeof(ret->name), "%s", name);
    ok = look(fd, name, ret, err, err_len);
    close(fd);
    return ok;
}

static bool ethtool(int fd, const char *name, void *command)
{
    struct ifreq request = {.ifr_data = command};

    snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", name);
    return ioctl(fd, SIOCETHTOOL, &request) == 0;
}

static bool read_rss(int fd, const char *name, struct interface_rss *ret)
{
    struct ethtool_rxfh sizes = {.cmd = ETHTOOL_GRSSH}, *all;
    size_t words = sizeof(ret->table) / sizeof(ret->table[0]);
    bool ok;

    if (!ethtool(fd, name, &sizes) || sizes.indir_size == 0 || sizes.indir_size > words ||
        sizes.key_size == 0 || sizes.key_size > sizeof(ret->key))
        return false;
    all = calloc(1, sizeof(*all) + sizes.indir_size * sizeof(uint32_t) + sizes.key_size);
    if (all == NULL)
        return false;
    *all = (struct ethtool_rxfh){
        .cmd = ETHTOOL_GRSSH, .indir_size = sizes.indir_size, .key_size = sizes.key_size};
    ok = ethtool(fd, name, all) && (all->hfunc == 0 || all->hfunc == TOEPLITZ) &&
         all->indir_size == sizes.indir_size && all->key_size == sizes.key_size;
    for (size_t i = 0; ok && i < sizes.indir_size; i++)
        ret->table[i] = (uint16_t)all->rss_config[i];
    if (ok)
        memcpy(ret->key, &all->rss_config[sizes.indir_size], sizes.key_size);
    ret->table_size = sizes.indir_size;
    ret->key_len = sizes.key_size;
    free(all);
    return ok;
}

bool interface_rss(const char *name, unsigned family, struct interface_rss *ret)
{
    struct ethtool_rxnfc hash = {.cmd = ETHTOOL_GRXFH,
                                 .flow_type = family == 6 ? UDP_V6_FLOW : UDP_V4_FLOW};
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    bool ok = fd >= 0 && read_rss(fd, name, ret);

    if (ok)
        ret->by_port = !ethtool(fd, name, &hash) ||
                       (hash.data & RXH_L4_B_0_1) != 0; /* unknown: try */
    if (fd >= 0)
        close(fd);
    return ok;
}

static unsigned bits_of(const uint8_t *mask, size_t len)
{
    unsigned bits = 0;

    while (bits < 8 * len && (mask[bits / 8] & 0x80u >> bits % 8) != 0)
        bits++;
    return bits;
}

/* One address of the interface; false: not of IP, or one that only its own link knows. */
static bool take(const struct ifaddrs *i, struct proa_addr *ret, uint8_t *ret_bits)
{
    if (i->ifa_addr == NULL || i->ifa_netmask == NULL)
        return false;
    if (i->ifa_addr->sa_family == AF_INET) {
        const struct sockaddr_in *in = (const void *)i->ifa_addr;
        const struct sockaddr_in *mask = (const void *)i->ifa_netmask;

        addr_set_v4(ret, (const uint8_t *)&in->sin_addr, 0);
        *ret_bits = (uint8_t)(96 + bits_of((const uint8_t *)&mask->sin_addr, 4));
        return true;
    }
    if (i->ifa_addr->sa_family == AF_INET6) {
        const struct sockaddr_in6 *in = (const void *)i->ifa_addr;
        const struct sockaddr_in6 *mask = (const void *)i->ifa_netmask;

        if (IN6_IS_ADDR_LINKLOCAL(&in->sin6_addr))
            return false;
        addr_set_v6(ret, in->sin6_addr.s6_addr, 0);
        *ret_bits = (uint8_t)bits_of(mask->sin6_addr.s6_addr, 16);
        return true;
    }
    return false;
}

bool interface_address(const char *name, struct proa_addr *addr, uint8_t *ret_bits)
{
    struct ifaddrs *all, *i;
    uint16_t port = addr->port;
    bool found = false;

    if (getifaddrs(&all) != 0)
        return false;
    for (i = all; i != NULL && !found; i = i->ifa_next) {
        struct proa_addr have;
        uint8_t bits;

        memset(&have, 0, sizeof(have));
        if (strcmp(i->ifa_name, name) != 0 || !take(i, &have, &bits))
            continue;
        found = addr->family == 0 || memcmp(have.ip, addr->ip, sizeof(have.ip)) == 0;
        if (found) {
            *addr = have;
            addr->port = port;
            *ret_bits = bits;
        }
    }
    freeifaddrs(all);
    return found;
}
