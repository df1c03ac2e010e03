/* SPDX-License-Identifier: Apache-2.0 */
/* The registry's calls of actors: what goes up to the control thread, what its answers do. */
#include "sched_world.h"

#include <proa/registry.h>

#include "behaviour.h"

static struct world *w;
static struct directory *dir;
static struct log a_log, b_log;
static struct proa_ref a, b;

static void tweak(struct sched_config *c)
{
    c->directory = dir;
}

static int setup(void **state)
{
    const uint8_t seed[32] = {7};

    (void)state;
    memset(&a_log, 0, sizeof(a_log));
    memset(&b_log, 0, sizeof(b_log));
    dir = directory_create(1024, seed);
    w = world_make(2, tweak);
    a = spawn(w, 0, &a_log);
    b = spawn(w, 1, &b_log);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    assert_clean(w);
    world_free(w);
    directory_destroy(dir);
    return 0;
}

struct call {
    const char *name;
    proa_ns deadline;
    int op; /* 0 register, 1 local, 2 unregister, 3 now, 4 wait */
    enum proa_outcome outcome;
};

static void log_named(struct proa_actor *self, const struct proa_name_answer *answer,
                      const void *ctx)
{
    struct event *e = log_add(self, NAMED);

    e->outcome = answer->outcome;
    e->from = answer->ref;
    e->value = answer->term;
    e->len = (uint32_t)strlen(answer->name);
    memcpy(&e->count, ctx, 4);
}

static void act_name(struct proa_actor *self, void *ctx)
{
    struct call *c = ctx;
    uint32_t n = 12;

    switch (c->op) {
    case 0:
        c->outcome = proa_register(self, c->name, c->deadline, log_named, &n, sizeof(n));
        break;
    case 1:
        c->outcome = proa_register_local(self, c->name, log_named, &n, sizeof(n));
        break;
    case 2:
        c->outcome = proa_unregister(self, c->name);
        break;
    case 3:
        c->outcome =
            proa_lookup_now(self, c->name, c->deadline, log_named, &n, sizeof(n));
        break;
    default:
        c->outcome =
            proa_lookup_wait(self, c->name, c->deadline, log_named, &n, sizeof(n));
    }
}

static enum proa_outcome call(struct proa_ref who, int op, const char *name)
{
    struct call c = {.name = name, .deadline = PROA_S, .op = op};

    in(w, who, act_name, &c);
    return c.outcome;
}

/* Takes the next record of lane's ring to control: a PUNT_NAME. */
static struct punt_name next_name(uint32_t lane, const char *want)
{
    const struct byte_record *r = byte_ring_peek(w->lane[lane].up);
    struct punt_name name;

    assert_non_null(r);
    assert_int_equal(r->kind, PUNT_NAME);
    memcpy(&name, r->body, sizeof(name));
    assert_int_equal(name.len, strlen(want));
    assert_memory_equal(r->body + sizeof(name), want, name.len);
    byte_ring_pop(w->lane[lane].up);
    return name;
}

static void answer(uint32_t lane, const struct punt_name *name, enum proa_outcome outcome,
                   const char *text)
{
    struct punt_answer answer = {.correlation = name->correlation,
                                 .slot = name->slot,
                                 .generation = name->generation,
                                 .outcome = outcome,
                                 .ref = b,
                                 .term = 77};

    sched_name_answer(w->lane[lane].s, &answer, text, strlen(text));
}

