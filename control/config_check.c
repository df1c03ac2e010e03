/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include <proa/offload.h>

#include "addr.h"
#include "config_internal.h"
#include "mesh.h"
#include "syscall_filter.h"

#define MTU_MIN 1280u
#define MTU_MAX 9000u
#define PPM_MAX 1000000u
#define CORE_MAX 1023           /* of a cpu_set_t */
#define MEMORY_MAX (1u << 20)   /* MiB */
#define MESSAGE_MAX (16u << 20) /* bytes.  Source: proa/node.h */
#define ACTORS_MAX (1u << 24)   /* slots of a lane.  Source: proa/node.h */
#define SOCKET_MAX 107          /* bytes of a unix socket's path */
#define VLAN_MAX 4094u          /* 4,095 is reserved.  Source: IEEE 802.1Q */
#define DELAY_MAX 10000000u     /* us: 10 s, more than any link lives through */

#define ETHDEV "ethdev:"

/* One item of a list, or a key of that item. */
static unsigned line_of_item(struct config_reading *r, const char *list, unsigned item,
                             const char *key)
{
    const struct config_step path[] = {{.key = list}, {.item = item}, {.key = key}};

    return config_lines_at(&r->lines, path, key != NULL ? 3 : 2);
}

static unsigned line_of(struct config_reading *r, const char *key)
{
    const struct config_step path = {.key = key};

    return config_lines_at(&r->lines, &path, 1);
}

static bool spec_is_good(const char *spec)
{
    static const char *const paths[] = {
        "vhost:listen=", "vhost:connect=", "af_xdp:", ETHDEV, "ring:"};
    struct proa_addr addr;

    for (unsigned i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
        size_t len = strlen(paths[i]);
        if (strncmp(spec, paths[i], len) == 0)
            return spec[len] != '\0';
    }
    return strncmp(spec, "udp:", 4) == 0 && addr_parse(spec + 4, PROA_PORT, &addr);
}

static enum proa_outcome check_faults(struct config_reading *r, unsigned item,
                                      const struct proa_faults *f)
{
    const struct {
        const char *key;
        uint32_t value, most;
    } rows[] = {
        {"loss_ppm", f->loss, PPM_MAX},       {"duplicate_ppm", f->duplicate, PPM_MAX},
        {"reorder_ppm", f->reorder, PPM_MAX}, {"corrupt_ppm", f->corrupt, PPM_MAX},
        {"delay_us", f->delay_us, DELAY_MAX}, {"jitter_us", f->jitter_us, DELAY_MAX},
    };

    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const struct config_step path[] = {
            {.key = "ports"}, {.item = item}, {.key = "faults"}, {.key = rows[i].key}};
        if (rows[i].value > rows[i].most)
            return config_refuse(r, config_lines_at(&r->lines, path, 4),
                                 "ports[%u].faults.%s: more than %u", item, rows[i].key,
                                 rows[i].most);
    }
    return PROA_OK;
}

/* What is the kernel's on other ports. */
static enum proa_outcome check_network(struct config_reading *r, unsigned item,
                                       const struct proa_port_config *port)
{
    bool ethdev = strncmp(port->spec, ETHDEV, strlen(ETHDEV)) == 0;
    struct proa_addr addr;

    if (port->vlan > VLAN_MAX)
        return config_refuse(r, line_of_item(r, "ports", item, "vlan"),
                             "ports[%u].vlan: %u is outside 1..%u", item, port->vlan,
                             VLAN_MAX);
    if (port->gateway[0] != '\0' && !addr_parse(port->gateway, 0, &addr))
        return config_refuse(r, line_of_item(r, "ports", item, "gateway"),
                             "ports[%u].gateway: '%s' is no address", item,
                             port->gateway);
    if (!ethdev && port->gateway[0] != '\0')
        return config_refuse(r, line_of_item(r, "ports", item, "gateway"),
                             "ports[%u].gateway: only for ethdev: ports; others follow "
                             "the kernel's routes",
                             item);
    if (!ethdev && port->vlan != 0)
        return config_refuse(r, line_of_item(r, "ports", item, "vlan"),
                             "ports[%u].vlan: only for ethdev: ports; others use a VLAN "
                             "interface of the kernel's",
                             item);
    if (ethdev && port->address[0] == '\0')
        return config_refuse(r, line_of_item(r, "ports", item, NULL),
                             "ports[%u].address: an ethdev: port needs one", item);
    return PROA_OK;
}

