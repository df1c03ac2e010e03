/* SPDX-License-Identifier: Apache-2.0 */
/* Back-pressure in virtual time: an actor, a lane or a node that cannot keep up, a node that is dead,
   floods of messages and of datagrams.  Every accepted tell and ask has its one outcome, counted to
   the last; what lanes keep stays within their bounds and comes back; and the others go on:
   they get at least 90 % of the answers they get in the same time without. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "kit.h"
#include "scheduler.h"
#include "sim.h"

enum { WORD = 1, ASK };

#define STREAMS 8
#define EVERY PROA_TIMER_TICK
#define BURST 64u            /* tells of a flood in one go */
#define SMALL 8u             /* a mailbox that such a burst fills */
#define WINDOW 8u            /* asks of the others under way */
#define SPAN (20 * PROA_MS)  /* of one comparison */
#define SETTLE (10 * PROA_S) /* at the most */
#define QUIET (PROA_S / 2)

/* Tells, or asks in a window, from one actor to another, and what became of them. */
struct stream {
    struct proa_ref to;
    uint32_t burst, window; /* tells in one go; asks under way */
    bool on;
    uint64_t tried, accepted, entered, refused, doubt, again, otherwise;
    uint64_t asked, answers, answered, out; /* asks accepted, settled, of these with OK */
    uint64_t last;                          /* number that entered */
};

struct word {
    uint64_t stream, number;
};

static struct stream streams[STREAMS];
static struct proa_test *test;

/* ---- Actors ---- */

static void on_word(struct proa_actor *self, const struct proa_msg *msg)
{
    struct word word;

    (void)self;
    memcpy(&word, msg->data, sizeof(word));
    assert_true(word.stream < STREAMS);
    assert_true(word.number > streams[word.stream].last); /* in order, and once */
    streams[word.stream].last = word.number;
    streams[word.stream].entered++;
}

static void on_ask(struct proa_actor *self, const struct proa_msg *msg)
{
    assert_int_equal(proa_reply(self, msg, msg->data, msg->len), PROA_OK);
}

static const struct proa_on sink_on[] = {{WORD, sizeof(struct word), on_word},
                                         {ASK, 0, on_ask}};
static const struct proa_behaviour sink = {
    .type_name = "pressure.sink", .on = sink_on, .on_count = 2, .mailbox = SMALL};

struct sender {
    uint32_t stream;
};

static struct stream *mine(struct proa_actor *self)
{
    return &streams[((struct sender *)proa_state(self))->stream];
}

static void fill_window(struct proa_actor *self);

static void on_answer(struct proa_actor *self, const struct proa_answer *answer,
                      const void *ctx)
{
    struct stream *s = mine(self);

    (void)ctx;
    s->out--;
    s->answers++;
    s->answered += answer->outcome == PROA_OK;
    if (s->on && answer->outcome == PROA_OK)
        fill_window(self); /* else with the next timer */
}

static void fill_window(struct proa_actor *self)
{
    struct stream *s = mine(self);

    while (s->out < s->window) {
        if (proa_ask(self, s->to, ASK, s, 8, 2 * PROA_S, on_answer, NULL, 0) != PROA_OK)
            return;
        s->out++;
        s->asked++;
    }
}

static void on_timer(struct proa_actor *self, uint64_t cookie)
{
    struct stream *s = mine(self);
    struct proa_timer timer;

    for (uint32_t i = 0; s->on && i < s->burst; i++) {
        struct word word = {(uint64_t)(s - streams), ++s->tried};
        enum proa_outcome outcome = proa_tell(self, s->to, WORD, &word, sizeof(word));

        s->accepted += outcome == PROA_OK;
        s->again += outcome == PROA_AGAIN;
        s->otherwise += outcome != PROA_OK && outcome != PROA_AGAIN;
    }
    if (s->on)
        fill_window(self);
    /* Each in a rhythm of its own, so that none always comes when another has filled the mailbox. */
    proa_ns after = s->on ? EVERY * (1 + (proa_ns)(s - streams)) : PROA_MS;

    assert_int_equal(proa_timer_start(self, after, on_timer, cookie, &timer), PROA_OK);
}

static void on_signal(struct proa_actor *self, const struct proa_signal *signal)
{
    struct stream *s = mine(self);

    if (signal->kind != PROA_SIGNAL_UNDELIVERED)
        return;
    if (signal->reason == PROA_IN_DOUBT)
        s->doubt += signal->count;
    else
        s->refused += signal->count;
}

static int sender_start(struct proa_actor *self, const void *arg, size_t len)
{
    memcpy(proa_state(self), arg, len);
    on_timer(self, 0);
    return 0;
}

