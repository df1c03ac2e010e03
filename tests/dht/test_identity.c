/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "identity.h"
#include "vectors.h"

static struct identity of_vector(const char *name)
{
    const char *block = vector_block(name);
    struct identity identity;
    uint8_t seed[PROA_SEED_LEN];

    vector_bytes(block, "seed", seed, sizeof(seed));
    assert_int_equal(identity_init(&identity, seed), 0);
    return identity;
}

static void init__vector(void **state)
{
    struct identity self = of_vector("identity");
    const char *block = vector_block("identity");
    uint8_t key[PROA_PUBLIC_KEY_LEN];
    struct kad_id id;

    (void)state;
    vector_bytes(block, "key", key, sizeof(key));
    vector_bytes(block, "id", id.b, sizeof(id.b));
    assert_memory_equal(self.public_key, key, sizeof(key));
    assert_memory_equal(self.id.b, id.b, sizeof(id.b));
    assert_true(kad_id_node64(&self.id) == vector_number(block, "node", 16));
}

static void fini__leaves_no_secret(void **state)
{
    static const uint8_t zero[PROA_SECRET_KEY_LEN];
    struct identity self = of_vector("identity");

    (void)state;
    identity_fini(&self);
    assert_memory_equal(self.secret_key, zero, sizeof(zero));
}

static void verify__refuses_every_changed_bit(void **state)
{
    struct identity self = of_vector("identity");
    uint8_t text[5] = "hallo", signature[PROA_SIGNATURE_LEN];

    (void)state;
    identity_sign(&self, text, sizeof(text), signature);
    assert_true(identity_verify(self.public_key, text, sizeof(text), signature));
    for (size_t bit = 0; bit < 8 * sizeof(text); bit++) {
        text[bit / 8] ^= (uint8_t)(1 << bit % 8);
        assert_false(identity_verify(self.public_key, text, sizeof(text), signature));
        text[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    for (size_t bit = 0; bit < 8 * sizeof(signature); bit++) {
        signature[bit / 8] ^= (uint8_t)(1 << bit % 8);
        assert_false(identity_verify(self.public_key, text, sizeof(text), signature));
        signature[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    assert_false(identity_verify(self.public_key, text, sizeof(text) - 1, signature));
}

/* With the neutral element as key and R, a signature of zero would hold for any text. */
static void verify__refuses_a_key_of_small_order(void **state)
{
    uint8_t neutral[PROA_PUBLIC_KEY_LEN] = {1}, signature[PROA_SIGNATURE_LEN] = {1};

    (void)state;
    assert_false(identity_verify(neutral, "x", 1, signature));
}

static void prove__vector(void **state)
{
    struct identity self = of_vector("key_proof");
    const char *block = vector_block("key_proof");
    uint8_t nonce[PROA_PROOF_NONCE_LEN], expected[PROA_SIGNATURE_LEN],
        proof[PROA_SIGNATURE_LEN];
    struct kad_id querier, prover;

    (void)state;
    vector_bytes(block, "nonce", nonce, sizeof(nonce));
    vector_bytes(block, "querier", querier.b, sizeof(querier.b));
    vector_bytes(block, "prover", prover.b, sizeof(prover.b));
    vector_bytes(block, "proof", expected, sizeof(expected));
    identity_prove(&self, nonce, &querier, proof);
    assert_memory_equal(proof, expected, sizeof(proof));
    assert_true(identity_proof_holds(self.public_key, nonce, &querier, &prover, proof));
}

static void proof_holds__only_for_its_nonce_pair_and_key(void **state)
{
    struct identity self = of_vector("key_proof"), other = of_vector("identity");
    uint8_t nonce[PROA_PROOF_NONCE_LEN] = {7}, proof[PROA_SIGNATURE_LEN];
    struct kad_id querier = {.b = {9}}, third = {.b = {8}};

    (void)state;
    identity_prove(&self, nonce, &querier, proof);
    assert_true(identity_proof_holds(self.public_key, nonce, &querier, &self.id, proof));
    assert_false(identity_proof_holds(self.public_key, nonce, &third, &self.id, proof));
    assert_false(identity_proof_holds(self.public_key, nonce, &querier, &third, proof));
    assert_false(
        identity_proof_holds(other.public_key, nonce, &querier, &self.id, proof));
    assert_false(
        identity_proof_holds(other.public_key, nonce, &querier, &other.id, proof));
    nonce[0] ^= 1;
    assert_false(identity_proof_holds(self.public_key, nonce, &querier, &self.id, proof));
}

static void proof_holds__not_for_an_id_that_is_not_the_keys(void **state)
{
    struct identity liar = of_vector("key_proof");
    uint8_t nonce[PROA_PROOF_NONCE_LEN] = {7}, proof[PROA_SIGNATURE_LEN];
    struct kad_id querier = {.b = {9}};

    (void)state;
    liar.id.b[19] ^= 1;
    identity_prove(&liar, nonce, &querier, proof);
    assert_false(identity_proof_holds(liar.public_key, nonce, &querier, &liar.id, proof));
}

static void cluster_keys__vector(void **state)
{
    const char *block = vector_block("cluster_keys");
    uint8_t secret[PROA_CLUSTER_SECRET_LEN];
    struct cluster_keys keys, expected, zero = {0};

    (void)state;
    vector_bytes(block, "secret", secret, sizeof(secret));
    vector_bytes(block, "krpc", expected.krpc, sizeof(expected.krpc));
    vector_bytes(block, "packet", expected.packet, sizeof(expected.packet));
    vector_bytes(block, "link", expected.link, sizeof(expected.link));
    cluster_keys_init(&keys, secret);
    assert_memory_equal(&keys, &expected, sizeof(keys));
    cluster_keys_fini(&keys);
    assert_memory_equal(&keys, &zero, sizeof(keys));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(init__vector),
        cmocka_unit_test(fini__leaves_no_secret),
        cmocka_unit_test(verify__refuses_every_changed_bit),
        cmocka_unit_test(verify__refuses_a_key_of_small_order),
        cmocka_unit_test(prove__vector),
        cmocka_unit_test(proof_holds__only_for_its_nonce_pair_and_key),
        cmocka_unit_test(proof_holds__not_for_an_id_that_is_not_the_keys),
        cmocka_unit_test(cluster_keys__vector),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
