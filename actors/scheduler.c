/* SPDX-License-Identifier: Apache-2.0 */
#include "scheduler_internal.h"

#include "pages.h"

#define ASKS_DEFAULT 65536u
#define TIMERS_DEFAULT 65536u
#define MESSAGE_DEFAULT (1u << 20)
#define TIMERS_CHUNK                                                                     \
    8u /* between looks at the clock: of a million each is a miss or two */

/* ---- Life ---- */

static bool tables_init(struct sched *s, const struct sched_config *c)
{
    uint32_t asks = c->asks_max != 0 ? c->asks_max : ASKS_DEFAULT;

    s->children = pages_map(c->actors_max * sizeof(struct child));
    s->joins = (struct joins){.next = pages_map(c->actors_max * sizeof(uint32_t)),
                              .first = SLOT_NONE,
                              .last = SLOT_NONE};
    s->loads = pages_map(c->actors_max * sizeof(_Atomic uint16_t));
    return s->children != NULL && s->joins.next != NULL && s->loads != NULL &&
           slot_table_init(&s->slots, c->lane, c->actors_max, c->seed) &&
           ask_table_init(&s->asks, asks, c->seed + 1) &&
           reply_token_table_init(&s->tokens, asks, c->seed + 2) &&
           actor_timer_table_init(&s->timers,
                                  c->timers_max != 0 ? c->timers_max : TIMERS_DEFAULT,
                                  c->seed + 3) &&
           watching_table_init(&s->watchings) &&
           monitor_table_init(&s->monitors, PROA_MONITORS_MAX, c->seed + 4) &&
           ref_set_init(&s->blocked, c->arena) &&
           behaviour_set_init(&s->behaviours, c->arena);
}

static void tables_fini(struct sched *s)
{
    pages_unmap(s->children, s->slots.max * sizeof(struct child));
    pages_unmap(s->joins.next, s->slots.max * sizeof(uint32_t));
    pages_unmap(s->loads, s->slots.max * sizeof(_Atomic uint16_t));
    slot_table_fini(&s->slots);
    ask_table_fini(&s->asks);
    reply_token_table_fini(&s->tokens);
    actor_timer_table_fini(&s->timers);
    monitor_table_fini(&s->monitors);
    watching_table_fini(&s->watchings);
    if (s->blocked.arena != NULL)
        ref_set_fini(&s->blocked);
    if (s->behaviours.arena != NULL)
        behaviour_set_fini(&s->behaviours);
    multicasts_fini(s);
    slab_fini(&s->slab);
    slab_fini(&s->states);
}

static void borrow(struct sched *s, const struct sched_config *c)
{
    s->node = c->node;
    s->lane = c->lane;
    s->lanes = c->lanes;
    s->now = c->now;
    s->first_slot = c->lane << 24;
    s->message_max = c->below.message_max != 0 ? c->below.message_max : MESSAGE_DEFAULT;
    s->small_max = s->message_max < NODE_PAYLOAD_MAX ? s->message_max : NODE_PAYLOAD_MAX;
    s->brief_end = brief_end(s);
    s->cross_end = (s->message_max < PAIR_TELL_MAX ? s->message_max : PAIR_TELL_MAX) + 1;
    s->turn.self = (struct proa_actor){.sched = s, .ref.node = s->node, .answered = true};
    s->turn.msg = (struct proa_msg){.to.node = s->node};
    s->in_place_max = c->in_place_max != 0 ? c->in_place_max : SCHED_IN_PLACE_MAX;
    s->clock = c->clock;
    s->arena = c->arena;
    s->directory = c->directory;
    s->route.random = c->seed | 1;
    s->allowed = c->allowed;
    s->allowed_count = c->allowed_count;
    s->up = c->up;
    event_notes_init(&s->notes, c->notes);
    s->control = c->control;
    s->inbox = c->inbox;
    s->offload = c->offload;
    s->below = c->below;
    s->foreign_item = c->foreign_item;
    s->foreign_ctx = c->foreign_ctx;
    for (uint32_t lane = 0; lane < c->lanes; lane++) {
        s->in[lane] = c->in[lane];
        s->out[lane].ring = c->out[lane];
        s->out[lane].bell = c->bells[lane];
    }
}

struct sched *sched_create(const struct sched_config *config)
{
    struct sched *s = arena_zalloc(config->arena, sizeof(*s), PROA_CACHE_LINE);

    if (s == NULL)
        return NULL;
    PROA_ASSERT(config->node != 0 && config->lanes <= PROA_LANES_MAX);
    PROA_ASSERT(config->lane < config->lanes);
    borrow(s, config);
    s->ready_first = s->ready_last = s->waiters = SLOT_NONE;
    s->clients_retry = PROA_NS_NEVER;
    s->bulk.limit = config->bulk_limit != 0 ? config->bulk_limit : SCHED_BULK_DEFAULT;
    slab_init(&s->slab, config->arena,
              config->slab_limit != 0 ? config->slab_limit : SCHED_SLAB_DEFAULT);
    slab_init(&s->states, config->arena, UINT64_MAX); /* bounded by the slots */
    timer_wheel_init(&s->wheel, config->now);
    if (!tables_init(s, config)) {
        tables_fini(s);
        arena_free(config->arena, s);
        return NULL;
    }
    return s;
}

