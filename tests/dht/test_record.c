/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "record.h"
#include "vectors.h"

#define NOW 1790000000000u /* ms, about the time of the vectors */

/* Offsets of the layout in record.h. */
#define AT_VERSION 4
#define AT_KIND 5
#define AT_ENDPOINTS 7
#define AT_GENERATION 12
#define AT_ISSUED 24
#define AT_CLAIM 32
#define AT_LEASE 40
#define AT_FIRST_ENDPOINT 88

static struct identity identity_of(uint8_t first)
{
    uint8_t seed[PROA_SEED_LEN] = {first};
    struct identity self;

    assert_int_equal(identity_init(&self, seed), 0);
    return self;
}

/* A record's fields, of the name "n" and without endpoints. */
static struct record fields(void)
{
    return (struct record){.kind = RECORD_NAME,
                           .slot = 1,
                           .generation = 1,
                           .term = 1,
                           .issued = record_clock_next(0, NOW),
                           .claim = record_clock_next(0, NOW),
                           .lease = 3600,
                           .name = "n",
                           .name_len = 1};
}

static struct proa_addr ipv4(uint8_t last)
{
    return (struct proa_addr){
        .ip = {[10] = 0xff, 0xff, 192, 0, 2, last}, .port = 7400, .family = 4};
}

static struct proa_addr ipv6(uint8_t last)
{
    return (struct proa_addr){.ip = {0x20, 0x01, [15] = last}, .port = 7400, .family = 6};
}

/* The largest record there can be. */
static struct record largest(void)
{
    struct record self = fields();

    self.endpoint_count = PROA_RECORD_ENDPOINTS_MAX;
    for (uint8_t i = 0; i < PROA_RECORD_ENDPOINTS_MAX; i++)
        self.endpoints[i] = i % 2 ? ipv4(i) : ipv6(i);
    memset(self.name, 'x', PROA_RECORD_NAME_MAX);
    self.name_len = PROA_RECORD_NAME_MAX;
    memset(self.ext, 0xee, PROA_RECORD_EXT_MAX);
    self.ext_len = PROA_RECORD_EXT_MAX;
    return self;
}

static void describe(const struct record *self, struct vector_text *ret)
{
    vector_say(ret, "kind %s\n", self->kind == RECORD_NAME ? "name" : "tombstone");
    vector_say(ret, "flags %u\nslot %u\n", self->flags, self->slot);
    vector_say(ret, "generation %u\nterm %llu\n", self->generation,
               (unsigned long long)self->term);
    vector_say(ret, "issued %llu\n", (unsigned long long)self->issued);
    vector_say(ret, "claim %llu\n", (unsigned long long)self->claim);
    vector_say(ret, "lease %u\ntype %u\n", self->lease, self->type_id);
    vector_say(ret, "uid %llu\n", (unsigned long long)self->actor_uid);
    vector_say_hex(ret, "owner", self->owner.b, sizeof(self->owner.b));
    for (int i = 0; i < self->endpoint_count; i++) {
        char head[16];

        snprintf(head, sizeof(head), "endpoint %u", self->endpoints[i].family);
        vector_say_hex(ret, head, self->endpoints[i].ip, 16);
        ret->text[ret->len - 1] = ' ';
        vector_say(ret, "%u\n", self->endpoints[i].port);
    }
    vector_say(ret, "name %s\n", self->name);
    vector_say_hex(ret, "ext", self->ext, self->ext_len);
}

/* Reads the vector, compares all fields, and writes it again. */
static void run_vector(const char *name)
{
    const char *block = vector_block(name);
    uint8_t buf[PROA_RECORD_MAX], again[PROA_RECORD_MAX], seed[PROA_SEED_LEN];
    struct vector_text text = {0};
    struct identity signer;
    struct kad_id target;
    struct record record;
    size_t len = vector_hex(block, "hex", buf, sizeof(buf)), again_len;

    vector_bytes(block, "target", target.b, sizeof(target.b));
    assert_int_equal(record_open(&record, buf, len, &target), 0);
    describe(&record, &text);
    assert_string_equal(text.text, vector_after(block, "hex"));

    vector_bytes(block, "seed", seed, sizeof(seed));
    assert_int_equal(identity_init(&signer, seed), 0);
    assert_int_equal(record_sign(&record, &signer, again, &again_len), 0);
    assert_int_equal(again_len, len);
    assert_memory_equal(again, buf, len);
}

