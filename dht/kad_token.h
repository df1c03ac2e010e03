/* SPDX-License-Identifier: Apache-2.0 */
/* kad_token.h - write tokens: who presents one has lately received an answer of ours at
   that endpoint, so a forged source address can store and subscribe nothing.

   A token is SipHash-2-4 over the endpoint, keyed with a secret that changes every 5 minutes;
   the one before it still counts, so a token lives 5 to 10 minutes.

   Threads: one owner.  Units: proa_ns, bytes.  Errors: none. */
#ifndef PROA_DHT_KAD_TOKEN_H
#define PROA_DHT_KAD_TOKEN_H

#include "kad_random.h"

#include <proa/types.h>

#define KAD_TOKEN_LEN 8
#define KAD_TOKEN_PERIOD (300 * PROA_S) /* a secret's time in use.  Source: BEP 5 */

struct kad_token {
    uint8_t secret[16];
    uint8_t before[16]; /* the secret of the period before */
};

void kad_token_init(struct kad_token *self, struct kad_random *random);

/* kad_token_rotate takes a new secret; the caller does so every KAD_TOKEN_PERIOD. */
void kad_token_rotate(struct kad_token *self, struct kad_random *random);

/* kad_token_make computes the token that `addr` is handed. */
void kad_token_make(const struct kad_token *self, const struct proa_addr *addr,
                    uint8_t ret_token[KAD_TOKEN_LEN]);

/* kad_token_holds tells whether these len bytes are a token that addr was handed. */
bool kad_token_holds(const struct kad_token *self, const struct proa_addr *addr,
                     const uint8_t *token, size_t len);

#endif
