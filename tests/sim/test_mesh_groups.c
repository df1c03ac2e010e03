/* SPDX-License-Identifier: Apache-2.0 */
/* Groups over linked registries: members of all nodes, picked, watched, restarted and killed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <proa/group.h>
#include <proa/life.h>
#include <stdlib.h>

#include "mesh_sim.h"

#define TYPE_GROUP PROA_GROUP_TYPE "worker"

static struct proa_test *test;

/* ---- Workers: published, they answer who they are, or fail ---- */

enum { WORK = 1, FAIL, QUIET };

static uint32_t told_quietly;

static void on_work(struct proa_actor *self, const struct proa_msg *msg)
{
    struct proa_ref me = proa_self(self);

    proa_reply(self, msg, &me, sizeof(me));
}

static void on_fail(struct proa_actor *self, const struct proa_msg *msg)
{
    (void)msg;
    proa_fail(self, 5);
}

static void on_quiet(struct proa_actor *self, const struct proa_msg *msg)
{
    (void)self;
    (void)msg;
    told_quietly++;
}

static const struct proa_on worker_on[] = {
    {WORK, 0, on_work}, {FAIL, 0, on_fail}, {QUIET, 0, on_quiet}};
static const struct proa_behaviour worker = {
    .type_name = "worker", .published = true, .on = worker_on, .on_count = 3};

/* ---- Clusters ---- */

static void begin(unsigned nodes, unsigned lanes, uint64_t seed)
{
    struct proa_test_config config = {.nodes = nodes, .lanes = lanes, .seed = seed};

    test = proa_test_create(&config);
    assert_non_null(test);
    proa_test_check(test, proa_test_join(test), "all nodes to join");
    proa_test_check(test, proa_test_linked(test, 10 * PROA_S), "all registries linked");
}

static int finish(void **state)
{
    (void)state;
    proa_test_destroy(test);
    test = NULL;
    return 0;
}

static char group_g[] = "g";

/* ---- Known everywhere ---- */

static void groups__of_all_nodes_are_known_to_all(void **state)
{
    struct proa_ref refs[15];

    (void)state;
    begin(5, 2, 1);
    for (unsigned i = 0; i < 15; i++)
        refs[i] = mesh_sim_spawn(test, i % 5, i % 2, &worker);
    mesh_sim_expect(test, TYPE_GROUP, 0, 5, 15, 5 * PROA_MS);
    assert_int_equal(mesh_sim_members(test, 3, "nobody", 0)->outcome, PROA_NOT_FOUND);
    proa_test_call_actor(test, refs[7], mesh_sim_join, group_g);
    mesh_sim_expect(test, "g", 0, 5, 1, 2 * PROA_MS);
    assert_true(proa_ref_equal(mesh_sim_members(test, 0, "g", 0)->refs[0], refs[7]));
    proa_test_call_actor(test, refs[7], mesh_sim_leave, group_g);
    mesh_sim_expect(test, "g", 0, 5, 0, 2 * PROA_MS);
}

/* The article's balancer: each message to a member that is picked for it. */
struct balance {
    struct proa_ref answered[64];
    unsigned answers, distinct, want;
    enum proa_policy policy;
};

static void on_answer(struct proa_actor *self, const struct proa_answer *answer,
                      const void *ctx)
{
    struct balance *b;

    (void)self;
    memcpy(&b, ctx, sizeof(b));
    assert_int_equal(answer->outcome, PROA_OK);
    for (unsigned i = 0; i < b->distinct; i++) {
        if (proa_ref_equal(b->answered[i], answer->from)) {
            b->answers++;
            return;
        }
    }
    b->answered[b->distinct++] = answer->from;
    b->answers++;
}

static void balance_all(struct proa_actor *self, void *ctx)
{
    struct balance *b = ctx;

    for (unsigned i = 0; i < b->want; i++) {
        struct proa_ref to;

        assert_int_equal(proa_route(self, TYPE_GROUP, b->policy, i, &to), PROA_OK);
        assert_int_equal(
            proa_ask(self, to, WORK, NULL, 0, PROA_S, on_answer, &b, sizeof(b)), PROA_OK);
    }
}

static bool balanced(void *ctx)
{
    const struct balance *b = ctx;

    return b->answers == b->want;
}

