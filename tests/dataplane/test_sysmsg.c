/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "sysmsg.h"

static const struct refusal some = {.to = {0x8877665544332211, 0x01000005, 9},
                                    .slot = 7,
                                    .generation = 0x0a0b0c0d,
                                    .type = 3,
                                    .correlation = 0,
                                    .count = 12,
                                    .reason = PROA_REFUSED_FULL};

/* The bytes are those of docs/wire.md, vector system_messages. */
static void encode_refuse__writes_the_published_bytes(void **state)
{
    static const uint8_t expected[SYSMSG_REFUSE_LEN] = {
        0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88, 0x05, 0,    0, 0x01, 9, 0,
        0,    0,    7,    0,    0,    0,    0x0d, 0x0c, 0x0b, 0x0a, 3, 0,    0, 0,
        0,    0,    0,    0,    12,   0,    0,    0,    1,    0,    0, 0};
    uint8_t body[SYSMSG_BODY_MAX];

    (void)state;
    assert_int_equal(sysmsg_encode_refuse(body, &some), SYSMSG_REFUSE_LEN);
    assert_memory_equal(body, expected, sizeof(expected));
}

static void decode__gives_back_every_reason(void **state)
{
    static const enum proa_outcome reasons[] = {PROA_REFUSED_FULL,
                                                PROA_REFUSED_NO_ACTOR,
                                                PROA_REFUSED_UNKNOWN_TYPE,
                                                PROA_REFUSED_BAD_LENGTH,
                                                PROA_REFUSED_EXPIRED,
                                                PROA_REFUSED_STOPPED,
                                                PROA_REFUSED_DROPPED,
                                                PROA_REFUSED_BUSY,
                                                PROA_REFUSED_HOPS,
                                                PROA_NO_REPLY,
                                                PROA_MAYBE_EXECUTED,
                                                PROA_IN_DOUBT,
                                                PROA_NOT_SENT};
    uint8_t body[SYSMSG_BODY_MAX];
    struct sysmsg m;

    (void)state;
    for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++) {
        struct refusal r = some;
        r.reason = reasons[i];
        r.correlation = (uint32_t)i + 1;
        size_t len = sysmsg_encode_refuse(body, &r);
        assert_true(sysmsg_decode((uint32_t)SYSMSG_REFUSE, body, len, &m));
        assert_memory_equal(&m.refusal, &r, sizeof(r));
        assert_int_equal(body[36], i + 1); /* the wire's numbers, which stay */
    }
}

static void encode_refuse__a_reason_without_number_promises_nothing(void **state)
{
    uint8_t body[SYSMSG_BODY_MAX];
    struct refusal r = some;
    struct sysmsg m;

    (void)state;
    r.reason = PROA_TIMEOUT;
    assert_true(
        sysmsg_decode((uint32_t)SYSMSG_REFUSE, body, sysmsg_encode_refuse(body, &r), &m));
    assert_int_equal(m.refusal.reason, PROA_MAYBE_EXECUTED);
}

/* The bytes are those of docs/wire.md, vector forwarded. */
static void forwarded__published_bytes_both_ways(void **state)
{
    static const uint8_t expected[SYSMSG_FORWARDED_LEN] = {
        0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88, 5,  0, 0, 1, 9, 0, 0, 0,
        7,    0,    0,    0,    0x0d, 0x0c, 0x0b, 0x0a, 77, 0, 0, 0, 2, 0, 0, 0};
    const struct forwarded f = {
        {0x8877665544332211, 0x01000005, 9}, 7, 0x0a0b0c0d, 77, 2};
    uint8_t body[SYSMSG_BODY_MAX];
    struct sysmsg m;

    (void)state;
    assert_int_equal(sysmsg_encode_forwarded(body, &f), sizeof(expected));
    assert_memory_equal(body, expected, sizeof(expected));
    assert_true(sysmsg_decode((uint32_t)SYSMSG_FORWARDED, body, sizeof(expected), &m));
    assert_memory_equal(&m.forwarded, &f, sizeof(f));
}

