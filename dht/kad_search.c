/* SPDX-License-Identifier: Apache-2.0 */
/* Searches: an operation's walk, the records it finds, and what a lookup makes of them. */
#include "kad_internal.h"

#include <string.h>

#define WALK_START 16 /* contacts a walk begins with */

/* ---- What a search found ---- */

static struct kad_search *search_of(struct kad *kad, const struct kad_op *op)
{
    PROA_ASSERT(op->search != KAD_NONE);
    return &kad->ops.searches[op->search];
}

static bool equals(const struct kad_found *found, struct bencode_span raw)
{
    return found->len == raw.len && memcmp(found->raw, raw.at, raw.len) == 0;
}

/* Keeps a verified record: each owner's newest, of the owners with the highest terms. */
static void keep(struct kad_search *search, const struct record *fields,
                 struct bencode_span raw, bool hint)
{
    struct kad_found *place = NULL;
    struct kad_stamp stamp;

    kad_stamp_of(fields, &stamp);
    for (uint32_t i = 0; i < search->found_count && place == NULL; i++)
        if (kad_id_equal(&search->found[i].stamp.owner, &stamp.owner))
            place = &search->found[i];
    if (place != NULL && place->stamp.issued >= stamp.issued) {
        place->hint = place->hint && (hint || place->stamp.issued > stamp.issued);
        return;
    }
    if (place == NULL && search->found_count < KAD_FOUND_MAX) {
        place = &search->found[search->found_count++];
        place->disowned = false;
    }
    for (uint32_t i = 0; i < KAD_FOUND_MAX && place == NULL; i++)
        if (search->found[i].stamp.term < stamp.term) {
            place = &search->found[i];
            place->disowned = false;
        }
    if (place == NULL)
        return;
    place->stamp = stamp;
    place->hint = hint;
    place->len = (uint16_t)raw.len;
    memcpy(place->raw, raw.at, raw.len);
}

uint32_t kad_op_pick(struct kad *kad, struct kad_op *op, struct record *ret)
{
    struct kad_search *search = search_of(kad, op);
    struct record fields[KAD_FOUND_MAX];
    const struct record *candidates[KAD_FOUND_MAX];
    uint32_t places[KAD_FOUND_MAX], count = 0;

    for (uint32_t i = 0; i < search->found_count; i++) {
        const struct kad_found *found = &search->found[i];

        if (found->disowned || record_decode(&fields[count], found->raw, found->len) != 0)
            continue;
        candidates[count] = &fields[count];
        places[count++] = i;
    }
    if (count == 0)
        return KAD_NONE;
    size_t best = record_pick(candidates, count);
    *ret = fields[best];
    return places[best];
}

void kad_op_keep(struct kad *kad, struct kad_op *op, uint32_t at)
{
    const struct kad_found *found = &search_of(kad, op)->found[at];

    op->raw_len = found->len;
    memcpy(op->raw, found->raw, found->len);
}

void kad_op_disown(struct kad *kad, struct kad_op *op, const struct kad_id *owner)
{
    struct kad_search *search = search_of(kad, op);

    for (uint32_t i = 0; i < search->found_count; i++)
        if (kad_id_equal(&search->found[i].stamp.owner, owner))
            search->found[i].disowned = true;
}

/* ---- Lookups ---- */

void kad_op_decide(struct kad *kad, struct kad_op *op)
{
    bool walked = op->state == KAD_OP_WALKED;
    struct record fields;

    if (op->asking || (!walked && !op->fast))
        return;
    uint32_t at = kad_op_pick(kad, op, &fields);
    if (at == KAD_NONE || fields.kind != RECORD_NAME) {
        bool answered = kad_walk_count(&search_of(kad, op)->walk) > 0;
        bool alone = kad->table.live == 0 && kad->join.seed_count == 0;

        if (walked && (answered || alone))
            kad_op_finish(kad, op, PROA_NOT_FOUND);
        else if (walked)
            kad_op_rest(kad, op, KAD_EMPTY_WAIT);
        return;
    }
    bool judged =
        op->judged != KAD_JUDGED_NOT && kad_id_equal(&op->holder, &fields.owner);
    if (judged && op->judged == KAD_JUDGED_NOT_MINE) {
        kad_op_disown(kad, op, &fields.owner);
        kad_op_decide(kad, op); /* at most KAD_FOUND_MAX deep */
        return;
    }
    bool silent = judged && op->judged == KAD_JUDGED_SILENT;
    op->alive = !silent && (judged || kad_is_alive(kad, &fields.owner));
    if (op->alive || (silent && walked)) {
        kad_op_keep(kad, op, at);
        kad_op_finish(kad, op, op->alive ? PROA_OK : PROA_UNKNOWN);
    } else if (!silent) {
        kad_op_ask_holder(kad, op, &fields);
    }
}

