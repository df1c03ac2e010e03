/* SPDX-License-Identifier: Apache-2.0 */
#include "events_drops.h"

#include <stdio.h>
#include <string.h>

#include "core_internal.h"
#include "directory_group.h"
#include "lane.h"
#include "telemetry_rows.h"

void events_drops_init(struct events_drops *self, proa_ns now)
{
    *self = (struct events_drops){.look_at = now + EVENTS_DROPS_EVERY};
}

uint64_t events_drops_sum(const struct events_drops *self)
{
    uint64_t sum = 0;

    for (unsigned i = 0; i < EVENTS_DROPS_MAX; i++)
        sum += self->seen[i];
    return sum;
}

/* The sum of one atomic counter over the lanes' structures. */
static uint64_t over_lanes(const struct core *core, const void *const *stats,
                           const struct telemetry_row *row)
{
    uint64_t sum = 0;

    for (unsigned lane = 0; lane < core->config.lanes; lane++) {
        const char *base = stats[lane];

        if (base == NULL)
            continue;
        /* relaxed: a lane's counter, a moment old. */
        sum += atomic_load_explicit(
            (const _Atomic uint64_t *)(const void *)(base + row->offset),
            memory_order_relaxed);
    }
    return sum;
}

static uint64_t plain(const void *stats, const struct telemetry_row *row)
{
    uint64_t value;

    memcpy(&value, (const char *)stats + row->offset, sizeof(value));
    return value;
}

static void compare(struct core *core, unsigned *at, uint64_t value, const char *place,
                    const char *name)
{
    uint64_t *seen = &core->events.drops.seen[*at];
    struct proa_event event = {.kind = PROA_EVENT_DROPS, .count = value - *seen};

    PROA_ASSERT(*at < EVENTS_DROPS_MAX);
    ++*at;
    if (value <= *seen)
        return;
    *seen = value;
    snprintf(event.text, sizeof(event.text), "%s_%s", place, name);
    for (char *p = event.text; *p != '\0'; p++) {
        if (*p == ' ')
            *p = '_';
    }
    events_add(core, &event);
}

static void look_at_lanes(struct core *core, unsigned *at, const void *const *stats,
                          const struct telemetry_table *table, const char *place)
{
    for (size_t i = 0; i < table->count; i++)
        compare(core, at, over_lanes(core, stats, &table->rows[i]), place,
                table->rows[i].name);
}

static void look_at_plain(struct core *core, unsigned *at, const void *stats,
                          const struct telemetry_table *table, const char *place)
{
    for (size_t i = 0; i < table->count; i++)
        compare(core, at, plain(stats, &table->rows[i]), place, table->rows[i].name);
}

static void look_at_ports(struct core *core, unsigned *at)
{
    uint64_t sums[PORT_DROP_COUNT] = {0};

    for (unsigned i = 0; i < core->config.port_count; i++) {
        struct port_stats stats;

        if (core->config.ports[i]->ops == NULL)
            continue; /* only an address */
        port_stats_sum(core->config.ports[i], &stats);
        for (unsigned drop = 0; drop < PORT_DROP_COUNT; drop++)
            sums[drop] += atomic_load_explicit(&stats.drops[drop], memory_order_relaxed);
    }
    for (unsigned drop = 0; drop < PORT_DROP_COUNT; drop++)
        compare(core, at, sums[drop], "port", port_drop_name((enum port_drop)drop));
}

static void look_at_letters(struct core *core)
{
    struct events_drops *self = &core->events.drops;

    for (unsigned reason = 0; reason < PROA_OUTCOME_COUNT; reason++) {
        const struct telemetry_row row = {.offset =
                                              offsetof(struct sched_stats, dead_letters) +
                                              reason * sizeof(_Atomic uint64_t)};
        uint64_t value = over_lanes(core, (const void *const *)self->scheds, &row);
        struct proa_event event = {.kind = PROA_EVENT_DEAD_LETTERS,
                                   .count = value - self->letters[reason],
                                   .outcome = (enum proa_outcome)reason};

        if (value <= self->letters[reason])
            continue;
        self->letters[reason] = value;
        events_add(core, &event);
    }
}

void events_drops_look(struct core *core)
{
    struct events_drops *self = &core->events.drops;
    struct directory_group_stats groups;
    struct mesh_stats mesh;
    struct kad_stats kad;
    unsigned at = 0;

    if (core->now < self->look_at)
        return;
    self->look_at = core->now + EVENTS_DROPS_EVERY;
    look_at_ports(core, &at);
    look_at_lanes(core, &at, (const void *const *)self->lanes, &telemetry_lane_drop,
                  "lane");
    look_at_lanes(core, &at, (const void *const *)self->scheds, &telemetry_sched_drop,
                  "actors");
    look_at_plain(core, &at, &core->stats, &telemetry_core_drop, "control");
    kad_stats(core->kad, &kad);
    look_at_plain(core, &at, &kad, &telemetry_kad_drop, "dht");
    core_mesh_stats(core, &mesh);
    look_at_plain(core, &at, &mesh, &telemetry_mesh_drop, "mesh");
    directory_group_stats(core->config.directory, &groups);
    look_at_plain(core, &at, &groups, &telemetry_directory_group_drop, "groups");
    look_at_letters(core);
}
