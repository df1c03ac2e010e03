/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "krpc.h"
#include "vectors.h"

#define ID "2:id20:abcdefghij0123456789"
#define TARGET "6:target20:mnopqrstuvwxyz123456"
#define INFO_HASH "9:info_hash20:mnopqrstuvwxyz123456"
#define TAIL "1:t2:aa1:y1:qe"

static struct krpc_message message;
static uint8_t packet[PROA_KRPC_PACKET_MAX];

static int decode(const char *text)
{
    return krpc_decode(&message, (const uint8_t *)text, strlen(text));
}

/* ---- Vectors: every field a message has, as docs/wire_dht.md lists it. ---- */

static void say_span(struct vector_text *text, const char *key, struct bencode_span span)
{
    if (span.at != NULL)
        vector_say_hex(text, key, span.at, span.len);
}

static void say_fixed(struct vector_text *text, const char *key, const uint8_t *at,
                      size_t len)
{
    say_span(text, key, (struct bencode_span){at, len});
}

static void say_int(struct vector_text *text, bool there, const char *key, int64_t value)
{
    if (there)
        vector_say(text, "%s %lld\n", key, (long long)value);
}

static void say_addr(struct vector_text *text, const struct proa_addr *addr)
{
    char family[8];

    snprintf(family, sizeof(family), "%u", addr->family);
    vector_say_hex(text, family, addr->ip, sizeof(addr->ip));
    text->text[text->len - 1] = ' ';
    vector_say(text, "%u\n", addr->port);
}

static void say_nodes(struct vector_text *text, const char *key,
                      const struct krpc_node *nodes, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        vector_say_hex(text, key, nodes[i].id.b, PROA_KAD_ID_LEN);
        text->text[text->len - 1] = ' ';
        say_addr(text, &nodes[i].addr);
    }
}

static void describe_body(const struct krpc_message *m, struct vector_text *text)
{
    say_fixed(text, "c", m->nonce, PROA_PROOF_NONCE_LEN);
    say_int(text, m->has & KRPC_HAS_CAS, "cas", m->cas);
    say_fixed(text, "id", m->has & KRPC_HAS_ID ? m->id.b : NULL, PROA_KAD_ID_LEN);
    say_int(text, m->implied_port, "implied_port", 1);
    say_fixed(text, "k", m->k, PROA_PUBLIC_KEY_LEN);
    say_fixed(text, "ks", m->proof, PROA_SIGNATURE_LEN);
    say_span(text, "lack", m->lack);
    say_int(text, m->has & KRPC_HAS_LEASE, "lease", m->lease);
    say_nodes(text, "node", m->nodes, m->node_count);
    say_nodes(text, "node6", m->nodes6, m->node6_count);
    say_int(text, m->has & KRPC_HAS_OK, "ok", m->ok);
    say_span(text, "pairs", m->pairs);
    say_int(text, m->has & KRPC_HAS_PORT, "port", m->port);
    say_span(text, "salt", m->salt);
    say_int(text, m->has & KRPC_HAS_SEQ, "seq", m->seq);
    say_fixed(text, "sig", m->sig, PROA_SIGNATURE_LEN);
    say_fixed(text, "target", m->has & KRPC_HAS_TARGET ? m->target.b : NULL,
              PROA_KAD_ID_LEN);
    say_span(text, "targets", m->targets);
    say_span(text, "token", m->token);
    say_span(text, "v", m->v);
    for (uint32_t i = 0; i < m->value_count; i++) {
        vector_say(text, "value ");
        say_addr(text, &m->values[i]);
    }
    say_int(text, m->want != 0, "want", m->want);
}

static void describe(const struct krpc_message *m, struct vector_text *text)
{
    static const char *const kinds[] = {"query", "response", "error"};

    vector_say(text, "kind %s\n", kinds[m->kind]);
    if (m->kind == KRPC_QUERY)
        vector_say(text, "query %.*s\n", (int)m->query_name.len, m->query_name.at);
    vector_say_hex(text, "t", m->t, m->t_len);
    say_int(text, m->ro, "ro", 1);
    say_int(text, m->has & KRPC_HAS_AN, "an", 1);
    if (m->kind == KRPC_ERROR)
        vector_say(text, "error %d %.*s\n", m->error, (int)m->error_text.len,
                   m->error_text.at);
    describe_body(m, text);
    if (m->has & KRPC_HAS_IP) {
        vector_say(text, "ip ");
        say_addr(text, &m->ip);
    }
    say_span(text, "version", m->version);
}

