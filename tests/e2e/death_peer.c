/* SPDX-License-Identifier: Apache-2.0 */
/* death_peer serve|watch SPEC ADDRESS SEED|- STATE_DIR - one side of test_death.py.

   serve has a keeper, found by its name, that echoes and makes actors that are there to die.
   watch first measures: round trips to the keeper one at a time; then, ROUNDS times, how long
   HELD asks wait for their outcomes from the moment their holder is told to fail.  Then it monitors
   an actor over there and says what it is told; for ever.  Lines, times of CLOCK_MONOTONIC in ns:

     started NS                  serve: the node runs; it has not joined
     ready NS                    the node has joined
     asks N RTT P50 P99          watch: N asks, each MAYBE_EXECUTED and each holder's DOWN(FAILED)
     watching
     down REASON NS GAP          and the longest time between two turns of this lane's timer since
     end WHY                     nothing more will happen */
#include <proa/client.h>
#include <proa/le.h>
#include <proa/life.h>
#include <proa/node.h>
#include <proa/registry.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define ROUNDS 200u
#define TRIPS 2000u
#define HELD 8u
#define ASK_FOR (60 * PROA_S) /* far longer than anything here takes */
#define FIND_FOR (600 * PROA_S)
#define TICK PROA_MS
#define AGAIN_AFTER (5 * PROA_MS)
#define NAME "keeper"

enum { ECHO = 1, MAKE = 2, HOLD = 3, FAIL = 4 };

static proa_ns clock_now(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (proa_ns)ts.tv_sec * PROA_S + (proa_ns)ts.tv_nsec;
}

static void end(const char *why)
{
    printf("end %s\n", why);
    fflush(stdout);
    _exit(1);
}

/* ---- serve ---- */

static void on_hold(struct proa_actor *self, const struct proa_msg *msg)
{
    struct proa_token token;

    if (proa_reply_later(self, msg, &token) != PROA_OK)
        end("a held ask");
}

static void on_fail(struct proa_actor *self, const struct proa_msg *msg)
{
    (void)msg;
    proa_fail(self, 7);
}

static const struct proa_on mortal_on[] = {{HOLD, 0, on_hold}, {FAIL, 0, on_fail}};
static const struct proa_behaviour mortal = {
    .type_name = "death.mortal", .on = mortal_on, .on_count = 2};

static void on_echo(struct proa_actor *self, const struct proa_msg *msg)
{
    proa_reply(self, msg, msg->data, msg->len);
}

static void on_make(struct proa_actor *self, const struct proa_msg *msg)
{
    struct proa_ref ref;
    uint8_t data[16];

    if (proa_spawn(self, &mortal, NULL, 0, &ref) != PROA_OK)
        end("no mortal");
    proa_put_le64(data, ref.node);
    proa_put_le32(data + 8, ref.slot);
    proa_put_le32(data + 12, ref.generation);
    proa_reply(self, msg, data, sizeof(data));
}

static const struct proa_on keeper_on[] = {{ECHO, 0, on_echo}, {MAKE, 0, on_make}};
static const struct proa_behaviour keeper = {
    .type_name = "death.keeper", .on = keeper_on, .on_count = 2};

/* ---- watch ---- */

struct watcher {
    struct proa_ref keeper, mortal;
    uint32_t trips, rounds, outcomes;
    bool measured, down;
    proa_ns since, ticked, gap;
    proa_ns trip[TRIPS], death[ROUNDS];
};

static void next(struct proa_actor *self);

static int by_size(const void *a, const void *b)
{
    proa_ns x = *(const proa_ns *)a, y = *(const proa_ns *)b;

    return (x > y) - (x < y);
}

static void report(struct watcher *w)
{
    qsort(w->trip, TRIPS, sizeof(w->trip[0]), by_size);
    qsort(w->death, ROUNDS, sizeof(w->death[0]), by_size);
    printf("asks %u %llu %llu %llu\n", ROUNDS * HELD,
           (unsigned long long)w->trip[TRIPS / 2],
           (unsigned long long)w->death[ROUNDS / 2],
           (unsigned long long)w->death[ROUNDS * 99 / 100]);
    fflush(stdout);
}

static void find(struct proa_actor *self, uint64_t cookie);

static void find_later(struct proa_actor *self)
{
    struct proa_timer timer;

    proa_timer_start(self, AGAIN_AFTER, find, 0, &timer);
}

static void on_trip(struct proa_actor *self, const struct proa_answer *answer,
                    const void *ctx)
{
    struct watcher *w = proa_state(self);

    (void)ctx;
    if (answer->outcome != PROA_OK)
        end("an echo failed");
    w->trip[w->trips++] = clock_now() - w->since;
    next(self);
}

/* All asks have their outcome and DOWN has come. */
static void round_over(struct proa_actor *self)
{
    struct watcher *w = proa_state(self);

    if (w->outcomes < HELD || !w->down)
        return;
    w->death[w->rounds++] = clock_now() - w->since;
    next(self);
}

static void on_held(struct proa_actor *self, const struct proa_answer *answer,
                    const void *ctx)
{
    struct watcher *w = proa_state(self);

    (void)ctx;
    if (answer->outcome != PROA_MAYBE_EXECUTED)
        end("a held ask's outcome");
    w->outcomes++;
    round_over(self);
}

