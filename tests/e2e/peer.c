/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "peer.h"

#define END_MS 20000

static pid_t running[64]; /* 0: a free place */

static void note(pid_t from, pid_t to)
{
    for (size_t i = 0; i < sizeof(running) / sizeof(running[0]); i++) {
        if (running[i] == from) {
            running[i] = to;
            return;
        }
    }
}

int peer_kill_all(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(running) / sizeof(running[0]); i++) {
        if (running[i] != 0) {
            kill(running[i], SIGKILL);
            waitpid(running[i], NULL, 0);
            running[i] = 0;
        }
    }
    return 0;
}

long long peer_now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000LL + t.tv_nsec / 1000000;
}

static void become(int user, const char *const argv[])
{
    /* A test that dies takes its processes along. */
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (user >= 0) {
        if (setgroups(0, NULL) != 0 || setgid((gid_t)user) != 0 ||
            setuid((uid_t)user) != 0)
            _exit(126);
        clearenv();
        setenv("PATH", "/usr/bin:/bin", 1);
    }
    execv(argv[0], (char *const *)(uintptr_t)argv);
    _exit(127);
}

void peer_start(struct peer *peer, const char *const argv[], int user)
{
    int in[2], out[2];

    assert_int_equal(pipe2(in, O_CLOEXEC), 0);
    assert_int_equal(pipe2(out, O_CLOEXEC), 0);
    memset(peer, 0, sizeof(*peer));
    fflush(NULL);
    peer->pid = fork();
    assert_true(peer->pid >= 0);
    if (peer->pid == 0) {
        dup2(in[0], 0);
        dup2(out[1], 1);
        become(user, argv);
    }
    note(0, peer->pid);
    close(in[0]);
    close(out[1]);
    peer->in = in[1];
    peer->out = out[0];
}

bool peer_line(struct peer *peer, int timeout, const char **ret_line)
{
    static char line[sizeof(peer->buf)];
    long long until = peer_now() + timeout;

    for (;;) {
        char *end = memchr(peer->buf, '\n', peer->len);
        struct pollfd fd = {.fd = peer->out, .events = POLLIN};
        long long left = until - peer_now();
        ssize_t n;

        if (end != NULL) {
            size_t used = (size_t)(end - peer->buf) + 1;

            memcpy(line, peer->buf, used - 1);
            line[used - 1] = '\0';
            peer->len -= used;
            memmove(peer->buf, end + 1, peer->len);
            *ret_line = line;
            return true;
        }
        if (left <= 0 || peer->len == sizeof(peer->buf))
            return false;
        if (poll(&fd, 1, (int)left) <= 0)
            continue;
        n = read(peer->out, peer->buf + peer->len, sizeof(peer->buf) - peer->len);
        if (n <= 0)
            return false;
        peer->len += (size_t)n;
    }
}

static int finish(struct peer *peer)
{
    int status = 0;

    while (waitpid(peer->pid, &status, 0) < 0 && errno == EINTR)
        ;
    if (peer->in >= 0)
        close(peer->in);
    close(peer->out);
    note(peer->pid, 0);
    peer->pid = 0;
    return status;
}

int peer_kill(struct peer *peer, int signal)
{
    if (peer->pid == 0)
        return 0;
    kill(peer->pid, signal);
    return finish(peer);
}

int peer_end(struct peer *peer)
{
    long long until = peer_now() + END_MS;
    const char *line;

    close(peer->in);
    peer->in = -1;
    while (peer_line(peer, 100, &line) || (peer_alive(peer) && peer_now() < until))
        ;
    if (peer_alive(peer)) {
        peer_kill(peer, SIGKILL);
        fail_msg("a process did not end within %d ms", END_MS);
    }
    return finish(peer);
}

bool peer_alive(const struct peer *peer)
{
    siginfo_t info = {.si_pid = 0};

    return peer->pid != 0 &&
           waitid(P_PID, (id_t)peer->pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
           info.si_pid == 0;
}
