/* SPDX-License-Identifier: Apache-2.0 */
/* What waits as a record while the outbox is full: refusals, and WRITABLE, STOP and ABORT besides. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "link_scene.h"

/* ---- Refusals ---- */

static struct refusal some_refusal(uint32_t slot, uint32_t type)
{
    return (struct refusal){.to = {LINK_NET_NODE * 2, 2, 7},
                            .slot = slot,
                            .generation = 7,
                            .type = type,
                            .count = 1,
                            .reason = PROA_REFUSED_FULL};
}

static void refuse__a_run_is_one_record_and_asks_are_none(void **state)
{
    struct scene *s = scene_open(NULL);
    struct refusal r = some_refusal(1, 5);

    (void)state;
    for (uint32_t i = 0; i < 100; i++) {
        r.type = 5 + i;
        link_refuse(scene_link(s, 1), &r, link_net_now(s->net));
    }
    r.reason = PROA_REFUSED_NO_ACTOR;
    link_refuse(scene_link(s, 1), &r, link_net_now(s->net));
    for (uint32_t i = 1; i <= 3; i++) {
        r.correlation = i;
        link_refuse(scene_link(s, 1), &r, link_net_now(s->net));
    }
    link_net_run(s->net, PROA_MS);
    assert_int_equal(s->refused_count[0], 5);
    assert_int_equal(s->refused[0][0].count, 100);
    assert_int_equal(s->refused[0][0].type, 5);
    assert_int_equal(s->refused[0][1].reason, PROA_REFUSED_NO_ACTOR);
    assert_int_equal(s->refused[0][4].correlation, 3);
    scene_close(s);
}

static void refuse__past_the_bound_it_only_counts(void **state)
{
    struct scene *s = scene_open(NULL);
    uint32_t counted = 0;

    (void)state;
    for (uint32_t i = 0; i < 1524; i++) {
        struct refusal r = some_refusal(i, 1);
        link_refuse(scene_link(s, 1), &r, link_net_now(s->net));
    }
    link_net_run(s->net, 10 * PROA_MS);
    assert_int_equal(s->refused_count[0], 1025);
    for (uint32_t i = 0; i < 1024; i++)
        counted += s->refused[0][i].count;
    const struct refusal *rest = &s->refused[0][1024];
    assert_int_equal(counted, 1024);
    assert_int_equal(rest->generation, 0);
    assert_int_equal(rest->count, 500);
    assert_int_equal(scene_stats(s, 1).refusals, 1524);
    scene_close(s);
}

/* Each side refuses every message, each time with a record of its own, and goes on reading. */
static void refuse_it(struct scene *s, uint32_t side, const struct proa_msg *msg)
{
    struct refusal r = {.to = msg->to,
                        .slot = s->mark++ % 5000,
                        .generation = 7,
                        .type = msg->type,
                        .count = 1,
                        .reason = PROA_REFUSED_FULL};

    link_refuse(scene_link(s, side), &r, link_net_now(s->net));
}

static uint64_t told[2];

static void count_told(void *ctx, uint32_t pair, uint32_t side,
                       const struct proa_msg *msg)
{
    struct scene *s = ctx;
    struct sysmsg m;

    (void)pair;
    if (msg->type != (uint32_t)SYSMSG_REFUSE) {
        s->entered_count[side]++;
        refuse_it(s, side, msg);
        return;
    }
    assert_true(sysmsg_decode(msg->type, msg->data, msg->len, &m));
    told[side] += m.refusal.count;
}

static void refuse__two_nodes_that_flood_each_other_go_on(void **state)
{
    static struct scene scene;
    struct scene *s = &scene;
    struct link_net_config config = {
        .seed = 6, .delay = 5 * PROA_US, .per_packet = PROA_US};
    struct link_net_hooks hooks = {.ctx = s, .deliver = count_told};
    uint32_t sent[2] = {0};

    (void)state;
    memset(s, 0, sizeof(*s));
    told[0] = told[1] = 0;
    s->net = link_net_create(&config, &hooks);
    for (int round = 0; round < 20; round++) {
        uint32_t before[2] = {s->entered_count[0], s->entered_count[1]};
        proa_ns until = link_net_now(s->net) + PROA_MS;
        while (link_net_now(s->net) < until) {
            for (uint32_t side = 0; side < 2; side++)
                while (scene_tell(s, side, 1, 8) == PROA_OK)
                    sent[side]++;
            link_net_step(s->net, until);
        }
        for (uint32_t side = 0; side < 2; side++)
            assert_true(s->entered_count[side] > before[side] + 100);
    }
    link_net_run(s->net, 100 * PROA_MS);
    for (uint32_t side = 0; side < 2; side++) {
        assert_int_equal(s->entered_count[!side], sent[side]);
        assert_int_equal(told[side], sent[side]);
    }
    link_net_destroy(s->net);
}

