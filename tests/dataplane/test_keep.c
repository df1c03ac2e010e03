/* SPDX-License-Identifier: Apache-2.0 */
/* Threads that cut their capabilities when asked.  As an ordinary user there is nothing to cut, and
   the same must hold; tests/e2e/test_secure.py has it with a change of user. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <poll.h>
#include <pthread.h>
#include <sys/capability.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "keep.h"

struct worker {
    struct keeper keeper;
    pthread_t thread;
    pid_t tid;
    int kept;             /* PR_GET_KEEPCAPS at its birth */
    bool net_admin, more; /* what it may, after it was asked */
};

static bool may(cap_value_t cap)
{
    cap_t caps = cap_get_proc();
    cap_flag_value_t has = CAP_CLEAR;

    cap_get_flag(caps, cap, CAP_PERMITTED, &has);
    cap_free(caps);
    return has == CAP_SET;
}

static void *body(void *arg)
{
    struct worker *w = arg;
    struct pollfd fd = {.fd = w->keeper.fd, .events = POLLIN};

    w->tid = gettid();
    w->kept = prctl(PR_GET_KEEPCAPS);
    poll(&fd, 1, -1);
    keep_serve(&w->keeper);
    for (cap_value_t cap = 0; cap < cap_max_bits(); cap++) {
        if (cap == CAP_NET_ADMIN)
            w->net_admin = may(cap);
        else
            w->more |= may(cap);
    }
    return NULL;
}

static void trim__each_thread_keeps_net_admin_at_most(void **state)
{
    struct worker workers[3] = {0};
    bool had = may(CAP_NET_ADMIN);

    (void)state;
    keep_expect(true);
    for (unsigned i = 0; i < 3; i++) {
        assert_true(keep_open(&workers[i].keeper));
        assert_int_equal(pthread_create(&workers[i].thread, NULL, body, &workers[i]), 0);
        keep_born(&workers[i].keeper);
    }
    assert_int_equal(prctl(PR_GET_KEEPCAPS), 0);
    assert_true(keep_trim());
    for (unsigned i = 0; i < 3; i++) {
        pthread_join(workers[i].thread, NULL);
        assert_true(keep_is(workers[i].tid));
        assert_int_equal(workers[i].kept, 1);
        assert_int_equal(workers[i].net_admin, had);
        assert_false(workers[i].more);
    }
    assert_int_equal(may(CAP_NET_ADMIN), had);
    assert_false(keep_is(gettid()));
    for (unsigned i = 0; i < 3; i++)
        keep_close(&workers[i].keeper);
    assert_false(keep_is(workers[0].tid));
    assert_true(keep_trim()); /* nobody is left */
    keep_expect(false);
}

static void open__changes_nothing_unless_expected(void **state)
{
    struct keeper k;

    (void)state;
    assert_true(keep_open(&k));
    assert_int_equal(k.fd, -1);
    assert_int_equal(prctl(PR_GET_KEEPCAPS), 0);
    keep_born(&k);
    keep_close(&k);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(trim__each_thread_keeps_net_admin_at_most),
        cmocka_unit_test(open__changes_nothing_unless_expected),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
