/* SPDX-License-Identifier: Apache-2.0 */
/* The proa program: its verbs, for any set of behaviours. */
#include <proa/client.h>
#include <proa/node.h>
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "builtin.h"
#include "capture_client.h"
#include "cli_client.h"
#include "config.h"
#include "demo.h"
#include "doctor.h"
#include "options.h"
#include "state.h"
#include "top.h"

#define BEHAVIOURS_MAX 256u
#define JOIN_SLICE (100 * PROA_MS) /* how often a join looks for Ctrl-C */
#define SOCKET_NAME "proa.sock"

/* The program's own behaviours and the built-in ones that it has not replaced. */
struct known {
    const struct proa_behaviour *rows[BEHAVIOURS_MAX + BUILTIN_COUNT];
    unsigned count;
};

static int fail(const char *what, const char *why)
{
    fprintf(stderr, "proa: %s%s%s\n", what, what[0] != '\0' ? ": " : "", why);
    return 1;
}

/* ---- node ---- */

static bool know(struct known *known, const struct proa_behaviour *const *behaviours,
                 unsigned count)
{
    if (count > BEHAVIOURS_MAX)
        return false;
    for (unsigned i = 0; i < count; i++)
        known->rows[known->count++] = behaviours[i];
    for (unsigned i = 0; i < BUILTIN_COUNT; i++) {
        if (builtin_find(behaviours, count, builtin_all[i]->type_name) == builtin_all[i])
            known->rows[known->count++] = builtin_all[i];
    }
    return true;
}

/* Where the local socket is, unless somebody says: in the state directory, which need not be there
   yet: it is the node's user who makes it. */
static bool default_socket(const char *state_dir, char *buf, size_t len, char *err,
                           size_t err_len)
{
    char dir[PROA_TEXT_MAX];
    int n;

    if (state_dir[0] == '\0') {
        if (state_default_dir(dir, sizeof(dir), err, err_len) != PROA_OK)
            return false;
        state_dir = dir;
    }
    n = snprintf(buf, len, "%s/" SOCKET_NAME, state_dir);
    if (n > 0 && (size_t)n < len)
        return true;
    snprintf(err, err_len, "the socket's path is too long; name another by --socket");
    return false;
}

static bool choose_socket(const struct options *options, struct config_file *file,
                          char *err, size_t err_len)
{
    struct proa_config *config = &file->config;

    if (options->socket != NULL) {
        if (strlen(options->socket) < sizeof(config->socket)) {
            strcpy(config->socket, options->socket);
            return true;
        }
        snprintf(err, err_len, "--socket is too long");
        return false;
    }
    if (config->socket[0] != '\0' || file->no_socket)
        return true;
    return default_socket(config->state_dir, config->socket, sizeof(config->socket), err,
                          err_len);
}

static bool check_actors(const char *path, const struct config_file *file,
                         const struct known *known)
{
    for (unsigned i = 0; i < file->actor_count; i++) {
        const struct config_actor *actor = &file->actors[i];
        if (builtin_find(known->rows, known->count, actor->behaviour) != NULL)
            continue;
        fprintf(stderr, "proa: %s:%u: unknown behaviour '%s'; there are:", path,
                actor->line, actor->behaviour);
        for (unsigned j = 0; j < known->count; j++)
            fprintf(stderr, " %s", known->rows[j]->type_name);
        fprintf(stderr, "\n");
        return false;
    }
    return true;
}

static int spawn_actors(struct proa_node *node, const struct config_file *file,
                        const struct known *known, proa_ns deadline)
{
    struct proa_client *client;
    enum proa_outcome outcome = proa_client_open(node, &client);

    if (outcome != PROA_OK)
        return fail("client", proa_outcome_name(outcome));
    for (unsigned i = 0; i < file->actor_count && outcome == PROA_OK; i++) {
        const struct config_actor *actor = &file->actors[i];
        struct proa_ref ref;
        outcome = proa_client_spawn(
            client, actor->lane,
            builtin_find(known->rows, known->count, actor->behaviour), NULL, 0,
            actor->name[0] != '\0' ? actor->name : NULL, deadline, &ref);
        if (outcome != PROA_OK)
            fprintf(stderr, "proa: line %u: actor %s%s%s: %s\n", actor->line,
                    actor->behaviour, actor->name[0] != '\0' ? " " : "", actor->name,
                    proa_outcome_name(outcome));
    }
    proa_client_close(client);
    return outcome == PROA_OK ? 0 : 1;
}

static bool interrupted(const sigset_t *set)
{
    struct timespec none = {0, 0};
    int sig = sigtimedwait(set, NULL, &none);

    if (sig > 0)
        raise(sig); /* blocked: it stays for proa_node_run */
    return sig > 0;
}

