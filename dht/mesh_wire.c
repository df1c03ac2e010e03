/* SPDX-License-Identifier: Apache-2.0 */
#include "mesh_wire.h"

#include "record.h"

#include <proa/le.h>
#include <sodium.h>
#include <string.h>

#define HEAD 2 /* bytes: kind and version */
#define RANGE_HEAD (HEAD + 16)
#define LINK_LEN (PROA_KAD_ID_LEN + 19)
#define REF_LEN 12
#define LOAD_LEN 4
#define REMOVED 0 /* kind of an entry that is no more */

/* Constant: two nodes must come to the same hash.  What it guards against is chance; a node that wants
   to lie about its own set needs no collision. */
static const uint8_t digest_key[crypto_shorthash_KEYBYTES] = {
    'p', 'r', 'o', 'a', ' ', 'm', 'e', 's', 'h', ' ', 'd', 'i', 'g', 'e', 's', 't'};

/* ---- Writing ---- */

void mesh_begin(struct mesh_writer *w, uint8_t *bytes, enum mesh_message_kind kind)
{
    w->bytes = bytes;
    w->bytes[0] = (uint8_t)kind;
    w->bytes[1] = MESH_VERSION;
    w->len = HEAD;
}

static uint8_t *room(struct mesh_writer *w, size_t len)
{
    uint8_t *at = w->bytes + w->len;

    PROA_ASSERT(len <= MESH_MESSAGE_MAX - w->len);
    w->len += len;
    return at;
}

void mesh_put_u64(struct mesh_writer *w, uint64_t value)
{
    proa_put_le64(room(w, 8), value);
}

void mesh_put_u32(struct mesh_writer *w, uint32_t value)
{
    proa_put_le32(room(w, 4), value);
}

void mesh_put_u8(struct mesh_writer *w, uint8_t value)
{
    *room(w, 1) = value;
}

static void put_addr(struct mesh_writer *w, const struct proa_addr *addr)
{
    uint8_t *at = room(w, 19);

    at[0] = addr->family;
    memcpy(at + 1, addr->ip, sizeof(addr->ip));
    proa_put_le16(at + 17, addr->port);
}

void mesh_put_digest(struct mesh_writer *w, const struct mesh_digest *digest)
{
    mesh_put_u64(w, digest->version);
    mesh_put_u64(w, digest->root);
    mesh_put_u64(w, digest->links);
    mesh_put_u32(w, digest->count);
    proa_put_le16(room(w, 2), digest->leaves);
}

void mesh_put_hello(struct mesh_writer *w, uint8_t flags, const struct kad_id *id,
                    const struct proa_addr *addr, const struct mesh_digest *digest)
{
    mesh_put_u8(w, flags);
    memcpy(room(w, PROA_KAD_ID_LEN), id->b, PROA_KAD_ID_LEN);
    put_addr(w, addr);
    mesh_put_digest(w, digest);
}

void mesh_put_group(struct mesh_writer *w, const char *group, size_t len)
{
    mesh_put_u8(w, (uint8_t)len);
    memcpy(room(w, len), group, len);
}

bool mesh_put_link(struct mesh_writer *w, const struct kad_id *id,
                   const struct proa_addr *addr)
{
    if (MESH_MESSAGE_MAX - w->len < LINK_LEN)
        return false;
    memcpy(room(w, PROA_KAD_ID_LEN), id->b, PROA_KAD_ID_LEN);
    put_addr(w, addr);
    return true;
}

static size_t entry_len(uint8_t kind, uint8_t len)
{
    return kind == REMOVED ? 11 : kind == MESH_MEMBER ? 24u + len : 48u + len;
}

