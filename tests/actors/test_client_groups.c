/* SPDX-License-Identifier: Apache-2.0 */
/* Clients and groups: reading, picking, telling all, watching.  Link with --wrap=malloc. */
#include "sched_world.h"

#include "client_home.h"
#include "client_ring.h"
#include "directory_group.h"
#include "watching.h"

static struct world *w;
static struct directory *dir;
static int reader;
static struct client_home home;
static struct log a_log, b_log;
static struct proa_ref a, b;
static struct proa_client *client;
static struct punt_watch last_watch;
static struct punt_name last_name;
static uint32_t watches_begun, watches_ended;
static enum proa_outcome name_outcome;

static bool memory_fails;

void *__real_malloc(size_t size);
void *__wrap_malloc(size_t size);

void *__wrap_malloc(size_t size)
{
    return memory_fails ? NULL : __real_malloc(size);
}

static proa_ns clock_of_world(void *ctx)
{
    (void)ctx;
    return w->now;
}

static void control(uint32_t lane)
{
    const struct byte_record *r;

    while ((r = byte_ring_peek(w->lane[lane].up)) != NULL) {
        if (r->kind == PUNT_WATCH) {
            struct punt_watch up;

            memcpy(&up, r->body, sizeof(up));
            watches_begun += up.on;
            watches_ended += !up.on;
            if (up.on)
                last_watch = up;
        } else if (r->kind == PUNT_NAME) {
            struct punt_answer answer = {.outcome = name_outcome, .ref = b};

            memcpy(&last_name, r->body, sizeof(last_name));
            answer.correlation = last_name.correlation;
            sched_name_answer(w->lane[lane].s, &answer, "g", 1);
        }
        byte_ring_pop(w->lane[lane].up);
    }
}

static void pump(void *ctx)
{
    (void)ctx;
    w->now += 10 * PROA_US;
    for (uint32_t i = 0; i < w->lanes; i++) {
        lane_loop(w, i);
        control(i);
    }
    directory_quiescent(dir, reader);
}

static void tweak(struct sched_config *c)
{
    c->directory = dir;
}

static int setup(void **state)
{
    const uint8_t seed[32] = {7};

    (void)state;
    memset(&a_log, 0, sizeof(a_log));
    memset(&b_log, 0, sizeof(b_log));
    watches_begun = watches_ended = 0;
    name_outcome = PROA_OK;
    dir = directory_create(1024, seed);
    directory_self(dir, WORLD_NODE);
    directory_node_add(dir, WORLD_NODE, PROA_NS_NEVER);
    directory_node_add(dir, FAR_NODE, PROA_NS_NEVER);
    reader = directory_reader_add(dir); /* the lanes' */
    directory_online(dir, reader);
    w = world_make(2, tweak);
    home = (struct client_home){.node = WORLD_NODE,
                                .lanes = 2,
                                .directory = dir,
                                .clock = clock_of_world,
                                .pump = pump};
    for (uint32_t i = 0; i < 2; i++)
        home.inboxes[i] = w->lane[i].inbox;
    a = spawn(w, 0, &a_log);
    b = spawn(w, 1, &b_log);
    assert_int_equal(client_open(&home, &client), PROA_OK);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    proa_client_close(client);
    world_settle(w);
    pump(NULL);
    pump(NULL);
    assert_int_equal(watches_begun, watches_ended);
    assert_int_equal(STAT(w, 0, watches), 0);
    assert_int_equal(STAT(w, 0, malformed) + STAT(w, 1, malformed), 0);
    assert_clean(w);
    world_free(w);
    directory_offline(dir, reader);
    directory_reader_remove(dir, reader);
    directory_destroy(dir);
    return 0;
}

static uint64_t join_ref(const char *group, struct proa_ref ref)
{
    return directory_join(dir, group, strlen(group), ref, sched_type_id("probe"));
}

static uint64_t join(uint32_t n)
{
    return join_ref("g", (struct proa_ref){FAR_NODE, n, 1});
}