/* Writes the message and compares it with bytes; the envelope, which krpc_encode leaves
   blank, is compared as blank. */
static void encodes_to(const uint8_t *bytes, size_t len)
{
    uint8_t blank[PROA_KRPC_PACKET_MAX], written[PROA_KRPC_PACKET_MAX];
    static const char head[] = "2:an28:";

    memcpy(blank, bytes, len);
    if (message.has & KRPC_HAS_AN) {
        uint8_t *envelope = memmem(blank, len, head, strlen(head));

        assert_non_null(envelope);
        memset(envelope + strlen(head), 0, 28);
    }
    assert_int_equal(krpc_encode(&message, written, sizeof(written)), len);
    assert_memory_equal(written, blank, len);
}

static void decode__every_vector_and_back(void **state)
{
    static const char *const names[] = {
        "krpc_ping",
        "krpc_ping_answer",
        "krpc_find_node",
        "krpc_find_node_answer",
        "krpc_get_peers",
        "krpc_get_peers_answer",
        "krpc_announce_peer",
        "krpc_error",
        "krpc_get",
        "krpc_put_mutable",
        "krpc_want_read_only",
        "krpc_closed_ping",
        "krpc_closed_ping_answer",
        "krpc_closed_put",
        "krpc_closed_put_refused",
        "krpc_an_watch",
        "krpc_an_watch_renewal",
        "krpc_an_notify",
        "krpc_an_sweep",
        "krpc_an_sweep_answer",
        "krpc_closed_announce",
        "krpc_closed_peers",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        const char *block = vector_block(names[i]);
        struct vector_text text = {0};
        size_t len = vector_hex(block, "hex", packet, sizeof(packet));

        print_message("%s\n", names[i]);
        assert_int_equal(krpc_decode(&message, packet, len), 0);
        describe(&message, &text);
        assert_string_equal(text.text, vector_after(block, "hex"));
        encodes_to(packet, len);
    }
}

/* ---- What decode refuses. ---- */

static void decode__malformed_is_what_cannot_be_answered(void **state)
{
    static const char *const bad[] = {
        "",
        "i1e",
        "le",
        "de",
        "d1:ad" ID "e1:q4:ping1:y1:qe",       /* no t */
        "d1:ad" ID "e1:q4:ping1:t0:1:y1:qe",  /* empty t */
        "d1:ad" ID "e1:q4:ping1:ti1e1:y1:qe", /* t is no string */
        "d1:ad" ID "e1:q4:ping1:t17:aaaaaaaaaaaaaaaaa1:y1:qe",
        "d1:ad" ID "e1:q4:ping1:t2:aae",       /* no y */
        "d1:ad" ID "e1:q4:ping1:t2:aa1:y1:ze", /* no such kind */
        "d1:ad" ID "e1:q4:ping1:t2:aa1:yi1ee",
        "d1:ad" ID "e1:q4:ping1:t2:aa1:y1:qex",        /* bytes behind */
        "d1:ad" ID "e1:q4:ping1:t2:aa1:y1:q",          /* cut */
        "d1:t2:aa1:q4:ping1:y1:qe",                    /* unsorted */
        "d1:ad" ID ID "e1:q4:ping" TAIL,               /* twice */
        "d1:ad" ID "1:zllllllleeeeeeee1:q4:ping" TAIL, /* broken where nobody looks */
        "d1:ad" ID "6:valuesl6:axje.u1:q4:ping" TAIL,
    };

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        if (decode(bad[i]) != KRPC_E_MALFORMED)
            fail_msg("not malformed: %s", bad[i]);
    }
}

