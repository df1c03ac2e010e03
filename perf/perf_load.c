/* SPDX-License-Identifier: Apache-2.0 */
#include "perf_load.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "inbox.h"
#include "lane_internal.h"
#include "link_internal.h"
#include "perf_clock.h"
#include "perf_payload.h"
#include "perf_sink.h"

struct perf_flight {
    uint64_t ticks;  /* when it left, or was due; 0: not timed */
    uint64_t number; /* of its message */
};

/* In a crowd so many packets may wait for one link: LINK_OUTBOX_MAX for each of 1,000 links are more than
   the lane's pool has, and a lane without packets receives nothing. */
#define CROWD_WAITING 8u

/* What became of an attempt to send. */
enum sent { SENT, SENT_LATER, SENT_NEVER };

static void go(struct proa_actor *self, uint64_t cookie);

/* ---- Memory ---- */

struct perf_load *perf_load_create(const struct perf_options *options,
                                   const struct proa_ref *to, double ns_per_tick)
{
    struct perf_load *load = calloc(1, sizeof(*load));

    if (load == NULL)
        return NULL;
    load->options = *options;
    load->to = to;
    load->ns_per_tick = ns_per_tick;
    load->word_count = options->size / 8;
    load->random = 0x2545f4914f6cdd1d;
    load->rtt = perf_latency_create();
    load->first = options->mode == PERF_MODE_IDLE ? perf_latency_create() : NULL;
    load->next = calloc(options->receivers, sizeof(*load->next));
    load->sums = calloc(options->receivers, sizeof(*load->sums));
    load->words = calloc(load->word_count, sizeof(*load->words));
    load->flights = calloc(options->window, sizeof(*load->flights));
    load->idle = calloc(options->window, sizeof(*load->idle));
    if (load->next == NULL || load->sums == NULL || load->words == NULL ||
        load->flights == NULL || load->idle == NULL || load->rtt == NULL ||
        (options->mode == PERF_MODE_IDLE && load->first == NULL)) {
        perf_load_destroy(load);
        return NULL;
    }
    /* Touched now, not while measuring. */
    for (uint32_t i = 0; i < options->receivers; i++)
        load->next[i] = perf_first_number(i);
    memset(load->sums, 0, options->receivers * sizeof(*load->sums));
    for (uint32_t i = 0; i < options->window; i++)
        load->idle[load->idle_count++] = options->window - 1 - i;
    if (options->rate != 0)
        load->ticks_each = 1e9 / options->rate / ns_per_tick;
    return load;
}

void perf_load_destroy(struct perf_load *load)
{
    if (load == NULL)
        return;
    free(load->next);
    free(load->sums);
    free(load->words);
    free(load->flights);
    free(load->idle);
    perf_latency_destroy(load->rtt);
    perf_latency_destroy(load->first);
    free(load);
}

enum perf_load_state perf_load_state(const struct perf_load *load)
{
    /* acquire, pairs with the release in perf_load_over: the results are written before. */
    return (enum perf_load_state)atomic_load_explicit(&load->state, memory_order_acquire);
}

static uint64_t due_at(const struct perf_load *load, uint64_t number)
{
    return load->first_due + (uint64_t)((double)number * load->ticks_each);
}

/* Not on the lane: there may be millions, and links would be silent for as long as it takes. */
void perf_load_count_unsent(struct perf_load *load)
{
    uint64_t due;

    if (load->options.rate == 0 || load->end_ticks == 0)
        return;
    while ((due = due_at(load, load->due_count)) < load->end_ticks) {
        load->due_count++;
        if (due < load->mark_ticks)
            continue;
        load->unsent++;
        perf_latency_add(load->rtt,
                         (proa_ns)((double)(load->end_ticks - due) * load->ns_per_tick));
    }
}

/* ---- Sending ---- */

static struct perf_load *load_of(struct proa_actor *self)
{
    return *(struct perf_load **)proa_state(self);
}