static void publish(void)
{
    w->now += 10 * PROA_S; /* whatever is due */
    directory_groups_publish(dir, w->now);
}

/* ---- Reading and picking ---- */

static void lookup_all__reads_the_directory(void **state)
{
    struct proa_members members = {9, 9};
    struct proa_ref refs[4];

    (void)state;
    assert_int_equal(proa_client_lookup_all(client, "g", NULL, 0, refs, 4, &members),
                     PROA_UNKNOWN);
    assert_int_equal(members.count, 0);
    join_ref("g", a);
    join_ref("g", b);
    publish();
    assert_int_equal(proa_client_lookup_all(client, "g", NULL, 0, refs, 4, &members),
                     PROA_OK);
    assert_int_equal(members.count, 2);
    assert_true(proa_ref_equal(refs[0], a) || proa_ref_equal(refs[1], a));
    assert_int_equal(proa_client_lookup_all(client, "g", "probe", 0, refs, 1, &members),
                     PROA_OK);
    assert_int_equal(members.count, 2); /* more than fit */
    assert_int_equal(proa_client_lookup_all(client, "g", "other", 0, refs, 4, NULL),
                     PROA_WRONG_TYPE);
    assert_int_equal(proa_client_lookup_all(client, "", NULL, 0, refs, 4, &members),
                     PROA_INVALID);
    assert_int_equal(proa_client_lookup_all(client, "g", NULL, 2, refs, 4, &members),
                     PROA_INVALID);
    assert_int_equal(proa_client_lookup_all(client, "g", NULL, 0, NULL, 4, &members),
                     PROA_INVALID);
    assert_int_equal(members.count, 0);
}

static void route__picks_members(void **state)
{
    struct proa_ref ref, before = proa_ref_none();

    (void)state;
    assert_int_equal(proa_client_route(client, "g", PROA_ROUTE_RANDOM, 0, &ref),
                     PROA_UNKNOWN);
    join_ref("g", a);
    join_ref("g", b);
    publish();
    for (int i = 0; i < 10; i++) {
        assert_int_equal(proa_client_route(client, "g", PROA_ROUTE_ROUND_ROBIN, 0, &ref),
                         PROA_OK);
        assert_true(proa_ref_equal(ref, a) || proa_ref_equal(ref, b));
        assert_false(proa_ref_equal(ref, before));
        before = ref;
    }
    assert_int_equal(proa_client_route(client, "g",
                                       (enum proa_policy)(PROA_ROUTE_IDLE_FIRST + 1), 0,
                                       &ref),
                     PROA_INVALID);
    assert_int_equal(proa_client_route(client, NULL, PROA_ROUTE_RANDOM, 0, &ref),
                     PROA_INVALID);
}

static void find_group__asks_the_control_thread(void **state)
{
    struct proa_ref ref = proa_ref_none();

    (void)state;
    assert_int_equal(proa_client_find_group(client, "g", PROA_S, &ref), PROA_OK);
    assert_true(proa_ref_equal(ref, b));
    assert_int_equal(last_name.op, PUNT_FIND_GROUP);
    name_outcome = PROA_NOT_FOUND;
    assert_int_equal(proa_client_find_group(client, "g", PROA_S, &ref), PROA_NOT_FOUND);
    assert_int_equal(proa_client_find_group(client, "", PROA_S, &ref), PROA_INVALID);
    assert_int_equal(proa_client_find_group(client, "g", 0, &ref), PROA_INVALID);
}

/* ---- Telling all ---- */

