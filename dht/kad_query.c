/* SPDX-License-Identifier: Apache-2.0 */
/* Answers to the queries of members.  Each costs a bounded amount of work: one look at the
   table, and at most one signature checked and one made, out of a budget per second. */
#include "kad_internal.h"

#include <string.h>

/* An answer under way, with room for what its spans point to. */
struct answer {
    struct krpc_message message;
    uint8_t token[KAD_TOKEN_LEN];
    uint8_t proof[PROA_SIGNATURE_LEN];
    uint8_t value[PROA_RECORD_MAX + 5];
    uint8_t lack[PROA_KRPC_PAIRS_MAX];
};

static void send_error(struct kad *kad, const struct proa_addr *to,
                       const struct krpc_message *query, int32_t code, const char *text)
{
    struct krpc_message message;

    krpc_message_init(&message, KRPC_ERROR, query->t, query->t_len);
    message.error = code;
    message.error_text = (struct bencode_span){(const uint8_t *)text, strlen(text)};
    kad_send(kad, to, &message);
}

/* Every answer hands out a token; the first between two nodes also proves our key. */
static void begin(struct kad *kad, struct answer *answer, const struct proa_addr *to,
                  const struct krpc_message *query)
{
    krpc_message_init(&answer->message, KRPC_RESPONSE, query->t, query->t_len);
    answer->message.node_count = 0;
    answer->message.node6_count = 0;
    answer->message.value_count = 0;
    kad_token_make(&kad->token, to, answer->token);
    answer->message.token = (struct bencode_span){answer->token, KAD_TOKEN_LEN};
    if (query->nonce != NULL && kad_rpc_may_check(kad)) {
        identity_prove(&kad->self, query->nonce, &query->id, answer->proof);
        answer->message.k = kad->self.public_key;
        answer->message.proof = answer->proof;
    }
}

static void finish(struct kad *kad, struct answer *answer, const struct proa_addr *to)
{
    if (kad_send(kad, to, &answer->message))
        kad->stats.answers++;
}

static void put_ok(struct answer *answer, bool ok)
{
    answer->message.has |= KRPC_HAS_OK;
    answer->message.ok = ok;
}

static void put_value(struct answer *answer, struct bencode_span raw)
{
    if (raw.at != NULL)
        answer->message.v =
            krpc_value_write(raw.at, raw.len, answer->value, sizeof(answer->value));
}

/* The 8 closest contacts that have not failed, the asker left out. */
static void put_nodes(struct kad *kad, struct answer *answer,
                      const struct krpc_message *query)
{
    struct kad_contact *closest[KAD_K + 1];
    struct krpc_message *message = &answer->message;
    uint32_t count =
        kad_table_closest(&kad->table, &query->target, true, closest, KAD_K + 1);

    message->has |= KRPC_HAS_NODES;
    for (uint32_t i = 0; i < count; i++) {
        if (kad_id_equal(&closest[i]->id, &query->id) ||
            message->node_count + message->node6_count == KAD_K)
            continue;
        bool four = closest[i]->addr.family == 4;
        struct krpc_node *node = four ? &message->nodes[message->node_count++]
                                      : &message->nodes6[message->node6_count++];
        node->id = closest[i]->id;
        node->addr = closest[i]->addr;
    }
    if (message->node6_count > 0)
        message->has |= KRPC_HAS_NODES6;
}

/* A token is asked for before anything is stored: false, and an error sent, when it is wrong. */
static bool has_token(struct kad *kad, const struct proa_addr *from,
                      const struct krpc_message *query)
{
    if (kad_token_holds(&kad->token, from, query->token.at, query->token.len))
        return true;
    kad->stats.refused++;
    send_error(kad, from, query, KRPC_ERROR_PROTOCOL, "token");
    return false;
}

/* Takes the record out of the query's v; false, and an error sent, when it is none that may be
   stored under its target.  The signature is not looked at. */
static bool take_record(struct kad *kad, const struct proa_addr *from,
                        const struct krpc_message *query, struct record *ret,
                        struct bencode_span *ret_raw)
{
    struct kad_id target;

    if (!krpc_value_string(query->v, ret_raw) ||
        record_decode(ret, ret_raw->at, ret_raw->len) != 0) {
        send_error(kad, from, query, KRPC_ERROR_PROTOCOL, "record");
        return false;
    }
    record_target(ret, &target);
    if (!kad_id_equal(&target, &query->target) ||
        record_left_ms(ret, kad->wall_ms) == 0) {
        send_error(kad, from, query, KRPC_ERROR_PROTOCOL, "target or lease");
        return false;
    }
    if (record_is_ahead(ret->issued, kad->wall_ms)) {
        send_error(kad, from, query, KRPC_ERROR_AHEAD, "ahead");
        return false;
    }
    return true;
}

static void answer_put(struct kad *kad, const struct proa_addr *from,
                       const struct krpc_message *query, struct answer *answer)
{
    struct bencode_span raw;
    struct record fields;

    kad->stats.puts++;
    if (!has_token(kad, from, query) || !take_record(kad, from, query, &fields, &raw))
        return;
    switch (kad_keep_put(kad, &query->target, &fields, raw.at, raw.len, false)) {
    case KAD_KEPT:
        put_ok(answer, true);
        finish(kad, answer, from);
        return;
    case KAD_KEPT_CUR:
        put_ok(answer, false);
        put_value(answer, kad_best(kad, &query->target, true));
        finish(kad, answer, from);
        break;
    case KAD_KEPT_BAD:
        send_error(kad, from, query, KRPC_ERROR_SIGNATURE, "signature");
        break;
    case KAD_KEPT_FULL:
        send_error(kad, from, query, KRPC_ERROR_FULL, "full");
        break;
    case KAD_KEPT_LATER:
        send_error(kad, from, query, KRPC_ERROR_SERVER, "later");
        break;
    }
    kad->stats.refused++;
}

