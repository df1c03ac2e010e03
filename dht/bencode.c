/* SPDX-License-Identifier: Apache-2.0 */
#include "bencode.h"

#include <string.h>

/* Reading. */

static bool fail(struct bencode_reader *self)
{
    self->failed = true;
    return false;
}

static struct bencode_level *innermost(struct bencode_reader *self)
{
    return self->depth > 0 ? &self->levels[self->depth - 1] : NULL;
}

static bool is_digit(uint8_t c)
{
    return c >= '0' && c <= '9';
}

void bencode_read_init(struct bencode_reader *self, const void *buf, size_t len)
{
    self->buf = buf;
    self->len = len;
    self->at = 0;
    self->depth = 0;
    self->failed = false;
    self->began = false;
}

enum bencode_kind bencode_peek(const struct bencode_reader *self)
{
    if (self->failed || self->at >= self->len)
        return BENCODE_NONE;
    switch (self->buf[self->at]) {
    case 'i':
        return BENCODE_INT;
    case 'l':
        return BENCODE_LIST;
    case 'd':
        return BENCODE_DICT;
    default:
        return is_digit(self->buf[self->at]) ? BENCODE_STRING : BENCODE_NONE;
    }
}

/* Notes that a value of this kind is read now, if one may be: the only one of the input, the
   one that belongs to the key just read, or one of a list. */
static bool begin_value(struct bencode_reader *self, enum bencode_kind kind)
{
    struct bencode_level *level = innermost(self);

    if (bencode_peek(self) != kind)
        return fail(self);
    if (level == NULL) {
        if (self->began)
            return fail(self);
        self->began = true;
    } else if (level->is_dict) {
        if (!level->want_value)
            return fail(self);
        level->want_value = false;
    }
    return true;
}

static bool enter(struct bencode_reader *self, enum bencode_kind kind)
{
    if (!begin_value(self, kind))
        return false;
    if (self->depth == PROA_BENCODE_DEPTH_MAX)
        return fail(self);
    self->levels[self->depth++] = (struct bencode_level){.is_dict = kind == BENCODE_DICT};
    self->at++;
    return true;
}

bool bencode_enter_dict(struct bencode_reader *self)
{
    return enter(self, BENCODE_DICT);
}

bool bencode_enter_list(struct bencode_reader *self)
{
    return enter(self, BENCODE_LIST);
}

/* Reads an unsigned decimal number without leading zeros, at most max, and the byte that
   must follow it. */
static bool read_decimal(struct bencode_reader *self, uint64_t max, uint8_t terminator,
                         uint64_t *ret_value)
{
    size_t start = self->at;
    uint64_t value = 0;

    while (self->at < self->len && is_digit(self->buf[self->at])) {
        uint64_t digit = (uint64_t)(self->buf[self->at] - '0');

        if (digit > max || value > (max - digit) / 10)
            return fail(self);
        value = value * 10 + digit;
        self->at++;
    }
    size_t digits = self->at - start;
    if (digits == 0 || (digits > 1 && self->buf[start] == '0'))
        return fail(self);
    if (self->at == self->len || self->buf[self->at] != terminator)
        return fail(self);
    self->at++;
    *ret_value = value;
    return true;
}

static bool read_span(struct bencode_reader *self, struct bencode_span *ret_string)
{
    uint64_t len;

    if (!read_decimal(self, self->len, ':', &len))
        return false;
    if (len > self->len - self->at)
        return fail(self);
    ret_string->at = self->buf + self->at;
    ret_string->len = (size_t)len;
    self->at += (size_t)len;
    return true;
}

static int compare(struct bencode_span a, struct bencode_span b)
{
    size_t common = a.len < b.len ? a.len : b.len;
    int order = common == 0 ? 0 : memcmp(a.at, b.at, common);

    return order != 0 ? order : (a.len > b.len) - (a.len < b.len);
}

bool bencode_key(struct bencode_reader *self, struct bencode_span *ret_key)
{
    struct bencode_level *level = innermost(self);
    struct bencode_span key;

    if (self->failed || level == NULL || !level->is_dict || level->want_value)
        return fail(self);
    if (self->at < self->len && self->buf[self->at] == 'e') {
        self->at++;
        self->depth--;
        return false;
    }
    if (!read_span(self, &key))
        return false;
    if (level->key.at != NULL && compare(level->key, key) >= 0)
        return fail(self);
    level->key = key;
    level->want_value = true;
    *ret_key = key;
    return true;
}

bool bencode_more(struct bencode_reader *self)
{
    struct bencode_level *level = innermost(self);

    if (self->failed || level == NULL || level->is_dict || self->at == self->len)
        return fail(self);
    if (self->buf[self->at] != 'e')
        return true;
    self->at++;
    self->depth--;
    return false;
}

