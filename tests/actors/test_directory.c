/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "directory_impl.h"

#define NODE_A ((uint64_t)0xa1a2a3a4a5a6a7a8)
#define NODE_B ((uint64_t)0xb1b2b3b4b5b6b7b8)
#define NOW (1000 * PROA_S)
#define ALIVE (NOW + 10 * PROA_S)

static const uint8_t seed[32] = {1, 2, 3};

static struct directory *create(uint32_t names_max)
{
    struct directory *dir = directory_create(names_max, seed);

    assert_non_null(dir);
    assert_non_null(directory_node_add(dir, NODE_A, ALIVE));
    return dir;
}

static struct proa_ref ref(uint64_t node, uint32_t number)
{
    return (struct proa_ref){node, number, number ^ 0x5a5a5a5a};
}

static bool put(struct directory *dir, const char *name, struct proa_ref r)
{
    return directory_put(dir, name, strlen(name), r, 0, NOW);
}

static enum proa_outcome get(struct directory *dir, const char *name,
                             struct proa_ref *ret)
{
    return directory_lookup(dir, name, strlen(name), 0, NOW, ret);
}

static struct directory_stats stats(const struct directory *dir)
{
    struct directory_stats s;

    directory_stats(dir, &s);
    return s;
}

static void expect(struct directory *dir, const char *name, struct proa_ref want)
{
    struct proa_ref got = proa_ref_none();

    assert_int_equal(get(dir, name, &got), PROA_OK);
    assert_true(proa_ref_equal(got, want));
}

static void lookup__unknown_until_put(void **state)
{
    struct directory *dir = create(100);
    struct proa_ref got = proa_ref_none();

    (void)state;
    assert_int_equal(get(dir, "counter", &got), PROA_UNKNOWN);
    assert_true(put(dir, "counter", ref(NODE_A, 1)));
    expect(dir, "counter", ref(NODE_A, 1));
    assert_int_equal(get(dir, "counte", &got), PROA_UNKNOWN);
    assert_true(put(dir, "counter", ref(NODE_A, 2)));
    expect(dir, "counter", ref(NODE_A, 2));
    assert_int_equal(stats(dir).names, 1);
    assert_int_equal(stats(dir).puts, 2);
    assert_true(put(dir, "counter", ref(NODE_A, 2))); /* nothing new: nothing published */
    assert_int_equal(stats(dir).puts, 2);
    directory_destroy(dir);
}

static void lookup__length_at_its_bounds(void **state)
{
    struct directory *dir = create(100);
    char name[PROA_NAME_MAX + 1];
    struct proa_ref got;

    (void)state;
    memset(name, 'x', sizeof(name));
    for (size_t len = 1; len <= PROA_NAME_MAX; len++) {
        if (len <= 100)
            assert_true(
                directory_put(dir, name, len, ref(NODE_A, (uint32_t)len), 0, NOW));
    }
    for (size_t len = 1; len <= 100; len++) {
        assert_int_equal(directory_lookup(dir, name, len, 0, NOW, &got), PROA_OK);
        assert_int_equal(got.slot, len);
    }
    assert_true(directory_remove(dir, name, 1));
    assert_true(directory_put(dir, name, PROA_NAME_MAX, ref(NODE_A, 7), 0, NOW));
    assert_int_equal(directory_lookup(dir, name, PROA_NAME_MAX, 0, NOW, &got), PROA_OK);
    assert_false(directory_put(dir, name, 0, ref(NODE_A, 7), 0, NOW));
    assert_false(directory_put(dir, name, PROA_NAME_MAX + 1, ref(NODE_A, 7), 0, NOW));
    assert_false(directory_put_absent(dir, name, 0, ALIVE));
    assert_int_equal(directory_lookup(dir, name, 0, 0, NOW, &got), PROA_UNKNOWN);
    assert_int_equal(directory_lookup(dir, name, PROA_NAME_MAX + 1, 0, NOW, &got),
                     PROA_UNKNOWN);
    directory_destroy(dir);
}

