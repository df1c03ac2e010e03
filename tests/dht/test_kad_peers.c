/* SPDX-License-Identifier: Apache-2.0 */
#include "kad_peers.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#define CAP 1500

static struct kad_peer places[CAP];
static uint32_t heads[2048], counts[8192];

static struct kad_peers store(uint32_t cap, uint32_t per_address)
{
    static const uint8_t key[16] = "a key for a test";
    struct kad_peers peers = {.peers = places, .cap = cap, .per_address = per_address};

    memset(places, 0xa5, sizeof(places));
    kad_index_init(&peers.by_infohash, heads, 2048, key);
    kad_index_init(&peers.by_address, counts, 8192, key);
    kad_peers_init(&peers);
    return peers;
}

static struct kad_id infohash(uint8_t n)
{
    struct kad_id id = {{n, 1, 2, 3}};

    return id;
}

static struct proa_addr at(unsigned host, uint16_t port)
{
    struct proa_addr addr = {.family = 4, .port = port};

    addr.ip[10] = addr.ip[11] = 0xff;
    addr.ip[12] = 10;
    addr.ip[14] = (uint8_t)(host >> 8);
    addr.ip[15] = (uint8_t)host;
    return addr;
}

static void add__keeps_each_endpoint_once(void **state)
{
    struct kad_peers peers = store(CAP, CAP);
    struct kad_id one = infohash(1), two = infohash(2);
    struct proa_addr addr = at(1, 7400), other = at(1, 7401), got[4];

    (void)state;
    uint32_t number = kad_peers_add(&peers, &one, &addr);
    assert_int_not_equal(number, KAD_NONE);
    assert_int_equal(kad_peers_add(&peers, &one, &addr), number);
    assert_int_not_equal(kad_peers_add(&peers, &one, &other), number);
    assert_int_not_equal(kad_peers_add(&peers, &two, &addr), number);
    assert_int_equal(kad_peers_count(&peers, &one), 2);
    assert_int_equal(kad_peers_count(&peers, &two), 1);
    assert_int_equal(peers.count, 3);
    assert_int_equal(kad_peers_list(&peers, &two, 0, got, 4), 1);
    assert_memory_equal(&got[0], &addr, sizeof(addr));
}

static bool has(const struct kad_peers *peers, const struct kad_id *infohash,
                const struct proa_addr *addr)
{
    static struct proa_addr got[CAP];
    uint32_t count = kad_peers_list(peers, infohash, 0, got, CAP);

    for (uint32_t i = 0; i < count; i++)
        if (memcmp(&got[i], addr, sizeof(*addr)) == 0)
            return true;
    return false;
}

static unsigned hosts_kept(const struct kad_peers *peers, const struct kad_id *infohash,
                           unsigned begin, unsigned end)
{
    unsigned kept = 0;

    for (unsigned host = begin; host < end; host++) {
        struct proa_addr addr = at(host, 7400);

        kept += has(peers, infohash, &addr);
    }
    return kept;
}

static void add_hosts(struct kad_peers *peers, const struct kad_id *infohash,
                      unsigned begin, unsigned end)
{
    for (unsigned host = begin; host < end; host++) {
        struct proa_addr addr = at(host, 7400);

        kad_peers_add(peers, infohash, &addr);
    }
}

static void add_ports(struct kad_peers *peers, const struct kad_id *infohash,
                      unsigned host, unsigned count)
{
    for (uint16_t port = 1; port <= count; port++) {
        struct proa_addr addr = at(host, port);

        kad_peers_add(peers, infohash, &addr);
    }
}

