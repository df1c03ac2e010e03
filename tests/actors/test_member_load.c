/* SPDX-License-Identifier: Apache-2.0 */
#include "sched_world.h"

#include "scheduler_internal.h"

struct load_world {
    struct world *w;
    struct sched *s;
    struct log log, other;
    struct proa_ref worker, sender;
    _Atomic uint16_t *word;
};

static struct slot *slot_of_ref(struct load_world *l, struct proa_ref ref)
{
    struct slot *slot = slot_find(&l->s->slots, ref.slot, ref.generation);

    assert_non_null(slot);
    return slot;
}

static struct load_world *create_with(const struct proa_behaviour *kind)
{
    struct load_world *l = calloc(1, sizeof(*l));
    uint32_t slots;

    l->w = world_make(1, NULL);
    l->s = l->w->lane[0].s;
    l->worker = spawn_kind(l->w, 0, &l->log, kind);
    l->sender = spawn(l->w, 0, &l->other);
    l->word = sched_loads(l->s, &slots) + (l->worker.slot & SLOT_INDEX_MAX);
    assert_int_equal(slots, 1024);
    slot_member(l->s, slot_of_ref(l, l->worker));
    return l;
}

static struct load_world *create(void)
{
    return create_with(&probe);
}

static void destroy(struct load_world *l)
{
    world_free(l->w);
    free(l);
}

static uint32_t load(const struct load_world *l)
{
    return atomic_load(l->word);
}

static enum proa_outcome send(struct load_world *l, uint64_t value)
{
    return tell(l->w, l->sender, l->worker, NOTE, value);
}

static void load__what_waits_in_the_mailbox(void **state)
{
    struct load_world *l = create();

    (void)state;
    assert_int_equal(load(l), 0);
    for (uint32_t i = 0; i < 5; i++) {
        assert_int_equal(send(l, i), PROA_OK);
        assert_int_equal(load(l), i + 1);
    }
    assert_int_equal(ask(l->w, l->sender, l->worker, ECHO, 1, 1), PROA_OK);
    assert_int_equal(load(l), 6);
    world_settle(l->w);
    assert_int_equal(load(l), 0);
    assert_int_equal(count_of(&l->log, GOT), 6);
    destroy(l);
}

static void load__of_who_is_no_member_is_not_kept(void **state)
{
    struct load_world *l = create();
    uint32_t slots;
    _Atomic uint16_t *words = sched_loads(l->s, &slots);

    (void)state;
    assert_int_equal(tell(l->w, l->worker, l->sender, NOTE, 1), PROA_OK);
    assert_int_equal(atomic_load(&words[l->sender.slot & SLOT_INDEX_MAX]), 0);
    /* What waits already counts from the start. */
    slot_member(l->s, slot_of_ref(l, l->sender));
    assert_int_equal(atomic_load(&words[l->sender.slot & SLOT_INDEX_MAX]), 1);
    slot_member(l->s, slot_of_ref(l, l->sender));
    world_settle(l->w);
    assert_int_equal(atomic_load(&words[l->sender.slot & SLOT_INDEX_MAX]), 0);
    destroy(l);
}

/* The mailbox of a member is as large as any other's. */
static void load__full_is_refused_at_the_same_length(void **state)
{
    struct load_world *l = create();

    (void)state;
    for (uint32_t i = 0; i < probe.mailbox; i++)
        assert_int_equal(send(l, i), PROA_OK);
    assert_int_equal(send(l, 99), PROA_FULL);
    assert_int_equal(load(l), probe.mailbox);
    world_settle(l->w);
    assert_int_equal(load(l), 0);
    assert_int_equal(count_of(&l->log, GOT), probe.mailbox);

    /* Over a link: full is told, and drained by half too. */
    for (uint64_t i = 0; i <= probe.mailbox; i++) {
        struct proa_msg msg = from_far(l->worker, NOTE, &i);
        sched_deliver(l->s, &msg, false);
    }
    assert_int_equal(load(l), probe.mailbox);
    world_settle(l->w);
    assert_int_equal(l->w->refused_count, 1);
    assert_int_equal(l->w->writable_count, 1);
    destroy(l);
}

