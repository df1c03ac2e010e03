/* SPDX-License-Identifier: Apache-2.0 */
/* The two hashes of names: nothing beyond a name is read, alike names do not meet, and both serve a
   directory.  The one by AES instructions is left out where the processor has none. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "directory_hash.h"
#include "mix.h"

#define NODE ((uint64_t)0xa1a2a3a4a5a6a7a8)
#define NOW (1000 * PROA_S)
#define KEYS_MAX 300000u

static struct directory *create(bool aes, uint32_t names_max, uint8_t number)
{
    const uint8_t seed[32] = {number, 2, 3};
    struct directory *dir = directory_create(names_max, seed);

    assert_non_null(dir);
    assert_true(!aes || directory_aes_here());
    dir->aes = aes;
    assert_non_null(directory_node_add(dir, NODE, NOW + PROA_S));
    return dir;
}

/* Both hashes, or one. */
static void with_each(void (*check)(bool aes))
{
    check(false);
    if (directory_aes_here())
        check(true);
}

static struct {
    struct name_key keys[KEYS_MAX];
    uint32_t count;
} seen;

static void see(const struct directory *dir, const char *name, size_t len)
{
    assert_true(seen.count < KEYS_MAX);
    seen.keys[seen.count++] = directory_key(dir, name, len);
}

static int by_key(const void *a, const void *b)
{
    return memcmp(a, b, sizeof(struct name_key));
}

static void assert_all_differ(void)
{
    qsort(seen.keys, seen.count, sizeof(seen.keys[0]), by_key);
    for (uint32_t i = 1; i < seen.count; i++)
        assert_memory_not_equal(&seen.keys[i - 1], &seen.keys[i], sizeof(seen.keys[0]));
    seen.count = 0;
}

static void fill_random(char *name, size_t len, uint64_t *random)
{
    for (size_t i = 0; i < len; i++)
        name[i] = (char)(mix64(*random += MIX_STEP) >> 32);
}

/* Each in memory of its own, so that ASan sees a byte read beyond it. */
static void check_lengths(bool aes)
{
    struct directory *dir = create(aes, 10, 1), *other = create(aes, 10, 2);
    uint64_t random = 20261122;

    for (size_t len = 1; len <= PROA_NAME_MAX; len++) {
        char *name = malloc(len), *same = malloc(len);

        fill_random(name, len, &random);
        memcpy(same, name, len);
        struct name_key a = directory_key(dir, name, len);
        struct name_key b = directory_key(dir, same, len);
        struct name_key c = directory_key(other, same, len);
        assert_memory_equal(&a, &b, sizeof(a));
        assert_memory_not_equal(&a, &c, sizeof(a)); /* another secret */
        free(name);
        free(same);
    }
    directory_destroy(dir);
    directory_destroy(other);
}

static void hash__reads_the_name_and_nothing_else(void **state)
{
    (void)state;
    with_each(check_lengths);
}

/* One byte again and again, in every number: the last block overlaps the one before, and then only
   the length tells them apart.  Behind a first byte too. */
static void check_repeats(bool aes)
{
    struct directory *dir = create(aes, 10, 1);
    char name[PROA_NAME_MAX];

    for (int byte = 0; byte < 256; byte++) {
        memset(name, byte, sizeof(name));
        for (size_t len = 1; len <= PROA_NAME_MAX; len++)
            see(dir, name, len);
        name[0] = (char)(byte + 1);
        for (size_t len = 2; len <= PROA_NAME_MAX; len++)
            see(dir, name, len);
    }
    assert_all_differ();
    directory_destroy(dir);
}

static void hash__tells_lengths_apart(void **state)
{
    (void)state;
    with_each(check_repeats);
}

