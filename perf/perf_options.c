/* SPDX-License-Identifier: Apache-2.0 */
#include "perf_options.h"

#include <errno.h>
#include <getopt.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "perf_netns.h"
#include "state.h"

#define ETHDEV "ethdev:"

static const char *const mode_names[PERF_MODES] = {
    "tell",           "ask",         "raw",           "idle", "local-count",
    "local-pingpong", "cross-count", "cross-pingpong"};
static const char *const port_names[PERF_PORTS] = {"vhost", "udp", "ring", "af_xdp",
                                                   "ethdev"};

static const char *const flood_names[PERF_FLOOD_KINDS] = {"none", "links", "syns", "krpc",
                                                          "mixed"};

static const char usage[] =
    "usage: proa-perf [OPTION...] [--versus OPTION...]\n"
    "       proa-perf server --port SPEC --key FILE [OPTION...]\n"
    "       proa-perf client --port SPEC --key FILE --to ADDR:PORT [OPTION...]\n"
    "\n"
    "Two processes on two cores over one port (ring: two nodes in one process), every "
    "message\n"
    "checked; one JSON object on stdout.  perf/README.md says what each figure means.\n"
    "\n"
    "  --port vhost|udp|ring|af_xdp   where packets go (vhost); af_xdp: veth between two "
    "network namespaces, as root\n"
    "         ethdev:DEVARGS   the same by a virtual device of DPDK's on the "
    "interface " PERF_NETNS_INTERFACE
    ": ethdev:net_af_packet0,iface=" PERF_NETNS_INTERFACE "\n"
    "  --mode tell|ask|raw     what is measured (tell); raw is the bare loop on the "
    "port\n"
    "         idle             two silent nodes, and the first message after silence\n"
    "         local-count, local-pingpong   two actors on one lane\n"
    "         cross-count, cross-pingpong   two actors on two lanes of one node\n"
    "  --size N        bytes of payload, a multiple of 8 (32); raw: of the frame (64)\n"
    "  --window N      asks in flight (64); 1 is the latency figure\n"
    "  --rate N        ask: so many a second by schedule, an open loop; timed from when "
    "each was due\n"
    "  --seconds N     measured (5)\n"
    "  --warmup N      milliseconds before that (500)\n"
    "  --messages N    end earlier, after so many messages\n"
    "  --receivers N   actors, told or asked at random (1)\n"
    "  --burst N       tells a handler sends before it lets others run (128)\n"
    "  --mailbox       receivers run nothing in place\n"
    "  --flush each    tell: each message leaves in a packet of its own\n"
    "  --take          tell: bulk buffers, which are not copied\n"
    "  --bulk N        ask: messages of N bytes are told on the same link beside (0)\n"
    "  --lanes N       local modes: a pair of actors on each of N lanes (1)\n"
    "  --crowd N       tell over vhost: to N nodes, all in one process\n"
    "  --sample N      time each N-th ask (1 up to window 4, else 8)\n"
    "  --defaults      cores, idle and slots as proa_config_init has them: what hello "
    "gets\n"
    "  --with-raw      the raw limit of the same port in the same run, and the ratio\n"
    "  --versus        what comes before it is the base of what comes behind it: both "
    "take turns\n"
    "  --rounds N      so often (3)\n"
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
    "  --idle spin|adaptive    (spin; of mode idle: adaptive)\n"
    "  --no-huge       ordinary pages\n"
    "  --quiet         no notes on stderr\n"
    "\n"
    "server and client, on two machines (tell, ask; the client says what is measured):\n"
    "  --port SPEC     as in a node's configuration: af_xdp:eth1, udp:10.0.0.1:7400, "
    "ethdev:0000:03:00.0\n"
    "  --address A/N, --gateway A   of an ethdev port\n"
    "  --key FILE      the cluster's key, the same on both: proa keygen FILE\n"
    "  --receivers N   server: the most a client may want (100000)\n"
    "  --to ADDR:PORT  where the server is\n"
    "  --core N        of the lane (1; client: 0)\n";

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
    OPT_RATE,
    OPT_SECONDS,
    OPT_WARMUP,
    OPT_MESSAGES,
    OPT_RECEIVERS,
    OPT_BURST,
    OPT_MAILBOX,
    OPT_FLUSH,
    OPT_TAKE,
    OPT_BULK,
    OPT_LANES,
    OPT_CROWD,
    OPT_SAMPLE,
    OPT_VERSUS,
    OPT_ROUNDS,
    OPT_ADDRESS,
    OPT_GATEWAY,
    OPT_KEY,
    OPT_TO,
    OPT_CORE,
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
    {"rate", required_argument, NULL, OPT_RATE},
    {"seconds", required_argument, NULL, OPT_SECONDS},
    {"warmup", required_argument, NULL, OPT_WARMUP},
    {"messages", required_argument, NULL, OPT_MESSAGES},
    {"receivers", required_argument, NULL, OPT_RECEIVERS},
    {"burst", required_argument, NULL, OPT_BURST},
    {"mailbox", no_argument, NULL, OPT_MAILBOX},
    {"flush", required_argument, NULL, OPT_FLUSH},
    {"take", no_argument, NULL, OPT_TAKE},
    {"bulk", required_argument, NULL, OPT_BULK},
    {"lanes", required_argument, NULL, OPT_LANES},
    {"crowd", required_argument, NULL, OPT_CROWD},
    {"sample", required_argument, NULL, OPT_SAMPLE},
    {"versus", no_argument, NULL, OPT_VERSUS},
    {"rounds", required_argument, NULL, OPT_ROUNDS},
    {"address", required_argument, NULL, OPT_ADDRESS},
    {"gateway", required_argument, NULL, OPT_GATEWAY},
    {"key", required_argument, NULL, OPT_KEY},
    {"to", required_argument, NULL, OPT_TO},
    {"core", required_argument, NULL, OPT_CORE},
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
    case OPT_RATE:
        return number("rate", text, 1, 100000000, &o->rate);
    case OPT_BULK:
        return number("bulk", text, PERF_BULK_LEAST, PERF_SIZE_MAX, &o->bulk);
    case OPT_LANES:
        return number("lanes", text, 1, PERF_LANES_MAX, &o->lanes);
    case OPT_CROWD:
        return number("crowd", text, 1, PERF_CROWD_MAX, &o->crowd);
    case OPT_CORE:
        return number("core", text, 0, CPU_SETSIZE - 1, &o->remote.core);
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

