/* SPDX-License-Identifier: Apache-2.0 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "perf_remote.h"

#define FIND_IN (10 * PROA_S)
#define PREPARE_IN (60 * PROA_S)
#define ASK_IN (10 * PROA_S)
#define START_IN (30 * PROA_S)
#define DONE_IN (10 * PROA_S) /* from the load's end to the last receiver's */
#define LOOK (20 * PROA_MS)

/* What the child is forked with. */
struct plan {
    struct perf_options options;
    const char *dir;
    struct perf_clock clock;
};

struct side {
    const struct plan *plan;
    struct perf_node node;
    struct perf_groups groups;
    struct proa_ref desk, visitor;
};

/* What the desk monitors: it does nothing but live as long as the client's node. */
static const struct proa_behaviour perf_visitor = {.type_name = "perf_visitor",
                                                   .state_size = 8};

static proa_ns longest(const struct perf_options *o)
{
    return o->warmup_ms * PROA_MS + o->seconds * PROA_S + PERF_REMOTE_SPARE;
}

static bool failed(struct perf_result *result, const char *what, enum proa_outcome why)
{
    snprintf(result->error, sizeof(result->error), "%s: %s", what,
             proa_outcome_name(why));
    return false;
}

/* Asks the desk; the answer is exactly len bytes. */
static bool ask(struct side *side, uint32_t type, const void *data, size_t data_len,
                proa_ns deadline, void *answer, size_t len, struct perf_result *result)
{
    size_t got = 0;
    enum proa_outcome outcome = proa_client_ask(side->node.client, side->desk, type, data,
                                                data_len, deadline, answer, len, &got);

    if (outcome != PROA_OK)
        return failed(result, "asking the server", outcome);
    if (got == len)
        return true;
    snprintf(result->error, sizeof(result->error),
             "the server's answer has %zu bytes, not %zu: run the same proa-perf on both "
             "machines",
             got, len);
    return false;
}

static bool said_no(const struct perf_remote_answer *answer, struct perf_result *result)
{
    if (answer->ok != 0)
        return false;
    snprintf(result->error, sizeof(result->error), "the server: %.*s",
             (int)sizeof(answer->why) - 1, answer->why);
    return true;
}

static bool prepare(struct side *side, struct perf_result *result)
{
    const struct perf_options *o = &side->plan->options;
    const struct perf_remote_wanted wanted = {
        .version = PERF_REMOTE_VERSION,
        .result_len = sizeof(struct perf_remote_result),
        .mode = o->mode,
        .size = o->size,
        .receivers = o->receivers,
        .bulk = o->bulk,
        .warmup_ms = o->warmup_ms,
        .seconds = o->seconds,
        .mailbox = o->mailbox,
        .visitor = side->visitor,
    };
    struct perf_remote_answer answer;

    return ask(side, PERF_REMOTE_PREPARE, &wanted, sizeof(wanted), PREPARE_IN, &answer,
               sizeof(answer), result) &&
           !said_no(&answer, result);
}

static bool fetch_refs(struct side *side, struct perf_result *result)
{
    for (uint32_t i = 0; i < side->groups.count; i++) {
        struct perf_group *group = &side->groups.group[i];

        for (uint32_t at = 0; at < group->options.receivers; at += PERF_REMOTE_PAGE) {
            const struct perf_remote_page page = {i, at};
            uint32_t left = group->options.receivers - at;

            left = left < PERF_REMOTE_PAGE ? left : PERF_REMOTE_PAGE;
            if (!ask(side, PERF_REMOTE_REFS, &page, sizeof(page), ASK_IN,
                     &group->refs[at], left * sizeof(group->refs[0]), result))
                return false;
        }
    }
    return true;
}

static bool await(const struct side *side, const struct perf_pipe *pipe,
                  struct perf_result *result)
{
    proa_ns until = perf_clock_ns() + longest(&side->plan->options);

