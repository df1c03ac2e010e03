/* SPDX-License-Identifier: Apache-2.0 */
#include "events.h"

#include <stdlib.h>
#include <string.h>

#include "addr.h"
#include "core_internal.h"

#define FLUSH_MAX 64u /* events told to one reader in one step */

bool events_init(struct core *core)
{
    struct events *self = &core->events;

    self->next = self->told = 1;
    self->ring = calloc(PROA_EVENTS_KEPT, sizeof(*self->ring));
    events_drops_init(&self->drops, core->now);
    return self->ring != NULL;
}

void events_fini(struct core *core)
{
    free(core->events.ring);
    core->events.ring = NULL;
}

static struct proa_event *at(const struct events *self, uint64_t number)
{
    return &self->ring[number % PROA_EVENTS_KEPT];
}

void events_add(struct core *core, const struct proa_event *event)
{
    struct events *self = &core->events;
    struct proa_event *place = at(self, self->next);

    *place = *event;
    place->number = self->next++;
    place->at = core->now;
    place->wall_ms = core->wall_ms;
}

/* ---- Readers ---- */

static uint64_t oldest(const struct events *self)
{
    return self->next > PROA_EVENTS_KEPT ? self->next - PROA_EVENTS_KEPT : 1;
}

/* What a reader at *next is told now.  False: nothing. */
static bool next_for(const struct core *core, uint64_t next, struct proa_event *ret)
{
    const struct events *self = &core->events;
    uint64_t first = oldest(self);

    if (next >= self->next)
        return false;
    if (next >= first) {
        *ret = *at(self, next);
        return true;
    }
    *ret = (struct proa_event){.kind = PROA_EVENT_LOST,
                               .number = first - 1,
                               .at = core->now,
                               .wall_ms = core->wall_ms,
                               .count = first - next};
    return true;
}

unsigned events_read(const struct core *core, uint64_t *next, struct proa_event *ret,
                     unsigned max)
{
    unsigned count = 0;

    if (*next == 0)
        *next = oldest(&core->events);
    while (count < max && next_for(core, *next, &ret[count]))
        *next = ret[count++].number + 1;
    return count;
}

static void tell_function(struct core *core)
{
    struct events *self = &core->events;
    struct proa_event event;

    if (self->fn == NULL)
        return;
    for (unsigned i = 0; i < FLUSH_MAX && next_for(core, self->told, &event); i++) {
        self->told = event.number + 1;
        self->fn(self->ctx, &event);
    }
}

/* What finds no room in the outlet stays in the ring. */
static void tell_lane(struct core *core, unsigned lane)
{
    uint64_t *next = &core->events.lane_told[lane];
    struct outlet *outlet = &core->outlets[lane];
    struct proa_event event;

    if (*next == 0)
        return;
    for (unsigned i = 0; i < FLUSH_MAX && next_for(core, *next, &event); i++) {
        if (!outlet_is_clear(outlet) || !outlet_tell(outlet, PUNT_EVENT_TOLD, &event,
                                                     sizeof(event), NULL, 0, core->now))
            return;
        *next = event.number + 1;
    }
}

void events_flush(struct core *core)
{
    tell_function(core);
    for (unsigned lane = 0; lane < core->config.lanes; lane++)
        tell_lane(core, lane);
}

void events_wanted(struct core *core, unsigned lane, bool on)
{
    uint64_t *next = &core->events.lane_told[lane];

    if (!on)
        *next = 0;
    else if (*next == 0)
        *next = core->events.next;
}

proa_ns events_deadline(const struct core *core)
{
    const struct events *self = &core->events;

    if (self->fn != NULL && self->told < self->next)
        return 0;
    for (unsigned lane = 0; lane < core->config.lanes; lane++) {
        if (self->lane_told[lane] != 0 && self->lane_told[lane] < self->next)
            return outlet_is_clear(&core->outlets[lane]) ? 0 : core->now + OUTLET_RETRY;
    }
    return self->drops.look_at;
}

void events_tick(struct core *core)
{
    events_drops_look(core);
}

/* ---- Notes of the lanes ---- */

