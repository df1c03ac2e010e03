/* SPDX-License-Identifier: Apache-2.0 */
#include "telemetry.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <rte_telemetry.h>

#include "node_internal.h"
#include "scheduler.h"

#define LINKS_SHOWN 16 /* of a lane: DPDK's answers have at most 16 KiB */

/* The node that commands speak of.  DPDK cannot forget a command, so they outlive nodes. */
static struct {
    pthread_mutex_t lock;
    struct proa_node *node;
    bool registered;
} telemetry = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* ---- Rows: a counter's name and where it lies in its structure ---- */

struct row {
    const char *name;
    size_t offset;
    bool largest; /* of several lanes the largest counts, not the sum */
};

#define LANE(field)                                                                      \
    {                                                                                    \
#field, offsetof(struct lane_stats, field), false                                \
    }
#define SCHED(field)                                                                     \
    {                                                                                    \
#field, offsetof(struct sched_stats, field), false                               \
    }
#define LINK(field)                                                                      \
    {                                                                                    \
#field, offsetof(struct link_stats, field), false                                \
    }
#define CORE(field)                                                                      \
    {                                                                                    \
#field, offsetof(struct core_stats, field), false                                \
    }
#define KAD(field)                                                                       \
    {                                                                                    \
#field, offsetof(struct kad_stats, field), false                                 \
    }
#define DIRECTORY(field)                                                                 \
    {                                                                                    \
#field, offsetof(struct directory_stats, field), false                           \
    }
#define COUNT(rows) (sizeof(rows) / sizeof((rows)[0]))

static const struct row lane_rows[] = {
    LANE(loops),
    LANE(busy_loops),
    LANE(sleeps),
    {"gap_max_ns", offsetof(struct lane_stats, gap_max_ns), true},
    {"recent_gap_ns", offsetof(struct lane_stats, recent_gap_ns), true},
    LANE(rx),
    LANE(tx),
    LANE(punted),
    LANE(links),
    LANE(links_opened),
    LANE(links_dead),
    LANE(links_reset),
    LANE(misdirected),
    LANE(pending),
};

static const struct row lane_drop_rows[] = {
    LANE(tx_short),        LANE(punt_full),        LANE(unknown_link),
    LANE(wrong_source),    LANE(misdirected_full), LANE(short_packets),
    LANE(no_route),        LANE(pending_full),     LANE(lost_sent),
    LANE(lost_unsent),     LANE(sysmsg_bad),       LANE(refusals_dropped),
    LANE(replies_dropped),
};

static const struct row sched_rows[] = {
    SCHED(actors),         SCHED(clients),   SCHED(asks_waiting), SCHED(tokens_held),
    SCHED(timers_running), SCHED(slab_used), SCHED(bulk_used),    SCHED(refs_blocked),
    SCHED(slots_retired),  SCHED(spawned),   SCHED(stopped),      SCHED(spawn_failed),
    SCHED(delivered),      SCHED(in_place),  SCHED(mailbox),      SCHED(cross_in),
    SCHED(cross_out),      SCHED(inbox),     SCHED(tells),        SCHED(asks),
    SCHED(replies),        SCHED(handlers),  SCHED(timers),       SCHED(answered),
    SCHED(expired),        SCHED(link_lost), SCHED(abandoned),    SCHED(again),
    SCHED(undelivered),
};

static const struct row sched_drop_rows[] = {
    SCHED(undelivered_nobody), SCHED(refusals_merged), SCHED(late_replies),
    SCHED(replies_lost),       SCHED(tokens_expired),  SCHED(signals_dropped),
    SCHED(names_late),         SCHED(stops_stale),     SCHED(up_full),
    SCHED(malformed),          SCHED(client_dropped),
};

