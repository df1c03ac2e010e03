/* SPDX-License-Identifier: Apache-2.0 */
/* secrets.h - numbers nobody can guess, from one seed.

   Nonces, link secrets and first sequence numbers are the output of ChaCha20 under a key made
   of the seed and the node's secret key: the same seed and identity give the same numbers, so
   that a test can be run again, and nobody without the key can tell the next one.

   Threads: one at a time.  Units: none.  Errors: none. */
#ifndef SECRETS_H
#define SECRETS_H

#include <proa/types.h>

#include "identity.h"

struct secrets {
    uint8_t key[32];
    uint64_t count; /* numbers given so far: the nonce of the next one */
};

void secrets_init(struct secrets *self, uint64_t seed, const struct identity *identity);
void secrets_fini(struct secrets *self); /* overwrites the key */

/* secrets_next returns the next number, never 0. */
uint64_t secrets_next(struct secrets *self);

#endif
