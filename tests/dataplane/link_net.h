/* SPDX-License-Identifier: Apache-2.0 */
/* link_net.h - links in pairs over a network that loses, doubles, reorders and damages packets.

   Deterministic: one seed, virtual time, no I/O.  Both sides of every pair share their side's
   pool and budget, as the links of a lane do.  The network copies what is transmitted, so a
   retained packet that the link writes to after sending is found out (link_net_fini).

   Threads: one.  Units: ns of virtual time; chances in parts of 10,000. */
#ifndef LINK_NET_H
#define LINK_NET_H

#include "link.h"

#define LINK_NET_PAIRS 8
#define LINK_NET_NODE 0x1111111111111111ull /* side s is node NODE * (s + 1) */

struct link_net;

struct link_net_config {
    uint64_t seed;
    uint32_t pairs; /* 0 = 1 */
    proa_ns delay;  /* one way */
    proa_ns jitter; /* at most so much more, without reordering */
    uint32_t loss, duplicate, reorder, damage, mark; /* of 10,000; mark: CE */
    uint32_t pause;       /* of 10,000: no more packets are delivered in this step */
    proa_ns reorder_by;   /* how much later a reordered packet comes */
    proa_ns per_packet;   /* time a packet takes on the wire: a bottleneck; 0: none */
    uint32_t queue;       /* packets the bottleneck holds; more are lost */
    uint32_t pool;        /* packets of each side; 0 = 8,192 */
    uint32_t mtu;         /* 0 = 1,448 */
    uint32_t message_max; /* 0 = 1 MiB */
    uint32_t retained_max, held_max; /* 0 = 8,192 */
    uint32_t queued_max;   /* 0 = 2,048; three quarters of it for links that wait */
    uint32_t reserved_max; /* 0 = 1,024 */
    uint64_t bulk_max;     /* 0 = 64 MiB */
    uint32_t seq;          /* first sequence number both ways */
    bool initiator_holds;  /* side 0 waits to hear side 1 */
    uint16_t blocked;      /* packets from this UDP port are lost */
    const struct link_backlog *backlog[2]; /* of each side's port; NULL: none ever */
    bool settles; /* links may put the books of an ack off, as on a lane (link_settle) */
    bool never_settles; /* and nobody calls link_settle */
    bool
        pings_wait; /* PINGs that are wanted do not leave: this control thread does not run */
    bool pings_stand; /* they leave, and the peer's does not run: no answer */
};

/* What the test is told; all optional. */
struct link_net_hooks {
    void *ctx;
    void (*deliver)(void *ctx, uint32_t pair, uint32_t side, const struct proa_msg *msg);
    void (*lost)(void *ctx, uint32_t pair, uint32_t side, const struct proa_msg *msg,
                 bool sent);
    void (*writable)(void *ctx, uint32_t pair, uint32_t side);
    void (*refuse)(void *ctx, uint32_t pair, uint32_t side, uint64_t node,
                   const struct refusal *refusal);
    /* A side was told whom the next messages are for. */
    void (*expect)(void *ctx, uint32_t pair, uint32_t side, const uint32_t *slots,
                   uint32_t count);
    /* A third node's ask that this side sent has arrived. */
    void (*passed)(void *ctx, uint32_t pair, uint32_t side, const struct proa_msg *msg);
    /* Sees every packet on its way; false: it is lost. May change the bytes. */
    bool (*filter)(void *ctx, uint32_t pair, uint32_t side, uint8_t *data, uint16_t *len);
};

struct link_net *link_net_create(const struct link_net_config *config,
                                 const struct link_net_hooks *hooks);

/* Frees everything.  Asserts by itself: every packet is back in its pool, every bulk buffer
   freed, the budgets at 0, no packet written after it was handed to transmit. */
void link_net_destroy(struct link_net *net);

struct link *link_net_link(struct link_net *net, uint32_t pair, uint32_t side);
struct link_budget *link_net_budget(struct link_net *net, uint32_t side);
proa_ns link_net_now(const struct link_net *net);
struct link_net_config *
link_net_faults(struct link_net *net); /* may be changed on the way */

/* Ends one side: reports by lost, frees; what still arrives for it is dropped. */
void link_net_kill(struct link_net *net, uint32_t pair, uint32_t side);
bool link_net_dead(const struct link_net *net, uint32_t pair, uint32_t side);

/* Flushes all links, then lets time pass to the next event or deadline.  False: there is none
   before `until`; the time is then `until`. */
bool link_net_step(struct link_net *net, proa_ns until);
void link_net_run(struct link_net *net, proa_ns span);

/* Lets time pass in which nothing runs. */
void link_net_pass(struct link_net *net, proa_ns span);

/* Allocation of packets or bulk memory fails so many times from now on. */
void link_net_fail_packets(struct link_net *net, uint32_t side, uint32_t times);
void link_net_fail_bulk(struct link_net *net, uint32_t side, uint32_t times);

struct pkt_pool *link_net_pool(struct link_net *net, uint32_t side);
void *link_net_bulk_alloc(struct link_net *net, uint32_t side, size_t len);
void link_net_bulk_free(struct link_net *net, uint32_t side, void *buf);
/* Hands a packet of these bytes to a link, as if it had come over the network just now. */
void link_net_inject(struct link_net *net, uint32_t pair, uint32_t side, const void *data,
                     uint16_t len);

/* The UDP port that a side's last packet came from; 0: its own. */
uint16_t link_net_source(const struct link_net *net, uint32_t pair, uint32_t side);
uint32_t link_net_pings(const struct link_net *net, uint32_t pair, uint32_t side);
uint32_t link_net_last_ping(const struct link_net *net, uint32_t pair, uint32_t side);
uint64_t link_net_random(struct link_net *net); /* the net's own generator */

#endif
