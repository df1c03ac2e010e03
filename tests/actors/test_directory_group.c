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

#define HERE ((uint64_t)0xa1a2a3a4a5a6a7a8)
#define NODE_B ((uint64_t)0xb1b2b3b4b5b6b7b8)
#define NOW (1000 * PROA_S)
#define ALIVE (NOW + 10 * PROA_S)
#define G "workers"
#define TYPE 7u

static const uint8_t seed[32] = {1, 2, 3};

struct world {
    struct directory *dir;
    struct route_turn turn;
    proa_ns now;
};

static struct world create(void)
{
    struct world w = {directory_create(100, seed), {.random = 42}, NOW};

    assert_non_null(w.dir);
    directory_self(w.dir, HERE);
    assert_non_null(directory_node_add(w.dir, HERE, PROA_NS_NEVER));
    assert_non_null(directory_node_add(w.dir, NODE_B, ALIVE));
    return w;
}

static struct proa_ref ref(uint64_t node, uint32_t slot)
{
    return (struct proa_ref){node, slot, slot ^ 0x5a5a5a5a};
}

static uint64_t join(struct world *w, const char *group, struct proa_ref r)
{
    return directory_join(w->dir, group, strlen(group), r, TYPE);
}

static uint64_t leave(struct world *w, const char *group, struct proa_ref r)
{
    return directory_leave(w->dir, group, strlen(group), r);
}

static proa_ns publish(struct world *w)
{
    return directory_groups_publish(w->dir, w->now);
}

static enum proa_outcome list(struct world *w, const char *group, unsigned flags,
                              struct proa_ref *refs, uint32_t max,
                              struct proa_members *ret)
{
    return directory_members(w->dir, group, strlen(group), 0, flags, w->now, refs, max,
                             ret);
}

static uint32_t count(struct world *w, const char *group)
{
    struct proa_members found;

    list(w, group, 0, NULL, 0, &found);
    return found.count;
}

static enum proa_outcome route(struct world *w, enum proa_policy policy, uint64_t key,
                               struct proa_ref *ret)
{
    return directory_route(w->dir, G, strlen(G), policy, key, w->now, &w->turn, ret);
}

static struct proa_ref pick(struct world *w, enum proa_policy policy, uint64_t key)
{
    struct proa_ref got = proa_ref_none();

    assert_int_equal(route(w, policy, key, &got), PROA_OK);
    return got;
}

static struct directory_group_stats stats(const struct world *w)
{
    struct directory_group_stats s;

    directory_group_stats(w->dir, &s);
    return s;
}

/* ---- Joining and leaving ---- */

static void join__seen_when_published(void **state)
{
    struct world w = create();
    struct proa_members found = {9, 9};
    struct proa_ref refs[2];
    uint64_t first, second;

    (void)state;
    assert_int_equal(list(&w, G, 0, refs, 2, &found), PROA_UNKNOWN);
    assert_int_equal(found.count, 0);
    assert_int_equal(found.version, 0);
    first = join(&w, G, ref(HERE, 1));
    assert_true(first > 0);
    assert_int_equal(list(&w, G, 0, refs, 2, &found), PROA_UNKNOWN);
    assert_true(found.version < first);
    assert_true(directory_group_version(w.dir, G, strlen(G)) < first);
    assert_int_equal(directory_group_changed(w.dir, G, strlen(G)), first);
    assert_int_equal(publish(&w), PROA_NS_NEVER);
    assert_int_equal(list(&w, G, 0, refs, 2, &found), PROA_OK);
    assert_int_equal(found.count, 1);
    assert_int_equal(found.version, first);
    assert_true(proa_ref_equal(refs[0], ref(HERE, 1)));
    assert_int_equal(directory_group_version(w.dir, G, strlen(G)), first);

    assert_int_equal(join(&w, G, ref(HERE, 1)), 0); /* once */
    second = join(&w, G, ref(NODE_B, 1));
    assert_true(second > first);
    publish(&w);
    assert_int_equal(list(&w, G, 0, refs, 1, &found), PROA_OK); /* more than fit */
    assert_int_equal(found.count, 2);
    assert_int_equal(found.version, second);
    assert_int_equal(list(&w, G, PROA_ALL_UNREACHABLE, NULL, 0, &found), PROA_OK);
    assert_int_equal(found.count, 2);
    assert_int_equal(stats(&w).groups, 1);
    assert_int_equal(stats(&w).members, 2);
    directory_destroy(w.dir);
}

