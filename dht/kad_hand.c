/* SPDX-License-Identifier: Apache-2.0 */
#include "kad_hand.h"

#include "kad_internal.h"

#include <string.h>

#define SWEEP_APART (10 * PROA_S) /* between two sweeps after losses */

void kad_hand_newcomer(struct kad *kad, const struct kad_id *id,
                       const struct proa_addr *addr)
{
    struct kad_hands *hands = &kad->hands;

    if (kad->names.count == 0 && kad->store.count == 0)
        return;
    if (hands->count == KAD_HAND_WAITING) {
        hands->first =
            (hands->first + 1) % KAD_HAND_WAITING; /* the hourly sweep gets it */
        hands->count--;
    }
    struct kad_hand_peer *peer =
        &hands->waiting[(hands->first + hands->count++) % KAD_HAND_WAITING];
    peer->id = *id;
    peer->addr = *addr;
    for (uint32_t i = 0; i < KAD_HANDS; i++)
        if (!hands->hands[i].active)
            kad_timers_sooner(&kad->timers, kad_timer(kad, KAD_TIMED_HAND, i),
                              kad->now + KAD_HAND_DELAY);
}

void kad_hand_sweep_soon(struct kad *kad)
{
    proa_ns due = kad->now + kad_random_jitter(&kad->random, KAD_SWEEP_SOON);

    if (kad->names.count == 0 || kad->names.left_by != 0)
        return;
    if (kad->hands.swept_at != 0 && due < kad->hands.swept_at + SWEEP_APART)
        due = kad->hands.swept_at + SWEEP_APART;
    kad_timers_sooner(&kad->timers, kad_timer(kad, KAD_TIMED_SINGLE, KAD_TIMER_SWEEP),
                      due);
}

/* Records older than half their lease are signed anew; in a cluster larger than the table each
   name is renewed by a walk of its own within the hour. */
static void tend_names(struct kad *kad)
{
    bool walk = kad_table_full(&kad->table);

    for (uint32_t i = 0; i < kad->names.high; i++) {
        struct kad_name *name = &kad->names.names[i];

        if (name->state != KAD_NAME_HELD)
            continue;
        if (record_clock_ms(name->stamp.issued) + KAD_NAME_LEASE_S * 500u < kad->wall_ms)
            kad_name_sign(kad, name, name->stamp.term, name->stamp.claim);
        if (walk)
            kad_timers_sooner(&kad->timers, kad_timer(kad, KAD_TIMED_NAME, i),
                              kad->now + kad_random_u64(&kad->random) % KAD_SWEEP_EVERY);
    }
}

void kad_hand_sweep_due(struct kad *kad)
{
    struct kad_hands *hands = &kad->hands;

    kad_set_timer(kad, KAD_TIMED_SINGLE, KAD_TIMER_SWEEP,
                  kad->now + kad_random_jitter(&kad->random, KAD_SWEEP_EVERY));
    if (kad->names.count == 0)
        return;
    tend_names(kad);
    hands->swept_at = kad->now;
    hands->sweep_contact = 0;
    for (uint32_t i = 0; i < KAD_HANDS; i++)
        if (!hands->hands[i].active)
            kad_timers_sooner(&kad->timers, kad_timer(kad, KAD_TIMED_HAND, i), kad->now);
}

/* ---- One peer ---- */

/* Takes the next peer to serve: a newcomer, else the next contact of the sweep. */
static bool take_peer(struct kad *kad, struct kad_hand *hand)
{
    struct kad_hands *hands = &kad->hands;

    if (hands->count > 0) {
        hand->peer = hands->waiting[hands->first];
        hands->first = (hands->first + 1) % KAD_HAND_WAITING;
        hands->count--;
        hand->names_only = false;
        return true;
    }
    while (hands->sweep_contact < kad->table.high) {
        const struct kad_contact *contact = &kad->table.contacts[hands->sweep_contact++];

        if (contact->state != KAD_CONTACT_LIVE || contact->fails > 0)
            continue;
        hand->peer.id = contact->id;
        hand->peer.addr = contact->addr;
        hand->names_only = true;
        return true;
    }
    hands->sweep_contact = KAD_NONE;
    return false;
}

