/* SPDX-License-Identifier: Apache-2.0 */
#include "kad_keep.h"

#include "kad_internal.h"

#include <string.h>

static bool outranks(struct bencode_span a, struct bencode_span b)
{
    struct record left, right;

    return record_decode(&left, a.at, a.len) == 0 &&
           record_decode(&right, b.at, b.len) == 0 &&
           record_compare_readers(&left, &right) <= 0;
}

struct bencode_span kad_best(struct kad *kad, const struct kad_id *target, bool all)
{
    const struct kad_name *name = kad_name_find(kad, target);
    const struct kad_record *record = kad_store_find(&kad->store, target);
    struct bencode_span own = {NULL, 0}, kept = {NULL, 0};

    if (name != NULL && name->state == KAD_NAME_HELD)
        own = (struct bencode_span){name->raw, name->len};
    if (record != NULL && record->expires > kad->now &&
        (all || (record->disowned_at == 0 && !kad_store_silent(&kad->store, record))))
        kept = (struct bencode_span){record->raw, record->len};
    if (own.at == NULL)
        return kept;
    return kept.at == NULL || outranks(own, kept) ? own : kept;
}

bool kad_open(struct kad *kad, struct record *ret, struct bencode_span raw,
              const struct kad_id *target)
{
    if (record_decode(ret, raw.at, raw.len) != 0 ||
        record_is_ahead(ret->issued, kad->wall_ms) ||
        record_left_ms(ret, kad->wall_ms) == 0 || !kad_rpc_may_check(kad))
        return false;
    kad->stats.verified++;
    return record_verify(ret, raw.at, raw.len, target) == 0;
}

struct proa_addr kad_owner_addr(struct kad *kad, const struct record *fields)
{
    const struct kad_contact *contact = kad_table_find(&kad->table, &fields->owner);
    struct proa_addr none = {0};

    if (contact != NULL)
        return contact->addr;
    return fields->endpoint_count > 0 ? fields->endpoints[0] : none;
}

void kad_changed(struct kad *kad, const struct kad_id *target)
{
    struct kad_held *held = kad_held_find(kad, target);
    struct bencode_span best = kad_best(kad, target, true);
    struct record fields;

    kad_lease_changed(kad, target);
    if (held != NULL && best.at != NULL && record_decode(&fields, best.at, best.len) == 0)
        kad_held_offer(kad, held, &fields, best.at, best.len,
                       kad_id_equal(&fields.owner, &kad->self.id));
}

/* ---- Owners ---- */

static bool ask_owner(struct kad *kad, uint32_t number, const struct kad_record *record)
{
    struct kad_owner *owner = &kad->store.owners[number];
    struct kad_ask ask = {.id = &owner->id,
                          .addr = &owner->addr,
                          .query = KRPC_PING,
                          .target = record != NULL ? &record->target : NULL,
                          .tag = {.kind = KAD_TAG_OWNER, .index = number}};

    if (owner->asking)
        return true;
    ask.tag.serial = record != NULL ? (uint32_t)(record - kad->store.records) : KAD_NONE;
    owner->asking = kad_rpc_ask(kad, &ask);
    return owner->asking;
}

void kad_owner_due(struct kad *kad, uint32_t number)
{
    struct kad_owner *owner = &kad->store.owners[number];
    proa_ns wait = KAD_OWNER_EVERY;

    if (owner->records == 0 || kad_id_equal(&owner->id, &kad->self.id))
        return;
    if ((owner->heard_at == 0 || kad->now - owner->heard_at >= KAD_OWNER_EVERY / 2) &&
        !ask_owner(kad, number, NULL))
        wait = KAD_OWNER_AGAIN;
    kad_set_timer(kad, KAD_TIMED_OWNER, number,
                  kad->now + kad_random_jitter(&kad->random, wait));
}

void kad_owner_result(struct kad *kad, const struct kad_request *request,
                      enum kad_result result, const struct krpc_message *message)
{
    struct kad_owner *owner = &kad->store.owners[request->tag.index];

    if (result == KAD_LATE || owner->records == 0 ||
        !kad_id_equal(&owner->id, &request->id))
        return;
    owner->asking = false;
    if (result == KAD_FAILED) {
        owner->failed_at = kad->now;
        if (owner->fails < KAD_OWNER_FAILURES)
            owner->fails++;
        if (owner->fails < KAD_OWNER_FAILURES)
            kad_timers_sooner(&kad->timers,
                              kad_timer(kad, KAD_TIMED_OWNER, request->tag.index),
                              kad->now + KAD_OWNER_AGAIN);
        return;
    }
    if (result == KAD_ERROR || request->tag.serial == KAD_NONE)
        return;
    struct kad_record *record = &kad->store.records[request->tag.serial];
    if (record->used && record->owner == request->tag.index &&
        kad_id_equal(&record->target, &request->target))
        record->disowned_at =
            (message->has & KRPC_HAS_OK) != 0 && !message->ok ? kad->now : 0;
}

/* Whether this node has lately found out by itself that the record's owner is gone, or does not
   hold the name. */
static bool owner_is_gone(const struct kad *kad, const struct kad_record *record)
{
    const struct kad_owner *owner = &kad->store.owners[record->owner];

    if (record->disowned_at != 0 && kad->now - record->disowned_at <= KAD_VERDICT)
        return true;
    return owner->failed_at != 0 && kad->now - owner->failed_at <= KAD_VERDICT;
}

/* ---- Records ---- */

