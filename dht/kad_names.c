/* SPDX-License-Identifier: Apache-2.0 */
#include "kad_names.h"

#include "kad_internal.h"

#include <string.h>

#define CONTEND_AFTER                                                                    \
    (20 * PROA_MS) /* a rival was seen: look soon, but let storers settle */
#define RENEW_DEADLINE (5 * PROA_S)
#define RENEW_AGAIN PROA_S /* no operation was free */
#define RENEW_BUSY (100 * PROA_MS)
#define RENEW_APART PROA_S /* after the last one, when nothing better is known */
#define LEAVE_STEP PROA_MS
#define LEAVE_TOLD 64 /* contacts told of our leaving */

void kad_names_init(struct kad_names *self)
{
    self->high = 0;
    self->free = KAD_NONE;
}

uint32_t kad_name_index(const struct kad *kad, const struct kad_name *name)
{
    return (uint32_t)(name - kad->names.names);
}

struct kad_name *kad_name_find(const struct kad *kad, const struct kad_id *target)
{
    const struct kad_names *names = &kad->names;
    uint32_t at = *kad_index_head(&names->by_target, target);

    while (at != KAD_NONE && !kad_id_equal(&names->names[at].target, target))
        at = names->names[at].next;
    return at != KAD_NONE ? &names->names[at] : NULL;
}

struct kad_name *kad_name_at(struct kad *kad, uint32_t index, uint32_t serial)
{
    struct kad_names *names = &kad->names;

    if (index >= names->high || names->names[index].serial != serial ||
        names->names[index].state == KAD_NAME_FREE)
        return NULL;
    return &names->names[index];
}

bool kad_names_owns(const struct kad *kad, const struct kad_id *target)
{
    const struct kad_name *name = kad_name_find(kad, target);

    return name != NULL && name->state != KAD_NAME_LOSER;
}

/* Signs `fields` and keeps the result.  False when the name is not one. */
static bool sign(struct kad *kad, struct kad_name *name, struct record *fields)
{
    size_t len;

    kad->names.clock = record_clock_next(kad->names.clock, kad->wall_ms);
    fields->kind = RECORD_NAME;
    fields->issued = kad->names.clock;
    if (fields->claim == 0)
        fields->claim = fields->issued;
    fields->lease = KAD_NAME_LEASE_S;
    fields->slot = name->slot;
    fields->generation = name->generation;
    fields->type_id = name->type_id;
    fields->owner = kad->self.id;
    fields->endpoint_count = kad->address.family != 0 ? 1 : 0;
    fields->endpoints[0] = kad->address;
    if (record_sign(fields, &kad->self, name->raw, &len) != 0)
        return false;
    name->len = (uint16_t)len;
    kad_stamp_of(fields, &name->stamp);
    return true;
}

/* Decodes what this node has signed or verified itself. */
static void open_own(const struct kad_name *name, struct record *ret)
{
    int bad = record_decode(ret, name->raw, name->len);

    PROA_ASSERT(bad == 0);
}

void kad_name_sign(struct kad *kad, struct kad_name *name, uint64_t term, uint64_t claim)
{
    struct record fields;

    open_own(name, &fields);
    fields.term = term;
    fields.claim = claim;
    bool well = sign(kad, name, &fields);
    PROA_ASSERT(well); /* it was signed before */
}

struct kad_name *kad_name_new(struct kad *kad, const struct kad_id *target,
                              const char *text, size_t len, uint32_t slot,
                              uint32_t generation, uint32_t type)
{
    struct kad_names *names = &kad->names;
    uint32_t number = names->free;
    struct record fields = {.term = 1, .name_len = (uint8_t)len};

    if (number == KAD_NONE && names->high == names->cap)
        return NULL;
    uint32_t serial = number != KAD_NONE ? names->names[number].serial + 1 : 1;
    struct kad_name *name = &names->names[number != KAD_NONE ? number : names->high];
    uint32_t free_next = number != KAD_NONE ? name->next : KAD_NONE;
    memset(name, 0, offsetof(struct kad_name, raw));
    name->next = free_next;
    name->serial = serial;
    name->target = *target;
    name->slot = slot;
    name->generation = generation;
    name->type_id = type;
    memcpy(fields.name, text, len);
    if (!sign(kad, name, &fields))
        return NULL; /* not UTF-8, or with a NUL */
    if (number != KAD_NONE)
        names->free = free_next;
    else
        number = names->high++;
    name->state = KAD_NAME_CLAIMING;
    uint32_t *head = kad_index_head(&names->by_target, target);
    name->next = *head;
    *head = number;
    names->count++;
    return name;
}

