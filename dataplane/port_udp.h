/* SPDX-License-Identifier: Apache-2.0 */
/* port_udp.h - a port over kernel sockets: "udp:127.0.0.1:7400", "udp:[::1]:0".

   One socket per lane.  With several lanes they share the port (SO_REUSEPORT) and a small
   classic BPF program gives each link packet to the lane its link id names; KRPC and opening
   packets go to lane 0.  Packets of one size to one peer leave as one system call and one
   segmented datagram (UDP_SEGMENT); received runs (UDP_GRO) are cut and copied into packets.

   The don't-fragment bit is set and the kernel's own idea of the path MTU ignored: links probe
   the path themselves.

   Threads: as port.h.  Units: bytes.
   Errors:  port_udp_open fills err: which call failed for which address, and what to do. */
#ifndef PORT_UDP_H
#define PORT_UDP_H

#include "port.h"

/* port_udp_open opens what "udp:ADDR:PORT" in args->config says; port 0 lets the kernel choose.
   0.0.0.0 and [::] bind all addresses; the port's own is then config->address, or the one the
   default route leaves by. */
struct port *port_udp_open(const struct port_open_args *args, char *err, size_t err_len);

/* port_udp_socket: the socket of a queue, for the raw loops that measure it. */
int port_udp_socket(const struct port *port, unsigned queue);

#endif
