/* SPDX-License-Identifier: Apache-2.0 */
/* top_lines.h - a node's figures at one moment, as lines of the local socket.

     node ID ADDRESS F...       one F for each figure, whole numbers
     lane NUMBER F...
     link LANE NODE F...        NODE as ID: 16 hexadecimal digits
     type NAME F...             a behaviour, summed over the lanes; NAME as in cli_protocol.h

   Figures are counters since the node's start unless they say otherwise; who wants rates takes two
   snapshots.

   Threads: pure.  Units: ns, bytes, counts, as each figure says.
   Errors:  false: the line is none of these, or too many came.
   Bounds:  PROA_LANES_MAX lanes, TOP_LINKS_MAX links, TOP_TYPES_MAX behaviours. */
#ifndef TOP_LINES_H
#define TOP_LINES_H

#include <proa/types.h>

#define TOP_LINKS_MAX 32
#define TOP_TYPES_MAX 64
#define TOP_LINE_MAX 640 /* bytes of a line and its NUL */
#define TOP_TEXT_MAX 192 /* of an address or an escaped type name, and its NUL */

enum top_node_figure {
    TOP_NODE_AT, /* ns, monotonic, of the snapshot */
    TOP_NODE_NAMES,
    TOP_NODE_NODES, /* known to the directory */
    TOP_NODE_DROPS, /* of all reasons */
    TOP_NODE_LETTERS,
    TOP_NODE_TYPES_LEFT_OUT, /* behaviours beyond TOP_TYPES_MAX */
    TOP_NODE_FIGURES
};

enum top_lane_figure {
    TOP_LANE_LOOPS,
    TOP_LANE_BUSY_NS,
    TOP_LANE_IDLE_NS,
    TOP_LANE_GAP_NS,     /* the longest of the last moments */
    TOP_LANE_GAP_MAX_NS, /* and of all */
    TOP_LANE_ACTORS,     /* now */
    TOP_LANE_MESSAGES,   /* run */
    TOP_LANE_RX,         /* packets */
    TOP_LANE_TX,
    TOP_LANE_MEMORY, /* bytes of messages that wait now */
    TOP_LANE_FIGURES
};

enum top_link_figure {
    TOP_LINK_TX_MESSAGES,
    TOP_LINK_RX_MESSAGES,
    TOP_LINK_TX_PACKETS,
    TOP_LINK_RESENDS,
    TOP_LINK_SRTT_NS, /* now */
    TOP_LINK_CWND,
    TOP_LINK_INFLIGHT,
    TOP_LINK_FIGURES
};

enum top_type_figure {
    TOP_TYPE_MESSAGES,
    TOP_TYPE_REFUSED,
    TOP_TYPE_RESTARTS,
    TOP_TYPE_DEPTH_MAX, /* messages in one mailbox */
    TOP_TYPE_WAITED,    /* samples */
    TOP_TYPE_DEPTH,     /* their sums */
    TOP_TYPE_WAIT_NS,
    TOP_TYPE_WAIT_MAX_NS,
    TOP_TYPE_RAN, /* samples */
    TOP_TYPE_RUN_NS,
    TOP_TYPE_RUN_MAX_NS,
    TOP_TYPE_FIGURES
};

struct top_lane {
    uint64_t f[TOP_LANE_FIGURES];
};

struct top_link {
    uint32_t lane;
    uint64_t node;
    uint64_t f[TOP_LINK_FIGURES];
};

struct top_type {
    char name[TOP_TEXT_MAX]; /* escaped */
    uint64_t f[TOP_TYPE_FIGURES];
};

struct top_snapshot {
    uint64_t node;
    char address[TOP_TEXT_MAX];
    uint64_t f[TOP_NODE_FIGURES];
    unsigned lane_count, link_count, type_count;
    struct top_lane lanes[PROA_LANES_MAX];
    struct top_link links[TOP_LINKS_MAX];
    struct top_type types[TOP_TYPES_MAX];
};

/* top_lines_print hands each line, without newline, to put. */
void top_lines_print(const struct top_snapshot *snapshot,
                     void (*put)(void *ctx, const char *line), void *ctx);

/* top_line_read adds what a line says to a snapshot that began as zeroes. */
bool top_line_read(struct top_snapshot *snapshot, const char *line);

#endif
