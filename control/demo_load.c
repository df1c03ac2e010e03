/* SPDX-License-Identifier: Apache-2.0 */
#include "demo_load.h"

#include <string.h>
#include <time.h>

#include "histogram.h"
#include "kernel_clock.h"

#define PING_DEADLINE (2 * PROA_S)
#define ACCOUNT_DEADLINE (10 * PROA_S)
#define RETRY_AFTER (1 * PROA_MS)
#define TRIES_MAX 500u /* accounts, RETRY_AFTER apart, until refusals have come home */

struct payload {
    uint64_t number, a, b, c;
};

_Static_assert(sizeof(struct payload) == LOAD_TELL_LEN, "a tell has 32 bytes");

static inline struct payload payload_of(uint64_t number)
{
    return (struct payload){number, number * 0x9e3779b97f4a7c15u, ~number,
                            number ^ 0x5555555555555555u};
}

static inline bool payload_is_good(const struct payload *p)
{
    uint64_t number = p->number;

    return ((p->a ^ (number * 0x9e3779b97f4a7c15u)) | (p->b ^ ~number) |
            (p->c ^ number ^ 0x5555555555555555u)) == 0;
}

/* ---- The sink ---- */

struct sender {
    struct proa_ref ref;
    uint64_t next;
    struct load_account account;
};

struct sink {
    struct sender senders[LOAD_SENDERS];
};

/* The sender's entry; a ninth sender takes the last one's place and is then seen to leave numbers
   out. */
static struct sender *sender_of(struct sink *sink, struct proa_ref ref)
{
    for (unsigned i = 0; i < LOAD_SENDERS; i++) {
        struct sender *s = &sink->senders[i];
        if (proa_ref_equal(s->ref, ref))
            return s;
        if (proa_ref_is_none(s->ref) || i == LOAD_SENDERS - 1) {
            *s = (struct sender){.ref = ref};
            return s;
        }
    }
    return NULL;
}

static void on_tell(struct proa_actor *self, const struct proa_msg *msg)
{
    struct sender *s = sender_of(proa_state(self), msg->from);
    const struct payload *p = msg->data;

    s->account.received++;
    if (p->number == s->next) {
        s->next++;
    } else if (p->number > s->next) {
        s->account.missing += p->number - s->next;
        s->next = p->number + 1;
    } else {
        s->account.disordered++;
    }
    if (!payload_is_good(p))
        s->account.damaged++;
}

static void on_ping(struct proa_actor *self, const struct proa_msg *msg)
{
    proa_reply(self, msg, msg->data, msg->len);
}

static void on_account(struct proa_actor *self, const struct proa_msg *msg)
{
    const struct sender *s = sender_of(proa_state(self), msg->from);

    proa_reply(self, msg, &s->account, sizeof(s->account));
}

static const struct proa_on sink_on[] = {
    {LOAD_TELL, LOAD_TELL_LEN, on_tell},
    {LOAD_PING, LOAD_TELL_LEN, on_ping},
    {LOAD_ACCOUNT, 0, on_account},
};

const struct proa_behaviour load_sink = {
    .type_name = "demo.sink",
    .state_size = sizeof(struct sink),
    .on = sink_on,
    .on_count = 3,
    .mailbox = LOAD_MAILBOX,
};

/* ---- The driver ---- */

enum phase { PHASE_TELL, PHASE_ACCOUNT, PHASE_ASK };

struct driver {
    struct load_arg arg;
    enum phase phase;
    bool waits; /* for WRITABLE or a timer; else a turn or an answer is under way */
    uint32_t second;
    uint64_t next; /* number of the next tell, and of all told */
    uint64_t undelivered;
    uint64_t checked; /* by the last account */
    proa_ns began, second_began, tell_span;
    proa_ns asked_at;
    uint64_t messages; /* of this second, checked */
    uint32_t tries;    /* accounts asked for in this second */
    uint64_t all_messages;
    proa_ns all_span;
    struct histogram rtts, all_rtts;
};

static void advance(struct proa_actor *self);

