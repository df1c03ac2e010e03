/* SPDX-License-Identifier: Apache-2.0 */
/* port_ethdev.h - ethdev:DEVARGS: a NIC of our own, or any virtual device of DPDK's.

   DEVARGS is what DPDK takes: a PCI address ("0000:03:00.0", "03:00.0,rx_vec=1"), or a virtual
   device and its arguments ("net_tap0,iface=tap0", "net_af_packet0,iface=eth1").  A PCI device
   is bound to vfio-pci before, or has a driver that shares it with the kernel (mlx5).

   No kernel stands behind it: `address` is required, ARP, neighbour discovery and ping are
   answered by resolver.h, other networks are reached by `gateway`, a VLAN is the device's to
   strip.  Used where the device has them: RSS over the lanes, rules that steer, checksums, receive
   interrupts; none of them is required, and promiscuous mode is never used.  With fewer receive
   queues than lanes packets for the others are handed over, lane to lane, counted as
   misdirected.  Not net_ring, which hands buffers on that links still hold.

   Threads, units, errors: as port.h. */
#ifndef PORT_ETHDEV_H
#define PORT_ETHDEV_H

#include "port.h"

#define PORT_ETHDEV "ethdev:"

/* Bytes that the room for a frame is a multiple of: NICs fill buffers by whole KiB (ixgbe, ice),
   and would spread over several what is cut off.  Around an IP packet come Ethernet, a tag and
   its checksum. */
#define PORT_ETHDEV_UNIT 2048u
#define PORT_ETHDEV_AROUND 22u
#define PORT_ETHDEV_DESCRIPTORS 1024u /* of each queue, where the device takes so many */

/* port_ethdev_pci: does the spec name a PCI device?  ret (16 bytes) gets its whole address.  Such
   devices must be named to eal_start. */
bool port_ethdev_pci(const char *spec, char ret[16]);

struct port *port_ethdev_open(const struct port_open_args *args, char *err,
                              size_t err_len);

#endif
