/* SPDX-License-Identifier: Apache-2.0 */
#include "kad_store.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#define RECORDS 32
#define OWNERS 16
#define HEADS 32

struct fixture {
    struct kad_store store;
    struct kad_record records[RECORDS];
    struct kad_owner owners[OWNERS];
    uint32_t by_target[HEADS], by_owner[HEADS];
};

static void init(struct fixture *f)
{
    static const uint8_t key[16] = "0123456789abcde";

    memset(f, 0xa5, sizeof(*f));
    f->store.records = f->records;
    f->store.records_cap = RECORDS;
    f->store.owners = f->owners;
    f->store.owners_cap = OWNERS;
    f->store.per_owner = 10;
    f->store.per_address = 20;
    kad_index_init(&f->store.by_target, f->by_target, HEADS, key);
    kad_index_init(&f->store.by_owner, f->by_owner, HEADS, key);
    kad_store_init(&f->store);
}

static struct kad_id target_of(unsigned n)
{
    char name[16];
    struct kad_id target;
    int len = snprintf(name, sizeof(name), "name %u", n);

    kad_id_of_name(name, (size_t)len, &target);
    return target;
}

/* Puts a record of owner o (at address ip) under target n. */
static struct kad_record *put(struct fixture *f, unsigned n, uint8_t o, uint8_t ip,
                              proa_ns now)
{
    static const uint8_t raw[PROA_RECORD_MIN] = {1};
    struct record fields = {
        .kind = RECORD_NAME, .term = 1, .issued = now + 1, .claim = 1};
    struct kad_id target = target_of(n);

    fields.owner.b[0] = o;
    fields.endpoint_count = 1;
    fields.endpoints[0].family = 4;
    fields.endpoints[0].port = o;
    fields.endpoints[0].ip[15] = ip;
    return kad_store_put(&f->store, &target, &fields, raw, sizeof(raw), now + 100, 0,
                         now);
}

static struct kad_stamp stamp(uint8_t owner, uint64_t term, uint64_t issued,
                              uint64_t claim, enum record_kind kind)
{
    struct kad_stamp s = {.term = term, .issued = issued, .claim = claim, .kind = kind};

    s.owner.b[0] = owner;
    return s;
}

static void rule__nothing_stored_accepts(void **state)
{
    struct kad_stamp new = stamp(1, 1, 1, 1, RECORD_NAME);

    (void)state;
    assert_int_equal(kad_put_rule(NULL, &new), KAD_PUT_ACCEPT);
}

static void rule__same_owner_newer_statement(void **state)
{
    struct kad_stamp cur = stamp(1, 3, 50, 10, RECORD_NAME);
    struct kad_stamp newer = stamp(1, 3, 51, 10, RECORD_TOMBSTONE);
    struct kad_stamp older = stamp(1, 9, 49, 10, RECORD_NAME);

    (void)state;
    assert_int_equal(kad_put_rule(&cur, &newer), KAD_PUT_ACCEPT);
    assert_int_equal(kad_put_rule(&cur, &cur), KAD_PUT_SAME);
    assert_int_equal(kad_put_rule(&cur, &older), KAD_PUT_REFUSE);
    assert_int_equal(kad_put_rule(&newer, &cur), KAD_PUT_REFUSE); /* a replay */
}

static void rule__other_owner_by_term(void **state)
{
    struct kad_stamp cur = stamp(1, 3, 50, 10, RECORD_NAME);
    struct kad_stamp higher = stamp(2, 4, 1, 99, RECORD_NAME);
    struct kad_stamp lower = stamp(2, 2, 99, 1, RECORD_NAME);
    struct kad_stamp end = stamp(2, 4, 99, 1, RECORD_TOMBSTONE);

    (void)state;
    assert_int_equal(kad_put_rule(&cur, &higher), KAD_PUT_ASK);
    assert_int_equal(kad_put_rule(&cur, &lower), KAD_PUT_REFUSE);
    assert_int_equal(kad_put_rule(&cur, &end), KAD_PUT_ASK);
}

static void rule__same_term_smaller_claim_then_smaller_id(void **state)
{
    struct kad_stamp cur = stamp(5, 3, 50, 10, RECORD_NAME);
    struct kad_stamp earlier = stamp(6, 3, 60, 9, RECORD_NAME);
    struct kad_stamp later = stamp(4, 3, 60, 11, RECORD_NAME);
    struct kad_stamp smaller = stamp(4, 3, 60, 10, RECORD_NAME);
    struct kad_stamp larger = stamp(6, 3, 60, 10, RECORD_NAME);
    struct kad_stamp end = stamp(4, 3, 60, 9, RECORD_TOMBSTONE);

    (void)state;
    assert_int_equal(kad_put_rule(&cur, &earlier), KAD_PUT_ACCEPT);
    assert_int_equal(kad_put_rule(&cur, &later), KAD_PUT_REFUSE);
    assert_int_equal(kad_put_rule(&cur, &smaller), KAD_PUT_ACCEPT);
    assert_int_equal(kad_put_rule(&cur, &larger), KAD_PUT_REFUSE);
    assert_int_equal(kad_put_rule(&cur, &end), KAD_PUT_REFUSE);
}

