/* SPDX-License-Identifier: Apache-2.0 */
/* identity.h - who a node is, and the keys its cluster shares.

   A node makes one Ed25519 key at each boot and never writes it down; its Kademlia id is
   the first 20 bytes of BLAKE2b-256 over the public key, so the id is the incarnation.
   The cluster's secret makes members: every use has a key of its own derived from it, so
   that a byte string made for one use means nothing to another.

   Threads: pure functions over the caller's memory; any thread.  The process has called
            sodium_init before.
   Units:   lengths are bytes.
   Errors:  0, or a positive IDENTITY_E_; bool where only "does it hold" is asked. */
#ifndef PROA_DHT_IDENTITY_H
#define PROA_DHT_IDENTITY_H

#include "kad_id.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PROA_SEED_LEN 32       /* of an Ed25519 key pair */
#define PROA_PUBLIC_KEY_LEN 32 /* Ed25519 */
#define PROA_SECRET_KEY_LEN 64 /* libsodium's form: seed || public key */
#define PROA_SIGNATURE_LEN 64  /* Ed25519 */
#define PROA_PROOF_NONCE_LEN 16
#define PROA_CLUSTER_SECRET_LEN 32
#define PROA_CLUSTER_KEY_LEN 32

#define IDENTITY_E_UNUSABLE 1 /* the seed gives an id whose node64 is 0: take another */

struct identity {
    struct kad_id id;
    uint8_t public_key[PROA_PUBLIC_KEY_LEN];
    uint8_t secret_key[PROA_SECRET_KEY_LEN];
};

/* identity_init makes the key pair and the id of a seed, which must be random and secret.
   The same seed makes the same identity.  Returns 0 or IDENTITY_E_UNUSABLE (chance 2^-64). */
int identity_init(struct identity *self, const uint8_t seed[PROA_SEED_LEN]);

/* identity_fini overwrites the secret key. */
void identity_fini(struct identity *self);

/* identity_id_of_key computes the Kademlia id that belongs to a public key. */
void identity_id_of_key(const uint8_t public_key[PROA_PUBLIC_KEY_LEN],
                        struct kad_id *ret_id);

/* identity_sign signs len bytes.  Deterministic.  Cost: 16 us. */
void identity_sign(const struct identity *self, const void *bytes, size_t len,
                   uint8_t ret_signature[PROA_SIGNATURE_LEN]);

/* identity_verify tells whether signature was made over these bytes by the owner of
   public_key.  Keys of small order and non-canonical signatures are refused.  Cost: 40 us. */
bool identity_verify(const uint8_t public_key[PROA_PUBLIC_KEY_LEN], const void *bytes,
                     size_t len, const uint8_t signature[PROA_SIGNATURE_LEN]);

/* identity_prove answers a challenge: a signature over
   "proa key proof" || nonce || querier's id || own id.  The two ids bind it to this pair of
   nodes, so it cannot be shown to a third. */
void identity_prove(const struct identity *self,
                    const uint8_t nonce[PROA_PROOF_NONCE_LEN],
                    const struct kad_id *querier, uint8_t ret_proof[PROA_SIGNATURE_LEN]);

/* identity_proof_holds checks such an answer: public_key must hash to `prover`, and the proof
   must be its signature over our nonce, our id (querier) and the prover's id. */
bool identity_proof_holds(const uint8_t public_key[PROA_PUBLIC_KEY_LEN],
                          const uint8_t nonce[PROA_PROOF_NONCE_LEN],
                          const struct kad_id *querier, const struct kad_id *prover,
                          const uint8_t proof[PROA_SIGNATURE_LEN]);

/* The keys derived from the cluster's secret: BLAKE2b-256 keyed with the secret over the
   string named beside each. */
struct cluster_keys {
    uint8_t krpc[PROA_CLUSTER_KEY_LEN]; /* "proa krpc envelope": MAC of envelope.h */
    uint8_t
        packet[PROA_CLUSTER_KEY_LEN]; /* "proa keyed packet": MAC of keyed link packets */
    uint8_t link[PROA_CLUSTER_KEY_LEN]; /* "proa link secret": mixed into link secrets */
};

/* cluster_keys_init derives all keys of a cluster secret. */
void cluster_keys_init(struct cluster_keys *self,
                       const uint8_t secret[PROA_CLUSTER_SECRET_LEN]);

/* cluster_keys_fini overwrites them. */
void cluster_keys_fini(struct cluster_keys *self);

#endif