/* How many refusals were told before it. */
static void mark_writable(struct scene *s, uint32_t side, const struct proa_msg *msg)
{
    assert_true(msg->type == (uint32_t)SYSMSG_WRITABLE);
    s->mark = s->refused_count[side];
}

/* Told before the refusals it would be of no use: the sender would then wait for another. */
static void writable__comes_behind_the_refusals(void **state)
{
    struct scene *s = scene_open(NULL);

    (void)state;
    s->on_message = mark_writable;
    for (uint32_t i = 0; i < 3; i++) {
        struct refusal r = some_refusal(i, 1);
        link_refuse(scene_link(s, 1), &r, link_net_now(s->net));
    }
    link_writable(scene_link(s, 1), 77, 5, link_net_now(s->net));
    link_net_run(s->net, 10 * PROA_MS);
    assert_int_equal(s->refused_count[0], 3);
    assert_int_equal(s->entered_count[0], 1);
    assert_int_equal(s->mark, 3);
    scene_close(s);
}

/* ---- More than there is room for ---- */

/* Side 1's packets do not get through: what it says waits in its link. */
static bool no_data_of_1(struct scene *s, uint32_t side, struct packet_header *h,
                         uint8_t *data, uint16_t *len)
{
    (void)s;
    (void)data;
    (void)len;
    return !(side == 1 && h->kind == PACKET_DATA);
}

/* Tells of side 1 until neither window nor outbox has room. */
static struct scene *jam(void)
{
    struct scene *s = scene_open(NULL);

    link_net_run(s->net, PROA_MS);
    s->filter = no_data_of_1;
    for (int i = 0; i < 3; i++) {
        while (scene_tell(s, 1, 9, 1392) == PROA_OK)
            ;
        link_net_run(s->net, 10 * PROA_US);
    }
    return s;
}

static void open_jam(struct scene *s)
{
    s->filter = NULL;
    s->entered_count[0] = 0;
    link_net_run(s->net, 500 * PROA_MS);
}

static void refuse_asks(struct scene *s, uint32_t from, uint32_t count)
{
    for (uint32_t i = from; i < from + count; i++) {
        struct refusal r = some_refusal(1, 3);
        r.correlation = i + 1;
        link_refuse(scene_link(s, 1), &r, link_net_now(s->net));
    }
}

static void refuse_tells(struct scene *s, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        struct refusal r = some_refusal(1 + i, 1);
        link_refuse(scene_link(s, 1), &r, link_net_now(s->net));
    }
}

/* An ask has an outcome of its own: the last refused tells are counted only. */
static void refuse__an_ask_takes_the_place_of_a_tell(void **state)
{
    struct scene *s = jam();
    bool asks[41] = {false};
    uint32_t named = 0, counted = 0;

    (void)state;
    refuse_asks(s, 0, 10);
    refuse_tells(s, LINK_REFUSALS_MAX - 20);
    refuse_asks(s, 10, 30); /* the last 20 of them find the table full */
    refuse_tells(s, 5);
    open_jam(s);
    for (uint32_t i = 0; i < s->refused_count[0]; i++) {
        const struct refusal *r = &s->refused[0][i];
        if (r->correlation != 0)
            asks[r->correlation] = true;
        else if (r->generation != 0)
            assert_int_equal(r->slot, ++named); /* the first ones keep their names */
        else
            counted += r->count;
        assert_int_equal(r->reason, PROA_REFUSED_FULL);
    }
    for (uint32_t i = 1; i <= 40; i++)
        assert_true(asks[i]);
    assert_int_equal(named, LINK_REFUSALS_MAX - 40);
    assert_int_equal(counted, 25);
    assert_int_equal(s->refused_count[0], LINK_REFUSALS_MAX + 1);
    assert_int_equal(scene_stats(s, 1).refusals_merged, 25);
    scene_close(s);
}