static void let_it_die(struct proa_actor *self)
{
    struct watcher *w = proa_state(self);

    w->outcomes = 0;
    w->down = false;
    for (unsigned i = 0; i < HELD; i++) {
        if (proa_ask(self, w->mortal, HOLD, NULL, 0, ASK_FOR, on_held, NULL, 0) !=
            PROA_OK)
            end("an ask was not taken");
    }
    if (proa_tell(self, w->mortal, FAIL, NULL, 0) != PROA_OK)
        end("a tell was not taken");
    w->since = clock_now();
}

static void on_made(struct proa_actor *self, const struct proa_answer *answer,
                    const void *ctx)
{
    struct watcher *w = proa_state(self);
    struct proa_monitor monitor;
    const uint8_t *data = answer->data;

    (void)ctx;
    if (answer->outcome != PROA_OK || answer->len != 16) {
        find_later(self); /* the other side has just ended */
        return;
    }
    w->mortal = (struct proa_ref){proa_get_le64(data), proa_get_le32(data + 8),
                                  proa_get_le32(data + 12)};
    if (proa_monitor(self, w->mortal, &monitor) != PROA_OK)
        end("no monitor");
    if (w->rounds < ROUNDS) {
        let_it_die(self);
        return;
    }
    w->gap = 0;
    printf("watching\n");
    fflush(stdout);
}

static void next(struct proa_actor *self)
{
    struct watcher *w = proa_state(self);
    bool trip = w->trips < TRIPS;

    if (w->rounds == ROUNDS && !w->measured) {
        w->measured = true;
        report(w);
    }
    w->since = clock_now();
    if (proa_ask(self, w->keeper, trip ? ECHO : MAKE, NULL, 0, ASK_FOR,
                 trip ? on_trip : on_made, NULL, 0) != PROA_OK)
        find_later(self);
}

static void on_signal(struct proa_actor *self, const struct proa_signal *signal)
{
    static const char *const names[] = {"normal",    "killed",    "failed",
                                        "node-lost", "restarted", "no-such-actor"};
    struct watcher *w = proa_state(self);

    if (signal->kind != PROA_SIGNAL_DOWN)
        return;
    if (w->rounds < ROUNDS) {
        if (signal->down != PROA_REASON_FAILED || signal->code != 7)
            end("a DOWN's reason");
        w->down = true;
        round_over(self);
        return;
    }
    printf("down %s %llu %llu\n", names[signal->down], (unsigned long long)clock_now(),
           (unsigned long long)w->gap);
    fflush(stdout);
    find_later(self);
}

static void on_found(struct proa_actor *self, const struct proa_name_answer *answer,
                     const void *ctx)
{
    struct watcher *w = proa_state(self);

    (void)ctx;
    if (answer->outcome != PROA_OK) {
        find_later(self);
        return;
    }
    w->keeper = answer->ref;
    next(self);
}

static void find(struct proa_actor *self, uint64_t cookie)
{
    (void)cookie;
    if (proa_lookup_wait(self, NAME, FIND_FOR, on_found, NULL, 0) != PROA_OK)
        find_later(self);
}

static void on_tick(struct proa_actor *self, uint64_t cookie)
{
    struct watcher *w = proa_state(self);
    struct proa_timer timer;
    proa_ns now = clock_now();

    if (w->ticked != 0 && now - w->ticked > w->gap)
        w->gap = now - w->ticked;
    w->ticked = now;
    proa_timer_start(self, TICK, on_tick, cookie, &timer);
}

static int watcher_start(struct proa_actor *self, const void *arg, size_t arg_len)
{
    (void)arg;
    (void)arg_len;
    on_tick(self, 0);
    find(self, 0);
    return 0;
}

static const struct proa_behaviour watcher = {.type_name = "death.watcher",
                                              .state_size = sizeof(struct watcher),
                                              .start = watcher_start,
                                              .signal = on_signal};

/* ---- either ---- */

int main(int argc, char **argv)
{
    struct proa_config config;
    struct proa_node *node;
    struct proa_client *client;
    struct proa_ref ref;
    char err[PROA_TEXT_MAX];

    if (argc != 6)
        return 2;
    bool serves = strcmp(argv[1], "serve") == 0;
    proa_config_init(&config);
    config.port_count = 1;
    snprintf(config.ports[0].spec, PROA_TEXT_MAX, "%s", argv[2]);
    snprintf(config.ports[0].address, PROA_TEXT_MAX, "%s", argv[3]);
    config.seed_count = strcmp(argv[4], "-") != 0;
    snprintf(config.seeds[0], PROA_TEXT_MAX, "%s", argv[4]);
    snprintf(config.state_dir, PROA_TEXT_MAX, "%s", argv[5]);
    config.has_cluster_key = true; /* all zero: a test's */
    if (proa_node_start(&config, &node, err, sizeof(err)) != PROA_OK)
        end(err);
    printf("started %llu\n", (unsigned long long)clock_now());
    fflush(stdout);
    if (proa_node_join(node, 60 * PROA_S, err, sizeof(err)) != PROA_OK)
        end(err);
    printf("ready %llu\n", (unsigned long long)clock_now());
    fflush(stdout);
    enum proa_outcome outcome = proa_client_open(node, &client);
    if (outcome == PROA_OK)
        outcome = proa_client_spawn(client, 0, serves ? &keeper : &watcher, NULL, 0,
                                    serves ? NAME : NULL, 60 * PROA_S, &ref);
    if (outcome != PROA_OK)
        end(proa_outcome_name(outcome));
    proa_node_run(node);
    return 0;
}
