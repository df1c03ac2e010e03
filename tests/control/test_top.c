/* SPDX-License-Identifier: Apache-2.0 */
/* A node's figures: as lines and back, and as a screen. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "top_lines.h"
#include "top_screen.h"

#define LINES_MAX 256

static char lines[LINES_MAX][TOP_LINE_MAX];
static unsigned line_count;

static void keep(void *ctx, const char *line)
{
    (void)ctx;
    assert_true(line_count < LINES_MAX);
    assert_true(strlen(line) < TOP_LINE_MAX);
    strcpy(lines[line_count++], line);
}

static struct top_snapshot one, two, read_back;

/* Everything as full and as large as it may be. */
static void fill(struct top_snapshot *s)
{
    memset(s, 0, sizeof(*s));
    s->node = 0xfedcba9876543210u;
    strcpy(s->address, "[fd00::1]:7400");
    s->lane_count = PROA_LANES_MAX;
    s->link_count = TOP_LINKS_MAX;
    s->type_count = TOP_TYPES_MAX;
    memset(s->f, 0xff, sizeof(s->f));
    for (unsigned i = 0; i < s->lane_count; i++)
        memset(s->lanes[i].f, 0xff, sizeof(s->lanes[i].f));
    for (unsigned i = 0; i < s->link_count; i++) {
        s->links[i] = (struct top_link){.lane = i % 3, .node = i};
        memset(s->links[i].f, 0xff, sizeof(s->links[i].f));
    }
    for (unsigned i = 0; i < s->type_count; i++) {
        memset(s->types[i].name, 'a' + (int)(i % 26), TOP_TEXT_MAX - 1);
        s->types[i].name[0] = (char)('A' + i / 26);
        memset(s->types[i].f, 0xff, sizeof(s->types[i].f));
    }
}

static int setup(void **state)
{
    (void)state;
    line_count = 0;
    memset(&read_back, 0, sizeof(read_back));
    fill(&one);
    return 0;
}

static void lines__read_back_what_was_printed(void **state)
{
    (void)state;
    top_lines_print(&one, keep, NULL);
    assert_int_equal(line_count, 1 + PROA_LANES_MAX + TOP_LINKS_MAX + TOP_TYPES_MAX);
    for (unsigned i = 0; i < line_count; i++)
        assert_true(top_line_read(&read_back, lines[i]));
    assert_memory_equal(&read_back, &one, sizeof(one));
    /* One more of each is too many. */
    for (unsigned i = 1; i < line_count; i++)
        assert_false(top_line_read(&read_back, lines[i]));
}

static void lines__other_ones_are_refused(void **state)
{
    static const char *const bad[] = {"",
                                      "node",
                                      "nodes 1 a 1 1 1 1 1 1",
                                      "node 1 a",
                                      "node x a 1 2 3 4 5 6",
                                      "node 1 a 1 2 3 4 5",
                                      "node 1 a 1 2 3 4 5 6 7",
                                      "node 1 a 1 2 3 4 5 6 ",
                                      "node 1  1 2 3 4 5 6",
                                      "lane 1 1 2 3 4 5 6 7 8 9 10",
                                      "lane -1 1 2 3 4 5 6 7 8 9 10",
                                      "link 64 1 1 2 3 4 5 6 7",
                                      "link 0 1 1 2 3 4 5 6",
                                      "type 1 2 3",
                                      "type a f 2 3"};

    (void)state;
    for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        memset(&read_back, 0, sizeof(read_back));
        assert_false(top_line_read(&read_back, bad[i]));
    }
}

/* ---- The screen ---- */

static char text[TOP_SCREEN_ROWS_MAX * (TOP_SCREEN_COLUMNS_MAX + 1) + 1];

static void small(struct top_snapshot *s, uint64_t seconds)
{
    memset(s, 0, sizeof(*s));
    s->node = 0xab;
    strcpy(s->address, "10.0.0.1:7400");
    s->f[TOP_NODE_AT] = 5 * PROA_S + seconds * PROA_S;
    s->f[TOP_NODE_NAMES] = 3;
    s->f[TOP_NODE_NODES] = 2;
    s->f[TOP_NODE_DROPS] = 10 * seconds;
    s->f[TOP_NODE_LETTERS] = 7;
    s->lane_count = 1;
    s->lanes[0].f[TOP_LANE_BUSY_NS] = seconds * 250 * PROA_MS;
    s->lanes[0].f[TOP_LANE_IDLE_NS] = seconds * 750 * PROA_MS;
    s->lanes[0].f[TOP_LANE_LOOPS] = seconds * 1234567;
    s->lanes[0].f[TOP_LANE_MESSAGES] = seconds * 45678;
    s->lanes[0].f[TOP_LANE_ACTORS] = 42;
    s->lanes[0].f[TOP_LANE_GAP_NS] = 12300;
    s->link_count = 1;
    s->links[0] = (struct top_link){.node = 0xcd};
    s->links[0].f[TOP_LINK_TX_MESSAGES] = seconds * 999;
    s->links[0].f[TOP_LINK_SRTT_NS] = 3200;
    s->links[0].f[TOP_LINK_CWND] = 64;
    s->type_count = 2;
    strcpy(s->types[0].name, "quiet");
    strcpy(s->types[1].name, "busy");
    s->types[1].f[TOP_TYPE_MESSAGES] = seconds * 1000;
    s->types[1].f[TOP_TYPE_REFUSED] = seconds * 5;
    s->types[1].f[TOP_TYPE_RESTARTS] = 4;
    s->types[1].f[TOP_TYPE_DEPTH_MAX] = 77;
    s->types[1].f[TOP_TYPE_WAITED] = 1 + seconds * 2;
    s->types[1].f[TOP_TYPE_DEPTH] = 100 + seconds * 2 * 8;
    s->types[1].f[TOP_TYPE_WAIT_NS] = 999999 + seconds * 2 * 1500;
    s->types[1].f[TOP_TYPE_RAN] = seconds * 2;
    s->types[1].f[TOP_TYPE_RUN_NS] = seconds * 2 * 250;
}

