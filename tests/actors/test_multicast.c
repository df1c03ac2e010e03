/* SPDX-License-Identifier: Apache-2.0 */
/* One message for a whole group: who gets it, by which way, and what becomes of refusals. */
#include "sched_world.h"

#include <proa/group.h>

#include "bulk.h"
#include "directory_group.h"
#include "multicast.h"

static struct world *w;
static struct directory *dir;
static int reader;
static struct log logs[3], a_log;
static struct proa_ref a, members[3]; /* one on each lane; a is on lane 0 */

static void tweak(struct sched_config *c)
{
    c->directory = dir;
}

static void join(const char *group, struct proa_ref ref)
{
    assert_true(directory_join(dir, group, strlen(group), ref, 0) != 0);
}

static void publish(void)
{
    w->now += 10 * PROA_S; /* whatever is due */
    directory_groups_publish(dir, w->now);
    directory_quiescent(dir, reader);
}

static int setup(void **state)
{
    const uint8_t seed[32] = {7};

    (void)state;
    memset(logs, 0, sizeof(logs));
    memset(&a_log, 0, sizeof(a_log));
    dir = directory_create(4096, seed);
    directory_self(dir, WORLD_NODE);
    directory_node_add(dir, WORLD_NODE, PROA_NS_NEVER);
    reader = directory_reader_add(dir);
    directory_online(dir, reader);
    w = world_make(3, tweak);
    a = spawn(w, 0, &a_log);
    for (uint32_t lane = 0; lane < 3; lane++) {
        members[lane] = spawn(w, lane, &logs[lane]);
        join("g", members[lane]);
    }
    publish();
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    world_settle(w);
    assert_clean(w);
    world_free(w);
    directory_offline(dir, reader);
    directory_reader_remove(dir, reader);
    directory_destroy(dir);
    return 0;
}

struct cast {
    const char *group;
    uint32_t type;
    const void *data;
    size_t len;
    uint32_t members;
    enum proa_outcome outcome;
};

static void act_cast(struct proa_actor *self, void *ctx)
{
    struct cast *c = ctx;

    c->members = 99;
    c->outcome = proa_multicast(self, c->group, c->type, c->data, c->len, &c->members);
}

static struct cast cast_as(struct proa_ref who, const char *group, uint32_t type,
                           uint64_t value)
{
    struct cast c = {.group = group, .type = type, .data = &value, .len = 8};

    in(w, who, act_cast, &c);
    return c;
}

static struct cast cast(const char *group, uint32_t type, uint64_t value)
{
    return cast_as(a, group, type, value);
}

static void join_far(uint64_t node, uint32_t count)
{
    directory_node_add(dir, node, PROA_NS_NEVER);
    for (uint32_t i = 0; i < count; i++)
        join("g", (struct proa_ref){node, i, 7});
}

/* ---- Sending ---- */

static void send__every_lane_s_members_get_it_once(void **state)
{
    struct cast c;

    (void)state;
    c = cast("g", NOTE, 42);
    assert_int_equal(c.outcome, PROA_OK);
    assert_int_equal(c.members, 3);
    assert_int_equal(logs[0].count, 1); /* STARTED: nothing runs inside of the call */
    world_settle(w);
    for (uint32_t lane = 0; lane < 3; lane++) {
        assert_int_equal(count_of(&logs[lane], GOT), 1);
        assert_int_equal(nth(&logs[lane], GOT, 0)->value, 42);
        assert_int_equal(nth(&logs[lane], GOT, 0)->type, NOTE);
        assert_true(proa_ref_equal(nth(&logs[lane], GOT, 0)->from, a));
    }
    assert_int_equal(count_of(&a_log, GOT), 0);
    assert_int_equal(w->sent_count, 0);
    assert_int_equal(STAT(w, 1, multicast_told), 1);
    assert_int_equal(STAT(w, 0, tells), 3);
}

static void send__oneself_if_one_is_a_member(void **state)
{
    (void)state;
    assert_int_equal(cast_as(members[1], "g", NOTE, 1).members, 3);
    world_settle(w);
    for (uint32_t lane = 0; lane < 3; lane++)
        assert_int_equal(count_of(&logs[lane], GOT), 1);
}

