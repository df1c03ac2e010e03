/* SPDX-License-Identifier: Apache-2.0 */
/* kad_random.h - a node's randomness: a ChaCha20 stream of a seed and the node's secret.

   The same seed and secret give the same stream, so a simulation repeats itself; without
   the secret nobody predicts a transaction id or a nonce.

   Threads: one owner.  Units: bytes.  Errors: none. */
#ifndef PROA_DHT_KAD_RANDOM_H
#define PROA_DHT_KAD_RANDOM_H

#include <proa/types.h>

#define KAD_RANDOM_BLOCK 64 /* bytes made at once */

struct kad_random {
    uint64_t blocks; /* made so far: the stream's nonce */
    uint32_t at;     /* bytes of the present block that are used up */
    uint8_t key[32];
    uint8_t block[KAD_RANDOM_BLOCK];
};

void kad_random_init(struct kad_random *self, uint64_t seed, const void *secret,
                     size_t secret_len);
void kad_random_bytes(struct kad_random *self, void *ret_bytes, size_t len);
uint64_t kad_random_u64(struct kad_random *self);

/* kad_random_jitter returns span give or take a fifth, so that nodes that began together do
   not stay together. */
proa_ns kad_random_jitter(struct kad_random *self, proa_ns span);

#endif
