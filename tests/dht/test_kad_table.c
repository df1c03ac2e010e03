/* SPDX-License-Identifier: Apache-2.0 */
/* Of kad_table.c, and of kad_rtt.c, whose samples it keeps. */
#include "kad_table.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#define POOL 300

struct fixture {
    struct kad_table table;
    struct kad_contact pool[POOL];
};

/* An id whose first byte and second byte are given; the own id is all zeros but the last. */
static struct kad_id id_of(uint8_t first, uint8_t second, uint8_t last)
{
    struct kad_id id = {{first, second}};

    id.b[PROA_KAD_ID_LEN - 1] = last;
    return id;
}

static struct proa_addr addr_of(uint32_t n)
{
    struct proa_addr addr = {.family = 4, .port = (uint16_t)(1000 + n)};

    addr.ip[10] = addr.ip[11] = 0xff;
    addr.ip[12] = 10;
    return addr;
}

static void init(struct fixture *f, uint32_t cap)
{
    struct kad_id own = id_of(0, 0, 1);

    memset(f, 0xa5, sizeof(*f));
    kad_table_init(&f->table, &own, f->pool, cap);
}

static struct kad_contact *add(struct fixture *f, struct kad_id id, uint32_t n,
                               enum kad_table_added expected)
{
    struct proa_addr addr = addr_of(n);
    struct kad_contact *contact = NULL;

    assert_int_equal(kad_table_add(&f->table, &id, &addr, 100 + n, &contact), expected);
    return contact;
}

static void rtt__starts_at_300_ms_and_then_at_four_medians(void **state)
{
    struct kad_rtt rtt = {0};

    (void)state;
    assert_int_equal(kad_rtt_rto(&rtt, 0), 300 * PROA_MS);
    assert_int_equal(kad_rtt_rto(&rtt, 5 * PROA_MS), 20 * PROA_MS);
    assert_int_equal(kad_rtt_rto(&rtt, 100 * PROA_US), 3 * PROA_MS);
    assert_int_equal(kad_rtt_rto(&rtt, 400 * PROA_MS), PROA_S);
}

static void rtt__rto_is_srtt_and_four_variations(void **state)
{
    struct kad_rtt rtt = {0};

    (void)state;
    kad_rtt_sample(&rtt, 10 * PROA_MS);
    assert_int_equal(rtt.srtt, 10 * PROA_MS);
    assert_int_equal(kad_rtt_rto(&rtt, 0), 30 * PROA_MS);
    for (int i = 0; i < 100; i++)
        kad_rtt_sample(&rtt, 10 * PROA_MS);
    assert_in_range(kad_rtt_rto(&rtt, 0), 9 * PROA_MS, 11 * PROA_MS);
    for (int i = 0; i < 100; i++)
        kad_rtt_sample(&rtt, 50 * PROA_US);
    assert_int_equal(kad_rtt_rto(&rtt, 0), 3 * PROA_MS);
    kad_rtt_sample(&rtt, 0);
    assert_int_not_equal(rtt.srtt, 0);
}

static void bucket_size__halves_down_to_k(void **state)
{
    const uint32_t sizes[] = {128, 64, 32, 16, 8, 8};

    (void)state;
    for (uint32_t i = 0; i < 6; i++)
        assert_int_equal(kad_table_bucket_size(i), sizes[i]);
    assert_int_equal(kad_table_bucket_size(159), 8);
}

static void add__finds_by_id_and_by_address(void **state)
{
    struct fixture f;
    struct proa_addr addr = addr_of(5);
    struct kad_id id = id_of(0x80, 0, 5), other = id_of(0x80, 0, 6);

    (void)state;
    init(&f, POOL);
    struct kad_contact *contact = add(&f, id, 5, KAD_TABLE_LIVE);
    assert_ptr_equal(kad_table_find(&f.table, &id), contact);
    assert_ptr_equal(kad_table_find_addr(&f.table, &addr), contact);
    assert_null(kad_table_find(&f.table, &other));
    assert_ptr_equal(add(&f, id, 5, KAD_TABLE_KNOWN), contact);
    assert_int_equal(f.table.live, 1);
}

