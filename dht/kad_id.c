/* SPDX-License-Identifier: Apache-2.0 */
#include "kad_id.h"

#include <proa/types.h>
#include <sodium.h>
#include <string.h>

#define HASH_LEN 32 /* BLAKE2b-256; ids take its first 20 bytes */

bool kad_id_equal(const struct kad_id *a, const struct kad_id *b)
{
    return memcmp(a->b, b->b, PROA_KAD_ID_LEN) == 0;
}

int kad_id_compare(const struct kad_id *a, const struct kad_id *b)
{
    return memcmp(a->b, b->b, PROA_KAD_ID_LEN);
}

int kad_id_closer(const struct kad_id *target, const struct kad_id *a,
                  const struct kad_id *b)
{
    for (size_t i = 0; i < PROA_KAD_ID_LEN; i++) {
        int da = a->b[i] ^ target->b[i];
        int db = b->b[i] ^ target->b[i];

        if (da != db)
            return da - db;
    }
    return 0;
}

uint32_t kad_id_prefix(const struct kad_id *a, const struct kad_id *b)
{
    for (uint32_t i = 0; i < PROA_KAD_ID_LEN; i++) {
        uint32_t differ = a->b[i] ^ b->b[i];

        if (differ != 0) /* clz counts from bit 31, the byte begins at bit 7 */
            return 8 * i + (uint32_t)__builtin_clz(differ) - 24;
    }
    return PROA_KAD_ID_BITS;
}

uint32_t kad_id_bits(const struct kad_id *id, uint32_t first, uint32_t count)
{
    uint32_t value = 0;

    PROA_ASSERT(count >= 1 && count <= 32 && first < PROA_KAD_ID_BITS);
    for (uint32_t at = first; at < first + count; at++) {
        uint32_t bit = at < PROA_KAD_ID_BITS ? id->b[at / 8] >> (7 - at % 8) & 1 : 0;

        value = value << 1 | bit;
    }
    return value;
}

void kad_id_at_prefix(const struct kad_id *self, uint32_t prefix,
                      const uint8_t random[PROA_KAD_ID_LEN], struct kad_id *ret_id)
{
    struct kad_id made = *self;

    PROA_ASSERT(prefix <= PROA_KAD_ID_BITS);
    if (prefix < PROA_KAD_ID_BITS) {
        uint32_t byte = prefix / 8;
        uint8_t bit = (uint8_t)(0x80 >> prefix % 8);
        uint8_t below = (uint8_t)(bit - 1); /* the bits after it in the same byte */

        made.b[byte] = (uint8_t)((self->b[byte] ^ bit) & ~below) | (random[byte] & below);
        memcpy(made.b + byte + 1, random + byte + 1, PROA_KAD_ID_LEN - byte - 1);
    }
    *ret_id = made;
}

uint64_t kad_id_node64(const struct kad_id *id)
{
    uint64_t node = 0;

    for (size_t i = 0; i < 8; i++)
        node = node << 8 | id->b[i];
    return node;
}

bool kad_id_valid(const struct kad_id *id)
{
    return kad_id_node64(id) != 0;
}

static void target_of(const char *prefix, const char *name, size_t len,
                      struct kad_id *ret_target)
{
    crypto_generichash_state hash;
    uint8_t sum[HASH_LEN];

    crypto_generichash_init(&hash, NULL, 0, sizeof(sum));
    crypto_generichash_update(&hash, (const uint8_t *)prefix, strlen(prefix));
    crypto_generichash_update(&hash, (const uint8_t *)name, len);
    crypto_generichash_final(&hash, sum, sizeof(sum));
    memcpy(ret_target->b, sum, PROA_KAD_ID_LEN);
}

void kad_id_of_name(const char *name, size_t len, struct kad_id *ret_target)
{
    target_of("proa name", name, len, ret_target);
}

void kad_id_of_group(const char *name, size_t len, struct kad_id *ret_target)
{
    target_of("proa group", name, len, ret_target);
}
