/* SPDX-License-Identifier: Apache-2.0 */
#include "top_read.h"

#include <pthread.h>
#include <string.h>

#include "cli_protocol.h"
#include "clock.h"
#include "node_internal.h"
#include "scheduler.h"

/* relaxed, here and below: a lane's counters, a moment old. */
static uint64_t load(const _Atomic uint64_t *counter)
{
    return atomic_load_explicit(counter, memory_order_relaxed);
}

/* ---- Links ---- */

unsigned top_read_links(struct proa_node *node, unsigned lane, struct lane_link_info *ret,
                        unsigned max)
{
    static pthread_mutex_t one =
        PTHREAD_MUTEX_INITIALIZER; /* lane_links allows no more */
    unsigned count;

    pthread_mutex_lock(&one);
    count = lane_links(node->lanes[lane].lane, ret, max);
    pthread_mutex_unlock(&one);
    return count;
}

static void read_links(struct proa_node *node, unsigned lane, struct top_snapshot *ret)
{
    struct lane_link_info infos[TOP_LINKS_MAX];
    unsigned count;

    if (ret->link_count == TOP_LINKS_MAX)
        return;
    count = top_read_links(node, lane, infos, TOP_LINKS_MAX - ret->link_count);
    for (unsigned i = 0; i < count; i++) {
        const struct link_stats *s = &infos[i].stats;

        ret->links[ret->link_count++] =
            (struct top_link){.lane = lane,
                              .node = infos[i].node,
                              .f = {[TOP_LINK_TX_MESSAGES] = s->tx_messages,
                                    [TOP_LINK_RX_MESSAGES] = s->rx_messages,
                                    [TOP_LINK_TX_PACKETS] = s->tx_packets,
                                    [TOP_LINK_RESENDS] = s->resends,
                                    [TOP_LINK_SRTT_NS] = s->srtt_ns,
                                    [TOP_LINK_CWND] = s->cwnd,
                                    [TOP_LINK_INFLIGHT] = s->inflight}};
    }
}

/* ---- Lanes ---- */

static void read_lane(const struct proa_node *node, unsigned lane, struct top_lane *ret)
{
    const struct lane_stats *l = lane_stats(node->lanes[lane].lane);
    const struct sched_stats *s = sched_stats(lane_sched(node->lanes[lane].lane));

    *ret = (struct top_lane){
        .f = {[TOP_LANE_LOOPS] = load(&l->loops),
              [TOP_LANE_BUSY_NS] = load(&l->busy_ns),
              [TOP_LANE_IDLE_NS] = load(&l->idle_ns),
              [TOP_LANE_GAP_NS] = load(&l->recent_gap_ns),
              [TOP_LANE_GAP_MAX_NS] = load(&l->gap_max_ns),
              [TOP_LANE_ACTORS] = load(&s->actors),
              [TOP_LANE_MESSAGES] = load(&s->mailbox) + load(&s->in_place),
              [TOP_LANE_RX] = load(&l->rx),
              [TOP_LANE_TX] = load(&l->tx),
              [TOP_LANE_MEMORY] = load(&s->slab_used) + load(&s->bulk_used)}};
}

/* ---- Behaviours ---- */

struct types {
    struct top_type *all;
    unsigned count, max;
    uint64_t left_out;
};

static struct top_type *type_named(struct types *types, const char *name)
{
    char escaped[3 * PROA_TYPE_MAX + 1];
    struct top_type *type;

    cli_escape(name, strnlen(name, PROA_TYPE_MAX), escaped);
    for (unsigned i = 0; i < types->count; i++) {
        if (strcmp(types->all[i].name, escaped) == 0)
            return &types->all[i];
    }
    if (types->count == types->max) {
        types->left_out++;
        return NULL;
    }
    type = &types->all[types->count++];
    memset(type, 0, sizeof(*type));
    _Static_assert(sizeof(escaped) <= sizeof(type->name), "every type's name fits");
    strcpy(type->name, escaped);
    return type;
}

static void add_type(void *ctx, const char *type_name, const struct metrics *m)
{
    struct top_type *type = type_named(ctx, type_name);
    const uint64_t sums[TOP_TYPE_FIGURES] = {
        [TOP_TYPE_MESSAGES] = load(&m->messages), [TOP_TYPE_REFUSED] = load(&m->refused),
        [TOP_TYPE_RESTARTS] = load(&m->restarts), [TOP_TYPE_WAITED] = load(&m->waited),
        [TOP_TYPE_DEPTH] = load(&m->depth),       [TOP_TYPE_WAIT_NS] = load(&m->wait_ns),
        [TOP_TYPE_RAN] = load(&m->ran),           [TOP_TYPE_RUN_NS] = load(&m->run_ns)};
    const struct {
        enum top_type_figure figure;
        uint64_t value;
    } largest[] = {
        {TOP_TYPE_DEPTH_MAX, atomic_load_explicit(&m->depth_max, memory_order_relaxed)},
        {TOP_TYPE_WAIT_MAX_NS, load(&m->wait_max_ns)},
        {TOP_TYPE_RUN_MAX_NS, load(&m->run_max_ns)},
    };

    if (type == NULL)
        return;
    for (unsigned i = 0; i < TOP_TYPE_FIGURES; i++)
        type->f[i] += sums[i];
    for (unsigned i = 0; i < sizeof(largest) / sizeof(largest[0]); i++) {
        if (largest[i].value > type->f[largest[i].figure])
            type->f[largest[i].figure] = largest[i].value;
    }
}

unsigned top_read_types(struct proa_node *node, unsigned first, unsigned end,
                        struct top_type *types, unsigned max, uint64_t *left_out)
{
    struct types all = {.all = types, .max = max};

    for (unsigned i = first; i < end; i++)
        sched_metrics(lane_sched(node->lanes[i].lane), add_type, &all);
    *left_out = all.left_out;
    return all.count;
}

/* ---- The node ---- */

static void read_tables(struct proa_node *node, void *ctx)
{
    struct top_snapshot *ret = ctx;
    struct directory_stats directory;

    directory_stats(node->directory, &directory);
    ret->f[TOP_NODE_NAMES] = directory.names - directory.absent;
    ret->f[TOP_NODE_NODES] = directory.nodes;
    ret->f[TOP_NODE_DROPS] = core_drops(node->core);
}

void top_read(struct proa_node *node, struct top_snapshot *ret)
{
    memset(ret, 0, sizeof(*ret));
    ret->node = proa_node_id(node);
    proa_node_address(node, ret->address, sizeof(ret->address));
    ret->lane_count = node->lane_count;
    node_call(node, read_tables, ret);
    for (unsigned i = 0; i < node->lane_count; i++) {
        const struct sched_stats *s = sched_stats(lane_sched(node->lanes[i].lane));

        read_lane(node, i, &ret->lanes[i]);
        ret->f[TOP_NODE_LETTERS] += load(&s->undelivered);
    }
    ret->type_count = top_read_types(node, 0, node->lane_count, ret->types, TOP_TYPES_MAX,
                                     &ret->f[TOP_NODE_TYPES_LEFT_OUT]);
    ret->f[TOP_NODE_AT] = clock_ns();
    for (unsigned i = 0; i < node->lane_count; i++)
        read_links(node, i, ret);
}
