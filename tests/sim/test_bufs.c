/* SPDX-License-Identifier: Apache-2.0 */
/* Messages in buffers of their own (proa_tell_buf), on one lane, between lanes and between nodes:
   whole, in order with small ones, and every buffer is given back, however its message ends. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "sim.h"

#define MIB (1u << 20)
#define MANY 256u /* MiB in all: four times the lanes' bulk budget */

enum { BUF = 1, SMALL = 2, KNOCK = 3 };

static struct proa_test *test;

/* ---- Who gets them ---- */

struct receiver {
    uint32_t next;
};

static void check(struct proa_actor *self, const struct proa_msg *msg)
{
    struct receiver *r = proa_state(self);
    const uint8_t *bytes = msg->data;
    uint32_t number;

    memcpy(&number, bytes, sizeof(number));
    assert_int_equal(number, r->next++);
    for (uint32_t i = sizeof(number); i < msg->len; i++)
        assert_int_equal(bytes[i], (uint8_t)(number + i));
}

static void on_knock(struct proa_actor *self, const struct proa_msg *msg)
{
    (void)self;
    (void)msg;
}

static const struct proa_on receiver_on[] = {
    {BUF, 4, check}, {SMALL, 4, check}, {KNOCK, 0, on_knock}};
static const struct proa_behaviour receiver = {.type_name = "receiver",
                                               .state_size = sizeof(struct receiver),
                                               .on = receiver_on,
                                               .on_count = 3};

/* ---- Who sends them ---- */

static struct sending {
    struct proa_ref to;
    const uint32_t *lens;
    uint32_t count, next;
    unsigned undelivered, dry;
    enum proa_outcome outcome;
} sending;

static void again(struct proa_actor *self, uint64_t cookie);

/* Sends until it may not.  A small one goes before each buffer. */
static void send_on(struct proa_actor *self, void *ctx)
{
    (void)ctx;
    while (sending.next < sending.count) {
        uint32_t n = sending.next, len = sending.lens[n % 8];
        bool small = n % 2 == 0;
        uint8_t *buf = proa_buf_alloc(self, small ? 64 : len);

        if (buf == NULL) { /* the lane's budget is on its way */
            struct proa_timer timer;

            sending.dry++;
            assert_int_equal(proa_timer_start(self, PROA_MS, again, 0, &timer), PROA_OK);
            return;
        }
        len = small ? 64 : len;
        memcpy(buf, &n, sizeof(n));
        for (uint32_t i = sizeof(n); i < len; i++)
            buf[i] = (uint8_t)(n + i);
        if (small)
            sending.outcome = proa_tell(self, sending.to, SMALL, buf, len);
        else
            sending.outcome = proa_tell_buf(self, sending.to, BUF, buf, len);
        if (small || sending.outcome != PROA_OK)
            proa_buf_free(self, buf);
        if (sending.outcome != PROA_OK)
            return;
        sending.next++;
    }
}

static void again(struct proa_actor *self, uint64_t cookie)
{
    (void)cookie;
    send_on(self, NULL);
}

static void on_signal(struct proa_actor *self, const struct proa_signal *signal)
{
    if (signal->kind == PROA_SIGNAL_WRITABLE)
        send_on(self, NULL);
    else if (signal->kind == PROA_SIGNAL_UNDELIVERED)
        sending.undelivered += signal->count;
}

static const struct proa_behaviour sender = {.type_name = "sender", .signal = on_signal};

static void read_next(struct proa_actor *self, void *ctx)
{
    *(uint32_t *)ctx = ((struct receiver *)proa_state(self))->next;
}

static bool all_there(void *ctx)
{
    uint32_t next;

    (void)ctx;
    proa_test_call_actor(test, sending.to, read_next, &next);
    return next == sending.count;
}

static void send_all(unsigned node, unsigned lane, const uint32_t *lens, uint32_t count)
{
    struct proa_ref from;

    sending = (struct sending){.lens = lens, .count = count};
    assert_int_equal(proa_test_spawn(test, 0, 0, &sender, NULL, 0, &from), PROA_OK);
    assert_int_equal(proa_test_spawn(test, node, lane, &receiver, NULL, 0, &sending.to),
                     PROA_OK);
    proa_test_call_actor(test, from, send_on, NULL);
    assert_true(proa_test_until(test, all_there, NULL, 60 * PROA_S));
    assert_int_equal(sending.undelivered, 0);
}