static void send__one_message_for_each_other_node(void **state)
{
    static const uint8_t empty_name[7];
    struct cast c;
    uint32_t nodes = 0;

    (void)state;
    join_far(FAR_NODE, 5);
    join_far(FAR_NODE + 1, 1);
    join_far(FAR_NODE + 2, 30);
    publish();
    c = cast("g", 1234, 0x1122334455667788u);
    assert_int_equal(c.outcome, PROA_OK);
    assert_int_equal(c.members, 39);
    assert_int_equal(w->sent_count, 3);
    for (uint32_t i = 0; i < 3; i++) {
        const struct sent *sent = &w->sent[i];

        nodes |= 1u << (sent->msg.to.node - FAR_NODE);
        assert_int_equal(sent->msg.to.slot & 0xffffff, SERVICE_MULTICAST);
        assert_int_equal(sent->msg.to.generation, 0);
        assert_true(proa_ref_equal(sent->msg.from, a));
        assert_int_equal(sent->msg.type, 1234);
        assert_int_equal(sent->msg.flags, 0);
        assert_int_equal(sent->msg.len, 24);
        assert_int_equal(sent->data[0], 1);
        assert_memory_equal(sent->data + 1, empty_name, 7);
        assert_memory_equal(sent->data + 8, "g\0\0\0\0\0\0\0", 8);
        assert_memory_equal(sent->data + 16, "\x88\x77\x66\x55\x44\x33\x22\x11", 8);
    }
    assert_int_equal(nodes, 7);
    cast("g", 5, 1); /* what the first one counted is forgotten */
    assert_int_equal(w->sent_count, 6);
}

static void send__more_nodes_than_are_counted_get_single_tells(void **state)
{
    uint32_t singles = 0;
    struct cast c;

    (void)state;
    for (uint32_t i = 0; i < MULTICAST_NODES_MAX + 10; i++)
        join_far(FAR_NODE + i, 1);
    publish();
    c = cast("g", NOTE, 1);
    assert_int_equal(c.outcome, PROA_OK);
    assert_int_equal(c.members, 3 + MULTICAST_NODES_MAX + 10);
    assert_int_equal(w->sent_count, MULTICAST_NODES_MAX + 10);
    for (uint32_t i = 0; i < w->sent_count; i++)
        singles += w->sent[i].msg.to.generation == 7 && w->sent[i].msg.len == 8;
    assert_int_equal(singles, 10);
}

static void send__no_group_no_members(void **state)
{
    struct cast c = cast("none", NOTE, 1);

    (void)state;
    assert_int_equal(c.outcome, PROA_UNKNOWN);
    assert_int_equal(c.members, 0);
    directory_complete(dir, true);
    assert_int_equal(cast("none", NOTE, 1).outcome, PROA_NOT_FOUND);
}

static void send__bad_arguments(void **state)
{
    static uint8_t data[PROA_MULTICAST_MAX + 1];
    char text[PROA_NAME_MAX + 2];
    struct cast c = {.group = text, .type = NOTE, .data = data, .len = 8};

    (void)state;
    memset(text, 'n', sizeof(text));
    text[PROA_NAME_MAX + 1] = '\0';
    in(w, a, act_cast, &c);
    assert_int_equal(c.outcome, PROA_INVALID);
    assert_int_equal(c.members, 0);
    c.group = "g";
    c.type = PROA_TYPE_SYSTEM;
    in(w, a, act_cast, &c);
    assert_int_equal(c.outcome, PROA_INVALID);
    c.type = NOTE;
    c.data = NULL;
    in(w, a, act_cast, &c);
    assert_int_equal(c.outcome, PROA_INVALID);
    c.data = data;
    c.len = sizeof(data);
    in(w, a, act_cast, &c);
    assert_int_equal(c.outcome, PROA_TOO_LARGE);
    c.len = sizeof(data) - 1;
    text[PROA_NAME_MAX] = '\0';
    join(text, members[2]);
    join(text, (struct proa_ref){WORLD_NODE, members[0].slot, members[0].generation});
    publish();
    c.group = text; /* the longest name with the longest payload */
    in(w, a, act_cast, &c);
    assert_int_equal(c.outcome, PROA_OK);
    world_settle(w);
    assert_int_equal(nth(&logs[2], GOT, 0)->len, PROA_MULTICAST_MAX);
    assert_int_equal(nth(&logs[0], GOT, 0)->len, PROA_MULTICAST_MAX);
    c = (struct cast){.group = "g", .type = NOTE}; /* nothing */
    in(w, a, act_cast, &c);
    assert_int_equal(c.outcome, PROA_OK);
    world_settle(w);
    assert_int_equal(nth(&logs[1], GOT, 0)->len, 0);
}