/* Joins, spawns and says so.  Ctrl-C ends the wait; proa_node_run then sees it too. */
static int bring_up(struct proa_node *node, const struct options *options,
                    const struct config_file *file, const struct known *known,
                    const sigset_t *set)
{
    char err[PROA_TEXT_MAX], address[64];
    proa_ns waited = 0;

    while (proa_node_join(node, JOIN_SLICE, err, sizeof(err)) != PROA_OK) {
        waited += JOIN_SLICE;
        if (interrupted(set))
            return 0;
        if (waited >= options->deadline)
            return fail("", err);
    }
    if (spawn_actors(node, file, known, options->deadline) != 0)
        return 1;
    proa_node_address(node, address, sizeof(address));
    printf("ready: node %016llx at %s, %u lane%s%s%s\n",
           (unsigned long long)proa_node_id(node), address, file->config.lanes,
           file->config.lanes == 1 ? "" : "s",
           file->config.socket[0] != '\0' ? ", socket " : "", file->config.socket);
    fflush(stdout);
    return 0;
}

static int run_node(const struct options *options, struct config_file *file,
                    const struct known *known)
{
    struct proa_node *node;
    char err[2 * PROA_TEXT_MAX] = "";
    sigset_t set;
    int status;

    if (config_load(options->config, file, err, sizeof(err)) != PROA_OK)
        return fail("", err);
    if (!check_actors(options->config, file, known))
        return 1;
    if (!choose_socket(options, file, err, sizeof(err)))
        return fail("", err);
    file->config.behaviours = known->rows;
    file->config.behaviour_count = known->count;
    /* Before any thread: a signal waits until the node can be closed. */
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    sigprocmask(SIG_BLOCK, &set, NULL);
    if (proa_node_start(&file->config, &node, err, sizeof(err)) != PROA_OK)
        return fail("", err);
    status = bring_up(node, options, file, known, &set);
    if (status == 0)
        proa_node_run(node);
    else
        proa_node_close(node);
    return status;
}

static int verb_node(const struct options *options,
                     const struct proa_behaviour *const *behaviours, unsigned count)
{
    struct config_file *file = malloc(sizeof(*file));
    struct known *known = calloc(1, sizeof(*known));
    int status;

    if (file == NULL || known == NULL)
        status = fail("", "out of memory");
    else if (!know(known, behaviours, count))
        status = fail("", "more than 256 behaviours");
    else
        status = run_node(options, file, known);
    free(file);
    free(known);
    return status;
}

/* ---- keygen ---- */

static int verb_keygen(const struct options *options)
{
    char path[PROA_TEXT_MAX + 32], err[2 * PROA_TEXT_MAX];
    const char *file = options->words[0];
    uint8_t key[PROA_KEY_LEN];
    struct state state;
    enum proa_outcome outcome;

    if (sodium_init() < 0)
        return fail("keygen", "no randomness");
    if (file == NULL) {
        if (state_open(&state, "", err, sizeof(err)) != PROA_OK)
            return fail("keygen", err);
        snprintf(path, sizeof(path), "%s/cluster.key", state.dir);
        state_close(&state);
        file = path;
    }
    outcome = state_key_write(file, key, err, sizeof(err));
    sodium_memzero(key, sizeof(key));
    if (outcome != PROA_OK)
        return fail("keygen", err);
    printf("%s\n", file);
    return 0;
}

/* ---- Verbs that ask a node ---- */

static bool find_socket(const struct options *options, char path[PROA_TEXT_MAX])
{
    char err[2 * PROA_TEXT_MAX];

    if (options->socket == NULL) {
        if (default_socket("", path, PROA_TEXT_MAX, err, sizeof(err)))
            return true;
        fail("", err);
        return false;
    }
    if (snprintf(path, PROA_TEXT_MAX, "%s", options->socket) < PROA_TEXT_MAX)
        return true;
    fail("", "--socket is too long");
    return false;
}

static int verb_top(const struct options *options)
{
    char path[PROA_TEXT_MAX];

    return find_socket(options, path) ? (int)top_run(path) : 1;
}

static int verb_capture(const struct options *options)
{
    char path[PROA_TEXT_MAX];

    if (!find_socket(options, path))
        return 1;
    return (int)capture_client_run(path, &options->capture, options->words[0], stderr);
}

static int run_request(const struct options *options, const struct cli_request *request)
{
    char path[PROA_TEXT_MAX];

    if (!find_socket(options, path))
        return 1;
    return (int)cli_client_run(path, request, stdout, stderr);
}

