/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "core_net.h"
#include "registrar.h"

#define SLOT(lane, index) ((uint32_t)(lane) << 24 | (index))
#define GENERATION 7 /* of the actors of core_net.c */

/* count nodes, each with the first as its seed, joined. */
static struct net *cluster(unsigned count, uint64_t seed)
{
    struct net *net = net_create(2, seed);

    for (unsigned i = 0; i < count; i++) {
        net_add(net, i == 0 ? -1 : 0);
        net_run(net, 500 * PROA_MS);
    }
    for (unsigned i = 0; i < count; i++)
        assert_true(core_joined(net->nodes[i].core));
    return net;
}

static uint32_t awaited_node, awaited_correlation;

static bool is_answered(struct net *net)
{
    return net_said(net, awaited_node, PUNT_NAME_ANSWER, awaited_correlation) != NULL;
}

/* The answer to a call, which must come within span. */
static const struct net_record *answer(struct net *net, unsigned node,
                                       uint32_t correlation, proa_ns span)
{
    awaited_node = node;
    awaited_correlation = correlation;
    assert_true(net_until(net, is_answered, span));
    return net_said(net, node, PUNT_NAME_ANSWER, correlation);
}

static enum proa_outcome call(struct net *net, unsigned node, enum punt_name_op op,
                              const char *name, uint32_t slot, uint32_t correlation)
{
    net_name(net, node, op, name, slot, correlation, 0, 2 * PROA_S);
    return answer(net, node, correlation, 3 * PROA_S)->answer.outcome;
}

static enum proa_outcome look(struct net *net, unsigned node, const char *name,
                              struct proa_ref *ret)
{
    struct directory *dir = net->nodes[node].directory;
    int reader = directory_reader_add(dir);
    enum proa_outcome outcome;

    *ret = proa_ref_none();
    directory_online(dir, reader);
    outcome = directory_lookup(dir, name, strlen(name), 0, net->now, ret);
    directory_offline(dir, reader);
    directory_reader_remove(dir, reader);
    return outcome;
}

static struct proa_ref ref(struct net *net, unsigned node, uint32_t slot)
{
    return (struct proa_ref){net_id(net, node), slot, GENERATION};
}

static void assert_ref(struct proa_ref got, struct proa_ref expected)
{
    assert_int_equal(got.node, expected.node);
    assert_int_equal(got.slot, expected.slot);
    assert_int_equal(got.generation, expected.generation);
}

/* ---- Registering ---- */

static void register__is_visible_here_once_won_and_carries_a_term(void **state)
{
    struct net *net = cluster(3, 1);
    const struct net_record *r;
    struct proa_ref got;

    (void)state;
    net_name(net, 1, PUNT_REGISTER, "my_actor", SLOT(1, 5), 10, 77, 2 * PROA_S);
    r = answer(net, 1, 10, 3 * PROA_S);
    assert_int_equal(r->answer.outcome, PROA_OK);
    assert_int_equal(r->lane, 1);
    assert_int_equal(r->answer.slot, SLOT(1, 5));
    assert_int_equal(r->answer.generation, GENERATION);
    assert_true(r->answer.term > 0);
    assert_string_equal(r->name, "my_actor");
    assert_ref(r->answer.ref, ref(net, 1, SLOT(1, 5)));
    assert_int_equal(look(net, 1, "my_actor", &got), PROA_OK);
    assert_ref(got, ref(net, 1, SLOT(1, 5)));
    assert_int_equal(net_stats(net, 1).names, 1);
    net_destroy(net);
}

