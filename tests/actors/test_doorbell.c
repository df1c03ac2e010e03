/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <poll.h>

#include "doorbell.h"

static bool rang(const struct doorbell *bell)
{
    struct pollfd p = {.fd = bell->fd, .events = POLLIN};

    return poll(&p, 1, 0) == 1;
}

static void ring__awake_sleeper_costs_no_syscall(void **state)
{
    struct doorbell bell;

    (void)state;
    assert_true(doorbell_init(&bell));
    doorbell_ring(&bell);
    assert_false(rang(&bell));
    doorbell_fini(&bell);
}

static void ring__armed_makes_fd_readable_until_disarmed(void **state)
{
    struct doorbell bell;

    (void)state;
    assert_true(doorbell_init(&bell));
    for (int i = 0; i < 3; i++) {
        doorbell_arm(&bell);
        assert_false(rang(&bell));
        doorbell_ring(&bell);
        doorbell_ring(&bell);
        assert_true(rang(&bell));
        doorbell_disarm(&bell);
        assert_false(rang(&bell));
        doorbell_ring(&bell);
        assert_false(rang(&bell));
    }
    doorbell_fini(&bell);
}

static void disarm__without_a_ring_does_not_block(void **state)
{
    struct doorbell bell;

    (void)state;
    assert_true(doorbell_init(&bell));
    doorbell_arm(&bell);
    doorbell_disarm(&bell);
    doorbell_ring(&bell);
    assert_false(rang(&bell));
    doorbell_fini(&bell);
    doorbell_fini(&bell);
}

static void silent__never_touches_a_descriptor(void **state)
{
    struct doorbell bell;

    (void)state;
    doorbell_init_silent(&bell);
    doorbell_arm(&bell);
    doorbell_ring(&bell);
    doorbell_disarm(&bell);
    assert_int_equal(bell.fd, -1);
    doorbell_fini(&bell);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ring__awake_sleeper_costs_no_syscall),
        cmocka_unit_test(ring__armed_makes_fd_readable_until_disarmed),
        cmocka_unit_test(disarm__without_a_ring_does_not_block),
        cmocka_unit_test(silent__never_touches_a_descriptor),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