static void join__refused_without_its_node_or_a_name(void **state)
{
    struct world w = create();
    char name[PROA_NAME_MAX + 1];

    (void)state;
    memset(name, 'x', sizeof(name));
    assert_int_equal(join(&w, G, ref(0x77, 1)), 0);
    assert_int_equal(stats(&w).no_node, 1);
    assert_int_equal(directory_join(w.dir, name, 0, ref(HERE, 1), 0), 0);
    assert_int_equal(directory_join(w.dir, name, sizeof(name), ref(HERE, 1), 0), 0);
    assert_int_equal(stats(&w).full, 2);
    assert_int_equal(stats(&w).groups, 0);
    assert_true(directory_join(w.dir, name, PROA_NAME_MAX, ref(HERE, 1), 0) > 0);
    directory_destroy(w.dir);
}

static void leave__versions_go_on_growing_past_the_end_of_a_group(void **state)
{
    struct world w = create();
    struct proa_members found;
    uint64_t joined, gone, again;

    (void)state;
    assert_int_equal(leave(&w, G, ref(HERE, 1)), 0);
    joined = join(&w, G, ref(HERE, 1));
    publish(&w);
    assert_int_equal(leave(&w, G, ref(HERE, 2)), 0);
    gone = leave(&w, G, ref(HERE, 1));
    assert_true(gone > joined);
    assert_int_equal(count(&w, G), 1); /* not published */
    publish(&w);
    assert_int_equal(list(&w, G, 0, NULL, 0, &found), PROA_UNKNOWN);
    assert_true(found.version >= gone);
    assert_true(directory_group_version(w.dir, G, strlen(G)) >= gone);
    assert_int_equal(directory_group_changed(w.dir, G, strlen(G)), found.version);
    assert_int_equal(directory_group_version(w.dir, "never", 5), found.version);
    assert_int_equal(stats(&w).groups, 0);

    again = join(&w, G, ref(HERE, 1));
    assert_true(again > found.version);
    /* Made, but not published: what readers see is older than the join. */
    list(&w, G, 0, NULL, 0, &found);
    assert_true(found.version >= gone && found.version < again);
    /* Another group's end does not make it look newer. */
    assert_true(join(&w, "other", ref(HERE, 1)) > 0);
    assert_true(leave(&w, "other", ref(HERE, 1)) > 0);
    directory_groups_publish(w.dir, NOW);
    list(&w, G, 0, NULL, 0, &found);
    assert_int_equal(found.version, again);
    directory_destroy(w.dir);
}

static void leave__before_it_was_published(void **state)
{
    struct world w = create();

    (void)state;
    for (uint32_t i = 0; i < 20; i++)
        assert_true(join(&w, G, ref(HERE, i)) > 0);
    for (uint32_t i = 0; i < 20; i += 3)
        assert_true(leave(&w, G, ref(HERE, i)) > 0);
    publish(&w);
    assert_int_equal(count(&w, G), 13);
    for (uint32_t i = 0; i < 20; i++)
        assert_int_equal(leave(&w, G, ref(HERE, i)) > 0, i % 3 != 0);
    publish(&w);
    assert_int_equal(stats(&w).members, 0);
    directory_destroy(w.dir);
}

