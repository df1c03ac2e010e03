/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "core_internal.h"
#include "leave.h"
#include "liveness.h"
#include "registries.h"
#include "seeking.h"

/* ---- Life ---- */

static bool kad_start(struct core *core)
{
    const struct core_config *config = &core->config;
    struct kad_config kad = {
        .self = &config->identity,
        .keys = &config->keys,
        .address = config->address,
        .seed_count = config->seed_count,
        .seed = secrets_next(&core->secrets),
        .store_max = config->store_max,
        .names_max = config->names_max,
        .watches_max = config->watches_max,
    };

    _Static_assert(KAD_SEEDS_MAX >= PROA_SEEDS_MAX, "every configured seed fits");
    memcpy(kad.seeds, config->seeds, config->seed_count * sizeof(kad.seeds[0]));
    size_t size = (kad_size(&kad) + PROA_CACHE_LINE - 1) & ~(size_t)(PROA_CACHE_LINE - 1);
    core->kad_memory = aligned_alloc(PROA_CACHE_LINE, size);
    if (core->kad_memory == NULL)
        return false;
    core->kad = kad_init(core->kad_memory, &kad, core->now, core->wall_ms);
    return core->kad != NULL;
}

/* A node that is not even known any more has no names either, and gives its place in the
   directory to the next.  It has no links, so no lane looks at its record. */
static void peer_evicted(void *ctx, const struct peer *peer)
{
    struct core *core = ctx;

    if (peer->liveness == NULL)
        return;
    mesh_port_forget(core, peer);
    registrar_node_gone(core, peer->node);
    directory_node_forget(core->config.directory, peer->node);
}

static bool parts_start(struct core *core)
{
    const struct core_config *config = &core->config;

    for (unsigned i = 0; i < config->lanes; i++) {
        if (!outlet_init(&core->outlets[i], config->down[i], config->bells[i]))
            return false;
    }
    core->registrar = registrar_create(config->names_max, config->watches_max,
                                       secrets_next(&core->secrets));
    if (core->registrar == NULL ||
        !peers_init(&core->peers, config->lanes, secrets_next(&core->secrets)))
        return false;
    if (!events_init(core))
        return false;
    core->peers.evicted = peer_evicted;
    core->peers.evicted_ctx = core;
    return handshake_init(&core->handshake, core->now) && kad_start(core) &&
           directory_node_add(config->directory, core->node, PROA_NS_NEVER) != NULL &&
           registries_start(core);
}

struct core *core_create(const struct core_config *config, proa_ns now, uint64_t wall_ms)
{
    PROA_ASSERT(config->lanes >= 1 && config->lanes <= PROA_LANES_MAX);
    PROA_ASSERT(config->seed_count <= PROA_SEEDS_MAX);
    struct core *core = calloc(1, sizeof(*core));

    if (core == NULL)
        return NULL;
    core->config = *config;
    core->node = kad_id_node64(&config->identity.id);
    core->now = now;
    core->wall_ms = wall_ms;
    core->reclaimed_at = now;
    secrets_init(&core->secrets, config->seed, &config->identity);
    if (!parts_start(core)) {
        core_destroy(core);
        return NULL;
    }
    return core;
}

void core_destroy(struct core *core)
{
    if (core == NULL)
        return;
    for (unsigned i = 0; i < core->config.lanes; i++)
        outlet_fini(&core->outlets[i]);
    events_fini(core);
    registrar_destroy(core->registrar);
    registries_fini(core);
    if (core->peers.all != NULL)
        peers_fini(&core->peers);
    handshake_fini(&core->handshake);
    free(core->kad_memory);
    secrets_fini(&core->secrets);
    identity_fini(&core->config.identity);
    cluster_keys_fini(&core->config.keys);
    free(core);
}

/* ---- What leaves ---- */

const struct port *core_port_of(const struct core *core, const struct proa_addr *addr)
{
    int port = port_route(core->config.ports, core->config.port_count, addr);

    return port < 0 ? NULL : core->config.ports[port];
}

void core_send(struct core *core, unsigned lane, uint8_t port,
               const struct proa_addr *addr, const void *bytes, size_t len)
{
    struct punt_datagram head = {.peer = *addr, .port = port};

    if (port == PEERS_PORT_ANY && core->config.port_count > 0) {
        const struct port *route = core_port_of(core, addr);

        if (route == NULL) {
            core->stats.unroutable++;
            return;
        }
        head.port = route->index;
    }
    if (!outlet_send(&core->outlets[lane], &head, bytes, len, core->now))
        core->stats.down_full++;
}