static enum proa_outcome check_sources(struct config_reading *r, unsigned item,
                                       const struct proa_port_config *port)
{
    static const char kind[] = "af_xdp:";
    bool steered = strncmp(port->spec, kind, sizeof(kind) - 1) == 0;
    struct proa_addr addr;
    uint8_t prefix;

    if (!steered && port->deny_count > 0)
        return config_refuse(r, line_of_item(r, "ports", item, "deny"),
                             "ports[%u].deny: only an af_xdp port has it; drop them by "
                             "the machine's firewall",
                             item);
    if (!steered && port->source_rate != 0)
        return config_refuse(r, line_of_item(r, "ports", item, "source_rate"),
                             "ports[%u].source_rate: only an af_xdp port has it; limit "
                             "them by the machine's firewall",
                             item);
    for (unsigned i = 0; i < port->deny_count; i++) {
        const struct config_step path[] = {
            {.key = "ports"}, {.item = item}, {.key = "deny"}, {.item = i}};
        if (!addr_parse_prefix(port->deny[i], &addr, &prefix))
            return config_refuse(r, config_lines_at(&r->lines, path, 4),
                                 "ports[%u].deny[%u]: '%s' is no address or network, "
                                 "like 10.0.0.9 or fd00:9::/32",
                                 item, i, port->deny[i]);
    }
    if (port->source_rate != 0 && (port->source_rate < PROA_SOURCE_RATE_MIN ||
                                   port->source_rate > PROA_SOURCE_RATE_MAX))
        return config_refuse(r, line_of_item(r, "ports", item, "source_rate"),
                             "ports[%u].source_rate: %u is outside %u..%u; 0: no limit",
                             item, port->source_rate, PROA_SOURCE_RATE_MIN,
                             PROA_SOURCE_RATE_MAX);
    return PROA_OK;
}

static enum proa_outcome check_port(struct config_reading *r, unsigned item,
                                    const struct proa_port_config *port)
{
    enum proa_outcome outcome;
    struct proa_addr addr;
    uint8_t prefix;

    if (!spec_is_good(port->spec))
        return config_refuse(r, line_of_item(r, "ports", item, "spec"),
                             "ports[%u].spec: '%s' is none of vhost:listen=PATH, "
                             "vhost:connect=PATH, af_xdp:INTERFACE, ethdev:DEVARGS, "
                             "udp:ADDRESS:PORT, ring:NAME",
                             item, port->spec);
    if (port->address[0] != '\0' && !addr_parse_prefix(port->address, &addr, &prefix))
        return config_refuse(r, line_of_item(r, "ports", item, "address"),
                             "ports[%u].address: '%s' is no address with prefix, like "
                             "10.0.0.1/24 or fd00::1/64",
                             item, port->address);
    if (port->mtu != 0 && (port->mtu < MTU_MIN || port->mtu > MTU_MAX))
        return config_refuse(r, line_of_item(r, "ports", item, "mtu"),
                             "ports[%u].mtu: %u is outside %u..%u", item, port->mtu,
                             MTU_MIN, MTU_MAX);
    outcome = check_network(r, item, port);
    if (outcome == PROA_OK)
        outcome = check_sources(r, item, port);
    if (outcome != PROA_OK)
        return outcome;
    return check_faults(r, item, &port->faults);
}

static enum proa_outcome check_ports(struct config_reading *r,
                                     const struct config_raw *raw)
{
    enum proa_outcome outcome = PROA_OK;

    if (raw->ports_count == 0)
        return config_refuse(r, line_of(r, "ports"), "ports: a node needs at least one");
    for (unsigned i = 0; i < raw->ports_count && outcome == PROA_OK; i++)
        outcome = check_port(r, i, &raw->ports[i]);
    return outcome;
}

static enum proa_outcome check_seeds(struct config_reading *r,
                                     const struct config_raw *raw)
{
    struct proa_addr addr;

    for (unsigned i = 0; i < raw->seeds_count; i++) {
        if (!addr_parse(raw->seeds[i], PROA_PORT, &addr) || addr.port == 0)
            return config_refuse(r, line_of_item(r, "seeds", i, NULL),
                                 "seeds[%u]: '%s' is no address with port, like "
                                 "10.0.0.1:7400 or [fd00::1]:7400",
                                 i, raw->seeds[i]);
    }
    return PROA_OK;
}

static enum proa_outcome check_lanes(struct config_reading *r,
                                     const struct config_raw *raw)
{
    unsigned lanes = raw->lanes != 0 ? raw->lanes : 1;

    if (lanes > PROA_LANES_MAX)
        return config_refuse(r, line_of(r, "lanes"), "lanes: more than %d",
                             PROA_LANES_MAX);
    if (raw->cores_count != 0 && raw->cores_count != lanes)
        return config_refuse(r, line_of(r, "cores"),
                             "cores: %u for %u lanes; name one each", raw->cores_count,
                             lanes);
    for (unsigned i = 0; i < raw->cores_count; i++) {
        int core = raw->cores[i];
        if (core < -1 || core > CORE_MAX)
            return config_refuse(r, line_of_item(r, "cores", i, NULL),
                                 "cores[%u]: %d is outside 0..%d (-1: chosen)", i, core,
                                 CORE_MAX);
        for (unsigned j = 0; j < i; j++) {
            if (core >= 0 && raw->cores[j] == core)
                return config_refuse(r, line_of_item(r, "cores", i, NULL),
                                     "cores[%u]: core %d has a lane already", i, core);
        }
    }
    return PROA_OK;
}

