/* SPDX-License-Identifier: Apache-2.0 */
/* Views of groups: when they are made, and what they keep from being used again. */
#include "group_world.h"

#define NODE_B FAR(1)

static uint32_t count_in(struct world *w, const char *group, proa_ns now)
{
    struct proa_members found;

    directory_members(w->dir, group, strlen(group), 0, 0, now, NULL, 0, &found);
    return found.count;
}

static uint32_t count(struct world *w)
{
    return count_in(w, G, NOW);
}

static struct directory_group_stats stats(const struct world *w)
{
    struct directory_group_stats s;

    directory_group_stats(w->dir, &s);
    return s;
}

static void node_forget__ends_its_memberships(void **state)
{
    struct directory_stats before, after;
    struct world w;
    proa_ns due;

    (void)state;
    create(&w, 1);
    for (uint32_t i = 0; i < 600; i++) {
        join(&w, NODE_B, i);
        join(&w, HERE, i);
    }
    directory_join(w.dir, "only b", 6, (struct proa_ref){NODE_B, 1, 2}, 0);
    publish(&w);
    assert_int_equal(count(&w), 1200);
    assert_true(directory_node_forget(w.dir, NODE_B));
    assert_int_equal(stats(&w).members, 600);
    assert_int_equal(count(&w), 600); /* dead, though the view still has them */

    /* The record waits for the view that has it, which is not due yet. */
    directory_stats(w.dir, &before);
    directory_reclaim(w.dir);
    assert_non_null(directory_node_add(w.dir, 0xc, ALIVE));
    assert_int_equal(count(&w), 600);
    due = directory_groups_publish(w.dir, NOW);
    assert_true(due > NOW && due < ALIVE);
    assert_int_equal(directory_groups_publish(w.dir, due), PROA_NS_NEVER);
    directory_reclaim(w.dir);
    directory_stats(w.dir, &after);
    assert_true(after.reclaimed > before.reclaimed);
    assert_int_equal(after.pending, 0);
    assert_int_equal(count(&w), 600);
    assert_int_equal(count_in(&w, "only b", NOW), 0);
    assert_int_equal(stats(&w).groups, 1);

    /* Its record is used again. */
    assert_ptr_equal(directory_node_add(w.dir, 0xd, ALIVE), &w.dir->nodes[1]);
    join(&w, 0xd, 1);
    directory_destroy(w.dir);
}

static void node_forget__in_a_view_of_a_new_record_of_the_same_node(void **state)
{
    struct world w;

    (void)state;
    create(&w, 1);
    for (uint32_t i = 0; i < 300; i++)
        join(&w, NODE_B, i);
    publish(&w);
    assert_true(directory_node_forget(w.dir, NODE_B));
    assert_non_null(directory_node_add(w.dir, NODE_B, ALIVE));
    assert_int_equal(count(&w), 0); /* of its former life */
    for (uint32_t i = 0; i < 300; i++)
        join(&w, NODE_B, i);
    publish(&w);
    assert_int_equal(count(&w), 300);
    assert_true(directory_node_forget(w.dir, NODE_B));
    publish(&w);
    assert_int_equal(stats(&w).groups, 0);
    directory_destroy(w.dir);
}

/* A snapshot: 64,000 joins of 64 nodes, with a publish after each, a microsecond apart. */
static void publish__copies_in_linear_time(void **state)
{
    const uint32_t joins = 64000;
    proa_ns now = NOW, due;
    struct world w;

    (void)state;
    create(&w, 1);
    for (uint32_t i = 0; i < joins; i++) {
        join(&w, FAR(i % 64), i / 64);
        directory_groups_publish(w.dir, now);
        now += PROA_US;
    }
    /* At first each join is seen at once; then views take no more than their share, at 100 ns a
       member at least, and one may just have begun. */
    assert_in_range(stats(&w).copied, 256,
                    256 * 257 / 2 + (now - NOW) / DIRECTORY_VIEW_SHARE / 100 + joins);
    due = directory_groups_publish(w.dir, now);
    assert_true(due < now + PROA_S);
    assert_int_equal(directory_groups_publish(w.dir, due), PROA_NS_NEVER);
    assert_int_equal(count(&w), joins);
    /* One change of a quiet large group is seen at once. */
    leave(&w, FAR(0), 0);
    assert_int_equal(directory_groups_publish(w.dir, due + PROA_S), PROA_NS_NEVER);
    assert_int_equal(count(&w), joins - 1);
    directory_destroy(w.dir);
}

/* A large group that changes all the time does not keep a small one waiting, nor another large one
   for ever. */
