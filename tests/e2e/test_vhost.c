/* SPDX-License-Identifier: Apache-2.0 */
/* Two and three processes over vhost ports; PORT_PEER is the program port_peer.  Needs no huge
   pages and no root; where they are there they are used too. */
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
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "peer.h"

#define WAIT_MS 30000 /* for anything to happen on a machine with other work */
#define KILLS 20

static char dir[64], listen_spec[128], connect_spec[128];

/* The last line of each port of a peer. */
struct seen {
    int up;
    unsigned long long rx, tx, bad;
    unsigned lanes;
};

static int setup(void **state)
{
    (void)state;
    snprintf(dir, sizeof(dir), "/tmp/proa-vhost-XXXXXX");
    if (mkdtemp(dir) == NULL || chmod(dir, 0777) != 0)
        return 1;
    snprintf(listen_spec, sizeof(listen_spec), "vhost:listen=%s/a", dir);
    snprintf(connect_spec, sizeof(connect_spec), "vhost:connect=%s/a", dir);
    return 0;
}

static int teardown(void **state)
{
    char command[128];

    (void)state;
    snprintf(command, sizeof(command), "rm -rf %s", dir);
    return system(command);
}

static void start(struct peer *peer, const char *options, const char *first,
                  const char *second)
{
    const char *argv[] = {PORT_PEER, options, first, second, NULL};

    peer_start(peer, argv, -1);
}

/* Reads lines until the last one of port `at` satisfies: up as wanted, at least so many more
   packets received than *seen said, on so many lanes. */
static void wait_until(struct peer *peer, unsigned at, struct seen *seen, int up,
                       unsigned long long more, unsigned lanes)
{
    unsigned long long from = seen->rx;
    long long until = peer_now() + WAIT_MS;
    const char *line = "(none)";

    while (peer_now() < until) {
        struct seen now;
        unsigned port;

        if (!peer_line(peer, WAIT_MS, &line))
            break;
        if (sscanf(line, "%u up=%d rx=%llu tx=%llu bad=%llu lanes=%u", &port, &now.up,
                   &now.rx, &now.tx, &now.bad, &now.lanes) != 6)
            break;
        if (port != at)
            continue;
        *seen = now;
        assert_int_equal(now.bad, 0);
        if (now.up == up && now.rx >= from + more && now.lanes >= lanes)
            return;
    }
    fail_msg("port %u: up=%d, %llu packets more and %u lanes did not come; last line: %s",
             at, up, more, lanes, line);
}

static void end(struct peer *peer)
{
    int status = peer_end(peer);

    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
        fail_msg("a peer ended with status %x", (unsigned)status);
}

static void starts__either_side_first(void **state)
{
    (void)state;
    for (int listen_first = 0; listen_first < 2; listen_first++) {
        struct seen a = {0}, b = {0};
        struct peer first, second;

        start(&first, "-n", listen_first ? listen_spec : connect_spec, NULL);
        wait_until(&first, 0, &a, 0, 0, 0); /* it waits, alone */
        start(&second, "-n", listen_first ? connect_spec : listen_spec, NULL);
        wait_until(&first, 0, &a, 1, 1000, 1);
        wait_until(&second, 0, &b, 1, 1000, 1);
        end(&first);
        wait_until(&second, 0, &b, 0, 0, 0);
        end(&second);
    }
}

static void starts__with_huge_pages_where_there_are_some(void **state)
{
    struct seen a = {0}, b = {0};
    struct peer first, second;

    (void)state;
    start(&first, "-m1500", listen_spec, NULL);
    start(&second, "-m1500", connect_spec, NULL);
    wait_until(&first, 0, &a, 1, 1000, 1);
    wait_until(&second, 0, &b, 1, 1000, 1);
    end(&second);
    end(&first);
}

static void jumbo__packets_of_9000_bytes_pass(void **state)
{
    struct seen a = {0}, b = {0};
    struct peer first, second;

    (void)state;
    start(&first, "-m9000", listen_spec, NULL);
    start(&second, "-m9000", connect_spec, NULL);
    wait_until(&first, 0, &a, 1, 1000, 1);
    wait_until(&second, 0, &b, 1, 1000, 1);
    end(&first);
    end(&second);
}