bool core_tell(struct core *core, unsigned lane, enum punt_kind kind, const void *head,
               size_t head_len, const void *tail, size_t tail_len)
{
    if (outlet_tell(&core->outlets[lane], kind, head, head_len, tail, tail_len,
                    core->now))
        return true;
    core->stats.down_full++;
    return false;
}

/* ---- Kademlia ---- */

static void kad_take_event(struct core *core, const struct kad_event *event)
{
    switch (event->kind) {
    case KAD_NODE:
        handshake_resolved(core, event->op, event->outcome == PROA_OK, &event->id,
                           &event->addr);
        return;
    case KAD_PEERS:
        seeking_peers(core, event);
        return;
    case KAD_ANNOUNCED:
        seeking_announced(core, event);
        return;
    case KAD_HEARD:
        liveness_krpc(core, &event->id, &event->addr);
        return;
    case KAD_SILENT:
        liveness_silent(core, &event->id);
        return;
    default:
        registrar_event(core, event);
        return;
    }
}

/* Everything Kademlia has to say.  via: the datagram it was just given, whose sender gets its
   answer the way it came; else NULL.  Events begin new operations, and these new datagrams,
   so both are emptied until neither gives any: each pass ends, for each operation costs one
   of KAD_OPS_MAX. */
static void kad_drain(struct core *core, const struct core_datagram *via)
{
    unsigned lane = via != NULL ? via->lane : 0;
    struct kad_event event;
    bool more = true;

    while (more) {
        uint8_t buf[KAD_PACKET_MAX];
        struct proa_addr to;
        size_t len;

        more = false;
        while ((len = kad_output(core->kad, buf, &to)) != 0) {
            bool back = via != NULL && memcmp(&to, &via->from, sizeof(to)) == 0;
            core_send(core, lane, back ? via->port : PEERS_PORT_ANY, &to, buf, len);
        }
        while (kad_event(core->kad, &event)) {
            kad_take_event(core, &event);
            more = true;
        }
    }
}

/* ---- What comes up ---- */

static void open_packet(struct core *core, const struct core_datagram *dgram)
{
    struct packet_open open;

    if (packet_open_get(dgram->bytes, dgram->len, &open) != 0) {
        core->stats.keyed_malformed++;
        return;
    }
    unsigned kind = packet_kind(dgram->bytes);
    if (open.src_node == core->node ||
        (kind != PACKET_SYN && open.dst_node != core->node))
        core->stats.keyed_unexpected++;
    else if (kind == PACKET_SYN)
        handshake_syn(core, dgram, &open);
    else if (kind == PACKET_SYNACK)
        handshake_synack(core, dgram, &open);
    else
        handshake_open(core, dgram, &open);
}

static void ping_packet(struct core *core, const struct core_datagram *dgram)
{
    struct packet_ping ping;

    if (packet_ping_get(dgram->bytes, dgram->len, &ping) != 0) {
        core->stats.keyed_malformed++;
        return;
    }
    unsigned kind = packet_kind(dgram->bytes);
    if (ping.src_node == core->node ||
        (kind != PACKET_PING && ping.dst_node != core->node))
        core->stats.keyed_unexpected++;
    else if (kind == PACKET_PING)
        liveness_on_ping(core, dgram, &ping);
    else if (kind == PACKET_PONG)
        liveness_on_pong(core, dgram, &ping);
    else if (kind == PACKET_RST)
        liveness_on_reset(core, dgram, &ping);
    else
        liveness_on_close(core, dgram, &ping);
}

static void keyed_packet(struct core *core, const struct core_datagram *dgram)
{
    if (dgram->len < PACKET_HEADER_LEN + PACKET_TAG_LEN || dgram->len > PACKET_LEN_MAX ||
        packet_version(dgram->bytes) != PACKET_VERSION)
        core->stats.keyed_malformed++;
    else if (!keyed_holds(&core->config.keys, dgram->bytes, dgram->len))
        core->stats.keyed_bad_mac++;
    else if (packet_kind(dgram->bytes) <= PACKET_OPEN)
        open_packet(core, dgram);
    else
        ping_packet(core, dgram);
}

