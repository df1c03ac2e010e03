/* SPDX-License-Identifier: Apache-2.0 */
#include "perf_raw.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "eal.h"
#include "perf_process.h"
#include "pool_dpdk.h"
#include "raw.h"

#define PACKETS 20480u /* as a node's lane has */
#define RESERVED 256u
#define MEMORY_MB 96u
#define OPEN_IN (60 * PROA_S)
#define UP_IN (10 * PROA_S)
#define SPARE (20 * PROA_S)
#define SECONDS 2u /* at the most: nothing here warms up */
#define QUIET PROA_S
#define HEAD_ASK (PERF_RAW_ASK_FRAME - 32) /* of a frame around an ask's payload */
#define STEPS_MAX 3u

/* One pair of bare loops. */
struct step {
    enum raw_role sender, receiver;
    uint32_t size;
    bool segment; /* udp: UDP_SEGMENT instead of sendmmsg */
};

struct plan {
    struct perf_options options;
    const char *dir;
    bool second; /* this child sends */
    struct step steps[STEPS_MAX];
    uint32_t step_count;
    proa_ns duration;
};

struct opened {
    bool ok;
    char error[256];
    struct proa_addr address;
};

/* What a child says after each step. */
struct stepped {
    uint64_t packets;
    proa_ns elapsed;
    struct perf_trips trips;
};

/* ---- A child ---- */

struct side {
    const struct plan *plan;
    struct pkt_pool *pool;
    struct port *port;
    const struct step *step;
    struct raw_result *result;
};

static bool open_side(struct side *side, char *err, size_t err_len)
{
    const struct perf_options *o = &side->plan->options;
    bool listens = side->plan->second != o->reverse; /* as perf_node.c */
    int core = side->plan->second ? 0 : 1 % (int)sysconf(_SC_NPROCESSORS_ONLN);
    struct eal_config eal = {.pages = o->no_huge ? PROA_PAGES_NONE : PROA_PAGES_AUTO,
                             .lanes = 1,
                             .cores = &core,
                             .memory_mb = MEMORY_MB * (o->mtu > 2000 ? 5 : 1)};
    struct proa_port_config config = {.mtu = o->mtu};
    struct port_open_args args = {.config = &config, .queues = 1, .pools = &side->pool};

    if (o->port == PERF_PORT_VHOST)
        snprintf(config.spec, sizeof(config.spec), "vhost:%s=%s/raw",
                 listens ? "listen" : "connect", side->plan->dir);
    else
        snprintf(config.spec, sizeof(config.spec), "udp:127.0.0.1:0");
    if (eal_start(&eal, err, err_len) != PROA_OK)
        return false;
    side->pool = pool_dpdk_create(0, PACKETS, RESERVED,
                                  (uint16_t)(o->mtu ? o->mtu : 1500), err, err_len);
    if (side->pool == NULL)
        return false;
    side->port = port_open(&args, err, err_len);
    side->result = malloc(sizeof(*side->result));
    return side->port != NULL && side->result != NULL;
}

static void close_side(struct side *side)
{
    port_close(side->port);
    if (side->pool != NULL)
        pool_dpdk_destroy(side->pool);
    free(side->result);
}

static bool await_up(const struct side *side)
{
    const struct timespec pause = {0, 10 * 1000 * 1000};

    for (proa_ns waited = 0; waited < UP_IN; waited += 10 * PROA_MS) {
        if (port_up(side->port))
            return true;
        nanosleep(&pause, NULL);
    }
    return false;
}

/* On the lane. */
static void run_step(void *arg)
{
    struct side *side = arg;
    const struct step *step = side->step;
    enum raw_role role = side->plan->second ? step->sender : step->receiver;
    bool open_ended = role == RAW_SINK || role == RAW_PONG; /* ends with the traffic */
    struct raw_options options = {.size = step->size,
                                  .burst = PORT_BURST,
                                  .hold = true,
                                  .segment = step->segment,
                                  .duration = open_ended ? side->plan->duration + SPARE
                                                         : side->plan->duration,
                                  .patience = open_ended ? QUIET : PROA_S};

    raw_run(side->port, 0, side->pool, role, &options, side->result);
}

static void fill_stepped(const struct raw_result *result, struct stepped *ret)
{
    *ret = (struct stepped){.packets = result->packets, .elapsed = result->elapsed};
    ret->trips = (struct perf_trips){.count = result->packets,
                                     .least = raw_percentile(result, 1),
                                     .p50 = raw_percentile(result, 500000),
                                     .p90 = raw_percentile(result, 900000),
                                     .p99 = raw_percentile(result, 990000),
                                     .p999 = raw_percentile(result, 999000),
                                     .most = raw_percentile(result, 1000000)};
}

static void run_steps(struct side *side, const struct perf_pipe *pipe)
{
    struct stepped stepped;
    char start;

    for (uint32_t i = 0; i < side->plan->step_count; i++) {
        side->step = &side->plan->steps[i];
        if (!perf_pipe_read(pipe, &start, 1, OPEN_IN) || !eal_launch(0, run_step, side))
            return;
        eal_join(0);
        fill_stepped(side->result, &stepped);
        if (!perf_pipe_write(pipe, &stepped, sizeof(stepped)))
            return;
    }
    perf_pipe_read(pipe, &start, 1, OPEN_IN); /* until the parent closes */
}