static const struct proa_behaviour sender = {.type_name = "pressure.sender",
                                             .state_size = sizeof(struct sender),
                                             .start = sender_start,
                                             .signal = on_signal};

/* ---- The stage ---- */

static void open_stage(unsigned nodes, unsigned lanes)
{
    struct proa_test_config config = {.nodes = nodes, .lanes = lanes, .seed = 7};

    memset(streams, 0, sizeof(streams));
    test = proa_test_create(&config);
    assert_non_null(test);
    assert_true(proa_test_join(test));
}

static struct proa_ref new_sink(unsigned node, unsigned lane)
{
    struct proa_ref ref;

    assert_int_equal(proa_test_spawn(test, node, lane, &sink, NULL, 0, &ref), PROA_OK);
    return ref;
}

static struct stream *new_stream(unsigned node, unsigned lane, struct proa_ref to,
                                 uint32_t burst, uint32_t window)
{
    struct sender arg = {0};
    struct stream *s;

    while (!proa_ref_is_none(streams[arg.stream].to))
        arg.stream++;
    s = &streams[arg.stream];
    *s = (struct stream){.to = to, .burst = burst, .window = window};
    assert_int_equal(proa_test_spawn(test, node, lane, &sender, &arg, sizeof(arg), NULL),
                     PROA_OK);
    return s;
}

static uint64_t slab_most, packets_most; /* of any lane, since the stage was opened */

static bool watch(void *ctx)
{
    (void)ctx;
    for (unsigned i = 0; i < test->config.nodes; i++) {
        for (unsigned l = 0; test->nodes[i].alive && l < test->config.lanes; l++) {
            struct kit_lane *lane = &test->nodes[i].lanes[l];
            uint64_t slab = atomic_load(&sched_stats(lane_sched(lane->lane))->slab_used);
            uint64_t packets = pool_plain_in_use(lane->pool);

            slab_most = slab > slab_most ? slab : slab_most;
            packets_most = packets > packets_most ? packets : packets_most;
        }
    }
    return false;
}

static void play(proa_ns span)
{
    proa_test_until(test, watch, NULL, span);
}

/* PROA_SIM_SAY=1 shows what was counted. */
static void say(const uint64_t got[2])
{
    if (getenv("PROA_SIM_SAY") == NULL)
        return;
    printf("others: %" PRIu64 " answers without, %" PRIu64
           " with; most in a lane: %" PRIu64 " bytes of messages, %" PRIu64 " packets\n",
           got[0], got[1], slab_most, packets_most);
    for (int i = 0; i < STREAMS; i++) {
        const struct stream *s = &streams[i];

        if (s->tried > 0)
            printf("  tried %" PRIu64 ": accepted %" PRIu64 ", again %" PRIu64
                   ", not at all %" PRIu64 "; entered %" PRIu64 ", refused %" PRIu64
                   ", in doubt %" PRIu64 "\n",
                   s->tried, s->accepted, s->again, s->otherwise, s->entered, s->refused,
                   s->doubt);
    }
}

/* Turns what disturbs on and off, and compares what the others get answered.  Whatever differs is the
   disturbance's: virtual time has no other load. */
static void others_keep_on(struct stream *others, void (*disturb)(bool on))
{
    uint64_t got[2] = {0, 0};

    others->on = true;
    play(SPAN); /* warm */
    for (int round = 0; round < 6; round++) {
        uint64_t before;

        disturb(round % 2 == 1);
        play(SPAN / 4); /* the change itself belongs to neither */
        before = others->answered;
        play(SPAN);
        got[round % 2] += others->answered - before;
    }
    disturb(false);
    say(got);
    assert_true(got[0] > 500); /* they do something */
    assert_true(got[1] * 10 >= got[0] * 9);
}

static bool lane_empty(struct kit_lane *lane)
{
    const struct sched_stats *stats = sched_stats(lane_sched(lane->lane));

    return atomic_load(&stats->slab_used) == 0 &&
           atomic_load(&stats->refs_blocked) == 0 &&
           atomic_load(&stats->asks_waiting) == 0 && pool_plain_in_use(lane->pool) == 0;
}

/* Every ask has its answer and all memory is back. */
static bool settled(void *ctx)
{
    (void)ctx;
    for (int i = 0; i < STREAMS; i++)
        if (streams[i].asked != streams[i].answers || streams[i].out != 0)
            return false;
    for (unsigned i = 0; i < test->config.nodes; i++)
        for (unsigned l = 0; test->nodes[i].alive && l < test->config.lanes; l++)
            if (!lane_empty(&test->nodes[i].lanes[l]))
                return false;
    return true;
}

/* Nobody does anything new; then every accepted message has had its outcome and all memory is back,
   and so it stays. */
