/* SPDX-License-Identifier: Apache-2.0 */
#include "node_build.h"

#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "addr.h"
#include "cli_server.h"
#include "clock.h"
#include "cores.h"
#include "eal.h"
#include "events_node.h"
#include "kernel_clock.h"
#include "pool_dpdk.h"
#include "pool_plain.h"
#include "port_af_xdp.h"
#include "port_ethdev.h"
#include "port_vhost.h"
#include "syscall_filter.h"
#include "telemetry.h"

#define NODE_PACKETS                                                                     \
    24576 /* of a lane: queues of a port, R, O and Q (docs/wire.md, "Memory") */
#define NODE_RESERVED 256 /* more, for ACK, PING and control datagrams */
#define NODE_MEMORY_MB 48 /* DPDK's own: rings, devices, tables */

static enum proa_outcome no_memory(char *err, size_t err_len)
{
    snprintf(err, err_len,
             "no memory for the node's tables; give it fewer actors_max or lanes");
    return PROA_NO_MEMORY;
}

static bool wants_dpdk(const struct proa_config *config)
{
    for (unsigned i = 0; i < config->port_count; i++) {
        if (strncmp(config->ports[i].spec, "ring:", 5) != 0)
            return true;
    }
    return false;
}

/* The IP packets that the lanes' buffers are to hold, and what the ports want in front. */
static uint32_t buffer_mtu(const struct proa_config *config)
{
    uint32_t mtu = 1500, front = 0, unit = 1;

    for (unsigned i = 0; i < config->port_count; i++) {
        const struct proa_port_config *port = &config->ports[i];

        if (port->mtu > mtu)
            mtu = port->mtu;
        if (strncmp(port->spec, PORT_AF_XDP, strlen(PORT_AF_XDP)) == 0)
            front = PORT_AF_XDP_FRONT;
        if (strncmp(port->spec, PORT_ETHDEV, strlen(PORT_ETHDEV)) == 0)
            unit = PORT_ETHDEV_UNIT;
    }
    if (unit > 1)
        front += PORT_ETHDEV_AROUND;
    return (mtu + front + unit - 1) / unit * unit;
}

static uint32_t memory_for(const struct proa_config *config, uint64_t lane_bytes)
{
    unsigned lanes = config->lanes != 0 ? config->lanes : 1;

    if (config->memory_mb != 0)
        return config->memory_mb;
    return NODE_MEMORY_MB + (uint32_t)(lane_bytes * lanes >> 20);
}

uint32_t node_memory_mb(const struct proa_config *config)
{
    uint16_t mtu = (uint16_t)buffer_mtu(config);

    return memory_for(config, pool_dpdk_memory(NODE_PACKETS, NODE_RESERVED, mtu));
}

static uint32_t plain_memory_mb(const struct proa_config *config)
{
    uint16_t mtu = (uint16_t)buffer_mtu(config);

    return memory_for(config, pool_dpdk_memory_plain(NODE_PACKETS, NODE_RESERVED, mtu));
}

/* DPDK makes its telemetry socket while this is root still.  Where the user may make the socket's
   folder it is the user's, who removes the socket at the end, and this process' group may write to it:
   root without CAP_DAC_OVERRIDE needs that.  Others do not get there, so that the socket's mode may
   let the user connect.  No other thread makes files: see privileges_begin. */
static enum proa_outcome start_eal_for_user(struct proa_node *node,
                                            const struct eal_config *args, char *err,
                                            size_t err_len)
{
    struct privileges *p = &node->privileges;
    enum proa_outcome outcome;
    mode_t before;

    if (!p->wanted || p->already)
        return eal_start(args, err, err_len);
    privileges_as_owner(p, true);
    (void)eal_runtime_folder(true);
    privileges_as_owner(p, false);
    before = umask(0111);
    outcome = eal_start(args, err, err_len);
    umask(before);
    return outcome;
}

static enum proa_outcome start_eal(struct proa_node *node, char *err, size_t err_len)
{
    struct eal_config args = {.lanes = node->lane_count,
                              .cores = node->cores.core,
                              .pages = node->config.pages,
                              .memory_mb = node_memory_mb(&node->config),
                              .plain_mb = plain_memory_mb(&node->config)};

