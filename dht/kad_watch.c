/* SPDX-License-Identifier: Apache-2.0 */
#include "kad_watch.h"

#include "kad_internal.h"

#include <string.h>

#define OWNER_SLOT KAD_WATCH_STORERS /* of kad_held.pairs */
#define LOOK_AGAIN (10 * PROA_MS)    /* no operation was free */
#define REFUSED (5 * PROA_S)         /* until somebody who refused is asked again */
#define TOKEN_FRESH (KAD_TOKEN_PERIOD - 30 * PROA_S)

void kad_watches_init(struct kad_watches *self)
{
    self->high = self->pairs_high = 0;
    self->free = self->pairs_free = KAD_NONE;
}

struct kad_held *kad_held_find(const struct kad *kad, const struct kad_id *target)
{
    const struct kad_watches *watches = &kad->watches;
    uint32_t at = *kad_index_head(&watches->by_target, target);

    while (at != KAD_NONE && !kad_id_equal(&watches->held[at].target, target))
        at = watches->held[at].next;
    return at != KAD_NONE ? &watches->held[at] : NULL;
}

static uint32_t number_of(const struct kad *kad, const struct kad_held *held)
{
    return (uint32_t)(held - kad->watches.held);
}

static void look_at(struct kad *kad, const struct kad_held *held, proa_ns wait)
{
    kad_timers_sooner(&kad->timers, kad_timer(kad, KAD_TIMED_HELD, number_of(kad, held)),
                      kad->now + kad_random_jitter(&kad->random, wait));
}

/* ---- Pairs ---- */

static struct kad_pair *find_pair(struct kad *kad, const struct kad_id *id)
{
    struct kad_watches *watches = &kad->watches;
    uint32_t at = *kad_index_head(&watches->by_node, id);

    while (at != KAD_NONE && !kad_id_equal(&watches->pairs[at].id, id))
        at = watches->pairs[at].next;
    return at != KAD_NONE ? &watches->pairs[at] : NULL;
}

static struct kad_pair *new_pair(struct kad *kad, const struct kad_id *id,
                                 const struct proa_addr *addr)
{
    struct kad_watches *watches = &kad->watches;
    uint32_t number = watches->pairs_free, serial = 1;

    if (number != KAD_NONE) {
        watches->pairs_free = watches->pairs[number].next;
        serial = watches->pairs[number].serial + 1;
    } else if (watches->pairs_high < watches->pairs_cap) {
        number = watches->pairs_high++;
    } else {
        return NULL;
    }
    struct kad_pair *pair = &watches->pairs[number];
    uint32_t *head = kad_index_head(&watches->by_node, id);
    memset(pair, 0, sizeof(*pair));
    pair->id = *id;
    pair->addr = *addr;
    pair->serial = serial;
    pair->next = *head;
    *head = number;
    kad_set_timer(kad, KAD_TIMED_PAIR, number,
                  kad->now + kad_random_jitter(&kad->random, KAD_RENEW_EVERY));
    return pair;
}

static void release_pair(struct kad *kad, uint32_t number)
{
    struct kad_watches *watches = &kad->watches;
    struct kad_pair *pair = &watches->pairs[number];
    uint32_t *at = kad_index_head(&watches->by_node, &pair->id);

    while (*at != number)
        at = &watches->pairs[*at].next;
    *at = pair->next;
    kad_clear_timer(kad, KAD_TIMED_PAIR, number);
    pair->next = watches->pairs_free;
    watches->pairs_free = number;
}

static void detach(struct kad *kad, struct kad_held *held, uint32_t slot)
{
    uint32_t number = held->pairs[slot];

    held->pairs[slot] = KAD_NONE;
    if (number != KAD_NONE && --kad->watches.pairs[number].watches == 0)
        release_pair(kad, number);
}

/* The slot of a held watch that uses this pair, KAD_WATCH_PAIRS: none. */
static uint32_t slot_of(const struct kad_held *held, uint32_t pair)
{
    uint32_t slot = 0;

    while (slot < KAD_WATCH_PAIRS && held->pairs[slot] != pair)
        slot++;
    return slot;
}

