/* SPDX-License-Identifier: Apache-2.0 */
/* Links as a lane keeps them: opening, whose packets they take, their end, many of them, and a port
   that does not take packets. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "lane_world.h"

/* ---- Opening ---- */

static void open__64_messages_wait_for_it_then_again(void **state)
{
    struct proa_ref to = spawn_sink(0);

    (void)state;
    run(PROA_MS);
    for (uint32_t i = 0; i < 64; i++)
        assert_int_equal(tell(to, i + 1, 100), PROA_OK);
    assert_int_equal(tell(to, 65, 100), PROA_AGAIN);
    run(50 * PROA_MS);
    assert_int_equal(nodes[0].part[0].needed, 1); /* one question for them all */
    link_nodes(1, 0, NODE_B);
    run(5 * PROA_MS);
    assert_entered(64);
    assert_int_equal(tell(to, 65, 100), PROA_OK);
    run(PROA_MS);
    assert_entered(65);
}

/* A datagram of these bytes from a third node to B. */
static void stranger_sends(struct port *port, struct pkt_pool *pool, uint64_t dst_link,
                           const struct proa_addr *to)
{
    struct pkt *p = pkt_alloc(pool, 0);
    struct packet_header h = {.kind = PACKET_DATA, .dst_link = dst_link, .seq = 1};
    struct packet_message m = {.len = 8, .type = 1, .dst = 2, .src = 1};

    memset(p->data, 0, 128);
    packet_header_put(p->data, &h);
    p->len = (uint16_t)(PACKET_HEADER_LEN +
                        packet_message_put(p->data + PACKET_HEADER_LEN, &m) + 8);
    p->peer = *to;
    assert_int_equal(port_tx(port, 0, &p, 1, now), 1);
}

static void admit__whole_link_id_and_source_and_no_answer(void **state)
{
    struct pkt_pool *pool = pool_plain_create(64, 8, 2048);
    struct pkt *got[PORT_BURST];
    uint64_t id = link_id_make(0, 1, SECRET + 1);
    char err[PROA_TEXT_MAX];

    (void)state;
    struct port *stranger = port_ring_open(
        &(struct port_ring_args){.hub = "links", .queues = 1, .pools = &pool}, err,
        sizeof(err));
    assert_non_null(stranger);
    link_nodes(1, 0, NODE_B);
    run(PROA_MS);
    uint64_t unknown = STAT(1, 0, unknown_link); /* A was a step ahead of B */
    for (uint32_t bit = 0; bit < 64; bit++) {
        uint32_t lane = link_id_lane(id ^ 1ull << bit);
        if (lane == 1)
            continue; /* handed to lane 1, which has no link there; counted by it */
        stranger_sends(stranger, pool, id ^ 1ull << bit, &nodes[1].port->address);
    }
    run(PROA_MS);
    assert_int_equal(STAT(1, 0, unknown_link), unknown + 63);
    assert_int_equal(STAT(1, 0, wrong_source), 0);
    stranger_sends(stranger, pool, id, &nodes[1].port->address);
    run(PROA_MS);
    assert_int_equal(STAT(1, 0, wrong_source), 1);
    assert_int_equal(port_rx(stranger, 0, got, PORT_BURST, now), 0);
    /* The link itself did not notice: packet 1 is still to come. */
    struct proa_ref to = spawn_sink(0);
    assert_int_equal(tell(to, 1, 8), PROA_OK);
    run(PROA_MS);
    assert_entered(1);
    port_close(stranger);
    pool_plain_destroy(pool);
}

/* A burst is 32, and one comes to that for each 32 links. */
static void receive__many_links_have_many_bursts_a_loop(void **state)
{
    struct pkt_pool *pool = pool_plain_create(256, 8, 2048);
    char err[PROA_TEXT_MAX];

    (void)state;
    struct port *stranger = port_ring_open(
        &(struct port_ring_args){.hub = "links", .queues = 1, .pools = &pool}, err,
        sizeof(err));
    assert_non_null(stranger);
    uint64_t unknown = STAT(1, 0, unknown_link), many = link_id_make(0, 1, SECRET + 2);
    for (uint32_t i = 0; i < 200; i++)
        stranger_sends(stranger, pool, many, &nodes[1].port->address);
    step(1, 0);
    assert_int_equal(STAT(1, 0, unknown_link), unknown + PORT_BURST);
    for (uint32_t slot = 1; slot <= 64; slot++)
        open_end(1, slot, 0, NODE_B);
    step(1, 0);
    unknown = STAT(1, 0, unknown_link);
    step(1, 0);
    assert_int_equal(STAT(1, 0, unknown_link), unknown + 3 * PORT_BURST);
    port_close(stranger);
    pool_plain_destroy(pool);
}

