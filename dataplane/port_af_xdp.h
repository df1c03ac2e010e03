/* SPDX-License-Identifier: Apache-2.0 */
/* port_af_xdp.h - af_xdp:INTERFACE[,generic]: a network interface shared with the kernel.

   Datagrams for the port's address and UDP port come to the lanes by AF_XDP sockets, steered by
   our XDP program (xdp_steer.h); everything else on the interface remains the kernel's, which
   also owns the address, routes and neighbours (neighbours.h).  `generic` works with any
   driver, through the kernel's slow path.

   The interface has at least as many queues as the node has lanes; lane i sends on queue i and
   receives from the queues i, i + lanes, ...  The lanes' packets need PORT_AF_XDP_FRONT bytes
   more than for other ports.

   Threads, units, errors: as port.h. */
#ifndef PORT_AF_XDP_H
#define PORT_AF_XDP_H

#include "port.h"

#define PORT_AF_XDP "af_xdp:"
#define PORT_AF_XDP_FRONT 256u /* what the kernel wants in front of a frame */

struct port *port_af_xdp_open(const struct port_open_args *args, char *err,
                              size_t err_len);

#endif