static void forwarded__of_nobody_or_too_many_hops(void **state)
{
    static const uint8_t zeros[] = {12, 20, 24, 28}; /* generations, correlation, hops */
    const struct forwarded f = {{1, 2, 3}, 4, 5, 6, PROA_HOPS_MAX};
    uint8_t body[SYSMSG_BODY_MAX];
    struct sysmsg m;

    (void)state;
    for (size_t i = 0; i < sizeof(zeros); i++) {
        sysmsg_encode_forwarded(body, &f);
        assert_true(sysmsg_decode((uint32_t)SYSMSG_FORWARDED, body, 40, &m));
        body[zeros[i]] = 0;
        assert_false(sysmsg_decode((uint32_t)SYSMSG_FORWARDED, body, 40, &m));
    }
    sysmsg_encode_forwarded(body, &f);
    assert_false(sysmsg_decode((uint32_t)SYSMSG_FORWARDED, body, 31, &m));
    body[28] = PROA_HOPS_MAX + 1;
    assert_false(sysmsg_decode((uint32_t)SYSMSG_FORWARDED, body, 32, &m));
    sysmsg_encode_forwarded(body, &f);
    memset(body, 0, 8); /* the node */
    assert_false(sysmsg_decode((uint32_t)SYSMSG_FORWARDED, body, 32, &m));
}

static void decode__actor_bodies(void **state)
{
    uint8_t body[SYSMSG_BODY_MAX];
    struct sysmsg m;

    (void)state;
    assert_int_equal(sysmsg_encode_writable(body, 5, 9), SYSMSG_WRITABLE_LEN);
    assert_true(sysmsg_decode((uint32_t)SYSMSG_WRITABLE, body, SYSMSG_WRITABLE_LEN, &m));
    assert_int_equal(m.type, SYSMSG_WRITABLE);
    assert_int_equal(m.slot, 5);
    assert_int_equal(m.generation, 9);
    assert_int_equal(sysmsg_encode_stop(body, 6, 10), SYSMSG_STOP_LEN);
    assert_true(sysmsg_decode((uint32_t)SYSMSG_STOP, body, SYSMSG_STOP_LEN, &m));
    assert_int_equal(m.type, SYSMSG_STOP);
    assert_int_equal(m.slot, 6);
}

static void decode__steer_names_a_port(void **state)
{
    uint8_t body[SYSMSG_BODY_MAX];
    struct sysmsg m;

    (void)state;
    assert_int_equal(sysmsg_encode_steer(body, 50001), SYSMSG_STEER_LEN);
    assert_true(sysmsg_decode((uint32_t)SYSMSG_STEER, body, SYSMSG_STEER_LEN, &m));
    assert_int_equal(m.port, 50001);
    assert_false(sysmsg_decode((uint32_t)SYSMSG_STEER, body, 7, &m));
    sysmsg_encode_steer(body, 0);
    assert_false(sysmsg_decode((uint32_t)SYSMSG_STEER, body, SYSMSG_STEER_LEN, &m));
}

static void decode__an_abort_may_report_nothing_a_refuse_may_not(void **state)
{
    uint8_t body[SYSMSG_BODY_MAX];
    struct refusal r = some;
    struct sysmsg m;

    (void)state;
    r.count = 0;
    assert_int_equal(sysmsg_encode_abort(body, 4, &r), SYSMSG_ABORT_LEN);
    assert_true(sysmsg_decode((uint32_t)SYSMSG_ABORT, body, SYSMSG_ABORT_LEN, &m));
    assert_int_equal(m.stream, 4);
    assert_int_equal(m.refusal.count, 0);
    sysmsg_encode_refuse(body, &r);
    assert_false(sysmsg_decode((uint32_t)SYSMSG_REFUSE, body, SYSMSG_REFUSE_LEN, &m));
}

static void decode__short_bodies_unknown_reasons_and_types(void **state)
{
    uint8_t body[SYSMSG_BODY_MAX + 8] = {0};
    struct sysmsg m;

    (void)state;
    sysmsg_encode_refuse(body, &some);
    assert_false(sysmsg_decode((uint32_t)SYSMSG_REFUSE, body, SYSMSG_REFUSE_LEN - 1, &m));
    assert_true(sysmsg_decode((uint32_t)SYSMSG_REFUSE, body, SYSMSG_REFUSE_LEN + 8, &m));
    assert_false(sysmsg_decode((uint32_t)SYSMSG_ABORT, body, SYSMSG_ABORT_LEN - 1, &m));
    assert_false(sysmsg_decode((uint32_t)SYSMSG_WRITABLE, body, 7, &m));
    assert_false(sysmsg_decode((uint32_t)SYSMSG_STOP, body, 0, &m));
    assert_false(sysmsg_decode((uint32_t)SYSMSG_REGISTRY, body, 40, &m));
    assert_false(sysmsg_decode(1, body, 40, &m));
    body[36] = 0;
    assert_false(sysmsg_decode((uint32_t)SYSMSG_REFUSE, body, SYSMSG_REFUSE_LEN, &m));
    body[36] = 14;
    assert_false(sysmsg_decode((uint32_t)SYSMSG_REFUSE, body, SYSMSG_REFUSE_LEN, &m));
}