/* However many asks were refused before it, and it is not taken for one of them. */
static void writable__is_not_lost_behind_asks(void **state)
{
    const uint32_t asks[] = {LINK_REFUSALS_MAX - 1, LINK_REFUSALS_MAX,
                             LINK_REFUSALS_MAX + 76};

    (void)state;
    for (uint32_t i = 0; i < 3; i++) {
        struct scene *s = jam();
        uint32_t over = asks[i] > LINK_REFUSALS_MAX ? asks[i] - LINK_REFUSALS_MAX : 0;

        refuse_asks(s, 0, asks[i]);
        link_writable(scene_link(s, 1), 77, 5, link_net_now(s->net));
        s->on_message = NULL;
        open_jam(s);
        uint32_t writable = 0;
        for (uint32_t j = 0; j < s->entered_count[0]; j++)
            writable += s->entered[0][j].type == (uint32_t)SYSMSG_WRITABLE;
        assert_int_equal(writable, 1);
        assert_int_equal(s->refused_count[0], asks[i] - over + (over > 0));
        const struct refusal *last = &s->refused[0][s->refused_count[0] - 1];
        if (over > 0) {
            assert_int_equal(last->generation, 0);
            assert_int_equal(last->count, over);
        }
        assert_int_equal(last->reason, PROA_REFUSED_FULL);
        scene_close(s);
    }
}

/* Slots of the WRITABLEs and STOPs that side 0 was told, in order. */
static uint32_t heard_writable[SCENE_MAX], heard_writables, heard_stops;
static uint32_t refused_before_all; /* when the first WRITABLE for all came */

static void note_notice(struct scene *s, uint32_t side, const struct proa_msg *msg)
{
    struct sysmsg m;

    if (side != 0 || !sysmsg_decode(msg->type, msg->data, msg->len, &m))
        return;
    if (m.type == SYSMSG_WRITABLE && m.slot == 0 && refused_before_all == UINT32_MAX)
        refused_before_all = s->refused_count[0];
    if (m.type == SYSMSG_WRITABLE)
        heard_writable[heard_writables++] = m.slot;
    heard_stops += m.type == SYSMSG_STOP;
}

static struct scene *jam_and_note(void)
{
    struct scene *s = jam();

    heard_writables = heard_stops = 0;
    refused_before_all = UINT32_MAX;
    s->on_message = note_notice;
    return s;
}

/* More actors than WRITABLEs may wait: each is named, or an "all" comes after its turn. */
static void writable__of_too_many_becomes_one_for_all(void **state)
{
    struct scene *s = jam_and_note();
    uint32_t last_all = 0;

    (void)state;
    for (uint32_t i = 1; i <= 1000; i++) {
        refuse_asks(s, i - 1, 1);
        link_writable(scene_link(s, 1), i, 5, link_net_now(s->net));
    }
    open_jam(s);
    assert_int_equal(s->refused_count[0], 1000);
    assert_in_range(heard_writables, 2, 64);
    for (uint32_t i = 0; i < heard_writables; i++) {
        if (heard_writable[i] == 0)
            last_all = i + 1;
    }
    assert_true(last_all > 0);
    for (uint32_t i = last_all; i < heard_writables; i++)
        assert_int_equal(heard_writable[i], 1000 - (heard_writables - 1 - i));
    /* Past the end there is nothing left to say. */
    link_writable(scene_link(s, 1), 1, 5, link_net_now(s->net));
    link_net_run(s->net, PROA_MS);
    assert_int_equal(heard_writable[heard_writables - 1], 1);
    scene_close(s);
}

/* The first WRITABLE for all keeps its place, however many follow. */
static void writable__for_all_is_not_put_off_by_those_that_follow(void **state)
{
    struct scene *s = jam_and_note();

    (void)state;
    for (uint32_t i = 1; i <= 65; i++)
        link_writable(scene_link(s, 1), i, 5, link_net_now(s->net));
    refuse_asks(s, 0, 10);
    for (uint32_t i = 1; i <= 1000; i++)
        link_writable(scene_link(s, 1), i, 5, link_net_now(s->net));
    open_jam(s);
    assert_int_equal(s->refused_count[0], 10);
    assert_int_equal(refused_before_all, 0);
    scene_close(s);
}