static void decode__a_wrong_field_can_be_answered(void **state)
{
    static const struct {
        const char *text;
        int error;
    } bad[] = {
        {"d1:ade1:q4:ping" TAIL, KRPC_E_FIELD}, /* no id */
        {"d1:ad2:id3:abce1:q4:ping" TAIL, KRPC_E_FIELD},
        {"d1:ad2:idi1ee1:q4:ping" TAIL, KRPC_E_FIELD},
        {"d1:q4:ping" TAIL, KRPC_E_FIELD},                       /* no a */
        {"d1:ale1:q4:ping" TAIL, KRPC_E_FIELD},                  /* a is no dictionary */
        {"d1:ad" ID "e1:qi1e" TAIL, KRPC_E_FIELD},               /* q is no string */
        {"d1:ad" ID "e" TAIL, KRPC_E_FIELD},                     /* no q */
        {"d1:ad" ID "e1:q4:ping1:rd" ID "e" TAIL, KRPC_E_FIELD}, /* both a and r */
        {"d1:ad" ID "e1:q9:find_node" TAIL, KRPC_E_FIELD},
        {"d1:ad" ID INFO_HASH "e1:q9:find_node" TAIL, KRPC_E_FIELD},
        {"d1:ad" ID TARGET "e1:q9:get_peers" TAIL, KRPC_E_FIELD},
        {"d1:ad" ID "6:target3:abce1:q3:get" TAIL, KRPC_E_FIELD},
        {"d1:ad" ID "e1:q8:an_watch" TAIL, KRPC_E_FIELD},
        {"d1:ad" ID TARGET "e1:q9:an_notify" TAIL, KRPC_E_FIELD}, /* no v */
        {"d1:ad" ID "1:v1:xe1:q3:put" TAIL, KRPC_E_FIELD},        /* no token */
        {"d1:ad" ID "5:token1:xe1:q3:put" TAIL, KRPC_E_FIELD},    /* no v */
        {"d1:ad" ID
         "1:k32:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa5:token1:x1:v1:xe1:q3:put" TAIL,
         KRPC_E_FIELD}, /* k without sig and seq */
        {"d1:ad" ID "1:k1:ae1:q4:ping" TAIL, KRPC_E_FIELD},
        {"d1:ad" ID "3:seq1:ae1:q4:ping" TAIL, KRPC_E_FIELD},
        {"d1:ad" ID "3:sig1:ae1:q4:ping" TAIL, KRPC_E_FIELD},
        {"d1:ad" ID "4:port1:ae1:q4:ping" TAIL, KRPC_E_FIELD},
        {"d1:ad" ID "4:porti65536ee1:q4:ping" TAIL, KRPC_E_FIELD},
        {"d1:ad" ID "4:porti-1ee1:q4:ping" TAIL, KRPC_E_FIELD},
        {"d1:ad" ID "12:implied_port1:1e1:q4:ping" TAIL, KRPC_E_FIELD},
        {"d1:ad" ID INFO_HASH "5:token1:xe1:q13:announce_peer" TAIL, KRPC_E_FIELD},
        {"d1:ad" ID INFO_HASH "4:porti0e5:token1:xe1:q13:announce_peer" TAIL,
         KRPC_E_FIELD},
        {"d1:ad" ID INFO_HASH "4:porti1ee1:q13:announce_peer" TAIL, KRPC_E_FIELD},
        {"d1:ad" ID "5:nodes25:aaaaaaaaaaaaaaaaaaaaaaaaae1:q4:ping" TAIL, KRPC_E_FIELD},
        {"d1:ad" ID "6:nodes61:ae1:q4:ping" TAIL, KRPC_E_FIELD},
        {"d1:ad" ID "6:values1:ae1:q4:ping" TAIL, KRPC_E_FIELD},
        {"d1:ad" ID "4:wanti4ee1:q4:ping" TAIL, KRPC_E_FIELD},
        {"d1:rd1:xi1ee1:t2:aa1:y1:re", KRPC_E_FIELD}, /* no id */
        {"d1:ad" ID "e1:t2:aa1:y1:re", KRPC_E_FIELD}, /* no r */
        {"d1:rle1:t2:aa1:y1:re", KRPC_E_FIELD},
        {"d1:t2:aa1:y1:ee", KRPC_E_FIELD}, /* no e */
        {"d1:ele1:t2:aa1:y1:ee", KRPC_E_FIELD},
        {"d1:eli1ee1:t2:aa1:y1:ee", KRPC_E_FIELD},
        {"d1:el1:ai1ee1:t2:aa1:y1:ee", KRPC_E_FIELD},
        {"d1:eli4294967296e1:xe1:t2:aa1:y1:ee", KRPC_E_FIELD},
        {"d1:e1:x1:t2:aa1:y1:ee", KRPC_E_FIELD},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        if (decode(bad[i].text) != bad[i].error)
            fail_msg("not %d: %s", bad[i].error, bad[i].text);
        assert_int_equal(message.t_len, 2);
        assert_memory_equal(message.t, "aa", 2);
    }
}

