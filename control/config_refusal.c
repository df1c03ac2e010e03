/* SPDX-License-Identifier: Apache-2.0 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config_internal.h"

static void printable(char *text)
{
    for (; *text != '\0'; text++) {
        if ((unsigned char)*text < 0x20 || *text == 0x7f)
            *text = '?';
    }
}

enum proa_outcome config_refuse(const struct config_reading *r, unsigned line,
                                const char *format, ...)
{
    char reason[512];
    va_list args;

    va_start(args, format);
    vsnprintf(reason, sizeof(reason), format, args);
    va_end(args);
    printable(reason);
    if (r->err != NULL && r->err_len > 0)
        snprintf(r->err, r->err_len, "%s:%u: %s", r->path, line, reason);
    return PROA_BAD_CONFIG;
}

/* "  in mapping field 'KEY' (line: N, column: N)", "  in sequence entry 'N' (...)",
   "  in mapping (...)": the value being read, from the inside outwards. */
static void note_step(struct config_reading *r, const char *text)
{
    struct config_step *step = &r->steps[r->step_count];
    const char *place = strstr(text, "(line: ");
    unsigned item;

    if (r->line == 0 && place != NULL)
        sscanf(place, "(line: %u", &r->line);
    if (r->step_count == CONFIG_DEPTH_MAX)
        return;
    if (sscanf(text, " in mapping field '%63[^']'", r->keys[r->step_count]) == 1) {
        *step = (struct config_step){.key = r->keys[r->step_count]};
        r->step_count++;
    } else if (sscanf(text, " in sequence entry '%u'", &item) == 1) {
        /* It counts the item being read, except where the list itself is the fault. */
        *step = (struct config_step){.item = item > 0 ? item - 1 : 0};
        r->step_count++;
    }
}

void config_log(cyaml_log_t level, void *ctx, const char *format, va_list args)
{
    struct config_reading *r = ctx;
    char text[512];

    if (level != CYAML_LOG_ERROR)
        return;
    int n = vsnprintf(text, sizeof(text), format, args);
    if (n > 0 && (size_t)n < sizeof(text) && text[n - 1] == '\n')
        text[n - 1] = '\0';
    if (strncmp(text, "  in ", 5) == 0) {
        note_step(r, text);
    } else if (r->reason[0] == '\0') {
        const char *reason = strncmp(text, "Load: ", 6) == 0 ? text + 6 : text;
        snprintf(r->reason, sizeof(r->reason), "%.*s", (int)sizeof(r->reason) - 1,
                 reason);
    }
}

/* Writes the place as people say it, "ports[0].mtu: ", from the outside inwards. */
static void print_place(const struct config_reading *r, char *buf, size_t len)
{
    size_t at = 0;

    buf[0] = '\0';
    for (unsigned i = r->step_count; i-- > 0 && at < len;) {
        if (r->steps[i].key != NULL)
            at += (size_t)snprintf(buf + at, len - at, "%s%s", at > 0 ? "." : "",
                                   r->steps[i].key);
        else
            at += (size_t)snprintf(buf + at, len - at, "[%u]", r->steps[i].item);
    }
    if (at > 0 && at < len)
        snprintf(buf + at, len - at, ": ");
}

/* The line of `key` in the innermost mapping: libcyaml names the place before it. */
static unsigned line_of_key(struct config_reading *r, const char *key, bool second)
{
    struct config_step path[CONFIG_DEPTH_MAX + 1];
    unsigned n = 0;

    /* The innermost field of the backtrace is then the pair just read, or this very one. */
    unsigned inner = r->step_count > 0 && r->steps[0].key != NULL ? 1 : 0;
    if (!second)
        inner = 0;
    for (unsigned i = r->step_count; i-- > inner;)
        path[n++] = r->steps[i];
    path[n++] = (struct config_step){.key = key};
    return second ? config_lines_twice(&r->lines, path, n)
                  : config_lines_at(&r->lines, path, n);
}

static bool takes(const char *text, const char *prefix, const char **rest)
{
    size_t len = strlen(prefix);

    if (strncmp(text, prefix, len) != 0)
        return false;
    *rest = text + len;
    return true;
}

static const char *kind_word(const char *event)
{
    if (strstr(event, "SEQUENCE") != NULL)
        return "a list";
    if (strstr(event, "MAPPING") != NULL)
        return "a group of keys";
    return "a single value";
}

static enum proa_outcome refuse_kind(const struct config_reading *r, unsigned line,
                                     const char *place, const char *expected)
{
    const char *got = strstr(expected, "got event: ");
    char wanted[32];

    snprintf(wanted, sizeof(wanted), "%.*s", (int)strcspn(expected, ","), expected);
    return config_refuse(r, line, "%sexpected %s, not %s", place, kind_word(wanted),
                         got != NULL ? kind_word(got + 11) : "this");
}

enum proa_outcome config_refuse_cyaml(struct config_reading *r, cyaml_err_t error)
{
    char place[160];
    const char *rest;
    unsigned line = r->line != 0 ? r->line : 1;

    print_place(r, place, sizeof(place));
    if (error == CYAML_ERR_OOM) {
        snprintf(r->err, r->err != NULL ? r->err_len : 0, "%s: out of memory", r->path);
        return PROA_NO_MEMORY;
    }
    if (takes(r->reason, "Unexpected key: ", &rest))
        return config_refuse(r, line_of_key(r, rest, false), "%sunknown key '%s'", place,
                             rest);
    if (takes(r->reason, "Mapping field already seen: ", &rest))
        return config_refuse(r, line_of_key(r, rest, true), "key '%s' appears twice",
                             rest);
    if (takes(r->reason, "Missing required mapping field: ", &rest))
        return config_refuse(r, line, "key '%s' is missing", rest);
    if (takes(r->reason, "Expecting ", &rest))
        return refuse_kind(r, line, place, rest);
    if (takes(r->reason, "Invalid ENUM value: ", &rest))
        return config_refuse(r, line, "%sunknown word '%s'", place, rest);
    if (takes(r->reason, "Invalid ", &rest) && strchr(rest, '\'') != NULL)
        return config_refuse(r, line, "%s%s is not a whole number in range", place,
                             strchr(rest, '\''));
    if (takes(r->reason, "STRING length < ", &rest))
        return config_refuse(r, line, "%smust not be empty", place);
    if (takes(r->reason, "STRING length > ", &rest))
        return config_refuse(r, line, "%slonger than %d bytes", place, atoi(rest));
    if (takes(r->reason, "Excessive entries (", &rest))
        return config_refuse(r, line, "%smore than %d entries", place, atoi(rest));
    return config_refuse(r, line, "%s%s", place,
                         r->reason[0] != '\0' ? r->reason : cyaml_strerror(error));
}