static void register__of_a_held_name_names_the_holder(void **state)
{
    struct net *net = cluster(3, 2);
    const struct net_record *r;
    struct proa_ref got;

    (void)state;
    assert_int_equal(call(net, 1, PUNT_REGISTER, "n", SLOT(0, 5), 10), PROA_OK);
    net_name(net, 2, PUNT_REGISTER, "n", SLOT(0, 6), 11, 0, 2 * PROA_S);
    r = answer(net, 2, 11, 3 * PROA_S);
    assert_int_equal(r->answer.outcome, PROA_ALREADY_REGISTERED);
    assert_ref(r->answer.ref, ref(net, 1, SLOT(0, 5)));
    /* On the same node, at once. */
    net_name(net, 1, PUNT_REGISTER, "n", SLOT(0, 6), 12, 0, 2 * PROA_S);
    net_name(net, 1, PUNT_REGISTER_LOCAL, "n", SLOT(0, 6), 13, 0, 2 * PROA_S);
    net_run(net, PROA_MS);
    r = net_said(net, 1, PUNT_NAME_ANSWER, 12);
    assert_int_equal(r->answer.outcome, PROA_ALREADY_REGISTERED);
    assert_ref(r->answer.ref, ref(net, 1, SLOT(0, 5)));
    assert_int_equal(net_said(net, 1, PUNT_NAME_ANSWER, 13)->answer.outcome,
                     PROA_ALREADY_REGISTERED);
    /* By the holder again: it has it. */
    assert_int_equal(call(net, 1, PUNT_REGISTER, "n", SLOT(0, 5), 14), PROA_OK);
    assert_int_equal(look(net, 2, "n", &got), PROA_UNKNOWN);
    net_destroy(net);
}

static void register_local__is_known_on_this_node_only(void **state)
{
    struct net *net = cluster(2, 3);
    struct proa_ref got;

    (void)state;
    assert_int_equal(call(net, 1, PUNT_REGISTER_LOCAL, "local", SLOT(0, 5), 10), PROA_OK);
    assert_int_equal(look(net, 1, "local", &got), PROA_OK);
    assert_int_equal(call(net, 1, PUNT_LOOKUP_NOW, "local", SLOT(1, 1), 11), PROA_OK);
    assert_int_equal(call(net, 0, PUNT_LOOKUP_NOW, "local", SLOT(1, 1), 12),
                     PROA_NOT_FOUND);
    /* It shadows: the cluster's name of another node does not come through. */
    assert_int_equal(call(net, 0, PUNT_REGISTER, "local", SLOT(0, 9), 13), PROA_OK);
    assert_int_equal(call(net, 1, PUNT_LOOKUP_NOW, "local", SLOT(1, 1), 14), PROA_OK);
    assert_ref(net_said(net, 1, PUNT_NAME_ANSWER, 14)->answer.ref,
               ref(net, 1, SLOT(0, 5)));
    net_destroy(net);
}

static void register__of_an_invalid_name_is_invalid(void **state)
{
    struct net *net = cluster(1, 4);
    char long_name[PROA_NAME_MAX + 2];
    struct punt_name head = {.op = PUNT_REGISTER, .correlation = 11, .len = 3};

    (void)state;
    memset(long_name, 'x', sizeof(long_name));
    long_name[PROA_NAME_MAX + 1] = 0;
    assert_int_equal(call(net, 0, PUNT_REGISTER, "", SLOT(0, 5), 9), PROA_INVALID);
    net_push(net, 0, 0, PUNT_NAME, &head, sizeof(head), "a\0b", 3);
    net_run(net, PROA_MS);
    assert_int_equal(net_said(net, 0, PUNT_NAME_ANSWER, 11)->answer.outcome,
                     PROA_INVALID);
    assert_int_equal(net_stats(net, 0).names_refused, 2);
    long_name[PROA_NAME_MAX] = 0;
    assert_int_equal(call(net, 0, PUNT_REGISTER, long_name, SLOT(0, 5), 12), PROA_OK);
    net_destroy(net);
}

static void register__by_the_next_life_of_a_slot_takes_the_name_along(void **state)
{
    struct net *net = cluster(2, 5);
    struct punt_name head = {.op = PUNT_REGISTER,
                             .correlation = 11,
                             .slot = SLOT(0, 5),
                             .generation = GENERATION + 1,
                             .len = 1,
                             .deadline = net->now + 5 * PROA_S};
    struct proa_ref got;

    (void)state;
    assert_int_equal(call(net, 1, PUNT_REGISTER, "n", SLOT(0, 5), 10), PROA_OK);
    net_push(net, 1, 0, PUNT_NAME, &head, sizeof(head), "n", 1);
    assert_int_equal(answer(net, 1, 11, 3 * PROA_S)->answer.outcome, PROA_OK);
    assert_int_equal(look(net, 1, "n", &got), PROA_OK);
    assert_int_equal(got.generation, GENERATION + 1);
    assert_int_equal(call(net, 0, PUNT_LOOKUP_NOW, "n", SLOT(0, 1), 12), PROA_OK);
    assert_int_equal(net_said(net, 0, PUNT_NAME_ANSWER, 12)->answer.ref.generation,
                     GENERATION + 1);
    /* The end of the life before gives nothing up. */
    struct punt_actor old = {SLOT(0, 5), GENERATION};
    net_push(net, 1, 0, PUNT_ACTOR_STOPPED, &old, sizeof(old), NULL, 0);
    net_run(net, PROA_MS);
    assert_int_equal(look(net, 1, "n", &got), PROA_OK);
    net_destroy(net);
}

