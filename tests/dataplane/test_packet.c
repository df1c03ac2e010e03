/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "packet.h"

/* ---- The vectors of docs/wire.md: bytes to text, and back to bytes ---- */

#define TEXT_MAX 16384
#define VECTORS_AT 25 /* there are so many */

struct vector {
    char name[64];
    char expected[TEXT_MAX]; /* lines of fields, values that went on joined */
    _Alignas(8) uint8_t bytes[2048];
    size_t len;
};

static char text[TEXT_MAX];
static size_t text_len;

static void say(const char *format, ...) __attribute__((format(printf, 1, 2)));
static void say(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    text_len += (size_t)vsnprintf(text + text_len, TEXT_MAX - text_len, format, args);
    va_end(args);
    assert_true(text_len < TEXT_MAX);
}

static void say_hex(const char *key, const uint8_t *bytes, size_t len)
{
    say(len > 0 ? "%s " : "%s", key);
    for (size_t i = 0; i < len; i++)
        say("%02x", bytes[i]);
    say("\n");
}

static FILE *open_document(void)
{
    const char *slash = strrchr(__FILE__, '/');
    char path[1024];

    snprintf(path, sizeof(path), "%.*s../../docs/wire.md",
             slash != NULL ? (int)(slash - __FILE__) + 1 : 0, __FILE__);
    FILE *file = fopen(path, "r");
    if (file == NULL)
        fail_msg("cannot open %s: run the test from the build directory", path);
    return file;
}

/* Joins lines that begin with a space to the one before. */
static void take_line(char *all, size_t *len, const char *line)
{
    const char *from = line;

    if (line[0] == ' ') {
        assert_true(*len > 0);
        --*len; /* the newline; a space instead when the value begins here */
        const char *before = all + *len;
        while (before > all && before[-1] != '\n')
            before--;
        if (memchr(before, ' ', (size_t)(all + *len - before)) == NULL)
            all[(*len)++] = ' ';
        from += strspn(line, " ");
    }
    assert_true(*len + strlen(from) + 2 < TEXT_MAX);
    strcpy(all + *len, from);
    *len += strlen(from);
}

static void take_hex(struct vector *v)
{
    char *end = strchr(v->expected, '\n');

    assert_memory_equal(v->expected, "hex ", 4);
    v->len = 0;
    for (const char *at = v->expected + 4; at < end; at += 2) {
        unsigned byte;
        assert_int_equal(sscanf(at, "%2x", &byte), 1);
        assert_true(v->len < sizeof(v->bytes));
        v->bytes[v->len++] = (uint8_t)byte;
    }
    memmove(v->expected, end + 1, strlen(end + 1) + 1);
}

/* The next vector of the document. False: no more. */
static bool next_vector(FILE *file, struct vector *v)
{
    char line[512];
    size_t len = 0;
    bool inside = false;

    while (fgets(line, sizeof(line), file) != NULL) {
        if (inside && strncmp(line, "```", 3) == 0) {
            take_hex(v);
            return true;
        }
        if (inside)
            take_line(v->expected, &len, line);
        else
            inside = sscanf(line, "vector %63s", v->name) == 1;
    }
    return false;
}

static void say_message(const struct packet_message *m)
{
    say("message flags %02x class %u hops %u type %08x len %u\n", m->flags, m->cls,
        m->hops, m->type, m->len);
    if (!(m->flags & PACKET_MSG_SAME)) {
        say("dst %08x %08x\n", (uint32_t)m->dst, (uint32_t)(m->dst >> 32));
        say("src %08x %08x\n", (uint32_t)m->src, (uint32_t)(m->src >> 32));
    }
    if (m->flags & PACKET_MSG_FRAG)
        say("fragment stream %u offset %u total %u\n", m->stream, m->offset, m->total);
    if (m->flags & PACKET_MSG_FOREIGN)
        say("foreign %016llx\n", (unsigned long long)m->src_node);
    if (m->flags & (PACKET_MSG_ASK | PACKET_MSG_REPLY))
        say("correlation %u us_left %u\n", m->correlation, m->us_left);
    say_hex("payload", m->payload, m->len);
}

/* Reads all messages, and writes them again behind `again`. Returns where it ended. */
static bool messages(const struct vector *v, uint8_t *again)
{
    const uint8_t *at = v->bytes + PACKET_HEADER_LEN, *end = v->bytes + v->len;
    struct packet_message m = {0};
    int count = packet_messages_check(at, end);

    if (count < 0)
        return false;
    for (; at < end; count--) {
        at = packet_message_get(at, end, &m);
        assert_non_null(at);
        say_message(&m);
        size_t wrote = packet_message_put(again, &m);
        assert_int_equal(wrote, packet_overhead(m.flags));
        memcpy(again + wrote, m.payload, m.len);
        memset(again + wrote + m.len, 0, packet_padded(m.len) - m.len);
        again += wrote + packet_padded(m.len);
    }
    assert_int_equal(count, 0);
    return true;
}

