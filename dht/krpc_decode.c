/* SPDX-License-Identifier: Apache-2.0 */
/* The reading half of krpc.h: one pass, each key looked up in a table of what it must be. */
#include "krpc.h"

#include "envelope.h"

#include <string.h>

struct decoder {
    struct bencode_reader reader;
    struct krpc_message *message;
    int error; /* the first one met */
    struct kad_id info_hash;
    struct bencode_span kind;
    bool has_info_hash;
    bool has_body_a;
    bool has_body_r;
    bool has_error;
};

/* Where a key's value goes.  A reader of a value consumes it in any case; it returns false when
   its form is wrong, and the field then stays absent. */
struct field {
    const char *key;
    bool (*read)(struct decoder *self, const struct field *field);
    size_t offset; /* in struct krpc_message */
    size_t len;    /* longest string, or size of the member for a number */
    size_t unit;   /* a string's length must be a multiple of it */
    int64_t max;   /* largest number */
    uint32_t has;  /* bit to set */
    int error;     /* of a wrong form; 0: ignore the field */
};

static void *member(struct decoder *self, const struct field *field)
{
    return (uint8_t *)self->message + field->offset;
}

/* Reads the next value if it is of this kind, else skips it. */
static bool take_string(struct decoder *self, struct bencode_span *ret_string)
{
    if (bencode_peek(&self->reader) == BENCODE_STRING)
        return bencode_string(&self->reader, ret_string);
    bencode_skip(&self->reader, NULL);
    return false;
}

static bool take_int(struct decoder *self, int64_t *ret_value)
{
    if (bencode_peek(&self->reader) == BENCODE_INT)
        return bencode_int(&self->reader, ret_value);
    bencode_skip(&self->reader, NULL);
    return false;
}

static bool read_bytes(struct decoder *self, const struct field *field)
{
    struct bencode_span string;

    if (!take_string(self, &string) || string.len > field->len ||
        string.len % field->unit != 0)
        return false;
    *(struct bencode_span *)member(self, field) = string;
    return true;
}

static bool read_fixed(struct decoder *self, const struct field *field)
{
    struct bencode_span string;

    if (!take_string(self, &string) || string.len != field->len)
        return false;
    *(const uint8_t **)member(self, field) = string.at;
    return true;
}

static bool read_id(struct decoder *self, const struct field *field)
{
    struct bencode_span string;

    if (!take_string(self, &string) || string.len != PROA_KAD_ID_LEN)
        return false;
    memcpy(member(self, field), string.at, PROA_KAD_ID_LEN);
    self->message->has |= field->has;
    return true;
}

static bool read_info_hash(struct decoder *self, const struct field *field)
{
    struct bencode_span string;

    (void)field;
    if (!take_string(self, &string) || string.len != PROA_KAD_ID_LEN)
        return false;
    memcpy(self->info_hash.b, string.at, PROA_KAD_ID_LEN);
    self->has_info_hash = true;
    return true;
}

static bool read_int64(struct decoder *self, const struct field *field)
{
    if (!take_int(self, member(self, field)))
        return false;
    self->message->has |= field->has;
    return true;
}

/* A number from 0 to field->max into a member of 2 or 4 bytes. */
static bool read_number(struct decoder *self, const struct field *field)
{
    int64_t value;

    if (!take_int(self, &value) || value < 0 || value > field->max)
        return false;
    if (field->len == sizeof(uint16_t))
        *(uint16_t *)member(self, field) = (uint16_t)value;
    else
        *(uint32_t *)member(self, field) = (uint32_t)value;
    self->message->has |= field->has;
    return true;
}

static bool read_flag(struct decoder *self, const struct field *field)
{
    int64_t value;

    if (!take_int(self, &value))
        return false;
    *(bool *)member(self, field) = value != 0;
    self->message->has |= field->has;
    return true;
}

/* Takes a compact list apart.  A v4-mapped address among IPv6 nodes is dropped: it would be
   a contact of the other family's table. */
static void take_nodes(struct bencode_span list, size_t entry_len,
                       struct krpc_node nodes[PROA_KRPC_NODES_MAX], uint32_t *ret_count)
{
    uint8_t family = entry_len == PROA_KRPC_NODE_LEN ? 4 : 6;
    uint32_t count = 0;