static void lookup__type_is_checked_where_known(void **state)
{
    struct directory *dir = create(100);
    struct proa_ref got = proa_ref_none();

    (void)state;
    assert_true(directory_put(dir, "a", 1, ref(NODE_A, 1), 0xfeedbeef, NOW));
    assert_int_equal(directory_lookup(dir, "a", 1, 0, NOW, &got), PROA_OK);
    assert_int_equal(directory_lookup(dir, "a", 1, 0xfeedbeef, NOW, &got), PROA_OK);
    got = proa_ref_none();
    assert_int_equal(directory_lookup(dir, "a", 1, 5, NOW, &got), PROA_WRONG_TYPE);
    assert_true(proa_ref_equal(got, ref(NODE_A, 1)));
    assert_true(directory_put(dir, "a", 1, ref(NODE_A, 1), 0, NOW));
    assert_int_equal(directory_lookup(dir, "a", 1, 5, NOW, &got), PROA_OK);
    directory_destroy(dir);
}

static void lookup__absent_until_its_moment(void **state)
{
    struct directory *dir = create(100);
    struct proa_ref got;

    (void)state;
    assert_true(directory_put_absent(dir, "gone", 4, NOW + 5));
    assert_int_equal(directory_lookup(dir, "gone", 4, 0, NOW + 4, &got), PROA_NOT_FOUND);
    assert_int_equal(directory_lookup(dir, "gone", 4, 0, NOW + 5, &got), PROA_UNKNOWN);
    assert_true(put(dir, "gone", ref(NODE_A, 3)));
    expect(dir, "gone", ref(NODE_A, 3));
    assert_true(directory_put_absent(dir, "gone", 4, NOW + 9));
    assert_int_equal(get(dir, "gone", &got), PROA_NOT_FOUND);
    assert_int_equal(stats(dir).absent, 1);
    assert_int_equal(stats(dir).names, 1);
    directory_destroy(dir);
}

static void lookup__only_while_the_node_is_heard(void **state)
{
    struct directory *dir = create(100);
    struct directory_node *node = directory_node(dir, NODE_A);
    struct proa_ref got;

    (void)state;
    assert_true(put(dir, "a", ref(NODE_A, 1)));
    assert_int_equal(directory_lookup(dir, "a", 1, 0, ALIVE - 1, &got), PROA_OK);
    assert_int_equal(directory_lookup(dir, "a", 1, 0, ALIVE, &got), PROA_UNKNOWN);
    directory_heard(node, ALIVE + PROA_S);
    assert_int_equal(directory_lookup(dir, "a", 1, 0, ALIVE, &got), PROA_OK);

    directory_node_dead(dir, NODE_A);
    assert_int_equal(get(dir, "a", &got), PROA_UNKNOWN);
    directory_heard(node, ALIVE + 2 * PROA_S); /* hearsay does not raise the dead */
    assert_int_equal(get(dir, "a", &got), PROA_UNKNOWN);
    assert_ptr_equal(directory_node_add(dir, NODE_A, ALIVE), node);
    expect(dir, "a", ref(NODE_A, 1));
    directory_destroy(dir);
}

static void heard__forward_and_in_grains(void **state)
{
    struct directory_node node = {.id = NODE_A};

    (void)state;
    atomic_init(&node.heard_until, ALIVE);
    directory_heard(&node, ALIVE - PROA_S);
    assert_true(atomic_load(&node.heard_until) == ALIVE);
    directory_heard(&node, ALIVE + DIRECTORY_HEARD_GRAIN - 1);
    assert_true(atomic_load(&node.heard_until) == ALIVE);
    directory_heard(&node, ALIVE + DIRECTORY_HEARD_GRAIN);
    assert_true(atomic_load(&node.heard_until) == ALIVE + DIRECTORY_HEARD_GRAIN);
    directory_heard(&node, PROA_NS_NEVER);
    directory_heard(&node, ALIVE);
    assert_true(atomic_load(&node.heard_until) == PROA_NS_NEVER);
}

