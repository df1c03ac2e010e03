/* SPDX-License-Identifier: Apache-2.0 */
#include "cli_serve.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "kernel_clock.h"

#define BYTES_LINE_MAX 32           /* " bytes N\n" */
#define PATIENCE_STEP (60 * PROA_S) /* longest poll */

/* Waits for events on fd.  False: patience or the node is at its end. */
static bool wait_for(int fd, short events, int stop_fd, proa_ns until)
{
    for (;;) {
        struct pollfd fds[2] = {{.fd = fd, .events = events},
                                {.fd = stop_fd, .events = POLLIN}};
        proa_ns at = clock_now(), span;
        int n;

        if (at >= until)
            return false;
        span = until - at < PATIENCE_STEP ? until - at : PATIENCE_STEP;
        n = poll(fds, 2, (int)(span / PROA_MS) + 1);
        if (n < 0 && errno != EINTR)
            return false;
        if (n > 0 && fds[1].revents != 0)
            return false;
        if (n > 0 && fds[0].revents != 0)
            return true;
    }
}

/* Reads up to a newline.  Length of the line without it; -1: none came in time, or too long. */
static long read_line(int fd, int stop_fd, char *line, size_t cap)
{
    proa_ns until = clock_now() + CLI_PATIENCE;
    size_t len = 0;

    while (len < cap && wait_for(fd, POLLIN, stop_fd, until)) {
        ssize_t got = read(fd, line + len, cap - len);
        char *end;

        if (got < 0 && (errno == EAGAIN || errno == EINTR))
            continue;
        if (got <= 0)
            return -1;
        end = memchr(line + len, '\n', (size_t)got);
        if (end != NULL)
            return end - line;
        len += (size_t)got;
    }
    return -1;
}

static proa_ns patient_until(proa_ns patience)
{
    return patience == PROA_NS_NEVER ? PROA_NS_NEVER : clock_now() + patience;
}

static bool write_all(int fd, int stop_fd, const char *text, size_t len, proa_ns patience)
{
    proa_ns until = patient_until(patience);

    while (len > 0) {
        ssize_t put = send(fd, text, len, MSG_NOSIGNAL);

        if (put > 0) {
            text += put;
            len -= (size_t)put;
            until = patient_until(patience);
        } else if (put < 0 && errno != EAGAIN && errno != EINTR) {
            return false;
        } else if (!wait_for(fd, POLLOUT, stop_fd, until)) {
            return false;
        }
    }
    return true;
}

/* Makes room for more bytes. */
static bool grow(struct cli_answer *answer, size_t more)
{
    size_t cap = answer->cap != 0 ? answer->cap : 4096;
    char *text;

    while (cap < answer->len + more)
        cap *= 2;
    if (cap == answer->cap)
        return true;
    text = cap <= CLI_ANSWER_MAX ? realloc(answer->text, cap) : NULL;
    if (text == NULL)
        return false;
    answer->text = text;
    answer->cap = cap;
    return true;
}

void cli_answer_line(struct cli_answer *answer, const char *format, ...)
{
    va_list args, again;
    int n;

    va_start(args, format);
    va_copy(again, args);
    n = vsnprintf(NULL, 0, format, args);
    va_end(args);
    if (n >= 0 && !answer->cut && grow(answer, (size_t)n + 3)) {
        answer->text[answer->len] = ' ';
        vsnprintf(answer->text + answer->len + 1, (size_t)n + 1, format, again);
        answer->len += (size_t)n + 2;
        answer->text[answer->len - 1] = '\n';
    } else {
        answer->cut = true;
    }
    va_end(again);
}

void cli_answer_bytes(struct cli_answer *answer, const void *bytes, size_t len)
{
    /* Room for both, or neither is there: the line alone would take other bytes for these. */
    if (answer->cut || !grow(answer, len + BYTES_LINE_MAX)) {
        answer->cut = true;
        return;
    }
    cli_answer_line(answer, "bytes %zu", len);
    memcpy(answer->text + answer->len, bytes, len);
    answer->len += len;
}

bool cli_answer_flush(struct cli_answer *answer)
{
    bool ok = write_all(answer->fd, answer->stop_fd, answer->text, answer->len,
                        answer->patience);

    answer->len = 0;
    return ok;
}

bool cli_answer_wait(struct cli_answer *answer, proa_ns span)
{
    struct pollfd fds[2] = {{.fd = answer->fd, .events = POLLRDHUP},
                            {.fd = answer->stop_fd, .events = POLLIN}};
    int n = poll(fds, 2, (int)(span / PROA_MS));

    return n == 0 || (n < 0 && errno == EINTR);
}

void cli_serve(int fd, const struct cli_work *work, struct cli_room *room)
{
    struct cli_answer answer = {
        .fd = fd, .stop_fd = work->stop_fd, .patience = CLI_PATIENCE};
    struct cli_request request;
    const char *error;
    char last[256];
    long len;

    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
    len = read_line(fd, work->stop_fd, room->line, sizeof(room->line));
    if (len < 0)
        error = "no request line came in time, or it is too long";
    else
        error = cli_request_read(room->line, (size_t)len, room->data, &request);
    if (error == NULL)
        error = work->run(work->ctx, &request, &answer);
    if (answer.cut)
        error = "the answer is too long; its end is missing";
    if (error != NULL)
        snprintf(last, sizeof(last), "error %.200s\n", error);
    else
        snprintf(last, sizeof(last), "ok\n");
    write_all(fd, work->stop_fd, answer.text, answer.len, CLI_PATIENCE);
    write_all(fd, work->stop_fd, last, strlen(last), CLI_PATIENCE);
    free(answer.text);
}
