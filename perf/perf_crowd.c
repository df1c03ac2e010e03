/* SPDX-License-Identifier: Apache-2.0 */
#include "perf_crowd.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "dpdk_mbuf.h"
#include "ethdev.h"
#include "lane.h"
#include "net.h"
#include "pages.h"
#include "perf_options.h"
#include "pool_dpdk.h"
#include "punt.h"

#define UDP_TO (NET_ETH + NET_IPV4 + 2) /* of an IPv4 frame: the destination's UDP port */
#define LEAD NET_LEAD_IPV4

/* ---- What links need ---- */

static struct perf_member *member_of(struct perf_crowd *crowd, const struct link *link)
{
    return &crowd->members[link_id_slot(link_id(link))];
}

void perf_crowd_transmit(struct perf_crowd *crowd, struct pkt *p)
{
    if (crowd->tx_count == PERF_CROWD_TXQ) {
        pkt_free(crowd->pool, p); /* lost, as on any wire */
        return;
    }
    crowd->txq[crowd->tx_count++] = p;
}

static void send_queued(struct perf_crowd *crowd)
{
    unsigned sent;

    if (crowd->tx_count == 0)
        return;
    sent = port_tx(crowd->port, 0, crowd->txq, crowd->tx_count, crowd->now);
    crowd->tx_count -= sent;
    memmove(crowd->txq, crowd->txq + sent, crowd->tx_count * sizeof(crowd->txq[0]));
}

static void env_transmit(void *ctx, struct link *link, struct pkt *p)
{
    (void)link;
    perf_crowd_transmit(ctx, p);
}

static void env_deliver(void *ctx, struct link *link, const struct proa_msg *msg,
                        bool in_place)
{
    struct perf_crowd *crowd = ctx;
    struct perf_reader *reader = &member_of(crowd, link)->reader;

    (void)in_place;
    if ((msg->flags & PROA_MSG_SYSTEM) != 0)
        return; /* of the node's registry */
    if (msg->type == PERF_TYPE_TELL && msg->len >= PERF_SIZE_MIN)
        perf_reader_take(reader, msg->data, msg->len);
    else if (msg->type == PERF_TYPE_MARK && msg->len == sizeof(struct perf_mark))
        perf_reader_mark(reader, msg->data, crowd->now);
    else if (msg->type == PERF_TYPE_LAST && msg->len == sizeof(struct perf_last))
        perf_reader_last(reader, msg->data, crowd->now);
}

/* No message here is larger than a packet. */
static void *env_bulk_alloc(void *ctx, size_t len)
{
    (void)ctx;
    (void)len;
    return NULL;
}

static void env_bulk_free(void *ctx, void *buf)
{
    (void)ctx;
    (void)buf;
}

static void env_deliver_bulk(void *ctx, struct link *link, const struct proa_msg *msg,
                             void *buf)
{
    (void)ctx;
    (void)link;
    (void)msg;
    (void)buf;
}

static void env_ping(void *ctx, struct link *link, uint32_t flags)
{
    struct perf_crowd *crowd = ctx;

    perf_crowd_ping(crowd, member_of(crowd, link), flags);
}

static void env_up(void *ctx, struct link *link)
{
    struct perf_crowd *crowd = ctx;
    struct perf_member *member = member_of(crowd, link);

    if (member->state == MEMBER_UP)
        return;
    member->state = MEMBER_UP;
    crowd->meeting--;
    if (++crowd->up == crowd->count)
        atomic_store(&crowd->all_up, 1);
}

static void env_writable(void *ctx, struct link *link)
{
    (void)ctx;
    (void)link;
}

static void env_lost(void *ctx, struct link *link, const struct proa_msg *msg, bool sent)
{
    (void)ctx;
    (void)link;
    (void)msg;
    (void)sent;
}

/* ---- Members ---- */

uint16_t perf_crowd_port_of(const struct perf_crowd *crowd,
                            const struct perf_member *member)
{
    return (uint16_t)(PERF_CROWD_PORT + (member - crowd->members));
}

struct proa_ref perf_crowd_ref(const struct perf_crowd *crowd, uint32_t member)
{
    return (struct proa_ref){kad_id_node64(&crowd->members[member].identity.id), 0, 1};
}

