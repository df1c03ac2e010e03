/* SPDX-License-Identifier: Apache-2.0 */
#include "dpdk_bare.h"

#include <stdio.h>
#include <string.h>

#include <bpf/libbpf.h>
#include <rte_bus.h>
#include <rte_dev.h>
#include <rte_ethdev.h>
#include <xdp/libxdp.h>

#include "eal.h"
#include "pool_dpdk.h"

static int start(uint16_t dev, struct pkt_pool *pool, const char **ret_step)
{
    const struct rte_eth_conf conf = {0};
    unsigned socket = (unsigned)rte_eth_dev_socket_id(dev);
    int status;

    *ret_step = "configuring it";
    status = rte_eth_dev_configure(dev, 1, 1, &conf);
    if (status != 0)
        return status;
    *ret_step = "setting its queues up";
    status = rte_eth_rx_queue_setup(dev, 0, DPDK_BARE_DESCRIPTORS, socket, NULL,
                                    pool_dpdk_mempool(pool));
    if (status == 0)
        status = rte_eth_tx_queue_setup(dev, 0, DPDK_BARE_DESCRIPTORS, socket, NULL);
    if (status != 0)
        return status;
    *ret_step = "starting it";
    return rte_eth_dev_start(dev);
}

bool dpdk_bare_open(const char *name, const char *args, struct pkt_pool *pool,
                    uint16_t *ret_dev, char *err, size_t err_len)
{
    const char *step = "making it";
    char said[160];
    uint16_t dev = 0;
    bool made;
    int status;

    /* net_af_xdp's libraries tell stderr what they do. */
    (void)libbpf_set_print(NULL);
    (void)libxdp_set_print(NULL);
    status = rte_eal_hotplug_add("vdev", name, args);
    made = status == 0;
    if (status == 0)
        status = rte_eth_dev_get_port_by_name(name, &dev);
    if (status == 0)
        status = start(dev, pool, &step);
    if (status == 0) {
        *ret_dev = dev;
        return true;
    }
    eal_log_error(said, sizeof(said));
    if (made)
        (void)rte_eal_hotplug_remove("vdev", name);
    snprintf(err, err_len, "DPDK device %s,%s: %s failed: %s (%s)", name, args, step,
             strerror(-status), said);
    return false;
}
