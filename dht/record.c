/* SPDX-License-Identifier: Apache-2.0 */
#include "record.h"

#include <sodium.h>
#include <string.h>

#define MAGIC "proa"
#define MAGIC_LEN 4
#define FIXED_LEN 88 /* up to and with the public key */
#define ENDPOINT_LEN 19
#define SIGN_PREFIX "proa record"
#define SIGN_PREFIX_LEN (sizeof(SIGN_PREFIX) - 1)
#define CLOCK_SHIFT 16 /* of the hybrid clock: bits of its counter */

_Static_assert(PROA_RECORD_MAX == FIXED_LEN + PROA_RECORD_ENDPOINTS_MAX * ENDPOINT_LEN +
                                      1 + PROA_RECORD_NAME_MAX + 2 + PROA_RECORD_EXT_MAX +
                                      PROA_SIGNATURE_LEN,
               "the header's layout");

static const uint8_t mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

/* Numbers are written and read in place, one after the other. */

static void put(uint8_t **at, size_t len, uint64_t value)
{
    for (size_t i = len; i > 0; i--) {
        (*at)[i - 1] = (uint8_t)value;
        value >>= 8;
    }
    *at += len;
}

static void put_bytes(uint8_t **at, const void *bytes, size_t len)
{
    if (len > 0)
        memcpy(*at, bytes, len);
    *at += len;
}

static uint64_t get(const uint8_t **at, size_t len)
{
    uint64_t value = 0;

    for (size_t i = 0; i < len; i++)
        value = value << 8 | (*at)[i];
    *at += len;
    return value;
}

static void get_bytes(const uint8_t **at, void *ret_bytes, size_t len)
{
    memcpy(ret_bytes, *at, len);
    *at += len;
}

/* Returns how many bytes the UTF-8 character at the front of text takes, 0 when it is none:
   broken, overlong, a surrogate, beyond U+10FFFF, or NUL.  Source: RFC 3629, section 4. */
static size_t utf8_len(const uint8_t *text, size_t len)
{
    uint8_t lead = text[0];
    size_t need = lead < 0x80 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
    uint8_t low = 0x80, high = 0xbf; /* bounds of the second byte */

    if (lead == 0 || (lead >= 0x80 && lead < 0xc2) || lead > 0xf4 || need > len)
        return 0;
    if (lead == 0xe0)
        low = 0xa0;
    else if (lead == 0xed)
        high = 0x9f;
    else if (lead == 0xf0)
        low = 0x90;
    else if (lead == 0xf4)
        high = 0x8f;
    for (size_t i = 1; i < need; i++) {
        if (text[i] < low || text[i] > high)
            return 0;
        low = 0x80;
        high = 0xbf;
    }
    return need;
}

bool record_name_is_valid(const char *name, size_t len)
{
    const uint8_t *text = (const uint8_t *)name;

    for (size_t at = 0; at < len;) {
        size_t step = utf8_len(text + at, len - at);

        if (step == 0)
            return false;
        at += step;
    }
    return len > 0;
}

bool record_endpoint_is_valid(const struct proa_addr *endpoint)
{
    bool is_mapped = memcmp(endpoint->ip, mapped, sizeof(mapped)) == 0;

    return endpoint->port != 0 && ((endpoint->family == 4 && is_mapped) ||
                                   (endpoint->family == 6 && !is_mapped));
}

/* Checks what a writer and a reader must both hold true. */
static int check(const struct record *self)
{
    uint32_t lease_max = self->kind == RECORD_TOMBSTONE ? PROA_RECORD_TOMBSTONE_MAX_S
                                                        : PROA_RECORD_LEASE_MAX_S;

    if (self->kind != RECORD_NAME && self->kind != RECORD_TOMBSTONE)
        return RECORD_E_KIND;
    if (self->endpoint_count > PROA_RECORD_ENDPOINTS_MAX ||
        self->ext_len > PROA_RECORD_EXT_MAX)
        return RECORD_E_MALFORMED;
    for (uint32_t i = 0; i < self->endpoint_count; i++) {
        if (!record_endpoint_is_valid(&self->endpoints[i]))
            return RECORD_E_MALFORMED;
    }
    if (self->generation == 0) /* a reference to nobody */
        return RECORD_E_MALFORMED;
    if (!record_name_is_valid(self->name, self->name_len))
        return RECORD_E_NAME;
    if (self->lease == 0 || self->lease > lease_max || self->claim == 0 ||
        self->claim > self->issued)
        return RECORD_E_TIME;
    return 0;
}