static void register__beyond_the_table_is_limited(void **state)
{
    struct net *net = cluster(1, 6);
    char name[32];

    (void)state;
    for (uint32_t i = 0; i < 257; i++) {
        snprintf(name, sizeof(name), "name %u", i);
        net_name(net, 0, PUNT_REGISTER_LOCAL, name, SLOT(0, i), 1000 + i, 0, PROA_S);
    }
    net_run(net, PROA_MS);
    assert_int_equal(net_said(net, 0, PUNT_NAME_ANSWER, 1255)->answer.outcome, PROA_OK);
    assert_int_equal(net_said(net, 0, PUNT_NAME_ANSWER, 1256)->answer.outcome,
                     PROA_LIMIT);
    assert_int_equal(net_stats(net, 0).names, 256);
    net_destroy(net);
}

/* ---- Giving up ---- */

static void stopped__gives_up_every_name_of_the_actor(void **state)
{
    struct net *net = cluster(2, 7);
    struct punt_actor actor = {SLOT(0, 5), GENERATION};
    struct proa_ref got;

    (void)state;
    assert_int_equal(call(net, 1, PUNT_REGISTER, "a", SLOT(0, 5), 10), PROA_OK);
    assert_int_equal(call(net, 1, PUNT_REGISTER, "b", SLOT(0, 5), 11), PROA_OK);
    assert_int_equal(call(net, 1, PUNT_REGISTER_LOCAL, "c", SLOT(0, 5), 12), PROA_OK);
    assert_int_equal(call(net, 1, PUNT_REGISTER, "d", SLOT(0, 6), 13), PROA_OK);
    net_push(net, 1, 0, PUNT_ACTOR_STOPPED, &actor, sizeof(actor), NULL, 0);
    net_run(net, 100 * PROA_MS);
    assert_int_not_equal(look(net, 1, "a", &got), PROA_OK);
    assert_int_not_equal(look(net, 1, "b", &got), PROA_OK);
    assert_int_not_equal(look(net, 1, "c", &got), PROA_OK);
    assert_int_equal(look(net, 1, "d", &got), PROA_OK);
    assert_int_equal(net_stats(net, 1).names, 1);
    assert_int_equal(call(net, 0, PUNT_LOOKUP_NOW, "a", SLOT(0, 1), 14), PROA_NOT_FOUND);
    assert_int_equal(call(net, 0, PUNT_REGISTER, "b", SLOT(0, 1), 15), PROA_OK);
    net_destroy(net);
}

static void stopped__while_claiming_gives_the_name_up_once_won(void **state)
{
    struct net *net = cluster(2, 8);
    struct punt_actor actor = {SLOT(0, 5), GENERATION};

    (void)state;
    net_name(net, 1, PUNT_REGISTER, "n", SLOT(0, 5), 10, 0, 2 * PROA_S);
    net_push(net, 1, 0, PUNT_ACTOR_STOPPED, &actor, sizeof(actor), NULL, 0);
    net_run(net, PROA_S);
    assert_int_equal(net_stats(net, 1).names, 0);
    assert_int_equal(call(net, 0, PUNT_LOOKUP_NOW, "n", SLOT(0, 1), 11), PROA_NOT_FOUND);
    net_destroy(net);
}

static void unregister__is_for_the_holder_only(void **state)
{
    struct net *net = cluster(2, 9);
    struct proa_ref got;

    (void)state;
    assert_int_equal(call(net, 1, PUNT_REGISTER, "n", SLOT(0, 5), 10), PROA_OK);
    assert_int_equal(call(net, 1, PUNT_UNREGISTER, "n", SLOT(0, 6), 11), PROA_NOT_FOUND);
    assert_int_equal(look(net, 1, "n", &got), PROA_OK);
    assert_int_equal(call(net, 1, PUNT_UNREGISTER, "n", SLOT(0, 5), 12), PROA_OK);
    assert_int_not_equal(look(net, 1, "n", &got), PROA_OK);
    assert_int_equal(call(net, 0, PUNT_LOOKUP_NOW, "n", SLOT(0, 1), 13), PROA_NOT_FOUND);
    net_destroy(net);
}

