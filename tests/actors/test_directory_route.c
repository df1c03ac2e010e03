/* SPDX-License-Identifier: Apache-2.0 */
/* Picking a member: each policy, with silent nodes, and whose keys move when one leaves. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "directory_impl.h"

#define HERE ((uint64_t)0xa1a2a3a4a5a6a7a8)
#define FAR(n) ((uint64_t)0xf000000000000000 + (n))
#define NOW (1000 * PROA_S)
#define ALIVE (NOW + 10 * PROA_S)
#define G "workers"
#define KEYS 100000u
#define LANE_SLOTS 64u

struct world {
    struct directory *dir;
    struct route_turn turn;
    _Atomic uint16_t words[LANE_SLOTS];
};

static void create(struct world *w, uint8_t seed_first)
{
    const uint8_t seed[32] = {seed_first};

    memset(w, 0, sizeof(*w));
    w->turn.random = 42;
    w->dir = directory_create(100, seed);
    assert_non_null(w->dir);
    directory_self(w->dir, HERE);
    assert_non_null(directory_node_add(w->dir, HERE, PROA_NS_NEVER));
    directory_lane_loads(w->dir, 0, w->words, LANE_SLOTS);
}

static void join(struct world *w, uint64_t node, uint32_t slot)
{
    assert_non_null(directory_node_add(w->dir, node, ALIVE));
    assert_true(directory_join(w->dir, G, strlen(G),
                               (struct proa_ref){node, slot, slot + 1}, 0) > 0);
}

static void leave(struct world *w, uint64_t node, uint32_t slot)
{
    assert_true(directory_leave(w->dir, G, strlen(G),
                                (struct proa_ref){node, slot, slot + 1}) > 0);
}

static void publish(struct world *w)
{
    proa_ns now = NOW;

    while (now != PROA_NS_NEVER)
        now = directory_groups_publish(w->dir, now);
}

static enum proa_outcome route(struct world *w, enum proa_policy policy, uint64_t key,
                               proa_ns now, struct proa_ref *ret)
{
    return directory_route(w->dir, G, strlen(G), policy, key, now, &w->turn, ret);
}

static struct proa_ref pick(struct world *w, enum proa_policy policy, uint64_t key)
{
    struct proa_ref got = proa_ref_none();

    assert_int_equal(route(w, policy, key, NOW, &got), PROA_OK);
    return got;
}

static uint16_t load(struct world *w, uint32_t number)
{
    struct group *group = group_get(w->dir, G, strlen(G));

    for (uint32_t i = 0; i < group->seen_count; i++)
        if (group->seen[i]->ref.slot == number)
            return atomic_load(group->seen[i]->load);
    fail();
    return 0;
}

/* ---- HASH ---- */

/* Member `number` of any of these worlds. */
static uint64_t node_of(uint32_t number)
{
    return FAR(number % 7);
}

static void fill(struct world *w, uint32_t members, bool backwards)
{
    for (uint32_t i = 0; i < members; i++) {
        uint32_t number = backwards ? members - 1 - i : i;
        join(w, node_of(number), number);
    }
    publish(w);
}

static uint32_t owner(struct world *w, uint64_t key)
{
    return pick(w, PROA_ROUTE_HASH, key * 0x9e3779b97f4a7c15u).slot;
}

/* Only the keys of the one that leaves move; the one that comes back gets them again. */
static void check_one(struct world *w, const uint32_t *owners, uint32_t number,
                      uint32_t owned)
{
    uint32_t moved = 0;

    leave(w, node_of(number), number);
    publish(w);
    for (uint32_t key = 0; key < KEYS; key++) {
        if (owner(w, key) == owners[key])
            continue;
        assert_int_equal(owners[key], number);
        moved++;
    }
    assert_int_equal(moved, owned);
    join(w, node_of(number), number);
    publish(w);
    for (uint32_t key = 0; key < KEYS; key += 7)
        assert_int_equal(owner(w, key), owners[key]);
}

