/* SPDX-License-Identifier: Apache-2.0 */
/* udp_socket.h - making and binding the sockets of a udp port.

   Threads: one ordinary thread.  Units: bytes.
   Errors:  false: err says which call failed for which address, why, and what helps. */
#ifndef UDP_SOCKET_H
#define UDP_SOCKET_H

#include "port.h"

struct udp_sockets {
    int fds[PROA_LANES_MAX]; /* args->queues of them, owned by the caller */
    struct proa_addr bound;
};

/* udp_sockets_open binds what args->config->spec says and sets port's address, prefix, mtu, lead
   and payload_max.  On failure nothing is left open. */
bool udp_sockets_open(struct udp_sockets *ret, const struct port_open_args *args,
                      struct port *port, char *err, size_t err_len);

#endif