/* ---- Looking up ---- */

static void lookup_now__finds_and_then_the_directory_knows(void **state)
{
    struct net *net = cluster(4, 10);
    const struct net_record *r;
    struct proa_ref got;
    uint64_t term;

    (void)state;
    assert_int_equal(call(net, 1, PUNT_REGISTER, "n", SLOT(1, 5), 10), PROA_OK);
    term = net_said(net, 1, PUNT_NAME_ANSWER, 10)->answer.term;
    assert_int_equal(look(net, 3, "n", &got), PROA_UNKNOWN);
    assert_int_equal(call(net, 3, PUNT_LOOKUP_NOW, "n", SLOT(0, 1), 11), PROA_OK);
    r = net_said(net, 3, PUNT_NAME_ANSWER, 11);
    assert_ref(r->answer.ref, ref(net, 1, SLOT(1, 5)));
    assert_int_equal(r->answer.term, term);
    assert_int_equal(look(net, 3, "n", &got), PROA_OK);
    assert_ref(got, ref(net, 1, SLOT(1, 5)));
    /* The next one needs no network. */
    net->loss = 1000000;
    net_name(net, 3, PUNT_LOOKUP_NOW, "n", SLOT(0, 1), 12, 0, PROA_S);
    net_run(net, 10 * PROA_US);
    assert_int_equal(net_said(net, 3, PUNT_NAME_ANSWER, 12)->answer.outcome, PROA_OK);
    net_destroy(net);
}

static void lookup_now__of_nobodys_name_is_not_found(void **state)
{
    struct net *net = cluster(3, 11);
    struct proa_ref got;

    (void)state;
    assert_int_equal(call(net, 2, PUNT_LOOKUP_NOW, "nobody", SLOT(0, 1), 10),
                     PROA_NOT_FOUND);
    assert_int_equal(look(net, 2, "nobody", &got), PROA_NOT_FOUND); /* it is watched */
    /* And asking again asks again. */
    assert_int_equal(call(net, 1, PUNT_REGISTER, "nobody", SLOT(0, 5), 11), PROA_OK);
    assert_int_equal(call(net, 2, PUNT_LOOKUP_NOW, "nobody", SLOT(0, 1), 12), PROA_OK);
    net_destroy(net);
}

static void lookup_now__of_another_type_says_so_with_the_ref(void **state)
{
    struct net *net = cluster(2, 12);
    const struct net_record *r;

    (void)state;
    net_name(net, 0, PUNT_REGISTER, "n", SLOT(0, 5), 10, 77, 2 * PROA_S);
    answer(net, 0, 10, 3 * PROA_S);
    for (uint32_t i = 0; i < 2; i++) { /* by the cluster, then by the directory */
        net_name(net, 1, PUNT_LOOKUP_NOW, "n", SLOT(0, 1), 20 + i, 78, 2 * PROA_S);
        r = answer(net, 1, 20 + i, 3 * PROA_S);
        assert_int_equal(r->answer.outcome, PROA_WRONG_TYPE);
        assert_ref(r->answer.ref, ref(net, 0, SLOT(0, 5)));
    }
    net_name(net, 0, PUNT_LOOKUP_NOW, "n", SLOT(0, 1), 30, 78, 2 * PROA_S);
    assert_int_equal(answer(net, 0, 30, PROA_S)->answer.outcome, PROA_WRONG_TYPE);
    net_name(net, 1, PUNT_LOOKUP_NOW, "n", SLOT(0, 1), 31, 77, 2 * PROA_S);
    assert_int_equal(answer(net, 1, 31, PROA_S)->answer.outcome, PROA_OK);
    net_destroy(net);
}