static void encode_entry(uint8_t *at, const struct mesh_entry *entry)
{
    proa_put_le16(at, (uint16_t)entry->index);
    proa_put_le64(at + 2, entry->version);
    at[10] = entry->kind;
    if (entry->kind == REMOVED)
        return;
    proa_put_le32(at + 11, entry->slot);
    proa_put_le32(at + 15, entry->generation);
    proa_put_le32(at + 19, entry->type);
    at += 23;
    if (entry->kind == MESH_NAME) {
        proa_put_le64(at, entry->term);
        proa_put_le64(at + 8, entry->issued);
        proa_put_le64(at + 16, entry->claim);
        at += 24;
    }
    *at = entry->len;
    memcpy(at + 1, entry->name, entry->len);
}

bool mesh_put_entry(struct mesh_writer *w, const struct mesh_entry *entry)
{
    size_t len = entry_len(entry->kind, entry->len);

    if (MESH_MESSAGE_MAX - w->len < len)
        return false;
    encode_entry(room(w, len), entry);
    return true;
}

void mesh_begin_range(struct mesh_writer *w, uint8_t *bytes)
{
    mesh_begin(w, bytes, MESH_M_RANGE);
    room(w, RANGE_HEAD - HEAD);
}

void mesh_set_range(struct mesh_writer *w, uint32_t first, uint32_t end, uint64_t version)
{
    proa_put_le32(w->bytes + HEAD, first);
    proa_put_le32(w->bytes + HEAD + 4, end);
    proa_put_le64(w->bytes + HEAD + 8, version);
}

static uint64_t hash(const uint8_t *bytes, size_t len)
{
    uint8_t out[crypto_shorthash_BYTES];

    crypto_shorthash(out, bytes, len, digest_key);
    return proa_get_le64(out);
}

uint64_t mesh_hash_entry(const struct mesh_entry *entry)
{
    uint8_t bytes[MESH_ENTRY_MAX];

    encode_entry(bytes, entry);
    return hash(bytes, entry_len(entry->kind, entry->len));
}

uint64_t mesh_hash_id(const struct kad_id *id)
{
    return hash(id->b, sizeof(id->b));
}

/* ---- Reading ---- */

/* The next len bytes, NULL when there are not so many. */
static const uint8_t *take(struct mesh_span *span, size_t len)
{
    const uint8_t *at = span->at;

    if (span->len < len)
        return NULL;
    span->at += len;
    span->len -= len;
    return at;
}

bool mesh_take_entry(struct mesh_span *span, struct mesh_entry *ret)
{
    const uint8_t *at = take(span, 11);

    if (at == NULL)
        return false;
    ret->node = 0;
    ret->index = proa_get_le16(at);
    ret->version = proa_get_le64(at + 2);
    ret->kind = at[10];
    ret->slot = ret->generation = ret->type = 0;
    ret->term = ret->issued = ret->claim = 0;
    ret->len = 0;
    if (ret->kind == REMOVED)
        return true;
    if (ret->kind > MESH_MEMBER || (at = take(span, 12)) == NULL)
        return false;
    ret->slot = proa_get_le32(at);
    ret->generation = proa_get_le32(at + 4);
    ret->type = proa_get_le32(at + 8);
    if (ret->kind == MESH_NAME) {
        if ((at = take(span, 24)) == NULL)
            return false;
        ret->term = proa_get_le64(at);
        ret->issued = proa_get_le64(at + 8);
        ret->claim = proa_get_le64(at + 16);
    }
    if ((at = take(span, 1)) == NULL)
        return false;
    ret->len = *at;
    if ((at = take(span, ret->len)) == NULL)
        return false;
    memcpy(ret->name, at, ret->len);
    return true;
}

/* RANGE: ascending, in [first, end), not newer than it.  DELTA: first 0, end all, version 0: any. */
static bool check_entries(struct mesh_span span, const struct mesh_message *range)
{
    struct mesh_entry entry;
    uint32_t first = range->first;

    while (span.len > 0) {
        if (!mesh_take_entry(&span, &entry) || entry.version == 0)
            return false;
        if (entry.kind != REMOVED &&
            (entry.generation == 0 || !record_name_is_valid(entry.name, entry.len)))
            return false;
        if (range->kind != MESH_M_RANGE)
            continue;
        if (entry.kind == REMOVED || entry.index < first || entry.index >= range->end ||
            entry.version > range->version)
            return false;
        first = entry.index + 1;
    }
    return true;
}

