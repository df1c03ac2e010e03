/* SPDX-License-Identifier: Apache-2.0 */
#include "kad_rpc.h"

#include "kad_internal.h"

#include <string.h>

#define SENDS_MAX 3    /* at 0, 1 and 2 RTO; it failed at 3 */
#define NOTIFY_SENDS 4 /* at 0, 1, 3 and 7 RTO */

bool kad_rpc_may_check(struct kad *kad)
{
    struct kad_rpc *rpc = &kad->rpc;

    if (kad->now - rpc->second >= PROA_S) {
        rpc->second = kad->now;
        rpc->checks = 0;
    }
    if (rpc->checks >= KAD_CHECKS_MAX) {
        kad->stats.rx_limited++;
        return false;
    }
    rpc->checks++;
    return true;
}

bool kad_rpc_room(const struct kad *kad, uint32_t count)
{
    const struct kad_rpc *rpc = &kad->rpc;

    return rpc->used + count <= rpc->cap / 4 * 3 && kad_send_room(kad) >= count;
}

/* The record a request carries, at the moment it is sent. */
static struct bencode_span value_of(struct kad *kad, const struct kad_request *request)
{
    const struct kad_tag op_tag = {.index = request->value_index,
                                   .serial = request->value_serial};
    struct kad_name *name;
    struct kad_op *op;

    switch (request->value) {
    case KAD_VALUE_BEST:
        return kad_best(kad, &request->target, true);
    case KAD_VALUE_NAME:
        name = kad_name_at(kad, request->value_index, request->value_serial);
        if (name == NULL || name->state == KAD_NAME_LOSER)
            break;
        return (struct bencode_span){name->raw, name->len};
    case KAD_VALUE_OP:
        op = kad_op_of(kad, &op_tag);
        if (op == NULL || !op->signs)
            break;
        return (struct bencode_span){op->raw, op->raw_len};
    default:
        break;
    }
    return (struct bencode_span){NULL, 0};
}

/* Sends the request once more.  ask is there the first time only.  One to ourselves or to nowhere
   is not sent, and fails. */
static bool transmit(struct kad *kad, struct kad_request *request,
                     const struct kad_ask *ask)
{
    uint8_t tid[KAD_TID_LEN], value[PROA_RECORD_MAX + 5];
    struct bencode_span raw = {NULL, 0};
    struct krpc_message message;

    request->sends++;
    request->last_at = kad->now;
    if (request->addr.family == 0 || kad_addr_equal(&request->addr, &kad->address))
        return true;
    memcpy(tid, &request->tid, sizeof(request->tid));
    tid[KAD_TID_LEN - 1] = request->sends;
    krpc_message_init(&message, KRPC_QUERY, tid, sizeof(tid));
    message.query = request->query;
    message.target = request->target;
    message.has = (request->has_target ? KRPC_HAS_TARGET : 0) |
                  (request->has_lease ? KRPC_HAS_LEASE : 0);
    message.lease = request->lease;
    if (request->query == KRPC_ANNOUNCE_PEER) {
        message.has |= KRPC_HAS_PORT;
        message.port = kad->address.port;
        message.implied_port = true;
    }
    message.nonce = request->prove ? request->nonce : NULL;
    if (request->has_token)
        message.token = (struct bencode_span){request->token, KAD_TOKEN_LEN};
    if (ask != NULL) {
        message.pairs = ask->pairs;
        message.targets = ask->targets;
        raw = ask->raw;
    }
    if (request->value != KAD_VALUE_NONE) {
        raw = value_of(kad, request);
        if (raw.at == NULL)
            return false;
    }
    if (raw.at != NULL)
        message.v = krpc_value_write(raw.at, raw.len, value, sizeof(value));
    return kad_send(kad, &request->addr, &message);
}

static proa_ns first_rto(struct kad *kad, const struct kad_request *request)
{
    const struct kad_contact *contact =
        request->has_id ? kad_table_find(&kad->table, &request->id) : NULL;
    struct kad_rtt rtt = {0};
    uint32_t fails = 0;

    if (contact != NULL && kad_addr_equal(&contact->addr, &request->addr)) {
        rtt = contact->rtt;
        fails = contact->fails;
    }
    proa_ns rto = kad_rtt_rto(&rtt, kad_table_median(&kad->table)) << fails;
    return rto < KAD_RTO_CAP ? rto : KAD_RTO_CAP;
}

static proa_ns wait_of(const struct kad_request *request)
{
    bool doubles = request->patient || request->query == KRPC_AN_NOTIFY;

    return doubles ? request->rto << (request->sends - 1) : request->rto;
}

static struct kad_request *allocate(struct kad *kad)
{
    struct kad_rpc *rpc = &kad->rpc;

    for (;;) {
        uint64_t tid = kad_random_u64(&kad->random);
        struct kad_request *request = &rpc->requests[tid & (rpc->cap - 1)];

        if (request->used)
            continue; /* at most three quarters are */
        memset(request, 0, sizeof(*request));
        request->tid = tid;
        request->used = true;
        rpc->used++;
        return request;
    }
}

static void release(struct kad *kad, struct kad_request *request)
{
    uint32_t number = (uint32_t)(request - kad->rpc.requests);

    kad_clear_timer(kad, KAD_TIMED_REQUEST, number);
    request->used = false;
    kad->rpc.used--;
}

/* Whether who answers must prove its key: unless it is in the table with that endpoint. */
static bool must_prove(struct kad *kad, const struct kad_request *request)
{
    const struct kad_contact *contact =
        request->has_id ? kad_table_find(&kad->table, &request->id) : NULL;

    return contact == NULL || !kad_addr_equal(&contact->addr, &request->addr);
}