/* Tells before and after it, to a member of another lane. */
static void send__in_order_with_tells(void **state)
{
    (void)state;
    for (uint64_t i = 0; i < 6; i++) {
        if (i % 2 == 0)
            assert_int_equal(tell(w, a, members[1], NOTE, i), PROA_OK);
        else
            assert_int_equal(cast("g", NOTE, i).outcome, PROA_OK);
    }
    world_settle(w);
    assert_int_equal(count_of(&logs[1], GOT), 6);
    for (uint32_t i = 0; i < 6; i++)
        assert_int_equal(nth(&logs[1], GOT, i)->value, i);
}

/* ---- What goes wrong on the way ---- */

static const struct event *undelivered(uint32_t n)
{
    const struct event *e = nth(&a_log, SIGNAL, n);

    assert_non_null(e);
    assert_int_equal(e->signal, PROA_SIGNAL_UNDELIVERED);
    return e;
}

static void refused__by_members_is_undelivered_to_the_sender(void **state)
{
    bool lanes[3] = {false};

    (void)state;
    assert_int_equal(cast("g", 77, 1).outcome, PROA_OK); /* a type nobody handles */
    world_settle(w);
    assert_int_equal(count_of(&a_log, SIGNAL), 3);
    for (uint32_t i = 0; i < 3; i++) {
        const struct event *e = undelivered(i);

        assert_int_equal(e->outcome, PROA_REFUSED_UNKNOWN_TYPE);
        assert_int_equal(e->type, 77);
        assert_int_equal(e->count, 1);
        lanes[proa_ref_lane(e->from)] = true;
        assert_true(proa_ref_equal(e->from, members[proa_ref_lane(e->from)]));
    }
    assert_true(lanes[0] && lanes[1] && lanes[2]);
}

static void refused__full_mailbox_of_the_own_lane(void **state)
{
    (void)state;
    for (int i = 0; i < 10; i++) /* mailboxes hold 8 */
        assert_int_equal(cast_as(a, "g", NOTE, 1).outcome, PROA_OK);
    world_settle(w);
    assert_int_equal(count_of(&logs[0], GOT), 8);
    assert_int_equal(undelivered(0)->outcome, PROA_REFUSED_FULL);
    assert_int_equal(undelivered(0)->count, 2);
    assert_true(proa_ref_equal(undelivered(0)->from, members[0]));
}

static void refused__member_that_has_stopped(void **state)
{
    (void)state;
    stop(w, members[0]);
    stop(w, members[2]);
    world_settle(w);
    assert_int_equal(cast("g", NOTE, 1).outcome, PROA_OK); /* the view does not know */
    world_settle(w);
    assert_int_equal(count_of(&a_log, SIGNAL), 2);
    assert_int_equal(undelivered(0)->outcome, PROA_REFUSED_NO_ACTOR);
    assert_int_equal(count_of(&logs[1], GOT), 1);
}

static void again__a_full_link_or_ring_takes_nothing_the_others_all(void **state)
{
    struct cast c;
    uint32_t filled = 0;

    (void)state;
    join_far(FAR_NODE, 5);
    publish();
    w->send_outcome = PROA_AGAIN;
    c = cast("g", NOTE, 1);
    assert_int_equal(c.outcome, PROA_AGAIN);
    assert_int_equal(c.members, 3);
    w->send_outcome = PROA_OK;
    world_settle(w);
    while (tell(w, a, members[1], NOTE, 1) == PROA_OK)
        filled++;
    c = cast("g", NOTE, 2);
    assert_int_equal(c.outcome, PROA_AGAIN);
    assert_int_equal(c.members, 7); /* all but that of lane 1 */
    world_settle(w);
    assert_int_equal(count_of(&logs[0], GOT), 2);
    assert_int_equal(count_of(&logs[2], GOT), 2);
    for (uint32_t i = 0; i < count_of(&logs[1], GOT); i++)
        assert_int_equal(nth(&logs[1], GOT, i)->value, 1);
    sched_writable_node(w->lane[0].s, FAR_NODE);
    world_settle(w);
    bool writable = false;
    for (uint32_t i = 0; i < count_of(&a_log, SIGNAL); i++)
        writable |= nth(&a_log, SIGNAL, i)->signal == PROA_SIGNAL_WRITABLE;
    assert_true(writable);
}