static int verb_ask(const struct options *options, struct cli_request *request)
{
    const char *hex = options->words[2];
    uint8_t *data = malloc(PROA_CLIENT_MSG_MAX);
    long len;
    int status;

    if (data == NULL)
        return fail("ask", "out of memory");
    len = strcmp(hex, "-") == 0
              ? 0
              : cli_hex_read(hex, strlen(hex), data, PROA_CLIENT_MSG_MAX);
    if (len < 0) {
        fprintf(stderr,
                "proa: ask: HEX is pairs of hexadecimal digits, at most 65536, or -\n");
        status = CLI_EXIT_USAGE;
    } else {
        request->type = options->type;
        request->deadline = options->deadline;
        request->data = data;
        request->len = (size_t)len;
        status = run_request(options, request);
    }
    free(data);
    return status;
}

/* What the command line asks of the node. */
static enum cli_verb request_verb(const struct options *options)
{
    switch (options->verb) {
    case OPTIONS_LANES:
        return CLI_LANES;
    case OPTIONS_EVENTS:
        return CLI_EVENTS;
    case OPTIONS_LOOKUP:
        return CLI_LOOKUP;
    case OPTIONS_DENY:
        return CLI_DENY;
    case OPTIONS_ALLOW:
        return CLI_ALLOW;
    case OPTIONS_ASK:
        return CLI_ASK;
    case OPTIONS_CLUSTER:
        return CLI_CLUSTER;
    case OPTIONS_LINK:
        return strcmp(options->words[0], "add") == 0 ? CLI_LINK_ADD : CLI_LINK_REMOVE;
    default: /* OPTIONS_LS */
        return options->groups ? CLI_GROUPS : options->group != NULL ? CLI_GROUP : CLI_LS;
    }
}

static int verb_request(const struct options *options)
{
    struct cli_request request = {.verb = request_verb(options),
                                  .follow = options->follow};
    const char *name = options->word_count > 0 ? options->words[0] : "";

    if (options->verb == OPTIONS_LINK)
        name = options->words[1];
    if (options->group != NULL)
        name = options->group;
    snprintf(request.name, sizeof(request.name), "%s", name);
    if (request.verb == CLI_ASK)
        return verb_ask(options, &request);
    return run_request(options, &request);
}

/* ---- doctor ---- */

static int verb_doctor(const struct options *options)
{
    enum doctor_form form = options->json        ? DOCTOR_AS_JSON
                            : options->fix_print ? DOCTOR_AS_COMMANDS
                                                 : DOCTOR_AS_TEXT;

    return (int)doctor_run(options->config, form, stdout);
}

/* ---- All ---- */

static int verb_help(const char *program, const struct options *options)
{
    if (options_usage(stdout, program, options->words[0]))
        return 0;
    fprintf(stderr, "proa: no verb '%s'\n", options->words[0]);
    return CLI_EXIT_USAGE;
}

int proa_main(int argc, char **argv, const struct proa_behaviour *const *behaviours,
              unsigned count)
{
    const char *slash = argc > 0 ? strrchr(argv[0], '/') : NULL;
    const char *program = argc > 0 ? (slash != NULL ? slash + 1 : argv[0]) : "proa";
    struct options options;
    char err[PROA_TEXT_MAX];

    if (!options_read(argc, argv, &options, err, sizeof(err))) {
        fprintf(stderr, "proa: %s\n", err);
        return options.verb == OPTIONS_DOCTOR ? (int)DOCTOR_EXIT_USAGE : CLI_EXIT_USAGE;
    }
    switch (options.verb) {
    case OPTIONS_NODE:
        return verb_node(&options, behaviours, count);
    case OPTIONS_DEMO:
        return demo_run(&options);
    case OPTIONS_DEMO_NODE:
        return demo_node(&options);
    case OPTIONS_KEYGEN:
        return verb_keygen(&options);
    case OPTIONS_LS:
    case OPTIONS_LOOKUP:
    case OPTIONS_ASK:
    case OPTIONS_EVENTS:
    case OPTIONS_LANES:
    case OPTIONS_DENY:
    case OPTIONS_ALLOW:
    case OPTIONS_CLUSTER:
    case OPTIONS_LINK:
        return verb_request(&options);
    case OPTIONS_TOP:
        return verb_top(&options);
    case OPTIONS_CAPTURE:
        return verb_capture(&options);
    case OPTIONS_DOCTOR:
        return verb_doctor(&options);
    case OPTIONS_HELP:
        return verb_help(program, &options);
    case OPTIONS_VERSION:
        printf("proa " PROA_VERSION "\n");
        return 0;
    }
    return CLI_EXIT_USAGE;
}
