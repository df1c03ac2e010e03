/* SPDX-License-Identifier: Apache-2.0 */
#include "perf_node.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "eal.h"
#include "lane.h"
#include "node_internal.h"
#include "perf_netns.h"
#include "port.h"

static uint32_t power_of_two(uint32_t least)
{
    uint32_t n = 1;

    while (n < least)
        n *= 2;
    return n;
}

static void local_spec(const struct perf_node_args *args, bool listens,
                       struct proa_port_config *port)
{
    const struct perf_options *o = args->options;

    switch (o->port) {
    case PERF_PORT_VHOST:
        snprintf(port->spec, sizeof(port->spec), "vhost:%s=%s/port",
                 listens ? "listen" : "connect", args->dir);
        break;
    case PERF_PORT_UDP:
        snprintf(port->spec, sizeof(port->spec), "udp:127.0.0.1:0");
        break;
    case PERF_PORT_AF_XDP:
        snprintf(port->spec, sizeof(port->spec), "af_xdp:" PERF_NETNS_INTERFACE);
        break;
    case PERF_PORT_ETHDEV:
        snprintf(port->spec, sizeof(port->spec), "ethdev:%s", o->devargs);
        snprintf(port->address, sizeof(port->address), PERF_NETNS_NET "%d/24",
                 1 + args->second);
        break;
    default:
        snprintf(port->spec, sizeof(port->spec), "ring:proa-perf-%d", (int)getpid());
        break;
    }
}

static void port_spec(const struct perf_node_args *args, struct proa_port_config *port)
{
    const struct perf_options *o = args->options;
    /* The second node sends.  The listening side is virtio-user, which sends faster. */
    bool listens = args->second != o->reverse;

    if (o->role != PERF_ROLE_BOTH) {
        snprintf(port->spec, sizeof(port->spec), "%s", o->remote.port);
        snprintf(port->address, sizeof(port->address), "%s", o->remote.address);
        snprintf(port->gateway, sizeof(port->gateway), "%s", o->remote.gateway);
    } else {
        local_spec(args, listens, port);
    }
    port->mtu = o->mtu;
    if (o->loss_ppm != 0 || o->duplicate_ppm != 0 || o->reorder_ppm != 0)
        port->faults = (struct proa_faults){.seed = 1 + args->second,
                                            .loss = o->loss_ppm,
                                            .duplicate = o->duplicate_ppm,
                                            .reorder = o->reorder_ppm};
}

/* What hello and the demo get: nobody told them of cores, idling and slots. */
static void untuned(struct proa_config *config)
{
    struct proa_config initial;

    proa_config_init(&initial);
    memcpy(config->cores, initial.cores, sizeof(config->cores));
    config->idle = initial.idle;
    config->pages = initial.pages;
    config->actors_max = initial.actors_max;
}

bool perf_node_start(struct perf_node *n, const struct perf_node_args *args, char *err,
                     size_t err_len)
{
    const struct perf_options *o = args->options;
    struct proa_config config;

    memset(n, 0, sizeof(*n));
    proa_config_init(&config);
    port_spec(args, &config.ports[0]);
    config.port_count = 1;
    if (args->seed != NULL) {
        snprintf(config.seeds[0], sizeof(config.seeds[0]), "%s", args->seed);
        config.seed_count = 1;
    }
    memcpy(config.cluster_key, args->cluster_key, sizeof(config.cluster_key));
    config.has_cluster_key = true;
    snprintf(config.state_dir, sizeof(config.state_dir), "%s/%s", args->dir,
             args->second ? "second" : "first");
    mkdir(config.state_dir, 0700);
    config.lanes = args->lanes;
    for (unsigned i = 0; i < args->lanes; i++)
        config.cores[i] = (args->core + (int)i) % (int)sysconf(_SC_NPROCESSORS_ONLN);
    config.idle = o->idle;
    config.pages = o->no_huge ? PROA_PAGES_NONE : PROA_PAGES_AUTO;
    /* Of a server the client says later what it sends. */
    bool large = o->role == PERF_ROLE_SERVER || o->size > 1u << 20 || o->bulk > 1u << 20;
    config.message_max = large ? PERF_SIZE_MAX : 0;
    config.actors_max = power_of_two(o->receivers + 1024);
    if (o->defaults)
        untuned(&config);
    if (proa_node_start(&config, &n->node, err, err_len) != PROA_OK)
        return false;
    if (proa_node_join(n->node, PERF_JOIN_FOR, err, err_len) != PROA_OK)
        return false;
    if (proa_client_open(n->node, &n->client) != PROA_OK) {
        snprintf(err, err_len, "no client of the node");
        return false;
    }
    return true;
}

void perf_node_stop(struct perf_node *n)
{
    if (n->client != NULL)
        proa_client_close(n->client);
    proa_node_close(n->node);
    memset(n, 0, sizeof(*n));
}

bool perf_node_spawn(struct perf_node *n, uint32_t lane,
                     const struct proa_behaviour *behaviour, const void *arg,
                     size_t arg_len, struct proa_ref *ret, char *err, size_t err_len)
{
    enum proa_outcome outcome = proa_client_spawn(n->client, lane, behaviour, arg,
                                                  arg_len, NULL, PERF_SPAWN_FOR, ret);

    if (outcome == PROA_OK)
        return true;
    snprintf(err, err_len, "spawning a %s: %s", behaviour->type_name,
             proa_outcome_name(outcome));
    return false;
}

static uint64_t relaxed(const _Atomic uint64_t *counter)
{
    return atomic_load_explicit(counter, memory_order_relaxed);
}

