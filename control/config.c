/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config_internal.h"
#include "state.h"

/* ---- The schema.  docs/config.md explains each key. ---- */

#define OPTIONAL CYAML_FLAG_OPTIONAL
#define WORD (CYAML_FLAG_OPTIONAL | CYAML_FLAG_STRICT)
#define LIST (CYAML_FLAG_OPTIONAL | CYAML_FLAG_POINTER)

static const cyaml_strval_t idle_words[] = {
    {"default", PROA_IDLE_DEFAULT},
    {"adaptive", PROA_IDLE_ADAPTIVE},
    {"spin", PROA_IDLE_SPIN},
};

static const cyaml_strval_t pages_words[] = {
    {"auto", PROA_PAGES_AUTO},
    {"huge", PROA_PAGES_HUGE},
    {"none", PROA_PAGES_NONE},
};

static const cyaml_strval_t switch_words[] = {
    {"off", false},
    {"on", true},
};

static const cyaml_schema_field_t faults_fields[] = {
    CYAML_FIELD_UINT("seed", OPTIONAL, struct proa_faults, seed),
    CYAML_FIELD_UINT("loss_ppm", OPTIONAL, struct proa_faults, loss),
    CYAML_FIELD_UINT("duplicate_ppm", OPTIONAL, struct proa_faults, duplicate),
    CYAML_FIELD_UINT("reorder_ppm", OPTIONAL, struct proa_faults, reorder),
    CYAML_FIELD_UINT("corrupt_ppm", OPTIONAL, struct proa_faults, corrupt),
    CYAML_FIELD_UINT("delay_us", OPTIONAL, struct proa_faults, delay_us),
    CYAML_FIELD_UINT("jitter_us", OPTIONAL, struct proa_faults, jitter_us),
    CYAML_FIELD_END,
};

static const cyaml_schema_value_t deny_entry = {CYAML_VALUE_STRING(
    CYAML_FLAG_DEFAULT, char[PROA_NETWORK_MAX], 1, PROA_NETWORK_MAX - 1)};

static const cyaml_schema_field_t port_fields[] = {
    CYAML_FIELD_STRING("spec", CYAML_FLAG_DEFAULT, struct proa_port_config, spec, 1),
    CYAML_FIELD_STRING("address", OPTIONAL, struct proa_port_config, address, 1),
    CYAML_FIELD_STRING("gateway", OPTIONAL, struct proa_port_config, gateway, 1),
    CYAML_FIELD_UINT("vlan", OPTIONAL, struct proa_port_config, vlan),
    CYAML_FIELD_UINT("mtu", OPTIONAL, struct proa_port_config, mtu),
    CYAML_FIELD_MAPPING("faults", OPTIONAL, struct proa_port_config, faults,
                        faults_fields),
    CYAML_FIELD_SEQUENCE("deny", OPTIONAL, struct proa_port_config, deny, &deny_entry, 0,
                         PROA_DENY_MAX),
    CYAML_FIELD_UINT("source_rate", OPTIONAL, struct proa_port_config, source_rate),
    CYAML_FIELD_END,
};

static const cyaml_schema_field_t actor_fields[] = {
    CYAML_FIELD_STRING("behaviour", CYAML_FLAG_DEFAULT, struct config_actor, behaviour,
                       1),
    CYAML_FIELD_STRING("name", OPTIONAL, struct config_actor, name, 1),
    CYAML_FIELD_UINT("lane", OPTIONAL, struct config_actor, lane),
    CYAML_FIELD_END,
};

static const cyaml_schema_value_t port_entry = {
    CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct proa_port_config, port_fields)};
static const cyaml_schema_value_t actor_entry = {
    CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct config_actor, actor_fields)};
static const cyaml_schema_value_t seed_entry = {
    CYAML_VALUE_STRING(CYAML_FLAG_POINTER, char, 1, PROA_TEXT_MAX - 1)};