static void add__replaces_the_oldest_at_an_address(void **state)
{
    struct kad_peers peers = store(CAP, CAP);
    struct kad_id one = infohash(1);
    struct proa_addr addr;

    (void)state;
    add_hosts(&peers, &one, 2, 10);
    add_ports(&peers, &one, 1, 100);
    assert_int_equal(kad_peers_count(&peers, &one), 8 + KAD_PEERS_TARGET_ADDRESS);
    assert_int_equal(peers.replaced, 36);
    for (uint16_t port = 1; port <= 100; port++) {
        addr = at(1, port);
        assert_int_equal(has(&peers, &one, &addr), port > 36);
    }
    addr = at(1, 37); /* said again: not the oldest any more */
    kad_peers_add(&peers, &one, &addr);
    add_hosts(&peers, &one, 1, 2);
    assert_true(has(&peers, &one, &addr));
    addr = at(1, 38);
    assert_false(has(&peers, &one, &addr));
    assert_int_equal(hosts_kept(&peers, &one, 1, 10), 9);
}

static void add__keeps_the_latest_of_a_large_group(void **state)
{
    struct kad_peers peers = store(CAP, CAP);
    struct kad_id one = infohash(1), two = infohash(2);

    (void)state;
    add_hosts(&peers, &two, 0, 10);
    add_hosts(&peers, &one, 0, 1000);
    add_hosts(&peers, &one, 0, 100); /* again */
    add_hosts(&peers, &one, 1000, 1124);
    assert_int_equal(kad_peers_count(&peers, &one), KAD_PEERS_TARGET);
    assert_int_equal(hosts_kept(&peers, &one, 0, 100), 100);
    assert_int_equal(hosts_kept(&peers, &one, 100, 200), 0);
    assert_int_equal(hosts_kept(&peers, &one, 200, 1124), 924);
    assert_int_equal(hosts_kept(&peers, &two, 0, 10), 10);
}

/* Four addresses with 64 ports each, said over and over. */
static void add__a_few_addresses_take_nobody_elses_place(void **state)
{
    struct kad_peers peers = store(CAP, CAP);
    struct kad_id one = infohash(1);

    (void)state;
    add_hosts(&peers, &one, 0, 1000);
    for (unsigned i = 0; i < 12; i++)
        add_ports(&peers, &one, 2000 + i % 4, 64);
    assert_int_equal(kad_peers_count(&peers, &one), KAD_PEERS_TARGET);
    /* One host or two may be counted with one of the four. */
    assert_in_range(hosts_kept(&peers, &one, 0, 1000), 998, 1000);
    add_hosts(&peers, &one, 1000, 1008); /* who is new takes theirs */
    assert_in_range(hosts_kept(&peers, &one, 0, 1008), 1006, 1008);
    assert_int_equal(hosts_kept(&peers, &one, 1000, 1008), 8);
}

static void add__an_address_replaces_its_own(void **state)
{
    struct kad_peers peers = store(100, 40);
    struct kad_id one = infohash(200);
    struct proa_addr addr = at(1, 7400);

    (void)state;
    add_hosts(&peers, &one, 2, 50);
    for (uint8_t n = 0; n < 100; n++) {
        struct kad_id each = infohash(n);

        kad_peers_add(&peers, &each, &addr);
        assert_true(has(&peers, &each, &addr));
    }
    assert_int_equal(peers.count, 48 + 40);
    assert_int_equal(hosts_kept(&peers, &one, 2, 50), 48);
}

static void add__when_full_replaces_of_the_most_crowded(void **state)
{
    struct kad_peers peers = store(400, 100);
    struct kad_id one = infohash(200);

    (void)state;
    add_hosts(&peers, &one, 0, 100);
    for (unsigned i = 0; i < 1000; i++) {
        struct kad_id each = infohash((uint8_t)(i % 200));
        struct proa_addr addr = at(1000 + i % 4, (uint16_t)(1 + i));

        kad_peers_add(&peers, &each, &addr);
    }
    assert_int_equal(peers.count, 400);
    assert_int_equal(hosts_kept(&peers, &one, 0, 100), 100);
    add_hosts(&peers, &one, 100, 200);
    assert_int_equal(hosts_kept(&peers, &one, 0, 200), 200);
    assert_int_equal(peers.count, 400);
}

