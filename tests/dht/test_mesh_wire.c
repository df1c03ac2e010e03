/* SPDX-License-Identifier: Apache-2.0 */
#include "mesh_wire.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define VECTOR_DOCUMENT "wire_mesh.md"
#include "vectors.h"

static const char *const names[MESH_M_COUNT] = {
    [MESH_M_HELLO] = "hello",
    [MESH_M_LINKS] = "links",
    [MESH_M_WANT_LINKS] = "want_links",
    [MESH_M_DELTA] = "delta",
    [MESH_M_DIGEST] = "digest",
    [MESH_M_ASK_HASHES] = "ask_hashes",
    [MESH_M_HASHES] = "hashes",
    [MESH_M_PULL] = "pull",
    [MESH_M_RANGE] = "range",
    [MESH_M_WANT_LOADS] = "want_loads",
    [MESH_M_LOADS] = "loads",
    [MESH_M_ASK_GROUP] = "ask_group",
    [MESH_M_GROUP_PART] = "group_part",
    [MESH_M_LEAVING] = "leaving",
    [MESH_M_CUT] = "cut",
    [MESH_M_REFUSED] = "refused",
    [MESH_M_UNLINKED] = "unlinked",
};

/* The bytes of the vector of a kind. */
static size_t vector_of(enum mesh_message_kind kind, uint8_t buf[MESH_MESSAGE_MAX])
{
    char name[64];

    snprintf(name, sizeof(name), "mesh_%s", names[kind]);
    return vector_hex(vector_block(name), "hex", buf, MESH_MESSAGE_MAX);
}

/* ---- From bytes to words ---- */

static void say_addr(struct vector_text *text, const struct proa_addr *addr)
{
    vector_say(text, "%u ", addr->family);
    for (unsigned i = 0; i < sizeof(addr->ip); i++)
        vector_say(text, "%02x", addr->ip[i]);
    vector_say(text, " %u\n", addr->port);
}

static void say_digest(struct vector_text *text, const struct mesh_digest *digest)
{
    vector_say(text, "version %llu\nroot %016llx\nlinks %016llx\ncount %u\nleaves %u\n",
               (unsigned long long)digest->version, (unsigned long long)digest->root,
               (unsigned long long)digest->links, digest->count, digest->leaves);
}

static void say_entries(struct vector_text *text, struct mesh_span span)
{
    struct mesh_entry entry;

    while (mesh_take_entry(&span, &entry)) {
        vector_say(text, "entry %u %llu ", entry.index,
                   (unsigned long long)entry.version);
        if (entry.kind == 0) {
            vector_say(text, "removed\n");
            continue;
        }
        vector_say(text, "%s %u %u %u ", entry.kind == MESH_NAME ? "name" : "member",
                   entry.slot, entry.generation, entry.type);
        if (entry.kind == MESH_NAME)
            vector_say(text, "%llu %llu %llu ", (unsigned long long)entry.term,
                       (unsigned long long)entry.issued, (unsigned long long)entry.claim);
        vector_say(text, "%.*s\n", entry.len, entry.name);
    }
    assert_int_equal(span.len, 0);
}

static void say_links(struct vector_text *text, struct mesh_span span)
{
    struct proa_addr addr;
    struct kad_id id;

    while (mesh_take_link(&span, &id, &addr)) {
        vector_say(text, "link ");
        for (unsigned i = 0; i < sizeof(id.b); i++)
            vector_say(text, "%02x", id.b[i]);
        vector_say(text, " ");
        say_addr(text, &addr);
    }
}

static void say_lists(struct vector_text *text, const struct mesh_message *message)
{
    struct mesh_load loads[MESH_LOADS_MAX];
    struct mesh_ref refs[MESH_REFS_MAX];

    if (message->kind == MESH_M_LOADS) {
        mesh_get_loads(message, loads);
        for (unsigned i = 0; i < message->count; i++)
            vector_say(text, "load %u %u\n", loads[i].index, loads[i].load);
    } else {
        vector_say(text, "more %u\n", message->more);
        mesh_get_refs(message, refs);
        for (unsigned i = 0; i < message->count; i++)
            vector_say(text, "ref %u %u %u\n", refs[i].slot, refs[i].generation,
                       refs[i].type);
    }
}