static void busiest_link(struct lane *lane, struct perf_node_stats *ret)
{
    struct lane_link_info links[16];
    unsigned n = lane_links(lane, links, 16);
    const struct link_stats *best = NULL;

    for (unsigned i = 0; i < n; i++) {
        if (best == NULL || links[i].stats.tx_packets > best->tx_packets)
            best = &links[i].stats;
    }
    ret->links = n;
    if (best == NULL)
        return;
    ret->tx_packets = best->tx_packets;
    ret->tx_messages = best->tx_messages;
    ret->rx_packets = best->rx_packets;
    ret->rx_messages = best->rx_messages;
    ret->acks_tx = best->acks_tx;
    ret->acks_rx = best->acks_rx;
    ret->resends = best->resends;
    ret->spurious = best->spurious;
    ret->rto = best->rto;
    ret->again = best->again;
    ret->cwnd = best->cwnd;
    ret->window = best->window;
    ret->srtt_ns = best->srtt_ns;
    ret->min_rtt_ns =
        best->min_rtt_ns == UINT64_MAX ? 0 : best->min_rtt_ns; /* none yet */
}

void perf_node_stats(const struct perf_node *n, uint32_t index,
                     struct perf_node_stats *ret)
{
    const struct proa_node *node = n->node;
    struct lane *lane = node->lanes[index].lane;
    const struct lane_stats *stats = lane_stats(lane);
    const struct sched_stats *sched = sched_stats(lane_sched(lane));
    struct port_stats port;

    memset(ret, 0, sizeof(*ret));
    busiest_link(lane, ret);
    port_stats_sum(node->ports[0], &port);
    for (int i = 0; i < PORT_DROP_COUNT; i++)
        ret->port_drops += relaxed(&port.drops[i]);
    ret->loops = relaxed(&stats->loops);
    ret->busy_loops = relaxed(&stats->busy_loops);
    ret->busy_ns = relaxed(&stats->busy_ns);
    ret->idle_ns = relaxed(&stats->idle_ns);
    ret->loop_gap_max_ns = relaxed(&stats->gap_max_ns);
    ret->in_place = relaxed(&sched->in_place);
    ret->mailbox = relaxed(&sched->mailbox);
    ret->huge = node->on_dpdk && eal_huge();
}

void perf_node_counts(const struct perf_node *n, uint32_t index,
                      struct perf_node_counts *ret)
{
    const struct proa_node *node = n->node;
    struct lane *lane = node->lanes[index].lane;
    const struct lane_stats *stats = lane_stats(lane);
    const struct sched_stats *sched = sched_stats(lane_sched(lane));
    struct port_stats port;

    port_stats_sum(node->ports[0], &port);
    *ret = (struct perf_node_counts){
        .messages = relaxed(&sched->in_place) + relaxed(&sched->mailbox),
        .rx = relaxed(&stats->rx),
        .punted = relaxed(&stats->punted),
        .punt_full = relaxed(&stats->punt_full),
        .unknown_link = relaxed(&stats->unknown_link),
        .wrong_source = relaxed(&stats->wrong_source),
        .short_packets = relaxed(&stats->short_packets),
    };
    for (int i = 0; i < PORT_DROP_COUNT; i++)
        ret->port_drops += relaxed(&port.drops[i]);
}

void perf_node_counts_add(struct perf_node_counts *sum,
                          const struct perf_node_counts *from,
                          const struct perf_node_counts *to)
{
    sum->messages += to->messages - from->messages;
    sum->rx += to->rx - from->rx;
    sum->punted += to->punted - from->punted;
    sum->punt_full += to->punt_full - from->punt_full;
    sum->unknown_link += to->unknown_link - from->unknown_link;
    sum->wrong_source += to->wrong_source - from->wrong_source;
    sum->short_packets += to->short_packets - from->short_packets;
    sum->port_drops += to->port_drops - from->port_drops;
}

void perf_node_port_state(const struct perf_node *n, char *buf, size_t len)
{
    struct port *port = n->node->ports[0];

    port->ops->state(port, buf, len);
}

/* Lane n is lcore n + 1, and DPDK names its thread; without DPDK the node does. */
int perf_node_lane_thread(uint32_t lane)
{
    DIR *dir = opendir("/proc/self/task");
    char dpdk[32], plain[32];
    struct dirent *entry;
    int found = 0;

    if (dir == NULL)
        return 0;
    snprintf(dpdk, sizeof(dpdk), "rte-worker-%u\n", lane + 1);
    snprintf(plain, sizeof(plain), "proa-lane-%u\n", lane);
    while (found == 0 && (entry = readdir(dir)) != NULL) {
        char path[320], name[32] = "";
        FILE *file;

        snprintf(path, sizeof(path), "/proc/self/task/%s/comm", entry->d_name);
        file = fopen(path, "re");
        if (file == NULL)
            continue;
        if (fgets(name, sizeof(name), file) != NULL &&
            (strcmp(name, dpdk) == 0 || strcmp(name, plain) == 0))
            found = atoi(entry->d_name);
        fclose(file);
    }
    closedir(dir);
    return found;
}

proa_ns perf_node_thread_ran(int thread)
{
    unsigned long long ran = 0;
    char path[64];
    FILE *file;

    snprintf(path, sizeof(path), "/proc/self/task/%d/schedstat", thread);
    file = fopen(path, "re");
    if (file == NULL)
        return 0;
    if (fscanf(file, "%llu", &ran) != 1)
        ran = 0;
    fclose(file);
    return ran;
}
