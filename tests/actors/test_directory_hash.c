/* SPDX-License-Identifier: Apache-2.0 */
/* Picking by key: whose keys move when one leaves, and whether all nodes agree. */
#include "group_world.h"

#define KEYS 100000u

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
    check_share(10, 2);
    check_share(100, 1);
    check_share(1000, 1);
}

/* Points that lie close together would give one of a few members most of the keys. */
static void hash__share_is_bounded_in_small_groups(void **state)
{
    struct proa_ref got;

    (void)state;
    for (uint32_t members = 2; members <= 5; members++) {
        for (uint32_t round = 0; round < 25; round++) {
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

/* The same with so many silent that the ring is searched node by node: up to all but one of 60. */
static void hash__most_nodes_are_silent(void **state)
{
    static const uint32_t living[] = {20, 7, 2, 1};

    (void)state;
    for (uint32_t k = 0; k < sizeof(living) / sizeof(living[0]); k++) {
        struct world w, rest;

        create(&w, 1);
        create(&rest, 2);
        for (uint32_t i = 0; i < 1800; i++) {
            join(&w, FAR(i % 60), i);
            if (i % 60 < living[k])
                join(&rest, FAR(i % 60), i);
        }
        publish(&w);
        publish(&rest);
        for (uint32_t node = living[k]; node < 60; node++)
            directory_node_dead(w.dir, FAR(node));
        for (uint64_t key = 0; key < 5000; key++)
            assert_int_equal(owner(&w, key), owner(&rest, key));
        directory_destroy(w.dir);
        directory_destroy(rest.dir);
    }
}

/* Slots that were chosen so that the points of all lie in one place: still found, and in order. */
static void hash__points_in_one_bucket(void **state)
{
    uint32_t slot = 0;
    struct world w;

    (void)state;
    create(&w, 1);
    for (uint32_t i = 0; i < 60; slot++) {
        if (member_point(mix64(FAR(1)), slot, 0) >> 52 != 0x123)
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
        cmocka_unit_test(hash__most_nodes_are_silent),
        cmocka_unit_test(hash__points_in_one_bucket),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
