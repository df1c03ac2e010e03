/* SPDX-License-Identifier: Apache-2.0 */
/* The writing end of `proa capture`, before a node that says what the test wants. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "capture_client.h"
#include "capture_words.h"
#include "cli_serve.h"

static char made[64], *said; /* a name of our own; what was said */
static const char *file = made;
static size_t said_len;

struct result {
    enum cli_exit status;
    long file_len; /* -1: there is no file */
    char request[256];
};

static void read_back(struct result *ret)
{
    FILE *f = fopen(file, "r");

    ret->file_len = -1;
    if (f == NULL)
        return;
    fseek(f, 0, SEEK_END);
    ret->file_len = ftell(f);
    fclose(f);
}

/* The node answers so, whatever it was asked, and ends; or stays, when it is to be left. */
static struct result talk(const char *answer, size_t len, bool ends)
{
    struct result result = {0};
    struct capture_wish wish;
    int fds[2];
    FILE *err;

    free(said); /* of the talk before */
    err = open_memstream(&said, &said_len);
    assert_non_null(err);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    assert_int_equal(write(fds[1], answer, len), (ssize_t)len);
    if (ends)
        shutdown(fds[1], SHUT_WR);
    capture_wish_init(&wish);
    unlink(made);
    result.status = capture_client_talk(fds[0], &wish, file, err);
    fclose(err);
    assert_true(read(fds[1], result.request, sizeof(result.request) - 1) > 0);
    close(fds[0]);
    close(fds[1]);
    read_back(&result);
    unlink(made);
    return result;
}

#define TALK(text) talk(text, sizeof(text) - 1, true)

static int make_name(void **state)
{
    (void)state;
    snprintf(made, sizeof(made), "/tmp/proa-capture-XXXXXX");
    int fd = mkstemp(made);
    if (fd >= 0)
        close(fd);
    return fd >= 0 ? 0 : 1;
}

static int forget(void **state)
{
    (void)state;
    free(said);
    said = NULL;
    return 0;
}

static void answer__bytes_go_to_the_file(void **state)
{
    struct result r =
        TALK(" bytes 5\na\nok\n bytes 3\nxyz 8 packets captured, 0 dropped\nok\n");

    (void)state;
    assert_int_equal(r.status, CLI_EXIT_OK);
    assert_int_equal(r.file_len, 8);
    assert_string_equal(r.request, "capture - - 65535 0 0\n");
    assert_non_null(strstr(said, "capturing to"));
    assert_non_null(strstr(said, "proa: 8 packets captured, 0 dropped\n"));
}

/* The node's end of it: without the bytes their line would take others for them. */
static void answer__bytes_come_with_their_line_or_not_at_all(void **state)
{
    static const char want[] = " bytes 3\na\nb";
    struct cli_answer answer = {0};

    (void)state;
    cli_answer_bytes(&answer, "a\nb", 3);
    cli_answer_bytes(&answer, "", CLI_ANSWER_MAX);
    assert_true(answer.cut);
    assert_int_equal(answer.len, sizeof(want) - 1);
    assert_memory_equal(answer.text, want, answer.len);
    free(answer.text);
}

static void answer__refused_makes_no_file(void **state)
{
    struct result r = TALK("error capture: somebody captures\n");

    (void)state;
    assert_int_equal(r.status, CLI_EXIT_NO);
    assert_int_equal(r.file_len, -1);
    assert_string_equal(said, "proa: capture: somebody captures\n");
}

static void answer__cut_short_keeps_whole_chunks(void **state)
{
    struct result r = TALK(" bytes 4\nabcd bytes 9\nabcd");

    (void)state;
    assert_int_equal(r.status, CLI_EXIT_NO_NODE);
    assert_int_equal(r.file_len, 4);
    assert_non_null(strstr(said, "the node ended; the file has no statistics\n"));
}

static void answer__nonsense_is_no_answer(void **state)
{
    static char long_line[2000];

    (void)state;
    assert_int_equal(TALK("").status, CLI_EXIT_NO_NODE);
    assert_int_equal(TALK("hello\n").status, CLI_EXIT_NO_NODE);
    assert_int_equal(TALK(" bytes 262145\nabc").status, CLI_EXIT_NO_NODE);
    assert_int_equal(TALK(" bytes 4294967295\nabc").status, CLI_EXIT_NO_NODE);
    memset(long_line, ' ', sizeof(long_line));
    assert_int_equal(talk(long_line, sizeof(long_line), true).status, CLI_EXIT_NO_NODE);
}

static void file__cannot_be_made(void **state)
{
    struct result r;

    (void)state;
    file = "/nowhere/x.pcapng";
    r = TALK(" bytes 1\naok\n");
    assert_int_equal(r.status, CLI_EXIT_NO);
    assert_string_equal(said,
                        "proa: capture: /nowhere/x.pcapng: No such file or directory\n");
    file = "/dev/full";
    r = talk(" bytes 1\naok\n", 13, true);
    assert_int_equal(r.status, CLI_EXIT_NO);
    assert_string_equal(said, "proa: capture: /dev/full: No space left on device\n");
    file = made;
}

/* One that was there gets its owner's mode and loses what was in it; a link is not followed. */
static void file__that_is_there(void **state)
{
    static char mine[80], link_to[80];
    struct stat st;
    int fd;

    (void)state;
    snprintf(mine, sizeof(mine), "%s-mine", made);
    snprintf(link_to, sizeof(link_to), "%s-link", made);
    fd = open(mine, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    assert_true(fd >= 0);
    assert_int_equal(fchmod(fd, 0644), 0);
    assert_int_equal(write(fd, "precious", 8), 8);
    close(fd);
    assert_int_equal(symlink(mine, link_to), 0);
    file = link_to;
    assert_int_equal(TALK(" bytes 1\naok\n").status, CLI_EXIT_NO);
    assert_int_equal(stat(mine, &st), 0);
    assert_int_equal(st.st_size, 8);
    file = mine;
    assert_int_equal(TALK(" bytes 1\naok\n").status, CLI_EXIT_OK);
    assert_int_equal(stat(mine, &st), 0);
    assert_int_equal(st.st_size, 1);
    assert_int_equal(st.st_mode & 0777, 0600);
    unlink(link_to);
    unlink(mine);
    file = made;
}

/* Two signals wait when it begins: it ends though the node is silent. */
static void signals__a_second_one_does_not_wait(void **state)
{
    sigset_t set, before;
    struct result r;

    (void)state;
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    sigprocmask(SIG_BLOCK, &set, &before);
    raise(SIGINT);
    raise(SIGTERM);
    r = talk(" bytes 2\nab", 11, false);
    sigprocmask(SIG_SETMASK, &before, NULL);
    assert_int_equal(r.status, CLI_EXIT_NO);
    assert_non_null(strstr(said, "given up"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(answer__bytes_go_to_the_file, forget),
        cmocka_unit_test_teardown(answer__bytes_come_with_their_line_or_not_at_all,
                                  forget),
        cmocka_unit_test_teardown(answer__refused_makes_no_file, forget),
        cmocka_unit_test_teardown(answer__cut_short_keeps_whole_chunks, forget),
        cmocka_unit_test_teardown(answer__nonsense_is_no_answer, forget),
        cmocka_unit_test_teardown(file__cannot_be_made, forget),
        cmocka_unit_test_teardown(file__that_is_there, forget),
        cmocka_unit_test_teardown(signals__a_second_one_does_not_wait, forget),
    };

    return cmocka_run_group_tests(tests, make_name, NULL);
}
