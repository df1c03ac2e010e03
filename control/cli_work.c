/* SPDX-License-Identifier: Apache-2.0 */
#include "cli_work.h"

#include <proa/client.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "addr.h"
#include "cli_capture.h"
#include "cli_cluster.h"
#include "cli_lanes.h"
#include "cli_server.h"
#include "kernel_clock.h"
#include "node_internal.h"
#include "scheduler.h"
#include "top_read.h"

#define ASK_SLICE (100 * PROA_MS) /* how often an ask looks whether the node ends */

/* ---- ls, on the control thread ---- */

struct listing {
    struct cli_answer *answer;
    const struct proa_node *node;
    unsigned listed, left_out;
};

void cli_print_type(const struct proa_node *node, uint32_t type, char *buf, size_t len)
{
    snprintf(buf, len, type == 0 ? "-" : "%08x", type);
    for (unsigned i = 0; i < node->config.behaviour_count && type != 0; i++) {
        const char *name = node->config.behaviours[i]->type_name;
        if (sched_type_id(name) == type)
            snprintf(buf, len, "%s", name);
    }
}

static bool list_name(void *ctx, const struct directory_entry *entry)
{
    struct listing *listing = ctx;
    char ref[CLI_REF_MAX], type[PROA_TYPE_MAX + 1], name[CLI_ESCAPED_MAX];
    const char *state = "found";

    if (listing->listed == CLI_NAMES_MAX) {
        listing->left_out++;
        return true;
    }
    if (entry->state == PROA_NOT_FOUND)
        state = "absent";
    else if (entry->state != PROA_OK)
        state = "silent";
    cli_ref_print(entry->ref, ref);
    cli_print_type(listing->node, entry->type, type, sizeof(type));
    cli_escape(entry->name, entry->len < PROA_NAME_MAX ? entry->len : PROA_NAME_MAX,
               name);
    cli_answer_line(listing->answer, "%-32s %-6s %-12s %s",
                    entry->state == PROA_NOT_FOUND ? "-" : ref, state, type, name);
    listing->listed++;
    return true;
}

static void list_names(struct proa_node *node, void *ctx)
{
    struct listing *listing = ctx;

    directory_each(node->directory, clock_now(), list_name, listing);
}

static const char *run_ls(struct cli_job *job, struct cli_answer *answer)
{
    struct listing listing = {.answer = answer, .node = job->node};
    char address[64];

    proa_node_address(job->node, address, sizeof(address));
    cli_answer_line(answer, "node %016llx at %s, %u lane%s",
                    (unsigned long long)proa_node_id(job->node), address,
                    job->node->lane_count, job->node->lane_count == 1 ? "" : "s");
    node_call(job->node, list_names, &listing);
    if (listing.left_out > 0)
        cli_answer_line(answer, "and %u more names", listing.left_out);
    return NULL;
}

/* ---- lookup and ask, through a client ---- */

static const char *say(struct cli_job *job, const char *what, enum proa_outcome outcome)
{
    snprintf(job->error, sizeof(job->error), "%s: %s", what, proa_outcome_name(outcome));
    return job->error;
}

static const char *find(struct cli_job *job, struct proa_client *client,
                        const struct cli_request *request, struct proa_ref *ret)
{
    enum proa_outcome outcome =
        proa_client_lookup(client, request->name, NULL, CLI_LOOKUP_FOR, ret);

    return outcome == PROA_OK ? NULL : say(job, "lookup", outcome);
}

static const char *run_lookup(struct cli_job *job, struct proa_client *client,
                              const struct cli_request *request,
                              struct cli_answer *answer)
{
    struct proa_ref ref;
    char text[CLI_REF_MAX];
    const char *error = find(job, client, request, &ref);

    if (error != NULL)
        return error;
    cli_ref_print(ref, text);
    cli_answer_line(answer, "%s", text);
    return NULL;
}

/* Waits for the answer, but not beyond the node's own end.  OK: *ret has it. */
static enum proa_outcome await(struct cli_job *job, struct proa_client *client,
                               uint32_t id, struct proa_client_event *ret)
{
    for (;;) {
        enum proa_outcome outcome = proa_client_take(client, ASK_SLICE, ret);
        if (outcome == PROA_OK && ret->is_answer && ret->id == id)
            return PROA_OK;
        if (outcome != PROA_OK && outcome != PROA_TIMEOUT)
            return outcome;
        if (atomic_load(job->stopping))
            return PROA_STOPPED;
    }
}

static const char *run_ask(struct cli_job *job, struct proa_client *client,
                           const struct cli_request *request, struct cli_answer *answer)
{
    struct proa_client_event event;
    struct proa_ref ref;
    enum proa_outcome outcome;
    uint32_t id;
    char *text;
    const char *error = find(job, client, request, &ref);

    if (error != NULL)
        return error;
    outcome = proa_client_ask_start(client, ref, request->type, request->data,
                                    request->len, request->deadline, &id);
    if (outcome == PROA_OK)
        outcome = await(job, client, id, &event);
    if (outcome == PROA_OK)
        outcome = event.outcome;
    if (outcome != PROA_OK)
        return say(job, "ask", outcome);
    text = malloc(2 * (size_t)event.len + 1);
    if (text == NULL)
        return "ask: answered, but there is no memory to print it";
    cli_hex_print(event.data, event.len, text);
    cli_answer_line(answer, "%s", text);
    free(text);
    return NULL;
}

