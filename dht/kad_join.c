/* SPDX-License-Identifier: Apache-2.0 */
#include "kad_join.h"

#include "kad_internal.h"

#include <string.h>

#define NEWCOMER_COST (PROA_S / KAD_NEWCOMERS_RATE)
#define NEWCOMER_SAVED ((KAD_NEWCOMERS_RATE - 1) * NEWCOMER_COST)
#define GONE_FORGOTTEN (3600 * PROA_S)
#define REFRESH_SOON (200 * PROA_MS) /* after the neighbourhood changed */
#define FEW KAD_K                    /* contacts: each new one may know others */

void kad_join_init(struct kad *kad, const struct proa_addr *seeds, uint32_t count)
{
    struct kad_join *join = &kad->join;

    memset(join, 0, sizeof(*join));
    for (uint32_t i = 0; i < count; i++)
        if (seeds[i].family != 0 && !kad_addr_equal(&seeds[i], &kad->address))
            join->seeds[join->seed_count++] = seeds[i];
    join->refresh = KAD_NONE;
    join->seed_wait = KAD_SEED_FIRST;
    kad_set_timer(kad, KAD_TIMED_SINGLE, KAD_TIMER_TEND,
                  kad->now + kad_random_jitter(&kad->random, KAD_TEND_EVERY));
    kad_set_timer(kad, KAD_TIMED_SINGLE, KAD_TIMER_REFRESH,
                  kad->now + kad_random_jitter(&kad->random, KAD_REFRESH_EVERY));
    if (join->seed_count > 0) {
        kad_set_timer(kad, KAD_TIMED_SINGLE, KAD_TIMER_SEED, kad->now);
    } else {
        join->joined = true;
        kad_notice(kad, KAD_JOINED, &kad->self.id, &kad->address);
    }
}

/* ---- Contacts ---- */

void kad_contact_fresh(struct kad *kad, struct kad_contact *contact)
{
    contact->heard_at = kad->now;
    if (contact->fails > 0) {
        contact->fails = 0;
        kad_clear_timer(kad, KAD_TIMED_CONTACT,
                        (uint32_t)(contact - kad->table.contacts));
    }
    kad_store_heard(&kad->store, &contact->id, kad->now);
}

void kad_contact_heard(struct kad *kad, struct kad_contact *contact)
{
    kad_contact_fresh(kad, contact);
    if (contact->told_at == 0 || kad->now - contact->told_at >= KAD_TELL_APART) {
        contact->told_at = kad->now;
        kad_notice(kad, KAD_HEARD, &contact->id, &contact->addr);
    }
}

void kad_contact_gone(struct kad *kad, struct kad_contact *contact, bool remember)
{
    struct kad_owner *owner = kad_store_owner(&kad->store, &contact->id);

    kad_notice(kad, KAD_SILENT, &contact->id, &contact->addr);
    if (owner != NULL) {
        owner->fails = KAD_OWNER_FAILURES;
        owner->failed_at = kad->now;
    }
    kad_clear_timer(kad, KAD_TIMED_CONTACT, (uint32_t)(contact - kad->table.contacts));
    struct kad_id id = contact->id;
    kad_table_remove(&kad->table, contact, remember);
    kad_pair_gone(kad, &id);
    kad_hand_sweep_soon(kad);
}

void kad_contact_failed(struct kad *kad, const struct kad_id *id,
                        const struct proa_addr *addr)
{
    struct kad_contact *contact = kad_table_find(&kad->table, id);

    if (contact == NULL || !kad_addr_equal(&contact->addr, addr))
        return;
    if (contact->fails > 0 && kad->now - contact->failed_at < KAD_FAIL_APART)
        return;
    contact->failed_at = kad->now;
    if (++contact->fails >= KAD_TABLE_FAILURES)
        kad_contact_gone(kad, contact, true);
    else
        kad_set_timer(kad, KAD_TIMED_CONTACT, (uint32_t)(contact - kad->table.contacts),
                      kad->now + (KAD_PROBE_AFTER << (contact->fails - 1)));
}