static void say_header(const struct packet_header *h)
{
    say("flags %02x\nattempt %u\nwindow %u\nseq %08x\nack %08x\nsack %016llx\n", h->flags,
        h->attempt, h->window, h->seq, h->ack, (unsigned long long)h->sack);
    if (h->trigger_valid)
        say("trigger %d attempt %u\n", h->trigger, h->trigger_attempt);
    else
        say("trigger none\n");
    if (h->host_delay != PACKET_HOST_DELAY_NONE)
        say("host_delay %u\n", h->host_delay);
    else
        say("host_delay none\n");
}

static void open_packet(const struct vector *v, unsigned kind, uint8_t *again)
{
    struct packet_open o;

    assert_int_equal(packet_open_get(v->bytes, v->len, &o), 0);
    say("src_node %016llx\ndst_node %016llx\nnonce %016llx\necho %016llx\nlink %016llx\n",
        (unsigned long long)o.src_node, (unsigned long long)o.dst_node,
        (unsigned long long)o.nonce, (unsigned long long)o.echo,
        (unsigned long long)o.link);
    say("start %08x\npeer_start %08x\nmtu %u\nlane %u\nlanes %u\n", o.start, o.peer_start,
        o.mtu, o.lane, o.lanes);
    say_hex("public_key", o.public_key, sizeof(o.public_key));
    say_hex("signature", o.signature, sizeof(o.signature));
    say_hex("kx", o.kx, sizeof(o.kx));
    say("padding %zu\n", v->len - PACKET_OPEN_LEN - PACKET_TAG_LEN);
    packet_open_put(again, v->len, (enum packet_kind)kind, &o);
}

static void ping_packet(const struct vector *v, unsigned kind, uint8_t *again)
{
    struct packet_ping p;

    assert_int_equal(packet_ping_get(v->bytes, v->len, &p), 0);
    say("src_node %016llx\ndst_node %016llx\nnonce %016llx\necho %016llx\nlink %016llx\n",
        (unsigned long long)p.src_node, (unsigned long long)p.dst_node,
        (unsigned long long)p.nonce, (unsigned long long)p.echo,
        (unsigned long long)p.link);
    say("flags %u\nloop_gap %u\n", p.flags, p.loop_gap_us);
    assert_int_equal(packet_ping_put(again, (enum packet_kind)kind, &p), PACKET_PING_LEN);
}

/* Says what is in the vector's packet and writes it again. False: malformed. */
static bool describe(const struct vector *v, uint8_t *again)
{
    struct packet_header h;

    text_len = 0;
    text[0] = '\0';
    if (packet_header_get(v->bytes, v->len, &h) != 0)
        return false;
    say("kind %s\ndst_link %016llx\n", packet_kind_name(h.kind),
        (unsigned long long)h.dst_link);
    packet_header_put(again, &h);
    if (packet_kind_is_keyed(h.kind)) {
        if (h.kind <= PACKET_OPEN)
            open_packet(v, h.kind, again);
        else
            ping_packet(v, h.kind, again);
        memcpy(again + v->len - PACKET_TAG_LEN, v->bytes + v->len - PACKET_TAG_LEN,
               PACKET_TAG_LEN);
        return true;
    }
    say_header(&h);
    if (h.kind == PACKET_DATA)
        return messages(v, again + PACKET_HEADER_LEN);
    say_hex("bitmap", v->bytes + PACKET_HEADER_LEN, v->len - PACKET_HEADER_LEN);
    memcpy(again + PACKET_HEADER_LEN, v->bytes + PACKET_HEADER_LEN,
           v->len - PACKET_HEADER_LEN);
    return true;
}

static void vectors__bytes_to_fields_and_back(void **state)
{
    static struct vector v;
    static uint8_t again[2048];
    FILE *file = open_document();
    int count = 0;

    (void)state;
    while (next_vector(file, &v)) {
        memset(again, 0xaa, sizeof(again));
        if (!describe(&v, again))
            strcpy(text, "malformed\n");
        if (strcmp(text, v.expected) != 0)
            fail_msg("vector %s: expected\n%s, read\n%s", v.name, v.expected, text);
        if (strcmp(text, "malformed\n") != 0)
            assert_memory_equal(again, v.bytes, v.len);
        count++;
    }
    fclose(file);
    assert_int_equal(count, VECTORS_AT);
}

/* ---- Header ---- */

