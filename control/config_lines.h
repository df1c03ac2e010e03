/* SPDX-License-Identifier: Apache-2.0 */
/* config_lines.h - where in a YAML text a value stands.

   A tree of the text by libyaml, asked by path.  libcyaml, which fills the structures, forgets
   the lines once it is done, and names the place before an unknown key rather than the key.

   Threads: one.  Units: lines count from 1; bytes.  Errors: false, with a sentence. */
#ifndef CONFIG_LINES_H
#define CONFIG_LINES_H

#include <stdbool.h>
#include <stddef.h>
#include <yaml.h>

#define CONFIG_DEPTH_MAX 8 /* steps of a path; the schema has 4 */

struct config_lines {
    yaml_document_t document;
    bool loaded;
};

/* One step of a path: the value of a key, or an item of a sequence. */
struct config_step {
    const char *key; /* NULL: item */
    unsigned item;   /* from 0 */
};

/* config_lines_init parses text.  False: it is not one YAML document, or there was no memory;
   why and line say so. */
bool config_lines_init(struct config_lines *lines, const char *text, size_t len,
                       char *why, size_t why_len, unsigned *ret_line);
void config_lines_fini(struct config_lines *lines);

/* config_lines_at returns the line of the last step that exists on the path: of a key, its own
   line; of an item, where it begins.  1 for an empty path or document. */
unsigned config_lines_at(struct config_lines *lines, const struct config_step *path,
                         unsigned steps);

/* config_lines_twice: as above for the last step's key in the mapping of the others, but its
   second appearance; 0 when there is none. */
unsigned config_lines_twice(struct config_lines *lines, const struct config_step *path,
                            unsigned steps);

/* config_lines_number looks at the values of these keys, wherever they stand, and at the items of
   lists there: whole numbers, decimal or 0x.  libcyaml 1.3 reads "12abc" as 12.  Returns the
   first text that is none, with its key and line; NULL when all are. */
const char *config_lines_number(struct config_lines *lines, const char *const *keys,
                                unsigned count, const char **ret_key, unsigned *ret_line);

#endif