static void answer_watch(struct kad *kad, const struct proa_addr *from,
                         const struct krpc_message *query, struct answer *answer)
{
    bool has_targets = query->targets.at != NULL, ok = true;
    uint32_t seconds = query->has & KRPC_HAS_LEASE ? query->lease : 0;

    kad->stats.watches++;
    if (!has_token(kad, from, query))
        return;
    if (!has_targets)
        ok = kad_lease_give(kad, &query->target, &query->id, from, seconds, false);
    for (size_t at = 0; has_targets && at < query->targets.len; at += PROA_KAD_ID_LEN) {
        struct kad_id target;

        memcpy(target.b, query->targets.at + at, sizeof(target.b));
        ok = kad_lease_give(kad, &target, &query->id, from, seconds, true) && ok;
    }
    put_ok(answer, ok);
    if (!has_targets)
        put_value(answer, kad_best(kad, &query->target, false));
    finish(kad, answer, from);
}

/* A notice matters to who watches the name or holds it; anybody acks it. */
static void answer_notify(struct kad *kad, const struct proa_addr *from,
                          const struct krpc_message *query, struct answer *answer)
{
    struct kad_held *held = kad_held_find(kad, &query->target);
    struct kad_name *name = kad_name_find(kad, &query->target);
    struct bencode_span raw;
    struct record fields;

    kad->stats.notifies++;
    if (!krpc_value_string(query->v, &raw)) {
        send_error(kad, from, query, KRPC_ERROR_PROTOCOL, "record");
        return;
    }
    bool known =
        held != NULL && held->len == raw.len && memcmp(held->raw, raw.at, raw.len) == 0;
    if ((held != NULL && !known) || (name != NULL && name->state == KAD_NAME_HELD)) {
        if (!kad_open(kad, &fields, raw, &query->target)) {
            kad->stats.refused++;
            return;
        }
        if (name != NULL && name->state == KAD_NAME_HELD)
            kad_name_contend(kad, name, &fields, raw.at, raw.len);
        if (held != NULL)
            kad_held_offer(kad, held, &fields, raw.at, raw.len,
                           kad_id_equal(&fields.owner, &query->id));
    }
    finish(kad, answer, from);
}

static void answer_announce(struct kad *kad, const struct proa_addr *from,
                            const struct krpc_message *query, struct answer *answer)
{
    struct proa_addr addr = *from;

    kad->stats.announces++;
    if (!has_token(kad, from, query))
        return;
    if (!query->implied_port)
        addr.port = query->port;
    kad_peer_keep(kad, &query->target, &addr);
    finish(kad, answer, from);
}

/* Who asks: a contact is heard, another node a newcomer, a leaving one gone. */
static void note_asker(struct kad *kad, const struct proa_addr *from,
                       const struct krpc_message *query)
{
    struct kad_contact *contact = kad_table_find(&kad->table, &query->id);
    bool known = contact != NULL && kad_addr_equal(&contact->addr, from);

    if (query->ro && known)
        kad_contact_gone(kad, contact, false);
    else if (known)
        kad_contact_heard(kad, contact);
    else if (!query->ro)
        kad_newcomer(kad, &query->id, from);
}

void kad_query(struct kad *kad, const struct proa_addr *from,
               const struct krpc_message *query)
{
    struct answer answer;

    kad->stats.queries++;
    note_asker(kad, from, query);
    begin(kad, &answer, from, query);
    switch (query->query) {
    case KRPC_PING:
        if (query->has & KRPC_HAS_TARGET)
            put_ok(&answer, kad_names_owns(kad, &query->target));
        finish(kad, &answer, from);
        return;
    case KRPC_PUT:
        answer_put(kad, from, query, &answer);
        return;
    case KRPC_AN_WATCH:
        answer_watch(kad, from, query, &answer);
        return;
    case KRPC_AN_NOTIFY:
        answer_notify(kad, from, query, &answer);
        return;
    case KRPC_AN_SWEEP:
        answer.message.lack = (struct bencode_span){
            answer.lack, kad_hand_asked(kad, query->pairs, answer.lack)};
        finish(kad, &answer, from);
        return;
    case KRPC_GET:
        kad->stats.gets++;
        put_value(&answer, kad_best(kad, &query->target, false));
        break;
    case KRPC_ANNOUNCE_PEER:
        answer_announce(kad, from, query, &answer);
        return;
    case KRPC_GET_PEERS:
        kad->stats.gets++;
        answer.message.value_count =
            kad_peers_answer(kad, &query->target, answer.message.values);
        break;
    default: /* find_node, and what we do not know but names a target */
        if (!(query->has & KRPC_HAS_TARGET)) {
            send_error(kad, from, query, KRPC_ERROR_METHOD, "method");
            return;
        }
    }
    put_nodes(kad, &answer, query);
    finish(kad, &answer, from);
}