static void screen__rates_and_means_between_two_snapshots(void **state)
{
    (void)state;
    small(&one, 0);
    small(&two, 2);
    top_screen_print(&one, &two, 50, 120, text);
    assert_string_equal(
        text,
        "proa node 00000000000000ab at 10.0.0.1:7400: 3 names, 2 nodes\n"
        "drops 10/s (20)  dead letters 0/s (7)\n"
        "\n"
        "LANE   BUSY  LOOPS/s    MSG/s     RX/s     TX/s   ACTORS  WAITING      GAP\n"
        "0       25%    1.23M    45.7k        0        0       42       0B   12.3us\n"
        "\n"
        "LINK TO          LANE    OUT/s     IN/s RESENDS/s      RTT   WINDOW INFLIGHT\n"
        "00000000000000cd    0      999        0         0    3.2us       64        0\n"
        "\n"
        "BEHAVIOUR               MSG/s REFUSE/s RESTARTS DEPTH    MAX     WAIT      MAX"
        "      RUN      MAX\n"
        "busy                    1.00k        5        4     8     77    1.5us      0ns"
        "    250ns      0ns\n"
        "quiet                       0        0        0     0      0      0ns      0ns"
        "      0ns      0ns\n");
}

static void screen__one_snapshot_has_no_rates(void **state)
{
    (void)state;
    small(&one, 3);
    top_screen_print(&one, &one, 50, 120, text);
    assert_non_null(strstr(text, "\n0        0%        0        0"));
    assert_non_null(strstr(text, "\nbusy                        0        0        4"));
}

/* Counters that went back (a link that is new, with the old one's place) are no rates. */
static void screen__counters_that_fell_are_no_rates(void **state)
{
    (void)state;
    small(&one, 5);
    small(&two, 2);
    two.f[TOP_NODE_AT] = one.f[TOP_NODE_AT] + PROA_S;
    top_screen_print(&one, &two, 50, 120, text);
    assert_non_null(strstr(text, "drops 0/s"));
    assert_non_null(strstr(text, "\n0        0%        0        0"));
}

static void screen__fits_every_size(void **state)
{
    (void)state;
    fill(&two);
    two.f[TOP_NODE_AT] = 0;
    for (unsigned rows = 0; rows <= TOP_SCREEN_ROWS_MAX; rows++) {
        unsigned columns = rows * TOP_SCREEN_COLUMNS_MAX / TOP_SCREEN_ROWS_MAX;
        unsigned count = 0, width = 0;
        size_t len = top_screen_print(&two, &one, rows, columns, text);

        assert_int_equal(len, strlen(text));
        for (const char *p = text; *p != '\0'; p++) {
            if (*p == '\n') {
                count++;
                width = 0;
            } else {
                assert_true(++width <= columns);
            }
        }
        assert_true(count <= rows);
    }
}

static void screen__both_tables_get_room(void **state)
{
    (void)state;
    small(&one, 0);
    one.link_count = TOP_LINKS_MAX;
    one.type_count = TOP_TYPES_MAX;
    for (unsigned i = 0; i < TOP_TYPES_MAX; i++)
        snprintf(one.types[i].name, sizeof(one.types[i].name), "type-%02u", i);
    top_screen_print(&one, &one, 24, 120, text);
    assert_non_null(strstr(text, "LINK TO"));
    assert_non_null(strstr(text, "BEHAVIOUR"));
    assert_non_null(strstr(text, "\ntype-00"));
    assert_non_null(strstr(text, "\ntype-05"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(lines__read_back_what_was_printed, setup),
        cmocka_unit_test_setup(lines__other_ones_are_refused, setup),
        cmocka_unit_test(screen__rates_and_means_between_two_snapshots),
        cmocka_unit_test(screen__one_snapshot_has_no_rates),
        cmocka_unit_test(screen__counters_that_fell_are_no_rates),
        cmocka_unit_test_setup(screen__fits_every_size, setup),
        cmocka_unit_test(screen__both_tables_get_room),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