bool kad_rpc_ask(struct kad *kad, const struct kad_ask *ask)
{
    if (!kad_rpc_room(kad, 1))
        return false;
    struct kad_request *request = allocate(kad);
    request->addr = *ask->addr;
    request->tag = ask->tag;
    request->query = (uint8_t)ask->query;
    request->first_at = kad->now;
    request->value = (uint8_t)ask->value;
    request->value_index = ask->value_index;
    request->value_serial = ask->value_serial;
    request->has_lease = ask->has_lease;
    request->lease = ask->lease;
    request->patient = ask->patient;
    request->once =
        ask->pairs.at != NULL || ask->targets.at != NULL || ask->raw.at != NULL;
    if (ask->id != NULL) {
        request->has_id = true;
        request->id = *ask->id;
    }
    if (ask->target != NULL) {
        request->has_target = true;
        request->target = *ask->target;
    }
    if (ask->token != NULL) {
        request->has_token = true;
        memcpy(request->token, ask->token, KAD_TOKEN_LEN);
    }
    request->prove = must_prove(kad, request);
    if (request->prove)
        kad_random_bytes(&kad->random, request->nonce, sizeof(request->nonce));
    request->rto = first_rto(kad, request);
    if (!transmit(kad, request, ask)) {
        release(kad, request);
        return false;
    }
    kad_set_timer(kad, KAD_TIMED_REQUEST, (uint32_t)(request - kad->rpc.requests),
                  kad->now + wait_of(request));
    return true;
}

/* Ends a request.  Its place is free before its owner hears of it, who may ask anew. */
static void finish(struct kad *kad, struct kad_request *request, enum kad_result result,
                   const struct krpc_message *message)
{
    struct kad_request copy = *request;

    release(kad, request);
    kad_result(kad, &copy, result, message);
}

void kad_rpc_due(struct kad *kad, uint32_t number)
{
    struct kad_request *request = &kad->rpc.requests[number];
    uint32_t sends_max = request->query == KRPC_AN_NOTIFY ? NOTIFY_SENDS : SENDS_MAX;
    bool over = request->patient ? kad->now - request->first_at >= KAD_PATIENCE
                                 : request->sends >= sends_max;

    PROA_ASSERT(request->used);
    if (over) {
        kad->stats.timeouts++;
        if (request->has_id)
            kad_contact_failed(kad, &request->id, &request->addr);
        finish(kad, request, KAD_FAILED, NULL);
        return;
    }
    bool first = request->sends == 1;
    if (request->once)
        request->sends++;
    else
        transmit(kad, request, NULL); /* if it cannot be sent now, it waits on */
    proa_ns next = kad->now + wait_of(request);
    if (request->patient && next > request->first_at + KAD_PATIENCE)
        next = request->first_at + KAD_PATIENCE;
    kad_set_timer(kad, KAD_TIMED_REQUEST, number, next);
    if (first)
        kad_result(kad, request, KAD_LATE, NULL);
}

static struct kad_request *find(struct kad *kad, const struct proa_addr *from,
                                const struct krpc_message *message)
{
    struct kad_request *request;
    uint64_t tid;

    if (message->t_len != KAD_TID_LEN)
        return NULL;
    memcpy(&tid, message->t, sizeof(tid));
    request = &kad->rpc.requests[tid & (kad->rpc.cap - 1)];
    if (!request->used || request->tid != tid || !kad_addr_equal(&request->addr, from))
        return NULL;
    return request;
}

/* The round trip, known when it was the first or the last send that was answered; else 0. */
static proa_ns measure(const struct kad *kad, const struct kad_request *request,
                       uint8_t send)
{
    if (send == 1)
        return kad->now - request->first_at;
    return send == request->sends ? kad->now - request->last_at : 0;
}

/* Somebody else answers where the node was that we asked: it is gone. */
static void other_there(struct kad *kad, struct kad_request *request,
                        const struct proa_addr *from, const struct krpc_message *message)
{
    struct kad_contact *contact = kad_table_find(&kad->table, &request->id);
    struct kad_owner *owner = kad_store_owner(&kad->store, &request->id);

    if (contact != NULL && kad_addr_equal(&contact->addr, from))
        kad_contact_gone(kad, contact, false);
    if (owner != NULL && kad_addr_equal(&owner->addr, from)) {
        owner->fails = KAD_OWNER_FAILURES;
        owner->failed_at = kad->now;
    }
    finish(kad, request, KAD_FAILED, NULL);
    kad_newcomer(kad, &message->id, from);
}

static bool proves(struct kad *kad, const struct kad_request *request,
                   const struct krpc_message *message)
{
    if (message->k == NULL || message->proof == NULL || !kad_rpc_may_check(kad))
        return false;
    kad->stats.verified++;
    return identity_proof_holds(message->k, request->nonce, &kad->self.id, &message->id,
                                message->proof);
}

bool kad_rpc_answer(struct kad *kad, const struct proa_addr *from,
                    const struct krpc_message *message)
{
    struct kad_request *request = find(kad, from, message);

    if (request == NULL)
        return false;
    uint8_t send = message->t[KAD_TID_LEN - 1];
    if (send == 0 || send > request->sends)
        return false;
    if (message->kind == KRPC_ERROR) {
        finish(kad, request, KAD_ERROR, message);
        return true;
    }
    if (request->has_id && !kad_id_equal(&request->id, &message->id)) {
        other_there(kad, request, from, message);
        return true;
    }
    if (request->prove && !proves(kad, request, message))
        return false;
    request->id = message->id;
    request->has_id = true;
    kad_met(kad, &message->id, from, measure(kad, request, send), message,
            request->prove);
    finish(kad, request, KAD_ANSWERED, message);
    return true;
}
