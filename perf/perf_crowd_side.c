/* SPDX-License-Identifier: Apache-2.0 */
#include "perf_crowd_side.h"

#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "eal.h"
#include "perf_clock.h"
#include "pool_dpdk.h"

#define PACKETS                                                                          \
    32768u /* received ones out of order, and one or two in flight for each link */
#define RESERVED 2048u
#define MEMORY_MB 192u
#define MTU 1500u
#define UP_IN (10 * PROA_S)
#define MEET_IN (60 * PROA_S) /* 4,000 take 5 s */

static bool failed(char *err, size_t err_len, const char *why)
{
    snprintf(err, err_len, "the crowd: %s", why);
    return false;
}

static bool open_port(struct perf_crowd_side *side, const struct perf_options *o,
                      const char *dir, char *err, size_t err_len)
{
    int core = 1 % (int)sysconf(_SC_NPROCESSORS_ONLN);
    struct eal_config eal = {.pages = o->no_huge ? PROA_PAGES_NONE : PROA_PAGES_AUTO,
                             .lanes = 1,
                             .cores = &core,
                             .memory_mb = MEMORY_MB};
    struct proa_port_config config = {.mtu = o->mtu};
    struct port_open_args args = {.config = &config, .queues = 1, .pools = &side->pool};

    if (eal_start(&eal, err, err_len) != PROA_OK)
        return false;
    side->pool = pool_dpdk_create(0, PACKETS, RESERVED,
                                  (uint16_t)(o->mtu != 0 ? o->mtu : MTU), err, err_len);
    if (side->pool == NULL)
        return false;
    snprintf(config.spec, sizeof(config.spec), "vhost:%s=%s/port",
             o->reverse ? "listen" : "connect", dir); /* as perf_node.c */
    side->port = port_open(&args, err, err_len);
    return side->port != NULL;
}

static bool await_up(const struct port *port)
{
    const struct timespec pause = {0, 10 * 1000 * 1000};
    proa_ns until = perf_clock_ns() + UP_IN;

    while (!port_up((struct port *)port)) {
        if (perf_clock_ns() > until)
            return false;
        nanosleep(&pause, NULL);
    }
    return true;
}

static bool await_met(struct perf_crowd *crowd, char *err, size_t err_len)
{
    const struct timespec pause = {0, 10 * 1000 * 1000};
    proa_ns until = perf_clock_ns() + MEET_IN;

    while (atomic_load(&crowd->all_up) == 0) {
        if (atomic_load(&crowd->gave_up))
            return failed(err, err_len, crowd->failed);
        if (perf_clock_ns() > until) {
            snprintf(err, err_len, "the crowd: only %u of %u members have a link",
                     crowd->up, crowd->count);
            return false;
        }
        nanosleep(&pause, NULL);
    }
    return true;
}

bool perf_crowd_open(struct perf_crowd_side *side, struct perf_group *group,
                     const char *dir, uint64_t node, const uint8_t key[PROA_KEY_LEN],
                     char *err, size_t err_len)
{
    const struct perf_options *o = &group->options;

    group->sink = perf_sink_create(o->size, o->receivers);
    if (group->sink == NULL)
        return failed(err, err_len, "no memory");
    if (!open_port(side, o, dir, err, err_len))
        return false;
    if (!await_up(side->port))
        return failed(err, err_len, "its port sees no neighbour");
    if (!perf_crowd_init(&side->crowd, o->crowd, group->sink, side->port, side->pool,
                         node, key))
        return failed(err, err_len, "no memory for its members");
    for (uint32_t i = 0; i < o->crowd; i++)
        group->refs[i] = perf_crowd_ref(&side->crowd, i);
    side->running = eal_launch(0, perf_crowd_run, &side->crowd);
    return side->running ? await_met(&side->crowd, err, err_len)
                         : failed(err, err_len, "its lane could not be started");
}

void perf_crowd_close(struct perf_crowd_side *side)
{
    atomic_store(&side->crowd.stop, true);
    if (side->running)
        eal_join(0);
    perf_crowd_fini(&side->crowd);
    port_close(side->port);
    if (side->pool != NULL)
        pool_dpdk_destroy(side->pool);
}
