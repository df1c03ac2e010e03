/* SPDX-License-Identifier: Apache-2.0 */
#include "savina_run.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "perf_json.h"

#define SPAWN_FOR (10 * PROA_S)
#define JOIN_FOR (10 * PROA_S)
#define ASK_FOR (10 * PROA_S)

/* ---- The node ---- */

bool savina_run_open(struct savina_run *run, const struct savina_options *options,
                     const char *dir)
{
    struct proa_config config;

    run->options = *options;
    proa_config_init(&config);
    config.port_count = 1;
    snprintf(config.ports[0].spec, sizeof(config.ports[0].spec), "ring:savina-%d",
             (int)getpid());
    snprintf(config.state_dir, sizeof(config.state_dir), "%s", dir);
    config.lanes = options->lanes;
    config.idle = options->idle;
    if (proa_node_start(&config, &run->node, run->error, sizeof(run->error)) != PROA_OK)
        return false;
    if (proa_node_join(run->node, JOIN_FOR, run->error, sizeof(run->error)) != PROA_OK)
        return false;
    if (proa_client_open(run->node, &run->client) == PROA_OK)
        return true;
    snprintf(run->error, sizeof(run->error), "no client of the node");
    return false;
}

void savina_run_close(struct savina_run *run)
{
    if (run->client != NULL)
        proa_client_close(run->client);
    proa_node_close(run->node);
    run->client = NULL;
    run->node = NULL;
}

/* ---- Actors ---- */

bool savina_run_spawn(struct savina_run *run, uint32_t lane,
                      const struct proa_behaviour *behaviour, const void *arg,
                      size_t arg_len, struct proa_ref *ret)
{
    enum proa_outcome outcome;

    PROA_ASSERT(run->actor_count < SAVINA_SPAWNED_MAX);
    outcome = proa_client_spawn(run->client, lane, behaviour, arg, arg_len, NULL,
                                SPAWN_FOR, ret);
    if (outcome == PROA_OK) {
        run->actors[run->actor_count++] = *ret;
        return true;
    }
    snprintf(run->error, sizeof(run->error), "spawning a %s: %s", behaviour->type_name,
             proa_outcome_name(outcome));
    return false;
}

static bool ask(struct savina_run *run, const char *what, struct proa_ref to,
                uint32_t type, const void *data, size_t len, proa_ns deadline, void *buf,
                size_t cap)
{
    size_t got = 0;
    enum proa_outcome outcome =
        proa_client_ask(run->client, to, type, data, len, deadline, buf, cap, &got);

    if (outcome == PROA_OK && got == cap)
        return true;
    if (run->error[0] == '\0')
        snprintf(run->error, sizeof(run->error), "asked to %s, an actor: %s", what,
                 proa_outcome_name(outcome));
    return false;
}

bool savina_run_wire(struct savina_run *run, struct proa_ref to, const void *data,
                     size_t len)
{
    return ask(run, "keep its references", to, SAVINA_WIRE, data, len, ASK_FOR, NULL, 0);
}

bool savina_run_go(struct savina_run *run, struct proa_ref first)
{
    proa_ns deadline = run->options.timeout * PROA_S;
    bool ok = ask(run, "run", first, SAVINA_RUN, NULL, 0, deadline, NULL, 0);

    /* Also when it did not end: they tell what was lost. */
    for (uint32_t i = 0; i < run->actor_count; i++) {
        if (!ask(run, "report", run->actors[i], SAVINA_REPORT, NULL, 0, ASK_FOR,
                 &run->reports[i], sizeof(run->reports[i])))
            return false;
        if (run->reports[i].ns > run->ns)
            run->ns = run->reports[i].ns;
    }
    return ok;
}

/* ---- What came of it ---- */

void savina_run_check(struct savina_run *run, const char *what, uint64_t counted,
                      uint64_t expected)
{
    PROA_ASSERT(run->check_count < SAVINA_CHECKS_MAX);
    run->checks[run->check_count++] = (struct savina_check){what, counted, expected};
}

uint64_t savina_run_count(const struct savina_run *run, uint32_t from, uint32_t n)
{
    uint64_t total = 0;

    for (uint32_t i = from; i < from + n; i++)
        total += run->reports[i].count;
    return total;
}

uint64_t savina_run_sum(const struct savina_run *run, uint32_t from, uint32_t n)
{
    uint64_t total = 0;

    for (uint32_t i = from; i < from + n; i++)
        total += run->reports[i].sum;
    return total;
}

/* What all actors together say of their trouble. */
static struct savina_report trouble(const struct savina_run *run)
{
    struct savina_report all = {0};

    for (uint32_t i = 0; i < run->actor_count; i++) {
        all.wrong += run->reports[i].wrong;
        all.again += run->reports[i].again;
        all.full += run->reports[i].full;
        all.undelivered += run->reports[i].undelivered;
    }
    return all;
}

bool savina_run_right(const struct savina_run *run)
{
    struct savina_report all = trouble(run);

    for (uint32_t i = 0; i < run->check_count; i++) {
        if (run->checks[i].counted != run->checks[i].expected)
            return false;
    }
    return run->error[0] == '\0' && run->check_count > 0 && all.wrong == 0 &&
           all.undelivered == 0;
}

static void print_parameters(struct perf_json *json, const struct savina_options *o)
{
    perf_json_open(json, "parameters");
    perf_json_u64(json, "lanes", o->lanes);
    if (o->bench->actors != NULL)
        perf_json_u64(json, "actors", o->actors);
    perf_json_u64(json, "count", o->count);
    perf_json_str(json, "counted", o->bench->count);
    perf_json_str(json, "idle", o->idle == PROA_IDLE_SPIN ? "spin" : "adaptive");
    perf_json_close(json);
}

void savina_run_print(const struct savina_run *run)
{
    struct savina_report all = trouble(run);
    double seconds = (double)run->ns / (double)PROA_S;
    struct perf_json json;

    perf_json_init(&json, stdout);
    perf_json_open(&json, NULL);
    perf_json_str(&json, "benchmark", run->options.bench->name);
    print_parameters(&json, &run->options);
    perf_json_u64(&json, "messages", run->messages);
    perf_json_num(&json, "seconds", seconds);
    perf_json_num(&json, "messages_per_s", (double)run->messages / seconds);
    if (run->spawned != 0)
        perf_json_num(&json, "spawned_per_s", (double)run->spawned / seconds);
    perf_json_open(&json, "refused_at_once");
    perf_json_u64(&json, "again", all.again);
    perf_json_u64(&json, "full", all.full);
    perf_json_close(&json);
    perf_json_open(&json, "checks");
    for (uint32_t i = 0; i < run->check_count; i++) {
        perf_json_open(&json, run->checks[i].what);
        perf_json_u64(&json, "counted", run->checks[i].counted);
        perf_json_u64(&json, "expected", run->checks[i].expected);
        perf_json_close(&json);
    }
    perf_json_close(&json);
    perf_json_u64(&json, "wrong", all.wrong);
    perf_json_u64(&json, "undelivered", all.undelivered);
    if (run->error[0] != '\0')
        perf_json_str(&json, "error", run->error);
    perf_json_bool(&json, "checked", savina_run_right(run));
    perf_json_close(&json);
}