/* Every pair of bits of names of some lengths, turned over; blocks in another order. */
static void check_neighbours(bool aes)
{
    static const size_t lengths[] = {3, 7, 12, 16, 17, 31, 33};
    struct directory *dir = create(aes, 10, 1);
    uint64_t random = 77;
    char name[64], turned[64];

    for (size_t k = 0; k < sizeof(lengths) / sizeof(lengths[0]); k++) {
        size_t len = lengths[k], bits = 8 * len;

        fill_random(name, len, &random);
        for (size_t i = 0; i < bits; i++) {
            for (size_t j = i; j < bits; j++) {
                memcpy(turned, name, len);
                turned[i / 8] ^= (char)(1 << i % 8);
                turned[j / 8] ^= (char)(i == j ? 0 : 1 << j % 8);
                see(dir, turned, len);
            }
        }
    }
    for (size_t i = 0; i < sizeof(name); i++)
        name[i] = (char)(i / 16);
    see(dir, name, sizeof(name));
    memset(name, 1, 16);
    memset(name + 16, 0, 16);
    see(dir, name, sizeof(name));
    assert_all_differ();
    directory_destroy(dir);
}

static void hash__tells_neighbours_apart(void **state)
{
    (void)state;
    with_each(check_neighbours);
}

/* Numbered names fall into homes, tags and the group table's places as balls thrown at random do. */
static void check_spread(bool aes)
{
    enum { PLACES = 256, NAMES = 64 * PLACES };
    uint32_t low[PLACES] = {0}, high[PLACES] = {0};
    struct directory *dir = create(aes, 10, 1);
    char name[40];

    for (uint32_t i = 0; i < NAMES; i++) {
        size_t len =
            (size_t)snprintf(name, sizeof(name), "cluster/service/worker-%09u", i);
        struct name_key key = directory_key(dir, name, len);

        low[key.low % PLACES]++;
        high[key.high >> 56]++;
    }
    /* 64 expected, 8 the standard deviation. */
    for (uint32_t i = 0; i < PLACES; i++) {
        assert_in_range(low[i], 64 - 40, 64 + 40);
        assert_in_range(high[i], 64 - 40, 64 + 40);
    }
    directory_destroy(dir);
}

static void hash__spreads_numbered_names(void **state)
{
    (void)state;
    with_each(check_spread);
}

/* Names of every length, put, moved and removed: three in a line and more among them. */
static void check_directory(bool aes)
{
    enum { NAMES = 3000 };
    struct directory *dir = create(aes, NAMES, 1);
    char name[PROA_NAME_MAX + 1];
    struct proa_ref got;

    for (uint32_t round = 1; round <= 3; round++) {
        for (uint32_t i = 0; i < NAMES; i++) {
            int len = snprintf(name, sizeof(name), "%0*u", (int)(5 + i % 250), i);
            struct proa_ref ref = {NODE, i, round};

            assert_true(directory_put(dir, name, (size_t)len, ref, 0, NOW));
        }
        for (uint32_t i = 0; i < NAMES; i++) {
            int len = snprintf(name, sizeof(name), "%0*u", (int)(5 + i % 250), i);

            assert_int_equal(directory_lookup(dir, name, (size_t)len, 0, NOW, &got),
                             PROA_OK);
            assert_int_equal(got.slot, i);
            assert_int_equal(got.generation, round);
            name[0] = 'x';
            assert_int_equal(directory_lookup(dir, name, (size_t)len, 0, NOW, &got),
                             PROA_UNKNOWN);
        }
        directory_reclaim(dir);
    }
    assert_int_equal(directory_lookup(dir, name, 0, 0, NOW, &got), PROA_UNKNOWN);
    assert_int_equal(directory_lookup(dir, name, PROA_NAME_MAX + 1, 0, NOW, &got),
                     PROA_UNKNOWN);
    directory_destroy(dir);
}

static void hash__serves_a_directory(void **state)
{
    (void)state;
    with_each(check_directory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hash__reads_the_name_and_nothing_else),
        cmocka_unit_test(hash__tells_lengths_apart),
        cmocka_unit_test(hash__tells_neighbours_apart),
        cmocka_unit_test(hash__spreads_numbered_names),
        cmocka_unit_test(hash__serves_a_directory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