static enum proa_outcome check_bounds(struct config_reading *r,
                                      const struct config_raw *raw)
{
    const struct {
        const char *key;
        uint32_t value, most;
    } rows[] = {
        {"memory_mb", raw->memory_mb, MEMORY_MAX},
        {"message_max", raw->message_max, MESSAGE_MAX},
        {"actors_max", raw->actors_max, ACTORS_MAX},
        {"offload_threads", raw->offload_threads != NULL ? *raw->offload_threads : 0,
         PROA_OFFLOAD_THREADS_MAX},
    };

    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (rows[i].value > rows[i].most)
            return config_refuse(r, line_of(r, rows[i].key), "%s: more than %u",
                                 rows[i].key, rows[i].most);
    }
    if (strlen(raw->socket) > SOCKET_MAX)
        return config_refuse(r, line_of(r, "socket"), "socket: longer than %d bytes",
                             SOCKET_MAX);
    return PROA_OK;
}

static enum proa_outcome check_mesh(struct config_reading *r,
                                    const struct config_raw *raw)
{
    const struct {
        const char *key;
        uint32_t value, most;
    } rows[] = {
        {"nodes_max", raw->mesh.nodes_max, MESH_NODES_MAX},
        {"published_max", raw->mesh.published_max, MESH_PUBLISHED_MAX},
    };

    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const struct config_step path[] = {{.key = "mesh"}, {.key = rows[i].key}};
        if (rows[i].value > rows[i].most)
            return config_refuse(r, config_lines_at(&r->lines, path, 2),
                                 "mesh.%s: more than %u", rows[i].key, rows[i].most);
    }
    return PROA_OK;
}

static enum proa_outcome check_actors(struct config_reading *r,
                                      const struct config_raw *raw)
{
    unsigned lanes = raw->lanes != 0 ? raw->lanes : 1;

    for (unsigned i = 0; i < raw->actors_count; i++) {
        const struct config_actor *actor = &raw->actors[i];
        if (actor->lane >= lanes)
            return config_refuse(r, line_of_item(r, "actors", i, "lane"),
                                 "actors[%u].lane: %u, but the lanes are 0..%u", i,
                                 actor->lane, lanes - 1);
        for (unsigned j = 0; j < i; j++) {
            if (actor->name[0] != '\0' && strcmp(actor->name, raw->actors[j].name) == 0)
                return config_refuse(r, line_of_item(r, "actors", i, "name"),
                                     "actors[%u].name: '%s' is taken by actors[%u]", i,
                                     actor->name, j);
        }
    }
    return PROA_OK;
}

static enum proa_outcome check_numbers(struct config_reading *r)
{
    static const char *const keys[] = {
        "seed",        "loss_ppm",   "duplicate_ppm", "reorder_ppm",
        "corrupt_ppm", "delay_us",   "jitter_us",     "mtu",
        "vlan",        "lanes",      "cores",         "memory_mb",
        "message_max", "actors_max", "lane",          "offload_threads",
        "source_rate", "nodes_max",  "published_max",
    };
    const char *key, *text;
    unsigned line;

    text =
        config_lines_number(&r->lines, keys, sizeof(keys) / sizeof(keys[0]), &key, &line);
    if (text != NULL)
        return config_refuse(r, line, "%s: '%s' is not a whole number in range", key,
                             text);
    return PROA_OK;
}

static enum proa_outcome check_seccomp(struct config_reading *r,
                                       const struct config_raw *raw)
{
    if (raw->seccomp_allow_count != 0 && raw->seccomp == 0)
        return config_refuse(r, line_of(r, "seccomp_allow"),
                             "seccomp_allow: does nothing without seccomp: on");
    for (unsigned i = 0; i < raw->seccomp_allow_count; i++) {
        if (!syscall_filter_known(raw->seccomp_allow[i]))
            return config_refuse(r, line_of_item(r, "seccomp_allow", i, NULL),
                                 "seccomp_allow[%u]: there is no system call '%s'", i,
                                 raw->seccomp_allow[i]);
    }
    return PROA_OK;
}

enum proa_outcome config_check(struct config_reading *r, const struct config_raw *raw)
{
    enum proa_outcome outcome = check_numbers(r);

    if (outcome == PROA_OK)
        outcome = check_ports(r, raw);
    if (outcome == PROA_OK)
        outcome = check_seeds(r, raw);
    if (outcome == PROA_OK)
        outcome = check_lanes(r, raw);
    if (outcome == PROA_OK)
        outcome = check_bounds(r, raw);
    if (outcome == PROA_OK)
        outcome = check_mesh(r, raw);
    if (outcome == PROA_OK)
        outcome = check_actors(r, raw);
    if (outcome == PROA_OK)
        outcome = check_seccomp(r, raw);
    return outcome;
}