static void fail(struct proa_actor *self, const char *why)
{
    struct driver *d = proa_state(self);
    struct load_report report = {.second = d->second,
                                 .last = true,
                                 .failure = why,
                                 .undelivered = d->undelivered,
                                 .to = d->arg.report_to};

    d->arg.report(self, &report);
    proa_stop(self);
}

static void report_second(struct proa_actor *self, uint64_t messages, bool last)
{
    struct driver *d = proa_state(self);
    const struct histogram *h = last ? &d->all_rtts : &d->rtts;
    struct load_report report = {
        .second = d->second,
        .last = last,
        .messages = messages,
        .span = last ? d->all_span : d->tell_span,
        .rtts = h->count,
        .rtt_p50 = histogram_percentile(h, 500000),
        .rtt_p99 = histogram_percentile(h, 990000),
        .rtt_p999 = histogram_percentile(h, 999000),
        .undelivered = d->undelivered,
        .to = d->arg.report_to,
    };

    d->arg.report(self, &report);
}

static void on_retry(struct proa_actor *self, uint64_t cookie)
{
    struct driver *d = proa_state(self);

    (void)cookie;
    if (!d->waits)
        return; /* WRITABLE was faster */
    d->waits = false;
    advance(self);
}

/* Tries again when something changed: by WRITABLE after AGAIN, else a little later. */
static void wait_a_little(struct proa_actor *self)
{
    struct driver *d = proa_state(self);
    struct proa_timer timer;

    d->waits = true;
    if (proa_timer_start(self, RETRY_AFTER, on_retry, 0, &timer) != PROA_OK)
        fail(self, "no timer");
}

static void begin_second(struct proa_actor *self)
{
    struct driver *d = proa_state(self);

    d->second++;
    d->phase = PHASE_TELL;
    d->tries = 0;
    d->second_began = clock_now();
    histogram_reset(&d->rtts);
    advance(self);
}

static void end_second(struct proa_actor *self)
{
    struct driver *d = proa_state(self);

    histogram_merge(&d->all_rtts, &d->rtts);
    report_second(self, d->messages, false);
    if (d->second < d->arg.seconds) {
        begin_second(self);
        return;
    }
    report_second(self, d->all_messages, true);
    proa_stop(self);
}

/* ---- Tells ---- */

static void tell_burst(struct proa_actor *self)
{
    struct driver *d = proa_state(self);
    enum proa_outcome outcome = PROA_OK;

    for (unsigned i = 0; i < LOAD_BURST && outcome == PROA_OK; i++) {
        struct payload p = payload_of(d->next);
        outcome = proa_tell(self, d->arg.sink, LOAD_TELL, &p, sizeof(p));
        if (outcome == PROA_OK)
            d->next++;
    }
    if (outcome == PROA_AGAIN) {
        d->waits = true; /* WRITABLE comes */
        return;
    }
    if (outcome != PROA_OK) {
        fail(self, proa_outcome_name(outcome));
        return;
    }
    if (clock_now() - d->second_began >= LOAD_TELL_PART)
        d->phase = PHASE_ACCOUNT;
    /* Another turn, so that the lane gets to its packets in between. */
    if (proa_tell(self, proa_self(self), LOAD_GO, NULL, 0) != PROA_OK)
        wait_a_little(self);
}

/* ---- The account ---- */

static const char *judge(const struct driver *d, const struct load_account *account)
{
    if (account->damaged != 0)
        return "a message came damaged";
    if (account->disordered != 0)
        return "a message came twice or out of order";
    if (account->missing != d->undelivered)
        return "a message is missing that nobody refused";
    if (account->received + d->undelivered != d->next)
        return "the sum of delivered and refused messages is not that of the sent ones";
    return NULL;
}