static void publish__in_turn(void **state)
{
    proa_ns now = NOW;
    struct world w;
    uint32_t waited = 0;

    (void)state;
    create(&w, 1);
    for (uint32_t i = 0; i < 5000; i++) {
        join(&w, FAR(1), i);
        directory_join(w.dir, "other", 5, (struct proa_ref){HERE, i, 1}, 0);
    }
    publish(&w);
    for (uint32_t i = 0; i < 50; i++, now += PROA_MS) {
        leave(&w, FAR(1), i);
        directory_groups_publish(w.dir, now);
    }
    directory_leave(w.dir, "other", 5, (struct proa_ref){HERE, 1, 1});
    directory_join(w.dir, "small", 5, (struct proa_ref){HERE, 1, 1}, 0);
    for (; count_in(&w, "other", NOW) == 5000; now += PROA_MS, waited++) {
        leave(&w, FAR(1), 100 + waited);
        directory_groups_publish(w.dir, now);
        assert_int_equal(count_in(&w, "small", NOW), 1);
        assert_true(waited < 100);
    }
    directory_destroy(w.dir);
}

static void publish__waits_when_a_reader_is_stuck(void **state)
{
    uint32_t changes = 0;
    struct world w;
    int reader;

    (void)state;
    create(&w, 1);
    reader = directory_reader_add(w.dir);
    directory_online(w.dir, reader);
    for (uint32_t i = 0; i < 200; i++)
        join(&w, HERE, i);
    join(&w, NODE_B, 0);
    for (; directory_groups_publish(w.dir, NOW) == PROA_NS_NEVER; changes++) {
        assert_true(changes < 100000);
        join(&w, NODE_B, (changes + 1) % 40);
        leave(&w, NODE_B, changes % 40);
    }
    assert_true(stats(&w).pending > 100);
    assert_int_equal(count(&w), 201);
    for (int i = 0; i < 2; i++) {
        directory_quiescent(w.dir, reader);
        directory_reclaim(w.dir);
    }
    assert_int_equal(directory_groups_publish(w.dir, NOW), PROA_NS_NEVER);
    assert_true(stats(&w).pending < 5);
    directory_destroy(w.dir);
}

/* ---- However a view came about ---- */

#define MODEL 600u /* members that may be, on 6 nodes */

static uint32_t below(uint64_t *random, uint32_t n)
{
    *random = *random * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)((*random >> 33) % n);
}

/* The ring has the points of all members, in order, and the guide leads into it. */
static void check_ring(const struct group_view *view)
{
    uint32_t count = view->count * GROUP_POINTS, at = 0;

    for (uint32_t i = 0; i < count; i++) {
        uint32_t index = (uint32_t)(view->points[i] & POINT_INDEX_MASK), same = 0;
        const struct group_member *m = &view->members[index];

        assert_true(index < view->count);
        assert_true(i == 0 || view->points[i - 1] < view->points[i]);
        for (uint32_t k = 0; k < GROUP_POINTS; k++)
            same += ((member_point(mix64(m->node->id), m->slot, k) ^ view->points[i]) &
                     ~POINT_INDEX_MASK) == 0;
        assert_int_equal(same, 1);
    }
    assert_true(view->points[count] == POINT_END);
    for (uint32_t b = 0; b <= 1u << view->guide_bits; b++) {
        while (at < count && view->points[at] >> (64 - view->guide_bits) < b)
            at++;
        assert_int_equal(view->guide[b], at);
    }
}

/* As many as the model says, each once, each where its slot and node belong. */
static void check_members(const struct group_view *view, const uint32_t *model)
{
    uint32_t locals = 0, there = 0, seen[MODEL] = {0};

    for (uint32_t i = 0; i < view->count; i++) {
        const struct group_member *m = &view->members[i];
        struct proa_ref got = member_ref(m);
        uint32_t n = got.slot;

        assert_true(n < MODEL && model[n] == got.generation && seen[n]++ == 0);
        assert_true(got.node == (n % 6 == 0 ? HERE : FAR(n % 6)));
        assert_int_equal(m->local, n % 6 == 0);
        if (m->local) {
            assert_int_equal(view->local[locals++], i);
            assert_true(n >= LANE_SLOTS || atomic_load(m->load) == 1000 + n);
        }
    }
    assert_int_equal(view->locals, locals);
    for (uint32_t n = 0; n < MODEL; n++)
        there += model[n] != 0;
    assert_int_equal(view->count, there);
}