static void put__needs_its_node(void **state)
{
    struct directory *dir = create(100);
    struct proa_ref got;

    (void)state;
    assert_false(put(dir, "b", ref(NODE_B, 1)));
    assert_int_equal(stats(dir).no_node, 1);
    assert_int_equal(get(dir, "b", &got), PROA_UNKNOWN);
    directory_destroy(dir);
}

static void put__full_refuses_but_absent_names_make_room(void **state)
{
    struct directory *dir = create(3);
    struct proa_ref got;

    (void)state;
    assert_true(put(dir, "a", ref(NODE_A, 1)));
    assert_true(put(dir, "b", ref(NODE_A, 2)));
    assert_true(directory_put_absent(dir, "c", 1, ALIVE));
    assert_true(put(dir, "d", ref(NODE_A, 4)));
    assert_int_equal(get(dir, "c", &got), PROA_UNKNOWN);
    assert_false(put(dir, "e", ref(NODE_A, 5)));
    assert_int_equal(stats(dir).full, 1);
    assert_true(put(dir, "a", ref(NODE_A, 9))); /* a change needs no room */
    expect(dir, "a", ref(NODE_A, 9));
    expect(dir, "d", ref(NODE_A, 4));
    directory_destroy(dir);
}

static void put_absent__quarter_and_oldest_first(void **state)
{
    struct directory *dir = create(40);
    struct proa_ref got;
    char name[8];

    (void)state;
    for (int i = 0; i < 30; i++) {
        snprintf(name, sizeof(name), "n%d", i);
        assert_true(directory_put_absent(dir, name, strlen(name), ALIVE));
    }
    assert_int_equal(stats(dir).absent, 40 / DIRECTORY_ABSENT_SHARE + 1);
    assert_int_equal(get(dir, "n18", &got), PROA_UNKNOWN);
    assert_int_equal(get(dir, "n19", &got), PROA_NOT_FOUND);
    assert_int_equal(get(dir, "n29", &got), PROA_NOT_FOUND);

    /* Each put forgets up to two that are over. */
    for (int i = 0; i < 6; i++) {
        snprintf(name, sizeof(name), "p%d", i);
        assert_true(directory_put(dir, name, strlen(name), ref(NODE_A, 1), 0, ALIVE));
    }
    assert_int_equal(stats(dir).absent, 0);
    assert_int_equal(stats(dir).names, 6);
    directory_destroy(dir);
}

static void put__second_name_of_a_hash_is_refused(void **state)
{
    struct directory *dir = create(100);

    (void)state;
    assert_true(put(dir, "first", ref(NODE_A, 1)));
    /* No two such names are known, so the writer is made to remember another one. */
    struct table *table = directory_table(dir);
    struct entry *entry =
        table->owners[table_find(table, directory_key(dir, "first", 5))].entry;
    entry->name[0] = 'F';
    assert_false(put(dir, "first", ref(NODE_A, 2)));
    assert_false(directory_put_absent(dir, "first", 5, ALIVE));
    assert_false(directory_remove(dir, "first", 5));
    assert_int_equal(stats(dir).collisions, 2);
    expect(dir, "first", ref(NODE_A, 1));
    directory_destroy(dir);
}

static void remove__forgets(void **state)
{
    struct directory *dir = create(100);
    struct proa_ref got;

    (void)state;
    assert_false(directory_remove(dir, "a", 1));
    assert_true(put(dir, "a", ref(NODE_A, 1)));
    assert_true(directory_remove(dir, "a", 1));
    assert_false(directory_remove(dir, "a", 1));
    assert_int_equal(get(dir, "a", &got), PROA_UNKNOWN);
    assert_true(put(dir, "a", ref(NODE_A, 2)));
    expect(dir, "a", ref(NODE_A, 2));
    directory_destroy(dir);
}

