/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "core_net.h"
#include "keyed.h"
#include "liveness.h"
#include "outlet.h"

#define ANY PROA_LANES_MAX

/* Two nodes with one link, opened by node 0 on lane 0. */
static struct net *linked(uint64_t seed)
{
    struct net *net = net_create(2, seed);

    net_add(net, -1);
    net_add(net, 0);
    net_run(net, PROA_S);
    net_need_link(net, 0, 0, net_id(net, 1));
    net_run(net, 50 * PROA_MS);
    assert_non_null(net_link(net, 0, 0, net_id(net, 1)));
    assert_non_null(net_link(net, 1, 0, net_id(net, 0)));
    for (unsigned i = 0; i < 2; i++)
        memset(net->nodes[i].sent, 0, sizeof(net->nodes[i].sent));
    return net;
}

static struct net_link *link01(struct net *net)
{
    return net_link(net, 0, 0, net_id(net, 1));
}

static void ping(struct net *net, uint32_t flags)
{
    net_link_report(net, 0, link01(net), PUNT_LINK_PING, flags);
}

static bool alive(const struct net *net, unsigned node, uint64_t id)
{
    int reader = directory_reader_add(net->nodes[node].directory);
    bool is;

    directory_online(net->nodes[node].directory, reader);
    struct directory_node *n = directory_node(net->nodes[node].directory, id);
    is = n != NULL && atomic_load(&n->heard_until) > net->now;
    directory_offline(net->nodes[node].directory, reader);
    directory_reader_remove(net->nodes[node].directory, reader);
    return is;
}

/* ---- PING ---- */

static void ping__is_answered_and_heard_on_both_sides(void **state)
{
    struct net *net = linked(1);
    uint64_t here = link01(net)->open.link_id, there = link01(net)->open.peer_link_id;
    unsigned heard0 = net_said_count(net, 0, PUNT_LINK_HEARD, here);
    unsigned heard1 = net_said_count(net, 1, PUNT_LINK_HEARD, there);

    (void)state;
    ping(net, 0);
    net_run(net, 5 * PROA_MS);
    assert_int_equal(net->nodes[0].sent[PACKET_PING], 1);
    assert_int_equal(net->nodes[1].sent[PACKET_PONG], 1);
    assert_int_equal(net_said_count(net, 0, PUNT_LINK_HEARD, here), heard0 + 1);
    assert_int_equal(net_said_count(net, 1, PUNT_LINK_HEARD, there), heard1 + 1);
    assert_int_equal(net_said(net, 0, PUNT_LINK_HEARD, here)->link.flags, 0);
    net_destroy(net);
}

static void ping__carries_the_loop_gaps_of_both_lanes(void **state)
{
    struct net *net = linked(1);
    const struct net_link *link = link01(net);
    uint64_t here = link->open.link_id, there = link->open.peer_link_id;
    struct punt_link from0 = {.node = link->open.node,
                              .link_id = here,
                              .peer_link_id = there,
                              .loop_gap_us = 7000};
    struct punt_link from1 = {.node = net_id(net, 0),
                              .link_id = there,
                              .peer_link_id = here,
                              .loop_gap_us = 3000};

    (void)state;
    net_push(net, 0, 0, PUNT_LINK_PING, &from0, sizeof(from0), NULL, 0);
    net_run(net, 5 * PROA_MS);
    assert_int_equal(net_said(net, 1, PUNT_LINK_HEARD, there)->link.loop_gap_us, 7000);
    net_push(net, 1, 0, PUNT_LINK_PING, &from1, sizeof(from1), NULL, 0);
    net_run(net, 5 * PROA_MS);
    assert_int_equal(net_said(net, 0, PUNT_LINK_HEARD, here)->link.loop_gap_us, 3000);
    net_push(net, 0, 0, PUNT_LINK_PING, &from0, sizeof(from0), NULL, 0);
    net_run(net, 5 * PROA_MS);
    /* A PONG says it too. */
    assert_int_equal(net_said(net, 0, PUNT_LINK_HEARD, here)->link.loop_gap_us, 3000);
    net_destroy(net);
}

static void ping__to_a_lane_that_does_not_read_is_answered_busy(void **state)
{
    struct net *net = linked(2);
    uint64_t here = link01(net)->open.link_id;

    (void)state;
    ping(net, 0);
    net_run(net, 5 * PROA_MS);
    /* Lane 0 of node 1 stops reading; what waits for it is a record for it. */
    net->nodes[1].frozen = true;
    ping(net, 0);
    net_run(net, OUTLET_BUSY_AFTER + PROA_MS);
    ping(net, 0);
    net_run(net, PROA_MS);
    net->nodes[1].frozen = false; /* the answers go out now */
    net_run(net, PROA_MS);
    assert_int_equal(net_said(net, 0, PUNT_LINK_HEARD, here)->link.flags,
                     LINK_HEARD_BUSY);
    net_destroy(net);
}