void perf_load_over(struct perf_load *load, enum perf_load_state state)
{
    load->phase = PERF_OVER;
    /* release, pairs with the acquire in perf_load_state. */
    atomic_store_explicit(&load->state, state, memory_order_release);
}

void perf_load_fail(struct perf_load *load, const char *what, enum proa_outcome outcome)
{
    if (load->phase == PERF_OVER)
        return;
    snprintf(load->why, sizeof(load->why), "%s: %s", what, proa_outcome_name(outcome));
    perf_load_over(load, PERF_LOAD_FAILED);
}

/* Calls go in the lane's next loop.  An actor that tells itself gets many turns in one, and then what
   it asked would not leave, nor answers be taken, for up to 100 us. */
static void next_loop(struct proa_actor *self, struct perf_load *load)
{
    const struct proa_msg msg = {
        .data = "", .type = PERF_TYPE_GO, .from = load->client, .to = proa_self(self)};
    enum proa_outcome outcome;

    if (load->going)
        return;
    outcome = inbox_push_msg(load->inbox, &msg, 0);
    if (outcome == PROA_OK)
        load->going = true;
    else
        perf_load_fail(load, "the loader could not wake itself", outcome);
}

/* go_on lets others run and then calls go again.  On one lane the way leads through the receiver,
   behind all it was told: a sender that only gave way would fill its mailbox, since both get
   turns of the same length. */
static void go_on(struct proa_actor *self, struct perf_load *load)
{
    bool local = load->options.mode == PERF_MODE_LOCAL_COUNT;
    enum proa_outcome outcome;

    if (load->going)
        return;
    if (load->options.rate != 0) {
        next_loop(self, load);
        return;
    }
    outcome = proa_tell(self, local ? load->to[0] : proa_self(self),
                        local ? PERF_TYPE_BOUNCE : PERF_TYPE_GO, NULL, 0);
    if (outcome == PROA_OK)
        load->going = true;
    else
        perf_load_fail(load, "the loader could not tell itself", outcome);
}

/* The uncommon outcomes of a send.  Whoever gets SENT_LATER returns: go is called again. */
static __attribute__((noinline)) enum sent not_sent(struct proa_actor *self,
                                                    struct perf_load *load,
                                                    const char *what,
                                                    enum proa_outcome outcome)
{
    struct proa_timer timer;

    switch (outcome) {
    case PROA_AGAIN:
        load->again++;
        load->waiting = true;
        return SENT_LATER;
    case PROA_FULL: /* the receiver's own mailbox, on this node: it needs its turn */
        load->full++;
        go_on(self, load);
        return SENT_LATER;
    case PROA_NO_ROUTE: /* until the nodes know each other */
        if (load->sent == 0 && proa_now(self) - load->started_at < PERF_ROUTE_FOR &&
            proa_timer_start(self, PERF_ROUTE_RETRY, go, 0, &timer) == PROA_OK)
            return SENT_LATER;
        break;
    default:
        break;
    }
    perf_load_fail(load, what, outcome);
    return SENT_NEVER;
}

/* What the loader keeps of 100,000 receivers lies in no near cache: drawn ahead, so that the misses of
   its bookkeeping are not what is measured. */
static inline uint32_t pick(struct perf_load *load)
{
    uint32_t r, drawn, at = load->ahead_at;

    if (load->options.receivers == 1)
        return 0;
    /* xorshift64: Marsaglia, "Xorshift RNGs", 2003. */
    load->random ^= load->random << 13;
    load->random ^= load->random >> 7;
    load->random ^= load->random << 17;
    drawn = (uint32_t)((load->random >> 32) * load->options.receivers >> 32);
    __builtin_prefetch(&load->to[drawn]);
    __builtin_prefetch(&load->next[drawn], 1);
    __builtin_prefetch(&load->sums[drawn], 1);
    r = load->ahead[at];
    load->ahead[at] = drawn;
    load->ahead_at = (at + 1) % PERF_AHEAD;
    return r;
}

