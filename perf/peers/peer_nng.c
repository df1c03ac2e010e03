/* SPDX-License-Identifier: Apache-2.0 */
/* peer_nng - NNG over tcp and over ipc (in the abstract namespace, so no file is left): a pair of pair0
   sockets, also one way, where push0 and pull0, which have no buffers on the receiver's side, carried a
   quarter.  perf/README.md says why each setting. */
#include "peer.h"

#include <errno.h>
#include <nng/nng.h>
#include <nng/protocol/pair0/pair.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Messages, each side.  8,192 carried two thirds of it or less, 1,024 no more. */
#define BUFFER 64

struct nng {
    const struct peer_end *end;
    nng_socket socket;
    int flags; /* of nng_recvmsg */
};

static bool fail(const struct peer_end *end, const char *what, int error)
{
    return peer_fail(end, what, nng_strerror(error));
}

static bool listen_at(struct peer_end *end, struct nng *n)
{
    char address[PEER_ADDRESS_MAX];
    nng_listener listener;
    int error, port = 0;
    bool tcp = strcmp(end->kase->transport, "tcp") == 0;

    if (tcp)
        snprintf(address, sizeof(address), "tcp://127.0.0.1:0");
    else
        snprintf(address, sizeof(address), "abstract://proa-peer-nng-%ld",
                 (long)getpid());
    error = nng_listener_create(&listener, n->socket, address);
    if (error == 0 && tcp)
        error = nng_listener_set_bool(listener, NNG_OPT_TCP_NODELAY, true);
    if (error == 0)
        error = nng_listener_start(listener, 0);
    if (error == 0 && tcp)
        error = nng_listener_get_int(listener, NNG_OPT_TCP_BOUND_PORT, &port);
    if (error != 0)
        return fail(end, "cannot listen", error);
    if (tcp)
        snprintf(address, sizeof(address), "tcp://127.0.0.1:%d", port);
    return peer_end_ready(end, address);
}

static bool connect_to(struct peer_end *end, struct nng *n)
{
    nng_dialer dialer;
    int error = nng_dialer_create(&dialer, n->socket, end->address);

    if (error == 0 && strcmp(end->kase->transport, "tcp") == 0)
        error = nng_dialer_set_bool(dialer, NNG_OPT_TCP_NODELAY, true);
    if (error == 0)
        error = nng_dialer_start(dialer, 0);
    return error == 0 || fail(end, "cannot connect", error);
}

static bool nng_peer_open(struct peer_end *end, void **ret_ctx)
{
    struct nng *n = calloc(1, sizeof(*n));
    int error;

    if (n == NULL)
        return peer_fail(end, "no memory", strerror(ENOMEM));
    *ret_ctx = n;
    n->end = end;
    n->flags = strcmp(end->kase->wait, "spinning") == 0 ? NNG_FLAG_NONBLOCK : 0;
    error = nng_pair0_open(&n->socket);
    if (error == 0)
        error = nng_socket_set_int(n->socket, NNG_OPT_SENDBUF, BUFFER);
    if (error == 0)
        error = nng_socket_set_int(n->socket, NNG_OPT_RECVBUF, BUFFER);
    if (error != 0)
        return fail(end, "no socket", error);
    return end->is_a ? connect_to(end, n) : listen_at(end, n);
}

static void nng_peer_close(void *ctx)
{
    struct nng *n = ctx;

    nng_close(n->socket);
    nng_fini();
    free(n);
}

/* nng_sendmsg takes the message as it is, without the copy of nng_send. */
static bool nng_peer_send(void *ctx, const uint64_t *words)
{
    struct nng *n = ctx;
    nng_msg *msg;
    int error = nng_msg_alloc(&msg, PEER_SIZE);

    if (error != 0)
        return fail(n->end, "no message", error);
    memcpy(nng_msg_body(msg), words, PEER_SIZE);
    error = nng_sendmsg(n->socket, msg, 0);
    if (error == 0)
        return true;
    nng_msg_free(msg);
    return fail(n->end, "cannot send", error);
}

static bool nng_peer_flush(void *ctx)
{
    (void)ctx; /* its threads send at once */
    return true;
}

static bool nng_peer_receive(void *ctx, uint64_t *words)
{
    struct nng *n = ctx;
    nng_msg *msg;
    int error;
    bool ok;

    /* NNG's threads need this core, too. */
    while ((error = nng_recvmsg(n->socket, &msg, n->flags)) == NNG_EAGAIN)
        sched_yield();
    if (error != 0)
        return fail(n->end, "cannot receive", error);
    ok = nng_msg_len(msg) == PEER_SIZE;
    if (ok)
        memcpy(words, nng_msg_body(msg), PEER_SIZE);
    nng_msg_free(msg);
    return ok || peer_fail(n->end, "received", "another size");
}

static const struct peer_calls calls = {
    .open = nng_peer_open,
    .close = nng_peer_close,
    .send = nng_peer_send,
    .flush = nng_peer_flush,
    .receive = nng_peer_receive,
};

static bool nng_peer_run(struct peer_end *end)
{
    return peer_calls_run(end, &calls);
}

static void nng_peer_version(char *text, size_t len)
{
    snprintf(text, len, "%s", nng_version());
}

static void nng_peer_settings(const struct peer_case *kase, struct perf_json *json)
{
    (void)kase;
    perf_json_str(json, "sockets", "pair0");
    perf_json_u64(json, "buffers", BUFFER);
    perf_json_str(json, "nagle", "off");
    perf_json_str(json, "threads", "as many as NNG starts");
}

static const struct peer_case cases[] = {
    {"tcp", "blocking", false}, {"tcp", "spinning", false}, {"tcp", "blocking", true},
    {"ipc", "blocking", false}, {"ipc", "blocking", true},
};

static const struct peer nng = {
    .name = "nng",
    .cases = cases,
    .case_count = sizeof(cases) / sizeof(cases[0]),
    .version = nng_peer_version,
    .settings = nng_peer_settings,
    .run = nng_peer_run,
};

int main(int argc, char **argv)
{
    return peer_main(argc, argv, &nng);
}
