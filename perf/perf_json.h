/* SPDX-License-Identifier: Apache-2.0 */
/* perf_json.h - writes one JSON object, field by field.

   Objects nest up to PERF_JSON_DEPTH.  A key of NULL is for the outermost object.  Numbers that
   are no numbers (a ratio over 0) become null.

   Threads: one at a time.  Units: none.  Errors: none of its own; ferror tells about the file. */
#ifndef PERF_JSON_H
#define PERF_JSON_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#define PERF_JSON_DEPTH 8

struct perf_json {
    FILE *file; /* borrowed */
    unsigned depth;
    bool some[PERF_JSON_DEPTH]; /* the object at this depth has a field */
};

void perf_json_init(struct perf_json *json, FILE *file);
void perf_json_open(struct perf_json *json, const char *key);
void perf_json_close(struct perf_json *json); /* ends the line after the outermost */
void perf_json_str(struct perf_json *json, const char *key, const char *value);
void perf_json_u64(struct perf_json *json, const char *key, uint64_t value);
void perf_json_hex(struct perf_json *json, const char *key, uint64_t value);
void perf_json_num(struct perf_json *json, const char *key, double value);
/* An array of pairs: [[a, b], ...]. */
void perf_json_pairs_open(struct perf_json *json, const char *key);
void perf_json_pair(struct perf_json *json, uint64_t a, uint64_t b);
void perf_json_pairs_close(struct perf_json *json);
void perf_json_bool(struct perf_json *json, const char *key, bool value);

#endif
