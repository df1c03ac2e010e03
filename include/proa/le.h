/* SPDX-License-Identifier: Apache-2.0 */
/* le.h - little-endian reads and writes at any alignment, for payloads and packets.

   Compilers turn each of these into one load or store on little-endian machines.

   Threads: pure.  Units: bytes.  Errors: none; the caller has checked the length. */
#ifndef PROA_LE_H
#define PROA_LE_H

#include <stdint.h>
#include <string.h>

#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
#define PROA_LE16(v) __builtin_bswap16(v)
#define PROA_LE32(v) __builtin_bswap32(v)
#define PROA_LE64(v) __builtin_bswap64(v)
#else
#define PROA_LE16(v) (v)
#define PROA_LE32(v) (v)
#define PROA_LE64(v) (v)
#endif

static inline uint16_t proa_get_le16(const void *p)
{
    uint16_t v;
    memcpy(&v, p, sizeof(v));
    return PROA_LE16(v);
}

static inline uint32_t proa_get_le32(const void *p)
{
    uint32_t v;
    memcpy(&v, p, sizeof(v));
    return PROA_LE32(v);
}

static inline uint64_t proa_get_le64(const void *p)
{
    uint64_t v;
    memcpy(&v, p, sizeof(v));
    return PROA_LE64(v);
}

static inline void proa_put_le16(void *p, uint16_t v)
{
    v = PROA_LE16(v);
    memcpy(p, &v, sizeof(v));
}

static inline void proa_put_le32(void *p, uint32_t v)
{
    v = PROA_LE32(v);
    memcpy(p, &v, sizeof(v));
}

static inline void proa_put_le64(void *p, uint64_t v)
{
    v = PROA_LE64(v);
    memcpy(p, &v, sizeof(v));
}

#endif