static const struct proa_behaviour dropper = {.type_name = "dropper",
                                              .state_size = sizeof(struct probe),
                                              .on = probe_on,
                                              .on_count = 7,
                                              .mailbox = 4,
                                              .overflow = PROA_OVERFLOW_DROP_OLDEST,
                                              .start = probe_start,
                                              .stop = probe_stop,
                                              .signal = probe_signal};

static void load__of_who_drops_its_oldest(void **state)
{
    struct load_world *l = create_with(&dropper);

    (void)state;
    for (uint32_t i = 0; i < 10; i++)
        assert_int_equal(send(l, i), PROA_OK);
    assert_int_equal(load(l), 4);
    world_settle(l->w);
    assert_int_equal(load(l), 0);
    assert_int_equal(count_of(&l->log, GOT), 4);
    assert_int_equal(nth(&l->log, GOT, 0)->value, 6);
    destroy(l);
}

/* ---- While handlers run ---- */

static struct load_world *watched;
static uint32_t loads_seen[8], loads_count;

static void on_look(struct proa_actor *self, const struct proa_msg *msg)
{
    loads_seen[loads_count++] = load(watched);
    if (msg->type == ECHO)
        assert_int_equal(proa_tell(self, proa_self(self), NOTE, NULL, 0), PROA_OK);
}

static const struct proa_on looker_on[] = {{NOTE, 0, on_look}, {ECHO, 0, on_look}};
static const struct proa_behaviour looker = {.type_name = "looker",
                                             .state_size = sizeof(struct probe),
                                             .on = looker_on,
                                             .on_count = 2,
                                             .start = probe_start};

static void load__counts_the_message_that_runs(void **state)
{
    struct load_world *l = create_with(&looker);
    const uint32_t want[] = {3, 2, 2, 1}; /* the second one tells itself a fourth */

    (void)state;
    watched = l;
    loads_count = 0;
    tell(l->w, l->sender, l->worker, NOTE, 0);
    tell(l->w, l->sender, l->worker, ECHO, 0);
    tell(l->w, l->sender, l->worker, NOTE, 0);
    world_settle(l->w);
    assert_int_equal(loads_count, 4);
    assert_memory_equal(loads_seen, want, sizeof(want));
    assert_int_equal(load(l), 0);
    destroy(l);
}

static void become_member(struct proa_actor *self, void *ctx)
{
    struct load_world *l = ctx;

    slot_member(l->s, slot_of_ref(l, proa_self(self)));
}

static void on_member(struct proa_actor *self, const struct proa_msg *msg)
{
    (void)msg;
    become_member(self, watched);
}

static const struct proa_on joiner_on[] = {{NOTE, 0, on_member}};
static const struct proa_behaviour joiner = {.type_name = "joiner",
                                             .state_size = sizeof(struct probe),
                                             .on = joiner_on,
                                             .on_count = 1,
                                             .start = probe_start};

/* It joins in a handler, with messages behind that one: the turn that began before ends right. */
static void load__of_who_becomes_a_member_in_a_turn(void **state)
{
    struct load_world *l = create();
    struct proa_ref late = spawn_kind(l->w, 0, &l->log, &joiner);
    uint32_t slots;
    _Atomic uint16_t *word = sched_loads(l->s, &slots) + (late.slot & SLOT_INDEX_MAX);

    (void)state;
    watched = l;
    for (uint32_t i = 0; i < 3; i++)
        assert_int_equal(tell(l->w, l->sender, late, NOTE, i), PROA_OK);
    assert_int_equal(atomic_load(word), 0);
    world_settle(l->w);
    assert_true((slot_of_ref(l, late)->flags & SLOT_MEMBER) != 0);
    assert_int_equal(atomic_load(word), 0);
    assert_int_equal(tell(l->w, l->sender, late, NOTE, 9), PROA_OK);
    assert_int_equal(atomic_load(word), 1);
    world_settle(l->w);
    destroy(l);
}

