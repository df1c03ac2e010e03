/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/* steer.h - what the XDP program and the node share: keys, values and counters of its maps.

   Threads: the program runs on every CPU that receives; counters are per CPU.
   Units:   addresses and ports in network order, IPv4 as ::ffff:a.b.c.d.
   Errors:  a packet that is not clearly ours passes to the kernel. */
#ifndef STEER_H
#define STEER_H

#include <linux/types.h>

#define STEER_QUEUES_MAX 64
#define STEER_LISTEN_MAX 16

enum steer_count {
    STEER_OURS,      /* handed to a socket */
    STEER_NOT_IP,    /* passed: neither IPv4 nor IPv6, or too short, or tagged */
    STEER_NOT_UDP,   /* passed: another protocol, or IPv6 with extension headers */
    STEER_OPTIONS,   /* passed: IPv4 with options */
    STEER_FRAGMENT,  /* passed */
    STEER_ELSEWHERE, /* passed: UDP for another address or port */
    STEER_NO_SOCKET, /* passed: ours, by a queue without socket */
    STEER_COUNTS
};

/* An address and UDP port that is ours. */
struct steer_listen {
    __u32 ip[4];
    __u16 port;
    __u16 zero;
};

#endif
