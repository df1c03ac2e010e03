/* SPDX-License-Identifier: Apache-2.0 */
/* The writing half of krpc.h.  Keys are written in ascending order, absent ones not at all. */
#include "krpc.h"

#include "envelope.h"

#include <string.h>

static bool is_about_peers(const struct krpc_message *self)
{
    return self->kind == KRPC_QUERY &&
           (self->query == KRPC_GET_PEERS || self->query == KRPC_ANNOUNCE_PEER);
}

static void put_bytes(struct bencode_writer *writer, const char *key,
                      struct bencode_span bytes)
{
    if (bytes.at == NULL)
        return;
    bencode_put_key(writer, key);
    bencode_put_string(writer, bytes.at, bytes.len);
}

static void put_fixed(struct bencode_writer *writer, const char *key,
                      const uint8_t *bytes, size_t len)
{
    put_bytes(writer, key, (struct bencode_span){bytes, len});
}

static void put_int(struct bencode_writer *writer, bool there, const char *key,
                    int64_t value)
{
    if (!there)
        return;
    bencode_put_key(writer, key);
    bencode_put_int(writer, value);
}

static void put_addr(struct bencode_writer *writer, const struct proa_addr *addr)
{
    uint8_t compact[18];
    size_t len = krpc_compact_write(addr, compact);

    if (len == 0)
        writer->failed = true;
    bencode_put_string(writer, compact, len);
}

/* Writes one compact list; every node must have its family, entry_len says which. */
static void put_nodes(struct bencode_writer *writer, const char *key,
                      const struct krpc_node *nodes, uint32_t count, size_t entry_len)
{
    bencode_put_key(writer, key);
    uint8_t *at = bencode_put_room(writer, count * entry_len);

    for (uint32_t i = 0; at != NULL && i < count; i++) {
        uint8_t compact[18];
        size_t len = krpc_compact_write(&nodes[i].addr, compact);

        if (len + PROA_KAD_ID_LEN != entry_len) {
            writer->failed = true;
            return;
        }
        memcpy(at, nodes[i].id.b, PROA_KAD_ID_LEN);
        memcpy(at + PROA_KAD_ID_LEN, compact, len);
        at += entry_len;
    }
}

static void put_values(struct bencode_writer *writer, const struct krpc_message *self)
{
    if (self->value_count == 0)
        return;
    bencode_put_key(writer, "values");
    bencode_put_list(writer);
    for (uint32_t i = 0; i < self->value_count; i++)
        put_addr(writer, &self->values[i]);
    bencode_put_end(writer);
}

static void put_want(struct bencode_writer *writer, uint8_t want)
{
    if (want == 0)
        return;
    bencode_put_key(writer, "want");
    bencode_put_list(writer);
    if (want & KRPC_WANT_N4)
        bencode_put_string(writer, "n4", 2);
    if (want & KRPC_WANT_N6)
        bencode_put_string(writer, "n6", 2);
    bencode_put_end(writer);
}

/* Writes what stands inside `a` or `r`. */
static void put_body(struct bencode_writer *writer, const struct krpc_message *self)
{
    bool target = self->has & KRPC_HAS_TARGET;
    bool info_hash = target && is_about_peers(self);

    bencode_put_dict(writer);
    put_fixed(writer, "c", self->nonce, PROA_PROOF_NONCE_LEN);
    put_int(writer, self->has & KRPC_HAS_CAS, "cas", self->cas);
    put_fixed(writer, "id", self->has & KRPC_HAS_ID ? self->id.b : NULL, PROA_KAD_ID_LEN);
    put_int(writer, self->implied_port, "implied_port", 1);
    put_fixed(writer, "info_hash", info_hash ? self->target.b : NULL, PROA_KAD_ID_LEN);
    put_fixed(writer, "k", self->k, PROA_PUBLIC_KEY_LEN);
    put_fixed(writer, "ks", self->proof, PROA_SIGNATURE_LEN);
    put_bytes(writer, "lack", self->lack);
    put_int(writer, self->has & KRPC_HAS_LEASE, "lease", self->lease);
    if (self->has & KRPC_HAS_NODES)
        put_nodes(writer, "nodes", self->nodes, self->node_count, PROA_KRPC_NODE_LEN);
    if (self->has & KRPC_HAS_NODES6)
        put_nodes(writer, "nodes6", self->nodes6, self->node6_count, PROA_KRPC_NODE6_LEN);
    put_int(writer, self->has & KRPC_HAS_OK, "ok", self->ok);
    put_bytes(writer, "pairs", self->pairs);
    put_int(writer, self->has & KRPC_HAS_PORT, "port", self->port);
    put_bytes(writer, "salt", self->salt);
    put_int(writer, self->has & KRPC_HAS_SEQ, "seq", self->seq);
    put_fixed(writer, "sig", self->sig, PROA_SIGNATURE_LEN);
    put_fixed(writer, "target", target && !info_hash ? self->target.b : NULL,
              PROA_KAD_ID_LEN);
    put_bytes(writer, "targets", self->targets);
    put_bytes(writer, "token", self->token);
    if (self->v.at != NULL) {
        bencode_put_key(writer, "v");
        bencode_put_raw(writer, self->v);
    }
    put_values(writer, self);
    put_want(writer, self->want);
    bencode_put_end(writer);
}

