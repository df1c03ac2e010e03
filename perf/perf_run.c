/* SPDX-License-Identifier: Apache-2.0 */
#include "perf_run.h"

#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "perf_clock.h"
#include "perf_load.h"
#include "perf_netns.h"
#include "perf_process.h"
#include "perf_sink.h"

#define POLL (20 * PROA_MS)    /* how often a main thread looks at its actors */
#define START_IN (60 * PROA_S) /* a node, and its receivers */
#define SPARE (20 * PROA_S)    /* on top of the measured time */
#define END_IN (10 * PROA_S)

/* What every child is forked with. */
struct run {
    struct perf_options options;
    const char *dir;
    uint8_t cluster_key[PROA_KEY_LEN];
    struct perf_clock clock;
    struct perf_flood flood; /* shared before anybody is forked */
};

struct receivers {
    struct perf_node node;
    uint32_t lane;
    struct perf_sink *sink;
    struct proa_ref *refs;
};

/* The first thing the receiving process says; its references follow. */
struct hello {
    bool ok;
    char error[256];
    char address[PROA_TEXT_MAX];
};

static proa_ns longest(const struct perf_options *o)
{
    return o->warmup_ms * PROA_MS + o->seconds * PROA_S + SPARE;
}

static struct perf_node_args node_args(const struct run *run, bool second, unsigned lanes)
{
    struct perf_node_args args = {.options = &run->options,
                                  .dir = run->dir,
                                  .second = second,
                                  .lanes = lanes,
                                  .core = second || lanes > 1 ? 0 : 1};

    memcpy(args.cluster_key, run->cluster_key, sizeof(args.cluster_key));
    return args;
}

/* ---- Receiving ---- */

static bool make_receivers(struct receivers *r, struct proa_ref maker, uint32_t count,
                           char *err, size_t err_len)
{
    for (uint32_t done = 0; done < count;) {
        uint32_t left = count - done, answer = PROA_OK;
        struct perf_make make = {done, left < PERF_MAKE_MAX ? left : PERF_MAKE_MAX};
        enum proa_outcome outcome =
            proa_client_ask(r->node.client, maker, PERF_TYPE_MAKE, &make, sizeof(make),
                            PERF_SPAWN_FOR, &answer, sizeof(answer), NULL);

        if (outcome == PROA_OK)
            outcome = (enum proa_outcome)answer;
        if (outcome != PROA_OK) {
            snprintf(err, err_len, "making receivers %u and on: %s", done,
                     proa_outcome_name(outcome));
            return false;
        }
        done += make.count;
    }
    return true;
}

static bool spawn_receivers(struct receivers *r, uint32_t lane,
                            const struct perf_options *o, char *err, size_t err_len)
{
    r->lane = lane;
    r->sink = aligned_alloc(PROA_CACHE_LINE,
                            (sizeof(*r->sink) + PROA_CACHE_LINE - 1) & ~(size_t)63);
    r->refs = calloc(o->receivers, sizeof(*r->refs));
    if (r->sink == NULL || r->refs == NULL) {
        snprintf(err, err_len, "no memory for %u receivers", o->receivers);
        return false;
    }
    perf_sink_init(r->sink, o->size, o->receivers);

    struct perf_maker_arg arg = {.sink = r->sink, .refs = r->refs};
    struct proa_ref maker;

    return perf_node_spawn(&r->node, lane, &perf_maker, &arg, sizeof(arg), &maker, err,
                           err_len) &&
           make_receivers(r, maker, o->receivers, err, err_len);
}

/* Ends the node first: its actors write to the sink. */
static void end_receivers(struct receivers *r)
{
    perf_node_stop(&r->node);
    free(r->sink);
    free(r->refs);
}

static void collect_received(const struct receivers *r, struct perf_received *ret)
{
    const struct perf_sink *sink = r->sink;
    uint32_t done = atomic_load_explicit(&sink->done, memory_order_acquire);

    ret->unfinished = sink->receivers - done;
    ret->messages = sink->received;
    ret->sum = sink->sum;
    ret->gaps = sink->gaps;
    ret->repeats = sink->repeats;
    ret->wrong = sink->wrong;
    ret->unequal = sink->unequal;
    ret->mallocs = sink->mallocs;
    if (sink->last_at > sink->marked_at && sink->received > sink->sent_at_mark) {
        ret->measured = sink->received - sink->sent_at_mark;
        ret->span = sink->last_at - sink->marked_at;
    }
    perf_node_stats(&r->node, r->lane, &ret->stats);
}

static struct perf_watch watch_of(const struct run *run, const struct perf_node *node)
{
    return (struct perf_watch){.shared = run->flood.shared,
                               .node = node,
                               .warmup = run->options.warmup_ms * PROA_MS};
}