static void describe(const struct mesh_message *message, struct vector_text *text)
{
    vector_say(text, "kind %s\n", names[message->kind]);
    if (message->kind == MESH_M_ASK_GROUP || message->kind == MESH_M_GROUP_PART)
        vector_say(text, "serial %u\n", message->serial);
    switch (message->kind) {
    case MESH_M_HELLO:
        vector_say(text, "flags %u\n", message->flags);
        vector_say_hex(text, "id", message->id.b, sizeof(message->id.b));
        vector_say(text, "addr ");
        say_addr(text, &message->addr);
        say_digest(text, &message->digest);
        break;
    case MESH_M_DIGEST:
        say_digest(text, &message->digest);
        break;
    case MESH_M_LINKS:
        say_links(text, message->span);
        break;
    case MESH_M_RANGE:
        vector_say(text, "first %u\nend %u\nversion %llu\n", message->first, message->end,
                   (unsigned long long)message->version);
        say_entries(text, message->span);
        break;
    case MESH_M_DELTA:
        say_entries(text, message->span);
        break;
    case MESH_M_ASK_HASHES:
        vector_say(text, "mask %016llx\n", (unsigned long long)message->mask);
        break;
    case MESH_M_PULL:
        vector_say(text, "mid %u\nmask %08x\n", message->where, (unsigned)message->mask);
        break;
    case MESH_M_HASHES:
        vector_say(text, "where %u\nversion %llu\n", message->where,
                   (unsigned long long)message->version);
        for (unsigned i = 0; i < MESH_FAN; i++)
            if (message->hashes[i] != 0)
                vector_say(text, "hash %u %016llx\n", i,
                           (unsigned long long)message->hashes[i]);
        break;
    case MESH_M_WANT_LOADS:
    case MESH_M_ASK_GROUP:
        vector_say(text, "group %.*s\n", message->len, message->group);
        break;
    case MESH_M_LOADS:
    case MESH_M_GROUP_PART:
        say_lists(text, message);
        break;
    default:
        break;
    }
}

/* ---- And back ---- */

static void encode_lists(struct mesh_writer *w, const struct mesh_message *message)
{
    struct mesh_span span = message->span;
    struct mesh_load loads[MESH_LOADS_MAX];
    struct mesh_ref refs[MESH_REFS_MAX];
    struct mesh_entry entry;
    struct proa_addr addr;
    struct kad_id id;

    if (message->kind == MESH_M_LINKS)
        while (mesh_take_link(&span, &id, &addr))
            assert_true(mesh_put_link(w, &id, &addr));
    if (message->kind == MESH_M_DELTA || message->kind == MESH_M_RANGE)
        while (mesh_take_entry(&span, &entry))
            assert_true(mesh_put_entry(w, &entry));
    if (message->kind == MESH_M_LOADS) {
        mesh_get_loads(message, loads);
        for (unsigned i = 0; i < message->count; i++)
            mesh_put_u32(w, loads[i].index | (uint32_t)loads[i].load << 16);
    }
    if (message->kind == MESH_M_GROUP_PART) {
        mesh_get_refs(message, refs);
        mesh_put_u8(w, message->more);
        for (unsigned i = 0; i < message->count; i++) {
            mesh_put_u32(w, refs[i].slot);
            mesh_put_u32(w, refs[i].generation);
            mesh_put_u32(w, refs[i].type);
        }
    }
}

