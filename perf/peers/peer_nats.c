/* SPDX-License-Identifier: Apache-2.0 */
/* peer_nats - NATS: a server of our own on a free port of the loopback, and two of its C clients.  A
   message goes from client to server to client.  perf/README.md says why each setting. */
#include "peer.h"

#include <errno.h>
#include <fcntl.h>
#include <nats/nats.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "perf_clock.h"

#define WINDOW                                                                           \
    16384u /* messages under way: a quarter of what a subscription holds by default */
#define LOG_MAX 4096u     /* bytes the server says until it listens */
#define RECEIVE_FOR 10000 /* ms for which a message may not come */

/* ---- The server ---- */

static const char listening[] = "Listening for client connections on ";
static struct perf_process server; /* pipe.in: its log */
static char server_version[32] = "?";

static void server_exec(int log)
{
    const char *const paths[] = {"nats-server", "/usr/sbin/nats-server"};

    dup2(log, STDOUT_FILENO);
    dup2(log, STDERR_FILENO);
    for (unsigned i = 0; i < 2; i++)
        execlp(paths[i], paths[i], "-a", "127.0.0.1", "-p", "-1", (char *)NULL);
    _exit(127);
}

static void server_stop(void)
{
    if (server.pid > 0) {
        kill(server.pid, SIGKILL); /* keeps nothing */
        waitpid(server.pid, NULL, 0);
        close(server.pipe.in);
    }
    server.pid = 0;
}

static void read_version(const char *log)
{
    const char *at = strstr(log, "Version:");

    if (at != NULL && sscanf(at, "Version: %31s", server_version) != 1)
        snprintf(server_version, sizeof(server_version), "?");
}

/* Reads the log until the server is ready; earlier it may refuse a client. */
static bool server_listens(char *address)
{
    char log[LOG_MAX + 1];
    size_t len = 0;
    unsigned port;

    while (len < LOG_MAX && perf_pipe_read(&server.pipe, log + len, 1, PEER_PATIENCE)) {
        const char *at;

        log[++len] = '\0';
        if (log[len - 1] != '\n' || strstr(log, "Server is ready") == NULL)
            continue;
        read_version(log);
        at = strstr(log, listening);
        if (at == NULL || sscanf(at + strlen(listening), "127.0.0.1:%u", &port) != 1)
            return false;
        snprintf(address, PEER_ADDRESS_MAX, "nats://127.0.0.1:%u", port);
        return true;
    }
    return false;
}

static bool server_start(const struct peer_case *kase, char *address)
{
    int log[2];
    pid_t parent = getpid();

    if (pipe2(log, O_CLOEXEC) != 0)
        return false;
    server.pid = fork();
    if (server.pid == 0) {
        cpu_set_t set;

        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != parent)
            _exit(1);
        CPU_ZERO(&set);
        CPU_SET(0, &set);
        if (!kase->same_core)
            CPU_SET(1, &set);
        sched_setaffinity(0, sizeof(set), &set);
        server_exec(log[1]);
    }
    close(log[1]);
    server.pipe = (struct perf_pipe){.in = log[0], .out = -1};
    if (server.pid > 0 && server_listens(address))
        return true;
    fprintf(stderr,
            "nats: its server does not start; is nats-server installed (apt-get install "
            "nats-server)?\n");
    server_stop();
    return false;
}

/* ---- A client ---- */

struct client {
    const struct peer_end *end;
    natsConnection *connection;
    natsSubscription *subscription;
    const char *to; /* the other's subject */
    int64_t timeout;
};

static bool fail(const struct peer_end *end, const char *what, natsStatus status)
{
    const char *more = nats_GetLastError(NULL);

    return peer_fail(end, what, more != NULL ? more : natsStatus_GetText(status));
}