/* Over veth each side is in a network namespace of its own.  An ethdev port has no kernel that
   answers for it. */
static bool enter(const struct run *run, const struct perf_pipe *pipe, bool second,
                  char *err, size_t err_len)
{
    enum perf_port port = run->options.port;

    return !perf_port_is_veth(port) ||
           perf_netns_enter(pipe, second, port == PERF_PORT_AF_XDP, err, err_len);
}

static int receiving_process(const struct perf_pipe *pipe, void *ctx)
{
    const struct run *run = ctx;
    struct perf_node_args args = node_args(run, false, 1);
    struct hello hello = {0};
    struct receivers r = {0};
    struct perf_received received = {0};
    struct perf_watch watch = watch_of(run, &r.node);
    proa_ns until;
    char quit;

    hello.ok = enter(run, pipe, false, hello.error, sizeof(hello.error)) &&
               perf_node_start(&r.node, &args, hello.error, sizeof(hello.error)) &&
               spawn_receivers(&r, 0, &run->options, hello.error, sizeof(hello.error));
    if (hello.ok)
        proa_node_address(r.node.node, hello.address, sizeof(hello.address));
    if (!perf_pipe_write(pipe, &hello, sizeof(hello)) || !hello.ok)
        goto out;
    if (!perf_pipe_write(pipe, r.refs, run->options.receivers * sizeof(*r.refs)))
        goto out;
    until = perf_clock_ns() + longest(&run->options) + START_IN;
    while (!perf_sink_done(r.sink) && perf_clock_ns() < until) {
        if (perf_pipe_wait(pipe, POLL))
            break; /* the sender failed */
        perf_watch_step(&watch);
    }
    perf_watch_end(&watch);
    received.watched = watch.sum;
    collect_received(&r, &received);
    perf_pipe_write(pipe, &received, sizeof(received));
    perf_pipe_read(pipe, &quit, 1, longest(&run->options));
out:
    end_receivers(&r);
    return 0;
}

/* ---- Sending ---- */

static struct perf_load *spawn_loader(struct perf_node *node, const struct run *run,
                                      const struct proa_ref *to, char *err,
                                      size_t err_len)
{
    struct perf_load *load =
        perf_load_create(&run->options, to, perf_clock_scale(&run->clock));
    struct proa_ref ref;

    if (load == NULL) {
        snprintf(err, err_len, "no memory for the load");
        return NULL;
    }
    if (perf_node_spawn(node, 0, &perf_loader, &load, sizeof(load), &ref, err, err_len)) {
        if (!load->options.quiet)
            fprintf(stderr, "proa-perf: the nodes have met; warming up, then %u s\n",
                    load->options.seconds);
        return load;
    }
    perf_load_destroy(load);
    return NULL;
}

/* Waits for the load's end; false: err says why it did not come. */
static bool await(const struct perf_load *load, const struct perf_pipe *pipe,
                  struct perf_watch *watch, char *err, size_t err_len)
{
    proa_ns until = perf_clock_ns() + longest(&load->options);

    while (perf_load_state(load) == PERF_LOAD_RUNNING) {
        if (perf_pipe_wait(pipe, POLL)) {
            snprintf(err, err_len, "stopped");
            return false;
        }
        perf_watch_step(watch);
        if (perf_clock_ns() > until) {
            snprintf(err, err_len,
                     "it stands still: %llu messages accepted, phase %d, %s",
                     (unsigned long long)load->sent, (int)load->phase,
                     load->waiting ? "waiting for WRITABLE" : "not waiting");
            return false;
        }
    }
    if (perf_load_state(load) == PERF_LOAD_DONE)
        return true;
    snprintf(err, err_len, "%s", load->why);
    return false;
}

static void collect_sent(const struct perf_load *load, const struct perf_node *node,
                         struct perf_sent *ret)
{
    const struct histogram *h = &load->rtt;

    ret->messages = load->sent;
    ret->measured = load->sent - load->sent_at_mark;
    for (uint32_t i = 0; i < load->options.receivers; i++)
        ret->sum += load->sums[i];
    ret->answered = load->answered;
    ret->span = load->ended_at > load->marked_at ? load->ended_at - load->marked_at : 0;
    ret->again = load->again;
    ret->full = load->full;
    ret->mallocs = load->mallocs;
    ret->trips = (struct perf_trips){.count = h->count,
                                     .least = h->least,
                                     .p50 = histogram_percentile(h, 500000),
                                     .p90 = histogram_percentile(h, 900000),
                                     .p99 = histogram_percentile(h, 990000),
                                     .p999 = histogram_percentile(h, 999000),
                                     .most = h->most};
    perf_node_stats(node, 0, &ret->stats);
}