static bool take_addr(struct mesh_span *span, struct proa_addr *ret)
{
    const uint8_t *at = take(span, 19);

    if (at == NULL)
        return false;
    memset(ret, 0, sizeof(*ret));
    ret->family = at[0];
    memcpy(ret->ip, at + 1, sizeof(ret->ip));
    ret->port = proa_get_le16(at + 17);
    return record_endpoint_is_valid(ret);
}

static bool take_id(struct mesh_span *span, struct kad_id *ret)
{
    const uint8_t *at = take(span, sizeof(ret->b));

    if (at == NULL)
        return false;
    memcpy(ret->b, at, sizeof(ret->b));
    return kad_id_valid(ret);
}

bool mesh_take_link(struct mesh_span *span, struct kad_id *ret_id,
                    struct proa_addr *ret_addr)
{
    return span->len > 0 && take_id(span, ret_id) && take_addr(span, ret_addr);
}

static bool check_links(struct mesh_span span)
{
    struct kad_id id;
    struct proa_addr addr;

    while (span.len > 0)
        if (!mesh_take_link(&span, &id, &addr))
            return false;
    return true;
}

static bool get_digest(struct mesh_span *span, struct mesh_digest *ret)
{
    const uint8_t *at = take(span, 30);

    if (at == NULL)
        return false;
    ret->version = proa_get_le64(at);
    ret->root = proa_get_le64(at + 8);
    ret->links = proa_get_le64(at + 16);
    ret->count = proa_get_le32(at + 24);
    ret->leaves = proa_get_le16(at + 28);
    return ret->leaves <= MESH_LEAVES &&
           ret->count <= (uint32_t)ret->leaves * MESH_LEAF && span->len == 0;
}

static bool get_hello(struct mesh_message *ret, struct mesh_span span)
{
    const uint8_t *flags = take(&span, 1);

    if (flags == NULL)
        return false;
    ret->flags = *flags;
    return take_id(&span, &ret->id) && take_addr(&span, &ret->addr) &&
           get_digest(&span, &ret->digest);
}

static bool get_hashes(struct mesh_message *ret, struct mesh_span span)
{
    const uint8_t *at = take(&span, 9 + sizeof(ret->hashes));

    if (at == NULL || span.len != 0)
        return false;
    ret->where = at[0];
    ret->version = proa_get_le64(at + 1);
    for (unsigned i = 0; i < MESH_FAN; i++)
        ret->hashes[i] = proa_get_le64(at + 9 + 8 * i);
    return ret->where <= MESH_HASHES_TOP;
}

static bool get_mask(struct mesh_message *ret, struct mesh_span span)
{
    const uint8_t *at;

    if (ret->kind == MESH_M_ASK_HASHES) {
        if ((at = take(&span, 8)) == NULL || span.len != 0)
            return false;
        ret->mask = proa_get_le64(at);
        return ret->mask != 0 && ret->mask >> (MESH_HASHES_TOP + 1) == 0;
    }
    if ((at = take(&span, 5)) == NULL || span.len != 0)
        return false;
    ret->where = at[0];
    ret->mask = proa_get_le32(at + 1);
    return ret->where < MESH_FAN && ret->mask != 0;
}

/* A RANGE stays within one mid: so what one message can remove is bounded. */
static bool get_range(struct mesh_message *ret, struct mesh_span span)
{
    const uint8_t *at = take(&span, RANGE_HEAD - HEAD);

    if (at == NULL)
        return false;
    ret->first = proa_get_le32(at);
    ret->end = proa_get_le32(at + 4);
    ret->version = proa_get_le64(at + 8);
    ret->span = span;
    return ret->first < ret->end && ret->end <= MESH_LEAVES * MESH_LEAF &&
           ret->first / (MESH_FAN * MESH_LEAF) ==
               (ret->end - 1) / (MESH_FAN * MESH_LEAF) &&
           check_entries(span, ret);
}

