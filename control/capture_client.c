/* SPDX-License-Identifier: Apache-2.0 */
#include "capture_client.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define LINE_MAX_BYTES 512 /* of the answer */

struct reader {
    int fd, signals;
    int to;           /* the file; -1: not open yet */
    const char *file; /* its name, for people */
    FILE *err;
    unsigned asked; /* signals seen */
    bool begun;     /* the file */
    size_t at, len; /* of bytes: what was read and not taken */
    uint8_t bytes[1u << 16];
    uint8_t chunk[CAPTURE_CHUNK];
};

static enum cli_exit fail(FILE *err, enum cli_exit status, const char *what,
                          const char *why)
{
    fprintf(err, "proa: capture: %s%s%s\n", what, what[0] != '\0' ? ": " : "", why);
    return status;
}

/* Waits for fd; meanwhile a first signal asks the node for the end.  False: a second one came. */
static bool wait_for(struct reader *r, int fd, short events)
{
    for (;;) {
        struct pollfd fds[2] = {{.fd = fd, .events = events},
                                {.fd = r->signals, .events = POLLIN}};
        struct signalfd_siginfo info;

        if (poll(fds, 2, -1) < 0 && errno != EINTR)
            return false;
        if (fds[1].revents != 0 && read(r->signals, &info, sizeof(info)) > 0) {
            if (r->asked++ > 0)
                return false;
            shutdown(r->fd, SHUT_WR);
        } else if (fds[0].revents != 0) {
            return true;
        }
    }
}

/* ---- The answer ---- */

/* Reads more; false: there is no more, or it was given up. */
static bool fill(struct reader *r)
{
    for (;;) {
        ssize_t got;

        if (!wait_for(r, r->fd, POLLIN))
            return false;
        got = read(r->fd, r->bytes, sizeof(r->bytes));
        if (got < 0 && (errno == EINTR || errno == EAGAIN))
            continue;
        r->at = 0;
        r->len = got > 0 ? (size_t)got : 0;
        return got > 0;
    }
}

static bool read_line(struct reader *r, char line[LINE_MAX_BYTES])
{
    for (size_t n = 0; n < LINE_MAX_BYTES; n++) {
        if (r->at == r->len && !fill(r))
            return false;
        line[n] = (char)r->bytes[r->at++];
        if (line[n] == '\n' || line[n] == '\0') {
            line[n] = '\0';
            return true;
        }
    }
    return false;
}

static bool read_chunk(struct reader *r, size_t len)
{
    for (size_t n = 0; n < len;) {
        size_t part;

        if (r->at == r->len && !fill(r))
            return false;
        part = r->len - r->at < len - n ? r->len - r->at : len - n;
        memcpy(r->chunk + n, r->bytes + r->at, part);
        r->at += part;
        n += part;
    }
    return true;
}

/* Not more at a time than a pipe that has room takes without waiting. */
static bool write_chunk(struct reader *r, size_t len)
{
    for (size_t at = 0; at < len;) {
        size_t part = len - at < PIPE_BUF ? len - at : PIPE_BUF;
        ssize_t put;

        if (!wait_for(r, r->to, POLLOUT)) {
            fail(r->err, CLI_EXIT_NO, r->file, "given up; its last block is cut off");
            return false;
        }
        put = write(r->to, r->chunk + at, part);
        if (put < 0 && errno != EINTR && errno != EAGAIN) {
            fail(r->err, CLI_EXIT_NO, r->file, strerror(errno));
            return false;
        }
        at += put > 0 ? (size_t)put : 0;
    }
    return true;
}

/* Its owner's only, also when it was there before: it holds what actors said to each other.  What is
   no file (a pipe, /dev/null) stays as it is.  No link is followed: whoever can make one in the
   folder would choose what is overwritten. */
static int open_own(const char *path)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
    struct stat st;

    if (fd < 0)
        return -1;
    if (fstat(fd, &st) == 0 &&
        (!S_ISREG(st.st_mode) || (fchmod(fd, 0600) == 0 && ftruncate(fd, 0) == 0)))
        return fd;
    int why = errno;
    close(fd);
    errno = why;
    return -1;
}

