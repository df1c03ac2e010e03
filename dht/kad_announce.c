/* SPDX-License-Identifier: Apache-2.0 */
#include "kad_announce.h"

#include "kad_claim.h"
#include "kad_internal.h"

#include <string.h>

/* ---- What is kept for others ---- */

bool kad_peer_keep(struct kad *kad, const struct kad_id *infohash,
                   const struct proa_addr *addr)
{
    uint32_t number = kad_peers_add(&kad->peers, infohash, addr);

    if (number == KAD_NONE) {
        kad->stats.peers_refused++;
        return false;
    }
    kad_set_timer(kad, KAD_TIMED_PEER, number, kad->now + KAD_PEER_KEPT);
    return true;
}

void kad_peer_due(struct kad *kad, uint32_t number)
{
    kad_peers_remove(&kad->peers, number);
}

uint32_t kad_peers_answer(struct kad *kad, const struct kad_id *infohash,
                          struct proa_addr *ret)
{
    uint32_t count = kad_peers_count(&kad->peers, infohash), skip = 0;
    uint32_t bytes = 0, fit = 0;

    if (count > PROA_KRPC_VALUES_MAX / 2) /* not all may fit: not always the same */
        skip = (uint32_t)(kad_random_u64(&kad->random) % count);
    count = kad_peers_list(&kad->peers, infohash, skip, ret, PROA_KRPC_VALUES_MAX);
    for (; fit < count; fit++) {
        bytes += ret[fit].family == 4 ? 2 + 6 : 3 + 18; /* "6:" or "18:" before each */
        if (bytes > KAD_PEERS_BYTES)
            break;
    }
    return fit;
}

/* ---- Beginning ---- */

static uint32_t begin(struct kad *kad, enum kad_op_kind kind,
                      const struct kad_id *infohash, proa_ns deadline, proa_ns now)
{
    kad_set_now(kad, now);
    struct kad_op *op = kad_op_new(kad, kind, infohash, deadline, false);
    if (op == NULL)
        return 0;
    uint32_t number = op->number;
    kad_op_start(kad, op);
    return number;
}

uint32_t kad_announce(struct kad *kad, const struct kad_id *infohash, proa_ns deadline,
                      proa_ns now)
{
    if (kad->address.family == 0 || kad->names.left_by != 0)
        return 0;
    return begin(kad, KAD_OP_ANNOUNCE, infohash, deadline, now);
}

uint32_t kad_get_peers(struct kad *kad, const struct kad_id *infohash, proa_ns deadline,
                       proa_ns now)
{
    return begin(kad, KAD_OP_PEERS, infohash, deadline, now);
}

/* Nobody answered a walk, though there are others: its result says nothing. */
static bool went_nowhere(const struct kad *kad, const struct kad_op *op)
{
    bool alone = kad->table.live == 0 && kad->join.seed_count == 0;

    return !alone && kad_walk_count(&kad->ops.searches[op->search].walk) == 0;
}

/* ---- Announcing ---- */

static void tell_storer(struct kad *kad, struct kad_op *op, uint32_t i)
{
    struct kad_storer *storer = &op->storers[i];
    struct kad_ask ask = {.id = &storer->id,
                          .addr = &storer->addr,
                          .query = KRPC_ANNOUNCE_PEER,
                          .target = &op->target,
                          .token = storer->token,
                          .tag = {.kind = KAD_TAG_ANNOUNCE,
                                  .part = (uint8_t)i,
                                  .index = kad_op_index(kad, op),
                                  .serial = op->number}};

    if (kad_id_equal(&storer->id, &kad->self.id)) {
        bool kept = kad_peer_keep(kad, &op->target, &kad->address);

        storer->state = kept ? KAD_STORER_ACKED : KAD_STORER_FAILED;
    } else if (kad_rpc_ask(kad, &ask)) {
        storer->state = KAD_STORER_SENT;
    } else {
        storer->state = KAD_STORER_WAIT;
        storer->retry_at = kad->now + KAD_RETRY;
    }
}

static uint32_t acks_of(const struct kad_op *op)
{
    uint32_t acks = 0;

    for (uint32_t i = 0; i < op->storer_count; i++)
        acks += op->storers[i].state == KAD_STORER_ACKED;
    return acks;
}

static bool is_kept(const struct kad_op *op)
{
    return 2 * acks_of(op) > op->storer_count;
}

static void begin_again(struct kad *kad, struct kad_op *op)
{
    proa_ns wait = KAD_REST << op->tries;

    if (wait < KAD_REST_MAX)
        op->tries++;
    else
        wait = KAD_REST_MAX;
    op->storer_count = 0;
    kad_op_rest(kad, op, kad_random_jitter(&kad->random, wait));
}

