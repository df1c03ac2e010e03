/* SPDX-License-Identifier: Apache-2.0 */
#include "top_screen.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define CELL 16 /* characters of a number and its NUL */

struct screen {
    char *buf;
    size_t len;
    unsigned rows, columns; /* rows: left */
    double seconds;
};

__attribute__((format(printf, 2, 3))) static void line(struct screen *s,
                                                       const char *format, ...)
{
    char text[TOP_SCREEN_COLUMNS_MAX + 1];
    va_list args;
    size_t len;

    if (s->rows == 0)
        return;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    len = strnlen(text, s->columns);
    while (len > 0 && text[len - 1] == ' ')
        len--;
    memcpy(s->buf + s->len, text, len);
    s->len += len;
    s->buf[s->len++] = '\n';
    s->rows--;
}

/* ---- Numbers that people read ---- */

/* 999, 12.3k, 4.56M: at most three digits and a letter. */
static const char *count_text(double value, char cell[CELL])
{
    static const char units[] = " kMGTP";
    unsigned unit = 0;

    while (value >= 999.5 && unit < sizeof(units) - 2) {
        value /= 1000;
        unit++;
    }
    if (unit == 0)
        snprintf(cell, CELL, "%.0f", value);
    else
        snprintf(cell, CELL, "%.*f%c",
                 value < 9.995   ? 2
                 : value < 99.95 ? 1
                                 : 0,
                 value, units[unit]);
    return cell;
}

static const char *time_text(double ns, char cell[CELL])
{
    static const char *const units[] = {"ns", "us", "ms", "s"};
    unsigned unit = 0;

    while (ns >= 999.5 && unit < 3) {
        ns /= 1000;
        unit++;
    }
    snprintf(cell, CELL, "%.*f%s", unit == 0 || ns >= 99.95 ? 0 : 1, ns, units[unit]);
    return cell;
}

static double rate(const struct screen *s, uint64_t before, uint64_t now)
{
    return s->seconds > 0 && now > before ? (double)(now - before) / s->seconds : 0;
}

static const char *rate_text(const struct screen *s, uint64_t before, uint64_t now,
                             char cell[CELL])
{
    return count_text(rate(s, before, now), cell);
}

/* The mean of samples taken between the snapshots; of all, when there were none. */
static double mean(uint64_t sum_before, uint64_t sum, uint64_t n_before, uint64_t n)
{
    if (n > n_before)
        return (double)(sum - sum_before) / (double)(n - n_before);
    return n > 0 ? (double)sum / (double)n : 0;
}

/* ---- Tables ---- */

static void print_lanes(struct screen *s, const struct top_snapshot *before,
                        const struct top_snapshot *now)
{
    line(s, "%-5s %5s %8s %8s %8s %8s %8s %8s %8s", "LANE", "BUSY", "LOOPS/s", "MSG/s",
         "RX/s", "TX/s", "ACTORS", "WAITING", "GAP");
    for (unsigned i = 0; i < now->lane_count; i++) {
        const uint64_t *a = before->lanes[i].f, *b = now->lanes[i].f;
        double busy = rate(s, a[TOP_LANE_BUSY_NS], b[TOP_LANE_BUSY_NS]);
        double idle = rate(s, a[TOP_LANE_IDLE_NS], b[TOP_LANE_IDLE_NS]);
        char c[7][CELL];

        line(s, "%-5u %4.0f%% %8s %8s %8s %8s %8s %7sB %8s", i,
             busy + idle > 0 ? 100 * busy / (busy + idle) : 0,
             rate_text(s, a[TOP_LANE_LOOPS], b[TOP_LANE_LOOPS], c[0]),
             rate_text(s, a[TOP_LANE_MESSAGES], b[TOP_LANE_MESSAGES], c[1]),
             rate_text(s, a[TOP_LANE_RX], b[TOP_LANE_RX], c[2]),
             rate_text(s, a[TOP_LANE_TX], b[TOP_LANE_TX], c[3]),
             count_text((double)b[TOP_LANE_ACTORS], c[4]),
             count_text((double)b[TOP_LANE_MEMORY], c[5]),
             time_text((double)b[TOP_LANE_GAP_NS], c[6]));
    }
}

static const struct top_link *same_link(const struct top_snapshot *s,
                                        const struct top_link *link)
{
    static const struct top_link none;

    for (unsigned i = 0; i < s->link_count; i++) {
        if (s->links[i].lane == link->lane && s->links[i].node == link->node &&
            s->links[i].f[TOP_LINK_TX_PACKETS] <= link->f[TOP_LINK_TX_PACKETS])
            return &s->links[i];
    }
    return &none;
}

static void print_links(struct screen *s, const struct top_snapshot *before,
                        const struct top_snapshot *now, unsigned max)
{
    if (now->link_count == 0)
        return;
    line(s, "%s", "");
    line(s, "%-16s %4s %8s %8s %9s %8s %8s %8s", "LINK TO", "LANE", "OUT/s", "IN/s",
         "RESENDS/s", "RTT", "WINDOW", "INFLIGHT");
    for (unsigned i = 0; i < now->link_count && i < max; i++) {
        const struct top_link *link = &now->links[i];
        const uint64_t *a = same_link(before, link)->f, *b = link->f;
        char c[6][CELL];

        line(s, "%016" PRIx64 " %4u %8s %8s %9s %8s %8s %8s", link->node, link->lane,
             rate_text(s, a[TOP_LINK_TX_MESSAGES], b[TOP_LINK_TX_MESSAGES], c[0]),
             rate_text(s, a[TOP_LINK_RX_MESSAGES], b[TOP_LINK_RX_MESSAGES], c[1]),
             rate_text(s, a[TOP_LINK_RESENDS], b[TOP_LINK_RESENDS], c[2]),
             time_text((double)b[TOP_LINK_SRTT_NS], c[3]),
             count_text((double)b[TOP_LINK_CWND], c[4]),
             count_text((double)b[TOP_LINK_INFLIGHT], c[5]));
    }
}

