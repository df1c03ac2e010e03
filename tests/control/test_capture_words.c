/* SPDX-License-Identifier: Apache-2.0 */
/* What is wished of a capture, in words: of the command line and of the local socket's request. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "addr.h"
#include "capture_words.h"
#include "cli_protocol.h"
#include "options.h"

static bool peer(const char *text, struct tap_filter *ret)
{
    return capture_peer_read(text, strlen(text), ret);
}

static bool kinds(const char *text, struct tap_filter *ret)
{
    return capture_kinds_read(text, strlen(text), ret);
}

static void peer__with_and_without_port(void **state)
{
    struct tap_filter filter = {.snap = 1};

    (void)state;
    assert_true(peer("10.0.0.1", &filter));
    assert_int_equal(filter.peer.port, 0);
    assert_int_equal(filter.peer.family, 4);
    assert_true(peer("10.0.0.1:7401", &filter));
    assert_int_equal(filter.peer.port, 7401);
    assert_true(peer("[fd00::1]:7400", &filter));
    assert_int_equal(filter.peer.family, 6);
    assert_true(peer("fd00::1", &filter));
    assert_int_equal(filter.peer.port, 0);
    for (const char *const *bad =
             (const char *const[]){"", "-", "host", "10.0.0.1:x", "10.0.0.256", "[::1",
                                   "::1%lo", NULL};
         *bad != NULL; bad++) {
        assert_false(peer(*bad, &filter));
        assert_int_equal(filter.peer.family, 6); /* unchanged */
    }
    assert_false(capture_peer_read("10.0.0.1\0", 9, &filter));
}

static void kinds__names_and_commas(void **state)
{
    struct tap_filter filter = {.kinds = 0};

    (void)state;
    assert_true(kinds("data", &filter));
    assert_int_equal(filter.kinds, 1u << PACKET_DATA);
    assert_true(kinds("krpc,close,other,ack,ack", &filter));
    assert_int_equal(filter.kinds, 1u << TAP_KRPC | 1u << PACKET_CLOSE | 1u << TAP_OTHER |
                                       1u << PACKET_ACK);
    assert_true(
        kinds("data,ack,syn,synack,open,ping,pong,rst,close,krpc,other", &filter));
    assert_int_equal(filter.kinds, TAP_KINDS_ALL);
    filter.kinds = 5;
    for (const char *const *bad =
             (const char *const[]){"", ",", "data,", ",data", "dat", "datas", "DATA",
                                   "data ack", NULL};
         *bad != NULL; bad++) {
        assert_false(kinds(*bad, &filter));
        assert_int_equal(filter.kinds, 5);
    }
}

static void request__what_is_printed_is_read_again(void **state)
{
    static const char *const peers[] = {"10.0.0.1", "10.0.0.1:7401", "fd00::1",
                                        "[fd00::1]:1"};

    (void)state;
    for (unsigned i = 0; i < 5 * TAP_KINDS; i++) {
        struct cli_request request = {.verb = CLI_CAPTURE}, got;
        char line[512];
        size_t len;

        capture_wish_init(&request.capture);
        if (i % 5 != 0)
            assert_true(peer(peers[i % 5 - 1], &request.capture.filter));
        request.capture.filter.kinds ^= i % 2 == 0 ? 1u << i / 5 : 0;
        request.capture.filter.snap = CAPTURE_SNAP_MIN + i;
        request.capture.seconds = i * 7;
        request.capture.packets = i * (uint64_t)70000000;
        len = cli_request_print(&request, line, sizeof(line));
        assert_true(len > 1);
        assert_null(cli_request_read(line, len - 1, NULL, &got));
        assert_int_equal(got.verb, CLI_CAPTURE);
        assert_memory_equal(&got.capture, &request.capture, sizeof(got.capture));
    }
}

static const char *refusal(const char *line)
{
    struct cli_request request;

    return cli_request_read(line, strlen(line), NULL, &request);
}

static void request__nonsense_is_refused(void **state)
{
    (void)state;
    assert_null(refusal("capture - - 32 0 0"));
    assert_null(refusal("capture - - 65535 86400 4000000000"));
    assert_string_equal(refusal("capture"), "not a request");
    assert_string_equal(refusal("capture - - 32 0"), "not a request");
    assert_string_equal(refusal("capture - - 32 0 0 0"), "not a request");
    assert_string_equal(refusal("capture  - 32 0 0"), "the peer is no address");
    assert_string_equal(refusal("capture - x 32 0 0"),
                        "the kinds are not names of packet kinds");
    assert_string_equal(refusal("capture - - 31 0 0"),
                        "the bytes of a packet are not within 32..65535");
    assert_string_equal(refusal("capture - - 65536 0 0"),
                        "the bytes of a packet are not within 32..65535");
    assert_string_equal(refusal("capture - - 32 86401 0"),
                        "the seconds are not within 0..86400");
    assert_string_equal(refusal("capture - - 32 -1 0"),
                        "the seconds are not within 0..86400");
    assert_string_equal(refusal("capture - - 32 0 4000000001"),
                        "the packets are not within 0..4000000000");
}

static bool options(struct options *ret, char *err, size_t err_len, const char *a,
                    const char *b)
{
    const char *words[] = {"proa", "capture", "f.pcapng", a, b, NULL};

    return options_read(b != NULL   ? 5
                        : a != NULL ? 4
                                    : 3,
                        (char **)(uintptr_t)words, ret, err, err_len);
}

static void options__of_the_verb(void **state)
{
    struct options o;
    char err[256];

    (void)state;
    assert_true(options(&o, err, sizeof(err), NULL, NULL));
    assert_int_equal(o.verb, OPTIONS_CAPTURE);
    assert_string_equal(o.words[0], "f.pcapng");
    assert_int_equal(o.capture.filter.kinds, TAP_KINDS_ALL);
    assert_int_equal(o.capture.filter.snap, CAPTURE_SNAP_MAX);
    assert_int_equal(o.capture.seconds, 0);
    assert_true(options(&o, err, sizeof(err), "--peer=::1", "--kind=ping,pong"));
    assert_int_equal(o.capture.filter.peer.family, 6);
    assert_int_equal(o.capture.filter.kinds, 1u << PACKET_PING | 1u << PACKET_PONG);
    assert_true(options(&o, err, sizeof(err), "--seconds=3", "--packets=4"));
    assert_int_equal(o.capture.seconds, 3);
    assert_int_equal(o.capture.packets, 4);
    assert_true(options(&o, err, sizeof(err), "--snap", "32"));
    assert_int_equal(o.capture.filter.snap, 32);
    assert_false(options(&o, err, sizeof(err), "--snap", "31"));
    assert_string_equal(err, "capture: --snap is 32..65535 bytes, not '31'");
    assert_false(options(&o, err, sizeof(err), "--kind", "ping,pang"));
    assert_string_equal(
        err, "capture: --kind is names of packet kinds and commas, not 'ping,pang'");
    assert_false(options(&o, err, sizeof(err), "--peer", "me"));
    assert_false(options(&o, err, sizeof(err), "--packets", "0"));
    assert_false(options(&o, err, sizeof(err), "--seconds", "86401"));
    assert_false(options(&o, err, sizeof(err), "second-file", NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(peer__with_and_without_port),
        cmocka_unit_test(kinds__names_and_commas),
        cmocka_unit_test(request__what_is_printed_is_read_again),
        cmocka_unit_test(request__nonsense_is_refused),
        cmocka_unit_test(options__of_the_verb),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