static void datagram(struct core *core, unsigned lane, const struct byte_record *record)
{
    struct punt_datagram head;
    struct core_datagram dgram;

    memcpy(&head, record->body, sizeof(head));
    dgram = (struct core_datagram){
        .lane = lane,
        .port = head.port < core->config.port_count ? head.port : PEERS_PORT_ANY,
        .from = head.peer,
        .bytes = record->body + sizeof(head),
        .len = record->len - sizeof(head),
    };
    core->stats.datagrams++;
    if (dgram.len > 0 && dgram.bytes[0] == 'd')
        kad_input(core->kad, &dgram.from, dgram.bytes, dgram.len, core->now,
                  core->wall_ms);
    else
        keyed_packet(core, &dgram);
    kad_drain(core, &dgram);
}

static void name_call(struct core *core, unsigned lane, const struct byte_record *record)
{
    struct registrar_call call = {.lane = lane};

    memcpy(&call.head, record->body, sizeof(call.head));
    call.name = (const char *)record->body + sizeof(call.head);
    PROA_ASSERT(call.head.len == record->len - sizeof(call.head));
    registrar_call(core, &call);
}

static void link_report(struct core *core, const struct byte_record *record)
{
    struct punt_link report;

    memcpy(&report, record->body, sizeof(report));
    if (record->kind == PUNT_LINK_PING)
        liveness_ping(core, &report);
    else if (record->kind == PUNT_LINK_UP)
        liveness_up(core, &report);
    else
        liveness_ended(core, &report);
}

/* The smallest body of each kind of record: lanes are our own, so a shorter one is a bug. */
static size_t body_min(enum punt_kind kind)
{
    switch (kind) {
    case PUNT_DATAGRAM:
        return sizeof(struct punt_datagram);
    case PUNT_NEED_LINK:
        return sizeof(struct punt_node);
    case PUNT_LINK_UP:
    case PUNT_LINK_PING:
    case PUNT_LINK_ENDED:
        return sizeof(struct punt_link);
    case PUNT_NAME:
        return sizeof(struct punt_name);
    case PUNT_ACTOR_RESTARTED:
        return sizeof(struct punt_restart);
    case PUNT_ACTOR_STOPPED:
        return sizeof(struct punt_actor);
    case PUNT_WATCH:
        return sizeof(struct punt_watch);
    case PUNT_MESH:
        return sizeof(struct punt_mesh);
    case PUNT_EVENTS_WANTED:
        return sizeof(uint32_t);
    default:
        return SIZE_MAX; /* not a record for control */
    }
}

static void take_record(struct core *core, unsigned lane,
                        const struct byte_record *record)
{
    struct punt_node node;
    struct punt_actor actor;
    struct punt_restart restart;
    uint32_t on;

    PROA_ASSERT(record->len >= body_min(record->kind));
    switch (record->kind) {
    case PUNT_DATAGRAM:
        datagram(core, lane, record);
        break;
    case PUNT_NEED_LINK:
        memcpy(&node, record->body, sizeof(node));
        handshake_need(core, lane, node.node);
        break;
    case PUNT_NAME:
        name_call(core, lane, record);
        break;
    case PUNT_ACTOR_RESTARTED:
        memcpy(&restart, record->body, sizeof(restart));
        registrar_restarted(core, &restart);
        break;
    case PUNT_ACTOR_STOPPED:
        memcpy(&actor, record->body, sizeof(actor));
        registrar_stopped(core, &actor);
        break;
    case PUNT_WATCH:
        registries_watch(core, lane, record);
        break;
    case PUNT_MESH:
        mesh_port_message(core, record);
        break;
    case PUNT_EVENTS_WANTED:
        memcpy(&on, record->body, sizeof(on));
        events_wanted(core, lane, on != 0);
        break;
    default:
        link_report(core, record);
        break;
    }
}

/* Returns true when there may be more. */
static bool drain_lane(struct core *core, unsigned lane)
{
    struct byte_ring *up = core->config.up[lane];

    for (unsigned i = 0; i < CORE_STEP_RECORDS; i++) {
        const struct byte_record *record = byte_ring_peek(up);
        if (record == NULL)
            return false;
        take_record(core, lane, record);
        byte_ring_pop(up);
    }
    return !byte_ring_is_empty(up);
}

/* The same for its notes, which wait for nobody's answer. */
static bool drain_notes(struct core *core, unsigned lane)
{
    struct byte_ring *notes = core->config.notes[lane];

    if (notes == NULL)
        return false;
    for (unsigned i = 0; i < CORE_STEP_RECORDS; i++) {
        const struct byte_record *record = byte_ring_peek(notes);
        if (record == NULL)
            return false;
        events_note(core, lane, record);
        byte_ring_pop(notes);
    }
    return !byte_ring_is_empty(notes);
}

