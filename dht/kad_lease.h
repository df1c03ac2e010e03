/* SPDX-License-Identifier: Apache-2.0 */
/* kad_lease.h - watches this node has given: whom to tell when a name changes.

   Each entry is one watcher of one target, for the length of its lease.  A change marks the
   entries of its target; marked ones are sent an an_notify with the best record there is, 32 at
   a time, and stay marked until it is acked.  One that was not acked after all resends is sent
   again when its watcher renews.

   Bounds: entries in all, per target, per watcher's endpoint.

   Threads: one owner.  Units: seconds where the name says so. */
#ifndef PROA_DHT_KAD_LEASE_H
#define PROA_DHT_KAD_LEASE_H

#include "kad_index.h"
#include "kad_rpc.h"

#define KAD_LEASE_MAX_S 60
#define KAD_LEASE_TARGET 1024 /* watchers of one target */
#define KAD_NOTIFY_BURST 32
#define KAD_NOTIFY_EVERY PROA_MS

enum kad_lease_state {
    KAD_LEASE_QUIET,
    KAD_LEASE_MARKED,  /* to be told */
    KAD_LEASE_TELLING, /* told, not acked; a change in the meantime marks it again */
    KAD_LEASE_UNACKED, /* told in vain: again at the renewal */
};

struct kad_lease {
    struct kad_id target;
    struct kad_id watcher;
    struct proa_addr addr;
    uint32_t serial;
    uint32_t next;
    uint8_t state;
    bool used;
};

struct kad_leases {
    struct kad_lease *leases;
    struct kad_index by_target;
    uint32_t cap, high, free, count;
    uint32_t per_address;
    uint32_t marked;
    uint32_t look;
};

void kad_leases_init(struct kad_leases *self);

/* kad_lease_give enters or renews a watch, or ends it with seconds 0.  batch: the answer will
   carry no record, so a new watcher is told by a notice.  False when a bound forbids it. */
bool kad_lease_give(struct kad *kad, const struct kad_id *target,
                    const struct kad_id *watcher, const struct proa_addr *addr,
                    uint32_t seconds, bool batch);

/* kad_lease_changed marks the watchers of target. */
void kad_lease_changed(struct kad *kad, const struct kad_id *target);

void kad_lease_pump(struct kad *kad); /* the timer: tell some that are marked */
void kad_lease_due(struct kad *kad, uint32_t number);
void kad_lease_result(struct kad *kad, const struct kad_request *request,
                      enum kad_result result, const struct krpc_message *message);

#endif