static void balance_on(unsigned node, enum proa_policy policy, unsigned at_least)
{
    struct balance b = {.want = 30, .policy = policy};

    proa_test_call(test, node, balance_all, &b);
    assert_true(proa_test_until(test, balanced, &b, 5 * PROA_MS));
    assert_in_range(b.distinct, at_least, 30);
}

static void balancer__uses_workers_of_all_nodes(void **state)
{
    (void)state;
    /* Node 2 knows node 1, which knows node 0. */
    begin(3, 1, 2);
    for (unsigned i = 0; i < 6; i++)
        mesh_sim_spawn(test, i % 2, 0, &worker);
    mesh_sim_expect(test, TYPE_GROUP, 0, 3, 6, 5 * PROA_MS);
    balance_on(1, PROA_ROUTE_IDLE_FIRST, 6);
    for (unsigned i = 0; i < 3; i++)
        mesh_sim_spawn(test, 2, 0, &worker);
    mesh_sim_expect(test, TYPE_GROUP, 0, 3, 9, 5 * PROA_MS);
    balance_on(2, PROA_ROUTE_IDLE_FIRST, 9);
    balance_on(2, PROA_ROUTE_ROUND_ROBIN, 9);
    balance_on(0, PROA_ROUTE_LEAST_LOADED, 5);
    balance_on(0, PROA_ROUTE_RANDOM, 5);
}

/* ---- Multicast ---- */

static void tell_everybody(struct proa_actor *self, void *ctx)
{
    assert_int_equal(proa_multicast(self, TYPE_GROUP, QUIET, NULL, 0, ctx), PROA_OK);
}

static bool told_twelve(void *ctx)
{
    (void)ctx;
    return told_quietly == 12;
}

static void multicast__reaches_each_member_once(void **state)
{
    uint32_t members = 0;

    (void)state;
    begin(3, 2, 3);
    told_quietly = 0;
    for (unsigned i = 0; i < 12; i++)
        mesh_sim_spawn(test, i % 3, i % 2, &worker);
    mesh_sim_expect(test, TYPE_GROUP, 0, 3, 12, 5 * PROA_MS);
    proa_test_call(test, 1, tell_everybody, &members);
    assert_int_equal(members, 12);
    assert_true(proa_test_until(test, told_twelve, NULL, 5 * PROA_MS));
    proa_test_advance(test, 10 * PROA_MS);
    assert_int_equal(told_quietly, 12);
}

/* ---- Restarts ---- */

static int boss_start(struct proa_actor *self, const void *arg, size_t len)
{
    struct proa_ref child;

    (void)arg;
    (void)len;
    return proa_spawn_child(self, &worker, NULL, 0, PROA_RESTART_PERMANENT, &child) ==
                   PROA_OK
               ? 0
               : -1;
}

static const struct proa_supervision one_for_one = {.strategy = PROA_ONE_FOR_ONE};
static const struct proa_behaviour boss = {
    .type_name = "boss", .start = boss_start, .supervision = &one_for_one};

struct moved {
    struct proa_ref old;
    unsigned nodes;
};

static bool has_moved(void *ctx)
{
    const struct moved *moved = ctx;

    for (unsigned i = 0; i < moved->nodes; i++) {
        const struct mesh_sim_members *m = mesh_sim_members(test, i, TYPE_GROUP, 0);
        if (m->is.count != 1 || m->refs[0].slot != moved->old.slot ||
            m->refs[0].generation == moved->old.generation)
            return false;
    }
    return true;
}

static void restart__keeps_membership_under_the_new_reference(void **state)
{
    struct moved moved = {.nodes = 3};
    struct proa_ref before;

    (void)state;
    begin(3, 1, 4);
    mesh_sim_spawn(test, 1, 0, &boss);
    mesh_sim_expect(test, TYPE_GROUP, 0, 3, 1, 5 * PROA_MS);
    for (unsigned i = 0; i < 3; i++) {
        moved.old = before = mesh_sim_members(test, 0, TYPE_GROUP, 0)->refs[0];
        assert_int_equal(proa_test_tell(test, 0, before, FAIL, NULL, 0), PROA_OK);
        assert_true(proa_test_until(test, has_moved, &moved, 5 * PROA_MS));
    }
}