    for (size_t at = 0; at < list.len && count < PROA_KRPC_NODES_MAX; at += entry_len) {
        struct krpc_node *node = &nodes[count];

        memcpy(node->id.b, list.at + at, PROA_KAD_ID_LEN);
        krpc_compact_read(list.at + at + PROA_KAD_ID_LEN, entry_len - PROA_KAD_ID_LEN,
                          &node->addr);
        if (node->addr.family == family)
            count++;
    }
    *ret_count = count;
}

static bool read_nodes(struct decoder *self, const struct field *field)
{
    struct krpc_message *message = self->message;
    struct bencode_span list;

    if (!take_string(self, &list) || list.len % field->unit != 0)
        return false;
    message->has |= field->has;
    if (field->has == KRPC_HAS_NODES)
        take_nodes(list, field->unit, message->nodes, &message->node_count);
    else
        take_nodes(list, field->unit, message->nodes6, &message->node6_count);
    return true;
}

static bool read_ip(struct decoder *self, const struct field *field)
{
    struct bencode_span string;

    if (!take_string(self, &string) ||
        !krpc_compact_read(string.at, string.len, member(self, field)))
        return false;
    self->message->has |= field->has;
    return true;
}

/* Enters a list, or skips what is none. */
static bool take_list(struct decoder *self)
{
    if (bencode_peek(&self->reader) == BENCODE_LIST)
        return bencode_enter_list(&self->reader);
    bencode_skip(&self->reader, NULL);
    return false;
}

static bool read_values(struct decoder *self, const struct field *field)
{
    struct krpc_message *message = self->message;
    struct bencode_span peer;

    (void)field;
    if (!take_list(self))
        return false;
    while (bencode_more(&self->reader)) {
        if (take_string(self, &peer) && message->value_count < PROA_KRPC_VALUES_MAX &&
            krpc_compact_read(peer.at, peer.len, &message->values[message->value_count]))
            message->value_count++;
    }
    return true;
}

static bool read_want(struct decoder *self, const struct field *field)
{
    struct bencode_span family;

    (void)field;
    if (!take_list(self))
        return false;
    while (bencode_more(&self->reader)) {
        if (!take_string(self, &family))
            continue;
        if (bencode_is(family, "n4"))
            self->message->want |= KRPC_WANT_N4;
        if (bencode_is(family, "n6"))
            self->message->want |= KRPC_WANT_N6;
    }
    return true;
}

static bool read_value(struct decoder *self, const struct field *field)
{
    struct bencode_span raw;

    if (!bencode_skip(&self->reader, &raw) || raw.len > field->len)
        return false;
    *(struct bencode_span *)member(self, field) = raw;
    return true;
}

#define AT(name) .offset = offsetof(struct krpc_message, name)

