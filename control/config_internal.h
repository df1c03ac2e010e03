/* SPDX-License-Identifier: Apache-2.0 */
/* config_internal.h - what the parts of the configuration reader share.

   config.c         the schema, and the order of the steps
   config_refusal.c sentences for what libcyaml refuses
   config_check.c   what a schema cannot say: ranges, addresses, what must agree

   Threads: one.  Units, errors: config.h. */
#ifndef CONFIG_INTERNAL_H
#define CONFIG_INTERNAL_H

#include <cyaml/cyaml.h>

#include "config.h"
#include "config_lines.h"

/* What the schema fills. */
struct config_raw {
    struct proa_port_config *ports;
    unsigned ports_count;
    char **seeds;
    unsigned seeds_count;
    char cluster_key_file[PROA_TEXT_MAX];
    char state_dir[PROA_TEXT_MAX];
    char socket[PROA_TEXT_MAX];
    uint32_t lanes;
    int32_t *cores;
    unsigned cores_count;
    int idle, pages;
    uint32_t memory_mb, message_max, actors_max;
    struct config_mesh {
        uint32_t nodes_max, published_max;
    } mesh;
    uint32_t *offload_threads; /* NULL: not said, which 0 is not */
    char **allow_spawn;
    unsigned allow_spawn_count;
    char user[PROA_TEXT_MAX];
    int seccomp;
    char **seccomp_allow;
    unsigned seccomp_allow_count;
    struct config_actor *actors;
    unsigned actors_count;
};

/* One reading, from text to sentence. */
struct config_reading {
    const char *path;
    struct config_lines lines;
    char *err;
    size_t err_len;

    /* What libcyaml logged of an error: its reason, and the place, innermost step first. */
    char reason[256];
    struct config_step steps[CONFIG_DEPTH_MAX];
    char keys[CONFIG_DEPTH_MAX][64];
    unsigned step_count;
    unsigned line; /* as libcyaml has it */
};

/* config_refuse writes `PATH:LINE: reason` and returns BAD_CONFIG.  What came from the file and
   does not print is shown as '?'. */
__attribute__((format(printf, 3, 4))) enum proa_outcome
config_refuse(const struct config_reading *r, unsigned line, const char *format, ...);

/* config_refuse_cyaml does so from what config_log gathered. */
enum proa_outcome config_refuse_cyaml(struct config_reading *r, cyaml_err_t error);
void config_log(cyaml_log_t level, void *ctx, const char *format, va_list args);

/* config_check says whether raw makes sense.  OK, or BAD_CONFIG with its sentence. */
enum proa_outcome config_check(struct config_reading *r, const struct config_raw *raw);

#endif
