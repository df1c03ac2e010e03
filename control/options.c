/* SPDX-License-Identifier: Apache-2.0 */
#include "options.h"

#include <proa/client.h>
#include <string.h>

#include "addr.h"
#include "capture_words.h"
#include "cli_protocol.h"

/* ---- What there is ---- */

enum option_kind {
    KIND_CONFIG = 1u << 0,
    KIND_SOCKET = 1u << 1,
    KIND_DEADLINE = 1u << 2,
    KIND_SECONDS = 1u << 3,
    KIND_PAGES = 1u << 4,
    KIND_IDLE = 1u << 5,
    KIND_FOLLOW = 1u << 6,
    KIND_PEER = 1u << 7,
    KIND_KIND = 1u << 8,
    KIND_SNAP = 1u << 9,
    KIND_FOR = 1u << 10,
    KIND_PACKETS = 1u << 11,
    KIND_JSON = 1u << 12,
    KIND_FIX_PRINT = 1u << 13,
    KIND_GROUP = 1u << 14,
    KIND_GROUPS = 1u << 15,
};

struct option_row {
    enum option_kind kind;
    const char *name, *value, *says; /* value "": it takes none */
};

static const struct option_row option_rows[] = {
    {KIND_CONFIG, "--config", "FILE", "the node's configuration (docs/config.md)"},
    {KIND_SOCKET, "--socket", "PATH",
     "the node's local socket (default: proa.sock in the "
     "state directory)"},
    {KIND_DEADLINE, "--deadline", "MS", "milliseconds to wait (default 5000)"},
    {KIND_SECONDS, "--seconds", "N", "seconds of a demo's load (default 10)"},
    {KIND_PAGES, "--pages", "WORD", "auto, huge or none (default auto)"},
    {KIND_IDLE, "--idle", "WORD", "adaptive or spin (default adaptive)"},
    {KIND_FOLLOW, "--follow", "", "go on with what happens from now on, until Ctrl-C"},
    {KIND_PEER, "--peer", "ADDR", "only packets from and to ADDRESS or ADDRESS:PORT"},
    {KIND_KIND, "--kind", "LIST",
     "only these kinds, by commas: data ack syn synack open ping pong rst close krpc "
     "other"},
    {KIND_SNAP, "--snap", "BYTES", "bytes kept of each packet (default: all)"},
    {KIND_FOR, "--seconds", "N", "seconds to capture (default: until Ctrl-C)"},
    {KIND_PACKETS, "--packets", "N", "packets to capture (default: any number)"},
    {KIND_JSON, "--json", "", "print one JSON document"},
    {KIND_FIX_PRINT, "--fix-print", "", "print only the commands of the remedies"},
    {KIND_GROUP, "--group", "NAME", "the members of this group, on all nodes, instead"},
    {KIND_GROUPS, "--groups", "", "the groups, and how many members each has, instead"},
};

struct verb_row {
    enum options_verb verb;
    const char *name;
    unsigned kinds; /* options it takes */
    unsigned words_min, words_max;
    const char *words; /* as usage shows them */
    const char *says;  /* NULL: hidden */
};

static const struct verb_row verb_rows[] = {
    {OPTIONS_NODE, "node", KIND_CONFIG | KIND_SOCKET | KIND_DEADLINE, 0, 0, "",
     "run a node until Ctrl-C"},
    {OPTIONS_DEMO, "demo", KIND_SECONDS | KIND_PAGES | KIND_IDLE, 0, 1, "[balancer]",
     "two nodes as two processes, talking over DPDK vhost; or three that share work"},
    {OPTIONS_KEYGEN, "keygen", 0, 0, 1, "[FILE]",
     "make a cluster key (default: cluster.key in the state directory)"},
    {OPTIONS_LS, "ls", KIND_SOCKET | KIND_GROUP | KIND_GROUPS, 0, 0, "",
     "list the names a running node knows"},
    {OPTIONS_LOOKUP, "lookup", KIND_SOCKET, 1, 1, "NAME", "find an actor by its name"},
    {OPTIONS_ASK, "ask", KIND_SOCKET | KIND_DEADLINE, 3, 3, "NAME TYPE HEX",
     "ask an actor and print its answer in hexadecimal; HEX may be - for nothing"},
    {OPTIONS_EVENTS, "events", KIND_SOCKET | KIND_FOLLOW, 0, 0, "",
     "print what happened to a running node"},
    {OPTIONS_TOP, "top", KIND_SOCKET, 0, 0, "",
     "show a running node's lanes, links and behaviours, live; q quits"},
    {OPTIONS_LANES, "lanes", KIND_SOCKET, 0, 0, "",
     "show how work and packets lie on a running node's lanes"},
    {OPTIONS_CAPTURE, "capture",
     KIND_SOCKET | KIND_PEER | KIND_KIND | KIND_SNAP | KIND_FOR | KIND_PACKETS, 1, 1,
     "FILE", "write a running node's packets to a pcapng file; - is standard output"},
    {OPTIONS_DOCTOR, "doctor", KIND_CONFIG | KIND_JSON | KIND_FIX_PRINT, 0, 0, "",
     "say what of this machine costs a node latency, or keeps it from starting"},
    {OPTIONS_DENY, "deny", KIND_SOCKET, 1, 1, "ADDRESS[/PREFIX]",
     "drop what comes from there to a running node's af_xdp ports"},
    {OPTIONS_ALLOW, "allow", KIND_SOCKET, 1, 1, "ADDRESS[/PREFIX]",
     "no longer: what was denied, by the configuration too"},
    {OPTIONS_CLUSTER, "cluster", KIND_SOCKET, 0, 0, "",
     "show the nodes whose registries are linked with a running node's"},
    {OPTIONS_LINK, "link", KIND_SOCKET, 2, 2, "add|remove ADDRESS",
     "link a running node's registry with another's, or undo it (then ADDRESS may be a "
     "node)"},
    {OPTIONS_HELP, "help", 0, 0, 1, "[VERB]", "say how a verb is called"},
    {OPTIONS_VERSION, "version", 0, 0, 0, "", "say which version this is"},
    {OPTIONS_DEMO_NODE, "demo-node", KIND_SECONDS | KIND_PAGES | KIND_IDLE, 2, 3,
     "WHICH DIR [SEED]", NULL},
};

