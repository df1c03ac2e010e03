/* SPDX-License-Identifier: Apache-2.0 */
#include "perf_json.h"

#include <inttypes.h>
#include <math.h>

#include <proa/types.h>

void perf_json_init(struct perf_json *json, FILE *file)
{
    *json = (struct perf_json){.file = file};
}

static void put_string(FILE *file, const char *text)
{
    putc('"', file);
    for (const unsigned char *c = (const unsigned char *)text; *c != 0; c++) {
        if (*c == '"' || *c == '\\')
            fprintf(file, "\\%c", *c);
        else if (*c < 0x20)
            fprintf(file, "\\u%04x", *c);
        else
            putc(*c, file);
    }
    putc('"', file);
}

static void put_key(struct perf_json *json, const char *key)
{
    if (json->depth > 0) {
        fputs(json->some[json->depth - 1] ? ",\n" : "\n", json->file);
        json->some[json->depth - 1] = true;
    }
    fprintf(json->file, "%*s", (int)json->depth * 2, "");
    if (key != NULL) {
        put_string(json->file, key);
        fputs(": ", json->file);
    }
}

void perf_json_open(struct perf_json *json, const char *key)
{
    PROA_ASSERT(json->depth < PERF_JSON_DEPTH);
    put_key(json, key);
    putc('{', json->file);
    json->some[json->depth++] = false;
}

void perf_json_close(struct perf_json *json)
{
    PROA_ASSERT(json->depth > 0);
    json->depth--;
    if (json->some[json->depth])
        fprintf(json->file, "\n%*s", (int)json->depth * 2, "");
    putc('}', json->file);
    if (json->depth == 0)
        putc('\n', json->file);
}

void perf_json_str(struct perf_json *json, const char *key, const char *value)
{
    put_key(json, key);
    put_string(json->file, value);
}

void perf_json_u64(struct perf_json *json, const char *key, uint64_t value)
{
    put_key(json, key);
    fprintf(json->file, "%" PRIu64, value);
}

void perf_json_hex(struct perf_json *json, const char *key, uint64_t value)
{
    put_key(json, key);
    fprintf(json->file, "\"%016" PRIx64 "\"", value);
}

void perf_json_num(struct perf_json *json, const char *key, double value)
{
    put_key(json, key);
    if (isfinite(value))
        fprintf(json->file, value < 1000 ? "%.3f" : "%.0f", value);
    else
        fputs("null", json->file);
}

void perf_json_pairs_open(struct perf_json *json, const char *key)
{
    PROA_ASSERT(json->depth < PERF_JSON_DEPTH);
    put_key(json, key);
    putc('[', json->file);
    json->some[json->depth++] = false;
}

void perf_json_pair(struct perf_json *json, uint64_t a, uint64_t b)
{
    fprintf(json->file, "%s[%" PRIu64 ", %" PRIu64 "]",
            json->some[json->depth - 1] ? ", " : "", a, b);
    json->some[json->depth - 1] = true;
}

void perf_json_pairs_close(struct perf_json *json)
{
    json->depth--;
    putc(']', json->file);
}

void perf_json_bool(struct perf_json *json, const char *key, bool value)
{
    put_key(json, key);
    fputs(value ? "true" : "false", json->file);
}