static void kill__survivor_lives_and_traffic_resumes(void **state)
{
    struct seen seen[2] = {{0}, {0}};
    const char *specs[2] = {listen_spec, connect_spec};
    struct peer peers[2];

    (void)state;
    for (unsigned i = 0; i < 2; i++)
        start(&peers[i], "-n", specs[i], NULL);
    for (unsigned i = 0; i < 2; i++)
        wait_until(&peers[i], 0, &seen[i], 1, 1000, 1);
    for (unsigned round = 0; round < KILLS; round++) {
        unsigned dead = round % 2, other = 1 - dead;

        peer_kill(&peers[dead], SIGKILL);
        wait_until(&peers[other], 0, &seen[other], 0, 0, 0);
        start(&peers[dead], "-n", specs[dead], NULL);
        memset(&seen[dead], 0, sizeof(seen[dead]));
        wait_until(&peers[dead], 0, &seen[dead], 1, 1000, 1);
        wait_until(&peers[other], 0, &seen[other], 1, 1000, 1);
        assert_true(peer_alive(&peers[other]));
    }
    end(&peers[0]);
    end(&peers[1]);
}

/* The neighbour dies before, while and after the listening side waits for it in accept(). */
static void kill__at_any_moment_of_the_meeting(void **state)
{
    struct seen a = {0}, b = {0};
    struct peer listener, visitor;

    (void)state;
    start(&listener, "-n", listen_spec, NULL);
    wait_until(&listener, 0, &a, 0, 0, 0);
    for (unsigned ms = 20; ms <= 400; ms += 20) {
        start(&visitor, "-n", connect_spec, NULL);
        usleep(ms * 1000);
        peer_kill(&visitor, SIGKILL);
    }
    start(&visitor, "-n", connect_spec, NULL);
    wait_until(&visitor, 0, &b, 1, 1000, 1);
    wait_until(&listener, 0, &a, 1, 1000, 1);
    end(&listener);
    end(&visitor);
}

static void ring__three_processes_that_start_at_once(void **state)
{
    char specs[3][2][128];
    struct peer peers[3];

    (void)state;
    for (unsigned i = 0; i < 3; i++) {
        snprintf(specs[i][0], sizeof(specs[i][0]), "vhost:listen=%s/r%u", dir, i);
        snprintf(specs[i][1], sizeof(specs[i][1]), "vhost:connect=%s/r%u", dir,
                 (i + 1) % 3);
        start(&peers[i], "-n", specs[i][0], specs[i][1]);
    }
    for (unsigned i = 0; i < 3; i++) {
        struct seen a = {0}, b = {0};

        wait_until(&peers[i], 0, &a, 1, 500, 1);
        wait_until(&peers[i], 1, &b, 1, 500, 1);
    }
    for (unsigned i = 0; i < 3; i++)
        end(&peers[i]);
}

static void lanes__every_lane_is_heard_whoever_has_more(void **state)
{
    (void)state;
    for (unsigned round = 0; round < 2; round++) {
        struct seen a = {0}, b = {0};
        struct peer first, second;

        start(&first, round == 0 ? "-q2" : "-q1", listen_spec, NULL);
        start(&second, round == 0 ? "-q1" : "-q2", connect_spec, NULL);
        wait_until(&first, 0, &a, 1, 1000, 1);
        wait_until(&second, 0, &b, 1, 1000, 1);
        end(&first);
        end(&second);
    }
    struct seen a = {0}, b = {0};
    struct peer first, second;

    start(&first, "-q2", listen_spec, NULL);
    start(&second, "-q2", connect_spec, NULL);
    wait_until(&first, 0, &a, 1, 1000, 2);
    wait_until(&second, 0, &b, 1, 1000, 2);
    end(&first);
    end(&second);
}

static double cpu_seconds(pid_t pid)
{
    unsigned long user, system;
    char path[64];
    FILE *file;

    snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
    file = fopen(path, "r");
    assert_non_null(file);
    assert_int_equal(fscanf(file,
                            "%*d %*s %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu",
                            &user, &system),
                     2);
    fclose(file);
    return (double)(user + system) / (double)sysconf(_SC_CLK_TCK);
}

/* A lane that sleeps on its descriptor answers all the same, also after a reconnect, and two
   that sleep use next to no time. */