static const struct row link_rows[] = {
    LINK(tx_packets),   LINK(tx_messages),  LINK(rx_packets), LINK(rx_messages),
    LINK(acks_tx),      LINK(acks_rx),      LINK(resends),    LINK(spurious),
    LINK(rto),          LINK(probes),       LINK(pings),      LINK(rx_duplicate),
    LINK(rx_outside),   LINK(rx_malformed), LINK(rx_held),    LINK(rx_dropped_held),
    LINK(refusals),     LINK(again),        LINK(bulk_tx),    LINK(bulk_rx),
    LINK(bulk_aborted), LINK(srtt_ns),      LINK(rttvar_ns),  LINK(min_rtt_ns),
    LINK(cwnd),         LINK(inflight),     LINK(window),
};

static const struct row core_rows[] = {
    CORE(datagrams), CORE(syn_tx),     CORE(syn_rx),     CORE(synack_rx),
    CORE(open_rx),   CORE(ping_tx),    CORE(ping_rx),    CORE(pong_rx),
    CORE(rst_tx),    CORE(rst_rx),     CORE(close_rx),   CORE(opened),
    CORE(failed),    CORE(dead_nodes), CORE(gone_nodes), CORE(names),
};

static const struct row core_drop_rows[] = {
    CORE(unroutable),       CORE(keyed_bad_mac),     CORE(keyed_malformed),
    CORE(keyed_unexpected), CORE(admission_refused), CORE(down_full),
    CORE(names_refused),
};

static const struct row kad_rows[] = {
    KAD(rx),   KAD(tx),   KAD(queries), KAD(answers), KAD(timeouts), KAD(lookups),
    KAD(puts), KAD(gets), KAD(stored),  KAD(refused), KAD(notifies), KAD(watches),
};

static const struct row kad_drop_rows[] = {
    KAD(rx_dropped_mac), KAD(rx_dropped_old), KAD(rx_malformed),
    KAD(rx_unexpected),  KAD(rx_limited),
};

static const struct row directory_rows[] = {
    DIRECTORY(names),    DIRECTORY(absent),    DIRECTORY(nodes),      DIRECTORY(puts),
    DIRECTORY(removes),  DIRECTORY(full),      DIRECTORY(collisions), DIRECTORY(no_node),
    DIRECTORY(rehashes), DIRECTORY(reclaimed), DIRECTORY(pending),
};

static void add(struct rte_tel_data *d, const char *prefix, const char *name,
                uint64_t value)
{
    char full[RTE_TEL_MAX_STRING_LEN + 16];

    snprintf(full, sizeof(full), "%s%s", prefix, name);
    rte_tel_data_add_dict_u64(d, full, value);
}

/* Counters that nobody writes meanwhile: a copy. */
static void add_plain(struct rte_tel_data *d, const char *prefix, const struct row *rows,
                      size_t count, const void *stats)
{
    for (size_t i = 0; i < count; i++) {
        uint64_t value;
        memcpy(&value, (const char *)stats + rows[i].offset, sizeof(value));
        add(d, prefix, rows[i].name, value);
    }
}

/* ---- Lanes ---- */

static const void *stats_of_lane(const struct proa_node *node, unsigned lane)
{
    return lane_stats(node->lanes[lane].lane);
}

static const void *stats_of_sched(const struct proa_node *node, unsigned lane)
{
    return sched_stats(lane_sched(node->lanes[lane].lane));
}

struct lanes {
    unsigned first, end;
};

/* One counter over lanes.  relaxed: each lane writes its own; a sum of moments is enough. */
static uint64_t over_lanes(const struct proa_node *node, struct lanes lanes,
                           const void *(*stats)(const struct proa_node *, unsigned),
                           const struct row *row)
{
    uint64_t value = 0;

    for (unsigned i = lanes.first; i < lanes.end; i++) {
        const char *base = stats(node, i);
        const _Atomic uint64_t *at =
            (const _Atomic uint64_t *)(const void *)(base + row->offset);
        uint64_t one = atomic_load_explicit(at, memory_order_relaxed);
        if (!row->largest)
            value += one;
        else if (one > value)
            value = one;
    }
    return value;
}