static void rejoin__two_versions_and_one_view(void **state)
{
    struct world w = create();
    struct proa_ref old = ref(HERE, 5), next = {HERE, 5, 77}, got;
    uint64_t joined, version;
    struct proa_members found;

    (void)state;
    assert_int_equal(directory_rejoin(w.dir, G, strlen(G), old, next, TYPE), 0);
    assert_int_equal(stats(&w).members, 0);
    joined = join(&w, G, old);
    publish(&w);
    version = directory_rejoin(w.dir, G, strlen(G), old, next, TYPE);
    assert_int_equal(version, joined + 2);
    publish(&w);
    assert_int_equal(list(&w, G, 0, &got, 1, &found), PROA_OK);
    assert_int_equal(found.count, 1);
    assert_int_equal(found.version, version);
    assert_true(proa_ref_equal(got, next));
    assert_int_equal(stats(&w).views, 2);
    directory_destroy(w.dir);
}

static void groups__bounded(void **state)
{
    struct world w = create();
    char name[16];

    (void)state;
    for (uint32_t i = 0; i < DIRECTORY_GROUPS_MAX; i++) {
        snprintf(name, sizeof(name), "group-%u", i);
        assert_true(join(&w, name, ref(HERE, 1)) > 0);
    }
    assert_int_equal(join(&w, "one more", ref(HERE, 1)), 0);
    assert_int_equal(stats(&w).full, 1);
    publish(&w);
    assert_int_equal(count(&w, "group-12345"), 1);
    for (uint32_t i = 0; i < DIRECTORY_GROUPS_MAX; i++) {
        snprintf(name, sizeof(name), "group-%u", i);
        assert_true(leave(&w, name, ref(HERE, 1)) > 0);
    }
    publish(&w);
    assert_int_equal(stats(&w).groups, 0);
    assert_true(join(&w, "one more", ref(HERE, 1)) > 0);
    publish(&w);
    assert_int_equal(count(&w, "one more"), 1);
    directory_destroy(w.dir);
}

/* ---- Nodes ---- */

static void members__of_silent_nodes_do_not_count(void **state)
{
    struct world w = create();
    struct proa_members found;
    struct proa_ref got;

    (void)state;
    join(&w, G, ref(NODE_B, 1));
    join(&w, G, ref(NODE_B, 2));
    publish(&w);
    assert_int_equal(list(&w, G, 0, NULL, 0, &found), PROA_OK);
    w.now = ALIVE;
    assert_int_equal(list(&w, G, 0, NULL, 0, &found), PROA_UNKNOWN);
    assert_int_equal(found.count, 0);
    for (int policy = PROA_ROUTE_RANDOM; policy <= PROA_ROUTE_IDLE_FIRST; policy++)
        assert_int_equal(route(&w, (enum proa_policy)policy, 1, &got), PROA_UNKNOWN);
    directory_complete(w.dir, true); /* there are members all the same */
    assert_int_equal(list(&w, G, 0, NULL, 0, &found), PROA_UNKNOWN);
    assert_int_equal(list(&w, G, PROA_ALL_UNREACHABLE, &got, 1, &found), PROA_OK);
    assert_int_equal(found.count, 2);
    assert_int_equal(got.node, NODE_B);
    join(&w, G, ref(HERE, 1));
    publish(&w);
    assert_int_equal(list(&w, G, 0, &got, 1, &found), PROA_OK);
    assert_int_equal(found.count, 1);
    assert_int_equal(got.node, HERE);
    directory_destroy(w.dir);
}

/* ---- Absent ---- */

static void absent__until_it_has_a_member_or_its_time_is_over(void **state)
{
    struct world w = create();
    struct proa_ref got;

    (void)state;
    assert_int_equal(route(&w, PROA_ROUTE_RANDOM, 0, &got), PROA_UNKNOWN);
    directory_group_absent(w.dir, G, strlen(G), NOW + 5);
    assert_int_equal(route(&w, PROA_ROUTE_RANDOM, 0, &got), PROA_NOT_FOUND);
    assert_int_equal(list(&w, G, 0, NULL, 0, NULL), PROA_NOT_FOUND);
    w.now = NOW + 5;
    assert_int_equal(route(&w, PROA_ROUTE_RANDOM, 0, &got), PROA_UNKNOWN);
    publish(&w);
    assert_int_equal(stats(&w).groups, 0);

    directory_group_absent(w.dir, G, strlen(G), NOW + 50);
    directory_group_absent(w.dir, G, strlen(G), NOW + 60);
    assert_true(join(&w, G, ref(HERE, 1)) > 0);
    assert_int_equal(route(&w, PROA_ROUTE_RANDOM, 0, &got), PROA_UNKNOWN);
    publish(&w);
    assert_int_equal(route(&w, PROA_ROUTE_RANDOM, 0, &got), PROA_OK);
    directory_group_absent(w.dir, G, strlen(G), NOW + 60); /* it is not */
    assert_int_equal(route(&w, PROA_ROUTE_RANDOM, 0, &got), PROA_OK);
    assert_true(leave(&w, G, ref(HERE, 1)) > 0);
    directory_group_absent(w.dir, G, strlen(G), NOW + 60);
    publish(&w);
    assert_int_equal(route(&w, PROA_ROUTE_RANDOM, 0, &got), PROA_NOT_FOUND);
    directory_destroy(w.dir);
}

