/* SPDX-License-Identifier: Apache-2.0 */
/* peer_udp - UDP sockets without anything above them but a window, so that the receiver's buffer does not
   overflow.  Transport "udp" moves bursts one way with sendmmsg and recvmmsg, "udp_segment" with
   UDP_SEGMENT and UDP_GRO; round trips are send and recv in both.  No resending, no batches of messages
   in a datagram: the floor that the kernel gives. */
#include "peer.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/utsname.h>
#include <unistd.h>

#define BURST 32u        /* datagrams a call, sendmmsg and recvmmsg */
#define SEGMENTS 64u     /* a call, UDP_SEGMENT: what every kernel takes */
#define WINDOW 256u      /* messages: they fit an ordinary user's receive buffer */
#define WINDOW_GSO 2048u /* less of the buffer each */
#define RECEIVE_BUFFER (1 << 20)

struct udp {
    const struct peer_end *end;
    int fd;
    int flags; /* of recv */
    bool yield, segment;
    uint32_t to_send, burst; /* messages in out, and how many make a call */
    uint32_t next, got;      /* messages in in */
    struct mmsghdr headers[2][BURST];
    struct iovec vectors[2][BURST];
    uint64_t out[SEGMENTS][PEER_WORDS];
    uint64_t in[SEGMENTS][PEER_WORDS];
};

static bool fail(const struct peer_end *end, const char *what)
{
    return peer_fail(end, what, strerror(errno));
}

static bool listen_at(struct peer_end *end, struct udp *u)
{
    struct sockaddr_in us = {.sin_family = AF_INET}, them;
    socklen_t len = sizeof(us);
    char address[PEER_ADDRESS_MAX];
    uint8_t byte;

    us.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (bind(u->fd, (struct sockaddr *)&us, sizeof(us)) != 0 ||
        getsockname(u->fd, (struct sockaddr *)&us, &len) != 0)
        return fail(end, "cannot bind");
    snprintf(address, sizeof(address), "%u", ntohs(us.sin_port));
    if (!peer_end_ready(end, address))
        return false;
    len = sizeof(them);
    if (recvfrom(u->fd, &byte, 1, MSG_PEEK, (struct sockaddr *)&them, &len) < 0 ||
        connect(u->fd, (struct sockaddr *)&them, len) != 0)
        return fail(end, "cannot connect");
    return true;
}

static bool connect_to(struct peer_end *end, struct udp *u)
{
    struct sockaddr_in them = {.sin_family = AF_INET};

    them.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    them.sin_port = htons((uint16_t)strtoul(end->address, NULL, 10));
    return connect(u->fd, (struct sockaddr *)&them, sizeof(them)) == 0 ||
           fail(end, "cannot connect");
}

static void prepare_headers(struct udp *u)
{
    for (uint32_t i = 0; i < BURST; i++) {
        u->vectors[0][i] = (struct iovec){u->out[i], PEER_SIZE};
        u->vectors[1][i] = (struct iovec){u->in[i], PEER_SIZE};
        for (int side = 0; side < 2; side++) {
            u->headers[side][i].msg_hdr.msg_iov = &u->vectors[side][i];
            u->headers[side][i].msg_hdr.msg_iovlen = 1;
        }
    }
}

static bool udp_open(struct peer_end *end, void **ret_ctx)
{
    struct udp *u = calloc(1, sizeof(*u));
    const int buffer = RECEIVE_BUFFER, size = PEER_SIZE, on = 1;

    if (u == NULL)
        return fail(end, "no memory");
    *ret_ctx = u;
    u->end = end;
    u->segment = strcmp(end->kase->transport, "udp_segment") == 0;
    u->flags = strcmp(end->kase->wait, "spinning") == 0 ? MSG_DONTWAIT : 0;
    u->yield = end->kase->same_core;
    u->burst = end->phase == PEER_ROUND_TRIPS ? 1 : u->segment ? SEGMENTS : BURST;
    prepare_headers(u);
    u->fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (u->fd < 0)
        return fail(end, "no socket");
    if (setsockopt(u->fd, SOL_SOCKET, SO_RCVBUF, &buffer, sizeof(buffer)) != 0)
        return fail(end, "no buffer");
    if (u->segment && end->phase == PEER_ONE_WAY &&
        (setsockopt(u->fd, SOL_UDP, UDP_SEGMENT, &size, sizeof(size)) != 0 ||
         setsockopt(u->fd, SOL_UDP, UDP_GRO, &on, sizeof(on)) != 0))
        return fail(end, "UDP_SEGMENT and UDP_GRO (Linux 5.0)");
    return end->is_a ? connect_to(end, u) : listen_at(end, u);
}