/* A put with a v of len bytes (bencoded) and a salt of salt_len. */
static int decode_put(size_t len, size_t salt_len)
{
    struct bencode_writer writer;
    static const uint8_t zero[2048];

    bencode_write_init(&writer, packet, sizeof(packet));
    bencode_put_raw(&writer, (struct bencode_span){(const uint8_t *)"d1:ad" ID, 5 + 27});
    bencode_put_key(&writer, "salt");
    bencode_put_string(&writer, zero, salt_len);
    bencode_put_key(&writer, "token");
    bencode_put_string(&writer, zero, 4);
    bencode_put_key(&writer, "v");
    bencode_put_string(&writer, zero, len - (len > 103 ? 4 : 3));
    bencode_put_raw(&writer,
                    (struct bencode_span){(const uint8_t *)"e1:q3:put" TAIL, 9 + 14});
    size_t packet_len = bencode_finish(&writer);
    assert_true(packet_len > 0);
    return krpc_decode(&message, packet, packet_len);
}

static void decode__bounds_v_and_salt_by_their_own_errors(void **state)
{
    (void)state;
    assert_int_equal(decode_put(1000, 64), 0);
    assert_int_equal(message.v.len, 1000);
    assert_int_equal(decode_put(1001, 64), KRPC_E_VALUE);
    assert_int_equal(message.query, KRPC_PUT);
    assert_int_equal(decode_put(1000, 65), KRPC_E_SALT);
    assert_int_equal(decode_put(1001, 65), KRPC_E_SALT); /* the first met */
}

static void decode__token_of_40_bytes_and_no_more(void **state)
{
    (void)state;
    assert_int_equal(decode("d1:rd" ID
                            "5:token40:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaae"
                            "1:t2:aa1:y1:re"),
                     0);
    assert_int_equal(message.token.len, 40);
    assert_int_equal(decode("d1:rd" ID
                            "5:token41:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaae"
                            "1:t2:aa1:y1:re"),
                     KRPC_E_FIELD);
}

/* ---- What decode lets pass. ---- */

static void decode__ignores_what_it_does_not_know(void **state)
{
    (void)state;
    assert_int_equal(decode("d1:Alli1eee1:ad1:0le" ID "3:zzzdee1:q4:ping2:roi1e1:t2:aa"
                            "1:v4:ABxy1:y1:q1:zd1:alee"
                            "e"),
                     0);
    assert_int_equal(message.query, KRPC_PING);
    assert_true(message.ro);
    assert_true(bencode_is(message.version, "ABxy"));
    assert_int_equal(message.has, KRPC_HAS_ID);
}

static void decode__our_keys_of_another_form_are_absent(void **state)
{
    (void)state;
    assert_int_equal(decode("d1:ad1:c1:x" ID "2:ks1:x4:lacki1e5:leasei-1e2:okle5:pairs27:"
                            "aaaaaaaaaaaaaaaaaaaaaaaaaaa7:targetsi1ee2:an2:xx2:ip4:abcd"
                            "1:q4:ping2:ro1:y1:t2:aa1:vi1e1:y1:qe"),
                     0);
    assert_int_equal(message.has, KRPC_HAS_ID);
    assert_null(message.nonce);
    assert_null(message.proof);
    assert_null(message.lack.at);
    assert_null(message.pairs.at);
    assert_null(message.targets.at);
    assert_null(message.version.at);
    assert_false(message.ro);
}

static void decode__an_unknown_query_keeps_its_target(void **state)
{
    (void)state;
    assert_int_equal(decode("d1:ad" ID TARGET "e1:q4:vote" TAIL), 0);
    assert_int_equal(message.query, KRPC_UNKNOWN);
    assert_true(message.has & KRPC_HAS_TARGET);
    assert_true(bencode_is(message.query_name, "vote"));
    assert_int_equal(decode("d1:ad" ID INFO_HASH "e1:q4:vote" TAIL), 0);
    assert_true(message.has & KRPC_HAS_TARGET);
    assert_memory_equal(message.target.b, "mnopqrstuvwxyz123456", 20);
    assert_int_equal(decode("d1:ad" ID "e1:q4:vote" TAIL), 0);
    assert_false(message.has & KRPC_HAS_TARGET);
}

static void decode__an_error_needs_no_id_and_may_say_more(void **state)
{
    (void)state;
    assert_int_equal(decode("d1:eli-5e1:xi3ele1:ze1:t2:aa1:y1:ee"), 0);
    assert_int_equal(message.kind, KRPC_ERROR);
    assert_int_equal(message.error, -5);
    assert_true(bencode_is(message.error_text, "x"));
}

