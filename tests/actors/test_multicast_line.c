/* SPDX-License-Identifier: Apache-2.0 */
/* Multicasts to groups with many members here: what one packet may cost a lane, who comes first. */
#include "sched_world.h"

#include <proa/group.h>

#include "directory_group.h"
#include "multicast.h"

#define MANY 600u
#define PACKET 28u /* multicasts of a short name and payload that fit one packet */
#define COUNTED 1u /* the messages' type */
#define TELL 1000u /* value of one that is no multicast */

static struct world *w;
static struct directory *dir;
static int reader;
static struct proa_ref members[MANY];
static uint64_t got[MANY];       /* messages */
static uint64_t last[MANY];      /* value of the last one */
static uint64_t got_all, orders; /* orders: a value that came before an earlier one */
static uint32_t tells;
static uint64_t little_memory; /* of lane 1; 0: as usual */
static uint8_t body[MULTICAST_BODY_MAX];

static void on_counted(struct proa_actor *self, const struct proa_msg *msg)
{
    uint32_t i = *(uint32_t *)proa_state(self);
    uint64_t value;

    memcpy(&value, msg->data, sizeof(value));
    if (value == TELL) {
        tells++;
        return;
    }
    orders += value < last[i];
    last[i] = value;
    got[i]++;
    got_all++;
}

static int on_start(struct proa_actor *self, const void *arg, size_t len)
{
    memcpy(proa_state(self), arg, len);
    return 0;
}

static const struct proa_on ons[] = {{COUNTED, 8, on_counted}};
static const struct proa_behaviour counter = {.type_name = "counter",
                                              .state_size = sizeof(uint32_t),
                                              .on = ons,
                                              .on_count = 1,
                                              .start = on_start};

static void tweak(struct sched_config *c)
{
    c->directory = dir;
    if (c->lane == 1)
        c->slab_limit = little_memory;
}

static void join(const char *group, struct proa_ref ref)
{
    assert_true(directory_join(dir, group, strlen(group), ref, 0) != 0);
}

static void publish(void)
{
    w->now += 10 * PROA_S;
    directory_groups_publish(dir, w->now);
    directory_quiescent(dir, reader);
}

/* "many": MANY members, all on lane 0 but the last, on lane 1; "few": the first 64 of them. */
static int setup(void **state)
{
    const uint8_t seed[32] = {7};

    (void)state;
    memset(got, 0, sizeof(got));
    memset(last, 0, sizeof(last));
    got_all = orders = 0;
    tells = 0;
    dir = directory_create(4096, seed);
    directory_self(dir, WORLD_NODE);
    directory_node_add(dir, WORLD_NODE, PROA_NS_NEVER);
    reader = directory_reader_add(dir);
    directory_online(dir, reader);
    w = world_make(2, tweak);
    for (uint32_t i = 0; i < MANY; i++) {
        struct sched *s = w->lane[i == MANY - 1].s;

        assert_int_equal(sched_spawn(s, &counter, &i, sizeof(i), &members[i]), PROA_OK);
        join("many", members[i]);
        if (i < PROA_MULTICAST_ORDERED)
            join("few", members[i]);
    }
    publish();
    world_settle(w);
    return 0;
}

static int setup_little(void **state)
{
    little_memory = 128 * 10;
    return setup(state);
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
    little_memory = 0;
    return 0;
}

static struct proa_msg to_group(const char *group, uint64_t value)
{
    struct multicast_body parts = {group, (uint32_t)strlen(group), &value, 8};

    return (struct proa_msg){.data = body,
                             .len = (uint32_t)multicast_body_put(body, &parts),
                             .type = COUNTED,
                             .from = {FAR_NODE, 5, 77},
                             .to = {WORLD_NODE, SERVICE_MULTICAST, 0}};
}

static void cast_far(const char *group, uint64_t value)
{
    struct proa_msg msg = to_group(group, value);

    sched_deliver(w->lane[0].s, &msg, true);
}

