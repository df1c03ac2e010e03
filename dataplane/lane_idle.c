/* SPDX-License-Identifier: Apache-2.0 */
/* How a lane's thread waits: spin, or adaptive (docs/wire.md, "Idle"). */
#include "lane_internal.h"

#include <errno.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#include "clock.h"

#define IDLE_SPIN                                                                        \
    (50 * PROA_US) /* without work before the first sleep.  Source: wire.md */
#define IDLE_STEP                                                                        \
    (500 * PROA_US) /* longest sleep when a port has no fd.  Source: wire.md */
#define IDLE_LONGEST (100 * PROA_MS) /* longest sleep at all: *stop is looked at */
#define IDLE_FDS_MAX (PROA_PORTS_MAX + 1)
#define IDLE_LOOKS 32 /* at the ports, for one loop without work: less than 1 us */
#define IDLE_SPIN_MIN (2 * PROA_US)

struct idle {
    int epoll;
    int fds[PROA_PORTS_MAX]; /* of each port as last seen; -1 none */
    bool all_have_fd;
};

static void watch_fd(struct idle *idle, int fd)
{
    struct epoll_event ev = {.events = EPOLLIN, .data.fd = fd};

    epoll_ctl(idle->epoll, EPOLL_CTL_ADD, fd, &ev);
}

/* A port's fd may change (a vhost neighbour came back): look each time before sleeping. */
static void refresh_fds(struct lane *lane, struct idle *idle)
{
    idle->all_have_fd = true;
    for (unsigned i = 0; i < lane->config.port_count; i++) {
        struct port *port = lane->config.ports[i];
        int fd = port->ops->fd(port, lane->config.lane);

        if (fd != idle->fds[i]) {
            if (idle->fds[i] >= 0) /* may be closed already: the kernel then removed it */
                epoll_ctl(idle->epoll, EPOLL_CTL_DEL, idle->fds[i], NULL);
            if (fd >= 0)
                watch_fd(idle, fd);
            idle->fds[i] = fd;
        }
        if (fd < 0)
            idle->all_have_fd = false;
    }
}

static void arm_ports(struct lane *lane, bool arm)
{
    for (unsigned i = 0; i < lane->config.port_count; i++) {
        struct port *port = lane->config.ports[i];
        if (arm)
            port->ops->arm(port, lane->config.lane);
        else
            port->ops->disarm(port, lane->config.lane);
    }
}

static void wait_until(struct idle *idle, proa_ns span)
{
    struct epoll_event events[IDLE_FDS_MAX];
    struct timespec ts = {(time_t)(span / PROA_S), (long)(span % PROA_S)};

    epoll_pwait2(idle->epoll, events, IDLE_FDS_MAX, &ts, NULL);
}

/* A packet waits for the loop before it to end.  A loop that finds nothing takes some 100 ns, a
   look at a port 20: so the ports are looked at several times before one. */
static bool loop(struct lane *lane)
{
    bool busy = lane->worked || lane->dirty_count > 0; /* links that take turns */
    unsigned looks = busy || lane->dear_looks ? 1 : IDLE_LOOKS;

    while (!lane_poll(lane, lane->now) && --looks > 0 && !sched_called(lane->sched))
        ;
    return lane_step(lane, clock_ns());
}

/* Sleeps until a packet, a bell or the next deadline.  Arm, poll once more, then wait: what
   arrives between the two is seen by one of them. */
static void sleep_once(struct lane *lane, struct idle *idle)
{
    proa_ns now = lane->now;

    lane_settle(lane, now);
    refresh_fds(lane, idle);
    doorbell_arm(lane->config.bell);
    arm_ports(lane, true);
    bool worked = loop(lane);
    now = clock_ns();
    proa_ns deadline = lane_deadline(lane);
    proa_ns span = idle->all_have_fd ? IDLE_LONGEST : IDLE_STEP;

    if (!worked && deadline > now) {
        if (deadline - now < span)
            span = deadline - now;
        if (span > IDLE_SPIN_MIN) {
            lane_settle(lane, now);
            directory_offline(lane->config.directory, lane->config.reader);
            wait_until(idle, span);
            directory_online(lane->config.directory, lane->config.reader);
            lane_count(&lane->stats.sleeps, 1);
            lane->slept = true;
        }
    }
    arm_ports(lane, false);
    doorbell_disarm(lane->config.bell);
}

static void run_adaptive(struct lane *lane, const _Atomic bool *stop)
{
    struct idle idle = {.epoll = epoll_create1(EPOLL_CLOEXEC)};
    proa_ns worked_at = clock_ns();

    PROA_ASSERT(idle.epoll >= 0);
    for (unsigned i = 0; i < PROA_PORTS_MAX; i++)
        idle.fds[i] = -1;
    watch_fd(&idle, lane->config.bell->fd);
    /* relaxed: the thread is joined after the flag was set; late by a loop at worst. */
    while (!atomic_load_explicit(stop, memory_order_relaxed)) {
        if (loop(lane))
            worked_at = lane->now;
        else if (lane->now - worked_at > IDLE_SPIN)
            sleep_once(lane, &idle);
    }
    close(idle.epoll);
}

void lane_run(struct lane *lane, const _Atomic bool *stop, enum proa_idle policy)
{
    directory_online(lane->config.directory, lane->config.reader);
    if (policy == PROA_IDLE_SPIN) {
        /* relaxed: as above. */
        while (!atomic_load_explicit(stop, memory_order_relaxed))
            loop(lane);
    } else {
        run_adaptive(lane, stop);
    }
    directory_offline(lane->config.directory, lane->config.reader);
}