static void rule__tombstone_gives_way_but_never_back(void **state)
{
    struct kad_stamp cur = stamp(1, 3, 50, 10, RECORD_TOMBSTONE);
    struct kad_stamp same = stamp(2, 3, 1, 99, RECORD_NAME);
    struct kad_stamp higher = stamp(2, 4, 1, 99, RECORD_NAME);
    struct kad_stamp lower = stamp(2, 2, 99, 1, RECORD_NAME);
    struct kad_stamp end = stamp(2, 3, 99, 1, RECORD_TOMBSTONE);

    (void)state;
    assert_int_equal(kad_put_rule(&cur, &same), KAD_PUT_ACCEPT);
    assert_int_equal(kad_put_rule(&cur, &higher), KAD_PUT_ACCEPT);
    assert_int_equal(kad_put_rule(&cur, &lower), KAD_PUT_REFUSE);
    assert_int_equal(kad_put_rule(&cur, &end), KAD_PUT_REFUSE);
}

static void put__finds_replaces_and_removes(void **state)
{
    struct fixture f;
    struct kad_id target = target_of(1), first = {{1}}, second = {{2}};

    (void)state;
    init(&f);
    struct kad_record *record = put(&f, 1, 1, 1, 0);
    assert_non_null(record);
    assert_ptr_equal(kad_store_find(&f.store, &target), record);
    assert_ptr_equal(put(&f, 1, 2, 1, 5), record);
    assert_int_equal(f.store.count, 1);
    assert_null(kad_store_owner(&f.store, &first));
    assert_int_equal(kad_store_owner(&f.store, &second)->records, 1);
    kad_store_remove(&f.store, record);
    assert_null(kad_store_find(&f.store, &target));
    assert_null(kad_store_owner(&f.store, &second));
    assert_int_equal(f.store.count, 0);
}

static void put__bounded_per_owner_and_per_address(void **state)
{
    struct fixture f;
    unsigned n = 0;

    (void)state;
    init(&f);
    for (; n < 10; n++)
        assert_non_null(put(&f, n, 1, 1, 0));
    assert_null(put(&f, n, 1, 1, 0));
    assert_non_null(put(&f, 3, 1, 1, 5)); /* what it has may be renewed */
    for (; n < 20; n++)
        assert_non_null(put(&f, n, 2, 1, 0));
    assert_null(put(&f, n, 3, 1, 0)); /* a third owner at that address */
    assert_non_null(put(&f, n, 3, 2, 0));
    assert_int_equal(f.store.count, 21);
}

static void put__full_store_gives_up_silent_owners_first(void **state)
{
    struct fixture f;
    struct kad_id silent = {{4}}, victim_target;
    unsigned n = 0, left = 0;

    (void)state;
    init(&f);
    for (; n < RECORDS; n++)
        assert_non_null(put(&f, n, (uint8_t)(1 + n / 8), (uint8_t)(1 + n / 8), 0));
    assert_null(put(&f, n, 9, 9, 0));
    kad_store_owner(&f.store, &silent)->fails = KAD_OWNER_FAILURES;
    assert_non_null(put(&f, n, 9, 9, 0));
    for (unsigned i = 24; i < RECORDS; i++) {
        victim_target = target_of(i);
        left += kad_store_find(&f.store, &victim_target) != NULL;
    }
    assert_int_equal(left, 7);
}

static void put__full_store_gives_up_expired_ones(void **state)
{
    struct fixture f;

    (void)state;
    init(&f);
    for (unsigned n = 0; n < RECORDS; n++)
        assert_non_null(put(&f, n, (uint8_t)(1 + n / 8), (uint8_t)(1 + n / 8), 0));
    assert_null(put(&f, 99, 9, 9, 99));
    assert_non_null(put(&f, 99, 9, 9, 100));
}

static void heard__owner_speaks_again(void **state)
{
    struct fixture f;
    struct kad_id id = {{1}};

    (void)state;
    init(&f);
    struct kad_record *record = put(&f, 1, 1, 1, 0);
    kad_store_owner(&f.store, &id)->fails = KAD_OWNER_FAILURES;
    assert_true(kad_store_silent(&f.store, record));
    kad_store_heard(&f.store, &id, 77);
    assert_false(kad_store_silent(&f.store, record));
    assert_int_equal(kad_store_owner(&f.store, &id)->heard_at, 77);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rule__nothing_stored_accepts),
        cmocka_unit_test(rule__same_owner_newer_statement),
        cmocka_unit_test(rule__other_owner_by_term),
        cmocka_unit_test(rule__same_term_smaller_claim_then_smaller_id),
        cmocka_unit_test(rule__tombstone_gives_way_but_never_back),
        cmocka_unit_test(put__finds_replaces_and_removes),
        cmocka_unit_test(put__bounded_per_owner_and_per_address),
        cmocka_unit_test(put__full_store_gives_up_silent_owners_first),
        cmocka_unit_test(put__full_store_gives_up_expired_ones),
        cmocka_unit_test(heard__owner_speaks_again),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
