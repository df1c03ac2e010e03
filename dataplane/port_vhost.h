/* SPDX-License-Identifier: Apache-2.0 */
/* port_vhost.h - process to process over shared memory: "vhost:listen=PATH" on one side,
   "vhost:connect=PATH" on the other.

   The listening side is a virtio-user device that serves the socket PATH, the connecting side a
   vhost-user device that keeps trying to reach it.  Either side may start first, die and come
   back; the other carries on and the link is up again within about a second.

   DPDK's serving device blocks in accept() while it is made, so it is made only when the
   neighbour is there.  The two sides find each other over a second socket, PATH.up:

     connect  HELLO(lanes)    ->
              <- OFFER(queue pairs)         or BUSY: PATH has another neighbour
              READY           ->            its device exists and waits for PATH
              then the connection stays open: its end tells that the process is gone; while it stands,
     SHAKE           ->            the link is down all the same: connect PATH anew

   Addresses, unless configured: a pair in 169.254.0.0/16 from a hash of PATH (with its folder
   made absolute), the listening side even, the connecting side odd.

   Trust: the neighbour maps all of DPDK's memory of the listening side and reads and writes
   packet buffers while they are in use.  Only processes of one trust domain may meet here; the
   socket's folder decides who can.

   Threads: as port.h; each port has one helper thread of its own, asleep but for changes.
   Units:   bytes.  Errors: port_vhost_open fills err with path, cause and remedy; what goes
            wrong later is in the port's state sentence. */
#ifndef PORT_VHOST_H
#define PORT_VHOST_H

#include "port.h"

#define PORT_VHOST "vhost:" /* listen=PATH, connect=PATH */

#define PORT_VHOST_DESCRIPTORS                                                           \
    1024                    /* of each ring: 512 held packets fit (2 descriptors each) */
#define PORT_VHOST_MTU 1500 /* unless configured */

/* port_vhost_open: after eal_start, with pools of pool_dpdk. */
struct port *port_vhost_open(const struct port_open_args *args, char *err,
                             size_t err_len);

#endif
