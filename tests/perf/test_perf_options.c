/* SPDX-License-Identifier: Apache-2.0 */
/* What proa-perf's command line means, and which of it is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "perf_options.h"

#define ARGS_MAX 24

/* Splits text at its spaces. */
static int read_text(const char *text, struct perf_command *command)
{
    static char copy[512];
    char *argv[ARGS_MAX + 1] = {0}, *rest = copy;
    int argc = 0;

    assert_true(strlen(text) < sizeof(copy));
    strcpy(copy, text);
    while (argc < ARGS_MAX && (argv[argc] = strsep(&rest, " ")) != NULL)
        argc++;
    return perf_options_read(command, argc, argv);
}

static void good(const char *text, struct perf_command *command)
{
    assert_int_equal(read_text(text, command), -1);
}

static void refused(const char *text)
{
    struct perf_command command;

    assert_int_equal(read_text(text, &command), 2);
}

static void read__defaults(void **state)
{
    struct perf_command command;

    (void)state;
    good("proa-perf", &command);
    assert_false(command.versus);
    assert_int_equal(command.options.mode, PERF_MODE_TELL);
    assert_int_equal(command.options.size, 32);
    assert_int_equal(command.options.idle, PROA_IDLE_SPIN);
    assert_int_equal(command.options.sample, 8);
}

static void read__versus_changes_what_comes_behind_it_only(void **state)
{
    struct perf_command command;

    (void)state;
    good("proa-perf --mode ask --window 1 --versus --bulk 65536 --rounds 5", &command);
    assert_true(command.versus);
    assert_int_equal(command.rounds, 5);
    assert_int_equal(command.base.window, 1);
    assert_int_equal(command.base.bulk, 0);
    assert_int_equal(command.base.sample, 1);
    assert_int_equal(command.options.window, 1);
    assert_int_equal(command.options.bulk, 65536);
}

static void read__both_of_versus_must_be_consistent(void **state)
{
    (void)state;
    refused("proa-perf --mode tell --versus --rate 1000");
    refused("proa-perf --rate 1000 --versus --mode ask");
    refused("proa-perf --versus --versus");
}

static void read__an_open_loop_has_room(void **state)
{
    struct perf_command command;

    (void)state;
    good("proa-perf --mode ask --rate 1000", &command);
    assert_int_equal(command.options.window, PERF_WINDOW_OPEN);
    good("proa-perf --mode ask --rate 1000 --window 7", &command);
    assert_int_equal(command.options.window, 7);
}

static void read__silence_is_adaptive(void **state)
{
    struct perf_command command;

    (void)state;
    good("proa-perf --mode idle --port udp", &command);
    assert_int_equal(command.options.idle, PROA_IDLE_ADAPTIVE);
    good("proa-perf --mode idle --port udp --idle spin", &command);
    assert_int_equal(command.options.idle, PROA_IDLE_SPIN);
    refused("proa-perf --mode idle --port ring");
}

static void read__options_that_mean_nothing_together(void **state)
{
    (void)state;
    refused("proa-perf --mode tell --bulk 65536");
    refused("proa-perf --mode ask --bulk 65537");
    refused("proa-perf --mode ask --flush each");
    refused("proa-perf --flush never");
    refused("proa-perf --mode ask --take");
    refused("proa-perf --mode cross-count --lanes 2");
    refused("proa-perf --mode tell --lanes 2");
    refused("proa-perf --mode tell --port udp --crowd 10");
    refused("proa-perf --mode tell --port vhost --crowd 10 --mailbox");
    refused("proa-perf --size 33");
    refused("proa-perf serve");
}

static void read__a_crowd_has_a_receiver_each(void **state)
{
    struct perf_command command;

    (void)state;
    good("proa-perf --crowd 10 --versus --crowd 1000", &command);
    assert_int_equal(command.base.receivers, 10);
    assert_int_equal(command.options.receivers, 1000);
}

/* A key that can be read: any file of 64 hexadecimal digits. */
static void read__two_machines(void **state)
{
    char text[256], path[] = "/tmp/proa-perf-key-XXXXXX";
    const char digits[] =
        "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff\n";
    struct perf_command command;
    int fd = mkstemp(path);

    (void)state;
    assert_true(fd >= 0);
    assert_int_equal(write(fd, digits, sizeof(digits) - 1), sizeof(digits) - 1);
    close(fd);
    snprintf(text, sizeof(text), "proa-perf server --port udp:127.0.0.1:0 --key %s",
             path);
    good(text, &command);
    assert_int_equal(command.options.role, PERF_ROLE_SERVER);
    assert_int_equal(command.options.remote.core, 1);
    assert_int_equal(command.options.remote.key[1], 0x11);
    snprintf(text, sizeof(text),
             "proa-perf client --port udp:127.0.0.1:0 --to 127.0.0.1:7400 --key %s "
             "--mode ask",
             path);
    good(text, &command);
    assert_int_equal(command.options.role, PERF_ROLE_CLIENT);
    assert_int_equal(command.options.remote.core, 0);
    assert_string_equal(command.options.remote.to, "127.0.0.1:7400");
    snprintf(text, sizeof(text), "proa-perf client --port udp:127.0.0.1:0 --key %s",
             path);
    refused(text); /* to whom? */
    unlink(path);
    refused("proa-perf server --port udp:127.0.0.1:0");
    refused("proa-perf server --port udp:127.0.0.1:0 --key /nonexistent/key");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(read__defaults),
        cmocka_unit_test(read__versus_changes_what_comes_behind_it_only),
        cmocka_unit_test(read__both_of_versus_must_be_consistent),
        cmocka_unit_test(read__an_open_loop_has_room),
        cmocka_unit_test(read__silence_is_adaptive),
        cmocka_unit_test(read__options_that_mean_nothing_together),
        cmocka_unit_test(read__a_crowd_has_a_receiver_each),
        cmocka_unit_test(read__two_machines),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