void kad_name_free(struct kad *kad, struct kad_name *name)
{
    struct kad_names *names = &kad->names;
    uint32_t number = kad_name_index(kad, name);
    uint32_t *at = kad_index_head(&names->by_target, &name->target);

    while (*at != number)
        at = &names->names[*at].next;
    *at = name->next;
    kad_clear_timer(kad, KAD_TIMED_NAME, number);
    names->losers -= name->state == KAD_NAME_LOSER;
    name->state = KAD_NAME_FREE;
    name->next = names->free;
    names->free = number;
    names->count--;
}

/* ---- The caller's calls ---- */

uint32_t kad_register(struct kad *kad, const char *text, size_t len, uint32_t slot,
                      uint32_t generation, uint32_t type, proa_ns deadline, proa_ns now)
{
    struct kad_id target;

    kad_set_now(kad, now);
    if (len == 0 || len > PROA_NAME_MAX || kad->names.left_by != 0)
        return 0;
    kad_id_of_name(text, len, &target);
    struct kad_name *name = kad_name_find(kad, &target);
    bool taken = name != NULL;
    if (!taken)
        name = kad_name_new(kad, &target, text, len, slot, generation, type);
    if (name == NULL)
        return 0;
    struct kad_op *op = kad_op_new(kad, KAD_OP_REGISTER, &target, deadline, false);
    if (op == NULL) {
        if (!taken)
            kad_name_free(kad, name);
        return 0;
    }
    uint32_t number = op->number;
    if (taken) {
        op->alive = true;
        op->raw_len = name->len;
        memcpy(op->raw, name->raw, name->len);
        kad_op_finish(kad, op, PROA_ALREADY_REGISTERED);
        return number;
    }
    op->index = kad_name_index(kad, name);
    op->serial = name->serial;
    kad_op_start(kad, op);
    return number;
}

static void give_up(struct kad *kad, struct kad_name *name)
{
    struct kad_id target = name->target;
    struct record fields;

    open_own(name, &fields);
    kad_name_free(kad, name);
    kad_claim_end(kad, &target, &fields);
}

/* The entry of a name that this node holds, NULL when it does not. */
static struct kad_name *held(const struct kad *kad, const char *text, size_t len)
{
    struct kad_id target;

    if (len == 0 || len > PROA_NAME_MAX)
        return NULL;
    kad_id_of_name(text, len, &target);
    struct kad_name *name = kad_name_find(kad, &target);
    return name != NULL && name->state == KAD_NAME_HELD ? name : NULL;
}

bool kad_unregister(struct kad *kad, const char *text, size_t len, proa_ns now)
{
    struct kad_name *name = held(kad, text, len);

    kad_set_now(kad, now);
    if (name == NULL)
        return false;
    give_up(kad, name);
    return true;
}

bool kad_held(const struct kad *kad, const char *text, size_t len,
              struct kad_claim_info *ret)
{
    const struct kad_name *name = held(kad, text, len);

    if (name == NULL)
        return false;
    ret->term = name->stamp.term;
    ret->issued = name->stamp.issued;
    ret->claim = name->stamp.claim;
    ret->slot = name->slot;
    ret->generation = name->generation;
    return true;
}

bool kad_yield(struct kad *kad, const char *text, size_t len, proa_ns now)
{
    struct kad_name *name = held(kad, text, len);

    kad_set_now(kad, now);
    if (name == NULL)
        return false;
    struct kad_id target = name->target;
    kad_name_free(kad, name);
    kad_changed(kad, &target); /* the winner's record may lie here */
    return true;
}

/* ---- Losing ---- */