static void lookup_wait__is_answered_by_push(void **state)
{
    struct net *net = cluster(4, 13);
    const struct net_record *r;
    proa_ns registered_at;

    (void)state;
    net_name(net, 3, PUNT_LOOKUP_WAIT, "later", SLOT(1, 1), 10, 0, 60 * PROA_S);
    net_name(net, 3, PUNT_LOOKUP_WAIT, "later", SLOT(0, 2), 11, 0, 60 * PROA_S);
    net_run(net, 20500 * PROA_MS); /* between two retries */
    assert_null(net_said(net, 3, PUNT_NAME_ANSWER, 0));
    assert_int_equal(call(net, 1, PUNT_REGISTER, "later", SLOT(0, 5), 12), PROA_OK);
    registered_at = net_said(net, 1, PUNT_NAME_ANSWER, 12)->at;
    r = answer(net, 3, 10, 100 * PROA_MS);
    assert_int_equal(r->answer.outcome, PROA_OK);
    assert_ref(r->answer.ref, ref(net, 1, SLOT(0, 5)));
    assert_int_equal(r->lane, 1);
    assert_true(r->at <= registered_at + 10 * PROA_MS);
    assert_int_equal(answer(net, 3, 11, PROA_MS)->answer.outcome, PROA_OK);
    net_destroy(net);
}

static void lookup_wait__gets_a_name_of_this_node_too(void **state)
{
    struct net *net = cluster(1, 14);

    (void)state;
    net_name(net, 0, PUNT_LOOKUP_WAIT, "own", SLOT(1, 1), 10, 0, 60 * PROA_S);
    net_run(net, 2 * PROA_S);
    assert_int_equal(call(net, 0, PUNT_REGISTER, "own", SLOT(0, 5), 11), PROA_OK);
    assert_int_equal(answer(net, 0, 10, PROA_MS)->answer.outcome, PROA_OK);
    net_destroy(net);
}

static void lookup_wait__ends_not_found_at_its_deadline(void **state)
{
    struct net *net = cluster(2, 15);
    proa_ns start = net->now;
    const struct net_record *r;

    (void)state;
    net_name(net, 1, PUNT_LOOKUP_WAIT, "never", SLOT(0, 1), 10, 0, 3 * PROA_S);
    r = answer(net, 1, 10, 4 * PROA_S);
    assert_int_equal(r->answer.outcome, PROA_NOT_FOUND);
    assert_int_equal(r->at, start + 3 * PROA_S);
    net_destroy(net);
}

static void lookup_wait__beyond_the_bound_is_limited(void **state)
{
    struct net *net = cluster(1, 16);
    uint32_t limited = 0;

    (void)state;
    for (uint32_t i = 0; i < REGISTRAR_WAITERS_MAX + 10; i++) {
        net_name(net, 0, PUNT_LOOKUP_WAIT, "x", SLOT(0, 1), 1 + i, 0, 2 * PROA_S);
        if (i % 256 == 255)
            net_run(net, PROA_US);
    }
    net_run(net, 10 * PROA_US);
    for (uint32_t i = 0; i < net->nodes[0].log_count; i++)
        limited += net->nodes[0].log[i].answer.outcome == PROA_LIMIT;
    assert_int_equal(limited, 10);
    net->nodes[0].log_count = 0;
    net_run(net, 2 * PROA_S);
    assert_int_equal(net_said_count(net, 0, PUNT_NAME_ANSWER, 0), REGISTRAR_WAITERS_MAX);
    net_destroy(net);
}

/* ---- Changes ---- */

static void unregistered__name_is_pushed_out_of_the_directory(void **state)
{
    struct net *net = cluster(4, 17);
    struct proa_ref got;

    (void)state;
    assert_int_equal(call(net, 1, PUNT_REGISTER, "n", SLOT(0, 5), 10), PROA_OK);
    assert_int_equal(call(net, 3, PUNT_LOOKUP_NOW, "n", SLOT(0, 1), 11), PROA_OK);
    net_run(net, 500 * PROA_MS);
    assert_int_equal(call(net, 1, PUNT_UNREGISTER, "n", SLOT(0, 5), 12), PROA_OK);
    net_run(net, 100 * PROA_MS);
    assert_int_equal(look(net, 3, "n", &got), PROA_NOT_FOUND);
    /* And its next holder is pushed in. */
    assert_int_equal(call(net, 2, PUNT_REGISTER, "n", SLOT(0, 6), 13), PROA_OK);
    net_run(net, 100 * PROA_MS);
    assert_int_equal(look(net, 3, "n", &got), PROA_OK);
    assert_ref(got, ref(net, 2, SLOT(0, 6)));
    net_destroy(net);
}