static void settle(void)
{
    for (int i = 0; i < STREAMS; i++)
        streams[i].on = false;
    proa_test_until(test, settled, NULL, SETTLE);
    play(QUIET);
    assert_true(settled(NULL));
    for (int i = 0; i < STREAMS; i++)
        assert_int_equal(streams[i].tried,
                         streams[i].accepted + streams[i].again + streams[i].otherwise);
}

static void assert_exact(const struct stream *s)
{
    assert_int_equal(s->accepted, s->entered + s->refused + s->doubt);
}

static void close_stage(void)
{
    proa_test_destroy(test);
    slab_most = packets_most = 0;
}

/* ---- An actor ---- */

static void floods(bool on)
{
    for (int i = 0; i < STREAMS; i++)
        if (streams[i].burst > 0)
            streams[i].on = on;
}

/* A mailbox of 8 and bursts of 64 from its lane, from another lane and from another node: most is
   refused, each told once; its neighbours on that lane do not notice. */
static void actor__flooded_refuses_and_others_go_on(void **state)
{
    struct proa_ref slow, quick;
    struct stream *others, *flood[3];

    (void)state;
    open_stage(2, 2);
    slow = new_sink(1, 0);
    quick = new_sink(1, 0);
    others = new_stream(0, 0, quick, 0, WINDOW);
    flood[0] = new_stream(0, 0, slow, BURST, 0);
    flood[1] = new_stream(1, 1, slow, BURST, 0);
    flood[2] = new_stream(1, 0, slow, BURST, 0);
    others_keep_on(others, floods);
    settle();
    for (int i = 0; i < 3; i++) {
        assert_exact(flood[i]);
        assert_int_equal(flood[i]->doubt, 0);
        assert_true(flood[i]->entered > 1000);
    }
    assert_true(flood[0]->refused > 100);
    assert_true(flood[1]->refused > 100);
    assert_true(flood[2]->otherwise > 100); /* FULL, at once */
    assert_int_equal(others->answered, others->asked);
    close_stage();
}

/* ---- A lane ---- */

static void slow_lane(bool on)
{
    test->nodes[1].lanes[1].nap = on ? 2 * PROA_MS : 0;
    floods(on);
}

/* A lane that goes round each 2 ms, while others send to its actors all they can: from another lane of
   its node, and from another node, on links that end on both of its node's lanes. */
static void lane__slow_refuses_and_other_lanes_go_on(void **state)
{
    struct proa_ref slow[3];
    struct stream *others, *flood[3];

    (void)state;
    open_stage(2, 2);
    for (int i = 0; i < 3; i++)
        slow[i] = new_sink(1, 1);
    others = new_stream(0, 0, new_sink(1, 0), 0, WINDOW);
    flood[0] = new_stream(0, 0, slow[0], BURST, 0);
    flood[1] = new_stream(0, 1, slow[1], BURST, 0);
    flood[2] = new_stream(1, 0, slow[2], BURST, 0);
    others_keep_on(others, slow_lane);
    settle();
    for (int i = 0; i < 3; i++) {
        assert_exact(flood[i]);
        assert_int_equal(flood[i]->doubt, 0);
        assert_true(flood[i]->entered > 0);
        assert_true(flood[i]->again + flood[i]->refused > 1000);
    }
    assert_int_equal(others->answered, others->asked);
    close_stage();
}

/* ---- A node ---- */

static void slow_node(bool on)
{
    test->nodes[2].lanes[0].nap = on ? 5 * PROA_MS : 0;
    floods(on);
}

/* Its link's window closes: senders get AGAIN, and what one lane keeps for it is bounded by that
   window, not by how long it lasts. */
static void node__slow_closes_its_window_and_others_go_on(void **state)
{
    struct stream *others, *flood;

    (void)state;
    open_stage(3, 1);
    others = new_stream(0, 0, new_sink(1, 0), 0, WINDOW);
    flood = new_stream(0, 0, new_sink(2, 0), BURST, WINDOW);
    others_keep_on(others, slow_node);
    assert_true(packets_most <= LINK_WINDOW_MAX + LINK_OUTBOX_MAX + 64);
    settle();
    assert_exact(flood);
    assert_int_equal(flood->doubt, 0);
    assert_true(flood->entered > 0 && flood->again + flood->refused > 1000);
    assert_int_equal(others->answered, others->asked);
    close_stage();
}

static void dead_node(bool on)
{
    if (on && test->nodes[2].alive)
        proa_test_kill(test, 2);
    floods(on);
}

/* Killed while it is told: what was on its way is in doubt, later tells are refused at once, and asks
   have their outcomes; nobody waits for it. */
