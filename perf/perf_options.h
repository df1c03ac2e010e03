/* SPDX-License-Identifier: Apache-2.0 */
/* perf_options.h - proa-perf's command line.

   What stands behind --versus changes a second measurement: the base is what stands before it.

   Threads: one.  Units: as the fields say.
   Errors:  one sentence on stderr, and what the caller's exit status should be. */
#ifndef PERF_OPTIONS_H
#define PERF_OPTIONS_H

#include <proa/node.h>

#define PERF_SIZE_MIN 8u          /* the sequence number */
#define PERF_SIZE_MAX (16u << 20) /* the largest message_max of a node */
#define PERF_WINDOW_MAX 65536u    /* asks in flight: a lane's default */
#define PERF_RECEIVERS_MAX 10000000u
#define PERF_BURST_MAX 1024u
#define PERF_DEVARGS_MAX 96
#define PERF_LANES_MAX 8u
#define PERF_CROWD_MAX 4000u /* links of one lane: LANE_LINKS_MAX, and some to spare */
#define PERF_CROWD_SIZE_MAX 1024u /* bytes of payload: fits every packet */
#define PERF_SERVER_RECEIVERS                                                            \
    100000u /* a client may want, unless the server says otherwise */
#define PERF_ROUNDS_MAX 99u
#define PERF_BULK_LEAST 4096u  /* bytes: more than a packet's */
#define PERF_WINDOW_OPEN 4096u /* of an open loop: asks in flight at the most */

enum perf_mode {
    PERF_MODE_TELL,
    PERF_MODE_ASK,
    PERF_MODE_RAW,
    PERF_MODE_IDLE,           /* what two silent nodes cost, and the first message then */
    PERF_MODE_LOCAL_COUNT,    /* two actors on one lane: tells */
    PERF_MODE_LOCAL_PINGPONG, /* and back */
    PERF_MODE_CROSS_COUNT,    /* two lanes of one node */
    PERF_MODE_CROSS_PINGPONG,
    PERF_MODES
};

enum perf_port {
    PERF_PORT_VHOST,
    PERF_PORT_UDP,
    PERF_PORT_RING,
    PERF_PORT_AF_XDP, /* veth between two network namespaces */
    PERF_PORT_ETHDEV, /* the same, by a DPDK device of one's choice */
    PERF_PORTS
};

/* What a flood beside the load sends. */
enum perf_flood_kind {
    PERF_FLOOD_NONE,
    PERF_FLOOD_LINKS, /* link packets for links there are not */
    PERF_FLOOD_SYNS,  /* handshakes with random tags: for the control thread */
    PERF_FLOOD_KRPC,  /* a registry's datagrams that are none: likewise */
    PERF_FLOOD_MIXED, /* a third each */
    PERF_FLOOD_KINDS
};

/* Who runs: both sides here, or one of two machines. */
enum perf_role { PERF_ROLE_BOTH, PERF_ROLE_SERVER, PERF_ROLE_CLIENT };

/* Of a server and a client. */
struct perf_remote_options {
    char port[PROA_TEXT_MAX];    /* as in a node's configuration */
    char address[PROA_TEXT_MAX]; /* of the port, "": its own */
    char gateway[PROA_TEXT_MAX];
    char to[PROA_TEXT_MAX]; /* client: the server's */
    uint8_t key[PROA_KEY_LEN];
    bool has_key;
    uint32_t core;
};

struct perf_options {
    enum perf_role role;
    struct perf_remote_options remote;
    enum perf_mode mode;
    enum perf_port port;
    char devargs[PERF_DEVARGS_MAX]; /* ethdev: "net_af_packet0,iface=perf0" */
    uint32_t size;      /* bytes of payload; of raw: of the frame on the wire */
    uint32_t window;    /* asks, or raw round trips, in flight */
    uint32_t rate;      /* asks/s by schedule, an open loop; 0: a closed one */
    uint32_t seconds;   /* measured */
    uint32_t warmup_ms; /* before that */
    uint32_t
        messages; /* end earlier, after so many measured ones; 0: by the time alone */
    uint32_t receivers; /* actors, told or asked at random */
    uint32_t burst;     /* tells a handler sends before it lets others run */
    uint32_t bulk;      /* ask: messages of so many bytes are told beside; 0: none */
    uint32_t lanes;     /* local modes: a pair of actors on each of so many lanes */
    uint32_t crowd; /* tell: receivers are on so many nodes, all in one process; 0: one */
    uint32_t sample; /* each so-many-th round trip is timed; 0: chosen by the mode */
    uint32_t mtu;    /* 0: the port's own */
    enum perf_flood_kind flood;
    uint32_t flood_rate;                           /* packets/s */
    uint32_t loss_ppm, duplicate_ppm, reorder_ppm; /* of packets, both ways */
    enum proa_idle idle;
    bool mailbox;    /* receivers run nothing in place */
    bool flush_each; /* tell: each message in a packet of its own */
    bool take;       /* tell: bulk buffers, which are not copied */
    bool with_raw;   /* the raw limit in the same run */
    bool no_huge;
    bool defaults; /* lanes' cores, idle, pages and slots as proa_config_init has them */
    bool reverse;  /* vhost: the connecting side sends (vhost), not virtio-user */
    bool quiet;    /* no notes on stderr */
};

const char *perf_mode_name(enum perf_mode mode); /* as on the command line */
const char *perf_port_name(enum perf_port port);
const char *perf_flood_kind_name(enum perf_flood_kind kind);

/* Two actors of one node: the port carries nothing. */
static inline bool perf_mode_is_local(enum perf_mode mode)
{
    return mode >= PERF_MODE_LOCAL_COUNT;
}

/* Round trips are timed. */
static inline bool perf_mode_answers(enum perf_mode mode)
{
    return mode == PERF_MODE_ASK || mode == PERF_MODE_LOCAL_PINGPONG ||
           mode == PERF_MODE_CROSS_PINGPONG;
}

static inline bool perf_mode_is_cross(enum perf_mode mode)
{
    return mode == PERF_MODE_CROSS_COUNT || mode == PERF_MODE_CROSS_PINGPONG;
}

/* Two processes in network namespaces of their own, joined by veth. */
static inline bool perf_port_is_veth(enum perf_port port)
{
    return port == PERF_PORT_AF_XDP || port == PERF_PORT_ETHDEV;
}

static inline bool perf_mode_is_pingpong(enum perf_mode mode)
{
    return mode == PERF_MODE_LOCAL_PINGPONG || mode == PERF_MODE_CROSS_PINGPONG;
}

/* One or two measurements. */
struct perf_command {
    struct perf_options options; /* all options */
    bool versus;
    struct perf_options base; /* only those before --versus */
    uint32_t rounds;          /* so often both take turns */
};

/* perf_options_read fills command.  -1: go on; otherwise the process's exit status: 0 after
   --help, 2 after a mistake, which was explained on stderr. */
int perf_options_read(struct perf_command *command, int argc, char **argv);

#endif