static bool make_member(struct perf_crowd *crowd, uint32_t index, struct perf_sink *sink)
{
    struct perf_member *member = &crowd->members[index];
    uint8_t seed[PROA_SEED_LEN];
    uint64_t secret;

    do {
        randombytes_buf(seed, sizeof(seed));
    } while (identity_init(&member->identity, seed) != 0);
    randombytes_buf(&secret, sizeof(secret));
    member->link_id = link_id_make(0, index, secret);
    perf_reader_init(&member->reader, sink, index);
    crowd->deadlines[index] = PROA_NS_NEVER;
    member->memory = crowd->memory + index * link_size();
    member->records = malloc(link_records_size());
    return member->records != NULL;
}

bool perf_crowd_init(struct perf_crowd *crowd, uint32_t count, struct perf_sink *sink,
                     struct port *port, struct pkt_pool *pool, uint64_t node,
                     const uint8_t key[PROA_KEY_LEN])
{
    *crowd = (struct perf_crowd){.port = port,
                                 .pool = pool,
                                 .node = node,
                                 .next_tick = PROA_NS_NEVER,
                                 .budget = {.retained_max = 8192,
                                            .held_max = 8192,
                                            .queued_max = LANE_QUEUED_MAX,
                                            .queued_waiting_max = LANE_QUEUED_WAITING,
                                            .reserved_max = LANE_RESERVED_MAX}};
    crowd->env = (struct link_env){.ctx = crowd,
                                   .pool = pool,
                                   .budget = &crowd->budget,
                                   .bulk_alloc = env_bulk_alloc,
                                   .bulk_free = env_bulk_free,
                                   .transmit = env_transmit,
                                   .deliver = env_deliver,
                                   .deliver_bulk = env_deliver_bulk,
                                   .ping = env_ping,
                                   .up = env_up,
                                   .writable = env_writable,
                                   .lost = env_lost};
    cluster_keys_init(&crowd->keys, key);
    crowd->members = calloc(count, sizeof(*crowd->members));
    crowd->deadlines = calloc(count, sizeof(*crowd->deadlines));
    crowd->dirty = calloc(count, sizeof(*crowd->dirty));
    crowd->memory = pages_map(count * link_size());
    if (crowd->members == NULL || crowd->deadlines == NULL || crowd->dirty == NULL ||
        crowd->memory == NULL)
        return false;
    crowd->count = count;
    for (uint32_t i = 0; i < count; i++) {
        if (!make_member(crowd, i, sink))
            return false;
    }
    return true;
}

void perf_crowd_fini(struct perf_crowd *crowd)
{
    for (uint32_t i = 0; i < crowd->count; i++) {
        if (crowd->members[i].link != NULL)
            link_fini(crowd->members[i].link);
        free(crowd->members[i].records);
    }
    pages_unmap(crowd->memory, crowd->count * link_size());
    while (crowd->tx_count > 0)
        pkt_free(crowd->pool, crowd->txq[--crowd->tx_count]);
    free(crowd->members);
    free(crowd->deadlines);
    free(crowd->dirty);
    crowd->count = 0;
}

void perf_crowd_linked(struct perf_crowd *crowd, struct perf_member *member)
{
    const struct link_params params = {.node = crowd->node,
                                       .self = kad_id_node64(&member->identity.id),
                                       .link_id = member->link_id,
                                       .peer_link_id = member->peer_link,
                                       .peer = crowd->port->neighbour,
                                       .port = 0,
                                       .lead = LEAD,
                                       .initiator = 1,
                                       .seq_tx = member->start,
                                       .seq_rx = member->peer_start,
                                       .mtu = member->mtu,
                                       .message_max = 1 << 20,
                                       .records = member->records};

    member->link = link_init(member->memory, &params, &crowd->env, crowd->now);
    link_set_source(member->link, perf_crowd_port_of(crowd, member));
    perf_crowd_touch(crowd, member);
}

void perf_crowd_touch(struct perf_crowd *crowd, struct perf_member *member)
{
    if (member->dirty)
        return;
    member->dirty = true;
    crowd->dirty[crowd->dirty_count++] = (uint32_t)(member - crowd->members);
}

/* ---- The loop ---- */

/* A frame for any of the members: the port they are told apart by is the frame's. */
static enum port_drop parse(const struct perf_crowd *crowd, struct rte_mbuf *m)
{
    const uint8_t *frame = rte_pktmbuf_mtod(m, const uint8_t *);
    struct proa_addr self = crowd->port->address;
    struct net_datagram datagram;
    enum port_drop drop;

