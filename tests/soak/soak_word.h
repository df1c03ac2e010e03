/* SPDX-License-Identifier: Apache-2.0 */
/* soak_word.h - what every message of a soak carries: whose it is, and bytes that follow from it.

   Threads: pure.  Units: bytes.  Errors: false: damaged, or of somebody else. */
#ifndef SOAK_WORD_H
#define SOAK_WORD_H

#include <string.h>

#include "soak_books.h"

#define SOAK_MAGIC 0x6b616f732d616f72u

struct soak_word {
    uint64_t magic;
    uint32_t round, from, to, stream; /* lives; to: SOAK_NONE of a multicast */
    uint32_t number;                  /* of its pair and stream */
    uint32_t slot, serial;            /* of an ask */
    uint32_t len;                     /* of the whole message */
    struct proa_ref ref;              /* the receiver; of an answer: who answered */
};

static inline uint64_t soak_word_key(const struct soak_word *w)
{
    return ((uint64_t)w->from << 40 ^ (uint64_t)w->number << 8 ^ w->stream ^ w->serial) *
           0x9e3779b97f4a7c15u;
}

/* soak_word_put writes the word and what follows it, w->len bytes in all. */
static inline void soak_word_put(uint8_t *buf, const struct soak_word *w)
{
    uint64_t key = soak_word_key(w);
    uint32_t at = sizeof(*w);

    memcpy(buf, w, sizeof(*w));
    for (; at + 8 <= w->len; at += 8, key += 0x2545f4914f6cdd1du)
        memcpy(buf + at, &key, 8);
    memcpy(buf + at, &key, w->len - at);
}

/* soak_word_get reads it back and looks at every byte. */
static inline bool soak_word_get(const void *data, uint32_t len, struct soak_word *ret)
{
    const uint8_t *buf = data;
    uint64_t key, wrong = 0;
    uint32_t at = sizeof(*ret);

    if (len < sizeof(*ret))
        return false;
    memcpy(ret, buf, sizeof(*ret));
    if (ret->magic != SOAK_MAGIC || ret->len != len || ret->stream >= SOAK_STREAMS)
        return false;
    key = soak_word_key(ret);
    for (; at + 8 <= len; at += 8, key += 0x2545f4914f6cdd1du) {
        uint64_t word;

        memcpy(&word, buf + at, 8);
        wrong |= word ^ key;
    }
    return wrong == 0 && memcmp(buf + at, &key, len - at) == 0;
}

#endif