static void on_accounted(struct proa_actor *self, const struct proa_answer *answer,
                         const void *ctx)
{
    struct driver *d = proa_state(self);
    struct load_account account;
    const char *why;

    (void)ctx;
    if (proa_outcome_ran(answer->outcome) == PROA_RAN_NO) {
        wait_a_little(self); /* the mailbox was full, say */
        return;
    }
    if (answer->outcome != PROA_OK || answer->len != sizeof(account)) {
        fail(self, proa_outcome_name(answer->outcome));
        return;
    }
    memcpy(&account, answer->data, sizeof(account));
    /* A refusal may come home a little later than an answer. */
    if (account.missing > d->undelivered && d->tries++ < TRIES_MAX) {
        wait_a_little(self);
        return;
    }
    why = judge(d, &account);
    if (why != NULL) {
        fail(self, why);
        return;
    }
    d->tell_span = clock_now() - d->second_began;
    d->all_span += d->tell_span;
    d->all_messages += account.received - d->checked;
    d->messages = account.received - d->checked;
    d->checked = account.received;
    d->phase = PHASE_ASK;
    advance(self);
}

static void ask_account(struct proa_actor *self)
{
    struct driver *d = proa_state(self);
    enum proa_outcome outcome = proa_ask(self, d->arg.sink, LOAD_ACCOUNT, NULL, 0,
                                         ACCOUNT_DEADLINE, on_accounted, NULL, 0);

    if (outcome == PROA_AGAIN)
        d->waits = true;
    else if (outcome != PROA_OK)
        fail(self, proa_outcome_name(outcome));
}

/* ---- Round trips ---- */

static void on_pong(struct proa_actor *self, const struct proa_answer *answer,
                    const void *ctx)
{
    struct driver *d = proa_state(self);
    proa_ns now = clock_now();

    (void)ctx;
    if (answer->outcome != PROA_OK) {
        fail(self, proa_outcome_name(answer->outcome));
        return;
    }
    if (answer->len != LOAD_TELL_LEN || !payload_is_good(answer->data)) {
        fail(self, "an answer came damaged");
        return;
    }
    histogram_add(&d->rtts, now - d->asked_at);
    if (now - d->second_began >= PROA_S)
        end_second(self);
    else
        advance(self);
}

static void ask_ping(struct proa_actor *self)
{
    struct driver *d = proa_state(self);
    struct payload p = payload_of(d->rtts.count);
    enum proa_outcome outcome;

    d->asked_at = clock_now();
    outcome = proa_ask(self, d->arg.sink, LOAD_PING, &p, sizeof(p), PING_DEADLINE,
                       on_pong, NULL, 0);
    if (outcome == PROA_AGAIN)
        d->waits = true;
    else if (outcome != PROA_OK)
        fail(self, proa_outcome_name(outcome));
}

/* ---- Going on ---- */

static void advance(struct proa_actor *self)
{
    struct driver *d = proa_state(self);

    if (d->phase == PHASE_TELL)
        tell_burst(self);
    else if (d->phase == PHASE_ACCOUNT)
        ask_account(self);
    else
        ask_ping(self);
}

static void on_go(struct proa_actor *self, const struct proa_msg *msg)
{
    (void)msg;
    advance(self);
}

static void driver_signal(struct proa_actor *self, const struct proa_signal *signal)
{
    struct driver *d = proa_state(self);

    if (signal->kind == PROA_SIGNAL_UNDELIVERED) {
        if (signal->reason != PROA_REFUSED_FULL)
            fail(self, proa_outcome_name(signal->reason));
        d->undelivered += signal->count;
    } else if (signal->kind == PROA_SIGNAL_WRITABLE && d->waits) {
        d->waits = false;
        advance(self);
    }
}

static int driver_start(struct proa_actor *self, const void *arg, size_t arg_len)
{
    struct driver *d = proa_state(self);

    if (arg_len != sizeof(d->arg))
        return 1;
    memcpy(&d->arg, arg, sizeof(d->arg));
    histogram_reset(&d->all_rtts);
    begin_second(self);
    return 0;
}

static const struct proa_on driver_on[] = {
    {LOAD_GO, 0, on_go},
};

const struct proa_behaviour load_driver = {
    .type_name = "demo.driver",
    .state_size = sizeof(struct driver),
    .on = driver_on,
    .on_count = 1,
    .start = driver_start,
    .signal = driver_signal,
};