static void ping__of_a_link_unknown_over_there_resets_it(void **state)
{
    struct net *net = linked(3);
    uint64_t id = link01(net)->open.link_id;

    (void)state;
    /* Over there it ended, but the CLOSE is lost. */
    net->cut[1][0] = true;
    net_link_report(net, 1, net_link(net, 1, 0, net_id(net, 0)), PUNT_LINK_ENDED,
                    LINK_END_IDLE);
    net_run(net, 5 * PROA_MS);
    net->cut[1][0] = false;
    ping(net, 0);
    net_run(net, 5 * PROA_MS);
    assert_non_null(net_said(net, 0, PUNT_LINK_RESET, id));
    assert_null(net_said(net, 0, PUNT_NODE_DEAD, 0)); /* only that link */
    assert_true(alive(net, 0, net_id(net, 1)));
    net_destroy(net);
}

static void ping__to_a_restarted_node_ends_the_old_one_in_a_round_trip(void **state)
{
    struct net *net = linked(4);
    uint64_t old = net_id(net, 1), id = link01(net)->open.link_id;

    (void)state;
    net_stop(net, 1);
    net_start(net, 1, -1);
    net_link_report(net, 0, net_link(net, 0, 0, old), PUNT_LINK_PING, 0);
    net_run(net, 4 * NET_DELAY);
    assert_non_null(net_said(net, 0, PUNT_LINK_RESET, id));
    assert_int_equal(net_said_count(net, 0, PUNT_NODE_DEAD, old), 2); /* both lanes */
    assert_false(alive(net, 0, old));
    net_destroy(net);
}

static unsigned opens_dropped;

static bool drop_opens(struct net *net, unsigned from, uint8_t *bytes, uint32_t len)
{
    bool open = bytes[0] != 'd' && packet_kind(bytes) == PACKET_OPEN;

    (void)net;
    (void)from;
    (void)len;
    opens_dropped += open;
    return !open;
}

/* A SYN, which who has seen one can send again, is no proof: the old life's links stand until
   OPEN. */
static void syn__of_another_life_ends_nothing(void **state)
{
    struct net *net = linked(14);
    uint64_t old = net_id(net, 1);

    (void)state;
    net_stop(net, 1);
    net_start(net, 1, 0);
    net_run(net, 5 * PROA_MS);
    opens_dropped = 0;
    net->filter = drop_opens;
    net_need_link(net, 1, 0, net_id(net, 0));
    net_run(net, 20 * PROA_MS);
    assert_true(opens_dropped > 0); /* its SYN was answered */
    assert_null(net_said(net, 0, PUNT_NODE_DEAD, old));
    assert_int_equal(net_links(net, 0, old), 1);
    net_destroy(net);
}

/* ---- Answers nobody asked for ---- */

static void put_from(struct net *net, enum packet_kind kind, uint64_t echo, uint64_t link,
                     uint32_t flags)
{
    uint8_t buf[KEYED_PING_LEN];
    const struct punt_link_open *open = &link01(net)->open;
    struct packet_ping p = {.src_node = net_id(net, 1),
                            .dst_node = net_id(net, 0),
                            .nonce = 4711,
                            .echo = echo,
                            .link = link,
                            .peer_link = open->link_id,
                            .flags = flags};
    size_t len = keyed_ping_put(&net->nodes[0].config.keys, buf, kind, &p);

    net_datagram(net, 0, 0, &net->nodes[1].addr, buf, len);
}

static void rst__that_echoes_no_ping_is_dropped(void **state)
{
    struct net *net = linked(5);
    uint64_t unexpected = net_stats(net, 0).keyed_unexpected;

    (void)state;
    put_from(net, PACKET_RST, 0, 0, 0);
    put_from(net, PACKET_RST, 1, 0, 0);
    net_run(net, 5 * PROA_MS);
    assert_null(net_said(net, 0, PUNT_LINK_RESET, 0));
    assert_int_equal(net_stats(net, 0).keyed_unexpected, unexpected + 2);
    net_destroy(net);
}

static void pong__that_echoes_no_ping_is_not_heard(void **state)
{
    struct net *net = linked(6);
    unsigned heard = net_said_count(net, 0, PUNT_LINK_HEARD, 0);

    (void)state;
    put_from(net, PACKET_PONG, 0, link01(net)->open.peer_link_id, 0);
    put_from(net, PACKET_PONG, 12345, link01(net)->open.peer_link_id, 0);
    net_run(net, 5 * PROA_MS);
    assert_int_equal(net_said_count(net, 0, PUNT_LINK_HEARD, 0), heard);
    net_destroy(net);
}

