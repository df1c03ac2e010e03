/* SPDX-License-Identifier: Apache-2.0 */
/* Events and log lines as text. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <proa/event.h>
#include <proa/log.h>

const char *proa_event_name(enum proa_event_kind kind)
{
    static const char *const names[PROA_EVENT_COUNT] = {
        [PROA_EVENT_NODE_JOINED] = "node-joined",
        [PROA_EVENT_NODE_LEFT] = "node-left",
        [PROA_EVENT_NODE_DEAD] = "node-dead",
        [PROA_EVENT_LINK_UP] = "link-up",
        [PROA_EVENT_LINK_DEAD] = "link-dead",
        [PROA_EVENT_LINK_CLOSED] = "link-closed",
        [PROA_EVENT_NAME_LOST] = "name-lost",
        [PROA_EVENT_LANE_STUCK] = "lane-stuck",
        [PROA_EVENT_LANE_FREE] = "lane-free",
        [PROA_EVENT_DROPS] = "drops",
        [PROA_EVENT_DEAD_LETTERS] = "dead-letters",
        [PROA_EVENT_ACTOR_FAILED] = "actor-failed",
        [PROA_EVENT_RESTART_LIMIT] = "restart-limit",
        [PROA_EVENT_REGISTRY_LINKED] = "registry-linked",
        [PROA_EVENT_REGISTRY_UNLINKED] = "registry-unlinked",
        [PROA_EVENT_REGISTRY_REFUSED] = "registry-refused",
        [PROA_EVENT_NEIGHBOUR_SILENT] = "neighbour-silent",
        [PROA_EVENT_PUBLISH_LIMIT] = "publish-limit",
        [PROA_EVENT_LOST] = "lost",
    };

    return (unsigned)kind < PROA_EVENT_COUNT ? names[kind] : "?";
}

const char *proa_log_level_name(enum proa_log_level level)
{
    static const char *const names[PROA_LOG_LEVEL_COUNT] = {"error", "warning", "info",
                                                            "debug"};

    return (unsigned)level < PROA_LOG_LEVEL_COUNT ? names[level] : "?";
}

/* ---- Text that grows in a buffer, cut at its end ---- */

struct text {
    char *at, *end; /* *at is the NUL; end: one past the last byte */
};

static struct text text_begin(char *buf, size_t len)
{
    if (len > 0)
        buf[0] = '\0';
    return (struct text){buf, buf + len};
}

__attribute__((format(printf, 2, 3))) static void put(struct text *t, const char *format,
                                                      ...)
{
    va_list args;
    int n;

    if (t->end - t->at < 2)
        return;
    va_start(args, format);
    n = vsnprintf(t->at, (size_t)(t->end - t->at), format, args);
    va_end(args);
    if (n > 0)
        t->at += n < t->end - t->at ? n : t->end - t->at - 1;
}

/* Bytes of anybody's making.  words: none of them ends a word or is not ASCII. */
static void put_bytes(struct text *t, const char *bytes, size_t len, bool words)
{
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)bytes[i];
        bool plain = words ? c > 0x20 && c < 0x7f && c != '%' : c >= 0x20 && c != 0x7f;

        if (!plain)
            put(t, "%%%02x", c);
        else if (t->end - t->at >= 2) {
            *t->at++ = (char)c;
            *t->at = '\0';
        }
    }
}

static void put_time(struct text *t, uint64_t wall_ms)
{
    time_t seconds = (time_t)(wall_ms / 1000);
    struct tm tm;

    gmtime_r(&seconds, &tm);
    put(t, "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ", tm.tm_year + 1900, tm.tm_mon + 1,
        tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec, (int)(wall_ms % 1000));
}

static void put_ref(struct text *t, struct proa_ref ref)
{
    if (proa_ref_is_none(ref))
        put(t, "-");
    else
        put(t, "%016llx/%u.%u/%08x", (unsigned long long)ref.node, proa_ref_lane(ref),
            ref.slot & 0xffffff, ref.generation);
}

/* ---- Events ---- */

static void put_stuck(struct text *t, const struct proa_event *e)
{
    put(t, " lane %u ", e->lane);
    if (e->kind == PROA_EVENT_LANE_STUCK) {
        put(t, "actor ");
        put_ref(t, e->actor);
        if (e->type != PROA_EVENT_NO_TYPE)
            put(t, " type %u", e->type);
        put(t, " ");
    }
    put(t, "%llu ms", (unsigned long long)(e->span / PROA_MS));
}

static void put_failed(struct text *t, const struct proa_event *e)
{
    put(t, " ");
    put_ref(t, e->actor);
    put(t, " code %d ", e->code);
    put_bytes(t, e->text, strnlen(e->text, sizeof(e->text)), true);
}

static void put_rest(struct text *t, const struct proa_event *e)
{
    size_t len = strnlen(e->text, sizeof(e->text));

    switch (e->kind) {
    case PROA_EVENT_LANE_STUCK:
    case PROA_EVENT_LANE_FREE:
        put_stuck(t, e);
        return;
    case PROA_EVENT_ACTOR_FAILED:
    case PROA_EVENT_RESTART_LIMIT:
        put_failed(t, e);
        return;
    case PROA_EVENT_PUBLISH_LIMIT:
        put(t, " ");
        put_ref(t, e->actor);
        put(t, " of %llu ", (unsigned long long)e->count);
        put_bytes(t, e->text, len, true);
        return;
    case PROA_EVENT_DROPS:
        put(t, " %s %llu", e->text, (unsigned long long)e->count);
        return;
    case PROA_EVENT_DEAD_LETTERS:
        put(t, " %llu: %s", (unsigned long long)e->count, proa_outcome_name(e->outcome));
        return;
    case PROA_EVENT_LOST:
        put(t, " %llu events", (unsigned long long)e->count);
        return;
    case PROA_EVENT_NAME_LOST:
        put(t, " ");
        put_bytes(t, e->text, len, true);
        put(t, " of ");
        put_ref(t, e->actor);
        put(t, " to node %016llx", (unsigned long long)e->node);
        return;
    default:
        put(t, " %016llx", (unsigned long long)e->node);
        break;
    }
    if (e->kind >= PROA_EVENT_LINK_UP && e->kind <= PROA_EVENT_LINK_CLOSED)
        put(t, " lane %u", e->lane);
    if (len > 0) {
        put(t, " ");
        put_bytes(t, e->text, len, false);
    }
}

size_t proa_event_print(const struct proa_event *event, char *buf, size_t len)
{
    struct text t = text_begin(buf, len);

    put_time(&t, event->wall_ms);
    put(&t, " %s", proa_event_name(event->kind));
    put_rest(&t, event);
    return (size_t)(t.at - buf);
}

/* ---- Log lines ---- */

size_t proa_log_print(const struct proa_log_line *line, char *buf, size_t len)
{
    struct text t = text_begin(buf, len);

    put_time(&t, line->wall_ms);
    put(&t, " %s lane %u ", proa_log_level_name(line->level), line->lane);
    put_ref(&t, line->actor);
    put(&t, " %s: ", line->type_name);
    put_bytes(&t, line->text, line->len, false);
    return (size_t)(t.at - buf);
}