static void line__a_packet_costs_its_share_of_a_loop(void **state)
{
    uint64_t before = 0, loops = 0;

    (void)state;
    for (uint64_t i = 1; i <= PACKET; i++)
        cast_far("many", i);
    assert_int_equal(got_all, 0);
    while (sched_deadline(w->lane[0].s) == 0) {
        lane_loop(w, 0);
        assert_true(got_all - before <= 2 * MULTICAST_AT_ONCE); /* one loop's run later */
        before = got_all;
        loops++;
    }
    assert_true(loops >= PACKET * (MANY - 1) / MULTICAST_AT_ONCE);
    world_settle(w);
    assert_int_equal(got_all, PACKET * MANY);
    assert_int_equal(orders, 0);
    for (uint32_t i = 0; i < MANY; i++)
        assert_int_equal(got[i], PACKET);
    assert_int_equal(w->refused_count, 0);
    assert_int_equal(STAT(w, 0, multicast_told), PACKET * (MANY - 1));
}

static void line__others_get_their_messages_meanwhile(void **state)
{
    const uint64_t value = TELL;
    struct proa_msg tell = {.data = &value,
                            .len = 8,
                            .type = COUNTED,
                            .from = {FAR_NODE, 6, 77},
                            .to = members[MANY - 2]};

    (void)state;
    for (uint64_t i = 1; i <= PACKET; i++)
        cast_far("many", i);
    lane_loop(w, 0);
    sched_deliver(w->lane[0].s, &tell, true);
    lane_loop(w, 0);
    assert_int_equal(tells, 1);
    assert_true(got_all <= 2 * MULTICAST_AT_ONCE);
}

static void line__small_groups_do_not_wait(void **state)
{
    (void)state;
    cast_far("many", 1);
    cast_far("few", 2);
    for (uint32_t i = 0; i < PROA_MULTICAST_ORDERED; i++)
        assert_int_equal(last[i], 2);
    world_settle(w);
    assert_int_equal(got_all, MANY + PROA_MULTICAST_ORDERED);
}

static void line__beyond_its_bound_is_busy(void **state)
{
    uint64_t busy = 0;

    (void)state;
    for (uint64_t i = 1; i <= MULTICAST_WAITING_MAX + 5; i++)
        cast_far("many", i);
    world_settle(w);
    for (uint32_t i = 0; i < w->refused_count; i++) {
        const struct refusal *r = &w->refused[i].refusal;

        assert_true(w->refused[i].node == FAR_NODE);
        assert_int_equal(r->reason, PROA_REFUSED_BUSY);
        assert_int_equal(r->slot, 5);
        assert_int_equal(r->to.generation, 0);
        busy += r->count;
    }
    assert_int_equal(busy, 5);
    assert_int_equal(got_all, MULTICAST_WAITING_MAX * MANY);
    cast_far("many", 99); /* there is room again */
    world_settle(w);
    assert_int_equal(got_all, (MULTICAST_WAITING_MAX + 1) * MANY);
}

/* On lane 1, which has little memory: it keeps what it can. */
static void line__without_memory_is_busy(void **state)
{
    struct proa_msg msg;

    (void)state;
    for (uint64_t i = 1; i <= PACKET; i++) {
        msg = to_group("many", i);
        sched_deliver(w->lane[1].s, &msg, true);
    }
    assert_true(w->refused_count > 0 && w->refused_count < PACKET);
    world_settle(w);
    assert_int_equal(got_all, (PACKET - w->refused_count) * MANY);
    assert_int_equal(orders, 0);
}

static void line__members_that_end_meanwhile_are_refused(void **state)
{
    (void)state;
    cast_far("many", 1);
    lane_loop(w, 0);
    for (uint32_t i = 0; i < MANY; i++)
        if (got[i] == 0 && proa_ref_lane(members[i]) == 0)
            in(w, members[i], act_stop, NULL);
    world_settle(w);
    assert_true(w->refused_count > 0);
    assert_int_equal(got_all + w->refused_count, MANY);
}

static void line__ends_with_its_lane(void **state)
{
    (void)state;
    for (uint64_t i = 1; i <= 3; i++)
        cast_far("many", i);
    sched_begin(w->lane[0].s, w->now);
    sched_poll(w->lane[0].s); /* the first one is under way */
    world_free(w);            /* nothing stays behind */
    w = world_make(2, tweak);
}

#define test(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        test(line__a_packet_costs_its_share_of_a_loop),
        test(line__others_get_their_messages_meanwhile),
        test(line__small_groups_do_not_wait),
        test(line__beyond_its_bound_is_busy),
        cmocka_unit_test_setup_teardown(line__without_memory_is_busy, setup_little,
                                        teardown),
        test(line__members_that_end_meanwhile_are_refused),
        test(line__ends_with_its_lane),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