static void ping__that_names_another_link_of_theirs_gets_rst(void **state)
{
    struct net *net = linked(7);
    unsigned heard = net_said_count(net, 0, PUNT_LINK_HEARD, 0);

    (void)state;
    put_from(net, PACKET_PING, 0, link01(net)->open.peer_link_id ^ 1, 0);
    net_run(net, 5 * PROA_MS);
    assert_int_equal(net_said_count(net, 0, PUNT_LINK_HEARD, 0), heard);
    assert_int_equal(net->nodes[0].sent[PACKET_RST], 1);
    net_destroy(net);
}

/* ---- Death ---- */

static void ended__silent_last_link_is_the_nodes_death(void **state)
{
    struct net *net = linked(8);
    uint64_t id = net_id(net, 1);

    (void)state;
    net_stop(net, 1);
    net_run(net, 1500 * PROA_MS);
    assert_null(net_said(net, 0, PUNT_NODE_DEAD, 0));
    link01(net)->ended = true;
    net_link_report(net, 0, &net->nodes[0].links[0], PUNT_LINK_ENDED, LINK_END_SILENT);
    net_run(net, PROA_MS);
    assert_int_equal(net_said_count(net, 0, PUNT_NODE_DEAD, id), 2);
    assert_false(alive(net, 0, id));
    assert_int_equal(net_stats(net, 0).dead_nodes, 1);
    net_destroy(net);
}

static void ended__with_another_link_left_is_not(void **state)
{
    struct net *net = linked(9);

    (void)state;
    net_need_link(net, 0, 1, net_id(net, 1));
    net_run(net, 50 * PROA_MS);
    net_stop(net, 1);
    net_run(net, 1500 * PROA_MS);
    link01(net)->ended = true;
    net_link_report(net, 0, &net->nodes[0].links[0], PUNT_LINK_ENDED, LINK_END_SILENT);
    net_run(net, PROA_MS);
    assert_null(net_said(net, 0, PUNT_NODE_DEAD, 0));
    net_destroy(net);
}

static void ended__stuck_is_not_and_the_other_side_is_told(void **state)
{
    struct net *net = linked(10);
    uint64_t there = link01(net)->open.peer_link_id;

    (void)state;
    link01(net)->ended = true;
    net_link_report(net, 0, &net->nodes[0].links[0], PUNT_LINK_ENDED, LINK_END_STUCK);
    net_run(net, 5 * PROA_MS);
    assert_null(net_said(net, 0, PUNT_NODE_DEAD, 0));
    assert_null(net_said(net, 1, PUNT_NODE_DEAD, 0));
    assert_non_null(net_said(net, 1, PUNT_LINK_RESET, there));
    assert_int_equal(net_links(net, 1, net_id(net, 0)), 0);
    net_destroy(net);
}

static void dead__node_that_is_heard_again_is_revived(void **state)
{
    struct net *net = linked(11);
    uint64_t id = net_id(net, 1);

    (void)state;
    net->cut[0][1] = net->cut[1][0] = true;
    net_run(net, 1500 * PROA_MS);
    for (unsigned i = 0; i < 2; i++) {
        net->nodes[i].links[0].ended = true;
        net_link_report(net, i, &net->nodes[i].links[0], PUNT_LINK_ENDED,
                        LINK_END_SILENT);
    }
    net_run(net, PROA_MS);
    assert_false(alive(net, 0, id));
    net->cut[0][1] = net->cut[1][0] = false;
    net_need_link(net, 1, 1, net_id(net, 0));
    net_run(net, 50 * PROA_MS);
    assert_true(alive(net, 0, id));
    assert_int_equal(net_links(net, 0, id), 1);
    net_destroy(net);
}

/* ---- KRPC ---- */

static void
krpc__of_another_id_ends_who_was_silent_but_not_who_was_just_heard(void **state)
{
    struct net *net = linked(16);
    struct core *core = net->nodes[0].core;
    uint64_t id = net_id(net, 1);
    struct kad_id other = {{9, 9, 9, 9, 9, 9, 9, 9}};

    (void)state;
    ping(net, 0);
    net_run(net, PROA_MS);
    liveness_krpc(core, &other, &net->nodes[1].addr);
    net_run(net, PROA_MS);
    assert_null(net_said(net, 0, PUNT_NODE_DEAD, 0));
    assert_true(alive(net, 0, id));
    net_stop(net, 1);
    net_run(net, LIVENESS_FRESH);
    net_run(net, PROA_MS); /* a step, so that the core knows what time it is */
    liveness_krpc(core, &other, &net->nodes[1].addr);
    net_run(net, PROA_MS);
    assert_non_null(net_said(net, 0, PUNT_NODE_DEAD, id));
    assert_true(alive(net, 0, kad_id_node64(&other)));
    /* A late copy of the old one's does not bring it back. */
    net_run(net, PROA_S);
    liveness_krpc(core, &net->nodes[1].config.identity.id, &net->nodes[1].addr);
    net_run(net, PROA_MS);
    assert_false(alive(net, 0, id));
    assert_null(net_said(net, 0, PUNT_NODE_DEAD, kad_id_node64(&other)));
    net_destroy(net);
}

