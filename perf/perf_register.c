/* SPDX-License-Identifier: Apache-2.0 */
/* proa-register - how long until an actor's proa_join on one node is told to a watcher on another.

   Two processes, a node with one adaptive lane each, linked over udp on the loopback.  An actor of the
   one joins a group and leaves it, with 1 to 2 ms between any two changes, so that none shares a
   message with another (MESH_BATCH) and every thread has gone to sleep; an actor of the other watches
   the group.  Both read CLOCK_MONOTONIC: one way is measured.

   --pg PROGRAM runs perf/peers/pg_join.sh, or another that prints SAMPLES P50 P99, beside it.  Prints
   one JSON object.  Exit status 0; 1: it did not run, or with --check a gate was missed: p99 of 1 ms,
   and pg's p50; 2: bad options; 77: PROGRAM cannot run here. */
#include <proa/client.h>
#include <proa/group.h>
#include <proa/node.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "perf_clock.h"
#include "perf_folder.h"
#include "perf_json.h"
#include "perf_process.h"

#define SAMPLES 2000u
#define SAMPLES_MAX 1000000u
#define WARM 100u /* joins before the first that counts */
#define GROUP "register"
#define NOT_HERE 77 /* exit status, PROGRAM's too: something is not installed */
#define GAP PROA_MS /* at the least, and up to twice that */
#define START_FOR (20 * PROA_S) /* until both nodes run and are linked */
#define SAMPLE_FOR PROA_S       /* more than any takes: else it hangs */
#define P99_MAX PROA_MS         /* the gate */

/* What both processes see; each field has one writer, while it matters. */
struct shared {
    char address[PROA_TEXT_MAX]; /* of the watcher's node */
    char err[2 * PROA_TEXT_MAX];
    uint32_t samples;
    uint32_t sets;          /* the first; more: changes were missed */
    _Atomic uint32_t heard; /* joins that the watcher was told of */
    _Atomic uint32_t left;  /* and leaves */
    _Atomic bool done;
    proa_ns took[]; /* first when each began, then how long it took */
};

static struct shared *shared;

static uint32_t total(void)
{
    return shared->samples + WARM;
}

/* ---- The watcher ---- */

static void watcher_signal(struct proa_actor *self, const struct proa_signal *signal)
{
    proa_ns now = perf_clock_ns();
    uint32_t heard = atomic_load(&shared->heard);

    (void)self;
    if (signal->kind != PROA_SIGNAL_CHANGED)
        return;
    if (signal->change->kind == PROA_CHANGE_SET)
        shared->sets++;
    if (signal->change->kind == PROA_CHANGE_LEFT)
        atomic_fetch_add(&shared->left, 1);
    if (signal->change->kind != PROA_CHANGE_JOINED || heard >= total())
        return;
    shared->took[heard] = now - shared->took[heard];
    atomic_store(&shared->heard, heard + 1);
}

static int watcher_start(struct proa_actor *self, const void *arg, size_t arg_len)
{
    struct proa_watching watching;

    (void)arg;
    (void)arg_len;
    return proa_watch(self, PROA_WATCH_GROUP, GROUP, &watching) != PROA_OK;
}

static const struct proa_behaviour watcher = {
    .type_name = "register.watcher", .start = watcher_start, .signal = watcher_signal};

/* ---- The joiner ---- */

struct joiner {
    uint64_t random;
    uint32_t joined;
    bool member;
};

static void joiner_turn(struct proa_actor *self, uint64_t cookie);

static void joiner_rest(struct proa_actor *self)
{
    struct joiner *j = proa_state(self);
    struct proa_timer timer;

    /* Source: Marsaglia, Xorshift RNGs, 2003. */
    j->random ^= j->random << 13;
    j->random ^= j->random >> 7;
    j->random ^= j->random << 17;
    proa_timer_start(self, GAP + j->random % GAP, joiner_turn, 0, &timer);
}

static void joiner_turn(struct proa_actor *self, uint64_t cookie)
{
    struct joiner *j = proa_state(self);

    (void)cookie;
    if (j->member && atomic_load(&shared->heard) == j->joined) {
        j->member = proa_leave(self, GROUP) != PROA_OK;
    } else if (!j->member && j->joined == total()) {
        atomic_store(&shared->done, true);
        return;
    } else if (!j->member && atomic_load(&shared->left) == j->joined) {
        shared->took[j->joined] = perf_clock_ns();
        if (proa_join(self, GROUP, NULL, NULL, 0) == PROA_OK) {
            j->joined++;
            j->member = true;
        }
    }
    joiner_rest(self);
}