bool bencode_string(struct bencode_reader *self, struct bencode_span *ret_string)
{
    return begin_value(self, BENCODE_STRING) && read_span(self, ret_string);
}

bool bencode_int(struct bencode_reader *self, int64_t *ret_value)
{
    uint64_t magnitude;

    if (!begin_value(self, BENCODE_INT))
        return false;
    self->at++;
    bool negative = self->at < self->len && self->buf[self->at] == '-';
    if (negative)
        self->at++;
    if (!read_decimal(self, (uint64_t)INT64_MAX + negative, 'e', &magnitude))
        return false;
    if (negative && magnitude == 0)
        return fail(self);
    *ret_value = negative ? (int64_t)(0 - magnitude) : (int64_t)magnitude;
    return true;
}

/* Reads a scalar, or opens a list or dictionary. */
static bool skip_one(struct bencode_reader *self)
{
    struct bencode_span string;
    int64_t value;

    switch (bencode_peek(self)) {
    case BENCODE_INT:
        return bencode_int(self, &value);
    case BENCODE_STRING:
        return bencode_string(self, &string);
    case BENCODE_LIST:
        return bencode_enter_list(self);
    case BENCODE_DICT:
        return bencode_enter_dict(self);
    case BENCODE_NONE:
        break;
    }
    return fail(self);
}

bool bencode_skip(struct bencode_reader *self, struct bencode_span *ret_raw)
{
    size_t start = self->at;
    uint32_t outside = self->depth;
    struct bencode_span key;

    if (!skip_one(self))
        return false;
    while (self->depth > outside) {
        bool another =
            innermost(self)->is_dict ? bencode_key(self, &key) : bencode_more(self);

        if (self->failed || (another && !skip_one(self)))
            return false;
    }
    if (ret_raw != NULL)
        *ret_raw = (struct bencode_span){self->buf + start, self->at - start};
    return true;
}

bool bencode_done(const struct bencode_reader *self)
{
    return !self->failed && self->began && self->depth == 0 && self->at == self->len;
}

bool bencode_is(struct bencode_span span, const char *text)
{
    size_t len = strlen(text);

    return span.at != NULL && span.len == len && memcmp(span.at, text, len) == 0;
}

/* Writing. */

void bencode_write_init(struct bencode_writer *self, void *buf, size_t cap)
{
    self->buf = buf;
    self->cap = cap;
    self->at = 0;
    self->failed = false;
}

/* Returns where the next len bytes go, or NULL when they do not fit. */
static uint8_t *claim(struct bencode_writer *self, size_t len)
{
    if (self->failed || len > self->cap - self->at) {
        self->failed = true;
        return NULL;
    }
    uint8_t *room = self->buf + self->at;
    self->at += len;
    return room;
}

static void put_bytes(struct bencode_writer *self, const void *bytes, size_t len)
{
    uint8_t *room = claim(self, len);

    if (room != NULL && len > 0)
        memcpy(room, bytes, len);
}

static void put_decimal(struct bencode_writer *self, uint64_t value)
{
    char digits[20]; /* of 2^64 - 1 */
    size_t first = sizeof(digits);

    do {
        digits[--first] = (char)('0' + value % 10);
        value /= 10;
    } while (value > 0);
    put_bytes(self, digits + first, sizeof(digits) - first);
}

void bencode_put_dict(struct bencode_writer *self)
{
    put_bytes(self, "d", 1);
}

void bencode_put_list(struct bencode_writer *self)
{
    put_bytes(self, "l", 1);
}

void bencode_put_end(struct bencode_writer *self)
{
    put_bytes(self, "e", 1);
}

void bencode_put_int(struct bencode_writer *self, int64_t value)
{
    put_bytes(self, "i-", value < 0 ? 2 : 1);
    put_decimal(self, value < 0 ? 0 - (uint64_t)value : (uint64_t)value);
    put_bytes(self, "e", 1);
}

uint8_t *bencode_put_room(struct bencode_writer *self, size_t len)
{
    put_decimal(self, len);
    put_bytes(self, ":", 1);
    return claim(self, len);
}

void bencode_put_string(struct bencode_writer *self, const void *bytes, size_t len)
{
    uint8_t *room = bencode_put_room(self, len);

    if (room != NULL && len > 0)
        memcpy(room, bytes, len);
}

void bencode_put_key(struct bencode_writer *self, const char *key)
{
    bencode_put_string(self, key, strlen(key));
}

void bencode_put_raw(struct bencode_writer *self, struct bencode_span raw)
{
    put_bytes(self, raw.at, raw.len);
}

size_t bencode_finish(const struct bencode_writer *self)
{
    return self->failed ? 0 : self->at;
}
