/* SPDX-License-Identifier: Apache-2.0 */
#include "perf_raw.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "dpdk_bare.h"
#include "eal.h"
#include "perf_netns.h"
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
#define HEAD_ONE (PERF_RAW_ONE_FRAME - 32) /* of a frame around a tell's payload */
#define HEAD_ASK (PERF_RAW_ASK_FRAME - 32) /* and an ask's */
#define STEPS_MAX 4u
#define TRIES 3u /* of a step that another's frame disturbed */

/* One pair of bare loops. */
struct step {
    enum raw_role sender, receiver;
    uint32_t size;
    bool segment; /* udp: UDP_SEGMENT instead of sendmmsg */
    bool one;     /* is perf_raw.one, not .full */
    bool copy;    /* is perf_raw.copy */
    bool touch;   /* is perf_raw.touched */
};

/* One pair of processes: the steps, and how they use the device or socket. */
struct plan {
    struct perf_options options;
    const char *dir;
    const char *how; /* "", or what follows "iface=NAME," */
    bool second;     /* this child sends */
    struct step steps[STEPS_MAX];
    uint32_t step_count;
    proa_ns duration;
};

struct opened {
    bool ok, huge;
    char error[256];
    struct proa_addr address;
};

/* What a child says after each step. */
struct stepped {
    uint64_t packets, strays;
    proa_ns elapsed;
    struct perf_trips trips;
};

/* ---- A child ---- */

struct side {
    const struct plan *plan;
    struct pkt_pool *pool;
    uint8_t *message; /* of --size, when that is bulk */
    struct raw_on on;
    const struct step *step;
    struct raw_result *result;
};

static bool open_port(struct side *side, char *err, size_t err_len)
{
    const struct perf_options *o = &side->plan->options;
    bool listens = side->plan->second != o->reverse; /* as perf_node.c */
    struct proa_port_config config = {.mtu = o->mtu};
    struct port_open_args args = {.config = &config, .queues = 1, .pools = &side->pool};

    if (o->port == PERF_PORT_VHOST)
        snprintf(config.spec, sizeof(config.spec), "vhost:%s=%s/raw",
                 listens ? "listen" : "connect", side->plan->dir);
    else
        snprintf(config.spec, sizeof(config.spec), "udp:127.0.0.1:0");
    side->on.port = port_open(&args, err, err_len);
    return side->on.port != NULL;
}

static bool open_device(struct side *side, char *err, size_t err_len)
{
    const struct perf_options *o = &side->plan->options;
    char name[PERF_DEVARGS_MAX], args[PERF_DEVARGS_MAX];
    size_t len = strcspn(o->devargs, ",");

    if (o->port == PERF_PORT_AF_XDP) {
        snprintf(name, sizeof(name), "net_af_xdp0");
        snprintf(args, sizeof(args), "iface=" PERF_NETNS_INTERFACE ",%s",
                 side->plan->how);
    } else {
        snprintf(name, sizeof(name), "%.*s", (int)len, o->devargs);
        snprintf(args, sizeof(args), "%s", o->devargs + len + 1);
    }
    return dpdk_bare_open(name, args, side->pool, &side->on.device, err, err_len);
}

static bool open_side(struct side *side, char *err, size_t err_len)
{
    const struct perf_options *o = &side->plan->options;
    bool bare = perf_port_is_veth(o->port);
    uint32_t mtu = o->mtu != 0 ? o->mtu : 1500;
    int core = side->plan->second ? 0 : 1 % (int)sysconf(_SC_NPROCESSORS_ONLN);
    struct eal_config eal = {.pages = o->no_huge ? PROA_PAGES_NONE : PROA_PAGES_AUTO,
                             .lanes = 1,
                             .cores = &core,
                             .memory_mb = MEMORY_MB * (mtu > 2000 ? 5 : 1)};

    if (eal_start(&eal, err, err_len) != PROA_OK)
        return false;
    if (bare && mtu < DPDK_BARE_MTU)
        mtu = DPDK_BARE_MTU;
    side->pool = pool_dpdk_create(0, PACKETS, RESERVED, (uint16_t)mtu, err, err_len);
    side->result = malloc(sizeof(*side->result));
    side->message = malloc(o->size > 0 ? o->size : 1);
    if (side->pool == NULL || side->result == NULL || side->message == NULL)
        return false;
    side->on.pool = side->pool;
    return bare ? open_device(side, err, err_len) : open_port(side, err, err_len);
}