static void decode__surplus_nodes_and_odd_peers_are_dropped(void **state)
{
    struct bencode_writer writer;
    static uint8_t compact[20 * PROA_KRPC_NODE_LEN], compact6[2 * PROA_KRPC_NODE6_LEN];

    (void)state;
    for (size_t i = 0; i < 20; i++)
        compact[i * PROA_KRPC_NODE_LEN] = (uint8_t)i;
    compact6[30] = 0xff; /* the first is ::ffff:0.0.0.0: not an IPv6 node */
    compact6[31] = 0xff;
    compact6[PROA_KRPC_NODE6_LEN] = 9;
    bencode_write_init(&writer, packet, sizeof(packet));
    bencode_put_raw(&writer, (struct bencode_span){(const uint8_t *)"d1:rd" ID, 5 + 27});
    bencode_put_key(&writer, "nodes");
    bencode_put_string(&writer, compact, sizeof(compact));
    bencode_put_key(&writer, "nodes6");
    bencode_put_string(&writer, compact6, sizeof(compact6));
    bencode_put_key(&writer, "values");
    bencode_put_list(&writer);
    bencode_put_int(&writer, 5);
    bencode_put_string(&writer, "seven77", 7);
    for (int i = 0; i < PROA_KRPC_VALUES_MAX + 5; i++)
        bencode_put_string(&writer, "axje.u", 6);
    bencode_put_end(&writer);
    bencode_put_raw(&writer,
                    (struct bencode_span){(const uint8_t *)"e1:t2:aa1:y1:re", 15});
    assert_int_equal(krpc_decode(&message, packet, bencode_finish(&writer)), 0);
    assert_int_equal(message.node_count, PROA_KRPC_NODES_MAX);
    assert_int_equal(message.nodes[15].id.b[0], 15);
    assert_int_equal(message.node6_count, 1);
    assert_int_equal(message.nodes6[0].id.b[0], 9);
    assert_int_equal(message.value_count, PROA_KRPC_VALUES_MAX);
}

static void decode__want_takes_any_order_and_company(void **state)
{
    (void)state;
    assert_int_equal(
        decode("d1:ad" ID TARGET "4:wantl2:n6i3e2:n92:n4ee1:q9:find_node" TAIL), 0);
    assert_int_equal(message.want, KRPC_WANT_N4 | KRPC_WANT_N6);
}

/* ---- Encoding. ---- */

static struct proa_addr ipv6_addr(void)
{
    return (struct proa_addr){.ip = {0x20, 0x01}, .port = 1, .family = 6};
}

static void encode__fits_exactly_or_not_at_all(void **state)
{
    uint8_t buf[PROA_KRPC_PACKET_MAX];
    const char *block = vector_block("krpc_closed_put");
    size_t len = vector_hex(block, "hex", packet, sizeof(packet));

    (void)state;
    assert_int_equal(krpc_decode(&message, packet, len), 0);
    for (size_t cap = 0; cap < len; cap++)
        assert_int_equal(krpc_encode(&message, buf, cap), 0);
    assert_int_equal(krpc_encode(&message, buf, len), len);
}

static void encode__refuses_what_decode_would(void **state)
{
    static const uint8_t bytes[2048];

    (void)state;
#define REFUSES(change)                                                                  \
    do {                                                                                 \
        krpc_message_init(&message, KRPC_RESPONSE, "aa", 2);                             \
        message.has = KRPC_HAS_ID;                                                       \
        assert_true(krpc_encode(&message, packet, sizeof(packet)) > 0);                  \
        change;                                                                          \
        assert_int_equal(krpc_encode(&message, packet, sizeof(packet)), 0);              \
    } while (0)
    REFUSES(message.t_len = 0);
    REFUSES(message.t_len = 17);
    REFUSES(message.kind = KRPC_QUERY); /* of no name */
    REFUSES((message.kind = KRPC_QUERY,
             message.query_name = (struct bencode_span){bytes, 65}));
    REFUSES(message.token = ((struct bencode_span){bytes, 41}));
    REFUSES(message.salt = ((struct bencode_span){bytes, 65}));
    REFUSES(message.v = ((struct bencode_span){bytes, 1001}));
    REFUSES(message.pairs = ((struct bencode_span){bytes, 29 * 28}));
    REFUSES(message.pairs = ((struct bencode_span){bytes, 27}));
    REFUSES(message.targets = ((struct bencode_span){bytes, 41 * 20}));
    REFUSES(message.targets = ((struct bencode_span){bytes, 19}));
    REFUSES(message.lack = ((struct bencode_span){bytes, 29}));
    REFUSES(message.node_count = 17);
    REFUSES(message.node6_count = 17);
    REFUSES(message.value_count = 65);
    REFUSES((message.has |= KRPC_HAS_NODES, message.node_count = 1,
             message.nodes[0].addr = ipv6_addr()));
    REFUSES((message.has |= KRPC_HAS_IP, message.ip.family = 0));
#undef REFUSES
}

