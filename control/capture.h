/* SPDX-License-Identifier: Apache-2.0 */
/* capture.h - what a running node's lanes send and receive, as a pcapng file.

   capture_start puts a tap (tap.h) on each lane, capture_read turns what they caught into blocks
   of a file, oldest first, and capture_end takes the taps away.  Packets of lanes are what lies
   behind UDP; the headers in front of it are made up from the addresses.  Nothing here waits or
   reads a clock: the caller drives it.

   Threads: one ordinary thread; the lanes run meanwhile.
   Units:   bytes; proa_ns of the lanes' clock, unless said to be of the wall clock.
   Errors:  NULL without memory.
   Bounds:  CAPTURE_RING_BYTES a lane; what finds no room there is counted as dropped. */
#ifndef CAPTURE_H
#define CAPTURE_H

#include <proa/node.h>

#include "tap.h"

#define CAPTURE_RING_BYTES (4u << 20)
#define CAPTURE_SNAP_MIN 32 /* a link packet's header */
#define CAPTURE_SNAP_MAX 65535
#define CAPTURE_HEADERS 50u        /* at the most, that are made up: IPv6, UDP, lead */
#define CAPTURE_CHUNK (256u << 10) /* bytes: room for any block, and for all of a head */

struct lane;

/* What a user wants. */
struct capture_wish {
    struct tap_filter filter;
    unsigned seconds; /* 0: until somebody ends it */
    uint64_t packets; /* 0: any number */
};

struct capture_port {
    const char *name; /* borrowed for capture_start */
    struct proa_addr address;
};

struct capture_config {
    struct lane *lanes[PROA_LANES_MAX]; /* outlive the capture */
    unsigned lane_count;
    struct capture_port ports[PROA_PORTS_MAX];
    unsigned port_count;
    uint64_t node;
    struct capture_wish wish;
    proa_ns begin;       /* now */
    uint64_t wall_ahead; /* the wall clock less the lanes' clock, ns */
    const char *program; /* borrowed, as ports' names */
};

struct capture;

/* capture_start makes the taps and asks the lanes to use them.  Returned owned: capture_free. */
struct capture *capture_start(const struct capture_config *config);

/* capture_begun, capture_ended: all lanes use their taps; no lane does, any more.  A lane comes
   to it within a loop, but that may take as long as its slowest handler. */
bool capture_begun(const struct capture *capture);
bool capture_ended(const struct capture *capture);

/* capture_head writes how the file begins; cap is CAPTURE_CHUNK at least.  Once.  The bytes. */
size_t capture_head(struct capture *capture, uint8_t *buf, size_t cap);

/* capture_read writes packets, whole blocks, until buf has no room, the rings are empty or as many
   are written as were wished for.  0: there is nothing now. */
size_t capture_read(struct capture *capture, uint8_t *buf, size_t cap);

/* capture_full: all that were wished for are written. */
bool capture_full(const struct capture *capture);

/* capture_end asks the lanes to let go; what their rings hold can still be read. */
void capture_end(struct capture *capture);

/* capture_tail writes how the file ends: each port's statistics.  now: of the lanes' clock. */
size_t capture_tail(const struct capture *capture, proa_ns now, uint8_t *buf, size_t cap);

struct capture_totals {
    uint64_t written; /* packets in the file */
    uint64_t dropped; /* wanted, and lost because a ring was full */
};
void capture_totals(const struct capture *capture, struct capture_totals *ret);

/* capture_free gives all memory back.  Only when capture_ended, or the lanes are no more.  NULL
   is allowed. */
void capture_free(struct capture *capture);

#endif
