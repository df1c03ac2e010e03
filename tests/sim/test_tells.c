/* SPDX-License-Identifier: Apache-2.0 */
/* Many tells over a bad network, in virtual time: each has one outcome, what arrives is in order. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "sim.h"

#define TELLS 1000000u /* PROA_SIM_TELLS changes it */

enum { SEQUENCE = 1, GO_ON = 2 };

struct receiver {
    uint64_t next, received, repeats, gaps;
};

static void on_sequence(struct proa_actor *self, const struct proa_msg *msg)
{
    struct receiver *r = proa_state(self);
    uint64_t seq;

    assert_true((uintptr_t)msg->data % 8 == 0);
    memcpy(&seq, msg->data, sizeof(seq));
    if (seq < r->next)
        r->repeats++;
    else
        r->gaps += seq - r->next;
    r->next = seq + 1;
    r->received++;
}

static const struct proa_on receiver_on[] = {{SEQUENCE, 8, on_sequence}};
static const struct proa_behaviour receiver = {.type_name = "receiver",
                                               .state_size = sizeof(struct receiver),
                                               .on = receiver_on,
                                               .on_count = 1,
                                               .mailbox = 16384};

struct sender {
    struct proa_ref to;
    uint64_t next, last;
    uint64_t undelivered;
    bool stalled;
};

static void send_on(struct proa_actor *self, struct sender *s)
{
    uint64_t payload[4] = {0};

    for (int i = 0; i < 64 && s->next < s->last; i++) {
        payload[0] = s->next;
        enum proa_outcome outcome =
            proa_tell(self, s->to, SEQUENCE, payload, sizeof(payload));
        if (outcome == PROA_AGAIN) {
            s->stalled = true;
            return;
        }
        assert_int_equal(outcome, PROA_OK);
        s->next++;
    }
    if (s->next < s->last)
        assert_int_equal(proa_tell(self, proa_self(self), GO_ON, NULL, 0), PROA_OK);
}

static void on_go(struct proa_actor *self, const struct proa_msg *msg)
{
    (void)msg;
    send_on(self, proa_state(self));
}

static void on_signal(struct proa_actor *self, const struct proa_signal *signal)
{
    struct sender *s = proa_state(self);

    if (signal->kind == PROA_SIGNAL_UNDELIVERED)
        s->undelivered += signal->count;
    if (signal->kind == PROA_SIGNAL_WRITABLE && s->stalled) {
        s->stalled = false;
        send_on(self, s);
    }
}

static int start_sender(struct proa_actor *self, const void *arg, size_t len)
{
    memcpy(proa_state(self), arg, len);
    send_on(self, proa_state(self));
    return 0;
}

static const struct proa_on sender_on[] = {{GO_ON, 0, on_go}};
static const struct proa_behaviour sender = {.type_name = "sender",
                                             .state_size = sizeof(struct sender),
                                             .on = sender_on,
                                             .on_count = 1,
                                             .start = start_sender,
                                             .signal = on_signal};

struct watch {
    struct proa_test *test;
    struct proa_ref receiver, sender;
    struct receiver r;
    struct sender s;
};

static void read_receiver(struct proa_actor *self, void *ctx)
{
    ((struct watch *)ctx)->r = *(struct receiver *)proa_state(self);
}

static void read_sender(struct proa_actor *self, void *ctx)
{
    ((struct watch *)ctx)->s = *(struct sender *)proa_state(self);
}

/* Every tell that was accepted has come to its one end: received, or reported as refused. */
static bool all_ended(void *ctx)
{
    struct watch *w = ctx;

    proa_test_call_actor(w->test, w->receiver, read_receiver, w);
    proa_test_call_actor(w->test, w->sender, read_sender, w);
    return w->s.next == w->s.last && w->r.received + w->s.undelivered == w->s.last;
}

static void tell_many(struct proa_test_config config, uint64_t tells)
{
    struct proa_test *test = proa_test_create(&config);
    struct watch w = {.test = test, .s = {.last = tells}};
    struct sender arg = {.last = tells};

    assert_non_null(test);
    proa_test_check(test, proa_test_join(test), "all nodes to join");
    proa_test_expect_outcome(
        test, PROA_OK,
        proa_test_spawn(test, 1, config.lanes > 1, &receiver, NULL, 0, &w.receiver));
    arg.to = w.receiver;
    proa_test_expect_outcome(
        test, PROA_OK,
        proa_test_spawn(test, 0, 0, &sender, &arg, sizeof(arg), &w.sender));
    proa_test_check(test, proa_test_until(test, all_ended, &w, 600 * PROA_S),
                    "one outcome for every tell");
    proa_test_advance(test, PROA_S); /* nothing more may come */
    proa_test_check(test, all_ended(&w), "no second outcome");
    proa_test_check(test, w.r.repeats == 0, "no repeats");
    proa_test_check(test, w.r.gaps <= w.s.undelivered, "a gap for refused tells only");
    /* What piles up behind a gap comes in parts that mailboxes and rings can hold. */
    proa_test_check(test, w.s.undelivered == 0,
                    "no refusals, since the receiver keeps up");
    print_message("%llu tells in %.3f s of virtual time, %llu refused\n",
                  (unsigned long long)tells, (double)proa_test_now(test) / 1e9,
                  (unsigned long long)w.s.undelivered);
    proa_test_destroy(test);
}

static uint64_t how_many(void)
{
    const char *n = getenv("PROA_SIM_TELLS");

    return n != NULL ? strtoull(n, NULL, 0) : TELLS;
}

static const struct proa_faults bad = {
    .loss = 50000, .duplicate = 20000, .reorder = 20000, .delay_us = 20, .jitter_us = 10};

static void tells__a_million_at_5_percent_loss(void **state)
{
    (void)state;
    tell_many((struct proa_test_config){.nodes = 2, .seed = 7, .faults = bad},
              how_many());
}

static void tells__over_two_lanes(void **state)
{
    (void)state;
    tell_many((struct proa_test_config){.nodes = 2, .lanes = 2, .seed = 8, .faults = bad},
              how_many() / 10);
}

static void tells__two_sizes_of_mtu(void **state)
{
    struct proa_test_config config = {.nodes = 2, .seed = 9, .faults = bad};

    (void)state;
    config.mtu_of[0] = 9000;
    config.mtu_of[1] = 1500;
    tell_many(config, how_many() / 10);
}

static void tells__over_ipv6(void **state)
{
    (void)state;
    tell_many(
        (struct proa_test_config){.nodes = 2, .seed = 10, .faults = bad, .ipv6 = true},
        how_many() / 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tells__a_million_at_5_percent_loss),
        cmocka_unit_test(tells__over_two_lanes),
        cmocka_unit_test(tells__two_sizes_of_mtu),
        cmocka_unit_test(tells__over_ipv6),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