static bool ping(struct kad *kad, const struct kad_id *id, const struct proa_addr *addr,
                 bool patient, enum kad_tag_kind tag)
{
    struct kad_ask ask = {.id = id,
                          .addr = addr,
                          .query = KRPC_PING,
                          .patient = patient,
                          .tag = {.kind = (uint8_t)tag}};

    return kad_rpc_ask(kad, &ask);
}

void kad_probe_due(struct kad *kad, uint32_t number)
{
    struct kad_contact *contact = &kad->table.contacts[number];

    if (contact->state == KAD_CONTACT_FREE || contact->fails == 0)
        return;
    if (!ping(kad, &contact->id, &contact->addr, true, KAD_TAG_NONE))
        kad_set_timer(kad, KAD_TIMED_CONTACT, number, kad->now + KAD_RETRY);
}

static void refresh_soon(struct kad *kad)
{
    kad_timers_sooner(&kad->timers, kad_timer(kad, KAD_TIMED_SINGLE, KAD_TIMER_REFRESH),
                      kad->now + kad_random_jitter(&kad->random, REFRESH_SOON));
}

/* Puts a node into the table that answered and proved its key. */
static struct kad_contact *enter(struct kad *kad, const struct kad_id *id,
                                 const struct proa_addr *addr)
{
    struct kad_contact *other = kad_table_find_addr(&kad->table, addr), *contact;
    struct kad_gone *gone = kad->table.gone;
    bool back = false;

    if (other != NULL)
        kad_contact_gone(kad, other, false); /* one endpoint answers for one id */
    for (uint32_t i = 0; i < KAD_TABLE_GONE; i++)
        back = back || (gone[i].heard_at != 0 && kad_id_equal(&gone[i].id, id));
    if (kad_table_add(&kad->table, id, addr, kad->now, &contact) == KAD_TABLE_NO_PLACE)
        return NULL;
    kad_hand_newcomer(kad, id, addr);
    if (back || kad->table.live <= FEW)
        refresh_soon(kad);
    return contact;
}

void kad_met(struct kad *kad, const struct kad_id *id, const struct proa_addr *addr,
             proa_ns rtt, const struct krpc_message *message, bool proved)
{
    struct kad_contact *contact = kad_table_find(&kad->table, id);

    if (!proved && (contact == NULL || !kad_addr_equal(&contact->addr, addr))) {
        kad_newcomer(kad, id, addr); /* it lost its place since it was asked */
        return;
    }
    if (contact != NULL && !kad_addr_equal(&contact->addr, addr)) {
        kad_table_remove(&kad->table, contact, false); /* it moved */
        contact = NULL;
    }
    if (contact == NULL)
        contact = enter(kad, id, addr);
    if (contact == NULL) {
        kad_store_heard(&kad->store, id, kad->now);
        return;
    }
    if (rtt > 0) {
        kad_rtt_sample(&contact->rtt, rtt);
        kad_table_sampled(&kad->table);
    }
    if (message->token.len == KAD_TOKEN_LEN) {
        memcpy(contact->token, message->token.at, KAD_TOKEN_LEN);
        contact->token_at = kad->now;
    }
    kad_contact_heard(kad, contact);
}

/* The nearest to ourselves goes first: who asks us about our neighbourhood counts on it. */
static uint32_t nearest_newcomer(const struct kad *kad)
{
    const struct kad_join *join = &kad->join;
    uint32_t nearest = 0;

    for (uint32_t i = 1; i < join->count; i++)
        if (kad_id_closer(&kad->self.id, &join->newcomers[i].id,
                          &join->newcomers[nearest].id) < 0)
            nearest = i;
    return nearest;
}

static uint32_t farthest_newcomer(const struct kad *kad)
{
    const struct kad_join *join = &kad->join;
    uint32_t farthest = 0;

    for (uint32_t i = 1; i < join->count; i++)
        if (kad_id_closer(&kad->self.id, &join->newcomers[i].id,
                          &join->newcomers[farthest].id) > 0)
            farthest = i;
    return farthest;
}