/* ---- events ---- */

#define EVENTS_AT_ONCE 32u

struct reading {
    uint64_t next;
    unsigned count;
    struct proa_event events[EVENTS_AT_ONCE];
};

static void read_events(struct proa_node *node, void *ctx)
{
    struct reading *reading = ctx;

    reading->count =
        core_events(node->core, &reading->next, reading->events, EVENTS_AT_ONCE);
}

/* Adds all there are. */
static void list_events(struct cli_job *job, struct reading *reading,
                        struct cli_answer *answer)
{
    do {
        node_call(job->node, read_events, reading);
        for (unsigned i = 0; i < reading->count; i++) {
            char text[512];
            proa_event_print(&reading->events[i], text, sizeof(text));
            cli_answer_line(answer, "%s", text);
        }
    } while (reading->count == EVENTS_AT_ONCE);
}

static const char *run_events(struct cli_job *job, const struct cli_request *request,
                              struct cli_answer *answer)
{
    struct reading reading = {0};

    list_events(job, &reading, answer);
    if (!request->follow)
        return NULL;
    if (atomic_fetch_add(job->followers, 1) >= CLI_FOLLOWERS) {
        atomic_fetch_sub(job->followers, 1);
        return "events: too many follow them already";
    }
    while (cli_answer_flush(answer) && cli_answer_wait(answer, CLI_FOLLOW_EVERY))
        list_events(job, &reading, answer);
    atomic_fetch_sub(job->followers, 1);
    return NULL;
}

/* ---- top ---- */

static void put_line(void *ctx, const char *line)
{
    cli_answer_line(ctx, "%s", line);
}

static const char *run_top(struct cli_job *job, struct cli_answer *answer)
{
    struct top_snapshot *snapshot = malloc(sizeof(*snapshot));

    if (snapshot == NULL)
        return "top: out of memory";
    top_read(job->node, snapshot);
    top_lines_print(snapshot, put_line, answer);
    free(snapshot);
    return NULL;
}

/* ---- deny and allow ---- */

#define NOT_DENIED                                                                       \
    "it is not denied" /* as ports say it: no failure while another has it */

struct denial {
    struct proa_addr from;
    uint8_t prefix;
    bool deny;
    unsigned done;     /* ports that have done it */
    bool absent;       /* there was nothing to take back on one */
    const char *error; /* why another, port `at`, has not */
    unsigned at;
};

/* On every port that can. */
static void deny_on_ports(struct proa_node *node, void *ctx)
{
    struct denial *denial = ctx;

    for (unsigned i = 0; i < node->port_count; i++) {
        struct port *port = node->ports[i];
        const char *error;

        if (port->ops->deny == NULL)
            continue;
        error = port->ops->deny(port, &denial->from, denial->prefix, denial->deny);
        if (error == NULL) {
            denial->done++;
        } else if (!denial->deny && strcmp(error, NOT_DENIED) == 0) {
            denial->absent = true;
        } else {
            denial->error = error;
            denial->at = i;
        }
    }
}

static const char *run_deny(struct cli_job *job, const struct cli_request *request)
{
    struct denial denial = {.deny = request->verb == CLI_DENY};
    const char *verb = denial.deny ? "deny" : "allow";

    if (!addr_parse_prefix(request->name, &denial.from, &denial.prefix)) {
        snprintf(job->error, sizeof(job->error),
                 "%s: no address or network, like 10.0.0.9 or fd00:9::/32", verb);
        return job->error;
    }
    node_call(job->node, deny_on_ports, &denial);
    if (denial.error != NULL)
        snprintf(job->error, sizeof(job->error), "%s: port %u: %s", verb, denial.at,
                 denial.error);
    else if (denial.done == 0)
        snprintf(job->error, sizeof(job->error), "%s: %s", verb,
                 denial.absent ? NOT_DENIED : "only an af_xdp port can");
    else
        return NULL;
    return job->error;
}

const char *cli_work_run(void *ctx, const struct cli_request *request,
                         struct cli_answer *answer)
{
    struct cli_job *job = ctx;
    struct proa_client *client;
    enum proa_outcome outcome;
    const char *error;

    if (request->verb == CLI_LS)
        return run_ls(job, answer);
    if (request->verb == CLI_EVENTS)
        return run_events(job, request, answer);
    if (request->verb == CLI_TOP)
        return run_top(job, answer);
    if (request->verb == CLI_LANES)
        return cli_lanes_run(job, answer);
    if (request->verb == CLI_CAPTURE)
        return cli_capture_run(job, &request->capture, answer);
    if (request->verb == CLI_DENY || request->verb == CLI_ALLOW)
        return run_deny(job, request);
    if (request->verb == CLI_CLUSTER)
        return cli_cluster_run(job, answer);
    if (request->verb == CLI_GROUPS)
        return cli_groups_run(job, answer);
    if (request->verb == CLI_GROUP)
        return cli_group_run(job, request, answer);
    if (request->verb == CLI_LINK_ADD || request->verb == CLI_LINK_REMOVE)
        return cli_link_run(job, request);
    outcome = proa_client_open(job->node, &client);
    if (outcome != PROA_OK)
        return say(job, "client", outcome);
    if (request->verb == CLI_LOOKUP)
        error = run_lookup(job, client, request, answer);
    else
        error = run_ask(job, client, request, answer);
    proa_client_close(client);
    return error;
}
