/* SPDX-License-Identifier: Apache-2.0 */
/* perf_netns.h - two processes with a network namespace each, joined by veth, for AF_XDP.

   The namespaces belong to the processes and end with them; nothing is left to be deleted.  Needs
   root and iproute2.

   Threads: the process' first, before it has others.  Units: none.
   Errors:  false, with the reason in err. */
#ifndef PERF_NETNS_H
#define PERF_NETNS_H

#include "perf_process.h"

#define PERF_NETNS_INTERFACE "perf0"
#define PERF_NETNS_NET "10.76.0." /* .1 and .2 */
#define PERF_NETNS_MAC(which)                                                            \
    {                                                                                    \
        0x02, 0x70, 0x72, 0x6f, 0x61, (which)                                            \
    } /* likewise */

/* The parent's part: joins the namespaces of two processes that are in perf_netns_enter.  On failure
   *ret_not_here is set to true when it is the user or the machine that lacks something. */
bool perf_netns_join(const struct perf_process *a, const struct perf_process *b,
                     bool *ret_not_here, char *err, size_t err_len);

/* A child's part: a namespace of its own, with the interface up and, if the kernel is to have it
   (address), the first or the second address.  Without IPv6: nothing comes by itself. */
bool perf_netns_enter(const struct perf_pipe *pipe, bool second, bool address, char *err,
                      size_t err_len);

#endif