static void sleep__lane_wakes_for_packets(void **state)
{
    (void)state;
    for (int listener_sleeps = 0; listener_sleeps < 2; listener_sleeps++) {
        const char *sleeper_spec = listener_sleeps ? listen_spec : connect_spec;
        const char *talker_spec = listener_sleeps ? connect_spec : listen_spec;
        struct seen a = {0}, b;
        struct peer sleeper, talker, other;
        double used;

        start(&sleeper, "-s", sleeper_spec, NULL);
        for (unsigned life = 0; life < 2; life++) {
            start(&talker, "-n", talker_spec, NULL);
            memset(&b, 0, sizeof(b));
            wait_until(&sleeper, 0, &a, 1, 1000, 1);
            wait_until(&talker, 0, &b, 1, 1000, 1);
            peer_kill(&talker, SIGKILL);
            wait_until(&sleeper, 0, &a, 0, 0, 0);
        }
        start(&other, "-s", talker_spec, NULL);
        memset(&b, 0, sizeof(b));
        wait_until(&other, 0, &b, 1, 0, 0);
        wait_until(&sleeper, 0, &a, 1, 0, 0);
        used = cpu_seconds(sleeper.pid);
        for (unsigned i = 0; i < 10; i++)
            wait_until(&sleeper, 0, &a, 1, 0, 0); /* a line each 100 ms */
        used = cpu_seconds(sleeper.pid) - used;
        if (used > 0.1)
            fail_msg("%.2f s of processor time in 1 s of sleep", used);
        end(&other);
        end(&sleeper);
    }
}

static void user__an_ordinary_one_is_enough(void **state)
{
    const char *specs[2] = {listen_spec, connect_spec};
    struct peer peers[2];

    (void)state;
    if (geteuid() != 0 || access("/tmp", W_OK) != 0)
        skip(); /* all other tests ran as an ordinary user then */
    for (unsigned i = 0; i < 2; i++) {
        const char *argv[] = {PORT_PEER, specs[i], NULL};

        peer_start(&peers[i], argv, 65534);
    }
    for (unsigned i = 0; i < 2; i++) {
        struct seen seen = {0};
        const char *line;

        if (i == 0 && (!peer_line(&peers[0], WAIT_MS, &line) && !peer_alive(&peers[0])))
            skip(); /* the program's folder is closed to others */
        wait_until(&peers[i], 0, &seen, 1, 1000, 1);
    }
    end(&peers[0]);
    end(&peers[1]);
}

static void expect_error(const char *spec, const char *part)
{
    struct peer peer;
    const char *line;

    start(&peer, "-n", spec, NULL);
    if (!peer_line(&peer, WAIT_MS, &line))
        fail_msg("%s: nothing said", spec);
    if (strncmp(line, "error: ", 7) != 0 || strstr(line, part) == NULL)
        fail_msg("%s: \"%s\" does not say \"%s\"", spec, line, part);
    assert_int_equal(WEXITSTATUS(peer_end(&peer)), 1);
}

static void errors__say_cause_and_remedy(void **state)
{
    char spec[256], path[128];
    struct peer peer;
    struct seen seen = {0};
    int fd;

    (void)state;
    expect_error("vhost:listne=/tmp/x", "vhost:listen=PATH");
    expect_error("vhost:listen=", "names no socket");
    expect_error("vhost:listen=/nonexistent-folder/a", "make it first");
    expect_error("vhost:listen=/tmp/a,b", "rename it");
    snprintf(spec, sizeof(spec), "vhost:connect=/tmp/%0100d", 1);
    expect_error(spec, "shorten it");
    snprintf(path, sizeof(path), "%s/file", dir);
    fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    close(fd);
    snprintf(spec, sizeof(spec), "vhost:listen=%s", path);
    expect_error(spec, "is not a socket");
    expect_error("telepathy:x", "is no port");
    start(&peer, "-n", listen_spec, NULL);
    wait_until(&peer, 0, &seen, 0, 0, 0);
    expect_error(listen_spec, "is served by a running process");
    end(&peer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(starts__either_side_first, peer_kill_all),
        cmocka_unit_test_teardown(starts__with_huge_pages_where_there_are_some,
                                  peer_kill_all),
        cmocka_unit_test_teardown(jumbo__packets_of_9000_bytes_pass, peer_kill_all),
        cmocka_unit_test_teardown(kill__survivor_lives_and_traffic_resumes,
                                  peer_kill_all),
        cmocka_unit_test_teardown(kill__at_any_moment_of_the_meeting, peer_kill_all),
        cmocka_unit_test_teardown(ring__three_processes_that_start_at_once,
                                  peer_kill_all),
        cmocka_unit_test_teardown(lanes__every_lane_is_heard_whoever_has_more,
                                  peer_kill_all),
        cmocka_unit_test_teardown(sleep__lane_wakes_for_packets, peer_kill_all),
        cmocka_unit_test_teardown(user__an_ordinary_one_is_enough, peer_kill_all),
        cmocka_unit_test_teardown(errors__say_cause_and_remedy, peer_kill_all),
    };

    signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, setup, teardown);
}
