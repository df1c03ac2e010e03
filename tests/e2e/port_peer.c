/* SPDX-License-Identifier: Apache-2.0 */
/* port_peer - a process with lanes and ports but no node: what test_vhost starts and kills.

     port_peer [-n] [-q LANES] [-s] [-m MTU] SPEC...

   -n: no huge pages.  -s: lanes sleep on their ports' descriptors and only answer.
   Each lane sends checked packets to the neighbour of every port that is up, and every 100 ms
   one line about each port goes to stdout:

     PORT up=0|1 rx=N tx=N bad=N lanes=N (what the port says of itself)

   bad counts received packets whose bytes are wrong, lanes those lanes that received some.
   Ends with its stdin, status 0; status 1 and one line "error: ..." when a port does not open. */
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "eal.h"
#include "pool_dpdk.h"
#include "port.h"

#define PACKETS 8192
#define LEN_MIN 64

struct lane_state {
    _Atomic uint64_t received[PROA_PORTS_MAX], bad;
};

static struct port *ports[PROA_PORTS_MAX];
static unsigned port_count, lanes = 1;
static struct pkt_pool *pools[PROA_LANES_MAX];
static struct lane_state states[PROA_LANES_MAX];
static _Atomic bool stop;
static bool sleeper;

static proa_ns now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (proa_ns)t.tv_sec * PROA_S + (proa_ns)t.tv_nsec;
}

static uint8_t pattern(uint64_t number, unsigned at)
{
    return (uint8_t)(number * 31 + at);
}

static bool send_one(struct port *port, unsigned lane, uint64_t number, bool answer)
{
    unsigned len = LEN_MIN + (unsigned)(number * 97 % (port->payload_max - LEN_MIN + 1));
    struct pkt *p = pkt_alloc(pools[lane], 0);

    if (p == NULL)
        return false;
    p->data[0] = 0x11;
    p->data[1] = answer; /* which is not answered */
    memcpy(p->data + 8, &number, 8);
    for (unsigned i = 16; i < len; i++)
        p->data[i] = pattern(number, i);
    p->len = (uint16_t)len;
    p->source = 0;
    p->peer = port->neighbour;
    if (port_tx(port, lane, &p, 1, now_ns()) == 1)
        return true;
    pkt_free(pools[lane], p);
    return false;
}

static bool good(const struct pkt *p)
{
    uint64_t number;

    if (p->len < LEN_MIN || p->data[0] != 0x11 || (uintptr_t)p->data % 8 != 0)
        return false;
    memcpy(&number, p->data + 8, 8);
    for (unsigned i = 16; i < p->len; i++) {
        if (p->data[i] != pattern(number, i))
            return false;
    }
    return true;
}

/* Returns how many came, and in *ret_questions how many of them want an answer. */
static unsigned receive(unsigned lane, unsigned at, unsigned *ret_questions)
{
    struct pkt *pkts[PORT_BURST];
    unsigned n = port_rx(ports[at], lane, pkts, PORT_BURST, now_ns());

    for (unsigned i = 0; i < n; i++) {
        if (!good(pkts[i]))
            atomic_fetch_add(&states[lane].bad, 1);
        *ret_questions += pkts[i]->data[1] == 0;
        pkt_free(pools[lane], pkts[i]);
    }
    atomic_fetch_add(&states[lane].received[at], n);
    return n;
}

static void nap(void)
{
    nanosleep(&(struct timespec){.tv_nsec = 20000}, NULL);
}

/* Answers what comes, else sleeps until something does. */
static void sleep_on_ports(unsigned lane)
{
    struct pollfd fds[PROA_PORTS_MAX];
    unsigned got = 0;

    for (unsigned i = 0; i < port_count; i++) {
        port_arm(ports[i], lane);
        fds[i] = (struct pollfd){.fd = port_fd(ports[i], lane), .events = POLLIN};
    }
    for (unsigned i = 0; i < port_count; i++) {
        unsigned questions = 0;

        got += receive(lane, i, &questions);
        while (questions > 0)
            send_one(ports[i], lane, --questions, true);
    }
    if (got == 0)
        poll(fds, port_count, 500);
    for (unsigned i = 0; i < port_count; i++)
        port_disarm(ports[i], lane);
}