#define COUNT(rows) (sizeof(rows) / sizeof((rows)[0]))

static const struct verb_row *verb_named(const char *name)
{
    for (unsigned i = 0; i < COUNT(verb_rows); i++) {
        if (strcmp(verb_rows[i].name, name) == 0)
            return &verb_rows[i];
    }
    return NULL;
}

/* ---- Usage ---- */

static void print_options(FILE *to, unsigned kinds)
{
    for (unsigned i = 0; i < COUNT(option_rows); i++) {
        const struct option_row *row = &option_rows[i];
        if ((kinds & row->kind) != 0)
            fprintf(to, "    %s %-6s %s\n", row->name, row->value, row->says);
    }
}

static void print_verb(FILE *to, const char *program, const struct verb_row *row)
{
    fprintf(to, "  %s %s%s%s\n", program, row->name, row->words[0] != '\0' ? " " : "",
            row->words);
    fprintf(to, "      %s\n", row->says);
}

bool options_usage(FILE *to, const char *program, const char *verb)
{
    const struct verb_row *one = verb != NULL ? verb_named(verb) : NULL;

    if (verb != NULL && (one == NULL || one->says == NULL))
        return false;
    if (one != NULL) {
        print_verb(to, program, one);
        print_options(to, one->kinds);
        return true;
    }
    fprintf(to, "usage: %s VERB [OPTION...] [WORD...]\n\n", program);
    for (unsigned i = 0; i < COUNT(verb_rows); i++) {
        if (verb_rows[i].says != NULL)
            print_verb(to, program, &verb_rows[i]);
    }
    fprintf(to, "\noptions, each of some verbs (%s help VERB):\n", program);
    print_options(to, ~0u);
    return true;
}

/* ---- Values ---- */

/* Digits only, within least..most. */
static bool read_number(const char *text, uint64_t least, uint64_t most, uint64_t *ret)
{
    uint64_t value = 0;

    if (text[0] == '\0' || strlen(text) > 10)
        return false;
    for (; *text != '\0'; text++) {
        if (*text < '0' || *text > '9')
            return false;
        value = value * 10 + (uint64_t)(*text - '0');
    }
    *ret = value;
    return value >= least && value <= most;
}

/* The place of text among words; -1 when it is none of them. */
static int word_among(const char *text, const char *const *words, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        if (strcmp(text, words[i]) == 0)
            return (int)i;
    }
    return -1;
}

static bool take_pages(const char *text, struct options *ret)
{
    static const char *const words[] = {"auto", "huge", "none"};
    static const enum proa_pages pages[] = {PROA_PAGES_AUTO, PROA_PAGES_HUGE,
                                            PROA_PAGES_NONE};
    int at = word_among(text, words, COUNT(words));

    if (at >= 0)
        ret->pages = pages[at];
    return at >= 0;
}

static bool take_idle(const char *text, struct options *ret)
{
    static const char *const words[] = {"adaptive", "spin"};
    static const enum proa_idle idle[] = {PROA_IDLE_ADAPTIVE, PROA_IDLE_SPIN};
    int at = word_among(text, words, COUNT(words));

    if (at >= 0)
        ret->idle = idle[at];
    return at >= 0;
}

