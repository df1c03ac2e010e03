/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_record.c - any bytes as a record.  The first byte of the input chooses what is done
   with the rest:

     1  open it as it came: whatever decodes must sign again to the same fields
     2  put our key and our signature into it first, so that the signature's path is reached
     4  take it as the fields of a record to sign: what signs must open to the same fields */
#include "record.h"

#include <sodium.h>
#include <string.h>

#define KEY_AT 56 /* of the public key in a record */
#define PREFIX "proa record"
#define PREFIX_LEN (sizeof(PREFIX) - 1)

#define MUST(cond)                                                                       \
    do {                                                                                 \
        if (!(cond))                                                                     \
            __builtin_trap();                                                            \
    } while (0)

static struct identity self;

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    static const uint8_t seed[PROA_SEED_LEN] = {1};

    (void)argc;
    (void)argv;
    MUST(sodium_init() >= 0);
    MUST(identity_init(&self, seed) == 0);
    return 0;
}

static void must_be_same(const struct record *a, const struct record *b)
{
    MUST(a->kind == b->kind && a->flags == b->flags && a->slot == b->slot);
    MUST(a->generation == b->generation && a->term == b->term);
    MUST(a->issued == b->issued && a->claim == b->claim && a->lease == b->lease);
    MUST(a->type_id == b->type_id && a->actor_uid == b->actor_uid);
    MUST(a->endpoint_count == b->endpoint_count);
    MUST(memcmp(a->endpoints, b->endpoints,
                a->endpoint_count * sizeof(a->endpoints[0])) == 0);
    MUST(a->name_len == b->name_len && memcmp(a->name, b->name, a->name_len) == 0);
    MUST(strlen(b->name) == b->name_len);
    MUST(a->ext_len == b->ext_len && memcmp(a->ext, b->ext, a->ext_len) == 0);
}

/* Signs the fields as ours and opens the result. */
static void must_sign_and_open(const struct record *fields, uint8_t buf[PROA_RECORD_MAX],
                               size_t *ret_len)
{
    struct record again;
    struct kad_id target;

    MUST(record_sign(fields, &self, buf, ret_len) == 0);
    MUST(*ret_len >= PROA_RECORD_MIN && *ret_len <= PROA_RECORD_MAX);
    record_target(fields, &target);
    MUST(record_open(&again, buf, *ret_len, &target) == 0);
    must_be_same(fields, &again);
    MUST(kad_id_equal(&again.owner, &self.id));
    MUST(!record_same_owner(fields, &again) ||
         record_compare_readers(fields, &again) == 0);
    const struct record *pair[2] = {&again, fields};
    MUST(record_pick(pair, 2) < 2);

    target.b[0] ^= 1;
    MUST(record_open(&again, buf, *ret_len, &target) == RECORD_E_TARGET);
    buf[*ret_len - 1] ^= 0x80;
    MUST(record_open(&again, buf, *ret_len, NULL) == RECORD_E_SIGNATURE);
    buf[*ret_len - 1] ^= 0x80;
}

static void try_open(const uint8_t *data, size_t size)
{
    uint8_t buf[PROA_RECORD_MAX];
    struct record record;
    size_t len;

    if (record_decode(&record, data, size) != 0)
        return;
    record_verify(&record, data, size, NULL);
    record_is_ahead(record.issued, 0);
    MUST(record_left_ms(&record, 0) == (uint64_t)record.lease * 1000);
    must_sign_and_open(&record, buf, &len);

    /* One spelling: but for key and signature the very same bytes. */
    MUST(len == size && memcmp(buf, data, KEY_AT) == 0);
    size_t rest = KEY_AT + PROA_PUBLIC_KEY_LEN;
    MUST(memcmp(buf + rest, data + rest, len - rest - PROA_SIGNATURE_LEN) == 0);
}

static void try_resigned(const uint8_t *data, size_t size)
{
    uint8_t buf[PROA_RECORD_MAX], text[PREFIX_LEN + PROA_KAD_ID_LEN + PROA_RECORD_MAX];
    struct record record;
    struct kad_id target;

    if (size < PROA_RECORD_MIN || size > sizeof(buf))
        return;
    memcpy(buf, data, size);
    memcpy(buf + KEY_AT, self.public_key, PROA_PUBLIC_KEY_LEN);
    if (record_decode(&record, buf, size) != 0)
        return;
    size_t signed_len = size - PROA_SIGNATURE_LEN;
    record_target(&record, &target);
    memcpy(text, PREFIX, PREFIX_LEN);
    memcpy(text + PREFIX_LEN, target.b, PROA_KAD_ID_LEN);
    memcpy(text + PREFIX_LEN + PROA_KAD_ID_LEN, buf, signed_len);
    identity_sign(&self, text, PREFIX_LEN + PROA_KAD_ID_LEN + signed_len,
                  buf + signed_len);
    MUST(record_open(&record, buf, size, &target) == 0);
}

static void try_fields(const uint8_t *data, size_t size)
{
    uint8_t buf[PROA_RECORD_MAX];
    struct record record = {0};
    size_t len;

    memcpy(&record, data, size < sizeof(record) ? size : sizeof(record));
    for (int i = 0; i < PROA_RECORD_ENDPOINTS_MAX; i++)
        memset(record.endpoints[i].zero, 0, sizeof(record.endpoints[i].zero));
    if (record_sign(&record, &self, buf, &len) == 0)
        must_sign_and_open(&record, buf, &len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1)
        return 0;
    if (data[0] & 1)
        try_open(data + 1, size - 1);
    if (data[0] & 2)
        try_resigned(data + 1, size - 1);
    if (data[0] & 4)
        try_fields(data + 1, size - 1);
    return 0;
}