/* ---- Steps ---- */

void core_step(struct core *core, proa_ns now, uint64_t wall_ms)
{
    core->now = now;
    core->wall_ms = wall_ms;
    core->backlog = false;
    for (unsigned lane = 0; lane < core->config.lanes; lane++) {
        core->backlog |= drain_lane(core, lane);
        core->backlog |= drain_notes(core, lane);
    }
    kad_tick(core->kad, now, wall_ms);
    kad_drain(core, NULL);
    handshake_tick(core);
    registrar_tick(core);
    leave_tick(core);
    registries_step(core);
    kad_drain(core, NULL);
    events_tick(core);
    events_flush(core);
    for (unsigned lane = 0; lane < core->config.lanes; lane++)
        outlet_flush(&core->outlets[lane], now);
    if (now - core->reclaimed_at >= CORE_RECLAIM_EVERY) {
        core->reclaimed_at = now;
        directory_reclaim(core->config.directory);
    }
}

static proa_ns sooner(proa_ns a, proa_ns b)
{
    return a < b ? a : b;
}

proa_ns core_deadline(const struct core *core)
{
    proa_ns at = core->backlog ? 0 : kad_deadline(core->kad);

    at = sooner(at, handshake_deadline(&core->handshake));
    at = sooner(at, registrar_deadline(core->registrar));
    at = sooner(at, leave_deadline(core));
    at = sooner(at, registries_deadline(core));
    at = sooner(at, events_deadline(core));
    for (unsigned lane = 0; lane < core->config.lanes; lane++)
        at = sooner(at, outlet_deadline(&core->outlets[lane], core->now));
    return at;
}

/* ---- For others ---- */

uint64_t core_node(const struct core *core)
{
    return core->node;
}

bool core_joined(const struct core *core)
{
    return kad_joined(core->kad);
}

void core_leave(struct core *core, proa_ns now)
{
    core->now = now;
    leave_begin(core);
    kad_drain(core, NULL);
    for (unsigned lane = 0; lane < core->config.lanes; lane++)
        outlet_flush(&core->outlets[lane], now);
}

bool core_left(const struct core *core, proa_ns now)
{
    return leave_done(core, now);
}

unsigned core_peers(const struct core *core, struct core_peer_info *ret, unsigned max)
{
    unsigned count = 0;

    for (uint32_t i = 0; i < core->peers.high && count < max; i++) {
        const struct peer *peer = &core->peers.all[i];
        if (peer->node == 0)
            continue;
        ret[count++] = (struct core_peer_info){
            .node = peer->node,
            .addr = peer->addr,
            .links = peer->links,
            .heard_at = peer->heard_at,
            .dead = peer->dead,
        };
    }
    return count;
}

void core_stats(const struct core *core, struct core_stats *ret)
{
    *ret = core->stats;
    ret->names = core->registrar != NULL ? registrar_names(core->registrar) : 0;
}

const struct kad *core_kad(const struct core *core)
{
    return core->kad;
}

/* ---- Events ---- */

void core_watch_lane(struct core *core, unsigned lane,
                     const struct lane_stats *lane_stats,
                     const struct sched_stats *sched_stats)
{
    core->events.drops.lanes[lane] = lane_stats;
    core->events.drops.scheds[lane] = sched_stats;
}

void core_on_event(struct core *core, proa_on_event fn, void *ctx)
{
    core->events.fn = fn;
    core->events.ctx = ctx;
    core->events.told = core->events.next;
}

void core_on_dead_letter(struct core *core, proa_on_dead_letter fn, void *ctx)
{
    core->events.letter_fn = fn;
    core->events.letter_ctx = ctx;
}

void core_on_log(struct core *core, proa_on_log fn, void *ctx)
{
    core->events.log_fn = fn;
    core->events.log_ctx = ctx;
}

void core_log_unprinted(struct core *core)
{
    core->stats.log_unprinted++;
}

void core_event(struct core *core, const struct proa_event *event)
{
    events_add(core, event);
}

unsigned core_events(const struct core *core, uint64_t *next, struct proa_event *ret,
                     unsigned max)
{
    return events_read(core, next, ret, max);
}

uint64_t core_drops(const struct core *core)
{
    return events_drops_sum(&core->events.drops);
}
