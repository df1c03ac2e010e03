/* SPDX-License-Identifier: Apache-2.0 */
#include "telemetry.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <rte_telemetry.h>

#include "directory_group.h"
#include "node_internal.h"
#include "scheduler.h"
#include "telemetry_rows.h"
#include "top_read.h"

#define LINKS_SHOWN 16 /* of a lane: DPDK's answers have at most 16 KiB */
#define TYPES_SHOWN 32

/* The node that commands speak of.  DPDK cannot forget a command, so they outlive nodes. */
static struct {
    pthread_mutex_t lock;
    struct proa_node *node;
    bool registered;
} telemetry = {.lock = PTHREAD_MUTEX_INITIALIZER};

static void add(struct rte_tel_data *d, const char *prefix, const char *name,
                uint64_t value)
{
    char full[RTE_TEL_MAX_STRING_LEN + 16];

    snprintf(full, sizeof(full), "%s%s", prefix, name);
    rte_tel_data_add_dict_u64(d, full, value);
}

/* The same for a name of several words. */
static void add_words(struct rte_tel_data *d, const char *prefix, char *name,
                      uint64_t value)
{
    for (char *p = name; *p != '\0'; p++) {
        if (*p == ' ' || *p == ':')
            *p = '_';
    }
    add(d, prefix, name, value);
}

/* Counters that nobody writes meanwhile: a copy. */
static void add_plain(struct rte_tel_data *d, const char *prefix,
                      const struct telemetry_table *table, const void *stats)
{
    for (size_t i = 0; i < table->count; i++) {
        uint64_t value;
        memcpy(&value, (const char *)stats + table->rows[i].offset, sizeof(value));
        add(d, prefix, table->rows[i].name, value);
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
                           const struct telemetry_row *row)
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

static void add_lanes(struct rte_tel_data *d, const char *prefix,
                      const struct telemetry_table *table, const struct proa_node *node,
                      struct lanes lanes,
                      const void *(*stats)(const struct proa_node *, unsigned))
{
    for (size_t i = 0; i < table->count; i++)
        add(d, prefix, table->rows[i].name,
            over_lanes(node, lanes, stats, &table->rows[i]));
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
    add_lanes(d, "", &telemetry_lane, node, lanes, stats_of_lane);
    return true;
}

static bool say_actors(struct proa_node *node, const char *params, struct rte_tel_data *d)
{
    struct lanes lanes;

    if (!read_lanes(node, params, &lanes))
        return false;
    add_lanes(d, "", &telemetry_sched, node, lanes, stats_of_sched);
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
    add_plain(inner, "", &telemetry_link, &info->stats);
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
        unsigned count = top_read_links(node, i, infos, LINKS_SHOWN - shown);
        for (unsigned j = 0; j < count; j++)
            say_link(d, i, j, &infos[j]);
        shown += count;
    }
    return true;
}

/* ---- Behaviours ---- */

/* What of the samples is a mean, and what it is the mean of. */
static const struct {
    const char *name;
    enum top_type_figure sum, count;
} type_means[] = {
    {"depth_mean", TOP_TYPE_DEPTH, TOP_TYPE_WAITED},
    {"wait_mean_ns", TOP_TYPE_WAIT_NS, TOP_TYPE_WAITED},
    {"run_mean_ns", TOP_TYPE_RUN_NS, TOP_TYPE_RAN},
};