static void register__goes_up_and_its_answer_comes_once(void **state)
{
    struct punt_name name;

    (void)state;
    assert_int_equal(call(a, 0, "my_actor"), PROA_OK);
    name = next_name(0, "my_actor");
    assert_int_equal(name.op, PUNT_REGISTER);
    assert_int_equal(name.slot, a.slot);
    assert_int_equal(name.generation, a.generation);
    assert_int_equal(name.type, sched_type_id("probe"));
    assert_true(name.deadline == w->now + PROA_S);
    assert_int_not_equal(name.correlation, 0);
    answer(0, &name, PROA_ALREADY_REGISTERED, "my_actor");
    answer(0, &name, PROA_OK, "my_actor");
    assert_int_equal(count_of(&a_log, NAMED), 1);
    assert_int_equal(nth(&a_log, NAMED, 0)->outcome, PROA_ALREADY_REGISTERED);
    assert_int_equal(nth(&a_log, NAMED, 0)->len, 8);
    assert_int_equal(nth(&a_log, NAMED, 0)->value, 77);
    assert_int_equal(nth(&a_log, NAMED, 0)->count, 12);
    assert_true(proa_ref_equal(nth(&a_log, NAMED, 0)->from, b));
    lane_loop(w, 0);
    assert_int_equal(STAT(w, 0, names_late), 1);
}

static void calls__carry_their_operation(void **state)
{
    const enum punt_name_op ops[] = {PUNT_REGISTER, PUNT_REGISTER_LOCAL, PUNT_UNREGISTER,
                                     PUNT_LOOKUP_NOW, PUNT_LOOKUP_WAIT};

    (void)state;
    for (int op = 0; op < 5; op++) {
        struct punt_name name;

        assert_int_equal(call(a, op, "x"), PROA_OK);
        name = next_name(0, "x");
        assert_int_equal(name.op, ops[op]);
        answer(0, &name, PROA_OK, "x");
    }
    assert_int_equal(count_of(&a_log, NAMED),
                     4); /* unregister has no answer for the actor */
}

static void calls__no_answer_ends_soon_after_the_deadline(void **state)
{
    const enum proa_outcome want[] = {PROA_NO_QUORUM, 0, 0, PROA_UNKNOWN, PROA_NOT_FOUND};

    (void)state;
    for (int op = 0; op < 5; op++)
        if (want[op] != 0)
            assert_int_equal(call(a, op, "name"), PROA_OK);
    world_advance(w, PROA_S);
    assert_int_equal(count_of(&a_log, NAMED), 0); /* the control thread's to say */
    world_advance(w, PROA_S / 2);
    assert_int_equal(count_of(&a_log, NAMED), 3);
    for (uint32_t i = 0; i < 3; i++)
        assert_int_equal(nth(&a_log, NAMED, i)->len, 4);
    assert_int_equal(nth(&a_log, NAMED, 0)->outcome + nth(&a_log, NAMED, 1)->outcome +
                         nth(&a_log, NAMED, 2)->outcome,
                     PROA_NO_QUORUM + PROA_UNKNOWN + PROA_NOT_FOUND);
}

static void calls__bad_names_are_invalid(void **state)
{
    char text[PROA_NAME_MAX + 2];
    struct call c = {.name = "x", .op = 3};

    (void)state;
    memset(text, 'n', sizeof(text));
    text[PROA_NAME_MAX + 1] = '\0';
    for (int op = 0; op < 5; op++) {
        assert_int_equal(call(a, op, text), PROA_INVALID);
        assert_int_equal(call(a, op, ""), PROA_INVALID);
        assert_int_equal(call(a, op, NULL), PROA_INVALID);
    }
    in(w, a, act_name, &c);
    assert_int_equal(c.outcome, PROA_INVALID); /* no deadline */
    text[PROA_NAME_MAX] = '\0';
    assert_int_equal(call(a, 3, text), PROA_OK);
    assert_true(byte_ring_peek(w->lane[0].up) != NULL);
    world_advance(w, 2 * PROA_S);
}

static void calls__full_ring_is_again(void **state)
{
    uint32_t sent = 0;

    (void)state;
    while (call(a, 3, "n") == PROA_OK)
        sent++;
    assert_true(sent > 100);
    world_settle(w);
    assert_int_equal(nth(&a_log, SIGNAL, 0)->signal, PROA_SIGNAL_WRITABLE);
    world_advance(w, 2 * PROA_S);
    assert_int_equal(count_of(&a_log, NAMED), sent);
}

