/* SPDX-License-Identifier: Apache-2.0 */
#include "kad_claim.h"

#include "kad_internal.h"

#include <string.h>

#define TRIES_MAX 12    /* tellings of one storer in one round */
#define PART_STORER 7u  /* of a tag's part: which storer */
#define PART_ROUND 0x1f /* and, above it, in which round */

uint32_t kad_replicas(struct kad *kad)
{
    proa_ns since = kad->now > KAD_HEARD_WITHIN ? kad->now - KAD_HEARD_WITHIN : 0;

    return 1 + kad_table_heard(&kad->table, since, KAD_K - 1);
}

/* The own name an operation is about; NULL when it was given up in the meantime. */
static struct kad_name *name_of(struct kad *kad, const struct kad_op *op)
{
    return kad_name_at(kad, op->index, op->serial);
}

static bool is_gone(const struct kad_op *op, const struct kad_id *owner)
{
    return kad_id_equal(&op->holder, owner) &&
           (op->judged == KAD_JUDGED_NOT_MINE || op->judged == KAD_JUDGED_SILENT);
}

static bool lives(const struct kad_op *op, const struct kad_id *owner)
{
    return kad_id_equal(&op->holder, owner) && op->judged == KAD_JUDGED_MINE;
}

/* ---- Ending ---- */

static bool was_told(const struct kad_op *op)
{
    for (uint32_t i = 0; i < op->storer_count; i++)
        if (op->storers[i].told)
            return true;
    return false;
}

/* Takes the claim back from whom it was told. */
static void withdraw(struct kad *kad, struct kad_op *op, struct kad_name *name)
{
    struct record fields;

    if (was_told(op) && record_decode(&fields, name->raw, name->len) == 0)
        kad_claim_end(kad, &op->target, &fields);
    op->storer_count = 0;
}

static void end(struct kad *kad, struct kad_op *op, enum proa_outcome outcome)
{
    struct kad_name *name = name_of(kad, op);

    if (name != NULL && op->kind == KAD_OP_RENEW)
        name->renewing = false;
    if (name != NULL && op->kind == KAD_OP_REGISTER && outcome != PROA_OK) {
        withdraw(kad, op, name);
        kad_name_free(kad, name);
    }
    kad_op_finish(kad, op, outcome);
}

struct kad_op *kad_claim_end(struct kad *kad, const struct kad_id *target,
                             const struct record *ended)
{
    struct kad_op *op =
        kad_op_new(kad, KAD_OP_TOMB, target, kad->now + KAD_TOMB_DEADLINE, true);
    struct kad_record *record = kad_store_find(&kad->store, target);
    uint8_t raw[PROA_RECORD_MAX];
    struct kad_stamp stamp;
    struct record fields = *ended;
    size_t len;

    kad->names.clock = record_clock_next(kad->names.clock, kad->wall_ms);
    fields.kind = RECORD_TOMBSTONE;
    fields.issued = kad->names.clock;
    fields.lease = KAD_TOMB_LEASE_S;
    fields.owner = kad->self.id;
    int bad = record_sign(&fields, &kad->self, raw, &len);
    PROA_ASSERT(bad == 0); /* it was signed before */
    kad_stamp_of(&fields, &stamp);
    if (record == NULL || kad_put_rule(&record->stamp, &stamp) == KAD_PUT_ACCEPT)
        record = kad_store_put(&kad->store, target, &fields, raw, len,
                               kad->now + KAD_TOMB_LEASE_S * PROA_S, kad->now, kad->now);
    if (record != NULL)
        kad_set_timer(kad, KAD_TIMED_RECORD, (uint32_t)(record - kad->store.records),
                      record->expires);
    kad_changed(kad, target);
    if (op == NULL)
        return NULL;
    op->signs = true;
    op->raw_len = (uint16_t)len;
    memcpy(op->raw, raw, len);
    kad_op_start(kad, op);
    return op;
}

void kad_claim_expired(struct kad *kad, struct kad_op *op)
{
    end(kad, op, kad->join.joined ? PROA_NO_QUORUM : PROA_NOT_JOINED);
}

