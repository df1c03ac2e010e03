/* SPDX-License-Identifier: Apache-2.0 */
#include "link_events.h"

#include <stdlib.h>

void link_events_init(struct link_events *events)
{
    *events =
        (struct link_events){.heap = calloc(LINK_EVENTS_MAX, sizeof(*events->heap))};
    PROA_ASSERT(events->heap != NULL);
}

static bool before(const struct event *a, const struct event *b)
{
    return a->at != b->at ? a->at < b->at : a->serial < b->serial;
}

void link_events_push(struct link_events *events, struct event event)
{
    uint32_t i = events->count++;

    PROA_ASSERT(i < LINK_EVENTS_MAX);
    event.serial = events->serial++;
    while (i > 0 && before(&event, &events->heap[(i - 1) / 2])) {
        events->heap[i] = events->heap[(i - 1) / 2];
        i = (i - 1) / 2;
    }
    events->heap[i] = event;
}

struct event link_events_pop(struct link_events *events)
{
    struct event top = events->heap[0], last = events->heap[--events->count];
    uint32_t i = 0;

    for (;;) {
        uint32_t child = 2 * i + 1;
        if (child >= events->count)
            break;
        if (child + 1 < events->count &&
            before(&events->heap[child + 1], &events->heap[child]))
            child++;
        if (!before(&events->heap[child], &last))
            break;
        events->heap[i] = events->heap[child];
        i = child;
    }
    events->heap[i] = last;
    return top;
}