static void no_route__is_undelivered_for_all_members_there(void **state)
{
    struct cast c;

    (void)state;
    join_far(FAR_NODE, 5);
    publish();
    w->send_outcome = PROA_NO_ROUTE;
    c = cast("g", NOTE, 1);
    assert_int_equal(c.outcome, PROA_OK);
    assert_int_equal(c.members, 3);
    world_settle(w);
    assert_int_equal(undelivered(0)->outcome, PROA_NOT_SENT);
    assert_int_equal(undelivered(0)->count, 5);
    assert_true(undelivered(0)->from.node == FAR_NODE);
    assert_int_equal(undelivered(0)->from.generation, 0);
}

/* ---- What comes by a link ---- */

static uint8_t body[MULTICAST_BODY_MAX];

static struct proa_msg from_link(const char *group, const void *data, uint32_t len)
{
    struct multicast_body parts = {group, (uint32_t)strlen(group), data, len};

    return (struct proa_msg){.data = body,
                             .len = (uint32_t)multicast_body_put(body, &parts),
                             .type = NOTE,
                             .from = {FAR_NODE, 5, 77},
                             .to = {WORLD_NODE, SERVICE_MULTICAST, 0}};
}

static void service__tells_the_members_of_all_lanes(void **state)
{
    const uint64_t value = 7;
    struct proa_msg msg = from_link("g", &value, 8);

    (void)state;
    join_far(FAR_NODE, 5); /* theirs are told over there */
    publish();
    sched_deliver(w->lane[1].s, &msg, true);
    assert_int_equal(count_of(&logs[1], GOT), 1); /* in place */
    world_settle(w);
    for (uint32_t lane = 0; lane < 3; lane++) {
        assert_int_equal(count_of(&logs[lane], GOT), 1);
        assert_int_equal(nth(&logs[lane], GOT, 0)->value, 7);
        assert_true(proa_ref_equal(nth(&logs[lane], GOT, 0)->from, msg.from));
    }
    assert_int_equal(w->sent_count, 0);
    assert_int_equal(STAT(w, 1, multicast_told), 1);
}

/* A long name with a long payload does not fit a packet at the least MTU: it comes as bulk. */
static void service__takes_bulk(void **state)
{
    const uint64_t value = 7;
    struct proa_msg msg = from_link("g", &value, 8);
    struct bulk_budget budget = {.limit = 10000};
    void *buf = bulk_alloc(&budget, w->lane[1].arena, msg.len, false);

    (void)state;
    memcpy(buf, body, msg.len);
    bulk_leave(&budget, buf);
    msg.data = buf;
    sched_deliver_bulk(w->lane[1].s, &msg, buf);
    world_settle(w);
    for (uint32_t lane = 0; lane < 3; lane++)
        assert_int_equal(nth(&logs[lane], GOT, 0)->value, 7);
}

static void service__refusals_go_to_the_original_sender(void **state)
{
    const uint64_t value = 7;
    struct proa_msg msg = from_link("g", &value, 8);

    (void)state;
    msg.type = 77;
    sched_deliver(w->lane[0].s, &msg, true);
    world_settle(w);
    assert_int_equal(w->refused_count, 3);
    for (uint32_t i = 0; i < 3; i++) {
        const struct refusal *r = &w->refused[i].refusal;

        assert_true(w->refused[i].node == FAR_NODE);
        assert_int_equal(r->slot, 5);
        assert_int_equal(r->generation, 77);
        assert_int_equal(r->type, 77);
        assert_int_equal(r->reason, PROA_REFUSED_UNKNOWN_TYPE);
        assert_true(proa_ref_equal(r->to, members[proa_ref_lane(r->to)]));
    }
}

static void service__a_full_ring_refuses_for_all_members_behind_it(void **state)
{
    const uint64_t value = 7;
    struct proa_msg msg = from_link("g", &value, 8);
    uint32_t busy = 0;

    (void)state;
    join("g", spawn(w, 1, &a_log));
    publish();
    while (tell(w, a, members[1], NOTE, 1) == PROA_OK)
        ;
    sched_deliver(w->lane[0].s, &msg, true);
    world_settle(w);
    for (uint32_t i = 0; i < w->refused_count; i++) {
        assert_int_equal(w->refused[i].refusal.reason, PROA_REFUSED_BUSY);
        assert_int_equal(w->refused[i].refusal.to.slot >> 24, 1);
        busy += w->refused[i].refusal.count;
    }
    assert_int_equal(busy, 2);
    assert_int_equal(count_of(&logs[2], GOT), 1);
}

