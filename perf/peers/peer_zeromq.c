/* SPDX-License-Identifier: Apache-2.0 */
/* peer_zeromq - ZeroMQ over tcp and over ipc: a pair of PAIR sockets for round trips, PUSH and PULL for
   one way.  ipc is in the abstract namespace, so no file is left.  perf/README.md says why each setting. */
#include "peer.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zmq.h>

#define HIGH_WATER 100000 /* messages, each side: neither end is to wait for a mark */

struct zeromq {
    const struct peer_end *end;
    void *context, *socket;
    int flags; /* of zmq_recv */
};

static bool fail(const struct peer_end *end, const char *what)
{
    return peer_fail(end, what, zmq_strerror(zmq_errno()));
}

static int socket_type(const struct peer_end *end)
{
    if (end->phase == PEER_ROUND_TRIPS)
        return ZMQ_PAIR;
    return end->is_a ? ZMQ_PUSH : ZMQ_PULL;
}

static bool listen_at(struct peer_end *end, struct zeromq *z)
{
    char address[PEER_ADDRESS_MAX];
    size_t len = sizeof(address);

    if (strcmp(end->kase->transport, "tcp") == 0)
        snprintf(address, sizeof(address), "tcp://127.0.0.1:*");
    else
        snprintf(address, sizeof(address), "ipc://@proa-peer-zeromq-%ld", (long)getpid());
    if (zmq_bind(z->socket, address) != 0 ||
        zmq_getsockopt(z->socket, ZMQ_LAST_ENDPOINT, address, &len) != 0)
        return fail(end, "cannot listen");
    return peer_end_ready(end, address);
}

static bool zeromq_open(struct peer_end *end, void **ret_ctx)
{
    struct zeromq *z = calloc(1, sizeof(*z));
    const int mark = HIGH_WATER;

    if (z == NULL)
        return peer_fail(end, "no memory", strerror(ENOMEM));
    *ret_ctx = z;
    z->end = end;
    z->flags = strcmp(end->kase->wait, "spinning") == 0 ? ZMQ_DONTWAIT : 0;
    z->context = zmq_ctx_new();
    z->socket = zmq_socket(z->context, socket_type(end));
    if (z->socket == NULL ||
        zmq_setsockopt(z->socket, ZMQ_SNDHWM, &mark, sizeof(mark)) != 0 ||
        zmq_setsockopt(z->socket, ZMQ_RCVHWM, &mark, sizeof(mark)) != 0)
        return fail(end, "no socket");
    if (!end->is_a)
        return listen_at(end, z);
    return zmq_connect(z->socket, end->address) == 0 || fail(end, "cannot connect");
}

static void zeromq_close(void *ctx)
{
    struct zeromq *z = ctx;

    if (z->socket != NULL)
        zmq_close(z->socket);
    zmq_ctx_term(z->context);
    free(z);
}

static bool zeromq_send(void *ctx, const uint64_t *words)
{
    struct zeromq *z = ctx;

    return zmq_send(z->socket, words, PEER_SIZE, 0) == (int)PEER_SIZE ||
           fail(z->end, "cannot send");
}

static bool zeromq_flush(void *ctx)
{
    (void)ctx; /* its I/O thread sends at once what there is */
    return true;
}

static bool zeromq_receive(void *ctx, uint64_t *words)
{
    struct zeromq *z = ctx;
    int got;

    /* The I/O thread needs this core, too. */
    while ((got = zmq_recv(z->socket, words, PEER_SIZE, z->flags)) < 0 &&
           zmq_errno() == EAGAIN)
        sched_yield();
    if (got < 0)
        return fail(z->end, "cannot receive");
    return got == (int)PEER_SIZE || peer_fail(z->end, "received", "another size");
}

static const struct peer_calls calls = {
    .open = zeromq_open,
    .close = zeromq_close,
    .send = zeromq_send,
    .flush = zeromq_flush,
    .receive = zeromq_receive,
};

static bool zeromq_run(struct peer_end *end)
{
    return peer_calls_run(end, &calls);
}

static void zeromq_version(char *text, size_t len)
{
    int major, minor, patch;

    zmq_version(&major, &minor, &patch);
    snprintf(text, len, "%d.%d.%d", major, minor, patch);
}

static void zeromq_settings(const struct peer_case *kase, struct perf_json *json)
{
    (void)kase;
    perf_json_str(json, "round_trips", "PAIR");
    perf_json_str(json, "one_way", "PUSH, PULL");
    perf_json_u64(json, "high_water_marks", HIGH_WATER);
    perf_json_u64(json, "io_threads", 1);
    perf_json_str(json, "nagle", "off, as ZeroMQ has it");
    perf_json_str(json, "batching", "its own, 8 KiB");
}

static const struct peer_case cases[] = {
    {"tcp", "blocking", false}, {"tcp", "spinning", false}, {"tcp", "blocking", true},
    {"ipc", "blocking", false}, {"ipc", "spinning", false}, {"ipc", "blocking", true},
};

static const struct peer zeromq = {
    .name = "zeromq",
    .cases = cases,
    .case_count = sizeof(cases) / sizeof(cases[0]),
    .version = zeromq_version,
    .settings = zeromq_settings,
    .run = zeromq_run,
};

int main(int argc, char **argv)
{
    return peer_main(argc, argv, &zeromq);
}
