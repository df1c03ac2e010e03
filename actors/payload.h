/* SPDX-License-Identifier: Apache-2.0 */
/* payload.h - copying small payloads.

   As 8-byte words, not as vectors and not by a call of memcpy: the reader's 8-byte loads then
   find whole stores to forward from, and the length is not known when compiling.

   Threads: pure.  Units: bytes.  Errors: none. */
#ifndef PAYLOAD_H
#define PAYLOAD_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define PAYLOAD_WORDS_MAX 256u /* longer ones are left to memcpy */

static inline void payload_copy(void *dst, const void *src, uint32_t len)
{
    uint32_t words = len & ~7u;
    uint8_t *d = (uint8_t *)dst + words;
    const uint8_t *s = (const uint8_t *)src + words;

    if (__builtin_expect(len > PAYLOAD_WORDS_MAX, 0)) {
        memcpy(dst, src, len);
        return;
    }
    for (ptrdiff_t i = -(ptrdiff_t)words; i != 0; i += 8) {
        memcpy(d + i, s + i, 8);
        /* Keeps the compiler from turning the loop back into a call of memcpy. */
        __asm__("" : "+r"(i));
    }
    if (__builtin_expect((len & 7) == 0, 1))
        return;
    if ((len & 4) != 0) {
        memcpy(d, s, 4);
        d += 4;
        s += 4;
    }
    if ((len & 2) != 0) {
        memcpy(d, s, 2);
        d += 2;
        s += 2;
    }
    if ((len & 1) != 0)
        *d = *s;
}

#endif