/* Docs/wire.md, "Monitors". */
static void encode_watch__writes_the_published_bytes(void **state)
{
    static const uint8_t expected[SYSMSG_WATCH_LEN] = {
        5, 0, 0, 1, 7, 0, 0, 0, 6,    0,    0,    2,    8, 0, 0, 0, 3, 0, 0, 0,
        4, 0, 0, 0, 5, 1, 0, 0, 0xfe, 0xff, 0xff, 0xff, 5, 0, 0, 1, 8, 0, 0, 0};
    struct watch w = {.kind = WATCH_DOWN,
                      .flags = WATCH_LINK,
                      .reason = PROA_REASON_RESTARTED,
                      .code = -2,
                      .target = {1, 0x01000005, 7},
                      .watcher = {2, 0x02000006, 8},
                      .index = 3,
                      .serial = 4,
                      .now = {1, 0x01000005, 8}};
    uint8_t body[SYSMSG_BODY_MAX];
    struct sysmsg m;

    (void)state;
    assert_int_equal(sysmsg_encode_watch(body, &w), SYSMSG_WATCH_LEN);
    assert_memory_equal(body, expected, sizeof(expected));
    assert_int_equal(sysmsg_of_watch(&w), SYSMSG_DOWN);
    assert_true(sysmsg_decode((uint32_t)SYSMSG_DOWN, expected, sizeof(expected), &m));
    assert_int_equal(m.watch.kind, WATCH_DOWN);
    assert_int_equal(m.watch.reason, PROA_REASON_RESTARTED);
    assert_int_equal(m.watch.code, -2);
    assert_int_equal(m.watch.index, 3);
    assert_int_equal(m.watch.serial, 4);
    assert_int_equal(m.watch.target.slot, 0x01000005);
    assert_int_equal(m.watch.watcher.generation, 8);
    assert_int_equal(m.watch.now.generation, 8);
}

static void decode_watch__every_reason_and_nothing_else(void **state)
{
    static const enum proa_reason reasons[] = {
        PROA_REASON_NORMAL,    PROA_REASON_KILLED,    PROA_REASON_FAILED,
        PROA_REASON_NODE_LOST, PROA_REASON_RESTARTED, PROA_REASON_NO_SUCH_ACTOR};
    struct watch w = {
        .kind = WATCH_DEMONITOR, .target = {1, 1, 1}, .watcher = {2, 2, 2}, .serial = 1};
    uint8_t body[SYSMSG_BODY_MAX];
    struct sysmsg m;

    (void)state;
    for (uint8_t i = 0; i < 6; i++) {
        w.reason = (uint8_t)reasons[i];
        size_t len = sysmsg_encode_watch(body, &w);
        assert_int_equal(body[24], i + 1); /* the wire's numbers, which stay */
        assert_true(sysmsg_decode((uint32_t)SYSMSG_DEMONITOR, body, len, &m));
        assert_int_equal(m.watch.reason, reasons[i]);
        assert_false(sysmsg_decode((uint32_t)SYSMSG_DEMONITOR, body, len - 1, &m));
    }
    body[24] = 0;
    assert_false(sysmsg_decode((uint32_t)SYSMSG_DOWN, body, SYSMSG_WATCH_LEN, &m));
    body[24] = 7;
    assert_false(sysmsg_decode((uint32_t)SYSMSG_DOWN, body, SYSMSG_WATCH_LEN, &m));
    body[24] = 1;
    body[20] = 0; /* a monitor that was never made */
    assert_false(sysmsg_decode((uint32_t)SYSMSG_MONITOR, body, SYSMSG_WATCH_LEN, &m));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(encode_watch__writes_the_published_bytes),
        cmocka_unit_test(decode_watch__every_reason_and_nothing_else),
        cmocka_unit_test(encode_refuse__writes_the_published_bytes),
        cmocka_unit_test(decode__gives_back_every_reason),
        cmocka_unit_test(encode_refuse__a_reason_without_number_promises_nothing),
        cmocka_unit_test(forwarded__published_bytes_both_ways),
        cmocka_unit_test(forwarded__of_nobody_or_too_many_hops),
        cmocka_unit_test(decode__actor_bodies),
        cmocka_unit_test(decode__steer_names_a_port),
        cmocka_unit_test(decode__an_abort_may_report_nothing_a_refuse_may_not),
        cmocka_unit_test(decode__short_bodies_unknown_reasons_and_types),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
