/* SPDX-License-Identifier: Apache-2.0 */
#include "neighbours.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include <libmnl/libmnl.h>
#include <linux/if.h>
#include <linux/if_link.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>

#include "addr.h"
#include "eal.h"
#include "keep.h"

#define LOOK_MS 1000  /* between looks at entries that have grown old */
#define USE_EVERY 10u /* looks: the kernel is told that a neighbour is in use */
#define BUFFER 16384

struct neighbours {
    unsigned interface;
    struct next_hops *hops;
    struct mnl_socket *events, *ask;
    int stop; /* eventfd */
    pthread_t thread;
    struct keeper keeper; /* RTM_NEWNEIGH needs CAP_NET_ADMIN each time */
    unsigned serial;
    _Atomic bool up;
    struct port *port;
};

/* ---- Asking the kernel ---- */

static bool is_v4(const uint8_t ip[16])
{
    return addr_is_mapped(ip);
}

static void put_ip(struct nlmsghdr *h, uint16_t type, const uint8_t ip[16])
{
    if (is_v4(ip))
        mnl_attr_put(h, type, 4, ip + 12);
    else
        mnl_attr_put(h, type, 16, ip);
}

static void take_ip(const struct nlattr *a, uint8_t ret[16])
{
    static const uint8_t mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

    if (mnl_attr_get_payload_len(a) == 4) {
        memcpy(ret, mapped, 12);
        memcpy(ret + 12, mnl_attr_get_payload(a), 4);
    } else if (mnl_attr_get_payload_len(a) == 16) {
        memcpy(ret, mnl_attr_get_payload(a), 16);
    }
}

/* Sends a request and hands its answers to fn.  False: the kernel said no. */
static bool request(struct neighbours *n, struct nlmsghdr *h,
                    int (*fn)(const struct nlmsghdr *h, void *ctx), void *ctx)
{
    char buf[BUFFER];
    unsigned port = mnl_socket_get_portid(n->ask);

    h->nlmsg_seq = ++n->serial;
    h->nlmsg_flags |= NLM_F_REQUEST | NLM_F_ACK;
    if (mnl_socket_sendto(n->ask, h, h->nlmsg_len) < 0)
        return false;
    for (;;) {
        ssize_t len = mnl_socket_recvfrom(n->ask, buf, sizeof(buf));

        if (len < 0)
            return false;
        int status = mnl_cb_run(buf, (size_t)len, n->serial, port, fn, ctx);
        if (status <= MNL_CB_STOP)
            return status == MNL_CB_STOP;
    }
}

struct route {
    unsigned interface;
    bool gateway;
    uint8_t hop[16];
};

static int on_route(const struct nlmsghdr *h, void *ctx)
{
    struct route *route = ctx;
    const struct nlattr *a;

    if (h->nlmsg_type != RTM_NEWROUTE)
        return MNL_CB_OK;
    mnl_attr_for_each(a, h, sizeof(struct rtmsg))
    {
        if (mnl_attr_get_type(a) == RTA_OIF && mnl_attr_get_payload_len(a) == 4)
            route->interface = mnl_attr_get_u32(a);
        if (mnl_attr_get_type(a) == RTA_GATEWAY) {
            take_ip(a, route->hop);
            route->gateway = true;
        }
        if (mnl_attr_get_type(a) == RTA_VIA && mnl_attr_get_payload_len(a) == 18) {
            memcpy(route->hop, (const uint8_t *)mnl_attr_get_payload(a) + 2, 16);
            route->gateway = true;
        }
    }
    return MNL_CB_OK;
}

/* Where the kernel would send packets for e; false: not by this interface. */
static bool find_route(struct neighbours *n, struct next_hop *e)
{
    char buf[256];
    struct nlmsghdr *h = mnl_nlmsg_put_header(buf);
    struct rtmsg *rt;
    struct route route = {0};

    h->nlmsg_type = RTM_GETROUTE;
    rt = mnl_nlmsg_put_extra_header(h, sizeof(*rt));
    rt->rtm_family = is_v4(e->ip) ? AF_INET : AF_INET6;
    rt->rtm_dst_len = is_v4(e->ip) ? 32 : 128;
    put_ip(h, RTA_DST, e->ip);
    mnl_attr_put_u32(h, RTA_OIF, n->interface);
    e->routed = request(n, h, on_route, &route) && route.interface == n->interface;
    memcpy(e->hop, route.gateway ? route.hop : e->ip, 16);
    return e->routed;
}