static void run_lane(void *arg)
{
    unsigned lane = (unsigned)(uintptr_t)arg;
    uint64_t number = lane;

    while (!atomic_load(&stop)) {
        if (sleeper) {
            sleep_on_ports(lane);
            continue;
        }
        for (unsigned i = 0; i < port_count; i++) {
            unsigned questions = 0;

            while (receive(lane, i, &questions) == PORT_BURST)
                ;
            for (unsigned j = 0; j < 8 && port_up(ports[i]); j++)
                number += send_one(ports[i], lane, number, false);
        }
        nap();
    }
}

static void report(void)
{
    for (unsigned i = 0; i < port_count; i++) {
        uint64_t bad = 0, rx = 0;
        unsigned busy = 0;
        struct port_stats stats;
        char state[PROA_TEXT_MAX];

        port_stats_sum(ports[i], &stats);
        for (unsigned lane = 0; lane < lanes; lane++) {
            uint64_t n = atomic_load(&states[lane].received[i]);

            bad += atomic_load(&states[lane].bad);
            busy += n > 0;
            rx += n;
        }
        for (unsigned d = 0; d < PORT_DROP_DOWN; d++)
            bad += d == PORT_DROP_POOL || d == PORT_DROP_TX
                       ? 0
                       : atomic_load(&stats.drops[d]);
        ports[i]->ops->state(ports[i], state, sizeof(state));
        printf("%u up=%d rx=%" PRIu64 " tx=%" PRIu64 " bad=%" PRIu64 " lanes=%u (%s)\n",
               i, port_up(ports[i]), rx, atomic_load(&stats.tx), bad, busy, state);
    }
    fflush(stdout);
}

static void close_all(void)
{
    for (unsigned i = 0; i < port_count; i++)
        port_close(ports[i]);
    for (unsigned i = 0; i < lanes; i++) {
        if (pools[i] != NULL)
            pool_dpdk_destroy(pools[i]);
    }
    eal_stop();
}

static int quit(const char *err)
{
    printf("error: %s\n", err);
    fflush(stdout);
    close_all();
    return 1;
}

int main(int argc, char **argv)
{
    struct eal_config eal = {.pages = PROA_PAGES_AUTO, .memory_mb = 128};
    struct pollfd end = {.fd = 0, .events = POLLIN};
    uint16_t mtu = 1500;
    char err[512];
    int c;

    while ((c = getopt(argc, argv, "nq:sm:")) != -1) {
        eal.pages = c == 'n' ? PROA_PAGES_NONE : eal.pages;
        lanes = c == 'q' ? (unsigned)atoi(optarg) : lanes;
        sleeper = c == 's' || sleeper;
        mtu = c == 'm' ? (uint16_t)atoi(optarg) : mtu;
    }
    eal.lanes = lanes;
    if (eal_start(&eal, err, sizeof(err)) != PROA_OK)
        return quit(err);
    for (unsigned i = 0; i < lanes; i++) {
        pools[i] = pool_dpdk_create(i, PACKETS, 64, mtu, err, sizeof(err));
        if (pools[i] == NULL)
            return quit(err);
    }
    for (; optind < argc; optind++, port_count++) {
        struct proa_port_config config = {.mtu = mtu};
        struct port_open_args args = {.config = &config,
                                      .queues = lanes,
                                      .pools = pools,
                                      .index = (uint8_t)port_count};

        snprintf(config.spec, sizeof(config.spec), "%s", argv[optind]);
        ports[port_count] = port_open(&args, err, sizeof(err));
        if (ports[port_count] == NULL)
            return quit(err);
    }
    for (unsigned i = 0; i < lanes; i++)
        eal_launch(i, run_lane, (void *)(uintptr_t)i);
    while (poll(&end, 1, 100) == 0)
        report();
    atomic_store(&stop, true);
    for (unsigned i = 0; i < lanes; i++)
        eal_join(i);
    close_all();
    return 0;
}