static void actor_event(struct core *core, const struct byte_record *record)
{
    struct punt_event note;
    struct proa_event event = {0};

    memcpy(&note, record->body, sizeof(note));
    event.kind = (enum proa_event_kind)note.kind;
    event.node = core->node;
    event.actor = (struct proa_ref){core->node, note.slot, note.generation};
    event.lane = proa_ref_lane(event.actor);
    event.code = note.code;
    memcpy(event.text, note.text, sizeof(note.text));
    event.text[sizeof(note.text) - 1] = '\0';
    events_add(core, &event);
}

static void dead_letter(struct core *core, const struct byte_record *record)
{
    struct proa_dead_letter letter;

    memcpy(&letter, record->body, sizeof(letter));
    if (core->events.letter_fn != NULL)
        core->events.letter_fn(core->events.letter_ctx, &letter);
}

static void log_line(struct core *core, unsigned lane, const struct byte_record *record)
{
    struct punt_log head;
    struct proa_log_line line;

    memcpy(&head, record->body, sizeof(head));
    line = (struct proa_log_line){.at = head.at,
                                  .wall_ms = core->wall_ms,
                                  .level = (enum proa_log_level)head.level,
                                  .lane = lane,
                                  .actor = {core->node, head.slot, head.generation},
                                  .type_name = head.type_name,
                                  .text = (const char *)record->body + sizeof(head),
                                  .len = head.len};
    if (head.at < core->now)
        line.wall_ms -= (core->now - head.at) / PROA_MS;
    if (core->events.log_fn != NULL)
        core->events.log_fn(core->events.log_ctx, &line);
}

void events_note(struct core *core, unsigned lane, const struct byte_record *record)
{
    switch (record->kind) {
    case PUNT_EVENT:
        actor_event(core, record);
        break;
    case PUNT_DEAD_LETTER:
        dead_letter(core, record);
        break;
    case PUNT_LOG:
        log_line(core, lane, record);
        break;
    default:
        PROA_ASSERT(!"a note of our own making");
    }
}

/* ---- What the core sees happen ---- */

void events_put_text(struct proa_event *event, const char *text, size_t len)
{
    if (len > sizeof(event->text) - 1)
        len = sizeof(event->text) - 1;
    memcpy(event->text, text, len);
    event->text[len] = '\0';
}

void events_peer(struct core *core, enum proa_event_kind kind, const struct peer *peer,
                 const char *why)
{
    struct proa_event event = {.kind = kind, .node = peer->node};

    if (peer->node == core->node)
        return;
    if (why != NULL)
        events_put_text(&event, why, strlen(why));
    else if (peer->addr.family != 0)
        addr_print(&peer->addr, event.text, sizeof(event.text));
    events_add(core, &event);
}

void events_link_up(struct core *core, const struct peer_link *link)
{
    struct proa_event event = {.kind = PROA_EVENT_LINK_UP,
                               .node = link->peer->node,
                               .lane = link_id_lane(link->id)};

    addr_print(&link->addr, event.text, sizeof(event.text));
    events_add(core, &event);
}

void events_link_ended(struct core *core, const struct peer_link *link,
                       const struct punt_link *report)
{
    static const struct {
        enum proa_event_kind kind;
        const char *text;
    } ends[] = {
        [LINK_END_SILENT] = {PROA_EVENT_LINK_DEAD, "silent"},
        [LINK_END_STUCK] = {PROA_EVENT_LINK_DEAD, "one packet did not get through"},
        [LINK_END_RESET] = {PROA_EVENT_LINK_DEAD, "the other side ended it"},
        [LINK_END_IDLE] = {PROA_EVENT_LINK_CLOSED, "idle"},
        [LINK_END_CLOSED] = {PROA_EVENT_LINK_CLOSED, "this node leaves"},
    };
    struct proa_event event = {.node = link->peer->node, .lane = link_id_lane(link->id)};

    PROA_ASSERT(report->flags <= LINK_END_CLOSED);
    event.kind = ends[report->flags].kind;
    events_put_text(&event, ends[report->flags].text, strlen(ends[report->flags].text));
    events_add(core, &event);
}

void events_name_lost(struct core *core, struct proa_ref actor, uint64_t node,
                      const char *name, size_t len)
{
    struct proa_event told = {.kind = PROA_EVENT_NAME_LOST, .node = node, .actor = actor};

    events_put_text(&told, name, len);
    events_add(core, &told);
}