/* A neighbour's record, in an answer or as news. */
static int on_neighbour(const struct nlmsghdr *h, void *ctx)
{
    const uint16_t good =
        NUD_REACHABLE | NUD_STALE | NUD_DELAY | NUD_PROBE | NUD_PERMANENT | NUD_NOARP;
    struct neighbours *n = ctx;
    const struct ndmsg *nd = mnl_nlmsg_get_payload(h);
    const struct nlattr *a;
    const uint8_t *mac = NULL;
    uint8_t ip[16] = {0};

    if ((h->nlmsg_type != RTM_NEWNEIGH && h->nlmsg_type != RTM_DELNEIGH) ||
        (unsigned)nd->ndm_ifindex != n->interface)
        return MNL_CB_OK;
    mnl_attr_for_each(a, h, sizeof(*nd))
    {
        if (mnl_attr_get_type(a) == NDA_DST)
            take_ip(a, ip);
        if (mnl_attr_get_type(a) == NDA_LLADDR && mnl_attr_get_payload_len(a) == 6)
            mac = mnl_attr_get_payload(a);
    }
    if (h->nlmsg_type == RTM_DELNEIGH || (nd->ndm_state & good) == 0)
        mac = NULL;
    next_hops_reach(n->hops, ip, mac);
    return MNL_CB_OK;
}

static struct nlmsghdr *neighbour_request(char *buf, uint16_t type, uint16_t flags,
                                          const struct neighbours *n, const uint8_t *hop)
{
    struct nlmsghdr *h = mnl_nlmsg_put_header(buf);
    struct ndmsg *nd;

    h->nlmsg_type = type;
    h->nlmsg_flags = flags;
    nd = mnl_nlmsg_put_extra_header(h, sizeof(*nd));
    nd->ndm_family = is_v4(hop) ? AF_INET : AF_INET6;
    nd->ndm_ifindex = (int)n->interface;
    if (type == RTM_NEWNEIGH) {
        nd->ndm_flags = NTF_USE;
        nd->ndm_state = NUD_NONE;
    }
    put_ip(h, NDA_DST, hop);
    return h;
}

static void resolve(struct neighbours *n, struct next_hop *e)
{
    char buf[256];

    e->age = 0;
    if (!find_route(n, e)) {
        next_hops_put(n->hops, e, NULL);
        return;
    }
    (void)request(n, neighbour_request(buf, RTM_GETNEIGH, 0, n, e->hop), on_neighbour, n);
    /* As if the kernel had something to send: it finds the address, or makes sure of it. */
    (void)request(n, neighbour_request(buf, RTM_NEWNEIGH, NLM_F_CREATE, n, e->hop), NULL,
                  NULL);
}

/* ---- News ---- */

static void look_again(struct neighbours *n);

static void take_link(struct neighbours *n, const struct nlmsghdr *h,
                      const struct ifinfomsg *link)
{
    const unsigned running = IFF_UP | IFF_RUNNING;
    const struct nlattr *a;

    atomic_store(&n->up, (link->ifi_flags & running) == running);
    mnl_attr_for_each(a, h, sizeof(*link))
    {
        if (mnl_attr_get_type(a) == IFLA_MTU && mnl_attr_get_payload_len(a) == 4)
            port_follow_mtu(n->port, mnl_attr_get_u32(a));
    }
}

static int on_news(const struct nlmsghdr *h, void *ctx)
{
    struct neighbours *n = ctx;
    const struct ifinfomsg *link = mnl_nlmsg_get_payload(h);

    switch (h->nlmsg_type) {
    case RTM_NEWNEIGH:
    case RTM_DELNEIGH:
        return on_neighbour(h, ctx);
    case RTM_NEWLINK:
        if ((unsigned)link->ifi_index != n->interface)
            return MNL_CB_OK;
        take_link(n, h, link);
        return MNL_CB_OK;
    case RTM_DELLINK:
        if ((unsigned)link->ifi_index == n->interface)
            atomic_store(&n->up, false);
        return MNL_CB_OK;
    case RTM_NEWROUTE:
    case RTM_DELROUTE:
        look_again(n);
        return MNL_CB_OK;
    default:
        return MNL_CB_OK;
    }
}

static void look_again(struct neighbours *n)
{
    for (unsigned i = 0; i < NEXT_HOPS_MAX; i++) {
        struct next_hop *e = next_hops_at(n->hops, i);

        if (e != NULL) {
            e->age = USE_EVERY; /* in a moment */
            atomic_store(&e->seen, true);
        }
    }
}

static bool look_at_link(struct neighbours *n);

static void take_news(struct neighbours *n)
{
    char buf[BUFFER];
    ssize_t len = mnl_socket_recvfrom(n->events, buf, sizeof(buf));

    if (len > 0)
        (void)mnl_cb_run(buf, (size_t)len, 0, 0, on_news, n);
    if (len < 0 && errno == ENOBUFS) { /* more happened than was told */
        (void)look_at_link(n);
        look_again(n);
    }
}

static void take_want(void *ctx, struct next_hop *e)
{
    resolve(ctx, e);
}

