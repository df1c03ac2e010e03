/* SPDX-License-Identifier: Apache-2.0 */
#include "kad_token.h"

#include <sodium.h>
#include <string.h>

_Static_assert(crypto_shorthash_BYTES == KAD_TOKEN_LEN, "a token is one hash");
_Static_assert(crypto_shorthash_KEYBYTES == 16, "of a 16 byte secret");

void kad_token_init(struct kad_token *self, struct kad_random *random)
{
    kad_random_bytes(random, self->secret, sizeof(self->secret));
    kad_random_bytes(random, self->before, sizeof(self->before));
}

void kad_token_rotate(struct kad_token *self, struct kad_random *random)
{
    memcpy(self->before, self->secret, sizeof(self->before));
    kad_random_bytes(random, self->secret, sizeof(self->secret));
}

static void make(const uint8_t secret[16], const struct proa_addr *addr,
                 uint8_t ret_token[KAD_TOKEN_LEN])
{
    uint8_t endpoint[sizeof(addr->ip) + 2];

    memcpy(endpoint, addr->ip, sizeof(addr->ip));
    endpoint[sizeof(addr->ip)] = (uint8_t)(addr->port >> 8);
    endpoint[sizeof(addr->ip) + 1] = (uint8_t)addr->port;
    crypto_shorthash(ret_token, endpoint, sizeof(endpoint), secret);
}

void kad_token_make(const struct kad_token *self, const struct proa_addr *addr,
                    uint8_t ret_token[KAD_TOKEN_LEN])
{
    make(self->secret, addr, ret_token);
}

bool kad_token_holds(const struct kad_token *self, const struct proa_addr *addr,
                     const uint8_t *token, size_t len)
{
    uint8_t right[KAD_TOKEN_LEN];

    if (len != KAD_TOKEN_LEN)
        return false;
    make(self->secret, addr, right);
    if (sodium_memcmp(token, right, sizeof(right)) == 0)
        return true;
    make(self->before, addr, right);
    return sodium_memcmp(token, right, sizeof(right)) == 0;
}
