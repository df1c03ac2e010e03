/* SPDX-License-Identifier: Apache-2.0 */
/* What a name may be is said twice, since actors/ and dht/ know nothing of each other: utf8_valid for the
   names of actors, record_name_is_valid for those in records.  A name that only one of them takes could
   be registered and never published, or come in and never be looked up.  Here both are held against each
   other and against a decoder that goes by the code points. */
#include "record.h"
#include "utf8.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ROUNDS 200000
#define LONG_MAX_LEN 64

/* The code point at the front, and how many bytes it has; 0 when there is none. */
static size_t decode(const uint8_t *text, size_t len, uint32_t *ret)
{
    size_t need = text[0] < 0x80             ? 1
                  : (text[0] & 0xe0) == 0xc0 ? 2
                  : (text[0] & 0xf0) == 0xe0 ? 3
                  : (text[0] & 0xf8) == 0xf0 ? 4
                                             : 0;

    if (need == 0 || need > len)
        return 0;
    *ret = need == 1 ? text[0] : text[0] & (0x7fu >> need);
    for (size_t i = 1; i < need; i++) {
        if ((text[i] & 0xc0) != 0x80)
            return 0;
        *ret = *ret << 6 | (text[i] & 0x3f);
    }
    return need;
}

/* By the definition of RFC 3629, section 3: the shortest form of a code point that is none of the
   surrogates and at most U+10FFFF; and not NUL. */
static bool is_name(const uint8_t *text, size_t len)
{
    static const uint32_t least[] = {0, 1, 0x80, 0x800, 0x10000};
    uint32_t point;

    for (size_t at = 0; at < len;) {
        size_t step = decode(text + at, len - at, &point);

        if (step == 0 || point < least[step] || point > 0x10ffff ||
            (point >= 0xd800 && point <= 0xdfff))
            return false;
        at += step;
    }
    return len > 0;
}

/* What the two say, who must agree. */
static bool both(const uint8_t *text, size_t len)
{
    const char *name = (const char *)text;
    bool expected = is_name(text, len), actors = utf8_valid(name, len);
    bool dht = record_name_is_valid(name, len);

    if (actors == expected && dht == expected)
        return expected;
    for (size_t i = 0; i < len; i++)
        fprintf(stderr, "%02x ", text[i]);
    fail_msg("expected %d, utf8_valid %d, record_name_is_valid %d", expected, actors,
             dht);
    return false;
}

static void every_sequence__of_1_to_3_bytes(void **state)
{
    unsigned valid[4] = {0};

    (void)state;
    for (size_t len = 1; len <= 3; len++)
        for (uint32_t n = 0; n < 1u << 8 * len; n++) {
            const uint8_t text[3] = {(uint8_t)n, (uint8_t)(n >> 8), (uint8_t)(n >> 16)};

            valid[len] += both(text, len);
        }
    assert_int_equal(valid[1], 127);
    assert_int_equal(valid[2], 127 * 127 + 1920);
    assert_int_equal(valid[3], 127 * 127 * 127 + 2 * 127 * 1920 + 61440);
}

static void every_sequence__of_4_bytes_by_their_edges(void **state)
{
    static const uint8_t edges[] = {0x00, 0x01, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf,
                                    0xc0, 0xc1, 0xc2, 0xdf, 0xe0, 0xe1, 0xec, 0xed, 0xee,
                                    0xef, 0xf0, 0xf1, 0xf3, 0xf4, 0xf5, 0xf7, 0xf8, 0xff};
    unsigned count = sizeof(edges), valid = 0;

    (void)state;
    for (unsigned n = 0; n < count * count * count * count; n++) {
        const uint8_t text[4] = {edges[n % count], edges[n / count % count],
                                 edges[n / count / count % count],
                                 edges[n / count / count / count]};

        valid += both(text, 4);
    }
    assert_in_range(valid, 100, count * count * count * count / 2);
}

static uint64_t random_state;

static uint32_t next_random(uint32_t below)
{
    random_state = random_state * UINT64_C(6364136223846793005) + 1;
    return (uint32_t)((random_state >> 33) % below);
}

/* The form of a code point, whatever it is, in so many bytes as it takes. */
static size_t encode(uint32_t point, uint8_t *ret)
{
    size_t need = point < 0x80 ? 1 : point < 0x800 ? 2 : point < 0x10000 ? 3 : 4;

    if (need == 1) {
        ret[0] = (uint8_t)point;
        return 1;
    }
    for (size_t i = need - 1; i > 0; i--, point >>= 6)
        ret[i] = 0x80 | (point & 0x3f);
    ret[0] = (uint8_t)(0xf00 >> need | point);
    return need;
}

/* Text of characters of all sizes; in half of it one byte is another then, or the end is missing. */
static void longer_ones__at_random(void **state)
{
    static const uint32_t below[] = {0x80, 0x800, 0x10000, 0x118000};
    unsigned valid = 0;

    (void)state;
    for (unsigned round = 0; round < ROUNDS; round++) {
        uint8_t text[LONG_MAX_LEN];
        size_t len = 0, wanted = 4 + next_random(LONG_MAX_LEN - 8);

        while (len < wanted) {
            uint32_t point = next_random(below[next_random(4)]);

            if (next_random(50) != 0 && (point == 0 || point >> 11 == 0x1b))
                point = 'a'; /* few are NUL or surrogates */
            len += encode(point, text + len);
        }
        if (next_random(4) == 0)
            text[next_random((uint32_t)len)] = (uint8_t)next_random(256);
        else if (next_random(4) == 0)
            len -= next_random(3);
        /* At the end of a block, so that ASan sees who reads on. */
        uint8_t block[LONG_MAX_LEN], *at = block + sizeof(block) - len;

        memcpy(at, text, len);
        valid += both(at, len);
    }
    assert_in_range(valid, ROUNDS / 10, ROUNDS / 10 * 9);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_sequence__of_1_to_3_bytes),
        cmocka_unit_test(every_sequence__of_4_bytes_by_their_edges),
        cmocka_unit_test(longer_ones__at_random),
    };
    const char *seed = getenv("PROA_SIM_SEED");

    random_state = seed != NULL ? strtoull(seed, NULL, 0) : 3629;
    printf("seed %llu\n", (unsigned long long)random_state);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