static const uint32_t sizes[8] = {8, 64, 1024, 1025, 1400, 1500, 70000, MIB};
static const uint32_t large[8] = {MIB, MIB, MIB, MIB, MIB, MIB, MIB, MIB};

static void bufs__go_on_one_lane(void **state)
{
    (void)state;
    send_all(0, 0, sizes, 64);
    send_all(0, 0, large, 2 * MANY);
}

static void bufs__go_to_another_lane(void **state)
{
    (void)state;
    send_all(0, 1, sizes, 64);
    send_all(0, 1, large, 2 * MANY);
}

static void bufs__go_to_another_node(void **state)
{
    (void)state;
    send_all(1, 0, sizes, 64);
    send_all(1, 1, large, 2 * MANY);
}

static void bufs__go_over_a_bad_network(void **state)
{
    (void)state;
    proa_test_faults(
        test, &(struct proa_faults){.loss = 50000, .duplicate = 20000, .reorder = 20000});
    send_all(1, 0, sizes, 64);
}

/* The largest that can be configured, beside small ones. */
static void bufs__of_16_mib_go_to_another_lane_and_node(void **state)
{
    static const uint32_t huge[8] = {8, 16 * MIB, 8, 16 * MIB, 8, 16 * MIB, 8, 16 * MIB};

    (void)state;
    send_all(0, 1, huge, 8);
    send_all(1, 0, huge, 8);
}

/* Cut off under way: what was accepted is reported, and no buffer stays behind. */
static void bufs__are_given_back_when_the_node_is_lost(void **state)
{
    struct proa_ref from;

    (void)state;
    send_all(1, 0, sizes, 8);
    for (unsigned round = 0; round < 40; round++) {
        sending = (struct sending){.lens = large, .count = 2 * MANY};
        assert_int_equal(proa_test_spawn(test, 0, 0, &sender, NULL, 0, &from), PROA_OK);
        assert_int_equal(proa_test_spawn(test, 1, 0, &receiver, NULL, 0, &sending.to),
                         PROA_OK);
        while (proa_test_tell(test, 0, sending.to, KNOCK, NULL, 0) != PROA_OK)
            proa_test_advance(test, 100 * PROA_MS); /* it is dead, as seen from here */
        proa_test_advance(test, 100 * PROA_MS);
        proa_test_call_actor(test, from, send_on, NULL);
        assert_int_equal(sending.outcome, PROA_AGAIN);
        assert_true(sending.next >= 4);
        proa_test_cut(test, 0, 1);
        proa_test_advance(test, 3 * PROA_S);
        assert_true(sending.undelivered > 0);
        assert_int_equal(sending.dry, 0);
        proa_test_heal(test, 0, 1);
        proa_test_advance(test, 3 * PROA_S);
    }
    send_all(0, 0, large, 2 * MANY);
}

/* ---- The stage ---- */

static int set_up(void **state)
{
    struct proa_test_config config = {.nodes = 2, .lanes = 2};

    (void)state;
    test = proa_test_create(&config);
    return test != NULL && proa_test_join(test) ? 0 : -1;
}

static int set_up_huge(void **state)
{
    struct proa_test_config config = {
        .nodes = 2, .lanes = 2, .message_max = 16 * MIB, .mtu = 9000};

    (void)state;
    test = proa_test_create(&config);
    return test != NULL && proa_test_join(test) ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    proa_test_destroy(test);
    return 0;
}

#define on_stage(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        on_stage(bufs__go_on_one_lane),
        on_stage(bufs__go_to_another_lane),
        on_stage(bufs__go_to_another_node),
        on_stage(bufs__go_over_a_bad_network),
        cmocka_unit_test_setup_teardown(bufs__of_16_mib_go_to_another_lane_and_node,
                                        set_up_huge, tear_down),
        on_stage(bufs__are_given_back_when_the_node_is_lost),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