/* Signs or checks "proa record" || target || the len bytes before the signature. */
struct signed_text {
    uint8_t bytes[SIGN_PREFIX_LEN + PROA_KAD_ID_LEN + PROA_RECORD_MAX];
    size_t len;
};

static void text_to_sign(struct signed_text *ret, const struct kad_id *target,
                         const uint8_t *buf, size_t len)
{
    uint8_t *at = ret->bytes;

    put_bytes(&at, SIGN_PREFIX, SIGN_PREFIX_LEN);
    put_bytes(&at, target->b, PROA_KAD_ID_LEN);
    put_bytes(&at, buf, len);
    ret->len = (size_t)(at - ret->bytes);
}

int record_sign(const struct record *fields, const struct identity *signer,
                uint8_t out[PROA_RECORD_MAX], size_t *ret_len)
{
    struct signed_text text;
    struct kad_id target;
    uint8_t *at = out;
    int error = check(fields);

    if (error != 0)
        return error;
    put_bytes(&at, MAGIC, MAGIC_LEN);
    put(&at, 1, PROA_RECORD_VERSION);
    put(&at, 1, fields->kind);
    put(&at, 1, fields->flags);
    put(&at, 1, fields->endpoint_count);
    put(&at, 4, fields->slot);
    put(&at, 4, fields->generation);
    put(&at, 8, fields->term);
    put(&at, 8, fields->issued);
    put(&at, 8, fields->claim);
    put(&at, 4, fields->lease);
    put(&at, 4, fields->type_id);
    put(&at, 8, fields->actor_uid);
    put_bytes(&at, signer->public_key, PROA_PUBLIC_KEY_LEN);
    for (uint32_t i = 0; i < fields->endpoint_count; i++) {
        put(&at, 1, fields->endpoints[i].family);
        put_bytes(&at, fields->endpoints[i].ip, sizeof(fields->endpoints[i].ip));
        put(&at, 2, fields->endpoints[i].port);
    }
    put(&at, 1, fields->name_len);
    put_bytes(&at, fields->name, fields->name_len);
    put(&at, 2, fields->ext_len);
    put_bytes(&at, fields->ext, fields->ext_len);

    record_target(fields, &target);
    text_to_sign(&text, &target, out, (size_t)(at - out));
    identity_sign(signer, text.bytes, text.len, at);
    *ret_len = (size_t)(at - out) + PROA_SIGNATURE_LEN;
    return 0;
}

/* Reads what follows the fixed part; false when the lengths inside do not add up to
   exactly the bytes before the signature. */
static bool read_rest(struct record *ret, const uint8_t *at, const uint8_t *end)
{
    for (uint32_t i = 0; i < ret->endpoint_count; i++) {
        struct proa_addr *endpoint = &ret->endpoints[i];

        if ((size_t)(end - at) < ENDPOINT_LEN)
            return false;
        memset(endpoint, 0, sizeof(*endpoint));
        endpoint->family = (uint8_t)get(&at, 1);
        get_bytes(&at, endpoint->ip, sizeof(endpoint->ip));
        endpoint->port = (uint16_t)get(&at, 2);
    }
    if (end - at < 1)
        return false;
    ret->name_len = (uint8_t)get(&at, 1);
    if ((size_t)(end - at) < ret->name_len + 2u)
        return false;
    get_bytes(&at, ret->name, ret->name_len);
    ret->name[ret->name_len] = '\0';
    ret->ext_len = (uint16_t)get(&at, 2);
    if (ret->ext_len > PROA_RECORD_EXT_MAX || end - at != ret->ext_len)
        return false;
    get_bytes(&at, ret->ext, ret->ext_len);
    return true;
}

