/* SPDX-License-Identifier: Apache-2.0 */
#include "kad_peers.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#define CAP 600

static struct kad_peer places[CAP];
static uint32_t heads[1024], counts[1024];

static struct kad_peers store(uint32_t cap, uint32_t per_address)
{
    static const uint8_t key[16] = "a key for a test";
    struct kad_peers peers = {.peers = places, .cap = cap, .per_address = per_address};

    memset(places, 0xa5, sizeof(places));
    kad_index_init(&peers.by_infohash, heads, 1024, key);
    kad_index_init(&peers.by_address, counts, 1024, key);
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

static void add__stops_at_each_bound(void **state)
{
    struct kad_peers peers = store(CAP, CAP);
    struct kad_id one = infohash(1), two = infohash(2);
    struct proa_addr addr;
    unsigned kept = 0;

    (void)state;
    for (uint16_t port = 1; port <= 100; port++) {
        addr = at(1, port);
        kept += kad_peers_add(&peers, &one, &addr) != KAD_NONE;
    }
    assert_int_equal(kept, KAD_PEERS_TARGET_ADDRESS);
    for (unsigned host = 2; host < 300; host++) {
        addr = at(host, 7400);
        kept += kad_peers_add(&peers, &one, &addr) != KAD_NONE;
    }
    assert_int_equal(kept, KAD_PEERS_TARGET);
    addr = at(1, 1); /* what is kept goes on being so */
    assert_int_not_equal(kad_peers_add(&peers, &one, &addr), KAD_NONE);
    assert_int_not_equal(kad_peers_add(&peers, &two, &addr), KAD_NONE);

    peers = store(CAP, 40);
    kept = 0;
    for (uint8_t n = 0; n < 100; n++) {
        struct kad_id each = infohash(n);

        kept += kad_peers_add(&peers, &each, &addr) != KAD_NONE;
    }
    assert_int_equal(kept, 40);
    kad_peers_remove(&peers, 7); /* makes room for one, and no more */
    two = infohash(200);
    assert_int_equal(kad_peers_add(&peers, &two, &addr), 7);
    two = infohash(201);
    assert_int_equal(kad_peers_add(&peers, &two, &addr), KAD_NONE);

    peers = store(30, CAP);
    kept = 0;
    for (uint8_t n = 0; n < 100; n++) {
        struct kad_id each = infohash(n);

        addr = at(n, 7400);
        kept += kad_peers_add(&peers, &each, &addr) != KAD_NONE;
    }
    assert_int_equal(kept, 30);
}

static void remove__makes_place(void **state)
{
    struct kad_peers peers = store(3, 3);
    struct kad_id one = infohash(1);
    struct proa_addr addr[4], got[4];
    uint32_t numbers[4];

    (void)state;
    for (unsigned i = 0; i < 4; i++) {
        addr[i] = at(i, 7400);
        numbers[i] = kad_peers_add(&peers, &one, &addr[i]);
    }
    assert_int_equal(numbers[3], KAD_NONE);
    kad_peers_remove(&peers, numbers[1]);
    assert_int_equal(kad_peers_count(&peers, &one), 2);
    assert_int_equal(kad_peers_add(&peers, &one, &addr[3]), numbers[1]);
    assert_int_equal(kad_peers_add(&peers, &one, &addr[1]), KAD_NONE);
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
        cmocka_unit_test(add__stops_at_each_bound),
        cmocka_unit_test(remove__makes_place),
        cmocka_unit_test(list__goes_round_from_any_place),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