static void add__refuses_own_id_and_ids_of_nobody(void **state)
{
    struct fixture f;
    struct kad_id nobody = {{0, 0, 0, 0, 0, 0, 0, 0, 1}};

    (void)state;
    init(&f, POOL);
    add(&f, f.table.self, 1, KAD_TABLE_NO_PLACE);
    add(&f, nobody, 2, KAD_TABLE_NO_PLACE);
}

/* Fills bucket 4 (ids 0x08..): 8 contacts, one per sub-prefix. */
static void fill(struct fixture *f)
{
    for (uint8_t i = 0; i < 8; i++)
        add(f, id_of((uint8_t)(0x08 | i), 0, i), i, KAD_TABLE_LIVE);
}

static void add__full_bucket_of_all_sub_prefixes_makes_spares(void **state)
{
    struct fixture f;

    (void)state;
    init(&f, POOL);
    fill(&f);
    for (uint8_t i = 0; i < 9; i++)
        add(&f, id_of(0x08, 1, i), 100u + i, KAD_TABLE_SPARE);
    assert_int_equal(f.table.buckets[4].spare_count, KAD_TABLE_SPARES);
    assert_int_equal(f.table.buckets[4].live_count, 8);
    struct kad_id oldest = id_of(0x08, 1, 0), second = id_of(0x08, 1, 1);
    assert_null(kad_table_find(&f.table, &oldest));
    assert_non_null(kad_table_find(&f.table, &second));
}

static void add__takes_the_place_of_a_failing_contact(void **state)
{
    struct fixture f;
    struct kad_id failing = id_of(0x0b, 0, 3);

    (void)state;
    init(&f, POOL);
    fill(&f);
    kad_table_find(&f.table, &failing)->fails = 1;
    add(&f, id_of(0x08, 1, 1), 50, KAD_TABLE_LIVE);
    assert_int_equal(kad_table_find(&f.table, &failing)->state, KAD_CONTACT_SPARE);
}

static void add__rare_sub_prefix_takes_the_slowest_place_of_a_crowded_one(void **state)
{
    struct fixture f;

    (void)state;
    init(&f, POOL);
    for (uint8_t i = 0; i < 8; i++)
        add(&f, id_of(0x08, 0, i), i, KAD_TABLE_LIVE)->rtt.srtt = i == 5 ? 900 : 100;
    struct kad_id slowest = id_of(0x08, 0, 5);
    add(&f, id_of(0x0f, 0, 1), 50, KAD_TABLE_LIVE);
    assert_int_equal(kad_table_find(&f.table, &slowest)->state, KAD_CONTACT_SPARE);
    add(&f, id_of(0x08, 0, 77), 51, KAD_TABLE_SPARE); /* its own is the crowded one */
}

static void add__full_pool_gives_up_a_spare_and_then_refuses(void **state)
{
    struct fixture f;

    (void)state;
    init(&f, 9);
    fill(&f);
    add(&f, id_of(0x08, 1, 1), 50, KAD_TABLE_SPARE);
    add(&f, id_of(0x80, 1, 1), 51, KAD_TABLE_LIVE);
    add(&f, id_of(0x40, 1, 1), 52, KAD_TABLE_NO_PLACE);
    assert_int_equal(f.table.live, 9);
}

static void remove__moves_the_spare_heard_last_up(void **state)
{
    struct fixture f;
    struct kad_id gone = id_of(0x0a, 0, 2), young = id_of(0x08, 1, 2);

    (void)state;
    init(&f, POOL);
    fill(&f);
    add(&f, id_of(0x08, 1, 1), 60, KAD_TABLE_SPARE);
    add(&f, young, 61, KAD_TABLE_SPARE);
    kad_table_remove(&f.table, kad_table_find(&f.table, &gone), true);
    assert_null(kad_table_find(&f.table, &gone));
    assert_int_equal(kad_table_find(&f.table, &young)->state, KAD_CONTACT_LIVE);
    assert_int_equal(f.table.live, 8);
}

