/* SPDX-License-Identifier: Apache-2.0 */
/* perf_remote.h - a measurement between two machines: a server has the receivers, a client the load.

   The server is a node with one actor, the desk, registered as PERF_REMOTE_NAME.  A client joins
   its cluster, looks the desk up, and asks it

     PREPARE   for receivers of one measurement; those of the one before are stopped
     REFS      for their references, page by page
     RESULT    when its load is over: what each group received

   All of it goes over the links that are measured, as messages between actors.  The desk keeps one
   session: a second client is told that another one measures, until that one asked for its RESULT, its
   time is over, or it has ended: the desk monitors an actor of it.

   Threads: one ordinary thread; the desk runs on the server's lane.
   Units:   proa_ns; counts are messages.
   Errors:  one sentence on stderr, or in the result. */
#ifndef PERF_REMOTE_H
#define PERF_REMOTE_H

#include "perf_run.h"

#define PERF_REMOTE_NAME "proa-perf-server"
#define PERF_REMOTE_VERSION 2u
#define PERF_REMOTE_PAGE 1024u /* references */
#define PERF_REMOTE_SPARE                                                                \
    (30 * PROA_S)             /* a session may last longer than what it measures */
#define PERF_REMOTE_GROUPS 2u /* the measured one, and bulk beside it */

/* Messages to the desk. */
enum {
    PERF_REMOTE_PREPARE = 101, /* struct perf_remote_wanted; perf_remote_answer */
    PERF_REMOTE_REFS,   /* struct perf_remote_page; up to PERF_REMOTE_PAGE references */
    PERF_REMOTE_RESULT, /* nothing; struct perf_remote_result */
    PERF_REMOTE_READY   /* the server's own thread to its desk */
};

/* Of the same program on both sides: checked first. */
struct perf_remote_wanted {
    uint32_t version, result_len;
    uint32_t mode, size, receivers, bulk, warmup_ms, seconds;
    uint32_t mailbox;
    struct proa_ref visitor; /* an actor of the client: its end is the session's */
};

struct perf_remote_page {
    uint32_t group, first;
};

struct perf_remote_answer {
    uint32_t ok;
    char why[156];
};

struct perf_remote_result {
    struct perf_remote_answer answer;
    uint32_t done; /* all receivers have their LAST */
    struct perf_received received[PERF_REMOTE_GROUPS];
};

/* perf_server runs until SIGINT or SIGTERM; the process' exit status.  dir is an empty
   directory. */
int perf_server(const struct perf_options *options, const char *dir);

/* perf_client measures once, in a process of its own; as perf_run. */
bool perf_client(const struct perf_options *options, const char *dir,
                 struct perf_result *result);

#endif