/* What the sending process, or the only one, reports. */
struct report {
    bool ok;
    char error[256];
    struct perf_sent sent;
    struct perf_received received; /* of the only one */
};

static int sending_process(const struct perf_pipe *pipe, void *ctx)
{
    const struct run *run = ctx;
    struct perf_node_args args = node_args(run, true, 1);
    size_t refs_len = run->options.receivers * sizeof(struct proa_ref);
    struct proa_ref *refs = malloc(refs_len);
    struct perf_node node = {0};
    struct perf_load *load = NULL;
    struct perf_watch none = {.shared = NULL}; /* the receiving side watches */
    struct report report = {0};
    struct hello hello;
    char quit;

    if (refs == NULL || !enter(run, pipe, true, report.error, sizeof(report.error)) ||
        !perf_pipe_read(pipe, &hello, sizeof(hello), START_IN) ||
        !perf_pipe_read(pipe, refs, refs_len, START_IN))
        return 1;
    args.seed = hello.address;
    report.ok = perf_node_start(&node, &args, report.error, sizeof(report.error)) &&
                (load = spawn_loader(&node, run, refs, report.error,
                                     sizeof(report.error))) != NULL &&
                await(load, pipe, &none, report.error, sizeof(report.error));
    if (load != NULL)
        collect_sent(load, &node, &report.sent);
    perf_pipe_write(pipe, &report, sizeof(report));
    perf_pipe_read(pipe, &quit, 1, longest(&run->options));
    perf_node_stop(&node);
    perf_load_destroy(load);
    free(refs);
    return 0;
}

/* ---- Both in one process ---- */

static bool one_process(const struct run *run, const struct perf_pipe *pipe,
                        struct receivers *r, struct perf_node *own,
                        struct perf_load **ret_load, struct report *report)
{
    const struct perf_options *o = &run->options;
    bool local = perf_mode_is_local(o->mode);
    bool cross = o->mode == PERF_MODE_CROSS_COUNT || o->mode == PERF_MODE_CROSS_PINGPONG;
    struct perf_node_args args = node_args(run, false, cross ? 2 : 1);
    struct perf_node *node = local ? &r->node : own; /* the sender's */
    char address[PROA_TEXT_MAX];
    char *err = report->error;
    size_t err_len = sizeof(report->error);

    if (!perf_node_start(&r->node, &args, err, err_len))
        return false;
    if (!local) {
        args = node_args(run, true, 1);
        proa_node_address(r->node.node, address, sizeof(address));
        args.seed = address;
        if (!perf_node_start(own, &args, err, err_len))
            return false;
    }
    if (!spawn_receivers(r, cross ? 1 : 0, o, err, err_len))
        return false;
    struct perf_load *load = *ret_load = spawn_loader(node, run, r->refs, err, err_len);
    if (load == NULL)
        return false;
    struct perf_watch watch = watch_of(run, &r->node);
    bool ok = await(load, pipe, &watch, err, err_len);
    perf_watch_end(&watch);
    report->received.watched = watch.sum;
    for (proa_ns until = perf_clock_ns() + END_IN;
         ok && !perf_sink_done(r->sink) && perf_clock_ns() < until;)
        perf_pipe_wait(pipe, POLL);
    collect_sent(load, node, &report->sent);
    collect_received(r, &report->received);
    return ok;
}

static int only_process(const struct perf_pipe *pipe, void *ctx)
{
    const struct run *run = ctx;
    struct receivers r = {0};
    struct perf_node own = {0};
    struct perf_load *load = NULL;
    struct report report = {0};

    report.ok = enter(run, pipe, false, report.error, sizeof(report.error)) &&
                one_process(run, pipe, &r, &own, &load, &report);
    perf_pipe_write(pipe, &report, sizeof(report));
    perf_node_stop(&own);
    end_receivers(&r);
    perf_load_destroy(load);
    return 0;
}

/* ---- The parent ---- */

static bool failed(struct perf_result *result, const char *who, const char *why)
{
    snprintf(result->error, sizeof(result->error), "%s: %s", who, why);
    return false;
}

/* The flood has the other end of the veth pair for itself. */
static bool start_flood_alone(struct run *run, const struct perf_process *only,
                              struct perf_result *result)
{
    if (run->flood.shared == NULL)
        return true;
    if (!perf_flood_start(&run->flood, 0))
        return failed(result, "the flood", "no process could be made");
    return perf_netns_join(only, &run->flood.process, result->error,
                           sizeof(result->error));
}