/* The statement at this place of the cursor, NULL when there is none to hand over. */
static const struct kad_stamp *at_cursor(const struct kad *kad, uint32_t cursor,
                                         struct kad_id *ret_target, uint32_t *ret_ref)
{
    if (cursor < kad->names.high) {
        const struct kad_name *name = &kad->names.names[cursor];

        *ret_target = name->target;
        *ret_ref = cursor;
        return name->state == KAD_NAME_HELD ? &name->stamp : NULL;
    }
    const struct kad_record *record = &kad->store.records[cursor - kad->names.high];
    *ret_target = record->target;
    *ret_ref = (cursor - kad->names.high) | KAD_HAND_RECORD;
    return record->used && record->expires > kad->now ? &record->stamp : NULL;
}

static void write_pair(uint8_t *at, const struct kad_id *target, uint64_t issued)
{
    memcpy(at, target->b, sizeof(target->b));
    for (int i = 0; i < 8; i++)
        at[PROA_KAD_ID_LEN + i] = (uint8_t)(issued >> (56 - 8 * i));
}

/* Collects what the peer ought to have.  True when the cursor has reached the end. */
static bool collect(struct kad *kad, struct kad_hand *hand, uint8_t *pairs)
{
    uint32_t end = kad->names.high + (hand->names_only ? 0 : kad->store.records_high);
    uint32_t replicas = kad_replicas(kad);

    hand->count = 0;
    for (uint32_t looked = 0; looked < KAD_HAND_LOOK && hand->cursor < end &&
                              hand->count < PROA_KRPC_PAIRS_MAX;
         looked++, hand->cursor++) {
        struct kad_id target;
        uint32_t ref;
        const struct kad_stamp *stamp = at_cursor(kad, hand->cursor, &target, &ref);

        if (stamp == NULL || kad_id_equal(&stamp->owner, &hand->peer.id) ||
            kad_table_closer(&kad->table, &target, &hand->peer.id, replicas) >= replicas)
            continue;
        write_pair(pairs + hand->count * PROA_KRPC_PAIR_LEN, &target, stamp->issued);
        hand->targets[hand->count] = target;
        hand->refs[hand->count++] = ref;
    }
    return hand->cursor >= end;
}

static void wake(struct kad *kad, const struct kad_hand *hand, proa_ns wait)
{
    kad_set_timer(kad, KAD_TIMED_HAND, (uint32_t)(hand - kad->hands.hands),
                  kad->now + wait);
}

static void leave_peer(struct kad *kad, struct kad_hand *hand)
{
    hand->active = false;
    wake(kad, hand, KAD_HAND_STEP);
}

void kad_hand_due(struct kad *kad, uint32_t number)
{
    struct kad_hand *hand = &kad->hands.hands[number];
    uint8_t pairs[PROA_KRPC_PAIRS_MAX * PROA_KRPC_PAIR_LEN];

    if (hand->active && (hand->asking || hand->puts > 0))
        return;
    if (!hand->active) {
        if (kad->names.left_by != 0 || !take_peer(kad, hand))
            return;
        hand->active = true;
        hand->serial++;
        hand->cursor = 0;
    }
    if (!kad_rpc_room(kad, PROA_KRPC_PAIRS_MAX)) {
        wake(kad, hand, KAD_HAND_STEP);
        return;
    }
    bool over = collect(kad, hand, pairs);
    if (hand->count == 0) {
        if (over)
            hand->active = false;
        wake(kad, hand, KAD_HAND_STEP);
        return;
    }
    struct kad_ask ask = {
        .id = &hand->peer.id,
        .addr = &hand->peer.addr,
        .query = KRPC_AN_SWEEP,
        .target = &hand->targets[0],
        .pairs = {pairs, (size_t)hand->count * PROA_KRPC_PAIR_LEN},
        .tag = {.kind = KAD_TAG_SWEEP, .index = number, .serial = hand->serial}};
    hand->asking = kad_rpc_ask(kad, &ask);
    if (!hand->asking)
        leave_peer(kad, hand);
}

