/* SPDX-License-Identifier: Apache-2.0 */
/* kill_peer a|b SPEC ADDRESS SEED|- STATE_DIR [KEY=VALUE...] - one side of test_kill.py and others.

   A node with an echo actor of its own, and an asker that keeps WINDOW asks under way to the other
   side's echo: finds it by name, and when an ask fails, says so and finds it again.  KEY is
   lanes (then there is such a pair on each lane), gateway, vlan or mtu.  Lines:

     ready                       the node has joined
     talks                       the first answer since the other side was found, of each pair
     lost OUTCOME MS GAP_MS      an ask failed, MS after the last answer; the longest time between
                                 two turns of this lane's timer since the last line
     end OUTCOME                 nothing more will happen
   */
#include <proa/client.h>
#include <proa/le.h>
#include <proa/node.h>
#include <proa/registry.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define WINDOW 16u
#define ASK_FOR (60 * PROA_S) /* far longer than a death may take to be noticed */
#define FIND_FOR (600 * PROA_S)
#define TICK (1 * PROA_MS)

enum { PEER_ECHO = 1 };

static void on_echo(struct proa_actor *self, const struct proa_msg *msg)
{
    proa_reply(self, msg, msg->data, msg->len);
}

static const struct proa_on echo_on[] = {{PEER_ECHO, 8, on_echo}};
static const struct proa_behaviour echo = {
    .type_name = "peer.echo", .on = echo_on, .on_count = 1};

struct asker {
    char other[24]; /* the name it asks */
    struct proa_ref ref;
    uint64_t round; /* asks of an earlier one are no longer minded */
    uint64_t sent;
    uint32_t under_way;
    bool talks;
    proa_ns heard, ticked, gap;
};

/* What an ask takes along. */
struct question {
    uint64_t round, number;
};

static proa_ns clock_now(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (proa_ns)ts.tv_sec * PROA_S + (proa_ns)ts.tv_nsec;
}

static void find(struct proa_actor *self, uint64_t cookie);
static void fill(struct proa_actor *self);

static void search_later(struct proa_actor *self)
{
    struct proa_timer timer;

    proa_timer_start(self, 5 * PROA_MS, find, 0, &timer);
}

static void lose(struct proa_actor *self, enum proa_outcome outcome)
{
    struct asker *a = proa_state(self);

    if (a->talks)
        printf("lost %s, %llu %llu\n", proa_outcome_name(outcome),
               (unsigned long long)((clock_now() - a->heard) / PROA_MS),
               (unsigned long long)(a->gap / PROA_MS));
    fflush(stdout);
    a->gap = 0;
    a->talks = false;
    a->round++;
    a->under_way = 0;
    search_later(self);
}

static void on_answer(struct proa_actor *self, const struct proa_answer *answer,
                      const void *ctx)
{
    struct asker *a = proa_state(self);
    struct question q;

    memcpy(&q, ctx, sizeof(q));
    if (q.round != a->round)
        return;
    if (answer->outcome != PROA_OK) {
        lose(self, answer->outcome);
        return;
    }
    if (answer->len != 8 || proa_get_le64(answer->data) != q.number) {
        printf("end wrong answer\n");
        fflush(stdout);
        _exit(1);
    }
    a->heard = clock_now();
    a->under_way--;
    if (!a->talks) {
        a->talks = true;
        a->gap = 0;
        printf("talks\n");
        fflush(stdout);
    }
    fill(self);
}

static void fill(struct proa_actor *self)
{
    struct asker *a = proa_state(self);

    while (a->under_way < WINDOW) {
        struct question q = {a->round, a->sent};
        uint8_t data[8];
        enum proa_outcome outcome;

        proa_put_le64(data, a->sent);
        outcome = proa_ask(self, a->ref, PEER_ECHO, data, sizeof(data), ASK_FOR,
                           on_answer, &q, sizeof(q));
        if (outcome == PROA_AGAIN && a->under_way > 0)
            return; /* the next answer goes on */
        if (outcome != PROA_OK) {
            lose(self, outcome);
            return;
        }
        a->sent++;
        a->under_way++;
    }
}

static void on_found(struct proa_actor *self, const struct proa_name_answer *answer,
                     const void *ctx)
{
    struct asker *a = proa_state(self);

    (void)ctx;
    if (answer->outcome != PROA_OK) {
        search_later(self);
        return;
    }
    a->ref = answer->ref;
    a->heard = clock_now();
    fill(self);
}