static void stop__gives_names_up_even_when_the_ring_is_full(void **state)
{
    struct punt_actor gone;
    const struct byte_record *r;
    uint32_t stops = 0;

    (void)state;
    assert_int_equal(call(a, 0, "my_actor"), PROA_OK);
    while (byte_ring_push(w->lane[0].up, PUNT_DATAGRAM, NULL, 0, "x", 1))
        ;
    stop(w, a);
    for (int i = 0; i < 5; i++)
        lane_loop(w, 0);
    assert_true(STAT(w, 0, up_full) > 0);
    assert_int_equal(STAT(w, 0, actors), 1); /* its slot is not free yet */
    while ((r = byte_ring_peek(w->lane[0].up)) != NULL) {
        assert_int_not_equal(r->kind, PUNT_ACTOR_STOPPED);
        byte_ring_pop(w->lane[0].up);
    }
    world_settle(w);
    while ((r = byte_ring_peek(w->lane[0].up)) != NULL) {
        assert_int_equal(r->kind, PUNT_ACTOR_STOPPED);
        memcpy(&gone, r->body, sizeof(gone));
        assert_int_equal(gone.slot, a.slot);
        assert_int_equal(gone.generation, a.generation);
        byte_ring_pop(w->lane[0].up);
        stops++;
    }
    assert_int_equal(stops, 1);
    assert_int_equal(STAT(w, 0, actors), 0);
    stop(w, b); /* never had a name */
    world_settle(w);
    assert_null(byte_ring_peek(w->lane[1].up));
    assert_int_equal(count_of(&a_log, NAMED), 0);
}

static void name_lost__is_a_signal(void **state)
{
    struct punt_actor actor = {a.slot, a.generation};

    (void)state;
    sched_name_lost(w->lane[0].s, &actor, "my_actor", 8);
    actor.generation++;
    sched_name_lost(w->lane[0].s, &actor, "my_actor", 8);
    world_settle(w);
    assert_int_equal(count_of(&a_log, SIGNAL), 1);
    assert_int_equal(nth(&a_log, SIGNAL, 0)->signal, PROA_SIGNAL_NAME_LOST);
    assert_int_equal(nth(&a_log, SIGNAL, 0)->len, 8);
    assert_int_equal(STAT(w, 0, signals_dropped), 1);
}

struct lookup {
    const char *name;
    const struct proa_behaviour *kind;
    struct proa_ref ref;
    enum proa_outcome outcome;
};

static void act_lookup(struct proa_actor *self, void *ctx)
{
    struct lookup *l = ctx;

    l->outcome = proa_lookup(self, l->name, l->kind, &l->ref);
}

static void lookup__reads_the_directory(void **state)
{
    static const struct proa_behaviour other = {.type_name = "other"};
    struct lookup l = {.name = "my_actor"};
    int reader = directory_reader_add(dir);

    (void)state;
    directory_online(dir, reader);
    in(w, a, act_lookup, &l);
    assert_int_equal(l.outcome, PROA_UNKNOWN);
    directory_node_add(dir, WORLD_NODE, PROA_NS_NEVER);
    assert_true(directory_put(dir, "my_actor", 8, b, sched_type_id("probe"), w->now));
    in(w, a, act_lookup, &l);
    assert_int_equal(l.outcome, PROA_OK);
    assert_true(proa_ref_equal(l.ref, b));
    l.kind = &probe;
    in(w, a, act_lookup, &l);
    assert_int_equal(l.outcome, PROA_OK);
    l.kind = &other;
    in(w, a, act_lookup, &l);
    assert_int_equal(l.outcome, PROA_WRONG_TYPE);
    l.name = "";
    in(w, a, act_lookup, &l);
    assert_int_equal(l.outcome, PROA_INVALID);
    directory_offline(dir, reader);
    directory_reader_remove(dir, reader);
}

#define test(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        test(register__goes_up_and_its_answer_comes_once),
        test(calls__carry_their_operation),
        test(calls__no_answer_ends_soon_after_the_deadline),
        test(calls__bad_names_are_invalid),
        test(calls__full_ring_is_again),
        test(stop__gives_names_up_even_when_the_ring_is_full),
        test(name_lost__is_a_signal),
        test(lookup__reads_the_directory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