static void check_share(uint32_t members, uint32_t removals)
{
    uint32_t *owners = calloc(KEYS, sizeof(*owners));
    uint32_t *owned = calloc(members, sizeof(*owned));
    struct world w;

    create(&w, 1);
    fill(&w, members, false);
    for (uint32_t key = 0; key < KEYS; key++)
        owned[owners[key] = owner(&w, key)]++;
    for (uint32_t i = 0; i < members; i++) {
        assert_true(owned[i] > 0);
        assert_true((uint64_t)owned[i] * members * 2 <= (uint64_t)KEYS * 3);
    }
    for (uint32_t i = 0; i < removals; i++)
        check_one(&w, owners, i * (members / removals), owned[i * (members / removals)]);
    directory_destroy(w.dir);
    free(owners);
    free(owned);
}

static void hash__leaving_moves_only_its_share(void **state)
{
    (void)state;
    check_share(10, 3);
    check_share(100, 2);
    check_share(1000, 2);
}

/* Points that lie close together would give one of a few members most of the keys. */
static void hash__share_is_bounded_in_small_groups(void **state)
{
    struct proa_ref got;

    (void)state;
    for (uint32_t members = 2; members <= 5; members++) {
        for (uint32_t round = 0; round < 60; round++) {
            uint32_t owned[5] = {0};
            struct world w;

            create(&w, 2);
            for (uint32_t i = 0; i < members; i++)
                join(&w, FAR(mix64(round) + i % 2), mix64(round * 10 + i) & 0xffffff);
            publish(&w);
            for (uint32_t key = 0; key < 2000; key++) {
                got = pick(&w, PROA_ROUTE_HASH, key);
                for (uint32_t i = 0; i < members; i++)
                    owned[i] += got.slot == (mix64(round * 10 + i) & 0xffffff);
            }
            for (uint32_t i = 0; i < members; i++)
                assert_true(owned[i] * members < 2 * 1600); /* 1.5 and chance */
            directory_destroy(w.dir);
        }
    }
}

static void hash__equal_in_all_directories(void **state)
{
    struct world a, b;

    (void)state;
    create(&a, 1);
    create(&b, 77); /* another secret */
    fill(&a, 500, false);
    fill(&b, 500, true);
    directory_lane_loads(b.dir, 1, b.words, LANE_SLOTS);
    for (uint32_t round = 0; round < 20; round++) {
        leave(&b, node_of(round), round);
        publish(&b);
        join(&b, node_of(round), round);
    }
    publish(&b);
    for (uint32_t key = 0; key < 20000; key++)
        assert_int_equal(owner(&a, key), owner(&b, key));
    directory_destroy(a.dir);
    directory_destroy(b.dir);
}

/* A restarted actor keeps its keys. */
static void hash__next_life_keeps_its_keys(void **state)
{
    struct proa_ref old = {FAR(3), 3, 4}, next = {FAR(3), 3, 99};
    uint32_t *owners = calloc(5000, sizeof(*owners));
    struct world w;

    (void)state;
    create(&w, 1);
    fill(&w, 20, false);
    for (uint32_t key = 0; key < 5000; key++)
        owners[key] = owner(&w, key);
    assert_true(directory_rejoin(w.dir, G, strlen(G), old, next, 0) > 0);
    publish(&w);
    for (uint32_t key = 0; key < 5000; key++)
        assert_int_equal(owner(&w, key), owners[key]);
    directory_destroy(w.dir);
    free(owners);
}

/* Who is silent is passed over as if it had left, be it one or all but one. */
static void hash__silent_members_are_passed_over(void **state)
{
    struct world w, rest;

    (void)state;
    create(&w, 1);
    fill(&w, 700, false);
    for (uint32_t dead = 0; dead < 7; dead++) {
        create(&rest, 1);
        for (uint32_t i = 0; i < 700; i++)
            if (i % 7 >= dead)
                join(&rest, node_of(i), i);
        publish(&rest);
        for (uint32_t key = 0; key < 2000; key++)
            assert_int_equal(owner(&w, key), owner(&rest, key));
        directory_destroy(rest.dir);
        directory_node_dead(w.dir, FAR(dead));
    }
    assert_int_equal(route(&w, PROA_ROUTE_HASH, 1, NOW, &(struct proa_ref){0}),
                     PROA_UNKNOWN);
    /* Alone among many. */
    create(&rest, 1);
    join(&w, HERE, 5);
    publish(&w);
    for (uint32_t key = 0; key < 200; key++)
        assert_int_equal(pick(&w, PROA_ROUTE_HASH, key).node, HERE);
    directory_destroy(rest.dir);
    directory_destroy(w.dir);
}