static bool copy(const char *option, const char *text, char *ret, size_t len)
{
    if ((size_t)snprintf(ret, len, "%s", text) < len)
        return true;
    fprintf(stderr, "proa-perf: --%s: longer than %zu bytes\n", option, len - 1);
    return false;
}

static bool set_key(struct perf_options *o, const char *path)
{
    char err[PROA_TEXT_MAX * 2];

    o->remote.has_key = state_key_read(path, o->remote.key, err, sizeof(err)) == PROA_OK;
    if (!o->remote.has_key)
        fprintf(stderr, "proa-perf: --key: %s\n", err);
    return o->remote.has_key;
}

static bool set_port(struct perf_options *o, const char *text)
{
    int which;

    if (o->role != PERF_ROLE_BOTH)
        return copy("port", text, o->remote.port, sizeof(o->remote.port));
    if (strncmp(text, ETHDEV, sizeof(ETHDEV) - 1) == 0)
        return set_device(o, text + sizeof(ETHDEV) - 1);
    which = one_of("port", text, port_names, PERF_PORTS);
    o->port = (enum perf_port)which;
    return which >= 0;
}

/* The options with a word. */
static bool set_word(struct perf_options *o, int opt, const char *text)
{
    static const char *const idle_names[] = {"spin", "adaptive"};
    static const char *const flush_names[] = {"each"};
    int which;

    switch (opt) {
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
    case OPT_FLUSH:
        o->flush_each = true;
        return one_of("flush", text, flush_names, 1) == 0;
    case OPT_ADDRESS:
        return copy("address", text, o->remote.address, sizeof(o->remote.address));
    case OPT_GATEWAY:
        return copy("gateway", text, o->remote.gateway, sizeof(o->remote.gateway));
    case OPT_KEY:
        return set_key(o, text);
    case OPT_TO:
        return copy("to", text, o->remote.to, sizeof(o->remote.to));
    default:
        return set_number(o, opt, text);
    }
}

static bool set(struct perf_options *o, int opt, const char *text)
{
    switch (opt) {
    case OPT_PORT:
        return set_port(o, text);
    case OPT_WITH_RAW:
        o->with_raw = true;
        return true;
    case OPT_MAILBOX:
        o->mailbox = true;
        return true;
    case OPT_TAKE:
        o->take = true;
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
        return set_word(o, opt, text);
    }
}

/* ---- Whether they go together ---- */

static bool refuse(const char *why)
{
    fprintf(stderr, "proa-perf: %s\n", why);
    return false;
}

static bool remote_consistent(const struct perf_options *o)
{
    if (o->remote.port[0] == '\0')
        return refuse("--port: say where packets go, as in a node's configuration: "
                      "--port udp:10.0.0.1:7400");
    if (!o->remote.has_key)
        return refuse("--key: both sides need the same key; make one by: proa keygen "
                      "FILE");
    if (o->role == PERF_ROLE_CLIENT && o->remote.to[0] == '\0')
        return refuse("--to: say where the server is: --to 10.0.0.1:7400");
    if (o->role == PERF_ROLE_CLIENT && o->mode != PERF_MODE_TELL &&
        o->mode != PERF_MODE_ASK)
        return refuse("--mode: between two machines there are tell and ask");
    if (o->with_raw || o->crowd != 0 || o->lanes > 1 || o->flood != PERF_FLOOD_NONE)
        return refuse("--with-raw, --crowd, --lanes and --flood need both sides here");
    return true;
}

