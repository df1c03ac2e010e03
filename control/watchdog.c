/* SPDX-License-Identifier: Apache-2.0 */
#include "watchdog.h"

/* The lane has gone round, or sleeps. */
static bool is_free(struct watchdog_lane *w, unsigned lane, proa_ns now,
                    struct proa_event *ret)
{
    bool news = w->stuck;

    if (news)
        *ret = (struct proa_event){
            .kind = PROA_EVENT_LANE_FREE, .lane = lane, .span = now - w->since};
    w->stuck = false;
    w->since = now;
    return news;
}

bool watchdog_look(struct watchdog *self, unsigned lane,
                   const struct watchdog_sight *sight, proa_ns now,
                   struct proa_event *ret)
{
    struct watchdog_lane *w = &self->lanes[lane];
    bool moved = sight->loops != w->loops;

    w->loops = sight->loops;
    /* A lane arms its doorbell one loop before it sleeps: what runs then is not asleep. */
    if (moved || sight->loops == 0 || (sight->sleeping && proa_ref_is_none(sight->actor)))
        return is_free(w, lane, now, ret);
    if (w->stuck || now - w->since < WATCHDOG_STUCK)
        return false;
    w->stuck = true;
    *ret = (struct proa_event){.kind = PROA_EVENT_LANE_STUCK,
                               .lane = lane,
                               .actor = sight->actor,
                               .type = sight->type,
                               .span = now - w->since};
    return true;
}