/* ---- A kill under load ---- */

#define LOAD_NODES 4
#define LOAD_WORKERS 40 /* of each node */
#define ASKERS 6

struct load {
    uint64_t asked, ended, ok;
    uint64_t dead_node;
    proa_ns last_routed; /* to the dead node */
    bool stop;
};

static struct load load; /* of all askers */

static void ask_on(struct proa_actor *self);

static void on_load(struct proa_actor *self, const struct proa_answer *answer,
                    const void *ctx)
{
    (void)ctx;
    load.ended++;
    load.ok += answer->outcome == PROA_OK;
    ask_on(self);
}

static void ask_on(struct proa_actor *self)
{
    struct proa_ref to;

    if (load.stop || proa_route(self, TYPE_GROUP, PROA_ROUTE_RANDOM, 0, &to) != PROA_OK)
        return;
    if (to.node == load.dead_node)
        load.last_routed = proa_now(self);
    if (proa_ask(self, to, WORK, NULL, 0, 10 * PROA_S, on_load, NULL, 0) == PROA_OK)
        load.asked++;
}

static void ask_eight(struct proa_actor *self, void *ctx)
{
    (void)ctx;
    for (unsigned i = 0; i < 8; i++)
        ask_on(self);
}

static const struct proa_behaviour asker = {.type_name = "asker"};

/* No node knows a member of the dead one any more, silent or not. */
static bool all_gone(void *ctx)
{
    (void)ctx;
    for (unsigned i = 0; i + 1 < LOAD_NODES; i++) {
        if (mesh_sim_members(test, i, TYPE_GROUP, PROA_ALL_UNREACHABLE)->is.count !=
            (LOAD_NODES - 1) * LOAD_WORKERS)
            return false;
    }
    return true;
}

static void kill__workers_vanish_and_every_ask_ends(void **state)
{
    struct sim_seeds seeds = sim_seeds(3);

    (void)state;
    for (uint64_t s = seeds.first; s < seeds.first + seeds.count; s++) {
        struct proa_ref askers[ASKERS];
        proa_ns killed, gone;
        uint64_t ok;

        if (test != NULL)
            finish(NULL);
        begin(LOAD_NODES, 2, s);
        load = (struct load){.dead_node = proa_test_node(test, LOAD_NODES - 1)};
        for (unsigned i = 0; i < LOAD_NODES * LOAD_WORKERS; i++)
            mesh_sim_spawn(test, i % LOAD_NODES, i / LOAD_NODES % 2, &worker);
        mesh_sim_expect(test, TYPE_GROUP, 0, LOAD_NODES, LOAD_NODES * LOAD_WORKERS,
                        PROA_S);
        for (unsigned i = 0; i < ASKERS; i++) {
            askers[i] = mesh_sim_spawn(test, i % (LOAD_NODES - 1), i % 2, &asker);
            proa_test_call_actor(test, askers[i], ask_eight, NULL);
        }
        proa_test_advance(test, 20 * PROA_MS);
        proa_test_kill(test, LOAD_NODES - 1);
        killed = proa_test_now(test);
        proa_test_check(test, proa_test_until(test, all_gone, NULL, 1010 * PROA_MS),
                        "the dead node's workers gone within 1 s and a loop gap");
        gone = proa_test_now(test);
        ok = load.ok;
        for (unsigned i = 0; i < ASKERS; i++)
            proa_test_call_actor(test, askers[i], ask_eight, NULL);
        proa_test_advance(test, 10 * PROA_MS);
        proa_test_check(test, load.ok > ok, "the rest goes on");
        proa_test_check(test, load.last_routed <= gone, "nothing routed to it later");
        load.stop = true;
        proa_test_advance(test, PROA_S);
        proa_test_check(test, load.asked == load.ended, "an outcome for each ask");
        proa_test_check(test, load.last_routed < killed + 1010 * PROA_MS, "in time");
    }
}

/* ---- Watching ---- */

/* What one watcher believes of group "g", by what it was told alone. */
struct belief {
    struct proa_ref refs[MESH_SIM_MEMBERS];
    uint32_t count;
    uint64_t version;
    unsigned sets, changes;
};

static struct belief belief;