/* One way, A's messages go in batches: its flusher's. */
static natsStatus connect_client(struct peer_end *end, struct client *c)
{
    natsOptions *options = NULL;
    natsStatus status = natsOptions_Create(&options);
    bool at_once = end->phase == PEER_ROUND_TRIPS || !end->is_a;

    if (status == NATS_OK)
        status = natsOptions_SetURL(options, end->address);
    if (status == NATS_OK)
        status = natsOptions_SetAllowReconnect(options, false);
    if (status == NATS_OK)
        status = natsOptions_SetSendAsap(options, at_once);
    if (status == NATS_OK)
        status = natsConnection_Connect(&c->connection, options);
    natsOptions_Destroy(options);
    return status;
}

static bool nats_open(struct peer_end *end, void **ret_ctx)
{
    struct client *c = calloc(1, sizeof(*c));
    natsStatus status;

    if (c == NULL)
        return peer_fail(end, "no memory", strerror(ENOMEM));
    *ret_ctx = c;
    c->end = end;
    c->to = end->is_a ? "b" : "a";
    c->timeout = strcmp(end->kase->wait, "spinning") == 0 ? 0 : RECEIVE_FOR;
    status = connect_client(end, c);
    if (status == NATS_OK)
        status = natsConnection_SubscribeSync(&c->subscription, c->connection,
                                              end->is_a ? "a" : "b");
    if (status == NATS_OK)
        status = natsConnection_Flush(c->connection); /* the server has it */
    if (status != NATS_OK)
        return fail(end, "cannot connect", status);
    return end->is_a || peer_end_ready(end, end->address);
}

static void nats_peer_close(void *ctx)
{
    struct client *c = ctx;

    natsSubscription_Destroy(c->subscription);
    natsConnection_Destroy(c->connection);
    nats_Close();
    free(c);
}

static bool nats_send(void *ctx, const uint64_t *words)
{
    struct client *c = ctx;
    natsStatus status = natsConnection_Publish(c->connection, c->to, words, PEER_SIZE);

    return status == NATS_OK || fail(c->end, "cannot send", status);
}

static bool nats_flush(void *ctx)
{
    (void)ctx; /* sent at once, or by the connection's flusher thread */
    return true;
}

static bool nats_receive(void *ctx, uint64_t *words)
{
    struct client *c = ctx;
    natsMsg *msg = NULL;
    natsStatus status;
    bool ok;

    while ((status = natsSubscription_NextMsg(&msg, c->subscription, c->timeout)) ==
               NATS_TIMEOUT &&
           c->timeout == 0)
        sched_yield(); /* its threads need this core, too */
    if (status != NATS_OK)
        return fail(c->end, "cannot receive", status);
    ok = natsMsg_GetDataLength(msg) == (int)PEER_SIZE;
    if (ok)
        memcpy(words, natsMsg_GetData(msg), PEER_SIZE);
    natsMsg_Destroy(msg);
    return ok || peer_fail(c->end, "received", "another size");
}

static const struct peer_calls calls = {
    .open = nats_open,
    .close = nats_peer_close,
    .send = nats_send,
    .flush = nats_flush,
    .receive = nats_receive,
    .window = WINDOW,
};

static bool nats_run(struct peer_end *end)
{
    return peer_calls_run(end, &calls);
}

static void nats_version(char *text, size_t len)
{
    snprintf(text, len, "server %s, client %s", server_version, nats_GetVersion());
}

static void nats_settings(const struct peer_case *kase, struct perf_json *json)
{
    perf_json_str(json, "subscription", "synchronous");
    perf_json_str(json, "round_trips", "SendAsap");
    perf_json_str(json, "one_way", "buffered, its flusher thread sends");
    perf_json_u64(json, "window", WINDOW);
    perf_json_str(json, "server", kase->same_core ? "on the same core" : "on both cores");
    perf_json_str(json, "nagle", "off, as NATS has it");
}

static const struct peer_case cases[] = {
    {"tcp", "blocking", false},
    {"tcp", "spinning", false},
    {"tcp", "blocking", true},
};

static const struct peer nats = {
    .name = "nats",
    .cases = cases,
    .case_count = sizeof(cases) / sizeof(cases[0]),
    .version = nats_version,
    .settings = nats_settings,
    .run = nats_run,
    .server_start = server_start,
    .server_stop = server_stop,
};

int main(int argc, char **argv)
{
    return peer_main(argc, argv, &nats);
}
