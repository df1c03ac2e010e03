/* SPDX-License-Identifier: Apache-2.0 */
#include "perf_run.h"

#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "eal.h"
#include "perf_crowd_side.h"
#include "perf_netns.h"

#define POLL (20 * PROA_MS)    /* how often a main thread looks at its actors */
#define START_IN (60 * PROA_S) /* a node, and its receivers */
#define SPARE (20 * PROA_S)    /* on top of the measured time */
#define MEET_IN (70 * PROA_S)  /* the members of a crowd */
#define END_IN (10 * PROA_S)

/* What every child is forked with. */
struct run {
    struct perf_options options;
    const char *dir;
    uint8_t cluster_key[PROA_KEY_LEN];
    struct perf_clock clock;
    struct perf_flood flood; /* shared before anybody is forked */
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

/* One side of a run. */
struct side {
    struct perf_node node;
    struct perf_groups groups;
};

/* Ends the node first: its actors use the groups. */
static void end_side(struct side *side)
{
    perf_node_stop(&side->node);
    perf_groups_fini(&side->groups);
}

static proa_ns silence(const struct run *run)
{
    return run->options.seconds * PROA_S;
}

/* What the receiving process reports. */
struct received {
    char error[128]; /* "": none */
    struct perf_received group[PERF_GROUPS_MAX];
    struct perf_watched watched;
    struct perf_quiet quiet;
};

static void collect_received(const struct side *side, struct received *ret)
{
    for (uint32_t i = 0; i < side->groups.count; i++)
        perf_group_received(&side->groups.group[i], &side->node, &ret->group[i]);
}

static int receiving_process(const struct perf_pipe *pipe, void *ctx)
{
    const struct run *run = ctx;
    struct perf_node_args args = node_args(run, false, 1);
    struct hello hello = {0};
    struct side side = {0};
    struct received received = {0};
    struct perf_watch watch = watch_of(run, &side.node);
    proa_ns until;
    char quit;

    perf_groups_plan(&side.groups, &run->options);
    hello.ok =
        enter(run, pipe, false, hello.error, sizeof(hello.error)) &&
        perf_node_start(&side.node, &args, hello.error, sizeof(hello.error)) &&
        perf_groups_receive(&side.groups, &side.node, hello.error, sizeof(hello.error));
    if (hello.ok)
        proa_node_address(side.node.node, hello.address, sizeof(hello.address));
    if (!perf_pipe_write(pipe, &hello, sizeof(hello)) || !hello.ok)
        goto out;
    if (!perf_groups_write_refs(&side.groups, pipe))
        goto out;
    until = perf_clock_ns() + longest(&run->options) + START_IN;
    while (!perf_groups_received_all(&side.groups) && perf_clock_ns() < until) {
        if (perf_pipe_wait(pipe, POLL))
            break; /* the sender failed */
        perf_watch_step(&watch);
        if (run->options.mode == PERF_MODE_IDLE)
            perf_quiet_step(&received.quiet, &side.node,
                            side.groups.group[0].sink->marked_at, silence(run));
    }
    perf_watch_end(&watch);
    received.watched = watch.sum;
    collect_received(&side, &received);
    perf_pipe_write(pipe, &received, sizeof(received));
    perf_pipe_read(pipe, &quit, 1, longest(&run->options));
out:
    end_side(&side);
    return 0;
}

/* ---- A crowd receives ---- */

/* What the sending process says first: the crowd opens links to its node. */
struct met {
    bool ok;
    char error[256];
    uint64_t node;
};

static int crowd_process(const struct perf_pipe *pipe, void *ctx)
{
    const struct run *run = ctx;
    struct perf_crowd_side *crowd = calloc(1, sizeof(*crowd));
    struct perf_groups groups;
    struct hello hello = {0};
    struct received received = {0};
    proa_ns until;
    struct met met;
    char quit;

    perf_groups_plan(&groups, &run->options);
    if (crowd == NULL || !perf_pipe_read(pipe, &met, sizeof(met), START_IN))
        return 1;
    hello.ok = perf_groups_refs(&groups, hello.error, sizeof(hello.error)) &&
               perf_crowd_open(crowd, &groups.group[0], run->dir, met.node,
                               run->cluster_key, hello.error, sizeof(hello.error));
    if (perf_pipe_write(pipe, &hello, sizeof(hello)) && hello.ok &&
        perf_groups_write_refs(&groups, pipe)) {
        until = perf_clock_ns() + longest(&run->options) + START_IN;
        while (!perf_groups_received_all(&groups) && perf_clock_ns() < until &&
               !atomic_load(&crowd->crowd.gave_up) && !perf_pipe_wait(pipe, POLL))
            ;
        perf_group_received(&groups.group[0], NULL, &received.group[0]);
        received.group[0].stats.huge = eal_huge();
        if (atomic_load(&crowd->crowd.gave_up))
            snprintf(received.error, sizeof(received.error), "the crowd: %s",
                     crowd->crowd.failed);
        perf_pipe_write(pipe, &received, sizeof(received));
        perf_pipe_read(pipe, &quit, 1, longest(&run->options));
    }
    perf_crowd_close(crowd);
    perf_groups_fini(&groups);
    free(crowd);
    return 0;
}

/* ---- Sending ---- */

/* What the sending process reports. */
struct sent {
    bool ok;
    char error[256];
    struct perf_sent group[PERF_GROUPS_MAX];
    struct perf_quiet quiet;
    struct perf_trips first;
};

/* Waits for the loads' end; false: err says why it did not come. */
static bool await(const struct run *run, const struct side *side,
                  const struct perf_pipe *pipe, struct perf_watch *watch,
                  struct perf_quiet *quiet, char *err, size_t err_len)
{
    proa_ns until = perf_clock_ns() + longest(&run->options);