static uint32_t place_of(struct proa_ref ref)
{
    uint32_t at = 0;

    while (at < belief.count && !proa_ref_equal(belief.refs[at], ref))
        at++;
    return at;
}

static void watcher_signal(struct proa_actor *self, const struct proa_signal *signal)
{
    const struct proa_change *change = signal->change;
    uint32_t at;

    (void)self;
    if (signal->kind != PROA_SIGNAL_CHANGED)
        return;
    assert_true(change->is_group);
    assert_string_equal(change->name, "g");
    assert_true(change->version > belief.version || belief.sets == 0);
    belief.version = change->version;
    if (change->kind == PROA_CHANGE_SET) {
        assert_true(change->count <= MESH_SIM_MEMBERS);
        if (change->count > 0)
            memcpy(belief.refs, change->refs, change->count * sizeof(belief.refs[0]));
        belief.count = change->count;
        belief.sets++;
        return;
    }
    assert_true(belief.sets > 0);
    belief.changes++;
    at = place_of(change->ref);
    if (change->kind == PROA_CHANGE_JOINED) {
        assert_int_equal(at, belief.count); /* none was told twice */
        belief.refs[belief.count++] = change->ref;
    } else {
        assert_true(at < belief.count);
        belief.refs[at] = belief.refs[--belief.count];
    }
}

static const struct proa_behaviour watcher = {.type_name = "watcher",
                                              .signal = watcher_signal};

static void watch_g(struct proa_actor *self, void *ctx)
{
    assert_int_equal(proa_watch(self, PROA_WATCH_GROUP, "g", ctx), PROA_OK);
}

static bool believes_right(void *ctx)
{
    const struct mesh_sim_members *m =
        mesh_sim_members(test, 0, "g", PROA_ALL_UNREACHABLE);

    (void)ctx;
    if (m->is.count != belief.count)
        return false;
    for (uint32_t i = 0; i < m->is.count; i++) {
        if (place_of(m->refs[i]) == belief.count)
            return false;
    }
    return true;
}

static void watch__books_agree_with_the_group(void **state)
{
    struct sim_seeds seeds = sim_seeds(4);

    (void)state;
    for (uint64_t s = seeds.first; s < seeds.first + seeds.count; s++) {
        struct proa_ref actors[24];
        struct proa_watching watching;
        bool in[24] = {false};
        uint64_t r = s;

        if (test != NULL)
            finish(NULL);
        begin(4, 1, s);
        belief = (struct belief){0};
        for (unsigned i = 0; i < 24; i++)
            actors[i] = mesh_sim_spawn(test, i % 4, 0, &asker);
        proa_test_call_actor(test, actors[1], mesh_sim_join, group_g);
        in[1] = true;
        proa_test_call_actor(test, mesh_sim_spawn(test, 0, 0, &watcher), watch_g,
                             &watching);
        for (unsigned i = 0; i < 300; i++) {
            unsigned at = (unsigned)(sim_random(&r) % 24);
            bool alive = i < 200 || at % 4 != 3;

            if (i == 200)
                proa_test_kill(test, 3);
            if (!alive)
                continue;
            proa_test_call_actor(test, actors[at],
                                 in[at] ? mesh_sim_leave : mesh_sim_join, group_g);
            in[at] = !in[at];
            proa_test_advance(test, sim_random(&r) % (300 * PROA_US));
        }
        proa_test_advance(test, 2 * PROA_S);
        proa_test_check(test, proa_test_until(test, believes_right, NULL, 5 * PROA_MS),
                        "the watcher's books to agree");
        assert_int_equal(belief.sets, 1);
        assert_true(belief.changes > 200);
        for (unsigned i = 0; i < 24; i++) {
            if (i % 4 != 3)
                assert_true(in[i] == (place_of(actors[i]) < belief.count));
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(groups__of_all_nodes_are_known_to_all, finish),
        cmocka_unit_test_teardown(balancer__uses_workers_of_all_nodes, finish),
        cmocka_unit_test_teardown(multicast__reaches_each_member_once, finish),
        cmocka_unit_test_teardown(restart__keeps_membership_under_the_new_reference,
                                  finish),
        cmocka_unit_test_teardown(kill__workers_vanish_and_every_ask_ends, finish),
        cmocka_unit_test_teardown(watch__books_agree_with_the_group, finish),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
