/* SPDX-License-Identifier: Apache-2.0 */
/* xsk.h - AF_XDP sockets over a lane's packet pool.

   The pool's memory is the UMEM: the kernel, or the NIC where it can do without copies, reads and
   writes the very mbufs that links retain and actors read.  Chunks are as large as the pool's
   objects and lie where they lie (XDP_UMEM_UNALIGNED_CHUNK_FLAG); the kernel leaves XSK_FRONT bytes
   of its own in front of each received frame, so buffers must be that much larger.

   A packet that is not of this pool (the small reserve of control packets is another) is copied.

   Threads: open, close: one ordinary thread; the rest: the lane of the pool.
   Units:   packets, bytes.
   Errors:  open fills err: what is in the way, and the remedy. */
#ifndef XSK_H
#define XSK_H

#include <xdp/xsk.h>

#include <rte_mbuf.h>

#include "pkt.h"

#define XSK_FRONT 256  /* XDP_PACKET_HEADROOM */
#define XSK_FILL 2048u /* descriptors of fill and rx ring each */
#define XSK_SEND 1024u /* of tx and completion ring each */
#define XSK_SPARE 64u
#define XSK_CHUNK_MAX 4096u /* a page: what the kernel takes */

/* The memory of one pool. */
struct xsk_area {
    struct xsk_umem *umem;
    struct rte_mempool *mempool;
    uint8_t *base;
    uint64_t size;
    uint32_t header; /* of an object, in front of its mbuf */
    uint32_t chunk;  /* bytes of an object */
    uint32_t front;  /* from its mbuf to where a received frame begins */
    uint32_t sockets;
    uint32_t
        spare_count; /* buffers kept for copies of control packets when the pool is dry */
    struct rte_mbuf *spare[XSK_SPARE];
    struct xsk_ring_prod first_fill; /* the first socket's: made with the UMEM */
    struct xsk_ring_cons first_comp;
};

/* One queue of an interface. */
struct xsk_queue {
    struct xsk_area *area;
    struct xsk_socket *xsk;
    struct xsk_ring_prod fill, tx;
    struct xsk_ring_cons rx, comp;
    int fd;
    uint32_t sending;       /* handed to the kernel and not back */
    uint32_t owed;          /* buffers the fill ring has room for */
    struct rte_mbuf *ahead; /* likely the next frame's; NULL: not looked up */
    bool zero_copy;
};

/* xsk_area_open registers the pool's memory.  The pool outlives the area. */
bool xsk_area_open(struct xsk_area *area, struct pkt_pool *pool, char *err,
                   size_t err_len);
void xsk_area_close(struct xsk_area *area); /* after its queues */

/* xsk_queue_open binds a socket to a queue and enters it in the map `sockets`.  It is one of
   `share` queues that receive into this area.  copies: the kernel is not to try without. */
struct xsk_queue_args {
    const char *interface;
    unsigned queue, share;
    bool copies;
    int sockets;
};
bool xsk_queue_open(struct xsk_queue *q, struct xsk_area *area,
                    const struct xsk_queue_args *args, char *err, size_t err_len);
/* What the kernel still holds of the pool stays out until the pool is destroyed. */
void xsk_queue_close(struct xsk_queue *q);

/* xsk_queue_rx takes up to max received frames, and gives the kernel buffers for more. */
unsigned xsk_queue_rx(struct xsk_queue *q, struct rte_mbuf **mbufs, unsigned max);

/* xsk_queue_tx hands n frames over; takes the first returned many.  Each leaves the pool's owner
   count by one when the kernel is done with it, or at once when it was copied. */
unsigned xsk_queue_tx(struct xsk_queue *q, struct rte_mbuf **mbufs, unsigned n);

/* xsk_queue_missed says what the kernel dropped of what was steered to the queue: it had no buffer
   (the lane's packets are used up), or the queue was full (the lane does not keep up).  Any thread.
   Source: struct xdp_statistics. */
struct xsk_missed {
    uint64_t pool, ring;
};
void xsk_queue_missed(const struct xsk_queue *q, struct xsk_missed *ret);

/* xsk_queue_kick has the kernel go on with what was handed over before, and takes back what is
   done; true while something is left. */
bool xsk_queue_kick(struct xsk_queue *q);

#endif
