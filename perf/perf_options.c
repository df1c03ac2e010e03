/* SPDX-License-Identifier: Apache-2.0 */
#include "perf_options.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "perf_netns.h"

#define ETHDEV "ethdev:"

static const char *const mode_names[PERF_MODES] = {
    "tell",           "ask",         "raw",           "local-count",
    "local-pingpong", "cross-count", "cross-pingpong"};
static const char *const port_names[PERF_PORTS] = {"vhost", "udp", "ring", "af_xdp",
                                                   "ethdev"};

static const char *const flood_names[PERF_FLOOD_KINDS] = {"none", "links", "syns", "krpc",
                                                          "mixed"};

static const char usage[] =
    "usage: proa-perf [OPTION...]\n"
    "\n"
    "Two processes on two cores over one port (ring: two nodes in one process), a "
    "closed\n"
    "loop, every message checked; one JSON object on stdout.  perf/README.md says what "
    "each\n"
    "figure means.\n"
    "\n"
    "  --port vhost|udp|ring|af_xdp   where packets go (vhost); af_xdp: veth between two "
    "network namespaces, as root\n"
    "         ethdev:DEVARGS   the same by a virtual device of DPDK's on the "
    "interface " PERF_NETNS_INTERFACE
    ": ethdev:net_af_packet0,iface=" PERF_NETNS_INTERFACE "\n"
    "  --mode tell|ask|raw     what is measured (tell); raw is the bare loop on the "
    "port\n"
    "         local-count, local-pingpong   two actors on one lane\n"
    "         cross-count, cross-pingpong   two actors on two lanes of one node\n"
    "  --size N        bytes of payload, a multiple of 8 (32); raw: of the frame (64)\n"
    "  --window N      asks in flight (64); 1 is the latency figure\n"
    "  --seconds N     measured (5)\n"
    "  --warmup N      milliseconds before that (500)\n"
    "  --messages N    end earlier, after so many messages\n"
    "  --receivers N   actors, told or asked at random (1)\n"
    "  --burst N       tells a handler sends before it lets others run (128)\n"
    "  --sample N      time each N-th ask (1 up to window 4, else 8)\n"
    "  --defaults      cores, idle and slots as proa_config_init has them: what hello "
    "gets\n"
    "  --with-raw      the raw limit of the same port in the same run, and the ratio\n"
    "  --reverse       vhost: the connecting side (vhost) sends, not the listening "
    "(virtio)\n"
    "  --mtu N         bytes of an IP packet (the port's own)\n"
    "  --loss PPM      lose so many packets in a million, both ways\n"
    "  --duplicate PPM, --reorder PPM   send so many twice, or later than the next ones\n"
    "  --flood links|syns|krpc|mixed   af_xdp, tell or local-count: what datagrams of "
    "nobody cost "
    "the\n"
    "                  receiving lane, at its port and at another\n"
    "  --flood-rate N  of them in a second (1000000)\n"
    "  --idle spin|adaptive    (spin)\n"
    "  --no-huge       ordinary pages\n"
    "  --quiet         no notes on stderr\n";

const char *perf_mode_name(enum perf_mode mode)
{
    return mode < PERF_MODES ? mode_names[mode] : "?";
}

const char *perf_port_name(enum perf_port port)
{
    return port < PERF_PORTS ? port_names[port] : "?";
}

const char *perf_flood_kind_name(enum perf_flood_kind kind)
{
    return kind < PERF_FLOOD_KINDS ? flood_names[kind] : "?";
}

/* Which of n names text is, or -1 after saying so. */
static int one_of(const char *option, const char *text, const char *const *names, int n)
{
    for (int i = 0; i < n; i++) {
        if (strcmp(text, names[i]) == 0)
            return i;
    }
    fprintf(stderr, "proa-perf: --%s: no \"%s\"; there are:", option, text);
    for (int i = 0; i < n; i++)
        fprintf(stderr, " %s", names[i]);
    fputc('\n', stderr);
    return -1;
}

static bool number(const char *option, const char *text, uint32_t least, uint32_t most,
                   uint32_t *ret)
{
    char *end;
    unsigned long long value;

    errno = 0;
    value = strtoull(text, &end, 10);
    if (errno != 0 || end == text || *end != 0 || text[0] == '-' || value < least ||
        value > most) {
        fprintf(stderr, "proa-perf: --%s: \"%s\" is no number in %u..%u\n", option, text,
                least, most);
        return false;
    }
    *ret = (uint32_t)value;
    return true;
}