static size_t encode(const struct mesh_message *message, uint8_t *buf)
{
    struct mesh_writer w;

    mesh_begin(&w, buf, message->kind);
    if (message->kind == MESH_M_ASK_GROUP || message->kind == MESH_M_GROUP_PART)
        mesh_put_u32(&w, message->serial);
    switch (message->kind) {
    case MESH_M_HELLO:
        mesh_put_hello(&w, message->flags, &message->id, &message->addr,
                       &message->digest);
        break;
    case MESH_M_DIGEST:
        mesh_put_digest(&w, &message->digest);
        break;
    case MESH_M_RANGE:
        mesh_begin_range(&w, buf);
        mesh_set_range(&w, message->first, message->end, message->version);
        break;
    case MESH_M_ASK_HASHES:
        mesh_put_u64(&w, message->mask);
        break;
    case MESH_M_PULL:
        mesh_put_u8(&w, (uint8_t)message->where);
        mesh_put_u32(&w, (uint32_t)message->mask);
        break;
    case MESH_M_HASHES:
        mesh_put_u8(&w, (uint8_t)message->where);
        mesh_put_u64(&w, message->version);
        for (unsigned i = 0; i < MESH_FAN; i++)
            mesh_put_u64(&w, message->hashes[i]);
        break;
    case MESH_M_WANT_LOADS:
    case MESH_M_ASK_GROUP:
        mesh_put_group(&w, message->group, message->len);
        break;
    default:
        break;
    }
    encode_lists(&w, message);
    return w.len;
}

static void decode__vectors(void **state)
{
    (void)state;
    for (unsigned kind = 1; kind < MESH_M_COUNT; kind++) {
        uint8_t buf[MESH_MESSAGE_MAX], again[MESH_MESSAGE_MAX];
        size_t len = vector_of((enum mesh_message_kind)kind, buf);
        struct vector_text text = {0};
        struct mesh_message message;
        char name[64];

        assert_true(mesh_decode(&message, buf, len));
        assert_int_equal(message.kind, kind);
        describe(&message, &text);
        snprintf(name, sizeof(name), "mesh_%s", names[kind]);
        assert_string_equal(text.text, vector_after(vector_block(name), "hex"));
        assert_int_equal(encode(&message, again), len);
        assert_memory_equal(again, buf, len);
    }
}

static void hash__as_in_the_vectors(void **state)
{
    uint8_t buf[MESH_MESSAGE_MAX];
    struct mesh_message message;
    struct mesh_entry entry;
    uint64_t root = 0;

    (void)state;
    size_t len = vector_of(MESH_M_RANGE, buf);
    assert_true(mesh_decode(&message, buf, len));
    while (mesh_take_entry(&message.span, &entry))
        root ^= mesh_hash_entry(&entry);
    len = vector_of(MESH_M_LINKS, buf);
    assert_true(mesh_decode(&message, buf, len));
    struct proa_addr addr;
    struct kad_id id;
    uint64_t links = 0;
    while (mesh_take_link(&message.span, &id, &addr))
        links ^= mesh_hash_id(&id);
    len = vector_of(MESH_M_DIGEST, buf);
    assert_true(mesh_decode(&message, buf, len));
    assert_true(message.digest.root == root);
    assert_true(message.digest.links == links);
}

/* ---- Malformed ---- */

/* Its own block, so that ASan sees every overrun. */
static bool decodes(const uint8_t *bytes, size_t len)
{
    struct mesh_message message;
    uint8_t *copy = malloc(len > 0 ? len : 1);

    assert_non_null(copy);
    memcpy(copy, bytes, len);
    bool sound = mesh_decode(&message, copy, len);
    free(copy);
    return sound;
}

static void decode__every_truncation(void **state)
{
    (void)state;
    for (unsigned kind = 1; kind < MESH_M_COUNT; kind++) {
        uint8_t buf[MESH_MESSAGE_MAX + 1];
        size_t len = vector_of((enum mesh_message_kind)kind, buf);
        unsigned sound = 0;

        for (size_t cut = 0; cut < len; cut++)
            sound += decodes(buf, cut);
        /* Lists may end after each element. */
        bool list = kind == MESH_M_LINKS || kind == MESH_M_DELTA || kind == MESH_M_RANGE;
        assert_int_equal(sound, list                        ? 2
                                : kind == MESH_M_LOADS      ? 1
                                : kind == MESH_M_GROUP_PART ? 1
                                                            : 0);
        buf[len] = 0;
        assert_false(decodes(buf, len + 1));
        buf[1] = MESH_VERSION + 1;
        assert_false(decodes(buf, len));
    }
}