/* No quorum this time: take it back, wait a little, try anew. */
static void rest(struct kad *kad, struct kad_op *op)
{
    struct kad_name *name = name_of(kad, op);
    uint32_t doublings = op->tries < 5 ? op->tries : 5;
    proa_ns wait = KAD_REST << doublings;

    if (op->kind != KAD_OP_REGISTER || name == NULL) {
        end(kad, op, PROA_NO_QUORUM);
        return;
    }
    withdraw(kad, op, name);
    op->tries++;
    op->round++; /* acks of this attempt do not count for the next */
    op->raises = 0;
    wait = wait < KAD_REST_MAX ? wait : KAD_REST_MAX;
    kad_op_rest(kad, op, kad_random_jitter(&kad->random, wait));
}

static void won(struct kad *kad, struct kad_op *op, struct kad_name *name)
{
    struct kad_record *other = kad_store_find(&kad->store, &op->target);

    name->state = KAD_NAME_HELD;
    if (other != NULL && (kad_put_rule(&other->stamp, &name->stamp) == KAD_PUT_ACCEPT ||
                          is_gone(op, &other->stamp.owner)))
        kad_store_remove(&kad->store, other);
    op->alive = true;
    op->raw_len = name->len;
    memcpy(op->raw, name->raw, name->len);
    for (uint32_t i = 0; i < op->storer_count; i++)
        if (op->storers[i].state != KAD_STORER_ACKED) /* it may refuse, or be asking */
            kad_timers_sooner(&kad->timers, kad_timer(kad, KAD_TIMED_NAME, op->index),
                              kad->now + kad_random_jitter(&kad->random, KAD_COMPLETE));
    kad_changed(kad, &op->target);
    end(kad, op, PROA_OK);
}

/* Somebody else holds the name, and lives. */
static void beaten(struct kad *kad, struct kad_op *op, struct kad_name *name)
{
    if (op->kind == KAD_OP_REGISTER) {
        op->alive = true;
        end(kad, op, PROA_ALREADY_REGISTERED);
        return;
    }
    if (name->rivaled_at == 0)
        name->rivaled_at = kad->now;
    if (kad->now - name->rivaled_at < KAD_LOST_APART) {
        kad_op_rest(kad, op, KAD_LOST_APART); /* it may be a claim that is taken back */
        return;
    }
    name->renewing = false;
    kad_name_lose(kad, name, op->raw, op->raw_len);
    end(kad, op, PROA_ALREADY_REGISTERED);
}

/* ---- Telling the storers ---- */

static void add_storer(struct kad_op *op, const struct kad_walk_node *node, bool has_it)
{
    struct kad_storer *storer = &op->storers[op->storer_count++];

    memset(storer, 0, sizeof(*storer));
    storer->id = node->id;
    storer->addr = node->addr;
    memcpy(storer->token, node->token, sizeof(storer->token));
    storer->state = KAD_STORER_TODO;
    if (!node->has_token)
        storer->state = KAD_STORER_FAILED;
    if (has_it)
        storer->state = KAD_STORER_ACKED;
}

static void add_self(struct kad *kad, struct kad_op *op)
{
    struct kad_storer *storer = &op->storers[op->storer_count++];

    memset(storer, 0, sizeof(*storer));
    storer->id = kad->self.id;
    storer->state = op->kind == KAD_OP_TOMB ? KAD_STORER_ACKED : KAD_STORER_TODO;
}

void kad_claim_choose(struct kad *kad, struct kad_op *op, bool unchanged)
{
    struct kad_walk *walk = &kad->ops.searches[op->search].walk;
    bool claims = op->kind != KAD_OP_TOMB && op->kind != KAD_OP_ANNOUNCE;
    uint32_t replicas = claims ? kad_replicas(kad) : KAD_K;
    bool self_in = false;

    op->storer_count = 0;
    for (uint32_t i = 0; i < walk->count && op->storer_count < replicas; i++) {
        const struct kad_walk_node *node = &walk->nodes[i];

        if (node->state != KAD_WALK_ANSWERED)
            continue;
        if (!self_in && kad_id_closer(&op->target, &kad->self.id, &node->id) < 0) {
            self_in = true;
            add_self(kad, op);
        }
        if (op->storer_count < replicas)
            add_storer(op, node, unchanged && node->has_record);
    }
    if (!self_in && op->storer_count < replicas)
        add_self(kad, op);
    op->quorum = (uint8_t)(replicas / 2 + 1);
    op->state = KAD_OP_PUTTING;
    kad_op_release(kad, op);
}