    node->on_dpdk = wants_dpdk(&node->config);
    if (!node->on_dpdk)
        return PROA_OK;
    for (unsigned i = 0; i < node->config.port_count; i++) {
        const char *spec = node->config.ports[i].spec;
        char pci[16];

        if (port_ethdev_pci(spec, pci))
            args.devices[args.device_count++] = spec + strlen(PORT_ETHDEV);
    }
    enum proa_outcome outcome = start_eal_for_user(node, &args, err, err_len);
    node->eal_started = outcome == PROA_OK;
    return outcome;
}

static enum proa_outcome make_pool(struct proa_node *node, unsigned lane, char *err,
                                   size_t err_len)
{
    uint16_t mtu = (uint16_t)buffer_mtu(&node->config);
    struct node_lane *l = &node->lanes[lane];

    if (node->on_dpdk) {
        l->pool = pool_dpdk_create(lane, NODE_PACKETS, NODE_RESERVED, mtu, err, err_len);
        return l->pool != NULL ? PROA_OK : PROA_NO_MEMORY;
    }
    l->pool = pool_plain_create(NODE_PACKETS, NODE_RESERVED, mtu);
    return l->pool != NULL ? PROA_OK : no_memory(err, err_len);
}

static bool make_lane_parts(struct proa_node *node, struct node_lane *l)
{
    l->node = node;
    l->arena = arena_create();
    l->up = byte_ring_create(NODE_UP_BYTES);
    l->down = byte_ring_create(NODE_DOWN_BYTES);
    l->notes = byte_ring_create(NODE_NOTES_BYTES);
    l->inbox = inbox_create(NODE_INBOX_ITEMS);
    l->reader = directory_reader_add(node->directory);
    return doorbell_init(&l->bell) && l->arena != NULL && l->up != NULL &&
           l->down != NULL && l->notes != NULL && l->inbox != NULL && l->reader >= 0;
}

static bool make_parts(struct proa_node *node)
{
    uint8_t seed[32];

    randombytes_buf(seed, sizeof(seed));
    node->directory = directory_create(NODE_NAMES_MAX, seed);
    if (node->directory == NULL)
        return false;
    for (unsigned i = 0; i < node->lane_count; i++) {
        if (!make_lane_parts(node, &node->lanes[i]))
            return false;
        for (unsigned j = 0; j < node->lane_count; j++) {
            if (i == j)
                continue;
            node->pairs[i][j] = pair_ring_create(NODE_PAIR_ITEMS);
            if (node->pairs[i][j] == NULL)
                return false;
        }
    }
    return true;
}

/* A port has something new: lanes that sleep look at it. */
static void wake_lanes(void *ctx)
{
    struct proa_node *node = ctx;

    for (unsigned i = 0; i < node->lane_count; i++)
        doorbell_ring(&node->lanes[i].bell);
}

static enum proa_outcome open_ports(struct proa_node *node, char *err, size_t err_len)
{
    struct pkt_pool *pools[PROA_LANES_MAX];

    for (unsigned i = 0; i < node->lane_count; i++)
        pools[i] = node->lanes[i].pool;
    for (unsigned i = 0; i < node->config.port_count; i++) {
        struct port_open_args args = {.config = &node->config.ports[i],
                                      .index = (uint8_t)i,
                                      .queues = node->lane_count,
                                      .pools = pools,
                                      .wake = wake_lanes,
                                      .wake_ctx = node};
        /* vhost ports make sockets for as long as they live. */
        bool as_user = strncmp(args.config->spec, PORT_VHOST, strlen(PORT_VHOST)) == 0;

        if (as_user)
            privileges_as_user(&node->privileges, true);
        node->ports[i] = port_open(&args, err, err_len);
        if (as_user)
            privileges_as_user(&node->privileges, false);
        if (node->ports[i] == NULL)
            return PROA_NO_PORT;
        node->port_count = i + 1;
    }
    node->address = node->ports[0]->address;
    return PROA_OK;
}

static enum proa_outcome read_seeds(const struct proa_config *config,
                                    struct core_config *cc, char *err, size_t err_len)
{
    for (unsigned i = 0; i < config->seed_count; i++) {
        if (!addr_parse(config->seeds[i], PROA_PORT, &cc->seeds[i])) {
            snprintf(err, err_len, "seed \"%s\": not ADDRESS:PORT", config->seeds[i]);
            return PROA_BAD_CONFIG;
        }
        cc->seed_count = i + 1;
    }
    return PROA_OK;
}

