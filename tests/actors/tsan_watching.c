/* SPDX-License-Identifier: Apache-2.0 */
/* Watches among threads, for TSan: one writes a group and tells its changes, a lane tells an actor,
   an ordinary thread takes them; views are published when it pleases the writer, and its ring is
   often full.  What both believe must never break, and be the truth in the end.  Once with a group that
   is hardly ever empty, and once with one that comes and goes.  Bounded by counts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "client_home.h"
#include "directory_group.h"
#include "scheduler.h"

#define NODE_ID 77u
#define MANY 24u
#define FEW 2u
#define CHANGES 60000u /* with MANY */
#define CHANGES_FEW 200000u
#define WATCHES_MAX 4u

static struct sched *s;
static struct arena *arena;
static struct inbox *inbox;
static struct byte_ring *up, *down;
static struct doorbell bell;
static struct directory *dir;
static struct client_home home;
static int reader;

static _Atomic bool over;            /* the lane's thread ends */
static _Atomic uint64_t last;        /* version of the last change; 0: not yet made */
static _Atomic uint64_t actor_knows; /* version that the actor was told */
static _Atomic uint32_t truth;       /* members, as bits, after the last change */
static _Atomic uint32_t actor_members;

static proa_ns now_of(void *ctx)
{
    struct timespec ts;

    (void)ctx;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (proa_ns)ts.tv_sec * PROA_S + (proa_ns)ts.tv_nsec;
}

/* ---- What is believed ---- */

struct belief {
    uint32_t members;
    uint64_t version;
    bool known;
};

static void believe(struct belief *b, const struct proa_change *c)
{
    uint32_t bit = 1u << c->ref.slot;

    PROA_ASSERT(c->version >= b->version);
    if (c->kind == PROA_CHANGE_SET) {
        b->members = 0;
        for (uint32_t i = 0; i < c->count; i++)
            b->members |= 1u << c->refs[i].slot;
        b->known = true;
    } else {
        PROA_ASSERT(b->known && c->version > b->version);
        PROA_ASSERT(((b->members & bit) != 0) == (c->kind == PROA_CHANGE_LEFT));
        b->members ^= bit;
    }
    b->version = c->version;
}

static void on_signal(struct proa_actor *self, const struct proa_signal *signal)
{
    struct belief *b = proa_state(self);

    if (signal->kind != PROA_SIGNAL_CHANGED)
        return;
    believe(b, signal->change);
    atomic_store(&actor_members, b->members);
    atomic_store(&actor_knows, b->version);
}

static int on_start(struct proa_actor *self, const void *arg, size_t len)
{
    struct proa_watching w;

    (void)arg;
    (void)len;
    return (int)proa_watch(self, PROA_WATCH_GROUP, "g", &w);
}

static const struct proa_behaviour watcher = {.type_name = "watcher",
                                              .state_size = sizeof(struct belief),
                                              .start = on_start,
                                              .signal = on_signal};

/* ---- The lane ---- */

static void take_down(void)
{
    const struct byte_record *r;

    for (int i = 0; i < 64 && (r = byte_ring_peek(down)) != NULL; i++) {
        struct punt_changed c;

        memcpy(&c, r->body, sizeof(c));
        sched_changed(s, &c, "g", 1);
        byte_ring_pop(down);
    }
}

static void *lane_main(void *arg)
{
    (void)arg;
    arena_own(arena);
    directory_online(dir, reader);
    while (!atomic_load(&over)) {
        sched_begin(s, now_of(NULL));
        take_down();
        sched_poll(s);
        sched_run(s);
        sched_timers(s);
        sched_flush(s);
        directory_quiescent(dir, reader);
        sched_yield();
    }
    directory_offline(dir, reader);
    return NULL;
}

/* ---- The control thread ---- */

struct told_watch {
    struct punt_watch id;
    bool lost; /* a record found no room */
};

struct writer {
    struct told_watch watches[WATCHES_MAX];
    uint32_t count, members;
    uint64_t version;
};

static void tell(struct told_watch *w, enum proa_change_kind kind, uint64_t version,
                 uint32_t member)
{
    struct punt_changed c = {.slot = w->id.slot,
                             .generation = w->id.generation,
                             .index = w->id.index,
                             .serial = w->id.serial,
                             .version = version,
                             .ref = {NODE_ID, member, 1},
                             .kind = (uint8_t)kind,
                             .is_group = 1};

    if (w->lost && kind != PROA_CHANGE_SET)
        return;
    w->lost = !byte_ring_push(down, PUNT_CHANGED, &c, sizeof(c), "g", 1);
}

static void take_up(struct writer *wr)
{
    const struct byte_record *r;

    while ((r = byte_ring_peek(up)) != NULL) {
        struct punt_watch id;

        memcpy(&id, r->body, sizeof(id));
        if (r->kind == PUNT_WATCH && id.on) {
            PROA_ASSERT(wr->count < WATCHES_MAX);
            wr->watches[wr->count].id = id;
            tell(&wr->watches[wr->count++], PROA_CHANGE_SET,
                 directory_group_changed(dir, "g", 1), 0);
        }
        byte_ring_pop(up);
    }
    for (uint32_t i = 0; i < wr->count; i++)
        if (wr->watches[i].lost)
            tell(&wr->watches[i], PROA_CHANGE_SET, directory_group_changed(dir, "g", 1),
                 0);
}