static void udp_close(void *ctx)
{
    struct udp *u = ctx;

    if (u->fd >= 0)
        close(u->fd);
    free(u);
}

static bool send_burst(struct udp *u)
{
    uint32_t sent = 0;

    while (sent < u->to_send) {
        int n = sendmmsg(u->fd, &u->headers[0][sent], u->to_send - sent, 0);

        if (n < 0)
            return fail(u->end, "cannot send");
        sent += (uint32_t)n;
    }
    return true;
}

static bool udp_flush(void *ctx)
{
    struct udp *u = ctx;
    size_t len = u->to_send * PEER_SIZE;
    bool ok;

    if (u->to_send == 0)
        return true;
    if (u->to_send == 1 || u->segment)
        ok = send(u->fd, u->out, len, 0) == (ssize_t)len || fail(u->end, "cannot send");
    else
        ok = send_burst(u);
    u->to_send = 0;
    return ok;
}

static bool udp_send(void *ctx, const uint64_t *words)
{
    struct udp *u = ctx;

    memcpy(u->out[u->to_send++], words, PEER_SIZE);
    return u->to_send < u->burst || udp_flush(u);
}

/* Messages that came, or a negative errno. */
static int receive_some(struct udp *u)
{
    ssize_t n;

    if (u->burst > 1 && !u->segment) {
        n = recvmmsg(u->fd, u->headers[1], BURST, u->flags | MSG_WAITFORONE, NULL);
        for (ssize_t i = 0; i < n; i++)
            if (u->headers[1][i].msg_len != PEER_SIZE)
                return -EPROTO;
        return n < 0 ? -errno : (int)n;
    }
    n = recv(u->fd, u->in, sizeof(u->in), u->flags | MSG_TRUNC);
    if (n < 0)
        return -errno;
    return n == 0 || n % PEER_SIZE != 0 || n > (ssize_t)sizeof(u->in)
               ? -EPROTO
               : (int)((size_t)n / PEER_SIZE);
}

static bool udp_receive(void *ctx, uint64_t *words)
{
    struct udp *u = ctx;

    if (u->next == u->got) {
        int n;

        while ((n = receive_some(u)) == -EAGAIN)
            if (u->yield)
                sched_yield();
        if (n < 0) {
            errno = -n;
            return fail(u->end, "cannot receive");
        }
        u->got = (uint32_t)n;
        u->next = 0;
    }
    memcpy(words, u->in[u->next++], PEER_SIZE);
    return true;
}

static const struct peer_calls calls = {
    .open = udp_open,
    .close = udp_close,
    .send = udp_send,
    .flush = udp_flush,
    .receive = udp_receive,
    .window = WINDOW,
};

static bool udp_run(struct peer_end *end)
{
    struct peer_calls with = calls;

    if (strcmp(end->kase->transport, "udp_segment") == 0)
        with.window = WINDOW_GSO;
    return peer_calls_run(end, &with);
}

static void udp_version(char *text, size_t len)
{
    struct utsname name;

    snprintf(text, len, "Linux %s", uname(&name) == 0 ? name.release : "");
}

static void udp_settings(const struct peer_case *kase, struct perf_json *json)
{
    bool segment = strcmp(kase->transport, "udp_segment") == 0;

    perf_json_str(json, "round_trips", "send, recv");
    perf_json_str(json, "one_way",
                  segment ? "UDP_SEGMENT, UDP_GRO" : "sendmmsg, recvmmsg");
    perf_json_u64(json, "burst", segment ? SEGMENTS : BURST);
    perf_json_u64(json, "window", segment ? WINDOW_GSO : WINDOW);
}

static const struct peer_case cases[] = {
    {"udp", "spinning", false},         {"udp", "blocking", false},
    {"udp", "spinning", true},          {"udp", "blocking", true},
    {"udp_segment", "spinning", false}, {"udp_segment", "blocking", false},
    {"udp_segment", "spinning", true},  {"udp_segment", "blocking", true},
};

static const struct peer udp = {
    .name = "udp",
    .cases = cases,
    .case_count = sizeof(cases) / sizeof(cases[0]),
    .version = udp_version,
    .settings = udp_settings,
    .run = udp_run,
};

int main(int argc, char **argv)
{
    return peer_main(argc, argv, &udp);
}
