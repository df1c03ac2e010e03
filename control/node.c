/* SPDX-License-Identifier: Apache-2.0 */
#include <proa/node.h>
#include <proa/offload.h>
#include <errno.h>
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "addr.h"
#include "cli_server.h"
#include "node_build.h"
#include "node_internal.h"
#include "telemetry.h"

#define NODE_LEAVE_FOR (2 * PROA_S) /* longest good-bye.  Source: node.h */

uint64_t proa_node_id(const struct proa_node *node)
{
    return core_node(node->core);
}

void proa_node_address(const struct proa_node *node, char *buf, size_t len)
{
    addr_print(&node->address, buf, len);
}

struct client_home *node_client_home(struct proa_node *node)
{
    return &node->home;
}

enum proa_outcome proa_client_open(struct proa_node *node, struct proa_client **ret)
{
    /* relaxed: a client opened while the node stops is refused a moment later all the same. */
    if (atomic_load_explicit(&node->stopping, memory_order_relaxed))
        return PROA_STOPPED;
    return client_open(&node->home, ret);
}

static enum proa_outcome check_config(const struct proa_config *config, char *err,
                                      size_t err_len)
{
    const char *why = NULL;

    if (config->port_count == 0)
        why = "no port: give at least one, e.g. \"udp:127.0.0.1:7400\"";
    else if (config->port_count > PROA_PORTS_MAX)
        why = "more than 8 ports";
    else if (config->seed_count > PROA_SEEDS_MAX)
        why = "more than 16 seeds";
    else if (config->lanes > PROA_LANES_MAX)
        why = "more than 64 lanes";
    else if (config->message_max > 16u << 20)
        why = "message_max is over 16 MiB";
    else if (config->actors_max > 1u << 24)
        why = "actors_max is over 16,777,216";
    else if (config->offload_threads > PROA_OFFLOAD_THREADS_MAX)
        why = "offload_threads is over 64";
    else if (config->mesh_nodes_max > MESH_NODES_MAX)
        why = "mesh_nodes_max is over 1,024";
    else if (config->mesh_published_max > MESH_PUBLISHED_MAX)
        why = "mesh_published_max is over 65,536";
    else if (config->seccomp_allow_count > PROA_SYSCALLS_MAX)
        why = "more than 64 calls in seccomp_allow";
    if (why == NULL)
        return PROA_OK;
    snprintf(err, err_len, "%s", why);
    return PROA_BAD_CONFIG;
}

static void take_defaults(struct proa_config *config)
{
    if (config->lanes == 0)
        config->lanes = 1;
    if (config->message_max == 0)
        config->message_max = 1u << 20;
    if (config->actors_max == 0)
        config->actors_max = 1u << 16;
    if (config->idle == PROA_IDLE_DEFAULT)
        config->idle = PROA_IDLE_ADAPTIVE;
}

static bool init_sync(struct proa_node *node)
{
    pthread_condattr_t attr;

    pthread_mutex_init(&node->mutex, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&node->changed, &attr);
    pthread_condattr_destroy(&attr);
    return doorbell_init(&node->control_bell);
}

enum proa_outcome proa_node_start(const struct proa_config *config,
                                  struct proa_node **ret, char *err, size_t err_len)
{
    char nowhere[PROA_TEXT_MAX];
    enum proa_outcome outcome;

    if (err == NULL || err_len == 0) {
        err = nowhere;
        err_len = sizeof(nowhere);
    }
    err[0] = '\0';
    outcome = check_config(config, err, err_len);
    if (outcome != PROA_OK)
        return outcome;
    struct proa_node *node = aligned_alloc(alignof(struct proa_node), sizeof(*node));
    if (node != NULL)
        memset(node, 0, sizeof(*node));
    if (node == NULL || sodium_init() < 0 || !init_sync(node)) {
        free(node);
        snprintf(err, err_len, "no memory or no descriptor for a node");
        return PROA_NO_MEMORY;
    }
    node->config = *config;
    node->state.lock = -1;
    take_defaults(&node->config);
    outcome = node_build(node, err, err_len);
    if (outcome != PROA_OK) {
        node_tear_down(node);
        return outcome;
    }
    *ret = node;
    return PROA_OK;
}

struct proa_node *proa_node_udp(const char *address, const char *seed)
{
    struct proa_config config;
    struct proa_node *node;
    char err[PROA_TEXT_MAX];

    proa_config_init(&config);
    config.port_count = 1;
    snprintf(config.ports[0].spec, sizeof(config.ports[0].spec), "udp:%s", address);
    if (seed != NULL) {
        config.seed_count = 1;
        snprintf(config.seeds[0], sizeof(config.seeds[0]), "%s", seed);
    }
    if (proa_node_start(&config, &node, err, sizeof(err)) == PROA_OK)
        return node;
    fprintf(stderr, "proa: %s\n", err);
    return NULL;
}

void proa_node_leave(struct proa_node *node)
{
    bool stopping = atomic_exchange(&node->stopping, true);

    /* relaxed: a request that slips through is answered by the lane all the same. */
    atomic_store_explicit(&node->home.stopped, true, memory_order_relaxed);
    if (!stopping && node->control_running)
        thread_leave(node, NODE_LEAVE_FOR);
}

void proa_node_close(struct proa_node *node)
{
    if (node == NULL)
        return;
    proa_node_leave(node);
    node_tear_down(node);
}

void proa_node_run(struct proa_node *node)
{
    sigset_t wanted, before;
    int sig;

    sigemptyset(&wanted);
    sigaddset(&wanted, SIGINT);
    sigaddset(&wanted, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &wanted, &before);
    while (sigwait(&wanted, &sig) != 0)
        ;
    proa_node_close(node);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}