static void change(struct world *w, uint32_t *model, uint64_t *random)
{
    uint32_t n = below(random, MODEL), life = 1 + below(random, 1000);
    uint64_t node = n % 6 == 0 ? HERE : FAR(n % 6);
    struct proa_ref now = {node, n, model[n]}, next = {node, n, life};

    if (model[n] == 0) {
        assert_true(directory_join(w->dir, G, strlen(G), next, 0) > 0);
        model[n] = life;
    } else if (below(random, 3) == 0 && life != model[n]) {
        assert_true(directory_rejoin(w->dir, G, strlen(G), now, next, 0) > 0);
        model[n] = life;
    } else {
        assert_true(directory_leave(w->dir, G, strlen(G), now) > 0);
        model[n] = 0;
    }
}

static void forget_node(struct world *w, uint32_t *model, uint64_t *random)
{
    uint32_t node = 1 + below(random, 5);

    assert_true(directory_node_forget(w->dir, FAR(node)));
    assert_non_null(directory_node_add(w->dir, FAR(node), ALIVE));
    for (uint32_t n = node; n < MODEL; n += 6)
        model[n] = 0;
}

static void publish__random_changes_agree_with_a_model(void **state)
{
    uint64_t random = 20240607;
    uint32_t model[MODEL] = {0};
    struct world w;

    (void)state;
    print_message("seed %llu\n", (unsigned long long)random);
    create(&w, 1);
    for (uint32_t n = 0; n < LANE_SLOTS; n++)
        atomic_store(&w.words[n], (uint16_t)(1000 + n));
    for (uint32_t i = 1; i < 6; i++)
        assert_non_null(directory_node_add(w.dir, FAR(i), ALIVE));
    for (uint32_t round = 0; round < 1000; round++) {
        uint32_t changes = 1u << below(&random, round < 500 ? 9 : 4);
        const struct group *group;

        for (uint32_t i = 0; i < changes; i++)
            change(&w, model, &random);
        if (below(&random, 30) == 0)
            forget_node(&w, model, &random);
        if (below(&random, 30) == 0)
            directory_lane_loads(w.dir, 0, w.words, LANE_SLOTS);
        publish(&w);
        directory_reclaim(w.dir);
        group = group_get(w.dir, G, strlen(G));
        if (group == NULL) {
            assert_int_equal(stats(&w).members, 0);
            continue;
        }
        check_members(atomic_load(&group->view), model);
        check_ring(atomic_load(&group->view));
    }
    directory_destroy(w.dir);
}

/* ---- Load words ---- */

static _Atomic uint16_t *word_of(struct world *w, uint32_t number)
{
    const struct group_view *view = atomic_load(&group_get(w->dir, G, strlen(G))->view);

    for (uint32_t i = 0; i < view->count; i++)
        if (view->members[i].slot == number)
            return view->members[i].load;
    fail();
    return NULL;
}

/* A reader may be about to add to the word of who has left: nobody else has it before that is over. */
static void words__given_back_with_the_view(void **state)
{
    struct world w;
    _Atomic uint16_t *word;
    int reader;

    (void)state;
    create(&w, 1);
    reader = directory_reader_add(w.dir);
    directory_online(w.dir, reader);
    join(&w, FAR(1), 1);
    publish(&w);
    word = word_of(&w, 1);
    leave(&w, FAR(1), 1);
    for (uint32_t i = 2; i < 6; i++) {
        join(&w, FAR(1), i);
        publish(&w);
        directory_reclaim(w.dir);
        assert_ptr_not_equal(word_of(&w, i), word);
    }
    atomic_store(word, 501);
    directory_quiescent(w.dir, reader);
    directory_reclaim(w.dir);
    directory_offline(w.dir, reader);
    directory_reader_remove(w.dir, reader);
    directory_reclaim(w.dir);
    join(&w, FAR(1), 6);
    publish(&w);
    assert_ptr_equal(word_of(&w, 6), word);
    assert_int_equal(atomic_load(word), 0);
    /* Of who was in no view it is given back at once. */
    join(&w, FAR(1), 7);
    leave(&w, FAR(1), 7);
    assert_int_equal(w.dir->filling.count, 1); /* the view of five */
    directory_destroy(w.dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(node_forget__ends_its_memberships),
        cmocka_unit_test(node_forget__in_a_view_of_a_new_record_of_the_same_node),
        cmocka_unit_test(publish__copies_in_linear_time),
        cmocka_unit_test(publish__in_turn),
        cmocka_unit_test(publish__waits_when_a_reader_is_stuck),
        cmocka_unit_test(publish__random_changes_agree_with_a_model),
        cmocka_unit_test(words__given_back_with_the_view),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
