/* SPDX-License-Identifier: Apache-2.0 */
/* link_loops.h - the loops bench_link.cc times, in C.

   Two links in one thread, joined by an array of packets: what one transmits is copied to a
   packet of the other, as a vhost port does, and put in when the sender has flushed.  Every
   payload is read and its place in the order checked.

   Threads: one.  Units: messages, ns.  Errors: NULL without memory. */
#ifndef LINK_LOOPS_H
#define LINK_LOOPS_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum link_loop {
    LINK_LOOP_TELL, /* 32 B tells, another receiver each time: whole headers */
    LINK_LOOP_SAME, /* 32 B tells of one pair: short headers */
    LINK_LOOP_ASK,  /* 32 B asks, answered with 8 B */
    LINK_LOOP_ONE,  /* one 32 B tell in each packet */
    LINK_LOOP_BULK, /* 64 KiB messages */
    LINK_LOOP_COPY, /* no links: the bytes of LINK_LOOP_TELL copied into packets, the packets
                       copied, and the payloads read */
};

struct link_loops;

/* Where the time went, in ns since the last call of link_loops_run began. */
struct link_loops_times {
    uint64_t send, flush, input;
};

struct link_loops *link_loops_create(enum link_loop loop);
void link_loops_destroy(struct link_loops *loops);

/* Sends n messages, rounded up to whole batches; returns how many when all have arrived. */
uint64_t link_loops_run(struct link_loops *loops, uint64_t n,
                        struct link_loops_times *ret);

/* Each reads a clock n times: the lanes', and the one it stands for.  Returns the last time. */
uint64_t link_loops_clock(uint64_t n);
uint64_t link_loops_clock_gettime(uint64_t n);

#ifdef __cplusplus
}
#endif

#endif