    err[0] = '\0';
    while (!perf_groups_sent_all(&side->groups, err, err_len)) {
        if (perf_pipe_wait(pipe, POLL)) {
            snprintf(err, err_len, "stopped");
            return false;
        }
        perf_watch_step(watch);
        if (run->options.mode == PERF_MODE_IDLE)
            perf_quiet_step(quiet, &side->node, side->groups.group[0].load->marked_at,
                            silence(run));
        if (perf_clock_ns() > until) {
            perf_groups_say_where(&side->groups, err, err_len);
            return false;
        }
    }
    return err[0] == '\0';
}

static void collect_sent(const struct side *side, struct sent *ret)
{
    for (uint32_t i = 0; i < side->groups.count; i++) {
        const struct perf_group *group = &side->groups.group[i];

        if (group->load == NULL)
            return;
        perf_group_sent(group, &side->node, &ret->group[i]);
        if (group->load->first != NULL)
            perf_latency_sum_up(group->load->first, &ret->first);
    }
}

/* Starts the sending node: with the receiving one's address and references, or, for a crowd, alone
   and first. */
static bool meet(const struct run *run, struct side *side, const struct perf_pipe *pipe,
                 char *err, size_t err_len)
{
    struct perf_node_args args = node_args(run, true, 1);
    struct met met = {0};
    struct hello hello;

    if (run->options.crowd == 0) {
        if (!perf_pipe_read(pipe, &hello, sizeof(hello), START_IN) ||
            !perf_groups_read_refs(&side->groups, pipe, START_IN)) {
            snprintf(err, err_len, "the receiving side is not there");
            return false;
        }
        args.seed = hello.address;
        return perf_node_start(&side->node, &args, err, err_len);
    }
    met.ok = perf_node_start(&side->node, &args, met.error, sizeof(met.error));
    met.node = met.ok ? proa_node_id(side->node.node) : 0;
    snprintf(err, err_len, "%s", met.ok ? "the crowd is not there" : met.error);
    return perf_pipe_write(pipe, &met, sizeof(met)) && met.ok &&
           perf_groups_read_refs(&side->groups, pipe, START_IN + MEET_IN);
}

static int sending_process(const struct perf_pipe *pipe, void *ctx)
{
    const struct run *run = ctx;
    struct side side = {0};
    struct perf_watch none = {.shared = NULL}; /* the receiving side watches */
    struct sent sent = {0};
    char quit;

    perf_groups_plan(&side.groups, &run->options);
    if (!perf_groups_refs(&side.groups, sent.error, sizeof(sent.error)) ||
        !enter(run, pipe, true, sent.error, sizeof(sent.error)))
        return 1;
    sent.ok = meet(run, &side, pipe, sent.error, sizeof(sent.error)) &&
              perf_groups_send(&side.groups, &side.node, perf_clock_scale(&run->clock),
                               sent.error, sizeof(sent.error)) &&
              await(run, &side, pipe, &none, &sent.quiet, sent.error, sizeof(sent.error));
    if (side.node.client != NULL)
        collect_sent(&side, &sent);
    perf_pipe_write(pipe, &sent, sizeof(sent));
    perf_pipe_read(pipe, &quit, 1, longest(&run->options));
    end_side(&side);
    return 0;
}

/* ---- Both in one process ---- */

struct both {
    struct sent sent;
    struct received received;
};

/* Over ring: the sender's node, beside the receivers'. */
static bool start_second(const struct run *run, const struct side *receiving,
                         struct side *sending, char *err, size_t err_len)
{
    struct perf_node_args args = node_args(run, true, 1);
    char address[PROA_TEXT_MAX];

