/* SPDX-License-Identifier: Apache-2.0 */
/* Who has a forwarded ask: what the asker's lane is told, and what it makes of it. */
#include "sched_world.h"

#define THIRD_NODE 0x5555444433332222u

static struct world *w;
static struct log log_of[WORLD_LANES];
static struct proa_ref actor[WORLD_LANES];
static const struct proa_ref far = {FAR_NODE, 5, 77};
static const struct proa_ref third = {THIRD_NODE, 9, 78};

static uint64_t followed[16];
static uint32_t followed_count;
static bool alive; /* what follow says */

static bool note_follow(void *ctx, uint64_t node)
{
    (void)ctx;
    assert_true(followed_count < 16);
    followed[followed_count++] = node;
    return alive;
}

static void tweak(struct sched_config *c)
{
    c->below.follow = note_follow;
}

static int setup(void **state)
{
    (void)state;
    memset(log_of, 0, sizeof(log_of));
    followed_count = 0;
    alive = true;
    w = world_make(WORLD_LANES, tweak);
    for (uint32_t i = 0; i < WORLD_LANES; i++)
        actor[i] = spawn(w, i, &log_of[i]);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    assert_clean(w);
    world_free(w);
    return 0;
}

static struct sched *s(uint32_t lane)
{
    return w->lane[lane].s;
}

/* The ask that actor 0 sent last, as it went to another node. */
static const struct proa_msg *asked(void)
{
    assert_true(w->sent_count > 0);
    return &w->sent[w->sent_count - 1].msg;
}

static struct forwarded news(uint32_t hops, struct proa_ref to)
{
    return (struct forwarded){.to = to,
                              .slot = actor[0].slot,
                              .generation = actor[0].generation,
                              .correlation = asked()->correlation,
                              .hops = hops};
}

static void hear(uint32_t lane, uint32_t hops, struct proa_ref to)
{
    struct forwarded f = news(hops, to);

    sched_forwarded(s(lane), &f);
    world_settle(w);
}

static void reply(struct proa_ref from)
{
    static const uint64_t value = 42;
    struct proa_msg msg = {.data = &value,
                           .len = 8,
                           .type = ECHO,
                           .from = from,
                           .to = actor[0],
                           .correlation = asked()->correlation,
                           .flags = PROA_MSG_REPLY};

    sched_deliver(s(0), &msg, true);
    world_settle(w);
}

static void link_dead(uint64_t node)
{
    sched_link_dead(s(0), node);
    world_settle(w);
}

/* ---- What is told ---- */

static void pass_foreign(uint8_t flags, uint8_t hops, struct proa_ref to)
{
    static const uint64_t one = 1;
    struct proa_msg msg = from_far(actor[1], PASS, &one);

    log_of[1].pass_to = to;
    msg.flags = flags;
    msg.correlation = flags != 0 ? 1 : 0;
    msg.deadline = flags != 0 ? w->now + PROA_S : 0;
    msg.hops = hops;
    sched_deliver(s(1), &msg, true);
    world_settle(w);
}

/* Of another node's ask the link tells, when it has arrived; of a tell nobody. */
static void forward_tell_origin__only_of_this_nodes_asks(void **state)
{
    (void)state;
    pass_foreign(PROA_MSG_ASK, 2, third);
    assert_int_equal(asked()->hops, 3);
    assert_int_equal(asked()->from.node, FAR_NODE);
    pass_foreign(0, 0, third);
    assert_int_equal(w->sent_count, 2);
    log_of[1].pass_to = third;
    assert_int_equal(tell(w, actor[0], actor[1], PASS, 1), PROA_OK);
    world_settle(w);
    assert_int_equal(w->sent_count, 3);
    for (uint32_t i = 0; i < WORLD_LANES; i++)
        assert_int_equal(STAT(w, i, forwards_heard) + STAT(w, i, forwards_late), 0);
}

static void forward_tell_origin__a_full_hop_count_ends_the_ask(void **state)
{
    (void)state;
    pass_foreign(PROA_MSG_ASK, PROA_HOPS_MAX, third);
    assert_int_equal(log_of[1].passed, PROA_REFUSED_HOPS);
    assert_int_equal(w->sent_count, 0);
    assert_int_equal(w->refused_count, 1);
    assert_int_equal(w->refused[0].refusal.reason, PROA_REFUSED_HOPS);
}

/* An ask that went to another lane of this node, and from there to another node, is watched by
   the asker's lane though that never sent anything there. */
static void forwarded__from_another_lane_of_the_node(void **state)
{
    (void)state;
    log_of[1].pass_to = far;
    assert_int_equal(ask(w, actor[0], actor[1], PASS, 1, 7), PROA_OK);
    world_settle(w);
    assert_int_equal(followed_count, 1);
    assert_int_equal(followed[0], FAR_NODE);
    assert_int_equal(STAT(w, 0, forwards_heard), 1);
    assert_int_equal(count_of(&log_of[0], ANSWER), 0);
    link_dead(FAR_NODE);
    assert_answer(&log_of[0], 0, 7, PROA_MAYBE_EXECUTED);
    assert_true(proa_ref_equal(nth(&log_of[0], ANSWER, 0)->from, far));
}

/* ---- What is heard ---- */

