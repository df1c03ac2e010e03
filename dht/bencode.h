/* SPDX-License-Identifier: Apache-2.0 */
/* bencode.h - reading and writing bencode (BEP 3), strictly and in one pass.

   The reader is pulled: the caller says what it expects next and gets it or a sticky
   error.  It never recurses, allocates or looks at a byte twice, accepts exactly one
   spelling of each value, and hands out spans of the input, so that what was signed can be
   checked over the very bytes that came.  Refused: dictionary keys that are unsorted or
   appear twice, integers with leading zeros, "-0" or beyond int64, lengths with leading zeros
   or beyond the input, nesting deeper than 8, bytes after the end.

   The writer fills the caller's buffer and never overruns it; once something did not fit
   everything after it is ignored and the result is 0.

   Threads: a reader or writer belongs to one thread.
   Units:   lengths are bytes.
   Errors:  sticky: after the first all calls fail; ask with bencode_done, bencode_finish. */
#ifndef PROA_DHT_BENCODE_H
#define PROA_DHT_BENCODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PROA_BENCODE_DEPTH_MAX 8 /* nested lists and dictionaries */

/* Some bytes of somebody else's buffer.  Absent is at == NULL; present but empty is not. */
struct bencode_span {
    const uint8_t *at;
    size_t len;
};

enum bencode_kind {
    BENCODE_NONE, /* the end of this list, dictionary or input, or an error */
    BENCODE_INT,
    BENCODE_STRING,
    BENCODE_LIST,
    BENCODE_DICT,
};

/* Private to bencode.c: one open list or dictionary. */
struct bencode_level {
    struct bencode_span key; /* the last key read; absent before the first */
    bool is_dict;
    bool want_value; /* a key was read and its value was not */
};

struct bencode_reader {
    const uint8_t *buf; /* borrowed until the caller drops the reader and its spans */
    size_t len;
    size_t at;
    uint32_t depth; /* open lists and dictionaries */
    bool failed;
    bool began; /* the outermost value was read or entered */
    struct bencode_level levels[PROA_BENCODE_DEPTH_MAX];
};

/* bencode_read_init starts at the first of len bytes, which hold one value. */
void bencode_read_init(struct bencode_reader *self, const void *buf, size_t len);

/* bencode_peek tells the kind of the value that comes next, by its first byte. */
enum bencode_kind bencode_peek(const struct bencode_reader *self);

/* bencode_enter_dict and bencode_enter_list open the next value; false and failed when it is
   not one, or nested too deep. */
bool bencode_enter_dict(struct bencode_reader *self);
bool bencode_enter_list(struct bencode_reader *self);

/* bencode_key reads the next key of the dictionary entered last; its value must be read next.
   False at the end of the dictionary, which is then left, or on error. */
bool bencode_key(struct bencode_reader *self, struct bencode_span *ret_key);

/* bencode_more tells whether the list entered last has another value; if not, leaves it. */
bool bencode_more(struct bencode_reader *self);

/* bencode_string and bencode_int read the next value; false and failed when it is none. */
bool bencode_string(struct bencode_reader *self, struct bencode_span *ret_string);
bool bencode_int(struct bencode_reader *self, int64_t *ret_value);

/* bencode_skip reads over the next value, whatever it is, checking all of it, and returns its
   exact bytes (ret_raw may be NULL). */
bool bencode_skip(struct bencode_reader *self, struct bencode_span *ret_raw);

/* bencode_done tells whether the one value was read to its end, without an error, and no
   byte follows it. */
bool bencode_done(const struct bencode_reader *self);

/* bencode_is tells whether a span is this string. */
bool bencode_is(struct bencode_span span, const char *text);

struct bencode_writer {
    uint8_t *buf; /* borrowed until bencode_finish */
    size_t cap;
    size_t at;
    bool failed;
};

void bencode_write_init(struct bencode_writer *self, void *buf, size_t cap);

/* The caller writes keys in ascending order, and closes what it opened. */
void bencode_put_dict(struct bencode_writer *self);
void bencode_put_list(struct bencode_writer *self);
void bencode_put_end(struct bencode_writer *self);
void bencode_put_int(struct bencode_writer *self, int64_t value);
void bencode_put_string(struct bencode_writer *self, const void *bytes, size_t len);
void bencode_put_key(struct bencode_writer *self, const char *key);

/* bencode_put_raw copies one value that is bencode already. */
void bencode_put_raw(struct bencode_writer *self, struct bencode_span raw);

/* bencode_put_room writes a string's length and returns where its len bytes belong, for the
   caller to fill at once; NULL when they do not fit. */
uint8_t *bencode_put_room(struct bencode_writer *self, size_t len);

/* bencode_finish returns how many bytes were written, or 0 when they did not fit. */
size_t bencode_finish(const struct bencode_writer *self);

#endif