static int raw_process(const struct perf_pipe *pipe, void *ctx)
{
    struct side side = {.plan = ctx};
    struct opened opened = {0};
    struct proa_addr neighbour;
    char up;

    opened.ok = open_side(&side, opened.error, sizeof(opened.error));
    if (opened.ok)
        opened.address = side.port->address;
    perf_pipe_write(pipe, &opened, sizeof(opened));
    if (opened.ok && perf_pipe_read(pipe, &neighbour, sizeof(neighbour), OPEN_IN)) {
        if (side.port->neighbour.family == 0)
            side.port->neighbour = neighbour;
        up = await_up(&side);
        perf_pipe_write(pipe, &up, 1);
        run_steps(&side, pipe);
    }
    close_side(&side);
    return 0;
}

/* ---- The parent ---- */

static bool failed(char *err, size_t err_len, const char *why)
{
    snprintf(err, err_len, "the raw loop: %s", why);
    return false;
}

static bool introduce(const struct perf_process *receiver,
                      const struct perf_process *sender, char *err, size_t err_len)
{
    struct opened r, s;
    char r_up = 0, s_up = 0;

    if (!perf_pipe_read(&receiver->pipe, &r, sizeof(r), OPEN_IN) ||
        !perf_pipe_read(&sender->pipe, &s, sizeof(s), OPEN_IN))
        return failed(err, err_len, "a process did not start");
    if (!r.ok || !s.ok)
        return failed(err, err_len, r.ok ? s.error : r.error);
    perf_pipe_write(&receiver->pipe, &s.address, sizeof(s.address));
    perf_pipe_write(&sender->pipe, &r.address, sizeof(r.address));
    if (!perf_pipe_read(&receiver->pipe, &r_up, 1, UP_IN + PROA_S) ||
        !perf_pipe_read(&sender->pipe, &s_up, 1, UP_IN + PROA_S) || !r_up || !s_up)
        return failed(err, err_len, "the two sides do not see each other");
    return true;
}

static bool one_step(const struct plan *plan, const struct step *step,
                     const struct perf_process *receiver,
                     const struct perf_process *sender, struct perf_raw *ret)
{
    const struct timespec pause = {0, 20 * 1000 * 1000};
    proa_ns patience = plan->duration + SPARE;
    struct stepped r, s;
    const char start = 1;

    perf_pipe_write(&receiver->pipe, &start, 1);
    nanosleep(&pause, NULL); /* it listens before the other sends; the sink waits QUIET */
    perf_pipe_write(&sender->pipe, &start, 1);
    if (!perf_pipe_read(&sender->pipe, &s, sizeof(s), patience) ||
        !perf_pipe_read(&receiver->pipe, &r, sizeof(r), patience) || r.packets == 0 ||
        r.elapsed == 0)
        return false;
    if (step->sender == RAW_PING) {
        ret->trip_size = step->size;
        ret->trips = s.trips;
        return s.packets > 0;
    }
    double rate = (double)r.packets * 1e9 / (double)r.elapsed;
    if (rate > ret->packets_per_s) { /* of sendmmsg and UDP_SEGMENT the better one */
        ret->flood_size = step->size;
        ret->packets_per_s = rate;
        ret->segmented = step->segment;
    }
    return true;
}

static void make_plan(struct plan *plan, const struct perf_options *o)
{
    uint32_t most = (o->mtu != 0 ? o->mtu : 1500) + 14;
    uint32_t flood = o->port == PERF_PORT_UDP ? PERF_RAW_UDP_FRAME : PERF_RAW_TELL_FRAME;
    uint32_t trip = HEAD_ASK + o->size;

    if (o->mode == PERF_MODE_RAW)
        flood = trip = o->size;
    if (flood < RAW_SIZE_MIN)
        flood = RAW_SIZE_MIN;
    flood = flood < most ? flood : most;
    trip = trip < RAW_SIZE_MIN ? RAW_SIZE_MIN : trip < most ? trip : most;
    plan->duration = (o->seconds < SECONDS ? o->seconds : SECONDS) * PROA_S;
    plan->steps[plan->step_count++] = (struct step){RAW_FLOOD, RAW_SINK, flood, false};
    if (o->port == PERF_PORT_UDP)
        plan->steps[plan->step_count++] = (struct step){RAW_FLOOD, RAW_SINK, flood, true};
    if (o->mode != PERF_MODE_TELL)
        plan->steps[plan->step_count++] = (struct step){RAW_PING, RAW_PONG, trip, false};
}

bool perf_raw_measure(const struct perf_options *options, const char *dir,
                      struct perf_raw *ret, char *err, size_t err_len)
{
    struct plan plan = {.options = *options, .dir = dir};
    struct perf_process receiver = {0}, sender = {0};
    bool ok;

    *ret = (struct perf_raw){0};
    if (options->port == PERF_PORT_RING)
        return failed(err, err_len, "a ring port has none: it copies within the process");
    signal(SIGPIPE, SIG_IGN);
    make_plan(&plan, options);
    ok = perf_process_start(&receiver, raw_process, &plan);
    plan.second = true;
    ok = ok && perf_process_start(&sender, raw_process, &plan);
    if (!ok)
        failed(err, err_len, "no process could be made");
    ok = ok && introduce(&receiver, &sender, err, err_len);
    for (uint32_t i = 0; ok && i < plan.step_count; i++) {
        ok = one_step(&plan, &plan.steps[i], &receiver, &sender, ret);
        if (!ok)
            failed(err, err_len, "no packets came");
    }
    perf_process_end(&sender, PROA_S);
    perf_process_end(&receiver, PROA_S);
    return ok;
}
