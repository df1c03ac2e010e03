/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "mix.h"
#include "peers.h"

static struct kad_id id_of(uint64_t n)
{
    struct kad_id id = {{0}};
    uint64_t node = mix64(n) | 1;

    for (unsigned i = 0; i < 8; i++)
        id.b[i] = (uint8_t)(node >> (56 - 8 * i));
    return id;
}

static struct proa_addr addr_of(uint32_t n)
{
    struct proa_addr a = {.port = PROA_PORT, .family = 4};

    a.ip[10] = a.ip[11] = 0xff;
    memcpy(&a.ip[12], &n, sizeof(n));
    return a;
}

static void add__finds_the_same_again(void **state)
{
    struct peers peers;
    struct kad_id id = id_of(1);

    (void)state;
    assert_true(peers_init(&peers, 1, 9));
    struct peer *peer = peers_add(&peers, &id);
    assert_ptr_equal(peers_add(&peers, &id), peer);
    assert_ptr_equal(peers_find(&peers, kad_id_node64(&id)), peer);
    assert_null(peers_find(&peers, kad_id_node64(&id) ^ 2));
    peers_fini(&peers);
}

static void count_evicted(void *ctx, const struct peer *peer)
{
    assert_int_not_equal(peer->node, 0);
    ++*(uint32_t *)ctx;
}

static void add__full_table_gives_up_the_oldest_unlinked(void **state)
{
    struct peers peers;
    struct kad_id id = id_of(0), held = id_of(1), linked = id_of(2);
    uint32_t evicted = 0;

    (void)state;
    assert_true(peers_init(&peers, 1, 9));
    peers.evicted = count_evicted;
    peers.evicted_ctx = &evicted;
    for (uint32_t i = 0; i < PEERS_MAX; i++) {
        id = id_of(i);
        struct peer *peer = peers_add(&peers, &id);
        struct proa_addr addr = addr_of(i);
        assert_non_null(peer);
        peer->heard_at = 1 + i;
        peers_confirm(&peers, peer, &addr);
    }
    peers_find(&peers, kad_id_node64(&held))->held = 1;
    peers_find(&peers, kad_id_node64(&linked))->links = 1;
    for (uint32_t i = 0; i < 1000; i++) {
        struct proa_addr addr = addr_of(PEERS_MAX + i);
        id = id_of(PEERS_MAX + i);
        struct peer *peer = peers_add(&peers, &id);
        assert_non_null(peer);
        assert_int_equal(peer->heard_at, 0);
        peer->heard_at = PEERS_MAX + 1 + i;
        assert_null(peers_find_addr(&peers, &addr));
        peers_confirm(&peers, peer, &addr);
        assert_ptr_equal(peers_find_addr(&peers, &addr), peer);
    }
    assert_int_equal(peers.used, PEERS_MAX);
    assert_int_equal(evicted, 1000);
    assert_non_null(peers_find(&peers, kad_id_node64(&held)));
    assert_non_null(peers_find(&peers, kad_id_node64(&linked)));
    peers_fini(&peers);
}

static void confirm__moves_and_a_hint_does_not_override(void **state)
{
    struct peers peers;
    struct kad_id id = id_of(1);
    struct proa_addr a = addr_of(1), b = addr_of(2), c = addr_of(3);

    (void)state;
    assert_true(peers_init(&peers, 1, 9));
    struct peer *peer = peers_add(&peers, &id);
    peers_hint(peer, &a);
    assert_memory_equal(&peer->addr, &a, sizeof(a));
    assert_null(peers_find_addr(&peers, &a)); /* only a hint */
    peers_confirm(&peers, peer, &b);
    peers_hint(peer, &c);
    assert_memory_equal(&peer->addr, &b, sizeof(b));
    assert_ptr_equal(peers_find_addr(&peers, &b), peer);
    peers_confirm(&peers, peer, &c);
    assert_null(peers_find_addr(&peers, &b));
    assert_ptr_equal(peers_find_addr(&peers, &c), peer);
    peers_unplace(&peers, peer);
    assert_null(peers_find_addr(&peers, &c));
    assert_int_equal(peer->addr.family, 0);
    peers_fini(&peers);
}

