/* SPDX-License-Identifier: Apache-2.0 */
#include "udp_socket.h"

#include <errno.h>
#include <ifaddrs.h>
#include <linux/filter.h>
#include <net/if.h>
#include <netinet/ip.h>
#include <netinet/udp.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "addr.h"
#include "net.h"
#include "packet.h"

#define BUFFER_BYTES (4 << 20) /* of a socket, each way: a few ms at 10 Gbit/s */
#define MTU_DEFAULT 1500u

static void fail(char *err, size_t err_len, const struct port_open_args *args,
                 const char *what, int error)
{
    const char *remedy = "";

    switch (error) {
    case EADDRINUSE:
        remedy = "; another program has this port: choose another, or 0 for any";
        break;
    case EADDRNOTAVAIL:
        remedy = "; no interface here has this address: see `ip addr`";
        break;
    case EACCES:
        remedy = "; ports below 1024 need CAP_NET_BIND_SERVICE";
        break;
    case EAFNOSUPPORT:
        remedy = "; this kernel has no such address family";
        break;
    }
    snprintf(err, err_len, "%s: %s: %s%s", args->config->spec, what, strerror(error),
             remedy);
}

static bool is_any(const struct proa_addr *addr)
{
    static const uint8_t zero[16];
    unsigned skip = addr->family == 4 ? 12 : 0;

    return memcmp(addr->ip + skip, zero, 16 - skip) == 0;
}

/* Options whose absence costs speed only are set without a look at the result. */
static void set_options(int fd, unsigned family)
{
    const int on = 1, bytes = BUFFER_BYTES;
    const int probe4 = IP_PMTUDISC_PROBE, probe6 = IPV6_PMTUDISC_PROBE;

    if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof(bytes)) != 0)
        setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes));
    if (setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &bytes, sizeof(bytes)) != 0)
        setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes));
    setsockopt(fd, SOL_UDP, UDP_GRO, &on, sizeof(on));
    if (family == 4) {
        setsockopt(fd, IPPROTO_IP, IP_MTU_DISCOVER, &probe4, sizeof(probe4));
    } else {
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
        setsockopt(fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, &probe6, sizeof(probe6));
    }
}

/* A bound socket, or -1 with errno. */
static int open_bound(const struct proa_addr *addr, bool shared)
{
    struct sockaddr_storage name;
    socklen_t len = addr_to_sockaddr(addr, &name);
    const int on = 1;
    int fd, error;

    fd = socket(name.ss_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    set_options(fd, addr->family);
    if (shared && setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on)) != 0)
        goto failed;
    if (bind(fd, (struct sockaddr *)&name, len) != 0)
        goto failed;
    return fd;
failed:
    error = errno;
    close(fd);
    errno = error;
    return -1;
}

static bool bound_address(int fd, struct proa_addr *ret)
{
    struct sockaddr_storage name;
    socklen_t len = sizeof(name);

    return getsockname(fd, (struct sockaddr *)&name, &len) == 0 &&
           addr_from_sockaddr(&name, ret);
}

/* The kernel asks this program which socket of the group gets a datagram: the lane of the link
   id, its lowest byte, where there is such a lane; else, and for KRPC, lane 0.  A load past the
   end of a short datagram returns 0 too.  Offset 0 is UDP's payload (socket(7)). */
static bool steer(int fd, unsigned lanes, uint32_t lead)
{
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 'd', 3, 0),
        BPF_STMT(BPF_LD | BPF_B | BPF_ABS, lead + PACKET_AT_DST_LINK),
        BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, lanes, 1, 0),
        BPF_STMT(BPF_RET | BPF_A, 0),
        BPF_STMT(BPF_RET | BPF_K, 0),
    };
    struct sock_fprog program = {.len = sizeof(code) / sizeof(code[0]), .filter = code};

    return setsockopt(fd, SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF, &program,
                      sizeof(program)) == 0;
}

