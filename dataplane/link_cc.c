/* SPDX-License-Identifier: Apache-2.0 */
#include "link_internal.h"

#include <string.h>

/* Congestion.  The path is modelled by two figures: the best rate at which packets were
   delivered in one of the last 8 round trips that had the window filled, and the least round
   trip of 10 s.  In flight may be 1.5 times their product, plus what the peer's host holds
   before it acks (it says so in host_delay, and it is no queue of the network), plus what goes in 32 us,
   plus 32 for acks that come in lumps.  The 32 us: a lane takes 32 packets at a time and acks them when it
   has worked them off; where the path is the peer's core the next 32 must be there by then, while the least
   round trip is that of a single packet.  Without, each lane waited for the other: bulk of 1 MiB over vhost
   10.6, with 14.4 to 15.6 Gbit/s.  Random loss does not shrink this; a round trip that lost more than
   2 % does, by half its loss, and rounds without loss give it back.

   Start and growth are those of BBR's model (Cardwell et al., 2016) without its probing
   phases: 1.5 instead of 1 leaves room to find a faster path all the time. */

#define RATE_ROUNDS 8
#define LOSS_PARTS 50 /* one in so many lost is taken as random */
#define FACTOR_ONE 1024
#define FACTOR_LEAST 768 /* 1.5 x 0.75 > 1: a lossy path still finds its rate */
#define RTT_HALF (5 * PROA_S)
#define HOST_MOST (100 * PROA_US)
#define ROUND_LEAST PROA_US
#define FLAT_ROUNDS 2 /* rounds without 25 % growth that end the start */

void link_cc_init(struct link *link, proa_ns now)
{
    struct link_cc *cc = &link->cc;

    cc->cwnd = LINK_CWND_START;
    cc->startup = true;
    cc->factor = cc->factor_before = FACTOR_ONE;
    cc->rtt_now = cc->rtt_before = PROA_NS_NEVER;
    cc->rtt_half_at = cc->round_at = now;
}

proa_ns link_cc_min_rtt(const struct link *link)
{
    const struct link_cc *cc = &link->cc;

    return cc->rtt_now < cc->rtt_before ? cc->rtt_now : cc->rtt_before;
}

void link_cc_rtt(struct link *link, proa_ns rtt, proa_ns host, proa_ns now)
{
    struct link_cc *cc = &link->cc;

    if (now - cc->rtt_half_at >= RTT_HALF) {
        cc->rtt_before = cc->rtt_now;
        cc->rtt_now = PROA_NS_NEVER;
        cc->rtt_half_at = now;
    }
    if (rtt < cc->rtt_now)
        cc->rtt_now = rtt;
    if (host > HOST_MOST)
        host = HOST_MOST;
    cc->host = (7 * cc->host + host) / 8;
}

void link_cc_delivered(struct link *link, const struct pkt *p)
{
    struct link_cc *cc = &link->cc;

    cc->delivered++;
    if (link_diff(p->delivered, cc->round_mark) >= 0)
        cc->round_over = true;
}

static uint64_t best_rate(const struct link_cc *cc)
{
    uint64_t best = 0;

    for (uint32_t i = 0; i < RATE_ROUNDS; i++) {
        if (cc->rates[i] > best)
            best = cc->rates[i];
    }
    return best;
}

static void apply_loss(struct link_cc *cc, uint32_t got)
{
    uint32_t lost = cc->round_lost, total = got + lost;

    if (cc->marked && lost * 4 < total)
        lost = total / 4; /* a mark says "too much" without saying how much */
    if (lost * LOSS_PARTS > total) {
        cc->factor_before = cc->factor;
        cc->factor -= cc->factor * lost / (2 * total);
        if (cc->factor < FACTOR_LEAST)
            cc->factor = FACTOR_LEAST;
        cc->startup = false;
    } else {
        cc->factor += (FACTOR_ONE - cc->factor + 3) / 4;
        cc->factor_before = cc->factor;
    }
}

static void set_window(struct link *link, uint64_t best)
{
    struct link_cc *cc = &link->cc;
    proa_ns rtt = link_cc_min_rtt(link);

    if (rtt == PROA_NS_NEVER)
        rtt = LINK_RTT_UNKNOWN;
    if (rtt > PROA_S)
        rtt = PROA_S;
    cc->holds = (uint32_t)(best * rtt / PROA_S);
    if (cc->startup)
        return;
    rtt += rtt / 2 + cc->host + LINK_CWND_LOOP;
    uint64_t window = best * rtt / PROA_S + LINK_CWND_LEAST;

    if (window > LINK_WINDOW_MAX)
        window = LINK_WINDOW_MAX;
    window = window * cc->factor / FACTOR_ONE;
    cc->cwnd = window > LINK_CWND_LEAST ? (uint32_t)window : LINK_CWND_LEAST;
}

void link_cc_round(struct link *link, proa_ns now)
{
    struct link_cc *cc = &link->cc;
    proa_ns took = now - cc->round_at;
    uint32_t got = cc->delivered - cc->round_mark;

    if (!cc->round_over || took < ROUND_LEAST)
        return;

    uint64_t rate = (uint64_t)got * PROA_S / took, best = best_rate(cc);
    if (cc->pushed || rate > best) {
        cc->rates[cc->rate_at++ % RATE_ROUNDS] = rate;
        best = best_rate(cc);
    }
    apply_loss(cc, got);
    /* More waited than went, but something else than the window held it: no reason to keep a window
       that grew on the way there. */
    if (cc->startup && cc->pushed) {
        if (best >= cc->best_before + cc->best_before / 4) {
            cc->best_before = best;
            cc->flat = 0;
            if (cc->limited)
                cc->cwnd =
                    cc->cwnd < LINK_WINDOW_MAX / 2 ? 2 * cc->cwnd : LINK_WINDOW_MAX;
        } else if (++cc->flat >= FLAT_ROUNDS) {
            cc->startup = false;
        }
    }
    set_window(link, best);
    cc->round_mark = cc->delivered;
    cc->round_at = now;
    cc->round_lost = 0;
    cc->round_over = cc->limited = cc->pushed = cc->marked = false;
}

/* A packet taken for lost was not: it leaves the round's loss, and what the last lossy round
   took off is given back. */
void link_cc_spurious(struct link *link)
{
    struct link_cc *cc = &link->cc;

    if (cc->round_lost > 0)
        cc->round_lost--;
    else
        cc->factor = cc->factor_before;
}