static void multicast__tells_all_in_the_client_s_name(void **state)
{
    static uint8_t data[PROA_MULTICAST_MAX + 1];
    uint64_t value = 6;
    uint32_t members = 77;

    (void)state;
    assert_int_equal(proa_client_multicast(client, "group", NOTE, &value, 8, &members),
                     PROA_UNKNOWN);
    assert_int_equal(members, 0);
    join_ref("group", a);
    join_ref("group", b);
    join_ref("group", (struct proa_ref){FAR_NODE, 1, 1});
    publish();
    assert_int_equal(proa_client_multicast(client, "group", NOTE, &value, 8, &members),
                     PROA_OK);
    assert_int_equal(members, 3);
    world_settle(w);
    assert_int_equal(nth(&a_log, GOT, 0)->value, 6);
    assert_int_equal(nth(&b_log, GOT, 0)->value, 6);
    assert_true(proa_ref_equal(nth(&b_log, GOT, 0)->from, proa_client_ref(client)));
    assert_int_equal(w->sent_count, 1);
    assert_true(proa_ref_equal(w->sent[0].msg.from, proa_client_ref(client)));
    w->send_outcome = PROA_AGAIN;
    assert_int_equal(proa_client_multicast(client, "group", NOTE, NULL, 0, &members),
                     PROA_AGAIN);
    assert_int_equal(members, 2);
    w->send_outcome = PROA_OK;
    assert_int_equal(
        proa_client_multicast(client, "group", NOTE, data, sizeof(data), &members),
        PROA_TOO_LARGE);
    assert_int_equal(
        proa_client_multicast(client, "group", NOTE, data, sizeof(data) - 1, NULL),
        PROA_OK);
    assert_int_equal(proa_client_multicast(client, "group", NOTE, NULL, 1, NULL),
                     PROA_INVALID);
    assert_int_equal(
        proa_client_multicast(client, "group", PROA_TYPE_SYSTEM, NULL, 0, NULL),
        PROA_INVALID);
    assert_int_equal(proa_client_multicast(client, "", NOTE, NULL, 0, NULL),
                     PROA_INVALID);
    world_settle(w);
}

/* ---- Watching ---- */

static struct proa_watching watch(enum proa_watch_what what, const char *name)
{
    struct proa_watching id = {0, 0};
    uint32_t before = watches_begun;

    assert_int_equal(proa_client_watch(client, what, name, &id), PROA_OK);
    for (int i = 0; i < 3 && watches_begun == before; i++)
        pump(NULL);
    assert_int_equal(last_watch.what, what);
    assert_int_equal(last_watch.index, id.index);
    assert_int_equal(last_watch.serial, id.serial);
    assert_int_equal(last_watch.slot, proa_client_ref(client).slot);
    return id;
}

static void say(enum proa_change_kind kind, uint64_t version, uint32_t n,
                const char *name)
{
    struct punt_changed c = {.slot = last_watch.slot,
                             .generation = last_watch.generation,
                             .index = last_watch.index,
                             .serial = last_watch.serial,
                             .version = version,
                             .kind = (uint8_t)kind,
                             .is_group = last_watch.what == PROA_WATCH_GROUP};

    if (n != 0)
        c.ref = (struct proa_ref){FAR_NODE, n, 1};
    sched_changed(w->lane[0].s, &c, name, strlen(name));
}

static const struct proa_change *taken(struct proa_client_event *event)
{
    assert_int_equal(proa_client_take(client, PROA_MS, event), PROA_OK);
    assert_false(event->is_answer);
    assert_non_null(event->change);
    assert_non_null(event->data);
    return event->change;
}

static void watch__takes_the_set_then_the_changes(void **state)
{
    const struct proa_change *c;
    struct proa_client_event event;
    struct proa_watching id;
    uint64_t v, v3;

    (void)state;
    join(1);
    v = join(2);
    publish();
    id = watch(PROA_WATCH_GROUP, "g");
    say(PROA_CHANGE_SET, v, 0, "g");
    v3 = join(3);
    say(PROA_CHANGE_JOINED, v3, 3, "g");
    publish(); /* before the client takes the SET: it has the third */
    say(PROA_CHANGE_JOINED, join(4), 4, "g");
    c = taken(&event);
    assert_int_equal(c->kind, PROA_CHANGE_SET);
    assert_int_equal(c->count, 3);
    assert_true(c->version == v3);
    assert_true(c->is_group);
    assert_string_equal(c->name, "g");
    assert_int_equal(c->watching.index, id.index);
    c = taken(&event);
    assert_int_equal(c->kind, PROA_CHANGE_JOINED);
    assert_int_equal(c->ref.slot, 4);
    assert_int_equal(proa_client_take(client, PROA_MS, &event), PROA_TIMEOUT);
}

