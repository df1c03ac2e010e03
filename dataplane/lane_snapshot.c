/* SPDX-License-Identifier: Apache-2.0 */
/* What telemetry shows of a lane's links, and what the lane keeps: copied by the lane itself, on request.

   States: IDLE -> WANTED (reader) -> COPYING (lane) -> READY (lane) -> IDLE (reader); a reader that
   gives up takes WANTED back to IDLE.  Release and acquire on the state order the buffer. */
#include "lane_internal.h"

#include <time.h>

#include "clock.h"

#define SNAPSHOT_LOOK (50 * PROA_US) /* between two looks of the reader */

enum { IDLE, WANTED, COPYING, READY };

static void copy_held(struct lane *lane)
{
    struct lane_held *held = &lane->snapshot_held;

    *held = (struct lane_held){.links = lane->active_count,
                               .peers = lane->peer_count,
                               .retained = lane->budget.retained,
                               .queued = lane->budget.queued,
                               .out_of_order = lane->budget.held,
                               .pending = lane->pending_count,
                               .bulk = lane->budget.bulk,
                               .bulk_out = lane->bulk.used};
    for (unsigned i = 0; i < lane->config.port_count; i++)
        held->tx_queued += lane->txq[i].backlog.count;
}

void lane_snapshot(struct lane *lane)
{
    uint32_t expected = WANTED, n = 0;

    /* relaxed: most loops end here; the exchange below orders. */
    if (atomic_load_explicit(&lane->snapshot_state, memory_order_relaxed) != WANTED)
        return;
    /* acquire, pairs with the reader's release of WANTED: the buffer is set. */
    if (!atomic_compare_exchange_strong_explicit(&lane->snapshot_state, &expected,
                                                 COPYING, memory_order_acquire,
                                                 memory_order_relaxed))
        return;
    for (; n < lane->active_count && n < lane->snapshot_count; n++) {
        struct lane_link *ll = &lane->links[lane->active[n]];
        lane->snapshot[n].node = ll->peer->node;
        lane->snapshot[n].sending = ll->peer->sending == ll;
        link_stats(ll->link, &lane->snapshot[n].stats);
    }
    lane->snapshot_count = n;
    copy_held(lane);
    /* release, pairs with the reader's acquire of READY: the copy is whole. */
    atomic_store_explicit(&lane->snapshot_state, READY, memory_order_release);
}

/* Takes the request back; false when the lane is copying or has copied. */
static bool take_back(struct lane *lane)
{
    uint32_t expected = WANTED;

    /* relaxed: nothing was written. */
    return atomic_compare_exchange_strong_explicit(&lane->snapshot_state, &expected, IDLE,
                                                   memory_order_relaxed,
                                                   memory_order_relaxed);
}

/* Asks the lane and waits; true: what it copied is there, until the next call. */
static bool ask(struct lane *lane, struct lane_link_info *links, unsigned max)
{
    const struct timespec look = {0, (long)SNAPSHOT_LOOK};
    proa_ns end = clock_ns() + LANE_LINKS_WAIT;

    lane->snapshot = links;
    lane->snapshot_count = max;
    /* release, pairs with the lane's acquire. */
    atomic_store_explicit(&lane->snapshot_state, WANTED, memory_order_release);
    doorbell_ring(lane->config.bell);
    /* acquire, pairs with the lane's release of READY. */
    while (atomic_load_explicit(&lane->snapshot_state, memory_order_acquire) != READY) {
        if (clock_ns() > end && take_back(lane))
            return false;
        nanosleep(&look, NULL);
    }
    /* relaxed: only readers go on from here. */
    atomic_store_explicit(&lane->snapshot_state, IDLE, memory_order_relaxed);
    return true;
}

unsigned lane_links(struct lane *lane, struct lane_link_info *ret, unsigned max)
{
    return ask(lane, ret, max) ? lane->snapshot_count : 0;
}

bool lane_held(struct lane *lane, struct lane_held *ret)
{
    if (!ask(lane, NULL, 0))
        return false;
    *ret = lane->snapshot_held;
    return true;
}