void kad_newcomer(struct kad *kad, const struct kad_id *id, const struct proa_addr *addr)
{
    struct kad_join *join = &kad->join;
    struct kad_contact *contact = kad_table_find(&kad->table, id);

    if (!kad_id_valid(id) || kad_id_equal(id, &kad->self.id) || addr->family == 0)
        return;
    if (contact != NULL && (contact->fails == 0 || kad_addr_equal(&contact->addr, addr)))
        return;
    for (uint32_t i = 0; i < join->count; i++)
        if (kad_id_equal(&join->newcomers[i].id, id))
            return;
    uint32_t at = join->count;
    if (at == KAD_NEWCOMERS_MAX) {
        kad->stats.rx_limited++;
        at = farthest_newcomer(kad);
        if (kad_id_closer(&kad->self.id, id, &join->newcomers[at].id) >= 0)
            return;
    } else {
        join->count++;
    }
    struct kad_newcomer *newcomer = &join->newcomers[at];
    newcomer->id = *id;
    newcomer->addr = *addr;
    kad_newcomers_due(kad);
}

void kad_newcomers_due(struct kad *kad)
{
    struct kad_join *join = &kad->join;

    if (join->credit_at < kad->now)
        join->credit_at = kad->now;
    while (join->count > 0 && join->credit_at <= kad->now + NEWCOMER_SAVED) {
        uint32_t at = nearest_newcomer(kad);
        struct kad_newcomer newcomer = join->newcomers[at];
        const struct kad_contact *contact = kad_table_find(&kad->table, &newcomer.id);

        if (contact == NULL || contact->fails > 0) {
            if (!ping(kad, &newcomer.id, &newcomer.addr, true, KAD_TAG_NEWCOMER))
                break;
            join->credit_at += NEWCOMER_COST;
        }
        join->newcomers[at] = join->newcomers[--join->count];
    }
    if (join->count > 0)
        kad_timers_sooner(&kad->timers,
                          kad_timer(kad, KAD_TIMED_SINGLE, KAD_TIMER_NEWCOMERS),
                          kad->now + NEWCOMER_COST);
}

bool kad_meet(struct kad *kad, const struct proa_addr *addr, proa_ns now)
{
    kad_set_now(kad, now);
    if (addr->family == 0 || addr->port == 0 || kad_addr_equal(addr, &kad->address))
        return false;
    if (kad->join.meeting >= kad->rpc.cap / KAD_MEET_PART ||
        !ping(kad, NULL, addr, true, KAD_TAG_MEET))
        return false;
    kad->join.meeting++;
    return true;
}

void kad_meet_result(struct kad *kad, const struct kad_request *request,
                     enum kad_result result, const struct krpc_message *message)
{
    struct kad_contact *contact = kad_table_find(&kad->table, &request->id);

    (void)message;
    if (result == KAD_LATE)
        return;
    kad->join.meeting--;
    if (result != KAD_ANSWERED)
        return;
    if (contact != NULL && contact->told_at == kad->now)
        return; /* kad_met has told it */
    if (contact != NULL)
        contact->told_at = kad->now;
    kad_notice(kad, KAD_HEARD, &request->id, &request->addr);
}

/* ---- Joining ---- */

static void ask_seed(struct kad *kad)
{
    struct kad_join *join = &kad->join;
    const struct proa_addr *seed = &join->seeds[join->seed_at++ % join->seed_count];
    struct kad_ask ask = {.addr = seed,
                          .query = KRPC_FIND_NODE,
                          .target = &kad->self.id,
                          .patient = true,
                          .tag = {.kind = KAD_TAG_SEED}};

    if (join->joined && kad_table_find_addr(&kad->table, seed) != NULL)
        return;
    kad_rpc_ask(kad, &ask);
}

