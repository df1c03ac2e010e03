/* SPDX-License-Identifier: Apache-2.0 */
/* options.h - the command line of the proa program: PROGRAM VERB [OPTION...] [WORD...].

   docs/cli.md is the manual; options_usage prints the short form.  An option is "--name VALUE"
   or "--name=VALUE"; "--" ends the options.

   Threads: pure.  Units: as the fields say.
   Errors:  false, and one sentence with what to do. */
#ifndef OPTIONS_H
#define OPTIONS_H

#include <proa/node.h>
#include <stdio.h>

#include "capture.h"

enum options_verb {
    OPTIONS_NODE,
    OPTIONS_DEMO,
    OPTIONS_KEYGEN,
    OPTIONS_LS,
    OPTIONS_LOOKUP,
    OPTIONS_ASK,
    OPTIONS_EVENTS,
    OPTIONS_TOP,
    OPTIONS_LANES,
    OPTIONS_CAPTURE,
    OPTIONS_DOCTOR,
    OPTIONS_DENY,
    OPTIONS_ALLOW,
    OPTIONS_CLUSTER,
    OPTIONS_LINK,
    OPTIONS_HELP,
    OPTIONS_VERSION,
    OPTIONS_DEMO_NODE, /* what `demo` starts: not for people */
};

struct options {
    enum options_verb verb;
    const char *config; /* node, doctor */
    const char *socket; /* node, and verbs that ask one; NULL: in the state directory */
    const char
        *words[3]; /* keygen FILE; lookup NAME; ask NAME TYPE HEX; link add ADDRESS; ...;
                      borrowed */
    unsigned word_count;
    uint32_t type;         /* ask: TYPE */
    proa_ns deadline;      /* ask; node: of the join */
    unsigned seconds;      /* demo: of load */
    enum proa_pages pages; /* demo */
    enum proa_idle idle;   /* demo */
    bool follow;           /* events */
    bool groups;           /* ls: list the groups */
    const char *group;     /* ls: list its members; NULL: neither */

    struct capture_wish capture; /* capture, whose FILE is a word */
    bool json, fix_print;        /* doctor: at most one */
};

#define OPTIONS_SECONDS 10 /* of load in the demo, unless the user says */
#define OPTIONS_SECONDS_MAX 3600

/* options_read reads argv[1] and on.  All texts are borrowed from argv. */
bool options_read(int argc, char **argv, struct options *ret, char *err, size_t err_len);

/* options_usage prints how the program is called: one verb (NULL: all of them).  False: there is
   no such verb. */
bool options_usage(FILE *to, const char *program, const char *verb);

#endif