static bool extras_consistent(const struct perf_options *o)
{
    if (o->rate != 0 && o->mode != PERF_MODE_ASK)
        return refuse("--rate goes with --mode ask");
    if (o->bulk != 0 && (o->mode != PERF_MODE_ASK || o->bulk % 8 != 0))
        return refuse("--bulk goes with --mode ask, and is a multiple of 8");
    if ((o->flush_each || o->take) && o->mode != PERF_MODE_TELL)
        return refuse("--flush and --take go with --mode tell");
    if (o->mode == PERF_MODE_IDLE && o->port == PERF_PORT_RING)
        return refuse("--mode idle needs a port with packets: vhost, udp, af_xdp");
    if (o->lanes > 1 && (!perf_mode_is_local(o->mode) || perf_mode_is_cross(o->mode)))
        return refuse("--lanes goes with --mode local-count or local-pingpong");
    if (o->lanes > 1 && o->flood != PERF_FLOOD_NONE)
        return refuse("--flood goes with one lane");
    if (o->crowd != 0 && (o->mode != PERF_MODE_TELL || o->port != PERF_PORT_VHOST))
        return refuse("--crowd goes with --port vhost and --mode tell");
    if (o->crowd != 0 && (o->size > PERF_CROWD_SIZE_MAX || o->mailbox || o->take))
        return refuse("--crowd goes with messages that fit a packet, and without "
                      "--mailbox and --take");
    return true;
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
         (o->mode != PERF_MODE_TELL && o->mode != PERF_MODE_LOCAL_COUNT)))
        return refuse("--flood goes with --port af_xdp and --mode tell or local-count");
    if (o->role == PERF_ROLE_BOTH && o->port == PERF_PORT_ETHDEV && o->devargs[0] == '\0')
        return refuse("--port: write ethdev:DEVARGS; see --help");
    if (!extras_consistent(o) || (o->role != PERF_ROLE_BOTH && !remote_consistent(o)))
        return false;
    if (perf_mode_is_local(o->mode) && o->flood == PERF_FLOOD_NONE)
        o->port = PERF_PORT_RING;
    if (perf_mode_is_pingpong(o->mode) || o->mode == PERF_MODE_IDLE)
        o->window = o->receivers = 1;
    if (o->crowd != 0)
        o->receivers = o->crowd;
    if (o->window == 0)
        o->window = o->rate != 0 ? PERF_WINDOW_OPEN : 64;
    if (o->idle == PROA_IDLE_DEFAULT)
        o->idle = o->mode == PERF_MODE_IDLE ? PROA_IDLE_ADAPTIVE : PROA_IDLE_SPIN;
    if (o->sample == 0)
        o->sample = o->mode == PERF_MODE_LOCAL_PINGPONG ? 64 : o->window <= 4 ? 1 : 8;
    return true;
}

/* The verb, if there is one, and where the options begin. */
static int role_of(struct perf_options *o, int argc, char **argv)
{
    o->role = PERF_ROLE_BOTH;
    if (argc > 1 && strcmp(argv[1], "server") == 0)
        o->role = PERF_ROLE_SERVER;
    else if (argc > 1 && strcmp(argv[1], "client") == 0)
        o->role = PERF_ROLE_CLIENT;
    o->remote.core = o->role == PERF_ROLE_SERVER ? 1 : 0;
    if (o->role == PERF_ROLE_SERVER)
        o->receivers = PERF_SERVER_RECEIVERS;
    return o->role == PERF_ROLE_BOTH ? 1 : 2;
}

/* The options of the command itself. */
static bool set_command(struct perf_command *command, int opt, const char *text)
{
    if (opt == OPT_ROUNDS)
        return number("rounds", text, 1, PERF_ROUNDS_MAX, &command->rounds);
    if (opt != OPT_VERSUS)
        return set(&command->options, opt, text);
    if (command->versus)
        return refuse("--versus may stand there once");
    if (command->options.role == PERF_ROLE_SERVER)
        return refuse("--versus: the client says what is measured");
    command->versus = true;
    command->base = command->options;
    return true;
}

int perf_options_read(struct perf_command *command, int argc, char **argv)
{
    int opt;

    *command = (struct perf_command){.rounds = 3,
                                     .options = {.seconds = 5,
                                                 .warmup_ms = 500,
                                                 .receivers = 1,
                                                 .burst = 128,
                                                 .lanes = 1,
                                                 .flood_rate = 1000000}};
    optind = role_of(&command->options, argc, argv);
    while ((opt = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
        if (opt == OPT_HELP) {
            fputs(usage, stdout);
            return 0;
        }
        if (opt == '?') {
            fputs("proa-perf: see --help\n", stderr);
            return 2;
        }
        if (!set_command(command, opt, optarg))
            return 2;
    }
    if (optind < argc) {
        fprintf(stderr, "proa-perf: \"%s\" is no option; see --help\n", argv[optind]);
        return 2;
    }
    return consistent(&command->options) &&
                   (!command->versus || consistent(&command->base))
               ? -1
               : 2;
}