static void header_get__short_version_kind(void **state)
{
    struct packet_header h;
    uint8_t data[PACKET_HEADER_LEN] = {0x01};

    (void)state;
    assert_int_equal(packet_header_get(data, 31, &h), PACKET_E_SHORT);
    assert_int_equal(packet_header_get(data, 32, &h), 0);
    data[0] = 0x00;
    assert_int_equal(packet_header_get(data, 32, &h), PACKET_E_VERSION);
    data[0] = 0x91;
    assert_int_equal(packet_header_get(data, 32, &h), PACKET_E_KIND);
}

static void header_put__trigger_keeps_its_sign(void **state)
{
    static const int16_t triggers[] = {-2048, -1, 0, 1, 2047};
    uint8_t data[PACKET_HEADER_LEN];

    (void)state;
    for (size_t i = 0; i < 5; i++) {
        struct packet_header h = {
            .trigger = triggers[i], .trigger_attempt = 7, .trigger_valid = true};
        struct packet_header back;
        packet_header_put(data, &h);
        assert_int_equal(packet_header_get(data, sizeof(data), &back), 0);
        assert_int_equal(back.trigger, triggers[i]);
        assert_int_equal(back.trigger_attempt, 7);
        assert_true(back.trigger_valid);
    }
}

/* ---- Keyed ---- */

static struct packet_open some_open(void)
{
    return (struct packet_open){.src_node = 1,
                                .dst_node = 2,
                                .nonce = 3,
                                .echo = 4,
                                .link = 5,
                                .peer_link = 6,
                                .mtu = 1448,
                                .lanes = 1};
}

static void open_get__refuses_fields_that_cannot_be(void **state)
{
    uint8_t buf[300];
    struct packet_open o, back;

    (void)state;
    packet_open_put(buf, sizeof(buf), PACKET_OPEN, &(struct packet_open){0});
    assert_int_equal(packet_open_get(buf, sizeof(buf), &back), PACKET_E_FIELD);
    for (int i = 0; i < 6; i++) {
        o = some_open();
        o.src_node = i == 0 ? 0 : o.src_node;
        o.link = i == 1 ? 0 : o.link;
        o.mtu = i == 2 ? PACKET_MTU_MIN - 1 : i == 3 ? PACKET_LEN_MAX + 1 : o.mtu;
        o.dst_node = i == 4 ? 0 : o.dst_node;
        o.peer_link = i == 5 ? 0 : o.peer_link;
        packet_open_put(buf, sizeof(buf), PACKET_SYNACK, &o);
        assert_int_equal(packet_open_get(buf, sizeof(buf), &back), PACKET_E_FIELD);
    }
    o = some_open();
    packet_open_put(buf, sizeof(buf), PACKET_SYNACK, &o);
    assert_int_equal(packet_open_get(buf, sizeof(buf), &back), 0);
    assert_int_equal(packet_open_get(buf, PACKET_OPEN_LEN + PACKET_TAG_LEN - 1, &back),
                     PACKET_E_SHORT);
    buf[8] ^= 1; /* dst_link contradicts peer_link */
    assert_int_equal(packet_open_get(buf, sizeof(buf), &back), PACKET_E_FIELD);
}

static void open_get__a_syn_knows_no_peer_link(void **state)
{
    uint8_t buf[PACKET_OPEN_LEN + PACKET_TAG_LEN];
    struct packet_open o = some_open(), back;

    (void)state;
    packet_open_put(buf, sizeof(buf), PACKET_SYN, &o);
    assert_int_equal(packet_open_get(buf, sizeof(buf), &back), PACKET_E_FIELD);
    o.peer_link = o.dst_node = 0;
    packet_open_put(buf, sizeof(buf), PACKET_SYN, &o);
    assert_int_equal(packet_open_get(buf, sizeof(buf), &back), 0);
    assert_int_equal(packet_ping_get(buf, sizeof(buf), &(struct packet_ping){0}),
                     PACKET_E_KIND);
}

static void ping_get__short_or_nameless(void **state)
{
    uint8_t buf[PACKET_PING_LEN + PACKET_TAG_LEN] = {0};
    struct packet_ping p = {.src_node = 1, .dst_node = 2, .peer_link = 3}, back;

    (void)state;
    packet_ping_put(buf, PACKET_CLOSE, &p);
    assert_int_equal(packet_ping_get(buf, sizeof(buf), &back), 0);
    assert_int_equal(back.peer_link, 3);
    assert_int_equal(packet_ping_get(buf, sizeof(buf) - 1, &back), PACKET_E_SHORT);
    p.dst_node = 0;
    packet_ping_put(buf, PACKET_CLOSE, &p);
    assert_int_equal(packet_ping_get(buf, sizeof(buf), &back), PACKET_E_FIELD);
}