static void absent__oldest_make_room(void **state)
{
    struct world w = create();
    uint32_t max = DIRECTORY_GROUPS_MAX / DIRECTORY_ABSENT_SHARE;
    char name[16];

    (void)state;
    for (uint32_t i = 0; i <= max; i++) {
        snprintf(name, sizeof(name), "group-%u", i);
        directory_group_absent(w.dir, name, strlen(name), NOW + 5);
    }
    assert_int_equal(stats(&w).groups, max);
    assert_int_equal(list(&w, "group-0", 0, NULL, 0, NULL), PROA_UNKNOWN);
    assert_int_equal(list(&w, "group-1", 0, NULL, 0, NULL), PROA_NOT_FOUND);
    directory_destroy(w.dir);
}

static void complete__names_and_groups_not_here_are_not_found(void **state)
{
    struct world w = create();
    struct proa_ref got;

    (void)state;
    assert_true(directory_put(w.dir, "here", 4, ref(NODE_B, 1), 0, NOW));
    directory_complete(w.dir, true);
    assert_int_equal(directory_lookup(w.dir, "n", 1, 0, NOW, &got), PROA_NOT_FOUND);
    assert_int_equal(directory_lookup(w.dir, "here", 4, 0, NOW, &got), PROA_OK);
    assert_int_equal(directory_lookup(w.dir, "here", 4, 0, ALIVE, &got), PROA_UNKNOWN);
    assert_int_equal(route(&w, PROA_ROUTE_HASH, 0, &got), PROA_NOT_FOUND);
    directory_complete(w.dir, false);
    assert_int_equal(directory_lookup(w.dir, "n", 1, 0, NOW, &got), PROA_UNKNOWN);
    assert_int_equal(route(&w, PROA_ROUTE_HASH, 0, &got), PROA_UNKNOWN);
    directory_destroy(w.dir);
}

/* ---- Lists ---- */

struct seen {
    uint32_t count, local, reachable;
    uint32_t loads;
    uint32_t stop_at;
};

static void on_each(void *ctx, struct proa_ref r, bool local)
{
    struct seen *seen = ctx;

    seen->count++;
    seen->local += local;
    assert_int_equal(local, r.node == HERE);
}

static bool on_group(void *ctx, const char *group, size_t len, uint32_t members,
                     uint64_t version)
{
    struct seen *seen = ctx;

    assert_int_equal(len, 1);
    assert_int_equal(members, group[0] - '0');
    assert_true(version > 0);
    return ++seen->count != seen->stop_at;
}

static bool on_member(void *ctx, struct proa_ref r, uint32_t type, bool reachable,
                      uint16_t load)
{
    struct seen *seen = ctx;

    assert_true(r.node == HERE || r.node == NODE_B);
    assert_int_equal(type, TYPE);
    seen->reachable += reachable;
    seen->loads += load;
    return ++seen->count != seen->stop_at;
}