int record_decode(struct record *ret, const uint8_t *buf, size_t len)
{
    const uint8_t *at = buf;

    if (len < PROA_RECORD_MIN || len > PROA_RECORD_MAX ||
        memcmp(at, MAGIC, MAGIC_LEN) != 0)
        return RECORD_E_MALFORMED;
    at += MAGIC_LEN;
    if (get(&at, 1) != PROA_RECORD_VERSION)
        return RECORD_E_VERSION;
    ret->kind = (uint8_t)get(&at, 1);
    ret->flags = (uint8_t)get(&at, 1);
    ret->endpoint_count = (uint8_t)get(&at, 1);
    if (ret->endpoint_count > PROA_RECORD_ENDPOINTS_MAX)
        return RECORD_E_MALFORMED;
    ret->slot = (uint32_t)get(&at, 4);
    ret->generation = (uint32_t)get(&at, 4);
    ret->term = get(&at, 8);
    ret->issued = get(&at, 8);
    ret->claim = get(&at, 8);
    ret->lease = (uint32_t)get(&at, 4);
    ret->type_id = (uint32_t)get(&at, 4);
    ret->actor_uid = get(&at, 8);
    get_bytes(&at, ret->key, sizeof(ret->key));
    if (!read_rest(ret, at, buf + len - PROA_SIGNATURE_LEN))
        return RECORD_E_MALFORMED;
    int error = check(ret);
    if (error != 0)
        return error;
    identity_id_of_key(ret->key, &ret->owner);
    return kad_id_valid(&ret->owner) ? 0 : RECORD_E_KEY;
}

int record_verify(const struct record *fields, const uint8_t *buf, size_t len,
                  const struct kad_id *target)
{
    struct signed_text text;
    struct kad_id own;

    PROA_ASSERT(len >= PROA_RECORD_MIN && len <= PROA_RECORD_MAX);
    record_target(fields, &own);
    if (target != NULL && !kad_id_equal(&own, target))
        return RECORD_E_TARGET;
    size_t signed_len = len - PROA_SIGNATURE_LEN;
    text_to_sign(&text, &own, buf, signed_len);
    if (!identity_verify(fields->key, text.bytes, text.len, buf + signed_len))
        return RECORD_E_SIGNATURE;
    return 0;
}

int record_open(struct record *ret, const uint8_t *buf, size_t len,
                const struct kad_id *target)
{
    int error = record_decode(ret, buf, len);

    return error != 0 ? error : record_verify(ret, buf, len, target);
}

void record_target(const struct record *self, struct kad_id *ret_target)
{
    kad_id_of_name(self->name, self->name_len, ret_target);
}

bool record_same_owner(const struct record *a, const struct record *b)
{
    return memcmp(a->key, b->key, sizeof(a->key)) == 0;
}

/* Returns -1 when a is the larger, 1 when b is, as the comparisons below want it. */
static int larger_first(uint64_t a, uint64_t b)
{
    return (a < b) - (a > b);
}

int record_compare_readers(const struct record *a, const struct record *b)
{
    if (a->term != b->term)
        return larger_first(a->term, b->term);
    if (record_same_owner(a, b))
        return larger_first(a->issued, b->issued);
    if (a->kind != b->kind)
        return a->kind == RECORD_NAME ? -1 : 1;
    if (a->claim != b->claim)
        return larger_first(b->claim, a->claim);
    return kad_id_compare(&a->owner, &b->owner);
}

size_t record_pick(const struct record *const records[], size_t count)
{
    size_t best = SIZE_MAX;

    for (size_t i = 0; i < count; i++) {
        bool outdated = false;

        for (size_t j = 0; j < count && !outdated; j++)
            outdated = record_same_owner(records[i], records[j]) &&
                       record_compare_readers(records[j], records[i]) < 0;
        if (outdated)
            continue;
        if (best == SIZE_MAX || record_compare_readers(records[i], records[best]) < 0)
            best = i;
    }
    PROA_ASSERT(best < count);
    return best;
}

uint32_t record_type_id(const char *name, size_t len)
{
    uint8_t sum[32];
    const uint8_t *at = sum;

    crypto_generichash(sum, sizeof(sum), (const uint8_t *)name, len, NULL, 0);
    return (uint32_t)get(&at, 4);
}

uint64_t record_clock_next(uint64_t last, uint64_t wall_ms)
{
    uint64_t wall = wall_ms << CLOCK_SHIFT;

    return wall > last ? wall : last + 1;
}

uint64_t record_clock_ms(uint64_t clock)
{
    return clock >> CLOCK_SHIFT;
}

bool record_is_ahead(uint64_t issued, uint64_t wall_ms)
{
    return record_clock_ms(issued) > wall_ms + PROA_RECORD_AHEAD_MAX_MS;
}

uint64_t record_left_ms(const struct record *self, uint64_t wall_ms)
{
    uint64_t lease_ms = (uint64_t)self->lease * 1000;
    uint64_t issued_ms = record_clock_ms(self->issued);

    if (wall_ms <= issued_ms)
        return lease_ms;
    return wall_ms - issued_ms < lease_ms ? lease_ms - (wall_ms - issued_ms) : 0;
}