/* The winner is to put its record where the loser's tombstone now stands. */
static void tell_winner(struct kad *kad, const struct kad_id *target,
                        const struct record *winner, const struct kad_op *tombstone)
{
    struct proa_addr addr = kad_owner_addr(kad, winner);
    struct kad_ask ask = {.id = &winner->owner,
                          .addr = &addr,
                          .query = KRPC_AN_NOTIFY,
                          .target = target,
                          .value = KAD_VALUE_OP};

    if (tombstone == NULL)
        return;
    ask.value_index = kad_op_index(kad, tombstone);
    ask.value_serial = tombstone->number;
    kad_rpc_ask(kad, &ask);
}

void kad_name_lose(struct kad *kad, struct kad_name *name, const uint8_t *raw, size_t len)
{
    struct kad_held *watch = kad_held_find(kad, &name->target);
    struct kad_id target = name->target;
    struct record own, winner;

    open_own(name, &own);
    name->state = KAD_NAME_LOSER;
    name->len = (uint16_t)len;
    memcpy(name->raw, raw, len);
    open_own(name, &winner);
    kad->names.losers++;
    kad_clear_timer(kad, KAD_TIMED_NAME, kad_name_index(kad, name));
    tell_winner(kad, &target, &winner, kad_claim_end(kad, &target, &own));
    if (watch != NULL)
        kad_held_offer(kad, watch, &winner, name->raw, name->len, false);
}

/* Starts a renewal after `wait`; raw is the rival's record that led to it, if one did. */
static void renew(struct kad *kad, struct kad_name *name, const uint8_t *raw, size_t len,
                  proa_ns wait)
{
    uint32_t number = kad_name_index(kad, name);
    struct kad_op *op =
        kad_op_new(kad, KAD_OP_RENEW, &name->target, kad->now + RENEW_DEADLINE, true);

    if (op == NULL) {
        kad_set_timer(kad, KAD_TIMED_NAME, number,
                      kad->now + kad_random_jitter(&kad->random, RENEW_AGAIN));
        return;
    }
    op->index = number;
    op->serial = name->serial;
    op->raw_len = (uint16_t)len;
    if (len > 0)
        memcpy(op->raw, raw, len);
    name->renewing = true;
    name->op = kad_op_index(kad, op);
    name->renewed_at = kad->now;
    if (wait > 0)
        kad_op_rest(kad, op, wait);
    else
        kad_op_start(kad, op);
}

void kad_name_contend(struct kad *kad, struct kad_name *name, const struct record *fields,
                      const uint8_t *raw, size_t len)
{
    proa_ns wait = kad_random_jitter(&kad->random, CONTEND_AFTER);
    struct record own;

    if (name->state != KAD_NAME_HELD || kad_id_equal(&fields->owner, &kad->self.id) ||
        record_decode(&own, name->raw, name->len) != 0)
        return;
    if (record_compare_readers(fields, &own) > 0) {
        proa_ns earliest = name->renewed_at + RENEW_APART;

        kad_timers_sooner(&kad->timers,
                          kad_timer(kad, KAD_TIMED_NAME, kad_name_index(kad, name)),
                          earliest > kad->now + wait ? earliest : kad->now + wait);
        return;
    }
    name->contended = true;
    if (!name->renewing) {
        renew(kad, name, raw, len, wait);
        return;
    }
    struct kad_op *op = &kad->ops.ops[name->op];
    bool same = op->raw_len == len && memcmp(op->raw, raw, len) == 0;
    if (same)
        return;
    op->raw_len = (uint16_t)len;
    memcpy(op->raw, raw, len);
    if (op->state != KAD_OP_QUEUED && op->state != KAD_OP_RESTING)
        kad_op_rest(kad, op, wait);
}

void kad_name_due(struct kad *kad, uint32_t number)
{
    struct kad_name *name = &kad->names.names[number];

    if (name->state != KAD_NAME_HELD)
        return;
    if (name->renewing)
        kad_set_timer(kad, KAD_TIMED_NAME, number, kad->now + RENEW_BUSY);
    else
        renew(kad, name, NULL, 0, 0);
}

