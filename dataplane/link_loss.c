/* SPDX-License-Identifier: Apache-2.0 */
#include "link_internal.h"

/* Loss.  An ack describes the packets from ack to the end of its bits.  One of them that has not
   arrived, though a packet sent after it has, is a suspect: it is lost at once when
   LINK_REORDER packets sent later have arrived, else when 1.25 round trips have passed since it
   was sent.  Outside the description nothing is ever declared lost, except by the
   retransmission timer, and that resends the first unacked packet only: if the peer lives, the
   ack of that one describes what comes behind it. */

static proa_ns reorder_time(const struct link *link)
{
    proa_ns t = link->srtt + link->srtt / 4;

    return t > LINK_REORDER_LEAST ? t : LINK_REORDER_LEAST;
}

static void declare_lost(struct link *link, uint32_t seq)
{
    link_bit_clear(&link->suspect, seq);
    link_bit_set(&link->lost, seq);
    link->lost_count++;
    link->cc.round_lost++;
}

void link_loss_forget(struct link *link, uint32_t seq)
{
    link_bit_clear(&link->suspect, seq);
    if (link->lost_count == 0 || !link_bit(&link->lost, seq))
        return;
    /* Declared lost, not yet sent again, and here it is. */
    link_bit_clear(&link->lost, seq);
    link->lost_count--;
    link_cc_spurious(link);
}

/* seq has not arrived, `later` packets with higher numbers have. */
static void consider(struct link *link, uint32_t seq, uint32_t later, proa_ns now)
{
    const struct pkt *p = link_tx(link, seq);
    proa_ns due = p->sent_at + reorder_time(link);

    if (link_bit(&link->lost, seq) || link_diff(link->newest, p->order) <= 0)
        return;
    /* What has a higher number was sent later, unless this one was sent again. */
    if ((p->attempt == 0 && later >= LINK_REORDER) || now >= due) {
        declare_lost(link, seq);
        return;
    }
    link_bit_set(&link->suspect, seq);
    if (due < link->loss_at)
        link->loss_at = due;
}

void link_loss_after_ack(struct link *link, uint32_t ack, uint32_t words, proa_ns now)
{
    uint32_t later = 0;

    for (uint32_t i = words; i-- > 0;) {
        uint32_t base = ack + 1 + 64 * i;
        int32_t known = link_diff(link->nxt, base);
        if (known <= 0)
            continue;

        uint64_t valid = known < 64 ? (1ull << known) - 1 : ~0ull;
        uint64_t here = link_bits64(&link->sacked, base) & valid;
        uint64_t missing = ~here & valid;
        while (missing != 0) {
            uint32_t bit = 63 - (uint32_t)__builtin_clzll(missing);
            uint32_t above = (uint32_t)__builtin_popcountll(here >> bit);

            missing &= ~(1ull << bit);
            consider(link, base + bit, later + above, now);
        }
        later += (uint32_t)__builtin_popcountll(here);
    }
    consider(link, ack, later, now);
}

/* The time of a suspect has come. */
static void settle_suspects(struct link *link, proa_ns now)
{
    uint32_t seq = link->una;

    link->loss_at = PROA_NS_NEVER;
    while (link_bits_next(&link->suspect, &seq, link->nxt)) {
        proa_ns due = link_tx(link, seq)->sent_at + reorder_time(link);

        if (now >= due)
            declare_lost(link, seq);
        else if (due < link->loss_at)
            link->loss_at = due;
        seq++;
    }
}

/* ---- Timers ---- */

void link_rtt_sample(struct link *link, proa_ns rtt, proa_ns host, proa_ns now)
{
    rtt = rtt > host ? rtt - host : 1;
    if (!link->rtt_known) {
        link->rtt_known = true;
        link->srtt = rtt;
        link->rttvar = rtt / 2;
    } else {
        proa_ns off = rtt > link->srtt ? rtt - link->srtt : link->srtt - rtt;
        link->rttvar = (3 * link->rttvar + off) / 4;
        link->srtt = (7 * link->srtt + rtt) / 8;
    }
    link->peer_gap -=
        link->peer_gap / 256; /* recent: forgotten in a few thousand packets */
    if (host > link->peer_gap)
        link->peer_gap = host;
    link_cc_rtt(link, rtt, host, now);
}

static proa_ns rto(const struct link *link)
{
    proa_ns t = link->srtt + 4 * link->rttvar;
    proa_ns gap = link->gap > link->peer_gap ? link->gap : link->peer_gap;

    if (t < LINK_RTO_LEAST)
        t = LINK_RTO_LEAST;
    t += gap < LINK_GAP_MOST ? gap : LINK_GAP_MOST;
    t <<= link->backoff;
    return t < LINK_RTO_MOST ? t : LINK_RTO_MOST;
}

/* From the last progress, or the last sending of the packet that is waited for. */
proa_ns link_rto_at(const struct link *link)
{
    proa_ns from = link->rto_base;

    if (link->una == link->nxt)
        return PROA_NS_NEVER;
    if (link_tx(link, link->una)->sent_at > from)
        from = link_tx(link, link->una)->sent_at;
    return from + rto(link);
}

proa_ns link_probe_at(const struct link *link)
{
    proa_ns after = 2 * link->srtt;

    if (link->una == link->nxt || link->probed)
        return PROA_NS_NEVER;
    if (after < LINK_PROBE_LEAST)
        after = LINK_PROBE_LEAST;
    /* From the last sending or the last progress, whichever came later. */
    return (link->tx_at > link->rto_base ? link->tx_at : link->rto_base) + after;
}

/* The last packets of a burst have nothing behind them that could betray their loss: the last
   one goes again and asks for an ack at once. */
static void probe(struct link *link, proa_ns now)
{
    uint32_t seq = link->nxt - 1;

    link->probed = true;
    while (seq != link->una && link_bit(&link->sacked, seq))
        seq--;
    if (link_tx(link, seq)->attempt >= LINK_ATTEMPTS_BEHIND)
        return;
    if (link_resend(link, seq, true, now))
        link->stats.probes++;
}

static void on_rto(struct link *link, proa_ns now)
{
    const struct pkt *first = link_tx(link, link->una);

    link->stats.rto++;
    link->rto_base = now;
    link->rto_silent++;
    if (link->backoff < 8)
        link->backoff++;
    if (link->rto_silent != 2)
        link_ping(link, 0, now);
    if (link->rto_silent > LINK_RTO_RESENDS) {
        link->rto_silent = LINK_RTO_RESENDS + 1;
        return;
    }
    if (first->attempt < PACKET_ATTEMPT_MAX)
        link_resend(link, link->una, false, now);
    else if (link->heard_at > first->sent_at)
        link_die(link, LINK_DEAD_STUCK);
}

void link_loss_tick(struct link *link, proa_ns now)
{
    if (now >= link->loss_at)
        settle_suspects(link, now);

    bool failed = now >= link_rto_at(link);
    if (!failed && now < link_probe_at(link))
        return;
    /* Nothing failed: nothing leaves, and both times begin anew. */
    if (link_port_full(link))
        link->rto_base = now;
    else if (failed)
        on_rto(link, now);
    else
        probe(link, now);
}
