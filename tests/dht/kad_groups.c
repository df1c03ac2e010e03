/* SPDX-License-Identifier: Apache-2.0 */
#include "kad_groups.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

struct net *cluster(unsigned count, uint64_t seed)
{
    struct net *net = net_create(count, seed);

    for (unsigned i = 0; i < count; i++) {
        net_start(net, i, i == 0 ? 0 : (unsigned)(net_random(net) % i));
        net_run(net, net_random(net) % (20 * PROA_MS));
    }
    net_run_joined(net, count > 8 ? 8 : count - 1, 60 * PROA_S);
    return net;
}

struct kad_id group(const char *name)
{
    struct kad_id infohash;

    kad_id_of_group(name, strlen(name), &infohash);
    return infohash;
}

enum proa_outcome announce(struct net *net, unsigned i, const char *name, proa_ns span)
{
    struct kad_id infohash = group(name);
    uint32_t op = kad_announce(net->nodes[i].kad, &infohash, net->now + span, net->now);

    assert_int_not_equal(op, 0);
    const struct kad_event *event = net_wait(net, i, op, span + PROA_S);
    assert_non_null(event);
    assert_int_equal(event->kind, KAD_ANNOUNCED);
    return event->outcome;
}

/* *ret_count of node i's `peers` are then the answer. */
enum proa_outcome get_peers(struct net *net, unsigned i, const char *name, proa_ns span,
                            uint32_t *ret_count)
{
    struct kad_id infohash = group(name);
    uint32_t op = kad_get_peers(net->nodes[i].kad, &infohash, net->now + span, net->now);

    assert_int_not_equal(op, 0);
    const struct kad_event *event = net_wait(net, i, op, span + PROA_S);
    assert_non_null(event);
    assert_int_equal(event->kind, KAD_PEERS);
    *ret_count = event->peer_count;
    return event->outcome;
}

bool found(struct net *net, unsigned i, uint32_t count, const struct proa_addr *addr)
{
    for (uint32_t p = 0; p < count; p++)
        if (memcmp(&net->nodes[i].peers[p], addr, sizeof(*addr)) == 0)
            return true;
    return false;
}

struct kad_stats stats_of(struct net *net, unsigned i)
{
    struct kad_stats stats;

    kad_stats(net->nodes[i].kad, &stats);
    return stats;
}
