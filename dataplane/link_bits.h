/* SPDX-License-Identifier: Apache-2.0 */
/* link_bits.h - one bit for each packet of a window, found by sequence number.

   LINK_WINDOW_MAX bits used as a ring: bit seq mod LINK_WINDOW_MAX.  Bits outside the window
   must be kept 0 by the owner, so that reads across its end find nothing.

   Threads: a plain value.  Units: sequence numbers.  Errors: none. */
#ifndef LINK_BITS_H
#define LINK_BITS_H

#include "link.h"

#define LINK_BITS_WORDS (LINK_WINDOW_MAX / 64)

struct link_bits {
    uint64_t w[LINK_BITS_WORDS];
};

static inline bool link_bit(const struct link_bits *b, uint32_t seq)
{
    return b->w[seq / 64 % LINK_BITS_WORDS] >> seq % 64 & 1;
}

static inline void link_bit_set(struct link_bits *b, uint32_t seq)
{
    b->w[seq / 64 % LINK_BITS_WORDS] |= 1ull << seq % 64;
}

static inline void link_bit_clear(struct link_bits *b, uint32_t seq)
{
    b->w[seq / 64 % LINK_BITS_WORDS] &= ~(1ull << seq % 64);
}

/* The 64 bits from seq on; bit 0 is seq. */
static inline uint64_t link_bits64(const struct link_bits *b, uint32_t seq)
{
    uint32_t i = seq / 64 % LINK_BITS_WORDS;
    uint32_t shift = seq % 64;
    uint64_t v = b->w[i] >> shift;

    if (shift != 0)
        v |= b->w[(i + 1) % LINK_BITS_WORDS] << (64 - shift);
    return v;
}

/* Finds the first set bit in [*seq, end).  False: there is none. */
static inline bool link_bits_next(const struct link_bits *b, uint32_t *seq, uint32_t end)
{
    while ((int32_t)(end - *seq) > 0) {
        uint64_t v = link_bits64(b, *seq);

        if (v != 0) {
            *seq += (uint32_t)__builtin_ctzll(v);
            return (int32_t)(end - *seq) > 0;
        }
        *seq += 64;
    }
    return false;
}

#endif