/* Signs the claim again above this term; every storer is then to be told. */
static void raise_term(struct kad *kad, struct kad_op *op, struct kad_name *name,
                       uint64_t above)
{
    if (++op->raises > KAD_RAISES_MAX || above == UINT64_MAX) {
        rest(kad, op);
        return;
    }
    op->round++;
    kad_name_sign(kad, name, above + 1,
                  op->kind == KAD_OP_REGISTER ? 0 : name->stamp.claim);
    for (uint32_t i = 0; i < op->storer_count; i++) {
        op->storers[i].state = KAD_STORER_TODO;
        op->storers[i].tries = 0;
    }
    if (op->kind == KAD_OP_RENEW)
        kad_changed(kad, &op->target);
}

/* ---- Refused ---- */

/* A storer has a verified record that stands against the claim.  The operation may have rested
   or ended when this returns. */
static void refused(struct kad *kad, struct kad_op *op, struct kad_storer *storer,
                    const struct record *rival, struct bencode_span raw)
{
    struct kad_name *name = name_of(kad, op);

    storer->state = KAD_STORER_FAILED;
    if (op->kind == KAD_OP_TOMB || name == NULL)
        return;
    if (kad_id_equal(&rival->owner, &kad->self.id)) {
        if (rival->kind == RECORD_NAME && rival->issued >= name->stamp.issued)
            storer->state = KAD_STORER_ACKED;
        return;
    }
    if (storer->tries < TRIES_MAX) {
        proa_ns again = KAD_AGAIN << storer->tries++;

        storer->state = KAD_STORER_WAIT;
        storer->retry_at = kad->now + (again < KAD_AGAIN_MAX ? again : KAD_AGAIN_MAX);
    }
    bool ended = rival->kind == RECORD_TOMBSTONE || is_gone(op, &rival->owner);
    if (ended && rival->term >= name->stamp.term) {
        raise_term(kad, op, name, rival->term);
    } else if (!ended && !op->asking) {
        op->raw_len = (uint16_t)raw.len;
        memcpy(op->raw, raw.at, raw.len);
        kad_op_ask_holder(kad, op, rival);
    }
}

/* This node as one of the storers: by the same rule as any other. */
static void tell_self(struct kad *kad, struct kad_op *op, struct kad_storer *storer)
{
    const struct kad_name *name = name_of(kad, op);
    const struct kad_record *record = kad_store_find(&kad->store, &op->target);
    struct bencode_span raw;
    struct record rival;

    storer->state = KAD_STORER_ACKED;
    if (record == NULL || record->expires <= kad->now)
        return;
    enum kad_put_verdict verdict = kad_put_rule(&record->stamp, &name->stamp);
    if (verdict == KAD_PUT_ACCEPT || verdict == KAD_PUT_SAME ||
        (verdict == KAD_PUT_ASK && is_gone(op, &record->stamp.owner)))
        return;
    raw = (struct bencode_span){record->raw, record->len};
    if (record_decode(&rival, raw.at, raw.len) == 0)
        refused(kad, op, storer, &rival, raw);
}

/* ---- Told ---- */

static void tell_storer(struct kad *kad, struct kad_op *op, uint32_t i)
{
    struct kad_storer *storer = &op->storers[i];
    uint32_t part = i | (op->round & PART_ROUND) << 3;
    struct kad_ask ask = {.id = &storer->id,
                          .addr = &storer->addr,
                          .query = KRPC_PUT,
                          .target = &op->target,
                          .token = storer->token,
                          .value = KAD_VALUE_NAME,
                          .value_index = op->index,
                          .value_serial = op->serial,
                          .tag = {.kind = KAD_TAG_PUT,
                                  .part = (uint8_t)part,
                                  .index = kad_op_index(kad, op),
                                  .serial = op->number}};

    if (op->kind == KAD_OP_TOMB) {
        ask.value = KAD_VALUE_OP;
        ask.value_index = kad_op_index(kad, op);
        ask.value_serial = op->number;
    }
    if (kad_rpc_ask(kad, &ask)) {
        storer->state = KAD_STORER_SENT;
        storer->told = true;
    } else {
        storer->state = KAD_STORER_WAIT;
        storer->retry_at = kad->now + KAD_RETRY;
    }
}

