/* SPDX-License-Identifier: Apache-2.0 */
/* payload.h - copying small payloads.

   Up to 64 bytes as 8-byte words, not as vectors and not by a call of memcpy: the reader's 8-byte loads then
   find whole stores to forward from, and the length is not known when compiling.

   Threads: pure.  Units: bytes.  Errors: none. */
#ifndef PAYLOAD_H
#define PAYLOAD_H

#include <stdint.h>
#include <string.h>

/* Apart, so that it is not weighed with the short ones where payload_copy is inlined. */
static __attribute__((noinline, unused)) void
payload_copy_long(void *dst, const void *src, uint32_t len)
{
    memcpy(dst, src, len);
}

static inline void payload_tail(uint8_t *d, const uint8_t *s, uint32_t len)
{
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

/* Word n of a payload.  The barrier keeps the compiler from joining two words. */
static inline void payload_word(uint8_t *d, const uint8_t *s, uint32_t n)
{
    uint64_t w;

    memcpy(&w, s + 8 * n, 8);
    __asm__("" : "+r"(w));
    memcpy(d + 8 * n, &w, 8);
}

/* payload_copy_brief is payload_copy of at most 32 bytes, by halves: no jump by a table, and a
   full one in 9 instructions. */
static inline void payload_copy_brief(uint8_t *d, const uint8_t *s, uint32_t len)
{
    if (len == 32) {
        payload_word(d, s, 0);
        payload_word(d, s, 1);
        payload_word(d, s, 2);
        payload_word(d, s, 3);
        return;
    }
    if ((len & 16) != 0) {
        payload_word(d, s, 0);
        payload_word(d, s, 1);
        d += 16;
        s += 16;
    }
    if ((len & 8) != 0) {
        payload_word(d, s, 0);
        d += 8;
        s += 8;
    }
    if (__builtin_expect((len & 7) != 0, 0))
        payload_tail(d, s, len);
}

static inline void payload_copy(void *dst, const void *src, uint32_t len)
{
    uint32_t words = len & ~7u;
    uint8_t *d;
    const uint8_t *s;
    uint64_t w;

    if (len == 0)
        return; /* src may be NULL then, to which nothing may be added */
    d = (uint8_t *)dst + words;
    s = (const uint8_t *)src + words;

/* Word n from the end.  The barrier keeps the compiler from joining two words. */
#define PAYLOAD_WORD(n)                                                                  \
    memcpy(&w, s - 8 * (n), 8);                                                          \
    __asm__("" : "+r"(w));                                                               \
    memcpy(d - 8 * (n), &w, 8)

    switch (words / 8) {
    case 8:
        PAYLOAD_WORD(8);
        __attribute__((fallthrough));
    case 7:
        PAYLOAD_WORD(7);
        __attribute__((fallthrough));
    case 6:
        PAYLOAD_WORD(6);
        __attribute__((fallthrough));
    case 5:
        PAYLOAD_WORD(5);
        __attribute__((fallthrough));
    case 4:
        PAYLOAD_WORD(4);
        __attribute__((fallthrough));
    case 3:
        PAYLOAD_WORD(3);
        __attribute__((fallthrough));
    case 2:
        PAYLOAD_WORD(2);
        __attribute__((fallthrough));
    case 1:
        PAYLOAD_WORD(1);
        __attribute__((fallthrough));
    case 0:
        break;
    default:
        payload_copy_long(dst, src, len);
        return;
    }
#undef PAYLOAD_WORD
    if (__builtin_expect((len & 7) != 0, 0))
        payload_tail(d, s, len);
}

#endif