static void open__vector_of_a_name(void **state)
{
    (void)state;
    run_vector("record_name");
}

static void open__vector_of_a_tombstone(void **state)
{
    (void)state;
    run_vector("record_tombstone");
}

static void sign__smallest_and_largest(void **state)
{
    struct identity signer = identity_of(1);
    struct record small = fields(), large = largest(), got;
    uint8_t buf[PROA_RECORD_MAX];
    size_t len;

    (void)state;
    assert_int_equal(record_sign(&small, &signer, buf, &len), 0);
    assert_int_equal(len, PROA_RECORD_MIN);
    assert_int_equal(record_open(&got, buf, len, NULL), 0);
    assert_int_equal(record_sign(&large, &signer, buf, &len), 0);
    assert_int_equal(len, PROA_RECORD_MAX);
    assert_int_equal(record_open(&got, buf, len, NULL), 0);
    assert_memory_equal(got.endpoints, large.endpoints, sizeof(got.endpoints));
    assert_memory_equal(got.name, large.name, sizeof(got.name));
    assert_memory_equal(got.key, signer.public_key, sizeof(got.key));
    assert_true(kad_id_equal(&got.owner, &signer.id));
}

static void sign__refuses_what_decode_would(void **state)
{
    struct identity signer = identity_of(1);
    uint8_t buf[PROA_RECORD_MAX];
    size_t len = 77;
    struct record bad;

    (void)state;
#define REFUSES(error, change)                                                           \
    do {                                                                                 \
        bad = fields();                                                                  \
        change;                                                                          \
        assert_int_equal(record_sign(&bad, &signer, buf, &len), error);                  \
    } while (0)
    REFUSES(RECORD_E_KIND, bad.kind = 0);
    REFUSES(RECORD_E_KIND, bad.kind = RECORD_NODE);
    REFUSES(RECORD_E_MALFORMED, bad.endpoint_count = 5);
    REFUSES(RECORD_E_MALFORMED, bad.endpoint_count = 1); /* an address of no family */
    REFUSES(RECORD_E_MALFORMED, bad.ext_len = 65);
    REFUSES(RECORD_E_MALFORMED, bad.generation = 0);
    REFUSES(RECORD_E_NAME, bad.name_len = 0);
    REFUSES(RECORD_E_NAME, bad.name_len = 2); /* with its NUL */
    REFUSES(RECORD_E_TIME, bad.lease = 0);
    REFUSES(RECORD_E_TIME, bad.lease = PROA_RECORD_LEASE_MAX_S + 1);
    REFUSES(RECORD_E_TIME, (bad.kind = RECORD_TOMBSTONE, bad.lease = 3601));
    REFUSES(RECORD_E_TIME, bad.claim = 0);
    REFUSES(RECORD_E_TIME, bad.claim = bad.issued + 1);
#undef REFUSES
    assert_int_equal(len, 77);
}

static void sign__refuses_endpoints_of_two_spellings(void **state)
{
    struct identity signer = identity_of(1);
    uint8_t buf[PROA_RECORD_MAX];
    struct record bad = fields();
    size_t len;

    (void)state;
    bad.endpoint_count = 1;
    bad.endpoints[0] = ipv4(1);
    assert_int_equal(record_sign(&bad, &signer, buf, &len), 0);
    bad.endpoints[0].family = 6;
    assert_int_equal(record_sign(&bad, &signer, buf, &len), RECORD_E_MALFORMED);
    bad.endpoints[0] = ipv6(1);
    assert_int_equal(record_sign(&bad, &signer, buf, &len), 0);
    bad.endpoints[0].family = 4;
    assert_int_equal(record_sign(&bad, &signer, buf, &len), RECORD_E_MALFORMED);
    bad.endpoints[0] = ipv6(1);
    bad.endpoints[0].port = 0;
    assert_int_equal(record_sign(&bad, &signer, buf, &len), RECORD_E_MALFORMED);
}