static void forwarded__the_new_holder_counts_the_old_one_no_longer(void **state)
{
    (void)state;
    assert_int_equal(ask(w, actor[0], far, PASS, 1, 7), PROA_OK);
    hear(0, 1, third);
    assert_int_equal(followed[0], THIRD_NODE);
    link_dead(FAR_NODE);
    assert_int_equal(count_of(&log_of[0], ANSWER), 0);
    link_dead(THIRD_NODE);
    assert_answer(&log_of[0], 0, 7, PROA_MAYBE_EXECUTED);
    assert_true(proa_ref_equal(nth(&log_of[0], ANSWER, 0)->from, third));
    assert_int_equal(STAT(w, 0, link_lost), 1);
    reply(third); /* too late, and only once */
    assert_int_equal(count_of(&log_of[0], ANSWER), 1);
}

static void forwarded__heard_by_a_lane_that_is_not_the_askers(void **state)
{
    (void)state;
    assert_int_equal(ask(w, actor[0], far, PASS, 1, 7), PROA_OK);
    hear(2, 1, third);
    assert_int_equal(STAT(w, 0, forwards_heard), 1);
    link_dead(FAR_NODE);
    assert_int_equal(count_of(&log_of[0], ANSWER), 0);
    reply(third);
    assert_answer(&log_of[0], 0, 7, PROA_OK);
}

static void forwarded__earlier_hops_that_come_later_change_nothing(void **state)
{
    (void)state;
    assert_int_equal(ask(w, actor[0], far, PASS, 1, 7), PROA_OK);
    hear(0, 2, third);
    hear(0, 1, (struct proa_ref){0x77, 1, 1});
    hear(0, 2, (struct proa_ref){0x78, 1, 1}); /* a double */
    assert_int_equal(STAT(w, 0, forwards_late), 2);
    link_dead(0x77);
    link_dead(0x78);
    assert_int_equal(count_of(&log_of[0], ANSWER), 0);
    hear(0, PROA_HOPS_MAX, far);
    link_dead(THIRD_NODE);
    assert_int_equal(count_of(&log_of[0], ANSWER), 0);
    link_dead(FAR_NODE);
    assert_answer(&log_of[0], 0, 7, PROA_MAYBE_EXECUTED);
}

static void forwarded__after_the_answer_is_dropped(void **state)
{
    (void)state;
    assert_int_equal(ask(w, actor[0], far, PASS, 1, 7), PROA_OK);
    reply(third);
    assert_answer(&log_of[0], 0, 7, PROA_OK);
    hear(0, 1, third);
    assert_int_equal(STAT(w, 0, forwards_late), 1);
    assert_int_equal(followed_count, 0);
    link_dead(THIRD_NODE);
    assert_int_equal(count_of(&log_of[0], ANSWER), 1);
}

static void forwarded__to_a_dead_node_is_answered_at_once(void **state)
{
    (void)state;
    alive = false;
    assert_int_equal(ask(w, actor[0], far, PASS, 1, 7), PROA_OK);
    hear(0, 1, third);
    assert_answer(&log_of[0], 0, 7, PROA_MAYBE_EXECUTED);
    assert_int_equal(STAT(w, 0, link_lost), 1);
    hear(0, 2, far); /* the ask is over */
    assert_int_equal(STAT(w, 0, forwards_late), 1);
}

static void forwarded__back_home_depends_on_no_link(void **state)
{
    (void)state;
    assert_int_equal(ask(w, actor[0], far, PASS, 1, 7), PROA_OK);
    hear(0, 1, actor[1]);
    assert_int_equal(followed_count, 0);
    link_dead(FAR_NODE);
    assert_int_equal(count_of(&log_of[0], ANSWER), 0);
    reply(actor[1]);
    assert_answer(&log_of[0], 0, 7, PROA_OK);
}

static void forwarded__of_others_asks_and_nonsense(void **state)
{
    struct forwarded f;

    (void)state;
    assert_int_equal(ask(w, actor[0], far, PASS, 1, 7), PROA_OK);
    f = news(1, third);
    f.generation++;
    sched_forwarded(s(0), &f);
    f = news(1, third);
    f.slot = actor[0].slot + 1;
    sched_forwarded(s(0), &f);
    f = news(1, third);
    f.correlation ^= 1u << 20;
    sched_forwarded(s(0), &f);
    assert_int_equal(STAT(w, 0, forwards_late), 3);
    f = news(0, third);
    sched_forwarded(s(0), &f);
    f = news(PROA_HOPS_MAX + 1, third);
    sched_forwarded(s(0), &f);
    f = news(1, proa_ref_none());
    sched_forwarded(s(0), &f);
    f = news(1, third);
    f.slot |= (uint32_t)WORLD_LANES << 24;
    sched_forwarded(s(0), &f);
    assert_int_equal(STAT(w, 0, malformed), 4);
    link_dead(THIRD_NODE);
    assert_int_equal(count_of(&log_of[0], ANSWER), 0);
    reply(far);
    assert_answer(&log_of[0], 0, 7, PROA_OK);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(forward_tell_origin__only_of_this_nodes_asks),
        T(forward_tell_origin__a_full_hop_count_ends_the_ask),
        T(forwarded__from_another_lane_of_the_node),
        T(forwarded__the_new_holder_counts_the_old_one_no_longer),
        T(forwarded__heard_by_a_lane_that_is_not_the_askers),
        T(forwarded__earlier_hops_that_come_later_change_nothing),
        T(forwarded__after_the_answer_is_dropped),
        T(forwarded__to_a_dead_node_is_answered_at_once),
        T(forwarded__back_home_depends_on_no_link),
        T(forwarded__of_others_asks_and_nonsense),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
