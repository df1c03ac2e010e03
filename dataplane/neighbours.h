/* SPDX-License-Identifier: Apache-2.0 */
/* neighbours.h - where frames to an IP address go on an interface that the kernel runs.

   The kernel owns addresses, routes and neighbours; a thread of this module follows them by
   rtnetlink and fills a table (next_hops.h).  For what lanes ask it asks the kernel for the route
   and, where the next hop's address is not known, to find it (NTF_USE), as if the kernel itself
   had something to send.

   Threads: open, close: one ordinary thread; the rest: any.
   Units:   bytes.
   Errors:  open fills err. */
#ifndef NEIGHBOURS_H
#define NEIGHBOURS_H

#include <stddef.h>

#include "next_hops.h"
#include "port.h"

struct neighbours;

/* neighbours_open fills hops for an interface, and has port follow its MTU; both outlive it. */
struct neighbours *neighbours_open(unsigned interface, struct next_hops *hops,
                                   struct port *port, char *err, size_t err_len);
void neighbours_close(struct neighbours *n); /* NULL is nothing */

bool neighbours_up(const struct neighbours *n); /* the interface has carrier */

#endif
