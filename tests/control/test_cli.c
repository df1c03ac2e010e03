/* SPDX-License-Identifier: Apache-2.0 */
/* The local socket's bytes, its serving side and its client, over socketpairs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "cli_client.h"
#include "cli_serve.h"

static struct cli_room room;
static uint8_t data[PROA_CLIENT_MSG_MAX];
static char line[CLI_REQUEST_MAX];

/* ---- Requests ---- */

static const char *read_text(const char *text, struct cli_request *ret)
{
    return cli_request_read(text, strlen(text), data, ret);
}

static void request__what_is_printed_is_read_again(void **state)
{
    static uint8_t payload[PROA_CLIENT_MSG_MAX];
    struct cli_request request = {.verb = CLI_ASK,
                                  .type = 0x7fffffff,
                                  .deadline = CLI_DEADLINE_MAX,
                                  .data = payload};
    struct cli_request got;
    size_t lengths[] = {0, 1, 8, PROA_CLIENT_MSG_MAX};

    (void)state;
    for (size_t i = 0; i < sizeof(payload); i++)
        payload[i] = (uint8_t)(i * 7);
    for (int i = 0; i < PROA_NAME_MAX; i++)
        request.name[i] = (char)(i + 1); /* every byte that a name may have */
    for (unsigned i = 0; i < 4; i++) {
        request.len = lengths[i];
        size_t len = cli_request_print(&request, line, sizeof(line));
        assert_true(len > 0 && line[len - 1] == '\n');
        assert_null(cli_request_read(line, len - 1, data, &got));
        assert_int_equal(got.verb, CLI_ASK);
        assert_string_equal(got.name, request.name);
        assert_int_equal(got.type, request.type);
        assert_int_equal(got.deadline, request.deadline);
        assert_int_equal(got.len, request.len);
        assert_memory_equal(got.data, payload, got.len);
    }
}

static void request__the_other_verbs(void **state)
{
    struct cli_request got;

    (void)state;
    assert_null(read_text("ls", &got));
    assert_int_equal(got.verb, CLI_LS);
    assert_null(read_text("lookup my%20actor", &got));
    assert_int_equal(got.verb, CLI_LOOKUP);
    assert_string_equal(got.name, "my actor");
    assert_null(read_text("events", &got));
    assert_int_equal(got.verb, CLI_EVENTS);
    assert_false(got.follow);
    assert_null(read_text("events follow", &got));
    assert_true(got.follow);
    assert_null(read_text("top", &got));
    assert_int_equal(got.verb, CLI_TOP);
    assert_null(read_text("link add 10.0.0.9:7400", &got));
    assert_int_equal(got.verb, CLI_LINK_ADD);
    assert_string_equal(got.name, "10.0.0.9:7400");
}

static void request__those_without_words_are_read_as_printed(void **state)
{
    static const enum cli_verb plain[] = {CLI_LS, CLI_TOP, CLI_LANES, CLI_CLUSTER,
                                          CLI_GROUPS};
    struct cli_request request = {.verb = CLI_EVENTS, .follow = true}, got;
    size_t len;

    (void)state;
    len = cli_request_print(&request, line, sizeof(line));
    assert_null(cli_request_read(line, len - 1, data, &got));
    assert_true(got.verb == CLI_EVENTS && got.follow);
    for (unsigned i = 0; i < 5; i++) {
        request = (struct cli_request){.verb = plain[i]};
        len = cli_request_print(&request, line, sizeof(line));
        assert_null(cli_request_read(line, len - 1, data, &got));
        assert_int_equal(got.verb, plain[i]);
    }
}

static void request__those_with_one_name_are_read_as_printed(void **state)
{
    static const enum cli_verb verbs[] = {CLI_DENY,  CLI_ALLOW,    CLI_LOOKUP,
                                          CLI_GROUP, CLI_LINK_ADD, CLI_LINK_REMOVE};
    static const char *const names[] = {"[fd00:9::1]:7400", "a b\n%\x1b[2J", "link add"};

    (void)state;
    for (unsigned i = 0; i < 18; i++) {
        struct cli_request request = {.verb = verbs[i / 3]}, got;
        strcpy(request.name, names[i % 3]);
        size_t len = cli_request_print(&request, line, sizeof(line));

        assert_true(len > 0 && memchr(line, '\n', len) == line + len - 1);
        assert_null(cli_request_read(line, len - 1, data, &got));
        assert_int_equal(got.verb, verbs[i / 3]);
        assert_string_equal(got.name, names[i % 3]);
    }
}