static void left__node_has_no_names_any_more(void **state)
{
    struct net *net = cluster(3, 18);
    struct proa_ref got;

    (void)state;
    assert_int_equal(call(net, 1, PUNT_REGISTER, "n", SLOT(0, 5), 10), PROA_OK);
    assert_int_equal(call(net, 2, PUNT_LOOKUP_NOW, "n", SLOT(0, 1), 11), PROA_OK);
    net_need_link(net, 2, 0, net_id(net, 1));
    net_run(net, 100 * PROA_MS);
    core_leave(net->nodes[1].core, net->now);
    net_run(net, PROA_S);
    assert_int_not_equal(look(net, 2, "n", &got), PROA_OK);
    assert_int_not_equal(look(net, 1, "n", &got), PROA_OK);
    net_stop(net, 1);
    assert_int_equal(call(net, 2, PUNT_LOOKUP_NOW, "n", SLOT(0, 1), 12), PROA_NOT_FOUND);
    /* A call after leaving has begun is answered, not forgotten. */
    net_destroy(net);
}

static void leaving__answers_who_waits_and_refuses_new_calls(void **state)
{
    struct net *net = cluster(2, 19);

    (void)state;
    net_name(net, 1, PUNT_LOOKUP_WAIT, "x", SLOT(0, 1), 10, 0, 60 * PROA_S);
    net_run(net, PROA_S);
    core_leave(net->nodes[1].core, net->now);
    net_name(net, 1, PUNT_LOOKUP_NOW, "x", SLOT(0, 1), 11, 0, PROA_S);
    net_name(net, 1, PUNT_REGISTER, "x", SLOT(0, 1), 12, 0, PROA_S);
    net_run(net, PROA_MS);
    for (uint32_t c = 10; c <= 12; c++)
        assert_int_equal(net_said(net, 1, PUNT_NAME_ANSWER, c)->answer.outcome,
                         PROA_STOPPED);
    net_destroy(net);
}

static void dead__nodes_names_are_not_found_alive(void **state)
{
    struct net *net = cluster(3, 20);
    struct proa_ref got;

    (void)state;
    assert_int_equal(call(net, 1, PUNT_REGISTER, "n", SLOT(0, 5), 10), PROA_OK);
    assert_int_equal(call(net, 2, PUNT_LOOKUP_NOW, "n", SLOT(0, 1), 11), PROA_OK);
    net_stop(net, 1);
    net_run(net, 11 * PROA_S); /* CORE_HEARD_FOR, without a link */
    assert_int_not_equal(look(net, 2, "n", &got), PROA_OK);
    net_name(net, 2, PUNT_LOOKUP_NOW, "n", SLOT(0, 1), 12, 0, 2 * PROA_S);
    assert_int_not_equal(answer(net, 2, 12, 3 * PROA_S)->answer.outcome, PROA_OK);
    net_destroy(net);
}

static void link__opens_to_the_holder_found(void **state)
{
    struct net *net = cluster(3, 21);

    (void)state;
    assert_int_equal(call(net, 1, PUNT_REGISTER, "n", SLOT(0, 5), 10), PROA_OK);
    assert_int_equal(call(net, 2, PUNT_LOOKUP_NOW, "n", SLOT(0, 1), 11), PROA_OK);
    net_need_link(net, 2, 0, net_id(net, 1));
    net_run(net, 10 * PROA_MS);
    assert_int_equal(net_links(net, 2, net_id(net, 1)), 1);
    assert_int_equal(net_links(net, 1, net_id(net, 2)), 1);
    net_destroy(net);
}