bool kad_name_event(struct kad *kad, struct kad_event *ret)
{
    struct kad_names *names = &kad->names;

    if (names->losers == 0)
        return false;
    while (names->names[names->loser_look % names->high].state != KAD_NAME_LOSER)
        names->loser_look++;
    struct kad_name *name = &names->names[names->loser_look % names->high];
    memset(ret, 0, sizeof(*ret));
    ret->kind = KAD_NAME_LOST;
    if (record_decode(&ret->record, name->raw, name->len) == 0) {
        ret->term = ret->record.term;
        ret->id = ret->record.owner;
        ret->addr = kad_owner_addr(kad, &ret->record);
        ret->alive = kad_is_alive(kad, &ret->id);
    }
    kad_name_free(kad, name);
    return true;
}

bool kad_renew(struct kad *kad, const char *text, size_t len, proa_ns now)
{
    struct kad_name *name = held(kad, text, len);

    kad_set_now(kad, now);
    if (name == NULL)
        return false;
    kad_name_due(kad, kad_name_index(kad, name));
    return true;
}

bool kad_reissue(struct kad *kad, const char *text, size_t len, uint32_t slot,
                 uint32_t generation, proa_ns now)
{
    struct kad_name *name = held(kad, text, len);
    struct record own;

    kad_set_now(kad, now);
    if (name == NULL)
        return false;
    open_own(name, &own);
    name->slot = slot;
    name->generation = generation;
    kad_name_sign(kad, name, own.term, own.claim);
    kad_changed(kad, &name->target);
    /* A renewal under way tells the record before: kad_name_due then waits for its end. */
    kad_name_due(kad, kad_name_index(kad, name));
    return true;
}

/* ---- Leaving ---- */

void kad_leave(struct kad *kad, proa_ns now)
{
    static const uint8_t stopped[] = {KAD_TIMER_SEED, KAD_TIMER_TEND, KAD_TIMER_REFRESH,
                                      KAD_TIMER_SWEEP};

    kad_set_now(kad, now);
    if (kad->names.left_by != 0)
        return;
    kad->names.left_by = now + KAD_LEAVE_MAX;
    kad->names.leave_look = 0;
    for (size_t i = 0; i < sizeof(stopped); i++)
        kad_clear_timer(kad, KAD_TIMED_SINGLE, stopped[i]);
    kad_names_leave_step(kad);
}

/* Every query of a leaving node says so (`ro`); who gets none until now gets a ping. */
static void tell_leaving(struct kad *kad)
{
    struct kad_contact *closest[LEAVE_TOLD];
    uint32_t count =
        kad_table_closest(&kad->table, &kad->self.id, true, closest, LEAVE_TOLD);

    for (uint32_t i = 0; i < count; i++) {
        struct kad_ask ask = {
            .id = &closest[i]->id, .addr = &closest[i]->addr, .query = KRPC_PING};

        kad_rpc_ask(kad, &ask);
    }
    kad->names.told_leaving = true;
}

void kad_names_leave_step(struct kad *kad)
{
    struct kad_names *names = &kad->names;

    for (; names->leave_look < names->high; names->leave_look++) {
        struct kad_name *name = &names->names[names->leave_look];

        if (kad->ops.used_own + 1 >= kad->ops.own_cap)
            break;
        if (name->state == KAD_NAME_HELD)
            give_up(kad, name);
    }
    if (names->leave_look == names->high && kad->ops.used_own == 0 &&
        !names->told_leaving)
        tell_leaving(kad);
    if (!kad_left(kad, kad->now))
        kad_set_timer(kad, KAD_TIMED_SINGLE, KAD_TIMER_LEAVE, kad->now + LEAVE_STEP);
}

bool kad_left(const struct kad *kad, proa_ns now)
{
    const struct kad_names *names = &kad->names;

    if (names->left_by == 0)
        return false;
    return now >= names->left_by || (names->told_leaving && kad->rpc.used == 0);
}

bool kad_is_contended(const struct kad *kad, const char *name, size_t len)
{
    const struct kad_name *own = held(kad, name, len);

    return own == NULL || own->contended;
}