enum {
    OPT_PORT = 256,
    OPT_MODE,
    OPT_SIZE,
    OPT_WINDOW,
    OPT_SECONDS,
    OPT_WARMUP,
    OPT_MESSAGES,
    OPT_RECEIVERS,
    OPT_BURST,
    OPT_SAMPLE,
    OPT_MTU,
    OPT_LOSS,
    OPT_DUPLICATE,
    OPT_REORDER,
    OPT_FLOOD,
    OPT_FLOOD_RATE,
    OPT_IDLE,
    OPT_WITH_RAW,
    OPT_REVERSE,
    OPT_NO_HUGE,
    OPT_DEFAULTS,
    OPT_QUIET,
    OPT_HELP
};

static const struct option long_options[] = {
    {"port", required_argument, NULL, OPT_PORT},
    {"mode", required_argument, NULL, OPT_MODE},
    {"size", required_argument, NULL, OPT_SIZE},
    {"window", required_argument, NULL, OPT_WINDOW},
    {"seconds", required_argument, NULL, OPT_SECONDS},
    {"warmup", required_argument, NULL, OPT_WARMUP},
    {"messages", required_argument, NULL, OPT_MESSAGES},
    {"receivers", required_argument, NULL, OPT_RECEIVERS},
    {"burst", required_argument, NULL, OPT_BURST},
    {"sample", required_argument, NULL, OPT_SAMPLE},
    {"mtu", required_argument, NULL, OPT_MTU},
    {"loss", required_argument, NULL, OPT_LOSS},
    {"duplicate", required_argument, NULL, OPT_DUPLICATE},
    {"reorder", required_argument, NULL, OPT_REORDER},
    {"flood", required_argument, NULL, OPT_FLOOD},
    {"flood-rate", required_argument, NULL, OPT_FLOOD_RATE},
    {"idle", required_argument, NULL, OPT_IDLE},
    {"with-raw", no_argument, NULL, OPT_WITH_RAW},
    {"reverse", no_argument, NULL, OPT_REVERSE},
    {"no-huge", no_argument, NULL, OPT_NO_HUGE},
    {"defaults", no_argument, NULL, OPT_DEFAULTS},
    {"quiet", no_argument, NULL, OPT_QUIET},
    {"help", no_argument, NULL, OPT_HELP},
    {NULL, 0, NULL, 0}};

/* The options with a number, their bounds and where they go. */
static bool set_number(struct perf_options *o, int opt, const char *text)
{
    switch (opt) {
    case OPT_SIZE:
        return number("size", text, PERF_SIZE_MIN, PERF_SIZE_MAX, &o->size);
    case OPT_WINDOW:
        return number("window", text, 1, PERF_WINDOW_MAX, &o->window);
    case OPT_SECONDS:
        return number("seconds", text, 1, 3600, &o->seconds);
    case OPT_WARMUP:
        return number("warmup", text, 0, 60000, &o->warmup_ms);
    case OPT_MESSAGES:
        return number("messages", text, 1, UINT32_MAX, &o->messages);
    case OPT_RECEIVERS:
        return number("receivers", text, 1, PERF_RECEIVERS_MAX, &o->receivers);
    case OPT_BURST:
        return number("burst", text, 1, PERF_BURST_MAX, &o->burst);
    case OPT_SAMPLE:
        return number("sample", text, 1, 1000000, &o->sample);
    case OPT_FLOOD_RATE:
        return number("flood-rate", text, 1000, 100000000, &o->flood_rate);
    case OPT_MTU:
        return number("mtu", text, 1280, 9000, &o->mtu);
    default:
        return number("loss", text, 0, 500000, &o->loss_ppm);
    case OPT_DUPLICATE:
        return number("duplicate", text, 0, 500000, &o->duplicate_ppm);
    case OPT_REORDER:
        return number("reorder", text, 0, 500000, &o->reorder_ppm);
    }
}

