/* SPDX-License-Identifier: Apache-2.0 */
/* vectors.h - the test vectors of docs/wire_dht.md (or of VECTOR_DOCUMENT), read from that very file.

   A vector is a fenced block that begins with "vector NAME"; each line after it is a key, a
   space and a value; a value may go on, as hex, in lines that begin with a space.  Include
   after <cmocka.h>: what is missing or malformed fails the test.

   Threads: one; each call of vector_block overwrites what the one before returned. */
#ifndef PROA_TESTS_DHT_VECTORS_H
#define PROA_TESTS_DHT_VECTORS_H

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifndef VECTOR_DOCUMENT
#define VECTOR_DOCUMENT "wire_dht.md" /* in docs/ */
#endif
#define VECTOR_BLOCK_MAX 8192 /* characters of one block */

/* The document, beside this header's folder: tests/dht/../../docs. */
static inline FILE *vector_open(void)
{
    static const char document[] = "../../docs/" VECTOR_DOCUMENT;
    char path[1024];
    const char *slash = strrchr(__FILE__, '/');
    int folder = slash != NULL ? (int)(slash - __FILE__) + 1 : 0;

    snprintf(path, sizeof(path), "%.*s%s", folder, __FILE__, document);
    FILE *file = fopen(path, "r");
    if (file == NULL)
        fail_msg("cannot open %s: run the test from the build directory", path);
    return file;
}

/* vector_block returns the lines of a block, one key each: what went on is joined. */
static inline const char *vector_block(const char *name)
{
    static char block[VECTOR_BLOCK_MAX];
    char line[512], head[128];
    size_t len = 0;
    FILE *file = vector_open();
    bool inside = false, began = false;

    snprintf(head, sizeof(head), "vector %s\n", name);
    while (fgets(line, sizeof(line), file) != NULL) {
        if (inside && strncmp(line, "```", 3) == 0)
            break;
        if (inside) {
            const char *text = line;

            if (line[0] == ' ') { /* goes on: drop the newline before and the indent */
                assert_true(len > 0);
                if (began) /* the value begins here: a space parts it from the key */
                    block[len - 1] = ' ';
                else
                    len--;
                text += strspn(line, " ");
            }
            began = strchr(text, ' ') == NULL && line[0] != ' ';
            assert_true(len + strlen(text) + 2 < sizeof(block));
            strcpy(block + len, text);
            len += strlen(text);
        }
        inside = inside || strcmp(line, head) == 0;
    }
    fclose(file);
    if (len == 0)
        fail_msg("no vector %s in docs/" VECTOR_DOCUMENT, name);
    return block;
}

/* vector_line returns where the line of a key begins. */
static inline const char *vector_line(const char *block, const char *key)
{
    size_t len = strlen(key);

    for (const char *at = block; *at != '\0'; at = strchr(at, '\n') + 1) {
        if (strncmp(at, key, len) == 0 && (at[len] == ' ' || at[len] == '\n'))
            return at;
    }
    fail_msg("no key %s in the vector", key);
    return NULL;
}

/* vector_after returns all lines behind the line of a key. */
static inline const char *vector_after(const char *block, const char *key)
{
    return strchr(vector_line(block, key), '\n') + 1;
}

/* vector_hex takes the bytes of a key into buf and returns how many. */
static inline size_t vector_hex(const char *block, const char *key, uint8_t *buf,
                                size_t cap)
{
    const char *at = vector_line(block, key) + strlen(key);
    size_t len = 0;

    at += *at == ' ';
    for (; *at != '\n'; at += 2, len++) {
        unsigned byte;

        assert_int_equal(sscanf(at, "%2x", &byte), 1);
        assert_true(len < cap);
        buf[len] = (uint8_t)byte;
    }
    return len;
}

/* vector_bytes is vector_hex for a value of exactly len bytes. */
static inline void vector_bytes(const char *block, const char *key, void *ret, size_t len)
{
    assert_int_equal(vector_hex(block, key, ret, len), len);
}

static inline uint64_t vector_number(const char *block, const char *key, int base)
{
    return strtoull(vector_line(block, key) + strlen(key), NULL, base);
}

/* The other direction: text that a test builds, to compare with vector_after. */
struct vector_text {
    size_t len;
    char text[VECTOR_BLOCK_MAX];
};

static inline void vector_say(struct vector_text *self, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
static inline void vector_say(struct vector_text *self, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    self->len += (size_t)vsnprintf(self->text + self->len, sizeof(self->text) - self->len,
                                   format, args);
    va_end(args);
    assert_true(self->len < sizeof(self->text));
}

static inline void vector_say_hex(struct vector_text *self, const char *key,
                                  const void *bytes, size_t len)
{
    vector_say(self, len > 0 ? "%s " : "%s", key);
    for (size_t i = 0; i < len; i++)
        vector_say(self, "%02x", ((const uint8_t *)bytes)[i]);
    vector_say(self, "\n");
}

#endif