static void put_name(uint8_t *at, const char *name, size_t len)
{
    at[0] = (uint8_t)len;
    memcpy(at + 1, name, len);
}

static void decode__wrong_entries(void **state)
{
    const struct mesh_entry member = {.version = 5,
                                      .index = 64,
                                      .kind = MESH_MEMBER,
                                      .generation = 1,
                                      .len = 2,
                                      .name = "ab"};
    uint8_t good[MESH_MESSAGE_MAX], bad[MESH_MESSAGE_MAX];
    struct mesh_writer w;

    (void)state;
    mesh_begin(&w, good, MESH_M_DELTA);
    assert_true(mesh_put_entry(&w, &member));
    assert_true(decodes(good, w.len));
    const struct {
        size_t at;
        uint8_t value;
    } changes[] = {
        {2 + 10, 3},   /* kind */
        {2 + 15, 0},   /* generation */
        {2 + 2, 0},    /* version */
        {2 + 24, 0},   /* a NUL in the name */
        {2 + 25, 0xc3} /* cut UTF-8 */
    };
    for (unsigned i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
        memcpy(bad, good, w.len);
        bad[changes[i].at] = changes[i].value;
        assert_false(decodes(bad, w.len));
    }
    memcpy(bad, good, w.len);
    put_name(bad + 2 + 23, "", 0);
    assert_false(decodes(bad, w.len - 2));
}

static bool range_decodes(uint32_t first, uint32_t end, uint64_t version,
                          const struct mesh_entry *entries, unsigned count)
{
    uint8_t buf[MESH_MESSAGE_MAX];
    struct mesh_writer w;

    mesh_begin_range(&w, buf);
    mesh_set_range(&w, first, end, version);
    for (unsigned i = 0; i < count; i++)
        assert_true(mesh_put_entry(&w, &entries[i]));
    return decodes(buf, w.len);
}

static void decode__wrong_ranges(void **state)
{
    struct mesh_entry two[2] = {{.version = 5,
                                 .index = 64,
                                 .kind = MESH_MEMBER,
                                 .generation = 1,
                                 .len = 1,
                                 .name = "a"},
                                {.version = 6,
                                 .index = 65,
                                 .kind = MESH_MEMBER,
                                 .generation = 1,
                                 .len = 1,
                                 .name = "a"}};

    (void)state;
    assert_true(range_decodes(64, 66, 6, two, 2));
    assert_false(range_decodes(64, 66, 5, two, 2)); /* an entry newer than the range */
    assert_false(range_decodes(64, 65, 6, two, 2)); /* behind its end */
    assert_false(range_decodes(65, 66, 6, two, 2)); /* before its beginning */
    two[1].index = 64;
    assert_false(range_decodes(64, 66, 6, two, 2)); /* twice */
    two[1].index = 63;
    assert_false(range_decodes(0, 128, 6, two, 2)); /* descending */
    two[1] = (struct mesh_entry){.version = 6, .index = 65};
    assert_false(range_decodes(64, 66, 6, two, 2)); /* a removed one */
    assert_true(range_decodes(0, 2048, 6, NULL, 0));
    assert_true(range_decodes(63488, 65536, 6, NULL, 0));
    assert_false(range_decodes(5, 5, 6, NULL, 0));
    assert_false(range_decodes(6, 5, 6, NULL, 0));
    assert_false(range_decodes(2047, 2049, 6, NULL, 0)); /* of two mids */
    assert_false(range_decodes(65535, 65537, 6, NULL, 0));
    assert_false(range_decodes(UINT32_MAX - 1, UINT32_MAX, 6, NULL, 0));
}