static int sign_name(const char *name, size_t name_len)
{
    struct identity signer = identity_of(1);
    uint8_t buf[PROA_RECORD_MAX];
    struct record record = fields();
    size_t len;

    memcpy(record.name, name, name_len);
    record.name_len = (uint8_t)name_len;
    return record_sign(&record, &signer, buf, &len);
}

static void sign__takes_all_of_utf8_and_nothing_else(void **state)
{
    static const char *const good[] = {"\x01",
                                       "\x7f",
                                       "\xc2\x80",
                                       "\xdf\xbf",
                                       "\xe0\xa0\x80",
                                       "\xed\x9f\xbf",
                                       "\xee\x80\x80",
                                       "\xef\xbf\xbf",
                                       "\xe1\x80\xbf",
                                       "a\xf0\x90\x80\x80",
                                       "\xf4\x8f\xbf\xbf",
                                       "\xf1\x80\x80\x80z"};
    static const char *const bad[] = {"\x80",
                                      "\xbf",
                                      "\xc0\x80",
                                      "\xc1\xbf",
                                      "\xc2",
                                      "\xc2z",
                                      "\xe0\x9f\xbf",
                                      "\xed\xa0\x80",
                                      "\xe1\x80",
                                      "\xe1\x80\xc0",
                                      "\xf0\x8f\xbf\xbf",
                                      "\xf4\x90\x80\x80",
                                      "\xf5\x80\x80\x80",
                                      "\xff",
                                      "ok\xf1\x80\x80",
                                      "\xf1\x80\x80\x7f"};

    (void)state;
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
        assert_int_equal(sign_name(good[i], strlen(good[i])), 0);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_int_equal(sign_name(bad[i], strlen(bad[i])), RECORD_E_NAME);
    assert_int_equal(sign_name("a\0b", 3), RECORD_E_NAME);
}

static void decode__refuses_each_wrong_field(void **state)
{
    struct identity signer = identity_of(1);
    struct record record = fields(), got;
    uint8_t good[PROA_RECORD_MAX], buf[PROA_RECORD_MAX];
    size_t len;

    (void)state;
    record.endpoint_count = 1;
    record.endpoints[0] = ipv4(1);
    assert_int_equal(record_sign(&record, &signer, good, &len), 0);
#define REFUSES(error, at, value)                                                        \
    do {                                                                                 \
        memcpy(buf, good, len);                                                          \
        buf[at] = value;                                                                 \
        assert_int_equal(record_decode(&got, buf, len), error);                          \
    } while (0)
    REFUSES(RECORD_E_MALFORMED, 0, 'q');
    REFUSES(RECORD_E_VERSION, AT_VERSION, 2);
    REFUSES(RECORD_E_KIND, AT_KIND, 3);
    REFUSES(RECORD_E_MALFORMED, AT_ENDPOINTS, 5);
    REFUSES(RECORD_E_MALFORMED, AT_ENDPOINTS, 2);
    REFUSES(RECORD_E_MALFORMED, AT_ENDPOINTS, 0);
    REFUSES(RECORD_E_MALFORMED, AT_GENERATION + 3, 0);
    REFUSES(RECORD_E_TIME, AT_LEASE, 1);
    REFUSES(RECORD_E_TIME, AT_CLAIM, 0xff);
    REFUSES(RECORD_E_MALFORMED, AT_FIRST_ENDPOINT, 5);
    REFUSES(RECORD_E_MALFORMED, AT_FIRST_ENDPOINT, 6);
    REFUSES(RECORD_E_MALFORMED, AT_FIRST_ENDPOINT + 19, 2);   /* name length */
    REFUSES(RECORD_E_NAME, AT_FIRST_ENDPOINT + 20, 0);        /* name */
    REFUSES(RECORD_E_MALFORMED, AT_FIRST_ENDPOINT + 21, 1);   /* extension length */
    REFUSES(RECORD_E_MALFORMED, AT_FIRST_ENDPOINT + 22, 255); /* extension length */
#undef REFUSES
    memset(good + AT_CLAIM, 0, 8);
    assert_int_equal(record_decode(&got, good, len), RECORD_E_TIME);
}

