/* SPDX-License-Identifier: Apache-2.0 */
/* raw.h - the bare loop under a port: what links are measured against.

   No link, no lane, no checks: buffers from the same pool go through the same device or socket
   with the same burst, and each sent packet is held by one more reference in a ring of RAW_HELD,
   as a link holds it until it is acknowledged.  One side floods and the other sinks, or one
   pings and the other pongs; both run the same program with the same options.

   vhost, and a DPDK device without a port (dpdk_bare.h), run rte_eth_rx_burst and
   rte_eth_tx_burst, udp recvmmsg and sendmmsg (or UDP_SEGMENT).

   Threads: raw_run on the lane whose queue and pool it uses; nobody else uses these meanwhile.
   Units:   sizes are frames on the wire: Ethernet, IP and UDP headers included, for udp too.
   Errors:  none; a result without packets says that the other side was not there. */
#ifndef RAW_H
#define RAW_H

#include <proa/types.h>

#include "port.h"

#define RAW_HELD 512
#define RAW_SIZE_MIN 64
#define RAW_STRIDE 1024   /* bytes; as proa-perf does with bulk messages */
#define RAW_BUCKETS 20000 /* of RAW_BUCKET ns each; longer times count in the last */
#define RAW_BUCKET 10

/* What the loops run on: a queue of an open port that is up, or of a DPDK device. */
struct raw_on {
    struct port *port; /* NULL: the device */
    uint16_t device;
    uint16_t queue;
    struct pkt_pool *pool;
};

enum raw_role {
    RAW_FLOOD, /* sends as fast as the port takes */
    RAW_SINK,  /* counts */
    RAW_PING,  /* one packet under way, measures round trips */
    RAW_PONG,  /* answers each */
};

struct raw_options {
    unsigned size;  /* of a frame, RAW_SIZE_MIN..MTU + 14 */
    unsigned burst; /* 1..PORT_BURST; flood and sink */
    bool hold;      /* hold each sent packet */
    bool touch; /* ping and pong: what a frame carries is written, and read on arrival */
    /* A message of so many bytes, or 0: the flood writes a word in each RAW_STRIDE of it and copies it
       into frames, the sink copies frames into it and reads as much.  Borrowed. */
    uint8_t *message;
    uint32_t message_size;
    bool segment;     /* udp, flood: UDP_SEGMENT instead of one datagram per message */
    proa_ns duration; /* from the first packet on */
    proa_ns patience; /* for the first packet, and after the last */
};

struct raw_result {
    uint64_t packets; /* sent, received, or round trips */
    uint64_t bytes;   /* of frames */
    uint64_t waits;   /* ping: no answer within 400 ms; flood: looks at a full device */
    uint64_t
        strays;   /* ping: a frame was left at the end: two were under way, nobody knows
                         how long, and the times are too short */
    uint64_t sum; /* of the words of messages read */
    proa_ns elapsed;
    uint32_t times[RAW_BUCKETS]; /* ping: round trips of so many RAW_BUCKET ns */
};

/* raw_run runs one role; *ret (large: not on a lane's stack) is overwritten. */
void raw_run(const struct raw_on *on, enum raw_role role,
             const struct raw_options *options, struct raw_result *ret);

/* raw_percentile: the round trip, in ns, that so many parts per million do not exceed. */
uint64_t raw_percentile(const struct raw_result *result, uint32_t ppm);

#endif
