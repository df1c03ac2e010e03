/* SPDX-License-Identifier: Apache-2.0 */
#include "leave.h"
#include "core_internal.h"
#include "liveness.h"

void leave_begin(struct core *core)
{
    if (core->leaving)
        return;
    core->leaving = true;
    core->leave_at = core->now;
    core->close_next = core->now + LEAVE_GRACE;
    registrar_leave(core);
    mesh_port_leave(core);
    kad_leave(core->kad, core->now);
    for (unsigned lane = 0; lane < core->config.lanes; lane++)
        core_tell(core, lane, PUNT_DRAIN, NULL, 0, NULL, 0);
}

/* Calls fn for each open link; counts those for which it returns true. */
static uint32_t each_link(const struct core *core, bool (*fn)(struct peer_link *link))
{
    uint32_t count = 0;

    for (unsigned lane = 0; lane < core->config.lanes; lane++) {
        for (uint32_t i = 0; i < core->peers.links_high[lane]; i++) {
            struct peer_link *link = &core->peers.links[lane][i];
            if (link->state == PEER_LINK_OPEN && fn(link))
                count++;
        }
    }
    return count;
}

static bool mark(struct peer_link *link)
{
    link->leaving = !link->peer->gone;
    return true;
}

static bool is_unanswered(struct peer_link *link)
{
    return link->leaving;
}

static void close_round(struct core *core)
{
    if (!core->closing)
        each_link(core, mark);
    core->closing = true;
    for (unsigned lane = 0; lane < core->config.lanes; lane++) {
        for (uint32_t i = 0; i < core->peers.links_high[lane]; i++) {
            struct peer_link *link = &core->peers.links[lane][i];
            if (link->state == PEER_LINK_OPEN && link->leaving)
                liveness_close(core, link, PACKET_CLOSE_LEAVING);
        }
    }
    core->close_next = core->now + (LEAVE_CLOSE_FIRST << core->close_round++);
}

void leave_tick(struct core *core)
{
    if (core->leaving && !leave_done(core, core->now) && core->now >= core->close_next)
        close_round(core);
}

bool leave_done(const struct core *core, proa_ns now)
{
    if (!core->leaving)
        return false;
    if (now - core->leave_at >= LEAVE_FOR)
        return true;
    return core->closing && kad_left(core->kad, now) &&
           each_link(core, is_unanswered) == 0;
}

proa_ns leave_deadline(const struct core *core)
{
    if (!core->leaving || leave_done(core, core->now))
        return PROA_NS_NEVER;

    proa_ns end = core->leave_at + LEAVE_FOR;
    return core->close_next < end ? core->close_next : end;
}