static void encode__a_node_list_may_be_empty(void **state)
{
    static const char text[] = "d1:rd" ID "5:nodes0:6:nodes60:e1:t2:aa1:y1:re";

    (void)state;
    assert_int_equal(decode(text), 0);
    assert_int_equal(message.has, KRPC_HAS_ID | KRPC_HAS_NODES | KRPC_HAS_NODES6);
    encodes_to((const uint8_t *)text, strlen(text));
}

static void query_name__is_null_only_for_the_unknown(void **state)
{
    (void)state;
    for (int query = KRPC_PING; query < KRPC_UNKNOWN; query++)
        assert_non_null(krpc_query_name((enum krpc_query)query));
    assert_null(krpc_query_name(KRPC_UNKNOWN));
}

static void value_string__takes_one_byte_string_only(void **state)
{
    struct bencode_span bytes, v;
    uint8_t buf[8];

    (void)state;
    v = krpc_value_write("abc", 3, buf, sizeof(buf));
    assert_true(bencode_is(v, "3:abc"));
    assert_true(krpc_value_string(v, &bytes));
    assert_true(bencode_is(bytes, "abc"));
    assert_null(krpc_value_write("abcdefg", 7, buf, sizeof(buf)).at);
    v = (struct bencode_span){(const uint8_t *)"l3:abce", 7};
    assert_false(krpc_value_string(v, &bytes));
    v = (struct bencode_span){(const uint8_t *)"3:abcd", 6};
    assert_false(krpc_value_string(v, &bytes));
    assert_false(krpc_value_string((struct bencode_span){0}, &bytes));
}

static void compact__both_families_and_back(void **state)
{
    static const uint8_t four[6] = {192, 0, 2, 1, 0x1c, 0xe8};
    static const uint8_t mapped[18] = {[10] = 0xff, 0xff, 192, 0, 2, 1, 0x1c, 0xe8};
    uint8_t six[18] = {0x20, 0x01, [15] = 7, 0x1c, 0xe9}, written[18];
    struct proa_addr a, b;

    (void)state;
    assert_true(krpc_compact_read(four, sizeof(four), &a));
    assert_true(krpc_compact_read(mapped, sizeof(mapped), &b));
    assert_memory_equal(&a, &b, sizeof(a));
    assert_int_equal(a.family, 4);
    assert_int_equal(a.port, 7400);
    assert_int_equal(krpc_compact_write(&a, written), 6);
    assert_memory_equal(written, four, 6);
    assert_true(krpc_compact_read(six, sizeof(six), &a));
    assert_int_equal(a.family, 6);
    assert_int_equal(krpc_compact_write(&a, written), 18);
    assert_memory_equal(written, six, 18);
    assert_false(krpc_compact_read(six, 17, &a));
    a.family = 0;
    assert_int_equal(krpc_compact_write(&a, written), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(decode__every_vector_and_back),
        cmocka_unit_test(decode__malformed_is_what_cannot_be_answered),
        cmocka_unit_test(decode__a_wrong_field_can_be_answered),
        cmocka_unit_test(decode__bounds_v_and_salt_by_their_own_errors),
        cmocka_unit_test(decode__token_of_40_bytes_and_no_more),
        cmocka_unit_test(decode__ignores_what_it_does_not_know),
        cmocka_unit_test(decode__our_keys_of_another_form_are_absent),
        cmocka_unit_test(decode__an_unknown_query_keeps_its_target),
        cmocka_unit_test(decode__an_error_needs_no_id_and_may_say_more),
        cmocka_unit_test(decode__surplus_nodes_and_odd_peers_are_dropped),
        cmocka_unit_test(decode__want_takes_any_order_and_company),
        cmocka_unit_test(encode__fits_exactly_or_not_at_all),
        cmocka_unit_test(encode__refuses_what_decode_would),
        cmocka_unit_test(encode__a_node_list_may_be_empty),
        cmocka_unit_test(query_name__is_null_only_for_the_unknown),
        cmocka_unit_test(value_string__takes_one_byte_string_only),
        cmocka_unit_test(compact__both_families_and_back),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
