/* SPDX-License-Identifier: Apache-2.0 */
#include "port_vhost.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <rte_dev.h>
#include <rte_ethdev.h>

#include "addr.h"
#include "eal.h"
#include "pool_dpdk.h"
#include "ethdev.h"
#include "vhost_meet.h"

#define ANSWER_MS 2000  /* to a message of the meeting */
#define SERVED_MS 10000 /* from READY until PATH is served */
#define KNOCK_MS 10
#define RETRY_MS 20 /* between tries to reach the other side */
#define TROUBLE_MS 500
#define LOOK_MS 500  /* at the link while the neighbour is there */
#define DOWN_MS 2000 /* it may stay down so long before the connection is shaken */
#define DOWN_MAX 32000

/* Locally administered; "proa" and the side. */
static const uint8_t mac_listen[6] = {0x02, 0x70, 0x72, 0x6f, 0x61, 0x00};
static const uint8_t mac_connect[6] = {0x02, 0x70, 0x72, 0x6f, 0x61, 0x01};

struct vhost_port {
    struct ethdev_port eth; /* first */
    char path[MEET_PATH_MAX + 1];
    char device[32]; /* "" until it is made */
    bool broken;     /* it did not start: out of order for good */
    unsigned device_queues;
    bool listens;
    int listener; /* listening side: PATH.up */
    int stop;     /* eventfd: the helper ends */
    pthread_t helper;

    pthread_mutex_t lock;
    char state[PROA_TEXT_MAX];
};