static void each__groups_and_members(void **state)
{
    struct world w = create();
    struct seen seen = {0};
    enum proa_outcome outcome;

    (void)state;
    for (uint32_t i = 0; i < 6; i++)
        join(&w, i < 4 ? "4" : "2", ref(i % 2 == 0 ? HERE : NODE_B, i));
    directory_each_group(w.dir, on_group, &seen);
    assert_int_equal(seen.count, 2);
    seen = (struct seen){.stop_at = 1};
    directory_each_group(w.dir, on_group, &seen);
    assert_int_equal(seen.count, 1);
    publish(&w);
    leave(&w, "4", ref(HERE, 0));
    join(&w, "4",
         ref(NODE_B, 8)); /* one of the view, one that left, one that was added */
    directory_load(w.dir, "4", 1, ref(NODE_B, 8), 11);
    seen = (struct seen){0};
    directory_each_in_group(w.dir, "4", 1, ALIVE, on_member, &seen);
    assert_int_equal(seen.count, 4);
    assert_int_equal(seen.reachable, 1);
    assert_int_equal(seen.loads, 11);
    seen = (struct seen){.stop_at = 2};
    directory_each_in_group(w.dir, "4", 1, NOW, on_member, &seen);
    assert_int_equal(seen.count, 2);
    seen = (struct seen){0};
    assert_int_equal(directory_each_member(w.dir, "4", 1, NOW, on_each, &seen, &outcome),
                     4);
    assert_int_equal(outcome, PROA_OK);
    assert_int_equal(seen.count, 4);
    assert_int_equal(seen.local, 2);
    assert_int_equal(directory_each_member(w.dir, "5", 1, NOW, on_each, &seen, &outcome),
                     0);
    assert_int_equal(outcome, PROA_UNKNOWN);
    directory_destroy(w.dir);
}

static void members__by_type(void **state)
{
    struct world w = create();
    struct proa_members found;
    struct proa_ref got;

    (void)state;
    directory_join(w.dir, G, strlen(G), ref(HERE, 1), 5);
    directory_join(w.dir, G, strlen(G), ref(HERE, 2), 6);
    publish(&w);
    assert_int_equal(directory_members(w.dir, G, strlen(G), 6, 0, NOW, &got, 1, &found),
                     PROA_OK);
    assert_int_equal(found.count, 1);
    assert_int_equal(got.slot, 2);
    assert_int_equal(directory_members(w.dir, G, strlen(G), 7, 0, NOW, &got, 1, &found),
                     PROA_WRONG_TYPE);
    assert_int_equal(found.count, 0);
    directory_join(w.dir, G, strlen(G), ref(HERE, 3), 0); /* may be of any type */
    publish(&w);
    assert_int_equal(directory_members(w.dir, G, strlen(G), 7, 0, NOW, &got, 1, &found),
                     PROA_OK);
    assert_int_equal(got.slot, 3);
    directory_destroy(w.dir);
}

static void read__told_once(void **state)
{
    struct world w = create();

    (void)state;
    join(&w, G, ref(HERE, 1));
    publish(&w);
    assert_false(directory_group_read(w.dir, G, strlen(G)));
    count(&w, G);
    assert_true(directory_group_read(w.dir, G, strlen(G)));
    assert_false(directory_group_read(w.dir, G, strlen(G)));
    pick(&w, PROA_ROUTE_RANDOM, 0);
    assert_true(directory_group_read(w.dir, G, strlen(G)));
    assert_false(directory_group_read(w.dir, "another", 7));
    directory_destroy(w.dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(join__seen_when_published),
        cmocka_unit_test(join__refused_without_its_node_or_a_name),
        cmocka_unit_test(leave__versions_go_on_growing_past_the_end_of_a_group),
        cmocka_unit_test(leave__before_it_was_published),
        cmocka_unit_test(rejoin__two_versions_and_one_view),
        cmocka_unit_test(groups__bounded),
        cmocka_unit_test(members__of_silent_nodes_do_not_count),
        cmocka_unit_test(absent__until_it_has_a_member_or_its_time_is_over),
        cmocka_unit_test(absent__oldest_make_room),
        cmocka_unit_test(complete__names_and_groups_not_here_are_not_found),
        cmocka_unit_test(each__groups_and_members),
        cmocka_unit_test(members__by_type),
        cmocka_unit_test(read__told_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