static int joiner_start(struct proa_actor *self, const void *arg, size_t arg_len)
{
    struct joiner *j = proa_state(self);

    memcpy(&j->random, arg, arg_len);
    joiner_rest(self);
    return 0;
}

static const struct proa_behaviour joiner = {.type_name = "register.joiner",
                                             .state_size = sizeof(struct joiner),
                                             .start = joiner_start};

/* ---- The processes ---- */

struct side {
    const char *dir;
    bool joins;
    uint64_t seed;
};

static bool fail(const char *what)
{
    snprintf(shared->err, sizeof(shared->err), "%s", what);
    return false;
}

static bool start(const struct side *side, struct proa_node **ret)
{
    struct proa_config config;
    char err[PROA_TEXT_MAX];

    proa_config_init(&config);
    config.port_count = 1;
    config.pages = PROA_PAGES_NONE;
    config.has_cluster_key = true; /* all zero: nobody else is on this loopback port */
    snprintf(config.ports[0].spec, PROA_TEXT_MAX, "udp:127.0.0.1:0");
    snprintf(config.state_dir, PROA_TEXT_MAX, "%s/%s", side->dir,
             side->joins ? "joiner" : "watcher");
    if (side->joins) {
        config.seed_count = 1;
        snprintf(config.seeds[0], PROA_TEXT_MAX, "%s", shared->address);
    }
    if (proa_node_start(&config, ret, err, sizeof(err)) == PROA_OK &&
        proa_node_join(*ret, START_FOR, err, sizeof(err)) == PROA_OK)
        return true;
    return fail(err);
}

/* Runs until the parent closes the pipe. */
static int body(const struct perf_pipe *pipe, void *ctx)
{
    const struct side *side = ctx;
    struct proa_node *node;
    struct proa_client *client;
    struct proa_ref ref;
    uint8_t byte = 1;
    enum proa_outcome outcome;

    if (!start(side, &node))
        return 1;
    if (!side->joins)
        proa_node_address(node, shared->address, sizeof(shared->address));
    outcome = proa_client_open(node, &client);
    if (outcome == PROA_OK)
        outcome =
            proa_client_spawn(client, 0, side->joins ? &joiner : &watcher, &side->seed,
                              sizeof(side->seed), NULL, START_FOR, &ref);
    if (outcome != PROA_OK || !perf_pipe_write(pipe, &byte, 1)) {
        fail(proa_outcome_name(outcome));
        return 1;
    }
    while (!perf_pipe_wait(pipe, PROA_S))
        ;
    proa_client_close(client);
    proa_node_close(node);
    return 0;
}

/* The joins go on as long as one is heard of in a while. */
static bool await(const struct perf_process *both)
{
    uint32_t last = 0;
    proa_ns until = perf_clock_ns() + START_FOR;

    while (!atomic_load(&shared->done)) {
        uint32_t heard = atomic_load(&shared->heard);

        if (heard != last)
            until = perf_clock_ns() + SAMPLE_FOR;
        last = heard;
        if (perf_clock_ns() > until)
            return fail("a join was not seen on the other node");
        if (perf_process_caught())
            return fail("stopped");
        if (perf_pipe_wait(&both[1].pipe, 10 * PROA_MS))
            return fail("a node ended");
    }
    return true;
}

static bool measure(uint64_t seed)
{
    char dir[PERF_FOLDER_MAX];
    struct perf_process both[2] = {0};
    uint8_t byte;
    bool ok = true;

    if (!perf_folder_make("proa-register", dir))
        return fail("no folder of its own");
    setenv("RUNTIME_DIRECTORY", dir, 1); /* of DPDK's own files */
    struct side sides[2] = {{dir, false, seed}, {dir, true, seed}};
    for (int i = 0; i < 2 && ok; i++)
        ok = perf_process_start(&both[i], body, &sides[i]) &&
             perf_pipe_read(&both[i].pipe, &byte, 1, START_FOR);
    ok = ok && await(both);
    for (int i = 1; i >= 0; i--)
        perf_process_end(&both[i], 5 * PROA_S);
    perf_folder_remove(dir);
    return ok;
}