    while (!perf_groups_sent_all(&side->groups, result->error, sizeof(result->error))) {
        if (perf_pipe_wait(pipe, LOOK)) {
            snprintf(result->error, sizeof(result->error), "stopped");
            return false;
        }
        if (perf_clock_ns() > until) {
            perf_groups_say_where(&side->groups, result->error, sizeof(result->error));
            return false;
        }
    }
    return result->error[0] == '\0';
}

static bool fetch_result(struct side *side, const struct perf_pipe *pipe,
                         struct perf_result *result)
{
    proa_ns until = perf_clock_ns() + DONE_IN;
    struct perf_remote_result theirs;

    do {
        if (!ask(side, PERF_REMOTE_RESULT, NULL, 0, ASK_IN, &theirs, sizeof(theirs),
                 result) ||
            said_no(&theirs.answer, result))
            return false;
    } while (theirs.done == 0 && perf_clock_ns() < until && !perf_pipe_wait(pipe, LOOK));
    memcpy(result->received, theirs.received, sizeof(theirs.received));
    return true;
}

static bool meet(struct side *side, struct perf_result *result)
{
    const struct perf_options *o = &side->plan->options;
    struct perf_node_args args = {.options = o,
                                  .dir = side->plan->dir,
                                  .seed = o->remote.to,
                                  .second = true,
                                  .lanes = 1,
                                  .core = (int)o->remote.core};
    enum proa_outcome outcome;

    memcpy(args.cluster_key, o->remote.key, sizeof(args.cluster_key));
    if (!perf_node_start(&side->node, &args, result->error, sizeof(result->error)) ||
        !perf_node_spawn(&side->node, 0, &perf_visitor, NULL, 0, &side->visitor,
                         result->error, sizeof(result->error)))
        return false;
    outcome = proa_client_lookup_wait(side->node.client, PERF_REMOTE_NAME, "perf_desk",
                                      FIND_IN, &side->desk);
    return outcome == PROA_OK
               ? true
               : failed(result, "looking for \"" PERF_REMOTE_NAME "\"", outcome);
}

static int client_process(const struct perf_pipe *pipe, void *ctx)
{
    struct side side = {.plan = ctx};
    const struct perf_options *o = &side.plan->options;
    struct perf_result *result = calloc(1, sizeof(*result));

    if (result == NULL)
        return 1;
    perf_groups_plan(&side.groups, o);
    result->groups = side.groups.count;
    result->ok =
        perf_groups_refs(&side.groups, result->error, sizeof(result->error)) &&
        meet(&side, result) && prepare(&side, result) && fetch_refs(&side, result) &&
        perf_groups_send(&side.groups, &side.node, perf_clock_scale(&side.plan->clock),
                         result->error, sizeof(result->error)) &&
        await(&side, pipe, result) && fetch_result(&side, pipe, result);
    for (uint32_t i = 0; i < side.groups.count; i++) {
        if (side.groups.group[i].load != NULL)
            perf_group_sent(&side.groups.group[i], &side.node, &result->sent[i]);
    }
    perf_pipe_write(pipe, result, sizeof(*result));
    perf_node_stop(&side.node);
    perf_groups_fini(&side.groups);
    free(result);
    return 0;
}

bool perf_client(const struct perf_options *options, const char *dir,
                 struct perf_result *result)
{
    struct plan plan = {.options = *options, .dir = dir};
    struct perf_process process = {0};

    memset(result, 0, sizeof(*result));
    perf_clock_start(&plan.clock);
    signal(SIGPIPE, SIG_IGN);
    if (!perf_process_start(&process, client_process, &plan) ||
        !perf_pipe_read(&process.pipe, result, sizeof(*result),
                        longest(options) + START_IN + PREPARE_IN + DONE_IN)) {
        memset(result, 0, sizeof(*result));
        snprintf(result->error, sizeof(result->error), "the client: no result");
    }
    perf_process_end(&process, ASK_IN);
    return result->ok;
}
