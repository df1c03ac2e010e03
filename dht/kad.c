/* SPDX-License-Identifier: Apache-2.0 */
#include "kad.h"

#include "kad_internal.h"

#include "envelope.h"

#include <string.h>

#define DEFAULT_STORE 65536
#define DEFAULT_NAMES 4096
#define DEFAULT_WATCHES 4096
#define DEFAULT_CONTACTS 1024
#define DEFAULT_PEERS 8192
#define DEFAULT_WALKS 64
#define OWNERS_MAX 4096
#define PAIRS_MAX 512
#define REQUESTS_MIN 128
#define OUT_MIN (32u << 10)
#define OUT_MAX (1u << 20)
#define SHARE_MIN 64 /* records or leases one owner or address may always have */

/* ---- Memory: one block, cut into the tables ---- */

/* How many of each there are. */
struct sizes {
    uint32_t contacts, requests, ops, ops_own, walks, records, owners, names, held, pairs,
        leases, peers;
    uint32_t out, timers;
};

static uint32_t at_most(uint32_t value, uint32_t max)
{
    return value < max ? value : max;
}

static uint32_t or_default(uint32_t value, uint32_t normal)
{
    return value != 0 ? value : normal;
}

static void choose_sizes(const struct kad_config *config, struct sizes *ret)
{
    memset(ret, 0, sizeof(*ret));
    ret->contacts = or_default(config->contacts_max, DEFAULT_CONTACTS);
    ret->ops = at_most(or_default(config->ops_max, KAD_OPS_MAX), KAD_OPS_MAX);
    ret->ops_own =
        at_most(ret->ops > KAD_OPS_OWN / 4 ? ret->ops : KAD_OPS_OWN / 4, KAD_OPS_OWN);
    ret->ops += ret->ops_own;
    ret->walks = or_default(config->walks_max, DEFAULT_WALKS) + KAD_WALKS_OWN;
    ret->records = or_default(config->store_max, DEFAULT_STORE);
    ret->owners = at_most(ret->records, OWNERS_MAX);
    ret->names = at_most(or_default(config->names_max, DEFAULT_NAMES), KAD_NAMES_MAX);
    ret->held = or_default(config->watches_max, DEFAULT_WATCHES);
    ret->leases = ret->held;
    ret->peers = or_default(config->peers_max, DEFAULT_PEERS);
    ret->pairs = at_most(KAD_WATCH_PAIRS * ret->held, PAIRS_MAX);
    ret->requests = kad_index_heads(REQUESTS_MIN);
    while (ret->requests < 16 * ret->walks)
        ret->requests *= 2;
    ret->out = OUT_MIN;
    while (ret->out < OUT_MAX && ret->out < 256 * ret->requests)
        ret->out *= 2;
    ret->timers = KAD_TIMER_SINGLES + ret->requests + ret->ops + ret->contacts +
                  ret->records + ret->owners + ret->names + KAD_HANDS + ret->held +
                  ret->pairs + ret->leases + ret->peers;
}

/* Cuts pieces off a block; with base NULL it only measures. */
struct cutter {
    uint8_t *base;
    size_t at;
};

static void *cut(struct cutter *cutter, size_t count, size_t size)
{
    void *piece = cutter->base != NULL ? cutter->base + cutter->at : NULL;

    cutter->at +=
        (count * size + PROA_CACHE_LINE - 1) / PROA_CACHE_LINE * PROA_CACHE_LINE;
    return piece;
}

struct pieces {
    struct kad *kad;
    struct kad_contact *contacts;
    struct kad_request *requests;
    struct kad_op *ops;
    struct kad_search *searches;
    struct kad_record *records;
    struct kad_owner *owners;
    struct kad_name *names;
    struct kad_held *held;
    struct kad_pair *pairs;
    struct kad_lease *leases;
    struct kad_peer *peers;
    uint32_t *by_target, *by_owner, *names_by_target, *held_by_target, *by_node,
        *leases_by_target, *peers_by_infohash, *peers_by_address;
    uint8_t *out;
    void *timers;
};

