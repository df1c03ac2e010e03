/* SPDX-License-Identifier: Apache-2.0 */
#include "kit.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct sink_tell {
    uint32_t type, len;
    uint8_t data[KIT_SINK_BYTES];
};

struct sink {
    uint64_t written, read;
    struct sink_tell tells[KIT_SINK_TELLS];
};

static void sink_any(struct proa_actor *self, const struct proa_msg *msg)
{
    struct sink *sink = proa_state(self);
    struct sink_tell *t = &sink->tells[sink->written++ % KIT_SINK_TELLS];

    t->type = msg->type;
    t->len = msg->len;
    memcpy(t->data, msg->data, msg->len < KIT_SINK_BYTES ? msg->len : KIT_SINK_BYTES);
}

static const struct proa_behaviour sink_behaviour = {
    .type_name = "proa-test-sink", .state_size = sizeof(struct sink), .any = sink_any};

void proa_test_check(struct proa_test *test, bool ok, const char *what)
{
    if (ok)
        return;
    fprintf(stderr,
            "proa_test: expected %s (seed %" PRIu64 ", virtual time %" PRIu64 " ns)\n",
            what, test->config.seed, test->now);
    abort();
}

void proa_test_expect_outcome(struct proa_test *test, enum proa_outcome expected,
                              enum proa_outcome came)
{
    if (expected == came)
        return;
    fprintf(stderr, "proa_test: expected \"%s\", came \"%s\"\n",
            proa_outcome_name(expected), proa_outcome_name(came));
    proa_test_check(test, false, "another outcome");
}

struct proa_ref proa_test_sink(struct proa_test *test, unsigned node)
{
    struct proa_ref ref = proa_ref_none();

    proa_test_expect_outcome(
        test, PROA_OK, proa_test_spawn(test, node, 0, &sink_behaviour, NULL, 0, &ref));
    return ref;
}

struct take {
    struct proa_test *test;
    struct proa_ref ref;
    struct sink_tell tell;
    bool took;
};

static void do_take(struct proa_actor *self, void *ctx)
{
    struct take *take = ctx;
    struct sink *sink = proa_state(self);

    take->took = sink->read < sink->written;
    if (!take->took)
        return;
    if (sink->written - sink->read > KIT_SINK_TELLS)
        sink->read = sink->written - KIT_SINK_TELLS;
    take->tell = sink->tells[sink->read++ % KIT_SINK_TELLS];
}

static bool taken(void *ctx)
{
    struct take *take = ctx;

    proa_test_call_actor(take->test, take->ref, do_take, take);
    return take->took;
}

void proa_test_expect_tell(struct proa_test *test, struct proa_ref sink, uint32_t type,
                           const void *data, size_t len, proa_ns span)
{
    struct take take = {.test = test, .ref = sink};

    proa_test_check(test, proa_test_until(test, taken, &take, span), "a tell to come");
    proa_test_check(test, take.tell.type == type, "a tell of that type");
    proa_test_check(test, take.tell.len == len, "a tell of that length");
    if (len > 0)
        proa_test_check(test,
                        memcmp(take.tell.data, data,
                               len < KIT_SINK_BYTES ? len : KIT_SINK_BYTES) == 0,
                        "a tell with that payload");
}

void proa_test_expect_nothing(struct proa_test *test, struct proa_ref sink, proa_ns span)
{
    struct take take = {.test = test, .ref = sink};

    proa_test_check(test, !proa_test_until(test, taken, &take, span), "no tell to come");
}
