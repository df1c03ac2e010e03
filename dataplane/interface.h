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

/* interface_rss: the key and table by which it spreads packets over its queues.  by_port: it looks
   at UDP ports, of this family's packets.  False: the driver does not say, or hashes another way. */
struct interface_rss {
    uint8_t key[64];
    size_t key_len;
    uint16_t table[2048];
    size_t table_size;
    bool by_port;
};
bool interface_rss(const char *name, unsigned family, struct interface_rss *ret);

/* interface_address finds an address of it: `addr` itself when its family is not 0, else the first
   global one.  The port of addr stays as it is.  bits: of its network, of 128.  False: it has
   none, or not that one. */
bool interface_address(const char *name, struct proa_addr *addr, uint8_t *ret_bits);

#endif
