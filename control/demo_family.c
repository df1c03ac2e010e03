/* SPDX-License-Identifier: Apache-2.0 */
#include "demo_family.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "demo.h"
#include "kernel_clock.h"

static bool fail(char *err, size_t err_len, const char *what)
{
    snprintf(err, err_len, "%s: %s", what, strerror(errno));
    return false;
}

/* ---- Beginning ---- */

static void the_signals(sigset_t *set)
{
    sigemptyset(set);
    sigaddset(set, SIGINT);
    sigaddset(set, SIGTERM);
    sigaddset(set, SIGHUP);
    sigaddset(set, SIGCHLD);
}

bool family_begin(struct family *family, char *err, size_t err_len)
{
    const char *base = getenv("TMPDIR");
    sigset_t set;

    memset(family, 0, sizeof(*family));
    for (unsigned i = 0; i < FAMILY_CHILDREN; i++)
        family->child[i].fd = -1;
    the_signals(&set);
    sigprocmask(SIG_BLOCK, &set, NULL);
    family->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    if (family->signals < 0)
        return fail(err, err_len, "signalfd");
    /* Sockets lie in it, whose paths are short. */
    if (base == NULL || base[0] != '/' || strlen(base) > sizeof(family->dir) - 20)
        base = "/tmp";
    snprintf(family->dir, sizeof(family->dir), "%s/proa-demo-XXXXXX", base);
    if (mkdtemp(family->dir) != NULL)
        return true;
    snprintf(err, err_len, "no folder in %s: %s; set TMPDIR to one this user can write",
             base, strerror(errno));
    family->dir[0] = '\0';
    return false;
}

/* In the child, between fork and exec. */
static void become(const struct family *family, const char *name, const char *seed,
                   const struct options *options, int channel)
{
    static const char *const pages[] = {"auto", "huge", "none"};
    char seconds[16];
    const char *argv[] = {
        "proa",      "demo-node",
        name,        family->dir,
        "--seconds", seconds,
        "--pages",   pages[options->pages],
        "--idle",    options->idle == PROA_IDLE_SPIN ? "spin" : "adaptive",
        seed, /* NULL: the end */
        NULL};
    sigset_t none;

    snprintf(seconds, sizeof(seconds), "%u", options->seconds);
    /* dup2 onto itself would keep the flag that closes it. */
    if (channel == DEMO_FD ? fcntl(channel, F_SETFD, 0) != 0 : dup2(channel, DEMO_FD) < 0)
        _exit(127);
    /* DPDK's own files go into the folder too, which the parent removes. */
    setenv("RUNTIME_DIRECTORY", family->dir, 1);
    /* Ctrl-C reaches the whole group; the parent passes it on in its own way. */
    signal(SIGINT, SIG_IGN);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    execv("/proc/self/exe", (char **)(uintptr_t)argv);
    _exit(127);
}

bool family_start(struct family *family, unsigned which, const char *name,
                  const char *seed, const struct options *options,
                  const uint8_t key[PROA_KEY_LEN], char *err, size_t err_len)
{
    struct family_child *child = &family->child[which];
    int ends[2];

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0)
        return fail(err, err_len, "socketpair");
    fflush(NULL);
    child->pid = fork();
    if (child->pid == 0)
        become(family, name, seed, options, ends[1]);
    close(ends[1]);
    if (child->pid < 0) {
        child->pid = 0;
        close(ends[0]);
        return fail(err, err_len, "fork");
    }
    child->fd = ends[0];
    if (send(child->fd, key, PROA_KEY_LEN, MSG_NOSIGNAL) != PROA_KEY_LEN)
        return fail(err, err_len, "the child's channel");
    return true;
}

/* ---- Listening ---- */

/* Takes one line out of the child's buffer, at its start; the line before it is forgotten. */
static bool take_line(struct family_child *child, const char **ret_line)
{
    static char line[FAMILY_LINE_MAX];
    char *end = memchr(child->line, '\n', child->len);
    size_t len;

    if (end == NULL && child->len < sizeof(child->line))
        return false;
    /* A line that is too long is cut. */
    len = end != NULL ? (size_t)(end - child->line) : sizeof(child->line) - 1;
    memcpy(line, child->line, len);
    line[len] = '\0';
    child->len -= len + 1;
    memmove(child->line, child->line + len + 1, child->len);
    *ret_line = line;
    return true;
}