static bool ask_watch(struct kad *kad, struct kad_held *held, uint32_t slot,
                      uint32_t lease)
{
    struct kad_pair *pair = &kad->watches.pairs[held->pairs[slot]];
    struct kad_ask ask = {.id = &pair->id,
                          .addr = &pair->addr,
                          .query = KRPC_AN_WATCH,
                          .target = &held->target,
                          .token = pair->token,
                          .has_lease = true,
                          .lease = lease};

    if (lease > 0)
        ask.tag = (struct kad_tag){.kind = KAD_TAG_WATCH,
                                   .part = (uint8_t)slot,
                                   .index = number_of(kad, held),
                                   .serial = held->serial};
    return kad_rpc_ask(kad, &ask);
}

/* Subscribes to a watch at one node, unless it is subscribed there. */
static void attach(struct kad *kad, struct kad_held *held, uint32_t slot,
                   const struct kad_id *id, const struct proa_addr *addr,
                   const uint8_t token[KAD_TOKEN_LEN])
{
    struct kad_pair *pair = find_pair(kad, id);

    if (pair != NULL &&
        slot_of(held, (uint32_t)(pair - kad->watches.pairs)) < KAD_WATCH_PAIRS)
        return;
    detach(kad, held, slot);
    pair = find_pair(kad, id); /* detach may have ended it */
    if (pair == NULL)
        pair = new_pair(kad, id, addr);
    if (pair == NULL)
        return;
    memcpy(pair->token, token, sizeof(pair->token));
    pair->watches++;
    held->pairs[slot] = (uint32_t)(pair - kad->watches.pairs);
    if (!ask_watch(kad, held, slot, KAD_LEASE_S)) {
        detach(kad, held, slot);
        look_at(kad, held, LOOK_AGAIN);
    }
}

static void lose_pair(struct kad *kad, uint32_t number, proa_ns wait)
{
    struct kad_watches *watches = &kad->watches;
    uint32_t serial = watches->pairs[number].serial;

    for (uint32_t i = 0; i < watches->high; i++) {
        struct kad_held *held = &watches->held[i];
        uint32_t slot = held->refs > 0 ? slot_of(held, number) : KAD_WATCH_PAIRS;

        if (slot == KAD_WATCH_PAIRS || watches->pairs[number].serial != serial)
            continue;
        detach(kad, held, slot);
        look_at(kad, held, wait);
    }
}

void kad_pair_gone(struct kad *kad, const struct kad_id *id)
{
    struct kad_pair *pair = find_pair(kad, id);

    if (pair != NULL)
        lose_pair(kad, (uint32_t)(pair - kad->watches.pairs), KAD_WATCH_SOON);
}

/* Renews the next 40 watches of the pair; false when there are no more. */
static bool renew_some(struct kad *kad, uint32_t number)
{
    struct kad_watches *watches = &kad->watches;
    struct kad_pair *pair = &watches->pairs[number];
    uint8_t targets[PROA_KRPC_TARGETS_MAX * PROA_KAD_ID_LEN];
    uint32_t count = 0;
    struct kad_id first = {0};

    for (; pair->cursor < watches->high && count < PROA_KRPC_TARGETS_MAX;
         pair->cursor++) {
        const struct kad_held *held = &watches->held[pair->cursor];

        if (held->refs == 0 || slot_of(held, number) == KAD_WATCH_PAIRS)
            continue;
        if (count == 0)
            first = held->target;
        memcpy(targets + PROA_KAD_ID_LEN * count++, held->target.b, PROA_KAD_ID_LEN);
    }
    if (count == 0)
        return false;
    struct kad_ask ask = {
        .id = &pair->id,
        .addr = &pair->addr,
        .query = KRPC_AN_WATCH,
        .target = &first,
        .token = pair->token,
        .has_lease = true,
        .lease = KAD_LEASE_S,
        .targets = {targets, (size_t)count * PROA_KAD_ID_LEN},
        .tag = {.kind = KAD_TAG_RENEW, .index = number, .serial = pair->serial}};
    pair->asking = kad_rpc_ask(kad, &ask);
    return pair->asking;
}

void kad_pair_due(struct kad *kad, uint32_t number)
{
    struct kad_pair *pair = &kad->watches.pairs[number];

    if (pair->asking)
        return;
    pair->cursor = 0;
    if (!renew_some(kad, number))
        kad_set_timer(kad, KAD_TIMED_PAIR, number, kad->now + KAD_RENEW_AGAIN);
}

