/* SPDX-License-Identifier: Apache-2.0 */
/* perf_process.h - a child process and two pipes to it.

   DPDK's environment exists once per process, so each node of a run over a real port gets a
   process of its own; the parent starts none of it and only collects.  Children die with the
   parent.

   Threads: one.  Units: bytes; proa_ns spans.
   Errors:  false: the other side has gone, the time is over, or a signal ended the wait. */
#ifndef PERF_PROCESS_H
#define PERF_PROCESS_H

#include <sys/types.h>

#include <proa/types.h>

/* One's end of the two pipes. */
struct perf_pipe {
    int in, out;
};

struct perf_process {
    pid_t pid; /* 0: none */
    struct perf_pipe pipe;
};

/* perf_process_start forks; the child runs body and exits with what it returns. */
bool perf_process_start(struct perf_process *process,
                        int (*body)(const struct perf_pipe *pipe, void *ctx), void *ctx);

/* perf_process_ended is true when the child has ended; it stays to be ended. */
bool perf_process_ended(const struct perf_process *process);

/* perf_process_end closes the pipes, which tells the child to end, and waits for it up to
   `patience`; then it is killed.  True when it ended by itself with status 0.  Harmless on a process
   that was never started: true. */
bool perf_process_end(struct perf_process *process, proa_ns patience);

/* After perf_process_catch, SIGINT, SIGTERM and SIGHUP end waits for pipes, and are remembered. */
void perf_process_catch(void);
bool perf_process_caught(void);

/* Exactly len bytes. */
bool perf_pipe_read(const struct perf_pipe *pipe, void *buf, size_t len,
                    proa_ns patience);
bool perf_pipe_write(const struct perf_pipe *pipe, const void *buf, size_t len);

/* perf_pipe_wait sleeps for span, or until there is something to read (or nothing ever again):
   true. */
bool perf_pipe_wait(const struct perf_pipe *pipe, proa_ns span);

#endif