/* ---- Leaving ---- */

static void leave__closes_links_and_is_known_dead_at_once(void **state)
{
    struct net *net = linked(12);
    uint64_t id = net_id(net, 1);

    (void)state;
    core_leave(net->nodes[1].core, net->now);
    assert_false(core_left(net->nodes[1].core, net->now));
    net_run(net, 900 * PROA_MS);
    assert_non_null(net_said(net, 1, PUNT_DRAIN, 0));
    assert_int_equal(net_said_count(net, 0, PUNT_NODE_DEAD, id), 2);
    assert_false(alive(net, 0, id));
    assert_true(core_left(net->nodes[1].core, net->now));
    /* Its last KRPC datagrams, tombstones, do not revive it. */
    net_run(net, 5 * PROA_S);
    assert_false(alive(net, 0, id));
    /* It takes no new links, and nobody tries. */
    net_need_link(net, 0, 0, id);
    net_run(net, PROA_MS);
    assert_non_null(net_said(net, 0, PUNT_NODE_FAILED, id));
    net_destroy(net);
}

static unsigned closes_to_drop;

static bool drop_closes(struct net *net, unsigned from, uint8_t *bytes, uint32_t len)
{
    (void)net;
    (void)from;
    (void)len;
    if (bytes[0] == 'd' || packet_kind(bytes) != PACKET_CLOSE || closes_to_drop == 0)
        return true;
    closes_to_drop--;
    return false;
}

static void leave__repeats_a_lost_close(void **state)
{
    struct net *net = linked(13);

    (void)state;
    closes_to_drop = 2;
    net->filter = drop_closes;
    core_leave(net->nodes[1].core, net->now);
    net_run(net, 900 * PROA_MS);
    assert_non_null(net_said(net, 0, PUNT_NODE_DEAD, net_id(net, 1)));
    assert_int_equal(net->nodes[1].sent[PACKET_CLOSE], 3);
    assert_true(core_left(net->nodes[1].core, net->now));
    net_destroy(net);
}

static void leave__ends_after_a_second_without_answers(void **state)
{
    struct net *net = linked(14);

    (void)state;
    net_stop(net, 0);
    core_leave(net->nodes[1].core, net->now);
    net_run(net, 999 * PROA_MS);
    assert_false(core_left(net->nodes[1].core, net->now));
    net_run(net, 2 * PROA_MS);
    assert_true(core_left(net->nodes[1].core, net->now));
    net_destroy(net);
}

static void close__of_a_link_nobody_has_changes_nothing(void **state)
{
    struct net *net = linked(15);

    (void)state;
    put_from(net, PACKET_CLOSE, 0, 12345, PACKET_CLOSE_LEAVING);
    net_run(net, 5 * PROA_MS);
    assert_null(net_said(net, 0, PUNT_NODE_DEAD, 0));
    assert_true(alive(net, 0, net_id(net, 1)));
    net_destroy(net);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ping__is_answered_and_heard_on_both_sides),
        cmocka_unit_test(ping__carries_the_loop_gaps_of_both_lanes),
        cmocka_unit_test(ping__to_a_lane_that_does_not_read_is_answered_busy),
        cmocka_unit_test(ping__of_a_link_unknown_over_there_resets_it),
        cmocka_unit_test(ping__to_a_restarted_node_ends_the_old_one_in_a_round_trip),
        cmocka_unit_test(syn__of_another_life_ends_nothing),
        cmocka_unit_test(rst__that_echoes_no_ping_is_dropped),
        cmocka_unit_test(pong__that_echoes_no_ping_is_not_heard),
        cmocka_unit_test(ping__that_names_another_link_of_theirs_gets_rst),
        cmocka_unit_test(ended__silent_last_link_is_the_nodes_death),
        cmocka_unit_test(ended__with_another_link_left_is_not),
        cmocka_unit_test(ended__stuck_is_not_and_the_other_side_is_told),
        cmocka_unit_test(dead__node_that_is_heard_again_is_revived),
        cmocka_unit_test(
            krpc__of_another_id_ends_who_was_silent_but_not_who_was_just_heard),
        cmocka_unit_test(leave__closes_links_and_is_known_dead_at_once),
        cmocka_unit_test(leave__repeats_a_lost_close),
        cmocka_unit_test(leave__ends_after_a_second_without_answers),
        cmocka_unit_test(close__of_a_link_nobody_has_changes_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
