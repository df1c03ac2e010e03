/* SPDX-License-Identifier: Apache-2.0 */
/* cluster_node SPEC STATE_DIR [KEY=VALUE...] - a node of the tests of linked registries.

   Does what the lines on its stdin say, and answers each with one line:

     spawn N [GROUP]    spawn N         workers; without GROUP they are of a published behaviour
     stop N             stop N          of the oldest workers
     part N GROUP       part OUTCOME    these leave the group, and live on
     join GROUP         join OUTCOME    of the boss himself; GROUP may be "long", of 256 bytes
     count GROUP        count N OWN OUTCOME
     balance N          balance ANSWERED WORKERS LOCAL NS     N asks of the balancer at once
     load GROUP         load            asks its members in turn from now on
     mark NODE          mark            counts asks that go there from now on
     rest               rest SENT OK OTHER MARKED     no more asks, and all have an outcome
     name NAME          name OUTCOME    registers a UNIQUE name for the boss
     who NAME           who OUTCOME NODE
     link add ADDRESS   link OUTCOME SENTENCE
     link remove WHICH  link OUTCOME SENTENCE
     leave              leave           in order; then the process ends

   and says by itself: ready ID ADDRESS; event KIND NODE TEXT; lost NAME; end WHY.
   KEY is seed, key (one byte for all of the cluster key), socket, published_max. */
#include <proa/client.h>
#include <proa/event.h>
#include <proa/group.h>
#include <proa/node.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cluster_boss.h"

#define COMMAND_FOR (15 * PROA_S)
#define JOIN_FOR (10 * PROA_S)

__attribute__((format(printf, 1, 2))) static void say(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    flockfile(stdout);
    vprintf(format, args);
    putchar('\n');
    fflush(stdout);
    funlockfile(stdout);
    va_end(args);
}

static int fail(const char *why)
{
    say("end %s", why);
    return 1;
}

static void on_event(void *ctx, const struct proa_event *event)
{
    (void)ctx;
    say("event %s %016llx %s", proa_event_name(event->kind),
        (unsigned long long)event->node, event->text);
}

static bool take_option(struct proa_config *config, const char *option)
{
    const char *value = strchr(option, '=');
    size_t key = value != NULL ? (size_t)(value++ - option) : 0;

    if (key == 4 && strncmp(option, "seed", key) == 0)
        snprintf(config->seeds[config->seed_count++], PROA_TEXT_MAX, "%s", value);
    else if (key == 3 && strncmp(option, "key", key) == 0)
        memset(config->cluster_key, (int)strtoul(value, NULL, 10), PROA_KEY_LEN);
    else if (key == 6 && strncmp(option, "socket", key) == 0)
        snprintf(config->socket, PROA_TEXT_MAX, "%s", value);
    else if (key == 13 && strncmp(option, "published_max", key) == 0)
        config->mesh_published_max = (uint32_t)strtoul(value, NULL, 10);
    else
        return false;
    return true;
}

static void do_link(struct proa_node *node, const char *line)
{
    char why[PROA_TEXT_MAX] = "";
    enum proa_outcome outcome;

    if (strncmp(line, "link add ", 9) == 0)
        outcome = proa_node_link_add(node, line + 9, why, sizeof(why));
    else
        outcome = proa_node_link_remove(node, line + 12, why, sizeof(why));
    say("link %s: %s", proa_outcome_name(outcome), why);
}

static void do_command(struct proa_client *client, struct proa_ref boss, const char *line)
{
    char answer[BOSS_LINE_MAX];
    size_t len = 0;
    enum proa_outcome outcome =
        proa_client_ask(client, boss, BOSS_COMMAND, line, strlen(line) + 1, COMMAND_FOR,
                        answer, sizeof(answer), &len);

    if (outcome == PROA_OK)
        say("%.*s", (int)len, answer);
    else
        say("failed %s: %s", line, proa_outcome_name(outcome));
}

static int run(struct proa_node *node)
{
    struct proa_client *client;
    struct proa_ref boss;
    char line[BOSS_LINE_MAX];
    enum proa_outcome outcome = proa_client_open(node, &client);

    if (outcome == PROA_OK)
        outcome =
            proa_client_spawn(client, 0, &boss_behaviour, NULL, 0, NULL, PROA_S, &boss);
    if (outcome != PROA_OK)
        return fail(proa_outcome_name(outcome));
    proa_node_address(node, line, sizeof(line));
    say("ready %016llx %s", (unsigned long long)proa_node_id(node), line);
    while (fgets(line, sizeof(line), stdin) != NULL) {
        line[strcspn(line, "\n")] = '\0';
        if (strcmp(line, "leave") == 0)
            break;
        if (strncmp(line, "link ", 5) == 0)
            do_link(node, line);
        else
            do_command(client, boss, line);
    }
    proa_client_close(client);
    proa_node_leave(node);
    say("leave");
    proa_node_close(node);
    return 0;
}

int main(int argc, char **argv)
{
    struct proa_config config;
    struct proa_node *node;
    char err[PROA_TEXT_MAX];

    if (argc < 3)
        return 2;
    proa_config_init(&config);
    config.port_count = 1;
    config.pages = PROA_PAGES_NONE;
    snprintf(config.ports[0].spec, PROA_TEXT_MAX, "%s", argv[1]);
    snprintf(config.state_dir, PROA_TEXT_MAX, "%s", argv[2]);
    config.has_cluster_key = true; /* all zero, unless said: a test's */
    for (int i = 3; i < argc; i++) {
        if (!take_option(&config, argv[i]))
            return 2;
    }
    if (proa_node_start(&config, &node, err, sizeof(err)) != PROA_OK)
        return fail(err);
    proa_node_on_event(node, on_event, NULL);
    if (proa_node_join(node, JOIN_FOR, err, sizeof(err)) != PROA_OK) {
        proa_node_close(node);
        return fail(err);
    }
    return run(node);
}