/* What may stand inside `a` and `r`. */
static const struct field body_fields[] = {
    {"c", read_fixed, AT(nonce), .len = PROA_PROOF_NONCE_LEN},
    {"cas", read_int64, AT(cas), .has = KRPC_HAS_CAS, .error = KRPC_E_FIELD},
    {"id", read_id, AT(id), .has = KRPC_HAS_ID, .error = KRPC_E_FIELD},
    {"implied_port", read_flag, AT(implied_port), .error = KRPC_E_FIELD},
    {"info_hash", read_info_hash, .error = KRPC_E_FIELD},
    {"k", read_fixed, AT(k), .len = PROA_PUBLIC_KEY_LEN, .error = KRPC_E_FIELD},
    {"ks", read_fixed, AT(proof), .len = PROA_SIGNATURE_LEN},
    {"lack", read_bytes, AT(lack), .len = PROA_KRPC_PAIRS_MAX, .unit = 1},
    {"lease", read_number, AT(lease), .len = 4, .max = UINT32_MAX, .has = KRPC_HAS_LEASE},
    {"nodes", read_nodes, .unit = PROA_KRPC_NODE_LEN, .has = KRPC_HAS_NODES,
     .error = KRPC_E_FIELD},
    {"nodes6", read_nodes, .unit = PROA_KRPC_NODE6_LEN, .has = KRPC_HAS_NODES6,
     .error = KRPC_E_FIELD},
    {"ok", read_flag, AT(ok), .has = KRPC_HAS_OK},
    {"pairs", read_bytes, AT(pairs), .len = PROA_KRPC_PAIRS_MAX * PROA_KRPC_PAIR_LEN,
     .unit = PROA_KRPC_PAIR_LEN},
    {"port", read_number, AT(port), .len = 2, .max = UINT16_MAX, .has = KRPC_HAS_PORT,
     .error = KRPC_E_FIELD},
    {"salt", read_bytes, AT(salt), .len = PROA_KRPC_SALT_MAX, .unit = 1,
     .error = KRPC_E_SALT},
    {"seq", read_int64, AT(seq), .has = KRPC_HAS_SEQ, .error = KRPC_E_FIELD},
    {"sig", read_fixed, AT(sig), .len = PROA_SIGNATURE_LEN, .error = KRPC_E_FIELD},
    {"target", read_id, AT(target), .has = KRPC_HAS_TARGET, .error = KRPC_E_FIELD},
    {"targets", read_bytes, AT(targets), .len = PROA_KRPC_TARGETS_MAX * PROA_KAD_ID_LEN,
     .unit = PROA_KAD_ID_LEN},
    {"token", read_bytes, AT(token), .len = PROA_KRPC_TOKEN_MAX, .unit = 1,
     .error = KRPC_E_FIELD},
    {"v", read_value, AT(v), .len = PROA_KRPC_VALUE_MAX, .error = KRPC_E_VALUE},
    {"values", read_values, .error = KRPC_E_FIELD},
    {"want", read_want, .error = KRPC_E_FIELD},
};

static bool read_envelope(struct decoder *self, const struct field *field)
{
    struct bencode_span string;

    if (!take_string(self, &string) || string.len != PROA_ENVELOPE_LEN)
        return false;
    self->message->has |= field->has;
    return true;
}

/* A list of code and text; what follows them is ignored. */
static bool read_error(struct decoder *self, const struct field *field)
{
    struct krpc_message *message = self->message;
    bool has_code = false, has_text = false;
    int64_t code = 0;

    (void)field;
    if (!take_list(self))
        return false;
    for (uint32_t i = 0; bencode_more(&self->reader); i++) {
        if (i == 0)
            has_code = take_int(self, &code);
        else if (i == 1)
            has_text = take_string(self, &message->error_text);
        else
            bencode_skip(&self->reader, NULL);
    }
    self->has_error = has_code && has_text && code >= INT32_MIN && code <= INT32_MAX;
    message->error = self->has_error ? (int32_t)code : 0;
    return self->has_error;
}

static bool read_kind(struct decoder *self, const struct field *field)
{
    (void)field;
    return take_string(self, &self->kind);
}

static bool read_tid(struct decoder *self, const struct field *field)
{
    struct bencode_span string;

    (void)field;
    if (!take_string(self, &string) || string.len > PROA_KRPC_TID_MAX)
        return false;
    memcpy(self->message->t, string.at, string.len);
    self->message->t_len = (uint8_t)string.len;
    return true;
}

/* What may stand beside `a` and `r`. */
static const struct field top_fields[] = {
    {"an", read_envelope, .has = KRPC_HAS_AN},
    {"e", read_error, .error = KRPC_E_FIELD},
    {"ip", read_ip, AT(ip), .has = KRPC_HAS_IP},
    {"q", read_bytes, AT(query_name), .len = PROA_KRPC_QUERY_NAME_MAX, .unit = 1,
     .error = KRPC_E_FIELD},
    {"ro", read_flag, AT(ro)},
    {"t", read_tid, .error = KRPC_E_FIELD},
    {"v", read_bytes, AT(version), .len = SIZE_MAX, .unit = 1},
    {"y", read_kind, .error = KRPC_E_FIELD},
};

static void take_field(struct decoder *self, struct bencode_span key,
                       const struct field *fields, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (!bencode_is(key, fields[i].key))
            continue;
        if (!fields[i].read(self, &fields[i]) && self->error == 0)
            self->error = fields[i].error;
        return;
    }
    bencode_skip(&self->reader, NULL);
}