static void astray__goes_to_the_lane_of_its_link(void **state)
{
    struct proa_ref to = spawn_sink(1);

    (void)state;
    link_nodes(1, 1, NODE_B); /* A's only queue ends at B's lane 0 */
    run(PROA_MS);
    for (uint32_t i = 0; i < 50; i++)
        assert_int_equal(tell(to, i + 1, 100), PROA_OK);
    run(PROA_MS);
    assert_entered(50);
    assert_true(STAT(1, 0, misdirected) > 0);
    assert_int_equal(STAT(1, 0, unknown_link), 0);
}

static void sending__stays_on_one_link_and_an_idle_surplus_closes(void **state)
{
    struct proa_ref to = spawn_sink(0);

    (void)state;
    link_nodes(1, 0, NODE_B);
    run(PROA_MS);
    link_nodes(2, 0, NODE_B);
    run(PROA_MS);
    for (uint32_t i = 0; i < 100; i++) {
        assert_int_equal(tell(to, i + 1, 100), PROA_OK);
        run(100 * PROA_US);
    }
    assert_entered(100);
    assert_int_equal(nodes[0].part[0].ended, 0);
    run_by(9900 * PROA_MS, PROA_MS);
    assert_int_equal(nodes[0].part[0].ended, 0);
    run_by(PROA_S, PROA_MS); /* it is looked at each time a ping is due */
    assert_int_equal(nodes[0].part[0].ended, 1);
    assert_int_equal(link_id_slot(nodes[0].part[0].end.link_id),
                     2); /* not the one used */
    assert_int_equal(nodes[0].part[0].end.flags, LINK_END_IDLE);
    assert_int_equal(tell(to, 101, 100), PROA_OK);
    run(PROA_MS);
    assert_entered(101);
}

/* ---- The end ---- */

/* What came by the old link for B's lane 1 lies in a ring that lane 1 does not read just now.  B's
   control thread must not hear of the end, and so open a successor, before it was delivered. */
static void end__is_told_when_marks_are_back_from_all_lanes(void **state)
{
    struct proa_ref to = spawn_sink(1);
    struct punt_link reset = {.node = NODE_A, .link_id = link_id_make(0, 1, SECRET + 1)};
    struct part *b0 = &nodes[1].part[0];

    (void)state;
    link_nodes(1, 0, NODE_B);
    run(PROA_MS);
    for (uint32_t i = 0; i < 20; i++)
        assert_int_equal(tell(to, i + 1, 100), PROA_OK);
    for (int i = 0; i < 20; i++) {
        step(0, 0);
        step(1, 0);
        now += 10 * PROA_US;
    }
    assert_true(
        byte_ring_push(b0->down, PUNT_LINK_RESET, &reset, sizeof(reset), NULL, 0));
    for (int i = 0; i < 1000; i++) {
        step(1, 0);
        now += 10 * PROA_US;
    }
    assert_int_equal(entered_count, 0);
    assert_int_equal(b0->ended, 0);
    step(1, 1); /* takes what was told, and the mark behind it */
    assert_entered(20);
    assert_int_equal(b0->ended, 0);
    step(1, 0);
    assert_int_equal(b0->ended, 1);
    assert_int_equal(b0->end.flags, LINK_END_RESET);
}

/* ---- Mailboxes that were full ---- */

void lane_below_writable(void *ctx, uint64_t node, struct proa_ref to);
enum proa_outcome lane_below_monitor(void *ctx, uint64_t node, const struct watch *watch);
void lane_forwarded(struct lane *lane, uint64_t node, const struct forwarded *f);

/* A's lane holds tells to B's actor in this slot back from now on. */
static void block(uint32_t slot)
{
    struct refusal r = {.to = {NODE_B, slot, 1},
                        .slot = 7,
                        .generation = 1,
                        .count = 1,
                        .reason = PROA_REFUSED_FULL};

    sched_refused(lane_sched(nodes[0].part[0].lane), &r);
}