static void change(struct writer *wr, uint32_t member)
{
    struct proa_ref ref = {NODE_ID, member, 1};
    bool was = (wr->members >> member & 1) != 0;

    wr->version =
        was ? directory_leave(dir, "g", 1, ref) : directory_join(dir, "g", 1, ref, 1);
    PROA_ASSERT(wr->version != 0);
    wr->members ^= 1u << member;
    for (uint32_t i = 0; i < wr->count; i++)
        tell(&wr->watches[i], was ? PROA_CHANGE_LEFT : PROA_CHANGE_JOINED, wr->version,
             member);
}

struct run {
    unsigned seed;
    uint32_t members, changes;
};

static void *control_main(void *arg)
{
    const struct run *run = arg;
    struct writer wr = {.count = 0};
    unsigned seed = run->seed;

    for (uint32_t n = 0; n < run->changes || wr.count < 2; n++) {
        change(&wr, (uint32_t)rand_r(&seed) % run->members);
        if (rand_r(&seed) % 8 == 0)
            take_up(&wr);
        if (rand_r(&seed) % 4 == 0)
            directory_groups_publish(dir, now_of(NULL));
        if (rand_r(&seed) % 16 == 0) {
            directory_reclaim(dir);
            sched_yield();
        }
    }
    atomic_store(&truth, wr.members);
    atomic_store(&last, wr.version);
    while (!atomic_load(&over)) { /* lost ones are made good, and views published */
        take_up(&wr);
        directory_groups_publish(dir, now_of(NULL));
        directory_reclaim(dir);
        sched_yield();
    }
    return NULL;
}

/* ---- The test ---- */

static void make(void)
{
    const uint8_t seed[32] = {7};
    struct sched_config c = {.node = NODE_ID,
                             .lanes = 1,
                             .actors_max = 64,
                             .asks_max = 64,
                             .timers_max = 64,
                             .seed = 3,
                             .now = now_of(NULL)};

    dir = directory_create(64, seed);
    directory_self(dir, NODE_ID);
    directory_node_add(dir, NODE_ID, PROA_NS_NEVER);
    reader = directory_reader_add(dir);
    arena = arena_create();
    inbox = inbox_create(64);
    up = byte_ring_create(1u << 14);
    down = byte_ring_create(1u << 12); /* often full */
    doorbell_init(&bell);
    c.directory = dir;
    c.arena = arena;
    c.inbox = inbox;
    c.up = up;
    s = sched_create(&c);
    assert_non_null(s);
    home = (struct client_home){
        .node = NODE_ID, .lanes = 1, .directory = dir, .clock = now_of};
    home.inboxes[0] = inbox;
    home.bells[0] = &bell;
}

static void unmake(void)
{
    sched_destroy(s);
    arena_destroy(arena);
    inbox_destroy(inbox);
    byte_ring_destroy(up);
    byte_ring_destroy(down);
    doorbell_fini(&bell);
    directory_reader_remove(dir, reader);
    directory_destroy(dir);
}

/* Takes changes until the last one was told; a little slow now and then. */
static void follow(struct proa_client *client)
{
    struct belief b = {.known = false};
    struct proa_client_event event;
    uint32_t taken = 0;

    /* A SET of nobody may be of a later version than the last change. */
    while (atomic_load(&last) == 0 || b.version < atomic_load(&last)) {
        if (proa_client_take(client, PROA_MS, &event) != PROA_OK)
            continue;
        assert_non_null(event.change);
        believe(&b, event.change);
        taken++;
        for (uint32_t i = 0; taken % 4096 == 0 && i < 2000; i++)
            sched_yield();
    }
    assert_int_equal(b.members, atomic_load(&truth));
    while (atomic_load(&actor_knows) < atomic_load(&last))
        sched_yield();
    assert_int_equal(atomic_load(&actor_members), atomic_load(&truth));
}

static void agree(struct run run)
{
    pthread_t lane, control;
    struct proa_client *client;
    struct proa_watching w;

    print_message("seed %u\n", run.seed);
    atomic_store(&over, false);
    atomic_store(&last, 0);
    atomic_store(&actor_knows, 0);
    make();
    assert_int_equal(sched_spawn(s, &watcher, NULL, 0, NULL), PROA_OK);
    assert_int_equal(pthread_create(&lane, NULL, lane_main, NULL), 0);
    assert_int_equal(pthread_create(&control, NULL, control_main, &run), 0);
    assert_int_equal(client_open(&home, &client), PROA_OK);
    assert_int_equal(proa_client_watch(client, PROA_WATCH_GROUP, "g", &w), PROA_OK);
    follow(client);
    assert_true(proa_client_unwatch(client, w));
    proa_client_close(client);
    atomic_store(&over, true);
    pthread_join(control, NULL);
    pthread_join(lane, NULL);
    unmake();
}

static void watch__threads_agree_in_the_end(void **state)
{
    (void)state;
    agree((struct run){20260102, MANY, CHANGES});
}

static void watch__of_a_group_that_comes_and_goes(void **state)
{
    (void)state;
    agree((struct run){20260103, FEW, CHANGES_FEW});
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(watch__threads_agree_in_the_end),
        cmocka_unit_test(watch__of_a_group_that_comes_and_goes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