static void watch__tells_and_changes_share_the_way(void **state)
{
    struct proa_client_event event;

    (void)state;
    watch(PROA_WATCH_NAME, "n");
    say(PROA_CHANGE_SET, 1, 8, "n");
    assert_int_equal(tell(w, a, proa_client_ref(client), 7, 5), PROA_OK);
    say(PROA_CHANGE_LEFT, 2, 8, "n");
    assert_int_equal(taken(&event)->kind, PROA_CHANGE_SET);
    assert_int_equal(event.change->count, 1);
    assert_int_equal(event.change->refs[0].slot, 8);
    assert_false(event.change->is_group);
    assert_int_equal(proa_client_take(client, PROA_MS, &event), PROA_OK);
    assert_null(event.change);
    assert_int_equal(event.type, 7);
    assert_int_equal(taken(&event)->kind, PROA_CHANGE_LEFT);
}

static void watch__all_brings_names(void **state)
{
    struct proa_client_event event;

    (void)state;
    watch(PROA_WATCH_ALL, NULL);
    say(PROA_CHANGE_JOINED, 5, 1, "one");
    say(PROA_CHANGE_JOINED, 3, 2, "two");
    assert_string_equal(taken(&event)->name, "one");
    assert_string_equal(taken(&event)->name, "two");
    assert_true(event.change->version == 3);
}

static void unwatch__nothing_comes_after_it(void **state)
{
    struct proa_client_event event;
    struct proa_watching id, other;

    (void)state;
    id = watch(PROA_WATCH_NAME, "n");
    say(PROA_CHANGE_SET, 1, 8, "n");
    world_settle(w); /* in the client's ring */
    assert_true(proa_client_unwatch(client, id));
    assert_false(proa_client_unwatch(client, id));
    assert_int_equal(proa_client_take(client, PROA_MS, &event), PROA_TIMEOUT);
    assert_int_equal(watches_ended, 1);
    other = watch(PROA_WATCH_NAME, "n");
    assert_true(other.index != id.index || other.serial != id.serial);
}

static void watch__bad_arguments_and_bounds(void **state)
{
    struct proa_watching id;

    (void)state;
    assert_int_equal(proa_client_watch(client, PROA_WATCH_NAME, "", &id), PROA_INVALID);
    assert_int_equal(proa_client_watch(client, PROA_WATCH_NAME, "\xff", &id),
                     PROA_INVALID);
    assert_int_equal(proa_client_watch(client, PROA_WATCH_GROUP, NULL, &id),
                     PROA_INVALID);
    assert_int_equal(proa_client_watch(client, (enum proa_watch_what)3, "n", &id),
                     PROA_INVALID);
    assert_int_equal(proa_client_watch(client, PROA_WATCH_NAME, "n", NULL), PROA_INVALID);
    for (int i = 0; i < PROA_CLIENT_WATCHES_MAX; i++)
        watch(PROA_WATCH_NAME, "n");
    assert_int_equal(proa_client_watch(client, PROA_WATCH_NAME, "n", &id), PROA_LIMIT);
}

/* A client that does not take them: its ring and the mailbox fill, the rest becomes one SET, and
   what it asks for is answered meanwhile. */
