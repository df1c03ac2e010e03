/* SPDX-License-Identifier: Apache-2.0 */
#include "peer.h"

#include <errno.h>
#include <getopt.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "perf_clock.h"
#include "perf_latency.h"

#define SECONDS_MAX 3600.0
#define SCALE_FOR (20 * PROA_MS) /* the clock's error is then below 1e-4 */

bool peer_fail(const struct peer_end *end, const char *what, const char *why)
{
    fprintf(stderr, "%s %s (%s): %s: %s\n", end->peer->name, end->kase->transport,
            end->is_a ? "sender" : "receiver", what, why);
    return false;
}

/* ---- Samples ---- */

bool peer_samples_open(struct peer_samples *samples)
{
    struct perf_clock clock;

    perf_clock_start(&clock);
    samples->latency = perf_latency_create();
    if (samples->latency == NULL)
        return false;
    while (perf_clock_ns() - clock.ns < SCALE_FOR)
        ;
    samples->scale = perf_clock_scale(&clock);
    return true;
}

void peer_samples_add(struct peer_samples *samples, uint64_t ticks)
{
    perf_latency_add(samples->latency, (proa_ns)((double)ticks * samples->scale));
}

bool peer_samples_close(struct peer_samples *samples, struct peer_result *result)
{
    struct perf_trips trips;

    perf_latency_sum_up(samples->latency, &trips);
    perf_latency_destroy(samples->latency);
    samples->latency = NULL;
    result->rtt.count = trips.count;
    result->rtt.min = trips.least;
    result->rtt.p50 = trips.p50;
    result->rtt.p90 = trips.p90;
    result->rtt.p99 = trips.p99;
    result->rtt.p999 = trips.p999;
    result->rtt.max = trips.most;
    return trips.count > 0;
}

/* ---- Checks ---- */

bool peer_check_echo(struct peer_end *end, const uint64_t *words, uint64_t number)
{
    uint64_t sum = 0;

    if (perf_payload_check_n(words, PEER_WORDS, number, &sum)) {
        end->result.count++;
        return true;
    }
    end->result.wrong++;
    return peer_fail(end, "a message came back", "it is not the one that was sent");
}

bool peer_check_next(struct peer_end *end, const uint64_t *words)
{
    struct peer_result *result = &end->result;
    uint64_t sum = 0;

    if (perf_payload_check_n(words, PEER_WORDS, result->count, &sum)) {
        result->count++;
        return false;
    }
    if (words[0] >= PEER_END) {
        if (!perf_payload_check_n(words, PEER_WORDS, PEER_END + result->count, &sum))
            result->wrong++;
        return true;
    }
    result->wrong++;
    result->count =
        words[0] + 1; /* goes on from there: a gap is one fault, not all that follows */
    return false;
}

/* ---- An end, in its process ---- */

bool peer_end_ready(struct peer_end *end, const char *address)
{
    if (address != end->address)
        snprintf(end->address, sizeof(end->address), "%s", address);
    return perf_pipe_write(end->pipe, end->address, sizeof(end->address));
}

void peer_end_done(struct peer_end *end)
{
    if (!perf_pipe_write(end->pipe, &end->result, sizeof(end->result)))
        return;
    while (!perf_pipe_wait(end->pipe, PROA_S))
        ;
}

/* Threads that are made later stay where this one is. */
static bool pin(const struct peer_end *end)
{
    cpu_set_t set;

    CPU_ZERO(&set);
    CPU_SET(end->is_a || end->kase->same_core ? 0 : 1, &set);
    if (sched_setaffinity(0, sizeof(set), &set) == 0)
        return true;
    return peer_fail(end, "cannot use its core", strerror(errno));
}

static int body(const struct perf_pipe *pipe, void *ctx)
{
    struct peer_end *end = (struct peer_end *)ctx;

    end->pipe = pipe;
    return pin(end) && end->peer->run(end) ? 0 : 1;
}

/* ---- The parent ---- */

static bool run_ends(struct peer_end ends[2])
{
    struct perf_process both[2] = {0};
    struct peer_end *a = &ends[0], *b = &ends[1];
    proa_ns patience = 2 * b->span + PEER_PATIENCE;
    bool ok;

    ok = perf_process_start(&both[1], body, b) &&
         perf_pipe_read(&both[1].pipe, b->address, sizeof(b->address), PEER_PATIENCE);
    memcpy(a->address, b->address, sizeof(a->address));
    ok = ok && perf_process_start(&both[0], body, a) &&
         perf_pipe_read(&both[0].pipe, &a->result, sizeof(a->result), patience) &&
         perf_pipe_read(&both[1].pipe, &b->result, sizeof(b->result), patience);
    /* A second result has gone: both are through, or both give up. */
    perf_process_end(&both[0], ok ? 5 * PROA_S : 0);
    perf_process_end(&both[1], ok ? 5 * PROA_S : 0);
    return ok;
}

/* One run: in a process for each end, beside the server if there is one. */
static bool run_phase(const struct peer *peer, const struct peer_case *kase,
                      enum peer_phase phase, proa_ns span, struct peer_end ends[2])
{
    bool ok = true;