/* ---- Walking ---- */

static void walked(struct kad *kad, struct kad_op *op)
{
    uint32_t answers = kad_walk_count(&search_of(kad, op)->walk);

    op->state = KAD_OP_WALKED;
    switch (op->kind) {
    case KAD_OP_LOOKUP:
        kad_op_decide(kad, op);
        break;
    case KAD_OP_FIND:
        kad_op_finish(kad, op, PROA_NO_ROUTE);
        break;
    case KAD_OP_REFRESH:
        kad_op_finish(kad, op, PROA_OK);
        kad_refreshed(kad, answers);
        break;
    case KAD_OP_WATCH:
        kad_held_walked(kad, op);
        break;
    case KAD_OP_ANNOUNCE:
        kad_announce_walked(kad, op);
        break;
    case KAD_OP_PEERS:
        kad_peers_walked(kad, op);
        break;
    default:
        kad_claim_walked(kad, op);
    }
}

static bool strict(const struct kad_op *op, const struct kad_search *search)
{
    if (op->kind == KAD_OP_LOOKUP)
        return search->found_count == 0;
    if (op->kind == KAD_OP_PEERS)
        return op->peer_count == 0;
    return op->kind == KAD_OP_REGISTER || op->kind == KAD_OP_RENEW;
}

/* Whether it looks for records on its way. */
static bool gets(const struct kad_op *op)
{
    return op->kind == KAD_OP_LOOKUP || op->kind == KAD_OP_REGISTER ||
           op->kind == KAD_OP_RENEW || op->kind == KAD_OP_WATCH;
}

static enum krpc_query query_of(const struct kad_op *op)
{
    if (op->kind == KAD_OP_PEERS)
        return KRPC_GET_PEERS;
    return gets(op) ? KRPC_GET : KRPC_FIND_NODE;
}

void kad_op_pump(struct kad *kad, struct kad_op *op)
{
    struct kad_search *search = search_of(kad, op);
    struct kad_walk_node *node;

    while ((node = kad_walk_next(&search->walk)) != NULL) {
        struct kad_ask ask = {.id = &node->id,
                              .addr = &node->addr,
                              .query = query_of(op),
                              .target = &op->target,
                              .tag = {.kind = KAD_TAG_WALK,
                                      .index = kad_op_index(kad, op),
                                      .serial = op->number}};

        if (!kad_rpc_ask(kad, &ask)) {
            kad_op_timer(kad, op, kad->now + KAD_RETRY);
            return;
        }
        kad_walk_asked(node);
    }
    if (kad_walk_done(&search->walk, strict(op, search)))
        walked(kad, op);
}