static const struct proa_behaviour *known(const struct proa_config *config,
                                          const char *type_name)
{
    for (unsigned i = 0; i < config->behaviour_count; i++) {
        if (strcmp(config->behaviours[i]->type_name, type_name) == 0)
            return config->behaviours[i];
    }
    return NULL;
}

static enum proa_outcome find_allowed(struct proa_node *node, char *err, size_t err_len)
{
    const struct proa_config *config = &node->config;

    if (config->allow_spawn_count > PROA_ALLOW_MAX) {
        snprintf(err, err_len, "allow_spawn: more than %d", PROA_ALLOW_MAX);
        return PROA_BAD_CONFIG;
    }
    for (unsigned i = 0; i < config->allow_spawn_count; i++) {
        node->allowed[i] = known(config, config->allow_spawn[i]);
        if (node->allowed[i] != NULL)
            continue;
        snprintf(err, err_len, "allow_spawn: this program has no behaviour '%s'",
                 config->allow_spawn[i]);
        return PROA_BAD_CONFIG;
    }
    return PROA_OK;
}

static bool make_offload(struct proa_node *node)
{
    cpu_set_t spare;
    bool pinned = cores_spare(&node->cores, &spare);

    if (node->config.offload_threads == 0)
        return true;
    node->offload = offload_create(node->lane_count, false);
    if (node->offload == NULL)
        return false;
    node->pool = offload_pool_create(node->offload, node->config.offload_threads,
                                     pinned ? &spare : NULL);
    if (node->pool == NULL) {
        offload_destroy(node->offload);
        node->offload = NULL;
        return false;
    }
    for (unsigned i = 0; i < node->lane_count; i++)
        offload_home(node->offload, i, node->lanes[i].inbox, &node->lanes[i].bell);
    return true;
}

static enum proa_outcome make_core(struct proa_node *node, char *err, size_t err_len)
{
    struct core_config cc = {.ports = node->ports,
                             .port_count = node->port_count,
                             .address = node->address,
                             .lanes = node->lane_count,
                             .directory = node->directory,
                             .mesh_nodes_max = node->config.mesh_nodes_max,
                             .mesh_published_max = node->config.mesh_published_max};
    uint8_t seed[PROA_SEED_LEN];
    enum proa_outcome outcome = read_seeds(&node->config, &cc, err, err_len);

    if (outcome != PROA_OK)
        return outcome;
    do
        randombytes_buf(seed, sizeof(seed));
    while (identity_init(&cc.identity, seed) != 0);
    sodium_memzero(seed, sizeof(seed));
    cluster_keys_init(&cc.keys, node->config.cluster_key);
    randombytes_buf(&cc.seed, sizeof(cc.seed));
    for (unsigned i = 0; i < node->lane_count; i++) {
        cc.up[i] = node->lanes[i].up;
        cc.down[i] = node->lanes[i].down;
        cc.notes[i] = node->lanes[i].notes;
        cc.bells[i] = &node->lanes[i].bell;
    }
    node->core = core_create(&cc, clock_now(), kernel_clock(CLOCK_REALTIME) / PROA_MS);
    sodium_memzero(&cc.identity, sizeof(cc.identity));
    cluster_keys_fini(&cc.keys);
    return node->core != NULL ? PROA_OK : no_memory(err, err_len);
}

static bool make_lane(struct proa_node *node, unsigned index)
{
    struct node_lane *l = &node->lanes[index];
    struct lane_config lc = {.node = core_node(node->core),
                             .lane = index,
                             .lanes = node->lane_count,
                             .ports = node->ports,
                             .port_count = node->port_count,
                             .pool = l->pool,
                             .up = l->up,
                             .down = l->down,
                             .notes = l->notes,
                             .bell = &l->bell,
                             .control = &node->control_bell,
                             .directory = node->directory,
                             .reader = l->reader,
                             .arena = l->arena,
                             .message_max = node->config.message_max,
                             .sched = {.actors_max = node->config.actors_max,
                                       .allowed = node->allowed,
                                       .allowed_count = node->config.allow_spawn_count,
                                       .inbox = l->inbox,
                                       .offload = node->offload,
                                       /* By time alone: 64 would not do for a burst. */
                                       .in_place_max = UINT32_MAX,
                                       .clock = clock_ns}};

    randombytes_buf(&lc.sched.seed, sizeof(lc.sched.seed));
    for (unsigned i = 0; i < node->lane_count; i++) {
        lc.sched.out[i] = node->pairs[index][i];
        lc.sched.in[i] = node->pairs[i][index];
        lc.sched.bells[i] = &node->lanes[i].bell;
    }
    l->lane = lane_create(&lc);
    if (l->lane == NULL)
        return false;
    core_watch_lane(node->core, index, lane_stats(l->lane),
                    sched_stats(lane_sched(l->lane)));
    core_lane_loads(node->core, index, lane_sched(l->lane));
    return true;
}