void kad_announce_due(struct kad *kad, struct kad_op *op)
{
    proa_ns next = op->deadline;
    uint32_t pending = 0;

    for (uint32_t i = 0; i < op->storer_count; i++) {
        struct kad_storer *storer = &op->storers[i];

        if (storer->state == KAD_STORER_TODO ||
            (storer->state == KAD_STORER_WAIT && storer->retry_at <= kad->now))
            tell_storer(kad, op, i);
        pending += storer->state == KAD_STORER_SENT || storer->state == KAD_STORER_WAIT;
        if (storer->state == KAD_STORER_WAIT && storer->retry_at < next)
            next = storer->retry_at;
    }
    kad_op_timer(kad, op, next);
    if (pending > 0)
        return;
    if (is_kept(op))
        kad_op_finish(kad, op, PROA_OK);
    else
        begin_again(kad, op);
}

void kad_announce_walked(struct kad *kad, struct kad_op *op)
{
    if (went_nowhere(kad, op)) {
        begin_again(kad, op);
        return;
    }
    kad_claim_choose(kad, op, false);
    kad_announce_due(kad, op);
}

void kad_announce_result(struct kad *kad, const struct kad_request *request,
                         enum kad_result result, const struct krpc_message *message)
{
    struct kad_op *op = kad_op_of(kad, &request->tag);
    uint32_t at = request->tag.part;

    (void)message;
    if (result == KAD_LATE || op == NULL || op->state != KAD_OP_PUTTING ||
        at >= op->storer_count || op->storers[at].state != KAD_STORER_SENT ||
        !kad_id_equal(&op->storers[at].id, &request->id))
        return;
    op->storers[at].state = result == KAD_ANSWERED ? KAD_STORER_ACKED : KAD_STORER_FAILED;
    kad_announce_due(kad, op);
}

/* ---- Asking ---- */

/* Whether a node may be there: some port of a host, not this node. */
static bool is_endpoint(const struct kad *kad, const struct proa_addr *addr)
{
    static const uint8_t zero[16];

    if (addr->port == 0 || kad_addr_equal(addr, &kad->address))
        return false;
    if (addr->family == 4)
        return addr->ip[12] != 0 && addr->ip[12] < 224; /* a group's, or nobody's */
    return addr->family == 6 && addr->ip[0] != 0xff &&
           memcmp(addr->ip, zero, sizeof(zero)) != 0;
}

static void gather(struct kad *kad, struct kad_op *op, const struct proa_addr *addrs,
                   uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        bool known = false;

        if (!is_endpoint(kad, &addrs[i])) {
            kad->stats.peers_senseless += !kad_addr_equal(&addrs[i], &kad->address);
            continue;
        }
        for (uint32_t j = 0; j < op->peer_count && !known; j++)
            known = kad_addr_equal(&op->peers[j], &addrs[i]);
        if (!known && op->peer_count < KAD_PEERS_MAX)
            op->peers[op->peer_count++] = addrs[i];
    }
}

static void gather_own(struct kad *kad, struct kad_op *op)
{
    struct proa_addr own[KAD_PEERS_MAX];

    gather(kad, op, own, kad_peers_list(&kad->peers, &op->target, 0, own, KAD_PEERS_MAX));
}

void kad_peers_take(struct kad *kad, struct kad_op *op,
                    const struct krpc_message *message)
{
    gather(kad, op, message->values, message->value_count);
    if (op->peer_count == KAD_PEERS_MAX)
        kad_op_finish(kad, op, PROA_OK);
}

void kad_peers_walked(struct kad *kad, struct kad_op *op)
{
    gather_own(kad, op);
    if (op->peer_count > 0)
        kad_op_finish(kad, op, PROA_OK);
    else if (went_nowhere(kad, op))
        kad_op_rest(kad, op, KAD_EMPTY_WAIT);
    else
        kad_op_finish(kad, op, PROA_NOT_FOUND);
}

void kad_announce_expired(struct kad *kad, struct kad_op *op)
{
    enum proa_outcome outcome = PROA_NO_QUORUM;

    if (op->kind == KAD_OP_PEERS) {
        gather_own(kad, op);
        outcome = op->peer_count > 0 ? PROA_OK : PROA_UNKNOWN;
    } else if (op->state == KAD_OP_PUTTING && is_kept(op)) {
        outcome = PROA_OK;
    }
    if (!kad->join.joined)
        outcome = PROA_NOT_JOINED;
    kad_op_finish(kad, op, outcome);
}
