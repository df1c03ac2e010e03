/* SPDX-License-Identifier: Apache-2.0 */
/* utf8.h - is a name UTF-8?

   Threads: pure.  Units: bytes.  Errors: none. */
#ifndef UTF8_H
#define UTF8_H

#include <stdbool.h>
#include <stddef.h>

/* utf8_valid: len bytes that are whole characters of UTF-8, none of them NUL, a surrogate, overlong or
   beyond U+10FFFF.  Source: RFC 3629, section 4. */
bool utf8_valid(const char *text, size_t len);

#endif
