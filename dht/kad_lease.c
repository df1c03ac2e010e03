/* SPDX-License-Identifier: Apache-2.0 */
#include "kad_lease.h"

#include "kad_internal.h"

#include <string.h>

void kad_leases_init(struct kad_leases *self)
{
    self->high = 0;
    self->free = KAD_NONE;
}

static uint32_t number_of(const struct kad *kad, const struct kad_lease *lease)
{
    return (uint32_t)(lease - kad->leases.leases);
}

static struct kad_lease *find(struct kad *kad, const struct kad_id *target,
                              const struct kad_id *watcher, uint32_t *ret_watchers)
{
    struct kad_leases *leases = &kad->leases;
    struct kad_lease *found = NULL;

    *ret_watchers = 0;
    for (uint32_t at = *kad_index_head(&leases->by_target, target); at != KAD_NONE;
         at = leases->leases[at].next) {
        struct kad_lease *lease = &leases->leases[at];

        if (!kad_id_equal(&lease->target, target))
            continue;
        ++*ret_watchers;
        if (kad_id_equal(&lease->watcher, watcher))
            found = lease;
    }
    return found;
}

static void set_state(struct kad *kad, struct kad_lease *lease,
                      enum kad_lease_state state)
{
    kad->leases.marked -= lease->state == KAD_LEASE_MARKED;
    kad->leases.marked += state == KAD_LEASE_MARKED;
    lease->state = (uint8_t)state;
}

static void release(struct kad *kad, struct kad_lease *lease)
{
    struct kad_leases *leases = &kad->leases;
    uint32_t number = number_of(kad, lease);
    uint32_t *at = kad_index_head(&leases->by_target, &lease->target);

    while (*at != number)
        at = &leases->leases[*at].next;
    *at = lease->next;
    set_state(kad, lease, KAD_LEASE_QUIET);
    kad_clear_timer(kad, KAD_TIMED_LEASE, number);
    lease->used = false;
    lease->next = leases->free;
    leases->free = number;
    leases->count--;
}

static uint32_t count_address(const struct kad *kad, const struct proa_addr *addr)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < kad->leases.high; i++)
        count += kad->leases.leases[i].used &&
                 kad_addr_equal(&kad->leases.leases[i].addr, addr);
    return count;
}

static struct kad_lease *allocate(struct kad *kad, const struct kad_id *target,
                                  const struct kad_id *watcher,
                                  const struct proa_addr *addr)
{
    struct kad_leases *leases = &kad->leases;
    uint32_t number = leases->free, serial = 1;

    if (number != KAD_NONE) {
        leases->free = leases->leases[number].next;
        serial = leases->leases[number].serial + 1;
    } else if (leases->high < leases->cap) {
        number = leases->high++;
    } else {
        return NULL;
    }
    struct kad_lease *lease = &leases->leases[number];
    uint32_t *head = kad_index_head(&leases->by_target, target);
    memset(lease, 0, sizeof(*lease));
    lease->target = *target;
    lease->watcher = *watcher;
    lease->addr = *addr;
    lease->serial = serial;
    lease->used = true;
    lease->next = *head;
    *head = number;
    leases->count++;
    return lease;
}

bool kad_lease_give(struct kad *kad, const struct kad_id *target,
                    const struct kad_id *watcher, const struct proa_addr *addr,
                    uint32_t seconds, bool batch)
{
    uint32_t watchers;
    struct kad_lease *lease = find(kad, target, watcher, &watchers);

    if (seconds == 0) {
        if (lease != NULL)
            release(kad, lease);
        return true;
    }
    if (lease == NULL) {
        if (watchers >= KAD_LEASE_TARGET ||
            count_address(kad, addr) >= kad->leases.per_address)
            return false;
        lease = allocate(kad, target, watcher, addr);
        if (lease == NULL)
            return false;
        if (batch) /* its answer has no room for records */
            set_state(kad, lease, KAD_LEASE_MARKED);
    }
    lease->addr = *addr;
    if (lease->state == KAD_LEASE_UNACKED)
        set_state(kad, lease, KAD_LEASE_MARKED);
    if (seconds > KAD_LEASE_MAX_S)
        seconds = KAD_LEASE_MAX_S;
    kad_set_timer(kad, KAD_TIMED_LEASE, number_of(kad, lease),
                  kad->now + seconds * PROA_S);
    if (kad->leases.marked > 0)
        kad_timers_sooner(&kad->timers,
                          kad_timer(kad, KAD_TIMED_SINGLE, KAD_TIMER_NOTIFY), kad->now);
    return true;
}

void kad_lease_due(struct kad *kad, uint32_t number)
{
    if (kad->leases.leases[number].used)
        release(kad, &kad->leases.leases[number]);
}

void kad_lease_changed(struct kad *kad, const struct kad_id *target)
{
    struct kad_leases *leases = &kad->leases;

    for (uint32_t at = *kad_index_head(&leases->by_target, target); at != KAD_NONE;
         at = leases->leases[at].next)
        if (kad_id_equal(&leases->leases[at].target, target))
            set_state(kad, &leases->leases[at], KAD_LEASE_MARKED);
    if (leases->marked > 0)
        kad_lease_pump(kad);
}

/* Tells one watcher the best record there is.  False when there is no room for it now. */
static bool tell(struct kad *kad, struct kad_lease *lease)
{
    struct kad_ask ask = {.id = &lease->watcher,
                          .addr = &lease->addr,
                          .query = KRPC_AN_NOTIFY,
                          .target = &lease->target,
                          .value = KAD_VALUE_BEST,
                          .tag = {.kind = KAD_TAG_NOTIFY,
                                  .index = number_of(kad, lease),
                                  .serial = lease->serial}};

    if (kad_best(kad, &lease->target, true).at == NULL) {
        set_state(kad, lease, KAD_LEASE_QUIET);
        return true;
    }
    if (!kad_rpc_ask(kad, &ask))
        return false;
    set_state(kad, lease, KAD_LEASE_TELLING);
    return true;
}

void kad_lease_pump(struct kad *kad)
{
    struct kad_leases *leases = &kad->leases;
    uint32_t told = 0;

    for (uint32_t i = 0;
         i < leases->high && leases->marked > 0 && told < KAD_NOTIFY_BURST; i++) {
        struct kad_lease *lease = &leases->leases[leases->look % leases->high];

        if (lease->used && lease->state == KAD_LEASE_MARKED) {
            if (!tell(kad, lease))
                break;
            told++;
        }
        leases->look++;
    }
    if (leases->marked > 0)
        kad_timers_sooner(&kad->timers,
                          kad_timer(kad, KAD_TIMED_SINGLE, KAD_TIMER_NOTIFY),
                          kad->now + KAD_NOTIFY_EVERY);
}

void kad_lease_result(struct kad *kad, const struct kad_request *request,
                      enum kad_result result, const struct krpc_message *message)
{
    struct kad_lease *lease = &kad->leases.leases[request->tag.index];

    (void)message;
    if (result == KAD_LATE || !lease->used || lease->serial != request->tag.serial ||
        lease->state != KAD_LEASE_TELLING)
        return;
    set_state(kad, lease, result == KAD_ANSWERED ? KAD_LEASE_QUIET : KAD_LEASE_UNACKED);
}