static void request__nonsense_is_refused(void **state)
{
    static const char *const bad[] = {
        "",
        " ",
        "ls ",
        "ls x",
        "LS",
        "lookup",
        "lookup ",
        "lookup  a",
        "lookup a b",
        "lookup %",
        "lookup %0",
        "lookup %zz",
        "lookup %00",
        "ask",
        "ask 1 a 1",
        "ask 0 a 1 -",
        "ask 60001 a 1 -",
        "ask -1 a 1 -",
        "ask 1  1 -",
        "ask 1 a x -",
        "ask 1 a 2147483648 -",
        "ask 1 a 99999999999999999999 -",
        "ask 1 a 1 ",
        "ask 1 a 1 0",
        "ask 1 a 1 0g",
        "ask 1 a 1 - -",
        "ask 1 a 1 00 00",
        "stop",
        "events x",
        "lanes 1",
        "events follow x",
        "top x",
        "deny",
        "deny ",
        "allow a b",
        "cluster x",
        "group",
        "group %00",
        "link add",
        "link add a b",
        "link  add a",
        "link drop a",
        "link remove",
        "\x01",
    };
    char long_name[8 + 256 + 1] = "lookup ";
    struct cli_request got;

    (void)state;
    for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_non_null(read_text(bad[i], &got));
    memset(long_name + 7, 'n', 256);
    assert_non_null(read_text(long_name, &got));
    long_name[7 + 255] = '\0';
    assert_null(read_text(long_name, &got));
    assert_non_null(cli_request_read("ls\0", 3, data, &got));
}

static void request__too_long_a_payload_is_refused(void **state)
{
    struct cli_request got;
    int n = snprintf(line, sizeof(line), "ask 1 a 1 ");

    (void)state;
    memset(line + n, '0', 2 * PROA_CLIENT_MSG_MAX + 2);
    assert_null(cli_request_read(line, (size_t)n + 2 * PROA_CLIENT_MSG_MAX, data, &got));
    assert_non_null(
        cli_request_read(line, (size_t)n + 2 * PROA_CLIENT_MSG_MAX + 2, data, &got));
}

static void print__does_not_overrun(void **state)
{
    struct cli_request request = {.verb = CLI_ASK,
                                  .name = "a",
                                  .type = 1,
                                  .deadline = PROA_S,
                                  .data = data,
                                  .len = 100};
    char small[64];

    (void)state;
    assert_int_equal(cli_request_print(&request, small, sizeof(small)), 0);
    request.verb = CLI_LOOKUP;
    assert_int_equal(cli_request_print(&request, small, 9), 0);
    assert_int_equal(cli_request_print(&request, small, 10), 9);
    assert_string_equal(small, "lookup a\n");
}

static void escape__nothing_moves_the_cursor(void **state)
{
    char buf[64];

    (void)state;
    assert_int_equal(cli_escape("a\x1b[2J b%\x7f\xc3\xa4", 11, buf), 23);
    assert_string_equal(buf, "a%1b[2J%20b%25%7f%c3%a4");
}

static void ref__is_node_lane_index_generation(void **state)
{
    char buf[CLI_REF_MAX];
    struct proa_ref ref = {0x0123456789abcdef, 0x0300000c, 0xdeadbeef};

    (void)state;
    cli_ref_print(ref, buf);
    assert_string_equal(buf, "0123456789abcdef/3.12/deadbeef");
    ref = (struct proa_ref){UINT64_MAX, UINT32_MAX, UINT32_MAX};
    cli_ref_print(ref, buf);
    assert_string_equal(buf, "ffffffffffffffff/255.16777215/ffffffff");
}

/* ---- Serving ---- */