void kad_pair_result(struct kad *kad, const struct kad_request *request,
                     enum kad_result result, const struct krpc_message *message)
{
    uint32_t number = request->tag.index;
    struct kad_pair *pair = &kad->watches.pairs[number];
    proa_ns next = KAD_RENEW_EVERY;

    if (result == KAD_LATE || pair->watches == 0 || pair->serial != request->tag.serial)
        return;
    pair->asking = false;
    if (result != KAD_ANSWERED) {
        if (++pair->fails >= KAD_PAIR_FAILURES) {
            lose_pair(kad, number, KAD_WATCH_SOON);
            return;
        }
        next = KAD_RENEW_AGAIN;
    } else {
        pair->fails = 0;
        if (message->token.len == KAD_TOKEN_LEN)
            memcpy(pair->token, message->token.at, KAD_TOKEN_LEN);
        if (!message->ok) {
            lose_pair(kad, number, REFUSED);
            return;
        }
        if (renew_some(kad, number))
            return;
    }
    kad_set_timer(kad, KAD_TIMED_PAIR, number,
                  kad->now + kad_random_jitter(&kad->random, next));
}

/* ---- What is seen of a watched name ---- */

static void tell(struct kad *kad, struct kad_held *held)
{
    if (!held->told)
        kad->watches.told++;
    held->told = true;
}

/* The owner of the watch's record lives: it tells changes first. */
static void subscribe_owner(struct kad *kad, struct kad_held *held,
                            const struct proa_addr *addr,
                            const uint8_t token[KAD_TOKEN_LEN])
{
    if (!kad_id_equal(&held->stamp.owner, &kad->self.id))
        attach(kad, held, OWNER_SLOT, &held->stamp.owner, addr, token);
}

static void ask_owner(struct kad *kad, struct kad_held *held, const struct record *fields)
{
    struct proa_addr addr = kad_owner_addr(kad, fields);
    struct kad_ask ask = {.id = &fields->owner,
                          .addr = &addr,
                          .query = KRPC_PING,
                          .target = &held->target,
                          .tag = {.kind = KAD_TAG_HELD,
                                  .index = number_of(kad, held),
                                  .serial = held->serial}};

    held->asked = fields->owner;
    held->asking = kad_rpc_ask(kad, &ask);
    if (!held->asking)
        tell(kad, held); /* as not alive, for want of room to ask */
}

/* Whether this record takes the place of the one the watch has. */
static bool is_news(const struct kad_held *held, const struct record *fields)
{
    struct record present;

    if (held->len == 0)
        return true;
    if (kad_id_equal(&held->stamp.owner, &fields->owner))
        return fields->issued > held->stamp.issued;
    return record_decode(&present, held->raw, held->len) == 0 &&
           record_compare_readers(fields, &present) < 0;
}

/* Whether the caller is to hear of it: a record that was only signed anew is no change. */
static bool is_change(const struct kad_held *held, const struct record *fields)
{
    struct record present;

    return held->len == 0 || record_decode(&present, held->raw, held->len) != 0 ||
           !kad_id_equal(&present.owner, &fields->owner) ||
           present.term != fields->term || present.kind != fields->kind ||
           present.slot != fields->slot || present.generation != fields->generation;
}

void kad_held_offer(struct kad *kad, struct kad_held *held, const struct record *fields,
                    const uint8_t *raw, size_t len, bool from_owner)
{
    const struct kad_contact *contact = kad_table_find(&kad->table, &fields->owner);
    bool own = kad_id_equal(&fields->owner, &kad->self.id);

    if (!is_news(held, fields))
        return;
    bool change = is_change(held, fields);
    held->len = (uint16_t)len;
    memcpy(held->raw, raw, len);
    kad_stamp_of(fields, &held->stamp);
    if (!change)
        return;
    detach(kad, held, OWNER_SLOT);
    held->asking = false;
    held->alive = false;
    if (fields->kind == RECORD_TOMBSTONE) {
        tell(kad, held);
        return;
    }
    if (own || from_owner || kad_is_alive(kad, &fields->owner)) {
        held->alive = true;
        tell(kad, held);
    }
    if (own)
        return;
    if (held->alive && contact != NULL && contact->token_at != 0 &&
        kad->now - contact->token_at < TOKEN_FRESH)
        subscribe_owner(kad, held, &contact->addr, contact->token);
    else
        ask_owner(kad, held, fields);
}

