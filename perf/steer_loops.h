/* SPDX-License-Identifier: Apache-2.0 */
/* steer_loops.h - what the XDP program costs a packet: BPF_PROG_TEST_RUN of one frame, many times.

   The program is attached to the loopback of a network namespace of its own, so nothing else meets
   it.  What a run costs without a program of ours is the case STEER_LOOP_NOTHING.

   Threads: one.  Units: runs.  Errors: create returns NULL where there is no root or no BPF. */
#ifndef STEER_LOOPS_H
#define STEER_LOOPS_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum steer_loop {
    STEER_LOOP_NOTHING, /* a program that passes everything */
    STEER_LOOP_ARP,
    STEER_LOOP_TCP,
    STEER_LOOP_FOREIGN, /* UDP for another port */
    STEER_LOOP_OURS_V4,
    STEER_LOOP_OURS_V6,
    STEER_LOOP_OURS_DENYING, /* with 64 denied networks, none of them this one's */
    STEER_LOOP_OURS_RATE,    /* with a rate that is not reached */
    STEER_LOOP_DENIED,
    STEER_LOOP_OVER_RATE,
};

struct steer_loops;

struct steer_loops *steer_loops_create(enum steer_loop loop);
void steer_loops_destroy(struct steer_loops *loops);

/* steer_loops_run runs the program n times.  False: a run did not do what its case is about. */
int steer_loops_run(struct steer_loops *loops, uint32_t n);

#ifdef __cplusplus
}
#endif

#endif