/* ---- LEAST_LOADED ---- */

static void least_loaded__the_shorter_of_two(void **state)
{
    uint32_t picked[3] = {0};
    struct world w;

    (void)state;
    create(&w, 1);
    for (uint32_t i = 0; i < 3; i++)
        join(&w, HERE, i);
    publish(&w);
    atomic_store(&w.words[0], 5);
    atomic_store(&w.words[1], 9);
    atomic_store(&w.words[2], 6);
    for (uint32_t i = 0; i < 3000; i++)
        picked[pick(&w, PROA_ROUTE_LEAST_LOADED, 0).slot]++;
    assert_int_equal(picked[1], 0); /* of any two it is the longer one */
    assert_in_range(picked[0], 1800, 2200);
    assert_in_range(picked[2], 800, 1200);
    assert_int_equal(atomic_load(&w.words[0]), 5); /* its lane's to write */
    directory_destroy(w.dir);
}

static void least_loaded__picks_of_far_ones_count(void **state)
{
    uint32_t picked[4] = {0};
    struct world w;

    (void)state;
    create(&w, 1);
    for (uint32_t i = 0; i < 4; i++)
        join(&w, FAR(1), i);
    publish(&w);
    for (uint32_t i = 0; i < 4000; i++)
        picked[pick(&w, PROA_ROUTE_LEAST_LOADED, 0).slot]++;
    for (uint32_t i = 0; i < 4; i++) {
        assert_in_range(picked[i], 990, 1010); /* the count evens it out */
        assert_int_equal(load(&w, i), picked[i]);
    }
    directory_load(w.dir, G, strlen(G), (struct proa_ref){FAR(1), 2, 3}, 3);
    assert_int_equal(load(&w, 2), 3);
    directory_load(w.dir, G, strlen(G), (struct proa_ref){FAR(1), 2, 9}, 8);
    assert_int_equal(load(&w, 2), 3); /* of another life */
    directory_load(w.dir, G, strlen(G), (struct proa_ref){FAR(1), 2, 3}, UINT16_MAX);
    for (uint32_t i = 0; i < 4000; i++)
        pick(&w, PROA_ROUTE_RANDOM, 0);
    assert_int_equal(load(&w, 2), UINT16_MAX); /* saturated */
    directory_destroy(w.dir);
}

struct asked {
    uint32_t count;
};

static void on_wanted(void *ctx, const char *group, size_t len)
{
    struct asked *asked = ctx;

    assert_int_equal(len, strlen(G));
    assert_memory_equal(group, G, len);
    asked->count++;
}

static uint32_t wanted(struct world *w)
{
    struct asked asked = {0};

    directory_loads_wanted(w->dir, on_wanted, &asked);
    return asked.count;
}

static void least_loaded__wants_loads_of_far_ones(void **state)
{
    struct world w;

    (void)state;
    create(&w, 1);
    join(&w, HERE, 1);
    publish(&w);
    pick(&w, PROA_ROUTE_LEAST_LOADED, 0);
    assert_int_equal(wanted(&w), 0); /* all are here */
    join(&w, FAR(1), 1);
    publish(&w);
    pick(&w, PROA_ROUTE_RANDOM, 0);
    pick(&w, PROA_ROUTE_HASH, 0);
    assert_int_equal(wanted(&w), 0);
    pick(&w, PROA_ROUTE_LEAST_LOADED, 0);
    pick(&w, PROA_ROUTE_LEAST_LOADED, 0);
    assert_int_equal(wanted(&w), 1);
    assert_int_equal(wanted(&w), 0);
    pick(&w, PROA_ROUTE_IDLE_FIRST, 0);
    assert_int_equal(wanted(&w), 1);
    directory_destroy(w.dir);
}