static void say(struct vhost_port *port, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void say(struct vhost_port *port, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    pthread_mutex_lock(&port->lock);
    vsnprintf(port->state, sizeof(port->state), format, args);
    pthread_mutex_unlock(&port->lock);
    va_end(args);
}

static bool started(struct vhost_port *port)
{
    return atomic_load_explicit(&port->eth.ready, memory_order_relaxed);
}

/* ---- the device ---- */

/* Makes the device; on the listening side this blocks until the neighbour reaches PATH. */
static bool make_device(struct vhost_port *port, unsigned queues)
{
    static _Atomic unsigned number;
    char device[sizeof(port->device)], args[MEET_PATH_MAX + 128], said[160];
    unsigned n = atomic_fetch_add(&number, 1);

    if (port->listens) {
        snprintf(device, sizeof(device), "net_virtio_user%u", n);
        snprintf(
            args, sizeof(args),
            "path=%s,server=1,queue_size=%d,queues=%u,mac=%02x:%02x:%02x:%02x:%02x:%02x",
            port->path, PORT_VHOST_DESCRIPTORS, queues, mac_listen[0], mac_listen[1],
            mac_listen[2], mac_listen[3], mac_listen[4], mac_listen[5]);
    } else {
        snprintf(device, sizeof(device), "net_vhost%u", n);
        snprintf(args, sizeof(args), "iface=%s,client=1,queues=%u", port->path, queues);
    }
    if (port->listens)
        unlink(port->path); /* ours, by PATH.up: left by an attempt that failed */
    if (rte_eal_hotplug_add("vdev", device, args) != 0) {
        if (port->listens)
            unlink(port->path);
        eal_log_error(said, sizeof(said));
        say(port, "%s: DPDK could not make device %s (%s)", port->path, device, said);
        return false;
    }
    snprintf(port->device, sizeof(port->device), "%s", device);
    port->device_queues = queues;
    return true;
}

static void remove_device(struct vhost_port *port)
{
    if (port->device[0] == '\0' || port->broken)
        return;
    ethdev_stop(&port->eth);
    (void)rte_eal_hotplug_remove("vdev", port->device);
    port->device[0] = '\0';
}

/* A device that did not start stays as it is: virtio-user cannot be taken away in that state
   without DPDK stumbling over its interrupt handler. */
static bool start_device(struct vhost_port *port)
{
    char err[160] = "no such device";
    struct ethdev_setup setup = {.rx_queues = (uint16_t)port->device_queues,
                                 .tx_queues = (uint16_t)port->device_queues,
                                 .descriptors = PORT_VHOST_DESCRIPTORS,
                                 .link_events = true,
                                 .interrupts = true};

    if (rte_eth_dev_get_port_by_name(port->device, &setup.dev) == 0 &&
        ethdev_start(&port->eth, &setup, err, sizeof(err)))
        return true;
    say(port, "%s: %s: %s; restart this process", port->path, port->device, err);
    port->broken = true;
    return false;
}

/* ---- the listening side ---- */

struct attach {
    struct vhost_port *port;
    unsigned queues;
    int done; /* eventfd */
    bool made;
};

static void *attach_thread(void *arg)
{
    struct attach *attach = arg;
    const uint64_t one = 1;

    attach->made = make_device(attach->port, attach->queues);
    if (write(attach->done, &one, sizeof(one)) != sizeof(one))
        abort(); /* a fresh eventfd takes a 1 */
    return NULL;
}

/* Makes the device while watching the neighbour and stop: when either ends it, the accept()
   inside is ended by a knock. */
static bool attach(struct vhost_port *port, int neighbour, unsigned queues)
{
    struct attach job = {.port = port, .queues = queues};
    pthread_t thread;

    job.done = eventfd(0, EFD_CLOEXEC);
    if (job.done < 0 || pthread_create(&thread, NULL, attach_thread, &job) != 0) {
        say(port, "%s: no memory for a thread", port->path);
        if (job.done >= 0)
            close(job.done);
        return false;
    }
    for (bool knock = false;;) {
        struct pollfd fds[3] = {{.fd = job.done, .events = POLLIN},
                                {.fd = knock ? -1 : neighbour, .events = POLLIN},
                                {.fd = knock ? -1 : port->stop, .events = POLLIN}};

        (void)poll(fds, 3, knock ? KNOCK_MS : -1);
        if (fds[0].revents != 0)
            break;
        knock = knock || fds[1].revents != 0 || fds[2].revents != 0;
        if (knock)
            meet_knock(port->path);
    }
    pthread_join(thread, NULL);
    close(job.done);
    return job.made;
}

/* How long the link has been down though the neighbour is there. */
struct down {
    int ms, limit;
};

/* LOOK_MS have passed.  True: too long, do something; each time it may take longer. */
static bool too_long_down(struct down *down, struct vhost_port *port)
{
    if (ethdev_up(&port->eth.base)) {
        *down = (struct down){0, DOWN_MS};
        return false;
    }
    down->ms += LOOK_MS;
    if (down->ms < down->limit)
        return false;
    down->ms = 0;
    down->limit = down->limit < DOWN_MAX ? 2 * down->limit : DOWN_MAX;
    return true;
}

/* With the neighbour there, nobody else may come; returns when it is gone or the port closes. */
static void stay_with(struct vhost_port *port, int neighbour)
{
    struct down down = {0, DOWN_MS};

    for (;;) {
        struct pollfd fds[3] = {{.fd = neighbour, .events = POLLIN},
                                {.fd = port->stop, .events = POLLIN},
                                {.fd = port->listener, .events = POLLIN}};
        int n = poll(fds, 3, LOOK_MS);
        unsigned value;

        if (n == 0 && too_long_down(&down, port))
            meet_shake(port->path);
        if (n <= 0)
            continue;
        if (fds[1].revents != 0)
            return;
        if (fds[0].revents != 0) {
            if (meet_receive(neighbour, port->stop, 0, &value) != MEET_SHAKE)
                return;
            meet_shake(port->path);
        }
        if (fds[2].revents != 0) {
            int other = meet_accept(port->listener, port->stop, 0);

            if (other >= 0) {
                meet_send(other, MEET_BUSY, 0);
                close(other);
            }
        }
    }
}

static void welcome(struct vhost_port *port, int neighbour)
{
    unsigned queues = port->eth.base.queues, theirs, value;

    if (meet_receive(neighbour, port->stop, ANSWER_MS, &theirs) != MEET_HELLO)
        return;
    if (theirs > queues)
        queues = theirs;
    if (started(port))
        queues = port->device_queues;
    if (!meet_send(neighbour, MEET_OFFER, queues) ||
        meet_receive(neighbour, port->stop, ANSWER_MS, &value) != MEET_READY)
        return;
    if (!started(port)) {
        if (!attach(port, neighbour, queues))
            return;
        if (!start_device(port))
            return;
    }
    say(port, "%s: neighbour attached", port->path);
    stay_with(port, neighbour);
    say(port, "%s: waits for its neighbour to come back", port->path);
}

static void *listen_helper(void *arg)
{
    struct vhost_port *port = arg;

    eal_pin_control();
    while (!meet_sleep(port->stop, port->broken ? -1 : 0)) {
        int neighbour = meet_accept(port->listener, port->stop, -1);

        if (neighbour >= 0) {
            welcome(port, neighbour);
            close(neighbour);
        }
    }
    return NULL;
}

/* ---- the connecting side ---- */

/* Sees to a device with so many queue pairs.  False: said why not. */
static bool provide_device(struct vhost_port *port, unsigned queues)
{
    if (queues < port->eth.base.queues || queues > PROA_LANES_MAX ||
        (started(port) && queues != port->device_queues)) {
        say(port,
            "%s: the neighbour has queues for %u lanes, this side for %u; restart it",
            port->path, queues,
            started(port) ? port->device_queues : port->eth.base.queues);
        return false;
    }
    if (!started(port) && port->device_queues != queues)
        remove_device(port);
    return port->device[0] != '\0' || make_device(port, queues);
}

/* One meeting, until the other side is gone.  Returns how long to wait before the next try. */
static int meet(struct vhost_port *port, int neighbour)
{
    unsigned lanes = port->eth.base.queues, queues, value;
    struct down down = {0, DOWN_MS};
    enum meet_kind kind;

    if (started(port))
        lanes = port->device_queues;
    meet_send(neighbour, MEET_HELLO, lanes);
    kind = meet_receive(neighbour, port->stop, ANSWER_MS, &queues);
    if (kind == MEET_BUSY) {
        say(port, "%s: another process is attached there", port->path);
        return TROUBLE_MS;
    }
    if (kind != MEET_OFFER)
        return RETRY_MS;
    if (!provide_device(port, queues))
        return TROUBLE_MS;
    meet_send(neighbour, MEET_READY, 0);
    if (!started(port)) {
        kind = meet_served(port->path, neighbour, port->stop, SERVED_MS);
        if (kind != MEET_READY)
            return RETRY_MS;
        if (!start_device(port))
            return TROUBLE_MS;
    }
    say(port, "%s: attached", port->path);
    while (meet_receive(neighbour, port->stop, LOOK_MS, &value) == MEET_NONE) {
        if (too_long_down(&down, port))
            meet_send(neighbour, MEET_SHAKE, 0);
    }
    say(port, "%s: waits for its neighbour to come back", port->path);
    return RETRY_MS;
}

static void *connect_helper(void *arg)
{
    struct vhost_port *port = arg;
    int pause = 0;

    eal_pin_control();
    while (!meet_sleep(port->stop, port->broken ? -1 : pause)) {
        int neighbour = meet_connect(port->path);

        pause = RETRY_MS;
        if (neighbour >= 0) {
            pause = meet(port, neighbour);
            close(neighbour);
        }
    }
    return NULL;
}

/* ---- the port ---- */

static void vhost_state(struct port *base, char *buf, size_t len)
{
    struct vhost_port *port = (struct vhost_port *)base;

    pthread_mutex_lock(&port->lock);
    snprintf(buf, len, "%s", port->state);
    pthread_mutex_unlock(&port->lock);
}

static void end_helper(struct vhost_port *port)
{
    const uint64_t one = 1;

    if (write(port->stop, &one, sizeof(one)) != sizeof(one))
        abort(); /* nobody else writes it */
    pthread_join(port->helper, NULL);
}

static void free_port(struct vhost_port *port)
{
    if (port->listener >= 0) {
        char up[MEET_PATH_MAX + 8];

        snprintf(up, sizeof(up), "%s.up", port->path);
        unlink(up);
        close(port->listener);
    }
    if (port->stop >= 0)
        close(port->stop);
    ethdev_fini(&port->eth);
    free(port);
}

/* Stopping the device talks to a neighbour that may be gone, on the caller's thread: the
   SIGPIPE of that is taken back before the caller's mask is. */
static void remove_device_quietly(struct vhost_port *port)
{
    const struct timespec at_once = {0, 0};
    sigset_t pipe_only, before, pending;

    sigemptyset(&pipe_only);
    sigaddset(&pipe_only, SIGPIPE);
    sigpending(&pending);
    pthread_sigmask(SIG_BLOCK, &pipe_only, &before);
    remove_device(port);
    if (!sigismember(&pending, SIGPIPE)) {
        while (sigtimedwait(&pipe_only, NULL, &at_once) == SIGPIPE)
            ;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

static void vhost_close(struct port *base)
{
    struct vhost_port *port = (struct vhost_port *)base;

    end_helper(port);
    remove_device_quietly(port);
    free_port(port);
}

static const struct port_ops vhost_ops = {
    .rx = ethdev_rx,
    .tx = ethdev_tx,
    .fd = ethdev_fd,
    .arm = ethdev_arm,
    .disarm = ethdev_disarm,
    .deadline = ethdev_deadline,
    .up = ethdev_up,
    .state = vhost_state,
    .close = vhost_close,
};

/* ---- opening ---- */

/* The same for both sides, whatever their working directories are. */
static uint32_t path_hash(const char *path)
{
    char folder[PATH_MAX], full[PATH_MAX], text[PATH_MAX + MEET_PATH_MAX];
    const char *slash = strrchr(path, '/'), *name = slash != NULL ? slash + 1 : path;
    uint32_t hash = 2166136261u; /* FNV-1a, 32 bits */

    snprintf(folder, sizeof(folder), "%.*s", slash != NULL ? (int)(slash - path + 1) : 1,
             slash != NULL ? path : ".");
    if (realpath(folder, full) == NULL)
        snprintf(full, sizeof(full), "%s", folder);
    snprintf(text, sizeof(text), "%s/%s", strcmp(full, "/") == 0 ? "" : full, name);
    for (const char *c = text; *c != '\0'; c++)
        hash = (hash ^ (uint8_t)*c) * 16777619u;
    return hash;
}

/* RFC 3927 keeps the first and last 256 of 169.254.0.0/16. */
static void derive_addresses(struct vhost_port *port, uint16_t udp_port)
{
    uint32_t hash = path_hash(port->path);
    uint32_t pair =
        169u << 24 | 254u << 16 | (1 + (hash >> 16) % 254) << 8 | (hash & 0xfe);

    port->eth.base.address = addr_v4(pair | !port->listens, udp_port);
    port->eth.base.neighbour = addr_v4(pair | port->listens, udp_port);
    port->eth.base.prefix = 127;
}

/* In a network of two the other address is the neighbour's: /31 of RFC 3021, /30, and IPv6's. */
static void derive_neighbour(struct port *base)
{
    uint8_t flip = base->prefix == 127 ? 1 : base->prefix == 126 ? 3 : 0;

    if (flip == 0)
        return; /* unknown: found by prefix */
    base->neighbour = base->address;
    base->neighbour.ip[15] ^= flip;
}

static bool set_addresses(struct vhost_port *port, const struct port_open_args *args,
                          char *err, size_t err_len)
{
    uint16_t udp_port = args->udp_port != 0 ? args->udp_port : PROA_PORT;
    struct port *base = &port->eth.base;

    if (!port_address_config(base, args, err, err_len) ||
        !port_mtu_config(base, args, PORT_VHOST_MTU, err, err_len))
        return false;
    if (base->address.family == 0)
        derive_addresses(port, udp_port);
    else
        derive_neighbour(base);
    port_set_address(base);
    net_template_init(&port->eth.template, &base->address,
                      port->listens ? mac_listen : mac_connect,
                      port->listens ? mac_connect : mac_listen);
    port->eth.accept = NET_ACCEPT_ZERO;
    port->eth.checksum = NET_CHECKSUM_NONE;
    for (unsigned i = 0; i < args->queues; i++) {
        PROA_ASSERT(pool_dpdk_mempool(args->pools[i]) != NULL);
        if (pool_dpdk_mtu(args->pools[i]) < base->mtu) {
            snprintf(err, err_len,
                     "%s: the lanes' buffers hold packets of %u bytes, not %u",
                     args->config->spec, pool_dpdk_mtu(args->pools[i]), base->mtu);
            return false;
        }
    }
    return true;
}

static bool parse_spec(struct vhost_port *port, const char *spec, char *err,
                       size_t err_len)
{
    static const char listen[] = "vhost:listen=", connect[] = "vhost:connect=";
    const char *path = NULL;
    char why[200];

    if (strncmp(spec, listen, sizeof(listen) - 1) == 0) {
        port->listens = true;
        path = spec + sizeof(listen) - 1;
    } else if (strncmp(spec, connect, sizeof(connect) - 1) == 0) {
        path = spec + sizeof(connect) - 1;
    }
    if (path == NULL) {
        snprintf(err, err_len, "%s: write vhost:listen=PATH or vhost:connect=PATH", spec);
        return false;
    }
    if (!meet_path_check(path, why, sizeof(why))) {
        snprintf(err, err_len, "%s: %s", spec, why);
        return false;
    }
    snprintf(port->path, sizeof(port->path), "%s", path);
    return true;
}

static bool start_helper(struct vhost_port *port)
{
    sigset_t all, before;
    bool ok;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before); /* inherited: signals are the user's */
    ok = pthread_create(&port->helper, NULL,
                        port->listens ? listen_helper : connect_helper, port) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return ok;
}

struct port *port_vhost_open(const struct port_open_args *args, char *err, size_t err_len)
{
    struct vhost_port *port = calloc(1, sizeof(*port));
    char why[200];

    if (port == NULL || !ethdev_init(&port->eth, &vhost_ops, "vhost", args)) {
        snprintf(err, err_len, "%s: out of memory or descriptors", args->config->spec);
        free(port);
        return NULL;
    }
    pthread_mutex_init(&port->lock, NULL);
    port->listener = -1;
    port->stop = eventfd(0, EFD_CLOEXEC);
    if (!parse_spec(port, args->config->spec, err, err_len) ||
        !set_addresses(port, args, err, err_len))
        goto failed;
    say(port, "%s: waits for its neighbour", port->path);
    if (port->listens) {
        port->listener = meet_listen(port->path, why, sizeof(why));
        if (port->listener < 0) {
            snprintf(err, err_len, "%s: %s", args->config->spec, why);
            goto failed;
        }
    }
    if (port->stop < 0 || !start_helper(port)) {
        snprintf(err, err_len, "%s: no descriptor or thread left", args->config->spec);
        goto failed;
    }
    return &port->eth.base;
failed:
    free_port(port);
    return NULL;
}