static struct cli_request seen;
static unsigned runs;

/* Answers with what the request says; the name "long" gets more than fits, "no" an error. */
static const char *work_run(void *ctx, const struct cli_request *request,
                            struct cli_answer *answer)
{
    (void)ctx;
    runs++;
    seen = *request;
    if (strcmp(request->name, "no") == 0)
        return "lookup: not found";
    cli_answer_line(answer, "first %u", request->type);
    for (unsigned i = 0; strcmp(request->name, "long") == 0 && i < CLI_ANSWER_MAX / 64;
         i++)
        cli_answer_line(answer, "%070u", i);
    cli_answer_line(answer, "second");
    return NULL;
}

static const struct cli_work work = {.run = work_run, .stop_fd = -1};

static void pair(int fds[2])
{
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    runs = 0;
}

/* Sends text, lets it be served and returns all that comes back. */
static const char *exchange(const char *text, size_t len)
{
    static char answer[4096];
    int fds[2];

    pair(fds);
    assert_int_equal(write(fds[0], text, len), (ssize_t)len);
    shutdown(fds[0], SHUT_WR);
    cli_serve(fds[1], &work, &room);
    close(fds[1]);
    size_t at = 0;
    ssize_t got;
    while ((got = read(fds[0], answer + at, sizeof(answer) - 1 - at)) > 0)
        at += (size_t)got;
    answer[at] = '\0';
    close(fds[0]);
    return answer;
}

static void serve__answers_lines_and_ok(void **state)
{
    (void)state;
    assert_string_equal(exchange("ask 100 a 7 00ff\n", 17), " first 7\n second\nok\n");
    assert_int_equal(runs, 1);
    assert_int_equal(seen.len, 2);
    assert_string_equal(exchange("lookup no\n", 10), "error lookup: not found\n");
}

static void serve__what_follows_the_line_is_ignored(void **state)
{
    (void)state;
    assert_string_equal(exchange("ls\nlookup no\n", 13), " first 0\n second\nok\n");
    assert_int_equal(runs, 1);
}

static void serve__nonsense_gets_an_error_and_runs_nothing(void **state)
{
    (void)state;
    assert_string_equal(exchange("\xff\xfe\0\n", 4), "error not a request\n");
    assert_string_equal(exchange("no newline", 10),
                        "error no request line came in time, or it is too long\n");
    assert_string_equal(exchange("", 0),
                        "error no request line came in time, or it is too long\n");
    assert_int_equal(runs, 0);
}