/* ---- The others ---- */

static void random__all_about_as_often(void **state)
{
    uint32_t picked[10] = {0};
    struct world w;

    (void)state;
    create(&w, 1);
    for (uint32_t i = 0; i < 10; i++)
        join(&w, FAR(i), i);
    publish(&w);
    for (uint32_t i = 0; i < 10000; i++)
        picked[pick(&w, PROA_ROUTE_RANDOM, 0).slot]++;
    for (uint32_t i = 0; i < 10; i++)
        assert_in_range(picked[i], 850, 1150);
    directory_destroy(w.dir);
}

static void round_robin__each_once_a_round(void **state)
{
    struct world w;
    struct proa_ref other;

    (void)state;
    create(&w, 1);
    for (uint32_t i = 0; i < 6; i++)
        join(&w, FAR(i), i);
    assert_true(directory_join(w.dir, "other", 5, (struct proa_ref){HERE, 1, 1}, 0) > 0);
    publish(&w);
    for (uint32_t round = 0; round < 5; round++) {
        uint32_t seen = 0;

        /* Picks from another group in between change nothing. */
        for (uint32_t i = 0; i < 6; i++) {
            seen |= 1u << pick(&w, PROA_ROUTE_ROUND_ROBIN, 0).slot;
            assert_int_equal(directory_route(w.dir, "other", 5, PROA_ROUTE_ROUND_ROBIN, 0,
                                             NOW, &w.turn, &other),
                             PROA_OK);
        }
        assert_int_equal(seen, 0x3f);
    }
    directory_node_dead(w.dir, FAR(2));
    for (uint32_t round = 0; round < 3; round++) {
        uint32_t seen = 0;

        for (uint32_t i = 0; i < 5; i++)
            seen |= 1u << pick(&w, PROA_ROUTE_ROUND_ROBIN, 0).slot;
        assert_int_equal(seen, 0x3f & ~(1u << 2));
    }
    leave(&w, FAR(5), 5); /* the place of a round may be past the end */
    leave(&w, FAR(4), 4);
    publish(&w);
    for (uint32_t i = 0; i < 10; i++)
        assert_true(pick(&w, PROA_ROUTE_ROUND_ROBIN, 0).slot < 4);
    directory_destroy(w.dir);
}

static void prefer_local__here_while_there_is_one(void **state)
{
    uint32_t seen = 0;
    struct world w;

    (void)state;
    create(&w, 1);
    for (uint32_t i = 0; i < 50; i++)
        join(&w, FAR(1), i);
    publish(&w);
    assert_int_equal(pick(&w, PROA_ROUTE_PREFER_LOCAL, 0).node, FAR(1));
    for (uint32_t i = 0; i < 3; i++)
        join(&w, HERE, i);
    publish(&w);
    for (uint32_t i = 0; i < 100; i++) {
        struct proa_ref got = pick(&w, PROA_ROUTE_PREFER_LOCAL, 0);

        assert_int_equal(got.node, HERE);
        seen |= 1u << got.slot;
    }
    assert_int_equal(seen, 7);
    directory_destroy(w.dir);
}

static void idle_first__in_turn_those_that_are_idle(void **state)
{
    uint32_t seen = 0;
    struct world w;

    (void)state;
    create(&w, 1);
    for (uint32_t i = 0; i < 16; i++)
        join(&w, HERE, i);
    publish(&w);
    for (uint32_t i = 0; i < 16; i++)
        seen |= 1u << pick(&w, PROA_ROUTE_IDLE_FIRST, 0).slot;
    assert_int_equal(seen, 0xffff); /* all are idle: in turn */
    for (uint32_t i = 0; i < 16; i++)
        atomic_store(&w.words[i], i == 11 ? 0 : 20 + i);
    for (uint32_t i = 0; i < 20; i++)
        assert_int_equal(pick(&w, PROA_ROUTE_IDLE_FIRST, 0).slot, 11);
    atomic_store(&w.words[11], 100);
    for (uint32_t i = 0; i < 20; i++)
        assert_int_equal(pick(&w, PROA_ROUTE_IDLE_FIRST, 0).slot, 0); /* the shortest */
    directory_destroy(w.dir);
}

