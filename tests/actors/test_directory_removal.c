/* SPDX-License-Identifier: Apache-2.0 */
/* The removal of a group between two steps of a reader, and a reader between two steps of it.

   The table of groups is a mapping of its own.  Taking a right from it makes the next access to it
   a fault, whose handler gives the right back and does what another thread might do at that very
   moment. */
#include "group_world.h"

#include <signal.h>
#include <sys/mman.h>

#define NAMED G, strlen(G)
#define A ((struct proa_ref){FAR(1), 5, 6})

static struct {
    struct world *w;
    void *table;
    void (*then)(struct world *w);
} trap;

static void set_rights(int rights)
{
    assert_int_equal(
        mprotect(trap.table, GROUP_TABLE_SLOTS * sizeof(_Atomic(struct group *)), rights),
        0);
}

static void on_fault(int number)
{
    void (*then)(struct world * w) = trap.then;

    if (then == NULL)
        abort(); /* a fault that is none of ours */
    (void)number;
    trap.then = NULL;
    set_rights(PROT_READ | PROT_WRITE);
    then(trap.w);
}

/* Has `then` run at the next access to the table for which it has no right. */
static void trap_set(struct world *w, int rights, void (*then)(struct world *w))
{
    struct sigaction action = {.sa_handler = on_fault, .sa_flags = SA_NODEFER};

    assert_int_equal(sigaction(SIGSEGV, &action, NULL), 0); /* over cmocka's own */
    trap.w = w;
    trap.table = (void *)w->dir->groups.table;
    trap.then = then;
    set_rights(rights);
}

static void remove_group(struct world *w)
{
    assert_true(directory_leave(w->dir, NAMED, A) > 0);
    publish(w);
}

static uint64_t make_group(struct world *w)
{
    uint64_t version;

    assert_non_null(directory_node_add(w->dir, FAR(1), ALIVE));
    version = directory_join(w->dir, NAMED, A, 0);
    publish(w);
    return version;
}

/* ---- A reader during a removal ---- */

static void remember(struct world *w)
{
    assert_int_equal(pick(w, PROA_ROUTE_LEAST_LOADED, 0).slot, 5);
    assert_int_equal(pick(w, PROA_ROUTE_RANDOM, 0).slot, 5);
}

static void remove__readers_do_not_remember_it(void **state)
{
    struct proa_ref got;
    struct world w;

    (void)state;
    create(&w, 1);
    make_group(&w);
    assert_true(directory_leave(w.dir, NAMED, A) > 0);
    trap_set(&w, PROT_READ, remember);
    publish(&w); /* the first write to the table takes the group out */
    assert_null(trap.then);
    directory_reclaim(w.dir); /* no reader is online: it is freed */
    assert_int_equal(route(&w, PROA_ROUTE_LEAST_LOADED, 0, NOW, &got), PROA_UNKNOWN);
    directory_destroy(w.dir);
}

/* ---- A removal during a read ---- */

static void members__versions_do_not_go_back_when_the_group_goes(void **state)
{
    struct proa_members found;
    struct world w;
    uint64_t version;

    (void)state;
    create(&w, 1);
    version = make_group(&w);
    assert_int_equal(
        directory_members(w.dir, NAMED, 0, PROA_ALL_UNREACHABLE, NOW, NULL, 0, &found),
        PROA_OK);
    assert_int_equal(found.version, version);
    trap_set(&w, PROT_NONE, remove_group);
    assert_int_equal(
        directory_members(w.dir, NAMED, 0, PROA_ALL_UNREACHABLE, NOW, NULL, 0, &found),
        PROA_UNKNOWN);
    assert_null(trap.then);
    assert_int_equal(found.count, 0);
    assert_true(found.version > version); /* the LEFT is in it */
    assert_int_equal(found.version, directory_group_version(w.dir, NAMED));
    directory_destroy(w.dir);
}

static void remove_another(struct world *w)
{
    struct proa_ref b = {FAR(1), 9, 9};

    make_group(w); /* in a slot that the reader may have passed */
    assert_true(directory_join(w->dir, "other", 5, b, 0) > 0);
    publish(w);
    assert_true(directory_leave(w->dir, "other", 5, b) > 0);
    publish(w);
}

/* A group that is made while it is looked for is not said to be empty at a later version. */
static void members__found_when_it_comes_meanwhile(void **state)
{
    struct proa_members found;
    struct world w;

    (void)state;
    create(&w, 1);
    trap_set(&w, PROT_NONE, remove_another);
    assert_int_equal(
        directory_members(w.dir, NAMED, 0, PROA_ALL_UNREACHABLE, NOW, NULL, 0, &found),
        PROA_OK);
    assert_int_equal(found.count, 1);
    directory_destroy(w.dir);
}

/* ---- A removal during each search ---- */

#define PAGE 4096u

static uint32_t removals;

/* The page with the floor, which lies beside other things. */
static void set_floor_rights(int rights)
{
    uintptr_t at = (uintptr_t)&trap.w->dir->groups.floor;

    assert_int_equal(mprotect((void *)(at & ~(uintptr_t)(PAGE - 1)), PAGE, rights), 0);
}

static void on_search(struct world *w);

static void on_floor(struct world *w)
{
    set_floor_rights(PROT_READ | PROT_WRITE);
    trap_set(w, PROT_NONE, on_search);
}

/* A group goes; then the next thing to be looked at is the floor. */
static void on_search(struct world *w)
{
    struct proa_ref b = {FAR(1), 9, 9};

    assert_true(directory_join(w->dir, "other", 5, b, 0) > 0);
    publish(w);
    assert_true(directory_leave(w->dir, "other", 5, b) > 0);
    publish(w);
    removals++;
    trap.then = on_floor;
    set_floor_rights(PROT_NONE);
}

static void members__gives_up_when_groups_go_all_the_time(void **state)
{
    struct proa_members found = {9, 9};
    enum proa_outcome outcome;
    struct world w;

    (void)state;
    create(&w, 1);
    assert_non_null(directory_node_add(w.dir, FAR(1), ALIVE));
    directory_complete(w.dir, true);
    removals = 0;
    trap_set(&w, PROT_NONE, on_search);
    outcome = directory_members(w.dir, NAMED, 0, 0, NOW, NULL, 0, &found);
    set_floor_rights(PROT_READ | PROT_WRITE);
    set_rights(PROT_READ | PROT_WRITE);
    trap.then = NULL;
    assert_int_equal(outcome, PROA_UNKNOWN); /* and not NOT_FOUND: nobody knows */
    assert_int_equal(found.version, 0);
    assert_int_equal(found.count, 0);
    assert_int_equal(removals, 64);
    assert_int_equal(directory_members(w.dir, NAMED, 0, 0, NOW, NULL, 0, &found),
                     PROA_NOT_FOUND);
    assert_int_equal(found.version, directory_group_version(w.dir, NAMED));
    directory_destroy(w.dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(remove__readers_do_not_remember_it),
        cmocka_unit_test(members__versions_do_not_go_back_when_the_group_goes),
        cmocka_unit_test(members__found_when_it_comes_meanwhile),
        cmocka_unit_test(members__gives_up_when_groups_go_all_the_time),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