/* Without a refusal in between a second one says nothing; with one it does. */
static void writable__twice_is_one_if_nothing_was_refused_between(void **state)
{
    struct scene *s = jam_and_note();

    (void)state;
    for (uint32_t i = 0; i < 10; i++)
        link_writable(scene_link(s, 1), 77, 5, link_net_now(s->net));
    refuse_asks(s, 0, 1);
    for (uint32_t i = 0; i < 10; i++)
        link_writable(scene_link(s, 1), 77, 5, link_net_now(s->net));
    open_jam(s);
    assert_int_equal(heard_writables, 2);
    scene_close(s);
}

static enum proa_outcome stop(struct scene *s, uint32_t slot)
{
    uint8_t body[SYSMSG_BODY_MAX];
    struct proa_msg msg = {.data = body,
                           .len = (uint32_t)sysmsg_encode_stop(body, slot, 9),
                           .type = (uint32_t)SYSMSG_STOP,
                           .flags = PROA_MSG_SYSTEM,
                           .cls = PROA_CLASS_SYSTEM};

    return link_send(scene_link(s, 1), &msg, link_net_now(s->net));
}

/* What was taken arrives, what cannot be taken is AGAIN; a WRITABLE has room all the same. */
static void stop__past_the_bound_is_again_and_none_is_lost(void **state)
{
    struct scene *s = jam_and_note();
    struct proa_msg reply = scene_msg(1, 1, 2, 200, 1300);
    uint32_t taken = 0;

    (void)state;
    reply.flags = PROA_MSG_REPLY;
    for (uint32_t i = 0; i < LINK_OUTBOX_RESERVE; i++)
        link_send(scene_link(s, 1), &reply, link_net_now(s->net));
    for (uint32_t i = 1; i <= 100; i++)
        link_writable(scene_link(s, 1), i, 5, link_net_now(s->net));
    while (taken < 5000 && stop(s, taken + 1) == PROA_OK)
        taken++;
    assert_in_range(taken, 60, 4999);
    assert_int_equal(stop(s, taken), PROA_OK); /* it waits already */
    link_writable(scene_link(s, 1), 500, 5, link_net_now(s->net));
    s->writable[1] = 0;
    open_jam(s);
    assert_int_equal(heard_stops, taken);
    assert_true(heard_writables > 0);
    assert_true(s->writable[1] > 0);
    scene_close(s);
}

/* Without a place for the ABORT the sender is told by a plain refusal. */
static void abort__past_the_bound_is_a_refusal(void **state)
{
    struct scene *s = jam();
    const uint32_t many = 100;
    uint32_t told_of = 0;

    (void)state;
    link_net_fail_bulk(s->net, 1, many);
    for (uint32_t i = 0; i < many; i++) {
        assert_int_equal(scene_tell(s, 0, 1, 2000), PROA_OK);
        link_net_run(s->net, 20 * PROA_US);
    }
    assert_int_equal(scene_stats(s, 1).bulk_aborted, many);
    open_jam(s);
    assert_int_equal(s->entered_count[1], 0);
    for (uint32_t i = 0; i < s->refused_count[0]; i++) {
        assert_int_equal(s->refused[0][i].reason, PROA_REFUSED_BUSY);
        told_of += s->refused[0][i].count;
    }
    assert_int_equal(told_of, many);
    assert_int_equal(scene_stats(s, 0).bulk_aborted, 62);
    scene_close(s);
}

/* ---- No packet to be had ---- */

static proa_ns told_at;

static void note_time(struct scene *s, uint32_t side, const struct proa_msg *msg)
{
    (void)side;
    (void)msg;
    told_at = link_net_now(s->net);
}

/* The pool is dry for a moment, on a link where nothing else happens. */
static void writable__waits_for_a_dry_pool_only_so_long(void **state)
{
    struct scene *s = scene_open(NULL);

    (void)state;
    s->on_message = note_time;
    link_net_run(s->net, 10 * PROA_MS);
    link_net_fail_packets(s->net, 1, 2);
    told_at = 0;
    proa_ns from = link_net_now(s->net);
    link_writable(scene_link(s, 1), 5, 5, from);
    link_net_run(s->net, 300 * PROA_MS); /* a ping would come after 400 */
    assert_in_range(told_at - from, 1, PROA_MS);
    scene_close(s);
}