/* As take_value, of capture. */
static const char *take_capture(enum option_kind kind, const char *text,
                                struct capture_wish *ret)
{
    uint64_t number;

    switch (kind) {
    case KIND_PEER:
        return capture_peer_read(text, strlen(text), &ret->filter)
                   ? NULL
                   : "ADDRESS or ADDRESS:PORT";
    case KIND_KIND:
        return capture_kinds_read(text, strlen(text), &ret->filter)
                   ? NULL
                   : "names of packet kinds and commas";
    case KIND_SNAP:
        if (!read_number(text, CAPTURE_SNAP_MIN, CAPTURE_SNAP_MAX, &number))
            return "32..65535 bytes";
        ret->filter.snap = (uint32_t)number;
        return NULL;
    case KIND_FOR:
        if (!read_number(text, 1, CLI_CAPTURE_SECONDS_MAX, &number))
            return "1..86400 seconds";
        ret->seconds = (unsigned)number;
        return NULL;
    default: /* KIND_PACKETS */
        return read_number(text, 1, CLI_CAPTURE_PACKETS_MAX, &ret->packets)
                   ? NULL
                   : "1..4000000000 packets";
    }
}

static bool is_name(const char *text)
{
    return text[0] != '\0' && strlen(text) <= PROA_NAME_MAX;
}

/* NULL, or what the value should have been. */
static const char *take_value(enum option_kind kind, const char *text,
                              struct options *ret)
{
    uint64_t number;

    switch (kind) {
    case KIND_CONFIG:
        ret->config = text;
        return text[0] != '\0' ? NULL : "a path";
    case KIND_SOCKET:
        ret->socket = text;
        return text[0] != '\0' ? NULL : "a path";
    case KIND_DEADLINE:
        if (!read_number(text, 1, CLI_DEADLINE_MAX / PROA_MS, &number))
            return "1..60000 milliseconds";
        ret->deadline = number * PROA_MS;
        return NULL;
    case KIND_SECONDS:
        if (!read_number(text, 1, OPTIONS_SECONDS_MAX, &number))
            return "1..3600 seconds";
        ret->seconds = (unsigned)number;
        return NULL;
    case KIND_PAGES:
        return take_pages(text, ret) ? NULL : "auto, huge or none";
    case KIND_IDLE:
        return take_idle(text, ret) ? NULL : "adaptive or spin";
    case KIND_FOLLOW:
        ret->follow = true;
        return NULL;
    case KIND_PEER:
    case KIND_KIND:
    case KIND_SNAP:
    case KIND_FOR:
    case KIND_PACKETS:
        return take_capture(kind, text, &ret->capture);
    case KIND_JSON:
        ret->json = true;
        return NULL;
    case KIND_FIX_PRINT:
        ret->fix_print = true;
        return NULL;
    case KIND_GROUP:
        ret->group = text;
        return is_name(text) ? NULL : "1..255 bytes";
    case KIND_GROUPS:
        ret->groups = true;
        return NULL;
    }
    return "nothing";
}

/* ---- Reading ---- */

static bool refuse(char *err, size_t err_len, const char *verb, const char *what,
                   const char *text, const char *why)
{
    snprintf(err, err_len, "%s%s%s '%.100s'%s%s", verb, verb[0] != '\0' ? ": " : "", what,
             text, why[0] != '\0' ? ": " : "", why);
    return false;
}

/* Takes argv[*at] and, when its value is a word of its own, the next. */
static bool take_option(const struct verb_row *verb, int argc, char **argv, int *at,
                        struct options *ret, char *err, size_t err_len)
{
    const char *text = argv[*at];
    size_t len = strcspn(text, "=");
    const struct option_row *row = NULL;
    const char *value, *wanted;

    for (unsigned i = 0; i < COUNT(option_rows); i++) {
        if (strlen(option_rows[i].name) == len &&
            memcmp(option_rows[i].name, text, len) == 0 &&
            (verb->kinds & option_rows[i].kind) != 0)
            row = &option_rows[i];
    }
    if (row == NULL)
        return refuse(err, err_len, verb->name, "no option", text, "see `help`");
    if (row->value[0] == '\0' && text[len] == '=')
        return refuse(err, err_len, verb->name, "no value belongs to", text, "");
    if (row->value[0] == '\0')
        value = "";
    else if (text[len] == '=')
        value = text + len + 1;
    else if (*at + 1 < argc)
        value = argv[++*at];
    else
        return refuse(err, err_len, verb->name, "option", text, "needs a value");
    wanted = take_value(row->kind, value, ret);
    if (wanted != NULL) {
        char what[64];
        snprintf(what, sizeof(what), "%s is %s, not", row->name, wanted);
        return refuse(err, err_len, verb->name, what, value, "");
    }
    return true;
}