static void add__of_more_than_one_bound(void **state)
{
    struct kad_peers peers = store(400, 100);
    uint32_t random = 1, sum;

    (void)state;
    for (unsigned i = 0; i < 50000; i++) {
        random = random * 1664525 + 1013904223;
        struct kad_id id = infohash((uint8_t)(random >> 28));
        struct proa_addr addr = at(random >> 24 & 7, (uint16_t)(1 + (random >> 8 & 255)));
        uint32_t number = kad_peers_add(&peers, &id, &addr);

        assert_in_range(number, 0, 399);
        assert_true(peers.peers[number].used);
        assert_memory_equal(&peers.peers[number].addr, &addr, sizeof(addr));
        if (i % 16 == 0)
            kad_peers_remove(&peers, number);
        if (i % 100 != 0)
            continue;
        sum = 0;
        for (uint8_t n = 0; n < 16; n++) {
            id = infohash(n);
            sum += kad_peers_count(&peers, &id);
        }
        assert_int_equal(sum, peers.count);
        assert_in_range(peers.count, 0, 400);
        sum = 0;
        for (unsigned place = 0; place < 8192; place++) {
            assert_in_range(counts[place], 0, 100);
            sum += counts[place];
        }
        assert_int_equal(sum, peers.count);
    }
    assert_true(peers.count > 350);
}

static void remove__makes_place(void **state)
{
    struct kad_peers peers = store(3, 3);
    struct kad_id one = infohash(1);
    struct proa_addr got[4], other = at(9, 7400);

    (void)state;
    add_hosts(&peers, &one, 0, 3);
    kad_peers_remove(&peers, 1);
    assert_int_equal(kad_peers_count(&peers, &one), 2);
    assert_int_equal(kad_peers_add(&peers, &one, &other), 1);
    assert_int_equal(peers.replaced, 0);
    for (unsigned i = 0; i < 3; i++)
        kad_peers_remove(&peers, i);
    assert_int_equal(kad_peers_list(&peers, &one, 0, got, 4), 0);
    assert_int_equal(peers.count, 0);
}

static void list__goes_round_from_any_place(void **state)
{
    struct kad_peers peers = store(CAP, CAP);
    struct kad_id one = infohash(1), none = infohash(3);
    unsigned seen[10] = {0};

    (void)state;
    for (unsigned i = 0; i < 10; i++) {
        struct proa_addr addr = at(i, 7400);

        kad_peers_add(&peers, &one, &addr);
    }
    for (uint32_t skip = 0; skip < 20; skip++) {
        struct proa_addr got[4];

        assert_int_equal(kad_peers_list(&peers, &one, skip, got, 4), 4);
        for (unsigned i = 0; i < 4; i++) {
            seen[got[i].ip[15]]++;
            for (unsigned j = 0; j < i; j++)
                assert_memory_not_equal(&got[i], &got[j], sizeof(got[0]));
        }
    }
    for (unsigned i = 0; i < 10; i++)
        assert_int_equal(seen[i], 8);
    struct proa_addr got[12];
    assert_int_equal(kad_peers_list(&peers, &one, 7, got, 12), 10);
    assert_int_equal(kad_peers_list(&peers, &none, 7, got, 12), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(add__keeps_each_endpoint_once),
        cmocka_unit_test(add__replaces_the_oldest_at_an_address),
        cmocka_unit_test(add__keeps_the_latest_of_a_large_group),
        cmocka_unit_test(add__a_few_addresses_take_nobody_elses_place),
        cmocka_unit_test(add__an_address_replaces_its_own),
        cmocka_unit_test(add__when_full_replaces_of_the_most_crowded),
        cmocka_unit_test(add__of_more_than_one_bound),
        cmocka_unit_test(remove__makes_place),
        cmocka_unit_test(list__goes_round_from_any_place),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
