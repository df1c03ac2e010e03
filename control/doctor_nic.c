/* SPDX-License-Identifier: Apache-2.0 */
/* What the kernel answers about an interface: ioctls of ethtool, libbpf's question for XDP
   programs, and the generic netlink family "netdev" for what its driver can do with them. */
#include <stdarg.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <libmnl/libmnl.h>
#include <linux/ethtool.h>
#include <linux/genetlink.h>
#include <linux/sockios.h>

#include "addr.h"
#include "doctor_system.h"
#include "interface.h"

#define TABLE_MAX 4096u /* entries of an RSS table that are looked at */

/* linux/netdev.h came with 6.3. */
#define NETDEV_GET 1          /* NETDEV_CMD_DEV_GET */
#define NETDEV_IFINDEX 1      /* NETDEV_A_DEV_IFINDEX */
#define NETDEV_XDP_FEATURES 3 /* NETDEV_A_DEV_XDP_FEATURES */

/* ---- ethtool ---- */

static bool ask(int fd, const char *name, unsigned long request, struct ifreq *ret)
{
    memset(ret, 0, sizeof(*ret));
    snprintf(ret->ifr_name, sizeof(ret->ifr_name), "%s", name);
    return ioctl(fd, request, ret) == 0;
}

static bool ethtool(int fd, const char *name, void *data)
{
    struct ifreq request = {.ifr_data = data};

    snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", name);
    return ioctl(fd, SIOCETHTOOL, &request) == 0;
}

static void ask_queues(int fd, const char *name, struct doctor_nic *ret)
{
    struct ethtool_channels channels = {.cmd = ETHTOOL_GCHANNELS};

    ret->queues = 1; /* drivers that do not say have one */
    ret->queues_max = 1;
    if (!ethtool(fd, name, &channels))
        return;
    ret->queues =
        channels.combined_count +
        (channels.rx_count < channels.tx_count ? channels.rx_count : channels.tx_count);
    if (ret->queues == 0)
        ret->queues = 1;
    /* What `ethtool -L NAME combined N` takes. */
    ret->queues_max = channels.max_combined;
}

static void ask_rings(int fd, const char *name, struct doctor_nic *ret)
{
    struct ethtool_ringparam rings = {.cmd = ETHTOOL_GRINGPARAM};

    if (!ethtool(fd, name, &rings))
        return;
    ret->rx_ring = rings.rx_pending;
    ret->rx_ring_max = rings.rx_max_pending;
    ret->tx_ring = rings.tx_pending;
    ret->tx_ring_max = rings.tx_max_pending;
}

static void ask_coalescing(int fd, const char *name, struct doctor_nic *ret)
{
    struct ethtool_coalesce coalesce = {.cmd = ETHTOOL_GCOALESCE};

    ret->has_coalesce = ethtool(fd, name, &coalesce);
    if (!ret->has_coalesce)
        return;
    ret->rx_usecs = coalesce.rx_coalesce_usecs;
    ret->adaptive_rx = coalesce.use_adaptive_rx_coalesce != 0;
}

/* How many different queues the RSS table names. */
static void ask_table(int fd, const char *name, struct doctor_nic *ret)
{
    struct ethtool_rxfh_indir *table =
        calloc(1, sizeof(*table) + TABLE_MAX * sizeof(table->ring_index[0]));
    bool seen[1024] = {false};

    if (table == NULL)
        return;
    table->cmd = ETHTOOL_GRXFHINDIR;
    if (ethtool(fd, name, table) && table->size > 0 && table->size <= TABLE_MAX) {
        table->cmd = ETHTOOL_GRXFHINDIR; /* size is as large as it must be now */
        if (ethtool(fd, name, table) && table->size <= TABLE_MAX)
            ret->table = table->size;
    }
    for (uint32_t i = 0; i < ret->table; i++) {
        uint32_t queue = table->ring_index[i];
        if (queue < 1024 && !seen[queue]) {
            seen[queue] = true;
            ret->table_queues++;
        }
    }
    free(table);
}

static void ask_hash(int fd, const char *name, struct doctor_nic *ret)
{
    struct ethtool_rxnfc hash = {.cmd = ETHTOOL_GRXFH, .flow_type = UDP_V4_FLOW};
    const uint64_t ports = RXH_L4_B_0_1 | RXH_L4_B_2_3;

    ret->has_udp_hash = ethtool(fd, name, &hash);
    ret->udp_ports_hashed = ret->has_udp_hash && (hash.data & ports) == ports;
}

static void ask_offloads(int fd, const char *name, struct doctor_nic *ret)
{
    struct ethtool_value flags = {.cmd = ETHTOOL_GFLAGS};

    ret->lro = ethtool(fd, name, &flags) && (flags.data & ETH_FLAG_LRO) != 0;
}

/* ---- XDP ---- */

static void ask_program(struct doctor_nic *ret)
{
    struct bpf_xdp_query_opts query = {.sz = sizeof(query)};
    struct bpf_prog_info info = {0};
    uint32_t len = sizeof(info);
    int fd;

    if (bpf_xdp_query((int)ret->index, 0, &query) != 0)
        return;
    ret->program = query.prog_id != 0       ? query.prog_id
                   : query.drv_prog_id != 0 ? query.drv_prog_id
                                            : query.skb_prog_id;
    if (ret->program == 0)
        return;
    snprintf(ret->program_name, sizeof(ret->program_name), "?");
    fd = bpf_prog_get_fd_by_id(ret->program);
    if (fd < 0)
        return;
    if (bpf_obj_get_info_by_fd(fd, &info, &len) == 0)
        snprintf(ret->program_name, sizeof(ret->program_name), "%.15s", info.name);
    close(fd);
    doctor_print_safe(ret->program_name);
}

