/* SPDX-License-Identifier: Apache-2.0 */
#include "kad_random.h"

#include <sodium.h>
#include <string.h>

void kad_random_init(struct kad_random *self, uint64_t seed, const void *secret,
                     size_t secret_len)
{
    crypto_generichash_state state;

    memset(self, 0, sizeof(*self));
    self->at = KAD_RANDOM_BLOCK;
    crypto_generichash_init(&state, NULL, 0, sizeof(self->key));
    crypto_generichash_update(&state, (const uint8_t *)&seed, sizeof(seed));
    crypto_generichash_update(&state, secret, secret_len);
    crypto_generichash_final(&state, self->key, sizeof(self->key));
}

void kad_random_bytes(struct kad_random *self, void *ret_bytes, size_t len)
{
    uint8_t *out = ret_bytes;

    for (size_t i = 0; i < len; i++) {
        if (self->at == KAD_RANDOM_BLOCK) {
            uint8_t nonce[crypto_stream_chacha20_NONCEBYTES];

            _Static_assert(sizeof(nonce) == sizeof(self->blocks), "a block per nonce");
            memcpy(nonce, &self->blocks, sizeof(nonce));
            crypto_stream_chacha20(self->block, sizeof(self->block), nonce, self->key);
            self->blocks++;
            self->at = 0;
        }
        out[i] = self->block[self->at++];
    }
}

uint64_t kad_random_u64(struct kad_random *self)
{
    uint64_t value;

    kad_random_bytes(self, &value, sizeof(value));
    return value;
}

proa_ns kad_random_jitter(struct kad_random *self, proa_ns span)
{
    proa_ns part = span / 5;

    return part == 0 ? span : span - part + kad_random_u64(self) % (2 * part + 1);
}