static size_t cut_all(void *memory, const struct sizes *sizes, struct pieces *ret)
{
    struct cutter cutter = {.base = memory};
    const size_t head = sizeof(uint32_t);

    ret->kad = cut(&cutter, 1, sizeof(struct kad));
    ret->contacts = cut(&cutter, sizes->contacts, sizeof(struct kad_contact));
    ret->requests = cut(&cutter, sizes->requests, sizeof(struct kad_request));
    ret->ops = cut(&cutter, sizes->ops, sizeof(struct kad_op));
    ret->searches = cut(&cutter, sizes->walks, sizeof(struct kad_search));
    ret->records = cut(&cutter, sizes->records, sizeof(struct kad_record));
    ret->owners = cut(&cutter, sizes->owners, sizeof(struct kad_owner));
    ret->names = cut(&cutter, sizes->names, sizeof(struct kad_name));
    ret->held = cut(&cutter, sizes->held, sizeof(struct kad_held));
    ret->pairs = cut(&cutter, sizes->pairs, sizeof(struct kad_pair));
    ret->leases = cut(&cutter, sizes->leases, sizeof(struct kad_lease));
    ret->peers = cut(&cutter, sizes->peers, sizeof(struct kad_peer));
    ret->by_target = cut(&cutter, kad_index_heads(sizes->records), head);
    ret->by_owner = cut(&cutter, kad_index_heads(sizes->owners), head);
    ret->names_by_target = cut(&cutter, kad_index_heads(sizes->names), head);
    ret->held_by_target = cut(&cutter, kad_index_heads(sizes->held), head);
    ret->by_node = cut(&cutter, kad_index_heads(sizes->pairs), head);
    ret->leases_by_target = cut(&cutter, kad_index_heads(sizes->leases), head);
    ret->peers_by_infohash = cut(&cutter, kad_index_heads(sizes->peers), head);
    ret->peers_by_address = cut(&cutter, kad_index_heads(sizes->peers), head);
    ret->out = cut(&cutter, sizes->out, 1);
    ret->timers = cut(&cutter, 1, kad_timers_size(sizes->timers));
    return cutter.at;
}

size_t kad_size(const struct kad_config *config)
{
    struct pieces pieces;
    struct sizes sizes;

    choose_sizes(config, &sizes);
    return cut_all(NULL, &sizes, &pieces);
}

static void set_timer_bases(struct kad *kad, const struct sizes *sizes)
{
    const uint32_t counts[KAD_TIMED_KINDS] = {[KAD_TIMED_SINGLE] = KAD_TIMER_SINGLES,
                                              [KAD_TIMED_REQUEST] = sizes->requests,
                                              [KAD_TIMED_OP] = sizes->ops,
                                              [KAD_TIMED_CONTACT] = sizes->contacts,
                                              [KAD_TIMED_RECORD] = sizes->records,
                                              [KAD_TIMED_OWNER] = sizes->owners,
                                              [KAD_TIMED_NAME] = sizes->names,
                                              [KAD_TIMED_HAND] = KAD_HANDS,
                                              [KAD_TIMED_HELD] = sizes->held,
                                              [KAD_TIMED_PAIR] = sizes->pairs,
                                              [KAD_TIMED_LEASE] = sizes->leases,
                                              [KAD_TIMED_PEER] = sizes->peers};

    for (uint32_t i = 0; i < KAD_TIMED_KINDS; i++)
        kad->timer_base[i + 1] = kad->timer_base[i] + counts[i];
}

static void init_tables(struct kad *kad, const struct sizes *sizes,
                        const struct pieces *pieces)
{
    uint8_t key[16];

    kad_random_bytes(&kad->random, key, sizeof(key));
    kad_table_init(&kad->table, &kad->self.id, pieces->contacts, sizes->contacts);
    kad->rpc.requests = pieces->requests;
    kad->rpc.cap = sizes->requests;
    for (uint32_t i = 0; i < sizes->requests; i++)
        pieces->requests[i].used = false;
    kad->ops.ops = pieces->ops;
    kad->ops.cap = sizes->ops;
    kad->ops.own_cap = sizes->ops_own;
    kad->ops.searches = pieces->searches;
    kad->ops.walks_cap = sizes->walks;
    kad_ops_init(&kad->ops);
    kad->store.records = pieces->records;
    kad->store.records_cap = sizes->records;
    kad->store.owners = pieces->owners;
    kad->store.owners_cap = sizes->owners;
    kad->store.per_owner =
        sizes->records / 4 > SHARE_MIN ? sizes->records / 4 : SHARE_MIN;
    kad->store.per_address =
        sizes->records / 2 > SHARE_MIN ? sizes->records / 2 : SHARE_MIN;
    kad_index_init(&kad->store.by_target, pieces->by_target,
                   kad_index_heads(sizes->records), key);
    kad_index_init(&kad->store.by_owner, pieces->by_owner, kad_index_heads(sizes->owners),
                   key);
    kad_store_init(&kad->store);
    kad->names.names = pieces->names;
    kad->names.cap = sizes->names;
    kad_index_init(&kad->names.by_target, pieces->names_by_target,
                   kad_index_heads(sizes->names), key);
    kad_names_init(&kad->names);
    kad->hands.sweep_contact = KAD_NONE;
    kad->watches.held = pieces->held;
    kad->watches.cap = sizes->held;
    kad->watches.pairs = pieces->pairs;
    kad->watches.pairs_cap = sizes->pairs;
    kad_index_init(&kad->watches.by_target, pieces->held_by_target,
                   kad_index_heads(sizes->held), key);
    kad_index_init(&kad->watches.by_node, pieces->by_node, kad_index_heads(sizes->pairs),
                   key);
    kad_watches_init(&kad->watches);
    kad->leases.leases = pieces->leases;
    kad->leases.cap = sizes->leases;
    kad->leases.per_address =
        sizes->leases / 4 > SHARE_MIN ? sizes->leases / 4 : SHARE_MIN;
    kad_index_init(&kad->leases.by_target, pieces->leases_by_target,
                   kad_index_heads(sizes->leases), key);
    kad_leases_init(&kad->leases);
    kad->peers.peers = pieces->peers;
    kad->peers.cap = sizes->peers;
    kad->peers.per_address = sizes->peers / 4 > SHARE_MIN ? sizes->peers / 4 : SHARE_MIN;
    kad_index_init(&kad->peers.by_infohash, pieces->peers_by_infohash,
                   kad_index_heads(sizes->peers), key);
    kad_index_init(&kad->peers.by_address, pieces->peers_by_address,
                   kad_index_heads(sizes->peers), key);
    kad_peers_init(&kad->peers);
}