static void add_lanes(struct rte_tel_data *d, const char *prefix, const struct row *rows,
                      size_t count, const struct proa_node *node, struct lanes lanes,
                      const void *(*stats)(const struct proa_node *, unsigned))
{
    for (size_t i = 0; i < count; i++)
        add(d, prefix, rows[i].name, over_lanes(node, lanes, stats, &rows[i]));
}

/* Reads the parameter: a lane's number, or nothing for all.  False: there is no such lane. */
static bool read_lanes(const struct proa_node *node, const char *params,
                       struct lanes *ret)
{
    char *end;
    unsigned long lane;

    *ret = (struct lanes){0, node->lane_count};
    if (params == NULL || params[0] == '\0')
        return true;
    lane = strtoul(params, &end, 10);
    if (params[0] < '0' || params[0] > '9' || *end != '\0' || lane >= node->lane_count)
        return false;
    *ret = (struct lanes){(unsigned)lane, (unsigned)lane + 1};
    return true;
}

/* ---- Commands.  Each with the lock held and a node there; false: bad parameter. ---- */

static bool say_lanes(struct proa_node *node, const char *params, struct rte_tel_data *d)
{
    struct lanes lanes;

    if (!read_lanes(node, params, &lanes))
        return false;
    add(d, "", "lanes", node->lane_count);
    add_lanes(d, "", lane_rows, COUNT(lane_rows), node, lanes, stats_of_lane);
    return true;
}

static bool say_actors(struct proa_node *node, const char *params, struct rte_tel_data *d)
{
    struct lanes lanes;

    if (!read_lanes(node, params, &lanes))
        return false;
    add_lanes(d, "", sched_rows, COUNT(sched_rows), node, lanes, stats_of_sched);
    return true;
}

static void say_link(struct rte_tel_data *d, unsigned lane, unsigned number,
                     const struct lane_link_info *info)
{
    struct rte_tel_data *inner = rte_tel_data_alloc();
    char text[32];

    if (inner == NULL)
        return;
    rte_tel_data_start_dict(inner);
    snprintf(text, sizeof(text), "%016llx", (unsigned long long)info->node);
    rte_tel_data_add_dict_string(inner, "node", text);
    rte_tel_data_add_dict_u64(inner, "sending", info->sending);
    add_plain(inner, "", link_rows, COUNT(link_rows), &info->stats);
    snprintf(text, sizeof(text), "lane_%u_link_%u", lane, number);
    rte_tel_data_add_dict_container(d, text, inner, 0);
}

static bool say_links(struct proa_node *node, const char *params, struct rte_tel_data *d)
{
    struct lane_link_info infos[LINKS_SHOWN];
    struct lanes lanes;
    unsigned shown = 0;

    if (!read_lanes(node, params, &lanes))
        return false;
    for (unsigned i = lanes.first; i < lanes.end && shown < LINKS_SHOWN; i++) {
        unsigned count = lane_links(node->lanes[i].lane, infos, LINKS_SHOWN - shown);
        for (unsigned j = 0; j < count; j++)
            say_link(d, i, j, &infos[j]);
        shown += count;
    }
    return true;
}

struct tables {
    struct directory_stats directory;
    struct kad_stats kad;
    struct core_stats core;
};

static void copy_tables(struct proa_node *node, void *ctx)
{
    struct tables *tables = ctx;

    directory_stats(node->directory, &tables->directory);
    kad_stats(core_kad(node->core), &tables->kad);
    core_stats(node->core, &tables->core);
}

static bool say_directory(struct proa_node *node, const char *params,
                          struct rte_tel_data *d)
{
    struct tables tables;

    (void)params;
    node_call(node, copy_tables, &tables);
    add_plain(d, "", directory_rows, COUNT(directory_rows), &tables.directory);
    return true;
}