static void close_side(struct side *side)
{
    port_close(side->on.port);
    if (side->pool != NULL && !perf_port_is_veth(side->plan->options.port))
        pool_dpdk_destroy(side->pool); /* a bare device keeps its own */
    free(side->result);
    free(side->message);
}

static bool await_up(const struct side *side)
{
    const struct timespec pause = {0, 10 * 1000 * 1000};

    if (side->on.port == NULL)
        return true;
    for (proa_ns waited = 0; waited < UP_IN; waited += 10 * PROA_MS) {
        if (port_up(side->on.port))
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
    struct raw_options options = {
        .size = step->size,
        .burst = PORT_BURST,
        .hold = true,
        .segment = step->segment,
        .touch = step->touch,
        .message = step->copy ? side->message : NULL,
        .message_size = step->copy ? side->plan->options.size : 0,
        .duration = open_ended ? side->plan->duration + SPARE : side->plan->duration,
        .patience = open_ended ? QUIET : PROA_S};

    raw_run(&side->on, role, &options, side->result);
}

static void fill_stepped(const struct raw_result *result, struct stepped *ret)
{
    *ret = (struct stepped){
        .packets = result->packets, .strays = result->strays, .elapsed = result->elapsed};
    ret->trips = (struct perf_trips){.count = result->packets,
                                     .least = raw_percentile(result, 1),
                                     .p50 = raw_percentile(result, 500000),
                                     .p90 = raw_percentile(result, 900000),
                                     .p99 = raw_percentile(result, 990000),
                                     .p999 = raw_percentile(result, 999000),
                                     .p9999 = raw_percentile(result, 999900),
                                     .most = raw_percentile(result, 1000000)};
}

/* Those the parent names, until it closes the pipe. */
static void run_steps(struct side *side, const struct perf_pipe *pipe)
{
    struct stepped stepped;
    uint32_t number;

    while (perf_pipe_read(pipe, &number, sizeof(number), OPEN_IN)) {
        side->step = &side->plan->steps[number];
        if (!eal_launch(0, run_step, side))
            return;
        eal_join(0);
        fill_stepped(side->result, &stepped);
        if (!perf_pipe_write(pipe, &stepped, sizeof(stepped)))
            return;
    }
}

static int raw_process(const struct perf_pipe *pipe, void *ctx)
{
    struct side side = {.plan = ctx};
    struct opened opened = {0};
    struct proa_addr neighbour;
    char up;

    opened.ok = (!perf_port_is_veth(side.plan->options.port) ||
                 perf_netns_enter(pipe, side.plan->second, false, opened.error,
                                  sizeof(opened.error))) &&
                open_side(&side, opened.error, sizeof(opened.error));
    opened.huge = opened.ok && eal_huge();
    if (opened.ok && side.on.port != NULL)
        opened.address = side.on.port->address;
    perf_pipe_write(pipe, &opened, sizeof(opened));
    if (opened.ok && perf_pipe_read(pipe, &neighbour, sizeof(neighbour), OPEN_IN)) {
        if (side.on.port != NULL && side.on.port->neighbour.family == 0)
            side.on.port->neighbour = neighbour;
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
                      const struct perf_process *sender, bool *ret_huge, char *err,
                      size_t err_len)
{
    struct opened r, s;
    char r_up = 0, s_up = 0;

    if (!perf_pipe_read(&receiver->pipe, &r, sizeof(r), OPEN_IN) ||
        !perf_pipe_read(&sender->pipe, &s, sizeof(s), OPEN_IN))
        return failed(err, err_len, "a process did not start");
    if (!r.ok || !s.ok)
        return failed(err, err_len, r.ok ? s.error : r.error);
    *ret_huge = *ret_huge && r.huge && s.huge;
    perf_pipe_write(&receiver->pipe, &s.address, sizeof(s.address));
    perf_pipe_write(&sender->pipe, &r.address, sizeof(r.address));
    if (!perf_pipe_read(&receiver->pipe, &r_up, 1, UP_IN + PROA_S) ||
        !perf_pipe_read(&sender->pipe, &s_up, 1, UP_IN + PROA_S) || !r_up || !s_up)
        return failed(err, err_len, "the two sides do not see each other");
    return true;
}

static void keep_trips(const struct plan *plan, const struct step *step,
                       const struct perf_trips *trips, struct perf_raw *ret)
{
    bool better = ret->trip_size == 0 || trips->p50 < ret->trips.p50;
    proa_ns worse = better ? ret->trips.p50 : trips->p50;

    if (ret->trip_size != 0)
        ret->trip_other = worse;
    if (!better)
        return;
    ret->trip_size = step->size;
    ret->trips = *trips;
    ret->trip_how = plan->how;
}

static void keep_flood(const struct plan *plan, const struct step *step, double rate,
                       struct perf_raw_flood *ret)
{
    bool better = ret->size == 0 || rate > ret->packets_per_s;
    double worse = better ? ret->packets_per_s : rate;

    if (ret->size != 0)
        ret->other = worse;
    if (!better)
        return;
    ret->size = step->size;
    ret->packets_per_s = rate;
    ret->how = plan->how;
    if (plan->options.port == PERF_PORT_UDP)
        ret->how = step->segment ? "UDP_SEGMENT" : "sendmmsg";
}

/* Runs both sides of a step once. */
static bool run_both(const struct plan *plan, uint32_t number,
                     const struct perf_process *receiver,
                     const struct perf_process *sender, struct stepped *ret_receiver,
                     struct stepped *ret_sender)
{
    const struct timespec pause = {0, 20 * 1000 * 1000};
    proa_ns patience = plan->duration + SPARE;

    perf_pipe_write(&receiver->pipe, &number, sizeof(number));
    nanosleep(&pause, NULL); /* it listens before the other sends; the sink waits QUIET */
    perf_pipe_write(&sender->pipe, &number, sizeof(number));
    return perf_pipe_read(&sender->pipe, ret_sender, sizeof(*ret_sender), patience) &&
           perf_pipe_read(&receiver->pipe, ret_receiver, sizeof(*ret_receiver), patience);
}

static bool one_step(const struct plan *plan, uint32_t number,
                     const struct perf_process *receiver,
                     const struct perf_process *sender, struct perf_raw *ret)
{
    const struct step *step = &plan->steps[number];
    struct stepped r, s;

    for (unsigned i = 0; i < TRIES; i++) {
        if (!run_both(plan, number, receiver, sender, &r, &s) || r.packets == 0 ||
            r.elapsed == 0 || s.packets == 0)
            return false;
        if (step->sender != RAW_PING) {
            keep_flood(plan, step, (double)r.packets * 1e9 / (double)r.elapsed,
                       step->one    ? &ret->one
                       : step->copy ? &ret->copy
                                    : &ret->full);
            return true;
        }
        if (s.strays == 0 && step->touch) {
            ret->touched = s.trips;
            return true;
        }
        if (s.strays == 0) {
            keep_trips(plan, step, &s.trips, ret);
            return true;
        }
    }
    return false;
}

static void add_step(struct plan *plan, struct step step)
{
    const struct perf_options *o = &plan->options;
    uint32_t most = (o->mtu != 0 ? o->mtu : 1500) + 14;

    PROA_ASSERT(plan->step_count < STEPS_MAX);
    if (step.size < RAW_SIZE_MIN)
        step.size = RAW_SIZE_MIN;
    if (step.size > most)
        step.size = most;
    plan->steps[plan->step_count++] = step;
}

static void make_plan(struct plan *plan)
{
    const struct perf_options *o = &plan->options;
    bool raw = o->mode == PERF_MODE_RAW;
    struct step flood = {.sender = RAW_FLOOD, .receiver = RAW_SINK};

    plan->duration = (o->seconds < SECONDS ? o->seconds : SECONDS) * PROA_S;
    flood.size = raw                        ? o->size
                 : o->port == PERF_PORT_UDP ? PERF_RAW_UDP_FRAME
                                            : PERF_RAW_TELL_FRAME;
    add_step(plan, flood);
    if (o->port == PERF_PORT_UDP) {
        flood.segment = true;
        add_step(plan, flood);
    }
    if ((perf_port_is_veth(o->port) || o->flush_each) && o->mode == PERF_MODE_TELL)
        add_step(plan, (struct step){.sender = RAW_FLOOD,
                                     .receiver = RAW_SINK,
                                     .size = HEAD_ONE + o->size,
                                     .one = true});
    if (o->size >= PERF_BULK_LEAST && o->mode == PERF_MODE_TELL)
        add_step(plan, (struct step){.sender = RAW_FLOOD,
                                     .receiver = RAW_SINK,
                                     .size = UINT32_MAX, /* as large as they go */
                                     .copy = true});
    if (o->mode != PERF_MODE_TELL)
        add_step(plan, (struct step){.sender = RAW_PING,
                                     .receiver = RAW_PONG,
                                     .size = raw ? o->size : HEAD_ASK + o->size});
    if (o->port == PERF_PORT_VHOST && o->mode != PERF_MODE_TELL)
        add_step(plan, (struct step){.sender = RAW_PING,
                                     .receiver = RAW_PONG,
                                     .size = raw ? o->size : HEAD_ASK + o->size,
                                     .touch = true});
}

/* One pair of processes through all steps. */
static bool measure(struct plan *plan, struct perf_raw *ret, char *err, size_t err_len)
{
    struct perf_process receiver = {0}, sender = {0};
    bool ok;

    plan->second = false;
    ok = perf_process_start(&receiver, raw_process, plan);
    plan->second = true;
    ok = ok && perf_process_start(&sender, raw_process, plan);
    if (!ok)
        failed(err, err_len, "no process could be made");
    if (perf_port_is_veth(plan->options.port))
        ok = ok && perf_netns_join(&receiver, &sender, &ret->not_here, err, err_len);
    ok = ok && introduce(&receiver, &sender, &ret->huge, err, err_len);
    for (uint32_t i = 0; ok && i < plan->step_count; i++) {
        ok = one_step(plan, i, &receiver, &sender, ret);
        if (!ok)
            failed(err, err_len, "no packets came, or others' came between");
    }
    perf_process_end(&sender, PROA_S);
    perf_process_end(&receiver, PROA_S);
    return ok;
}

bool perf_raw_measure(const struct perf_options *options, const char *dir,
                      struct perf_raw *ret, char *err, size_t err_len)
{
    static const char *const budgets[] = {"busy_budget=0", "busy_budget=64"};
    struct plan plan = {.options = *options, .dir = dir, .how = ""};
    bool ok = true;

    *ret = (struct perf_raw){
        .huge = true, .full.how = "", .one.how = "", .copy.how = "", .trip_how = ""};
    if (options->port == PERF_PORT_RING)
        return failed(err, err_len, "a ring port has none: it copies within the process");
    signal(SIGPIPE, SIG_IGN);
    make_plan(&plan);
    if (options->port != PERF_PORT_AF_XDP)
        return measure(&plan, ret, err, err_len);
    for (size_t i = 0; ok && i < sizeof(budgets) / sizeof(budgets[0]); i++) {
        plan.how = budgets[i];
        ok = measure(&plan, ret, err, err_len);
    }
    return ok;
}