static void decode__refuses_every_other_length(void **state)
{
    struct identity signer = identity_of(1);
    struct record record = largest(), got;
    uint8_t buf[PROA_RECORD_MAX + 1] = {0};
    size_t len;

    (void)state;
    assert_int_equal(record_sign(&record, &signer, buf, &len), 0);
    for (size_t cut = 0; cut < len; cut++)
        assert_int_equal(record_decode(&got, buf, cut), RECORD_E_MALFORMED);
    assert_int_equal(record_decode(&got, buf, len + 1), RECORD_E_MALFORMED);
    assert_int_equal(record_decode(&got, buf, len), 0);
}

static void verify__refuses_every_changed_bit(void **state)
{
    const char *block = vector_block("record_name");
    uint8_t buf[PROA_RECORD_MAX];
    struct record got;
    size_t len = vector_hex(block, "hex", buf, sizeof(buf));

    (void)state;
    for (size_t bit = 0; bit < 8 * len; bit++) {
        buf[bit / 8] ^= (uint8_t)(1 << bit % 8);
        assert_int_not_equal(record_open(&got, buf, len, NULL), 0);
        buf[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    assert_int_equal(record_open(&got, buf, len, NULL), 0);
}

static void verify__refuses_another_target(void **state)
{
    struct identity signer = identity_of(1);
    struct record record = fields(), got;
    uint8_t buf[PROA_RECORD_MAX];
    struct kad_id target;
    size_t len;

    (void)state;
    assert_int_equal(record_sign(&record, &signer, buf, &len), 0);
    record_target(&record, &target);
    assert_int_equal(record_open(&got, buf, len, &target), 0);
    kad_id_of_group("n", 1, &target);
    assert_int_equal(record_open(&got, buf, len, &target), RECORD_E_TARGET);
}

/* A statement of owner `who` (1, 2, 3) for the rule's tests. */
static struct record said(uint8_t who, enum record_kind kind, uint64_t term,
                          uint64_t claim, uint64_t issued)
{
    struct record self = fields();

    self.kind = (uint8_t)kind;
    self.term = term;
    self.claim = claim;
    self.issued = issued;
    self.key[0] = who;
    self.owner.b[0] = who;
    return self;
}

static void wins(struct record a, struct record b)
{
    assert_true(record_compare_readers(&a, &b) < 0);
    assert_true(record_compare_readers(&b, &a) > 0);
}

static void compare_readers__applies_the_rule_in_order(void **state)
{
    (void)state;
    wins(said(2, RECORD_NAME, 2, 9, 9), said(1, RECORD_NAME, 1, 1, 10));
    wins(said(2, RECORD_NAME, 1, 1, 1), said(1, RECORD_NAME, 1, 2, 2));
    wins(said(1, RECORD_NAME, 1, 5, 5), said(2, RECORD_NAME, 1, 5, 9));
    wins(said(1, RECORD_NAME, 1, 5, 6), said(1, RECORD_NAME, 1, 5, 5));
    wins(said(1, RECORD_TOMBSTONE, 1, 5, 6), said(1, RECORD_NAME, 1, 5, 5));
    wins(said(1, RECORD_TOMBSTONE, 2, 5, 6), said(2, RECORD_NAME, 1, 5, 7));
    wins(said(2, RECORD_NAME, 1, 7, 7), said(1, RECORD_TOMBSTONE, 1, 5, 6));

    struct record a = said(1, RECORD_NAME, 1, 5, 5), b = a;
    assert_int_equal(record_compare_readers(&a, &b), 0);
    assert_true(record_same_owner(&a, &b));
}

/* A claimed, withdrew for B, and one storer still has A's claim. */
static void pick__an_outdated_claim_does_not_come_back(void **state)
{
    struct record claim = said(1, RECORD_NAME, 1, 5, 5);
    struct record gone = said(1, RECORD_TOMBSTONE, 1, 5, 6);
    struct record other = said(2, RECORD_NAME, 1, 7, 7);
    const struct record *orders[6][3] = {
        {&claim, &gone, &other}, {&claim, &other, &gone}, {&gone, &claim, &other},
        {&gone, &other, &claim}, {&other, &claim, &gone}, {&other, &gone, &claim}};

    (void)state;
    for (int i = 0; i < 6; i++)
        assert_ptr_equal(orders[i][record_pick(orders[i], 3)], &other);
    const struct record *two[2] = {&claim, &gone};
    assert_int_equal(record_pick(two, 2), 1);
    assert_int_equal(record_pick(two, 1), 0);
}

static void pick__does_not_depend_on_order(void **state)
{
    uint64_t rng = 4711;

    (void)state;
    print_message("seed %llu\n", (unsigned long long)rng);
    for (int round = 0; round < 3000; round++) {
        struct record set[6];
        const struct record *list[6];

        for (int i = 0; i < 6; i++) {
            rng = rng * 6364136223846793005u + 1442695040888963407u;
            uint8_t who = (uint8_t)(1 + (rng >> 40) % 3);
            enum record_kind kind = (rng >> 50) % 3 ? RECORD_NAME : RECORD_TOMBSTONE;
            /* An owner issues each value once: i makes them differ. */
            set[i] = said(who, kind, 1 + (rng >> 45) % 2, 1 + (rng >> 55) % 3,
                          10 * (1 + (rng >> 35) % 3) + (uint64_t)i);
            list[i] = &set[i];
        }
        const struct record *best = list[record_pick(list, 6)];
        for (int turn = 0; turn < 10; turn++) {
            rng = rng * 6364136223846793005u + 1442695040888963407u;
            size_t a = (rng >> 33) % 6, b = (rng >> 43) % 6;
            const struct record *swap = list[a];

            list[a] = list[b];
            list[b] = swap;
            assert_ptr_equal(list[record_pick(list, 6)], best);
        }
    }
}

static void type_id__vector(void **state)
{
    (void)state;
    assert_int_equal(record_type_id("printer", 7),
                     vector_number(vector_block("targets"), "type", 16));
}

static void clock_next__never_goes_back(void **state)
{
    uint64_t first = record_clock_next(0, NOW);

    (void)state;
    assert_true(record_clock_ms(first) == NOW);
    assert_true(record_clock_next(first, NOW) == first + 1);
    assert_true(record_clock_next(first, NOW - 5000) == first + 1);
    assert_true(record_clock_next(first, NOW + 1) == first + 65536);
    assert_true(record_clock_ms(record_clock_next(first + 65535, NOW)) == NOW + 1);
}

static void is_ahead__allows_60_s(void **state)
{
    uint64_t issued = record_clock_next(0, NOW + 60000);

    (void)state;
    assert_false(record_is_ahead(issued, NOW));
    assert_true(record_is_ahead(issued, NOW - 1));
    assert_true(record_is_ahead(UINT64_MAX, NOW));
}

static void left_ms__counts_down_from_issued(void **state)
{
    struct record record = fields();

    (void)state;
    record.lease = 10;
    assert_int_equal(record_left_ms(&record, NOW - 1000), 10000);
    assert_int_equal(record_left_ms(&record, NOW), 10000);
    assert_int_equal(record_left_ms(&record, NOW + 9999), 1);
    assert_int_equal(record_left_ms(&record, NOW + 10000), 0);
    assert_int_equal(record_left_ms(&record, UINT64_MAX), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(open__vector_of_a_name),
        cmocka_unit_test(open__vector_of_a_tombstone),
        cmocka_unit_test(sign__smallest_and_largest),
        cmocka_unit_test(sign__refuses_what_decode_would),
        cmocka_unit_test(sign__refuses_endpoints_of_two_spellings),
        cmocka_unit_test(sign__takes_all_of_utf8_and_nothing_else),
        cmocka_unit_test(decode__refuses_each_wrong_field),
        cmocka_unit_test(decode__refuses_every_other_length),
        cmocka_unit_test(verify__refuses_every_changed_bit),
        cmocka_unit_test(verify__refuses_another_target),
        cmocka_unit_test(compare_readers__applies_the_rule_in_order),
        cmocka_unit_test(pick__an_outdated_claim_does_not_come_back),
        cmocka_unit_test(pick__does_not_depend_on_order),
        cmocka_unit_test(type_id__vector),
        cmocka_unit_test(clock_next__never_goes_back),
        cmocka_unit_test(is_ahead__allows_60_s),
        cmocka_unit_test(left_ms__counts_down_from_issued),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