/* False: it was said why. */
static bool open_file(struct reader *r)
{
    if (strcmp(r->file, "-") == 0) {
        if (isatty(STDOUT_FILENO)) {
            fail(r->err, CLI_EXIT_NO, "standard output",
                 "is a terminal; name a file, or pipe it into a program");
            return false;
        }
        r->to = dup(STDOUT_FILENO);
    } else {
        r->to = open_own(r->file);
    }
    if (r->to < 0)
        fail(r->err, CLI_EXIT_NO, r->file, strerror(errno));
    return r->to >= 0;
}

/* Takes one line of result, and what follows it. */
static bool take(struct reader *r, const char *line, enum cli_exit *ret)
{
    unsigned len;
    char rest;

    if (sscanf(line, "bytes %u%c", &len, &rest) != 1) {
        fprintf(r->err, "proa: %s\n", line);
        return true;
    }
    if (len > sizeof(r->chunk) || !read_chunk(r, len)) {
        *ret = CLI_EXIT_NO_NODE;
        return false;
    }
    if ((r->to < 0 && !open_file(r)) || !write_chunk(r, len)) {
        *ret = CLI_EXIT_NO;
        return false;
    }
    if (!r->begun) {
        r->begun = true;
        fprintf(r->err, "proa: capturing to %s; Ctrl-C ends it\n", r->file);
        fflush(r->err);
    }
    return true;
}

static enum cli_exit read_answer(struct reader *r)
{
    enum cli_exit status = CLI_EXIT_NO_NODE;
    char line[LINE_MAX_BYTES];

    while (read_line(r, line)) {
        if (line[0] == ' ' && take(r, line + 1, &status))
            continue;
        if (line[0] == ' ' && status == CLI_EXIT_NO)
            return status; /* it was said why */
        if (strcmp(line, "ok") == 0)
            return CLI_EXIT_OK;
        if (strncmp(line, "error ", 6) == 0) {
            fprintf(r->err, "proa: %s\n", line + 6);
            return CLI_EXIT_NO;
        }
        break;
    }
    if (r->asked > 1)
        return fail(r->err, CLI_EXIT_NO, "", "given up; the file has no statistics");
    return fail(r->err, CLI_EXIT_NO_NODE, "",
                r->begun ? "the node ended; the file has no statistics"
                         : "the node ended, or is of another version");
}

/* ---- The request ---- */

static bool send_request(int fd, const struct capture_wish *wish)
{
    struct cli_request request = {.verb = CLI_CAPTURE, .capture = *wish};
    char text[512];
    size_t len = cli_request_print(&request, text, sizeof(text));

    /* It is shorter than any socket's buffer. */
    return len > 0 && send(fd, text, len, MSG_NOSIGNAL) == (ssize_t)len;
}

enum cli_exit capture_client_talk(int fd, const struct capture_wish *wish,
                                  const char *file, FILE *err)
{
    struct reader *r = calloc(1, sizeof(*r));
    enum cli_exit status = CLI_EXIT_NO_NODE;
    sigset_t set, before;

    if (r == NULL)
        return fail(err, CLI_EXIT_NO, "", "out of memory");
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGHUP);
    sigprocmask(SIG_BLOCK, &set, &before);
    *r = (struct reader){.fd = fd, .to = -1, .file = file, .err = err};
    r->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    if (r->signals < 0)
        fail(err, status, "signals", strerror(errno));
    else if (!send_request(fd, wish))
        fail(err, status, "", "the request could not be sent");
    else
        status = read_answer(r);
    if (r->to >= 0 && close(r->to) != 0 && status == CLI_EXIT_OK)
        status = fail(err, CLI_EXIT_NO, file, strerror(errno));
    if (r->signals >= 0)
        close(r->signals);
    free(r);
    sigprocmask(SIG_SETMASK, &before, NULL);
    return status;
}

enum cli_exit capture_client_run(const char *path, const struct capture_wish *wish,
                                 const char *file, FILE *err)
{
    enum cli_exit status = CLI_EXIT_NO_NODE;
    int fd = cli_client_connect(path, err, &status);

    if (fd < 0)
        return status;
    signal(SIGPIPE, SIG_IGN);
    status = capture_client_talk(fd, wish, file, err);
    close(fd);
    return status;
}
