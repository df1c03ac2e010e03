/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/* steer.h - what the XDP program and the node share: keys, values and counters of its maps.

   Threads: the program runs on every CPU that receives; each CPU has counters of
            its own, which are read as memory.
   Units:   addresses and ports in network order, IPv4 as ::ffff:a.b.c.d; ns of CLOCK_MONOTONIC.
   Errors:  a packet that is not clearly ours passes to the kernel.  Ours, and of a source that is
            denied or over its rate: dropped. */
#ifndef STEER_H
#define STEER_H

#include <linux/types.h>

#define STEER_QUEUES_MAX 64
#define STEER_LISTEN_MAX 4
#define STEER_DENY_MAX 256
#define STEER_SOURCES_MAX                                                                \
    16384 /* that are limited at a time; then the oldest is forgotten */

/* What is handed to a socket is counted by its lane. */
enum steer_count {
    STEER_NOT_IP,    /* passed: neither IPv4 nor IPv6, or too short, or tagged */
    STEER_NOT_UDP,   /* passed: another protocol, or IPv6 with extension headers */
    STEER_OPTIONS,   /* passed: IPv4 with options */
    STEER_FRAGMENT,  /* passed */
    STEER_ELSEWHERE, /* passed: UDP for another address or port */
    STEER_NO_SOCKET, /* passed: ours, by a queue without socket */
    STEER_DENIED,    /* dropped: ours, from an address that is denied */
    STEER_RATE,      /* dropped: ours, more than one source may send */
    STEER_COUNTS
};

/* Counters of one CPU, or of some: see cpu_mask.  Two cache lines. */
struct steer_counters {
    __u64 n[16];
};

_Static_assert(STEER_COUNTS <= 16, "all of them");

/* An address and UDP port that is ours. */
struct steer_listen {
    __u32 ip[4];
    __u16 port;
    __u16 family; /* 4 or 6, in host order: ::ffff:a.b.c.d in IPv6 is not a.b.c.d */
};

/* Whom a datagram is from. */
struct steer_source {
    __u32 ip[4];
};

/* Sources that are denied: the first bits of family and ip together. */
struct steer_prefix {
    __u32 bits;
    __u32 family; /* 4 or 6: ::/0 is not all of IPv4 too */
    struct steer_source source;
};

#define STEER_FAMILY_BITS 32

#endif
