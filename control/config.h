/* SPDX-License-Identifier: Apache-2.0 */
/* config.h - a node's configuration file: YAML in, struct proa_config out.

   The public half is proa_config_init and proa_config_load (proa/node.h); docs/config.md lists
   the keys.  This header is for the proa program, whose files may also name actors to spawn.

   Every refusal is one sentence `FILE:LINE: reason`: unknown and repeated keys, values of the
   wrong kind or out of range, addresses and ports that do not parse, broken YAML.  libcyaml
   checks against the schema; lines come from libyaml's own tree of the same bytes.

   Threads: any, no state.  Units: as the keys say.
   Errors:  BAD_CONFIG with its sentence; NO_MEMORY.
   Bounds:  CONFIG_FILE_MAX bytes; no aliases, one document. */
#ifndef CONFIG_H
#define CONFIG_H

#include <proa/node.h>

#define CONFIG_FILE_MAX 65536u
#define CONFIG_ACTORS_MAX 64u
#define CONFIG_OFFLOAD_DEFAULT 2u /* threads.  Source: proa/node.h */

/* An actor that `proa node` spawns at its start. */
struct config_actor {
    char behaviour[PROA_TYPE_MAX + 1];
    char name[PROA_NAME_MAX + 1]; /* "": not registered */
    uint32_t lane;
    unsigned line; /* in the file, for messages */
};

struct config_file {
    struct proa_config config;
    struct config_actor actors[CONFIG_ACTORS_MAX];
    unsigned actor_count;
    bool no_socket; /* `socket: none` */
};

/* config_load reads path.  ret->config gets the defaults first, ret is untouched on failure. */
enum proa_outcome config_load(const char *path, struct config_file *ret, char *err,
                              size_t err_len);

/* config_parse reads len bytes of text; path is for messages, and cluster_key_file is relative
   to its folder. */
enum proa_outcome config_parse(const char *path, const char *text, size_t len,
                               struct config_file *ret, char *err, size_t err_len);

#endif