/* Tells whom it is time to tell.  False when the operation has left this state by that. */
static bool tell(struct kad *kad, struct kad_op *op)
{
    for (uint32_t i = 0; i < op->storer_count && op->state == KAD_OP_PUTTING; i++) {
        struct kad_storer *storer = &op->storers[i];

        if (storer->state != KAD_STORER_TODO &&
            (storer->state != KAD_STORER_WAIT || storer->retry_at > kad->now))
            continue;
        if (kad_id_equal(&storer->id, &kad->self.id))
            tell_self(kad, op, storer);
        else
            tell_storer(kad, op, i);
    }
    return op->state == KAD_OP_PUTTING;
}

/* A better claim may have come to this node itself since it acked its own. */
static void ask_self_again(struct kad *kad, struct kad_op *op)
{
    for (uint32_t i = 0; i < op->storer_count && op->state == KAD_OP_PUTTING; i++)
        if (op->storers[i].state == KAD_STORER_ACKED &&
            kad_id_equal(&op->storers[i].id, &kad->self.id))
            tell_self(kad, op, &op->storers[i]);
}

/* Tells whom it is time to tell, and ends the operation when it is settled. */
static void pump(struct kad *kad, struct kad_op *op)
{
    struct kad_name *name = name_of(kad, op);
    uint32_t acks = 0, pending = 0;
    proa_ns next = op->deadline;

    if (name == NULL && op->kind != KAD_OP_TOMB) {
        kad_op_finish(kad, op, PROA_NO_QUORUM); /* given up in the meantime */
        return;
    }
    if (!tell(kad, op))
        return;
    if (op->kind == KAD_OP_REGISTER)
        ask_self_again(kad, op);
    if (op->state != KAD_OP_PUTTING)
        return;
    for (uint32_t i = 0; i < op->storer_count; i++) {
        const struct kad_storer *storer = &op->storers[i];

        acks += storer->state == KAD_STORER_ACKED;
        pending += storer->state < KAD_STORER_ACKED || storer->state == KAD_STORER_WAIT;
        if (storer->state == KAD_STORER_TODO)
            next = kad->now; /* the term was raised: all are told anew */
        if (storer->state == KAD_STORER_WAIT && storer->retry_at < next)
            next = storer->retry_at;
    }
    kad_op_timer(kad, op, next);
    if (op->asking)
        return; /* somebody is refused for a holder who may live: the quorum waits for him */
    if (op->kind == KAD_OP_REGISTER && acks >= op->quorum)
        won(kad, op, name);
    else if (op->kind == KAD_OP_REGISTER && acks + pending < op->quorum)
        rest(kad, op);
    else if (pending == 0)
        end(kad, op, PROA_OK);
}

void kad_claim_due(struct kad *kad, struct kad_op *op)
{
    pump(kad, op);
}

/* ---- After the walk ---- */

void kad_claim_walked(struct kad *kad, struct kad_op *op)
{
    struct kad_search *search = &kad->ops.searches[op->search];
    struct kad_name *name = name_of(kad, op);
    struct record rival;
    uint64_t highest = 0;

    if (op->kind == KAD_OP_TOMB) {
        kad_claim_choose(kad, op, false);
        pump(kad, op);
        return;
    }
    if (name == NULL) {
        kad_op_finish(kad, op, PROA_NO_QUORUM);
        return;
    }
    uint32_t at = kad_op_pick(kad, op, &rival);
    if (at != KAD_NONE && search->found[at].hint && is_gone(op, &rival.owner)) {
        /* A claim that was taken back, and stored nowhere. */
        kad_op_disown(kad, op, &rival.owner);
        search->found[at].stamp.term = 0;
        at = kad_op_pick(kad, op, &rival);
    }
    for (uint32_t i = 0; i < search->found_count; i++)
        if (search->found[i].stamp.term > highest)
            highest = search->found[i].stamp.term;
    bool others = at != KAD_NONE && !kad_id_equal(&rival.owner, &kad->self.id);
    if (others && rival.kind == RECORD_NAME && !is_gone(op, &rival.owner)) {
        kad_op_keep(kad, op, at);
        if (lives(op, &rival.owner))
            beaten(kad, op, name);
        else if (!op->asking)
            kad_op_ask_holder(kad, op, &rival);
        return;
    }
    if (highest == UINT64_MAX) {
        end(kad, op, PROA_NO_QUORUM); /* no term is left above it */
        return;
    }
    bool fresh = op->kind == KAD_OP_REGISTER || others;
    if (fresh) {
        kad_name_sign(kad, name, highest + 1,
                      op->kind == KAD_OP_REGISTER ? 0 : name->stamp.claim);
    } else {
        name->rivaled_at = 0;
        name->contended = false;
    }
    if (op->kind == KAD_OP_RENEW && fresh)
        kad_changed(kad, &op->target);
    kad_claim_choose(kad, op, !fresh);
    pump(kad, op);
}