struct kad *kad_init(void *memory, const struct kad_config *config, proa_ns now,
                     uint64_t wall_ms)
{
    struct pieces pieces;
    struct sizes sizes;

    choose_sizes(config, &sizes);
    cut_all(memory, &sizes, &pieces);
    struct kad *kad = pieces.kad;
    memset(kad, 0, sizeof(*kad));
    kad->self = *config->self;
    kad->keys = *config->keys;
    kad->address = config->address;
    kad->epoch = config->epoch;
    kad->now = now;
    kad->wall_ms = kad->wall_told = wall_ms;
    kad->wall_at = now;
    kad_random_init(&kad->random, config->seed, &config->self->secret_key,
                    sizeof(config->self->secret_key));
    kad_token_init(&kad->token, &kad->random);
    kad_timers_init(&kad->timers, pieces.timers, sizes.timers);
    set_timer_bases(kad, &sizes);
    kad->out.bytes = pieces.out;
    kad->out.cap = sizes.out;
    init_tables(kad, &sizes, &pieces);
    kad_set_timer(kad, KAD_TIMED_SINGLE, KAD_TIMER_TOKEN, now + KAD_TOKEN_PERIOD);
    kad_set_timer(kad, KAD_TIMED_SINGLE, KAD_TIMER_SWEEP,
                  now + kad_random_jitter(&kad->random, KAD_SWEEP_EVERY));
    kad_join_init(kad, config->seeds, at_most(config->seed_count, KAD_SEEDS_MAX));
    return kad;
}

/* ---- Time ---- */

void kad_set_now(struct kad *kad, proa_ns now)
{
    if (now <= kad->now)
        return; /* calls with an older moment happen at the present one */
    kad->now = now;
    kad->wall_ms = kad->wall_told + (now - kad->wall_at) / PROA_MS;
}

static void set_clocks(struct kad *kad, proa_ns now, uint64_t wall_ms)
{
    kad_set_now(kad, now);
    kad->wall_at = kad->now;
    kad->wall_ms = kad->wall_told = wall_ms;
}

uint32_t kad_timer(const struct kad *kad, enum kad_timed timed, uint32_t index)
{
    PROA_ASSERT(kad->timer_base[timed] + index < kad->timer_base[timed + 1]);
    return kad->timer_base[timed] + index;
}

void kad_set_timer(struct kad *kad, enum kad_timed timed, uint32_t index, proa_ns due)
{
    kad_timers_set(&kad->timers, kad_timer(kad, timed, index), due);
}

void kad_clear_timer(struct kad *kad, enum kad_timed timed, uint32_t index)
{
    kad_timers_clear(&kad->timers, kad_timer(kad, timed, index));
}

static void token_due(struct kad *kad)
{
    kad_token_rotate(&kad->token, &kad->random);
    kad_set_timer(kad, KAD_TIMED_SINGLE, KAD_TIMER_TOKEN, kad->now + KAD_TOKEN_PERIOD);
}