static proa_ns home_clock(void *ctx)
{
    (void)ctx;
    return clock_ns();
}

static void make_home(struct proa_node *node)
{
    struct client_home *home = &node->home;

    home->node = core_node(node->core);
    home->lanes = node->lane_count;
    home->directory = node->directory;
    home->clock = home_clock;
    for (unsigned i = 0; i < node->lane_count; i++) {
        home->inboxes[i] = node->lanes[i].inbox;
        home->bells[i] = &node->lanes[i].bell;
    }
}

static void lane_body(void *arg)
{
    struct node_lane *l = arg;

    arena_own(l->arena);
    lane_run(l->lane, &l->node->lanes_stop, l->node->config.idle);
}

static void *lane_thread(void *arg)
{
    lane_body(arg);
    return NULL;
}

static bool start_plain(struct node_lane *l, unsigned index)
{
    cpu_set_t set;
    char name[16];

    if (pthread_create(&l->thread, NULL, lane_thread, l) != 0)
        return false;
    CPU_ZERO(&set);
    CPU_SET((size_t)l->core, &set);
    pthread_setaffinity_np(l->thread, sizeof(set), &set);
    snprintf(name, sizeof(name), "proa-lane-%u", index % 1000);
    pthread_setname_np(l->thread, name);
    return true;
}

/* Threads are born with all signals blocked, so that they reach the user's own threads. */
static bool start_threads(struct proa_node *node)
{
    sigset_t all, before;
    bool ok = true;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    for (unsigned i = 0; i < node->lane_count && ok; i++) {
        struct node_lane *l = &node->lanes[i];

        l->core = node->cores.core[i];
        ok = node->on_dpdk ? eal_launch(i, lane_body, l) : start_plain(l, i);
        l->running = ok;
    }
    ok = ok && thread_start(node);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return ok;
}

static enum proa_outcome open_state_as_user(struct proa_node *node, char *err,
                                            size_t err_len)
{
    struct proa_config *config = &node->config;
    enum proa_outcome outcome;

    privileges_as_user(&node->privileges, true);
    outcome = state_open(&node->state, config->state_dir, err, err_len);
    if (outcome == PROA_OK && !config->has_cluster_key)
        outcome = state_key(&node->state, config->cluster_key, err, err_len);
    privileges_as_user(&node->privileges, false);
    return outcome;
}

static enum proa_outcome open_state(struct proa_node *node, char *err, size_t err_len)
{
    struct privileges *p = &node->privileges;
    struct stat st;
    enum proa_outcome outcome = open_state_as_user(node, err, err_len);

    /* A folder that the user may not make root makes, for the user. */
    if (outcome != PROA_BAD_CONFIG || !p->wanted || p->already ||
        stat(node->state.dir, &st) == 0)
        return outcome;
    outcome =
        state_make(&node->state, node->config.state_dir, p->uid, p->gid, err, err_len);
    return outcome == PROA_OK ? open_state_as_user(node, err, err_len) : outcome;
}

/* What needs privileges is done: gives them up, and goes on with what needs none. */
static enum proa_outcome settle(struct proa_node *node, char *err, size_t err_len)
{
    const struct proa_config *config = &node->config;
    enum proa_outcome outcome = privileges_drop(&node->privileges, err, err_len);

    if (outcome != PROA_OK)
        return outcome;
    if (config->socket[0] != '\0') {
        node->cli = cli_server_start(node, config->socket, err, err_len);
        if (node->cli == NULL)
            return PROA_BAD_CONFIG;
    }
    return config->seccomp
               ? syscall_filter_load(config->seccomp_allow, config->seccomp_allow_count,
                                     err, err_len)
               : PROA_OK;
}

