/* SPDX-License-Identifier: Apache-2.0 */
#include "capture_words.h"

#include <stdio.h>
#include <string.h>

#include "addr.h"

/* In the order of their bits. */
static const char *const kinds[TAP_KINDS] = {"data",  "ack",  "syn",  "synack",
                                             "open",  "ping", "pong", "rst",
                                             "close", "krpc", "other"};

_Static_assert(TAP_KRPC == 9 && TAP_OTHER == 10, "the order of the names");

void capture_wish_init(struct capture_wish *ret)
{
    memset(ret, 0, sizeof(*ret));
    ret->filter.kinds = TAP_KINDS_ALL;
    ret->filter.snap = CAPTURE_SNAP_MAX;
}

bool capture_peer_read(const char *text, size_t len, struct tap_filter *filter)
{
    char copy[CAPTURE_WORDS_MAX];

    if (len >= sizeof(copy) || memchr(text, '\0', len) != NULL)
        return false;
    memcpy(copy, text, len);
    copy[len] = '\0';
    return addr_parse(copy, 0, &filter->peer);
}

static uint32_t kind_bit(const char *text, size_t len)
{
    for (unsigned i = 0; i < TAP_KINDS; i++) {
        if (strlen(kinds[i]) == len && memcmp(kinds[i], text, len) == 0)
            return 1u << i;
    }
    return 0;
}

bool capture_kinds_read(const char *text, size_t len, struct tap_filter *filter)
{
    uint32_t found = 0;
    const char *end = text + len;

    if (len >= CAPTURE_WORDS_MAX)
        return false;
    for (;;) {
        const char *comma = memchr(text, ',', (size_t)(end - text));
        const char *stop = comma != NULL ? comma : end;
        uint32_t bit = kind_bit(text, (size_t)(stop - text));

        if (bit == 0)
            return false;
        found |= bit;
        if (comma == NULL)
            break;
        text = comma + 1;
    }
    filter->kinds = found;
    return true;
}

void capture_peer_print(const struct tap_filter *filter, char *buf)
{
    char text[ADDR_TEXT_MAX];
    size_t len;

    if (filter->peer.family == 0) {
        strcpy(buf, "-");
        return;
    }
    len = addr_print(&filter->peer, text, sizeof(text));
    if (filter->peer.port == 0) /* ":0": none was said */
        text[len - 2] = '\0';
    snprintf(buf, CAPTURE_WORDS_MAX, "%s", text);
}

void capture_kinds_print(const struct tap_filter *filter, char *buf)
{
    size_t at = 0;

    if (filter->kinds == TAP_KINDS_ALL) {
        strcpy(buf, "-");
        return;
    }
    buf[0] = '\0';
    for (unsigned i = 0; i < TAP_KINDS; i++) {
        if ((filter->kinds & 1u << i) != 0)
            at += (size_t)snprintf(buf + at, CAPTURE_WORDS_MAX - at, "%s%s",
                                   at > 0 ? "," : "", kinds[i]);
    }
}