static void single_due(struct kad *kad, uint32_t single)
{
    static void (*const due[KAD_TIMER_SINGLES])(struct kad *) = {
        [KAD_TIMER_SEED] = kad_seed_due,        [KAD_TIMER_NEWCOMERS] = kad_newcomers_due,
        [KAD_TIMER_TEND] = kad_tend_due,        [KAD_TIMER_REFRESH] = kad_refresh_due,
        [KAD_TIMER_TOKEN] = token_due,          [KAD_TIMER_NOTIFY] = kad_lease_pump,
        [KAD_TIMER_SWEEP] = kad_hand_sweep_due, [KAD_TIMER_LEAVE] = kad_names_leave_step};

    due[single](kad);
}

void kad_tick(struct kad *kad, proa_ns now, uint64_t wall_ms)
{
    static void (*const due[KAD_TIMED_KINDS])(struct kad *, uint32_t) = {
        [KAD_TIMED_SINGLE] = single_due,     [KAD_TIMED_REQUEST] = kad_rpc_due,
        [KAD_TIMED_OP] = kad_op_due,         [KAD_TIMED_CONTACT] = kad_probe_due,
        [KAD_TIMED_RECORD] = kad_record_due, [KAD_TIMED_OWNER] = kad_owner_due,
        [KAD_TIMED_NAME] = kad_name_due,     [KAD_TIMED_HAND] = kad_hand_due,
        [KAD_TIMED_HELD] = kad_held_due,     [KAD_TIMED_PAIR] = kad_pair_due,
        [KAD_TIMED_LEASE] = kad_lease_due,   [KAD_TIMED_PEER] = kad_peer_due};
    uint32_t number;

    set_clocks(kad, now, wall_ms);
    for (uint32_t i = 0; i < KAD_DUE_MAX; i++) {
        uint32_t timed = 0;

        if (!kad_timers_pop(&kad->timers, kad->now, &number))
            return;
        while (number >= kad->timer_base[timed + 1])
            timed++;
        due[timed](kad, number - kad->timer_base[timed]);
    }
}

proa_ns kad_deadline(const struct kad *kad)
{
    return kad_timers_next(&kad->timers);
}

/* ---- Datagrams in ---- */

void kad_result(struct kad *kad, const struct kad_request *request,
                enum kad_result result, const struct krpc_message *message)
{
    static void (*const takers[])(struct kad *, const struct kad_request *,
                                  enum kad_result, const struct krpc_message *) = {
        [KAD_TAG_WALK] = kad_op_walk_result,
        [KAD_TAG_HOLDER] = kad_op_holder_result,
        [KAD_TAG_PUT] = kad_claim_put_result,
        [KAD_TAG_ANNOUNCE] = kad_announce_result,
        [KAD_TAG_OWNER] = kad_owner_result,
        [KAD_TAG_WATCH] = kad_held_result,
        [KAD_TAG_HELD] = kad_held_judged,
        [KAD_TAG_RENEW] = kad_pair_result,
        [KAD_TAG_SWEEP] = kad_hand_sweep_result,
        [KAD_TAG_HAND] = kad_hand_put_result,
        [KAD_TAG_SEED] = kad_seed_result,
        [KAD_TAG_MEET] = kad_meet_result,
        [KAD_TAG_NOTIFY] = kad_lease_result,
        [KAD_TAG_NEWCOMER] = NULL,
        [KAD_TAG_NONE] = NULL};

    if (takers[request->tag.kind] != NULL)
        takers[request->tag.kind](kad, request, result, message);
}

/* Checks membership and freshness.  Nothing has changed when it is false, but a counter. */
static bool is_member(struct kad *kad, const uint8_t *pkt, size_t len)
{
    switch (envelope_open(&kad->keys, pkt, len, kad->wall_ms, kad->epoch, NULL)) {
    case 0:
        return true;
    case ENVELOPE_E_OLD:
        kad->stats.rx_dropped_old++;
        return false;
    default:
        kad->stats.rx_dropped_mac++;
        return false;
    }
}

bool kad_input(struct kad *kad, const struct proa_addr *from, const uint8_t *pkt,
               size_t len, proa_ns now, uint64_t wall_ms)
{
    struct krpc_message message;

    set_clocks(kad, now, wall_ms);
    kad->stats.rx++;
    if (!is_member(kad, pkt, len))
        return false;
    int bad = krpc_decode(&message, pkt, len);
    if (bad != 0 || (message.kind != KRPC_ERROR && !kad_id_valid(&message.id))) {
        kad->stats.rx_malformed++;
        return false;
    }
    if (message.kind == KRPC_QUERY) {
        if (kad_id_equal(&message.id, &kad->self.id)) {
            kad->stats.rx_unexpected++; /* our own, sent back */
            return false;
        }
        kad_query(kad, from, &message);
        return true;
    }
    if (kad_rpc_answer(kad, from, &message))
        return true;
    kad->stats.rx_unexpected++;
    return false;
}