static void say_type(struct rte_tel_data *d, unsigned number, const struct top_type *type)
{
    static const struct {
        const char *name;
        enum top_type_figure figure;
    } plain[] = {
        {"messages", TOP_TYPE_MESSAGES},
        {"refused", TOP_TYPE_REFUSED},
        {"restarts", TOP_TYPE_RESTARTS},
        {"depth_max", TOP_TYPE_DEPTH_MAX},
        {"wait_max_ns", TOP_TYPE_WAIT_MAX_NS},
        {"run_max_ns", TOP_TYPE_RUN_MAX_NS},
        {"samples", TOP_TYPE_RAN},
    };
    struct rte_tel_data *inner = rte_tel_data_alloc();
    char text[32];

    if (inner == NULL)
        return;
    rte_tel_data_start_dict(inner);
    rte_tel_data_add_dict_string(inner, "type", type->name);
    for (size_t i = 0; i < sizeof(plain) / sizeof(plain[0]); i++)
        add(inner, "", plain[i].name, type->f[plain[i].figure]);
    for (size_t i = 0; i < sizeof(type_means) / sizeof(type_means[0]); i++) {
        uint64_t count = type->f[type_means[i].count];
        add(inner, "", type_means[i].name,
            count != 0 ? type->f[type_means[i].sum] / count : 0);
    }
    snprintf(text, sizeof(text), "behaviour_%u", number);
    rte_tel_data_add_dict_container(d, text, inner, 0);
}

static bool say_behaviours(struct proa_node *node, const char *params,
                           struct rte_tel_data *d)
{
    struct top_type types[TYPES_SHOWN];
    struct lanes lanes;
    uint64_t left_out;
    unsigned count;

    if (!read_lanes(node, params, &lanes))
        return false;
    count = top_read_types(node, lanes.first, lanes.end, types, TYPES_SHOWN, &left_out);
    for (unsigned i = 0; i < count; i++)
        say_type(d, i, &types[i]);
    add(d, "", "left_out", left_out);
    return true;
}

static bool say_dead_letters(struct proa_node *node, const char *params,
                             struct rte_tel_data *d)
{
    static const struct telemetry_row untold = {
        .name = "untold", .offset = offsetof(struct sched_stats, dead_letters_untold)};
    struct lanes lanes;

    if (!read_lanes(node, params, &lanes))
        return false;
    for (unsigned reason = 1; reason < PROA_OUTCOME_COUNT; reason++) {
        char name[64];
        struct telemetry_row row = {.offset = offsetof(struct sched_stats, dead_letters) +
                                              reason * sizeof(_Atomic uint64_t)};
        uint64_t count = over_lanes(node, lanes, stats_of_sched, &row);

        if (count == 0)
            continue;
        snprintf(name, sizeof(name), "%s", proa_outcome_name((enum proa_outcome)reason));
        add_words(d, "", name, count);
    }
    add(d, "", untold.name, over_lanes(node, lanes, stats_of_sched, &untold));
    return true;
}

struct tables {
    struct directory_stats directory;
    struct kad_stats kad;
    struct core_stats core;
    struct directory_group_stats groups;
    struct mesh_stats mesh;
    struct core_mesh_own own;
};

static void copy_tables(struct proa_node *node, void *ctx)
{
    struct tables *tables = ctx;

    directory_stats(node->directory, &tables->directory);
    kad_stats(core_kad(node->core), &tables->kad);
    core_stats(node->core, &tables->core);
    directory_group_stats(node->directory, &tables->groups);
    core_mesh_stats(node->core, &tables->mesh);
    core_mesh_own(node->core, &tables->own);
}

static bool say_directory(struct proa_node *node, const char *params,
                          struct rte_tel_data *d)
{
    struct tables tables;

    (void)params;
    node_call(node, copy_tables, &tables);
    add_plain(d, "", &telemetry_directory, &tables.directory);
    add_plain(d, "group_", &telemetry_directory_group, &tables.groups);
    return true;
}

static bool say_mesh(struct proa_node *node, const char *params, struct rte_tel_data *d)
{
    struct tables tables;

    (void)params;
    node_call(node, copy_tables, &tables);
    add(d, "", "nodes", tables.mesh.nodes);
    add(d, "", "linked", tables.mesh.linked);
    add(d, "", "own", tables.mesh.own);
    add(d, "", "own_names", tables.own.names);
    add(d, "", "own_members", tables.own.members);
    add(d, "", "entries", tables.mesh.entries);
    add(d, "", "complete", tables.own.complete);
    add_plain(d, "", &telemetry_mesh, &tables.mesh);
    add_plain(d, "", &telemetry_mesh_drop, &tables.mesh);
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
    add_plain(d, "", &telemetry_kad, &tables.kad);
    add_plain(d, "control_", &telemetry_core, &tables.core);
    return true;
}

