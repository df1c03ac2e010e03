/* SPDX-License-Identifier: Apache-2.0 */
/* mix.h - one step of scrambling: numbers that start somewhere, hashes of small keys.

   Not for secrets.  Source: the finalizer of SplitMix64 (Steele, Lea, Flood, 2014).

   Threads: pure.  Units: none.  Errors: none. */
#ifndef MIX_H
#define MIX_H

#include <stdint.h>

/* mix64 of x, x + MIX_STEP, ... are SplitMix64's numbers from x on. */
#define MIX_STEP UINT64_C(0x9e3779b97f4a7c15)

static inline uint64_t mix64(uint64_t x)
{
    x += MIX_STEP;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

#endif