static void link_reserve__hands_out_every_slot_once(void **state)
{
    struct peers peers;
    static bool seen[PEERS_LINKS_MAX];

    (void)state;
    assert_true(peers_init(&peers, 2, 9));
    for (uint32_t i = 0; i < PEERS_LINKS_MAX; i++) {
        struct peer_link *link = peers_link_reserve(&peers, 1, mix64(i));
        assert_non_null(link);
        assert_int_equal(link_id_lane(link->id), 1);
        assert_false(seen[link_id_slot(link->id)]);
        seen[link_id_slot(link->id)] = true;
        assert_ptr_equal(peers_link(&peers, link->id), link);
        assert_null(peers_link(&peers, link->id ^ 1));
    }
    assert_null(peers_link_reserve(&peers, 1, 5));
    assert_non_null(peers_link_reserve(&peers, 0, 5));
    peers_fini(&peers);
}

static void link_reserve__never_makes_the_id_zero(void **state)
{
    struct peers peers;

    (void)state;
    assert_true(peers_init(&peers, 1, 9));
    /* lane 0, slot 0, and a secret whose low 40 bits are 0 */
    assert_int_not_equal(peers_link_reserve(&peers, 0, 0xff0000000000u)->id, 0);
    peers_fini(&peers);
}

static void link__foreign_ids_are_not_found(void **state)
{
    struct peers peers;

    (void)state;
    assert_true(peers_init(&peers, 2, 9));
    assert_null(peers_link(&peers, 0));
    assert_null(peers_link(&peers, link_id_make(0, 0, 1)));
    assert_null(peers_link(&peers, link_id_make(2, 0, 1)));    /* no such lane */
    assert_null(peers_link(&peers, link_id_make(0, 4096, 1))); /* no such slot */
    assert_null(peers_link(&peers, UINT64_MAX));
    peers_fini(&peers);
}

static void link_open__counts_and_free_takes_it_out(void **state)
{
    struct peers peers;
    struct kad_id id = id_of(1);
    struct proa_addr a = addr_of(1);
    struct peer_link *link[3];

    (void)state;
    assert_true(peers_init(&peers, 2, 9));
    struct peer *peer = peers_add(&peers, &id);
    for (unsigned i = 0; i < 3; i++) {
        link[i] = peers_link_reserve(&peers, i % 2, 100 + i);
        peers_link_open(link[i], peer, 500 + i, &a, 0, i == 1);
    }
    assert_int_equal(peer->links, 3);
    assert_ptr_equal(peers_lane_link(peer, 1, true), link[1]);
    assert_null(peers_lane_link(peer, 0, true));
    assert_non_null(peers_lane_link(peer, 0, false));
    uint64_t old = link[1]->id;
    peers_link_free(&peers, link[1]);
    assert_int_equal(peer->links, 2);
    assert_null(peers_link(&peers, old));
    assert_null(peers_lane_link(peer, 1, false));
    /* The slot again, another id. */
    struct peer_link *again = peers_link_reserve(&peers, 1, 999);
    assert_int_equal(link_id_slot(again->id), link_id_slot(old));
    assert_null(peers_link(&peers, old));
    peers_fini(&peers);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(add__finds_the_same_again),
        cmocka_unit_test(add__full_table_gives_up_the_oldest_unlinked),
        cmocka_unit_test(confirm__moves_and_a_hint_does_not_override),
        cmocka_unit_test(link_reserve__hands_out_every_slot_once),
        cmocka_unit_test(link_reserve__never_makes_the_id_zero),
        cmocka_unit_test(link__foreign_ids_are_not_found),
        cmocka_unit_test(link_open__counts_and_free_takes_it_out),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