/* The address packets to far away leave from; nothing is sent by connecting. */
static bool default_source(unsigned family, struct proa_addr *ret)
{
    struct proa_addr far = addr_v4(192u << 24 | 2 << 8 | 1, 9); /* TEST-NET-1, RFC 5737 */
    struct sockaddr_storage name;
    bool found;
    socklen_t len;
    int fd;

    if (family == 6)
        addr_parse("[2001:db8::1]:9", 9, &far); /* RFC 3849 */
    len = addr_to_sockaddr(&far, &name);
    fd = socket(name.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return false;
    found = connect(fd, (struct sockaddr *)&name, len) == 0 && bound_address(fd, ret);
    close(fd);
    return found;
}

/* MTU of the interface that has the address, at most MTU_DEFAULT. */
static uint16_t interface_mtu(int fd, const struct proa_addr *addr)
{
    struct ifaddrs *list, *at;
    uint32_t mtu = MTU_DEFAULT;

    if (getifaddrs(&list) != 0)
        return MTU_DEFAULT;
    for (at = list; at != NULL; at = at->ifa_next) {
        struct sockaddr_storage name = {0};
        struct proa_addr there;
        struct ifreq request = {0};

        if (at->ifa_addr == NULL)
            continue;
        memcpy(&name, at->ifa_addr,
               at->ifa_addr->sa_family == AF_INET    ? sizeof(struct sockaddr_in)
               : at->ifa_addr->sa_family == AF_INET6 ? sizeof(struct sockaddr_in6)
                                                     : sizeof(sa_family_t));
        if (!addr_from_sockaddr(&name, &there) || !addr_same_ip(&there, addr))
            continue;
        snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", at->ifa_name);
        if (ioctl(fd, SIOCGIFMTU, &request) == 0 && (uint32_t)request.ifr_mtu < mtu)
            mtu = (uint32_t)request.ifr_mtu;
        break;
    }
    freeifaddrs(list);
    return (uint16_t)mtu;
}

/* Loopback leads to this host only; all else the kernel routes. */
static uint8_t own_prefix(const struct proa_addr *addr)
{
    static const uint8_t loopback6[16] = {[15] = 1};

    if (addr->family == 4)
        return addr->ip[12] == 127 ? 96 + 8 : 96;
    return memcmp(addr->ip, loopback6, 16) == 0 ? 128 : 0;
}

/* What others reach the port by. */
static bool set_addresses(struct port *port, const struct port_open_args *args, int fd,
                          const struct proa_addr *bound, char *err, size_t err_len)
{
    if (!port_address_config(port, args, err, err_len))
        return false;
    if (port->address.family == 0) {
        port->address = *bound;
        if (is_any(bound) && !default_source(bound->family, &port->address)) {
            snprintf(
                err, err_len,
                "%s: no route leads out of this host; name the address to be reached "
                "by in `address`",
                args->config->spec);
            return false;
        }
        port->prefix = own_prefix(&port->address);
    } else if (port->address.family != bound->family) {
        snprintf(err, err_len, "%s: `address` is of the other family",
                 args->config->spec);
        return false;
    }
    port->address.port = bound->port;
    if (!port_mtu_config(port, args, interface_mtu(fd, &port->address), err, err_len))
        return false;
    port_set_address(port);
    return true;
}

bool udp_sockets_open(struct udp_sockets *ret, const struct port_open_args *args,
                      struct port *port, char *err, size_t err_len)
{
    const char *text = args->config->spec + strlen("udp:");
    uint16_t udp_port = args->udp_port != 0 ? args->udp_port : PROA_PORT;
    bool shared = args->queues > 1;
    struct proa_addr addr;
    unsigned n = 0;

    if (!addr_parse(text, udp_port, &addr)) {
        snprintf(
            err, err_len,
            "%s: \"%s\" is not an address; write udp:127.0.0.1:7400 or udp:[::1]:7400",
            args->config->spec, text);
        return false;
    }
    /* Alone first: SO_REUSEPORT would let a second node join the first one's port unseen. */
    ret->fds[0] = open_bound(&addr, false);
    n = ret->fds[0] >= 0 ? 1 : 0;
    if (n == 0 || !bound_address(ret->fds[0], &ret->bound)) {
        fail(err, err_len, args, "cannot bind", errno);
        goto failed;
    }
    if (shared)
        close(ret->fds[--n]);
    while (n < args->queues) {
        ret->fds[n] = open_bound(&ret->bound, true);
        if (ret->fds[n] < 0) {
            fail(err, err_len, args, "cannot bind a socket per lane", errno);
            goto failed;
        }
        n++;
    }
    if (shared && !steer(ret->fds[0], args->queues, net_lead(addr.family))) {
        fail(err, err_len, args, "cannot attach the steering program", errno);
        goto failed;
    }
    if (!set_addresses(port, args, ret->fds[0], &ret->bound, err, err_len))
        goto failed;
    return true;
failed:
    while (n > 0)
        close(ret->fds[--n]);
    return false;
}