static bool run_one(struct run *run, struct perf_result *result)
{
    struct perf_process only = {0};
    struct report report;
    bool started = perf_process_start(&only, only_process, run) &&
                   start_flood_alone(run, &only, result);
    bool got = started && perf_pipe_read(&only.pipe, &report, sizeof(report),
                                         longest(&run->options) + START_IN);

    perf_process_end(&only, END_IN);
    if (!got)
        return result->error[0] != '\0' ? false
                                        : failed(result, "the nodes", "no result");
    result->sent = report.sent;
    result->received = report.received;
    return report.ok ? true : failed(result, "the nodes", report.error);
}

/* The receiving side's hello and references, handed on to the sending side. */
static bool introduce(const struct run *run, const struct perf_process *receiver,
                      const struct perf_process *sender, struct perf_result *result)
{
    size_t refs_len = run->options.receivers * sizeof(struct proa_ref);
    struct hello hello;
    void *refs;
    bool ok;

    if (!perf_pipe_read(&receiver->pipe, &hello, sizeof(hello), START_IN))
        return failed(result, "the receiving node", "it did not start");
    if (!hello.ok)
        return failed(result, "the receiving node", hello.error);
    refs = malloc(refs_len);
    ok = refs != NULL && perf_pipe_read(&receiver->pipe, refs, refs_len, START_IN) &&
         perf_pipe_write(&sender->pipe, &hello, sizeof(hello)) &&
         perf_pipe_write(&sender->pipe, refs, refs_len);
    free(refs);
    return ok ? true : failed(result, "the two nodes", "could not be introduced");
}

static bool collect(const struct run *run, const struct perf_process *receiver,
                    const struct perf_process *sender, struct perf_result *result)
{
    struct report report;
    const char stop = 0;

    if (!perf_pipe_read(&sender->pipe, &report, sizeof(report),
                        longest(&run->options) + START_IN))
        return failed(result, "the sending node", "no result");
    result->sent = report.sent;
    if (!report.ok)
        perf_pipe_write(&receiver->pipe, &stop, 1);
    if (!perf_pipe_read(&receiver->pipe, &result->received, sizeof(result->received),
                        END_IN))
        return failed(result, report.ok ? "the receiving node" : "the sending node",
                      report.ok ? "not all messages came" : report.error);
    return report.ok ? true : failed(result, "the sending node", report.error);
}

static bool run_two(struct run *run, struct perf_result *result)
{
    struct perf_process receiver = {0}, sender = {0};
    bool ok;

    if (!perf_process_start(&receiver, receiving_process, run) ||
        !perf_process_start(&sender, sending_process, run))
        ok = failed(result, "proa-perf", "no process could be made");
    else if (perf_port_is_veth(run->options.port) &&
             !perf_netns_join(&receiver, &sender, result->error, sizeof(result->error)))
        ok = false;
    else if (run->flood.shared != NULL && !perf_flood_start(&run->flood, sender.pid))
        ok = failed(result, "the flood", "no process could be made");
    else
        ok = introduce(run, &receiver, &sender, result) &&
             collect(run, &receiver, &sender, result);
    perf_process_end(&sender, END_IN);
    perf_process_end(&receiver, END_IN);
    return ok;
}

bool perf_run(const struct perf_options *options, const char *dir,
              struct perf_result *result)
{
    struct run run = {.options = *options, .dir = dir};

    memset(result, 0, sizeof(*result));
    if (sodium_init() < 0)
        return failed(result, "libsodium", "could not be initialised");
    randombytes_buf(run.cluster_key, sizeof(run.cluster_key));
    perf_clock_start(&run.clock);
    signal(SIGPIPE, SIG_IGN);
    if (options->flood != PERF_FLOOD_NONE && !perf_flood_share(&run.flood, options))
        return failed(result, "the flood", "no memory to share");
    bool one = options->port == PERF_PORT_RING || perf_mode_is_local(options->mode);
    result->ok = one ? run_one(&run, result) : run_two(&run, result);
    perf_flood_end(&run.flood);
    return result->ok;
}

/* ---- What it means ---- */

bool perf_result_checked(const struct perf_result *result)
{
    const struct perf_received *r = &result->received;

    return result->ok && r->unfinished == 0 && r->gaps == 0 && r->repeats == 0 &&
           r->wrong == 0 && r->unequal == 0 && r->messages > 0 &&
           r->messages == result->sent.messages && r->sum == result->sent.sum;
}

double perf_result_rate(const struct perf_options *options,
                        const struct perf_result *result)
{
    bool answered =
        options->mode == PERF_MODE_ASK || perf_mode_is_pingpong(options->mode);
    uint64_t messages = answered ? result->sent.answered : result->received.measured;
    proa_ns span = answered ? result->sent.span : result->received.span;

    if (perf_mode_is_pingpong(options->mode))
        messages *= 2;
    return span == 0 ? 0 : (double)messages * 1e9 / (double)span;
}