/* The open packet waits for no other message.  It leaves at the end of the loop, as all do.  Returns how
   many packets wait for their link's window. */
static inline uint32_t close_packet(struct lane *lane, uint64_t node)
{
    const struct lane_peer *peer = lane_peer_find(lane, node);
    struct link *link;

    if (peer == NULL || peer->sending == NULL)
        return 0; /* not met yet */
    link = peer->sending->link;
    if (link->open != NULL)
        link_close_open(link);
    return link_out_count(link);
}

/* By proa_tell_buf: the message is made where it is sent from.  One that got AGAIN is kept for the next
   try: made anew each time, every message of a link that is full was written twice. */
static enum sent tell_buf(struct proa_actor *self, struct perf_load *load)
{
    enum proa_outcome outcome;
    uint32_t r = load->made_for;

    if (load->made == NULL) {
        load->made = proa_buf_alloc(self, load->options.size);
        if (load->made == NULL) { /* those under way have the lane's budget */
            load->again++;
            next_loop(self, load);
            return SENT_LATER;
        }
        load->made_for = r = pick(load);
        load->made_sum =
            perf_payload_fill_any(load->made, load->word_count, load->next[r]);
    }
    outcome =
        proa_tell_buf(self, load->to[r], PERF_TYPE_TELL, load->made, load->options.size);
    if (__builtin_expect(outcome != PROA_OK, 0))
        return not_sent(self, load, "tell", outcome);
    load->made = NULL;
    load->next[r]++;
    load->sums[r] += load->made_sum;
    load->sent++;
    return SENT;
}

static inline enum sent tell_one(struct proa_actor *self, struct perf_load *load)
{
    uint32_t r = pick(load);
    uint64_t sum = perf_payload_fill_any(load->words, load->word_count, load->next[r]);
    enum proa_outcome outcome =
        proa_tell(self, load->to[r], PERF_TYPE_TELL, load->words, load->options.size);

    if (__builtin_expect(outcome != PROA_OK, 0))
        return not_sent(self, load, "tell", outcome);
    load->next[r]++;
    load->sums[r] += sum;
    load->sent++;
    if (load->lane != NULL &&
        close_packet(load->lane, load->to[r].node) >= CROWD_WAITING &&
        load->options.crowd != 0) {
        next_loop(self, load);
        return SENT_LATER;
    }
    return SENT;
}

static enum sent tell_mark(struct proa_actor *self, struct perf_load *load)
{
    struct perf_mark mark = {.sent = load->sent};
    enum proa_outcome outcome =
        proa_tell(self, load->to[0], PERF_TYPE_MARK, &mark, sizeof(mark));

    if (outcome != PROA_OK)
        return not_sent(self, load, "mark", outcome);
    load->sent_at_mark = load->sent;
    load->marked_at = proa_now(self);
    load->mark_ticks = perf_clock_ticks();
    load->malloc_at_mark = perf_malloc_mine();
    load->phase = PERF_RUN;
    return SENT;
}

static enum sent tell_last(struct proa_actor *self, struct perf_load *load)
{
    uint32_t r = load->last_told;
    struct perf_last last = {.sent = load->next[r] - perf_first_number(r),
                             .sum = load->sums[r]};
    enum proa_outcome outcome =
        proa_tell(self, load->to[r], PERF_TYPE_LAST, &last, sizeof(last));

    if (outcome != PROA_OK)
        return not_sent(self, load, "last", outcome);
    if (++load->last_told == load->options.receivers)
        perf_load_over(load, PERF_LOAD_DONE);
    return SENT;
}

/* ---- Phases ---- */

static bool enough(const struct perf_load *load, proa_ns now)
{
    const struct perf_options *o = &load->options;

    if (load->until != NULL)
        return perf_load_state(load->until) != PERF_LOAD_RUNNING;
    return now - load->marked_at >= o->seconds * PROA_S ||
           (o->messages != 0 && load->sent - load->sent_at_mark >= o->messages);
}