/* A virtual device with arguments, of which one is our interface. */
static bool set_device(struct perf_options *o, const char *devargs)
{
    o->port = PERF_PORT_ETHDEV;
    if (snprintf(o->devargs, sizeof(o->devargs), "%s", devargs) <
            (int)sizeof(o->devargs) &&
        strncmp(devargs, "net_", 4) == 0 &&
        strstr(devargs, ",iface=" PERF_NETNS_INTERFACE) != NULL)
        return true;
    fprintf(stderr,
            "proa-perf: --port: \"%s\" is no virtual device on " PERF_NETNS_INTERFACE
            "; write ethdev:net_af_packet0,iface=" PERF_NETNS_INTERFACE "\n",
            devargs);
    return false;
}

static bool set(struct perf_options *o, int opt, const char *text)
{
    static const char *const idle_names[] = {"spin", "adaptive"};
    int which;

    switch (opt) {
    case OPT_PORT:
        if (strncmp(text, ETHDEV, sizeof(ETHDEV) - 1) == 0)
            return set_device(o, text + sizeof(ETHDEV) - 1);
        which = one_of("port", text, port_names, PERF_PORTS);
        o->port = (enum perf_port)which;
        return which >= 0;
    case OPT_MODE:
        which = one_of("mode", text, mode_names, PERF_MODES);
        o->mode = (enum perf_mode)which;
        return which >= 0;
    case OPT_FLOOD:
        which = one_of("flood", text, flood_names, PERF_FLOOD_KINDS);
        o->flood = (enum perf_flood_kind)which;
        return which >= 0;
    case OPT_IDLE:
        which = one_of("idle", text, idle_names, 2);
        o->idle = which == 0 ? PROA_IDLE_SPIN : PROA_IDLE_ADAPTIVE;
        return which >= 0;
    case OPT_WITH_RAW:
        o->with_raw = true;
        return true;
    case OPT_REVERSE:
        o->reverse = true;
        return true;
    case OPT_NO_HUGE:
        o->no_huge = true;
        return true;
    case OPT_DEFAULTS:
        o->defaults = true;
        o->idle = PROA_IDLE_ADAPTIVE;
        return true;
    case OPT_QUIET:
        o->quiet = true;
        return true;
    default:
        return set_number(o, opt, text);
    }
}

static bool consistent(struct perf_options *o)
{
    if (o->size == 0)
        o->size = o->mode == PERF_MODE_RAW ? 64 : 32;
    if (o->mode != PERF_MODE_RAW && o->size % 8 != 0) {
        fprintf(stderr, "proa-perf: --size: %u is no multiple of 8\n", o->size);
        return false;
    }
    if (o->flood != PERF_FLOOD_NONE &&
        (o->port != PERF_PORT_AF_XDP ||
         (o->mode != PERF_MODE_TELL && o->mode != PERF_MODE_LOCAL_COUNT))) {
        fputs(
            "proa-perf: --flood goes with --port af_xdp and --mode tell or local-count\n",
            stderr);
        return false;
    }
    if (o->port == PERF_PORT_ETHDEV && o->devargs[0] == '\0') {
        fputs("proa-perf: --port: write ethdev:DEVARGS; see --help\n", stderr);
        return false;
    }
    if (perf_mode_is_local(o->mode) && o->flood == PERF_FLOOD_NONE)
        o->port = PERF_PORT_RING;
    if (perf_mode_is_pingpong(o->mode))
        o->window = o->receivers = 1;
    if (o->sample == 0)
        o->sample = o->mode == PERF_MODE_LOCAL_PINGPONG ? 64 : o->window <= 4 ? 1 : 8;
    return true;
}

int perf_options_read(struct perf_options *options, int argc, char **argv)
{
    int opt;

    *options = (struct perf_options){.window = 64,
                                     .seconds = 5,
                                     .warmup_ms = 500,
                                     .receivers = 1,
                                     .burst = 128,
                                     .flood_rate = 1000000,
                                     .idle = PROA_IDLE_SPIN};
    while ((opt = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
        if (opt == OPT_HELP) {
            fputs(usage, stdout);
            return 0;
        }
        if (opt == '?') {
            fputs("proa-perf: see --help\n", stderr);
            return 2;
        }
        if (!set(options, opt, optarg))
            return 2;
    }
    if (optind < argc) {
        fprintf(stderr, "proa-perf: \"%s\" is no option; see --help\n", argv[optind]);
        return 2;
    }
    return consistent(options) ? -1 : 2;
}