static void read_body(struct decoder *self, bool *ret_has_body)
{
    struct bencode_span key;

    if (bencode_peek(&self->reader) != BENCODE_DICT) {
        bencode_skip(&self->reader, NULL);
        return;
    }
    *ret_has_body = true;
    bencode_enter_dict(&self->reader);
    while (bencode_key(&self->reader, &key))
        take_field(self, key, body_fields, sizeof(body_fields) / sizeof(body_fields[0]));
}

static bool read_all(struct decoder *self, const uint8_t *buf, size_t len)
{
    struct bencode_span key;

    bencode_read_init(&self->reader, buf, len);
    if (!bencode_enter_dict(&self->reader))
        return false;
    while (bencode_key(&self->reader, &key)) {
        if (bencode_is(key, "a"))
            read_body(self, &self->has_body_a);
        else if (bencode_is(key, "r"))
            read_body(self, &self->has_body_r);
        else
            take_field(self, key, top_fields, sizeof(top_fields) / sizeof(top_fields[0]));
    }
    return bencode_done(&self->reader);
}

/* Gives the message its query, and the target by the key this query uses. */
static void choose_query(struct decoder *self)
{
    struct krpc_message *message = self->message;
    uint32_t query = 0;

    while (query < KRPC_UNKNOWN &&
           !bencode_is(message->query_name, krpc_query_name((enum krpc_query)query)))
        query++;
    message->query = (enum krpc_query)query;

    bool about_peers = query == KRPC_GET_PEERS || query == KRPC_ANNOUNCE_PEER;
    bool no_target = query == KRPC_UNKNOWN && !(message->has & KRPC_HAS_TARGET);
    if (!about_peers && !no_target)
        return;
    message->has &= ~KRPC_HAS_TARGET;
    if (self->has_info_hash) {
        message->target = self->info_hash;
        message->has |= KRPC_HAS_TARGET;
    }
}

static bool has_all_of_query(const struct krpc_message *message)
{
    bool has_seq = message->has & KRPC_HAS_SEQ;
    bool has_port =
        message->implied_port || (message->has & KRPC_HAS_PORT && message->port > 0);

    if (message->query_name.at == NULL || !(message->has & KRPC_HAS_ID))
        return false;
    if (message->query != KRPC_PING && message->query != KRPC_PUT &&
        message->query != KRPC_UNKNOWN && !(message->has & KRPC_HAS_TARGET))
        return false;
    switch (message->query) {
    case KRPC_PUT:
        if (message->k != NULL && (!has_seq || message->sig == NULL))
            return false;
        return message->v.at != NULL && message->token.at != NULL;
    case KRPC_AN_NOTIFY:
        return message->v.at != NULL;
    case KRPC_ANNOUNCE_PEER:
        return message->token.at != NULL && has_port;
    default:
        return true;
    }
}

/* Tells whether what the kind of the message needs is there, and nothing of another kind. */
static bool has_all(struct decoder *self)
{
    struct krpc_message *message = self->message;

    switch (message->kind) {
    case KRPC_QUERY:
        return self->has_body_a && !self->has_body_r && has_all_of_query(message);
    case KRPC_RESPONSE:
        return self->has_body_r && !self->has_body_a && message->has & KRPC_HAS_ID;
    case KRPC_ERROR:
        break;
    }
    return self->has_error;
}

int krpc_decode(struct krpc_message *ret, const uint8_t *buf, size_t len)
{
    struct decoder self = {.message = ret};

    memset(ret, 0, offsetof(struct krpc_message, nodes));
    ret->query = KRPC_UNKNOWN;
    if (!read_all(&self, buf, len) || ret->t_len == 0)
        return KRPC_E_MALFORMED;
    if (bencode_is(self.kind, "q"))
        ret->kind = KRPC_QUERY;
    else if (bencode_is(self.kind, "r"))
        ret->kind = KRPC_RESPONSE;
    else if (bencode_is(self.kind, "e"))
        ret->kind = KRPC_ERROR;
    else
        return KRPC_E_MALFORMED;
    if (ret->kind == KRPC_QUERY)
        choose_query(&self);
    if (self.error != 0)
        return self.error;
    return has_all(&self) ? 0 : KRPC_E_FIELD;
}
