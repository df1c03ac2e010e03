/* SPDX-License-Identifier: Apache-2.0 */
#include "demo_raw.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "eal.h"
#include "node_internal.h"
#include "pool_dpdk.h"
#include "raw.h"

#define PACKETS 20480u /* as a node's lane has */
#define RESERVED 256u
#define MTU 1500
#define QUIET PROA_S                      /* A ends so long after the last packet */
#define HEAD_START_NS (50 * 1000 * 1000L) /* A listens before B begins */

struct demo_raw {
    bool is_a, on_eal;
    struct pkt_pool *pool;
    struct port *port;
    enum raw_role role;
    struct raw_options options;
    struct raw_result result;
};

struct demo_raw *demo_raw_open(const char *dir, bool is_a, enum proa_pages pages,
                               char *err, size_t err_len)
{
    struct demo_raw *raw = calloc(1, sizeof(*raw));
    /* The node of this process has left DPDK's environment running, with memory enough. */
    const struct eal_config eal = {.pages = pages, .lanes = 1, .memory_mb = 0};
    struct proa_port_config config = {.mtu = MTU};
    struct port_open_args args = {.config = &config, .queues = 1};

    if (raw == NULL) {
        snprintf(err, err_len, "out of memory");
        return NULL;
    }
    raw->is_a = is_a;
    args.pools = &raw->pool;
    snprintf(config.spec, sizeof(config.spec), "vhost:%s=%s/raw",
             is_a ? "connect" : "listen", dir);
    raw->on_eal = eal_start(&eal, err, err_len) == PROA_OK;
    if (raw->on_eal)
        raw->pool = pool_dpdk_create(0, PACKETS, RESERVED, MTU, err, err_len);
    if (raw->pool != NULL)
        raw->port = port_open(&args, err, err_len);
    if (raw->port != NULL)
        return raw;
    demo_raw_close(raw);
    return NULL;
}

void demo_raw_close(struct demo_raw *raw)
{
    if (raw == NULL)
        return;
    port_close(raw->port);
    if (raw->pool != NULL)
        pool_dpdk_destroy(raw->pool);
    if (raw->on_eal)
        eal_stop();
    free(raw);
}

bool demo_raw_is_up(const struct demo_raw *raw)
{
    return port_up(raw->port);
}

/* On the lane. */
static void body(void *arg)
{
    struct demo_raw *raw = arg;
    const struct raw_on on = {.port = raw->port, .pool = raw->pool};

    raw_run(&on, raw->role, &raw->options, &raw->result);
}

static bool run(struct demo_raw *raw, enum raw_role role, unsigned size,
                struct demo_raw_result *ret)
{
    const struct timespec head_start = {0, HEAD_START_NS};

    raw->role = role;
    raw->options = (struct raw_options){
        .size = size,
        .burst = PORT_BURST,
        .hold = true,
        .duration = raw->is_a ? DEMO_RAW_FOR + 2 * QUIET : DEMO_RAW_FOR,
        .patience = QUIET,
    };
    if (!raw->is_a)
        nanosleep(&head_start, NULL);
    if (!eal_launch(0, body, raw))
        return false;
    eal_join(0);
    *ret = (struct demo_raw_result){.packets = raw->result.packets,
                                    .elapsed = raw->result.elapsed,
                                    .p50 = raw_percentile(&raw->result, 500000),
                                    .p99 = raw_percentile(&raw->result, 990000),
                                    .p999 = raw_percentile(&raw->result, 999000)};
    return true;
}

bool demo_raw_trip(struct demo_raw *raw, struct demo_raw_result *ret)
{
    return run(raw, raw->is_a ? RAW_PONG : RAW_PING, DEMO_RAW_TRIP, ret);
}

bool demo_raw_flood(struct demo_raw *raw, struct demo_raw_result *ret)
{
    return run(raw, raw->is_a ? RAW_SINK : RAW_FLOOD, DEMO_RAW_FLOOD, ret);
}
