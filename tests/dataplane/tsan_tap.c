/* SPDX-License-Identifier: Apache-2.0 */
/* Taps that come and go while a lane shows them packets, for TSan: bounded by counts.

   Filters and counters' memory are plain, so that an order that is too weak is a data race.  TSan
   reports each label of tap.h when it is made relaxed: W1, L1 on the filter, L2, W2 on its end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include "addr.h"
#include "tap.h"

#define CAPTURES 300u
#define PACKETS 40u /* read in each */

static struct tap_point point;
static _Atomic bool stop;

/* A lane: packets of number after number, as many as there is time for. */
static void *lane(void *arg)
{
    uint8_t bytes[PACKET_HEADER_LEN] = {PACKET_VERSION};
    struct pkt p = {
        .data = bytes, .len = sizeof(bytes), .peer = addr_v4(0x0a000001, 7400)};
    uint64_t n = 0;

    while (!atomic_load_explicit(&stop, memory_order_relaxed)) {
        for (unsigned i = 0; i < 8; i++, n++) {
            if (point.now != NULL)
                tap_packet(point.now, &p, n, false);
        }
        tap_look(&point);
        if (n % 64 == 0)
            sched_yield();
    }
    return arg;
}

/* Reads until there were enough; packets come in the order of their numbers. */
static void read_packets(struct tap *tap, uint64_t *last)
{
    for (unsigned n = 0; n < PACKETS;) {
        const struct byte_record *record = byte_ring_peek(tap->ring);
        struct tap_record head;

        if (record == NULL) {
            sched_yield();
            continue;
        }
        memcpy(&head, record->body, sizeof(head));
        assert_true(head.at > *last);
        *last = head.at;
        byte_ring_pop(tap->ring);
        n++;
    }
}

static void tap__comes_and_goes(void **state)
{
    pthread_t thread;
    uint64_t last = 0;

    (void)state;
    assert_int_equal(pthread_create(&thread, NULL, lane, NULL), 0);
    for (unsigned i = 0; i < CAPTURES; i++) {
        struct tap *tap = aligned_alloc(alignof(struct tap), sizeof(*tap));

        assert_non_null(tap);
        memset(tap, 0, sizeof(*tap));
        tap->filter = (struct tap_filter){.kinds = 1u << PACKET_DATA, .snap = 64};
        tap->ring = byte_ring_create(1024);
        assert_non_null(tap->ring);
        tap_want(&point, tap);
        read_packets(tap, &last);
        tap_want(&point, NULL);
        while (tap_in_use(&point) != NULL)
            sched_yield();
        memset(&tap->filter, 0xff, sizeof(tap->filter)); /* a race, were the lane in it */
        byte_ring_destroy(tap->ring);
        free(tap);
    }
    atomic_store(&stop, true);
    pthread_join(thread, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(tap__comes_and_goes)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