static void refuse__waits_for_a_dry_pool_only_so_long(void **state)
{
    struct scene *s = scene_open(NULL);

    (void)state;
    link_net_run(s->net, 10 * PROA_MS);
    link_net_fail_packets(s->net, 1, 2);
    refuse_asks(s, 0, 1);
    link_net_run(s->net, PROA_MS);
    assert_int_equal(s->refused_count[0], 1);
    scene_close(s);
}

static bool dry_from_2(struct scene *s, uint32_t side, struct packet_header *h,
                       uint8_t *data, uint16_t *len)
{
    (void)data;
    (void)len;
    if (side == 1 && h->kind == PACKET_DATA && ++s->mark == 2)
        link_net_fail_packets(s->net, 1, UINT32_MAX);
    return true;
}

/* What waited behind a bulk message of its pair, too: no packet is left when that has been sent. */
static void bulk__what_is_behind_waits_for_a_dry_pool_only_so_long(void **state)
{
    struct scene *s = scene_open(NULL);

    (void)state;
    link_net_run(s->net, 10 * PROA_MS);
    s->filter = dry_from_2;
    assert_int_equal(scene_tell(s, 1, 1, 2000), PROA_OK);
    assert_int_equal(scene_tell(s, 1, 2, 32), PROA_OK);
    link_net_run(s->net, 10 * PROA_MS);
    assert_int_equal(s->entered_count[0], 1);
    assert_int_equal(scene_stats(s, 1).inflight, 0);
    link_net_fail_packets(s->net, 1, 0);
    link_net_run(s->net, PROA_MS);
    assert_int_equal(s->entered_count[0], 2);
    scene_close(s);
}

/* ---- The end ---- */

/* Sent or still a record: the lane hears of it, and tells the peer by another link. */
static void kill__a_writable_is_not_forgotten(void **state)
{
    struct scene *s = scene_open(NULL);
    bool sent[3];
    uint32_t count = 0;

    (void)state;
    link_net_run(s->net, PROA_MS);
    s->filter = no_data_of_1;
    link_writable(scene_link(s, 1), 1, 5, link_net_now(s->net));
    link_net_run(s->net, 10 * PROA_US);
    while (scene_tell(s, 1, 9, 1392) == PROA_OK)
        ;
    link_writable(scene_link(s, 1), 2, 5, link_net_now(s->net));
    link_net_kill(s->net, 0, 1);
    for (uint32_t i = 0; i < s->lost_count[1]; i++) {
        if (s->lost[1][i].type == (uint32_t)SYSMSG_WRITABLE && count < 3)
            sent[count++] = s->lost[1][i].sent;
    }
    assert_int_equal(count, 2);
    assert_true(sent[0] && !sent[1]);
    scene_close(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(refuse__a_run_is_one_record_and_asks_are_none),
        cmocka_unit_test(refuse__past_the_bound_it_only_counts),
        cmocka_unit_test(refuse__two_nodes_that_flood_each_other_go_on),
        cmocka_unit_test(writable__comes_behind_the_refusals),
        cmocka_unit_test(refuse__an_ask_takes_the_place_of_a_tell),
        cmocka_unit_test(writable__is_not_lost_behind_asks),
        cmocka_unit_test(writable__of_too_many_becomes_one_for_all),
        cmocka_unit_test(writable__for_all_is_not_put_off_by_those_that_follow),
        cmocka_unit_test(writable__twice_is_one_if_nothing_was_refused_between),
        cmocka_unit_test(stop__past_the_bound_is_again_and_none_is_lost),
        cmocka_unit_test(abort__past_the_bound_is_a_refusal),
        cmocka_unit_test(writable__waits_for_a_dry_pool_only_so_long),
        cmocka_unit_test(refuse__waits_for_a_dry_pool_only_so_long),
        cmocka_unit_test(bulk__what_is_behind_waits_for_a_dry_pool_only_so_long),
        cmocka_unit_test(kill__a_writable_is_not_forgotten),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