/* ---- Ends ---- */

#define HERE ((uint64_t)7)

/* A directory in which the worker and one more of its lane are a group. */
static struct directory *group_of(struct load_world *l, struct proa_ref other)
{
    const uint8_t seed[32] = {1};
    struct directory *dir = directory_create(10, seed);
    struct proa_ref members[2] = {l->worker, other};
    uint32_t slots;
    _Atomic uint16_t *words = sched_loads(l->s, &slots);

    assert_non_null(dir);
    directory_self(dir, HERE);
    assert_non_null(directory_node_add(dir, HERE, PROA_NS_NEVER));
    directory_lane_loads(dir, 0, words, slots);
    for (int i = 0; i < 2; i++) {
        members[i].node = HERE;
        assert_true(directory_join(dir, "g", 1, members[i], 0) > 0);
    }
    directory_groups_publish(dir, 1);
    return dir;
}

/* How often the worker was among many picks of each policy; UINT32_MAX: nobody could be picked. */
static uint32_t picked(struct directory *dir, const struct load_world *l)
{
    struct route_turn turn = {.random = 5};
    struct proa_ref got;
    uint32_t count = 0;

    for (int policy = PROA_ROUTE_RANDOM; policy <= PROA_ROUTE_IDLE_FIRST; policy++) {
        for (uint32_t key = 0; key < 100; key++) {
            if (directory_route(dir, "g", 1, (enum proa_policy)policy, key, 1, &turn,
                                &got) != PROA_OK)
                return UINT32_MAX;
            count += got.slot == l->worker.slot;
        }
    }
    return count;
}

static void load__nobody_picks_who_has_ended(void **state)
{
    struct load_world *l = create();
    struct proa_ref next, other = spawn(l->w, 0, &l->other);
    struct directory *dir = group_of(l, other);

    (void)state;
    slot_member(l->s, slot_of_ref(l, other));
    assert_true(picked(dir, l) > 100);
    send(l, 1);
    stop(l->w, l->worker);
    assert_int_equal(load(l), UINT16_MAX);
    assert_int_equal(picked(dir, l), 0);
    stop(l->w, other);
    assert_int_equal(picked(dir, l), UINT32_MAX);
    directory_destroy(dir);
    world_settle(l->w);
    assert_int_equal(load(l), UINT16_MAX);
    /* Another actor in the same slot is no member until it says so. */
    next = spawn(l->w, 0, &l->other);
    assert_int_equal(next.slot, l->worker.slot);
    assert_int_equal(tell(l->w, l->sender, next, NOTE, 1), PROA_OK);
    assert_int_equal(load(l), UINT16_MAX);
    slot_member(l->s, slot_of_ref(l, next));
    assert_int_equal(load(l), 1);
    world_settle(l->w);
    destroy(l);
}

static void slot_renew__stays_a_member(void **state)
{
    struct load_world *l = create();
    struct slot *slot = slot_of_ref(l, l->worker);

    (void)state;
    slot->state = SLOT_ENDING;
    slot_renew(&l->s->slots, slot);
    assert_true((slot->flags & SLOT_MEMBER) != 0);
    assert_int_equal(slot->marks & SLOT_MARK_STARTED, 0);
    assert_int_equal(slot_capacity(slot), probe.mailbox);
    slot->state = SLOT_LIVE;
    slot->marks |= SLOT_MARK_STARTED;
    destroy(l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(load__what_waits_in_the_mailbox),
        cmocka_unit_test(load__of_who_is_no_member_is_not_kept),
        cmocka_unit_test(load__full_is_refused_at_the_same_length),
        cmocka_unit_test(load__of_who_drops_its_oldest),
        cmocka_unit_test(load__counts_the_message_that_runs),
        cmocka_unit_test(load__of_who_becomes_a_member_in_a_turn),
        cmocka_unit_test(load__nobody_picks_who_has_ended),
        cmocka_unit_test(slot_renew__stays_a_member),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