static void remove_ref__only_what_it_means(void **state)
{
    struct directory *dir = create(100);
    struct proa_ref got;

    (void)state;
    assert_true(put(dir, "a", ref(NODE_A, 1)));
    assert_false(directory_remove_ref(dir, "a", 1, ref(NODE_A, 2)));
    assert_false(directory_remove_ref(dir, "a", 1, ref(NODE_B, 1)));
    expect(dir, "a", ref(NODE_A, 1));
    assert_true(directory_remove_ref(dir, "a", 1, ref(NODE_A, 1)));
    assert_int_equal(get(dir, "a", &got), PROA_UNKNOWN);
    assert_true(directory_put_absent(dir, "a", 1, ALIVE));
    assert_false(directory_remove_ref(dir, "a", 1, proa_ref_none()));
    directory_destroy(dir);
}

static void holder__is_told_also_of_a_dead_node(void **state)
{
    struct directory *dir = create(100);
    struct proa_ref got = ref(NODE_B, 9);

    (void)state;
    assert_false(directory_holder(dir, "a", 1, &got));
    assert_true(put(dir, "a", ref(NODE_A, 1)));
    directory_node_dead(dir, NODE_A);
    assert_true(directory_holder(dir, "a", 1, &got));
    assert_true(proa_ref_equal(got, ref(NODE_A, 1)));
    got = ref(NODE_B, 9);
    assert_true(directory_put_absent(dir, "a", 1, ALIVE));
    assert_false(directory_holder(dir, "a", 1, &got));
    assert_true(proa_ref_equal(got, ref(NODE_B, 9)));
    directory_destroy(dir);
}

/* Slots a reader may still hold are not used again before it was quiescent. */
static void reclaim__waits_for_online_readers(void **state)
{
    struct directory *dir = create(100);
    int reader = directory_reader_add(dir);
    int other = directory_reader_add(dir);

    (void)state;
    assert_true(reader >= 0 && other >= 0);
    directory_online(dir, reader);
    assert_true(put(dir, "a", ref(NODE_A, 1)));
    assert_true(put(dir, "a", ref(NODE_A, 2)));
    directory_reclaim(dir);
    directory_reclaim(dir);
    assert_int_equal(stats(dir).pending, 1);
    directory_quiescent(dir, reader);
    directory_reclaim(dir);
    assert_int_equal(stats(dir).pending, 0);
    assert_int_equal(stats(dir).reclaimed, 1);

    assert_true(put(dir, "a", ref(NODE_A, 3)));
    directory_offline(dir, reader);
    directory_reclaim(dir);
    assert_int_equal(stats(dir).pending, 0);
    expect(dir, "a", ref(NODE_A, 3));
    directory_reader_remove(dir, reader);
    directory_reader_remove(dir, other);
    directory_destroy(dir);
}

/* A reader that never is quiescent: memory stays bounded, updates are refused at last, and all
   is well again once it is. */
static void reclaim__stuck_reader_is_bounded(void **state)
{
    struct directory *dir = create(100);
    int reader = directory_reader_add(dir);
    uint32_t n = 0;

    (void)state;
    directory_online(dir, reader);
    assert_true(put(dir, "a", ref(NODE_A, 0)));
    while (put(dir, "a", ref(NODE_A, n + 1))) {
        n++;
        assert_in_range(n, 1, 10000);
    }
    expect(dir, "a", ref(NODE_A, n));
    assert_int_equal(dir->old_tables, 2);
    assert_int_equal(stats(dir).full, 1);
    directory_quiescent(dir, reader);
    directory_reclaim(dir);
    directory_quiescent(dir, reader);
    directory_reclaim(dir);
    assert_int_equal(dir->old_tables, 0);
    assert_true(put(dir, "a", ref(NODE_A, n + 1)));
    expect(dir, "a", ref(NODE_A, n + 1));
    directory_destroy(dir);
}