static const cyaml_schema_value_t type_entry = {
    CYAML_VALUE_STRING(CYAML_FLAG_POINTER, char, 1, PROA_TYPE_MAX)};
static const cyaml_schema_value_t syscall_entry = {
    CYAML_VALUE_STRING(CYAML_FLAG_POINTER, char, 1, PROA_SYSCALL_MAX)};
static const cyaml_schema_value_t core_entry = {
    CYAML_VALUE_INT(CYAML_FLAG_DEFAULT, int32_t)};

static const cyaml_schema_field_t mesh_fields[] = {
    CYAML_FIELD_UINT("nodes_max", OPTIONAL, struct config_mesh, nodes_max),
    CYAML_FIELD_UINT("published_max", OPTIONAL, struct config_mesh, published_max),
    CYAML_FIELD_END,
};

static const cyaml_schema_field_t node_fields[] = {
    CYAML_FIELD_SEQUENCE("ports", LIST, struct config_raw, ports, &port_entry, 0,
                         PROA_PORTS_MAX),
    CYAML_FIELD_SEQUENCE("seeds", LIST, struct config_raw, seeds, &seed_entry, 0,
                         PROA_SEEDS_MAX),
    CYAML_FIELD_STRING("cluster_key_file", OPTIONAL, struct config_raw, cluster_key_file,
                       1),
    CYAML_FIELD_STRING("state_dir", OPTIONAL, struct config_raw, state_dir, 1),
    CYAML_FIELD_STRING("socket", OPTIONAL, struct config_raw, socket, 1),
    CYAML_FIELD_UINT("lanes", OPTIONAL, struct config_raw, lanes),
    CYAML_FIELD_SEQUENCE("cores", LIST, struct config_raw, cores, &core_entry, 0,
                         PROA_LANES_MAX),
    CYAML_FIELD_ENUM("idle", WORD, struct config_raw, idle, idle_words,
                     CYAML_ARRAY_LEN(idle_words)),
    CYAML_FIELD_ENUM("pages", WORD, struct config_raw, pages, pages_words,
                     CYAML_ARRAY_LEN(pages_words)),
    CYAML_FIELD_UINT("memory_mb", OPTIONAL, struct config_raw, memory_mb),
    CYAML_FIELD_UINT("message_max", OPTIONAL, struct config_raw, message_max),
    CYAML_FIELD_UINT("actors_max", OPTIONAL, struct config_raw, actors_max),
    CYAML_FIELD_MAPPING("mesh", OPTIONAL, struct config_raw, mesh, mesh_fields),
    CYAML_FIELD_UINT_PTR("offload_threads", LIST, struct config_raw, offload_threads),
    CYAML_FIELD_SEQUENCE("allow_spawn", LIST, struct config_raw, allow_spawn, &type_entry,
                         0, PROA_ALLOW_MAX),
    CYAML_FIELD_STRING("user", OPTIONAL, struct config_raw, user, 1),
    CYAML_FIELD_ENUM("seccomp", WORD, struct config_raw, seccomp, switch_words,
                     CYAML_ARRAY_LEN(switch_words)),
    CYAML_FIELD_SEQUENCE("seccomp_allow", LIST, struct config_raw, seccomp_allow,
                         &syscall_entry, 0, PROA_SYSCALLS_MAX),
    CYAML_FIELD_SEQUENCE("actors", LIST, struct config_raw, actors, &actor_entry, 0,
                         CONFIG_ACTORS_MAX),
    CYAML_FIELD_END,
};

static const cyaml_schema_value_t node_schema = {
    CYAML_VALUE_MAPPING(CYAML_FLAG_POINTER, struct config_raw, node_fields)};

/* ---- From the schema's structures to ours ---- */

/* A relative path is meant from the folder of the file that says it. */
static bool beside(const char *path, const char *name, char *buf, size_t len)
{
    const char *slash = strrchr(path, '/');
    int folder = slash != NULL && name[0] != '/' ? (int)(slash - path) + 1 : 0;
    int n = snprintf(buf, len, "%.*s%s", folder, path, name);

    return n > 0 && (size_t)n < len;
}