static uint64_t blocked(void)
{
    const struct sched_stats *stats = sched_stats(lane_sched(nodes[0].part[0].lane));

    step(0, 0);
    return atomic_load_explicit(&stats->refs_blocked, memory_order_relaxed);
}

static void drained(uint32_t slot)
{
    lane_below_writable(nodes[1].part[0].lane, NODE_A,
                        (struct proa_ref){NODE_B, slot, 1});
}

/* A sends on link 1 and B on link 2.  Link 2 ends alone, with B's WRITABLE in it: A would go on waiting for
   as long as link 1 lives.  No other link is to be had at first, either. */
static void end__a_writable_goes_by_another_link(void **state)
{
    struct part *b0 = &nodes[1].part[0];
    struct punt_link reset = {.node = NODE_A, .link_id = link_id_make(0, 2, SECRET + 1)};
    struct punt_node failed = {.node = NODE_A, .outcome = PROA_NO_ROUTE};

    (void)state;
    open_end(0, 1, 0, NODE_B);
    open_end(0, 2, 0, NODE_B);
    open_end(1, 2, 0, NODE_B);
    open_end(1, 1, 0, NODE_B);
    run(PROA_MS);
    block(5);
    assert_int_equal(blocked(), 1);
    drained(5);
    assert_true(
        byte_ring_push(b0->down, PUNT_LINK_RESET, &reset, sizeof(reset), NULL, 0));
    run(PROA_MS);
    assert_int_equal(b0->ended, 1);
    assert_int_equal(b0->needed, 1);
    assert_true(
        byte_ring_push(b0->down, PUNT_NODE_FAILED, &failed, sizeof(failed), NULL, 0));
    run(PROA_MS);
    assert_int_equal(b0->needed, 2);
    assert_int_equal(blocked(), 1);
    link_nodes(3, 0, NODE_B);
    run(PROA_MS);
    assert_int_equal(blocked(), 0);
}

/* Who has an ask and who has ended is said to a node that no link can be had to.  It is tried four times, and
   not for ever. */
static void open__what_runtimes_say_is_given_up(void **state)
{
    struct part *b0 = &nodes[1].part[0];
    struct punt_node failed = {.node = NODE_A, .outcome = PROA_NO_ROUTE};
    struct forwarded f = {
        .to = {NODE_B, 1, 1}, .slot = 3, .generation = 1, .correlation = 9, .hops = 1};
    struct watch down = {.target = {NODE_B, 4, 1},
                         .watcher = {NODE_A, 3, 1},
                         .kind = WATCH_DOWN,
                         .reason = PROA_REASON_NORMAL};
    const struct lane_stats *stats = lane_stats(b0->lane);

    (void)state;
    run(PROA_MS);
    lane_forwarded(b0->lane, NODE_A, &f);
    assert_int_equal(lane_below_monitor(b0->lane, NODE_A, &down), PROA_OK);
    for (uint32_t tries = 1; tries <= 4; tries++) {
        run(PROA_MS);
        assert_int_equal(b0->needed, tries < 3 ? tries : tries - 1);
        run(tries < 3 ? 0 : 400 * PROA_MS); /* the first two at once */
        assert_int_equal(b0->needed, tries);
        assert_int_equal(atomic_load(&stats->forwards_dropped), 0);
        assert_int_equal(atomic_load(&stats->downs_dropped), 0);
        assert_true(
            byte_ring_push(b0->down, PUNT_NODE_FAILED, &failed, sizeof(failed), NULL, 0));
    }
    run(PROA_S);
    assert_int_equal(b0->needed, 4);
    assert_int_equal(atomic_load(&stats->forwards_dropped), 1);
    assert_int_equal(atomic_load(&stats->downs_dropped), 1);
}

/* More of them than may wait for a link: one for all comes behind the others. */
static void open__writables_past_the_bound_become_one_for_all(void **state)
{
    (void)state;
    run(PROA_MS);
    for (uint32_t slot = 1; slot <= LANE_REPLIES_MAX + 100; slot++)
        drained(slot);
    for (uint32_t slot = 1; slot <= 20; slot++)
        block(LANE_REPLIES_MAX + 5 * slot);
    assert_int_equal(blocked(), 20);
    link_nodes(1, 0, NODE_B);
    run(10 * PROA_MS);
    assert_int_equal(blocked(), 0);
}

/* ---- Acks ---- */

