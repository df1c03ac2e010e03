/* SPDX-License-Identifier: Apache-2.0 */
/* config_texts.h - configuration files as texts, for the tests of config*.c.

   Threads: one.  Units: none.  Errors: cmocka's asserts. */
#ifndef CONFIG_TEXTS_H
#define CONFIG_TEXTS_H

#include <string.h>

#include "config.h"

#define PORT "ports: [{spec: 'udp:127.0.0.1:7400'}]\n"

static struct config_file file;
static char err[256];

static inline enum proa_outcome parse(const char *text)
{
    memset(&file, 0xa5, sizeof(file));
    err[0] = '\0';
    return config_parse("n.yaml", text, strlen(text), &file, err, sizeof(err));
}

/* The text is refused with exactly this sentence, and the result stays untouched. */
static inline void refused(const char *text, const char *sentence)
{
    static struct config_file before;

    memset(&before, 0xa5, sizeof(before));
    assert_int_equal(parse(text), PROA_BAD_CONFIG);
    assert_string_equal(err, sentence);
    assert_memory_equal(&file, &before, sizeof(file));
}

#endif