static enum proa_outcome take_key(struct config_reading *r, const struct config_raw *raw,
                                  struct proa_config *config)
{
    const struct config_step step = {.key = "cluster_key_file"};
    unsigned line = config_lines_at(&r->lines, &step, 1);
    char path[2 * PROA_TEXT_MAX], why[PROA_TEXT_MAX + 128];

    if (raw->cluster_key_file[0] == '\0')
        return PROA_OK;
    if (!beside(r->path, raw->cluster_key_file, path, sizeof(path)))
        return config_refuse(r, line, "cluster_key_file: the path is too long");
    if (state_key_read(path, config->cluster_key, why, sizeof(why)) != PROA_OK)
        return config_refuse(r, line, "%s", why);
    config->has_cluster_key = true;
    return PROA_OK;
}

static void take_limits(const struct config_raw *raw, struct proa_config *config)
{
    memcpy(config->user, raw->user, sizeof(config->user));
    config->seccomp = raw->seccomp != 0;
    config->seccomp_allow_count = raw->seccomp_allow_count;
    for (unsigned i = 0; i < raw->seccomp_allow_count; i++)
        snprintf(config->seccomp_allow[i], sizeof(config->seccomp_allow[i]), "%s",
                 raw->seccomp_allow[i]);
}

static enum proa_outcome take(struct config_reading *r, const struct config_raw *raw,
                              struct config_file *ret)
{
    struct proa_config *config = &ret->config;

    memset(ret, 0, sizeof(*ret));
    proa_config_init(config);
    config->port_count = raw->ports_count;
    for (unsigned i = 0; i < raw->ports_count; i++)
        config->ports[i] = raw->ports[i];
    config->seed_count = raw->seeds_count;
    for (unsigned i = 0; i < raw->seeds_count; i++)
        snprintf(config->seeds[i], PROA_TEXT_MAX, "%s", raw->seeds[i]);
    memcpy(config->state_dir, raw->state_dir, PROA_TEXT_MAX);
    ret->no_socket = strcmp(raw->socket, "none") == 0;
    if (!ret->no_socket)
        memcpy(config->socket, raw->socket, PROA_TEXT_MAX);
    if (raw->lanes != 0)
        config->lanes = raw->lanes;
    for (unsigned i = 0; i < raw->cores_count; i++)
        config->cores[i] = raw->cores[i];
    config->idle = (enum proa_idle)raw->idle;
    config->pages = (enum proa_pages)raw->pages;
    config->memory_mb = raw->memory_mb;
    config->message_max = raw->message_max;
    config->actors_max = raw->actors_max;
    config->mesh_nodes_max = raw->mesh.nodes_max;
    config->mesh_published_max = raw->mesh.published_max;
    if (raw->offload_threads != NULL)
        config->offload_threads = *raw->offload_threads;
    config->allow_spawn_count = raw->allow_spawn_count;
    for (unsigned i = 0; i < raw->allow_spawn_count; i++)
        snprintf(config->allow_spawn[i], sizeof(config->allow_spawn[i]), "%s",
                 raw->allow_spawn[i]);
    take_limits(raw, config);
    ret->actor_count = raw->actors_count;
    for (unsigned i = 0; i < raw->actors_count; i++) {
        const struct config_step path[] = {{.key = "actors"}, {.item = i}};
        ret->actors[i] = raw->actors[i];
        ret->actors[i].line = config_lines_at(&r->lines, path, 2);
    }
    return take_key(r, raw, config);
}

static enum proa_outcome read_raw(struct config_reading *r, const char *text, size_t len,
                                  struct config_file *ret)
{
    static const struct config_raw nothing = {0};
    const cyaml_config_t how = {
        .log_fn = config_log,
        .log_ctx = r,
        .mem_fn = cyaml_mem,
        .log_level = CYAML_LOG_ERROR,
        .flags = CYAML_CFG_NO_ALIAS,
    };
    cyaml_data_t *data = NULL;
    enum proa_outcome outcome;
    cyaml_err_t error =
        cyaml_load_data((const uint8_t *)text, len, &how, &node_schema, &data, NULL);

