/* SPDX-License-Identifier: Apache-2.0 */
/* cli_protocol.h - what `proa ls`, `lookup`, `ask`, `cluster`, `link` and the other verbs that talk
   to a running node say to it, and back.

   One connection carries one request line and its answer, in bytes that print:

     request   ls
               groups            `ls --groups`
               group NAME        `ls --group NAME`
               cluster           cli_cluster.h has the lines of these three
               link add ADDRESS
               link remove WHICH an address, or a node in hexadecimal
               lookup NAME
               ask MILLISECONDS NAME TYPE HEX        HEX is "-" for no payload
               events            those kept
               events follow     and all to come: the answer ends with the node
               top               top_lines.h has the lines
               lanes             a heading, a line a lane, a line a port
               capture PEER KINDS SNAP SECONDS PACKETS
                                 capture_words.h has the first two; "-" or 0: no such bound;
                                 cli_capture.h has the answer
               deny NETWORK      ADDRESS or ADDRESS/PREFIX
               allow NETWORK
     answer    lines of result, each after one space; then one last line:
               ok          or          error TEXT

   In NAME, bytes outside 0x21..0x7e and '%' are written %XX, so that no name, however hostile,
   is more than one word, and none moves a terminal's cursor.  An answer without its last line
   was cut short.

   Threads: pure.  Units: milliseconds on the wire, bytes.
   Errors:  NULL for success, else a sentence without a name in it, static.
   Bounds:  CLI_REQUEST_MAX bytes of a request, PROA_CLIENT_MSG_MAX of a payload. */
#ifndef CLI_PROTOCOL_H
#define CLI_PROTOCOL_H

#include <proa/client.h>
#include <proa/types.h>

#include "capture.h"

#define CLI_REQUEST_MAX (2 * PROA_CLIENT_MSG_MAX + 3 * PROA_NAME_MAX + 64)
#define CLI_DEADLINE (5 * PROA_S)      /* of an ask, unless the user says */
#define CLI_DEADLINE_MAX (60 * PROA_S) /* and at the most */
#define CLI_LOOKUP_FOR (3 * PROA_S)    /* of a lookup */
#define CLI_CAPTURE_SECONDS_MAX 86400
#define CLI_CAPTURE_PACKETS_MAX 4000000000u
#define CLI_ESCAPED_MAX (3 * PROA_NAME_MAX + 1)
#define CLI_REF_MAX 48 /* bytes of a printed reference and its NUL */

enum cli_verb {
    CLI_LS,
    CLI_LOOKUP,
    CLI_ASK,
    CLI_EVENTS,
    CLI_TOP,
    CLI_LANES,
    CLI_CAPTURE,
    CLI_DENY,
    CLI_ALLOW,
    CLI_CLUSTER,
    CLI_GROUPS,
    CLI_GROUP,
    CLI_LINK_ADD,
    CLI_LINK_REMOVE
};

struct cli_request {
    enum cli_verb verb;
    char name[PROA_NAME_MAX + 1]; /* lookup, ask, group; deny, allow, link: the address */
    uint32_t type;                /* ask */
    proa_ns deadline;             /* ask */
    bool follow;                  /* events */
    const uint8_t *data;          /* ask: borrowed */
    size_t len;
    struct capture_wish capture; /* capture */
};

/* cli_request_read reads one line without its newline.  The payload goes to data
   (PROA_CLIENT_MSG_MAX bytes), which ret->data then borrows.  NULL, or why it is no request. */
const char *cli_request_read(const char *line, size_t len, uint8_t *data,
                             struct cli_request *ret);

/* cli_request_print writes the line with its newline; returns its length, or 0 when it does not
   fit into cap bytes. */
size_t cli_request_print(const struct cli_request *request, char *buf, size_t cap);

/* cli_escape writes len bytes of text as above and a NUL: buf has room for 3 * len + 1.  Returns
   the length written. */
size_t cli_escape(const char *text, size_t len, char *buf);

/* cli_hex_read reads an even number of hexadecimal digits.  Returns their bytes, or -1. */
long cli_hex_read(const char *text, size_t len, uint8_t *data, size_t cap);
void cli_hex_print(const uint8_t *data, size_t len, char *buf); /* 2 * len + 1 bytes */

/* cli_ref_print writes NODE/LANE.INDEX/GENERATION, node and generation in hexadecimal. */
void cli_ref_print(struct proa_ref ref, char buf[CLI_REF_MAX]);

#endif
