/* SPDX-License-Identifier: Apache-2.0 */
/* Order marks: nothing of an old link is delivered after its successor opened.

   A link's messages for actors of other lanes travel through this lane's pair rings, those of its
   successor perhaps through another lane's.  So an ended link first sends a mark behind its last
   messages through every ring; each lane sends it back; and when all are back, control is told
   that the link has ended, and may open the next one. */
#include "lane_internal.h"

#include <string.h>

static bool push_mark(struct lane *lane, uint32_t to, uint32_t kind, uint64_t link_id)
{
    struct pair_ring *ring = lane->config.sched.out[to];
    struct pair_item *item = pair_ring_reserve(ring, true);
    struct lane_mark mark = {.link_id = link_id};

    if (item == NULL)
        return false;
    item->kind = kind;
    memcpy(item->body, &mark, sizeof(mark));
    pair_ring_commit(ring);
    return true;
}

static uint64_t other_lanes(const struct lane *lane)
{
    uint64_t all =
        lane->config.lanes == 64 ? UINT64_MAX : (UINT64_C(1) << lane->config.lanes) - 1;

    return all & ~(UINT64_C(1) << lane->config.lane);
}

static void done(struct lane *lane, struct lane_link *ll)
{
    struct punt_link report = ll->report;

    if (ll->lost_node != 0)
        sched_node_lost(lane->sched, ll->lost_node);
    *ll = (struct lane_link){0};
    lane_report(lane, PUNT_LINK_ENDED, &report);
}

bool lane_marks_wait(const struct lane *lane, uint64_t node)
{
    for (uint32_t i = 0; i < lane->ending_count; i++) {
        if (lane->links[lane->ending[i]].lost_node == node)
            return true;
    }
    return false;
}

void lane_marks_begin(struct lane *lane, struct lane_link *ll,
                      const struct punt_link *report, uint64_t lost_node)
{
    *ll = (struct lane_link){.id = report->link_id,
                             .ending = true,
                             .marks_to_send = other_lanes(lane),
                             .lost_node = lost_node,
                             .report = *report};
    if (ll->marks_to_send == 0)
        done(lane, ll);
    else
        lane->ending[lane->ending_count++] = (uint32_t)(ll - lane->links);
}

static void push_backs(struct lane *lane)
{
    uint32_t kept = 0;

    for (uint32_t i = 0; i < lane->back_count; i++) {
        struct lane_back back = lane->backs[i];
        if (!push_mark(lane, back.lane, LANE_MARK_BACK, back.link_id))
            lane->backs[kept++] = back;
    }
    lane->back_count = kept;
}

/* Sends what marks the rings take, and forgets the links whose marks are all back. */
void lane_marks_push(struct lane *lane)
{
    if (lane->back_count > 0)
        push_backs(lane);
    for (uint32_t i = lane->ending_count; i-- > 0;) {
        struct lane_link *ll = &lane->links[lane->ending[i]];

        for (uint32_t to = 0; ll->marks_to_send != 0 && to < lane->config.lanes; to++) {
            uint64_t bit = UINT64_C(1) << to;
            if ((ll->marks_to_send & bit) == 0 ||
                !push_mark(lane, to, PAIR_MARKER, ll->id))
                continue;
            ll->marks_to_send &= ~bit;
            ll->marks_out |= bit;
        }
        if ((ll->marks_to_send | ll->marks_out) == 0) {
            done(lane, ll);
            lane->ending[i] = lane->ending[--lane->ending_count];
        }
    }
}

void lane_mark_item(struct lane *lane, uint32_t from_lane, const struct pair_item *item)
{
    struct lane_mark mark;

    memcpy(&mark, item->body, sizeof(mark));
    if (item->kind == PAIR_MARKER) {
        sched_link_ended(lane->sched, mark.link_id);
        /* A ring too full even for this: the mark is kept and sent later. */
        if (!push_mark(lane, from_lane, LANE_MARK_BACK, mark.link_id)) {
            PROA_ASSERT(lane->back_count < lane->back_max); /* one a slot */
            lane->backs[lane->back_count++] = (struct lane_back){from_lane, mark.link_id};
        }
        return;
    }
    struct lane_link *ll = &lane->links[link_id_slot(mark.link_id) % LANE_LINKS_MAX];
    if (ll->ending && ll->id == mark.link_id)
        ll->marks_out &= ~(UINT64_C(1) << from_lane);
}