    proa_node_address(receiving->node.node, address, sizeof(address));
    args.seed = address;
    return perf_node_start(&sending->node, &args, err, err_len);
}

/* The two sides share the groups: those of `receiving`. */
static bool one_process(const struct run *run, const struct perf_pipe *pipe,
                        struct side *receiving, struct side *sending, struct both *both)
{
    const struct perf_options *o = &run->options;
    bool local = perf_mode_is_local(o->mode);
    unsigned lanes = perf_mode_is_cross(o->mode) ? 2 : o->lanes > 1 ? o->lanes : 1;
    struct perf_node_args args = node_args(run, false, lanes);
    struct perf_node *node = local ? &receiving->node : &sending->node;
    struct perf_watch watch = watch_of(run, &receiving->node);
    char *err = both->sent.error;
    size_t err_len = sizeof(both->sent.error);
    bool ok;

    perf_groups_plan(&receiving->groups, o);
    if (!perf_node_start(&receiving->node, &args, err, err_len) ||
        (!local && !start_second(run, receiving, sending, err, err_len)) ||
        !perf_groups_receive(&receiving->groups, &receiving->node, err, err_len) ||
        !perf_groups_send(&receiving->groups, node, perf_clock_scale(&run->clock), err,
                          err_len))
        return false;
    ok = await(run, receiving, pipe, &watch, &both->sent.quiet, err, err_len);
    perf_watch_end(&watch);
    both->received.watched = watch.sum;
    for (proa_ns until = perf_clock_ns() + END_IN;
         ok && !perf_groups_received_all(&receiving->groups) && perf_clock_ns() < until;)
        perf_pipe_wait(pipe, POLL);
    for (uint32_t i = 0; i < receiving->groups.count; i++)
        perf_group_sent(&receiving->groups.group[i], node, &both->sent.group[i]);
    if (receiving->groups.group[0].load->first != NULL)
        perf_latency_sum_up(receiving->groups.group[0].load->first, &both->sent.first);
    collect_received(receiving, &both->received);
    return ok;
}

static int only_process(const struct perf_pipe *pipe, void *ctx)
{
    const struct run *run = ctx;
    struct side receiving = {0}, sending = {0};
    struct both *both = calloc(1, sizeof(*both));

    if (both == NULL)
        return 1;
    both->sent.ok = enter(run, pipe, false, both->sent.error, sizeof(both->sent.error)) &&
                    one_process(run, pipe, &receiving, &sending, both);
    perf_pipe_write(pipe, both, sizeof(*both));
    end_side(&sending);
    end_side(&receiving);
    free(both);
    return 0;
}

/* ---- The parent ---- */

static bool failed(struct perf_result *result, const char *who, const char *why)
{
    snprintf(result->error, sizeof(result->error), "%s: %s", who, why);
    return false;
}

static void keep_sent(struct perf_result *result, const struct sent *sent)
{
    memcpy(result->sent, sent->group, sizeof(result->sent));
    result->sent_quiet = sent->quiet;
    result->first = sent->first;
}

static void keep_received(struct perf_result *result, const struct received *received)
{
    memcpy(result->received, received->group, sizeof(result->received));
    result->watched = received->watched;
    result->received_quiet = received->quiet;
}

/* The flood has the other end of the veth pair for itself. */
static bool start_flood_alone(struct run *run, const struct perf_process *only,
                              struct perf_result *result)
{
    if (run->flood.shared == NULL)
        return true;
    if (!perf_flood_start(&run->flood, 0))
        return failed(result, "the flood", "no process could be made");
    return perf_netns_join(only, &run->flood.process, &result->not_here, result->error,
                           sizeof(result->error));
}

static bool run_one(struct run *run, struct perf_result *result)
{
    struct perf_process only = {0};
    struct both both;
    bool started = perf_process_start(&only, only_process, run) &&
                   start_flood_alone(run, &only, result);
    bool got = started && perf_pipe_read(&only.pipe, &both, sizeof(both),
                                         longest(&run->options) + START_IN);

    perf_process_end(&only, END_IN);
    if (!got)
        return result->error[0] != '\0' ? false
                                        : failed(result, "the nodes", "no result");
    keep_sent(result, &both.sent);
    keep_received(result, &both.received);
    return both.sent.ok ? true : failed(result, "the nodes", both.sent.error);
}

/* The receiving side's hello and references, handed on to the sending side. */
static bool introduce(const struct run *run, const struct perf_process *receiver,
                      const struct perf_process *sender, struct perf_result *result)
{
    bool crowd = run->options.crowd != 0;
    struct perf_groups groups;
    struct hello hello;
    struct met met;
    bool ok;

    if (crowd && !perf_pipe_read(&sender->pipe, &met, sizeof(met), START_IN))
        return failed(result, "the sending node", "it did not start");
    if (crowd && !met.ok)
        return failed(result, "the sending node", met.error);
    if (crowd)
        perf_pipe_write(&receiver->pipe, &met, sizeof(met));
    if (!perf_pipe_read(&receiver->pipe, &hello, sizeof(hello), START_IN + MEET_IN))
        return failed(result, "the receiving node", "it did not start");
    if (!hello.ok)
        return failed(result, "the receiving node", hello.error);
    perf_groups_plan(&groups, &run->options);
    ok = perf_groups_refs(&groups, result->error, sizeof(result->error)) &&
         perf_groups_read_refs(&groups, &receiver->pipe, START_IN) &&
         (crowd || perf_pipe_write(&sender->pipe, &hello, sizeof(hello))) &&
         perf_groups_write_refs(&groups, &sender->pipe);
    perf_groups_fini(&groups);
    return ok ? true : failed(result, "the two nodes", "could not be introduced");
}

static bool collect(const struct run *run, const struct perf_process *receiver,
                    const struct perf_process *sender, struct perf_result *result)
{
    struct received received;
    struct sent sent;
    const char stop = 0;

    if (!perf_pipe_read(&sender->pipe, &sent, sizeof(sent),
                        longest(&run->options) + START_IN))
        return failed(result, "the sending node", "no result");
    keep_sent(result, &sent);
    if (!sent.ok)
        perf_pipe_write(&receiver->pipe, &stop, 1);
    if (!perf_pipe_read(&receiver->pipe, &received, sizeof(received), END_IN))
        return failed(result, sent.ok ? "the receiving node" : "the sending node",
                      sent.ok ? "not all messages came" : sent.error);
    keep_received(result, &received);
    if (received.error[0] != '\0')
        return failed(result, "the receiving side", received.error);
    return sent.ok ? true : failed(result, "the sending node", sent.error);
}

static bool run_two(struct run *run, struct perf_result *result)
{
    struct perf_process receiver = {0}, sender = {0};
    bool ok;

    if (!perf_process_start(&receiver,
                            run->options.crowd != 0 ? crowd_process : receiving_process,
                            run) ||
        !perf_process_start(&sender, sending_process, run))
        ok = failed(result, "proa-perf", "no process could be made");
    else if (perf_port_is_veth(run->options.port) &&
             !perf_netns_join(&receiver, &sender, &result->not_here, result->error,
                              sizeof(result->error)))
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
    struct perf_groups groups;

    memset(result, 0, sizeof(*result));
    perf_groups_plan(&groups, options);
    result->groups = groups.count;
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
    if (!result->ok)
        return false;
    for (uint32_t i = 0; i < result->groups; i++) {
        if (!perf_group_checked(&result->sent[i], &result->received[i]))
            return false;
    }
    return true;
}

double perf_result_rate(const struct perf_options *options,
                        const struct perf_result *result)
{
    uint32_t alike = options->lanes > 1 ? options->lanes : 1;
    double rate = 0;

    for (uint32_t i = 0; i < alike; i++)
        rate += perf_group_rate(options, &result->sent[i], &result->received[i]);
    return rate;
}