    memset(ends, 0, 2 * sizeof(ends[0]));
    for (int i = 0; i < 2; i++) {
        ends[i].peer = peer;
        ends[i].kase = kase;
        ends[i].phase = phase;
        ends[i].is_a = i == 0;
        ends[i].span = span;
    }
    if (peer->server_start != NULL) {
        ok = peer->server_start(kase, ends[1].address);
        if (!ok)
            return false;
    }
    ok = run_ends(ends);
    if (peer->server_stop != NULL)
        peer->server_stop();
    if (!ok)
        fprintf(stderr, "%s %s, %s: did not come to its end\n", peer->name,
                kase->transport, phase == PEER_ONE_WAY ? "one way" : "round trips");
    return ok && ends[0].result.wrong + ends[1].result.wrong == 0 &&
           ends[1].result.count == ends[0].result.count;
}

static void print_rtt(struct perf_json *json, const struct peer_result *result)
{
    perf_json_open(json, "rtt_ns");
    perf_json_u64(json, "count", result->rtt.count);
    perf_json_u64(json, "min", result->rtt.min);
    perf_json_u64(json, "p50", result->rtt.p50);
    perf_json_u64(json, "p90", result->rtt.p90);
    perf_json_u64(json, "p99", result->rtt.p99);
    perf_json_u64(json, "p99.9", result->rtt.p999);
    perf_json_u64(json, "max", result->rtt.max);
    perf_json_close(json);
}

static void print_one_way(struct perf_json *json, const struct peer_result *result)
{
    double timed = (double)result->count - PEER_WARM;

    perf_json_open(json, "one_way");
    perf_json_u64(json, "size", PEER_SIZE);
    perf_json_u64(json, "messages", result->count);
    perf_json_num(json, "messages_per_s", timed * 1e9 / (double)result->ns);
    perf_json_close(json);
}

static void print_case(FILE *to, const struct peer *peer, const struct peer_case *kase,
                       const struct peer_result *trips, const struct peer_result *one_way,
                       bool ok)
{
    struct perf_json json;
    char version[PEER_ADDRESS_MAX];

    peer->version(version, sizeof(version));
    perf_json_init(&json, to);
    perf_json_open(&json, NULL);
    perf_json_str(&json, "peer", peer->name);
    perf_json_str(&json, "version", version);
    perf_json_str(&json, "transport", kase->transport);
    perf_json_str(&json, "placement", kase->same_core ? "same core" : "two cores");
    perf_json_open(&json, "settings");
    perf_json_str(&json, "wait", kase->wait);
    peer->settings(kase, &json);
    perf_json_close(&json);
    print_rtt(&json, trips);
    print_one_way(&json, one_way);
    perf_json_bool(&json, "checked", ok);
    perf_json_close(&json);
}

/* An object a line: without the line ends and what follows them in perf_json's. */
static void print_line(const char *text)
{
    for (const char *c = text; *c != '\0'; c++) {
        if (*c == '\n')
            c += strspn(c, "\n ") - 1;
        else
            putchar(*c);
    }
    putchar('\n');
    fflush(stdout);
}

static bool run_case(const struct peer *peer, const struct peer_case *kase, proa_ns span)
{
    struct peer_end trips[2], one_way[2];
    char *text = NULL;
    size_t len;
    bool ok = run_phase(peer, kase, PEER_ROUND_TRIPS, span, trips);
    FILE *to;

    ok = run_phase(peer, kase, PEER_ONE_WAY, span, one_way) && ok;
    to = open_memstream(&text, &len);
    if (to == NULL)
        return false;
    print_case(to, peer, kase, &trips[0].result, &one_way[1].result, ok);
    if (fclose(to) == 0)
        print_line(text);
    free(text);
    return ok;
}

static void on_signal(int signal)
{
    (void)signal; /* ends the wait for the children; they end with this process */
    _exit(1);
}

int peer_main(int argc, char **argv, const struct peer *peer)
{
    static const struct option options[] = {{"seconds", required_argument, NULL, 's'},
                                            {NULL, 0, NULL, 0}};
    double seconds = 1;
    char *rest = NULL;
    int option;
    bool ok = true;

    while ((option = getopt_long(argc, argv, "", options, NULL)) == 's') {
        seconds = strtod(optarg, &rest);
        if (*rest != '\0' || !(seconds > 0 && seconds <= SECONDS_MAX)) {
            fprintf(stderr, "%s: --seconds is not a number up to %.0f: %s\n", argv[0],
                    SECONDS_MAX, optarg);
            return 2;
        }
    }
    if (option != -1 || optind < argc) {
        fprintf(stderr, "usage: %s [--seconds N]\n", argv[0]);
        return 2;
    }
    signal(SIGINT, on_signal);
    signal(SIGTERM, on_signal);
    signal(SIGPIPE, SIG_IGN);
    for (unsigned i = 0; i < peer->case_count; i++)
        ok = run_case(peer, &peer->cases[i], (proa_ns)(seconds * 1e9)) && ok;
    return ok ? 0 : 1;
}