/* What went through one port, and what else it counts. */
static void say_port(struct rte_tel_data *d, unsigned number, struct port *port)
{
    struct port_count counts[PORT_COUNTS_MAX];
    struct rte_tel_data *inner = rte_tel_data_alloc();
    struct port_stats stats;
    char text[RTE_TEL_MAX_STRING_LEN];
    unsigned n = port->ops->counts != NULL ? port->ops->counts(port, counts) : 0;

    if (inner == NULL)
        return;
    rte_tel_data_start_dict(inner);
    port_stats_sum(port, &stats);
    rte_tel_data_add_dict_string(inner, "kind", port->kind);
    port->ops->state(port, text, sizeof(text));
    rte_tel_data_add_dict_string(inner, "state", text);
    add(inner, "", "up", port_up(port));
    add(inner, "", "payload_max", port->payload_max);
    add(inner, "", "rx", atomic_load_explicit(&stats.rx, memory_order_relaxed));
    add(inner, "", "rx_bytes",
        atomic_load_explicit(&stats.rx_bytes, memory_order_relaxed));
    add(inner, "", "tx", atomic_load_explicit(&stats.tx, memory_order_relaxed));
    add(inner, "", "tx_bytes",
        atomic_load_explicit(&stats.tx_bytes, memory_order_relaxed));
    for (unsigned i = 0; i < n; i++) {
        snprintf(text, sizeof(text), "%s", counts[i].name);
        add_words(inner, "", text, counts[i].value);
    }
    snprintf(text, sizeof(text), "port_%u", number);
    rte_tel_data_add_dict_container(d, text, inner, 0);
}

static bool say_ports(struct proa_node *node, const char *params, struct rte_tel_data *d)
{
    (void)params;
    for (unsigned i = 0; i < node->port_count; i++)
        say_port(d, i, node->ports[i]);
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
        add_words(d, "port_", name, sum);
    }
}

static bool say_drops(struct proa_node *node, const char *params, struct rte_tel_data *d)
{
    struct tables tables;
    struct lanes lanes;

    if (!read_lanes(node, params, &lanes))
        return false;
    say_port_drops(node, d);
    add_lanes(d, "lane_", &telemetry_lane_drop, node, lanes, stats_of_lane);
    add_lanes(d, "actors_", &telemetry_sched_drop, node, lanes, stats_of_sched);
    node_call(node, copy_tables, &tables);
    add_plain(d, "control_", &telemetry_core_drop, &tables.core);
    add_plain(d, "dht_", &telemetry_kad_drop, &tables.kad);
    add_plain(d, "mesh_", &telemetry_mesh_drop, &tables.mesh);
    add_plain(d, "groups_", &telemetry_directory_group_drop, &tables.groups);
    return true;
}

/* ---- Registration ---- */

#define COUNT(rows) (sizeof(rows) / sizeof((rows)[0]))

struct command {
    const char *name, *help;
    bool (*say)(struct proa_node *node, const char *params, struct rte_tel_data *d);
};

static const struct command commands[] = {
    {"/proa/lanes", "Loops, packets and links of all lanes. Parameter: a lane",
     say_lanes},
    {"/proa/links", "Each link's packets, acks and timing. Parameter: a lane", say_links},
    {"/proa/actors", "Actors, messages, asks and timers. Parameter: a lane", say_actors},
    {"/proa/behaviours",
     "Messages, refusals, mailboxes and times of each behaviour. Parameter: a lane",
     say_behaviours},
    {"/proa/dead_letters", "Undelivered tells by reason. Parameter: a lane",
     say_dead_letters},
    {"/proa/directory", "Names and nodes of the shared lookup tables", say_directory},
    {"/proa/mesh", "Linked registries: nodes, what they publish, and traffic", say_mesh},
    {"/proa/dht", "Kademlia's contacts, records and traffic", say_dht},
    {"/proa/ports", "Each port's packets, and what it counts besides", say_ports},
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
