/* SPDX-License-Identifier: Apache-2.0 */
#include "cli_protocol.h"

#include <stdio.h>
#include <string.h>

#include "capture_words.h"

#define WORDS_MAX 6
#define BAD_NAME "the name is not 1..255 bytes without NUL"
#define BAD_ADDRESS "the address is not 1..255 bytes"

struct word {
    const char *text;
    size_t len;
};

static int digit_of(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

long cli_hex_read(const char *text, size_t len, uint8_t *data, size_t cap)
{
    if (len % 2 != 0 || len / 2 > cap)
        return -1;
    for (size_t i = 0; i < len; i += 2) {
        int high = digit_of(text[i]), low = digit_of(text[i + 1]);
        if (high < 0 || low < 0)
            return -1;
        data[i / 2] = (uint8_t)(high << 4 | low);
    }
    return (long)(len / 2);
}

void cli_hex_print(const uint8_t *data, size_t len, char *buf)
{
    static const char digits[] = "0123456789abcdef";

    for (size_t i = 0; i < len; i++) {
        buf[2 * i] = digits[data[i] >> 4];
        buf[2 * i + 1] = digits[data[i] & 15];
    }
    buf[2 * len] = '\0';
}

size_t cli_escape(const char *text, size_t len, char *buf)
{
    size_t at = 0;

    for (size_t i = 0; i < len; i++) {
        uint8_t byte = (uint8_t)text[i];
        if (byte > 0x20 && byte < 0x7f && byte != '%') {
            buf[at++] = (char)byte;
        } else {
            buf[at++] = '%';
            cli_hex_print(&byte, 1, buf + at);
            at += 2;
        }
    }
    buf[at] = '\0';
    return at;
}

static bool unescape(const struct word *word, char name[PROA_NAME_MAX + 1])
{
    size_t at = 0;

    for (size_t i = 0; i < word->len; i++) {
        uint8_t byte = (uint8_t)word->text[i];
        if (byte == '%') {
            if (word->len - i < 3 || cli_hex_read(word->text + i + 1, 2, &byte, 1) != 1)
                return false;
            i += 2;
        }
        if (byte == 0 || at == PROA_NAME_MAX)
            return false;
        name[at++] = (char)byte;
    }
    name[at] = '\0';
    return at > 0;
}

/* Digits only, below limit. */
static bool read_number(const struct word *word, uint64_t limit, uint64_t *ret)
{
    uint64_t value = 0;

    if (word->len == 0 || word->len > 10)
        return false;
    for (size_t i = 0; i < word->len; i++) {
        if (word->text[i] < '0' || word->text[i] > '9')
            return false;
        value = value * 10 + (uint64_t)(word->text[i] - '0');
    }
    *ret = value;
    return value < limit;
}

/* Words between single spaces; WORDS_MAX + 1 when there are more. */
static unsigned split(const char *line, size_t len, struct word words[WORDS_MAX])
{
    const char *end = line + len;
    unsigned count = 0;

    for (;;) {
        const char *space = memchr(line, ' ', (size_t)(end - line));
        const char *stop = space != NULL ? space : end;
        if (count == WORDS_MAX)
            return WORDS_MAX + 1;
        words[count++] = (struct word){line, (size_t)(stop - line)};
        if (space == NULL)
            return count;
        line = space + 1;
    }
}

static const char *read_ask(const struct word words[WORDS_MAX], uint8_t *data,
                            struct cli_request *ret)
{
    uint64_t ms, type;
    long len = 0;

    if (!read_number(&words[1], CLI_DEADLINE_MAX / PROA_MS + 1, &ms) || ms == 0)
        return "the deadline is not within 1..60000 milliseconds";
    if (!unescape(&words[2], ret->name))
        return BAD_NAME;
    if (!read_number(&words[3], PROA_TYPE_SYSTEM, &type))
        return "the type is not a number below 2147483648";
    if (words[4].len != 1 || words[4].text[0] != '-')
        len = cli_hex_read(words[4].text, words[4].len, data, PROA_CLIENT_MSG_MAX);
    if (len < 0 || words[4].len == 0)
        return "the payload is not pairs of hexadecimal digits, at most 65536 of them";
    ret->verb = CLI_ASK;
    ret->deadline = ms * PROA_MS;
    ret->type = (uint32_t)type;
    ret->data = data;
    ret->len = (size_t)len;
    return NULL;
}

static bool is_dash(const struct word *word)
{
    return word->len == 1 && word->text[0] == '-';
}

static const char *read_capture(const struct word words[WORDS_MAX],
                                struct cli_request *ret)
{
    struct capture_wish *wish = &ret->capture;
    uint64_t snap, seconds;

    capture_wish_init(wish);
    if (!is_dash(&words[1]) &&
        !capture_peer_read(words[1].text, words[1].len, &wish->filter))
        return "the peer is no address";
    if (!is_dash(&words[2]) &&
        !capture_kinds_read(words[2].text, words[2].len, &wish->filter))
        return "the kinds are not names of packet kinds";
    if (!read_number(&words[3], CAPTURE_SNAP_MAX + 1, &snap) || snap < CAPTURE_SNAP_MIN)
        return "the bytes of a packet are not within 32..65535";
    if (!read_number(&words[4], CLI_CAPTURE_SECONDS_MAX + 1, &seconds))
        return "the seconds are not within 0..86400";
    if (!read_number(&words[5], (uint64_t)CLI_CAPTURE_PACKETS_MAX + 1, &wish->packets))
        return "the packets are not within 0..4000000000";
    wish->filter.snap = (uint32_t)snap;
    wish->seconds = (unsigned)seconds;
    ret->verb = CLI_CAPTURE;
    return NULL;
}

static bool is_verb(const struct word *word, const char *verb)
{
    return word->len == strlen(verb) && memcmp(word->text, verb, word->len) == 0;
}

/* Requests that are nothing but words: the last one, where there is an error for it, a name. */
static const struct plain_row {
    enum cli_verb verb;
    const char *words;
    const char *bad_name; /* NULL: no name follows */
} plain_rows[] = {
    {CLI_LS, "ls", NULL},
    {CLI_TOP, "top", NULL},
    {CLI_LANES, "lanes", NULL},
    {CLI_CLUSTER, "cluster", NULL},
    {CLI_GROUPS, "groups", NULL},
    {CLI_GROUP, "group", BAD_NAME},
    {CLI_LOOKUP, "lookup", BAD_NAME},
    {CLI_DENY, "deny", BAD_ADDRESS},
    {CLI_ALLOW, "allow", BAD_ADDRESS},
    {CLI_LINK_ADD, "link add", BAD_ADDRESS},
    {CLI_LINK_REMOVE, "link remove", BAD_ADDRESS},
};

#define PLAIN_ROWS (sizeof(plain_rows) / sizeof(plain_rows[0]))

/* The line is this request; *ret_name is the word behind it. */
static bool is_plain(const struct plain_row *row, const char *line, size_t len,
                     struct word *ret_name)
{
    size_t n = strlen(row->words);

    if (len < n || memcmp(line, row->words, n) != 0)
        return false;
    if (row->bad_name == NULL)
        return len == n;
    if (len == n || line[n] != ' ' || memchr(line + n + 1, ' ', len - n - 1) != NULL)
        return false;
    *ret_name = (struct word){line + n + 1, len - n - 1};
    return true;
}

const char *cli_request_read(const char *line, size_t len, uint8_t *data,
                             struct cli_request *ret)
{
    struct word words[WORDS_MAX], name;
    unsigned count = split(line, len, words);

    memset(ret, 0, sizeof(*ret));
    for (unsigned i = 0; i < PLAIN_ROWS; i++) {
        const struct plain_row *row = &plain_rows[i];

        if (!is_plain(row, line, len, &name))
            continue;
        ret->verb = row->verb;
        return row->bad_name == NULL || unescape(&name, ret->name) ? NULL : row->bad_name;
    }
    if (is_verb(&words[0], "events") &&
        (count == 1 || (count == 2 && is_verb(&words[1], "follow")))) {
        ret->verb = CLI_EVENTS;
        ret->follow = count == 2;
        return NULL;
    }
    if (is_verb(&words[0], "ask") && count == 5)
        return read_ask(words, data, ret);
    if (is_verb(&words[0], "capture") && count == 6)
        return read_capture(words, ret);
    return "not a request";
}

static size_t print_ask(const struct cli_request *request, const char *name, char *buf,
                        size_t cap)
{
    int n = snprintf(buf, cap, "ask %llu %s %u %s",
                     (unsigned long long)(request->deadline / PROA_MS), name,
                     request->type, request->len == 0 ? "-" : "");

    if (n < 0 || (size_t)n + 2 * request->len + 2 > cap)
        return 0;
    cli_hex_print(request->data, request->len, buf + n);
    strcat(buf + n, "\n");
    return strlen(buf);
}

static int print_capture(const struct capture_wish *wish, char *buf, size_t cap)
{
    char peer[CAPTURE_WORDS_MAX], kinds[CAPTURE_WORDS_MAX];

    capture_peer_print(&wish->filter, peer);
    capture_kinds_print(&wish->filter, kinds);
    return snprintf(buf, cap, "capture %s %s %u %u %llu\n", peer, kinds,
                    wish->filter.snap, wish->seconds, (unsigned long long)wish->packets);
}

static int print_plain(enum cli_verb verb, const char *name, char *buf, size_t cap)
{
    const struct plain_row *row = plain_rows;

    while (row->verb != verb)
        row++; /* every verb that is neither ask, events nor capture has one */
    return snprintf(buf, cap, "%s%s%s\n", row->words, row->bad_name != NULL ? " " : "",
                    row->bad_name != NULL ? name : "");
}

size_t cli_request_print(const struct cli_request *request, char *buf, size_t cap)
{
    char name[CLI_ESCAPED_MAX];
    int n;

    cli_escape(request->name, strlen(request->name), name);
    if (request->verb == CLI_ASK)
        return print_ask(request, name, buf, cap);
    if (request->verb == CLI_EVENTS)
        n = snprintf(buf, cap, "events%s\n", request->follow ? " follow" : "");
    else if (request->verb == CLI_CAPTURE)
        n = print_capture(&request->capture, buf, cap);
    else
        n = print_plain(request->verb, name, buf, cap);
    return n > 0 && (size_t)n < cap ? (size_t)n : 0;
}

void cli_ref_print(struct proa_ref ref, char buf[CLI_REF_MAX])
{
    snprintf(buf, CLI_REF_MAX, "%016llx/%u.%u/%08x", (unsigned long long)ref.node,
             proa_ref_lane(ref), ref.slot & 0xffffff, ref.generation);
}
