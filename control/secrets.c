/* SPDX-License-Identifier: Apache-2.0 */
#include <sodium.h>
#include <string.h>

#include "secrets.h"

void secrets_init(struct secrets *self, uint64_t seed, const struct identity *identity)
{
    uint8_t seed_bytes[8];

    for (unsigned i = 0; i < sizeof(seed_bytes); i++)
        seed_bytes[i] = (uint8_t)(seed >> 8 * i);
    self->count = 0;
    /* The key of a keyed hash takes 64 bytes at the most: the whole secret key. */
    crypto_generichash(self->key, sizeof(self->key), seed_bytes, sizeof(seed_bytes),
                       identity->secret_key, sizeof(identity->secret_key));
}

void secrets_fini(struct secrets *self)
{
    sodium_memzero(self, sizeof(*self));
}

uint64_t secrets_next(struct secrets *self)
{
    uint64_t number = 0;

    while (number == 0) {
        uint8_t nonce[crypto_stream_chacha20_NONCEBYTES];
        uint8_t bytes[sizeof(number)];

        for (unsigned i = 0; i < sizeof(nonce); i++)
            nonce[i] = (uint8_t)(self->count >> 8 * i);
        self->count++;
        crypto_stream_chacha20(bytes, sizeof(bytes), nonce, self->key);
        for (unsigned i = 0; i < sizeof(bytes); i++)
            number |= (uint64_t)bytes[i] << 8 * i;
    }
    return number;
}