static bool is_endpoint(const char *text)
{
    struct proa_addr addr;

    return addr_parse(text, 0, &addr) && addr.port != 0;
}

static bool is_node(const char *text)
{
    size_t len = strspn(text, "0123456789abcdefABCDEF");

    return len > 0 && len <= 16 && text[len] == '\0';
}

static bool check_link(const struct options *o, char *err, size_t err_len)
{
    bool add = strcmp(o->words[0], "add") == 0;

    if (!add && strcmp(o->words[0], "remove") != 0)
        return refuse(err, err_len, "link", "add or remove, not", o->words[0], "");
    if (is_endpoint(o->words[1]) || (!add && is_node(o->words[1])))
        return true;
    return refuse(err, err_len, add ? "link add" : "link remove",
                  add ? "ADDRESS is like 10.0.0.9:7400 or [fd00::9]:7400, not"
                      : "ADDRESS is like 10.0.0.9:7400, or a node's 16 hexadecimal "
                        "digits, not",
                  o->words[1], "");
}

static bool check_words(const struct verb_row *verb, struct options *ret, char *err,
                        size_t err_len)
{
    struct proa_addr network;
    uint64_t type;
    uint8_t prefix;

    if (ret->word_count < verb->words_min) {
        snprintf(err, err_len, "%s: %s missing", verb->name, verb->words);
        return false;
    }
    if (ret->verb == OPTIONS_LINK)
        return check_link(ret, err, err_len);
    if (ret->verb == OPTIONS_DEMO && ret->word_count > 0 &&
        strcmp(ret->words[0], "balancer") != 0)
        return refuse(err, err_len, verb->name, "no demo", ret->words[0], "see `help`");
    if ((ret->verb == OPTIONS_LOOKUP || ret->verb == OPTIONS_ASK) &&
        !is_name(ret->words[0]))
        return refuse(err, err_len, verb->name, "NAME is 1..255 bytes, not",
                      ret->words[0], "");
    if ((ret->verb == OPTIONS_DENY || ret->verb == OPTIONS_ALLOW) &&
        !addr_parse_prefix(ret->words[0], &network, &prefix))
        return refuse(err, err_len, verb->name,
                      "ADDRESS[/PREFIX] is like 10.0.0.9 or fd00:9::/32, not",
                      ret->words[0], "");
    if (ret->verb == OPTIONS_ASK) {
        if (!read_number(ret->words[1], 0, PROA_TYPE_SYSTEM - 1, &type))
            return refuse(err, err_len, verb->name,
                          "TYPE is a number below 2147483648, not", ret->words[1], "");
        ret->type = (uint32_t)type;
    }
    if (ret->groups && ret->group != NULL) {
        snprintf(err, err_len, "ls: --group or --groups, not both");
        return false;
    }
    if (ret->json && ret->fix_print) {
        snprintf(err, err_len, "doctor: --json or --fix-print, not both");
        return false;
    }
    if (ret->verb == OPTIONS_NODE && ret->config == NULL) {
        snprintf(err, err_len, "node: --config FILE missing");
        return false;
    }
    return true;
}

static bool find_verb(const char *text, const struct verb_row **ret, char *err,
                      size_t err_len)
{
    if (strcmp(text, "--help") == 0 || strcmp(text, "-h") == 0)
        text = "help";
    if (strcmp(text, "--version") == 0)
        text = "version";
    *ret = verb_named(text);
    return *ret != NULL || refuse(err, err_len, "", "no verb", text, "see `help`");
}

bool options_read(int argc, char **argv, struct options *ret, char *err, size_t err_len)
{
    const struct verb_row *verb;
    bool options = true;

    memset(ret, 0, sizeof(*ret));
    ret->seconds = OPTIONS_SECONDS;
    ret->deadline = CLI_DEADLINE;
    ret->idle = PROA_IDLE_ADAPTIVE;
    capture_wish_init(&ret->capture);
    if (argc < 2) {
        snprintf(err, err_len, "a verb is missing: see `help`");
        return false;
    }
    if (!find_verb(argv[1], &verb, err, err_len))
        return false;
    ret->verb = verb->verb;
    for (int i = 2; i < argc; i++) {
        if (options && strcmp(argv[i], "--") == 0) {
            options = false;
        } else if (options && argv[i][0] == '-' && argv[i][1] != '\0') {
            if (!take_option(verb, argc, argv, &i, ret, err, err_len))
                return false;
        } else if (ret->word_count == verb->words_max) {
            return refuse(err, err_len, verb->name, "one word too many:", argv[i], "");
        } else {
            ret->words[ret->word_count++] = argv[i];
        }
    }
    return check_words(verb, ret, err, err_len);
}
