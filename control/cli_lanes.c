/* SPDX-License-Identifier: Apache-2.0 */
#include "cli_lanes.h"

#include "clock.h"
#include "lane.h"
#include "node_internal.h"

struct sample {
    uint64_t busy, idle, rx, tx, astray;
};

/* relaxed: a lane's counters, a moment old. */
static uint64_t load(const _Atomic uint64_t *counter)
{
    return atomic_load_explicit(counter, memory_order_relaxed);
}

static struct sample sample_of(const struct proa_node *node, unsigned lane)
{
    const struct lane_stats *s = lane_stats(node->lanes[lane].lane);

    return (struct sample){.busy = load(&s->busy_ns),
                           .idle = load(&s->idle_ns),
                           .rx = load(&s->rx),
                           .tx = load(&s->tx),
                           .astray = load(&s->misdirected)};
}

static double percent(uint64_t part, uint64_t whole)
{
    return whole > 0 ? 100.0 * (double)part / (double)whole : 0;
}

static double rate(uint64_t count, proa_ns span)
{
    return span > 0 ? (double)count * (double)PROA_S / (double)span : 0;
}

static void print_lane(const struct proa_node *node, unsigned lane, struct sample before,
                       proa_ns span, struct cli_answer *answer)
{
    struct sample now = sample_of(node, lane);
    uint64_t busy = now.busy - before.busy, idle = now.idle - before.idle;
    uint64_t rx = now.rx - before.rx, astray = now.astray - before.astray;

    cli_answer_line(answer, "%4u %4d %5.1f %6llu %11.0f %11.0f %10.2f %14llu %14llu",
                    lane, node->lanes[lane].core, percent(busy, busy + idle),
                    (unsigned long long)load(&lane_stats(node->lanes[lane].lane)->links),
                    rate(rx, span), rate(now.tx - before.tx, span), percent(astray, rx),
                    (unsigned long long)now.rx, (unsigned long long)now.astray);
}

const char *cli_lanes_run(struct cli_job *job, struct cli_answer *answer)
{
    struct proa_node *node = job->node;
    struct sample before[PROA_LANES_MAX];
    proa_ns at = clock_ns(), span;
    char state[PROA_TEXT_MAX];

    for (unsigned i = 0; i < node->lane_count; i++)
        before[i] = sample_of(node, i);
    if (!cli_answer_wait(answer, CLI_LANES_FOR))
        return "lanes: the node or its caller ended before the figures were there";
    span = clock_ns() - at;
    cli_answer_line(answer, "lane core busy%%  links        rx/s        tx/s misdirect%%"
                            "       rx since misdirected since");
    for (unsigned i = 0; i < node->lane_count; i++)
        print_lane(node, i, before[i], span, answer);
    for (unsigned i = 0; i < node->port_count; i++) {
        struct port *port = node->ports[i];

        port->ops->state(port, state, sizeof(state));
        cli_answer_line(answer, "port %u, %s: %s", i, port->kind, state);
    }
    return NULL;
}