/* The record that a refusing storer names, verified.  False when there is none. */
static bool take_rival(struct kad *kad, const struct kad_request *request,
                       const struct krpc_message *message, struct record *ret,
                       struct bencode_span *ret_raw)
{
    return message->v.at != NULL && krpc_value_string(message->v, ret_raw) &&
           kad_open(kad, ret, *ret_raw, &request->target);
}

/* A refusal after the claim was settled: the name may be lost. */
static void refused_late(struct kad *kad, const struct kad_request *request,
                         const struct krpc_message *message)
{
    struct kad_name *name = kad_name_find(kad, &request->target);
    struct bencode_span raw;
    struct record rival;

    if (name != NULL && name->state == KAD_NAME_HELD &&
        take_rival(kad, request, message, &rival, &raw))
        kad_name_contend(kad, name, &rival, raw.at, raw.len);
}

void kad_claim_put_result(struct kad *kad, const struct kad_request *request,
                          enum kad_result result, const struct krpc_message *message)
{
    struct kad_op *op = kad_op_of(kad, &request->tag);
    uint32_t at = request->tag.part & PART_STORER;
    bool acked =
        result == KAD_ANSWERED && (message->has & KRPC_HAS_OK) != 0 && message->ok;
    struct bencode_span raw;
    struct record rival;

    if (result == KAD_LATE)
        return;
    if (op == NULL || op->state != KAD_OP_PUTTING) {
        if (result == KAD_ANSWERED && !acked)
            refused_late(kad, request, message);
        return;
    }
    if ((request->tag.part >> 3) != (op->round & PART_ROUND) || at >= op->storer_count ||
        !kad_id_equal(&op->storers[at].id, &request->id))
        return;
    struct kad_storer *storer = &op->storers[at];
    storer->state = acked ? KAD_STORER_ACKED : KAD_STORER_FAILED;
    if (result == KAD_ANSWERED && !acked &&
        take_rival(kad, request, message, &rival, &raw))
        refused(kad, op, storer, &rival, raw);
    if (op->state == KAD_OP_PUTTING)
        pump(kad, op);
}

/* A live holder of a worse claim has not heard of ours. */
static void tell_rival(struct kad *kad, const struct kad_op *op,
                       const struct record *rival)
{
    struct proa_addr addr = kad_owner_addr(kad, rival);
    struct kad_ask ask = {.id = &rival->owner,
                          .addr = &addr,
                          .query = KRPC_AN_NOTIFY,
                          .target = &op->target,
                          .value = KAD_VALUE_NAME,
                          .value_index = op->index,
                          .value_serial = op->serial};

    kad_rpc_ask(kad, &ask);
}

void kad_claim_judged(struct kad *kad, struct kad_op *op)
{
    struct kad_name *name = name_of(kad, op);
    struct record rival, own;

    if (op->state == KAD_OP_WALKED) {
        kad_claim_walked(kad, op);
        return;
    }
    if (op->state != KAD_OP_PUTTING)
        return;
    if (name != NULL && record_decode(&rival, op->raw, op->raw_len) == 0 &&
        record_decode(&own, name->raw, name->len) == 0) {
        if (lives(op, &rival.owner) &&
            (op->kind == KAD_OP_REGISTER || record_compare_readers(&rival, &own) < 0)) {
            beaten(kad, op, name);
            return;
        }
        if (lives(op, &rival.owner))
            tell_rival(kad, op, &rival);
        if (is_gone(op, &rival.owner) && rival.term >= name->stamp.term)
            raise_term(kad, op, name, rival.term);
    }
    if (op->state == KAD_OP_PUTTING)
        pump(kad, op);
}
