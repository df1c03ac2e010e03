/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdio.h>

#include "next_hops.h"

static const uint8_t mac_a[6] = {2, 0, 0, 0, 0, 1}, mac_b[6] = {2, 0, 0, 0, 0, 2};

static void set_ip(uint8_t ip[16], uint32_t n)
{
    const uint8_t mapped[16] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10};

    memcpy(ip, mapped, 16);
    ip[13] = (uint8_t)(n >> 16);
    ip[14] = (uint8_t)(n >> 8);
    ip[15] = (uint8_t)n;
}

/* What the filling thread was asked. */
struct asked {
    unsigned count;
    struct next_hop *last;
};

static void take(void *ctx, struct next_hop *e)
{
    struct asked *asked = ctx;

    asked->count++;
    asked->last = e;
}

static struct next_hop *ask(struct next_hops *t, uint32_t n)
{
    struct asked asked = {0, NULL};
    uint8_t ip[16];

    set_ip(ip, n);
    assert_true(next_hops_want(t, 0, ip));
    next_hops_take_wants(t, take, &asked);
    return asked.last;
}

static void find__knows_what_was_put_and_nothing_else(void **state)
{
    struct next_hops *t = next_hops_create(1);
    uint8_t ip[16], other[16], mac[6] = {0};
    struct next_hop *e;

    (void)state;
    set_ip(ip, 7);
    set_ip(other, 8);
    assert_false(next_hops_find(t, ip, mac));
    e = ask(t, 7);
    assert_non_null(e);
    assert_memory_equal(e->ip, ip, 16);
    assert_false(next_hops_find(t, ip, mac)); /* asked for, not yet known */
    next_hops_put(t, e, mac_a);
    assert_true(next_hops_find(t, ip, mac));
    assert_memory_equal(mac, mac_a, 6);
    assert_false(next_hops_find(t, other, mac));
    next_hops_put(t, e, NULL);
    assert_false(next_hops_find(t, ip, mac));
    next_hops_destroy(t);
}

static void want__one_question_of_a_lane_at_a_time(void **state)
{
    struct next_hops *t = next_hops_create(2);
    struct asked asked = {0, NULL};
    uint8_t one[16], two[16];

    (void)state;
    set_ip(one, 1);
    set_ip(two, 2);
    assert_true(next_hops_want(t, 0, one));
    assert_false(next_hops_want(t, 0, two));
    assert_true(next_hops_want(t, 1, two)); /* another lane's is its own */
    next_hops_take_wants(t, take, &asked);
    assert_int_equal(asked.count, 2);
    next_hops_take_wants(t, take, &asked);
    assert_int_equal(asked.count, 2); /* taken once */
    assert_true(next_hops_want(t, 0, two));
    next_hops_destroy(t);
}

static void reach__changes_all_behind_one_hop(void **state)
{
    struct next_hops *t = next_hops_create(1);
    uint8_t gateway[16], mac[6];

    (void)state;
    set_ip(gateway, 1);
    for (uint32_t n = 100; n < 110; n++) {
        struct next_hop *e = ask(t, n);

        memcpy(e->hop, n < 105 ? gateway : e->ip, 16);
        e->routed = true;
    }
    next_hops_reach(t, gateway, mac_b);
    for (uint32_t n = 100; n < 110; n++) {
        uint8_t ip[16];

        set_ip(ip, n);
        assert_int_equal(next_hops_find(t, ip, mac), n < 105);
    }
    next_hops_destroy(t);
}

static void cache__serves_until_the_table_changes(void **state)
{
    struct next_hops *t = next_hops_create(1);
    struct hop_cache cache = {0};
    struct asked asked = {0, NULL};
    uint8_t ip[16], other[16];
    const uint8_t *mac;

    (void)state;
    set_ip(ip, 1);
    set_ip(other, 2);
    assert_null(hop_cache_find(&cache, t, 0, ip, PROA_S));
    next_hops_take_wants(t, take, &asked); /* a miss has asked */
    assert_int_equal(asked.count, 1);
    assert_null(
        hop_cache_find(&cache, t, 0, ip, PROA_S + 1)); /* and asks no sooner than */
    next_hops_take_wants(t, take, &asked);             /* NEXT_HOPS_WANT later */
    assert_int_equal(asked.count, 1);
    assert_null(hop_cache_find(&cache, t, 0, ip, PROA_S + NEXT_HOPS_WANT));
    next_hops_take_wants(t, take, &asked);
    assert_int_equal(asked.count, 2);

    next_hops_put(t, asked.last, mac_a);
    mac = hop_cache_find(&cache, t, 0, ip, 2 * PROA_S);
    assert_non_null(mac);
    assert_memory_equal(mac, mac_a, 6);
    assert_true(next_hop_take_seen(asked.last));
    assert_non_null(hop_cache_find(&cache, t, 0, ip, 2 * PROA_S + 1));
    assert_false(next_hop_take_seen(asked.last)); /* the table was not asked */
    assert_non_null(hop_cache_find(&cache, t, 0, ip, 2 * PROA_S + NEXT_HOPS_TRUST));
    assert_true(next_hop_take_seen(asked.last)); /* now it was */

    next_hops_put(t, asked.last, mac_b);
    mac = hop_cache_find(&cache, t, 0, ip, 3 * PROA_S);
    assert_memory_equal(mac, mac_b, 6);
    assert_null(hop_cache_find(&cache, t, 0, other, 3 * PROA_S));
    next_hops_destroy(t);
}