/* ---- Messages ---- */

/* Every cut of a sound packet is refused or ends at a message's end, and the two readers of
   messages agree about it. */
static void messages_check__agrees_with_message_get_on_every_cut(void **state)
{
    static _Alignas(8) uint8_t buf[512];
    struct packet_message m = {.len = 13, .type = 5, .dst = 1, .src = 2};
    size_t len = 0;

    (void)state;
    for (int i = 0; i < 6; i++) {
        static const uint8_t flags[] = {0x00, 0x20, 0x01, 0x22, 0x10, 0x28};
        m.flags = flags[i];
        m.src_node = 9;
        m.total = 13;
        len += packet_message_put(buf + len, &m);
        len += packet_padded(m.len);
    }
    assert_int_equal(packet_messages_check(buf, buf + len), 6);
    for (size_t cut = 0; cut < len; cut++) {
        struct packet_message got = {0};
        const uint8_t *at = buf;
        int count = 0;
        while (at != NULL && at < buf + cut) {
            at = packet_message_get(at, buf + cut, &got);
            count++;
        }
        if (at == NULL || count == 0 || cut % 8 != 0)
            count = -1;
        assert_int_equal(packet_messages_check(buf, buf + cut), count);
    }
}

/* The short way and the long way through the check agree about every first word. */
static void head_is_plain__is_never_wider_than_message_get(void **state)
{
    static _Alignas(8) uint8_t buf[128];

    (void)state;
    for (uint32_t third = 0; third < 256; third++) {
        for (uint32_t fourth = 0; fourth < 256; fourth++) {
            struct packet_message m = {.seen = true};
            memset(buf, 0, sizeof(buf));
            buf[2] = (uint8_t)third;
            buf[3] = (uint8_t)fourth;
            bool plain = packet_head_is_plain(proa_get_le64(buf));
            bool call = packet_head_is_call(proa_get_le64(buf));
            const uint8_t *next = packet_message_get(buf, buf + sizeof(buf), &m);
            unsigned flags = m.flags & ~PACKET_MSG_SAME;
            if (plain || call)
                assert_non_null(next);
            if (next == NULL)
                continue;
            assert_int_equal(plain, flags == 0);
            assert_int_equal(call, flags == PACKET_MSG_ASK || flags == PACKET_MSG_REPLY);
        }
    }
}

static uint32_t random_of(uint64_t *state, uint32_t below)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)((*state >> 33) % below);
}

/* The two ways through the check agree about messages of all sorts, sound and not. */
static void messages_check__agrees_with_message_get_on_random_messages(void **state)
{
    static const uint32_t us_left[] = {0, 1, PACKET_US_LEFT_MAX, PACKET_US_LEFT_MAX + 1};
    static _Alignas(8) uint8_t buf[512];
    uint64_t random = 1;

    (void)state;
    for (uint32_t round = 0; round < 20000; round++) {
        struct packet_message m = {.seen = false};
        const uint8_t *at = buf;
        size_t used = 0;
        int count = 0;

        while (used < 400) {
            m.flags = (uint8_t)(random_of(&random, 8) == 0 ? random_of(&random, 256)
                                                           : random_of(&random, 4));
            m.flags |= used > 0 && random_of(&random, 2) ? PACKET_MSG_SAME : 0;
            m.cls = (uint8_t)random_of(&random, 3);
            m.len = (uint16_t)random_of(&random, 40);
            m.us_left = us_left[random_of(&random, 8) == 0 ? 3 : random_of(&random, 3)];
            m.src_node = m.total = 1000;
            used += packet_message_put(buf + used, &m);
            memset(buf + used, 0, packet_padded(m.len));
            used += packet_padded(m.len);
        }
        used -= 8 * random_of(&random, 12);
        m = (struct packet_message){.seen = false};
        while (at != NULL && at < buf + used) {
            at = packet_message_get(at, buf + used, &m);
            count++;
        }
        if (at == NULL)
            count = -1;
        assert_int_equal(packet_messages_check(buf, buf + used), count);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(vectors__bytes_to_fields_and_back),
        cmocka_unit_test(header_get__short_version_kind),
        cmocka_unit_test(header_put__trigger_keeps_its_sign),
        cmocka_unit_test(open_get__refuses_fields_that_cannot_be),
        cmocka_unit_test(open_get__a_syn_knows_no_peer_link),
        cmocka_unit_test(ping_get__short_or_nameless),
        cmocka_unit_test(messages_check__agrees_with_message_get_on_every_cut),
        cmocka_unit_test(head_is_plain__is_never_wider_than_message_get),
        cmocka_unit_test(messages_check__agrees_with_message_get_on_random_messages),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
