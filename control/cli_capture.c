/* SPDX-License-Identifier: Apache-2.0 */
#include "cli_capture.h"

#include <stdlib.h>
#include <time.h>

#include "clock.h"
#include "kernel_clock.h"
#include "node_internal.h"

#define LOOK (PROA_MS) /* between two looks whether lanes let go */

struct session {
    struct capture *capture;
    struct cli_answer *answer;
    proa_ns until; /* PROA_NS_NEVER: somebody ends it */
    uint8_t chunk[CAPTURE_CHUNK];
};

static void pause_for(proa_ns span)
{
    const struct timespec ts = {0, (long)span};

    nanosleep(&ts, NULL);
}

static struct capture *start(const struct proa_node *node,
                             const struct capture_wish *wish)
{
    struct capture_config config = {.lane_count = node->lane_count,
                                    .port_count = node->port_count,
                                    .node = core_node(node->core),
                                    .wish = *wish,
                                    .begin = clock_ns(),
                                    .program = "proa " PROA_VERSION};

    config.wall_ahead = kernel_clock(CLOCK_REALTIME) - config.begin;
    for (unsigned i = 0; i < node->lane_count; i++)
        config.lanes[i] = node->lanes[i].lane;
    for (unsigned i = 0; i < node->port_count; i++) {
        config.ports[i].name = node->config.ports[i].spec;
        config.ports[i].address = node->ports[i]->address;
    }
    return capture_start(&config);
}

static bool send_chunk(struct session *session, size_t len)
{
    cli_answer_bytes(session->answer, session->chunk, len);
    return cli_answer_flush(session->answer);
}

/* All that the rings hold now, and what comes meanwhile; false: the reader has gone. */
static bool send_packets(struct session *session)
{
    for (;;) {
        size_t len =
            capture_read(session->capture, session->chunk, sizeof(session->chunk));

        if (len == 0)
            return true;
        if (!send_chunk(session, len))
            return false;
        if (clock_ns() >= session->until || !cli_answer_wait(session->answer, 0))
            return true;
    }
}

/* Until the wish is fulfilled, the reader or the node ends it.  False: the reader has gone. */
static bool go_on(struct session *session)
{
    while (send_packets(session)) {
        if (capture_full(session->capture) || clock_ns() >= session->until ||
            !cli_answer_wait(session->answer, CLI_CAPTURE_EVERY))
            return true;
    }
    return false;
}

static bool begin(struct session *session)
{
    proa_ns until = clock_ns() + CLI_CAPTURE_BEGIN;

    /* A lane that is long in a handler follows later; the others need not wait for it. */
    while (!capture_begun(session->capture) && clock_ns() < until)
        pause_for(LOOK);
    return send_chunk(
        session, capture_head(session->capture, session->chunk, sizeof(session->chunk)));
}

/* Takes the taps back and sends what is left of the file. */
static void finish(struct session *session, bool there)
{
    struct capture_totals totals;
    size_t len;

    capture_end(session->capture);
    while (!capture_ended(session->capture))
        pause_for(LOOK);
    while (there && (len = capture_read(session->capture, session->chunk,
                                        sizeof(session->chunk))) > 0)
        there = send_chunk(session, len);
    if (!there)
        return;
    send_chunk(session, capture_tail(session->capture, clock_ns(), session->chunk,
                                     sizeof(session->chunk)));
    capture_totals(session->capture, &totals);
    cli_answer_line(session->answer, "%llu packets captured, %llu dropped",
                    (unsigned long long)totals.written,
                    (unsigned long long)totals.dropped);
}

static const char *serve(struct cli_job *job, const struct capture_wish *wish,
                         struct cli_answer *answer)
{
    struct session *session = malloc(sizeof(*session));

    if (session == NULL)
        return "capture: out of memory";
    session->answer = answer;
    session->capture = start(job->node, wish);
    if (session->capture == NULL) {
        free(session);
        return "capture: no memory for the lanes' rings, 4 MiB each";
    }
    session->until =
        wish->seconds != 0 ? clock_ns() + wish->seconds * PROA_S : PROA_NS_NEVER;
    answer->patience = PROA_NS_NEVER;
    finish(session, begin(session) && go_on(session));
    capture_free(session->capture);
    free(session);
    return NULL;
}

const char *cli_capture_run(struct cli_job *job, const struct capture_wish *wish,
                            struct cli_answer *answer)
{
    const char *error;

    if (atomic_exchange(job->capturing, true))
        return "capture: somebody captures on this node already; end that one first";
    error = serve(job, wish, answer);
    atomic_store(job->capturing, false);
    return error;
}