/* Ends every life, whatever it takes. */
static void end_all(struct sched *s)
{
    sched_drain(s);
    for (uint32_t i = 0; i < s->slots.fresh; i++) {
        struct slot *slot = &s->slots.slots[i];

        if (slot->state == SLOT_STARTING)
            hold_end(s, slot);
        if (slot->state == SLOT_LIVE) {
            slot->reason = PROA_REASON_KILLED;
            if ((slot->flags & SLOT_CLIENT) != 0)
                client_gone(s, slot);
            else
                actor_end(s, slot);
        }
    }
    for (struct slot *slot = ready_next(s); slot != NULL; slot = ready_next(s)) {
        /* The node's end gives all names up. */
        slot->flags &= (uint8_t) ~(SLOT_READY | SLOT_NAMED);
        actor_drain(s, slot, UINT32_MAX);
    }
}

void sched_destroy(struct sched *s)
{
    struct arena *arena;

    if (s == NULL)
        return;
    arena = s->arena;
    end_all(s);
    refuse_flush(s);
    cross_flush(s);
    cross_fini(s);
    tables_fini(s);
    arena_free(arena, s);
}

/* ---- The loop's steps ---- */

void sched_begin(struct sched *s, proa_ns now)
{
    s->now = now;
    s->in_place_left = s->in_place_max;
    s->in_place_until = 0;
    s->in_place_next = 0;
    s->queued_now = 0;
    s->rests = false;
    s->cross_pressed = false;
    if (__builtin_expect(s->clients_retry <= now, 0))
        clients_begin(s);
}

uint32_t sched_poll(struct sched *s)
{
    uint32_t n = s->lanes > 1 ? cross_poll(s) : 0;

    if (s->inbox != NULL)
        n += inbox_poll(s);
    if (s->multicasts.waiting > 0)
        n += multicasts_poll(s);
    return n;
}

bool sched_called(struct sched *s)
{
    if (s->inbox != NULL && inbox_peek(s->inbox) != NULL)
        return true;
    return s->lanes > 1 && cross_called(s);
}

uint32_t sched_timers(struct sched *s)
{
    proa_ns until = 0;
    uint32_t done = 0, used;

    if (!timer_wheel_due(&s->wheel, s->now))
        return 0;
    if (s->clock != NULL)
        until = s->clock() + SCHED_TIMERS_NS;
    do {
        used = timer_wheel_advance(&s->wheel, s->now, TIMERS_CHUNK, timer_fired, s);
        done += used;
        if (s->clock != NULL && s->clock() >= until)
            break;
    } while (used == TIMERS_CHUNK && done < SCHED_TIMERS_MAX);
    return done;
}

static void publish(struct sched *s)
{
    STAT_SET(s, delivered, s->hot.delivered);
    STAT_SET(s, in_place, s->hot.in_place);
    STAT_SET(s, mailbox, s->hot.mailbox);
    STAT_SET(s, tells, s->hot.tells);
    STAT_SET(s, asks, s->hot.asks);
    STAT_SET(s, replies, s->hot.replies);
    STAT_SET(s, answered, s->hot.answered);
    STAT_SET(s, cross_out, s->hot.cross_out);
    STAT_SET(s, actors, s->slots.live);
    STAT_SET(s, asks_waiting, s->asks.in_use);
    STAT_SET(s, tokens_held, s->tokens.in_use);
    STAT_SET(s, timers_running, s->timers.in_use);
    STAT_SET(s, monitors, s->monitors.in_use);
    STAT_SET(s, watches, s->watchings.in_use);
    STAT_SET(s, slab_used, s->slab.used);
    STAT_SET(s, bulk_used, s->bulk.used);
    STAT_SET(s, refs_blocked, s->blocked.count);
    STAT_SET(s, slots_retired, s->slots.retired);
}

void sched_flush_first(struct sched *s)
{
    refuse_flush(s);
    if (s->monitors.queued > 0)
        watches_flush(s);
    if (s->lanes > 1)
        cross_flush(s);
    if (s->joins.first != SLOT_NONE)
        joins_flush(s);
    if (s->watchings.marked_count > 0)
        watching_flush(s);
    again_check(s);
    if (s->clients_touched != NULL)
        clients_flush(s);
    if (s->control != NULL && sched_put_up(s))
        doorbell_ring(s->control);
}

void sched_flush(struct sched *s)
{
    sched_flush_first(s);
    publish(s);
}

bool sched_put_up(struct sched *s)
{
    bool put = s->up_dirty;

    s->up_dirty = false;
    return put;
}

proa_ns sched_deadline(const struct sched *s)
{
    proa_ns at = timer_wheel_deadline(&s->wheel);

    if (s->ready_first != SLOT_NONE || s->asks.settled.first != ASK_NONE ||
        s->monitors.queued > 0 || s->multicasts.waiting > 0 ||
        (s->draining && s->drain_at < s->slots.fresh))
        return 0;
    if (s->clients_retry < at)
        at = s->clients_retry;
    if (watching_deadline(s) < at)
        at = watching_deadline(s);
    /* Nobody rings when a ring to another lane, or to control, drains, so look again soon. */
    if ((s->waits_lanes != 0 || cross_waiting(s) || s->joins.first != SLOT_NONE) &&
        s->now + 50 * PROA_US < at)
        at = s->now + 50 * PROA_US;
    return at;
}

const struct sched_stats *sched_stats(const struct sched *s)
{
    return &s->stats;
}

uint32_t sched_type_id(const char *type_name)
{
    return behaviour_type_id(type_name);
}