/* True when nothing may be sent but MARK, and that could not go. */
static bool phase_blocked(struct proa_actor *self, struct perf_load *load)
{
    proa_ns now = proa_now(self);

    if (load->phase == PERF_WARM &&
        now - load->started_at >= load->options.warmup_ms * PROA_MS)
        load->phase = PERF_MARK;
    if (load->phase == PERF_MARK)
        return tell_mark(self, load) != SENT;
    if (load->phase == PERF_RUN && enough(load, now)) {
        load->ended_at = now;
        load->end_ticks = perf_clock_ticks();
        load->mallocs = perf_malloc_since(&load->malloc_at_mark);
        load->phase = PERF_DRAIN;
    }
    return false;
}

static void tells(struct proa_actor *self, struct perf_load *load)
{
    if (load->phase == PERF_DRAIN) {
        load->phase = PERF_LAST; /* LAST comes behind all tells by itself */
        if (load->made != NULL)
            proa_buf_free(self, load->made);
        load->made = NULL;
    }
    for (uint32_t i = 0; i < load->options.burst && load->phase != PERF_OVER; i++) {
        enum sent sent = load->phase == PERF_LAST ? tell_last(self, load)
                         : load->options.take     ? tell_buf(self, load)
                                                  : tell_one(self, load);

        if (sent != SENT)
            return;
    }
    if (load->phase != PERF_OVER)
        go_on(self, load);
}

/* ---- Asks and round trips ---- */

static void on_answer(struct proa_actor *self, const struct proa_answer *answer,
                      const void *ctx);

/* ticks: when it was due; 0: not timed. */
static enum sent ask_one(struct proa_actor *self, struct perf_load *load, uint32_t flight,
                         uint64_t ticks)
{
    struct perf_flight *f = &load->flights[flight];
    uint32_t r = pick(load), size = load->options.size;
    uint64_t sum = perf_payload_fill_any(load->words, load->word_count, load->next[r]);
    enum proa_outcome outcome;

    f->number = load->next[r];
    f->ticks = ticks;
    if (load->options.mode == PERF_MODE_ASK)
        outcome = proa_ask(self, load->to[r], PERF_TYPE_ASK, load->words, size,
                           PERF_ASK_DEADLINE, on_answer, &flight, sizeof(flight));
    else
        outcome = proa_tell(self, load->to[r], PERF_TYPE_PING, load->words, size);
    if (__builtin_expect(outcome != PROA_OK, 0))
        return not_sent(self, load, "ask", outcome);
    load->next[r]++;
    load->sums[r] += sum;
    load->sent++;
    return SENT;
}

/* A closed loop: as many as the window holds. */
static void ask_all(struct proa_actor *self, struct perf_load *load)
{
    while (load->phase < PERF_DRAIN && load->idle_count > 0) {
        bool timed = load->sent % load->options.sample == 0;

        if (ask_one(self, load, load->idle[load->idle_count - 1],
                    timed ? perf_clock_ticks() : 0) != SENT)
            return;
        load->idle_count--;
    }
}

/* An open one: all that are due. */
static void ask_due(struct proa_actor *self, struct perf_load *load)
{
    uint64_t now = perf_clock_ticks(), due;

    if (load->first_due == 0)
        load->first_due = now;
    while (load->phase < PERF_DRAIN && load->idle_count > 0 &&
           (due = due_at(load, load->due_count)) <= now) {
        if (ask_one(self, load, load->idle[load->idle_count - 1], due) != SENT)
            return;
        load->idle_count--;
        load->due_count++;
    }
    if (load->phase < PERF_DRAIN)
        go_on(self, load);
}

static void asks(struct proa_actor *self, struct perf_load *load)
{
    if (load->options.rate != 0)
        ask_due(self, load);
    else
        ask_all(self, load);
    if (load->phase == PERF_DRAIN && load->idle_count == load->options.window)
        load->phase = PERF_LAST;
    while (load->phase == PERF_LAST) {
        if (tell_last(self, load) != SENT)
            return;
    }
}

