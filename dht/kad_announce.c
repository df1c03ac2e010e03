/* SPDX-License-Identifier: Apache-2.0 */
#include "kad_announce.h"

#include "kad_claim.h"
#include "kad_internal.h"

#include <string.h>

/* ---- What is kept for others ---- */

void kad_peer_keep(struct kad *kad, const struct kad_id *infohash,
                   const struct proa_addr *addr)
{
    uint32_t number = kad_peers_add(&kad->peers, infohash, addr);

    kad_set_timer(kad, KAD_TIMED_PEER, number, kad->now + KAD_PEER_KEPT);
}

void kad_peer_due(struct kad *kad, uint32_t number)
{
    if (kad->peers.peers[number].used) /* else it was replaced */
        kad_peers_remove(&kad->peers, number);
}

uint32_t kad_peers_answer(struct kad *kad, const struct kad_id *infohash,
                          struct proa_addr *ret)
{
    uint32_t skip = (uint32_t)kad_random_u64(&kad->random); /* not always the same part */
    uint32_t count =
        kad_peers_list(&kad->peers, infohash, skip, ret, PROA_KRPC_VALUES_MAX);
    uint32_t bytes = 0, fit = 0;

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
        kad_peer_keep(kad, &op->target, &kad->address);
        storer->state = KAD_STORER_ACKED;
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

/* Where one more that `from` tells of is put: when all places are taken it drives out the one whose
   closest teller is farthest from the target, and farther than `from`.  KAD_NONE: there is none. */
static uint32_t place_for(struct kad_op *op, const struct kad_teller *tellers,
                          const struct kad_id *from)
{
    uint32_t farthest = 0;

    if (op->peer_count < KAD_PEERS_MAX)
        return op->peer_count++;
    for (uint32_t i = 1; i < KAD_PEERS_MAX; i++)
        if (kad_id_closer(&op->target, &tellers[i].closest, &tellers[farthest].closest) >
            0)
            farthest = i;
    return kad_id_closer(&op->target, from, &tellers[farthest].closest) < 0 ? farthest
                                                                            : KAD_NONE;
}

/* Takes in what one node told, each endpoint once: KAD_PEERS_SHARE that no other has told of, so that
   nobody fills the answer alone. */
static void gather(struct kad *kad, struct kad_op *op, const struct kad_id *from,
                   const struct proa_addr *addrs, uint32_t count)
{
    struct kad_teller *tellers = kad->ops.searches[op->search].tellers;
    bool told[KAD_PEERS_MAX] = {false};
    uint32_t added = 0;

    for (uint32_t i = 0; i < count; i++) {
        uint32_t at = 0;

        if (!is_endpoint(kad, &addrs[i])) {
            kad->stats.peers_senseless += !kad_addr_equal(&addrs[i], &kad->address);
            continue;
        }
        while (at < op->peer_count && !kad_addr_equal(&op->peers[at], &addrs[i]))
            at++;
        if (at == op->peer_count) {
            at = added < KAD_PEERS_SHARE ? place_for(op, tellers, from) : KAD_NONE;
            if (at == KAD_NONE)
                continue;
            op->peers[at] = addrs[i];
            tellers[at] = (struct kad_teller){.closest = *from};
            told[at] = false;
            added++;
        }
        if (told[at])
            continue;
        told[at] = true;
        tellers[at].count++;
        if (kad_id_closer(&op->target, from, &tellers[at].closest) < 0)
            tellers[at].closest = *from;
    }
}

/* Those that more nodes told of come first. */
static void rank(const struct kad *kad, struct kad_op *op)
{
    struct kad_teller *tellers = kad->ops.searches[op->search].tellers;

    for (uint32_t i = 1; i < op->peer_count; i++) {
        struct proa_addr addr = op->peers[i];
        uint32_t count = tellers[i].count, at = i;

        for (; at > 0 && tellers[at - 1].count < count; at--) {
            op->peers[at] = op->peers[at - 1];
            tellers[at].count = tellers[at - 1].count;
        }
        op->peers[at] = addr;
        tellers[at].count = count;
    }
}

void kad_peers_begin(struct kad *kad, struct kad_op *op)
{
    struct proa_addr own[KAD_PEERS_MAX];
    uint32_t count = kad_peers_answer(kad, &op->target, own);

    gather(kad, op, &kad->self.id, own, count);
}

void kad_peers_take(struct kad *kad, struct kad_op *op, const struct kad_id *from,
                    const struct krpc_message *message)
{
    gather(kad, op, from, message->values, message->value_count);
}

/* Its search still has who told of them. */
static void found(struct kad *kad, struct kad_op *op)
{
    rank(kad, op);
    kad_op_finish(kad, op, PROA_OK);
}

void kad_peers_walked(struct kad *kad, struct kad_op *op)
{
    if (op->peer_count > 0)
        found(kad, op);
    else if (went_nowhere(kad, op))
        kad_op_rest(kad, op, KAD_EMPTY_WAIT);
    else
        kad_op_finish(kad, op, PROA_NOT_FOUND);
}

void kad_announce_expired(struct kad *kad, struct kad_op *op)
{
    bool is_peers = op->kind == KAD_OP_PEERS;

    if (!kad->join.joined)
        kad_op_finish(kad, op, PROA_NOT_JOINED);
    else if (is_peers && op->peer_count > 0)
        found(kad, op);
    else if (!is_peers && op->state == KAD_OP_PUTTING && is_kept(op))
        kad_op_finish(kad, op, PROA_OK);
    else
        kad_op_finish(kad, op, is_peers ? PROA_UNKNOWN : PROA_NO_QUORUM);
}