static void serve__too_long_a_line_is_refused(void **state)
{
    static char text[CLI_REQUEST_MAX + 4096];
    int fds[2];

    (void)state;
    pair(fds);
    /* A socket takes less than a request at once, so the buffer is made larger. */
    int size = 4 * CLI_REQUEST_MAX;
    setsockopt(fds[0], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
    memset(text, 'x', sizeof(text));
    assert_int_equal(send(fds[0], text, sizeof(text), MSG_DONTWAIT),
                     (ssize_t)sizeof(text));
    cli_serve(fds[1], &work, &room);
    assert_int_equal(runs, 0);
    ssize_t got = read(fds[0], text, sizeof(text) - 1);
    assert_true(got > 0);
    text[got] = '\0';
    assert_string_equal(text, "error no request line came in time, or it is too long\n");
    close(fds[0]);
    close(fds[1]);
}

static void serve__a_stop_ends_the_wait_for_a_silent_peer(void **state)
{
    struct cli_work stopping = work;
    struct timespec a, b;
    int fds[2];

    (void)state;
    pair(fds);
    stopping.stop_fd = eventfd(1, 0);
    clock_gettime(CLOCK_MONOTONIC, &a);
    cli_serve(fds[1], &stopping, &room);
    clock_gettime(CLOCK_MONOTONIC, &b);
    assert_true(b.tv_sec - a.tv_sec < 2);
    assert_int_equal(runs, 0);
    close(stopping.stop_fd);
    close(fds[0]);
    close(fds[1]);
}

/* Sends a line, waits, and goes on until it is told to end. */
static const char *follow_run(void *ctx, const struct cli_request *request,
                              struct cli_answer *answer)
{
    unsigned *rounds = ctx;

    (void)request;
    do
        cli_answer_line(answer, "round %u", ++*rounds);
    while (cli_answer_flush(answer) && cli_answer_wait(answer, 10 * PROA_MS) &&
           *rounds < 1000);
    return NULL;
}

struct follower {
    struct cli_work work;
    int fd;
    unsigned rounds;
};

static void *follow_body(void *arg)
{
    struct follower *f = arg;

    cli_serve(f->fd, &f->work, &room);
    close(f->fd);
    return NULL;
}

static void follow(struct follower *f, int *ret_fd, pthread_t *ret_thread)
{
    int fds[2];

    pair(fds);
    f->work = (struct cli_work){.ctx = &f->rounds, .run = follow_run};
    f->work.stop_fd = eventfd(0, 0);
    f->fd = fds[1];
    f->rounds = 0;
    *ret_fd = fds[0];
    assert_int_equal(pthread_create(ret_thread, NULL, follow_body, f), 0);
    assert_int_equal(write(fds[0], "events follow\n", 14), 14);
}

static void serve__lines_are_sent_as_they_come_until_the_node_ends(void **state)
{
    struct follower f;
    pthread_t thread;
    int fd;
    char text[64];
    FILE *from;

    (void)state;
    follow(&f, &fd, &thread);
    from = fdopen(fd, "r");
    for (unsigned i = 1; i <= 5; i++) {
        char wanted[64];
        snprintf(wanted, sizeof(wanted), " round %u\n", i);
        assert_non_null(fgets(text, sizeof(text), from));
        assert_string_equal(text, wanted);
    }
    assert_int_equal(eventfd_write(f.work.stop_fd, 1), 0);
    while (fgets(text, sizeof(text), from) != NULL && text[0] == ' ')
        ;
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_true(f.rounds < 1000);
    fclose(from);
    close(f.work.stop_fd);
}

static void serve__a_follower_that_goes_away_ends_it(void **state)
{
    struct follower f;
    pthread_t thread;
    int fd;
    char text[64];

    (void)state;
    follow(&f, &fd, &thread);
    assert_true(read(fd, text, sizeof(text)) > 0);
    close(fd);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_true(f.rounds < 1000);
    close(f.work.stop_fd);
}

static void serve__a_peer_that_is_gone_does_no_harm(void **state)
{
    int fds[2];

    (void)state;
    pair(fds);
    assert_int_equal(write(fds[0], "lookup long\n", 12), 12);
    close(fds[0]);
    cli_serve(fds[1], &work, &room);
    assert_int_equal(runs, 1);
    close(fds[1]);
}

/* ---- The client ---- */

static void *serve_body(void *arg)
{
    int *fd = arg;

    cli_serve(*fd, &work, &room);
    close(*fd);
    return NULL;
}

/* Runs the client against a serving thread; out and err get its two streams. */
static enum cli_exit talk(const struct cli_request *request, char **out, char **err)
{
    size_t out_len, err_len;
    FILE *to = open_memstream(out, &out_len), *errors = open_memstream(err, &err_len);
    pthread_t thread;
    int fds[2];

    pair(fds);
    assert_int_equal(pthread_create(&thread, NULL, serve_body, &fds[1]), 0);
    enum cli_exit status = cli_client_talk(fds[0], request, to, errors);
    pthread_join(thread, NULL);
    fclose(to);
    fclose(errors);
    return status;
}

static void client__prints_the_result(void **state)
{
    struct cli_request request = {.verb = CLI_ASK,
                                  .name = "a b",
                                  .type = 9,
                                  .deadline = PROA_S,
                                  .data = data,
                                  .len = sizeof(data)};
    char *out, *err;

    (void)state;
    assert_int_equal(talk(&request, &out, &err), CLI_EXIT_OK);
    assert_string_equal(out, "first 9\nsecond\n");
    assert_string_equal(err, "");
    assert_string_equal(seen.name, "a b");
    assert_int_equal(seen.len, sizeof(data));
    free(out);
    free(err);
}

static void client__says_what_went_wrong(void **state)
{
    struct cli_request request = {.verb = CLI_LOOKUP, .name = "no"};
    char *out, *err;

    (void)state;
    assert_int_equal(talk(&request, &out, &err), CLI_EXIT_NO);
    assert_string_equal(out, "");
    assert_string_equal(err, "proa: lookup: not found\n");
    free(out);
    free(err);
}

static void client__an_answer_cut_for_its_length_is_an_error(void **state)
{
    struct cli_request request = {.verb = CLI_LOOKUP, .name = "long"};
    char *out, *err;

    (void)state;
    assert_int_equal(talk(&request, &out, &err), CLI_EXIT_NO);
    assert_string_equal(err, "proa: the answer is too long; its end is missing\n");
    assert_true(strlen(out) > CLI_ANSWER_MAX / 2);
    assert_null(strstr(out, "second"));
    free(out);
    free(err);
}

/* A node that ends in the midst of its answer. */
static void client__an_answer_without_its_last_line_is_no_success(void **state)
{
    static const char *const halves[] = {"", " first\n", " first\nok",
                                         " first\nnonsense\n"};
    const struct cli_request request = {.verb = CLI_LS};

    (void)state;
    for (unsigned i = 0; i < sizeof(halves) / sizeof(halves[0]); i++) {
        char *out, *err;
        size_t out_len, err_len;
        FILE *to = open_memstream(&out, &out_len),
             *errors = open_memstream(&err, &err_len);
        int fds[2];

        pair(fds);
        assert_int_equal(write(fds[1], halves[i], strlen(halves[i])),
                         (ssize_t)strlen(halves[i]));
        shutdown(fds[1], SHUT_WR);
        assert_int_equal(cli_client_talk(fds[0], &request, to, errors), CLI_EXIT_NO_NODE);
        close(fds[1]);
        fclose(to);
        fclose(errors);
        assert_string_equal(err, "proa: the node ended, or gave no answer in time\n");
        free(out);
        free(err);
    }
}

static void client__nobody_listens(void **state)
{
    const struct cli_request request = {.verb = CLI_LS};
    char *err;
    size_t err_len;
    FILE *errors = open_memstream(&err, &err_len);

    (void)state;
    assert_int_equal(cli_client_run("/nowhere/proa.sock", &request, stdout, errors),
                     CLI_EXIT_NO_NODE);
    fclose(errors);
    assert_string_equal(err,
                        "proa: /nowhere/proa.sock: no node listens there; start one, or "
                        "name its --socket\n");
    free(err);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(request__what_is_printed_is_read_again),
        cmocka_unit_test(request__the_other_verbs),
        cmocka_unit_test(request__those_without_words_are_read_as_printed),
        cmocka_unit_test(request__those_with_one_name_are_read_as_printed),
        cmocka_unit_test(request__nonsense_is_refused),
        cmocka_unit_test(request__too_long_a_payload_is_refused),
        cmocka_unit_test(print__does_not_overrun),
        cmocka_unit_test(escape__nothing_moves_the_cursor),
        cmocka_unit_test(ref__is_node_lane_index_generation),
        cmocka_unit_test(serve__answers_lines_and_ok),
        cmocka_unit_test(serve__what_follows_the_line_is_ignored),
        cmocka_unit_test(serve__nonsense_gets_an_error_and_runs_nothing),
        cmocka_unit_test(serve__too_long_a_line_is_refused),
        cmocka_unit_test(serve__a_stop_ends_the_wait_for_a_silent_peer),
        cmocka_unit_test(serve__lines_are_sent_as_they_come_until_the_node_ends),
        cmocka_unit_test(serve__a_follower_that_goes_away_ends_it),
        cmocka_unit_test(serve__a_peer_that_is_gone_does_no_harm),
        cmocka_unit_test(client__prints_the_result),
        cmocka_unit_test(client__says_what_went_wrong),
        cmocka_unit_test(client__an_answer_cut_for_its_length_is_an_error),
        cmocka_unit_test(client__an_answer_without_its_last_line_is_no_success),
        cmocka_unit_test(client__nobody_listens),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