    if (error != CYAML_OK)
        return config_refuse_cyaml(r, error);
    /* An empty file loads as nothing at all. */
    const struct config_raw *raw = data != NULL ? data : &nothing;
    outcome = config_check(r, raw);
    if (outcome == PROA_OK)
        outcome = take(r, raw, ret);
    cyaml_free(&how, &node_schema, data, 0);
    return outcome;
}

enum proa_outcome config_parse(const char *path, const char *text, size_t len,
                               struct config_file *ret, char *err, size_t err_len)
{
    struct config_reading reading = {.path = path, .err = err, .err_len = err_len};
    struct config_file *file;
    enum proa_outcome outcome;
    char why[256];
    unsigned line;

    if (memchr(text, '\0', len) != NULL)
        return config_refuse(&reading, 1, "a NUL byte: not a text file");
    if (!config_lines_init(&reading.lines, text, len, why, sizeof(why), &line))
        return config_refuse(&reading, line, "%s", why);
    file = malloc(sizeof(*file));
    if (file == NULL) {
        config_lines_fini(&reading.lines);
        return PROA_NO_MEMORY;
    }
    outcome = read_raw(&reading, text, len, file);
    if (outcome == PROA_OK)
        *ret = *file;
    free(file);
    config_lines_fini(&reading.lines);
    return outcome;
}

/* ---- Files ---- */

static enum proa_outcome unreadable(const char *path, const char *why, char *err,
                                    size_t err_len)
{
    if (err != NULL && err_len > 0)
        snprintf(err, err_len, "%s: %s", path, why);
    return PROA_BAD_CONFIG;
}

enum proa_outcome config_load(const char *path, struct config_file *ret, char *err,
                              size_t err_len)
{
    enum proa_outcome outcome;
    size_t len = 0;
    ssize_t got;
    /* Not to hang on a FIFO. */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    char *text;

    if (fd < 0)
        return unreadable(path, strerror(errno), err, err_len);
    text = malloc(CONFIG_FILE_MAX + 1);
    if (text == NULL) {
        close(fd);
        return PROA_NO_MEMORY;
    }
    while (len <= CONFIG_FILE_MAX &&
           (got = read(fd, text + len, CONFIG_FILE_MAX + 1 - len)) > 0)
        len += (size_t)got;
    if (len > CONFIG_FILE_MAX)
        outcome =
            unreadable(path, "longer than 64 KiB: not a configuration", err, err_len);
    else if (got < 0)
        outcome = unreadable(path, strerror(errno), err, err_len);
    else
        outcome = config_parse(path, text, len, ret, err, err_len);
    close(fd);
    free(text);
    return outcome;
}

void proa_config_init(struct proa_config *config)
{
    memset(config, 0, sizeof(*config));
    config->lanes = 1;
    config->offload_threads = CONFIG_OFFLOAD_DEFAULT;
    for (unsigned i = 0; i < PROA_LANES_MAX; i++)
        config->cores[i] = -1;
}

enum proa_outcome proa_config_load(const char *path, struct proa_config *config,
                                   char *err, size_t err_len)
{
    struct config_file *file = malloc(sizeof(*file));
    enum proa_outcome outcome;

    if (file == NULL)
        return PROA_NO_MEMORY;
    outcome = config_load(path, file, err, err_len);
    if (outcome == PROA_OK && file->actor_count > 0) {
        if (err != NULL && err_len > 0)
            snprintf(err, err_len, "%s:%u: actors: only `proa node` spawns them", path,
                     file->actors[0].line);
        outcome = PROA_BAD_CONFIG;
    }
    if (outcome == PROA_OK)
        *config = file->config;
    free(file);
    return outcome;
}
