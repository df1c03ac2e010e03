/* SPDX-License-Identifier: Apache-2.0 */
#include "port.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "addr.h"
#include "net.h"

#define MTU_MIN 1280
#define MTU_MAX 9000

const char *port_drop_name(enum port_drop drop)
{
    static const char *const names[PORT_DROP_COUNT] = {
        [PORT_DROP_SHORT] = "short",
        [PORT_DROP_ETHERTYPE] = "ethertype",
        [PORT_DROP_FRAGMENT] = "fragment",
        [PORT_DROP_OPTIONS] = "options",
        [PORT_DROP_PROTOCOL] = "protocol",
        [PORT_DROP_ADDRESS] = "address",
        [PORT_DROP_UDP_PORT] = "udp port",
        [PORT_DROP_LENGTH] = "length",
        [PORT_DROP_CHECKSUM] = "checksum",
        [PORT_DROP_LEAD] = "lead",
        [PORT_DROP_POOL] = "pool",
        [PORT_DROP_OVERSIZE] = "oversize",
        [PORT_DROP_TX] = "tx",
        [PORT_DROP_DOWN] = "down",
    };

    return (unsigned)drop < PORT_DROP_COUNT ? names[drop] : "?";
}

bool port_init(struct port *port, const struct port_ops *ops, const char *kind,
               const struct port_open_args *args)
{
    size_t size = args->queues * sizeof(*port->stats);

    memset(port, 0, sizeof(*port));
    port->stats = aligned_alloc(PROA_CACHE_LINE, size);
    if (port->stats == NULL)
        return false;
    memset(port->stats, 0, size);
    port->ops = ops;
    port->kind = kind;
    port->index = args->index;
    port->queues = args->queues;
    return true;
}

void port_set_address(struct port *port)
{
    port->lead = net_lead(port->address.family);
    port_follow_mtu(port, port->mtu);
}

void port_follow_mtu(struct port *port, uint32_t mtu)
{
    uint32_t below = net_ip_udp(port->address.family) + port->lead;

    if (mtu > port->mtu)
        mtu = port->mtu;
    /* relaxed: a number alone. */
    atomic_store_explicit(&port->payload_max, mtu > below ? mtu - below : 0,
                          memory_order_relaxed);
}

void port_fini(struct port *port)
{
    free(port->stats);
    port->stats = NULL;
}

void port_stats_sum(const struct port *port, struct port_stats *ret)
{
    memset(ret, 0, sizeof(*ret));
    for (unsigned q = 0; q < port->queues; q++) {
        const struct port_stats *s = &port->stats[q];

        /* relaxed: a reader of counters needs no order between them. */
        ret->rx += atomic_load_explicit(&s->rx, memory_order_relaxed);
        ret->tx += atomic_load_explicit(&s->tx, memory_order_relaxed);
        ret->rx_bytes += atomic_load_explicit(&s->rx_bytes, memory_order_relaxed);
        ret->tx_bytes += atomic_load_explicit(&s->tx_bytes, memory_order_relaxed);
        for (unsigned i = 0; i < PORT_DROP_COUNT; i++)
            ret->drops[i] += atomic_load_explicit(&s->drops[i], memory_order_relaxed);
    }
}

bool port_address_config(struct port *port, const struct port_open_args *args, char *err,
                         size_t err_len)
{
    const char *text = args->config->address;
    struct proa_addr addr;
    uint8_t prefix;

    if (text[0] == '\0')
        return true;
    if (!addr_parse_prefix(text, &addr, &prefix)) {
        snprintf(err, err_len,
                 "%s: \"%s\" is not an address; write 10.0.0.1/24 or fd00::1/64",
                 args->config->spec, text);
        return false;
    }
    addr.port = args->udp_port != 0 ? args->udp_port : PROA_PORT;
    port->address = addr;
    port->prefix = prefix;
    return true;
}

bool port_mtu_config(struct port *port, const struct port_open_args *args,
                     uint16_t fallback, char *err, size_t err_len)
{
    uint32_t mtu = args->config->mtu != 0 ? args->config->mtu : fallback;

    if (mtu < MTU_MIN || mtu > MTU_MAX) {
        snprintf(err, err_len, "%s: mtu %u is outside %d..%d", args->config->spec, mtu,
                 MTU_MIN, MTU_MAX);
        return false;
    }
    port->mtu = (uint16_t)mtu;
    return true;
}

int port_route(struct port *const *ports, unsigned count, const struct proa_addr *dst)
{
    int best = -1;
    unsigned best_prefix = 0;

    for (unsigned i = 0; i < count; i++) {
        const struct port *port = ports[i];

        if (!addr_in_prefix(dst, &port->address, port->prefix))
            continue;
        if (best >= 0 && port->prefix <= best_prefix)
            continue;
        best = (int)i;
        best_prefix = port->prefix;
    }
    if (best >= 0)
        return best;
    for (unsigned i = 0; i < count; i++) {
        if (addr_same_ip(dst, &ports[i]->neighbour))
            return (int)i;
    }
    return -1;
}
