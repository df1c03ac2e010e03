/* SPDX-License-Identifier: Apache-2.0 */
/* What a link says of a packet's receivers before it delivers the first message: the slots of all of
   them, in chunks, and nothing when the packet is for one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "link_scene.h"

#define TOLD_MAX 512u

static struct {
    uint32_t slots[TOLD_MAX], count, calls, largest;
    uint32_t entered_at[TOLD_MAX]; /* messages that had entered when a slot was told */
} told;

static void on_expect(struct scene *s, uint32_t side, const uint32_t *slots,
                      uint32_t count)
{
    assert_int_equal(side, 1);
    assert_true(told.count + count <= TOLD_MAX);
    for (uint32_t i = 0; i < count; i++) {
        told.entered_at[told.count] = s->entered_count[1];
        told.slots[told.count++] = slots[i];
    }
    told.calls++;
    told.largest = count > told.largest ? count : told.largest;
}

/* A scene whose packets are of mtu bytes. */
static struct scene *scene_told(uint32_t mtu)
{
    const struct link_net_config config = {.mtu = mtu};
    struct scene *s = scene_open(&config);

    memset(&told, 0, sizeof(told));
    s->on_expect = on_expect;
    return s;
}

static void tell(struct scene *s, uint32_t dst, uint32_t len)
{
    struct proa_msg msg = scene_msg(0, 1, dst, 5, len);

    assert_int_equal(link_send(scene_link(s, 0), &msg, link_net_now(s->net)), PROA_OK);
}

/* Every message that entered was told before it, in order. */
static void assert_all_told(const struct scene *s, uint32_t messages)
{
    assert_int_equal(s->entered_count[1], messages);
    assert_int_equal(told.count, messages);
    for (uint32_t i = 0; i < messages; i++) {
        assert_int_equal(told.slots[i], s->entered[1][i].to.slot);
        assert_true(told.entered_at[i] <= i);
    }
}

static void expect__names_all_receivers_first(void **state)
{
    struct scene *s = scene_told(1440);

    (void)state;
    for (uint32_t i = 0; i < 20; i++)
        tell(s, 100 + i * 7, 8 * (i % 5));
    link_net_run(s->net, PROA_MS);
    assert_int_equal(told.calls, 1);
    assert_all_told(s, 20);
    for (uint32_t i = 0; i < 20; i++)
        assert_int_equal(told.entered_at[i], 0);
    scene_close(s);
}

static void expect__says_nothing_of_one_receiver(void **state)
{
    struct scene *s = scene_told(1440);

    (void)state;
    for (uint32_t i = 0; i < 20; i++)
        tell(s, 3, 32);
    link_net_run(s->net, PROA_MS);
    assert_int_equal(s->entered_count[1], 20);
    tell(s, 4, 32); /* alone in its packet */
    link_net_run(s->net, PROA_MS);
    assert_int_equal(s->entered_count[1], 21);
    assert_int_equal(told.calls, 0);
    scene_close(s);
}

static void expect__goes_in_chunks_through_a_large_packet(void **state)
{
    struct scene *s = scene_told(8952);

    (void)state;
    for (uint32_t i = 0; i < 250; i++)
        tell(s, 1 + i, 8);
    link_net_run(s->net, PROA_MS);
    assert_true(told.calls >= 4);
    assert_int_equal(told.largest, 64);
    assert_all_told(s, 250);
    scene_close(s);
}

static void expect__passes_over_asks_and_repeats(void **state)
{
    struct scene *s = scene_told(1440);
    struct proa_msg ask = scene_msg(0, 1, 50, 6, 16);

    (void)state;
    ask.flags = PROA_MSG_ASK;
    ask.correlation = 9;
    ask.deadline = PROA_S;
    tell(s, 10, 8);
    tell(s, 11, 8);
    tell(s, 11, 8); /* by the same header: not named again */
    assert_int_equal(link_send(scene_link(s, 0), &ask, link_net_now(s->net)), PROA_OK);
    tell(s, 12, 8);
    link_net_run(s->net, PROA_MS);
    assert_int_equal(s->entered_count[1], 5);
    assert_int_equal(told.count, 4);
    assert_int_equal(told.slots[0], 10);
    assert_int_equal(told.slots[1], 11);
    assert_int_equal(told.slots[2], 50);
    assert_int_equal(told.slots[3], 12);
    scene_close(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(expect__names_all_receivers_first),
        cmocka_unit_test(expect__says_nothing_of_one_receiver),
        cmocka_unit_test(expect__goes_in_chunks_through_a_large_packet),
        cmocka_unit_test(expect__passes_over_asks_and_repeats),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