void kad_held_judged(struct kad *kad, const struct kad_request *request,
                     enum kad_result result, const struct krpc_message *message)
{
    struct kad_held *held = &kad->watches.held[request->tag.index];

    if (result == KAD_LATE || held->refs == 0 || held->serial != request->tag.serial ||
        !held->asking || !kad_id_equal(&held->asked, &request->id))
        return;
    held->asking = false;
    bool alive =
        result == KAD_ANSWERED && ((message->has & KRPC_HAS_OK) == 0 || message->ok);
    bool news = alive != held->alive || !alive;
    held->alive = alive;
    if (news)
        tell(kad, held);
    if (alive && message->token.len == KAD_TOKEN_LEN)
        subscribe_owner(kad, held, &request->addr, message->token.at);
}

bool kad_held_event(struct kad *kad, struct kad_event *ret)
{
    struct kad_watches *watches = &kad->watches;

    if (watches->told == 0)
        return false;
    while (!watches->held[watches->look % watches->high].told)
        watches->look++;
    struct kad_held *held = &watches->held[watches->look % watches->high];
    held->told = false;
    watches->told--;
    memset(ret, 0, sizeof(*ret));
    ret->kind = KAD_CHANGED;
    ret->alive = held->alive;
    if (record_decode(&ret->record, held->raw, held->len) == 0) {
        ret->term = ret->record.term;
        ret->id = ret->record.owner;
        ret->addr = kad_owner_addr(kad, &ret->record);
    }
    return true;
}

/* ---- Looking for the storers ---- */

void kad_held_due(struct kad *kad, uint32_t number)
{
    struct kad_held *held = &kad->watches.held[number];
    const struct kad_tag tag = {.index = held->op, .serial = held->op_number};

    if (held->refs == 0 || (held->op != KAD_NONE && kad_op_of(kad, &tag) != NULL))
        return;
    struct kad_op *op =
        kad_op_new(kad, KAD_OP_WATCH, &held->target, kad->now + KAD_WATCH_DEADLINE, true);
    if (op == NULL) {
        look_at(kad, held, LOOK_AGAIN);
        return;
    }
    op->index = number;
    op->serial = held->serial;
    held->op = kad_op_index(kad, op);
    held->op_number = op->number;
    kad_set_timer(kad, KAD_TIMED_HELD, number,
                  kad->now +
                      kad_random_jitter(&kad->random, kad->join.joined
                                                          ? KAD_WATCH_LOOK
                                                          : 2 * KAD_WATCH_DEADLINE));
    kad_op_start(kad, op);
}

/* Detaches storers that are no longer among the `count` wanted ones. */
static void drop_others(struct kad *kad, struct kad_held *held,
                        struct kad_walk_node *const wanted[], uint32_t count)
{
    for (uint32_t slot = 0; slot < KAD_WATCH_STORERS; slot++) {
        bool keep = false;

        for (uint32_t i = 0; i < count && held->pairs[slot] != KAD_NONE; i++)
            keep = keep || kad_id_equal(&kad->watches.pairs[held->pairs[slot]].id,
                                        &wanted[i]->id);
        if (!keep)
            detach(kad, held, slot);
    }
}

static uint32_t free_slot(const struct kad_held *held)
{
    uint32_t slot = 0;

    while (slot < KAD_WATCH_STORERS && held->pairs[slot] != KAD_NONE)
        slot++;
    return slot;
}

void kad_held_walked(struct kad *kad, struct kad_op *op)
{
    struct kad_held *held = &kad->watches.held[op->index];
    struct kad_search *search = &kad->ops.searches[op->search];
    struct kad_walk_node *wanted[KAD_WATCH_STORERS];
    struct record fields;
    uint32_t count = 0;

    if (held->refs == 0 || held->serial != op->serial) {
        kad_op_finish(kad, op, PROA_OK);
        return;
    }
    for (uint32_t i = 0; i < search->walk.count && count < KAD_WATCH_STORERS; i++)
        if (search->walk.nodes[i].state == KAD_WALK_ANSWERED &&
            search->walk.nodes[i].has_token)
            wanted[count++] = &search->walk.nodes[i];
    drop_others(kad, held, wanted, count);
    for (uint32_t i = 0; i < count && free_slot(held) < KAD_WATCH_STORERS; i++)
        attach(kad, held, free_slot(held), &wanted[i]->id, &wanted[i]->addr,
               wanted[i]->token);
    uint32_t at = kad_op_pick(kad, op, &fields);
    if (at != KAD_NONE)
        kad_held_offer(kad, held, &fields, search->found[at].raw, search->found[at].len,
                       false);
    if (count == 0 && kad->table.live > 0)
        look_at(kad, held, PROA_S);
    else if (count == 0)
        look_at(kad, held, REFUSED); /* alone: somebody may come */
    kad_op_finish(kad, op, PROA_OK);
}