enum proa_outcome node_build(struct proa_node *node, char *err, size_t err_len)
{
    struct proa_config *config = &node->config;
    enum proa_outcome outcome =
        privileges_find(&node->privileges, config->user, err, err_len);

    if (outcome == PROA_OK)
        outcome = find_allowed(node, err, err_len);
    if (outcome == PROA_OK)
        outcome = open_state(node, err, err_len);
    if (outcome == PROA_OK)
        outcome = privileges_begin(&node->privileges, err, err_len);
    if (outcome != PROA_OK)
        return outcome;
    node->lane_count = config->lanes;
    if (!cores_choose(&node->cores, config->cores, node->lane_count, err, err_len))
        return PROA_BAD_CONFIG;
    outcome = start_eal(node, err, err_len);
    if (outcome != PROA_OK)
        return outcome;
    if (!make_parts(node) || !make_offload(node))
        return no_memory(err, err_len);
    for (unsigned i = 0; i < node->lane_count && outcome == PROA_OK; i++)
        outcome = make_pool(node, i, err, err_len);
    if (outcome == PROA_OK)
        outcome = open_ports(node, err, err_len);
    if (outcome == PROA_OK)
        outcome = make_core(node, err, err_len);
    if (outcome != PROA_OK)
        return outcome;
    for (unsigned i = 0; i < node->lane_count; i++) {
        if (!make_lane(node, i))
            return no_memory(err, err_len);
    }
    make_home(node);
    events_node_init(node);
    if (!start_threads(node))
        return no_memory(err, err_len);
    telemetry_start(node);
    return settle(node, err, err_len);
}

static void stop_threads(struct proa_node *node)
{
    thread_stop(node);
    /* relaxed: the joins below order what follows. */
    atomic_store_explicit(&node->lanes_stop, true, memory_order_relaxed);
    for (unsigned i = 0; i < node->lane_count; i++) {
        struct node_lane *l = &node->lanes[i];

        if (!l->running)
            continue;
        if (node->on_dpdk)
            eal_join(i);
        else
            pthread_join(l->thread, NULL);
        l->running = false;
    }
}

static void stop_offload(struct proa_node *node)
{
    unsigned left =
        node->pool != NULL ? offload_pool_stop(node->pool, NODE_OFFLOAD_FOR) : 0;

    if (left > 0)
        fprintf(stderr, "proa: offloaded jobs still running after %u s, left alone: %u\n",
                (unsigned)(NODE_OFFLOAD_FOR / PROA_S), left);
}

static void free_lane(struct proa_node *node, struct node_lane *l, unsigned index)
{
    for (unsigned j = 0; j < node->lane_count; j++)
        pair_ring_destroy(node->pairs[index][j]);
    inbox_destroy(l->inbox);
    byte_ring_destroy(l->up);
    byte_ring_destroy(l->down);
    byte_ring_destroy(l->notes);
    if (l->pool != NULL && node->on_dpdk)
        pool_dpdk_destroy(l->pool);
    else if (l->pool != NULL)
        pool_plain_destroy(l->pool);
    if (l->arena != NULL)
        arena_destroy(l->arena);
    doorbell_fini(&l->bell);
}

void node_tear_down(struct proa_node *node)
{
    cli_server_stop(node->cli);
    telemetry_stop(node);
    stop_threads(node);
    stop_offload(node);
    for (unsigned i = 0; i < node->lane_count; i++)
        lane_destroy(node->lanes[i].lane);
    offload_pool_destroy(node->pool);
    core_destroy(node->core);
    for (unsigned i = 0; i < node->port_count; i++)
        port_close(node->ports[i]);
    for (unsigned i = 0; i < node->lane_count; i++)
        free_lane(node, &node->lanes[i], i);
    if (node->directory != NULL)
        directory_destroy(node->directory);
    if (node->eal_started)
        eal_stop();
    cores_release(&node->cores);
    state_close(&node->state);
    doorbell_fini(&node->control_bell);
    pthread_cond_destroy(&node->changed);
    pthread_mutex_destroy(&node->mutex);
    sodium_memzero(node->config.cluster_key, sizeof(node->config.cluster_key));
    free(node);
}
