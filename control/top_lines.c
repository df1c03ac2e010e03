/* SPDX-License-Identifier: Apache-2.0 */
#include "top_lines.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- Printing ---- */

static void put_figures(char *line, const uint64_t *f, unsigned count)
{
    size_t len = strlen(line);

    for (unsigned i = 0; i < count && len < TOP_LINE_MAX; i++)
        len += (size_t)snprintf(line + len, TOP_LINE_MAX - len, " %" PRIu64, f[i]);
}

void top_lines_print(const struct top_snapshot *snapshot,
                     void (*put)(void *ctx, const char *line), void *ctx)
{
    char line[TOP_LINE_MAX];

    snprintf(line, sizeof(line), "node %016" PRIx64 " %s", snapshot->node,
             snapshot->address);
    put_figures(line, snapshot->f, TOP_NODE_FIGURES);
    put(ctx, line);
    for (unsigned i = 0; i < snapshot->lane_count; i++) {
        snprintf(line, sizeof(line), "lane %u", i);
        put_figures(line, snapshot->lanes[i].f, TOP_LANE_FIGURES);
        put(ctx, line);
    }
    for (unsigned i = 0; i < snapshot->link_count; i++) {
        const struct top_link *link = &snapshot->links[i];

        snprintf(line, sizeof(line), "link %u %016" PRIx64, link->lane, link->node);
        put_figures(line, link->f, TOP_LINK_FIGURES);
        put(ctx, line);
    }
    for (unsigned i = 0; i < snapshot->type_count; i++) {
        snprintf(line, sizeof(line), "type %s", snapshot->types[i].name);
        put_figures(line, snapshot->types[i].f, TOP_TYPE_FIGURES);
        put(ctx, line);
    }
}

/* ---- Reading: *at moves behind what was read ---- */

/* A word of 1 to TOP_TEXT_MAX - 1 bytes. */
static bool read_word(const char **at, char word[TOP_TEXT_MAX])
{
    size_t len;

    if (**at != ' ')
        return false;
    ++*at;
    len = strcspn(*at, " ");
    if (len == 0 || len >= TOP_TEXT_MAX)
        return false;
    memcpy(word, *at, len);
    word[len] = '\0';
    *at += len;
    return true;
}

static bool read_number(const char **at, int base, uint64_t *ret)
{
    char word[TOP_TEXT_MAX], *end;

    if (!read_word(at, word) || strspn(word, "0123456789abcdef") != strlen(word))
        return false;
    *ret = strtoull(word, &end, base);
    return *end == '\0';
}

/* All figures, and nothing behind them. */
static bool read_figures(const char *at, uint64_t *f, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        if (!read_number(&at, 10, &f[i]))
            return false;
    }
    return *at == '\0';
}

static bool read_lane(struct top_snapshot *s, const char *at)
{
    uint64_t number;

    return s->lane_count < PROA_LANES_MAX && read_number(&at, 10, &number) &&
           number == s->lane_count &&
           read_figures(at, s->lanes[s->lane_count++].f, TOP_LANE_FIGURES);
}

static bool read_link(struct top_snapshot *s, const char *at)
{
    struct top_link *link = &s->links[s->link_count];
    uint64_t lane;

    if (s->link_count == TOP_LINKS_MAX || !read_number(&at, 10, &lane) ||
        lane >= PROA_LANES_MAX || !read_number(&at, 16, &link->node))
        return false;
    link->lane = (uint32_t)lane;
    s->link_count++;
    return read_figures(at, link->f, TOP_LINK_FIGURES);
}

static bool read_type(struct top_snapshot *s, const char *at)
{
    struct top_type *type = &s->types[s->type_count];

    if (s->type_count == TOP_TYPES_MAX || !read_word(&at, type->name))
        return false;
    s->type_count++;
    return read_figures(at, type->f, TOP_TYPE_FIGURES);
}

bool top_line_read(struct top_snapshot *snapshot, const char *line)
{
    const char *at = line + 4;

    if (strncmp(line, "node ", 5) == 0)
        return read_number(&at, 16, &snapshot->node) &&
               read_word(&at, snapshot->address) &&
               read_figures(at, snapshot->f, TOP_NODE_FIGURES);
    if (strncmp(line, "lane ", 5) == 0)
        return read_lane(snapshot, at);
    if (strncmp(line, "link ", 5) == 0)
        return read_link(snapshot, at);
    if (strncmp(line, "type ", 5) == 0)
        return read_type(snapshot, at);
    return false;
}