/* One question of generic netlink, with one attribute, and its answer's attributes. */
struct question {
    struct mnl_socket *socket;
    unsigned portid, seq;
    char buf[8192];
    mnl_attr_cb_t take;
    void *ctx;
};

static int take_message(const struct nlmsghdr *message, void *ctx)
{
    struct question *q = ctx;

    if (mnl_nlmsg_get_payload_len(message) < sizeof(struct genlmsghdr))
        return MNL_CB_ERROR;
    return mnl_attr_parse(message, sizeof(struct genlmsghdr), q->take, q->ctx) < 0
               ? MNL_CB_ERROR
               : MNL_CB_OK;
}

static struct nlmsghdr *begin(struct question *q, uint16_t family, uint8_t command)
{
    struct nlmsghdr *message = mnl_nlmsg_put_header(q->buf);
    struct genlmsghdr *generic;

    message->nlmsg_type = family;
    message->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK;
    message->nlmsg_seq = ++q->seq;
    generic = mnl_nlmsg_put_extra_header(message, sizeof(*generic));
    generic->cmd = command;
    generic->version = 1;
    return message;
}

static bool put_question(struct question *q, const struct nlmsghdr *message)
{
    ssize_t got;
    int status = MNL_CB_OK;

    if (mnl_socket_sendto(q->socket, message, message->nlmsg_len) < 0)
        return false;
    while (status > MNL_CB_STOP) { /* the kernel always ends with an ACK or an error */
        got = mnl_socket_recvfrom(q->socket, q->buf, sizeof(q->buf));
        if (got < 0)
            return false;
        status = mnl_cb_run(q->buf, (size_t)got, q->seq, q->portid, take_message, q);
    }
    return status >= 0;
}

static int take_family(const struct nlattr *attr, void *ctx)
{
    if (mnl_attr_get_type(attr) == CTRL_ATTR_FAMILY_ID &&
        mnl_attr_validate(attr, MNL_TYPE_U16) >= 0)
        *(uint16_t *)ctx = mnl_attr_get_u16(attr);
    return MNL_CB_OK;
}

static int take_features(const struct nlattr *attr, void *ctx)
{
    struct doctor_nic *nic = ctx;

    if (mnl_attr_get_type(attr) == NETDEV_XDP_FEATURES &&
        mnl_attr_validate(attr, MNL_TYPE_U64) >= 0) {
        nic->xdp_features = mnl_attr_get_u64(attr);
        nic->has_xdp_features = true;
    }
    return MNL_CB_OK;
}

static void ask_features(struct doctor_nic *ret)
{
    struct question q = {.socket = mnl_socket_open2(NETLINK_GENERIC, SOCK_CLOEXEC)};
    struct nlmsghdr *message;
    uint16_t family = 0;

    if (q.socket == NULL)
        return;
    if (mnl_socket_bind(q.socket, 0, MNL_SOCKET_AUTOPID) >= 0) {
        q.portid = mnl_socket_get_portid(q.socket);
        q.take = take_family;
        q.ctx = &family;
        message = begin(&q, GENL_ID_CTRL, CTRL_CMD_GETFAMILY);
        mnl_attr_put_strz(message, CTRL_ATTR_FAMILY_NAME, "netdev");
        if (put_question(&q, message) && family != 0) {
            q.take = take_features;
            q.ctx = ret;
            message = begin(&q, family, NETDEV_GET);
            mnl_attr_put_u32(message, NETDEV_IFINDEX, ret->index);
            (void)put_question(&q, message);
        }
    }
    mnl_socket_close(q.socket);
}

/* ---- All ---- */

static int quiet(enum libbpf_print_level level, const char *format, va_list args)
{
    (void)level;
    (void)format;
    (void)args;
    return 0;
}

static bool has_address(const char *name, const char *address)
{
    struct proa_addr wanted = {0};
    uint8_t bits;

    if (address[0] != '\0' && !addr_parse_prefix(address, &wanted, &bits))
        return false;
    return interface_address(name, &wanted, &bits);
}

bool doctor_nic_here(void *ctx, const char *name, const char *address,
                     struct doctor_nic *ret)
{
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    struct ifreq answer;

    (void)ctx;
    memset(ret, 0, sizeof(*ret));
    if (fd < 0)
        return false;
    if (strlen(name) >= IFNAMSIZ || !ask(fd, name, SIOCGIFINDEX, &answer)) {
        close(fd);
        return false;
    }
    ret->index = (unsigned)answer.ifr_ifindex;
    ret->up = ask(fd, name, SIOCGIFFLAGS, &answer) && (answer.ifr_flags & IFF_UP) != 0;
    ret->ethernet = ask(fd, name, SIOCGIFHWADDR, &answer) &&
                    answer.ifr_hwaddr.sa_family == ARPHRD_ETHER;
    if (ask(fd, name, SIOCGIFMTU, &answer))
        ret->mtu = (uint32_t)answer.ifr_mtu;
    ret->has_address = has_address(name, address);
    ask_queues(fd, name, ret);
    ask_rings(fd, name, ret);
    ask_coalescing(fd, name, ret);
    ask_table(fd, name, ret);
    ask_hash(fd, name, ret);
    ask_offloads(fd, name, ret);
    close(fd);
    libbpf_set_print(quiet);
    ask_program(ret);
    ask_features(ret);
    return true;
}
