/* SPDX-License-Identifier: Apache-2.0 */
/* counter.c - an actor that others find by name, from another process or machine.

     ./counter serve          makes a counter and registers it as my_actor
     ./counter ask            looks it up and adds 10 to it: "Incremented count: 10"
     ./counter wait           the same, but waits until somebody has registered it

   A further word is another name than my_actor:  ./counter ask nobody  says "Actor not found". */
#include <proa/client.h>
#include <proa/node.h>

#include <stdio.h>
#include <string.h>

#define HERE "127.0.0.1:7410" /* of the one that serves; the others take any free port */

/* ---- The protocol: what a counter understands ---- */

enum { COUNTER_INC = 1 }; /* struct inc; the reply is the new count, a uint64_t */

struct inc {
    uint64_t amount;
};

/* ---- The actor ---- */

struct counter {
    uint64_t count;
};

static void on_inc(struct proa_actor *self, const struct proa_msg *msg)
{
    struct counter *counter = proa_state(self);
    const struct inc *inc = msg->data; /* as long as the table below says, and aligned */

    counter->count += inc->amount;
    proa_reply(self, msg, &counter->count, sizeof(counter->count));
}

static const struct proa_on counter_on[] = {{COUNTER_INC, sizeof(struct inc), on_inc}};
static const struct proa_behaviour counter = {.type_name = "counter",
                                              .state_size = sizeof(struct counter),
                                              .on = counter_on,
                                              .on_count = 1};

/* ---- The two sides ---- */

static int fail(const char *what, enum proa_outcome outcome)
{
    fprintf(stderr, "counter: %s: %s\n", what, proa_outcome_name(outcome));
    return 1;
}

static int serve(struct proa_client *client, const char *name)
{
    struct proa_ref ref;
    enum proa_outcome outcome =
        proa_client_spawn(client, 0, &counter, NULL, 0, name, 5 * PROA_S, &ref);

    if (outcome != PROA_OK)
        return fail(name, outcome);
    printf("%s counts; Ctrl-C ends it\n", name);
    fflush(stdout);
    return 0;
}

static int ask(struct proa_client *client, const char *name, bool wait)
{
    const struct inc inc = {.amount = 10};
    enum proa_outcome outcome;
    struct proa_ref ref;
    uint64_t count;

    if (wait)
        outcome = proa_client_lookup_wait(client, name, "counter", 60 * PROA_S, &ref);
    else
        outcome = proa_client_lookup(client, name, "counter", 5 * PROA_S, &ref);
    if (outcome == PROA_NOT_FOUND) {
        printf("Actor not found\n");
        return 1;
    }
    if (outcome != PROA_OK)
        return fail(name, outcome);
    outcome = proa_client_ask(client, ref, COUNTER_INC, &inc, sizeof(inc), PROA_S, &count,
                              sizeof(count), NULL);
    if (outcome != PROA_OK)
        return fail("increment", outcome);
    printf("Incremented count: %llu\n", (unsigned long long)count);
    return 0;
}

int main(int argc, char **argv)
{
    const char *verb = argc > 1 ? argv[1] : "", *name = argc > 2 ? argv[2] : "my_actor";
    bool serves = strcmp(verb, "serve") == 0, waits = strcmp(verb, "wait") == 0;
    struct proa_client *client;
    struct proa_node *node;
    char err[PROA_TEXT_MAX];
    int status;

    if (!serves && !waits && strcmp(verb, "ask") != 0) {
        fprintf(stderr, "usage: counter serve|ask|wait [NAME]\n");
        return 2;
    }
    node = serves ? proa_node_udp(HERE, NULL) : proa_node_udp("127.0.0.1:0", HERE);
    if (node == NULL || proa_client_open(node, &client) != PROA_OK)
        return 1; /* the first has said why */
    if (serves) {
        status = serve(client, name);
    } else if (!waits && proa_node_join(node, 5 * PROA_S, err, sizeof(err)) != PROA_OK) {
        fprintf(stderr, "counter: %s\n", err);
        status = 1;
    } else {
        status = ask(client, name, waits);
    }
    proa_client_close(client);
    if (serves && status == 0)
        proa_node_run(node); /* until Ctrl-C; it closes the node */
    else
        proa_node_close(node);
    return status;
}