void kad_record_due(struct kad *kad, uint32_t number)
{
    struct kad_record *record = &kad->store.records[number];

    if (!record->used)
        return;
    if (record->expires > kad->now)
        kad_set_timer(kad, KAD_TIMED_RECORD, number, record->expires);
    else
        kad_store_remove(&kad->store, record);
}

static void tell_loser(struct kad *kad, const struct kad_id *loser,
                       const struct proa_addr *addr, const struct kad_id *target)
{
    struct kad_ask ask = {.id = loser,
                          .addr = addr,
                          .query = KRPC_AN_NOTIFY,
                          .target = target,
                          .value = KAD_VALUE_BEST};

    if (!kad_id_equal(loser, &kad->self.id))
        kad_rpc_ask(kad, &ask);
}

/* Stores it, starts its timers, and tells who wants to know. */
static enum kad_kept store(struct kad *kad, const struct kad_id *target,
                           const struct record *fields, const uint8_t *raw, size_t len)
{
    const struct kad_contact *contact = kad_table_find(&kad->table, &fields->owner);
    struct kad_record *record = kad_store_find(&kad->store, target);
    struct kad_record before = {.used = false};
    struct kad_owner owner_before = {.fails = KAD_OWNER_FAILURES};

    if (record != NULL && record->expires > kad->now) {
        before = *record;
        owner_before = kad->store.owners[record->owner];
    }
    record = kad_store_put(&kad->store, target, fields, raw, len,
                           kad->now + record_left_ms(fields, kad->wall_ms) * PROA_MS,
                           contact != NULL ? contact->heard_at : 0, kad->now);
    if (record == NULL)
        return KAD_KEPT_FULL;
    kad->stats.stored++;
    kad_set_timer(kad, KAD_TIMED_RECORD, (uint32_t)(record - kad->store.records),
                  record->expires);
    kad_timers_sooner(&kad->timers, kad_timer(kad, KAD_TIMED_OWNER, record->owner),
                      kad->now + kad_random_jitter(&kad->random, KAD_OWNER_EVERY));
    bool same_owner =
        before.used && kad_id_equal(&before.stamp.owner, &record->stamp.owner);
    if (before.used && !same_owner && before.stamp.kind == RECORD_NAME &&
        owner_before.fails == 0)
        tell_loser(kad, &before.stamp.owner, &owner_before.addr, target);
    if (!same_owner || before.stamp.term != record->stamp.term ||
        before.stamp.kind != record->stamp.kind || before.slot != record->slot ||
        before.generation != record->generation)
        kad_changed(kad, target);
    return KAD_KEPT;
}

/* A holder that lives must hear of who claims its name with a higher term: after a partition
   neither side's storers give way by themselves. */
static void tell_holder(struct kad *kad, struct kad_record *record, const uint8_t *raw,
                        size_t len)
{
    const struct kad_owner *owner = &kad->store.owners[record->owner];
    struct kad_ask ask = {.id = &owner->id,
                          .addr = &owner->addr,
                          .query = KRPC_AN_NOTIFY,
                          .target = &record->target,
                          .raw = {raw, len}};

    if (record->told_at != 0 && kad->now - record->told_at < KAD_TELL_HOLDER)
        return;
    record->told_at = kad->now;
    kad_rpc_ask(kad, &ask);
}

static enum kad_kept check(struct kad *kad, const struct kad_id *target,
                           const struct record *fields, const uint8_t *raw, size_t len)
{
    if (!kad_rpc_may_check(kad))
        return KAD_KEPT_LATER;
    kad->stats.verified++;
    return record_verify(fields, raw, len, target) == 0 ? KAD_KEPT : KAD_KEPT_BAD;
}

enum kad_kept kad_keep_put(struct kad *kad, const struct kad_id *target,
                           const struct record *fields, const uint8_t *raw, size_t len,
                           bool verified)
{
    struct kad_name *name = kad_name_find(kad, target);
    struct kad_record *record = kad_store_find(&kad->store, target);
    enum kad_put_verdict own = KAD_PUT_ACCEPT, kept;
    struct kad_stamp put;

    kad_stamp_of(fields, &put);
    if (name != NULL && name->state != KAD_NAME_HELD)
        name = NULL;
    if (name != NULL)
        own = kad_put_rule(&name->stamp, &put);
    if (own == KAD_PUT_SAME)
        return KAD_KEPT;
    if (own == KAD_PUT_REFUSE || kad_id_equal(&put.owner, &kad->self.id))
        return KAD_KEPT_CUR;
    if (record != NULL && record->expires <= kad->now)
        record = NULL;
    kept = kad_put_rule(record != NULL ? &record->stamp : NULL, &put);
    if (kept == KAD_PUT_SAME)
        return KAD_KEPT;
    if (kept == KAD_PUT_REFUSE)
        return KAD_KEPT_CUR;
    if (kept == KAD_PUT_ASK && !owner_is_gone(kad, record)) {
        ask_owner(kad, record->owner, record);
        tell_holder(kad, record, raw, len);
        return KAD_KEPT_CUR;
    }
    enum kad_kept checked = verified ? KAD_KEPT : check(kad, target, fields, raw, len);
    if (checked != KAD_KEPT)
        return checked;
    if (name != NULL) {
        kad_name_contend(kad, name, fields, raw, len);
        if (own == KAD_PUT_ASK)
            return KAD_KEPT_CUR; /* the owner asked for is this node, and it lives */
    }
    return store(kad, target, fields, raw, len);
}