    if (m->nb_segs != 1 || m->data_len < UDP_TO + 2)
        return PORT_DROP_SHORT;
    self.port = (uint16_t)(frame[UDP_TO] << 8 | frame[UDP_TO + 1]);
    drop = net_parse(frame, m->data_len, &self, NET_ACCEPT_ZERO, &datagram);
    if (drop != PORT_OK)
        return drop;
    *pkt_of_mbuf(m) =
        (struct pkt){.data = rte_pktmbuf_mtod(m, uint8_t *) + datagram.offset,
                     .len = (uint16_t)datagram.len,
                     .peer = datagram.from,
                     .sent_at = crowd->now};
    return PORT_OK;
}

/* Takes p. */
static void input(struct perf_crowd *crowd, struct pkt *p)
{
    uint32_t slot;
    uint64_t id;

    if (!pkt_is_krpc(p) && p->len >= PACKET_LEN_MIN &&
        !packet_kind_is_keyed(packet_kind(p->data))) {
        id = packet_dst_link(p->data);
        slot = link_id_slot(id);
        if (slot < crowd->count && crowd->members[slot].link_id == id &&
            crowd->members[slot].link != NULL) {
            link_input(crowd->members[slot].link, p, crowd->now);
            perf_crowd_touch(crowd, &crowd->members[slot]);
            return;
        }
    } else if (!pkt_is_krpc(p) && p->len >= PACKET_LEN_MIN) {
        perf_crowd_keyed(crowd, p);
    }
    pkt_free(crowd->pool, p);
}

/* As a lane with many links does. */
static void prefetch_link(const struct perf_crowd *crowd, const struct pkt *p)
{
    uint32_t slot;

    if (p->len < PACKET_LEN_MIN)
        return;
    slot = link_id_slot(packet_dst_link(p->data));
    if (slot < crowd->count && crowd->members[slot].link != NULL)
        link_prefetch(crowd->members[slot].link);
}

static void receive(struct perf_crowd *crowd)
{
    struct rte_mbuf *mbufs[PORT_BURST];
    struct pkt *pkts[PORT_BURST];
    uint16_t got = 0, count = 0;

    if (ethdev_up(crowd->port))
        got = ethdev_burst_in(ethdev_of(crowd->port), 0, mbufs, PORT_BURST);
    for (uint16_t i = 0; i < got; i++) {
        if (parse(crowd, mbufs[i]) == PORT_OK) {
            pkts[count++] = pkt_of_mbuf(mbufs[i]);
            prefetch_link(crowd, pkt_of_mbuf(mbufs[i]));
        } else {
            rte_pktmbuf_free(mbufs[i]);
        }
    }
    for (uint16_t i = 0; i < count; i++)
        input(crowd, pkts[i]);
}

/* Silent for a second.  Before the node was ever heard that is its control thread, which has yet to read
   OPEN: nothing was sent, and the link begins anew as it was. */
static void ended(struct perf_crowd *crowd, struct perf_member *member)
{
    if (member->state == MEMBER_UP) {
        crowd->failed = "a link died";
        return;
    }
    link_fini(member->link);
    perf_crowd_linked(crowd, member);
}

static void tick(struct perf_crowd *crowd)
{
    if (crowd->now < crowd->next_tick)
        return;
    crowd->next_tick = PROA_NS_NEVER;
    for (uint32_t i = 0; i < crowd->count; i++) {
        struct perf_member *member = &crowd->members[i];

        if (crowd->deadlines[i] <= crowd->now) {
            link_tick(member->link, crowd->now);
            if (link_state(member->link) == LINK_DEAD)
                ended(crowd, member);
            crowd->deadlines[i] = link_deadline(member->link);
            perf_crowd_touch(crowd, member);
        }
        if (crowd->deadlines[i] < crowd->next_tick)
            crowd->next_tick = crowd->deadlines[i];
    }
}

static void flush(struct perf_crowd *crowd)
{
    for (uint32_t i = 0; i < crowd->dirty_count; i++) {
        uint32_t index = crowd->dirty[i];
        struct perf_member *member = &crowd->members[index];

        link_flush(member->link, crowd->now);
        crowd->deadlines[index] = link_deadline(member->link);
        if (crowd->deadlines[index] < crowd->next_tick)
            crowd->next_tick = crowd->deadlines[index];
        member->dirty = false;
    }
    crowd->dirty_count = 0;
    send_queued(crowd);
}

void perf_crowd_run(void *arg)
{
    struct perf_crowd *crowd = arg;

    while (!atomic_load_explicit(&crowd->stop, memory_order_relaxed)) {
        crowd->now = clock_ns();
        receive(crowd);
        tick(crowd);
        perf_crowd_meet(crowd);
        flush(crowd);
        if (crowd->failed != NULL)
            atomic_store(&crowd->gave_up, true);
    }
}