static void service__unknown_groups_are_counted(void **state)
{
    struct proa_msg msg = from_link("other", NULL, 0);

    (void)state;
    sched_deliver(w->lane[0].s, &msg, true);
    lane_loop(w, 0);
    assert_int_equal(STAT(w, 0, multicast_nobody), 1);
    assert_int_equal(w->refused_count, 0);
}

static void service__asks_are_refused_and_replies_dropped(void **state)
{
    struct proa_msg msg = from_link("g", NULL, 0);

    (void)state;
    msg.flags = PROA_MSG_ASK;
    msg.correlation = 3;
    msg.deadline = w->now + PROA_S;
    sched_deliver(w->lane[0].s, &msg, true);
    assert_int_equal(w->refused[0].refusal.reason, PROA_REFUSED_NO_ACTOR);
    msg.flags = PROA_MSG_REPLY;
    sched_deliver(w->lane[0].s, &msg, true);
    world_settle(w);
    for (uint32_t lane = 0; lane < 3; lane++)
        assert_int_equal(count_of(&logs[lane], GOT), 0);
}

static void service__bad_bodies_are_dropped(void **state)
{
    const uint8_t bad[][24] = {
        {0},                             /* no name */
        {1, 0, 0, 0, 0, 0, 0, 0},        /* a name of zeros */
        {9, 0, 0, 0, 0, 0, 0, 0, 'g'},   /* with a NUL in it */
        {200, 0, 0, 0, 0, 0, 0, 0, 'g'}, /* longer than the body */
    };
    struct proa_msg msg = from_link("g", NULL, 0);
    uint32_t sent = 0;

    (void)state;
    for (uint32_t i = 0; i < 4; i++) {
        for (msg.len = 0; msg.len <= 24; msg.len++, sent++) {
            msg.data = bad[i];
            sched_deliver(w->lane[0].s, &msg, true);
        }
    }
    world_settle(w);
    assert_int_equal(STAT(w, 0, malformed), sent);
    for (uint32_t lane = 0; lane < 3; lane++)
        assert_int_equal(count_of(&logs[lane], GOT), 0);
}

/* ---- The body ---- */

static void body__every_length_comes_back(void **state)
{
    static uint8_t data[PROA_MULTICAST_MAX], buf[MULTICAST_BODY_MAX];
    char name[PROA_NAME_MAX];

    (void)state;
    memset(name, 'x', sizeof(name));
    for (uint32_t i = 0; i < sizeof(data); i++)
        data[i] = (uint8_t)(i * 7);
    for (uint32_t len = 1; len <= PROA_NAME_MAX; len++) {
        struct multicast_body in = {name, len, data, len * 4}, out;
        size_t size = multicast_body_put(buf, &in);

        assert_true(size <= sizeof(buf));
        assert_true(multicast_body_get(buf, size, &out));
        assert_int_equal(out.group_len, len);
        assert_memory_equal(out.group, name, len);
        assert_int_equal(out.len, in.len);
        assert_memory_equal(out.data, data, in.len);
        assert_int_equal(((uintptr_t)out.data - (uintptr_t)buf) % 8, 0);
    }
    assert_false(multicast_body_get(buf, MULTICAST_HEAD + 256 + PROA_MULTICAST_MAX + 1,
                                    &(struct multicast_body){0}));
}

#define test(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        test(send__every_lane_s_members_get_it_once),
        test(send__oneself_if_one_is_a_member),
        test(send__one_message_for_each_other_node),
        test(send__more_nodes_than_are_counted_get_single_tells),
        test(send__no_group_no_members),
        test(send__bad_arguments),
        test(send__in_order_with_tells),
        test(refused__by_members_is_undelivered_to_the_sender),
        test(refused__full_mailbox_of_the_own_lane),
        test(refused__member_that_has_stopped),
        test(again__a_full_link_or_ring_takes_nothing_the_others_all),
        test(no_route__is_undelivered_for_all_members_there),
        test(service__tells_the_members_of_all_lanes),
        test(service__takes_bulk),
        test(service__refusals_go_to_the_original_sender),
        test(service__a_full_ring_refuses_for_all_members_behind_it),
        test(service__unknown_groups_are_counted),
        test(service__asks_are_refused_and_replies_dropped),
        test(service__bad_bodies_are_dropped),
        cmocka_unit_test(body__every_length_comes_back),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