static const struct top_type *same_type(const struct top_snapshot *s,
                                        const struct top_type *type)
{
    static const struct top_type none;

    for (unsigned i = 0; i < s->type_count; i++) {
        if (strcmp(s->types[i].name, type->name) == 0)
            return &s->types[i];
    }
    return &none;
}

static void print_type(struct screen *s, const struct top_type *before,
                       const struct top_type *now)
{
    const uint64_t *a = before->f, *b = now->f;
    char c[9][CELL];

    line(s, "%-20.20s %8s %8s %8s %5s %6s %8s %8s %8s %8s", now->name,
         rate_text(s, a[TOP_TYPE_MESSAGES], b[TOP_TYPE_MESSAGES], c[0]),
         rate_text(s, a[TOP_TYPE_REFUSED], b[TOP_TYPE_REFUSED], c[1]),
         count_text((double)b[TOP_TYPE_RESTARTS], c[2]),
         count_text(mean(a[TOP_TYPE_DEPTH], b[TOP_TYPE_DEPTH], a[TOP_TYPE_WAITED],
                         b[TOP_TYPE_WAITED]),
                    c[3]),
         count_text((double)b[TOP_TYPE_DEPTH_MAX], c[4]),
         time_text(mean(a[TOP_TYPE_WAIT_NS], b[TOP_TYPE_WAIT_NS], a[TOP_TYPE_WAITED],
                        b[TOP_TYPE_WAITED]),
                   c[5]),
         time_text((double)b[TOP_TYPE_WAIT_MAX_NS], c[6]),
         time_text(mean(a[TOP_TYPE_RUN_NS], b[TOP_TYPE_RUN_NS], a[TOP_TYPE_RAN],
                        b[TOP_TYPE_RAN]),
                   c[7]),
         time_text((double)b[TOP_TYPE_RUN_MAX_NS], c[8]));
}

/* Where the types stand in the table: by messages since the snapshot before, the most first;
   equal ones by name. */
static void order_types(const struct top_snapshot *before, const struct top_snapshot *now,
                        unsigned order[TOP_TYPES_MAX])
{
    uint64_t news[TOP_TYPES_MAX];

    for (unsigned i = 0; i < now->type_count; i++) {
        const struct top_type *type = &now->types[i];
        unsigned at = i;

        news[i] =
            type->f[TOP_TYPE_MESSAGES] - same_type(before, type)->f[TOP_TYPE_MESSAGES];
        for (; at > 0; at--) {
            unsigned other = order[at - 1];
            if (news[other] > news[i] ||
                (news[other] == news[i] &&
                 strcmp(now->types[other].name, type->name) <= 0))
                break;
            order[at] = other;
        }
        order[at] = i;
    }
}

static void print_types(struct screen *s, const struct top_snapshot *before,
                        const struct top_snapshot *now)
{
    unsigned order[TOP_TYPES_MAX];

    line(s, "%s", "");
    line(s, "%-20s %8s %8s %8s %5s %6s %8s %8s %8s %8s", "BEHAVIOUR", "MSG/s", "REFUSE/s",
         "RESTARTS", "DEPTH", "MAX", "WAIT", "MAX", "RUN", "MAX");
    order_types(before, now, order);
    for (unsigned i = 0; i < now->type_count; i++)
        print_type(s, same_type(before, &now->types[order[i]]), &now->types[order[i]]);
    if (now->f[TOP_NODE_TYPES_LEFT_OUT] > 0)
        line(s, "and %" PRIu64 " more", now->f[TOP_NODE_TYPES_LEFT_OUT]);
}

size_t top_screen_print(const struct top_snapshot *before, const struct top_snapshot *now,
                        unsigned rows, unsigned columns, char *buf)
{
    struct screen s = {.buf = buf, .rows = rows, .columns = columns};
    unsigned fixed =
        2 + now->lane_count + 1 + 2 + 2; /* lines of all but links and types */
    unsigned links = now->link_count;
    char c[2][CELL];

    PROA_ASSERT(columns <= TOP_SCREEN_COLUMNS_MAX && rows <= TOP_SCREEN_ROWS_MAX);
    s.seconds = (double)(now->f[TOP_NODE_AT] - before->f[TOP_NODE_AT]) / (double)PROA_S;
    /* Behaviours get half of what is left when both tables do not fit. */
    if (rows > fixed && fixed + links + now->type_count > rows &&
        links > (rows - fixed) / 2)
        links = (rows - fixed) / 2;
    line(&s, "proa node %016" PRIx64 " at %s: %" PRIu64 " names, %" PRIu64 " nodes",
         now->node, now->address, now->f[TOP_NODE_NAMES], now->f[TOP_NODE_NODES]);
    line(&s, "drops %s/s (%" PRIu64 ")  dead letters %s/s (%" PRIu64 ")",
         rate_text(&s, before->f[TOP_NODE_DROPS], now->f[TOP_NODE_DROPS], c[0]),
         now->f[TOP_NODE_DROPS],
         rate_text(&s, before->f[TOP_NODE_LETTERS], now->f[TOP_NODE_LETTERS], c[1]),
         now->f[TOP_NODE_LETTERS]);
    line(&s, "%s", "");
    print_lanes(&s, before, now);
    print_links(&s, before, now, links);
    print_types(&s, before, now);
    buf[s.len] = '\0';
    return s.len;
}