static void find(struct proa_actor *self, uint64_t cookie)
{
    struct asker *a = proa_state(self);

    (void)cookie;
    if (proa_lookup_wait(self, a->other, FIND_FOR, on_found, NULL, 0) != PROA_OK)
        search_later(self);
}

static void on_tick(struct proa_actor *self, uint64_t cookie)
{
    struct asker *a = proa_state(self);
    struct proa_timer timer;
    proa_ns now = clock_now();

    if (a->ticked != 0 && now - a->ticked > a->gap)
        a->gap = now - a->ticked;
    a->ticked = now;
    proa_timer_start(self, TICK, on_tick, cookie, &timer);
}

static int asker_start(struct proa_actor *self, const void *arg, size_t arg_len)
{
    struct asker *a = proa_state(self);

    memcpy(a->other, arg, arg_len);
    on_tick(self, 0);
    find(self, 0);
    return 0;
}

static const struct proa_behaviour asker = {
    .type_name = "peer.asker", .state_size = sizeof(struct asker), .start = asker_start};

static bool take_option(struct proa_config *config, const char *option)
{
    struct proa_port_config *port = &config->ports[0];
    const char *value = strchr(option, '=');
    size_t key = value != NULL ? (size_t)(value++ - option) : 0;

    if (key == 5 && strncmp(option, "lanes", key) == 0)
        config->lanes = (unsigned)strtoul(value, NULL, 10);
    else if (key == 4 && strncmp(option, "vlan", key) == 0)
        port->vlan = (uint32_t)strtoul(value, NULL, 10);
    else if (key == 3 && strncmp(option, "mtu", key) == 0)
        port->mtu = (uint32_t)strtoul(value, NULL, 10);
    else if (key == 7 && strncmp(option, "gateway", key) == 0)
        snprintf(port->gateway, PROA_TEXT_MAX, "%s", value);
    else
        return false;
    return true;
}

static enum proa_outcome start_pair(struct proa_client *client, unsigned lane, bool is_a)
{
    char own[24], other[24];
    struct proa_ref ref;
    enum proa_outcome outcome;

    snprintf(own, sizeof(own), "peer_%c%u", is_a ? 'a' : 'b', lane);
    snprintf(other, sizeof(other), "peer_%c%u", is_a ? 'b' : 'a', lane);
    outcome = proa_client_spawn(client, lane, &echo, NULL, 0, own, 60 * PROA_S, &ref);
    if (outcome == PROA_OK)
        outcome = proa_client_spawn(client, lane, &asker, other, strlen(other) + 1, NULL,
                                    PROA_S, &ref);
    return outcome;
}

int main(int argc, char **argv)
{
    struct proa_config config;
    struct proa_node *node;
    struct proa_client *client;
    char err[PROA_TEXT_MAX];
    sigset_t wait_for_run;

    if (argc < 6)
        return 2;
    bool is_a = strcmp(argv[1], "a") == 0;
    /* TERM may come as soon as the actors talk: it waits until the node is run. */
    sigemptyset(&wait_for_run);
    sigaddset(&wait_for_run, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &wait_for_run, NULL);
    proa_config_init(&config);
    config.port_count = 1;
    snprintf(config.ports[0].spec, PROA_TEXT_MAX, "%s", argv[2]);
    snprintf(config.ports[0].address, PROA_TEXT_MAX, "%s", argv[3]);
    config.seed_count = strcmp(argv[4], "-") != 0;
    snprintf(config.seeds[0], PROA_TEXT_MAX, "%s", argv[4]);
    snprintf(config.state_dir, PROA_TEXT_MAX, "%s", argv[5]);
    config.has_cluster_key = true; /* all zero: a test's */
    for (int i = 6; i < argc; i++) {
        if (!take_option(&config, argv[i]))
            return 2;
    }
    if (proa_node_start(&config, &node, err, sizeof(err)) != PROA_OK ||
        proa_node_join(node, 60 * PROA_S, err, sizeof(err)) != PROA_OK) {
        printf("end %s\n", err);
        return 1;
    }
    printf("ready\n");
    fflush(stdout);
    enum proa_outcome outcome = proa_client_open(node, &client);
    for (unsigned lane = 0; lane < config.lanes && outcome == PROA_OK; lane++)
        outcome = start_pair(client, lane, is_a);
    if (outcome != PROA_OK) {
        printf("end %s\n", proa_outcome_name(outcome));
        return 1;
    }
    proa_client_close(client); /* the actors stay */
    proa_node_run(node);
    return 0;
}