/* More destinations than the table has room for: some are refused, none is wrong, and those that
   nobody answered make room. */
static void wants__beyond_the_bound(void **state)
{
    struct next_hops *t = next_hops_create(1);
    unsigned taken = 0;
    uint8_t ip[16], mac[6];

    (void)state;
    for (uint32_t n = 0; n < 2 * NEXT_HOPS_MAX; n++) {
        struct next_hop *e = ask(t, n);

        if (e == NULL)
            continue;
        const uint8_t own[6] = {2,         0, 0, (uint8_t)(n >> 16), (uint8_t)(n >> 8),
                                (uint8_t)n};
        next_hops_put(t, e, own);
        taken++;
    }
    assert_in_range(taken, NEXT_HOPS_MAX * 3 / 4, NEXT_HOPS_MAX);
    assert_int_equal(next_hops_full(t), 2 * NEXT_HOPS_MAX - taken);
    for (uint32_t n = 0; n < 2 * NEXT_HOPS_MAX; n++) {
        set_ip(ip, n);
        if (next_hops_find(t, ip, mac)) {
            assert_int_equal(mac[3] << 16 | mac[4] << 8 | mac[5], n);
            taken--;
        }
    }
    assert_int_equal(taken, 0);
    for (unsigned i = 0; i < NEXT_HOPS_MAX; i++) {
        struct next_hop *e = next_hops_at(t, i);

        if (e != NULL) {
            next_hops_put(t, e, NULL);
            e->age = NEXT_HOPS_FORGET;
        }
    }
    assert_non_null(ask(t, 1u << 20));
    next_hops_destroy(t);
}

struct race {
    struct next_hops *t;
    _Atomic bool stop;
    _Atomic uint64_t found, wrong;
};

#define RACE_ADDRESSES 8u

/* A lane: whatever it finds must belong to what it asked for. */
static void *race_lane(void *arg)
{
    struct race *race = arg;
    struct hop_cache cache = {0};
    proa_ns now = 0;

    for (uint32_t n = 0; !atomic_load(&race->stop); n++) {
        uint8_t ip[16];
        const uint8_t *mac;

        set_ip(ip, n % RACE_ADDRESSES);
        now += PROA_MS;
        mac = hop_cache_find(&cache, race->t, 0, ip, now);
        if (mac == NULL)
            continue;
        atomic_fetch_add(mac[5] == n % RACE_ADDRESSES ? &race->found : &race->wrong, 1);
    }
    return NULL;
}

static void race_fill(void *ctx, struct next_hop *e)
{
    const uint8_t mac[6] = {2, 0, 0, 0, 0, e->ip[15]};

    next_hops_put(ctx, e, mac);
}

static void find__while_the_table_changes(void **state)
{
    struct race race = {.t = next_hops_create(1)};
    pthread_t lane;

    (void)state;
    assert_int_equal(pthread_create(&lane, NULL, race_lane, &race), 0);
    for (uint32_t i = 0; atomic_load(&race.found) < 20000; i++) {
        next_hops_take_wants(race.t, race_fill, race.t);
        struct next_hop *e = next_hops_at(race.t, i % NEXT_HOPS_MAX);

        if (e != NULL) {
            next_hops_put(race.t, e, NULL);
            e->age = NEXT_HOPS_FORGET;
        }
    }
    atomic_store(&race.stop, true);
    pthread_join(lane, NULL);
    assert_int_equal(atomic_load(&race.wrong), 0);
    next_hops_destroy(race.t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(find__knows_what_was_put_and_nothing_else),
        cmocka_unit_test(want__one_question_of_a_lane_at_a_time),
        cmocka_unit_test(reach__changes_all_behind_one_hop),
        cmocka_unit_test(cache__serves_until_the_table_changes),
        cmocka_unit_test(wants__beyond_the_bound),
        cmocka_unit_test(find__while_the_table_changes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