/* Closed: what returned in the measured time counts.  Open: what was due in it. */
static bool is_measured(const struct perf_load *load, const struct perf_flight *f)
{
    if (f->ticks == 0)
        return false;
    if (load->options.rate == 0)
        return load->phase == PERF_RUN;
    return load->phase >= PERF_RUN && f->ticks >= load->mark_ticks &&
           (load->phase == PERF_RUN || f->ticks < load->end_ticks);
}

/* The answer of a flight has come: checks and counts it, and keeps the window full. */
static void landed(struct proa_actor *self, struct perf_load *load, uint32_t flight,
                   const void *data, uint32_t len)
{
    struct perf_flight *f = &load->flights[flight];
    uint64_t sum = 0;

    if (load->phase == PERF_OVER)
        return;
    if (is_measured(load, f)) {
        double ns = (double)(perf_clock_ticks() - f->ticks) * load->ns_per_tick;

        perf_latency_add(load->rtt, (proa_ns)ns);
    }
    if (len != load->options.size ||
        !perf_payload_check_any(data, load->word_count, f->number, &sum)) {
        perf_load_fail(load, "an answer is not what was asked", PROA_OK);
        return;
    }
    if (load->phase == PERF_RUN)
        load->answered++;
    load->idle[load->idle_count++] = flight;
    if (load->waiting || phase_blocked(self, load))
        return;
    if (load->options.rate == 0 || load->phase >= PERF_DRAIN)
        asks(self, load); /* else go does, in each loop */
}

static void on_answer(struct proa_actor *self, const struct proa_answer *answer,
                      const void *ctx)
{
    struct perf_load *load = load_of(self);

    if (__builtin_expect(answer->outcome != PROA_OK, 0)) {
        perf_load_fail(load, "an ask failed", answer->outcome);
        return;
    }
    landed(self, load, *(const uint32_t *)ctx, answer->data, answer->len);
}

static void on_pong(struct proa_actor *self, const struct proa_msg *msg)
{
    landed(self, load_of(self), 0, msg->data, msg->len);
}

/* ---- The actor ---- */

static void go(struct proa_actor *self, uint64_t cookie)
{
    struct perf_load *load = load_of(self);

    (void)cookie;
    if (load->phase == PERF_OVER || load->waiting || phase_blocked(self, load))
        return;
    if (perf_mode_answers(load->options.mode))
        asks(self, load);
    else
        tells(self, load);
}

static void on_go(struct proa_actor *self, const struct proa_msg *msg)
{
    (void)msg;
    load_of(self)->going = false;
    go(self, 0);
}

static void on_signal(struct proa_actor *self, const struct proa_signal *signal)
{
    struct perf_load *load = load_of(self);

    if (signal->kind == PROA_SIGNAL_UNDELIVERED) {
        perf_load_fail(load, "a message was not delivered", signal->reason);
    } else if (signal->kind == PROA_SIGNAL_WRITABLE && load->waiting) {
        load->waiting = false;
        go(self, 0);
    }
}

static int start(struct proa_actor *self, const void *arg, size_t arg_len)
{
    struct perf_load *load;
    struct proa_timer timer;

    if (arg_len != sizeof(load))
        return -1;
    memcpy(&load, arg, sizeof(load));
    memcpy(proa_state(self), &load, sizeof(load));
    load->started_at = proa_now(self);
    return proa_timer_start(self, PROA_MS, go, 0, &timer) == PROA_OK ? 0 : -1;
}

static const struct proa_on on[] = {
    {PERF_TYPE_GO, 0, on_go},
    {PERF_TYPE_PONG, 8, on_pong},
};

const struct proa_behaviour perf_loader = {
    .type_name = "perf_loader",
    .state_size = sizeof(struct perf_load *),
    .on = on,
    .on_count = sizeof(on) / sizeof(on[0]),
    .start = start,
    .signal = on_signal,
};
