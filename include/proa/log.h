/* SPDX-License-Identifier: Apache-2.0 */
/* log.h - lines for people, written by actors without ever waiting.

   proa_log formats into the bounded ring of its lane; the control thread prints.  A full ring
   drops the line and counts it (drop counter log_dropped).  Lines of one lane come in order;
   those of several lanes are not sorted.

   Threads: proa_log: as actor.h.  The proa_node_ functions: an ordinary thread, while the node
            runs, and not from within the function they installed, which runs on the control
            thread and must not block.
   Units:   bytes; proa_ns.  Errors: none. */
#ifndef PROA_LOG_H
#define PROA_LOG_H

#include <proa/types.h>

#ifdef __cplusplus
extern "C" {
#endif

struct proa_actor;
struct proa_node;

enum proa_log_level {
    PROA_LOG_ERROR,   /* somebody should act */
    PROA_LOG_WARNING, /* somebody should know */
    PROA_LOG_INFO,    /* the default: these and those above are printed */
    PROA_LOG_DEBUG,
    PROA_LOG_LEVEL_COUNT
};

#define PROA_LOG_TEXT_MAX                                                                \
    480 /* bytes of a line's text and its NUL; longer ones are cut */

/* "error", "warning", "info", "debug"; "?" outside of the enum. */
PROA_API const char *proa_log_level_name(enum proa_log_level level);

/* proa_log writes one line, format being printf's.  One load and one comparison when the level
   is not printed. */
#if defined(__GNUC__)
__attribute__((format(printf, 3, 4)))
#endif
PROA_API void
proa_log(struct proa_actor *self, enum proa_log_level level, const char *format, ...);

/* One line as the control thread has it. */
struct proa_log_line {
    proa_ns at;       /* start of the loop that wrote it, monotonic */
    uint64_t wall_ms; /* the same, since 1970 */
    enum proa_log_level level;
    uint32_t lane;
    struct proa_ref actor;
    const char *type_name; /* of its behaviour */
    const char *text;      /* NUL-terminated, without a newline; any other bytes */
    size_t len;            /* of text */
};

/* proa_log_print writes the line as it is printed by default, without its newline, cut to len
   bytes with its NUL: UTC time, level, lane, actor, type, text.  Control characters are written
   %XX.  Returns the length written.  Any thread. */
PROA_API size_t proa_log_print(const struct proa_log_line *line, char *buf, size_t len);

/* proa_node_on_log installs the function that gets every line; NULL brings back the default,
   which prints to stderr, and drops and counts (drop counter
   log_unprinted) when stderr would block.  When it
   returns the function before is not running and will not be called any more. */
typedef void (*proa_on_log)(void *ctx, const struct proa_log_line *line);
PROA_API void proa_node_on_log(struct proa_node *node, proa_on_log fn, void *ctx);

/* proa_node_log_level says which lines are written at all: level and those above. */
PROA_API void proa_node_log_level(struct proa_node *node, enum proa_log_level level);

#ifdef __cplusplus
}
#endif

#endif