static void node_add__bounded_and_forgotten_nodes_make_room(void **state)
{
    struct directory *dir = create(100);
    int reader = directory_reader_add(dir);
    struct proa_ref got;

    (void)state;
    directory_online(dir, reader);
    for (uint64_t id = 1; id < DIRECTORY_NODES_MAX; id++)
        assert_non_null(directory_node_add(dir, id * 0x9e3779b97f4a7c15, ALIVE));
    assert_null(directory_node_add(dir, NODE_B, ALIVE));
    for (uint64_t id = 1; id < DIRECTORY_NODES_MAX; id++)
        assert_true(directory_node(dir, id * 0x9e3779b97f4a7c15)->id ==
                    id * 0x9e3779b97f4a7c15);
    assert_null(directory_node(dir, NODE_B));

    assert_true(put(dir, "a", ref(NODE_A, 1)));
    assert_true(put(dir, "b", ref(NODE_A, 2)));
    assert_true(directory_node_forget(dir, NODE_A));
    assert_false(directory_node_forget(dir, NODE_A));
    assert_null(directory_node(dir, NODE_A));
    assert_int_equal(get(dir, "a", &got), PROA_UNKNOWN);
    assert_int_equal(stats(dir).names, 0);
    assert_null(
        directory_node_add(dir, NODE_B, ALIVE)); /* the reader may hold the record */
    directory_quiescent(dir, reader);
    assert_non_null(directory_node_add(dir, NODE_B, ALIVE));
    assert_true(put(dir, "b", ref(NODE_B, 3)));
    expect(dir, "b", ref(NODE_B, 3));
    directory_destroy(dir);
}

/* Many nodes come and go, as reboots do: the index must not fill with what is gone. */
static void node_forget__a_long_life(void **state)
{
    struct directory *dir = create(100);
    uint32_t empty = 0;

    (void)state;
    for (uint64_t i = 1; i < 300000; i++) {
        assert_non_null(directory_node_add(dir, i * 0x9e3779b97f4a7c15, ALIVE));
        if (i > 1000)
            assert_true(directory_node_forget(dir, (i - 1000) * 0x9e3779b97f4a7c15));
        if (i % 1000 == 0)
            directory_reclaim(dir);
    }
    for (uint32_t i = 0; i < NODE_INDEX_SLOTS; i++)
        empty += atomic_load(&dir->node_index[i]) == NODE_INDEX_EMPTY;
    assert_true(empty > NODE_INDEX_SLOTS / 10 * 9);
    assert_int_equal(stats(dir).nodes, 1001);
    directory_destroy(dir);
}

struct seen {
    uint32_t ok, absent, silent;
};

static bool see(void *ctx, const struct directory_entry *entry)
{
    struct seen *seen = ctx;

    assert_int_equal(entry->len, 3);
    if (entry->state == PROA_OK)
        seen->ok++;
    else if (entry->state == PROA_NOT_FOUND)
        seen->absent++;
    else
        seen->silent++;
    return seen->ok + seen->absent + seen->silent < 4;
}

static void each__tells_states_and_stops(void **state)
{
    struct directory *dir = create(100);
    struct seen seen = {0, 0, 0};

    (void)state;
    assert_non_null(directory_node_add(dir, NODE_B, ALIVE));
    assert_true(put(dir, "aaa", ref(NODE_A, 1)));
    assert_true(put(dir, "bbb", ref(NODE_B, 1)));
    assert_true(directory_put_absent(dir, "ccc", 3, ALIVE));
    directory_node_dead(dir, NODE_B);
    directory_each(dir, NOW, see, &seen);
    assert_int_equal(seen.ok, 1);
    assert_int_equal(seen.absent, 1);
    assert_int_equal(seen.silent, 1);
    assert_true(put(dir, "ddd", ref(NODE_A, 1)));
    assert_true(put(dir, "eee", ref(NODE_A, 1)));
    memset(&seen, 0, sizeof(seen));
    directory_each(dir, NOW, see, &seen);
    assert_int_equal(seen.ok + seen.absent + seen.silent, 4);
    directory_destroy(dir);
}