void kad_seed_due(struct kad *kad)
{
    struct kad_join *join = &kad->join;
    proa_ns wait = KAD_SEED_JOINED;

    ask_seed(kad);
    if (!join->joined) {
        wait = join->seed_wait;
        if (join->seed_at >= join->seed_count)
            join->seed_wait = 2 * wait < KAD_SEED_MAX ? 2 * wait : KAD_SEED_MAX;
    }
    kad_set_timer(kad, KAD_TIMED_SINGLE, KAD_TIMER_SEED,
                  kad->now + kad_random_jitter(&kad->random, wait));
}

static bool refresh(struct kad *kad, const struct kad_id *target)
{
    struct kad_op *op = kad_op_new(kad, KAD_OP_REFRESH, target, PROA_NS_NEVER, true);

    if (op == NULL)
        return false;
    kad->join.refreshed_at = kad->now;
    kad_op_start(kad, op);
    return true;
}

void kad_seed_result(struct kad *kad, const struct kad_request *request,
                     enum kad_result result, const struct krpc_message *message)
{
    struct kad_join *join = &kad->join;

    (void)request;
    (void)message;
    if (result == KAD_ANSWERED && !join->answered && !join->joined)
        join->answered = refresh(kad, &kad->self.id);
}

void kad_refreshed(struct kad *kad, uint32_t answers)
{
    struct kad_join *join = &kad->join;

    if (!join->joined) {
        join->answered = false;
        if (answers == 0)
            return; /* the seed fell silent: it is asked again */
        join->joined = true;
        join->refresh = 0;
        kad_notice(kad, KAD_JOINED, &kad->self.id, &kad->address);
    }
    if (join->refresh != KAD_NONE)
        kad_set_timer(kad, KAD_TIMED_SINGLE, KAD_TIMER_REFRESH,
                      kad->now + kad_random_jitter(&kad->random, KAD_REFRESH_NEXT));
}

/* The bucket of the nearest neighbour. */
static uint32_t depth(const struct kad *kad)
{
    struct kad_contact *nearest;

    if (kad_table_closest(&kad->table, &kad->self.id, false, &nearest, 1) == 0)
        return 0;
    return nearest->bucket;
}

void kad_refresh_due(struct kad *kad)
{
    struct kad_join *join = &kad->join;
    struct kad_id target = kad->self.id;
    uint8_t random[PROA_KAD_ID_LEN];
    uint32_t deepest = depth(kad);

    kad_random_bytes(&kad->random, random, sizeof(random));
    if (join->refresh != KAD_NONE && join->refresh <= deepest) {
        kad_id_at_prefix(&kad->self.id, join->refresh++, random, &target);
    } else if (join->refresh != KAD_NONE) {
        join->refresh = KAD_NONE;
    } else if (random[0] & 1) {
        kad_id_at_prefix(&kad->self.id, random[1] % (deepest + 1), random, &target);
    }
    kad_set_timer(kad, KAD_TIMED_SINGLE, KAD_TIMER_REFRESH,
                  kad->now + kad_random_jitter(&kad->random, KAD_REFRESH_EVERY));
    if (join->joined && kad->table.live > 0)
        refresh(kad, &target);
}

void kad_tend_due(struct kad *kad)
{
    struct kad_contact *stalest = kad_table_stalest(&kad->table);
    struct kad_gone *gone = &kad->table.gone[kad->join.gone_look % KAD_TABLE_GONE];

    if (stalest != NULL && stalest->fails == 0 &&
        kad->now - stalest->heard_at >= KAD_STALE)
        ping(kad, &stalest->id, &stalest->addr, false, KAD_TAG_NONE);
    for (uint32_t i = 0; i < KAD_TABLE_GONE && gone->heard_at == 0; i++)
        gone = &kad->table.gone[++kad->join.gone_look % KAD_TABLE_GONE];
    kad->join.gone_look++;
    if (gone->heard_at != 0) {
        if (kad->now - gone->heard_at > GONE_FORGOTTEN)
            gone->heard_at = 0;
        else
            kad_newcomer(kad, &gone->id, &gone->addr);
    }
    kad_set_timer(kad, KAD_TIMED_SINGLE, KAD_TIMER_TEND,
                  kad->now + kad_random_jitter(&kad->random, KAD_TEND_EVERY));
}