static void decode__wrong_numbers(void **state)
{
    const struct {
        enum mesh_message_kind kind;
        size_t at;
        uint8_t value;
    } changes[] = {
        {MESH_M_HELLO, 23, 5},        /* family */
        {MESH_M_HELLO, 24, 1},        /* not a mapped IPv4 address */
        {MESH_M_DIGEST, 2 + 29, 5},   /* more than 1,024 leaves */
        {MESH_M_DIGEST, 2 + 24, 129}, /* more entries than leaves hold */
        {MESH_M_ASK_HASHES, 6, 2},    /* bit 33 */
        {MESH_M_HASHES, 2, 33},       /* where */
        {MESH_M_PULL, 2, 32},         /* mid */
        {MESH_M_GROUP_PART, 6, 2},    /* more */
        {MESH_M_WANT_LOADS, 2, 8},    /* length */
        {MESH_M_ASK_GROUP, 9, 0xff},  /* no UTF-8 */
    };
    uint8_t buf[MESH_MESSAGE_MAX];
    size_t len;

    (void)state;
    for (unsigned i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
        len = vector_of(changes[i].kind, buf);
        assert_true(decodes(buf, len));
        buf[changes[i].at] = changes[i].value;
        assert_false(decodes(buf, len));
    }
    len = vector_of(MESH_M_HELLO, buf);
    memset(buf + 3, 0, 8); /* an id that refs use for nobody */
    assert_false(decodes(buf, len));
    len = vector_of(MESH_M_HELLO, buf);
    memset(buf + 3 + 20 + 17, 0, 2); /* port 0 */
    assert_false(decodes(buf, len));
    len = vector_of(MESH_M_GROUP_PART, buf);
    memset(buf + 11, 0, 4); /* generation */
    assert_false(decodes(buf, len));
    len = vector_of(MESH_M_PULL, buf);
    memset(buf + 3, 0, 4); /* no leaf */
    assert_false(decodes(buf, len));
    len = vector_of(MESH_M_ASK_HASHES, buf);
    memset(buf + 2, 0, 8);
    assert_false(decodes(buf, len));
}

static void decode__counts_too_big(void **state)
{
    static uint8_t buf[2 * MESH_MESSAGE_MAX];
    size_t len = vector_of(MESH_M_GROUP_PART, buf);

    (void)state;
    for (unsigned i = 1; i < MESH_REFS_MAX + 1; i++)
        memcpy(buf + len + 12 * (i - 1), buf + 7, 12);
    assert_true(decodes(buf, 7 + 12 * MESH_REFS_MAX));
    assert_false(decodes(buf, 7 + 12 * (MESH_REFS_MAX + 1)));
    vector_of(MESH_M_LOADS, buf);
    assert_true(decodes(buf, 2 + 4 * MESH_LOADS_MAX));
    assert_false(decodes(buf, 2 + 4 * (MESH_LOADS_MAX + 1)));
    assert_false(decodes(buf, 2));
    vector_of(MESH_M_DELTA, buf);
    assert_false(decodes(buf, MESH_MESSAGE_MAX + 1));
    buf[0] = 0;
    assert_false(decodes(buf, 2));
    buf[0] = MESH_M_COUNT;
    assert_false(decodes(buf, 2));
}

static void put__what_does_not_fit_is_left_out(void **state)
{
    struct mesh_entry entry = {
        .version = 1, .kind = MESH_NAME, .generation = 1, .len = 255};
    uint8_t buf[MESH_MESSAGE_MAX];
    struct mesh_writer w;
    unsigned count = 0;

    (void)state;
    memset(entry.name, 'x', sizeof(entry.name));
    mesh_begin(&w, buf, MESH_M_DELTA);
    while (mesh_put_entry(&w, &entry))
        count++;
    assert_int_equal(count, 3);
    assert_int_equal(w.len, 2 + 3 * MESH_ENTRY_MAX);
    assert_true(decodes(buf, w.len));
    entry.len = (uint8_t)(MESH_MESSAGE_MAX - w.len - 48);
    assert_true(mesh_put_entry(&w, &entry)); /* to the last byte */
    assert_int_equal(w.len, MESH_MESSAGE_MAX);
    assert_true(decodes(buf, w.len));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(decode__vectors),
        cmocka_unit_test(hash__as_in_the_vectors),
        cmocka_unit_test(decode__every_truncation),
        cmocka_unit_test(decode__wrong_entries),
        cmocka_unit_test(decode__wrong_ranges),
        cmocka_unit_test(decode__wrong_numbers),
        cmocka_unit_test(decode__counts_too_big),
        cmocka_unit_test(put__what_does_not_fit_is_left_out),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
