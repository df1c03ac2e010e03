/* SPDX-License-Identifier: Apache-2.0 */
#include <sodium.h>
#include <string.h>

#include "keyed.h"
#include "perf_crowd.h"
#include "punt.h"

static void send_bytes(struct perf_crowd *crowd, const struct perf_member *member,
                       const uint8_t *bytes, size_t len)
{
    struct pkt *p = pkt_alloc(crowd->pool, 1);

    if (p == NULL)
        return; /* tried again */
    if (p->room < len) {
        pkt_free(crowd->pool, p);
        return;
    }
    memcpy(p->data, bytes, len);
    p->len = (uint16_t)len;
    p->peer = crowd->port->neighbour;
    p->source = perf_crowd_port_of(crowd, member);
    perf_crowd_transmit(crowd, p);
}

static uint64_t random64(void)
{
    uint64_t value;

    randombytes_buf(&value, sizeof(value));
    return value | 1; /* never 0, which means none */
}

static struct packet_open opening(const struct perf_crowd *crowd,
                                  const struct perf_member *member)
{
    return (struct packet_open){.src_node = kad_id_node64(&member->identity.id),
                                .dst_node = crowd->node,
                                .nonce = member->nonce,
                                .link = member->link_id,
                                .start = member->start,
                                .mtu = member->mtu,
                                .lane = 0,
                                .lanes = 1};
}

static void send_syn(struct perf_crowd *crowd, struct perf_member *member)
{
    uint8_t buf[PACKET_LEN_MAX];
    struct packet_open syn = opening(crowd, member);

    keyed_open_put(&member->identity, &crowd->keys, buf, member->mtu, PACKET_SYN, &syn);
    send_bytes(crowd, member, buf, member->mtu);
}

static void send_open(struct perf_crowd *crowd, struct perf_member *member, uint64_t echo)
{
    uint8_t buf[PACKET_OPEN_LEN + PACKET_TAG_LEN];
    struct packet_open open = opening(crowd, member);

    open.nonce = random64();
    open.echo = echo;
    open.peer_link = member->peer_link;
    open.peer_start = member->peer_start;
    keyed_open_put(&member->identity, &crowd->keys, buf, sizeof(buf), PACKET_OPEN, &open);
    send_bytes(crowd, member, buf, sizeof(buf));
}

static void begin(struct perf_crowd *crowd, struct perf_member *member)
{
    member->state = MEMBER_SYN;
    member->nonce = random64();
    member->start = (uint32_t)random64();
    member->mtu = (uint16_t)(crowd->port->payload_max & ~7u);
    member->next_at = crowd->now + PERF_CROWD_RETRY;
    send_syn(crowd, member);
}

/* A SYN whose SYNACK, OPEN or first packet got lost begins anew. */
static void try_again(struct perf_crowd *crowd, struct perf_member *member)
{
    if (++member->tries > PERF_CROWD_TRIES) {
        crowd->failed = "the node answers no handshake";
        return;
    }
    member->next_at = crowd->now + PERF_CROWD_RETRY;
    if (member->state == MEMBER_SYN)
        send_syn(crowd, member);
    else
        send_open(crowd, member, member->nonce);
}

void perf_crowd_meet(struct perf_crowd *crowd)
{
    if (crowd->up == crowd->count)
        return;
    for (uint32_t i = 0; i < crowd->begun; i++) {
        struct perf_member *member = &crowd->members[i];

        if (member->state != MEMBER_UP && crowd->now >= member->next_at)
            try_again(crowd, member);
    }
    if (crowd->begun < crowd->count && crowd->meeting < PERF_CROWD_MEETING &&
        crowd->now >= crowd->next_syn) {
        crowd->next_syn = crowd->now + PERF_CROWD_PACE;
        crowd->meeting++;
        begin(crowd, &crowd->members[crowd->begun++]);
    }
}

static struct perf_member *member_of(struct perf_crowd *crowd, uint64_t link_id)
{
    uint32_t slot = link_id_slot(link_id);

    return slot < crowd->count && crowd->members[slot].link_id == link_id
               ? &crowd->members[slot]
               : NULL;
}

static void on_synack(struct perf_crowd *crowd, const struct pkt *p)
{
    struct packet_open synack;
    struct perf_member *member;
    struct kad_id id;

    if (packet_open_get(p->data, p->len, &synack) != 0 ||
        (member = member_of(crowd, synack.peer_link)) == NULL ||
        member->state != MEMBER_SYN || synack.echo != member->nonce ||
        synack.src_node != crowd->node || synack.mtu > member->mtu ||
        !keyed_open_holds(p->data, &synack, &id))
        return;
    member->state = MEMBER_OPEN;
    member->peer_link = synack.link;
    member->peer_start = synack.start;
    member->mtu = synack.mtu;
    member->nonce = synack.nonce; /* what OPEN echoes, each time */
    member->next_at = crowd->now + PERF_CROWD_RETRY;
    send_open(crowd, member, synack.nonce);
    perf_crowd_linked(crowd, member);
}

void perf_crowd_ping(struct perf_crowd *crowd, struct perf_member *member, uint32_t flags)
{
    uint8_t buf[KEYED_PING_LEN];
    const struct packet_ping ping = {.src_node = kad_id_node64(&member->identity.id),
                                     .dst_node = crowd->node,
                                     .nonce = random64(),
                                     .link = member->link_id,
                                     .peer_link = member->peer_link,
                                     .flags = flags};

    send_bytes(crowd, member, buf, keyed_ping_put(&crowd->keys, buf, PACKET_PING, &ping));
    link_pinged(member->link, crowd->now);
}

static void pong(struct perf_crowd *crowd, struct perf_member *member, uint64_t echo)
{
    uint8_t buf[KEYED_PING_LEN];
    const struct packet_ping answer = {.src_node = kad_id_node64(&member->identity.id),
                                       .dst_node = crowd->node,
                                       .nonce = random64(),
                                       .echo = echo,
                                       .link = member->link_id,
                                       .peer_link = member->peer_link};

    send_bytes(crowd, member, buf,
               keyed_ping_put(&crowd->keys, buf, PACKET_PONG, &answer));
}

static void on_ping(struct perf_crowd *crowd, const struct pkt *p, unsigned kind)
{
    struct packet_ping ping;
    struct perf_member *member;

    if (packet_ping_get(p->data, p->len, &ping) != 0 ||
        (member = member_of(crowd, ping.peer_link)) == NULL)
        return;
    if (kind == PACKET_RST || kind == PACKET_CLOSE) {
        crowd->failed =
            kind == PACKET_RST ? "the node reset a link" : "the node closed a link";
        return;
    }
    if (member->link == NULL)
        return;
    if (kind == PACKET_PING)
        pong(crowd, member, ping.nonce);
    link_heard(member->link, false, crowd->now);
    perf_crowd_touch(crowd, member);
}

void perf_crowd_keyed(struct perf_crowd *crowd, const struct pkt *p)
{
    unsigned kind = packet_kind(p->data);

    if (!keyed_holds(&crowd->keys, p->data, p->len))
        return;
    if (kind == PACKET_SYNACK)
        on_synack(crowd, p);
    else if (kind >= PACKET_PING)
        on_ping(crowd, p, kind);
}