static void settle__acks_before_the_lane_sleeps(void **state)
{
    struct proa_ref to = spawn_sink(0);

    (void)state;
    link_nodes(1, 0, NODE_B);
    run(PROA_MS);
    assert_int_equal(tell(to, 1, 100), PROA_OK);
    step(0, 0);
    step(1, 0);
    assert_entered(1);
    uint64_t before = STAT(1, 0, tx);
    step(1, 0); /* less than 20 us have passed */
    assert_int_equal(STAT(1, 0, tx), before);
    lane_settle(nodes[1].part[0].lane, now);
    assert_int_equal(STAT(1, 0, tx), before + 1);
}

/* ---- A port that does not take packets ---- */

/* The lane keeps 256 packets, each link 64; then it is AGAIN, and none is thrown away. */
static void backlog__256_packets_then_again_and_none_is_lost(void **state)
{
    struct proa_ref to = spawn_sink(0);
    uint32_t sent[8] = {0}, got[8] = {0}, all = 0;

    (void)state;
    for (uint32_t i = 0; i < 8; i++)
        link_nodes(i + 1, 0, 1 + i);
    run(5 * PROA_MS);
    uint64_t tx = STAT(0, 0, tx), rx = STAT(1, 0, rx);
    choke = 0;
    for (int round = 0; round < 100; round++) { /* less than the timer's millisecond */
        for (uint32_t i = 0; i < 8; i++) {
            to.node = 1 + i;
            while (tell(to, sent[i] << 3 | i, 1000) == PROA_OK) {
                sent[i]++;
                all++;
            }
        }
        step(0, 0);
        now += 5 * PROA_US;
    }
    assert_int_equal(STAT(0, 0, tx), tx);
    assert_true(STAT(0, 0, tx_short) > 0);
    assert_in_range(all, 256 + 8 * 64, 256 + 8 * 64 + 8);
    choke = 5;
    run(5 * PROA_MS);
    choke = UINT32_MAX;
    run(20 * PROA_MS);
    assert_int_equal(entered_count, all);
    for (uint32_t i = 0; i < all; i++)
        assert_int_equal(entered[i] >> 3, got[entered[i] & 7]++);
    assert_int_equal(STAT(0, 0, no_route), 0);
    assert_int_equal(STAT(0, 0, tx) - tx, STAT(1, 0, rx) - rx);
}

/* Behind packets that the port refused, messages of many loops share a packet. */
static void backlog__messages_gather_in_one_packet_meanwhile(void **state)
{
    struct proa_ref to = spawn_sink(0);

    (void)state;
    link_nodes(1, 0, NODE_B);
    run(PROA_MS);
    uint64_t before = STAT(0, 0, tx);
    choke = 0;
    for (uint32_t i = 0; i < 20; i++) {
        assert_int_equal(tell(to, i + 1, 8), PROA_OK);
        step(0, 0);
        now += 5 * PROA_US;
    }
    choke = UINT32_MAX;
    step(0, 0);
    step(0, 0);
    assert_in_range(STAT(0, 0, tx) - before, 2, 3); /* the first message; all others */
    run(PROA_MS);
    assert_entered(20);
}

/* Seven links always have more than the port takes; the eighth has a message now and then. */
static void backlog__busy_links_leave_room_to_another(void **state)
{
    struct proa_ref to = spawn_sink(0);
    uint32_t asked = 0, got = 0;

    (void)state;
    for (uint32_t i = 0; i < 8; i++)
        link_nodes(i + 1, 0, 1 + i);
    run(5 * PROA_MS);
    choke = 4;
    for (uint32_t round = 0, seen = 0; round < 900; round++) {
        for (to.node = 1; to.node < 8; to.node++)
            while (tell(to, 1, 1000) == PROA_OK)
                ;
        if (asked == got && tell(to, 2, 8) == PROA_OK) /* to node 8 */
            asked++;
        run_by(5 * PROA_US, 5 * PROA_US);
        for (; seen < entered_count; seen++)
            got += entered[seen] == 2;
    }
    assert_true(STAT(0, 0, tx_short) > 1000);
    assert_true(got > 5);
}