static void put_error(struct bencode_writer *writer, const struct krpc_message *self)
{
    bencode_put_key(writer, "e");
    bencode_put_list(writer);
    bencode_put_int(writer, self->error);
    bencode_put_string(writer, self->error_text.at, self->error_text.len);
    bencode_put_end(writer);
}

/* The name of the query, of ours or as the caller gave it; absent when neither. */
static struct bencode_span query_name(const struct krpc_message *self)
{
    const char *name = krpc_query_name(self->query);

    if (name == NULL)
        return self->query_name;
    return (struct bencode_span){(const uint8_t *)name, strlen(name)};
}

/* Tells whether krpc_decode would take what this message says. */
static bool fits_bounds(const struct krpc_message *self)
{
    if (self->t_len == 0 || self->t_len > PROA_KRPC_TID_MAX)
        return false;
    if (self->kind == KRPC_QUERY && query_name(self).at == NULL)
        return false;
    if (self->kind == KRPC_QUERY && query_name(self).len > PROA_KRPC_QUERY_NAME_MAX)
        return false;
    return self->node_count <= PROA_KRPC_NODES_MAX &&
           self->node6_count <= PROA_KRPC_NODES_MAX &&
           self->value_count <= PROA_KRPC_VALUES_MAX &&
           self->token.len <= PROA_KRPC_TOKEN_MAX && self->v.len <= PROA_KRPC_VALUE_MAX &&
           self->salt.len <= PROA_KRPC_SALT_MAX &&
           self->pairs.len <= PROA_KRPC_PAIRS_MAX * PROA_KRPC_PAIR_LEN &&
           self->pairs.len % PROA_KRPC_PAIR_LEN == 0 &&
           self->targets.len % PROA_KAD_ID_LEN == 0 &&
           self->lack.len <= PROA_KRPC_PAIRS_MAX &&
           self->targets.len <= PROA_KRPC_TARGETS_MAX * PROA_KAD_ID_LEN;
}

size_t krpc_encode(const struct krpc_message *self, uint8_t *buf, size_t cap)
{
    static const char *const kinds[] = {
        [KRPC_QUERY] = "q", [KRPC_RESPONSE] = "r", [KRPC_ERROR] = "e"};
    struct bencode_writer writer;

    if (!fits_bounds(self))
        return 0;
    bencode_write_init(&writer, buf, cap);
    bencode_put_dict(&writer);
    if (self->kind == KRPC_QUERY) {
        bencode_put_key(&writer, "a");
        put_body(&writer, self);
    }
    if (self->has & KRPC_HAS_AN) {
        static const uint8_t room[PROA_ENVELOPE_LEN];
        put_fixed(&writer, "an", room, sizeof(room));
    }
    if (self->kind == KRPC_ERROR)
        put_error(&writer, self);
    if (self->has & KRPC_HAS_IP) {
        bencode_put_key(&writer, "ip");
        put_addr(&writer, &self->ip);
    }
    if (self->kind == KRPC_QUERY)
        put_bytes(&writer, "q", query_name(self));
    if (self->kind == KRPC_RESPONSE) {
        bencode_put_key(&writer, "r");
        put_body(&writer, self);
    }
    put_int(&writer, self->ro, "ro", 1);
    put_fixed(&writer, "t", self->t, self->t_len);
    put_bytes(&writer, "v", self->version);
    put_fixed(&writer, "y", (const uint8_t *)kinds[self->kind], 1);
    bencode_put_end(&writer);
    return bencode_finish(&writer);
}
