/* SPDX-License-Identifier: Apache-2.0 */
#include "identity.h"

#include <sodium.h>
#include <string.h>

#define PROOF_PREFIX "proa key proof"
#define PROOF_PREFIX_LEN (sizeof(PROOF_PREFIX) - 1)
#define PROOF_LEN (PROOF_PREFIX_LEN + PROA_PROOF_NONCE_LEN + 2 * PROA_KAD_ID_LEN)

_Static_assert(PROA_SEED_LEN == crypto_sign_SEEDBYTES, "libsodium's Ed25519");
_Static_assert(PROA_PUBLIC_KEY_LEN == crypto_sign_PUBLICKEYBYTES, "libsodium's Ed25519");
_Static_assert(PROA_SECRET_KEY_LEN == crypto_sign_SECRETKEYBYTES, "libsodium's Ed25519");
_Static_assert(PROA_SIGNATURE_LEN == crypto_sign_BYTES, "libsodium's Ed25519");

int identity_init(struct identity *self, const uint8_t seed[PROA_SEED_LEN])
{
    crypto_sign_seed_keypair(self->public_key, self->secret_key, seed);
    identity_id_of_key(self->public_key, &self->id);
    return kad_id_valid(&self->id) ? 0 : IDENTITY_E_UNUSABLE;
}

void identity_fini(struct identity *self)
{
    sodium_memzero(self->secret_key, sizeof(self->secret_key));
}

void identity_id_of_key(const uint8_t public_key[PROA_PUBLIC_KEY_LEN],
                        struct kad_id *ret_id)
{
    uint8_t sum[32];

    crypto_generichash(sum, sizeof(sum), public_key, PROA_PUBLIC_KEY_LEN, NULL, 0);
    memcpy(ret_id->b, sum, PROA_KAD_ID_LEN);
}

void identity_sign(const struct identity *self, const void *bytes, size_t len,
                   uint8_t ret_signature[PROA_SIGNATURE_LEN])
{
    crypto_sign_detached(ret_signature, NULL, bytes, len, self->secret_key);
}

bool identity_verify(const uint8_t public_key[PROA_PUBLIC_KEY_LEN], const void *bytes,
                     size_t len, const uint8_t signature[PROA_SIGNATURE_LEN])
{
    return crypto_sign_verify_detached(signature, bytes, len, public_key) == 0;
}

static void proof_text(const uint8_t nonce[PROA_PROOF_NONCE_LEN],
                       const struct kad_id *querier, const struct kad_id *prover,
                       uint8_t ret_text[PROOF_LEN])
{
    memcpy(ret_text, PROOF_PREFIX, PROOF_PREFIX_LEN);
    ret_text += PROOF_PREFIX_LEN;
    memcpy(ret_text, nonce, PROA_PROOF_NONCE_LEN);
    ret_text += PROA_PROOF_NONCE_LEN;
    memcpy(ret_text, querier->b, PROA_KAD_ID_LEN);
    memcpy(ret_text + PROA_KAD_ID_LEN, prover->b, PROA_KAD_ID_LEN);
}

void identity_prove(const struct identity *self,
                    const uint8_t nonce[PROA_PROOF_NONCE_LEN],
                    const struct kad_id *querier, uint8_t ret_proof[PROA_SIGNATURE_LEN])
{
    uint8_t text[PROOF_LEN];

    proof_text(nonce, querier, &self->id, text);
    identity_sign(self, text, sizeof(text), ret_proof);
}

bool identity_proof_holds(const uint8_t public_key[PROA_PUBLIC_KEY_LEN],
                          const uint8_t nonce[PROA_PROOF_NONCE_LEN],
                          const struct kad_id *querier, const struct kad_id *prover,
                          const uint8_t proof[PROA_SIGNATURE_LEN])
{
    uint8_t text[PROOF_LEN];
    struct kad_id id;

    identity_id_of_key(public_key, &id);
    if (!kad_id_equal(&id, prover) || !kad_id_valid(&id))
        return false;
    proof_text(nonce, querier, prover, text);
    return identity_verify(public_key, text, sizeof(text), proof);
}

static void derive(const uint8_t secret[PROA_CLUSTER_SECRET_LEN], const char *use,
                   uint8_t ret_key[PROA_CLUSTER_KEY_LEN])
{
    crypto_generichash(ret_key, PROA_CLUSTER_KEY_LEN, (const uint8_t *)use, strlen(use),
                       secret, PROA_CLUSTER_SECRET_LEN);
}

void cluster_keys_init(struct cluster_keys *self,
                       const uint8_t secret[PROA_CLUSTER_SECRET_LEN])
{
    derive(secret, "proa krpc envelope", self->krpc);
    derive(secret, "proa keyed packet", self->packet);
    derive(secret, "proa link secret", self->link);
}

void cluster_keys_fini(struct cluster_keys *self)
{
    sodium_memzero(self, sizeof(*self));
}