static bool say_dht(struct proa_node *node, const char *params, struct rte_tel_data *d)
{
    struct tables tables;

    (void)params;
    node_call(node, copy_tables, &tables);
    add(d, "", "contacts", tables.kad.contacts);
    add(d, "", "records", tables.kad.records);
    add(d, "", "own_names", tables.kad.names);
    add(d, "", "operations", tables.kad.ops);
    add_plain(d, "", kad_rows, COUNT(kad_rows), &tables.kad);
    add_plain(d, "control_", core_rows, COUNT(core_rows), &tables.core);
    return true;
}

static void say_port_drops(const struct proa_node *node, struct rte_tel_data *d)
{
    for (unsigned drop = 0; drop < PORT_DROP_COUNT; drop++) {
        uint64_t sum = 0;
        char name[64];
        for (unsigned i = 0; i < node->port_count; i++) {
            struct port_stats stats;
            port_stats_sum(node->ports[i], &stats);
            sum += atomic_load_explicit(&stats.drops[drop], memory_order_relaxed);
        }
        snprintf(name, sizeof(name), "%s", port_drop_name((enum port_drop)drop));
        for (char *p = name; *p != '\0'; p++) {
            if (*p == ' ')
                *p = '_';
        }
        add(d, "port_", name, sum);
    }
}

static bool say_drops(struct proa_node *node, const char *params, struct rte_tel_data *d)
{
    struct tables tables;
    struct lanes lanes;

    if (!read_lanes(node, params, &lanes))
        return false;
    say_port_drops(node, d);
    add_lanes(d, "lane_", lane_drop_rows, COUNT(lane_drop_rows), node, lanes,
              stats_of_lane);
    add_lanes(d, "actors_", sched_drop_rows, COUNT(sched_drop_rows), node, lanes,
              stats_of_sched);
    node_call(node, copy_tables, &tables);
    add_plain(d, "control_", core_drop_rows, COUNT(core_drop_rows), &tables.core);
    add_plain(d, "dht_", kad_drop_rows, COUNT(kad_drop_rows), &tables.kad);
    return true;
}

/* ---- Registration ---- */

struct command {
    const char *name, *help;
    bool (*say)(struct proa_node *node, const char *params, struct rte_tel_data *d);
};

static const struct command commands[] = {
    {"/proa/lanes", "Loops, packets and links of all lanes. Parameter: a lane",
     say_lanes},
    {"/proa/links", "Each link's packets, acks and timing. Parameter: a lane", say_links},
    {"/proa/actors", "Actors, messages, asks and timers. Parameter: a lane", say_actors},
    {"/proa/directory", "Names and nodes of the shared lookup tables", say_directory},
    {"/proa/dht", "Kademlia's contacts, records and traffic", say_dht},
    {"/proa/drops", "All that was dropped, by reason. Parameter: a lane", say_drops},
};

static int run_command(const char *name, const char *params, struct rte_tel_data *d)
{
    bool ok = false;

    rte_tel_data_start_dict(d);
    pthread_mutex_lock(&telemetry.lock);
    for (size_t i = 0; i < COUNT(commands) && telemetry.node != NULL; i++) {
        if (strcmp(commands[i].name, name) == 0)
            ok = commands[i].say(telemetry.node, params, d);
    }
    pthread_mutex_unlock(&telemetry.lock);
    return ok ? 0 : -1;
}

void telemetry_start(struct proa_node *node)
{
    if (!node->on_dpdk)
        return;
    pthread_mutex_lock(&telemetry.lock);
    if (telemetry.node == NULL)
        telemetry.node = node;
    for (size_t i = 0; i < COUNT(commands) && !telemetry.registered; i++)
        rte_telemetry_register_cmd(commands[i].name, run_command, commands[i].help);
    telemetry.registered = true;
    pthread_mutex_unlock(&telemetry.lock);
}

void telemetry_stop(struct proa_node *node)
{
    pthread_mutex_lock(&telemetry.lock);
    if (telemetry.node == node)
        telemetry.node = NULL;
    pthread_mutex_unlock(&telemetry.lock);
}