static void heard__counts_contacts_and_gone_ones_once(void **state)
{
    struct fixture f;
    struct kad_id one = id_of(0x80, 0, 1), other = id_of(0x70, 0, 9);
    struct proa_addr addr = addr_of(1);

    (void)state;
    init(&f, POOL);
    add(&f, one, 1, KAD_TABLE_LIVE); /* heard at 101 */
    add(&f, id_of(0x40, 0, 2), 2, KAD_TABLE_LIVE);
    assert_int_equal(kad_table_heard(&f.table, 0, 7), 2);
    assert_int_equal(kad_table_heard(&f.table, 102, 7), 1);
    assert_int_equal(kad_table_heard(&f.table, 0, 1), 1);
    kad_table_remove(&f.table, kad_table_find(&f.table, &one), true);
    assert_int_equal(kad_table_heard(&f.table, 0, 7), 2);
    kad_table_forget_gone(&f.table, &other, &addr); /* another life at its endpoint */
    assert_int_equal(kad_table_heard(&f.table, 0, 7), 1);
}

static void closest__are_sorted_and_bounded(void **state)
{
    struct fixture f;
    struct kad_contact *found[8];
    struct kad_id target = id_of(0x30, 0, 0);

    (void)state;
    init(&f, POOL);
    for (uint8_t i = 1; i < 100; i++)
        add(&f, id_of(i, i, i), i, KAD_TABLE_LIVE);
    assert_int_equal(kad_table_closest(&f.table, &target, false, found, 8), 8);
    for (int i = 1; i < 8; i++)
        assert_true(kad_id_closer(&target, &found[i - 1]->id, &found[i]->id) < 0);
    assert_int_equal(found[0]->id.b[0], 0x30);
    found[0]->fails = 1;
    assert_int_equal(kad_table_closest(&f.table, &target, true, found, 8), 8);
    assert_int_equal(found[0]->id.b[0], 0x31);
}

static void closer__counts_this_node_too(void **state)
{
    struct fixture f;
    struct kad_id target = id_of(0, 0, 0), far = id_of(0x80, 0, 1);

    (void)state;
    init(&f, POOL);
    assert_int_equal(kad_table_closer(&f.table, &target, &far, 8), 1);
    for (uint8_t i = 1; i < 20; i++)
        add(&f, id_of(i, 0, i), i, KAD_TABLE_LIVE);
    assert_int_equal(kad_table_closer(&f.table, &target, &far, 8), 8);
    assert_int_equal(kad_table_closer(&f.table, &target, &far, 100), 20);
}

static void median__is_of_those_that_were_measured(void **state)
{
    struct fixture f;

    (void)state;
    init(&f, POOL);
    assert_int_equal(kad_table_median(&f.table), 0);
    for (uint8_t i = 1; i <= 9; i++) {
        add(&f, id_of(0x80, i, i), i, KAD_TABLE_LIVE)->rtt.srtt = i * 100u;
        kad_table_sampled(&f.table);
    }
    add(&f, id_of(0x80, 99, 99), 99, KAD_TABLE_LIVE);
    assert_int_equal(kad_table_median(&f.table), 500);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rtt__starts_at_300_ms_and_then_at_four_medians),
        cmocka_unit_test(rtt__rto_is_srtt_and_four_variations),
        cmocka_unit_test(bucket_size__halves_down_to_k),
        cmocka_unit_test(add__finds_by_id_and_by_address),
        cmocka_unit_test(add__refuses_own_id_and_ids_of_nobody),
        cmocka_unit_test(add__full_bucket_of_all_sub_prefixes_makes_spares),
        cmocka_unit_test(add__takes_the_place_of_a_failing_contact),
        cmocka_unit_test(add__rare_sub_prefix_takes_the_slowest_place_of_a_crowded_one),
        cmocka_unit_test(add__full_pool_gives_up_a_spare_and_then_refuses),
        cmocka_unit_test(remove__moves_the_spare_heard_last_up),
        cmocka_unit_test(heard__counts_contacts_and_gone_ones_once),
        cmocka_unit_test(closest__are_sorted_and_bounded),
        cmocka_unit_test(closer__counts_this_node_too),
        cmocka_unit_test(median__is_of_those_that_were_measured),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