static void lost__name_is_told_to_its_actor_and_the_winner_is_found(void **state)
{
    struct net *net = cluster(3, 22);
    struct kad_event event = {.kind = KAD_NAME_LOST, .alive = true};
    const struct net_record *r;
    struct proa_ref got;

    (void)state;
    assert_int_equal(call(net, 1, PUNT_REGISTER, "n", SLOT(1, 5), 10), PROA_OK);
    /* What Kademlia says when another claim proved better. */
    event.record.kind = RECORD_NAME;
    event.record.owner = net->nodes[2].config.identity.id;
    event.record.slot = SLOT(0, 9);
    event.record.generation = GENERATION;
    event.record.term = 99;
    event.record.name_len = 1;
    event.record.name[0] = 'n';
    registrar_event(net->nodes[1].core, &event);
    net_run(net, PROA_MS);
    r = net_said(net, 1, PUNT_NAME_LOST, 0);
    assert_non_null(r);
    assert_int_equal(r->lane, 1);
    assert_int_equal(r->actor.slot, SLOT(1, 5));
    assert_int_equal(r->actor.generation, GENERATION);
    assert_string_equal(r->name, "n");
    assert_int_equal(look(net, 1, "n", &got), PROA_OK);
    assert_ref(got, ref(net, 2, SLOT(0, 9)));
    assert_int_equal(net_stats(net, 1).names, 0);
    net_destroy(net);
}

/* ---- On a bad network ---- */

static void names__converge_through_loss_duplication_and_reorder(void **state)
{
    unsigned winners = 0;

    (void)state;
    for (uint64_t seed = 200; seed < 204; seed++) {
        struct net *net = cluster(5, seed);
        struct proa_ref got;
        unsigned won = 0;

        net->loss = 50000;
        net->duplicate = 50000;
        net->reorder = 100000;
        /* All want one name; exactly one gets it. */
        for (unsigned i = 0; i < 5; i++)
            net_name(net, i, PUNT_REGISTER, "leader", SLOT(0, 5), 10, 0, 5 * PROA_S);
        net_run(net, 10 * PROA_S);
        for (unsigned i = 0; i < 5; i++) {
            assert_non_null(net_said(net, i, PUNT_NAME_ANSWER, 10));
            won += net_said(net, i, PUNT_NAME_ANSWER, 10)->answer.outcome == PROA_OK &&
                   net_said(net, i, PUNT_NAME_LOST, 0) == NULL;
        }
        assert_true(won <= 1);
        winners += won;
        for (unsigned i = 0; i < 5 && won == 1; i++) {
            assert_int_equal(call(net, i, PUNT_LOOKUP_NOW, "leader", SLOT(0, 1), 11),
                             PROA_OK);
            got = net_said(net, i, PUNT_NAME_ANSWER, 11)->answer.ref;
            assert_ref(got, net_said(net, 0, PUNT_NAME_ANSWER, 11)->answer.ref);
        }
        net_destroy(net);
    }
    assert_true(winners >= 2); /* a claim may fail for want of a quorum */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(register__is_visible_here_once_won_and_carries_a_term),
        cmocka_unit_test(register__of_a_held_name_names_the_holder),
        cmocka_unit_test(register_local__is_known_on_this_node_only),
        cmocka_unit_test(register__of_an_invalid_name_is_invalid),
        cmocka_unit_test(register__by_the_next_life_of_a_slot_takes_the_name_along),
        cmocka_unit_test(register__beyond_the_table_is_limited),
        cmocka_unit_test(stopped__gives_up_every_name_of_the_actor),
        cmocka_unit_test(stopped__while_claiming_gives_the_name_up_once_won),
        cmocka_unit_test(unregister__is_for_the_holder_only),
        cmocka_unit_test(lookup_now__finds_and_then_the_directory_knows),
        cmocka_unit_test(lookup_now__of_nobodys_name_is_not_found),
        cmocka_unit_test(lookup_now__of_another_type_says_so_with_the_ref),
        cmocka_unit_test(lookup_wait__is_answered_by_push),
        cmocka_unit_test(lookup_wait__gets_a_name_of_this_node_too),
        cmocka_unit_test(lookup_wait__ends_not_found_at_its_deadline),
        cmocka_unit_test(lookup_wait__beyond_the_bound_is_limited),
        cmocka_unit_test(unregistered__name_is_pushed_out_of_the_directory),
        cmocka_unit_test(left__node_has_no_names_any_more),
        cmocka_unit_test(leaving__answers_who_waits_and_refuses_new_calls),
        cmocka_unit_test(dead__nodes_names_are_not_found_alive),
        cmocka_unit_test(link__opens_to_the_holder_found),
        cmocka_unit_test(lost__name_is_told_to_its_actor_and_the_winner_is_found),
        cmocka_unit_test(names__converge_through_loss_duplication_and_reorder),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
