/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "outlet.h"

#define RING 1024

struct fixture {
    struct byte_ring *ring;
    struct doorbell bell;
    struct outlet outlet;
};

static void start(struct fixture *f)
{
    f->ring = byte_ring_create(RING);
    assert_non_null(f->ring);
    doorbell_init_silent(&f->bell);
    assert_true(outlet_init(&f->outlet, f->ring, &f->bell));
}

static void end(struct fixture *f)
{
    outlet_fini(&f->outlet);
    byte_ring_destroy(f->ring);
}

static bool tell(struct fixture *f, uint64_t number, proa_ns now)
{
    return outlet_tell(&f->outlet, PUNT_NODE_DEAD, &number, sizeof(number), NULL, 0, now);
}

static uint64_t take(struct fixture *f)
{
    const struct byte_record *record = byte_ring_peek(f->ring);
    uint64_t number;

    if (record == NULL)
        return 0;
    memcpy(&number, record->body, sizeof(number));
    byte_ring_pop(f->ring);
    return number;
}

static void tell__full_ring_keeps_all_and_their_order(void **state)
{
    struct fixture f;
    uint64_t taken = 0;

    (void)state;
    start(&f);
    for (uint64_t i = 1; i <= 500; i++)
        assert_true(tell(&f, i, 0));
    assert_int_equal(outlet_deadline(&f.outlet, 0), OUTLET_RETRY);
    while (taken < 500) {
        uint64_t number = take(&f);
        if (number == 0) {
            outlet_flush(&f.outlet, 0);
            continue;
        }
        assert_int_equal(number, taken + 1);
        taken = number;
        /* What is told in between comes last. */
        if (number == 250)
            assert_true(tell(&f, 501, 0));
    }
    outlet_flush(&f.outlet, 0);
    assert_int_equal(take(&f), 501);
    assert_int_equal(outlet_deadline(&f.outlet, 0), PROA_NS_NEVER);
    end(&f);
}

static void tell__ends_where_even_the_kept_ring_is_full(void **state)
{
    struct fixture f;
    unsigned told = 0;

    (void)state;
    start(&f);
    while (tell(&f, 1, 0))
        told++;
    assert_in_range(told, OUTLET_KEPT_BYTES / 16, OUTLET_KEPT_BYTES / 16 + RING / 16);
    end(&f);
}

static void send__full_ring_drops(void **state)
{
    struct punt_datagram head = {.port = 1};
    uint8_t bytes[300] = {0};
    struct fixture f;

    (void)state;
    start(&f);
    assert_true(outlet_send(&f.outlet, &head, bytes, sizeof(bytes), 0));
    assert_true(outlet_send(&f.outlet, &head, bytes, sizeof(bytes), 0));
    assert_false(outlet_send(&f.outlet, &head, bytes, sizeof(bytes), 0));
    assert_int_equal(outlet_deadline(&f.outlet, 0), PROA_NS_NEVER);
    end(&f);
}

static void is_busy__counts_from_the_first_unread_record(void **state)
{
    struct fixture f;

    (void)state;
    start(&f);
    assert_false(outlet_is_busy(&f.outlet, PROA_S));
    tell(&f, 1, PROA_S);
    assert_false(outlet_is_busy(&f.outlet, PROA_S + OUTLET_BUSY_AFTER - 1));
    tell(&f, 2, PROA_S + OUTLET_BUSY_AFTER - 1);
    assert_true(outlet_is_busy(&f.outlet, PROA_S + OUTLET_BUSY_AFTER));
    take(&f);
    take(&f);
    assert_false(outlet_is_busy(&f.outlet, PROA_S + OUTLET_BUSY_AFTER));
    tell(&f, 3, 9 * PROA_S);
    assert_false(outlet_is_busy(&f.outlet, 9 * PROA_S));
    end(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tell__full_ring_keeps_all_and_their_order),
        cmocka_unit_test(tell__ends_where_even_the_kept_ring_is_full),
        cmocka_unit_test(send__full_ring_drops),
        cmocka_unit_test(is_busy__counts_from_the_first_unread_record),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
