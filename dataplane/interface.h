/* SPDX-License-Identifier: Apache-2.0 */
/* interface.h - what a network interface of this machine is like, at this moment.

   Threads: any.  Units: bytes of MTU; addresses as struct proa_addr.
   Errors:  look fills err: what is wrong with it, and the remedy. */
#ifndef INTERFACE_H
#define INTERFACE_H

#include <stddef.h>

#include <proa/types.h>

struct interface {
    char name[16];
    unsigned index;
    unsigned queues; /* that receive and send */
    uint32_t mtu;
    uint8_t mac[6];
};

/* interface_look finds the interface; it must be Ethernet, and up. */
bool interface_look(const char *name, struct interface *ret, char *err, size_t err_len);

/* interface_address finds an address of it: `addr` itself when its family is not 0, else the first
   global one.  The port of addr stays as it is.  bits: of its network, of 128.  False: it has
   none, or not that one. */
bool interface_address(const char *name, struct proa_addr *addr, uint8_t *ret_bits);

#endif