/* Links send nothing then; what the control thread sends is dropped, and counted. */
static void backlog__drops_datagrams_of_the_control_thread_and_counts_them(void **state)
{
    struct proa_ref to = spawn_sink(0);
    struct punt_datagram head = {.port = 0};

    (void)state;
    for (uint32_t i = 0; i < 8; i++)
        link_nodes(i + 1, 0, 1 + i);
    run(5 * PROA_MS);
    choke = 0;
    for (int round = 0; round < 20; round++) {
        for (to.node = 1; to.node < 9; to.node++)
            while (tell(to, 1, 1000) == PROA_OK)
                ;
        step(0, 0);
        now += 5 * PROA_US;
    }
    assert_int_equal(STAT(0, 0, tx_full), 0);
    head.peer = nodes[1].port->address;
    for (int i = 0; i < 3; i++)
        byte_ring_push(nodes[0].part[0].down, PUNT_SEND, &head, sizeof(head), "d", 1);
    step(0, 0);
    assert_int_equal(STAT(0, 0, tx_full), 3);
    assert_int_equal(STAT(0, 0, no_route), 0);
    choke = UINT32_MAX;
    run(20 * PROA_MS);
}

/* ---- Many ---- */

/* Every link gets its share of what the lane may retain: two packets, whatever the others have. */
static void many__a_thousand_links_on_one_lane(void **state)
{
    static uint32_t seen[MANY];
    struct proa_ref to = spawn_sink(0);
    uint32_t sent[MANY] = {0}, all = 0;

    (void)state;
    for (uint32_t i = 0; i < MANY; i++) {
        link_nodes(i + 1, 0, 1 + i);
        run(20 * PROA_US);
    }
    run(10 * PROA_MS);
    assert_int_equal(STAT(0, 0, links), MANY);
    for (uint32_t round = 0; round < 400 && all < MANY * 8; round++) {
        for (uint32_t i = 0; i < MANY; i++) {
            to.node = 1 + i;
            while (sent[i] < 8 && tell(to, i + 1, 1100) == PROA_OK) {
                sent[i]++;
                all++;
            }
        }
        run(50 * PROA_US);
    }
    run(50 * PROA_MS);
    assert_int_equal(entered_count, MANY * 8);
    for (uint32_t i = 0; i < entered_count; i++)
        seen[entered[i] - 1]++;
    for (uint32_t i = 0; i < MANY; i++)
        assert_int_equal(seen[i], 8);
    assert_int_equal(STAT(0, 0, links_dead), 0);
    deaf =
        true; /* they end when nothing is heard: all of them, and their memory is free */
    nodes[0].part[0].ended = 0;
    choke = 0;
    for (proa_ns until = now + 3 * PROA_S; now < until; now += PROA_MS)
        step(0, 0);
    assert_int_equal(nodes[0].part[0].ended, MANY);
    assert_int_equal(STAT(0, 0, links), 0);
}

/* Only PINGs that the lane has sent count.  All of B stands still, A's control thread at first too. */
static void ping__counts_when_the_lane_sends_it(void **state)
{
    (void)state;
    link_nodes(0, 0, NODE_B);
    run(PROA_MS);
    deaf = stands = true;
    for (proa_ns until = now + 5 * PROA_S; now < until; now += PROA_MS)
        step(0, 0);
    assert_int_equal(nodes[0].part[0].ended, 0);
    stands = false;
    for (proa_ns until = now + PROA_S; now < until; now += PROA_MS)
        step(0, 0);
    assert_int_equal(nodes[0].part[0].ended, 1);
    assert_int_equal(nodes[0].part[0].end.flags, LINK_END_SILENT);
}

#define test(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        test(open__64_messages_wait_for_it_then_again),
        test(admit__whole_link_id_and_source_and_no_answer),
        test(receive__many_links_have_many_bursts_a_loop),
        test(astray__goes_to_the_lane_of_its_link),
        test(sending__stays_on_one_link_and_an_idle_surplus_closes),
        test(end__is_told_when_marks_are_back_from_all_lanes),
        test(end__a_writable_goes_by_another_link),
        test(open__writables_past_the_bound_become_one_for_all),
        test(open__what_runtimes_say_is_given_up),
        test(ping__counts_when_the_lane_sends_it),
        test(settle__acks_before_the_lane_sleeps),
        test(backlog__256_packets_then_again_and_none_is_lost),
        test(backlog__messages_gather_in_one_packet_meanwhile),
        test(backlog__busy_links_leave_room_to_another),
        test(backlog__drops_datagrams_of_the_control_thread_and_counts_them),
        cmocka_unit_test_setup_teardown(many__a_thousand_links_on_one_lane, setup_little,
                                        teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