/* ---- Silent nodes, odd lanes ---- */

/* One living member among many: found, whatever the policy. */
static void route__finds_the_only_living_one(void **state)
{
    struct world w;

    (void)state;
    create(&w, 1);
    for (uint32_t i = 0; i < 3000; i++)
        join(&w, FAR(1), i);
    join(&w, FAR(2), 77777);
    publish(&w);
    directory_node_dead(w.dir, FAR(1));
    for (int policy = PROA_ROUTE_RANDOM; policy <= PROA_ROUTE_IDLE_FIRST; policy++)
        for (uint32_t i = 0; i < 20; i++)
            assert_int_equal(pick(&w, (enum proa_policy)policy, i).slot, 77777);
    directory_destroy(w.dir);
}

static void lane_loads__given_late_or_too_short(void **state)
{
    _Atomic uint16_t words[4] = {7, 7, 7, 7};
    struct world w;

    (void)state;
    create(&w, 1);
    for (uint32_t i = 0; i < 6; i++)
        join(&w, HERE, 3u << 24 | i);
    join(&w, HERE, 200u << 24); /* no lane is like that */
    publish(&w);
    assert_int_equal(load(&w, 3u << 24 | 1), 0);
    for (uint32_t i = 0; i < 100; i++)
        pick(&w, PROA_ROUTE_LEAST_LOADED, 0);
    assert_int_equal(load(&w, 3u << 24 | 1), 0);
    directory_lane_loads(w.dir, 3, words, 4);
    publish(&w);
    assert_int_equal(load(&w, 3u << 24 | 1), 7);
    assert_int_equal(load(&w, 3u << 24 | 5), 0);
    for (uint32_t i = 0; i < 100; i++)
        assert_true(pick(&w, PROA_ROUTE_LEAST_LOADED, 0).slot != UINT32_MAX);
    assert_int_equal(atomic_load(&words[1]), 7);
    directory_lane_loads(w.dir, 3, NULL, 0);
    publish(&w);
    assert_int_equal(load(&w, 3u << 24 | 1), 0);
    directory_destroy(w.dir);
}

/* Slots that were chosen so that the points of all lie in one place: still found, and in order. */
static void hash__points_in_one_bucket(void **state)
{
    uint32_t slot = 0;
    struct world w;

    (void)state;
    create(&w, 1);
    for (uint32_t i = 0; i < 60; slot++) {
        if (member_point(FAR(1), slot, 0) >> 52 != 0x123)
            continue;
        join(&w, FAR(1), slot);
        i++;
    }
    publish(&w);
    for (uint32_t key = 0; key < 1000; key++)
        assert_int_equal(pick(&w, PROA_ROUTE_HASH, key).node, FAR(1));
    const struct group_view *view = atomic_load(&group_get(w.dir, G, strlen(G))->view);
    for (uint32_t i = 1; i < view->count * GROUP_POINTS; i++)
        assert_true(view->points[i - 1] < view->points[i]);
    directory_destroy(w.dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hash__leaving_moves_only_its_share),
        cmocka_unit_test(hash__share_is_bounded_in_small_groups),
        cmocka_unit_test(hash__equal_in_all_directories),
        cmocka_unit_test(hash__next_life_keeps_its_keys),
        cmocka_unit_test(hash__silent_members_are_passed_over),
        cmocka_unit_test(hash__points_in_one_bucket),
        cmocka_unit_test(least_loaded__the_shorter_of_two),
        cmocka_unit_test(least_loaded__picks_of_far_ones_count),
        cmocka_unit_test(least_loaded__wants_loads_of_far_ones),
        cmocka_unit_test(random__all_about_as_often),
        cmocka_unit_test(round_robin__each_once_a_round),
        cmocka_unit_test(prefer_local__here_while_there_is_one),
        cmocka_unit_test(idle_first__in_turn_those_that_are_idle),
        cmocka_unit_test(route__finds_the_only_living_one),
        cmocka_unit_test(lane_loads__given_late_or_too_short),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
