/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "pcapng.h"
#include "pcapng_walk.h"

static uint8_t buf[8192];

static struct pcapng fresh(size_t cap)
{
    memset(buf, 0xa5, sizeof(buf));
    return (struct pcapng){.buf = buf, .cap = cap};
}

static struct walk_block only_block(const struct pcapng *to)
{
    struct walk_block block, more;
    size_t at = 0;

    assert_true(walk_next(to->buf, to->len, &at, &block));
    assert_false(walk_next(to->buf, to->len, &at, &more));
    return block;
}

static void assert_text(const struct walk_block *block, size_t from, unsigned code,
                        const char *text)
{
    size_t len = 0;
    const uint8_t *value = walk_option(block, from, code, &len);

    assert_non_null(value);
    assert_int_equal(len, strlen(text));
    assert_memory_equal(value, text, len);
}

static void section__has_order_version_and_program(void **state)
{
    struct pcapng to = fresh(sizeof(buf));
    struct walk_block block;

    (void)state;
    assert_true(pcapng_section(&to, "proa 1"));
    block = only_block(&to);
    assert_int_equal(block.type, 0x0a0d0d0a);
    assert_int_equal(proa_get_le32(block.body), 0x1a2b3c4d);
    assert_int_equal(proa_get_le16(block.body + 4), 1);
    assert_int_equal(proa_get_le16(block.body + 6), 0);
    assert_true(proa_get_le64(block.body + 8) == UINT64_MAX);
    assert_text(&block, 16, 4, "proa 1");
}

static void interface__has_names_and_nanoseconds(void **state)
{
    static char longest[2 * PCAPNG_TEXT_MAX];
    struct pcapng to = fresh(sizeof(buf));
    struct walk_block block;
    const uint8_t *value;
    size_t len = 0;

    (void)state;
    memset(longest, 'x', sizeof(longest) - 1);
    assert_true(pcapng_interface(&to, "udp:127.0.0.1", longest, 77));
    block = only_block(&to);
    assert_int_equal(block.type, 1);
    assert_int_equal(proa_get_le16(block.body), PCAPNG_LINKTYPE_RAW);
    assert_int_equal(proa_get_le32(block.body + 4), 77);
    assert_text(&block, 8, 2, "udp:127.0.0.1");
    value = walk_option(&block, 8, 9, &len);
    assert_true(value != NULL && len == 1 && *value == 9);
    assert_non_null(walk_option(&block, 8, 3, &len));
    assert_int_equal(len, PCAPNG_TEXT_MAX); /* cut */
}

static void packet__of_every_length(void **state)
{
    static uint8_t data[64];

    (void)state;
    for (uint32_t kept = 0; kept <= sizeof(data); kept++) {
        struct pcapng to = fresh(sizeof(buf));
        struct pcapng_packet packet = {.interface = 2,
                                       .at = 0x0102030405060708,
                                       .out = kept % 2 == 0,
                                       .data = data,
                                       .kept = kept,
                                       .len = kept + 1000};
        struct walk_block block;
        const uint8_t *value;
        size_t len = 0;

        memset(data, (int)kept + 1, sizeof(data));
        assert_true(pcapng_packet(&to, &packet));
        assert_in_range(to.len - kept, 1, PCAPNG_PACKET_MORE);
        block = only_block(&to);
        assert_int_equal(block.type, 6);
        assert_int_equal(proa_get_le32(block.body), 2);
        assert_true(walk_moment(block.body + 4) == packet.at);
        assert_int_equal(proa_get_le32(block.body + 12), kept);
        assert_int_equal(proa_get_le32(block.body + 16), kept + 1000);
        assert_memory_equal(block.body + 20, data, kept);
        value = walk_option(&block, 20 + ((kept + 3) & ~3u), 2, &len);
        assert_true(value != NULL && len == 4);
        assert_int_equal(proa_get_le32(value), kept % 2 == 0 ? 2 : 1);
    }
}

static void statistics__has_all_counts(void **state)
{
    struct pcapng to = fresh(sizeof(buf));
    struct pcapng_statistics statistics = {.interface = 1,
                                           .begin = 0x1111111122222222,
                                           .end = 0x3333333344444444,
                                           .received = 5,
                                           .dropped = 6,
                                           .written = UINT64_MAX};
    struct walk_block block;
    size_t len = 0;

    (void)state;
    assert_true(pcapng_statistics(&to, &statistics));
    block = only_block(&to);
    assert_int_equal(block.type, 5);
    assert_int_equal(proa_get_le32(block.body), 1);
    assert_true(walk_moment(block.body + 4) == statistics.end);
    assert_true(walk_moment(walk_option(&block, 12, 2, &len)) == statistics.begin);
    assert_true(walk_moment(walk_option(&block, 12, 3, &len)) == statistics.end);
    assert_true(proa_get_le64(walk_option(&block, 12, 4, &len)) == 5);
    assert_true(proa_get_le64(walk_option(&block, 12, 5, &len)) == 6);
    assert_true(proa_get_le64(walk_option(&block, 12, 8, &len)) == UINT64_MAX);
}

/* Whatever the room, a block is there whole or not at all, and nothing is written behind it. */
static void all__no_room_changes_nothing(void **state)
{
    const uint8_t data[50] = {1};
    const struct pcapng_packet packet = {.data = data, .kept = 50, .len = 50};
    const struct pcapng_statistics statistics = {.interface = 0};
    unsigned refused = 0;

    (void)state;
    for (size_t cap = 0; cap < 200; cap++) {
        for (unsigned which = 0; which < 4; which++) {
            struct pcapng to = fresh(cap);
            bool ok = which == 0   ? pcapng_section(&to, "program")
                      : which == 1 ? pcapng_interface(&to, "name", "what", 1)
                      : which == 2 ? pcapng_packet(&to, &packet)
                                   : pcapng_statistics(&to, &statistics);

            if (ok)
                only_block(&to);
            else
                refused++;
            assert_true(ok == (to.len > 0));
            assert_true(to.len <= cap);
            assert_int_equal(buf[cap], 0xa5);
        }
    }
    assert_in_range(refused, 4 * 40, 4 * 150);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(section__has_order_version_and_program),
        cmocka_unit_test(interface__has_names_and_nanoseconds),
        cmocka_unit_test(packet__of_every_length),
        cmocka_unit_test(statistics__has_all_counts),
        cmocka_unit_test(all__no_room_changes_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