static bool get_group(struct mesh_message *ret, struct mesh_span span)
{
    const uint8_t *at;

    if (ret->kind == MESH_M_ASK_GROUP) {
        if ((at = take(&span, 4)) == NULL)
            return false;
        ret->serial = proa_get_le32(at);
    }
    if ((at = take(&span, 1)) == NULL || span.len != *at)
        return false;
    ret->len = *at;
    ret->group = (const char *)span.at;
    return record_name_is_valid(ret->group, ret->len);
}

static bool get_loads(struct mesh_message *ret, struct mesh_span span)
{
    ret->span = span;
    ret->count = (unsigned)(span.len / LOAD_LEN);
    return span.len % LOAD_LEN == 0 && ret->count >= 1 && ret->count <= MESH_LOADS_MAX;
}

static bool get_part(struct mesh_message *ret, struct mesh_span span)
{
    const uint8_t *at = take(&span, 5);

    if (at == NULL || at[4] > 1)
        return false;
    ret->serial = proa_get_le32(at);
    ret->more = at[4] == 1;
    ret->span = span;
    ret->count = (unsigned)(span.len / REF_LEN);
    if (span.len % REF_LEN != 0 || ret->count > MESH_REFS_MAX)
        return false;
    for (unsigned i = 0; i < ret->count; i++)
        if (proa_get_le32(span.at + REF_LEN * i + 4) == 0) /* its generation */
            return false;
    return true;
}

void mesh_get_loads(const struct mesh_message *message, struct mesh_load *ret)
{
    for (unsigned i = 0; i < message->count; i++) {
        ret[i].index = proa_get_le16(message->span.at + LOAD_LEN * i);
        ret[i].load = proa_get_le16(message->span.at + LOAD_LEN * i + 2);
    }
}

void mesh_get_refs(const struct mesh_message *message, struct mesh_ref *ret)
{
    for (unsigned i = 0; i < message->count; i++) {
        const uint8_t *at = message->span.at + REF_LEN * i;

        ret[i] = (struct mesh_ref){.slot = proa_get_le32(at),
                                   .generation = proa_get_le32(at + 4),
                                   .type = proa_get_le32(at + 8)};
    }
}

bool mesh_decode(struct mesh_message *ret, const uint8_t *bytes, size_t len)
{
    struct mesh_span span = {bytes, len};

    memset(ret, 0, sizeof(*ret));
    if (len < HEAD || len > MESH_MESSAGE_MAX || bytes[1] != MESH_VERSION)
        return false;
    ret->kind = (enum mesh_message_kind)bytes[0];
    take(&span, HEAD);
    switch (ret->kind) {
    case MESH_M_HELLO:
        return get_hello(ret, span);
    case MESH_M_LINKS:
        ret->span = span;
        return check_links(span);
    case MESH_M_DELTA:
        ret->span = span;
        return check_entries(span, ret);
    case MESH_M_DIGEST:
        return get_digest(&span, &ret->digest);
    case MESH_M_ASK_HASHES:
    case MESH_M_PULL:
        return get_mask(ret, span);
    case MESH_M_HASHES:
        return get_hashes(ret, span);
    case MESH_M_RANGE:
        return get_range(ret, span);
    case MESH_M_WANT_LOADS:
    case MESH_M_ASK_GROUP:
        return get_group(ret, span);
    case MESH_M_LOADS:
        return get_loads(ret, span);
    case MESH_M_GROUP_PART:
        return get_part(ret, span);
    case MESH_M_WANT_LINKS:
    case MESH_M_LEAVING:
    case MESH_M_CUT:
    case MESH_M_REFUSED:
    case MESH_M_UNLINKED:
        return span.len == 0;
    default:
        return false;
    }
}
