/* SPDX-License-Identifier: Apache-2.0 */
/* The names' hash by AES instructions; compiled with them (meson.build), called where they are. */
#include <string.h>

#include <wmmintrin.h>

#include "directory_hash.h"

#define BLOCK 16u

_Static_assert(PROA_NAME_MAX < HASH_BLOCKS * BLOCK, "a secret for each block's place");

bool directory_aes_here(void)
{
    return __builtin_cpu_supports("aes");
}

static inline uint64_t le64(const char *at)
{
    uint64_t w;

    memcpy(&w, at, sizeof(w));
    return w;
}

/* The bytes of a name shorter than a block; of two of one length no two give the same. */
static inline __m128i short_name(const char *name, size_t len)
{
    uint32_t first, last;

    if (len >= 8)
        return _mm_set_epi64x((long long)le64(name + len - 8), (long long)le64(name));
    if (len >= 4) {
        memcpy(&first, name, sizeof(first));
        memcpy(&last, name + len - 4, sizeof(last));
    } else {
        first = (uint32_t)(uint8_t)name[0] << 8 | (uint8_t)name[len / 2];
        last = (uint8_t)name[len - 1];
    }
    return _mm_set_epi64x(0, (long long)((uint64_t)last << 32 | first));
}

struct keys {
    __m128i round[4];
};

static inline __m128i four_rounds(const struct keys *k, __m128i x)
{
    x = _mm_aesenc_si128(x, k->round[0]);
    x = _mm_aesenc_si128(x, k->round[1]);
    x = _mm_aesenc_si128(x, k->round[2]);
    return _mm_aesenc_si128(x, k->round[3]);
}

static inline __m128i block_at(const struct keys *k, const __m128i *secret,
                               const char *at)
{
    __m128i block = _mm_loadu_si128((const __m128i *)(const void *)at);

    return four_rounds(k, _mm_xor_si128(block, _mm_load_si128(secret)));
}

static inline __attribute__((always_inline)) struct name_key
name_hash_aes(const struct directory *dir, const char *name, size_t len)
{
    const __m128i *secret = (const __m128i *)(const void *)dir->hash_blocks;
    const __m128i *round = (const __m128i *)(const void *)dir->hash_rounds;
    struct keys k = {{round[0], round[1], round[2], round[3]}};
    __m128i length = _mm_set_epi64x(0, (long long)len);
    __m128i sum = four_rounds(&k, _mm_xor_si128(length, secret[0]));

    if (len < BLOCK) {
        __m128i block = _mm_xor_si128(short_name(name, len), secret[1]);

        sum = _mm_xor_si128(sum, four_rounds(&k, block));
    } else {
        /* The last block may overlap the one before, and has a secret of its own. */
        const char *last = name + len - BLOCK;

        sum = _mm_xor_si128(sum, block_at(&k, &secret[1], last));
        for (secret += 2; name < last; name += BLOCK, secret++)
            sum = _mm_xor_si128(sum, block_at(&k, secret, name));
    }
    return (struct name_key){(uint64_t)_mm_cvtsi128_si64(sum),
                             (uint64_t)_mm_cvtsi128_si64(_mm_unpackhi_epi64(sum, sum))};
}

struct name_key directory_key_aes(const struct directory *dir, const char *name,
                                  size_t len)
{
    return name_hash_aes(dir, name, len);
}

enum proa_outcome directory_lookup_aes(const struct directory *dir, const char *name,
                                       size_t len, uint32_t type, proa_ns now,
                                       struct proa_ref *ret_ref)
{
    return lookup_key(dir, name_hash_aes(dir, name, len), type, now, ret_ref);
}