/* Those that are known are said to be in use, so that the kernel keeps them; others wait for who
   wants them. */
static void look(struct neighbours *n)
{
    for (unsigned i = 0; i < NEXT_HOPS_MAX; i++) {
        struct next_hop *e = next_hops_at(n->hops, i);

        if (e == NULL || ++e->age < USE_EVERY || !next_hop_known(e))
            continue;
        if (next_hop_take_seen(e))
            resolve(n, e);
        else
            next_hops_put(n->hops, e, NULL); /* nobody sends there any more */
    }
}

static void *follow(void *arg)
{
    struct neighbours *n = arg;
    struct pollfd fds[4] = {{.fd = n->stop, .events = POLLIN},
                            {.fd = next_hops_fd(n->hops), .events = POLLIN},
                            {.fd = mnl_socket_get_fd(n->events), .events = POLLIN},
                            {.fd = n->keeper.fd, .events = POLLIN}};
    struct timespec began, now;

    eal_pin_control();
    clock_gettime(CLOCK_MONOTONIC, &began);
    while (poll(fds, 4, LOOK_MS) >= 0 || errno == EINTR) {
        if (fds[0].revents != 0)
            break;
        if (fds[1].revents != 0)
            next_hops_take_wants(n->hops, take_want, n);
        if (fds[2].revents != 0)
            take_news(n);
        if (fds[3].revents != 0)
            keep_serve(&n->keeper);
        clock_gettime(CLOCK_MONOTONIC, &now);
        if (now.tv_sec != began.tv_sec) {
            began = now;
            look(n);
        }
    }
    return NULL;
}

bool neighbours_up(const struct neighbours *n)
{
    return atomic_load_explicit(&n->up,
                                memory_order_relaxed); /* relaxed: a state alone */
}

/* ---- Life ---- */

static struct mnl_socket *listen_to_news(void)
{
    const int groups[] = {RTNLGRP_LINK, RTNLGRP_NEIGH, RTNLGRP_IPV4_ROUTE,
                          RTNLGRP_IPV6_ROUTE};
    struct mnl_socket *s = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC | SOCK_NONBLOCK);

    if (s == NULL)
        return NULL;
    if (mnl_socket_bind(s, 0, MNL_SOCKET_AUTOPID) != 0) {
        mnl_socket_close(s);
        return NULL;
    }
    for (size_t i = 0; i < sizeof(groups) / sizeof(groups[0]); i++)
        (void)mnl_socket_setsockopt(s, NETLINK_ADD_MEMBERSHIP, (void *)&groups[i],
                                    sizeof(groups[i]));
    return s;
}

static bool look_at_link(struct neighbours *n)
{
    char buf[256];
    struct nlmsghdr *h = mnl_nlmsg_put_header(buf);
    struct ifinfomsg *link;

    h->nlmsg_type = RTM_GETLINK;
    link = mnl_nlmsg_put_extra_header(h, sizeof(*link));
    link->ifi_family = AF_UNSPEC;
    link->ifi_index = (int)n->interface;
    return request(n, h, on_news, n);
}

static bool start(struct neighbours *n)
{
    sigset_t all, before;
    bool ok;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    ok = keep_open(&n->keeper) && pthread_create(&n->thread, NULL, follow, n) == 0;
    keep_born(&n->keeper);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return ok;
}

static void release(struct neighbours *n)
{
    keep_close(&n->keeper);
    if (n->events != NULL)
        mnl_socket_close(n->events);
    if (n->ask != NULL)
        mnl_socket_close(n->ask);
    if (n->stop >= 0)
        close(n->stop);
    free(n);
}

struct neighbours *neighbours_open(unsigned interface, struct next_hops *hops,
                                   struct port *port, char *err, size_t err_len)
{
    struct neighbours *n = calloc(1, sizeof(*n));

    if (n == NULL) {
        snprintf(err, err_len, "no memory");
        return NULL;
    }
    n->interface = interface;
    n->hops = hops;
    n->port = port;
    n->stop = eventfd(0, EFD_CLOEXEC);
    n->events = listen_to_news();
    n->ask = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC);
    if (n->stop < 0 || n->events == NULL || n->ask == NULL ||
        mnl_socket_bind(n->ask, 0, MNL_SOCKET_AUTOPID) != 0 || !look_at_link(n) ||
        !start(n)) {
        snprintf(err, err_len, "following its routes and neighbours: %s",
                 strerror(errno));
        release(n);
        return NULL;
    }
    return n;
}

void neighbours_close(struct neighbours *n)
{
    const uint64_t one = 1;

    if (n == NULL)
        return;
    if (write(n->stop, &one, sizeof(one)) != sizeof(one))
        abort(); /* nobody else writes it */
    pthread_join(n->thread, NULL);
    release(n);
}
