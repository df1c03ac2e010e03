/* SPDX-License-Identifier: Apache-2.0 */
#include "mesh_net.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum flight_kind { FLIGHT_MESSAGE, FLIGHT_PING, FLIGHT_PONG, FLIGHT_DOWN };

/* Bytes that go to several nodes are kept once. */
struct parcel {
    unsigned refs;
    size_t len;
    uint8_t bytes[];
};

struct net_flight {
    proa_ns at;
    uint64_t serial; /* of equal moments the first sent arrives first */
    struct parcel *parcel;
    enum flight_kind kind;
    unsigned from, to, from_life, to_life;
};

uint64_t net_random(struct net *net)
{
    /* splitmix64, Vigna 2015 */
    uint64_t z = net->random += UINT64_C(0x9e3779b97f4a7c15);

    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

static bool chance(struct net *net, unsigned per_mille)
{
    return per_mille > 0 && net_random(net) % 1000 < per_mille;
}

uint64_t net_hash(uint64_t hash, const void *bytes, size_t len)
{
    const uint8_t *at = bytes;

    for (; len > 0;
         at += 8) { /* eight bytes at a time: all that is sent goes through it */
        uint64_t word = 0;
        size_t part = len < 8 ? len : 8;

        memcpy(&word, at, part);
        hash = (hash ^ word) * UINT64_C(0x9e3779b97f4a7c15);
        hash ^= hash >> 29;
        len -= part;
    }
    return hash;
}

struct net *net_create(unsigned nodes, uint64_t seed)
{
    struct net *net = calloc(1, sizeof(*net));

    assert_non_null(net);
    assert_true(nodes <= NET_NODES_MAX);
    net->now = NET_START;
    net->seed = net->random = seed;
    net->trace = UINT64_C(0xcbf29ce484222325);
    net->faults.delay = 2 * PROA_MS;
    net->faults.jitter = 0;
    net->count = nodes;
    net->entries_max = 100000;
    for (unsigned i = 0; i < nodes; i++) {
        struct proa_addr *addr = &net->nodes[i].addr;

        addr->family = 4;
        addr->port = 7400;
        addr->ip[10] = addr->ip[11] = 0xff;
        addr->ip[12] = 169;
        addr->ip[13] = 254;
        addr->ip[15] = (uint8_t)(i + 1);
    }
    return net;
}

/* ---- What is under way ---- */

static bool before(const struct net_flight *a, const struct net_flight *b)
{
    return a->at != b->at ? a->at < b->at : a->serial < b->serial;
}

static void push(struct net *net, struct net_flight flight)
{
    uint32_t at = net->flight_count++;

    flight.serial = net->flight_serial++;
    flight.from_life = net->nodes[flight.from].lives;
    flight.to_life = net->nodes[flight.to].lives;
    if (flight.parcel != NULL)
        flight.parcel->refs++;
    if (net->flight_count > net->flight_cap) {
        net->flight_cap = net->flight_cap ? 2 * net->flight_cap : 1024;
        net->flights = realloc(net->flights, net->flight_cap * sizeof(flight));
        assert_non_null(net->flights);
    }
    while (at > 0 && before(&flight, &net->flights[(at - 1) / 2])) {
        net->flights[at] = net->flights[(at - 1) / 2];
        at = (at - 1) / 2;
    }
    net->flights[at] = flight;
}

static struct net_flight pop(struct net *net)
{
    struct net_flight first = net->flights[0];
    struct net_flight last = net->flights[--net->flight_count];
    uint32_t at = 0;

    for (;;) {
        uint32_t child = 2 * at + 1;

        if (child >= net->flight_count)
            break;
        if (child + 1 < net->flight_count &&
            before(&net->flights[child + 1], &net->flights[child]))
            child++;
        if (!before(&net->flights[child], &last))
            break;
        net->flights[at] = net->flights[child];
        at = child;
    }
    if (net->flight_count > 0)
        net->flights[at] = last;
    return first;
}

static void release(struct parcel *parcel)
{
    if (parcel != NULL && --parcel->refs == 0)
        free(parcel);
}

bool net_reachable(const struct net *net, unsigned a, unsigned b)
{
    return net->nodes[a].mesh != NULL && net->nodes[b].mesh != NULL &&
           net->nodes[a].group == net->nodes[b].group;
}

static void launch(struct net *net, unsigned from, unsigned to, enum flight_kind kind,
                   struct parcel *parcel)
{
    unsigned copies = chance(net, net->faults.dup) ? 2 : 1;

    for (unsigned i = 0; i < copies; i++) {
        struct net_flight flight = {
            .from = from, .to = to, .kind = kind, .parcel = parcel};

        if (chance(net, net->faults.loss) || !net_reachable(net, from, to))
            continue;
        flight.at = net->now + net->faults.delay;
        if (net->faults.jitter > 0)
            flight.at += net_random(net) % net->faults.jitter;
        if (chance(net, net->faults.reorder))
            flight.at += 3 * (net->faults.delay + net->faults.jitter);
        push(net, flight);
    }
}

/* ---- Events ---- */

static unsigned number_of(struct net *net, uint64_t node)
{
    unsigned i = 0;

    if (net->nodes[net->last_found].node == node)
        return net->last_found;
    while (i < net->count && net->nodes[i].node != node)
        i++;
    if (i < net->count)
        net->last_found = i;
    return i;
}

static unsigned number_at(const struct net *net, const struct proa_addr *addr)
{
    unsigned i = 0;

    while (i < net->count && memcmp(&net->nodes[i].addr, addr, sizeof(*addr)) != 0)
        i++;
    return i;
}

static void take_entry(struct net *net, unsigned i, const struct mesh_event *event)
{
    struct net_node *node = &net->nodes[i];
    unsigned of = number_of(net, event->node);
    struct net_book *book =
        of < net->count ? &node->seen[of] : net_other_book(net, i, event->node);

    assert_true(event->entry->node == event->node);
    switch (event->kind) {
    case MESH_ADDED:
        node->counts.added++;
        net_book_entry(book, event->entry, 1);
        break;
    case MESH_CHANGED:
        node->counts.changed++;
        assert_int_equal(event->was->index, event->entry->index);
        net_book_entry(book, event->was, -1);
        net_book_entry(book, event->entry, 1);
        break;
    default:
        node->counts.removed++;
        assert_true(book->count > 0);
        net_book_entry(book, event->entry, -1);
    }
}

static void take_payload(struct net_node *node, const struct mesh_event *event)
{
    node->last = *event;
    if (event->kind == MESH_LOADS)
        memcpy(node->loads, event->loads, event->count * sizeof(*event->loads));
    if (event->kind == MESH_ANSWERED)
        memcpy(node->refs, event->refs, event->count * sizeof(*event->refs));
    if (event->kind == MESH_LOADS_WANTED || event->kind == MESH_ASKED) {
        memcpy(node->group_name, event->group, event->len);
        node->group_name[event->len] = '\0';
    }
}

static void take(struct net *net, unsigned i, const struct mesh_event *event)
{
    struct net_node *node = &net->nodes[i];
    unsigned to;

    switch (event->kind) {
    case MESH_RESOLVE:
        node->counts.resolved++;
        to = number_at(net, &event->addr);
        if (to < net->count)
            launch(net, i, to, FLIGHT_PING, NULL);
        break;
    case MESH_UNREACHABLE:
        node->counts.unreachable++;
        node->last = *event;
        break;
    case MESH_LINKED:
        node->counts.linked++;
        break;
    case MESH_SYNCED:
        node->counts.synced++;
        break;
    case MESH_UNLINKED:
        node->counts.unlinked++;
        break;
    case MESH_REFUSED:
        node->counts.refused++;
        node->last = *event;
        break;
    case MESH_ADDED:
    case MESH_CHANGED:
    case MESH_REMOVED:
        take_entry(net, i, event);
        break;
    default:
        take_payload(node, event);
    }
    if (net->told != NULL)
        net->told(net, i, event);
}

/* ---- Nodes ---- */

static void *count_alloc(void *ctx, size_t size)
{
    struct net_node *node = ctx;

    if (node->allocations_left > 0 && --node->allocations_left == 0) {
        node->allocations_left = 1; /* from now on there is none */
        return NULL;
    }
    node->allocated += size;
    return malloc(size);
}

static void count_free(void *ctx, void *memory, size_t size)
{
    struct net_node *node = ctx;

    assert_true(node->allocated >= size);
    node->allocated -= size;
    free(memory);
}

void net_settle(struct net *net, unsigned i)
{
    struct net_node *node = &net->nodes[i];
    uint8_t buf[MESH_MESSAGE_MAX];
    uint64_t to[MESH_TO_MAX];
    struct mesh_event event;
    unsigned count;
    size_t len;

    for (node->taken = 0; mesh_event(node->mesh, &event); node->taken++)
        take(net, i, &event);
    while ((len = mesh_output(node->mesh, buf, to, &count)) > 0) {
        struct parcel *parcel = malloc(sizeof(*parcel) + len);

        assert_non_null(parcel);
        assert_in_range(count, 1, MESH_TO_MAX);
        parcel->refs = 1;
        parcel->len = len;
        memcpy(parcel->bytes, buf, len);
        net->trace = net_hash(net->trace, &net->now, sizeof(net->now));
        net->trace = net_hash(net->trace, to, count * sizeof(*to));
        net->trace = net_hash(net->trace, buf, len);
        for (unsigned t = 0; t < count; t++) {
            unsigned number = number_of(net, to[t]);

            node->sent++;
            if (number < net->count)
                launch(net, i, number, FLIGHT_MESSAGE, parcel);
        }
        release(parcel);
    }
    node->next = mesh_deadline(node->mesh);
}

void net_kill(struct net *net, unsigned i)
{
    struct net_node *node = &net->nodes[i];

    if (node->mesh == NULL)
        return;
    mesh_fini(node->mesh);
    assert_int_equal(node->allocated, 0);
    free(node->memory);
    node->memory = NULL;
    node->mesh = NULL;
    net_forget_others(net, i);
    for (unsigned n = 0; n < net->count; n++)
        if (n != i)
            push(net, (struct net_flight){.at = net->now + NET_FAILURE,
                                          .kind = FLIGHT_DOWN,
                                          .from = i,
                                          .to = n});
}

void net_start(struct net *net, unsigned i)
{
    struct net_node *node = &net->nodes[i];
    struct mesh_config config = {.address = node->addr,
                                 .nodes_max = net->nodes_max,
                                 .published_max = net->published_max,
                                 .entries_max = net->entries_max,
                                 .seed = net->seed * 1000003 + i * 1009 + node->lives,
                                 .alloc = count_alloc,
                                 .free = count_free,
                                 .alloc_ctx = node};

    assert_null(node->mesh);
    for (unsigned n = 0; n < net->count; n++) /* what they know is of the former life */
        if (net->nodes[n].mesh != NULL && net->nodes[n].seen[i].count > 0)
            *net_other_book(net, n, node->node) = net->nodes[n].seen[i];
    for (unsigned b = 0; b < sizeof(node->id.b); b++)
        node->id.b[b] = (uint8_t)net_random(net);
    node->node = kad_id_node64(&node->id);
    node->lives++;
    config.self = node->id;
    node->own = (struct net_book){0};
    memset(node->seen, 0, sizeof(node->seen));
    memset(node->reaches, 1, sizeof(node->reaches));
    for (unsigned n = 0; n < net->count; n++)
        net->nodes[n].seen[i] = (struct net_book){0};
    node->counts = (struct net_counts){0};
    node->received_bytes = node->sent = node->received = 0;
    node->memory = aligned_alloc(PROA_CACHE_LINE, mesh_size(&config));
    assert_non_null(node->memory);
    memset(node->memory, 0xa5, mesh_size(&config)); /* nothing may rely on zeros */
    node->mesh = mesh_init(node->memory, &config, net->now);
    net_settle(net, i);
}

void net_destroy(struct net *net)
{
    for (unsigned i = 0; i < net->count; i++)
        net_kill(net, i);
    for (uint32_t i = 0; i < net->flight_count; i++)
        release(net->flights[i].parcel);
    free(net->flights);
    free(net);
}

void net_group(struct net *net, unsigned i, unsigned group)
{
    net->nodes[i].group = group;
    for (unsigned n = 0; n < net->count; n++) {
        if (n == i || net->nodes[n].group == group)
            continue;
        push(net,
             (struct net_flight){
                 .at = net->now + NET_FAILURE, .kind = FLIGHT_DOWN, .from = i, .to = n});
        push(net,
             (struct net_flight){
                 .at = net->now + NET_FAILURE, .kind = FLIGHT_DOWN, .from = n, .to = i});
    }
}

enum mesh_result net_add(struct net *net, unsigned i, unsigned neighbour)
{
    enum mesh_result result =
        mesh_add(net->nodes[i].mesh, &net->nodes[neighbour].addr, net->now);

    net_settle(net, i);
    return result;
}

bool net_inject(struct net *net, unsigned i, uint64_t from, const uint8_t *bytes,
                size_t len)
{
    bool taken = mesh_input(net->nodes[i].mesh, from, bytes, len, net->now);

    net_settle(net, i);
    return taken;
}

/* ---- Time ---- */

/* i was heard by `by`: as a caller would, it says so, and ends who was there before. */
static void heard(struct net *net, unsigned by, unsigned i)
{
    struct net_node *node = &net->nodes[by];
    struct mesh_node_info info[3 * NET_NODES_MAX];
    unsigned count = mesh_nodes(node->mesh, info, 3 * NET_NODES_MAX);

    for (unsigned n = 0; n < count; n++)
        if (info[n].node != net->nodes[i].node &&
            memcmp(&info[n].addr, &net->nodes[i].addr, sizeof(info[n].addr)) == 0)
            mesh_down(node->mesh, info[n].node, true, net->now);
    net_settle(net, by);
    node->reaches[i] = true;
    mesh_met(node->mesh, &net->nodes[i].id, &net->nodes[i].addr, net->now);
}

static void deliver(struct net *net)
{
    struct net_flight flight = pop(net);
    struct net_node *to = &net->nodes[flight.to];
    const struct net_node *from = &net->nodes[flight.from];
    bool alive = net_reachable(net, flight.from, flight.to) &&
                 from->lives == flight.from_life && to->lives == flight.to_life;

    if (flight.kind == FLIGHT_DOWN) {
        if (to->mesh != NULL && to->lives == flight.to_life && to->reaches[flight.from] &&
            !net_reachable(net, flight.from, flight.to)) {
            to->reaches[flight.from] = false;
            mesh_down(to->mesh, from->node, false, net->now);
            net_settle(net, flight.to);
        }
    } else if (alive && flight.kind == FLIGHT_MESSAGE) {
        to->received++;
        to->received_bytes += flight.parcel->len;
        mesh_input(to->mesh, from->node, flight.parcel->bytes, flight.parcel->len,
                   net->now);
        net_settle(net, flight.to);
    } else if (alive) {
        heard(net, flight.to, flight.from);
        net_settle(net, flight.to);
        if (flight.kind == FLIGHT_PING)
            launch(net, flight.to, flight.from, FLIGHT_PONG, NULL);
    }
    release(flight.parcel);
}

/* Does the next thing that happens up to `end`; false when nothing does. */
static bool step(struct net *net, proa_ns end)
{
    unsigned first = net->count;

    for (unsigned i = 0; i < net->count; i++)
        if (net->nodes[i].mesh != NULL &&
            (first == net->count || net->nodes[i].next < net->nodes[first].next))
            first = i;
    proa_ns timer = first < net->count ? net->nodes[first].next : PROA_NS_NEVER;
    proa_ns arrival = net->flight_count > 0 ? net->flights[0].at : PROA_NS_NEVER;
    proa_ns next = timer < arrival ? timer : arrival;

    if (next > end || next == PROA_NS_NEVER)
        return false;
    if (next > net->now)
        net->now = next;
    if (arrival <= timer) {
        deliver(net);
    } else {
        mesh_tick(net->nodes[first].mesh, net->now);
        net_settle(net, first);
        /* else it would spin */
        assert_true(net->nodes[first].next > net->now || net->nodes[first].taken > 0);
    }
    return true;
}

void net_run(struct net *net, proa_ns span)
{
    proa_ns end = net->now + span;

    while (step(net, end))
        ;
    net->now = end;
}
