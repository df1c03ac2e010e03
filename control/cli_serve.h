/* SPDX-License-Identifier: Apache-2.0 */
/* cli_serve.h - one connection of the local socket: reads a request, has it done, answers.

   Knows bytes and patience, nothing of nodes: what a request means is struct cli_work, so that
   tests drive it over a socketpair.

   Threads: any; the connection is the caller's alone.  Units: bytes, proa_ns.
   Errors:  none for the caller: they go to the other end, or the other end is gone.
   Bounds:  CLI_PATIENCE for a request and, unless an answer is more patient, for each of its
            parts; CLI_ANSWER_MAX bytes. */
#ifndef CLI_SERVE_H
#define CLI_SERVE_H

#include "cli_protocol.h"

#define CLI_PATIENCE (2 * PROA_S)
#define CLI_ANSWER_MAX                                                                   \
    (16u << 20) /* what does not fit is left out, with a line that says so */

/* An answer as it grows.  Memory is malloc's; ordinary threads only. */
struct cli_answer {
    char *text;
    size_t len, cap;
    bool cut;        /* a line did not fit: CLI_ANSWER_MAX, or no memory */
    int fd, stop_fd; /* cli_serve's */
    /* For each part of the answer; PROA_NS_NEVER: as long as the reader lives. */
    proa_ns patience;
};

/* cli_answer_line adds one line of result; text is printf's, without space and newline. */
__attribute__((format(printf, 2, 3))) void cli_answer_line(struct cli_answer *answer,
                                                           const char *format, ...);

/* cli_answer_bytes adds the line "bytes N" and N bytes that need not print. */
void cli_answer_bytes(struct cli_answer *answer, const void *bytes, size_t len);

/* cli_answer_flush sends the lines there are now.  cli_answer_wait then waits for span.  Both
   return false when the other end has gone or the node ends: the answer is over. */
bool cli_answer_flush(struct cli_answer *answer);
bool cli_answer_wait(struct cli_answer *answer, proa_ns span);

struct cli_work {
    void *ctx;
    /* Does the request and adds its lines.  NULL: done well; else the sentence of the error,
       which lives until the next call. */
    const char *(*run)(void *ctx, const struct cli_request *request,
                       struct cli_answer *answer);
    int stop_fd; /* readable: give up at once; -1: none */
};

/* Memory of one server thread. */
struct cli_room {
    char line[CLI_REQUEST_MAX];
    uint8_t data[PROA_CLIENT_MSG_MAX];
};

/* cli_serve answers one request on fd, which it neither closes nor leaves blocking. */
void cli_serve(int fd, const struct cli_work *work, struct cli_room *room);

#endif