static void node__dead_leaves_its_messages_in_doubt_and_others_go_on(void **state)
{
    struct stream *others, *flood;

    (void)state;
    open_stage(3, 1);
    others = new_stream(0, 0, new_sink(1, 0), 0, WINDOW);
    flood = new_stream(0, 0, new_sink(2, 0), 4, WINDOW);
    flood->on = true;
    play(10 * PROA_MS);
    others_keep_on(others, dead_node);
    flood->on = true;
    play(2 * PROA_S); /* until it is known to be dead */
    flood->otherwise = 0;
    flood->tried = flood->accepted + flood->again;
    play(PROA_MS);
    assert_true(flood->otherwise > 0); /* NO_ROUTE */
    settle();
    assert_true(flood->doubt > 0);
    assert_true(flood->entered <= flood->accepted);
    /* Acknowledged ones have entered; one in doubt may have. */
    assert_true(flood->entered + flood->refused + flood->doubt >= flood->accepted);
    assert_int_equal(others->answered, others->asked);
    close_stage();
}

/* ---- Datagrams ---- */

#define JUNK_EACH 4u /* with each step: 4 million a second */

static struct {
    struct pkt_pool *pool;
    struct port *port;
    bool on;
    uint64_t sent, random;
} junk;

/* Of nobody: links there are not, handshakes and registry datagrams without the key, and noise. */
static void put_junk(struct pkt *p)
{
    static const uint8_t first[] = {0x00, 0x01, 0x02, 0x05, 'd', 0x0f};
    uint32_t len = 1 + (uint32_t)(sim_random(&junk.random) % 200);

    for (uint32_t i = 0; i < len; i += 8) {
        uint64_t r = sim_random(&junk.random);

        memcpy(p->data + i, &r, 8);
    }
    p->data[0] = first[junk.sent % sizeof(first)];
    p->len = (uint16_t)len;
    p->peer = test->nodes[1].address;
}

static bool throw_junk(void *ctx)
{
    (void)ctx;
    for (uint32_t i = 0; junk.on && i < JUNK_EACH; i++) {
        struct pkt *p = pkt_alloc(junk.pool, 0);

        assert_non_null(p);
        put_junk(p);
        junk.sent += port_tx(junk.port, 0, &p, 1, test->now);
    }
    return watch(NULL);
}

static uint64_t junk_seen(void)
{
    const struct lane_stats *s = lane_stats(test->nodes[1].lanes[0].lane);
    struct port_stats port;
    uint64_t n = atomic_load(&s->punt_full) + atomic_load(&s->unknown_link) +
                 atomic_load(&s->wrong_source) + atomic_load(&s->short_packets) +
                 atomic_load(&s->punted);

    port_stats_sum(test->nodes[1].port, &port);
    for (int i = 0; i < PORT_DROP_COUNT; i++)
        n += atomic_load(&port.drops[i]);
    return n;
}

/* Each datagram of nobody is counted where it ends; none gets an answer; those who work go on. */
static void node__flooded_with_datagrams_counts_them_and_goes_on(void **state)
{
    struct port_ring_args args = {
        .prefix = 96 + 24, .mtu = 1500, .slots = 512, .queues = 1};
    struct stream *others;
    uint64_t got[2] = {0, 0}, seen;
    char err[PROA_TEXT_MAX];

    (void)state;
    open_stage(2, 1);
    junk.random = 1;
    junk.sent = 0;
    junk.pool = pool_plain_create(64, 0, 1500);
    args.hub = test->hub;
    args.pools = &junk.pool;
    junk.port = port_ring_open(&args, err, sizeof(err));
    assert_non_null(junk.port);
    others = new_stream(0, 0, new_sink(1, 0), 0, WINDOW);
    others->on = true;
    play(SPAN);
    seen = junk_seen();
    for (int round = 0; round < 6; round++) {
        uint64_t before = others->answered;

        junk.on = round % 2 == 1;
        proa_test_until(test, throw_junk, NULL, SPAN);
        got[round % 2] += others->answered - before;
    }
    junk.on = false;
    assert_true(junk.sent > 100000);
    assert_true(got[0] > 500 && got[1] * 10 >= got[0] * 9);
    settle();
    assert_int_equal(others->answered, others->asked);
    /* Besides, the registries' own datagrams are punted. */
    assert_true(junk_seen() - seen >= junk.sent);
    assert_true(junk_seen() - seen <= junk.sent + 200);
    port_close(junk.port);
    pool_plain_destroy(junk.pool);
    close_stage();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(actor__flooded_refuses_and_others_go_on),
        cmocka_unit_test(lane__slow_refuses_and_other_lanes_go_on),
        cmocka_unit_test(node__slow_closes_its_window_and_others_go_on),
        cmocka_unit_test(node__dead_leaves_its_messages_in_doubt_and_others_go_on),
        cmocka_unit_test(node__flooded_with_datagrams_counts_them_and_goes_on),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