/* Random calls against a plain array as the model; grows, shrinks, reclaims on the way. */
#define MODEL 5000
static void put__random_calls_agree_with_a_model(void **state)
{
    struct directory *dir = create(MODEL);
    static uint32_t model[MODEL]; /* 0: unknown, 1: absent, else the slot of its ref */
    unsigned int random = 20240607;
    struct proa_ref got;
    char name[16];

    (void)state;
    printf("seed %u\n", random);
    memset(model, 0, sizeof(model));
    for (uint32_t step = 0; step < 300000; step++) {
        uint32_t i = (uint32_t)rand_r(&random) % MODEL;
        uint32_t verb = (uint32_t)rand_r(&random) % 16;
        size_t len = (size_t)snprintf(name, sizeof(name), "name-%u", i);

        if (verb < 8) {
            assert_true(directory_put(dir, name, len, ref(NODE_A, step + 2), 0, NOW));
            model[i] = step + 2;
        } else if (verb < 9 && stats(dir).absent < MODEL / DIRECTORY_ABSENT_SHARE) {
            assert_true(directory_put_absent(dir, name, len, ALIVE));
            model[i] = 1;
        } else if (verb < 11) {
            assert_int_equal(directory_remove(dir, name, len), model[i] != 0);
            model[i] = 0;
        } else if (verb < 12 && step % 64 == 0) {
            directory_reclaim(dir);
        }
        enum proa_outcome want = model[i] == 0   ? PROA_UNKNOWN
                                 : model[i] == 1 ? PROA_NOT_FOUND
                                                 : PROA_OK;
        assert_int_equal(directory_lookup(dir, name, len, 0, NOW, &got), want);
        if (want == PROA_OK)
            assert_true(proa_ref_equal(got, ref(NODE_A, model[i])));
    }
    for (uint32_t i = 0; i < MODEL; i++) {
        size_t len = (size_t)snprintf(name, sizeof(name), "name-%u", i);
        enum proa_outcome want = model[i] == 0   ? PROA_UNKNOWN
                                 : model[i] == 1 ? PROA_NOT_FOUND
                                                 : PROA_OK;
        assert_int_equal(directory_lookup(dir, name, len, 0, NOW, &got), want);
    }
    assert_true(stats(dir).rehashes >= 3);
    directory_destroy(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lookup__unknown_until_put),
        cmocka_unit_test(lookup__length_at_its_bounds),
        cmocka_unit_test(lookup__type_is_checked_where_known),
        cmocka_unit_test(lookup__absent_until_its_moment),
        cmocka_unit_test(lookup__only_while_the_node_is_heard),
        cmocka_unit_test(heard__forward_and_in_grains),
        cmocka_unit_test(put__needs_its_node),
        cmocka_unit_test(put__full_refuses_but_absent_names_make_room),
        cmocka_unit_test(put_absent__quarter_and_oldest_first),
        cmocka_unit_test(put__second_name_of_a_hash_is_refused),
        cmocka_unit_test(remove__forgets),
        cmocka_unit_test(remove_ref__only_what_it_means),
        cmocka_unit_test(holder__is_told_also_of_a_dead_node),
        cmocka_unit_test(reclaim__waits_for_online_readers),
        cmocka_unit_test(reclaim__stuck_reader_is_bounded),
        cmocka_unit_test(node_add__bounded_and_forgotten_nodes_make_room),
        cmocka_unit_test(node_forget__a_long_life),
        cmocka_unit_test(each__tells_states_and_stops),
        cmocka_unit_test(put__random_calls_agree_with_a_model),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
