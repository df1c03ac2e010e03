/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "resolver_host.h"

/* ---- ping ---- */

/* An echo request from b to a with len bytes of data; returns the frame's length. */
static size_t ping(uint8_t *frame, const struct host *b, const struct host *a, size_t len)
{
    bool v4 = a->config.address.family == 4;
    size_t ip_len = v4 ? NET_IPV4 : NET_IPV6;
    uint8_t *ip = frame + NET_ETH, *icmp = ip + ip_len;
    uint8_t tail[8] = {0, 0, (uint8_t)((len + 8) >> 8), (uint8_t)(len + 8), 0, 0, 0, 58};
    uint16_t sum;

    memset(frame, 0, NET_ETH + ip_len + 8);
    memcpy(frame, a->config.mac, 6);
    memcpy(frame + 6, b->config.mac, 6);
    memcpy(frame + 12, v4 ? "\x08\x00" : "\x86\xdd", 2);
    for (size_t i = 0; i < len; i++)
        icmp[8 + i] = (uint8_t)i;
    icmp[5] = 7;
    icmp[7] = 9;
    if (v4) {
        ip[0] = 0x45;
        ip[2] = (uint8_t)((NET_IPV4 + 8 + len) >> 8);
        ip[3] = (uint8_t)(NET_IPV4 + 8 + len);
        ip[8] = 3;
        ip[9] = 1;
        memcpy(ip + 12, b->config.address.ip + 12, 4);
        memcpy(ip + 16, a->config.address.ip + 12, 4);
        sum = (uint16_t)~net_sum_fold(net_sum(ip, NET_IPV4, 0));
        memcpy(ip + 10, &sum, 2);
        icmp[0] = 8;
        sum = (uint16_t)~net_sum_fold(net_sum(icmp, 8 + len, 0));
    } else {
        ip[0] = 0x60;
        ip[4] = tail[2];
        ip[5] = tail[3];
        ip[6] = 58;
        ip[7] = 3;
        memcpy(ip + 8, b->config.address.ip, 16);
        memcpy(ip + 24, a->config.address.ip, 16);
        icmp[0] = 128;
        sum = (uint16_t)~net_sum_fold(
            net_sum(icmp, 8 + len, net_sum(tail, 8, net_sum(ip + 8, 32, 0))));
    }
    memcpy(icmp + 2, &sum, 2);
    return NET_ETH + ip_len + 8 + len;
}

static void echo__comes_back_with_the_same_bytes(void **state)
{
    (void)state;
    for (unsigned family = 0; family < 2; family++) {
        size_t front = NET_ETH + (family == 0 ? NET_IPV4 : NET_IPV6);
        uint8_t frame[2048];
        struct host a, b;
        size_t len;

        host_open(&a, address_a[family], 1, NULL);
        host_open(&b, address_b[family], 2, NULL);
        for (size_t data = 0; data < 1400; data += 233) {
            len = ping(frame, &b, &a, data);
            resolver_input(a.r, frame, len, a.now);
            assert_int_equal(a.len, len);
            assert_memory_equal(a.frame, b.config.mac, 6);
            assert_memory_equal(a.frame + 6, a.config.mac, 6);
            assert_int_equal(a.frame[front], family == 0 ? 0 : 129);
            assert_memory_equal(a.frame + front + 4, frame + front + 4, 4 + data);
            /* It is right if it would be answered, were it a question: sums and lengths. */
            if (family == 0) {
                assert_int_equal(net_sum_fold(net_sum(a.frame + NET_ETH, NET_IPV4, 0)),
                                 0xffff);
                assert_int_equal(net_sum_fold(net_sum(a.frame + front, 8 + data, 0)),
                                 0xffff);
            }
        }
        len = ping(frame, &b, &a, 10);
        resolver_input(a.r, frame, len + 30, a.now); /* padded on the wire */
        assert_int_equal(a.len, len);
        host_close(&a);
        host_close(&b);
    }
}

static void echo__damaged_or_for_others_is_not_answered(void **state)
{
    (void)state;
    for (unsigned family = 0; family < 2; family++) {
        uint8_t frame[256];
        struct host a, b, c;
        size_t len;

        host_open(&a, address_a[family], 1, NULL);
        host_open(&b, address_b[family], 2, NULL);
        host_open(&c, family == 0 ? "10.0.0.3/24" : "fd00::3/64", 3, NULL);
        len = ping(frame, &b, &a, 40);
        /* Any one bit of IP and ICMP but for what no sum covers: IPv6's class, flow label, hops. */
        for (size_t bit = 8 * NET_ETH; bit < 8 * len; bit++) {
            size_t byte = bit / 8 - NET_ETH;

            if (family == 1 && (byte < 4 || byte == 7))
                continue;
            frame[bit / 8] ^= (uint8_t)(1 << bit % 8);
            resolver_input(a.r, frame, len, a.now);
            frame[bit / 8] ^= (uint8_t)(1 << bit % 8);
        }
        for (size_t cut = 0; cut < len; cut++)
            resolver_input(a.r, frame, cut, a.now);
        assert_int_equal(a.sent, 0);
        len = ping(frame, &b, &c, 40);
        resolver_input(a.r, frame, len, a.now);
        assert_int_equal(a.sent, 0);
        assert_true(resolver_stats(a.r)->foreign >= 1);
        host_close(&a);
        host_close(&b);
        host_close(&c);
    }
}

/* ---- damage ---- */

static uint64_t next_random(uint64_t *seed)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    return *seed;
}

static void input__survives_damage(void **state)
{
    uint64_t seed = 20261122;

    (void)state;
    print_message("seed %llu\n", (unsigned long long)seed);
    for (unsigned family = 0; family < 2; family++) {
        struct host a, b;
        uint8_t frame[2048], copy[2048];
        size_t len;

        know(&a, &b, family);
        a.wire = b.wire = NULL;
        for (unsigned n = 0; n < 40000; n++) {
            switch (n % 4) {
            case 0:
                resolver_ask(b.r, a.config.address.ip, b.now);
                resolver_tick(b.r, b.now += PROA_S);
                break;
            case 1:
                resolver_announce(b.r);
                break;
            case 2:
                len = ping(frame, &b, &a, next_random(&seed) % 64);
                memcpy(b.frame, frame, b.len = len);
                break;
            default:
                break;
            }
            memcpy(copy, b.frame, len = b.len);
            for (unsigned k = (unsigned)(next_random(&seed) % 5); k > 0; k--)
                copy[next_random(&seed) % len] = (uint8_t)next_random(&seed);
            if (next_random(&seed) % 4 == 0)
                len = next_random(&seed) % (len + 1);
            uint8_t *exact = malloc(len + 1); /* for the sanitizer */
            memcpy(exact, copy, len);
            resolver_input(a.r, exact, len, a.now += PROA_MS);
            free(exact);
        }
        assert_true(resolver_stats(a.r)->malformed > 1000);
        assert_memory_equal(a.mac, b.config.mac, 6);
        host_close(&a);
        host_close(&b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(echo__comes_back_with_the_same_bytes),
        cmocka_unit_test(echo__damaged_or_for_others_is_not_answered),
        cmocka_unit_test(input__survives_damage),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