static void watch__slow_client_gets_a_new_set(void **state)
{
    struct proa_client_event event;
    uint64_t version = 0, value = 3, got = 0;
    uint32_t count = 0;

    (void)state;
    watch(PROA_WATCH_GROUP, "g");
    say(PROA_CHANGE_SET, 0, 0, "g");
    for (int i = 0; i < 10000; i++) {
        version = i % 2 == 0
                      ? join(1)
                      : directory_leave(dir, "g", 1, (struct proa_ref){FAR_NODE, 1, 1});
        say(i % 2 == 0 ? PROA_CHANGE_JOINED : PROA_CHANGE_LEFT, version, 1, "g");
        lane_loop(w, 0);
    }
    assert_true(STAT(w, 0, changes_merged) > 1000);
    version = join(2);
    say(PROA_CHANGE_JOINED, version, 2, "g");
    assert_int_equal(proa_client_ask(client, b, ECHO, &value, sizeof(value), PROA_S, &got,
                                     sizeof(got), NULL),
                     PROA_OK);
    assert_int_equal(taken(&event)->kind, PROA_CHANGE_SET);
    while (event.change->version < version) {
        if (count++ == 100)
            publish();
        taken(&event);
    }
    assert_int_equal(event.change->kind, PROA_CHANGE_SET);
    assert_int_equal(event.change->count, 1);
    assert_int_equal(event.change->refs[0].slot, 2);
    assert_int_equal(proa_client_take(client, PROA_MS, &event), PROA_TIMEOUT);
    assert_true(count > WATCH_QUEUED_MAX);
}

/* The SET is owed until it can be read; what comes meanwhile is in it. */
static void watch__without_memory_the_set_comes_later(void **state)
{
    struct proa_client_event event;
    const struct proa_change *c;
    uint64_t v;

    (void)state;
    v = join(1);
    publish();
    watch(PROA_WATCH_GROUP, "g");
    say(PROA_CHANGE_SET, v, 0, "g");
    memory_fails = true;
    assert_int_equal(proa_client_take(client, PROA_MS, &event), PROA_TIMEOUT);
    v = join(2);
    say(PROA_CHANGE_JOINED, v, 2, "g");
    assert_int_equal(proa_client_take(client, PROA_MS, &event), PROA_TIMEOUT);
    memory_fails = false;
    assert_int_equal(proa_client_take(client, PROA_MS, &event), PROA_TIMEOUT);
    publish(); /* before this, what can be read is too old */
    c = taken(&event);
    assert_int_equal(c->kind, PROA_CHANGE_SET);
    assert_int_equal(c->count, 2);
    assert_true(c->version == v);
    say(PROA_CHANGE_JOINED, join(3), 3, "g");
    c = taken(&event);
    assert_int_equal(c->kind, PROA_CHANGE_JOINED);
    assert_int_equal(c->ref.slot, 3);
}

static void watch__that_owes_a_set_may_end(void **state)
{
    struct proa_client_event event;
    struct proa_watching id;

    (void)state;
    join(1);
    publish();
    id = watch(PROA_WATCH_GROUP, "g");
    say(PROA_CHANGE_SET, 1, 0, "g");
    memory_fails = true;
    assert_int_equal(proa_client_take(client, PROA_MS, &event), PROA_TIMEOUT);
    memory_fails = false;
    assert_true(proa_client_unwatch(client, id));
    assert_int_equal(proa_client_take(client, PROA_MS, &event), PROA_TIMEOUT);
}

static void close__ends_its_watches(void **state)
{
    (void)state;
    for (int i = 0; i < 5; i++)
        watch(PROA_WATCH_NAME, "n");
    say(PROA_CHANGE_SET, 1, 8, "n"); /* and the teardown looks */
}

#define test(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        test(lookup_all__reads_the_directory),
        test(route__picks_members),
        test(find_group__asks_the_control_thread),
        test(multicast__tells_all_in_the_client_s_name),
        test(watch__takes_the_set_then_the_changes),
        test(watch__tells_and_changes_share_the_way),
        test(watch__all_brings_names),
        test(unwatch__nothing_comes_after_it),
        test(watch__bad_arguments_and_bounds),
        test(watch__slow_client_gets_a_new_set),
        test(watch__without_memory_the_set_comes_later),
        test(watch__that_owes_a_set_may_end),
        test(close__ends_its_watches),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