/* ---- Events ---- */

void kad_notice(struct kad *kad, enum kad_event_kind kind, const struct kad_id *id,
                const struct proa_addr *addr)
{
    if (kad->notice_count == KAD_NOTICES_MAX) {
        kad->stats.events_lost++;
        return;
    }
    struct kad_notice *notice =
        &kad->notices[(kad->notice_first + kad->notice_count++) % KAD_NOTICES_MAX];
    notice->kind = kind;
    notice->id = *id;
    notice->addr = *addr;
}

bool kad_event(struct kad *kad, struct kad_event *ret_event)
{
    if (kad->notice_count > 0) {
        const struct kad_notice *notice = &kad->notices[kad->notice_first];

        memset(ret_event, 0, sizeof(*ret_event));
        ret_event->kind = notice->kind;
        ret_event->id = notice->id;
        ret_event->addr = notice->addr;
        ret_event->alive = notice->kind != KAD_SILENT;
        kad->notice_first = (kad->notice_first + 1) % KAD_NOTICES_MAX;
        kad->notice_count--;
        return true;
    }
    return kad_name_event(kad, ret_event) || kad_op_event(kad, ret_event) ||
           kad_held_event(kad, ret_event);
}

/* ---- Operations that need no file of their own ---- */

uint32_t kad_lookup(struct kad *kad, const char *text, size_t len, bool fast,
                    proa_ns deadline, proa_ns now)
{
    struct kad_id target;

    kad_set_now(kad, now);
    if (len == 0 || len > PROA_NAME_MAX)
        return 0;
    kad_id_of_name(text, len, &target);
    const struct kad_name *name = kad_name_find(kad, &target);
    struct kad_op *op = kad_op_new(kad, KAD_OP_LOOKUP, &target, deadline, false);
    if (op == NULL)
        return 0;
    uint32_t number = op->number;
    op->fast = fast;
    if (name != NULL && name->state == KAD_NAME_HELD) {
        op->alive = true;
        op->raw_len = name->len;
        memcpy(op->raw, name->raw, name->len);
        kad_op_finish(kad, op, PROA_OK);
    } else {
        kad_op_start(kad, op);
    }
    return number;
}

uint32_t kad_find_node(struct kad *kad, uint64_t node, proa_ns deadline, proa_ns now)
{
    struct kad_id target = {0};

    kad_set_now(kad, now);
    if (node == 0)
        return 0;
    for (int i = 0; i < 8; i++)
        target.b[i] = (uint8_t)(node >> (56 - 8 * i));
    struct kad_op *op = kad_op_new(kad, KAD_OP_FIND, &target, deadline, false);
    if (op == NULL)
        return 0;
    uint32_t number = op->number;
    op->node = node;
    if (node == kad_id_node64(&kad->self.id)) {
        op->holder = kad->self.id;
        op->addr = kad->address;
        kad_op_finish(kad, op, PROA_OK);
    } else {
        kad_op_start(kad, op);
    }
    return number;
}

void kad_heard(struct kad *kad, const struct kad_id *id, const struct proa_addr *addr,
               proa_ns now)
{
    struct kad_contact *contact = kad_table_find(&kad->table, id);

    kad_set_now(kad, now);
    if (contact != NULL && kad_addr_equal(&contact->addr, addr))
        kad_contact_fresh(kad, contact);
    else
        kad_newcomer(kad, id, addr);
}

bool kad_joined(const struct kad *kad)
{
    return kad->join.joined;
}

/* ---- Looking in ---- */

void kad_stats(const struct kad *kad, struct kad_stats *ret)
{
    *ret = kad->stats;
    ret->contacts = kad->table.live;
    ret->records = kad->store.count;
    ret->names = kad->names.count;
    ret->ops = kad->ops.used;
    ret->peers = kad->peers.count;
    ret->peers_replaced = kad->peers.replaced;
}

unsigned kad_contacts(const struct kad *kad, struct kad_contact_info *ret, unsigned max)
{
    struct kad_contact *closest[DEFAULT_CONTACTS];
    uint32_t count = kad_table_closest(&kad->table, &kad->self.id, false, closest,
                                       at_most(max, DEFAULT_CONTACTS));

    for (uint32_t i = 0; i < count; i++) {
        ret[i].id = closest[i]->id;
        ret[i].addr = closest[i]->addr;
        ret[i].heard_at = closest[i]->heard_at;
        ret[i].srtt = closest[i]->rtt.srtt;
    }
    return count;
}