void kad_held_result(struct kad *kad, const struct kad_request *request,
                     enum kad_result result, const struct krpc_message *message)
{
    struct kad_held *held = &kad->watches.held[request->tag.index];
    uint32_t slot = request->tag.part;
    struct bencode_span raw;
    struct record fields;

    if (result == KAD_LATE || held->refs == 0 || held->serial != request->tag.serial ||
        held->pairs[slot] == KAD_NONE ||
        !kad_id_equal(&kad->watches.pairs[held->pairs[slot]].id, &request->id))
        return;
    if (result != KAD_ANSWERED || !message->ok) {
        detach(kad, held, slot);
        look_at(kad, held, result == KAD_ANSWERED ? REFUSED : KAD_WATCH_SOON);
        return;
    }
    if (message->v.at == NULL || !krpc_value_string(message->v, &raw) ||
        (raw.len == held->len && memcmp(raw.at, held->raw, raw.len) == 0) ||
        !kad_open(kad, &fields, raw, &held->target))
        return;
    kad_held_offer(kad, held, &fields, raw.at, raw.len,
                   kad_id_equal(&fields.owner, &request->id));
}

/* ---- The caller's calls ---- */

bool kad_watch(struct kad *kad, const char *text, size_t len, proa_ns now)
{
    struct kad_watches *watches = &kad->watches;
    struct kad_id target;
    uint32_t number = watches->free, serial = 1;

    kad_set_now(kad, now);
    if (len == 0 || len > PROA_NAME_MAX)
        return false;
    kad_id_of_name(text, len, &target);
    struct kad_held *held = kad_held_find(kad, &target);
    if (held != NULL) {
        held->refs++;
        if (held->len > 0)
            tell(kad, held);
        return true;
    }
    if (number != KAD_NONE) {
        watches->free = watches->held[number].next;
        serial = watches->held[number].serial + 1;
    } else if (watches->high < watches->cap) {
        number = watches->high++;
    } else {
        return false;
    }
    held = &watches->held[number];
    memset(held, 0, offsetof(struct kad_held, raw));
    held->target = target;
    held->serial = serial;
    held->refs = 1;
    held->op = KAD_NONE;
    for (uint32_t slot = 0; slot < KAD_WATCH_PAIRS; slot++)
        held->pairs[slot] = KAD_NONE;
    uint32_t *head = kad_index_head(&watches->by_target, &target);
    held->next = *head;
    *head = number;
    watches->count++;
    kad_held_due(kad, number);
    return true;
}

static void release_held(struct kad *kad, struct kad_held *held)
{
    struct kad_watches *watches = &kad->watches;
    uint32_t number = number_of(kad, held);
    uint32_t *at = kad_index_head(&watches->by_target, &held->target);

    for (uint32_t slot = 0; slot < KAD_WATCH_PAIRS; slot++) {
        if (held->pairs[slot] != KAD_NONE)
            ask_watch(kad, held, slot, 0);
        detach(kad, held, slot);
    }
    while (*at != number)
        at = &watches->held[*at].next;
    *at = held->next;
    watches->told -= held->told;
    held->told = false;
    kad_clear_timer(kad, KAD_TIMED_HELD, number);
    held->next = watches->free;
    watches->free = number;
    watches->count--;
}

void kad_unwatch(struct kad *kad, const char *text, size_t len, proa_ns now)
{
    struct kad_id target;

    kad_set_now(kad, now);
    if (len == 0 || len > PROA_NAME_MAX)
        return;
    kad_id_of_name(text, len, &target);
    struct kad_held *held = kad_held_find(kad, &target);
    if (held != NULL && --held->refs == 0)
        release_held(kad, held);
}
