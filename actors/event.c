/* SPDX-License-Identifier: Apache-2.0 */
#include <proa/event.h>

#include "event_note.h"
#include "scheduler_internal.h"

void event_notes_init(struct event_notes *notes, struct byte_ring *ring)
{
    notes->ring = ring;
    notes->listener_count = 0;
    atomic_init(&notes->level, PROA_LOG_INFO);
}

/* ---- Up ---- */

bool note_push(struct sched *s, uint16_t kind, const void *body, uint32_t body_len,
               const void *tail, uint32_t tail_len)
{
    if (s->notes.ring == NULL ||
        !byte_ring_push(s->notes.ring, kind, body, body_len, tail, tail_len))
        return false;
    s->up_dirty = true;
    return true;
}

void sched_event(struct sched *s, const struct punt_event *event)
{
    if (!note_push(s, PUNT_EVENT, event, sizeof(*event), NULL, 0))
        STAT_ADD(s, events_lost, 1);
}

void note_dead_letter(struct sched *s, const struct refusal *r)
{
    struct proa_dead_letter letter = {.to = r->to,
                                      .type = r->type,
                                      .count = r->count,
                                      .reason = r->reason,
                                      .lane = s->lane};

    if (r->generation != 0)
        letter.from = (struct proa_ref){s->node, r->slot, r->generation};
    if (r->reason < PROA_OUTCOME_COUNT)
        STAT_ADD(s, dead_letters[r->reason], r->count);
    if (!note_push(s, PUNT_DEAD_LETTER, &letter, sizeof(letter), NULL, 0))
        STAT_ADD(s, dead_letters_untold, r->count);
}

/* ---- Who wants events ---- */

static bool is_alive(const struct sched *s, const struct event_listener *l)
{
    return slot_find(&s->slots, l->slot, l->generation) != NULL;
}

static void remove_listener(struct event_notes *notes, uint32_t at)
{
    notes->listeners[at] = notes->listeners[--notes->listener_count];
}

static uint32_t find_listener(const struct event_notes *notes, struct proa_ref ref)
{
    uint32_t at = 0;

    while (at < notes->listener_count &&
           (notes->listeners[at].slot != ref.slot ||
            notes->listeners[at].generation != ref.generation))
        at++;
    return at;
}

/* Those whose life is over make room when it is needed. */
static void forget_the_dead(struct sched *s)
{
    for (uint32_t at = s->notes.listener_count; at-- > 0;) {
        if (!is_alive(s, &s->notes.listeners[at]))
            remove_listener(&s->notes, at);
    }
}

static bool tell_control(struct sched *s, uint32_t on)
{
    return up_push(s, PUNT_EVENTS_WANTED, &on, sizeof(on), NULL, 0);
}

enum proa_outcome proa_events(struct proa_actor *self, bool on)
{
    struct sched *s = self->sched;
    struct event_notes *notes = &s->notes;
    uint32_t at = find_listener(notes, self->ref);

    if (!on) {
        if (at == notes->listener_count)
            return PROA_OK;
        remove_listener(notes, at);
        if (notes->listener_count == 0)
            tell_control(s, 0); /* when it is lost, events come that nobody takes */
        return PROA_OK;
    }
    if (at < notes->listener_count)
        return PROA_OK;
    if (notes->listener_count == PROA_EVENTS_ACTORS_MAX)
        forget_the_dead(s);
    if (notes->listener_count == PROA_EVENTS_ACTORS_MAX)
        return send_failed(s, NULL, PROA_LIMIT);
    if (!tell_control(s, 1)) {
        s->again_kind = WAIT_UP;
        s->again_key = 0;
        return send_failed(s, self->slot, PROA_AGAIN);
    }
    notes->listeners[notes->listener_count++] =
        (struct event_listener){self->ref.slot, self->ref.generation};
    return PROA_OK;
}

void sched_event_told(struct sched *s, const struct proa_event *event)
{
    struct event_notes *notes = &s->notes;

    for (uint32_t at = notes->listener_count; at-- > 0;) {
        const struct event_listener *l = &notes->listeners[at];
        struct slot *slot = slot_find(&s->slots, l->slot, l->generation);

        if (slot == NULL)
            remove_listener(notes, at);
        else if (slot->state == SLOT_LIVE || slot->state == SLOT_STARTING)
            signal_push(s, slot, NODE_EVENT, proa_ref_none(), 0, 0, event,
                        sizeof(*event));
    }
    if (notes->listener_count == 0)
        tell_control(s, 0);
}