static void put(struct kad *kad, struct kad_hand *hand, uint32_t i, const uint8_t *token)
{
    uint32_t ref = hand->refs[i];
    struct kad_ask ask = {.id = &hand->peer.id,
                          .addr = &hand->peer.addr,
                          .query = KRPC_PUT,
                          .target = &hand->targets[i],
                          .token = token,
                          .value = KAD_VALUE_BEST,
                          .tag = {.kind = KAD_TAG_HAND,
                                  .part = (uint8_t)i,
                                  .index = (uint32_t)(hand - kad->hands.hands),
                                  .serial = hand->serial}};

    if ((ref & KAD_HAND_RECORD) == 0) {
        const struct kad_name *name = &kad->names.names[ref];

        if (name->state != KAD_NAME_HELD ||
            !kad_id_equal(&name->target, &hand->targets[i]))
            return;
        ask.value = KAD_VALUE_NAME;
        ask.value_index = ref;
        ask.value_serial = name->serial;
    }
    if (!kad_rpc_ask(kad, &ask))
        return;
    hand->puts++;
    kad->stats.handed_over++;
}

static struct kad_hand *hand_of(struct kad *kad, const struct kad_request *request,
                                enum kad_result result)
{
    struct kad_hand *hand = &kad->hands.hands[request->tag.index];

    if (result == KAD_LATE || !hand->active || hand->serial != request->tag.serial)
        return NULL;
    return hand;
}

void kad_hand_sweep_result(struct kad *kad, const struct kad_request *request,
                           enum kad_result result, const struct krpc_message *message)
{
    struct kad_hand *hand = hand_of(kad, request, result);

    if (hand == NULL)
        return;
    hand->asking = false;
    if (result != KAD_ANSWERED || message->token.len != KAD_TOKEN_LEN) {
        leave_peer(kad, hand);
        return;
    }
    for (uint32_t i = 0; i < hand->count && i < message->lack.len; i++)
        if (message->lack.at[i] == 1)
            put(kad, hand, i, message->token.at);
    if (hand->puts == 0)
        wake(kad, hand, KAD_HAND_STEP);
}

/* The peer has something better, or thinks so: it is looked at by our own rules. */
static void learn(struct kad *kad, const struct kad_id *target,
                  const struct krpc_message *message)
{
    struct kad_name *name = kad_name_find(kad, target);
    struct bencode_span raw;
    struct record fields;

    if (message->v.at == NULL || !krpc_value_string(message->v, &raw) ||
        !kad_open(kad, &fields, raw, target))
        return;
    if (name != NULL)
        kad_name_contend(kad, name, &fields, raw.at, raw.len);
    kad_keep_put(kad, target, &fields, raw.at, raw.len, true);
}

void kad_hand_put_result(struct kad *kad, const struct kad_request *request,
                         enum kad_result result, const struct krpc_message *message)
{
    struct kad_hand *hand = hand_of(kad, request, result);

    if (hand == NULL)
        return;
    hand->puts--;
    if (result == KAD_ANSWERED && !message->ok)
        learn(kad, &request->target, message);
    if (hand->puts == 0)
        wake(kad, hand, KAD_HAND_STEP);
}

size_t kad_hand_asked(struct kad *kad, struct bencode_span pairs,
                      uint8_t ret_lack[PROA_KRPC_PAIRS_MAX])
{
    size_t count = pairs.len / PROA_KRPC_PAIR_LEN;

    for (size_t i = 0; i < count; i++) {
        const uint8_t *at = pairs.at + i * PROA_KRPC_PAIR_LEN;
        const struct kad_record *record;
        const struct kad_name *name;
        struct kad_id target;
        uint64_t issued = 0;

        memcpy(target.b, at, sizeof(target.b));
        for (int j = 0; j < 8; j++)
            issued = issued << 8 | at[PROA_KAD_ID_LEN + j];
        record = kad_store_find(&kad->store, &target);
        name = kad_name_find(kad, &target);
        bool has = (record != NULL && record->expires > kad->now &&
                    record->stamp.issued == issued) ||
                   (name != NULL && name->state == KAD_NAME_HELD &&
                    name->stamp.issued == issued);
        ret_lack[i] = has ? 0 : 1;
    }
    return count;
}
