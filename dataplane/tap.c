/* SPDX-License-Identifier: Apache-2.0 */
#include "tap.h"

#include <string.h>

unsigned tap_kind(const struct pkt *p)
{
    if (pkt_is_krpc(p))
        return TAP_KRPC;
    if (p->len < PACKET_HEADER_LEN || packet_kind(p->data) >= PACKET_KIND_COUNT)
        return TAP_OTHER;
    return packet_kind(p->data);
}

static bool is_peer(const struct proa_addr *wanted, const struct proa_addr *peer)
{
    if (wanted->family == 0)
        return true;
    return wanted->family == peer->family &&
           memcmp(wanted->ip, peer->ip, sizeof(peer->ip)) == 0 &&
           (wanted->port == 0 || wanted->port == peer->port);
}

bool tap_wants(const struct tap_filter *filter, const struct pkt *p)
{
    return (filter->kinds & 1u << tap_kind(p)) != 0 && is_peer(&filter->peer, &p->peer);
}

static void count(_Atomic uint64_t *counter)
{
    /* relaxed: the lane is its only writer. */
    uint64_t n = atomic_load_explicit(counter, memory_order_relaxed);

    atomic_store_explicit(counter, n + 1, memory_order_relaxed);
}

void tap_packet(struct tap *tap, const struct pkt *p, proa_ns at, bool out)
{
    struct tap_record record = {.at = at,
                                .peer = p->peer,
                                .len = p->len,
                                .port = p->port,
                                .out = out,
                                .source = out ? p->source : 0};
    uint32_t kept = p->len < tap->filter.snap ? p->len : tap->filter.snap;

    if (!tap_wants(&tap->filter, p))
        return;
    if (byte_ring_push(tap->ring, TAP_PACKET, &record, sizeof(record), p->data, kept))
        count(&tap->taken[p->port % TAP_PORTS]);
    else
        count(&tap->dropped[p->port % TAP_PORTS]);
}
