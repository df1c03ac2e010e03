/* SPDX-License-Identifier: Apache-2.0 */
/* pcapng_walk.h - reads the blocks that pcapng.c writes, strictly, for tests.

   Threads: pure.  Units: bytes.  Errors: cmocka's assertions. */
#ifndef PCAPNG_WALK_H
#define PCAPNG_WALK_H

#include <proa/le.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct walk_block {
    uint32_t type;
    const uint8_t *body;
    size_t len; /* of body */
};

/* The block at *at, which moves behind it; false at the end. */
static inline bool walk_next(const uint8_t *file, size_t file_len, size_t *at,
                             struct walk_block *ret)
{
    uint32_t len;

    if (*at == file_len)
        return false;
    assert_true(file_len - *at >= 12);
    ret->type = proa_get_le32(file + *at);
    len = proa_get_le32(file + *at + 4);
    assert_true(len >= 12 && len % 4 == 0 && len <= file_len - *at);
    assert_int_equal(proa_get_le32(file + *at + len - 4), len);
    ret->body = file + *at + 8;
    ret->len = len - 12;
    *at += len;
    return true;
}

/* The value of an option behind the first `from` bytes of a block; NULL: it is not there.  Checks
   that options end in opt_endofopt and at the block's end. */
static inline const uint8_t *walk_option(const struct walk_block *block, size_t from,
                                         unsigned code, size_t *ret_len)
{
    const uint8_t *found = NULL;

    for (;;) {
        unsigned this_code;
        size_t len;

        assert_true(block->len - from >= 4);
        this_code = proa_get_le16(block->body + from);
        len = proa_get_le16(block->body + from + 2);
        from += 4;
        if (this_code == 0) {
            assert_int_equal(len, 0);
            assert_int_equal(from, block->len);
            return found;
        }
        if (this_code == code) {
            found = block->body + from;
            *ret_len = len;
        }
        from += (len + 3) & ~(size_t)3;
        assert_true(from <= block->len);
    }
}

static inline uint64_t walk_moment(const uint8_t *at)
{
    return (uint64_t)proa_get_le32(at) << 32 | proa_get_le32(at + 4);
}

#endif