void kad_op_begin(struct kad *kad, struct kad_op *op)
{
    struct kad_ops *ops = &kad->ops;
    uint32_t number = ops->searches_free;
    struct kad_search *search = &ops->searches[number];
    struct kad_contact *closest[WALK_START];
    struct bencode_span best = kad_best(kad, &op->target, false);
    struct record fields;

    ops->searches_free = search->next;
    ops->searching++;
    search->op = kad_op_index(kad, op);
    search->found_count = 0;
    op->search = number;
    op->state = KAD_OP_WALKING;
    kad_walk_init(&search->walk, &kad->self.id, &op->target);
    uint32_t count =
        kad_table_closest(&kad->table, &op->target, false, closest, WALK_START);
    for (uint32_t i = 0; i < count; i++)
        kad_walk_add(&search->walk, &closest[i]->id, &closest[i]->addr,
                     closest[i]->fails > 0);
    if (gets(op) && best.at != NULL && record_decode(&fields, best.at, best.len) == 0)
        keep(search, &fields, best, false);
    if (op->kind == KAD_OP_RENEW && op->raw_len > 0 &&
        record_decode(&fields, op->raw, op->raw_len) == 0)
        keep(search, &fields, (struct bencode_span){op->raw, op->raw_len}, true);
    kad->stats.lookups++;
    kad_op_timer(kad, op, op->deadline);
    if (op->kind == KAD_OP_LOOKUP && op->fast && search->found_count > 0)
        kad_op_decide(kad, op);
    if (op->kind == KAD_OP_PEERS)
        kad_peers_begin(kad, op);
    if (op->state == KAD_OP_WALKING)
        kad_op_pump(kad, op);
}

/* A node answered: what it names, and the record it has. */
static void take_answer(struct kad *kad, struct kad_op *op, const struct kad_id *from,
                        const struct krpc_message *message)
{
    struct kad_search *search = search_of(kad, op);
    struct kad_walk_node *node = kad_walk_find(&search->walk, from);
    struct bencode_span raw = {NULL, 0};
    struct record fields;
    bool known = false;

    if (node != NULL) {
        kad_walk_answered(node);
        node->has_token = message->token.len == KAD_TOKEN_LEN;
        if (node->has_token)
            memcpy(node->token, message->token.at, KAD_TOKEN_LEN);
    }
    if (gets(op) && message->v.at != NULL && krpc_value_string(message->v, &raw)) {
        for (uint32_t i = 0; i < search->found_count && !known; i++)
            known = equals(&search->found[i], raw) && !search->found[i].hint;
        if (!known && kad_open(kad, &fields, raw, &op->target))
            keep(search, &fields, raw, false);
        if (node != NULL && op->kind == KAD_OP_RENEW) {
            const struct kad_name *name = kad_name_at(kad, op->index, op->serial);

            node->has_record = name != NULL && name->len == raw.len &&
                               memcmp(name->raw, raw.at, raw.len) == 0;
        }
    }
    for (uint32_t i = 0; i < message->node_count; i++)
        kad_walk_add(&search->walk, &message->nodes[i].id, &message->nodes[i].addr,
                     false);
    for (uint32_t i = 0; i < message->node6_count; i++)
        kad_walk_add(&search->walk, &message->nodes6[i].id, &message->nodes6[i].addr,
                     false);
}

static void take_silence(struct kad *kad, struct kad_op *op,
                         const struct kad_request *request, enum kad_result result)
{
    struct kad_walk_node *node = kad_walk_find(&search_of(kad, op)->walk, &request->id);

    if (node == NULL)
        return;
    if (result != KAD_LATE) {
        kad_walk_failed(node);
        return;
    }
    kad_walk_late(node);
    if (kad_table_find(&kad->table, &request->id) == NULL)
        kad_newcomer(kad, &request->id, &request->addr); /* farther than we guessed? */
}

void kad_op_walk_result(struct kad *kad, const struct kad_request *request,
                        enum kad_result result, const struct krpc_message *message)
{
    struct kad_op *op = kad_op_of(kad, &request->tag);

    if (op == NULL || op->state != KAD_OP_WALKING)
        return;
    if (result != KAD_ANSWERED) {
        take_silence(kad, op, request, result);
    } else {
        take_answer(kad, op, &request->id, message);
        if (op->kind == KAD_OP_FIND && kad_id_node64(&request->id) == op->node) {
            op->holder = request->id;
            op->addr = request->addr;
            kad_op_finish(kad, op, PROA_OK);
            return;
        }
        if (op->kind == KAD_OP_LOOKUP)
            kad_op_decide(kad, op);
        if (op->kind == KAD_OP_PEERS)
            kad_peers_take(kad, op, &request->id, message);
    }
    if (op->state == KAD_OP_WALKING)
        kad_op_pump(kad, op);
}