static void hear(struct family_child *child)
{
    ssize_t got = recv(child->fd, child->line + child->len,
                       sizeof(child->line) - child->len, MSG_DONTWAIT);

    if (got > 0) {
        child->len += (size_t)got;
    } else if (got == 0 || (errno != EAGAIN && errno != EINTR)) {
        close(child->fd);
        child->fd = -1;
    }
}

static bool reap(struct family_child *child)
{
    if (child->pid == 0 || waitpid(child->pid, &child->status, WNOHANG) != child->pid)
        return false;
    child->pid = 0;
    return true;
}

/* INT, TERM or HUP; 0 when there was none.  CHLD only wakes. */
static int take_signal(const struct family *family)
{
    struct signalfd_siginfo info;
    int found = 0;

    while (read(family->signals, &info, sizeof(info)) == sizeof(info)) {
        if (info.ssi_signo != SIGCHLD)
            found = (int)info.ssi_signo;
    }
    return found;
}

enum family_event family_wait(struct family *family, proa_ns until, unsigned *ret_child,
                              const char **ret_line, int *ret_signal)
{
    for (;;) {
        struct pollfd fds[FAMILY_CHILDREN + 1] = {
            {.fd = family->signals, .events = POLLIN}};
        proa_ns now = clock_now();

        for (unsigned i = 0; i < FAMILY_CHILDREN; i++) {
            struct family_child *child = &family->child[i];
            *ret_child = i;
            if (take_line(child, ret_line))
                return FAMILY_LINE;
            /* Only a child whose channel has been read to its end is gone. */
            if (child->fd < 0 && reap(child))
                return FAMILY_GONE;
            fds[i + 1] = (struct pollfd){.fd = child->fd, .events = POLLIN};
        }
        if (now >= until)
            return FAMILY_SILENCE;
        poll(fds, FAMILY_CHILDREN + 1, (int)((until - now) / PROA_MS) + 1);
        *ret_signal = take_signal(family);
        if (*ret_signal != 0)
            return FAMILY_SIGNAL;
        for (unsigned i = 0; i < FAMILY_CHILDREN; i++) {
            if (fds[i + 1].revents != 0)
                hear(&family->child[i]);
        }
    }
}

void family_say(struct family *family, unsigned which, const char *line)
{
    char text[FAMILY_LINE_MAX];
    int n = snprintf(text, sizeof(text), "%s\n", line);

    if (family->child[which].fd >= 0)
        (void)!send(family->child[which].fd, text, (size_t)n, MSG_NOSIGNAL);
}

/* ---- Ending ---- */

static bool any_left(const struct family *family)
{
    for (unsigned i = 0; i < FAMILY_CHILDREN; i++) {
        if (family->child[i].pid != 0)
            return true;
    }
    return false;
}

static void signal_all(const struct family *family, int sig)
{
    for (unsigned i = 0; i < FAMILY_CHILDREN; i++) {
        if (family->child[i].pid != 0)
            kill(family->child[i].pid, sig);
    }
}

static void await_all(struct family *family, proa_ns until)
{
    while (any_left(family)) {
        struct pollfd fd = {.fd = family->signals, .events = POLLIN};
        proa_ns now = clock_now();

        for (unsigned i = 0; i < FAMILY_CHILDREN; i++)
            reap(&family->child[i]);
        if (!any_left(family) || now >= until)
            return;
        poll(&fd, 1, (int)((until - now) / PROA_MS) + 1);
        take_signal(family);
    }
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *at)
{
    (void)st;
    (void)kind;
    (void)at;
    remove(path);
    return 0;
}

void family_remove_dir(const char *dir)
{
    nftw(dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

bool family_end(struct family *family)
{
    bool clean;

    signal_all(family, SIGTERM);
    await_all(family, clock_now() + FAMILY_PATIENCE);
    clean = !any_left(family);
    if (!clean) {
        signal_all(family, SIGKILL);
        await_all(family, clock_now() + FAMILY_PATIENCE);
    }
    for (unsigned i = 0; i < FAMILY_CHILDREN; i++) {
        if (family->child[i].fd >= 0)
            close(family->child[i].fd);
        family->child[i].fd = -1;
    }
    if (family->dir[0] != '\0')
        family_remove_dir(family->dir);
    family->dir[0] = '\0';
    if (family->signals >= 0)
        close(family->signals);
    family->signals = -1;
    return clean;
}
