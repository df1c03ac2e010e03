/* SPDX-License-Identifier: Apache-2.0 */
/* What is told arrives as it was told, whatever node it waits in. */
#include "sched_world.h"

static struct world *w;
static struct log a_log;
static struct proa_ref a;

static int setup(void **state)
{
    (void)state;
    memset(&a_log, 0, sizeof(a_log));
    w = world_make(2, NULL);
    a = spawn(w, 0, &a_log);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    world_free(w);
    return 0;
}

/* What the actor below got last, whole. */
static struct {
    struct proa_msg msg;
    uint8_t data[128];
} whole;

static void on_whole(struct proa_actor *self, const struct proa_msg *msg)
{
    (void)self;
    assert_true(msg->len <= sizeof(whole.data));
    assert_int_equal((uintptr_t)msg->data % 8, 0);
    whole.msg = *msg;
    memcpy(whole.data, msg->data, msg->len);
}

static const struct proa_behaviour whole_actor = {.type_name = "whole", .any = on_whole};

static void onward(struct proa_actor *self, const struct proa_msg *msg)
{
    struct proa_ref to;

    memcpy(&to, proa_state(self), sizeof(to));
    assert_int_equal(proa_forward(self, msg, to), PROA_OK);
}

static int onward_start(struct proa_actor *self, const void *arg, size_t len)
{
    memcpy(proa_state(self), arg, len);
    return 0;
}

static const struct proa_behaviour onward_actor = {.type_name = "onward",
                                                   .state_size = sizeof(struct proa_ref),
                                                   .start = onward_start,
                                                   .any = onward};

/* Around the lengths at which messages are kept in other ways. */
static void tell__every_field_and_byte_arrives_forwarded_or_not(void **state)
{
    struct proa_ref to, by;
    uint8_t data[100];

    (void)state;
    for (size_t i = 0; i < sizeof(data); i++)
        data[i] = (uint8_t)(255 - i);
    assert_int_equal(sched_spawn(w->lane[0].s, &whole_actor, NULL, 0, &to), PROA_OK);
    assert_int_equal(sched_spawn(w->lane[0].s, &onward_actor, &to, sizeof(to), &by),
                     PROA_OK);
    for (uint32_t len = 0; len <= sizeof(data); len++) {
        for (uint32_t hops = 0; hops < 2; hops++) {
            memset(&whole, 0x5a, sizeof(whole));
            assert_int_equal(tell_data(w, a, hops == 0 ? to : by, NOTE, data, len),
                             PROA_OK);
            world_settle(w);
            assert_int_equal(whole.msg.len, len);
            assert_memory_equal(whole.data, data, len);
            assert_int_equal(whole.data[len], 0x5a);
            assert_int_equal(whole.msg.type, NOTE);
            assert_true(proa_ref_equal(whole.msg.from, a));
            assert_true(proa_ref_equal(whole.msg.to, to));
            assert_int_equal(whole.msg.hops, hops);
            assert_int_equal(whole.msg.deadline, 0);
            assert_int_equal(whole.msg.correlation, 0);
            assert_int_equal(whole.msg.flags | whole.msg.cls | whole.msg.zero, 0);
        }
    }
    assert_clean(w);
}

/* An ask before a tell leaves nothing of itself in the frame that both use. */
static void reply_twice(struct proa_actor *self, const struct proa_msg *msg)
{
    bool is_ask = (msg->flags & PROA_MSG_ASK) != 0;

    whole.msg = *msg;
    if (!is_ask)
        assert_int_equal(proa_reply(self, msg, "x", 1), PROA_NOT_AN_ASK);
}

static const struct proa_behaviour silent_actor = {.type_name = "silent",
                                                   .any = reply_twice};

static void tell__after_an_unanswered_ask_is_no_ask(void **state)
{
    struct proa_ref to;

    (void)state;
    assert_int_equal(sched_spawn(w->lane[0].s, &silent_actor, NULL, 0, &to), PROA_OK);
    assert_int_equal(ask(w, a, to, ECHO, 0, 1), PROA_OK);
    assert_int_equal(tell(w, a, to, NOTE, 5), PROA_OK);
    world_settle(w);
    assert_int_equal(whole.msg.type, NOTE);
    assert_answer(&a_log, 0, 1, PROA_NO_REPLY);
    assert_int_equal(STAT(w, 0, late_replies), 0);
}

/* Also from another lane, and from another node. */
static void deliver__every_byte_waits_in_the_mailbox(void **state)
{
    const struct proa_ref far = {FAR_NODE, 12, 34};
    struct proa_ref to;
    uint8_t data[100];

    (void)state;
    for (size_t i = 0; i < sizeof(data); i++)
        data[i] = (uint8_t)(100 + i);
    assert_int_equal(sched_spawn(w->lane[1].s, &whole_actor, NULL, 0, &to), PROA_OK);
    for (uint32_t len = 0; len <= sizeof(data); len++) {
        struct proa_msg msg = {.data = data,
                               .len = len,
                               .type = NOTE,
                               .from = far,
                               .to = to,
                               .hops = 3,
                               .cls = PROA_CLASS_URGENT};

        memset(&whole, 0x5a, sizeof(whole));
        sched_deliver(w->lane[1].s, &msg, false);
        world_settle(w);
        assert_int_equal(whole.msg.len, len);
        assert_memory_equal(whole.data, data, len);
        assert_int_equal(whole.data[len], 0x5a);
        assert_true(proa_ref_equal(whole.msg.from, far));
        assert_true(proa_ref_equal(whole.msg.to, to));
        assert_int_equal(whole.msg.hops, 3);
        assert_int_equal(whole.msg.cls, PROA_CLASS_URGENT);
        memset(&whole, 0x5a, sizeof(whole));
        assert_int_equal(tell_data(w, a, to, NOTE, data, len), PROA_OK);
        world_settle(w);
        assert_int_equal(whole.msg.len, len);
        assert_memory_equal(whole.data, data, len);
        assert_true(proa_ref_equal(whole.msg.from, a));
    }
    assert_clean(w);
}

int main(void)
{
#define test(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
    const struct CMUnitTest tests[] = {
        test(tell__every_field_and_byte_arrives_forwarded_or_not),
        test(tell__after_an_unanswered_ask_is_no_ask),
        test(deliver__every_byte_waits_in_the_mailbox),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
