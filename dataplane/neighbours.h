/* SPDX-License-Identifier: Apache-2.0 */
/* neighbours.h - where frames to an IP address go on an interface that the kernel runs.

   The kernel owns addresses, routes and neighbours; a thread of this module follows them by
   rtnetlink.  A lane that finds no entry asks for one and drops its packet: protocols send again.
   The thread asks the kernel for the route and, where the next hop's address is not known, to
   find it (NTF_USE), as if the kernel itself had something to send.

   Threads: open, close: one ordinary thread; find, want: lanes; the rest: any.
   Units:   addresses in 16 bytes, IPv4 as ::ffff:a.b.c.d.
   Errors:  open fills err. */
#ifndef NEIGHBOURS_H
#define NEIGHBOURS_H

#include <stddef.h>

#include <proa/types.h>

struct neighbours;

struct neighbours *neighbours_open(unsigned interface, unsigned lanes, char *err,
                                   size_t err_len);
void neighbours_close(struct neighbours *n); /* NULL is nothing */

/* neighbours_version changes with every change of the table: what was found under the same one
   still holds. */
uint64_t neighbours_version(const struct neighbours *n);

/* neighbours_find: the MAC address frames for ip go to.  False: not known.  What nobody finds for
   ten seconds is forgotten. */
bool neighbours_find(struct neighbours *n, const uint8_t ip[16], uint8_t mac[6]);

/* neighbours_want asks for ip.  False: the lane's last question is still being looked at. */
bool neighbours_want(struct neighbours *n, unsigned lane, const uint8_t ip[16]);

bool neighbours_up(const struct neighbours *n); /* the interface has carrier */

#endif