/* ---- Erlang's pg ---- */

struct peer {
    unsigned long samples, p50, p99; /* ns; samples 0: it was not measured */
};

static bool measure_peer(const char *program, struct peer *ret, bool *ret_not_here)
{
    char command[2 * PROA_TEXT_MAX];
    FILE *from;
    bool ok;
    int status;

    snprintf(command, sizeof(command), "%s %u", program, shared->samples);
    from = popen(command, "r");
    if (from == NULL)
        return fail("pg: no process");
    ok = fscanf(from, "%lu %lu %lu", &ret->samples, &ret->p50, &ret->p99) == 3;
    status = pclose(from);
    *ret_not_here = WIFEXITED(status) && WEXITSTATUS(status) == NOT_HERE;
    return (status == 0 && ok) || fail(*ret_not_here ? "pg: install erlang-base"
                                                     : "pg: it did not run to its end");
}

/* ---- The report ---- */

static int by_size(const void *a, const void *b)
{
    proa_ns x = *(const proa_ns *)a, y = *(const proa_ns *)b;

    return (x > y) - (x < y);
}

static bool report(const struct peer *peer, uint64_t seed)
{
    proa_ns *sorted = shared->took + WARM;
    uint32_t n = shared->samples;
    struct perf_json json;

    qsort(sorted, n, sizeof(*sorted), by_size);
    bool in_time = sorted[n * 99ull / 100] <= P99_MAX;
    bool as_quick = peer->samples == 0 || sorted[n / 2] <= peer->p50;
    perf_json_init(&json, stdout);
    perf_json_open(&json, NULL);
    perf_json_str(&json, "measured",
                  "proa_join until JOINED on another node, udp, adaptive");
    perf_json_u64(&json, "seed", seed);
    perf_json_u64(&json, "samples", n);
    perf_json_u64(&json, "sets", shared->sets);
    perf_json_u64(&json, "p50_ns", sorted[n / 2]);
    perf_json_u64(&json, "p99_ns", sorted[n * 99ull / 100]);
    perf_json_u64(&json, "p999_ns", sorted[n * 999ull / 1000]);
    perf_json_u64(&json, "max_ns", sorted[n - 1]);
    if (peer->samples > 0) {
        perf_json_open(&json, "erlang_pg");
        perf_json_u64(&json, "samples", peer->samples);
        perf_json_u64(&json, "p50_ns", peer->p50);
        perf_json_u64(&json, "p99_ns", peer->p99);
        perf_json_close(&json);
        perf_json_num(&json, "p50_to_pg", (double)sorted[n / 2] / (double)peer->p50);
        perf_json_bool(&json, "p50_no_worse_than_pg", as_quick);
    }
    perf_json_bool(&json, "p99_within_1_ms", in_time);
    perf_json_close(&json);
    return in_time && as_quick;
}

/* ---- All ---- */

static bool read_options(int argc, char **argv, uint32_t *samples, const char **pg,
                         bool *check)
{
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--check") == 0)
            *check = true;
        else if (strcmp(argv[i], "--pg") == 0 && i + 1 < argc)
            *pg = argv[++i];
        else if (strcmp(argv[i], "--samples") == 0 && i + 1 < argc)
            *samples = (uint32_t)strtoul(argv[++i], NULL, 10);
        else
            return false;
    }
    return *samples > 0 && *samples <= SAMPLES_MAX;
}

int main(int argc, char **argv)
{
    uint32_t samples = SAMPLES;
    const char *pg = NULL;
    bool check = false, good, not_here = false;
    struct peer peer = {0};
    uint64_t seed = perf_clock_ns();

    if (!read_options(argc, argv, &samples, &pg, &check)) {
        fprintf(stderr,
                "usage: proa-register [--samples 1..%u] [--pg PROGRAM] [--check]\n",
                SAMPLES_MAX);
        return 2;
    }
    shared = mmap(NULL, sizeof(*shared) + (samples + WARM) * sizeof(proa_ns),
                  PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED)
        return 1;
    shared->samples = samples;
    perf_process_catch();
    if (!measure(seed) || (pg != NULL && !measure_peer(pg, &peer, &not_here))) {
        fprintf(stderr, "proa-register: %s\n", shared->err);
        return not_here ? NOT_HERE : 1;
    }
    good = report(&peer, seed);
    return check && !good;
}
